"""What EM is run on: rows somewhere, and what a pass over them means. Here rows that lack nothing.

Where rows are is their `place`; what a row is, complete or with gaps, is the class of the data. Neither knows the
other.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import NEGLIGIBLE, distances_to, of_some, that_matter
from cgmm.once import once
from cgmm.rows import sampling
from cgmm.rows.boxes import Boxes
from cgmm.rows.pruning import Pruning, guide_by_itself, may_be_pruned
from cgmm.rows.unlikely import Unlikely, Worst

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, ClassVar, Self

    from cgmm.mixture.density import Density
    from cgmm.mixture.model import Model
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.part import Part
    from cgmm.rows.place import InMemory, Place
    from cgmm.types import Array, Labels, Names, Output, Rows

T = TypeVar("T")  # What adds up.


@dataclass(frozen=True, eq=False)
class Extent:
    """The least and the largest value (d,) of each column of some rows; that of others adds to it."""

    low: Array
    high: Array

    def __add__(self, other: Extent) -> Extent:
        return Extent(np.minimum(self.low, other.low), np.maximum(self.high, other.high))


class Data(ABC):
    """Rows, and the passes over them that a fit needs.

    n, d : rows and features;  dtype : float32 or float64;  exponent, counted, labelled : as of the place
    """

    def __init__(self, place: Place) -> None:
        self.place, self.n, self.d, self.dtype = place, place.n, place.d, place.dtype
        self.exponent, self.labelled = place.exponent, place.labelled

    # The place, as data

    def _of(self, place: Place) -> Self:
        """Other rows, or the same elsewhere, of this kind."""
        return type(self)(place)

    @property
    def counted(self) -> int:
        """The number of rows of positive weight."""
        return self.place.counted

    @property
    def part(self) -> Part:
        """All rows, which are in memory."""
        return self.place.whole().part

    def threads(self, n_threads: int | None) -> int:
        return self.place.threads(n_threads)

    def count_passes(self, count: int = 1) -> None:
        self.place.passes.begun += count

    def widened(self) -> Self:
        """The same in float64."""
        return self._of(self.place.widened())

    def whole(self) -> Self:
        """All rows in memory."""
        place = self.place.whole()
        return self if place is self.place else self._of(place)

    def sample(self, size: int, rng: np.random.Generator) -> Self:
        """`size` rows of positive weight, or all, in their order, in memory."""
        place = self.place.sample(size, rng)
        return self if place is self.place else self._of(place)

    def cut(self, which: slice) -> Self:
        """Some of rows in memory."""
        return self._of(self.place.whole().cut(which))

    def take(self, which: Any) -> Self:
        """Some of rows in memory: indices or a mask."""
        return self._of(self.place.whole().take(which))

    # What a row is

    gapped: ClassVar = False  # Whether values are missing.
    measured: ClassVar = False  # Whether there are errors of measurement, which count.

    @abstractmethod
    def check_columns(self, names: Names | None = None) -> None:
        """ValueError: there is a feature, of these names, of which nothing is known, or too little to begin."""

    @abstractmethod
    def at_hand(self) -> Part | None:
        """All rows, if they are in memory and lack nothing."""

    @abstractmethod
    def statistics(self, parameters: Parameters, n_threads: int | None = None) -> SufficientStatistics:
        """The statistics of all rows under these parameters: an E-step."""

    def pruned_statistics(
        self,
        parameters: Parameters,
        n_threads: int | None = None,
        possible: bool = True,
        pruning: Pruning = Pruning(),  # noqa: B008, immutable
    ) -> tuple[SufficientStatistics, Pruning]:
        """The same without components that cannot matter, if that is `possible` and pays; and what to do next time.
        Here every component counts."""
        return self.statistics(parameters, n_threads), pruning

    @abstractmethod
    def evaluate(self, parameters: Parameters, what: Output, n_threads: int) -> Any:
        """A value for each row in memory: "log_likelihood" (n,), "responsibilities" (n,k), "labels" (n,)."""

    def sums(self, parameters: Parameters, n_threads: int) -> tuple[float, float] | None:
        """Σ_i w_i log p(x_i) and Σ_i w_i log max_c r_ic of rows in memory, of a mixture without noise; None where there
        is no compiled call for both."""
        return None

    def truth(self, parameters: Parameters, covariances: bool, n_threads: int) -> tuple[Array, Array | None]:
        """Means and covariances, if they are wanted, of the true values of rows in memory."""
        raise ValueError("denoise needs the error_covariances of the rows: without errors they are the true values")

    @abstractmethod
    def moments(self) -> tuple[float, Array, Array]:
        """The weight of all rows, their mean (d,) and their covariance (d,d)."""

    @abstractmethod
    def spread(self, count: int) -> Rows:
        """No more than `count` rows of positive weight, evenly spread, or rows of such values, without gaps."""

    @abstractmethod
    def completed(self) -> InMemory:
        """The rows in memory, whose gaps are filled so that a start can be made of them."""

    @abstractmethod
    def filled(self, parameters: Parameters, n_threads: int) -> Part:
        """The rows in memory, whose gaps are filled as a mixture expects."""

    def explained(self, parameters: Parameters, n_threads: int) -> tuple[Array, Part]:
        """How likely each row in memory is (n,), so that rows can be compared, and the rows without gaps."""
        part = self.filled(parameters, n_threads)
        return _kernels.evaluate(part.rows, parameters.density, "log_likelihood", n_threads), part

    @abstractmethod
    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        """Up to `count` different rows of positive weight and the least log-likelihoods, the worst first."""

    def swamped(self) -> list[int]:
        """The features whose errors of measurement vary as much as their values do: nothing is left to be fitted."""
        return []

    # Sums over blocks

    def sum_of_blocks(self, of: Callable[[Data], T]) -> T:
        """Σ of(block), over the blocks of the place, each as data in memory of this kind."""
        return self.place.sum_of_blocks(partial(_of_block, type(self), of))

    def _worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        looked = partial(_unlikely, type(self), parameters, 4 * count, self.threads(n_threads))
        return self.place.sum_of_pieces(looked).worst(count)

    def deviations(self, columns: Labels, about: Array) -> Array:
        """The standard deviations of some columns of the rows of positive weight, from sums about those values."""
        return _kernels.deviations(self.place.sum_of_pieces(partial(_sums_of_columns, columns, about)))


class Complete(Data):
    """Rows that lack nothing."""

    def check_columns(self, names: Names | None = None) -> None:
        pass

    def at_hand(self) -> Part | None:
        memory = self.place.in_memory
        return None if memory is None else memory.part

    def statistics(self, parameters: Model, n_threads: int | None = None) -> SufficientStatistics:
        return self.place.expectation(parameters.density, parameters.moment, n_threads, known=self.labelled)[0]

    def pruned_statistics(
        self,
        parameters: Parameters,
        n_threads: int | None = None,
        possible: bool = True,
        pruning: Pruning = Pruning(),  # noqa: B008, immutable
    ) -> tuple[SufficientStatistics, Pruning]:
        if self.labelled:  # of rows whose component is known that one counts, however far it is
            return self.statistics(parameters, n_threads), pruning
        memory = self.place.in_memory
        neighbours = None if memory is None else partial(memory.neighbours, self.threads(n_threads))
        guide, pruning = pruning.guide(
            parameters, self.n, self.dtype, self.spread, parameters.moment, possible, neighbours
        )
        density, moment = parameters.density, parameters.moment
        if guide is None:
            return self._without_dead(parameters, n_threads), pruning
        found, share = self.place.expectation(density, moment, n_threads, guide)
        needed = parameters.weights > 0 if parameters.needs_rows else None
        pruning, starved = pruning.observed(share, found.n_k, needed)
        return (self.statistics(parameters, n_threads) if starved else found), pruning

    def _without_dead(self, parameters: Parameters, n_threads: int | None) -> SufficientStatistics:
        """The statistics, by a pass without the components that have died: those that may be without rows, and whose
        density is negligible wherever rows are."""
        density = parameters.density
        if parameters.needs_rows or density.log_norm.min() > density.log_norm.max() + np.log(NEGLIGIBLE):
            return self.statistics(parameters, n_threads)
        extent = self.extent
        matter = that_matter(density, extent.low, extent.high)
        if matter.all():
            return self.statistics(parameters, n_threads)
        found, _ = self.place.expectation(of_some(density, matter), parameters.moment, n_threads)
        return found.among(matter, parameters.means)

    @once
    def extent(self) -> Extent:
        """Between which values each column is."""
        return self.place.sum_of_pieces(_extent_of_piece)

    def evaluate(self, parameters: Parameters, what: Output, n_threads: int) -> Any:
        place = self.place.whole()
        neighbours = partial(place.neighbours, n_threads)
        guide = guide_by_itself(parameters, self.n, self.dtype, self.spread, neighbours)
        order = place.order(n_threads) if isinstance(guide, Boxes) else None
        return _kernels.evaluate(self.part.rows, parameters.density, what, n_threads, guide, order)

    def sums(self, parameters: Parameters, n_threads: int) -> tuple[float, float] | None:
        if may_be_pruned(self.n, self.d, parameters.k):
            return None
        part = self.part
        return _kernels.sums_of_rows(part.rows, parameters.density, part.weights, n_threads)

    def moments(self) -> tuple[float, Array, Array]:
        return self._moments

    @once
    def _moments(self) -> tuple[float, Array, Array]:
        middle = _kernels.column_means(self.spread(sampling.MOST_SPREAD))
        density = distances_to(middle[np.newaxis], middle)
        if self.dtype == np.float32:  # in double, or rounding would say whether the covariance is singular
            found = self.place.sum_of_pieces(partial(_moments_of_piece, density))
        else:
            found, _ = self.place.expectation(density, "full")
        n, offset = found.n_k[0], found.first[0] / found.n_k[0]
        return found.weight, found.shift[0] + offset, found.second[0] / n - offset[:, None] * offset

    def spread(self, count: int) -> Rows:
        return self.place.some(count).part.rows

    def completed(self) -> InMemory:
        return self.place.whole()

    def filled(self, parameters: Parameters, n_threads: int) -> Part:
        return self.part

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        return self._worst(parameters, count, n_threads)


def _of_block(kind: type[Data], of: Callable[[Data], T], block: InMemory) -> T:
    return of(kind(block))


def _unlikely(
    kind: type[Data], parameters: Parameters, most: int, n_threads: int, piece: InMemory, first_row: int
) -> Unlikely:
    return Unlikely.of(*kind(piece).explained(parameters, n_threads), most, first_row)


def _extent_of_piece(piece: InMemory, first_row: int) -> Extent:
    return Extent(*piece.edges)


def _moments_of_piece(density: Density, piece: InMemory, first_row: int) -> SufficientStatistics:
    return piece.widened().expectation(density, "full", 1)[0]


def check_moments(found: SufficientStatistics, beside: str) -> None:
    """ValueError of statistics that are no numbers, though the rows are.

    beside : what made them so, "…: what is no number"
    """
    if not (np.isfinite(found.first).all() and np.isfinite(found.second).all()):
        raise ValueError(
            f"X holds a value too large beside the covariance of a component and {beside} is no number. Begin from "
            "larger covariances (precisions_init), or scale the columns"
        )


def _sums_of_columns(columns: Labels, about: Array, piece: InMemory, first_row: int) -> Array:
    """Of the values that there are in rows of positive weight, Σ (x_j − about_j), Σ (x_j − about_j)² and their number:
    (columns,3)."""
    return _kernels.column_sums(piece.part.rows, columns, about, piece.part.weights)
