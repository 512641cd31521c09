"""Some rows, and what goes with each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cgmm.types import Array, Labels, RowErrors, Rows


class Part(NamedTuple):
    """Rows (n,d) and their companions, of which there is one for each row: what sources, streams, chunks and kernels
    hand on.

    weights : (n,) or None
    labels : (n,) the component to which each row is known to belong, −1 where it is not known; or None
    errors : (n,d) the variances, or (n,d,d) the covariances, of the errors with which each row was measured; or None

    Whatever is done to companions is done by the methods here.
    """

    rows: Rows
    weights: Array | None = None
    labels: Labels | None = None
    errors: RowErrors | None = None

    @property
    def companions(self) -> tuple[Any, ...]:
        return self[1:]

    def taken(self, which: Any) -> Part:
        """Some of the rows: a slice, indices or a mask; views where NumPy gives them."""
        return self._each(lambda values: _taken(values, which))

    def gathered(self, indices: Any) -> Part:
        """Those rows, of any array-like order, as new arrays in C order."""
        part = self.taken(indices)
        return part._replace(rows=np.ascontiguousarray(part.rows))

    def put(self, at: int, other: Part) -> None:
        """Write the rows of another in the place of those from `at` on."""
        here = slice(at, at + len(other.rows))
        for to, values in zip(self, other, strict=True):
            if to is not None and values is not None:
                to[here] = values

    def copied(self) -> Part:
        """The same in memory of its own: what outlives the call in which a user handed it over."""
        return self._each(lambda values: np.array(values, order="C"))

    def _each(self, of: Callable[[Any], Any]) -> Part:
        """The same of the rows and of each companion."""
        return Part(of(self.rows), *(None if values is None else of(values) for values in self.companions))

    def positive(self) -> Part:
        """The rows of positive weight."""
        if self.weights is None or (self.weights > 0).all():
            return self
        return self.taken(self.weights > 0)

    def of_type(self, dtype: np.dtype[Any]) -> Part:
        """The same, its rows of that type."""
        return self._replace(rows=self.rows.astype(dtype, copy=False))

    def times_power_of_two(self, exponent: int) -> Part:
        """The same, with 2^exponent times the weights. A row whose weight is zero then tells of no component."""
        if self.weights is None:
            return self
        weights = np.ldexp(self.weights, exponent)
        labels = None if self.labels is None else np.where(weights > 0, self.labels, -1)
        return self._replace(weights=weights, labels=labels)

    @property
    def total_weight(self) -> float:
        return float(len(self.rows) if self.weights is None else self.weights.sum())


def _taken(values: Any, which: Any) -> Any:
    """values[which]; `take` is three times as fast, but copies what does not lie in C order first."""
    indices = isinstance(which, np.ndarray) and which.dtype == np.intp and which.ndim == 1
    return np.asarray(values).take(which, axis=0) if indices and values.flags.c_contiguous else values[which]


def joined(parts: Sequence[Part]) -> Part:
    """The rows of all, with the companions that all have."""
    companions = zip(*(part.companions for part in parts), strict=True)
    return Part(
        np.concatenate([part.rows for part in parts]),
        *(None if any(value is None for value in values) else np.concatenate(values) for values in companions),
    )
