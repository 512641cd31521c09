"""Gaussian mixture regression: a mixture of features and targets together, conditioned on the features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from cgmm import errors, protocol
from cgmm.bayesian import BayesianGMM
from cgmm.config import threads
from cgmm.errors import InvalidParameterError
from cgmm.folds import best_of_folds
from cgmm.gmm import GMM
from cgmm.mixture.features import columns_of, others_than
from cgmm.regressed import Learned, Regressed
from cgmm.rows.checks import check_features, check_observed, check_weights
from cgmm.rows.conditional import Conditionals
from cgmm.rows.row_errors import check_errors
from cgmm.rows.targets import joined, r_squared
from cgmm.selection import select
from cgmm.validation import check_array, check_count, check_missing, check_random_state, check_real, check_threads

if TYPE_CHECKING:
    from cgmm.mixture.prior import Prior
    from cgmm.rows.part import Part
    from cgmm.rows.targets import Joined
    from cgmm.types import (
        Array,
        ArrayLike,
        CovarianceType,
        Init,
        Missing,
        NamedPrior,
        OnDegenerate,
        Seed,
        Starts,
    )

# Arguments that a regressor hands on to its mixture as they are.
HANDED_ON = (
    "covariance_type",
    "tol",
    "reg_covar",
    "max_iter",
    "n_init",
    "init_params",
    "random_state",
    "prior",
    "on_degenerate",
    "missing",
    "n_threads",
    "accelerate",
)
OF_STREAMS = ("learning_decay", "learning_rows", "forget")


class GMMRegressor(Regressed):
    """Gaussian mixture regression: the distribution of targets given features, by a mixture of both.

    A mixture is fitted to the rows (x, y). Given x, each component predicts y by a linear regression, and they are
    weighted by their responsibilities for x (Ghahramani and Jordan 1994; Sung 2004). So the prediction is a smooth
    curve, the spread may differ from place to place, and the density of y may have several peaks.

    Parameters
    ----------
    n_components : int, "bic" or "cv", default="bic"
        Number of components k. "bic": the best by the Bayesian information criterion of (x, y), see cgmm.select. "cv":
        the best by five-fold cross-validation of the log-density of y given x, which is what a regression is for; it
        fits five times as often.
    max_components : int, default=10
        The most that "bic" and "cv" try.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        With "diag" and "spherical" each component predicts a constant.
    tol, reg_covar, max_iter, n_init, init_params, random_state, prior, on_degenerate, n_threads, accelerate
        As of GMM. The default of reg_covar is "relative", for features and targets have their own units.
    missing : {"error", "marginal"}, default="error"
        What NaN is in X, and in y of a fit: an error, or a value that was not observed. Then a fit counts what is
        observed, and a prediction is that given what is observed of the row.
    learning_decay, learning_rows, forget
        Of ``partial_fit``, as of GMM.

    Attributes
    ----------
    mixture_ : GMM
        Of features and targets together, in this order.
    n_components_ : int
        Its number of components.
    n_iter_ : int
        EM iterations of its fit.
    n_features_in_ : int
    feature_names_in_ : ndarray of str
        Only there after a fit on a data frame.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMMRegressor
    >>> x = np.linspace(-3, 3, 400)[:, None]
    >>> y = np.abs(x[:, 0]) + 0.1 * np.random.default_rng(0).normal(size=400)
    >>> model = GMMRegressor(random_state=0).fit(x, y)
    >>> model.predict([[-2.0], [2.0]]).round(1).tolist()
    [2.0, 2.0]
    >>> bool(model.score(x, y) > 0.98)
    True
    """

    def __init__(
        self,
        n_components: int | Literal["bic", "cv"] = "bic",
        *,
        max_components: int = 10,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-4,
        reg_covar: float | Literal["relative"] = "relative",
        max_iter: int = 1000,
        n_init: Starts = 3,
        init_params: Init = "kmeans",
        random_state: Seed = None,
        prior: Prior | NamedPrior | None = None,
        on_degenerate: OnDegenerate = "warn",
        missing: Missing = "error",
        n_threads: int | None = None,
        accelerate: bool = False,
        learning_decay: float = 0.7,
        learning_rows: float | None = None,
        forget: float | None = None,
    ) -> None:
        self.n_components = n_components
        self.max_components = max_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.random_state = random_state
        self.prior = prior
        self.on_degenerate = on_degenerate
        self.missing = missing
        self.n_threads = n_threads
        self.accelerate = accelerate
        self.learning_decay = learning_decay
        self.learning_rows = learning_rows
        self.forget = forget

    @classmethod
    def from_mixture(cls, mixture: GMM, targets: Any) -> Self:
        """A regressor of a mixture that is there: of given parameters, or fitted to rows that are not in memory.

        Parameters
        ----------
        mixture : GMM
            Fitted, of features and targets together; it is not copied.
        targets : int, str, or sequence of them
            Which of its features are targets, by index or name. The others are the regressor's features, in their
            order. One that is not in a sequence makes predictions of one dimension.

        Returns
        -------
        GMMRegressor

        Examples
        --------
        >>> from cgmm import GMM, GMMRegressor
        >>> mixture = GMM.from_parameters([1.0], [[1.0, 2.0]], [[[4.0, 1.0], [1.0, 9.0]]])
        >>> GMMRegressor.from_mixture(mixture, targets=1).predict([[3.0]]).tolist()
        [2.5]
        """
        if not isinstance(mixture, GMM):
            remedy = ": its prune(point=True) is one" if isinstance(mixture, BayesianGMM) else ""
            raise TypeError(f"mixture must be a GMM, not {type(mixture).__name__}{remedy}")
        names, d = mixture._fitted().names, mixture._mixture.d
        columns = columns_of(targets, names, d)
        if not len(columns):
            raise ValueError("targets must name at least one feature of the mixture")
        features = others_than(columns, d)
        handed_on = {name: getattr(mixture, name) for name in (*HANDED_ON, *OF_STREAMS)}
        model = cls(mixture.n_components, **handed_on)
        flat = isinstance(targets, str) or np.ndim(targets) == 0
        model._learned = Learned(mixture, features, columns, None if names is None else names[features], flat)
        return model

    # Learning

    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> Self:
        """Fit a mixture to features and targets together, of which it makes one copy.

        Parameters
        ----------
        X : array-like of shape (n, p)
            Features, in memory; for others see ``from_mixture``.
        y : array-like of shape (n,) or (n, t)
            One target, or many.
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice.
        error_covariances : array-like, optional
            Of the errors with which features were measured, as of ``GMM.fit``: covariance matrices (n, p, p) or
            variances (n, p), one for each row, or (p, p) or (p,) for all; with p + t in the place of p, of features and
            targets. The regression is then that on the true values of the features, not the flatter one on what was
            measured. Predictions take the errors of their own rows.

        Returns
        -------
        GMMRegressor
            self, changed only when the fit succeeded.

        Raises
        ------
        ValueError, TypeError
            X, y, sample_weight, error_covariances or an argument cannot be used; the message says which and why.

        Warns
        -----
        ConvergenceWarning, DegenerateWarning
            As of GMM.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor().fit(X, y)
        >>> model.predict([[2.0]]).round(2).tolist()
        [7.0]
        """
        given = self._joined(X, y, error_covariances)
        weights = check_weights(sample_weight, len(given.part.rows))
        mixture = self._fitted_mixture(given.part._replace(weights=weights), given.p)
        self._learned = _learned(mixture, given)
        return self

    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> Self:
        """Learn from a batch of rows by one step of stepwise EM, see ``GMM.partial_fit``.

        With n_components "bic" or "cv" the first batch is fitted by ``fit``, which chooses it.

        Parameters
        ----------
        X, y, sample_weight, error_covariances
            As of ``fit``; batches without errors may come before or after.

        Returns
        -------
        GMMRegressor

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor()
        >>> for _ in range(3):
        ...     model = model.partial_fit(X, y)
        >>> model.predict([[2.0]]).round(1).tolist()
        [7.0]
        """
        given = self._joined(X, y, error_covariances)
        last = vars(self).get("_learned")
        if last is None and isinstance(self.n_components, str):
            return self.fit(X, y, sample_weight, error_covariances)
        if last is None:
            last = _learned(self._mixture(check_count("n_components", self.n_components)), given)
        else:
            self._check_features(X, given.p, last)
        if given.d != len(last.features) + len(last.targets):
            raise ValueError(f"y has {given.d - given.p} targets, and the fit has {len(last.targets)}")
        part = given.ordered(np.append(last.features, last.targets))
        last.mixture.partial_fit(part.rows, sample_weight=sample_weight, error_covariances=part.errors)
        self._learned = last
        return self

    def _joined(self, X: Any, y: Any, errors: Any) -> Joined:
        gaps, n_threads = check_missing(self.missing), threads(check_threads(self.n_threads))
        if y is None:
            raise ValueError("This GMMRegressor estimator requires y to be passed, but the target y is None.")
        return joined(X, y, errors, gaps, n_threads)

    def _mixture(self, k: int, **changed: Any) -> GMM:
        return GMM(k, **{name: getattr(self, name) for name in (*HANDED_ON, *OF_STREAMS)} | changed)

    def _fitted_mixture(self, part: Part, p: int) -> GMM:
        """The mixture of rows (n,p+t), of the number of components that is asked for or that is best."""
        k = self.n_components
        if k == "bic":
            return self._by_bic(part)
        if k == "cv":
            rng, repairing = check_random_state(self.random_state), {"on_degenerate": "repair"}
            k = best_of_folds(part, p, self._most(part), lambda k: self._mixture(k, **repairing), rng)
        elif isinstance(k, str):
            raise InvalidParameterError(f"n_components must be an integer, 'bic' or 'cv', not {k!r}")
        model = self._mixture(check_count("n_components", k))
        return model.fit(part.rows, sample_weight=part.weights, error_covariances=part.errors)

    def _by_bic(self, part: Part) -> GMM:
        handed_on = {name: getattr(self, name) for name in HANDED_ON}
        del handed_on["covariance_type"], handed_on["on_degenerate"]
        best = select(
            part.rows,
            range(1, self._most(part) + 1),
            self.covariance_type,
            sample_weight=part.weights,
            error_covariances=part.errors,
            **handed_on,
        ).best
        return self._mixture(best.n_components)._with(best._fitted())

    def _most(self, part: Part) -> int:
        """How many components are tried: no more than there are rows of positive weight."""
        return min(check_count("max_components", self.max_components), len(part.positive().rows))

    # Predicting

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
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor().fit(X, y)
        >>> mean, std = model.predict([[2.0], [4.0]], return_std=True)
        >>> mean.round(2).tolist()
        [7.0, 13.0]
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

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor().fit(X, y)
        >>> model.predictive([[2.0]]).mean().round(1).tolist()
        [[7.0]]
        """
        learned, n_threads = self._learned_or_error(), check_threads(self.n_threads)
        parameters = learned.mixture._mixture
        rows, _ = check_observed(X, None, threads(n_threads), check_missing(self.missing))
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
            errors=check_errors(error_covariances, rows, gaps=True),
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
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor().fit(X, y)
        >>> model.predict_quantiles([[2.0], [4.0]], (0.1, 0.5, 0.9)).shape
        (2, 3)
        """
        learned, given = self._learned_or_error(), self.predictive(X, error_covariances)
        each = [given.of(np.array([target], dtype=np.intp)).quantile(q) for target in learned.targets]
        return each[0] if learned.flat else np.stack(each, axis=1)

    def predict_interval(self, X: ArrayLike, p: float = 0.9, error_covariances: ArrayLike | None = None) -> Array:
        """The interval of each target that holds p of its mass and leaves as much below as above it.

        (n,2), or (n,t,2) of a y that was (n,t). Errors of the features as of ``predict``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
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

        Returns
        -------
        ndarray (n, n_samples), or (n, t, n_samples) of a y that was (n, t)
            As scikit-learn's GaussianProcessRegressor.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
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

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor().fit(X, y)
        >>> bool(model.log_predictive([[2.0]], [7.0]) > model.log_predictive([[2.0]], [8.0]))
        True
        """
        return self.predictive(X, error_covariances).score_samples(y)

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> float:
        """The coefficient of determination R² of the predictions; of many targets their mean.

        1 − Σ_i w_i (y_i − ŷ_i)² / Σ_i w_i (y_i − ȳ)².

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMMRegressor
        >>> X = np.linspace(0, 10, 101)[:, None]
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.cos(40 * X[:, 0])
        >>> model = GMMRegressor().fit(X, y)
        >>> round(model.score(X, y), 3)
        1.0
        """
        predicted = self.predict(X, error_covariances=error_covariances)
        y = np.asarray(check_array("y", y), dtype=np.float64)
        if y.shape != predicted.shape:
            raise ValueError(f"y should have the shape of {predicted.shape}, but got {y.shape}")
        weights = check_weights(sample_weight, len(y))
        return r_squared(y, predicted, np.ones(len(y)) if weights is None else weights)

    def _check_features(self, X: Any, p: int, learned: Learned) -> None:
        """That rows of p columns have the features of the fit."""
        name = type(self).__name__
        warning = protocol.check_feature_names(protocol.feature_names(X), learned.names, name)
        if warning:
            errors.warn(warning, UserWarning)
        check_features(p, len(learned.features), name)

    def __sklearn_tags__(self) -> Any:
        from sklearn.base import BaseEstimator, RegressorMixin

        class Regressor(RegressorMixin, BaseEstimator):
            pass

        tags = Regressor().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.input_tags.allow_nan = self.missing == "marginal"
        return tags


def _learned(mixture: GMM, given: Joined) -> Learned:
    return Learned(mixture, np.arange(given.p), np.arange(given.p, given.d), given.names, given.flat)
