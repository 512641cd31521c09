"""What a regressor has learnt: a mixture of features and targets, what it predicts, and how it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import errors, protocol, summary
from cgmm.config import threads
from cgmm.fit.report import listed
from cgmm.protocol import Estimator
from cgmm.rows.checks import check_features, check_observed, check_weights, harmless, harmless_errors
from cgmm.rows.conditional import Conditionals
from cgmm.rows.row_errors import check_errors, of_rows
from cgmm.rows.targets import r_squared
from cgmm.suggestions import explained
from cgmm.validation import check_array, check_count, check_missing, check_real, check_threads

if TYPE_CHECKING:
    from cgmm.gmm import GMM
    from cgmm.summary import Summary
    from cgmm.types import Array, ArrayLike, Labels, Missing, Names, Seed


class Learned(NamedTuple):
    """What a fit leaves in a regressor.

    features, targets : the columns of the mixture's rows that are features (p,) and targets (t,)
    names : of the features, or None;  flat : whether there is one target, and predictions have one dimension
    """

    mixture: GMM
    features: Labels
    targets: Labels
    names: Names | None
    flat: bool


class Regressed(Estimator):
    """A regressor with what it has learnt: what it predicts, in words and as attributes."""

    random_state: Seed
    missing: Missing
    n_threads: int | None

    # Predicting

    @explained
    def predict(
        self,
        X: ArrayLike,
        return_std: bool = False,
        return_cov: bool = False,
        error_covariances: ArrayLike | None = None,
    ) -> Any:
        """The mean of the targets given the features: the prediction of least squared error.

        Parameters
        ----------
        X : array-like of shape (n, p)
        return_std : bool, default=False
            Also give the standard deviation of each target.
        return_cov : bool, default=False
            Also give the covariance of the targets of each row.
        error_covariances : array-like, optional
            Of the errors with which these features were measured: (n, p, p), (n, p), (p, p) or (p,). The prediction is
            then that given what was measured: the larger the errors, the nearer to the mean of all, and the wider.
            Without them features are taken for exact.

        Returns
        -------
        mean : ndarray (n,), or (n, t) of a y that was (n, t)
        std : ndarray of that shape
            If return_std.
        covariance : ndarray (n, t, t)
            If return_cov.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> mean, std = model.predict([[2.0], [4.0]], return_std=True)
        >>> mean.round(2).tolist()
        [7.0, 13.01]
        """
        given, flat = self.predictive(X, error_covariances), self._learned_or_error().flat
        found: list[Array] = [given.mean()]
        if return_std:
            found.append(given.std())
        found = [values[:, 0] if flat else values for values in found]
        if return_cov:
            found.append(given.covariance())
        return found[0] if len(found) == 1 else tuple(found)

    def predictive(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Conditionals[GMM]:
        """The distributions of the targets given the features of each row of X (n,p), with errors as of ``predict``.

        Of row i, ``predictive(X)[i]`` is a GMM of the targets, with its peaks, intervals and draws.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> model.predictive([[2.0]]).mean().round(1).tolist()
        [[7.0]]
        """
        return self._predictive(X, error_covariances)

    def _predictive(self, X: Any, errors: Any, weights: Array | None = None) -> Conditionals[GMM]:
        """weights : of the rows, or None; those of weight zero may hold anything"""
        learned, n_threads = self._learned_or_error(), check_threads(self.n_threads)
        parameters = learned.mixture._mixture
        rows, _ = check_observed(X, None, threads(n_threads), check_missing(self.missing), weights=weights)
        self._check_features(X, rows.shape[1], learned)
        names, make = learned.mixture._fitted().names, learned.mixture._made
        return Conditionals(
            parameters=parameters,
            values=rows,
            given=learned.features,
            features=learned.targets,
            names=names,
            n_threads=n_threads,
            make=make,
            random_state=self.random_state,
            errors=check_errors(of_rows(harmless_errors(errors, weights, *rows.shape)), rows, gaps=True),
        )

    def predict_quantiles(
        self, X: ArrayLike, q: ArrayLike = (0.05, 0.5, 0.95), error_covariances: ArrayLike | None = None
    ) -> Array:
        """Quantiles of each target given the features.

        Parameters
        ----------
        X : array-like of shape (n, p)
        q : float or sequence of float in [0, 1], default=(0.05, 0.5, 0.95)
        error_covariances : array-like, optional
            As of ``predict``.

        Returns
        -------
        ndarray (n,) for one number, (n, number of q) for a sequence
            (n, t) and (n, t, number of q) of a y that was (n, t).

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> model.predict_quantiles([[2.0], [4.0]], (0.1, 0.5, 0.9)).shape
        (2, 3)
        """
        learned, given = self._learned_or_error(), self.predictive(X, error_covariances)
        each = [given.of(np.array([target], dtype=np.intp)).quantile(q) for target in learned.targets]
        return each[0] if learned.flat else np.stack(each, axis=1)

    @explained
    def predict_interval(self, X: ArrayLike, p: float = 0.9, error_covariances: ArrayLike | None = None) -> Array:
        """The interval of each target that holds p of its mass and leaves as much below as above it.

        (n,2), or (n,t,2) of a y that was (n,t). Errors of the features as of ``predict``.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        p : float
            The probability, between 0 and 1.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> lower, upper = model.predict_interval([[2.0]], 0.9)[0]
        >>> bool(lower < 7.0 < upper)
        True
        """
        p = check_real("p", p, most=1.0)
        return self.predict_quantiles(X, (0.5 - 0.5 * p, 0.5 + 0.5 * p), error_covariances)

    def sample_y(
        self, X: ArrayLike, n_samples: int = 1, random_state: Seed = 0, error_covariances: ArrayLike | None = None
    ) -> Array:
        """Draws of the targets given the features of each row of X (n,p), with errors as of ``predict``.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        n_samples : int, default=1
            Draws per row.
        random_state : None, int, RandomState or Generator, default=0
            Seed or source of the draws.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Returns
        -------
        ndarray (n, n_samples), or (n, t, n_samples) of a y that was (n, t)
            As scikit-learn's GaussianProcessRegressor.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> model.sample_y([[2.0], [4.0]], 5).shape
        (2, 5)
        """
        draws = self.predictive(X, error_covariances).sample(check_count("n_samples", n_samples), random_state)
        draws = np.moveaxis(draws, 0, -1)
        return draws[:, 0] if self._learned_or_error().flat else draws

    def log_predictive(self, X: ArrayLike, y: ArrayLike, error_covariances: ArrayLike | None = None) -> Array:
        """The log-density (nats) of the targets y, (n,) or (n,t), given the features of each row of X (n,p); (n,).

        Errors of the features as of ``predict``; the targets are taken for exact.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        y : array-like of shape (n,) or (n, t)
            The targets.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> bool(model.log_predictive([[2.0]], [7.0]) > model.log_predictive([[2.0]], [8.0]))
        True
        """
        return self.predictive(X, error_covariances).score_samples(y)

    @explained
    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> float:
        """The coefficient of determination R² of the predictions; of many targets their mean.

        1 − Σ_i w_i (y_i − ŷ_i)² / Σ_i w_i (y_i − ȳ)².

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        y : array-like of shape (n,) or (n, t)
            The targets.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> round(model.score(X, y), 3)
        1.0
        """
        y = np.asarray(check_array("y", y), dtype=np.float64)
        weights = check_weights(sample_weight, len(y)) if y.ndim else None
        predicted = self._predictive(X, error_covariances, weights).mean()
        predicted = predicted[:, 0] if self._learned_or_error().flat else predicted
        if y.shape != predicted.shape:
            raise ValueError(f"y should have the shape of {predicted.shape}, but got {y.shape}")
        seen = np.asarray(harmless(y, weights, gaps=False), dtype=np.float64)
        return r_squared(seen, predicted, np.ones(len(y)) if weights is None else weights)

    def _check_features(self, X: Any, p: int, learned: Learned) -> None:
        """That rows of p columns have the features of the fit."""
        name = type(self).__name__
        warning = protocol.check_feature_names(protocol.feature_names(X), learned.names, name)
        if warning:
            errors.warn(warning, UserWarning)
        check_features(p, len(learned.features), name)

    # Telling

    def summary(
        self, X: ArrayLike | None = None, y: ArrayLike | None = None, sample_weight: ArrayLike | None = None
    ) -> Summary:
        """What was learnt, for people: the mixture of features and targets, as of ``GMM.summary``.

        ``print(model)`` prints it, and a notebook shows ``model.summary()`` as tables.

        Parameters
        ----------
        X : array-like of shape (n, p), optional
        y : array-like of shape (n,) or (n, t), optional
            With both, the R² of the predictions is told, too.
        sample_weight : array-like of shape (n,), optional
            Row weights.

        Returns
        -------
        cgmm.summary.Summary
            ``to_text()``, which ``print`` shows, ``to_dict()``, which JSON can hold, and HTML in a notebook.

        Examples
        --------
        >>> from cgmm import GMM, GMMRegressor
        >>> mixture = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> GMMRegressor.from_mixture(mixture, targets=1).summary().facts["predicts"]
        'y from feature 0'
        """
        learned = self._learned_or_error()
        names, titles = self._titles(learned)
        targets, features = (listed([titles[j] for j in some]) for some in (learned.targets, learned.features))
        state = learned.mixture._fitted()._replace(names=names)
        found = summary.of_mixture(type(self).__name__, state, always=learned.targets.tolist())
        found = found.with_facts({"predicts": f"{targets} from {features}"})
        if X is None or y is None:
            return found
        score = self.score(X, y, sample_weight)
        return found.with_facts({}, {"R²": f"{score:.6g}"}, {"r2": score})

    def to_frame(self) -> Any:
        """The parameters of the mixture of features and targets as a pandas.DataFrame: see ``GMM.to_frame``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor(2, random_state=0).fit(X, y)
        >>> len(model.to_frame())  # A row for each component
        2
        """
        names, _ = self._titles(self._learned_or_error())
        return summary.frame_of(self.mixture_._parameters, names)

    def _titles(self, learned: Learned) -> tuple[Names, list[str]]:
        """The names of the mixture's features, and what they are called in a sentence."""
        known = learned.mixture._fitted().names
        if known is not None:
            return known, list(known)
        names: dict[int, str] = {}
        for at, j in enumerate(learned.features.tolist()):
            names[j] = f"feature {at}" if learned.names is None else learned.names[at]
        for at, j in enumerate(learned.targets.tolist()):
            names[j] = "y" if learned.flat else f"y[{at}]"
        ordered = [names[j] for j in range(len(names))]
        return protocol.names_of_features(ordered), ordered

    def __str__(self) -> str:
        return str(self.summary()) if self.__sklearn_is_fitted__() else repr(self)

    def _learned_or_error(self) -> Learned:
        learned = vars(self).get("_learned")
        if isinstance(learned, Learned):
            return learned
        raise errors.not_fitted(self)

    def __sklearn_is_fitted__(self) -> bool:
        return isinstance(vars(self).get("_learned"), Learned)

    @property
    def mixture_(self) -> GMM:
        return self._learned_or_error().mixture

    @property
    def n_components_(self) -> int:
        return self._learned_or_error().mixture._parameters.k

    @property
    def n_parameters_(self) -> int:
        return self.mixture_.n_parameters_

    @property
    def n_iter_(self) -> int:
        return self._learned_or_error().mixture.n_iter_

    @property
    def n_features_in_(self) -> int:
        return len(self._learned_or_error().features)

    @property
    def feature_names_in_(self) -> Names:
        return protocol.seen_names(self._learned_or_error().names)
