"""Gaussian mixture regression: a mixture of features and targets together, conditioned on the features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from cgmm.bayesian import BayesianGMM
from cgmm.config import threads
from cgmm.errors import InvalidParameterError
from cgmm.folds import best_of_folds
from cgmm.gmm import GMM
from cgmm.mixture.features import columns_of, others_than
from cgmm.persistence import REGRESSOR, Regression
from cgmm.regressed import Learned, Regressed
from cgmm.rows.targets import joined
from cgmm.selection import select
from cgmm.stored import Stored
from cgmm.suggestions import explained
from cgmm.validation import check_count, check_missing, check_random_state, check_threads

if TYPE_CHECKING:
    from cgmm.mixture.prior import Prior
    from cgmm.persistence import Loaded, Packed
    from cgmm.rows.part import Part
    from cgmm.rows.targets import Joined
    from cgmm.types import (
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


class GMMRegressor(Stored, Regressed):
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
        What NaN is in X, and in y of a fit: an error, or a value that was not observed. Fits and predictions then use
        the observed values of each row. It may be set after the fit, if only rows to be predicted have gaps.
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

    _kind = REGRESSOR

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

    @explained
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
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor().fit(X, y)
        >>> model.predict([[2.0]]).round(2).tolist()
        [7.0]
        """
        given = self._joined(X, y, sample_weight, error_covariances)
        mixture = self._fitted_mixture(given.part, given.p)
        self._learned = _learned(mixture, given)
        return self

    @explained
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
        >>> y = 3 * X[:, 0] + 1 + 0.1 * np.random.default_rng(0).normal(size=101)
        >>> model = GMMRegressor()
        >>> for _ in range(3):
        ...     model = model.partial_fit(X, y)
        >>> model.predict([[2.0]]).round(1).tolist()
        [7.0]
        """
        given = self._joined(X, y, sample_weight, error_covariances)
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
        last.mixture.partial_fit(part.rows, sample_weight=part.weights, error_covariances=part.errors)
        self._learned = last
        return self

    def _joined(self, X: Any, y: Any, sample_weight: Any, errors: Any) -> Joined:
        gaps, n_threads = check_missing(self.missing), threads(check_threads(self.n_threads))
        if y is None:
            raise ValueError("This GMMRegressor estimator requires y to be passed, but the target y is None.")
        return joined(X, y, sample_weight, errors, gaps, n_threads)

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

    # Files

    def _packed(self) -> Packed:
        mixture, features, targets, names, flat = self._learned_or_error()
        return Regression(features, targets, names, flat, self.get_params(deep=False)).beside(mixture._packed())

    @classmethod
    def _of_loaded(cls, loaded: Loaded) -> Self:
        told, known = loaded.regression, cls._defaults()
        assert told is not None  # the file is a regressor's
        model = cls(**{name: value for name, value in told.settings.items() if name in known})
        model._learned = Learned(GMM._of_loaded(loaded), told.features, told.targets, told.names, told.flat)
        return model

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
