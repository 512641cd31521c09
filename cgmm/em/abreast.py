"""Runs of EM abreast: those of few rows in one compiled call whose threads take a run each, all others one by one."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple, TypeAlias, TypeVar

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
    from collections.abc import Callable, Iterable

    from cgmm.em.settings import Settings
    from cgmm.mixture.families import Family
    from cgmm.rows.data import Data
    from cgmm.types import Array, Labels

Found = TypeVar("Found")


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


class Wanted(NamedTuple):
    """Runs of EM that somebody waits for: of which rows, from which first stages, or all from divisions of which a
    compiled call makes them, and how; and who counts the seconds that they take, if anybody does."""

    data: Data
    starts: Sequence[Start]
    settings: Settings
    watch: Watch | None = None


# What asks for runs, and goes on when it is sent the fits of each that it has asked for, until it has found something.
Asking: TypeAlias = Generator[Sequence[Wanted], list[list[Fit]], Found]


def answered(asking: Asking[Found]) -> Found:
    """What it finds, all runs that it asks for being made."""
    fits: list[list[Fit]] | None = None
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
    answers: dict[int, list[list[Fit]]] = {}
    while alive:
        wants: dict[int, Sequence[Wanted]] = {}
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
    answer: list[list[Fit]] | None = None
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


def run_all(wanted: Sequence[Wanted]) -> list[list[Fit]]:
    """EM from each stage of each: bit for bit the fits that cgmm.em.loop.run makes of them one by one."""
    compiled = [_compiled(one) for one in wanted]
    groups = [group for group in compiled if group is not None]
    if groups:
        _kernels.advance_all(groups, max(one.data.threads(one.settings.n_threads) for one in wanted))
    return [_fits(one, group) for one, group in zip(wanted, compiled, strict=True)]


def _fits(wanted: Wanted, runs: _kernels.Runs | None) -> list[Fit]:
    """The fits of runs, of which those that are ordinary have been made."""
    begun, (data, starts, settings, watch) = perf_counter(), wanted
    if runs is None:
        fits = [run(data, _first(start), settings) for start in starts]
    else:
        fits = [
            _fit(wanted, runs, at) if ended >= 0 else run(data, _left(wanted, runs, at), settings)
            for at, ended in enumerate(runs.ended.tolist())
        ]
    if watch is not None:
        watch.seconds += perf_counter() - begun + (0.0 if runs is None else float(runs.seconds.sum()))
    return fits


def _first(start: Start) -> Stage:
    return start.stage() if isinstance(start, Division) else start


def _compiled(wanted: Wanted) -> _kernels.Runs | None:
    """The runs, to be made by a compiled call; None where they are not for one."""
    data, starts, settings, _ = wanted
    if not starts or not settings.max_iter or settings.accelerate or data.d > MOST_FEATURES:
        return None
    part = ordinary.part_of(data, _is_compiled(starts[0]), settings)
    values = None if part is None else _values(starts, data.n)
    if part is None or values is None:
        return None
    family, k = _model_of(starts[0])
    settings = settings.for_rows(data.dtype == np.float64)
    return _kernels.Runs(
        part.rows,
        k,
        starts=values,
        tol=settings.tol,
        noise=settings.noise,
        distance=settings.stop == "distance",
        most=settings.max_iter,
        moved=rounding_of_means(data.d, wanted.settings.rules.eps)[0],
        empty=EMPTY,
        **ordinary.arguments_of(data, part, family, settings),
    )


def _is_compiled(start: Start) -> bool:
    return start.family.compiled if isinstance(start, Division) else start.parameters.compiled


def _model_of(start: Start) -> tuple[Family, int]:
    return (start.family, start.k) if isinstance(start, Division) else (start.parameters.family, start.parameters.k)


def _values(starts: Sequence[Start], n: int) -> list[Array] | Labels | None:
    """Where runs of n rows begin, in one array of labels or arrays of parameters; None where one is none from its
    beginning, or divides other rows."""
    labels = [start.labels for start in starts if isinstance(start, Division)]
    if labels:
        return np.array(labels, dtype=np.intp) if [len(one) for one in labels] == [n] * len(starts) else None
    stages = [start for start in starts if isinstance(start, Stage)]
    if any(stage.lower_bound > -np.inf or not stage.parameters.compiled for stage in stages):
        return None
    return [np.array(array) for array in zip(*(stage.parameters.values for stage in stages), strict=True)]


def _fit(wanted: Wanted, runs: _kernels.Runs, at: int) -> Fit:
    """What has become of a run that has ended."""
    bounds, start = runs.bounds(at), wanted.starts[at]
    wanted.data.count_passes(len(bounds))
    held = runs.held[at]
    repairs = () if isinstance(start, Division) else start.repairs
    return Fit(
        parameters=Parameters(_model_of(start)[0], *(array[at] for array in runs.now)),
        lower_bounds=bounds,
        converged=bool(runs.ended[at]),
        n_k=runs.n_k[at],
        repairs=ordinary.with_held(repairs, held, 0) if held else repairs,
        singular=tuple(c for when, c in held if when == len(bounds) - 1),
        exponent=wanted.data.exponent,
    )


def _left(wanted: Wanted, runs: _kernels.Runs, at: int) -> Stage:
    """The stage at which a run is left to Python."""
    bounds, start, data = runs.bounds(at), wanted.starts[at], wanted.data
    if not len(bounds):
        return _first(start)
    data.count_passes(len(bounds))
    family = _model_of(start)[0]
    now, before = (Parameters(family, *(array[at] for array in own)) for own in (runs.now, runs.before))
    stage = Stage.first(now) if isinstance(start, Division) else start
    return ordinary.after(
        stage._replace(double=data.dtype == np.float64),
        bounds,
        change=float(runs.change[at]),
        before=before,
        parameters=now,
        n_k=runs.n_k[at],
        held=runs.held[at],
        exponent=data.exponent,
        converged=False,
    )
