"""The rows that a mixture explains worst: where a component that lost its rows may begin again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from typing import Self

    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels, Rows


class Worst(NamedTuple):
    """Rows (m,d) that a mixture explains worst, their indices, and the mean log-likelihood of all."""

    rows: Rows
    indices: Labels
    mean: float


@dataclass(frozen=True)
class Unlikely:
    """Rows (m,d) of positive weight that a mixture explains worst, m ≤ most, in the order of their values (m,).

    values : log-likelihoods;  indices : (m,) of the rows
    log_likelihood, weight : of all rows that were looked at;  most : how many are kept
    """

    values: Array
    indices: Labels
    rows: Rows
    log_likelihood: float
    weight: float
    most: int

    @classmethod
    def of(cls, values: Array, part: Part, most: int, first_row: int) -> Self:
        """Those of rows without gaps, of which these are the log-likelihoods (n,); the first has that index."""
        rows, row_weights = part.rows, part.weights
        log_likelihood = float(values.sum() if row_weights is None else (row_weights * values).sum())
        if row_weights is not None:
            values = np.where(row_weights > 0, values, np.inf)
        here = np.argpartition(values, min(most, len(values)) - 1)[:most]
        here = here[np.isfinite(values[here])]
        found = cls(
            values=values[here],
            indices=first_row + here,
            rows=rows[here],
            log_likelihood=log_likelihood,
            weight=part.total_weight,
            most=most,
        )
        return found._kept()

    def __add__(self, other: Self) -> Self:
        both = replace(
            self,
            values=np.concatenate([self.values, other.values]),
            indices=np.concatenate([self.indices, other.indices]),
            rows=np.concatenate([self.rows, other.rows]),
            log_likelihood=self.log_likelihood + other.log_likelihood,
            weight=self.weight + other.weight,
        )
        return both._kept()

    def _kept(self) -> Self:
        kept = np.lexsort((self.indices, self.values))[: self.most]
        return replace(self, values=self.values[kept], indices=self.indices[kept], rows=self.rows[kept])

    def worst(self, count: int) -> Worst:
        """Up to `count` different of the rows."""
        _, firsts = np.unique(self.rows, axis=0, return_index=True)
        kept = np.sort(firsts)[:count]
        return Worst(self.rows[kept], self.indices[kept], self.log_likelihood / self.weight)
