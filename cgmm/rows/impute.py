"""What may stand in the gaps of rows: conditional means, or draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.config import threads
from cgmm.mixture.conditioning import Conditioning
from cgmm.rows.part import Part
from cgmm.rows.patterns import Patterns

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Labels, Rows


def impute(
    parameters: Parameters, X: Rows, rng: np.random.Generator | None = None, n_threads: int | None = None
) -> Rows:
    """A copy of X (n,d) without gaps: the mean of what is missing given what is observed, or, from rng, a draw.

    What is observed stays as it is, bit for bit. Of a noise component nothing is expected: the others fill.
    """
    parameters = parameters.beside(None)
    patterns = Patterns(Part(X))
    filled = X.copy()
    if patterns.complete:
        return filled
    responsibilities = patterns.evaluate(parameters, "responsibilities", n_threads)
    if rng is not None:
        responsibilities = drawn(responsibilities, rng)
    fill = _by_regression if parameters.family.correlated else _by_means
    for rows, missing, values in fill(parameters, patterns, responsibilities, rng, threads(n_threads)):
        filled[rows[:, None], missing] = values
    return filled


Filling = tuple["Labels", "Labels", "Array"]  # rows, features, and what comes there


def _by_regression(
    parameters: Parameters,
    patterns: Patterns,
    responsibilities: Array,
    rng: np.random.Generator | None,
    n_threads: int,
) -> Iterator[Filling]:
    """Σ_c r_c (μ_m + B (x_o − μ_o) + K z)_c, where z is noise or zero."""
    for rows, columns, p in patterns.by_pattern.patterns():
        if p == len(columns):
            continue
        regression = Conditioning.of(parameters, columns[:p], columns[p:])
        x, shares = regression.taken(patterns.part.rows, rows), responsibilities[rows]
        if rng is None:
            yield rows, regression.others, regression.mean(x, shares, n_threads)
        else:
            yield rows, regression.others, regression.draws(x, shares, rng, n_threads)


def _by_means(
    parameters: Parameters,
    patterns: Patterns,
    responsibilities: Array,
    rng: np.random.Generator | None,
    n_threads: int,
) -> Iterator[Filling]:
    """Σ_c r_c (μ + σ z)_c, feature by feature, where z is noise or zero."""
    deviations = np.sqrt(parameters.variances)
    for j in range(parameters.d):
        rows = np.flatnonzero(np.isnan(patterns.part.rows[:, j]))
        shares = responsibilities[rows]
        values = np.einsum("ic,c->i", shares, parameters.means[:, j])
        if rng is not None:
            values += np.einsum("ic,c->i", shares, deviations[:, j]) * rng.standard_normal(len(rows))
        yield rows, np.array([j]), values[:, None]


def drawn(responsibilities: Array, rng: np.random.Generator) -> Array:
    """A component for each row, drawn by its responsibilities (n,k): 1 for it, 0 for the others."""
    n, k = responsibilities.shape
    reach = responsibilities.cumsum(axis=1)
    labels = (reach < rng.random((n, 1)) * reach[:, -1:]).sum(axis=1)
    return np.eye(k)[labels]
