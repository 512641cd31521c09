"""The rows that a picture shows, as points in it, with their weights and what a mixture says of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.plot.frame import frame

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.plot.protocols import Subject
    from cgmm.plot.view import View
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Array, Labels, Mask, Rows

HEAVIEST = 10.0  # No marker is larger than this many times the mean's, so that a heavy row does not hide the others.
PIXELS = 60, 300  # An image has at least and at most so many pixels along a side.


class Shown(NamedTuple):
    """Rows of a picture, all of positive weight."""

    rows: Evaluation

    @property
    def n(self) -> int:
        return self.rows.data.n

    def taken(self, which: Array | Mask) -> Shown:
        return Shown(self.rows.taken(which))

    def along(self, basis: Array) -> Rows:
        """The rows along the directions of a basis (m,d); (n,m)."""
        return self.rows.data.part.rows @ basis.T

    def weights(self) -> Array:
        """Of the rows (n,), ones if none were given."""
        weights = self.rows.data.part.weights
        return np.ones(self.n) if weights is None else weights

    def labels(self) -> Labels:
        return self.rows.evaluate("labels")

    def responsibilities(self) -> Array:
        return self.rows.evaluate("responsibilities")

    def doubts(self) -> Array:
        """1 − max_c r_ic (n,), without the responsibilities of all rows at once."""
        return np.concatenate([1.0 - part.certainty() for part in self.rows.parts()])


def shown_of(subject: Subject) -> Shown | None:
    """The rows of a subject that count, or None if it has none; an error if some of their values are missing."""
    if subject.rows is None:
        return None
    shown = Shown(subject.rows)
    weights = subject.rows.data.part.weights
    if weights is not None and not weights.all():
        shown = shown.taken(weights > 0)
    if np.isnan(shown.rows.data.part.rows.min()):
        raise ValueError("a picture needs rows without gaps: draw those that model.impute(X) returns")
    return shown


class Spread(NamedTuple):
    """Rows that a picture of a view shows, as points (n,2) in it, the limits, and how many rows lie outside."""

    shown: Shown
    points: Rows
    low: Array
    high: Array
    hidden: int

    @classmethod
    def of(cls, shown: Shown, view: View) -> Spread:
        points = shown.along(view.basis)
        low, high = frame(view, points)
        inside = np.all((points >= low) & (points <= high), axis=1)
        hidden = len(points) - int(np.count_nonzero(inside))
        if hidden:
            shown, points = shown.taken(inside), points[inside]
        return cls(shown, points, low, high, hidden)

    def relative_weights(self) -> Array:
        """Of the rows (n,), in units of their mean, HEAVIEST at most."""
        weights = self.shown.weights()
        return np.minimum(weights / weights.mean(), HEAVIEST)

    def raster(self, values: Callable[[Shown], Array]) -> tuple[Array, Array]:
        """The weight of the rows in each pixel (side,side), and the sums of their values (side,side,channels)."""
        side = int(np.clip(3 * len(self.points) ** (1 / 3), *PIXELS))
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        sums: list[Array] = []
        start = 0
        for rows in self.shown.rows.parts():
            part = Shown(rows)
            points = self.points[start : start + part.n]
            start += part.n
            i, j = np.minimum((points - self.low) / width * side, side - 1).astype(int).T
            channels = np.column_stack([np.ones(part.n), values(part)]) * part.weights()[:, None]
            sums.append(np.stack([np.bincount(j * side + i, w, side * side) for w in channels.T], axis=1))
        grid = np.sum(sums, axis=0).reshape(side, side, -1)
        return grid[..., 0], grid[..., 1:]
