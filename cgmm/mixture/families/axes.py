"""Axes that all components share: the common principal components of their scatters.

Flury, Common principal components in k groups (JASA 79, 1984), and Browne and McNicholas, Estimating common principal
components in high dimensions (Advances in Data Analysis and Classification 8, 2014), state the problem, and solve it by
steps whose gain shrinks by a factor from one to the next. Here a quasi-Newton method on rotations (Nocedal 1980)
begins each step with what a rotation in each plane by itself would be, and ends within rounding of a stationary point.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from cgmm.mixture import matrices
from cgmm.mixture.families.factors import rounding

if TYPE_CHECKING:
    from cgmm.types import Array

# Moves that are remembered: as many as cgmm.em.trail remembers steps of EM.
REMEMBERED = 5
# Steps at most.
MOST = 500
# No plane is turned by more at once, in radians: what is expected of a step holds for small ones.
FURTHEST = np.pi / 4
# The sum over a column of Ω up to which I + Ω + Ω²/2 is orthogonal to 2e-8, and to rounding after a Newton step, which
# squares the error; an Ω halved until it is below 1/4 leaves 1e-3, which takes ORTHONORMAL steps.
SMALL = 1 / 64
ORTHONORMAL = 3
# Of the gain that the slope promises, the least share for which a step is taken, as is usual (Armijo's rule).
ENOUGH = 1e-4

# Variances (k,d) along axes → the objective, and its derivatives by them (k,d).
Objective: TypeAlias = Callable[["Array"], "tuple[float, Array]"]


class Turned(NamedTuple):
    """Where the search is: axes D (d,d), the scatters Dᵀ S_c D (k,d,d), the objective, its derivatives by the diagonals
    of these (k,d)."""

    axes: Array
    scatters: Array
    value: float
    slopes: Array

    @classmethod
    def to(cls, axes: Array, scatters: Array, objective: Objective) -> Turned:
        turned = matrices.product(matrices.product(axes.T, scatters), axes)
        value, slopes = objective(np.einsum("cjj->cj", turned))
        return cls(axes, turned, value, slopes)

    def gradient(self) -> Array:
        """By the angle of a rotation in each plane of two axes, (d,d), skew-symmetric."""
        half = np.einsum("cij,cj->ij", self.scatters, self.slopes)
        return 2.0 * (half - half.T)

    def curvature(self) -> Array:
        """By the same (d,d), of the objective whose slopes stay as they are; never negative."""
        variances = np.einsum("cjj->cj", self.scatters)
        cross = np.einsum("ci,cj->ij", variances, self.slopes)
        own = cross.diagonal()
        return np.maximum(2.0 * (cross + cross.T - own - own[:, None]), 0.0)


class Move(NamedTuple):
    """A rotation (d,d) that was made, how the gradient changed by it, and their product."""

    step: Array
    change: Array
    product: float


def common(scatters: Array, axes: Array, objective: Objective) -> Array:
    """Orthogonal axes D, the columns (d,d), at which an objective of the variances of S_c (k,d,d) along them is least.

    axes : from which the search starts; what it finds is no worse
    """
    d = len(axes)
    at = Turned.to(axes, scatters, objective)
    gradient = at.gradient()
    moves: list[Move] = []
    for _ in range(MOST):
        step = _direction(gradient, at.curvature(), moves)
        slope = 0.5 * _product(gradient, step)
        found = _downhill(at, step, slope, scatters, objective, rounding(d, at.value)) if slope < 0 else None
        if found is None and not moves:
            break
        if found is None:
            moves = []
            continue
        share, at = found
        before, gradient = gradient, at.gradient()
        step, change = share * step, gradient - before
        curved = _product(step, change)
        moves = [*moves[-REMEMBERED + 1 :], Move(step, change, curved)] if curved > 0 else []
    return at.axes


def _direction(gradient: Array, curvature: Array, moves: list[Move]) -> Array:
    """A rotation (d,d), skew-symmetric: the quasi-Newton step of limited memory."""
    step, shares = gradient.copy(), []
    for move in moves[::-1]:
        shares.append(_product(move.step, step) / move.product)
        step -= shares[-1] * move.change
    step *= _angles(gradient, curvature)
    for move in moves:
        step += (shares.pop() - _product(move.change, step) / move.product) * move.step
    return -step / max(1.0, float(np.abs(step).max()) / FURTHEST)


def _product(A: Array, B: Array) -> float:
    """The sum of the products of their elements."""
    return float(np.einsum("ij,ij->", A, B))


def _angles(gradient: Array, curvature: Array) -> Array:
    """The angle, over the gradient, at which a rotation in each plane by itself is best: no more than π/4.

    With the slopes kept the objective is y sin 2θ − x cos 2θ there, with y = gradient / 2 and x = curvature / 4.
    """
    size = np.abs(gradient)
    angle = 0.5 * np.arctan2(2.0 * size, curvature)
    return np.divide(angle, size, out=np.zeros_like(size), where=size > 0)


def _downhill(
    at: Turned, move: Array, slope: float, scatters: Array, objective: Objective, least: float
) -> tuple[float, Turned] | None:
    """The share of a move that is taken, and where it leads; None if there is no more than `least` to gain."""
    share = 1.0
    while -slope * share > least:
        found = Turned.to(matrices.product(at.axes, rotation(share * move)), scatters, objective)
        if found.value <= at.value + ENOUGH * share * slope:
            return share, found
        share /= 2.0
    return None


def rotation(skew: Array) -> Array:
    """The rotation exp(Ω) (d,d) of a skew-symmetric Ω, by products only: a solver might take a BLAS's threads."""
    size = float(np.abs(skew).sum(axis=0).max())
    halvings = max(0, int(np.ceil(np.log2(size))) + 2) if size > SMALL else 0
    small = skew / 2.0**halvings
    found = np.eye(len(skew)) + small + 0.5 * matrices.product(small, small)
    for _ in range(ORTHONORMAL if size > SMALL else 1):
        found = 1.5 * found - 0.5 * matrices.product(found, matrices.product(found.T, found))
    for _ in range(halvings):
        found = matrices.product(found, found)
    return found
