"""The loop: expectation → maximise → converged?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels, degenerate
from cgmm.config import threads
from cgmm.degenerate import EMPTIED, SINGULAR, Repair
from cgmm.ordinary import Ordinary
from cgmm.parameters import Fixed, Parameters
from cgmm.pruning import Pruning
from cgmm.statistics import EMPTY, SufficientStatistics

if TYPE_CHECKING:
    from cgmm.checkpoint import Checkpoint
    from cgmm.covariance import AnyFamily
    from cgmm.data import Data
    from cgmm.prior import Conjugate
    from cgmm.types import Array, Mask, Observer


class Settings(NamedTuple):
    """What steers EM, checked: see cgmm.GMM for each.

    least : (d,) below it no variance falls;  eps : relative rounding of the moments
    prior : cgmm.prior.Conjugate or None;  prune, reseed : False forbids it
    """

    tol: float = 0.0
    max_iter: int = 0
    reg_covar: float = 0.0
    fixed: Fixed = Fixed()
    n_threads: int | None = None
    least: Array | None = None
    eps: float = degenerate.EPS
    prior: Conjugate | None = None
    prune: bool = True
    reseed: bool = True

    @property
    def free(self) -> bool:
        """Whether nothing but the rows says what components are."""
        return self.prior is None and all(mask is None for mask in self.fixed)

    def floor(self, d: int) -> Array:
        return np.full(d, degenerate.SMALLEST) if self.least is None else self.least


class IterationState(NamedTuple):
    """What a callback sees after each iteration.

    Attributes
    ----------
    iteration : int
        From 1.
    log_likelihood : float
        Mean of a row (nats), of the parameters before this iteration's M-step; with a prior, and the logarithm of its
        density.
    change : float
        Of log_likelihood since the iteration before; inf in the first.
    parameters : cgmm.parameters.Parameters
        After the M-step: weights (k,), means (k, d) and covariances, read-only.
    restart : int
        From 0.
    """

    iteration: int
    log_likelihood: float
    change: float
    parameters: Parameters
    restart: int = 0


@dataclass(frozen=True, eq=False)
class Fit:
    """One run of EM from one start.

    n_k : (k,) Σ_i w_i r_ic of the last E-step, or None;  repairs : each first of its component and cause
    singular, starved : components whose covariance was held from below in the last M-step, to which no row belonged
    """

    parameters: Parameters
    lower_bounds: Array
    converged: bool
    n_k: Array | None = None
    repairs: tuple[Repair, ...] = ()
    singular: tuple[int, ...] = ()
    starved: tuple[int, ...] = ()
    stopped: bool = False

    def __post_init__(self) -> None:
        for array in (self.lower_bounds, self.n_k):
            if array is not None:
                array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Fit, tuple(vars(self).values())

    @property
    def lower_bound(self) -> float:
        return self.lower_bounds[-1] if len(self.lower_bounds) else -np.inf

    @property
    def degenerate(self) -> tuple[Repair, ...]:
        """What a user is to be told of: what is not as EM alone would have it at the end."""
        lasting = {SINGULAR: self.singular, EMPTIED: self.starved}
        return tuple(
            repair
            for repair in self.repairs
            if repair.row is not None or repair.component in lasting.get(repair.cause, ())
        )


class Stage(NamedTuple):
    """A run of EM between two iterations: all that the next ones depend on.

    before : parameters of the iteration before;  singular : as of Fit;  probes, pays : of Pruning
    starving, done : of Reseeding;  double : float32 rows have become float64
    """

    parameters: Parameters
    before: Parameters
    lower_bounds: Array
    n_k: Array | None
    repairs: tuple[Repair, ...]
    singular: tuple[int, ...]
    probes: int
    pays: bool
    starving: tuple[int, ...]
    done: tuple[int, ...]
    double: bool

    @classmethod
    def first(cls, parameters: Parameters, repairs: Sequence[Repair], double: bool) -> Stage:
        """That of a run which begins at parameters that had to be repaired so."""
        singular = tuple(repair.component for repair in repairs if repair.cause == SINGULAR)
        return cls(parameters, parameters, np.empty(0), None, tuple(repairs), singular, 0, False, (), (), double)


def maximise(
    statistics: SufficientStatistics,
    family: AnyFamily,
    previous: Parameters | None = None,
    settings: Settings | None = None,
    iteration: int = 0,
) -> tuple[Parameters, list[Repair]]:
    """The M-step: parameters from statistics, and what had to be repaired.

    A component without rows keeps its previous mean and covariance, with weight zero. A prior counts as rows.
    """
    settings = settings or Settings()
    fixed, prior = settings.fixed, settings.prior
    last: Any = previous  # there is one where something is fixed
    n_k, first, second, shift = statistics.n_k, statistics.first, statistics.second, statistics.shift
    d = shift.shape[1]
    weights, mass, counts, empty = n_k, n_k, family.counts(n_k, d), statistics.empty
    if prior is not None:
        weights, mass, first, second, counts = prior.join(statistics, family)
        empty = (mass < EMPTY).nonzero()[0]
    repairs = [Repair(iteration, int(c), EMPTIED) for c in empty]
    if len(empty):
        mass, counts = np.maximum(mass, EMPTY), np.maximum(counts, EMPTY)
    offsets, means, covariances = _kernels.central_moments(family.moment, mass, np.ravel(counts), first, second, shift)
    weights = _shares(weights, last and last.weights, fixed.weights)
    if len(empty) and previous is not None:
        means[empty] = previous.means[empty]
    if fixed.means is not None:
        means[fixed.means] = last.means[fixed.means]
    if fixed.covariances is not None and fixed.covariances.all():
        return Parameters(family, weights, means, last.covariances, last.root), repairs
    if fixed.means is not None:
        covariances += family.scatter(mass, np.where(fixed.means[:, None], offsets - (means - shift), 0.0)) / counts
    if len(empty):
        covariances = family.keep(covariances, empty, last and last.covariances)
    least = degenerate.exact_to(settings.floor(d), offsets, means, settings.eps)
    covariances, root, held = family.hold(covariances, least, settings.reg_covar, threads(settings.n_threads))
    if fixed.covariances is not None:
        held = [c for c in held if not fixed.covariances[c]]
        covariances[fixed.covariances] = last.covariances[fixed.covariances]
        root[fixed.covariances] = last.root[fixed.covariances]
    repairs += [Repair(iteration, c, SINGULAR) for c in held]
    return Parameters(family, weights, means, covariances, root), repairs


def _shares(n_k: Array, previous: Any, fixed: Mask | None) -> Array:
    """Weights (k,) in proportion to n_k, but for those that are fixed."""
    if fixed is None:
        return n_k / _kernels.total(n_k)
    weights = np.where(fixed, previous, 0.0)
    free = np.where(fixed, 0.0, n_k)
    if free.sum() < EMPTY:
        return previous
    return weights + max(1.0 - weights.sum(), 0.0) * free / free.sum()


def run(
    data: Data,
    parameters: Parameters,
    settings: Settings,
    lower_bound: float = -np.inf,
    repairs: Sequence[Repair] = (),
    observe: Observer | None = None,
    checkpoint: Checkpoint | None = None,
) -> Fit:
    """EM from `parameters` until the mean log-likelihood changes by less than tol.

    `lower_bound` is that of an earlier run which this one continues; `repairs` those of the start. `observe` is
    called with the iteration's number, mean log-likelihood, change and parameters, and stops the run by
    returning True. `checkpoint` is told of each Stage; from its own, if it has one, the run goes on.
    """
    stage = checkpoint.stage if checkpoint else None
    state = _Run(data, settings, stage or Stage.first(parameters, repairs, data.dtype == np.float64), lower_bound)
    watched = observe is not None or checkpoint is not None
    while not state.converged and not state.stopped and len(state.lower_bounds) < settings.max_iter:
        if not watched and state.leap():
            continue
        change = state.iterate()
        if observe is not None and change is not None:
            state.stopped = observe(len(state.lower_bounds), state.lower_bound, change, state.parameters)
        if checkpoint is not None and not (state.converged or state.stopped):
            checkpoint.keep(state.stage())
    return state.fit()


class _Run:
    """EM between two iterations."""

    def __init__(self, data: Data, settings: Settings, stage: Stage, lower_bound: float) -> None:
        self.data, self.settings = data, settings
        self.parameters, self.before, self.n_k, self.singular = (
            stage.parameters,
            stage.before,
            stage.n_k,
            stage.singular,
        )
        self.found = {(repair.component, repair.cause): repair for repair in stage.repairs}
        self.lower_bounds = stage.lower_bounds.tolist()
        self.lower_bound = self.lower_bounds[-1] if self.lower_bounds else lower_bound
        self.converged = self.stopped = False
        self.pruning = Pruning(data, possible=settings.prune)
        self.pruning.iteration, self.pruning.pays = stage.probes, stage.pays
        self.reseeding = degenerate.Reseeding(data.n, settings)
        self.reseeding.starving, self.reseeding.done = frozenset(stage.starving), set(stage.done)
        if data.dtype == np.float32:
            self.settings = settings._replace(eps=float(np.finfo(np.float32).eps))
            self._widen(stage.double)
        self._ordinary: Ordinary | None = None
        self._leaps = True

    def _widen(self, needed: bool) -> None:
        """Float32 rows become float64."""
        if needed and self.data.dtype == np.float32:
            self.data, self.settings = self.data.widened(), self.settings._replace(eps=degenerate.EPS)
            self._ordinary, self._leaps = None, True

    def leap(self) -> bool:
        """Some ordinary iterations at once; whether there may be more, or one that is not ordinary is next."""
        if not self._leaps or self.reseeding.starving:
            return False
        self._ordinary = self._ordinary or Ordinary.of(self.data, self.parameters, self.settings)
        if self._ordinary is None:
            self._leaps = False
            return False
        left = self.settings.max_iter - len(self.lower_bounds)
        steps = self._ordinary.advance(self.parameters, self.lower_bound, left)
        self.data.begun[0] += len(steps.lower_bounds)
        if len(steps.lower_bounds):
            done, last = len(self.lower_bounds), len(steps.lower_bounds) - 1
            for at, c in steps.held:
                self.found.setdefault((c, SINGULAR), Repair(done + at + 1, c, SINGULAR))
            self.singular = tuple(c for at, c in steps.held if at == last)
            self.parameters, self.before, self.n_k = steps.parameters, steps.before, steps.n_k
            self.lower_bounds += steps.lower_bounds.tolist()
            self.lower_bound, self.converged = self.lower_bounds[-1], steps.converged
        return not steps.met

    def iterate(self) -> float | None:
        """One iteration, and the change of the log-likelihood; None, and the iteration before, where only rounding is
        left."""
        self._widen(self.data.dtype == np.float32 and self.parameters.needs_double)
        settings, parameters = self.settings, self.parameters
        statistics = self.data.statistics(parameters, settings.n_threads, self.pruning)
        objective = statistics.lower_bound
        if settings.prior is not None:
            objective += max(settings.prior.log_density(parameters) / statistics.total_weight, degenerate.LEAST_LOG)
        change = objective - self.lower_bound
        fell = change < -degenerate.ROUNDING * max(1.0, abs(objective))
        if fell and self.lower_bounds and (self.singular or parameters.reach > degenerate.MOST_EXACT):
            self.parameters, self.converged = self.before, True
            return None
        self.lower_bound, self.n_k, self.before = objective, statistics.n_k, parameters
        self.lower_bounds.append(objective)
        iteration = len(self.lower_bounds)
        self.parameters, held = maximise(statistics, parameters.family, parameters, settings, iteration)
        starved = self.reseeding.due(statistics)
        begun: list[Repair] = []
        if starved and not self.reseeding.possible:
            begun = [Repair(iteration, c, EMPTIED) for c in starved]
        elif starved:
            self.parameters, begun = reseed(self.data, self.parameters, settings, starved, iteration)
        for repair in held + begun:
            self.found.setdefault((repair.component, repair.cause), repair)
        self.singular = tuple(repair.component for repair in held if repair.cause == SINGULAR)
        self.converged = bool(abs(change) < settings.tol and not begun)
        return change

    def stage(self) -> Stage:
        return Stage(
            self.parameters,
            self.before,
            np.array(self.lower_bounds),
            self.n_k,
            tuple(self.found.values()),
            self.singular,
            self.pruning.iteration,
            self.pruning.pays,
            tuple(sorted(self.reseeding.starving)),
            tuple(sorted(self.reseeding.done)),
            self.data.dtype == np.float64,
        )

    def fit(self) -> Fit:
        repairs, starved = tuple(self.found.values()), tuple(sorted(self.reseeding.starving))
        history = np.array(self.lower_bounds)
        return Fit(
            self.parameters, history, self.converged, self.n_k, repairs, self.singular, starved, bool(self.stopped)
        )


def reseed(
    data: Data,
    parameters: Parameters,
    settings: Settings,
    starved: list[int],
    iteration: int,
) -> tuple[Parameters, list[Repair]]:
    """Parameters with the starved components begun again at the rows that are explained worst; and Repairs.

    Where some iterations from there do not raise the likelihood, the parameters stay as they are.
    """
    rows, indices, before = data.worst(parameters, len(starved), settings.n_threads)
    starved, left = starved[: len(rows)], starved[len(rows) :]
    begun = degenerate.begin_at_rows(rows, parameters, starved, settings.floor(data.d))
    ahead = run(data, begun, settings._replace(max_iter=degenerate.LOOK_AHEAD, tol=0.0, reseed=False))
    if not ahead.lower_bound > before + degenerate.LEAST_GAIN * max(1.0, abs(before)):
        return parameters, [Repair(iteration, c, EMPTIED) for c in starved + left]
    cause = "no row belonged to it, and it began again at row {}"
    moved = [Repair(iteration, c, cause.format(row), int(row)) for c, row in zip(starved, indices, strict=True)]
    return ahead.parameters, moved + [Repair(iteration, c, EMPTIED) for c in left]
