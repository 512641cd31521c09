"""Restarts: one start after the other, each the best of a brood run short; how many is asked for, or found out."""

from __future__ import annotations

from itertools import count, cycle, islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from cgmm.config import threads
from cgmm.em.abreast import Division, Outlines, Race, Round, Wanted
from cgmm.em.loop import run
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.fit.leaning import leaning, leans
from cgmm.fit.moves import Good, Ground, made
from cgmm.fit.pool import SAME, Pool
from cgmm.fit.split_merge import closeness, mergers, splits
from cgmm.mixture.parameters import n_parameters_of
from cgmm.mixture.target import Point
from cgmm.once import once
from cgmm.rows.outlying import among_others

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.em.abreast import Asking, Start, Watch
    from cgmm.em.checkpoint import Checkpoint
    from cgmm.em.settings import Settings
    from cgmm.em.stage import Fit
    from cgmm.fit.report import Reporter
    from cgmm.fit.starts import Method
    from cgmm.mixture.noise import Noise
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Repair
    from cgmm.mixture.sketches import Sketches
    from cgmm.mixture.target import Target
    from cgmm.rows.data import Data
    from cgmm.types import Array, Mask, Starts

# Candidates of a brood that is fresh, and of one that is made of good fits, which cost less to make.
FRESH = 4
MADE = 16
# Of the first EARLY starts a brood that is made of good fits has EARLY_MADE candidates for each component, if those are
# more: ten starts then ended in the best optimum of 76 problems in a hundred, with 16 in that of 67. A longer search
# took twice the time by it, and found no better optima.
EARLY = 10
EARLY_MADE = 8
# But not so many that candidates × rows of the sample × parameters are more than this: on 16 384 × 20 rows with 30
# components such a brood took 19 seconds, where a whole fit of 300 000 rows takes one.
EARLY_WORK = 15_000_000
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
# Of the splits, or mergers, of another fit the NEAR most promising are tried, in a race of these rounds. In 15
# problems, fourteen families and k to 9, one start and such neighbours left 31% of the candidates of cgmm.select short
# of the best optimum known, and two starts with six neighbours of five iterations each 33%, in 1.3 times the time.
NEAR = 9
TRIED = (Round(3, 3), Round(7, 1))


def halving(count: int, max_iter: int) -> list[Round]:
    """A race by successive halving (Jamieson and Talwalkar 2016): each round takes twice the iterations, for a part of
    the runs that are left, as long as there are some of max_iter."""
    iterations, left = min(SHORT, max_iter), max_iter - SHORT
    rounds = [Round(iterations, max(1, count // KEPT))]
    while rounds[-1].left > 1:
        iterations = min(2 * iterations, left)
        left -= iterations
        if iterations <= 0:
            rounds[-1] = Round(rounds[-1].iterations, 1)
        else:
            rounds.append(Round(iterations, max(1, rounds[-1].left // KEPT)))
    return rounds


def to_its_end(rounds: Sequence[Round], settings: Settings) -> list[Round]:
    """A race whose winner is run to its end."""
    return [*rounds, Round(settings.max_iter, 1)]


class Restart(NamedTuple):
    """What became of one start of a fit.

    Attributes
    ----------
    kind : str
        Where it began, see ``init_params``; or how it was made of good fits before it, as "split and merge".
    log_likelihood : float
        Mean log-likelihood of a row (nats), of a BayesianGMM the lower bound: of all rows if carried is true, otherwise
        of the sample on which starts work, which cannot be compared with the others.
    n_iter : int
        Iterations of all rows.
    converged : bool
    carried : bool
        Whether EM was run on all rows, to convergence or max_iter. If not, the start was given up after short runs,
        because it was not among the better half of the starts so far.
    lower_bounds : ndarray (n_iter,)
        Mean log-likelihood of a row (nats) in each of them.

    Examples
    --------
    >>> from cgmm import GMM
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> model = GMM(2, n_init=3, random_state=0).fit(X)
    >>> [restart.kind for restart in model.diagnostics_.restarts][:1]
    ['kmeans']
    """

    kind: str
    log_likelihood: float
    n_iter: int
    converged: bool
    carried: bool
    lower_bounds: Array


class Brood(NamedTuple):
    """Candidates for one start: of which kind each is, and where it begins."""

    kinds: Sequence[str]
    starts: Sequence[Start]


Rank: TypeAlias = tuple[bool, bool, float]  # see Search.rank


class Problem(NamedTuple):
    """What is to be fitted: rows and their weights, components, what is to be learnt of them, and where starts come
    from, by their kinds; and the noise beside the components, if there is to be one."""

    data: Data
    k: int
    target: Target
    kinds: Mapping[str, Method]
    noise: Noise | None = None


def split_of(k: int) -> str:
    """The kind of a start that is a split of a mixture of k components."""
    return f"split of {k} components"


def merger_of(k: int) -> str:
    """The kind of a start that is a merger of a mixture of k components."""
    return f"merger of {k} components"


class Search:
    """The starts of one fit, and the best of their fits.

    The first start is run to its end. What the others do depends on those before them alone, not on how many there
    will be: so the fit of more starts is never less likely than that of fewer.

    Its steps are generators, which ask for runs of EM and are sent their fits (cgmm.em.abreast): whoever runs them may
    make those of several searches at the same time.
    """

    def __init__(
        self,
        problem: Problem,
        settings: Settings,
        rng: np.random.Generator,
        reporter: Reporter,
        checkpoint: Checkpoint | None = None,
        sound: bool = False,
        watch: Watch | None = None,
    ) -> None:
        """sound : the best is that of the highest rank, though an earlier fit may be more likely
        watch : counts the seconds of its runs"""
        self.sound, self.watch = sound, watch
        self.problem, self.settings, self.rng, self.reporter = problem, settings, rng, reporter
        self.checkpoint, self.runs = checkpoint, 0
        self.restarts: list[Restart] = []
        self.best: Fit  # of those that were carried
        self.winner, self.stopped = 0, False
        self._rank: Rank | None = None  # of the best, once it is asked for
        self._pool = Pool(max(settings.rows * SAME, settings.tol))
        self._last_noise = problem.noise
        self._untaken: list[tuple[Fit, bool]] = []  # fits that the pool has not looked at, and whether they are fresh
        self._raced: list[Rank] = []
        self._sample: Data | None = None
        self._ground: Ground | None = None
        self._good: tuple[list[Parameters], Good] | None = None

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

    @property
    def ground(self) -> Ground:
        """Where starts are made of fits."""
        if self._ground is None:
            self._ground = Ground(self.sample().completed(), self.settings.rules.floor(self.problem.data.d))
        return self._ground

    def begin(
        self,
        method: Method,
        given: Mapping[str, Array],
        rows: Data | None = None,
        rng: np.random.Generator | None = None,
        labelled: bool = False,
        cleaned: bool = True,
    ) -> Start:
        """Where a run begins by a method and what is given, from the sample or those rows.

        labelled : as of starts.start
        cleaned : where there is to be noise, the method sees those rows of the sample that lie among others
        """
        problem, rules = self.problem, self.settings.rules
        inner = self._inner if cleaned and rows is None and problem.noise is not None else None
        place, rng = rows or self.sample(), rng or self.rng

        def stage(method: Method) -> Stage:
            options = given, labelled, problem.noise, inner
            return self.stage(*starts.start(place, problem.k, problem.target, method, rng, rules, *options))

        if given or place is not self.sample() or self.watched or not self._is_divided():
            return stage(method)
        part, family = place.completed().part, problem.target.family
        parts = method(part.rows, problem.k, rng, part.weights, threads(rules.n_threads))
        if parts.ndim > 1 or parts.min() < 0:
            return stage(starts.of_parts(parts))
        return Division(parts.astype(np.intp, copy=False), family, problem.k, lambda: stage(starts.of_parts(parts)))

    def _is_divided(self) -> bool:
        """Whether a start is the M-step of a division of the sample, and of nothing else."""
        problem, rules = self.problem, self.settings.rules
        ordinary = isinstance(problem.target, Point) and problem.target.family.compiled and rules.free
        return ordinary and problem.noise is None and not problem.data.labelled

    def stage(self, parameters: Parameters, repairs: Sequence[Repair] = (), lower_bound: float = -np.inf) -> Stage:
        """Where a run begins at these parameters, that had to be repaired so: beside the noise that is asked for, which
        weighs what it does in them, or in the best fit."""
        noise, known = self.problem.noise, parameters.noise or self._last_noise
        noise = noise if noise is None or known is None else noise.weighing(known.weight)
        return Stage.first(self.problem.target.at(parameters.beside(noise)), repairs, lower_bound)

    def begin_first(self, method: Method, given: Mapping[str, Array], rows: Data | None = None) -> Asking[Start]:
        """As begin, of the first start.

        Where there is to be noise, it is that of two, with rows that lie alone and without them, which is more likely
        after a short run: where there is little noise, those are rows of clusters.
        """
        first = self.begin(method, given, rows)
        if rows is not None or self.problem.noise is None:
            return first
        other = self.begin(method, given, cleaned=False)
        at, _ = yield from self._race([first, other], [Round(SHORT, 1)])
        return (first, other)[at]

    @once
    def _inner(self) -> Mask | None:
        """The rows of the sample that are likely to belong to a component; None if they are fewer than components."""
        part = self.sample().completed().part
        inner = among_others(part)
        weighing = inner if part.weights is None else inner & (part.weights > 0)
        return inner if np.count_nonzero(weighing) >= self.problem.k else None

    def carry(
        self,
        kind: str,
        start: Start,
        fresh: bool = False,
    ) -> Asking[None]:
        """Run EM to its end, and keep it if it is the best.

        fresh : the start is independent of the fits before it
        """
        self.reporter.begin(len(self.restarts))
        fit = yield from self._run(start)
        self.reporter.end(fit)
        self.enter(kind, fit, fresh)

    def enter(self, kind: str, fit: Fit, fresh: bool = False) -> None:
        """A start that has been run to its end; it is kept if it is the best."""
        self.stopped = fit.stopped
        if not self.restarts or self._betters(fit):
            self.best, self.winner, self._rank = fit, len(self.restarts), None
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

    def _run(self, start: Start) -> Asking[Fit]:
        """Run EM from there; or go on where the checkpoint has it, which may be the end."""
        data, observe, kept = self.problem.data, self.reporter.observe, self.checkpoint
        if not self.watched:
            return (yield [Wanted(data, [start], self.settings, self.watch)])[0][0]
        start = start.stage() if isinstance(start, Division) else start
        if kept is None:
            return run(data, start, self.settings, observe)
        fit = kept.finished(self.runs)
        self.runs += 1
        if fit is None:
            fit = run(data, kept.stage or start, self.settings, observe, kept.keep)
            kept.finish(fit)
        return fit

    def rank(self, fit: Fit) -> Rank:
        """Fits that hold a covariance from below, or lost a component, stand below those that lean on reg_covar for a
        variance; and these below those that do not."""
        return not fit.degenerate, not self.leans(fit), fit.lower_bound

    @property
    def rank_of_best(self) -> Rank:
        self._rank = self._rank or self.rank(self.best)
        return self._rank

    def _betters(self, fit: Fit) -> bool:
        """Whether a fit is to take the place of the best: it is more likely, and of no lower rank otherwise.

        One that is degenerate gives way to any that is not: its likelihood is the floor's choice, not the rows'.
        """
        if self.sound:
            return self.rank(fit) > self.rank_of_best
        (*kind, likelihood), (*best, highest) = self.rank(fit), self.rank_of_best
        return (kind[0] and not best[0]) or (kind >= best and likelihood > highest)

    def leans(self, fit: Fit) -> bool:
        """Whether reg_covar is much of a variance: without it the likelihood might have no bound there."""
        parameters, reg_covar = fit.parameters, self.settings.rules.reg_covar
        return leans(parameters.family, parameters.root, fit.masses, parameters.d, reg_covar)

    def further(self, n_init: Starts, given: Mapping[str, Array], rows: Data | None = None) -> Asking[None]:
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
                some = list(islice(kinds, FRESH if rows is None else 1))
                begun = [
                    self.begin(method, given, rows, rng, cleaned=number % 2 == 0)
                    for number, (_, method) in enumerate(some, start=at)
                ]
                yield from self._start(Brood([kind for kind, _ in some], begun), fresh=True)
            else:
                yield from self._start(self._made(rng, at), fresh=False)

    def _all_known(self) -> bool:
        """Whether the component of each row is known: then all starts lead to the same fit."""
        data = self.problem.data
        return data.labelled and not data.place.known()[-1]

    def _made(self, rng: np.random.Generator, at: int) -> Brood:
        """A brood made of good fits, for a start of that number."""
        late, k = at >= EARLY, self.problem.k
        parameters = n_parameters_of(self.problem.target.family, k, self.problem.data.d)
        count = MADE if late else max(MADE, min(EARLY_MADE * k, EARLY_WORK // (self.sample().n * parameters)))
        if self._good is None or self._good[0] is not self.pool.fits:
            self._good = self.pool.fits, Good(self.pool.fits, self.ground)
        kinds, sketches = made(self._good[1], count, rng, late)
        return Brood(kinds, self._outlined(sketches))

    def _outlined(self, sketches: Sketches) -> Sequence[Start]:
        """Where runs begin at sketches."""
        least = self.ground.least
        if self._is_divided():
            return Outlines(sketches, lambda at: self.stage(sketches.held(at, least)))
        return [self.stage(sketches.held(at, least)) for at in range(sketches.m)]

    def _start(self, brood: Brood, fresh: bool) -> Asking[None]:
        """The best of a brood, carried on if it is promising."""
        yield from self._carry_best(brood, halving(len(brood.starts), self.settings.max_iter), fresh)

    def _carry_best(
        self, brood: Brood, rounds: Sequence[Round], fresh: bool = False, sure: bool = False
    ) -> Asking[None]:
        """The winner of a race, run to its end; or given up if it is not sure, and not promising."""
        if self.sample() is self.problem.data and not self.watched:
            self.reporter.begin(len(self.restarts))
            at, fit = yield from self._race(brood.starts, to_its_end(rounds, self.settings))
            self.reporter.end(fit)
            self.enter(brood.kinds[at], fit, fresh)
            return
        at, short = yield from self._race(brood.starts, rounds)
        if sure or self._promising(self.rank(short)):
            yield from self.carry(brood.kinds[at], self._again(short), fresh)
            return
        self.restarts.append(
            Restart(
                kind=brood.kinds[at],
                log_likelihood=short.lower_bound,
                n_iter=0,
                converged=short.converged,
                carried=False,
                lower_bounds=np.empty(0),
            )
        )
        self.pool.missed()

    def _promising(self, rank: Rank) -> bool:
        self._raced.append(rank)
        better = sum(other > rank for other in self._raced)
        return self.sample().n == self.problem.data.n or better < -(-len(self._raced) // CARRIED)

    def _race(self, starts: Sequence[Start], rounds: Sequence[Round]) -> Asking[tuple[int, Fit]]:
        """The number of the start that wins a race on the sample, and its fit."""
        race = Race(rounds, self._best_first, leaning(self.problem.data.d), self._again)
        fit = (yield [Wanted(self.sample(), starts, self.settings, self.watch, race)])[0][0]
        return race.winner, fit

    def _again(self, fit: Fit) -> Stage:
        """Where a run begins that goes on from a fit."""
        repairs = [repair._replace(iteration=0) for repair in fit.repairs if repair.row is None]
        return self.stage(fit.parameters, repairs)

    def _best_first(self, fits: Sequence[Fit]) -> list[int]:
        """The numbers of fits in the order of their ranks."""
        ranks = [self.rank(fit) for fit in fits]
        return sorted(range(len(ranks)), key=ranks.__getitem__, reverse=True)

    @property
    def walks(self) -> bool:
        """Whether a compiled call may make its starts from neighbours: see cgmm.em.walk."""
        return self.sound and self._is_divided() and not self.watched and self.sample() is self.problem.data

    def split_of(self, fewer: Parameters) -> Asking[None]:
        """One more start: the best of the splits of a mixture of one component fewer."""
        yield from self._carry_best(self._splits(fewer), TRIED, sure=True)

    def best_split(self) -> Asking[Parameters]:
        """The best of the splits of the best fit, after a short run: a mixture of one component more."""
        return (yield from self._race(self._splits(self.best.parameters).starts, TRIED))[1].parameters

    def merger_of(self, more: Parameters) -> Asking[None]:
        """One more start: the best of the mergers of a mixture of one component more."""
        pairs = np.argsort(-closeness(more, self.ground.least), kind="stable")[: min(NEAR, more.k * (more.k - 1) // 2)]
        starts = self._outlined(mergers(more, pairs))
        yield from self._carry_best(Brood([merger_of(more.k)] * len(starts), starts), TRIED, sure=True)

    def _splits(self, parameters: Parameters) -> Brood:
        """Those of the heaviest components."""
        heavy = np.argsort(-parameters.weights, kind="stable")[:NEAR]
        starts = self._outlined(splits(parameters, heavy, self.ground.bounds))
        return Brood([split_of(parameters.k)] * len(starts), starts)
