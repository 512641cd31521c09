"""What the passes of a fit run over: rows that are known to be good, and their weights."""

from __future__ import annotations

import copy
import operator
from functools import partial, reduce
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cgmm import _kernels, sampling
from cgmm.config import threads
from cgmm.parameters import distances_to, once
from cgmm.pruning import Pruning
from cgmm.statistics import SufficientStatistics
from cgmm.unlikely import Unlikely, Worst
from cgmm.validation import BlockError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

    from cgmm.parameters import Density, Parameters
    from cgmm.pruning import Guide
    from cgmm.types import Array, Labels, Moment, Rows

T = TypeVar("T")  # what adds up

PART = _kernels.PART  # rows: at its multiples rows may be cut, and all sums stay the same bits


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

    def at_hand(self) -> tuple[Rows, Array | None] | None:
        """All rows, without gaps, and their weights; None where they are not in memory."""
        return None

    def widened(self) -> Data:
        """The same in float64."""
        raise NotImplementedError

    def changed(self, **changes: Any) -> Self:
        """A copy with other values for some attributes."""
        other = copy.copy(self)
        vars(other).pop("moments", None)
        vars(other).update(changes)
        return other

    def scaled(self, exponent: int) -> Data:
        """The same with 2^exponent times the weights, which are then the user's."""
        raise NotImplementedError

    def whole(self) -> InMemory:
        """All rows in memory."""
        raise NotImplementedError

    def threads(self, n_threads: int | None) -> int:
        """Those that work at a block: what the user asks for, or all that the process may use."""
        return threads(n_threads)

    def some(self, count: int) -> InMemory:
        """No more than `count` rows of positive weight, evenly spread among them; `count` ≤ sampling.MOST_SPREAD."""
        raise NotImplementedError

    def spread(self, count: int) -> Rows:
        """The same, without their weights."""
        return self.some(count).X

    def accuse(self) -> None:
        """BlockError: the rows are not those of the first pass; it names the first block that cannot be used."""
        raise BlockError("the rows or their weights have changed since the first pass")

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        """`size` rows of positive weight, or all, in their order."""
        raise NotImplementedError

    def expectation(
        self, density: Density, moment: Moment, n_threads: int | None = None, guide: Guide | None = None
    ) -> tuple[SufficientStatistics, float]:
        """One pass: the statistics, and the share of the dense work that was done."""
        sums = _kernels.Expectation(density, moment, guide, self.n)
        for rows, row_weights in self.parts():
            sums.add(rows, row_weights, self.threads(n_threads))
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

    @once
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

    def pieces(self) -> Iterator[tuple[int, InMemory]]:
        """The parts, cut to PART rows or fewer, each after the index of its first row."""
        first = 0
        for block in self.blocks():
            for start in range(0, block.n, PART):
                yield first + start, block.cut(slice(start, start + PART))
            first += block.n

    def sum_of_blocks(self, of: Callable[[InMemory], T]) -> T:
        """Σ of(block), over the parts."""
        return reduce(operator.add, map(of, self.blocks()))

    def sum_of_pieces(self, of: Callable[[InMemory, int], T]) -> T:
        """Σ of(piece, index of its first row), over the parts cut to PART rows or fewer."""
        return reduce(operator.add, (of(piece, first) for first, piece in self.pieces()))

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        """Up to `count` different rows of positive weight and the least log-likelihoods, the worst first."""
        return self.sum_of_pieces(partial(Unlikely.of, parameters, 4 * count, self.threads(n_threads))).worst(count)

    def deviations(self, columns: Labels, about: Array) -> Array:
        """The standard deviations of some columns of the rows of positive weight, from sums about those values."""
        sums, squares, count = self.sum_of_pieces(partial(_sums_of_columns, columns, about))
        return np.sqrt(np.maximum(squares / count - (sums / count) ** 2, 0.0))


class InMemory(Data):
    """Rows in memory (n,d), and their weights (n,) or None."""

    def __init__(self, X: Rows, row_weights: Array | None = None, exponent: int = 0) -> None:
        self.X, self.row_weights, self.exponent = X, row_weights, exponent
        (self.n, self.d), self.dtype, self.begun = X.shape, X.dtype, [0]

    def parts(self) -> Iterator[tuple[Rows, Array | None]]:
        self.begun[0] += 1
        yield self.X, self.row_weights

    def at_hand(self) -> tuple[Rows, Array | None] | None:
        return self.X, self.row_weights

    def _other(self, X: Rows, row_weights: Array | None, exponent: int) -> Self:
        return type(self)(X, row_weights, exponent)

    def widened(self) -> Self:
        return self._counting(self._other(self.X.astype(np.float64, copy=False), self.row_weights, self.exponent))

    def scaled(self, exponent: int) -> Self:
        weights = None if self.row_weights is None else np.ldexp(self.row_weights, exponent)
        return self._counting(self._other(self.X, weights, 0))

    def _counting(self, other: Self) -> Self:
        """The same rows in another form, whose passes count as these'."""
        other.begun = self.begun
        return other

    @property
    def completed(self) -> InMemory:
        """The rows, whose gaps are filled so that a start can be made of them."""
        return self

    def filled(self, parameters: Parameters, n_threads: int) -> InMemory:
        """The rows, whose gaps are filled as a mixture expects."""
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
        """Rows that follow each other at a distance."""
        return self._other(self.X[part], None if self.row_weights is None else self.row_weights[part], self.exponent)

    def _counted_rows(self) -> Labels | None:
        """The indices of the rows of positive weight; None: all."""
        return None if self.row_weights is None else np.flatnonzero(self.row_weights > 0)

    def some(self, count: int) -> InMemory:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        stride = sampling.stride_of(n, count)
        return self.cut(slice(None, None, stride)) if counted is None else self.take(counted[::stride])

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


def _sums_of_columns(columns: Labels, about: Array, data: InMemory, first: int) -> Array:
    """Σ (x_j − about_j) and Σ (x_j − about_j)² over the rows of positive weight, and their number: (3, columns).

    A value that is missing is not counted.
    """
    rows = data.X[:, columns] - about
    if data.row_weights is not None:
        rows = rows[data.row_weights > 0]
    counts = np.count_nonzero(~np.isnan(rows), axis=0)
    return np.stack([np.nansum(rows, axis=0), np.nansum(rows**2, axis=0), counts])
