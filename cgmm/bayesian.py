"""The estimator of a posterior: arguments, and what it says of what it has learnt."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from cgmm import errors
from cgmm.distribution import Distribution
from cgmm.em.stage import Fit
from cgmm.fit.request import bayesian_request_of
from cgmm.fit.state import State
from cgmm.gmm import GMM
from cgmm.holding import part, reads
from cgmm.learner import Learner
from cgmm.mixture.posterior import Posterior
from cgmm.suggestions import explained
from cgmm.validation import check_flag, check_real

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cgmm.em.stage import Callback
    from cgmm.em.stepwise import Memory
    from cgmm.fit.request import Request
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import (
        Array,
        ArrayLike,
        Concentration,
        CovarianceType,
        Init,
        Missing,
        Names,
        OnDegenerate,
        Seed,
        Starts,
    )

ASSIGNED = (
    "its weights_, means_ or covariances_ were assigned, which makes it the mixture of these: nothing is believed of "
    "it until the next fit"
)
# What GMM has and a posterior has not, and what to do instead.
ABSENT = {
    "partial_fit": "a step of stepwise EM is one of a point, not of a posterior. Use fit, which takes rows that memory "
    "cannot hold as a list of arrays, as cgmm.table(file) or as a Dask collection; or GMM.partial_fit",
    **dict.fromkeys(("bic", "aic", "icl"), "lower_bound_ compares its fits, whatever their size, family and prior"),
    "to_sklearn": "use prune(point=True).to_sklearn()",
}
LIVES = 1.0  # A component lives if the rows that belong to it weigh at least as much as one row.


class BayesianGMM(Distribution[GMM], Learner):
    """Gaussian mixture model whose posterior distribution is learnt, by variational Bayes.

    A prior on weights, means and covariances becomes a posterior by coordinate ascent on the evidence lower bound
    (Bishop, Pattern Recognition and Machine Learning, 2006, section 10.2; weights of a Dirichlet process: Blei and
    Jordan, 2006). Components that the rows do not need lose their weight, so n_components is an upper limit. Arguments
    mean what they mean in scikit-learn's BayesianGaussianMixture; docs/bayesian.md has the formulas, and where
    scikit-learn's are others.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k, at most.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Each component its own matrix; one matrix for all; variances for each component and feature; one
        variance for each component. The prior of the precision, the inverse, is a Wishart distribution (full), one for
        all components (tied), a gamma distribution of each (diag, spherical).
    tol : float, default=1e-3
        Converged when the lower bound, which is of all rows, changes by less in an iteration; or when the last
        sixth of the iterations has gained no more than rounding gives. With 0 a fit makes all max_iter iterations. As
        in scikit-learn it is not divided by the number of rows: for many, choose a larger one.
    reg_covar : float or "relative", default=1e-6
        A variance, in squared units of X, that each row is believed to have about itself in each feature.
        "relative": 1e-6 times the smallest variance of a column. With 0 the lower bound never falls.
    max_iter : int, default=100
        Iterations at most; ConvergenceWarning when they end the fit. 0 leaves the start as it is.
    n_init : int or "auto", default=1
        Starts; the fit of the highest lower bound is kept. "auto": as many as find better optima (docs/starts.md).
    init_params : {"kmeans", "k-means++", "random", "random_from_data"} or callable, default="kmeans"
        The start, as of ``GMM``.
    weight_concentration_prior_type : {"dirichlet_process", "dirichlet_distribution"}, default="dirichlet_process"
        What is believed of the weights: sticks that are broken (Blei and Jordan 2006), or a Dirichlet distribution.
    weight_concentration_prior : float, optional
        γ of the process, α of the distribution, positive: the smaller it is, the fewer components live. Default:
        1 / n_components.
    mean_precision_prior : float, optional
        b₀ > 0, rows that the prior of a mean counts for. Default: 1.
    mean_prior : array-like (d,), optional
        m₀. Default: the mean of the rows.
    degrees_of_freedom_prior : float, optional
        ν₀ > d − 1. Default: d.
    covariance_prior : float or array-like, optional
        ν₀ times the covariance that is expected: (d, d) for full and tied, (d,) for diag, a number for spherical.
        Default: the covariance of the rows (n − 1 in the denominator; its diagonal where it is singular), its
        diagonal, or the mean of that.
    random_state : None, int, RandomState or Generator
        The same int gives the same bits, for any number of threads. None draws from NumPy's global state.
    warm_start : bool, default=False
        Continue from the last fit's posterior.
    verbose : int, default=0
        1: a bar if tqdm is installed. 2 or more, or without it: a line at each start, each `verbose_interval`
        iterations, and at the end.
    verbose_interval : int, default=10
    responsibilities_init : array-like, optional
        Labels (n,) or responsibilities (n, k) of the rows to be fitted, for the first start.
    on_degenerate : {"warn", "repair", "raise"}, default="warn"
        A covariance that is singular, which a prior as small as rounding allows, is held from below with a
        DegenerateWarning, or silently; or DegenerateError is raised and the estimator left as it was. A component
        without rows is nothing degenerate.
    missing : {"error", "marginal"}, default="error"
        What NaN is in rows: an error, or a value that was not observed, and of which a posterior is learnt, too.
    n_threads : int, optional
        As of ``GMM``. Results do not depend on it.
    callback : callable, optional
        Called after each iteration with a cgmm.em.IterationState, whose log_likelihood is the lower bound here; the
        fit stops when it returns True.
    checkpoint : str or path, optional
    checkpoint_interval : int, default=10
        As of ``GMM``.

    Attributes
    ----------
    weights_ : ndarray (k,)
        Expected weights, divided by their sum.
    means_ : ndarray (k, d)
        m, the expected means.
    covariances_, precisions_, precisions_cholesky_ : ndarray
        Of the expected precisions, in the shapes of ``GMM``.
    weight_concentration_ : ndarray (k,) or tuple of two
        α of a Dirichlet distribution; of a process both parameters of the Beta distributions of the sticks.
    mean_precision_ : ndarray (k,)
        b: a mean has the precision b_c Λ_c.
    degrees_of_freedom_ : ndarray (k,) or float
        ν: of each component, or where all share a precision its mean.
    weight_concentration_prior_, mean_precision_prior_, mean_prior_, degrees_of_freedom_prior_, covariance_prior_
        The prior, with what followed from the rows.
    converged_ : bool
    n_iter_ : int
    lower_bound_ : float
        The evidence lower bound of all rows in nats, constants included, after the last iteration: fits of the same
        rows with other numbers of components, covariance types and priors can be compared.
    lower_bounds_ : ndarray (iterations,)
        That of each iteration.
    n_effective_ : int
        How many components live: their rows weigh at least as much as one row.
    n_features_in_ : int
    feature_names_in_ : ndarray (d,) of str objects
    diagnostics_ : cgmm.diagnostics.Diagnostics

    Notes
    -----
    Fitted arrays are float64 and read-only. ``weights_``, ``means_`` and one of ``covariances_``, ``precisions_`` and
    ``precisions_cholesky_`` can be assigned, as in ``GMM``: the model is then the mixture of these, of which nothing is
    believed until the next fit. As a distribution (``sample``, ``marginal``, ``condition``, ``level`` and
    all verbs of docs/distribution.md) it is the mixture of ``weights_``, ``means_`` and ``covariances_``, and what is
    made of it is a GMM.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import BayesianGMM
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(0, 1, (200, 2)), rng.normal(8, 1, (200, 2))])
    >>> model = BayesianGMM(n_components=6, weight_concentration_prior=1e-3, random_state=0, max_iter=500).fit(X)
    >>> model.n_effective_
    2
    >>> sorted(model.prune().means_[:, 0].round().tolist())
    [-0.0, 8.0]
    """

    _kind = "BayesianGMM"
    _absent: ClassVar[Mapping[str, str]] = {**Distribution._absent, **ABSENT}

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float = 1e-3,
        reg_covar: float | Literal["relative"] = 1e-6,
        max_iter: int = 100,
        n_init: Starts = 1,
        init_params: Init = "kmeans",
        weight_concentration_prior_type: Concentration = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        responsibilities_init: ArrayLike | None = None,
        on_degenerate: OnDegenerate = "warn",
        missing: Missing = "error",
        n_threads: int | None = None,
        callback: Callback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.responsibilities_init = responsibilities_init
        self.on_degenerate = on_degenerate
        self.missing = missing
        self.n_threads = n_threads
        self.callback = callback
        self.checkpoint = checkpoint
        self.checkpoint_interval = checkpoint_interval

    weights_: Array = part("weights")
    means_: Array = part("means")
    covariances_: Array = part("covariances")
    precisions_: Array = part("precisions")
    precisions_cholesky_: Array = part("precisions_cholesky")
    weight_concentration_: Array | tuple[Array, Array] = reads(lambda self: _apart(self._posterior.concentration))
    mean_precision_: Array = reads(lambda self: self._posterior.mean_precision)
    degrees_of_freedom_: Array | float = reads(lambda self: _plain(self._posterior.degrees))
    weight_concentration_prior_: float = reads(lambda self: self._posterior.belief.weights.prior)
    mean_precision_prior_: float = reads(lambda self: self._posterior.belief.mean_precision)
    mean_prior_: Array = reads(lambda self: self._posterior.belief.mean)
    degrees_of_freedom_prior_: float = reads(lambda self: self._posterior.belief.degrees)
    covariance_prior_: Array | float = reads(lambda self: _plain(self._posterior.belief.covariance))
    n_effective_: int = reads(lambda self: int(np.count_nonzero(self._posterior.masses >= LIVES)))

    @property
    def _posterior(self) -> Posterior:
        """What is believed; NotFittedError if parts have been assigned since."""
        found = self._parameters
        if not isinstance(found, Posterior):
            raise errors.not_fitted(self, ASSIGNED)
        return found

    @explained
    def score_samples(self, X: ArrayLike, error_covariances: ArrayLike | None = None) -> Array:
        """What is expected of the logarithms of each row's densities, ln Σ_c exp E ln π_c N(x | μ_c, Λ_c⁻¹), for rows X
        (n,d); (n,). With errors of measurement the true values are integrated out (docs/mathematics.md).

        That is scikit-learn's, and no logarithm of a density, whose integral would be one: see ``log_predictive``.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import BayesianGMM
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> model = BayesianGMM(2, random_state=0).fit(X)
        >>> model.score_samples([[0.0], [5.0]]).round(1).tolist()
        [-1.8, -10.2]
        """
        return super().score_samples(X, error_covariances)

    def score(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> float:
        """The mean of ``score_samples`` of rows X (n,d); with weights (n,), their mean.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        y : ignored
            For scikit-learn's convention.
        sample_weight : array-like of shape (n,), optional
            Row weights.
        error_covariances : array-like, optional
            Covariances of the measurement errors of the rows, as in ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import BayesianGMM
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> model = BayesianGMM(2, random_state=0).fit(X)
        >>> bool(np.isclose(model.score(X), model.score_samples(X).mean()))
        True
        """
        return super().score(X, y, sample_weight, error_covariances)

    def log_predictive(self, X: ArrayLike) -> Array:
        """The logarithm of the posterior predictive density of each row of X (n,d), in nats; (n,).

        What is expected of the density of a row that is still to come, with expected weights: a mixture of Student's t
        distributions (Bishop 2006, 10.81; docs/bayesian.md), whose integral is one. It tells how surprising a row is,
        and compares with ``GMM.score_samples``. With missing="marginal", of what is observed of a row.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them; true values, without errors of measurement.

        Raises
        ------
        ValueError
            X cannot be used, or its blocks bring errors of measurement, with which the density has no closed form.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import BayesianGMM
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> model = BayesianGMM(2, random_state=0).fit(X)
        >>> model.log_predictive([[0.0], [5.0]]).round(1).tolist()
        [-1.8, -8.9]
        """
        assert self._posterior
        return self._evaluations(X).log_predictive()

    def _told(self) -> dict[str, Any]:
        """What a posterior has besides its mixture; nothing if its parts were assigned."""
        if not isinstance(self._parameters, Posterior):
            return {}
        names = ("n_effective", "weight_concentration", "mean_precision", "degrees_of_freedom")
        return {name: np.asarray(getattr(self, f"{name}_")).tolist() for name in names}

    def _made(self, parameters: Parameters, names: Names | None = None) -> GMM:
        model = GMM(
            parameters.k,
            covariance_type=parameters.family.name,
            random_state=self.random_state,
            missing=self.missing,
            n_threads=self.n_threads,
        )
        return model._with(State.given(parameters, names))

    def _estimate_log_weights(self) -> Array:
        """E ln π_c (k,), under the name that scikit-learn's users know."""
        posterior = self._parameters
        if not isinstance(posterior, Posterior):
            return super()._estimate_log_weights()
        return posterior.belief.weights.expected_logs(posterior.concentration)

    def _estimate_log_prob(self, X: ArrayLike) -> Array:
        """E ln N(x_i | μ_c, Λ_c⁻¹) (n,k), under that name."""
        if not isinstance(self._parameters, Posterior):
            return super()._estimate_log_prob(X)
        return self._estimate_weighted_log_prob(X) - self._estimate_log_weights()

    def prune(self, least: float = LIVES, *, point: bool = False) -> BayesianGMM | GMM:
        """The model without the components that have died.

        Parameters
        ----------
        least : float, default=1
            A component lives if the rows that belong to it weigh at least so much.
        point : bool, default=False
            True: a GMM of the weights, means and covariances, in place of what is believed of them.

        Returns
        -------
        BayesianGMM or GMM
            Another model, in the order of this one; n_components is how many live. Its posterior is that of the rows
            which belong to them; the others' are forgotten.

        Raises
        ------
        ValueError
            No component lives.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import BayesianGMM
        >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
        >>> model = BayesianGMM(6, random_state=0, max_iter=1000).fit(X)
        >>> model.n_effective_, model.prune().n_components
        (2, 2)
        """
        state, posterior = self._fitted(), self._posterior
        living = np.flatnonzero(posterior.masses >= check_real("least", least))
        if not len(living):
            raise ValueError(f"no component has rows that weigh {least:g} or more: choose a smaller `least`")
        found = posterior.take(living)
        titles = state.component_names
        titles = None if titles is None else tuple(titles[c] for c in living)
        if check_flag("point", point):
            mixture = GMM(
                len(living), covariance_type=found.family.name, missing=self.missing, n_threads=self.n_threads
            )
            return mixture._with(State.given(found.point, state.names)._replace(component_names=titles))
        settings: dict[str, Any] = self.get_params(deep=False) | {"n_components": len(living)}
        fit = Fit(found, state.fit.lower_bounds, state.fit.converged)
        pruned = State(fit, state.names, settings=state.settings, component_names=titles)
        return type(self)(**settings)._with(pruned)

    def _asks(self) -> Request:
        return bayesian_request_of(self)

    def _remembered(self, state: State) -> Memory | None:
        return None


def _apart(concentration: Array) -> Array | tuple[Array, Array]:
    """As scikit-learn has it: of sticks, two arrays."""
    return concentration if concentration.ndim == 1 else (concentration[0], concentration[1])


def _plain(value: Any) -> Any:
    """A number where it has no axis."""
    return float(value) if np.ndim(value) == 0 else value
