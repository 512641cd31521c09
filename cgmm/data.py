"""What the passes of a fit run over: rows that are known to be good, and their weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels, sampling
from cgmm.config import threads
from cgmm.parameters import distances_to
from cgmm.pruning import Pruning
from cgmm.statistics import SufficientStatistics

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Self

    from cgmm.parameters import Density, Parameters
    from cgmm.pruning import Guide
    from cgmm.types import Array, Labels, Moment, Rows

PART = _kernels.PART  # rows: at its multiples rows may be cut, and all sums stay the same bits


class Worst(NamedTuple):
    """Rows (m,d) that a mixture explains worst, their indices, and the mean log-likelihood of all."""

    rows: Rows
    indices: Labels
    mean: float


class Data:
    """Rows in parts, and their weights. Only the parts are another matter in memory, in a file, or in a stream.

    n, d : rows and features;  dtype : float32 or float64, of all parts
    exponent : the weights are 2^−exponent times the user's;  begun : [the passes that were begun]
    """

    n: int
    d: int
    dtype: np.dtype[np.floating[Any]]
    exponent = 0
    begun: list[int]

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
        """No more than `count` rows of positive weight, evenly spread among them; `count` ≤ sampling.MOST_SPREAD."""
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
        middle = self.spread(sampling.MOST_SPREAD).mean(axis=0, dtype=np.float64)
        found, _ = self.expectation(distances_to(middle[np.newaxis], middle), "full")
        n, offset = found.n_k[0], found.first[0] / found.n_k[0]
        return n, found.shift[0] + offset, found.second[0] / n - offset[:, None] * offset

    def blocks(self) -> Iterator[InMemory]:
        """The parts, each as one in memory."""
        for rows, row_weights in self.parts():
            yield InMemory(rows, row_weights, self.exponent)

    def pieces(self) -> Iterator[tuple[int, Rows, Array | None]]:
        """The parts, cut to PART rows or fewer, each after the index of its first row."""
        first = 0
        for rows, row_weights in self.parts():
            for start in range(0, len(rows), PART):
                cut = slice(start, start + PART)
                yield first + start, rows[cut], None if row_weights is None else row_weights[cut]
            first += len(rows)

    def filled(self, parameters: Parameters, n_threads: int | None) -> Iterator[tuple[int, Rows, Array | None]]:
        """The pieces, whose gaps are filled as a mixture expects."""
        yield from self.pieces()

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        """Up to `count` different rows of positive weight and the least log-likelihoods, the worst first."""
        total, weight, most = 0.0, 0.0, 4 * count
        least, indices, found = np.empty(0), np.empty(0, dtype=np.intp), np.empty((0, self.d), dtype=self.dtype)
        for first, rows, row_weights in self.filled(parameters, n_threads):
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
        (self.n, self.d), self.dtype, self.begun = X.shape, X.dtype, [0]

    def parts(self) -> Iterator[tuple[Rows, Array | None]]:
        self.begun[0] += 1
        yield self.X, self.row_weights

    def _other(self, X: Rows, row_weights: Array | None, exponent: int) -> Self:
        return type(self)(X, row_weights, exponent)

    def widened(self) -> Self:
        return self._other(self.X.astype(np.float64, copy=False), self.row_weights, self.exponent)

    def scaled(self, exponent: int) -> Self:
        return self._other(self.X, None if self.row_weights is None else np.ldexp(self.row_weights, exponent), 0)

    @property
    def completed(self) -> InMemory:
        """The rows, whose gaps are filled so that a start can be made of them."""
        return self

    def evaluate(self, parameters: Parameters, what: Any, n_threads: int) -> Any:
        """A value for each row: "log_likelihood" (n,), "responsibilities" (n,k), "labels" (n,)."""
        guide = Pruning(self, moments=False).guide(parameters)
        return _kernels.evaluate(self.X, parameters.density, what, n_threads, guide)

    def whole(self) -> InMemory:
        return self

    @property
    def counted(self) -> int:
        return self.n if self.row_weights is None else int(np.count_nonzero(self.row_weights))

    def sum(self, values: Array) -> float:
        """Σ_i w_i v_i; a row of weight zero may have no finite value."""
        if self.row_weights is None:
            return float(values.sum())
        counted = self.row_weights > 0
        return float((self.row_weights[counted] * values[counted]).sum())

    def cut(self, part: slice) -> Self:
        """Rows that follow each other."""
        return self._other(self.X[part], None if self.row_weights is None else self.row_weights[part], self.exponent)

    def _counted_rows(self) -> Labels | None:
        """The indices of the rows of positive weight; None: all."""
        return None if self.row_weights is None else np.flatnonzero(self.row_weights > 0)

    def spread(self, count: int) -> Rows:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        stride = sampling.stride_of(n, count)
        return self.X[::stride] if counted is None else self.X[counted[::stride]]

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        if n <= size:
            return self if n == self.n else self.take(counted)
        chosen = sampling.rows_of(n, size, rng)
        return self.take(chosen if counted is None else counted[chosen])

    def take(self, indices: Any) -> Self:
        """Some of the rows."""
        rows = np.ascontiguousarray(self.X[indices])
        return self._other(rows, None if self.row_weights is None else self.row_weights[indices], self.exponent)
