"""What the passes of a fit run over: rows that are known to be good, and their weights."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.parameters import distances_to
from cgmm.pruning import Pruning
from cgmm.statistics import SufficientStatistics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from cgmm.parameters import Density, Parameters
    from cgmm.pruning import Guide
    from cgmm.types import Array, Labels, Moment, Rows

PART = _kernels.PART  # rows: at its multiples rows may be cut, and all sums stay the same bits
MOST_SPREAD = 4096  # rows that are looked at for all


class Worst(NamedTuple):
    """Rows (m,d) that a mixture explains worst, their indices, and the mean log-likelihood of all."""

    rows: Rows
    indices: Labels
    mean: float


class Data:
    """Rows in parts, and their weights. Only the parts are another matter in memory, in a file, or in a stream.

    n, d : rows and features;  dtype : float32 or float64, of all parts
    exponent : the weights are 2^−exponent times the user's
    """

    n: int
    d: int
    dtype: np.dtype[np.floating[Any]]
    exponent = 0

    @property
    def counted(self) -> int:
        """The number of rows of positive weight."""
        raise NotImplementedError

    def parts(self) -> Iterator[tuple[Rows, Array | None]]:
        """Rows and weights, from the first to the last; each part but the last has a multiple of PART rows."""
        raise NotImplementedError

    def widened(self) -> Data:
        """The same in float64."""
        raise NotImplementedError

    def scaled(self, exponent: int) -> Data:
        """The same with 2^exponent times the weights, which are then the user's."""
        raise NotImplementedError

    def whole(self) -> InMemory:
        """All rows in memory."""
        raise NotImplementedError

    def spread(self, count: int) -> Rows:
        """No more than `count` rows of positive weight, evenly spread among them; `count` ≤ MOST_SPREAD."""
        raise NotImplementedError

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        """`size` rows of positive weight, or all, in their order."""
        raise NotImplementedError

    def expectation(
        self, density: Density, moment: Moment, n_threads: int | None = None, guide: Guide | None = None
    ) -> tuple[SufficientStatistics, float]:
        """One pass: the statistics, and the share of the dense work that was done."""
        sums = _kernels.Expectation(density, moment, guide, self.n)
        for rows, row_weights in self.parts():
            sums.add(rows, row_weights, threads(n_threads))
        found, share = sums.result()
        return SufficientStatistics(*found, moment), share

    def statistics(
        self, parameters: Parameters, n_threads: int | None = None, pruning: Pruning | None = None
    ) -> SufficientStatistics:
        """The statistics of all rows under these parameters: an E-step.

        `pruning` decides whether negligible components are left out; None: none is.
        """
        density, moment = parameters.density, parameters.family.moment
        guide = None if pruning is None else pruning.guide(parameters)
        found, share = self.expectation(density, moment, n_threads, guide)
        if pruning is not None and guide is not None and pruning.observe(share, found.n_k, parameters.weights):
            found, _ = self.expectation(density, moment, n_threads)
        return found

    def moments(self) -> tuple[float, Array, Array]:
        """The weight of all rows, their mean (d,) and their covariance (d,d)."""
        middle = self.spread(MOST_SPREAD).mean(axis=0, dtype=np.float64)
        found, _ = self.expectation(distances_to(middle[np.newaxis], middle), "full")
        n, offset = found.n_k[0], found.first[0] / found.n_k[0]
        return n, found.shift[0] + offset, found.second[0] / n - offset[:, None] * offset

    def pieces(self) -> Iterator[tuple[int, Rows, Array | None]]:
        """The parts, cut to PART rows or fewer, each after the index of its first row."""
        first = 0
        for rows, row_weights in self.parts():
            for start in range(0, len(rows), PART):
                cut = slice(start, start + PART)
                yield first + start, rows[cut], None if row_weights is None else row_weights[cut]
            first += len(rows)

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        """Up to `count` different rows of positive weight and the least log-likelihoods, the worst first."""
        total, weight, most = 0.0, 0.0, 4 * count
        least, indices, found = np.empty(0), np.empty(0, dtype=np.intp), np.empty((0, self.d), dtype=self.dtype)
        for first, rows, row_weights in self.pieces():
            values = _kernels.evaluate(rows, parameters.density, "log_likelihood", threads(n_threads))
            total += float(values.sum() if row_weights is None else (row_weights * values).sum())
            weight += float(len(rows) if row_weights is None else row_weights.sum())
            if row_weights is not None:
                values = np.where(row_weights > 0, values, np.inf)
            here = np.argpartition(values, min(most, len(values)) - 1)[:most]
            here = here[np.isfinite(values[here])]
            least = np.concatenate([least, values[here]])
            indices = np.concatenate([indices, first + here])
            found = np.concatenate([found, rows[here]])
            kept = np.lexsort((indices, least))[:most]
            least, indices, found = least[kept], indices[kept], found[kept]
        _, firsts = np.unique(found, axis=0, return_index=True)
        kept = np.sort(firsts)[:count]
        return Worst(found[kept], indices[kept], total / weight)


class InMemory(Data):
    """Rows in memory (n,d), and their weights (n,) or None."""

    def __init__(self, X: Rows, row_weights: Array | None = None, exponent: int = 0) -> None:
        self.X, self.row_weights, self.exponent = X, row_weights, exponent
        (self.n, self.d), self.dtype = X.shape, X.dtype

    def parts(self) -> Iterator[tuple[Rows, Array | None]]:
        yield self.X, self.row_weights

    def widened(self) -> InMemory:
        return InMemory(self.X.astype(np.float64), self.row_weights, self.exponent)

    def scaled(self, exponent: int) -> InMemory:
        return InMemory(self.X, None if self.row_weights is None else np.ldexp(self.row_weights, exponent))

    def whole(self) -> InMemory:
        return self

    @property
    def counted(self) -> int:
        return self.n if self.row_weights is None else int(np.count_nonzero(self.row_weights))

    def cut(self, part: slice) -> InMemory:
        """Rows that follow each other."""
        return InMemory(self.X[part], None if self.row_weights is None else self.row_weights[part], self.exponent)

    def _counted_rows(self) -> Labels | None:
        """The indices of the rows of positive weight; None: all."""
        return None if self.row_weights is None else np.flatnonzero(self.row_weights > 0)

    def spread(self, count: int) -> Rows:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        stride = stride_of(n)
        stride *= max(1, math.ceil(n / stride / count))
        return self.X[::stride] if counted is None else self.X[counted[::stride]]

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        if n <= size:
            return self if n == self.n else self.take(counted)
        key = key_of(rng)
        level, strata = level_of(n, size)
        chosen = descend(choose(strata, size, rng), level, n, key)
        return self.take(chosen if counted is None else counted[chosen])

    def take(self, indices: Any) -> InMemory:
        """Some of the rows."""
        rows = np.ascontiguousarray(self.X[indices])
        return InMemory(rows, None if self.row_weights is None else self.row_weights[indices], self.exponent)


# A sample is one row of each stratum of 2^level rows, for some of the strata. A stratum's row is that of its first or
# its second half, as the hash of the stratum says: so rows can be sampled while they stream by, whose number is not
# known yet, and halved when they are too many.


def stride_of(n: int) -> int:
    """The least power of two such that every stride-th of n rows are no more than MOST_SPREAD."""
    return 1 << max(0, -(-n // MOST_SPREAD) - 1).bit_length()


def level_of(n: int, size: int) -> tuple[int, int]:
    """The least level at which n rows have no more than 2 · size strata, and the number of these."""
    level = max(0, -(-n // (2 * size)) - 1).bit_length()
    return level, -(-n // (1 << level))


def key_of(rng: np.random.Generator) -> int:
    """What a sample's hashes depend on."""
    return int(rng.integers(2**63))


def choose(count: int, size: int, rng: np.random.Generator) -> Labels:
    """`size` of `count` indices, in order; or all."""
    if count <= size:
        return np.arange(count)
    return np.sort(rng.choice(count, size, replace=False, shuffle=False))


def descend(strata: Labels, level: int, n: int, key: int) -> Labels:
    """The rows, of n, that stand for these strata of 2^level rows."""
    for below in range(level - 1, -1, -1):
        second = 2 * strata + second_half(strata, below + 1, key)
        strata = np.where(second << below < n, second, 2 * strata)
    return strata


def second_half(strata: Labels, level: int, key: int) -> Labels:
    """Whether a stratum's row is of its second half, 0 or 1: a bit of a hash (Steele, Lea and Flood, Fast splittable
    pseudorandom number generators, 2014)."""
    with np.errstate(over="ignore"):
        z = np.uint64(key) + np.uint64(0x9E3779B97F4A7C15) * (
            strata.astype(np.uint64) * np.uint64(64) + np.uint64(level)
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((z ^ (z >> np.uint64(31))) & np.uint64(1)).astype(np.intp)
