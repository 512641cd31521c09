"""The estimator: arguments, and how it learns; nothing numeric in it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, Self

from cgmm import exchange
from cgmm.distribution import Distribution
from cgmm.fit import partial
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.holding import part
from cgmm.learner import Learner
from cgmm.mixture.checks import normalised
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parts import Parts
from cgmm.mixture.prior import Prior
from cgmm.suggestions import explained
from cgmm.validation import check_choice, check_flag

if TYPE_CHECKING:
    from cgmm.em.stage import Callback
    from cgmm.fit.request import Request
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import (
        Array,
        ArrayLike,
        CovarianceType,
        FixedParameters,
        Init,
        Missing,
        NamedPrior,
        Names,
        NoiseComponent,
        OnDegenerate,
        Seed,
        Starts,
        Stop,
    )


class GMM(Distribution["GMM"], Learner):
    """Gaussian mixture model, fitted by expectation–maximisation.

    The density of a row x is Σ_c π_c N(x | μ_c, Σ_c); EM follows Bishop, Pattern Recognition and Machine
    Learning (2006), section 9.2. Arguments mean what they mean in scikit-learn's GaussianMixture.

    Parameters
    ----------
    n_components : int, default=1
        Number of components k.
    covariance_type : str, default="full"
        "full", "tied", "diag" or "spherical": each component its own matrix; one matrix for all; variances for each
        component and feature; one variance for each component. Or one of mclust's fourteen, in which components may
        share their volume, shape or axes (Celeux and Govaert 1995): "EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE",
        "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"; of one feature also "E" and "V". See docs/families.md.
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
        Labels (n,) or responsibilities (n, k) of the rows to be fitted, for the first start. A label may be −1: that
        row's component is unknown, and the start is made of the others.
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
    prior : None, "default", "mclust" or Prior, default=None
        A conjugate prior on the parameters, whose maximum a posteriori is then found: see cgmm.Prior. "mclust" is
        ``Prior(formulas="mclust")``, and "default" is ``Prior()``.
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
        With a noise component they sum to 1 − ``noise_weight_``.
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
    Fitted arrays are float64 and read-only. As wholes they can be assigned: ``weights_``, ``means_`` and one of
    ``covariances_``, ``precisions_`` and ``precisions_cholesky_`` make a mixture that predicts, and after a fit each
    replaces that part.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMM
    >>> X = np.array([[1.0, 2], [2, 4], [3, 0], [10, 2], [11, 4], [12, 0]])
    >>> model = GMM(n_components=2, random_state=0).fit(X)
    >>> sorted(model.means_[:, 0].round(6).tolist())
    [2.0, 11.0]
    """

    _kind = "GMM"

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
        prior: Prior | NamedPrior | None = None,
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

    weights_: Array = part("weights")
    means_: Array = part("means")
    covariances_: Array = part("covariances")
    precisions_: Array = part("precisions")
    precisions_cholesky_: Array = part("precisions_cholesky")

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike | None = None,
        covariance_type: CovarianceType = "full",
        *,
        precisions: ArrayLike | None = None,
        precisions_cholesky: ArrayLike | None = None,
        normalize: bool = False,
    ) -> Self:
        """A mixture of given parameters, ready to use as if fitted.

        Parameters
        ----------
        weights : array-like (k,)
            Non-negative, summing to one.
        means : array-like (k, d)
        covariances, precisions, precisions_cholesky : array-like
            One of the three, of the shape of ``covariances_``; covariances and precisions positive definite,
            precisions_cholesky triangular with a positive diagonal. A lower triangular one, as ``np.linalg.cholesky``
            makes it of precisions, is taken as well, and becomes the upper one of the same precisions.
        covariance_type : str, default="full"
            As of the constructor.
        normalize : bool, default=False
            Divide the weights by their sum, which may then be any positive number.

        Returns
        -------
        GMM

        Raises
        ------
        ValueError, TypeError
            The parameters are not those of a mixture.

        Examples
        --------
        >>> from cgmm import GMM
        >>> model = GMM.from_parameters([1, 3], [[0.0], [5.0]], precisions=[1.0, 4.0], covariance_type="spherical",
        ...                             normalize=True)
        >>> model.weights_.tolist(), model.covariances_.tolist()
        ([0.25, 0.75], [1.0, 0.25])
        """
        family = check_choice("covariance_type", covariance_type, FAMILIES)
        forms = {"covariances": covariances, "precisions": precisions, "precisions_cholesky": precisions_cholesky}
        given = [(name, value) for name, value in forms.items() if value is not None]
        if len(given) != 1:
            raise TypeError(f"give one of covariances, precisions and precisions_cholesky, not {len(given)} of them")
        if check_flag("normalize", normalize):
            weights = normalised("weights", weights)
        parts = Parts().with_part("means", means, family).with_part("weights", weights, family)
        parameters = parts.with_part(*given[0], family).parameters()
        return cls(parameters.k, covariance_type=covariance_type)._with(State.given(parameters))

    def _made(self, parameters: Parameters, names: Names | None = None) -> GMM:
        model = GMM(
            parameters.k,
            covariance_type=parameters.family.name,
            random_state=self.random_state,
            missing=self.missing,
            n_threads=self.n_threads,
        )
        return model._with(State.given(parameters, names))

    @classmethod
    def from_sklearn(cls, model: Any) -> Self:
        """The mixture of a GaussianMixture of scikit-learn's: fitted, or made of assigned attributes.

        Parameters
        ----------
        model : sklearn.mixture.GaussianMixture
            Its ``precisions_cholesky_`` decide, as they do there.

        Returns
        -------
        GMM
            With the arguments, and the names of the features, of the model; float64, as all that cgmm fits.

        Raises
        ------
        TypeError, ValueError
            model is no GaussianMixture, not fitted, or its attributes are not those of a mixture.

        Examples
        --------
        >>> from sklearn.mixture import GaussianMixture
        >>> from cgmm import GMM
        >>> rows = [[0.0], [1.0], [8.0], [9.0]]
        >>> theirs = GaussianMixture(2, random_state=0).fit(rows)
        >>> bool(abs(GMM.from_sklearn(theirs).score(rows) - theirs.score(rows)) < 1e-12)
        True
        """
        state, known = exchange.state_of(model), cls._defaults()
        arguments = {name: value for name, value in model.get_params(deep=False).items() if name in known}
        return cls(**arguments)._with(state)

    def to_sklearn(self) -> Any:
        """The mixture as a GaussianMixture of scikit-learn's, with those of the arguments that it has.

        It can be converted to ONNX, given to programs that test for its class, and unpickled where cgmm is not.

        Returns
        -------
        sklearn.mixture.GaussianMixture

        Raises
        ------
        NotFittedError
            Before a fit.
        ImportError
            scikit-learn is not installed.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> theirs = model.to_sklearn()
        >>> type(theirs).__name__, bool(abs(theirs.score(X) - model.score(X)) < 1e-12)
        ('GaussianMixture', True)
        """
        return exchange.to_sklearn(self._fitted(), self.get_params(deep=False))

    @explained
    def partial_fit(
        self,
        X: ArrayLike,
        y: object = None,
        sample_weight: ArrayLike | None = None,
        labels: ArrayLike | None = None,
        error_covariances: ArrayLike | None = None,
    ) -> Self:
        """Learn from a batch of rows, or from each of a stream's, by one step of stepwise EM.

        It goes on from the last call, ``fit`` or given parameters. Without them the first rows are gathered and, from
        n_components of them on, fitted anew whenever they have doubled, up to `learning_rows`: docs/streams.md.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, one or many; or blocks of rows as for ``fit``, also those of an iterator: a step is taken for each.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice.
        labels : array-like of shape (n,), optional
            The component to which a row is known to belong, −1 where it is not known, as of ``fit``. Blocks of rows
            bring their own, as there.
        error_covariances : array-like, optional
            Of the errors of the rows, as of ``fit``; blocks bring their own.

        Returns
        -------
        GMM
            self, changed only when nothing failed.

        Raises
        ------
        ValueError, TypeError
            X, sample_weight, labels or a parameter cannot be used, or the last fit was of another kind of mixture.

        Warns
        -----
        DegenerateWarning
            A component could not be estimated and was repaired, and was not before.

        Examples
        --------
        >>> import numpy as np
        >>> from cgmm import GMM
        >>> rng, model = np.random.default_rng(0), GMM(1)
        >>> for _ in range(100):
        ...     model = model.partial_fit(rng.normal(3, 1, (500, 1)))
        >>> model.means_.round(1).tolist()
        [[3.0]]
        """
        last = self._learnt()
        asked = request_of(self)
        state = partial.partial_fit(asked, X, sample_weight, last, labels, error_covariances)
        partial.warn_of_new(asked, state, last)
        self._state = state
        return self

    def bic(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, error_covariances: ArrayLike | None = None
    ) -> float:
        """Bayesian information criterion of X (n,d), smaller is better: −2 log L + p log n (Schwarz 1978).

        Row weights (n,) count rows: n is their sum. Rows may have errors of measurement as of ``fit``.

        Parameters
        ----------
        X, sample_weight, error_covariances
            As of ``score``.

        Examples
        --------
        >>> from math import log
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> round(abs(model.bic(X) + 2 * 4 * model.score(X) - 5 * log(4)), 9)  # Five parameters
        0.0
        """
        return self._evaluations(X, sample_weight, errors=error_covariances).sums().criteria().bic

    def aic(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, error_covariances: ArrayLike | None = None
    ) -> float:
        """Akaike's information criterion of X (n,d), smaller is better: −2 log L + 2 p (Akaike 1974).

        Parameters
        ----------
        X, sample_weight, error_covariances
            As of ``score``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> round(abs(model.aic(X) + 2 * 4 * model.score(X) - 2 * 5), 9)  # Five parameters
        0.0
        """
        return self._evaluations(X, sample_weight, errors=error_covariances).sums().criteria().aic

    def icl(
        self, X: ArrayLike, sample_weight: ArrayLike | None = None, error_covariances: ArrayLike | None = None
    ) -> float:
        """Integrated completed likelihood of X (n,d), smaller is better: BIC − 2 Σ_i log max_c r_ic, in which doubtful
        assignments cost (Biernacki, Celeux and Govaert 2000).

        Parameters
        ----------
        X, sample_weight, error_covariances
            As of ``score``.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> model.icl(X) >= model.bic(X)
        True
        """
        return self._evaluations(X, sample_weight, errors=error_covariances).sums(certainty=True).criteria().icl

    def _asks(self) -> Request:
        return request_of(self)
