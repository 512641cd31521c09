"""The estimator: parameters and verbs; nothing numeric in it."""

import inspect

import numpy as np

from cgmm import _kernels, em, initialize, persistence, report, validation
from cgmm.config import threads
from cgmm.covariance import FAMILIES
from cgmm.parameters import Parameters
from cgmm.pruning import Pruning
from cgmm.validation import NotFittedError


class GMM:
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
        Converged when the mean log-likelihood of a row (nats) changes by less in an iteration.
    reg_covar : float, default=1e-6
        Added to the diagonal of every covariance, in squared units of X.
    max_iter : int, default=100
        EM iterations at most; ConvergenceWarning when they end the fit. 0 leaves the start as it is.
    n_init : int, default=1
        Starts; the fit of the highest log-likelihood is kept.
    init_params : {"kmeans", "k-means++", "random", "random_from_data"}, default="kmeans"
        The start: clusters of k-means, clusters about k-means++ seeds or about random rows, or random
        responsibilities; from a sample of the rows when there are many.
    weights_init : array-like (k,), means_init : array-like (k, d), precisions_init : array-like, optional
        Parameters to start from, in place of those of the start. The shape of precisions_init is that of
        ``precisions_``.
    random_state : None, int, RandomState or Generator
        The same int gives the same bits, for any number of threads. None draws from NumPy's global state.
    warm_start : bool, default=False
        Continue from the last fit's parameters.
    verbose : int, default=0
        1 or more: a line at each start, each `verbose_interval` iterations, and at the end.
    verbose_interval : int, default=10
    fixed : collection of {"weights", "means", "covariances"}, default=()
        Those stay at their ``*_init`` (with warm_start, at the last fit's) while the rest learn.
    n_threads : int, optional
        Default: all that the process may use (affinity and OMP_NUM_THREADS respected). Results do not depend
        on it.
    callback : callable, optional
        Called after each iteration with a cgmm.em.IterationState; the run stops when it returns True.

    Attributes
    ----------
    weights_ : ndarray (k,)
    means_ : ndarray (k, d)
    covariances_, precisions_, precisions_cholesky_ : ndarray
        (k, d, d) full, (d, d) tied, (k, d) diag, (k,) spherical. A matrix's precisions_cholesky_ is the upper
        triangular U with U Uᵀ its precision; otherwise it is 1/σ.
    converged_ : bool
    n_iter_ : int
        Iterations of the kept fit.
    lower_bound_ : float
        Mean log-likelihood of a row (nats) in the last E-step.
    lower_bounds_ : ndarray (n_iter_,)
        That of every E-step.
    n_features_in_ : int
        d.

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
        n_components=1,
        *,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=100,
        n_init=1,
        init_params="kmeans",
        weights_init=None,
        means_init=None,
        precisions_init=None,
        random_state=None,
        warm_start=False,
        verbose=0,
        verbose_interval=10,
        fixed=(),
        n_threads=None,
        callback=None,
    ):
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
        self.fixed = fixed
        self.n_threads = n_threads
        self.callback = callback

    @classmethod
    def from_parameters(cls, weights, means, covariances, covariance_type="full"):
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
        family = validation.check_choice("covariance_type", covariance_type, FAMILIES)
        shape = validation.check_array("means", means).shape
        if len(shape) != 2 or 0 in shape:
            raise ValueError(f"means must have shape (components, features), not {shape}")
        parameters = Parameters.build(
            family,
            validation.check_mixture_weights("weights", weights, shape[0]),
            validation.check_start_array("means", means, shape),
            validation.check_matrices("covariances", covariances, family, *shape),
        )
        model = cls(shape[0], covariance_type=covariance_type)
        model._fit = em.Fit(parameters, np.empty(0), converged=True)
        return model

    def fit(self, X, y=None, sample_weight=None):
        """Estimate the parameters.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows. A float32 or float64 array is not copied, whatever its strides; others become float64.
        y : ignored
        sample_weight : array-like of shape (n,), optional
            Non-negative row weights: weight 2 is the row twice.

        Returns
        -------
        GMM
            self, changed only when the fit succeeded.

        Raises
        ------
        ValueError, TypeError
            X, sample_weight or a parameter cannot be used; the message says which and why.

        Warns
        -----
        ConvergenceWarning
            max_iter ended the fit.
        DegenerateWarning
            A component could not be estimated and was repaired.
        """
        settings = self._check_settings()
        X = validation.check_rows(X, n_threads=settings.n_threads)
        row_weights, _ = validation.of_order_one(validation.check_weights(sample_weight, len(X)))
        start = self._check_start(X, row_weights, settings)
        best = self._best_fit(X, row_weights, start, settings)
        self._fit = best
        report.warn(best, settings)
        return self

    def fit_predict(self, X, y=None, sample_weight=None):
        """``fit`` and then ``predict`` on the same rows; labels (n,)."""
        return self.fit(X, y, sample_weight).predict(X)

    def predict(self, X):
        """The most probable component of each row of X (n,d); integers (n,)."""
        return self._evaluate(self._check_rows(X)[0], "labels")

    def predict_proba(self, X):
        """The responsibilities: the probability of each component given each row of X (n,d); (n,k)."""
        return self._evaluate(self._check_rows(X)[0], "responsibilities")

    def score_samples(self, X):
        """The log-likelihood (nats) of each row of X (n,d); (n,)."""
        return self._evaluate(self._check_rows(X)[0], "log_likelihood")

    def score(self, X, y=None, sample_weight=None):
        """The mean log-likelihood (nats) of a row of X (n,d)."""
        X, row_weights = self._check_rows(X, sample_weight)
        return float(np.average(self._evaluate(X, "log_likelihood"), weights=row_weights))

    def sample(self, n_samples=1):
        """Draw rows from the mixture.

        Parameters
        ----------
        n_samples : int, default=1

        Returns
        -------
        X : ndarray (n_samples, d)
            Ordered by component.
        labels : ndarray (n_samples,)
            The component of each.
        """
        parameters = self._parameters
        n = validation.check_count("n_samples", n_samples)
        rng = validation.check_random_state(self.random_state)
        counts = rng.multinomial(n, parameters.weights / parameters.weights.sum())
        labels = np.repeat(np.arange(parameters.k), counts)
        noise = rng.standard_normal((n, parameters.d))
        return parameters.means[labels] + parameters.family.colour(parameters.root, labels, noise), labels

    def bic(self, X):
        """Bayesian information criterion of X (n,d), smaller is better: −2 log L + p log n (Schwarz 1978)."""
        X = self._check_rows(X)[0]
        return self._deviance(X) + self._parameters.n_parameters * float(np.log(len(X)))

    def aic(self, X):
        """Akaike's information criterion of X (n,d), smaller is better: −2 log L + 2 p (Akaike 1974)."""
        X = self._check_rows(X)[0]
        return self._deviance(X) + self._parameters.n_parameters * 2.0

    def icl(self, X):
        """Integrated completed likelihood of X (n,d), smaller is better.

        BIC − 2 Σ_i log max_c r_ic (Biernacki, Celeux and Govaert 2000): BIC and what doubtful assignments cost.
        """
        X = self._check_rows(X)[0]
        certainty = 0.0
        for start in range(0, len(X), ROWS_AT_A_TIME):
            responsibilities = self._evaluate(X[start : start + ROWS_AT_A_TIME], "responsibilities")
            certainty += float(np.log(responsibilities.max(axis=1)).sum())
        return self.bic(X) - 2.0 * certainty

    def save(self, path):
        """Write the fitted model to a file, atomically: an interrupted save leaves an old file whole.

        The file is a versioned npz archive without pickle. Of the constructor's arguments it keeps those that
        JSON can hold (not callbacks, generators or start arrays).
        """
        parameters = self._parameters
        persistence.save(path, parameters, self.lower_bounds_, self.converged_, self.get_params())

    @classmethod
    def load(cls, path):
        """The model of a file that ``save`` wrote; it predicts bit-identically.

        Raises
        ------
        OSError
            The file cannot be read.
        ValueError
            It is damaged, not cgmm's or of a newer version; the message names the file and the fault.
        """
        parameters, lower_bounds, converged, settings = persistence.load(path)
        known = inspect.signature(cls).parameters
        model = cls(**{name: value for name, value in settings.items() if name in known})
        model.set_params(n_components=parameters.k, covariance_type=parameters.family.name)
        model._fit = em.Fit(parameters, lower_bounds, converged)
        return model

    def get_params(self, deep=True):
        """The constructor's arguments by name."""
        return {name: getattr(self, name) for name in inspect.signature(type(self)).parameters}

    def set_params(self, **params):
        """Change constructor arguments; ValueError names one that does not exist."""
        known = self.get_params()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Invalid parameter {name!r} for GMM; valid: {', '.join(known)}")
            setattr(self, name, value)
        return self

    def __repr__(self):
        changed = [
            f"{name}={getattr(self, name)!r}"
            for name, parameter in inspect.signature(type(self)).parameters.items()
            if repr(getattr(self, name)) != repr(parameter.default)
        ]
        return f"GMM({', '.join(changed)})"

    weights_ = property(lambda self: self._parameters.weights)
    means_ = property(lambda self: self._parameters.means)
    covariances_ = property(lambda self: self._parameters.covariances)
    precisions_ = property(lambda self: self._parameters.precisions)
    precisions_cholesky_ = property(lambda self: self._parameters.precisions_cholesky)
    n_features_in_ = property(lambda self: self._parameters.d)
    converged_ = property(lambda self: self._fitted().converged)
    n_iter_ = property(lambda self: len(self._fitted().lower_bounds))
    lower_bound_ = property(lambda self: self._fitted().lower_bound)
    lower_bounds_ = property(lambda self: self._fitted().lower_bounds)
    _parameters = property(lambda self: self._fitted().parameters)

    def __sklearn_is_fitted__(self):
        return "_fit" in vars(self)

    def _fitted(self):
        """The em.Fit of the last fit."""
        if not self.__sklearn_is_fitted__():
            raise NotFittedError("This GMM instance is not fitted yet; call fit first.")
        return self._fit

    def _threads(self):
        return threads(validation.check_threads(self.n_threads))

    def _check_rows(self, X, sample_weight=None):
        """Rows (n,d) and row weights for a fitted model."""
        parameters = self._parameters
        X = validation.check_rows(X, parameters.d, self._threads())
        return X, validation.check_weights(sample_weight, len(X))

    def _evaluate(self, X, what):
        """A value for each row that is known to be good."""
        guide = Pruning(X, moments=False).guide(self._parameters)
        return _kernels.evaluate(X, self._parameters.density, what, self._threads(), guide)

    def _deviance(self, X):
        """−2 log L of rows that are known to be good."""
        return -2.0 * float(self._evaluate(X, "log_likelihood").sum())

    def _check_settings(self):
        """The constructor's arguments that steer EM, checked."""
        return em.Settings(
            tol=validation.check_real("tol", self.tol),
            max_iter=validation.check_count("max_iter", self.max_iter, least=0),
            reg_covar=validation.check_real("reg_covar", self.reg_covar),
            fixed=validation.check_fixed(self.fixed),
            n_threads=self._threads(),
        )

    def _continues(self):
        """Whether a fit goes on from the last one."""
        return validation.check_flag("warm_start", self.warm_start) and self.__sklearn_is_fitted__()

    def _check_start(self, X, row_weights, settings):
        """A function (rng) → parameters and repairs: where each restart begins."""
        k = validation.check_count("n_components", self.n_components)
        family = validation.check_choice("covariance_type", self.covariance_type, FAMILIES)
        method = validation.check_choice("init_params", self.init_params, initialize.METHODS)
        validation.check_enough_rows(X, row_weights, k, "n_components")
        if self._continues():
            validation.check_continues(self._parameters, family, k, X.shape[1])
            return lambda rng: (self._parameters, [])
        given = validation.check_given(
            family, k, X.shape[1], self.weights_init, self.means_init, self.precisions_init
        )
        for name in settings.fixed:
            if name not in given:
                raise ValueError(
                    f"fixed={name!r} needs {validation.START_ARGUMENTS[name]}: the value at which they stay"
                )

        def start(rng):
            return initialize.start(
                X, row_weights, k, family, method, rng, settings.reg_covar, given, settings.n_threads
            )

        return start

    def _best_fit(self, X, row_weights, start, settings):
        """The best of n_init runs; changes nothing of the estimator."""
        restarts = validation.check_count("n_init", self.n_init)
        rng = validation.check_random_state(self.random_state)
        reporter = report.Reporter(
            validation.check_verbose(self.verbose),
            validation.check_count("verbose_interval", self.verbose_interval),
            validation.check_callback(self.callback),
        )
        continued = self._continues()
        best = None
        for restart in range(1 if continued else restarts):
            reporter.begin(restart)
            parameters, repairs = start(rng)
            fit = em.run(
                X,
                parameters,
                row_weights,
                settings,
                lower_bound=self.lower_bound_ if continued else -np.inf,
                repairs=repairs,
                observe=reporter.iteration,
            )
            reporter.end(fit)
            if best is None or fit.lower_bound > best.lower_bound:
                best = fit
        return best


ROWS_AT_A_TIME = 65536  # of responsibilities held at once, where only a sum of them is wanted
