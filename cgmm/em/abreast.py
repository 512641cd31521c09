"""Runs of EM abreast: those of few rows in one compiled call whose threads take a run each, all others one by one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, TypeVar, overload

import numpy as np

from cgmm import _kernels
from cgmm.em import ordinary
from cgmm.em.loop import run
from cgmm.em.problems import MOST_FEATURES
from cgmm.em.stage import Fit, Stage
from cgmm.mixture.floor import rounding_of_means
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.statistics import EMPTY

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cgmm.em.settings import Settings
    from cgmm.mixture.families import Family
    from cgmm.mixture.rules import Repair
    from cgmm.mixture.sketches import Sketches
    from cgmm.rows.data import Data
    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels

Found = TypeVar("Found")
Item = TypeVar("Item", covariant=True)


@dataclass
class Watch:
    """The seconds that somebody's runs have taken, whichever threads made them."""

    seconds: float = 0.0


class Division(NamedTuple):
    """A start that is the M-step of a division of the rows, of nothing else.

    labels : (n,) the component of each, all of 0 … k − 1;  family, k : of the mixture
    stage : makes the stage at which the run begins, in Python
    """

    labels: Labels
    family: Family
    k: int
    stage: Callable[[], Stage]


Start: TypeAlias = Stage | Division


class Lazy(Sequence[Item]):
    """Items that are made when they are asked for."""

    @abstractmethod
    def _made(self, at: int) -> Item: ...

    @overload
    def __getitem__(self, at: int) -> Item: ...
    @overload
    def __getitem__(self, at: slice) -> list[Item]: ...
    def __getitem__(self, at: int | slice) -> Item | list[Item]:
        if isinstance(at, slice):
            return [self[one] for one in range(*at.indices(len(self)))]
        if at >= len(self):
            raise IndexError(at)
        return self._made(at)


class Outlines(Lazy[Stage]):
    """Starts of which a compiled call makes parameters, and Python those that it cannot make.

    sketches : the mixtures;  stage : makes the stage at which a run from one of them, by its number, begins
    """

    def __init__(self, sketches: Sketches, stage: Callable[[int], Stage]) -> None:
        self.sketches, self.stage = sketches, stage

    def __len__(self) -> int:
        return self.sketches.m

    def _made(self, at: int) -> Stage:
        return self.stage(at)


class Ends(Lazy[Fit]):
    """The fits of runs that a compiled call has made, each when it is asked for; of a race, of its first round."""

    def __init__(self, wanted: Wanted, runs: _kernels.Runs) -> None:
        self._wanted, self._runs = wanted, runs
        ended, passes, settings = runs.ended.tolist(), runs.passes.tolist(), wanted.settings_of(0)
        left = [at for at, end in enumerate(ended) if end < 0]
        self._fits: dict[int, Fit] = {at: run(wanted.data, _left(wanted, runs, at), settings) for at in left}
        wanted.data.count_passes(sum(passes) - sum(passes[at] for at in left))

    def __len__(self) -> int:
        return len(self._runs.ended)

    def _made(self, at: int) -> Fit:
        if at not in self._fits:
            self._fits[at] = _end(self._wanted, self._runs, at)
        return self._fits[at]


class Round(NamedTuple):
    """Of a race: the iterations of each run, at most, and how many of the runs, the best, go on after it."""

    iterations: int
    left: int


class Leaning(NamedTuple):
    """Which fits lean on what is added to their variances: those of which that is more than a share of a variance; but
    not if at least `own_share` of it is the rows' own, and these weigh no less than `rows`."""

    share: float
    own_share: float
    rows: float

    def in_units(self, exponent: int) -> Leaning:
        """The same of weights that are 2^−exponent times what they are."""
        if not exponent:
            return self
        with np.errstate(over="ignore"):
            return self._replace(rows=float(np.ldexp(self.rows, -exponent)))


@dataclass
class Race:
    """Which of some runs is to go on: after each round the best of them begin again where they are, if they have not
    converged, until one is left, which goes on in any case.

    rounds : the last leaves one; where there are fewer starts than a round is to leave, it leaves them all
    best_first : the numbers of fits, from the best on: those that do not end with a covariance that is held, before
    others, and of these those that do not lean on reg_covar; and then the most likely
    leaning : which do, see cgmm.fit.leaning
    again : where a run from a fit begins
    winner : the number of the start that has won; once it has
    """

    rounds: Sequence[Round]
    best_first: Callable[[Sequence[Fit]], list[int]]
    leaning: Leaning
    again: Callable[[Fit], Stage]
    winner: int = -1


class Errand(Protocol):
    """What somebody waits for: runs of EM on some rows."""

    @property
    def data(self) -> Data: ...
    @property
    def settings(self) -> Settings: ...
    def compiled(self) -> Any:
        """What compiled code is to make of it, of _kernels.advance_all; None where it is not for that."""

    def fits(self, compiled: Any, /) -> Sequence[Fit]:
        """What is wanted, once that is made."""


class Wanted(NamedTuple):
    """Runs of EM that somebody waits for: of which rows, from which first stages, or all from divisions of which a
    compiled call makes them, and how; who counts the seconds that they take, if anybody does; and the race of which
    only the winner's fit is wanted."""

    data: Data
    starts: Sequence[Start]
    settings: Settings
    watch: Watch | None = None
    race: Race | None = None

    @property
    def rounds(self) -> list[tuple[int, int]]:
        """Of each round the iterations, and how many go on."""
        most, many = self.settings.max_iter, len(self.starts)
        if self.race is None:
            return [(most, many)]
        return [(min(iterations, most), min(left, many)) for iterations, left in self.race.rounds]

    def settings_of(self, at: int) -> Settings:
        """Those of a round."""
        return self.settings if self.race is None else self.settings._replace(max_iter=self.rounds[at][0])

    def compiled(self) -> _kernels.Runs | None:
        """The runs, to be made by a compiled call; None where they are not for one."""
        data, starts, settings, _, race = self
        if not starts or not settings.max_iter:
            return None
        family, k = _model_of(starts)
        part = part_of(data, k, _is_compiled(starts), settings)
        values = None if part is None else _values(starts, data.n)
        if part is None or values is None:
            return None
        return runs_of(data, part, family, k, values, settings, self.rounds, None if race is None else race.leaning)

    def fits(self, runs: _kernels.Runs | None) -> Sequence[Fit]:
        """The fits of runs, of which those that are ordinary have been made."""
        begun = perf_counter()
        found: Sequence[Fit]
        if self.race is not None:
            found = [_won(self, self.race, runs)]
        elif runs is not None:
            found = Ends(self, runs)
        else:
            found = [run(self.data, _first(start), self.settings) for start in self.starts]
        if self.watch is not None:
            self.watch.seconds += perf_counter() - begun + (0.0 if runs is None else float(runs.seconds.sum()))
        return found


# What asks for runs, and goes on when it is sent the fits of each that it has asked for, until it has found something.
Asking: TypeAlias = Generator[Sequence[Errand], list[Sequence[Fit]], Found]


def answered(asking: Asking[Found]) -> Found:
    """What it finds, all runs that it asks for being made."""
    fits: list[Sequence[Fit]] | None = None
    while True:
        try:
            wanted = next(asking) if fits is None else asking.send(fits)
        except StopIteration as end:
            found: Found = end.value
            return found
        except RuntimeError as error:
            # A StopIteration that a user's function raises leaves a generator as this.
            if isinstance(error.__cause__, StopIteration):
                raise error.__cause__ from None
            raise
        fits = run_all(wanted)


def together(askings: Iterable[Asking[Found]]) -> Asking[list[Found]]:
    """What each of them finds: what they wait for at the same time is asked for at once."""
    found: dict[int, Found] = {}
    alive = dict(enumerate(askings))
    answers: dict[int, list[Sequence[Fit]]] = {}
    while alive:
        wants: dict[int, Sequence[Errand]] = {}
        for at, asking in list(alive.items()):
            try:
                wants[at] = next(asking) if at not in answers else asking.send(answers[at])
            except StopIteration as end:
                found[at] = end.value
                del alive[at]
        if wants:
            fits = iter((yield [one for want in wants.values() for one in want]))
            answers = {at: list(islice(fits, len(want))) for at, want in wants.items()}
    return [found[at] for at in sorted(found)]


def in_turn(askings: Iterable[Asking[Found]]) -> Asking[list[Found]]:
    """The same, one after the other."""
    found = []
    for asking in askings:
        found.append((yield from asking))
    return found


def clocked(asking: Asking[Found], watch: Watch) -> Asking[Found]:
    """The same; the watch counts the seconds that it takes itself."""
    answer: list[Sequence[Fit]] | None = None
    while True:
        start = perf_counter()
        try:
            wanted = next(asking) if answer is None else asking.send(answer)
        except StopIteration as end:
            found: Found = end.value
            return found
        finally:
            watch.seconds += perf_counter() - start
        answer = yield wanted


def run_all(wanted: Sequence[Errand]) -> list[Sequence[Fit]]:
    """EM from each stage of each: bit for bit the fits that cgmm.em.loop.run makes of them one by one."""
    compiled = [one.compiled() for one in wanted]
    groups = [group for group in compiled if group is not None]
    if groups:
        _kernels.advance_all(groups, max(one.data.threads(one.settings.n_threads) for one in wanted))
    return [one.fits(group) for one, group in zip(wanted, compiled, strict=True)]


def _won(wanted: Wanted, race: Race, runs: _kernels.Runs | None) -> Fit:
    """The fit that wins a race. If a compiled call has left a run to Python, the race is made again, each round by a
    call of its own: where a later round began is not known."""
    if runs is not None and runs.over:
        race.winner = int(runs.alive[0])
        wanted.data.count_passes(int(runs.passes.sum()))
        return _end(wanted, runs, race.winner)
    rounds, at, numbers = wanted.rounds, 0, list(range(len(wanted.starts)))
    fits = _short(wanted, wanted.starts, at) if runs is None or runs.round else Ends(wanted, runs)
    while True:
        order = race.best_first(fits)[: rounds[at][1]]
        numbers, fits = [numbers[one] for one in order], [fits[one] for one in order]
        at += 1
        if at == len(rounds):
            race.winner = numbers[0]
            return fits[0]
        on = [len(fits) == 1 or not fit.converged for fit in fits]
        more = iter(_short(wanted, [race.again(fit) for fit, goes in zip(fits, on, strict=True) if goes], at))
        fits = [next(more) if goes else fit for fit, goes in zip(fits, on, strict=True)]


def _short(wanted: Wanted, starts: Sequence[Start], at: int) -> Sequence[Fit]:
    """The fits of runs of a round of a race."""
    return run_all([Wanted(wanted.data, starts, wanted.settings_of(at))])[0]


def _first(start: Start) -> Stage:
    return start.stage() if isinstance(start, Division) else start


def part_of(data: Data, k: int, compiled: bool, settings: Settings) -> Part | None:
    """The rows, if a compiled call makes runs of k components."""
    return None if data.d > MOST_FEATURES else ordinary.part_of(data, k, compiled, settings)


def runs_of(
    data: Data,
    part: Part,
    family: Family,
    k: int,
    starts: list[Array] | Labels,
    settings: Settings,
    rounds: Sequence[tuple[int, int]],
    leaning: Leaning | None,
) -> _kernels.Runs:
    """Runs that are to be made by a compiled call."""
    ranking: dict[str, Any] = {} if leaning is None else {"leaning": leaning.in_units(data.exponent)}
    moved, settings = rounding_of_means(data.d, settings.rules.eps)[0], settings.for_rows(data.dtype == np.float64)
    return _kernels.Runs(
        part.rows,
        k,
        starts=starts,
        tol=settings.tol,
        noise=settings.noise,
        distance=settings.stop == "distance",
        rounds=rounds,
        moved=moved,
        empty=EMPTY,
        **ranking,
        **ordinary.arguments_of(data, part, family, settings),
    )


def _is_compiled(starts: Sequence[Start]) -> bool:
    if isinstance(starts, Outlines):
        return starts.sketches.family.compiled
    start = starts[0]
    return start.family.compiled if isinstance(start, Division) else start.parameters.compiled


def _model_of(starts: Sequence[Start]) -> tuple[Family, int]:
    if isinstance(starts, Outlines):
        return starts.sketches.family, starts.sketches.k
    start = starts[0]
    return (start.family, start.k) if isinstance(start, Division) else (start.parameters.family, start.parameters.k)


def _values(starts: Sequence[Start], n: int) -> list[Array] | Labels | None:
    """Where runs of n rows begin, in one array of labels or arrays of parameters; None where one is none from its
    beginning, or divides other rows."""
    if isinstance(starts, Outlines):
        return list(starts.sketches[1:])
    labels = [start.labels for start in starts if isinstance(start, Division)]
    if labels:
        return np.array(labels, dtype=np.intp) if [len(one) for one in labels] == [n] * len(starts) else None
    stages = [start for start in starts if isinstance(start, Stage)]
    if any(stage.lower_bound > -np.inf or not stage.parameters.compiled for stage in stages):
        return None
    return [np.array(array) for array in zip(*(stage.parameters.values for stage in stages), strict=True)]


def _end(wanted: Wanted, runs: _kernels.Runs, at: int) -> Fit:
    """What has become of a run that has ended."""
    starts = wanted.starts
    repairs: tuple[Repair, ...] = ()
    if not isinstance(starts, Outlines) and isinstance(start := starts[at], Stage):
        repairs = start.repairs
    return fit_of(wanted.data, _model_of(starts)[0], runs, at, repairs)


def fit_of(data: Data, family: Family, runs: _kernels.Runs, at: int, repairs: tuple[Repair, ...] = ()) -> Fit:
    """The fit of a run that has ended, whose start had such repairs."""
    held, bounds = runs.held[at], runs.bounds(at)
    if earlier := runs.earlier[at]:
        repairs = ordinary.with_held(repairs, [(-1, c) for _, c in earlier], 0)
    return Fit(
        parameters=Parameters(family, *runs.now(at)),
        lower_bounds=bounds,
        converged=bool(runs.ended[at]),
        n_k=runs.masses(at),
        repairs=ordinary.with_held(repairs, held, 0) if held else repairs,
        singular=ordinary.held_at_the_end(held, len(bounds)),
        exponent=data.exponent,
    )


def _left(wanted: Wanted, runs: _kernels.Runs, at: int) -> Stage:
    """The stage at which a run is left to Python."""
    bounds, start, data = runs.bounds(at), wanted.starts[at], wanted.data
    if not len(bounds) or wanted.settings.accelerate:  # Where the run has been is not known: it is made again.
        return _first(start)
    data.count_passes(int(runs.passes[at]))
    family = _model_of(wanted.starts)[0]
    now, before = (Parameters(family, *own) for own in (runs.now(at), runs.before(at)))
    sketched = isinstance(wanted.starts, Outlines) or isinstance(start, Division)
    stage = Stage.first(now) if sketched else _first(start)
    return ordinary.after(
        stage._replace(double=data.dtype == np.float64),
        bounds,
        change=float(runs.change[at]),
        before=before,
        parameters=now,
        n_k=runs.masses(at),
        held=runs.held[at],
        exponent=data.exponent,
        converged=False,
    )
