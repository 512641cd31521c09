"""One adapter for each library, all with one face; and the check that they compute the same."""

import time
from importlib.metadata import version
from typing import NamedTuple

import numpy as np
from threadpoolctl import threadpool_limits

# Agreement with scikit-learn in float64, relative: the mean log-likelihood of a row, and each array of parameters
# against its largest value. A float32 log-likelihood of hundreds of nats keeps about five digits.
TOLERANCES = {"float64": (1e-6, 1e-4), "float32": (1e-4, 1e-2)}


PAUSE = 0.3  # seconds before each timing


class Result(NamedTuple):
    """Parameters after some EM iterations, in scikit-learn's shapes, and the last E-step's mean log-likelihood.

    `iterations` were done: oneDAL stops by itself when its log-likelihood no longer changes at all.
    """

    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    log_likelihood: float
    iterations: int


class Library:
    """A library: `prepare` sets everything up; what it returns does the iterations and is what is timed."""

    distribution = None

    @property
    def version(self):
        return version(self.distribution)

    def refuses(self, problem):
        """Why the library has no such model, or None."""
        return None

    def prepare(self, problem, X, start, threads):
        """A function (iterations) → Result: EM from `start`, without regularisation, stopping at nothing else."""
        raise NotImplementedError

    def em(self, problem, X, start, iterations, threads):
        """The Result of so many iterations from `start`."""
        return self.prepare(problem, X, start, threads)(iterations)

    def seconds(self, run, iterations):
        """Seconds of one EM iteration: the mean of several; `run` is what `prepare` gave.

        A pause and an untimed iteration go before: threads of the library before spin for a while, and the rows
        are cold.
        """
        time.sleep(PAUSE)
        clock(run, 1)
        elapsed, done = clock(run, iterations)
        return elapsed / done


class Cgmm(Library):
    name = distribution = "cgmm"
    prune = True

    def prepare(self, problem, X, start, threads):
        from cgmm.em.loop import run as run_em
        from cgmm.em.settings import Settings
        from cgmm.em.stage import Stage
        from cgmm.mixture.families import FAMILIES
        from cgmm.mixture.parameters import Parameters
        from cgmm.mixture.rules import Rules
        from cgmm.rows.opened import data_of
        from cgmm.rows.part import Part

        threadpool_limits(threads)
        parameters = Parameters.build(FAMILIES[problem.covariance_type], *(a.copy() for a in start[:3]))

        def run(iterations):
            settings = Settings(Rules(n_threads=threads), max_iter=iterations, prune=self.prune)
            fit = run_em(data_of(Part(X), complete=True), Stage.first(parameters), settings)
            if fit.repairs:
                raise ValueError(f"repaired: {fit.repairs[0]}")
            found = fit.parameters
            return Result(found.weights, found.means, found.covariances, fit.lower_bound, iterations)

        return run

    @property
    def version(self):
        import cgmm

        return cgmm.__version__


class CgmmDense(Cgmm):
    """cgmm without pruning: every component of every row."""

    name = "cgmm-dense"
    prune = False


class ScikitLearn(Library):
    name = distribution = "scikit-learn"

    def prepare(self, problem, X, start, threads):
        from sklearn.mixture import GaussianMixture

        threadpool_limits(threads)
        model = GaussianMixture(problem.k, covariance_type=problem.covariance_type, reg_covar=0.0)
        weights, means, covariances = (a.astype(X.dtype) for a in start[:3])
        matrices = problem.covariance_type in ("full", "tied")
        precisions = np.linalg.inv(covariances) if matrices else 1 / covariances
        model.weights_init, model.means_init, model.precisions_init = weights, means, precisions

        def run(iterations):
            model._initialize(X, None)
            for _ in range(iterations):
                log_likelihood, log_responsibilities = model._e_step(X)
                model._m_step(X, log_responsibilities)
            parameters = model.weights_, model.means_, model.covariances_
            return Result(*parameters, float(log_likelihood), iterations)

        return run


class Daal4py(Library):
    """oneDAL, in the package scikit-learn-intelex (daal4py until 2024)."""

    name = "daal4py"
    distribution = "daal"  # the compiled library itself

    def __init__(self):
        import daal4py

        self.module = daal4py

    def refuses(self, problem):
        return None if problem.covariance_type in ("full", "diag") else "oneDAL has full and diagonal covariances"

    def prepare(self, problem, X, start, threads):
        threadpool_limits(threads)
        self.module.daalinit(threads)
        weights, means, covariances = (a.astype(X.dtype) for a in start[:3])
        diagonal = problem.covariance_type == "diag"
        matrices = [S[np.newaxis] if diagonal else S for S in covariances]

        def run(iterations):
            algorithm = self.module.em_gmm(
                problem.k,
                fptype="double" if X.dtype == np.float64 else "float",
                maxIterations=iterations,
                accuracyThreshold=0.0,
                covarianceStorage="diagonal" if diagonal else "full",
            )
            found = algorithm.compute(X, weights[np.newaxis], means, matrices)
            return Result(
                found.weights[0],
                found.means,
                np.array(found.covariances).reshape(covariances.shape),
                float(found.goalFunction[0, 0]) / len(X),
                int(found.nIterations[0, 0]),
            )

        return run

    def seconds(self, run, iterations):
        """The difference of two calls, so that a call's set-up is not counted."""
        time.sleep(PAUSE)
        (one, _), (several, done) = clock(run, 1), clock(run, iterations + 1)
        if done == 1:
            raise ValueError("nothing to time: it stops after one iteration")
        return (several - one) / (done - 1)


class Torch(Library):
    """PyTorch: see torch_em.py."""

    name = distribution = "torch"

    def __init__(self):
        import torch_em

        self.module = torch_em

    def prepare(self, problem, X, start, threads):
        from torch import from_numpy, set_num_threads

        set_num_threads(threads)
        rows, *parameters = (from_numpy(a.astype(X.dtype, copy=a is not X)) for a in (X, *start[:3]))

        def run(iterations):
            *found, log_likelihood = self.module.em(rows, *parameters, problem.covariance_type, iterations)
            return Result(*(a.numpy() for a in found), log_likelihood, iterations)

        return run


LIBRARIES = {library.name: library for library in (Cgmm, CgmmDense, ScikitLearn, Daal4py, Torch)}


def load(names):
    """The libraries that can be imported, and for the others why not."""
    found, missing = {}, {}
    for name in names:
        try:
            found[name] = LIBRARIES[name]()
        except ImportError as error:
            missing[name] = str(error)
    return found, missing


def clock(run, iterations):
    """Seconds, and how many iterations were done in them."""
    begin = time.perf_counter()
    result = run(iterations)
    return time.perf_counter() - begin, result.iterations


def reference(problem, X, start, iterations, threads):
    """What every library must find: scikit-learn's Result in float64."""
    return ScikitLearn().em(problem, X.astype(np.float64, copy=False), start, iterations, threads)


def verify(result, expected, dtype):
    """ValueError when a Result is not the expected one."""
    score, parameter = TOLERANCES[np.dtype(dtype).name]
    error = abs(result.log_likelihood - expected.log_likelihood)
    if not error <= score * max(1.0, abs(expected.log_likelihood)):
        raise ValueError(f"log-likelihood {result.log_likelihood:.10g}, not {expected.log_likelihood:.10g}")
    for name in ("weights", "means", "covariances"):
        right = getattr(expected, name)
        error = np.abs(getattr(result, name) - right).max()
        if not error <= parameter * np.abs(right).max():
            raise ValueError(f"{name} differ by {error:.3g}")
