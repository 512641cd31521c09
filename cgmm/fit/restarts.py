"""Restarts: one start after the other, each the best of a brood run short; how many is asked for, or found out."""

from __future__ import annotations

from itertools import count, cycle, islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.em.loop import run
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.fit.moves import MOVES, Ground
from cgmm.fit.pool import SAME, Pool
from cgmm.fit.split_merge import closeness, merge, split
from cgmm.rows.outlying import among_others

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cgmm.em.checkpoint import Checkpoint
    from cgmm.em.settings import Settings
    from cgmm.em.stage import Fit
    from cgmm.fit.report import Reporter
    from cgmm.fit.starts import Method
    from cgmm.mixture.noise import Noise
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Repair
    from cgmm.mixture.target import Target
    from cgmm.rows.data import Data
    from cgmm.types import Array, Mask, Rows, Starts

# Candidates of a brood that is fresh, and of one that is made of good fits, which cost less to make.
FRESH = 4
MADE = 16
# The candidates of a brood take SHORT iterations on a sample of the rows; the best of them, one in KEPT, go on for
# twice as many, until one is left.
SHORT = 10
KEPT = 4
# The first FRESH_FIRST further starts are fresh, and then each FRESH_EACH-th: these are independent of each other, and
# what they find again and again is likely to be the best.
FRESH_FIRST = 3
FRESH_EACH = 3
# Where starts work on a sample, and a run on all rows costs more than they do, one is carried on if it is among the
# best of the starts so far, 1 / CARRIED of them.
CARRIED = 2
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
        Where it began, see ``init_params``; or how it was made of good fits before it, as "split and merge".
    log_likelihood : float
        Mean of a row (nats), at the end, or where it was given up (there of a sample of many rows). Of a BayesianGMM
        the lower bound of these rows.
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
    """What is to be fitted: rows and their weights, components, what is to be learnt of them, and where starts come
    from, by their kinds; and the noise beside the components, if there is to be one."""

    data: Data
    k: int
    target: Target
    kinds: Mapping[str, Method]
    noise: Noise | None = None


class Search:
    """The starts of one fit, and the best of their fits.

    The first start is run to its end. What the others do depends on those before them alone, not on how many there
    will be: so the fit of more starts is never less likely than that of fewer.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        rng: np.random.Generator,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
        sound: bool = False,
    ) -> None:
        """sound : the best is that of the highest rank, though an earlier fit may be more likely"""
        self.sound = sound
        self.problem, self.settings, self.rng, self.reporter = problem, settings, rng, reporter
        self.checkpoint, self.runs = checkpoint, 0
        self.restarts: list[Restart] = []
        self.best: Fit  # of those that were carried
        self.winner, self.stopped = 0, False
        self._pool = Pool(max(settings.rows * SAME, settings.tol))
        self._not_noise: Mask | None = None
        self._last_noise = problem.noise
        self._untaken: list[tuple[Fit, bool]] = []  # fits that the pool has not looked at, and whether they are fresh
        self._raced: list[tuple[bool, bool, float]] = []
        self._sample: Data | None = None

    @property
    def watched(self) -> bool:
        """Whether somebody looks at each iteration, or it is kept."""
        return self.reporter.observe is not None or self.checkpoint is not None

    def sample(self) -> Data:
        """The rows that starts look at."""
        if self._sample is None:
            data = self.problem.data
            self._sample = data.sample(starts.sample_size(self.problem.k, data.d), self.rng)
        return self._sample

    def begin(
        self,
        method: Method,
        given: Mapping[str, Array],
        rows: Data | None = None,
        rng: np.random.Generator | None = None,
        labelled: bool = False,
        cleaned: bool = True,
    ) -> tuple[Parameters, list[Repair]]:
        """Parameters by a method and what is given, from the sample or those rows; and what had to be repaired.

        labelled : as of starts.start
        cleaned : where there is to be noise, the method sees those rows of the sample that lie among others
        """
        problem, rules = self.problem, self.settings.rules
        inner = self._inner() if cleaned and rows is None and problem.noise is not None else None
        place, rng = rows or self.sample(), rng or self.rng
        return starts.start(place, problem.k, problem.target, method, rng, rules, given, labelled, problem.noise, inner)

    def begin_first(
        self, method: Method, given: Mapping[str, Array], rows: Data | None = None
    ) -> tuple[Parameters, list[Repair]]:
        """As begin, of the first start.

        Where there is to be noise, it is that of two, with rows that lie alone and without them, which is more likely
        after a short run: where there is little noise, those are rows of clusters.
        """
        first = self.begin(method, given, rows)
        if rows is not None or self.problem.noise is None:
            return first
        other = self.begin(method, given, cleaned=False)
        ranks = [self.rank(self._short(*start, SHORT)) for start in (first, other)]
        return other if ranks[1] > ranks[0] else first

    def _inner(self) -> Mask:
        """The rows of the sample that are likely to belong to a component."""
        if self._not_noise is None:
            self._not_noise = among_others(self.sample().completed().part)
        return self._not_noise

    def _at(self, parameters: Parameters) -> Parameters:
        """Where a run begins at these parameters: beside the noise that is asked for, which weighs what it does in
        them, or in the best fit."""
        noise, known = self.problem.noise, parameters.noise or self._last_noise
        noise = noise if noise is None or known is None else noise.weighing(known.weight)
        return self.problem.target.at(parameters.beside(noise))

    def carry(
        self,
        kind: str,
        parameters: Parameters,
        repairs: Sequence[Repair],
        lower_bound: float = -np.inf,
        fresh: bool = False,
    ) -> None:
        """Run EM to its end, and keep it if it is the best.

        fresh : the start is independent of the fits before it
        """
        self.reporter.begin(len(self.restarts))
        fit = self._run(Stage.first(self._at(parameters), repairs, lower_bound))
        self.reporter.end(fit)
        self.enter(kind, fit, fresh)

    def enter(self, kind: str, fit: Fit, fresh: bool = False) -> None:
        """A start that has been run to its end; it is kept if it is the best."""
        self.stopped = fit.stopped
        if not self.restarts or self._betters(fit):
            self.best, self.winner = fit, len(self.restarts)
            self._last_noise = fit.parameters.noise
        self._untaken.append((fit, fresh))
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

    @property
    def pool(self) -> Pool:
        """The good fits so far: looked at when further starts are to be made, and not where there is one."""
        for fit, fresh in self._untaken:
            self._pool.take(fit, sound=all(self.rank(fit)[:2]), fresh=fresh)
        self._untaken.clear()
        return self._pool

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

    def _betters(self, fit: Fit) -> bool:
        """Whether a fit is to take the place of the best: it is more likely, and of no lower rank otherwise.

        One that is degenerate gives way to any that is not: its likelihood is the floor's choice, not the rows'.
        """
        if self.sound:
            return self.rank(fit) > self.rank(self.best)
        (*kind, likelihood), (*best, highest) = self.rank(fit), self.rank(self.best)
        return (kind[0] and not best[0]) or (kind >= best and likelihood > highest)

    def leans(self, parameters: Parameters) -> bool:
        """Whether reg_covar is much of a variance: without it the likelihood would have no bound there."""
        return bool(self.settings.rules.reg_covar > LEANING * parameters.family.least_left(parameters.root))

    def further(self, n_init: Starts, given: Mapping[str, Array], rows: Data | None = None) -> None:
        """More starts, up to n_init in all, or until the pool has had enough.

        rows : those from which the kinds' methods start, if not from the sample
        """
        if len(given) == 3 and not any(np.isnan(value).any() for value in given.values()):
            return  # they would all be the same
        if n_init == 1 or self._all_known():
            return
        seed, kinds = int(self.rng.integers(2**63)), cycle(self.problem.kinds.items())
        for at in count(1):
            if self.stopped or (self.pool.enough(at) if n_init == "auto" else at == n_init):
                return
            rng = np.random.default_rng([seed, at])
            if (
                given
                or self.problem.data.labelled
                or at <= FRESH_FIRST
                or at % FRESH_EACH == 0
                or not self.pool.fits
                or self.problem.k == 1
            ):
                # A user's function is called once for each start, and on all rows.
                brood = enumerate(islice(kinds, FRESH if rows is None else 1), start=at)
                self._start(
                    (
                        (kind, *self.begin(method, given, rows, rng, cleaned=number % 2 == 0))
                        for number, (kind, method) in brood
                    ),
                    fresh=True,
                )
            else:
                self._start(self._made(rng), fresh=False)

    def _all_known(self) -> bool:
        """Whether the component of each row is known: then all starts lead to the same fit."""
        data = self.problem.data
        return data.labelled and not data.place.known()[-1]

    def _made(self, rng: np.random.Generator) -> Iterable[tuple[str, Parameters, Sequence[Repair]]]:
        """A brood made of good fits."""
        ground = Ground(self.sample().completed().part, self.settings.rules.floor(self.problem.data.d), rng)
        for kind, move in islice(cycle(MOVES.items()), MADE):
            yield kind, move(self.pool.fits, ground), ()

    def _start(self, brood: Iterable[tuple[str, Parameters, Sequence[Repair]]], fresh: bool) -> None:
        """The best of a brood, carried on if it is promising."""
        kind, short = self._race(brood)
        if self._promising(self.rank(short)):
            repairs = [repair._replace(iteration=0) for repair in short.repairs if repair.row is None]
            self.carry(kind, short.parameters, repairs, fresh=fresh)
            return
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
        self.pool.missed()

    def _promising(self, rank: tuple[bool, bool, float]) -> bool:
        self._raced.append(rank)
        better = sum(other > rank for other in self._raced)
        return self.sample().n == self.problem.data.n or better < -(-len(self._raced) // CARRIED)

    def _race(self, brood: Iterable[tuple[str, Parameters, Sequence[Repair]]]) -> tuple[str, Fit]:
        """The best of a brood by successive halving (Jamieson and Talwalkar 2016): each round takes twice the
        iterations, for a part of those that are left."""
        tried = [(kind, self._short(start, repairs, SHORT)) for kind, start, repairs in brood]
        iterations, left = SHORT, self.settings.max_iter - SHORT
        while True:
            tried.sort(key=lambda one: self.rank(one[1]), reverse=True)
            tried = tried[: max(1, len(tried) // KEPT)]
            if len(tried) == 1:
                return tried[0]
            iterations = min(2 * iterations, max(left, 0))
            left -= iterations
            if iterations:
                tried = [(kind, fit if fit.converged else self._on(fit, iterations)) for kind, fit in tried]

    def _on(self, fit: Fit, iterations: int) -> Fit:
        return self._short(fit.parameters, [repair for repair in fit.repairs if repair.row is None], iterations)

    def _short(self, start: Parameters, repairs: Sequence[Repair], iterations: int) -> Fit:
        settings = self.settings._replace(max_iter=min(iterations, self.settings.max_iter))
        return run(self.sample(), Stage.first(self._at(start), repairs), settings)

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
        short = max((self._short(start, (), TRIED) for start in starts), key=self.rank)
        self.carry(f"merger of {more.k} components", short.parameters, [])

    def _best_split(self, parameters: Parameters) -> Fit:
        limits, order = self._limits(), np.argsort(-parameters.weights, kind="stable")[:NEAR]
        return max((self._short(split(parameters, c, *limits), (), TRIED) for c in order), key=self.rank)

    def _limits(self) -> tuple[Array, tuple[Rows, Rows]]:
        """The least variances (d,), and the least and largest row (d,) between which a split leaves means."""
        rows = self.sample().completed().part.rows
        return self.settings.rules.floor(rows.shape[1]), (rows.min(axis=0), rows.max(axis=0))
