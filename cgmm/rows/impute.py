"""What may stand in the gaps of rows: conditional means, or draws."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.config import threads
from cgmm.mixture.conditioning import Conditioning
from cgmm.mixture.parameters import Parameters
from cgmm.rows.part import Part
from cgmm.rows.patterns import Patterns
from cgmm.rows.row_errors import normal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgmm.rows.data import Data
    from cgmm.types import Array, Labels, Rows

DRAWN_NUMBERS = 1 << 20  # Numbers of covariances from which is drawn at a time, so that memory is bounded: 8 MiB.


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


def impute_measured(parameters: Parameters, data: Data, rng: np.random.Generator | None, n_threads: int) -> Rows:
    """The same of rows with errors: what is missing is a true value, of which the measured values tell.

    A draw is of the component that was drawn for the row, from the normal distribution of its true value.
    """
    rows = data.part.rows
    filled, gaps = rows.copy(), np.isnan(rows)
    with_gaps = np.flatnonzero(gaps.any(axis=1))
    if not len(with_gaps):
        return filled
    if rng is None:
        means, _ = data.truth(parameters, False, n_threads)
        filled[gaps] = means[gaps]
        return filled
    parameters, some = parameters.beside(None), data.take(with_gaps)
    labels = drawn(some.evaluate(parameters, "responsibilities", n_threads), rng).argmax(axis=1)
    size = max(1, DRAWN_NUMBERS // parameters.d**2)
    for c in np.unique(labels).tolist():
        own = _alone(parameters, c)
        every = np.flatnonzero(labels == c)
        for which in np.split(every, range(size, len(every), size)):
            means, covariances = some.take(which).truth(own, True, n_threads)
            assert covariances is not None  # they are asked for
            values, at = means + normal(covariances, rng), with_gaps[which]
            filled[at] = np.where(gaps[at], values, rows[at])
    return filled


def _alone(parameters: Parameters, c: int) -> Parameters:
    """The component c as a mixture of one."""
    family = parameters.family
    own = (family.take(array, [c]) for array in (parameters.covariances, parameters.root))
    return Parameters(family, np.ones(1), parameters.means[[c]], *own)


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
