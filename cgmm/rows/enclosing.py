"""The box that holds all rows: the support of a uniform noise component."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture import matrices
from cgmm.mixture.noise import Box

if TYPE_CHECKING:
    from typing import Self

    from cgmm.rows.data import Data
    from cgmm.rows.place import InMemory
    from cgmm.types import Array

# A width that is no more than this many times the rounding of what bounds it is none: the rows do not vary there.
ROUNDINGS = 64


@dataclass(frozen=True)
class Extent:
    """The least and the largest value of some rows along each axis, (d,)."""

    low: Array
    high: Array

    def __add__(self, other: Self) -> Self:
        """That of both."""
        return type(self)(np.fmin(self.low, other.low), np.fmax(self.high, other.high))


def enclosing(data: Data, gaps: bool) -> Box:
    """The smaller of the box along the features and that along the principal axes, of rows of positive weight.

    That is what mclust's hypvol takes. Where rows have, or may have, `gaps`, it is the box along the features, whose
    marginal densities are uniform, too. ValueError says that the rows vary too little to fill a box.
    """
    _, mean, covariance = data.moments()
    along = _box(data, mean, np.eye(data.d))
    _check(along, data)
    if gaps or data.d == 1:
        return along
    across = _box(data, mean, np.ascontiguousarray(matrices.eigh(covariance)[1].T))
    _check(across, data)
    return along if along.log_volume <= across.log_volume else across


def _box(data: Data, centre: Array, axes: Array) -> Box:
    found = data.place.sum_of_pieces(partial(_extent, centre, axes))
    return Box(centre, axes, found.low, found.high)


def _extent(centre: Array, axes: Array, piece: InMemory, first_row: int) -> Extent:
    rows = piece.part.positive().rows - centre
    if not len(rows):
        nothing = np.full(len(centre), np.nan)
        return Extent(nothing, nothing)
    if not np.array_equal(axes, np.eye(len(axes))):
        rows = np.einsum("ij,mj->im", rows, axes)
    columns = np.ascontiguousarray(rows.T)  # along which NumPy is many times faster
    low, high = columns.min(axis=1), columns.max(axis=1)
    if np.isnan(low).any():  # a column with gaps
        low, high = np.fmin.reduce(columns, axis=1), np.fmax.reduce(columns, axis=1)
    return Extent(low, high)


def _check(box: Box, data: Data) -> None:
    """ValueError: the rows do not vary along some axis."""
    rounding = ROUNDINGS * float(np.finfo(data.dtype).eps)
    along, widths = np.array_equal(box.axes, np.eye(data.d)), box.high - box.low
    flat = np.flatnonzero(~(widths > rounding * (np.abs(box.centre) if along else widths.max())))
    if len(flat):
        told = f"X[:, {flat[0]}] is constant" if along else "the rows lie in fewer dimensions than they have features"
        raise ValueError(
            f"noise_component='uniform' needs a box of some volume, but {told}: drop features, or give the density of "
            "the noise"
        )
