"""Restarts: many starts of different kinds, run short; only the promising are carried to convergence."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.em.loop import run
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.fit.split_merge import closeness, merge, split, split_and_merge

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.em.checkpoint import Checkpoint
    from cgmm.em.settings import Settings
    from cgmm.em.stage import Fit
    from cgmm.fit.report import Reporter
    from cgmm.fit.starts import Method
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Repair
    from cgmm.rows.data import Data
    from cgmm.types import Array, Rows

# A further start takes SHORT iterations on a sample of the rows; one in CARRIED of them is carried on with all rows.
SHORT = 10
CARRIED = 4
# With SPLIT_FROM starts or more, one in SPLIT is the best fit so far, two of its components merged and a third split.
SPLIT = 4
SPLIT_FROM = 5
# Of the splits, or mergers, of another fit the NEAR most promising are tried, with TRIED iterations each.
NEAR = 6
TRIED = 5
# A fit leans on reg_covar if that is more than this share of a variance: without it there might be no maximum there.
LEANING = 0.25


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
    family: Family
    kinds: Mapping[str, Method]


class Search:
    """The starts of one fit, and the best of their fits.

    The first start is run to its end, so that more starts never end worse than one.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        rng: np.random.Generator,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self.problem, self.settings, self.rng, self.reporter = problem, settings, rng, reporter
        self.checkpoint, self.runs = checkpoint, 0
        self.restarts: list[Restart] = []
        self.best: Fit  # of those that were carried
        self.winner, self.stopped = 0, False
        self._sample: Data | None = None

    def sample(self) -> Data:
        """The rows that starts look at."""
        if self._sample is None:
            data = self.problem.data
            self._sample = data.sample(starts.sample_size(self.problem.k, data.d), self.rng)
        return self._sample

    def begin(
        self, method: Method, given: Mapping[str, Array], rows: Data | None = None
    ) -> tuple[Parameters, list[Repair]]:
        """Parameters by a method and what is given, from the sample or those rows; and what had to be repaired."""
        problem = self.problem
        rules = self.settings.rules
        return starts.start(rows or self.sample(), problem.k, problem.family, method, self.rng, rules, given)

    def carry(self, kind: str, parameters: Parameters, repairs: Sequence[Repair], lower_bound: float = -np.inf) -> None:
        """Run EM to its end, and keep it if it is the best."""
        self.reporter.begin(len(self.restarts))
        fit = self._run(Stage.first(parameters, repairs, lower_bound))
        self.reporter.end(fit)
        self.stopped = fit.stopped
        if not self.restarts or self.rank(fit) > self.rank(self.best):
            self.best, self.winner = fit, len(self.restarts)
        history = fit.lower_bounds
        self.restarts.append(
            Restart(
                kind=kind,
                log_likelihood=fit.lower_bound,
                n_iter=len(history),
                converged=fit.converged,
                carried=True,
                lower_bounds=history,
            )
        )

    def _run(self, start: Stage) -> Fit:
        """Run EM from there; or go on where the checkpoint has it, which may be the end."""
        data, observe, kept = self.problem.data, self.reporter.observe, self.checkpoint
        if kept is None:
            return run(data, start, self.settings, observe)
        fit = kept.finished(self.runs)
        self.runs += 1
        if fit is None:
            fit = run(data, kept.stage or start, self.settings, observe, kept.keep)
            kept.finish(fit)
        return fit

    def rank(self, fit: Fit) -> tuple[bool, bool, float]:
        """Fits that hold a covariance from below, or lost a component, stand below those that lean on reg_covar for a
        variance; and these below those that do not."""
        return not fit.degenerate, not self.leans(fit.parameters), fit.lower_bound

    def leans(self, parameters: Parameters) -> bool:
        """Whether reg_covar is much of a variance: without it the likelihood would have no bound there."""
        return bool(self.settings.rules.reg_covar > LEANING * parameters.family.least_left(parameters.root))

    def further(self, count: int, given: Mapping[str, Array], rows: Data | None = None) -> None:
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

    def _fresh(self, count: int, given: Mapping[str, Array], rows: Data | None) -> None:
        tries = []
        for kind, method in islice(cycle(self.problem.kinds.items()), count):
            tries.append((self._short(*self.begin(method, given, rows)), kind))
        tries.sort(key=lambda tried: self.rank(tried[0]), reverse=True)
        for at, (short, kind) in enumerate(tries):
            if at < -(-count // CARRIED) and not self.stopped:
                self.carry(kind, short.parameters, [r._replace(iteration=0) for r in short.repairs if r.row is None])
            else:
                self.restarts.append(
                    Restart(
                        kind=kind,
                        log_likelihood=short.lower_bound,
                        n_iter=0,
                        converged=short.converged,
                        carried=False,
                        lower_bounds=np.empty(0),
                    )
                )

    def _short(self, start: Parameters, repairs: Sequence[Repair] = (), iterations: int = SHORT) -> Fit:
        settings = self.settings._replace(max_iter=min(iterations, self.settings.max_iter))
        return run(self.sample(), Stage.first(start, repairs), settings)

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
        least = self.settings.rules.floor(more.d)
        order = np.argsort(-closeness(more, least), kind="stable")[: min(NEAR, more.k * (more.k - 1) // 2)]
        starts = (merge(more, *divmod(int(pair), more.k), least) for pair in order)
        short = max((self._short(start, iterations=TRIED) for start in starts), key=self.rank)
        self.carry(f"merger of {more.k} components", short.parameters, [])

    def _best_split(self, parameters: Parameters) -> Fit:
        limits, order = self._limits(), np.argsort(-parameters.weights, kind="stable")[:NEAR]
        return max((self._short(split(parameters, c, *limits), iterations=TRIED) for c in order), key=self.rank)

    def _limits(self) -> tuple[Array, tuple[Rows, Rows]]:
        """The least variances (d,), and the least and largest row (d,) between which a split leaves means."""
        rows = self.sample().completed().part.rows
        return self.settings.rules.floor(rows.shape[1]), (rows.min(axis=0), rows.max(axis=0))
