"""What may stand in the gaps of rows: conditional means, or draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
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
        responsibilities = _drawn(responsibilities, rng)
    fill = _by_regression if parameters.family.correlated else _by_means
    for rows, missing, values in fill(parameters, patterns, responsibilities, rng):
        filled[rows[:, None], missing] = values
    return filled


Filling = tuple["Labels", "Labels", "Array"]  # rows, features, and what comes there


def _by_regression(
    parameters: Parameters, patterns: Patterns, responsibilities: Array, rng: np.random.Generator | None
) -> Iterator[Filling]:
    """Σ_c r_c (μ_m + B (x_o − μ_o) + K z)_c, where z is noise or zero."""
    means, k = parameters.means, parameters.k
    roots = parameters.root.reshape(-1, parameters.d, parameters.d)
    for rows, columns, p in patterns.by_pattern.pieces():
        observed, missing = columns[:p], columns[p:]
        if not len(missing):
            continue
        conditioned = np.broadcast_to(_kernels.condition(roots, columns, p), (k, len(columns), len(columns)))
        away = patterns.part.rows[rows[:, None], observed][:, None] - means[:, observed]
        values = means[:, missing] + np.einsum("cmo,ico->icm", conditioned[:, p:, :p], away)
        if rng is not None:
            noise = rng.standard_normal((len(rows), len(missing)))
            values += np.einsum("cmj,ij->icm", conditioned[:, p:, p:], noise)
        yield rows, missing, np.einsum("ic,icm->im", responsibilities[rows], values)


def _by_means(
    parameters: Parameters, patterns: Patterns, responsibilities: Array, rng: np.random.Generator | None
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


def _drawn(responsibilities: Array, rng: np.random.Generator) -> Array:
    """A component for each row, drawn by its responsibilities (n,k): 1 for it, 0 for the others."""
    n, k = responsibilities.shape
    reach = responsibilities.cumsum(axis=1)
    labels = (reach < rng.random((n, 1)) * reach[:, -1:]).sum(axis=1)
    return np.eye(k)[labels]
