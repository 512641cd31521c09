"""Starts of neighbours: splits of a fit are starts of that of one component more, mergers of that of one fewer."""

from __future__ import annotations

from itertools import pairwise
from time import perf_counter
from typing import TYPE_CHECKING

from cgmm.em.abreast import clocked
from cgmm.em.walk import Stand, Step, Walk
from cgmm.fit.leaning import leaning
from cgmm.fit.restarts import NEAR, TRIED, merger_of, split_of, to_its_end

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.em.abreast import Asking, Watch
    from cgmm.fit.restarts import Search
    from cgmm.mixture.parameters import Parameters


def steps_of(sizes: Sequence[int]) -> list[Step]:
    """Splits from the smallest number of components up, and then mergers from the largest down: but to no single one,
    for all its starts lead to the same fit.

    Where there is no fit of one component more, the mergers are those of the best split.
    """
    steps = [Step(at, False, at + 1) for at, (fewer, more) in enumerate(pairwise(sizes)) if more == fewer + 1]
    for at, k in reversed(list(enumerate(sizes))):
        if k == 1:
            continue
        if at + 1 < len(sizes) and sizes[at + 1] == k + 1:
            steps.append(Step(at + 1, True, at))
        else:
            steps += [Step(at, False, -1), Step(-1, True, at)]
    return steps


def try_neighbours(searches: Sequence[Search], watches: Sequence[Watch]) -> Asking[None]:
    """Make further starts of searches, for ever more components of one family, of the best fits of their neighbours.

    watches : which count the seconds of each
    """
    if not searches or searches[0].problem.data.labelled:  # components keep the numbers that labels give them
        return
    steps, at = steps_of([search.problem.k for search in searches]), 0
    last: Parameters | None = None  # what has won the step before
    while at < len(steps):
        if steps[at].of >= 0:
            done, last = yield from _walk(searches, watches, steps[at:])
            at += done
        if at < len(steps):  # is for Python, or begins where one of Python's ended
            step, at = steps[at], at + 1
            last = yield from clocked(_made(searches, step, last), watches[step.search])


def _made(searches: Sequence[Search], step: Step, last: Parameters | None) -> Asking[Parameters | None]:
    """Make a step by itself; what has won it, if the next is to begin there."""
    known = searches[step.of].best.parameters if step.of >= 0 else last
    assert known is not None  # where it begins at the winner of the step before, there was one
    if step.to < 0:
        return (yield from searches[step.of].best_split())
    if step.merges:
        yield from searches[step.to].merger_of(known)
    else:
        yield from searches[step.to].split_of(known)
    return None


def _walk(
    searches: Sequence[Search], watches: Sequence[Watch], steps: Sequence[Step]
) -> Asking[tuple[int, Parameters | None]]:
    """Make the first steps, as many as need no Python: how many they are, and the mixture that has won the last."""
    first = searches[0]
    data, settings = first.problem.data, first.settings
    if not all(search.walks for search in searches):
        return 0, None
    walk = Walk(
        data,
        first.problem.target.family,
        settings,
        [Stand(search.best, *search.rank_of_best[:2]) for search in searches],
        steps,
        NEAR,
        to_its_end(TRIED, settings),
        leaning(data.d),
        first.ground.least,
        first.ground.bounds,
    )
    fits = (yield [walk])[0]
    for step, fit in zip(steps, fits, strict=False):
        if step.to >= 0:
            begun, k = perf_counter(), searches[step.to].problem.k
            searches[step.to].enter(merger_of(k + 1) if step.merges else split_of(k - 1), fit)
            watches[step.to].seconds += perf_counter() - begun
    for step, seconds in zip(steps, walk.seconds, strict=False):
        watches[step.search].seconds += seconds
    return len(fits), fits[-1].parameters if fits else None
