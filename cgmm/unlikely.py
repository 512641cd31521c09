"""The rows that a mixture explains worst: where a component that lost its rows may begin again."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from typing import Self

    from cgmm.data import InMemory
    from cgmm.parameters import Parameters
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
    def of(cls, parameters: Parameters, most: int, n_threads: int, data: InMemory, first: int) -> Self:
        """Those of rows whose first has that index."""
        X, row_weights = data.filled(parameters, n_threads).X, data.row_weights
        values = _kernels.evaluate(X, parameters.density, "log_likelihood", n_threads)
        log_likelihood = float(values.sum() if row_weights is None else (row_weights * values).sum())
        weight = float(len(X) if row_weights is None else row_weights.sum())
        if row_weights is not None:
            values = np.where(row_weights > 0, values, np.inf)
        here = np.argpartition(values, min(most, len(values)) - 1)[:most]
        here = here[np.isfinite(values[here])]
        return cls(values[here], first + here, X[here], log_likelihood, weight, most)._kept()

    def __add__(self, other: Self) -> Self:
        return type(self)(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.indices, other.indices]),
            np.concatenate([self.rows, other.rows]),
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
            self.most,
        )._kept()

    def _kept(self) -> Self:
        kept = np.lexsort((self.indices, self.values))[: self.most]
        return replace(self, values=self.values[kept], indices=self.indices[kept], rows=self.rows[kept])

    def worst(self, count: int) -> Worst:
        """Up to `count` different of the rows."""
        _, firsts = np.unique(self.rows, axis=0, return_index=True)
        kept = np.sort(firsts)[:count]
        return Worst(self.rows[kept], self.indices[kept], self.log_likelihood / self.weight)
