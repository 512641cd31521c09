"""Where rows are: in memory, in a stream of blocks, in the chunks of a cluster. What they lack is another matter.

What a pass adds up is asked of `sum_of_blocks` and `sum_of_pieces`, and who adds it is up to the place.
"""

from __future__ import annotations

import copy
import operator
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import replace
from functools import reduce
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.errors import BlockError
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.once import once
from cgmm.rows import sampling
from cgmm.rows.boxes import Boxes, in_space, together
from cgmm.rows.checks import by_exponent, not_vanishing

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

    from cgmm.mixture.density import Density
    from cgmm.rows.part import Part
    from cgmm.rows.pruning import AnyGuide
    from cgmm.types import Array, Labels, Moment, Order, Rows, RowType

T = TypeVar("T")  # What adds up.

CUT = _kernels.PART  # Rows may be cut at multiples of so many, and all sums stay the same bits.


class Passes:
    """How many passes over some rows were begun, whatever form they take."""

    def __init__(self, begun: int = 0) -> None:
        self.begun = begun


class Place(ABC):
    """Rows in parts, with their companions. Passes go over them, each from the first row to the last.

    n, d : rows and features;  dtype : float32 or float64, of all parts
    exponent : the weights are 2^−exponent times the user's, so that the largest is of order one: float32 can hold them,
    and their sums are numbers, whatever the user's are
    labelled : whether the component of some row is known;  error_axes : of the errors of rows, 2 or 3, or 0 without any
    """

    n: int
    d: int
    dtype: RowType
    exponent = 0
    passes: Passes
    labelled: bool
    error_axes = 0

    @property
    @abstractmethod
    def counted(self) -> int:
        """The number of rows of positive weight."""

    @abstractmethod
    def known(self) -> Counter[int]:
        """How many rows of positive weight are known to be of each component, −1: of an unknown one."""

    @property
    def in_memory(self) -> InMemory | None:
        """The place itself, if all rows are in memory."""
        return None

    @abstractmethod
    def widened(self) -> Place:
        """The same in float64."""

    @abstractmethod
    def whole(self) -> InMemory:
        """All rows in memory."""

    @abstractmethod
    def some(self, count: int) -> InMemory:
        """No more than `count` rows of positive weight, evenly spread among them; `count` ≤ sampling.MOST_SPREAD."""

    @abstractmethod
    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        """`size` rows of positive weight, or all, in their order."""

    def changed(self, **changes: Any) -> Self:
        """A copy with other values for some attributes."""
        other = copy.copy(self)
        vars(other).update(changes)
        return other

    def threads(self, n_threads: int | None) -> int:
        """Those that work at a block: what the user asks for, or all that the process may use."""
        return threads(n_threads)

    def accuse(self) -> None:
        """BlockError: the rows are not those of the first pass; it names the first block that cannot be used."""
        raise BlockError("the rows or their weights have changed since the first pass")

    @abstractmethod
    def expectation(
        self,
        density: Density,
        moment: Moment,
        n_threads: int | None = None,
        guide: AnyGuide | None = None,
        known: bool = False,
        measured: bool = False,
    ) -> tuple[SufficientStatistics, float]:
        """One pass over rows without gaps: the statistics, and the share of the dense work that was done.

        known : a row whose component is known belongs to that one alone; there is no guide then
        measured : the errors of rows count, which may have gaps then; there is no guide
        """

    @abstractmethod
    def sum_of_blocks(self, of: Callable[[InMemory], T]) -> T:
        """Σ of(block), over blocks in memory that together are all rows."""

    @abstractmethod
    def sum_of_pieces(self, of: Callable[[InMemory, int], T]) -> T:
        """Σ of(piece, index of its first row), over blocks of CUT rows or fewer."""


class Local(Place):
    """Rows that come by in this process, in parts."""

    @abstractmethod
    def parts(self) -> Iterator[Part]:
        """The rows, from the first to the last; each part but the last has a multiple of CUT of them."""

    def expectation(
        self,
        density: Density,
        moment: Moment,
        n_threads: int | None = None,
        guide: AnyGuide | None = None,
        known: bool = False,
        measured: bool = False,
    ) -> tuple[SufficientStatistics, float]:
        # Radial moments are taken from log-densities, of which a component of weight zero has none.
        apart = known and moment == "radial" and not np.isfinite(density.log_norm).all()
        taken: Moment = "diag" if apart else moment
        sums, n_threads = _kernels.Expectation(density, taken, guide, self.n), self.threads(n_threads)
        order = self.order(n_threads) if isinstance(guide, Boxes) else None
        for part in self.parts():
            labels, errors = part.labels if known else None, part.errors if measured else None
            sums.add(part.rows, part.weights, n_threads, labels, order, errors)
        found, share = sums.result()
        statistics = SufficientStatistics.of_pass(found, taken, self.exponent)
        if apart:
            statistics = replace(statistics, second=statistics.second.sum(axis=1), moment=moment)
        return statistics, share

    def order(self, n_threads: int) -> Order | None:
        """The rows in an order in which each few lie together, int32 (n,); None where each pass is to find its own."""
        return None

    def blocks(self) -> Iterator[InMemory]:
        """The parts, each as a place in memory."""
        for part in self.parts():
            yield InMemory(part, self.exponent)

    def pieces(self) -> Iterator[tuple[int, InMemory]]:
        """The parts, cut to CUT rows or fewer, each after the index of its first row."""
        first_row = 0
        for block in self.blocks():
            for start in range(0, block.n, CUT):
                yield first_row + start, block.cut(slice(start, start + CUT))
            first_row += block.n

    def sum_of_blocks(self, of: Callable[[InMemory], T]) -> T:
        return reduce(operator.add, map(of, self.blocks()))

    def sum_of_pieces(self, of: Callable[[InMemory, int], T]) -> T:
        return reduce(operator.add, (of(piece, first_row) for first_row, piece in self.pieces()))


class InMemory(Local):
    """Rows in memory."""

    def __init__(self, part: Part, exponent: int = 0, passes: Passes | None = None) -> None:
        self.part, self.exponent, self.passes = part, exponent, passes or Passes()
        (self.n, self.d), self.dtype = part.rows.shape, part.rows.dtype
        self.labelled = part.labels is not None
        self.error_axes = 0 if part.errors is None else part.errors.ndim
        self._order: Order | None = None

    def order(self, n_threads: int) -> Order | None:
        """As that of any rows; it is found once."""
        if self._order is None and self.n < 2**31:
            self._order = in_space(self.part.rows, n_threads)
        return self._order

    def neighbours(self, n_threads: int, count: int) -> Rows:
        """About so many rows, of which each few lie together."""
        order = self.order(n_threads)
        return self.part.rows[:count] if order is None else together(self.part.rows, order, count)

    @once
    def edges(self) -> tuple[Array, Array]:
        """The least and the largest value of each feature, (d,) and (d,)."""
        rows = self.part.rows
        return rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)

    def parts(self) -> Iterator[Part]:
        self.passes.begun += 1
        yield self.part

    @property
    def in_memory(self) -> InMemory:
        return self

    def widened(self) -> InMemory:
        return InMemory(self.part.of_type(np.dtype(np.float64)), self.exponent, self.passes)

    def whole(self) -> InMemory:
        return self

    @property
    def counted(self) -> int:
        weights = self.part.weights
        return self.n if weights is None else int(np.count_nonzero(weights))

    def known(self) -> Counter[int]:
        return of_labels(by_label(self.part), 0)

    def cut(self, which: slice) -> InMemory:
        """Rows that follow each other at a distance."""
        return InMemory(self.part.taken(which), self.exponent)

    def take(self, indices: Any) -> InMemory:
        """Some of the rows."""
        return InMemory(self.part.gathered(indices), self.exponent)

    def some(self, count: int) -> InMemory:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        stride = sampling.stride_of(n, count)
        return self.cut(slice(None, None, stride)) if counted is None else self.take(counted[::stride])

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        counted = self._counted_rows()
        n = self.n if counted is None else len(counted)
        if n <= size:  # a pass over these is one over all that count
            return self if n == self.n else InMemory(self.part.gathered(counted), self.exponent, self.passes)
        chosen = sampling.rows_of(n, size, rng)
        return self.take(chosen if counted is None else counted[chosen])

    def _counted_rows(self) -> Labels | None:
        """The indices of the rows of positive weight; None: all."""
        weights = self.part.weights
        return None if weights is None else np.flatnonzero(weights > 0)


def by_label(part: Part) -> Counter[tuple[int, int]]:
    """How many rows of positive weight have each label and a weight of each exponent, see by_exponent."""
    labels, weights = part.labels, part.weights
    if labels is None:
        return Counter()
    weights = np.ones(len(labels)) if weights is None else weights
    each = ((label, by_exponent(weights[labels == label])) for label in np.unique(labels).tolist())
    return Counter({(label, exponent): n for label, counts in each for exponent, n in counts.items()})


def of_labels(counts: Counter[tuple[int, int]], exponent: int) -> Counter[int]:
    """How many rows have each label, and a weight that is still positive as a multiple of 2^exponent: see by_label."""
    found: Counter[int] = Counter()
    for (label, own), count in counts.items():
        found[label] += not_vanishing(Counter({own: count}), exponent)
    return +found


def kept(part: Part, exponent: int) -> InMemory:
    """Rows of positive weight that a first pass has kept, without those whose weight has vanished beside others.

    If all have, the rows still show the data's scale.
    """
    some = part.positive()
    return InMemory(some if len(some.rows) else part._replace(weights=None), exponent)
