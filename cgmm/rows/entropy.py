"""How unsure a mixture is of the cluster of rows, and how much surer it would be if clusters were one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Array, Labels

ROWS = 8192  # Rows at a time: what is held of them does not grow with their number, nor with that of pairs.


def merged_sums(cluster: Labels, others: Labels, evaluation: Evaluation) -> Array:
    """Σ_i w_i t log t, (m,m), of the probability t of two clusters together; on the diagonal, of one alone.

    cluster : (k,) that of each component, 0 … m − 1
    others : (·,) clusters whose pairs with all are wanted; the rest is zero
    """
    m = int(cluster.max()) + 1
    total, place = np.zeros((m, m)), np.eye(m)[cluster]
    for start in range(0, evaluation.data.n, ROWS):
        part = evaluation.taken(slice(start, start + ROWS))
        weights = part.data.part.weights
        belongs = part.evaluate("responsibilities") @ place
        for a in others.tolist():
            both = belongs + belongs[:, [a]]
            both[:, a] = belongs[:, a]
            values = _x_log_x(both)
            total[a] += values.sum(axis=0) if weights is None else weights @ values
    return np.ldexp(total, evaluation.data.exponent)


def _x_log_x(values: Array) -> Array:
    return values * np.log(values, where=values > 0, out=np.zeros_like(values))
