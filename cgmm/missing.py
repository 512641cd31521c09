"""Rows some of whose values are missing (NaN): the exact E-step of what is there, and what may stand in the gaps.

The density of a row is that of its observed features, and the moments are those that completed rows have on average:
Ghahramani and Jordan (1994), "Supervised learning from incomplete data via an EM approach"; Lin, Lee and Ho (2006), "On
fast supervised learning for normal mixture models with missing information". See docs/missing.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.data import InMemory
from cgmm.parameters import Density, once
from cgmm.statistics import SufficientStatistics

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgmm.parameters import Parameters
    from cgmm.types import Array, Labels, Rows

BLOCK = 65536  # rows of which it is noted at once where they have gaps


class Groups(NamedTuple):
    """Rows in the order of their patterns, cut into pieces of one pattern, and these into chunks; all of intp.

    order : (n,) rows
    columns : (patterns,d) the features that a pattern observes, then the others;  observed : (patterns,) how many
    pattern : (pieces,) of each;  starts : (pieces+1,) where each begins in the order
    chunks : (chunks+1,) which piece each begins with; the sums of chunks are added in their order
    """

    order: Labels
    columns: Labels
    observed: Labels
    pattern: Labels
    starts: Labels
    chunks: Labels

    def pieces(self) -> Iterator[tuple[Labels, Labels, int]]:
        """Of each piece its rows, the columns, and how many of them are observed."""
        for pattern, start, end in zip(self.pattern, self.starts[:-1], self.starts[1:], strict=True):
            yield self.order[start:end], self.columns[pattern], int(self.observed[pattern])


class Patterns:
    """Rows X (n,d), float32 or float64 of any strides, in which NaN is a missing value; and their weights (n,) or None.

    X is not copied. Where something is missing, all is computed in double; else everything is as without this class.
    """

    def __init__(self, X: Rows, row_weights: Array | None = None) -> None:
        self.X = X
        self.row_weights = row_weights
        self.complete = _kernels.all_within(X, np.inf)

    @once
    def by_pattern(self) -> Groups:
        gaps = _gaps(self.X)
        order = np.lexsort(gaps.T)
        gaps = gaps[order]
        begins = np.flatnonzero(np.append(True, (gaps[1:] != gaps[:-1]).any(axis=1)))
        missing = np.isnan(self.X[order[begins]])
        return _cut(order, np.append(begins, len(order)), missing)

    @once
    def as_they_are(self) -> Groups:
        n, d = self.X.shape
        return _cut(np.arange(n), np.array([0, n]), np.zeros((1, d), dtype=bool))

    def statistics(self, parameters: Parameters, n_threads: int | None = None) -> SufficientStatistics:
        """What `cgmm.em.maximise` makes the M-step of: the expected moments of the completed rows, and the
        log-likelihood of what is observed.

        A row of which nothing is observed has the mixture's weights as its responsibilities, the moments of the
        mixture, and the log-likelihood 0.
        """
        if self.complete:
            return InMemory(self.X, self.row_weights).statistics(parameters, n_threads)
        moment, density = parameters.family.moment, _observed_density(parameters)
        sums = _kernels.expectation_of_groups(
            self.X, density, moment, self._groups(parameters), self.row_weights, threads(n_threads)
        )
        return SufficientStatistics(*sums, moment)

    def evaluate(self, parameters: Parameters, what: Any, n_threads: int | None = None) -> Any:
        """A value for each row: "log_likelihood" (n,) of what is observed, "responsibilities" (n,k), "labels" (n,)."""
        if self.complete:
            return _kernels.evaluate(self.X, parameters.density, what, threads(n_threads))
        groups = self._groups(parameters)
        found = _kernels.evaluate_groups(self.X, _observed_density(parameters), what, groups, threads(n_threads))
        values = np.empty_like(found)
        values[groups.order] = found
        return values

    def _groups(self, parameters: Parameters) -> Groups:
        """Features that are independent within a component need no order of the rows."""
        return self.by_pattern if parameters.family.correlated else self.as_they_are


def impute(
    parameters: Parameters, X: Rows, rng: np.random.Generator | None = None, n_threads: int | None = None
) -> Rows:
    """A copy of X (n,d) without gaps: the mean of what is missing given what is observed, or, from rng, a draw.

    What is observed stays as it is, bit for bit.
    """
    patterns = Patterns(X)
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
        away = patterns.X[rows[:, None], observed][:, None] - means[:, observed]
        values = means[:, missing] + np.einsum("cmo,ico->icm", conditioned[:, p:, :p], away)
        if rng is not None:
            noise = rng.standard_normal((len(rows), len(missing)))
            values += np.einsum("cmj,ij->icm", conditioned[:, p:, p:], noise)
        yield rows, missing, np.einsum("ic,icm->im", responsibilities[rows], values)


def _by_means(
    parameters: Parameters, patterns: Patterns, responsibilities: Array, rng: np.random.Generator | None
) -> Iterator[Filling]:
    """Σ_c r_c (μ + σ z)_c, feature by feature, where z is noise or zero."""
    deviations = np.sqrt(parameters.family.variances(parameters.covariances, parameters.k, parameters.d))
    for j in range(parameters.d):
        rows = np.flatnonzero(np.isnan(patterns.X[:, j]))
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


def _observed_density(parameters: Parameters) -> Density:
    """The density in the form that a pass over groups takes, without what depends on the features observed."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(parameters.weights)
    density = parameters.density
    if parameters.family.correlated:
        return density._replace(log_norm=log_weights)
    variances = parameters.family.variances(parameters.covariances, parameters.k, parameters.d)
    return Density("masked", density.means, density.centre, 1.0 / np.sqrt(variances), log_weights)


def _gaps(X: Rows) -> Any:
    """Which values are missing, 64 features to a number: (n, numbers) uint64."""
    n, d = X.shape
    bits = np.zeros((n, -(-d // 64) * 8), dtype=np.uint8)
    for start in range(0, n, BLOCK):
        part = slice(start, start + BLOCK)
        bits[part, : -(-d // 8)] = np.packbits(np.isnan(X[part]), axis=1)
    return bits.view(np.uint64)


def _cut(order: Labels, bounds: Labels, missing: Any) -> Groups:
    """Groups of ordered rows, of which the pattern g, missing[g] (d,), has those between bounds g and g+1.

    A piece has no more than CHUNK rows. What a piece costs without its rows is d of them.
    """
    columns = missing.argsort(axis=1, kind="stable")
    rows = np.diff(bounds)
    counts = -(-rows // _kernels.CHUNK)
    pattern = np.repeat(np.arange(len(missing)), counts)
    within = np.arange(len(pattern)) - np.repeat(counts.cumsum() - counts, counts)
    starts = np.append(bounds[pattern] + _kernels.CHUNK * within, bounds[-1])
    work = (np.diff(starts) + missing.shape[1]).cumsum() // _kernels.CHUNK
    chunks = np.append(np.flatnonzero(np.diff(work, prepend=-1)), len(pattern))
    found = (order, columns, (~missing).sum(axis=1), pattern, starts, chunks)
    return Groups(*(np.ascontiguousarray(array, dtype=np.intp) for array in found))
