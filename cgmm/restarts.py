"""Restarts: many starts of different kinds, run short; only the promising are carried to convergence."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import em, initialize
from cgmm.parameters import Parameters
from cgmm.statistics import EMPTY

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.covariance import AnyFamily
    from cgmm.data import Data, InMemory
    from cgmm.degenerate import Repair
    from cgmm.report import Reporter
    from cgmm.types import Array, Method, Rows

SHORT = 10  # iterations of a start that may be carried on
CARRIED = 4  # one in so many starts is
SPLIT = 4  # and one in so many is a split and a merger of the best fit so far
SPLIT_FROM = 5  # starts; with fewer there is none


class Restart(NamedTuple):
    """What became of one start of a fit.

    kind : where it began, see ``init_params``; "split and merge" of the best fit before it
    log_likelihood : mean of a row (nats), at the end, or where it was given up (there of a sample of many rows)
    n_iter : iterations of all rows
    carried : whether it was carried on until it converged or max_iter ended it
    lower_bounds : (n_iter,) mean log-likelihood of a row in each of them
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

    def __init__(self, problem: Problem, settings: em.Settings, rng: np.random.Generator, reporter: Reporter) -> None:
        self.problem, self.settings, self.rng, self.reporter = problem, settings, rng, reporter
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
        fit = em.run(
            self.problem.data,
            parameters,
            self.settings,
            lower_bound=lower_bound,
            repairs=repairs,
            observe=self.reporter.iteration,
        )
        self.reporter.end(fit)
        self.stopped = fit.stopped
        if not self.restarts or _rank(fit) > _rank(self.best):
            self.best, self.winner = fit, len(self.restarts)
        history = fit.lower_bounds
        self.restarts.append(Restart(kind, fit.lower_bound, len(history), fit.converged, True, history))

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
        tries.sort(key=lambda tried: _rank(tried[0]), reverse=True)
        for at, (short, kind) in enumerate(tries):
            if at < -(-count // CARRIED) and not self.stopped:
                self.carry(kind, short.parameters, [r._replace(iteration=0) for r in short.repairs if r.row is None])
            else:
                self.restarts.append(Restart(kind, short.lower_bound, 0, short.converged, False, np.empty(0)))

    def _short(self, start: Parameters, repairs: Sequence[Repair] = ()) -> em.Fit:
        settings = self.settings._replace(max_iter=min(SHORT, self.settings.max_iter))
        return em.run(self.sample(), start, settings, repairs=repairs)

    def _split_and_merge(self) -> None:
        rows = self.sample()
        least, bounds = self.settings.floor(rows.d), (rows.X.min(axis=0), rows.X.max(axis=0))
        short = self._short(split_and_merge(self.best.parameters, least, bounds, self.rng))
        self.carry("split and merge", short.parameters, [])


def _rank(fit: em.Fit) -> tuple[bool, float]:
    """Fits that hold a covariance from below, or lost a component, stand below those that do not."""
    return not fit.degenerate, fit.lower_bound


def split_and_merge(
    parameters: Parameters, least: Array, bounds: tuple[Rows, Rows], rng: np.random.Generator
) -> Parameters:
    """Two components of a mixture merged into one, and a third split along its longest axis (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000), near pairs drawn the more often.

    least : (d,) below it no variance falls;  bounds : (d,) and (d,), between which means stay: those of the rows
    """
    family, k = parameters.family, parameters.k
    weights, means, covariances = (
        np.array(value) for value in (parameters.weights, parameters.means, parameters.covariances)
    )
    spread = np.sqrt(np.einsum("c,cj->j", weights, family.variances(covariances, *means.shape)))
    scaled = means / np.maximum(spread, np.sqrt(least))
    closeness = np.triu([1.0 / (1e-3 + ((scaled - scaled[c]) ** 2).sum(axis=1)) for c in range(k)], 1).ravel()
    a, b = divmod(int(rng.choice(k * k, p=closeness / closeness.sum())), k)
    others = np.setdiff1d(np.arange(k), [a, b])
    if len(others):
        p = weights[others] + 1e-3
        c = rng.choice(others, p=p / p.sum())
        share = weights[a] / max(weights[a] + weights[b], EMPTY)
        gap = means[a] - means[b]
        merged = share * _one(parameters, a) + (1 - share) * _one(parameters, b)
        _put(family, covariances, a, merged + share * (1 - share) * gap[:, None] * gap)
        means[a], weights[a] = share * means[a] + (1 - share) * means[b], weights[a] + weights[b]
    else:  # of two, one is dropped and the heavier split
        a, b = (b, a) if weights[b] > weights[a] else (a, b)
        c, weights[a] = a, weights[a] + weights[b]
    whole = _one(parameters, c)
    values, axes = np.linalg.eigh(whole)
    step = np.sqrt(max(values[-1], 0.0) / 2) * axes[:, -1]
    for part, at in ((b, means[c] - step), (c, means[c] + step)):
        means[part] = np.clip(at, *bounds)
        _put(family, covariances, part, whole - step[:, None] * step)
    weights[b] = weights[c] = weights[c] / 2
    return Parameters.held(family, weights / weights.sum(), means, covariances, least)


def _one(parameters: Parameters, c: int) -> Array:
    """The covariance (d,d) of a component."""
    family, d = parameters.family, parameters.d
    return family.expand(family.take(parameters.covariances, [c]), 1, d)[0]


def _put(family: AnyFamily, covariances: Array, c: int, full: Array) -> None:
    """Give a component the covariance of its family that is nearest to `full` (d,d); one that is shared stays."""
    if family.per_component:
        covariances[c] = family.compact(full)
