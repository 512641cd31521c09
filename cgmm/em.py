"""The loop: expectation → maximise → converged?"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from cgmm.config import threads
from cgmm.covariance import NotPositiveDefinite, least_variances
from cgmm.parameters import Parameters
from cgmm.pruning import Pruning
from cgmm.statistics import block_statistics


class Settings(NamedTuple):
    """What steers EM, checked: see cgmm.GMM for each."""

    tol: float
    max_iter: int
    reg_covar: float
    fixed: tuple = ()
    n_threads: int | None = None
    prune: bool = True


class IterationState(NamedTuple):
    """What a callback sees after each iteration.

    iteration : int, from 1
    log_likelihood : float, mean of a row, of the parameters before this iteration's M-step
    change : float, since the iteration before (inf in the first)
    parameters : cgmm.parameters.Parameters after the M-step
    restart : int, from 0
    """

    iteration: int
    log_likelihood: float
    change: float
    parameters: Parameters
    restart: int = 0


INDEFINITE = "its covariance is not positive definite"


class Repair(NamedTuple):
    """A component that could not be estimated in an iteration (0: the start), and why."""

    iteration: int
    component: int
    cause: str


@dataclass(frozen=True, eq=False)
class Fit:
    """One run of EM from one start."""

    parameters: Parameters
    lower_bounds: np.ndarray
    converged: bool
    repairs: tuple = ()
    stopped: bool = False

    def __post_init__(self):
        self.lower_bounds.flags.writeable = False

    def __reduce__(self):
        return Fit, (self.parameters, self.lower_bounds, self.converged, self.repairs, self.stopped)

    @property
    def lower_bound(self):
        return self.lower_bounds[-1] if len(self.lower_bounds) else -np.inf


def maximise(statistics, family, previous=None, reg_covar=0.0, fixed=(), iteration=0, n_threads=1):
    """The M-step: parameters from statistics, and what had to be repaired.

    A component without rows keeps its previous mean and covariance, with weight zero.
    """
    empty = statistics.empty
    offsets = statistics.first / statistics.divisor[:, None]
    repairs = [Repair(iteration, c, "no row belongs to it") for c in empty]
    weights = previous.weights if "weights" in fixed else statistics.n_k / statistics.n_k.sum()
    if "means" in fixed:
        means = previous.means
    else:
        means = statistics.shift + offsets
        if len(empty) and previous is not None:
            means[empty] = previous.means[empty]
    if "covariances" in fixed:
        return Parameters(family, weights, means, previous.covariances, previous.root), repairs
    covariances = family.maximise(statistics, offsets, reg_covar)
    if "means" in fixed:
        covariances += family.spread(offsets - (means - statistics.shift), statistics.n_k)
    if len(empty):
        covariances = family.keep(covariances, empty, previous and previous.covariances)
    try:
        return Parameters.build(family, weights, means, covariances, n_threads), repairs
    except NotPositiveDefinite:
        variances = family.variances(covariances, *means.shape)
        covariances, repaired = family.repair(covariances, least_variances(weights, means, variances))
        repairs += [Repair(iteration, c, INDEFINITE) for c in repaired]
        return Parameters.build(family, weights, means, covariances), repairs


def run(X, parameters, row_weights, settings, lower_bound=-np.inf, repairs=(), observe=None):
    """EM from `parameters` until the mean log-likelihood changes by less than tol.

    `lower_bound` is that of an earlier run which this one continues; `repairs` those of the start. `observe` is
    called with the iteration's number, mean log-likelihood, change and parameters, and stops the run by
    returning True.
    """
    lower_bounds, repairs, converged, stopped = [], list(repairs), False, False
    pruning = Pruning(X) if settings.prune else None
    for iteration in range(1, settings.max_iter + 1):
        statistics = block_statistics(X, parameters, row_weights, settings.n_threads, pruning)
        change = statistics.lower_bound - lower_bound
        lower_bound = statistics.lower_bound
        lower_bounds.append(lower_bound)
        parameters, repaired = maximise(
            statistics,
            parameters.family,
            parameters,
            settings.reg_covar,
            settings.fixed,
            iteration,
            threads(settings.n_threads),
        )
        repairs += repaired
        converged = abs(change) < settings.tol
        stopped = observe is not None and observe(iteration, lower_bound, change, parameters)
        if converged or stopped:
            break
    return Fit(parameters, np.array(lower_bounds), bool(converged), tuple(repairs), stopped)
