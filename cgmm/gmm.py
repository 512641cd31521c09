"""The estimator: arguments, and how it learns; nothing numeric in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Literal, Self

import numpy as np

from cgmm import persistence
from cgmm.em.stage import Fit
from cgmm.fit import fitting, partial, report
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.fitted import Fitted
from cgmm.mixture.checks import check_matrices, check_mixture_weights
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.prior import Prior
from cgmm.validation import check_array, check_choice, check_start_array

if TYPE_CHECKING:
    from cgmm.em.stage import Callback
    from cgmm.types import (
        ArrayLike,
        CovarianceType,
        FixedParameters,
        Init,
        Labels,
        Missing,
        NoiseComponent,
        OnDegenerate,
        Seed,
        Starts,
        Stop,
    )


class GMM(Fitted):
    """Gaussian mixture model, fitted by expectation–maximisation.

    The density of a row x is Σ_c π_c N(x | μ_c, Σ_c); EM follows Bishop, Pattern Recognition and Machine
    Learning (2006), section 9.2. Arguments mean what they mean in scikit-learn's GaussianMixture.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
        Each component its own matrix; one matrix for all; variances for each component and feature; one
        variance for each component.
    tol : float, default=1e-3
        Converged when the mean log-likelihood of a row (nats) changes by less in an iteration, or when the last sixth
        of the iterations has gained no more than rounding gives. With 0 a fit makes all max_iter iterations.
        A small change is no bound of the distance to the maximum: see `stop`.
    reg_covar : float or "relative", default=1e-6
        Added to the diagonal of every covariance, in squared units of X. The default is scikit-learn's, and too large
        for columns whose standard deviation is less than 0.01: a warning says so. "relative": 1e-6 times the smallest
        variance of a column, whatever its units.
    max_iter : int, default=100
        EM iterations at most; ConvergenceWarning when they end the fit. 0 leaves the start as it is.
    n_init : int or "auto", default=1
        Starts; the fit of the highest log-likelihood is kept, one without a DegenerateWarning before one with it. More
        starts never end lower than fewer. "auto": as many as find better optima, at most 300 (docs/starts.md).
        The first is that of `init_params`. Each further one is the best of a few that are run short: with the default
        of several kinds (k-means, k-means of whitened rows, k-means++ seeds, random rows), with another of that; or
        made of the good fits before it.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"} or callable, default="kmeans"
        The start: clusters of k-means, clusters about k-means++ seeds or about random rows, or random
        responsibilities; from a sample of the rows when there are many. Or a function
        ``(X, n_components, random_state)`` that returns means (k, d), labels (n,) or responsibilities (n, k);
        its random_state is a RandomState.
    weights_init : array-like (k,), optional
    means_init : array-like (k, d), optional
    precisions_init : array-like, optional
        Parameters to start from, in place of those of the start. The shape of precisions_init is that of
        ``precisions_``. Components that are NaN in them are left to the start.
    responsibilities_init : array-like, optional
        Labels (n,) or responsibilities (n, k) of the rows to be fitted, for the first start.
    random_state : None, int, RandomState or Generator
        The same int gives the same bits, for any number of threads. None draws from NumPy's global state.
    warm_start : bool, default=False
        Continue from the last fit's parameters.
    verbose : int, default=0
        1: a bar if tqdm is installed. 2 or more, or without it: a line at each start, each `verbose_interval`
        iterations, and at the end.
    verbose_interval : int, default=10
    fixed : collection of {"weights", "means", "covariances"}, or a mapping of these to masks (k,), default=()
        Those, or those of the components that a mask marks, stay at their ``*_init`` (with warm_start, at the last
        fit's) while the rest learns.
    prior : None, "default" or Prior, default=None
        A conjugate prior on the parameters, whose maximum a posteriori is then found: see cgmm.Prior.
    on_degenerate : {"warn", "repair", "raise"}, default="warn"
        A component that cannot be estimated is repaired (docs/degenerate.md) with a DegenerateWarning, or silently; or
        DegenerateError is raised and the estimator left as it was.
    missing : {"error", "marginal"}, default="error"
        What NaN is in rows: an error, or a value that was not observed. Then a row counts with the density of what is
        observed of it, in fits (docs/missing.md) and in all that is asked of a model.
    n_threads : int, optional
        Default: all that the process may use (affinity, quotas and OMP_NUM_THREADS respected); of each task on a chunk
        of a Dask collection: one. Results do not depend on it.
    callback : callable, optional
        Called after each iteration with a cgmm.em.IterationState; the fit stops when it returns True.
    checkpoint : str or path, optional
        A file in which a fit keeps, each `checkpoint_interval` iterations, what it has done. After it was killed, the
        same fit goes on from there and ends with the same bits; at its end it removes the file. That of another fit is
        refused; functions are told apart by their names.
    checkpoint_interval : int, default=10
    learning_decay : float in [0.5, 1], default=0.7
        How fast ``partial_fit`` forgets; 1 keeps all rows alike. When rows of weight u have come, m(u) of them are
        remembered, u if u ≤ B, else B (u / B)^learning_decay; a batch of weight w then has the share
        1 − exp(−∫ dv / m(v)), v from u to u + w. For batches of B rows that is the step size t^−learning_decay of
        stepwise EM (Cappé and Moulines 2009; Liang and Klein 2009). How rows are cut into batches does not matter.
    learning_rows : float, optional
        B, the rows that ``partial_fit`` gathers to start from (if m(u) allows it), and that given parameters count for.
        Default: 1000, or ten times the number of free parameters over d, if that is more.
    forget : float, optional
        For streams that drift, a half-life in rows: m(u) is at most forget / log 2.
    stop : {"change", "distance"}, default="change"
        What tol bounds: the change of the mean log-likelihood in an iteration; or also an estimate of what is left to
        gain, which is many times the change where EM converges slowly. See docs/acceleration.md.
    accelerate : bool, default=False
        Jump ahead along EM's steps wherever the log-likelihood does not fall there. Components that overlap then need
        a fraction of the iterations, most often for the same optimum; the iterates are not those of scikit-learn.
    noise_component : None, "uniform" or float, default=None
        A further component, of constant density, for rows that belong to none of the others (docs/noise-and-labels.md):
        its density is 1/V, V the volume of the smaller of the boxes along the features and along the principal axes
        that hold all rows, or is given. Its weight is estimated.

    Attributes
    ----------
    weights_ : ndarray (k,)
        With a noise component they sum to 1 − noise_weight_.
    noise_weight_ : float
        The weight of the noise component, zero without one.
    means_ : ndarray (k, d)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        (k, d, d) full, (d, d) tied, (k, d) diag, (k,) spherical. A matrix's ``precisions_cholesky_`` is the upper
        triangular U with U Uᵀ its precision; otherwise it is 1/σ.
    converged_ : bool
        False after ``partial_fit``: a stream has no end.
    n_iter_ : int
        Iterations of the kept fit, and batches since.
    lower_bound_ : float
        Mean log-likelihood of a row (nats) in the last E-step; with a prior, and the logarithm of its density but for
        a constant.
    lower_bounds_ : ndarray
        That of every E-step, ``n_iter_`` of them; of ``partial_fit`` that of each batch, the last 1000 at most.
    n_features_in_ : int
        d.
    feature_names_in_ : ndarray (d,) of str objects
        Of the columns of a data frame; only there if all are strings.
    diagnostics_ : cgmm.diagnostics.Diagnostics
        Effective counts, condition numbers, repairs, restarts.

    Notes
    -----
    Fitted arrays are float64 and read-only.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMM
    >>> X = np.array([[1.0, 2], [1, 4], [1, 0], [10, 2], [10, 4], [10, 0]])
    >>> model = GMM(n_components=2, random_state=0).fit(X)
    >>> sorted(model.means_[:, 0].round(6).tolist())
    [1.0, 10.0]
    """

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
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: Seed = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
        responsibilities_init: ArrayLike | None = None,
        fixed: FixedParameters = (),
        prior: Prior | Literal["default"] | None = None,
        on_degenerate: OnDegenerate = "warn",
        missing: Missing = "error",
        n_threads: int | None = None,
        callback: Callback | None = None,
        checkpoint: str | os.PathLike[str] | None = None,
        checkpoint_interval: int = 10,
        learning_decay: float = 0.7,
        learning_rows: float | None = None,
        forget: float | None = None,
        stop: Stop = "change",
        accelerate: bool = False,
        noise_component: NoiseComponent = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval
        self.responsibilities_init = responsibilities_init
        self.fixed = fixed
        self.prior = prior
        self.on_degenerate = on_degenerate
        self.missing = missing
        self.n_threads = n_threads
        self.callback = callback
        self.checkpoint = checkpoint
        self.checkpoint_interval = checkpoint_interval
        self.learning_decay = learning_decay
        self.learning_rows = learning_rows
        self.forget = forget
        self.stop = stop
        self.accelerate = accelerate
        self.noise_component = noise_component

    @classmethod
    def from_parameters(
        cls, weights: ArrayLike, means: ArrayLike, covariances: ArrayLike, covariance_type: CovarianceType = "full"
    ) -> Self:
        """A mixture of given parameters, ready to use as if fitted.

        Parameters
        ----------
        weights : array-like (k,)
            Non-negative, summing to one.
        means : array-like (k, d)
        covariances : array-like
            Of the shape of ``covariances_``; positive definite.
        covariance_type : {"full", "tied", "diag", "spherical"}, default="full"

        Returns
        -------
        GMM

        Raises
        ------
        ValueError, TypeError
            The parameters are not those of a mixture.
        """
        family = check_choice("covariance_type", covariance_type, FAMILIES)
        shape = check_array("means", means).shape
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"means must have shape (components, features), not {shape}")
        parameters = Parameters.given(
            family,
            check_mixture_weights("weights", weights, shape[0]),
            check_start_array("means", means, shape),
            check_matrices("covariances", covariances, family, *shape),
        )
        model = cls(shape[0], covariance_type=covariance_type)
        return model._with(State(Fit(parameters, np.empty(0), converged=True)))

    def fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> Self:
        """Estimate the parameters.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows. A float32 or float64 array is not copied, whatever its strides; others become float64. Or rows that
            are not in memory, docs/large-data.md; among them Dask arrays and data frames, docs/cluster.md.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice.
        labels : array-like of shape (n,), optional
            The component to which a row is known to belong, from 0 to k − 1, or −1 where it is not known: such a row
            counts for its component alone. See docs/noise-and-labels.md.

        Returns
        -------
        GMM
            self, changed only when the fit succeeded.

        Raises
        ------
        ValueError, TypeError
            X, sample_weight, labels or a parameter cannot be used; the message says which and why.

        Warns
        -----
        ConvergenceWarning
            max_iter ended the fit.
        DegenerateWarning
            A component could not be estimated and was repaired.
        """
        self._learn(X, sample_weight, labels)
        return self

    def partial_fit(self, X: ArrayLike, y: object = None, sample_weight: ArrayLike | None = None) -> Self:
        """Learn from a batch of rows, or from each of a stream's, by one step of stepwise EM.

        It goes on from the last call, from ``fit``, or from given parameters. Without them the first rows are
        gathered, and fitted anew whenever they have doubled, until there are `learning_rows`. The model is
        fitted as soon as there are n_components of them. See docs/streams.md.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, one or many; or blocks of rows as for ``fit``, also those of an iterator: a step is taken for each.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice.

        Returns
        -------
        GMM
            self, changed only when nothing failed.

        Raises
        ------
        ValueError, TypeError
            X, sample_weight or a parameter cannot be used, or the last fit was of another kind of mixture.

        Warns
        -----
        DegenerateWarning
            A component could not be estimated and was repaired, and was not before.
        """
        last = vars(self).get("_state")
        asked = request_of(self)
        state = partial.partial_fit(asked, X, sample_weight, last)
        partial.warn_of_new(asked, state, last)
        self._state = state
        return self

    def fit_predict(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
    ) -> Labels:
        """``fit`` and then ``predict`` on the same rows, whose labels do not count there; labels (n,)."""
        return self._evaluations(X, state=self._learn(X, sample_weight, labels)).evaluate("labels")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted model to a file, atomically: an interrupted save leaves an old file whole.

        The file is a versioned npz archive without pickle, with the names of the features, and with what
        ``partial_fit`` goes on from (but no rows, which it may still be gathering). Of the constructor's arguments it
        keeps those that JSON can hold (not callbacks, generators, priors, start arrays or masks).
        """
        state, settings = self._fitted(), self.get_params(deep=False)
        fit = state.fit
        persistence.save(
            path,
            fit.parameters,
            lower_bounds=fit.lower_bounds,
            converged=fit.converged,
            names=state.names,
            memory=state.remembered(),
            settings=settings,
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The model of a file that ``save`` wrote; it predicts bit-identically.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is damaged, not cgmm's or of a newer version; the message names the file and the fault.
        """
        parameters, lower_bounds, converged, names, memory, settings = persistence.load(path)
        known = cls._defaults()
        model = cls(**{name: value for name, value in settings.items() if name in known})
        model.set_params(n_components=parameters.k, covariance_type=parameters.family.name)
        return model._with(State(Fit(parameters, lower_bounds, converged), names, memory=memory))

    def _learn(self, X: ArrayLike, sample_weight: ArrayLike | None, labels: ArrayLike | None = None) -> State:
        """Fit, and the State that the estimator has from now on."""
        last = vars(self).get("_state")
        state = fitting.fit(request_of(self), X, sample_weight, last if isinstance(last, State) else None, labels)
        assert state.settings is not None  # it was fitted
        report.warn(state.fit, state.settings, state.names, self.on_degenerate)
        self._state = state
        return state
