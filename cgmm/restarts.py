"""Restarts: many starts of different kinds, run short; only the promising are carried to convergence."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import em, initialize, matrices
from cgmm.parameters import Parameters
from cgmm.statistics import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.checkpoint import Checkpoint
    from cgmm.covariance import AnyFamily
    from cgmm.data import Data, InMemory
    from cgmm.degenerate import Repair
    from cgmm.report import Reporter
    from cgmm.types import Array, Mask, Method, Rows

SHORT = 10  # iterations of a start that may be carried on
CARRIED = 4  # one in so many starts is
SPLIT = 4  # and one in so many is a split and a merger of the best fit so far
SPLIT_FROM = 5  # starts; with fewer there is none
NEAR = 6  # splits or mergers of another fit that are tried
TRIED = 5  # iterations of each
LEANING = 0.25  # share of reg_covar in a variance


class Restart(NamedTuple):
    """What became of one start of a fit.

    Attributes
    ----------
    kind : str
        Where it began, see ``init_params``; "split and merge" of the best fit before it.
    log_likelihood : float
        Mean of a row (nats), at the end, or where it was given up (there of a sample of many rows).
    n_iter : int
        Iterations of all rows.
    converged : bool
    carried : bool
        Whether it was carried on until it converged or max_iter ended it.
    lower_bounds : ndarray (n_iter,)
        Mean log-likelihood of a row (nats) in each of them.
    """

    kind: str
    log_likelihood: float
    n_iter: int
    converged: bool
    carried: bool
    lower_bounds: Array


class Problem(NamedTuple):
    """What is to be fitted: rows and their weights, components, family, and where starts come from, by their kinds."""

    data: Data
    k: int
    family: AnyFamily
    kinds: Mapping[str, Method]


class Search:
    """The starts of one fit, and the best of their fits.

    The first start is run to its end, so that more starts never end worse than one.
    """

    def __init__(
        self,
        problem: Problem,
        settings: em.Settings,
        rng: np.random.Generator,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.problem, self.settings, self.rng, self.reporter = problem, settings, rng, reporter
        self.checkpoint, self.runs = checkpoint, 0
        self.restarts: list[Restart] = []
        self.best: em.Fit  # of those that were carried
        self.winner, self.stopped = 0, False
        self._sample: InMemory | None = None

    def sample(self) -> InMemory:
        """The rows that starts look at."""
        if self._sample is None:
            data = self.problem.data
            self._sample = data.sample(initialize.sample_size(self.problem.k, data.d), self.rng)
        return self._sample

    def begin(
        self, method: Method, given: Mapping[str, Array], rows: InMemory | None = None
    ) -> tuple[Parameters, list[Repair]]:
        """Parameters by a method and what is given, from the sample or those rows; and what had to be repaired."""
        problem = self.problem
        return initialize.start(
            rows or self.sample(), problem.k, problem.family, method, self.rng, self.settings, given
        )

    def carry(self, kind: str, parameters: Parameters, repairs: Sequence[Repair], lower_bound: float = -np.inf) -> None:
        """Run EM to its end, and keep it if it is the best."""
        self.reporter.begin(len(self.restarts))
        fit = self.checkpoint.finished(self.runs) if self.checkpoint else None
        self.runs += 1
        if fit is None:
            fit = em.run(
                self.problem.data,
                parameters,
                self.settings,
                lower_bound=lower_bound,
                repairs=repairs,
                observe=self.reporter.observe,
                checkpoint=self.checkpoint,
            )
            if self.checkpoint:
                self.checkpoint.finish(fit)
        self.reporter.end(fit)
        self.stopped = fit.stopped
        if not self.restarts or self.rank(fit) > self.rank(self.best):
            self.best, self.winner = fit, len(self.restarts)
        history = fit.lower_bounds
        self.restarts.append(Restart(kind, fit.lower_bound, len(history), fit.converged, True, history))

    def rank(self, fit: em.Fit) -> tuple[bool, bool, float]:
        """Fits that hold a covariance from below, or lost a component, stand below those that lean on reg_covar for a
        variance; and these below those that do not."""
        return not fit.degenerate, not self.leans(fit.parameters), fit.lower_bound

    def leans(self, parameters: Parameters) -> bool:
        """Whether reg_covar is much of a variance: without it the likelihood would have no bound there."""
        return bool(self.settings.reg_covar > LEANING * parameters.family.least_left(parameters.root))

    def further(self, count: int, given: Mapping[str, Array], rows: InMemory | None = None) -> None:
        """`count` more starts: of the problem's kinds in turn, and of the best fit, split and merged.

        rows : those from which the kinds' methods start, if not from the sample
        """
        if len(given) == 3 and not any(np.isnan(value).any() for value in given.values()):
            return  # they would all be the same
        splits = count // SPLIT if count + 1 >= SPLIT_FROM and not given and self.problem.k > 1 else 0
        if count and not self.stopped:
            self._fresh(count - splits, given, rows)
        for _ in range(splits):
            if not self.stopped:
                self._split_and_merge()

    def _fresh(self, count: int, given: Mapping[str, Array], rows: InMemory | None) -> None:
        tries = []
        for kind, method in islice(cycle(self.problem.kinds.items()), count):
            tries.append((self._short(*self.begin(method, given, rows)), kind))
        tries.sort(key=lambda tried: self.rank(tried[0]), reverse=True)
        for at, (short, kind) in enumerate(tries):
            if at < -(-count // CARRIED) and not self.stopped:
                self.carry(kind, short.parameters, [r._replace(iteration=0) for r in short.repairs if r.row is None])
            else:
                self.restarts.append(Restart(kind, short.lower_bound, 0, short.converged, False, np.empty(0)))

    def _short(self, start: Parameters, repairs: Sequence[Repair] = (), iterations: int = SHORT) -> em.Fit:
        settings = self.settings._replace(max_iter=min(iterations, self.settings.max_iter))
        return em.run(self.sample(), start, settings, repairs=repairs)

    def _split_and_merge(self) -> None:
        start = split_and_merge(self.best.parameters, *self._limits(), self.rng)
        self.carry("split and merge", self._short(start).parameters, [])

    def split_of(self, fewer: Parameters) -> None:
        """One more start: the best of the splits of a mixture of one component fewer."""
        self.carry(f"split of {fewer.k} components", self._best_split(fewer).parameters, [])

    def merger_of(self, more: Parameters | None = None) -> None:
        """One more start: the best of the mergers of a mixture of one component more; by default, of a
        split of the best fit."""
        if more is None:
            more = self._best_split(self.best.parameters).parameters
        least = self.settings.floor(more.d)
        order = np.argsort(-_closeness(more, least), kind="stable")[: min(NEAR, more.k * (more.k - 1) // 2)]
        starts = (merge(more, *divmod(int(pair), more.k), least) for pair in order)
        short = max((self._short(start, iterations=TRIED) for start in starts), key=self.rank)
        self.carry(f"merger of {more.k} components", short.parameters, [])

    def _best_split(self, parameters: Parameters) -> em.Fit:
        limits, order = self._limits(), np.argsort(-parameters.weights, kind="stable")[:NEAR]
        return max((self._short(split(parameters, c, *limits), iterations=TRIED) for c in order), key=self.rank)

    def _limits(self) -> tuple[Array, tuple[Rows, Rows]]:
        """The least variances (d,), and the least and largest row (d,) between which a split leaves means."""
        rows = self.sample().completed
        return self.settings.floor(rows.d), (rows.X.min(axis=0), rows.X.max(axis=0))


def split_and_merge(
    parameters: Parameters, least: Array, bounds: tuple[Rows, Rows], rng: np.random.Generator
) -> Parameters:
    """Two components of a mixture merged into one, and a third split along its longest axis (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000), near pairs drawn the more often.

    Of two components, the lighter is dropped and the heavier split. Arguments as of `split`.
    """
    k = parameters.k
    closeness = _closeness(parameters, least)
    a, b = divmod(int(rng.choice(k * k, p=closeness / closeness.sum())), k)
    if k == 2:
        heavier = [int(parameters.weights.argmax())]
        covariances = parameters.family.take(parameters.covariances, heavier)
        return split(_of(parameters, np.ones(1), parameters.means[heavier], covariances, least), 0, least, bounds)
    merged = merge(parameters, a, b, least)
    p = merged.weights[:-1] + 1e-3
    return split(merged, int(rng.choice(k - 2, p=p / p.sum())), least, bounds)


def merge(parameters: Parameters, a: int, b: int, least: Array) -> Parameters:
    """The mixture with components a and b as one, the last, of their mean and covariance."""
    others = matrices.all_but(parameters.k, [a, b])
    weights, means = parameters.weights, parameters.means
    weight = weights[a] + weights[b]
    share, gap = weights[a] / max(weight, EMPTY), means[a] - means[b]
    covariance = share * _one(parameters, a) + (1 - share) * _one(parameters, b)
    covariance += share * (1 - share) * gap[:, None] * gap
    return _of(
        parameters,
        np.append(weights[others], weight),
        np.vstack([means[others], share * means[a] + (1 - share) * means[b]]),
        _with(parameters, others, [covariance]),
        least,
    )


def split(parameters: Parameters, c: int, least: Array, bounds: tuple[Rows, Rows]) -> Parameters:
    """The mixture with component c as two, the last, along its longest axis.

    least : (d,) below it no variance falls;  bounds : (d,) and (d,), between which means stay: those of the rows
    """
    others = matrices.all_but(parameters.k, [c])
    weights, means = parameters.weights, parameters.means
    whole = _one(parameters, c)
    values, axes = matrices.eigh(whole)
    step = np.sqrt(max(values[-1], 0.0) / 2) * axes[:, -1]
    halves = np.clip([means[c] - step, means[c] + step], *bounds)
    return _of(
        parameters,
        np.append(weights[others], [weights[c] / 2, weights[c] / 2]),
        np.vstack([means[others], halves]),
        _with(parameters, others, [whole - step[:, None] * step] * 2),
        least,
    )


def _closeness(parameters: Parameters, least: Array) -> Array:
    """How close each pair of components is (k·k,), in units of the spread within; zero for all but a < b."""
    k = parameters.k
    variances = parameters.family.variances(parameters.covariances, k, parameters.d)
    spread = np.sqrt(np.einsum("c,cj->j", parameters.weights, variances))
    scaled = parameters.means / np.maximum(spread, np.sqrt(least))
    return np.triu([1.0 / (1e-3 + ((scaled - scaled[c]) ** 2).sum(axis=1)) for c in range(k)], 1).ravel()


def _of(like: Parameters, weights: Array, means: Array, covariances: Array, least: Array) -> Parameters:
    return Parameters.held(like.family, weights / weights.sum(), means, np.array(covariances), least)


def _one(parameters: Parameters, c: int) -> Array:
    """The covariance (d,d) of a component."""
    family, d = parameters.family, parameters.d
    return family.expand(family.take(parameters.covariances, [c]), 1, d)[0]


def _with(parameters: Parameters, others: Mask, more: list[Array]) -> Array:
    """The covariances of those components and, nearest to more (d,d), of the family; a shared one stays."""
    family = parameters.family
    if not family.per_component:
        return parameters.covariances
    return np.concatenate([parameters.covariances[others], [family.compact(full) for full in more]])
