"""Where EM has been lately, and how far it may jump from there: a quasi-Newton step on the steps of EM.

Jamshidian and Jennrich, Acceleration of the EM algorithm by using quasi-Newton methods (JRSS B 59, 1997), with the
limited memory of Nocedal, Updating quasi-Newton matrices with limited storage (Mathematics of Computation 35, 1980).
docs/acceleration.md has the formulas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.chart import Chart

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Rules
    from cgmm.types import Array

# Steps of EM that are remembered: from 4 to 20 were as good in the median of 31 problems, and 5 need the least memory.
REMEMBERED = 5
# A jump is at first no longer than this, in roots of the information of a row; FURTHEST_JUMP is the longest ever. On 62
# starts from random rows, jumps without a bound led away from EM's optimum twice as often.
RADIUS = 0.3
FURTHEST_JUMP = 1.0
NEAREST_JUMP = 1e-3


class Jump(NamedTuple):
    """A point away from EM's path: its parameters, its distance, whether the radius cut it short, and the gain of the
    mean log-likelihood that a quadratic model expects."""

    parameters: Parameters
    length: float
    cut: bool
    expected: float


class Steps(NamedTuple):
    """Steps of EM in coordinates about the last point: from there (p,), the step to where EM leads; and of those
    before it the moves to the next one (m,p), and how much shorter the step was there (m,p)."""

    chart: Chart
    step: Array
    moves: Array
    changes: Array

    @classmethod
    def of(cls, points: tuple[tuple[Parameters, Parameters], ...]) -> Self:
        chart = Chart(points[-1][0])
        before = np.array([chart.coordinates(before) for before, _ in points[:-1]] + [chart.middle])
        steps = np.array([chart.coordinates(after) for _, after in points]) - before
        moves, changes = np.diff(before, axis=0), -np.diff(steps, axis=0)
        curved = _kernels.curved(moves, changes)
        return cls(chart, steps[-1], moves[:curved], changes[:curved])

    def direction(self) -> Array:
        """The quasi-Newton step, by the two loops of L-BFGS.

        Where nothing is known it is EM's own step, times the root of how much longer the last steps should have been.
        """
        return _kernels.direction(self.step, self.moves, self.changes)

    def remaining(self) -> float:
        """What is left to gain of the mean log-likelihood: ½ |step|² / (1 − ρ), ρ EM's slowest rate that was seen."""
        return _kernels.remaining_of(self.step, self.moves, self.changes)


class Trail(NamedTuple):
    """The last points of a run of EM, each with the parameters that an M-step made there; and how far to jump."""

    points: tuple[tuple[Parameters, Parameters], ...] = ()
    radius: float = RADIUS

    @np.errstate(over="ignore", invalid="ignore")  # then no jump is made
    def jump(self, rules: Rules) -> Jump | None:
        """A jump from the last point; None where too little is known, or where it would not go uphill."""
        if len(self.points) < 2:
            return None
        steps = Steps.of(self.points)
        if not len(steps.moves):
            return None
        direction = steps.direction()
        step = _kernels.inner_product(steps.step, steps.step)
        length, most = np.sqrt(_kernels.inner_product(direction, direction)), max(self.radius, np.sqrt(step))
        cut = bool(length > most)
        direction = direction * (most / length) if cut else direction
        expected = 0.5 * _kernels.inner_product(direction, steps.step)
        if not 0 < expected < np.inf:
            return None
        parameters = steps.chart.mixture(steps.chart.middle + direction, rules)
        return None if parameters is None else Jump(parameters, min(length, most), cut, expected)

    @np.errstate(over="ignore", invalid="ignore")  # then much is left
    def remaining(self) -> float:
        """What is left to gain at the last point, see Steps; infinite where nothing is known."""
        return Steps.of(self.points).remaining() if len(self.points) > 1 else np.inf

    def and_then(self, before: Parameters, after: Parameters) -> Self:
        """The trail once EM has been at another point."""
        return self._replace(points=(*self.points[-REMEMBERED:], (before, after)))

    def kept(self, jump: Jump, gain: float) -> Self:
        """After a jump that gained so much: the radius grows if that is what was expected, and shrinks if it is far
        less."""
        if jump.cut and gain > 0.5 * jump.expected:
            return self._replace(radius=min(2 * self.radius, FURTHEST_JUMP))
        if gain < 0.1 * jump.expected:
            return self._replace(radius=max(self.radius / 2, NEAREST_JUMP))
        return self

    def refused(self, jump: Jump) -> Self:
        """After a jump that would have lost: what led there is forgotten."""
        return self._replace(points=self.points[-1:], radius=max(jump.length / 4, NEAREST_JUMP))
