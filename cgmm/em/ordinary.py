"""Iterations of EM in which nothing has to be decided, in one compiled call: 10 000 rows take half as long."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.em.settings import ROUNDING
from cgmm.em.stage import STARVED, and_then
from cgmm.em.trail import Trail
from cgmm.mixture import matrices
from cgmm.mixture.families import Central
from cgmm.mixture.floor import rounding_of_means
from cgmm.mixture.parameters import MOST_EXACT, MOST_FLOAT32, Parameters
from cgmm.mixture.rules import SINGULAR, Repair
from cgmm.mixture.statistics import EMPTY
from cgmm.mixture.values import Values
from cgmm.rows.pruning import may_be_pruned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.em.settings import Settings
    from cgmm.em.stage import Stage
    from cgmm.mixture.families import Estimate, Family
    from cgmm.mixture.rules import Rules
    from cgmm.rows.data import Data
    from cgmm.rows.part import Part
    from cgmm.types import Array

NONE = np.empty(0, dtype=np.intp)  # Components without rows: such an iteration is not ordinary.


class Limits(NamedTuple):
    """What an ordinary iteration stays within: see struct Limits in src/_iterations.pxi."""

    floor: Array
    moved: float
    rounded: float
    relative: float
    added: float
    starved: float
    fall: float
    reach: float
    exact: float


class Leaps:
    """The next iterations of a run of EM, as long as they are ordinary: bit for bit those of cgmm.em.loop.iterate.

    They apply to rows at hand that have no gaps and of which no pass would be pruned, to families whose M-step is
    compiled, without a prior or fixed parameters, and where nobody watches.
    """

    def __init__(self, data: Data, family: Family, settings: Settings, iterations: _kernels.Iterations) -> None:
        self.data, self.family, self.iterations = data, family, iterations
        self.tol, self.noise, self.distance = settings.tol, settings.noise, settings.stop == "distance"

    @classmethod
    def of(cls, data: Data, parameters: Parameters, settings: Settings) -> Leaps | None:
        """Those from parameters like these; None where they do not apply."""
        part = part_of(data, parameters.k, parameters.compiled, settings)
        if part is None:
            return None
        family = parameters.family
        iterations = _kernels.Iterations(
            part.rows,
            parameters.k,
            n_threads=data.threads(settings.n_threads),
            **arguments_of(data, part, family, settings),
        )
        return cls(data, family, settings, iterations)

    def advance(self, stage: Stage, most: int) -> tuple[Stage, bool]:
        """The stage after up to `most` ordinary iterations, and whether the next may be one, too."""
        lower_bounds, change, converged, unusual, now, before, n_k, held, passes, trail = self.iterations.advance(
            *stage.parameters.values,
            stage.lower_bound,
            stage.change,
            stage.lower_bounds.array(),
            self.tol,
            self.noise,
            self.distance,
            most,
            stage.n_k,
            stage.trail,
            bool(stage.singular),
        )
        count = len(lower_bounds)
        self.data.count_passes(passes)
        earlier, family = stage.parameters, self.family
        if trail is not None:
            stage = stage._replace(trail=_trail_of(family, *trail))
        if not count:
            return stage, not unusual
        stage = after(
            stage,
            lower_bounds,
            change=change,
            before=Parameters(family, *before) if count > 1 or trail is not None else earlier,
            parameters=Parameters(family, *now),
            n_k=n_k,
            held=held,
            exponent=self.data.exponent,
            converged=converged,
        )
        return stage, not unusual


def _trail_of(family: Family, points: Sequence[Any], radius: float) -> Trail:
    return Trail(tuple((Parameters(family, *one), Parameters(family, *two)) for one, two in points), radius)


def _estimate(
    family: Family, rules: Rules, covariances: Array, counts: Array, least: Array, last: tuple[Array, ...]
) -> Estimate:
    """What the family makes of second moments about the means over these counts (k,), as `maximise` asks it.

    least : (k,d), below which no variance may fall;  last : the Values before
    """
    return family.estimate(Central(covariances, counts, NONE, least), rules, Values(*last))


def part_of(data: Data, k: int, compiled: bool, settings: Settings) -> Part | None:
    """The rows whose iterations may be ordinary, if the M-step of k components is compiled; None where Python makes
    each."""
    if may_be_pruned(data.n, data.d, k) or not settings.rules.free or not compiled:
        return None
    return data.at_hand()


def with_held(repairs: tuple[Repair, ...], held: Sequence[tuple[int, int]], iterations: int) -> tuple[Repair, ...]:
    """Repairs, and those of covariances that were held after so many iterations.

    held : pairs of an iteration after these, from 0, and a component; −1 stands for the start
    """
    return and_then(repairs, [Repair(iterations + at + 1, c, SINGULAR) for at, c in held])


def held_at_the_end(held: Sequence[tuple[int, int]], count: int) -> tuple[int, ...]:
    """The components whose covariances were held in the last of so many iterations."""
    return tuple(c for at, c in held if at == count - 1)


def after(
    stage: Stage,
    lower_bounds: Array,
    *,
    change: float,
    before: Parameters,
    parameters: Parameters,
    n_k: Array,
    held: Sequence[tuple[int, int]],
    exponent: int,
    converged: bool,
) -> Stage:
    """The stage after some ordinary iterations, of which compiled code tells this.

    lower_bounds : of these, one or more
    held : pairs of one of them, from 0, and a component whose covariance was held in it
    """
    count, bounds = len(lower_bounds), lower_bounds.tolist()
    return stage._replace(
        repairs=with_held(stage.repairs, held, stage.iterations),
        before=before,
        parameters=parameters,
        lower_bound=bounds[-1],
        change=change,
        lower_bounds=stage.lower_bounds.and_then(*bounds),
        n_k=n_k,
        exponent=exponent,
        singular=held_at_the_end(held, count),
        converged=converged,
    )


def arguments_of(data: Data, part: Part, family: Family, settings: Settings) -> dict[str, Any]:
    """What compiled iterations of a family are given of the rows and settings, one by one or abreast."""
    return {
        "moment": family.moment,
        "family": family.name,
        "row_weights": part.weights,
        "limits": _limits(data, part, settings),
        "lifting": matrices.lift,
        "known": part.labels,
        "estimating": partial(_estimate, family, settings.rules),
        "accelerated": settings.accelerate,
    }


def _limits(data: Data, part: Part, settings: Settings) -> Limits:
    rules = settings.rules
    weight = float(data.n) if part.weights is None else _kernels.total(part.weights)
    moved, rounded = rounding_of_means(data.d, rules.eps)
    return Limits(
        floor=np.ascontiguousarray(rules.floor(data.d)),
        moved=moved,
        rounded=rounded,
        relative=matrices.rounding_of(data.d),
        added=rules.reg_covar,
        starved=max(EMPTY, STARVED * weight / data.n),
        fall=ROUNDING,
        reach=MOST_FLOAT32 if data.dtype == np.float32 else np.inf,
        exact=MOST_EXACT,
    )
