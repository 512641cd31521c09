"""Rows in the chunks of a Dask collection: a fit's passes go where they are, and verbs are as lazy as they are."""

from __future__ import annotations

import operator
from collections import Counter
from dataclasses import dataclass
from functools import partial, reduce
from operator import methodcaller
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from cgmm.errors import counted
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.rows import sampling
from cgmm.rows.checks import (
    MOST_ROWS,
    SCALE_ROWS,
    by_exponent,
    check_features,
    check_observed,
    check_part,
    filled,
    has_small_column,
    not_vanishing,
    part_again,
)
from cgmm.rows.chunks import Chunk, Chunks, one_value
from cgmm.rows.evaluation import Asked, Evaluation, Evaluations
from cgmm.rows.opened import AtHand, Batch, FirstPass, check_names, data_at, evaluation
from cgmm.rows.part import Part, joined
from cgmm.rows.place import InMemory, Passes, Place, by_label, kept, of_labels
from cgmm.rows.reading import naming_block, nothing_counts
from cgmm.validation import check_array

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from cgmm.mixture.density import Density
    from cgmm.rows.data import Data
    from cgmm.rows.pruning import AnyGuide
    from cgmm.types import Answer, Labels, Moment, Names, Rows, RowType

T = TypeVar("T")  # What adds up.

# So many times the rows that are needed of a chunk of the mean size are drawn in the first pass: chunks may be larger.
SPARE = 4


class Found(NamedTuple):
    """What the first pass finds of a chunk.

    complete : no value is missing
    heaviest, weight : the largest row weight and the sum of all, zero if there are none
    weighty : how many weights there are of each exponent, or None
    sample : of the rows of positive weight, of which there are `counted`
    labels : how many of them have each label, see by_label, or None
    error_axes : as of a Place
    """

    n: int
    dtype: RowType
    complete: bool
    heaviest: float
    weight: float
    weighty: Counter[int] | None
    counted: int
    sample: InMemory
    labels: Counter[tuple[int, int]] | None
    error_axes: int


class Agreed(NamedTuple):
    """What the first pass found, which every later pass needs: see Place."""

    d: int
    dtype: RowType
    exponent: int
    gaps: bool
    labelled: bool


@dataclass(frozen=True)
class Work:
    """Statistics, and the rows that would have been as much work without a guide."""

    statistics: SufficientStatistics
    rows: float

    def __add__(self, other: Work) -> Work:
        return Work(self.statistics + other.statistics, self.rows + other.rows)


class Chunked(Place):
    """The rows of a Dask collection, each pass anew, and what a first pass found of them."""

    def __init__(
        self,
        chunks: Chunks,
        key: int,
        size: Callable[[int], int],
        n_threads: int | None = None,
        gaps: bool = False,
    ) -> None:
        """key, size, gaps : as of cgmm.rows.streams.Streamed;  n_threads : of each task, if not one"""
        self.d, self.key, self.n_threads, self.gaps, self.passes = chunks.d, key, n_threads or 1, gaps, Passes(1)
        drawn = -(-SPARE * max(size(self.d), sampling.MOST_SPREAD) // len(chunks.rows))
        results = chunks.each(partial(_find, self.d, drawn, key, gaps))
        found = [result for result in results if result is not None]
        self.n, self.counts = sum(some.n for some in found), np.array([some.counted for some in found], dtype=np.int64)
        if not self.counts.sum():
            raise nothing_counts(self.n)
        if not np.isfinite(sum(some.weight for some in found)):
            raise ValueError("the row weights have no finite sum")
        self.error_axes = max(some.error_axes for some in found)
        weighty = [some.weighty for some in found if some.weighty is not None]
        self.weighty = reduce(operator.add, weighty) if weighty else None
        labels = [some.labels for some in found if some.labels is not None]
        self.by_label: Counter[tuple[int, int]] = reduce(operator.add, labels, Counter())
        self.chunks = chunks.take([at for at, some in enumerate(results) if some], [some.n for some in found])
        self.exponent = int(np.frexp(max(some.heaviest for some in found))[1])
        self.labelled = max(self.known(), default=-1) >= 0
        samples = [some.sample.part.times_power_of_two(-self.exponent) for some in found]
        self.samples = [InMemory(part if self.labelled else part._replace(labels=None)) for part in samples]
        self.dtype, self.complete = np.result_type(*(some.dtype for some in found)), all(s.complete for s in found)
        if self.dtype == np.float32 and has_small_column(self.some(SCALE_ROWS).part.rows):
            self.dtype = np.dtype(np.float64)

    @property
    def counted(self) -> int:
        return int(self.counts.sum()) if self.weighty is None else not_vanishing(self.weighty, self.exponent)

    def known(self) -> Counter[int]:
        return of_labels(self.by_label, self.exponent)

    def threads(self, n_threads: int | None) -> int:
        return self.n_threads

    def widened(self) -> Chunked:
        return self.changed(dtype=np.dtype(np.float64))

    def whole(self) -> InMemory:
        raise ValueError(
            "X is in the chunks of a Dask collection, and a function as init_params, or responsibilities_init, would "
            "need all rows in one place: give means_init, or X.compute()"
        )

    def some(self, count: int) -> InMemory:
        shares = shares_of(self.counts, count)
        return self._joined([evenly(some.n, share) for some, share in zip(self.samples, shares, strict=True)])

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        shares = shares_of(self.counts, size)
        if any(some.n < share for some, share in zip(self.samples, shares, strict=True)):
            sizes = dict(zip(self.chunks.firsts, np.maximum(shares, 1).tolist(), strict=True))
            self.samples = self.chunks.each(self._task(partial(_drawn, sizes, self.key)))
        pairs = zip(self.samples, shares, strict=True)
        return self._joined([sampling.choose(some.n, share, rng) for some, share in pairs])

    def _joined(self, indices: list[Labels]) -> InMemory:
        """Those rows of each chunk's sample."""
        pairs = zip(self.samples, indices, strict=True)
        some = [sample.part.gathered(chosen) for sample, chosen in pairs]
        return kept(joined(some).of_type(self.dtype), self.exponent)

    def expectation(
        self,
        density: Density,
        moment: Moment,
        n_threads: int | None = None,
        guide: AnyGuide | None = None,
        known: bool = False,
        measured: bool = False,
    ) -> tuple[SufficientStatistics, float]:
        work = self._total(partial(_expectation, density, moment, self.n_threads, guide, known, measured))
        return work.statistics, work.rows / self.n

    def accuse(self) -> None:
        self._total(partial(_check, self.gaps))
        super().accuse()

    def sum_of_blocks(self, of: Callable[[InMemory], T]) -> T:
        return self._total(partial(_of_block, of))

    def sum_of_pieces(self, of: Callable[[InMemory, int], T]) -> T:
        return self._total(partial(_of_pieces, of))

    def _total(self, of: Callable[[InMemory, int], T]) -> T:
        """Σ of(rows, index of the first) over the chunks: a pass."""
        return self.chunks.total(self._task(of))

    def _task(self, of: Callable[[InMemory, int], T]) -> Callable[[Chunk], T]:
        """What a task of a further pass does."""
        self.passes.begun += 1
        return partial(_again, Agreed(self.d, self.dtype, self.exponent, self.gaps, self.labelled), of)


def shares_of(counts: Labels, size: int) -> Labels:
    """How many of `size` rows are to be from chunks with so many: in proportion, or all there are."""
    total = int(counts.sum())
    if total <= size:
        return counts
    shares, rest = counts * size // total, counts * size % total
    shares[np.argsort(-rest, kind="stable")[: size - int(shares.sum())]] += 1
    return shares


def evenly(n: int, size: int) -> Labels:
    """`size` of n indices, evenly spread; or all."""
    return np.arange(n) if n <= size else np.arange(size) * n // size


def _find(d: int, size: int, key: int, gaps: bool, chunk: Chunk) -> Found:
    part, complete = check_part(chunk.given, d, 1, gaps, of=MOST_ROWS, some=False)
    data, row_weights = InMemory(part), part.weights
    return Found(
        n=data.n,
        dtype=data.dtype,
        complete=complete,
        heaviest=0.0 if row_weights is None else float(row_weights.max()),
        weight=0.0 if row_weights is None else float(row_weights.sum()),
        weighty=None if row_weights is None else by_exponent(row_weights),
        counted=data.counted,
        sample=data.sample(size, np.random.default_rng([key, chunk.at])),
        labels=None if part.labels is None else by_label(part),
        error_axes=data.error_axes,
    )


def _again(agreed: Agreed, of: Callable[[InMemory, int], T], chunk: Chunk) -> T:
    rows = check_array("X", filled(chunk.given.rows) if agreed.gaps else chunk.given.rows)
    if rows.shape[1:] != (agreed.d,):
        raise ValueError(
            f"it has shape {rows.shape}, and had {counted(agreed.d, 'column')} before: each pass needs the same rows"
        )
    part = part_again(rows, chunk.given, agreed.gaps)
    part = part if agreed.labelled else part._replace(labels=None)
    part = part.of_type(agreed.dtype).times_power_of_two(-agreed.exponent)
    return of(InMemory(part, agreed.exponent), chunk.first_row or 0)


def _drawn(sizes: Mapping[int, int], key: int, data: InMemory, first_row: int) -> InMemory:
    return data.sample(sizes[first_row], np.random.default_rng([key, first_row]))


def _expectation(
    density: Density,
    moment: Moment,
    n_threads: int,
    guide: AnyGuide | None,
    known: bool,
    measured: bool,
    data: InMemory,
    first_row: int,
) -> Work:
    statistics, share = data.expectation(density, moment, n_threads, guide, known, measured)
    if not np.isfinite(statistics.first).all():  # then the rows have changed
        check_observed(data.part.rows, None, 1, measured)
    return Work(statistics, share * data.n)


def _check(gaps: bool, data: InMemory, first_row: int) -> int:
    check_observed(data.part.rows, None, 1, gaps, of=MOST_ROWS)
    return 0


def _of_block(of: Callable[[InMemory], T], data: InMemory, first_row: int) -> T:
    return of(data)


def _of_pieces(of: Callable[[InMemory, int], T], data: InMemory, first_row: int) -> T:
    return data.sum_of_pieces(lambda piece, at: of(piece, first_row + at))


class Lazy(Evaluations):
    """Evaluations of the chunks of a Dask collection; values of rows stay there until somebody computes them."""

    def __init__(self, chunks: Chunks, asked: Asked) -> None:
        check_features(chunks.d, asked.parameters.d, asked.name)
        self.chunks, self.k = chunks, asked.parameters.k
        asked = asked._replace(n_threads=asked.n_threads or 1)  # of each task
        self.of = partial(evaluation, asked=asked, some=False)

    def evaluate(self, what: Answer) -> Any:
        """A Dask array, chunked as the rows are."""
        return self.values(methodcaller("evaluate", what), _no_values(what, self.k))

    def values(self, of: Callable[[Evaluation], Any], none: Any) -> Any:
        """A Dask array, chunked as the rows are."""
        if any(errors is not None for errors in self.chunks.errors):
            raise TypeError(
                "X is in chunks, and values of rows with errors are computed of rows in memory: dask.array.map_blocks "
                "of the method, with X and error_covariances, does it in each"
            )
        array = self.chunks.array
        return array.map_blocks(
            _values,
            of=one_value(self.of),
            value=one_value(of),
            none=none,
            meta=none,
            chunks=(array.chunks[0], *none.shape[1:]),
            drop_axis=list(range(none.ndim, 2)),
        )

    def impute(self, rng: np.random.Generator | None, single: bool = False) -> Rows:
        raise TypeError(
            "X is in chunks, and impute fills rows in memory: X.map_blocks(model.impute, dtype=float) does it in each"
        )

    def total(self, of: Callable[[Evaluation], T]) -> T:
        return self.chunks.total(partial(_of_evaluation, self.of, of))


def _of_evaluation(evaluate: Callable[[Part], Evaluation], of: Callable[[Evaluation], T], chunk: Chunk) -> T:
    return of(evaluate(chunk.given))


def _no_values(what: Answer, k: int) -> Any:
    """The values of no rows."""
    return {
        "labels": np.empty(0, dtype=np.intp),
        "log_likelihood": np.empty(0),
        "noise": np.empty(0),
        "responsibilities": np.empty((0, k)),
        "log_densities": np.empty((0, k)),
    }[what]


def _values(
    rows: Any,
    of: Callable[[Part], Evaluation],
    value: Callable[[Evaluation], Any],
    none: Any,
    block_id: tuple[int, ...],
) -> Any:
    if not len(rows):
        return none
    with naming_block(f"chunk {block_id[0]}"):
        return value(of(Part(rows)))


class Collection:
    """What a user hands over as a Dask collection: see cgmm.rows.opened.Opened."""

    def __init__(self, X: Any, sample_weight: Any, gaps: bool, labels: Any = None, errors: Any = None) -> None:
        self.X, self.sample_weight, self.gaps, self.labels, self.errors = X, sample_weight, gaps, labels, errors

    def _chunks(self) -> Chunks:
        return Chunks(self.X, self.sample_weight, self.labels, self.errors)

    def data(self, first_pass: FirstPass, n_threads: int | None) -> tuple[Data, Names | None]:
        chunks = self._chunks()
        place = Chunked(chunks, first_pass.key(), first_pass.size, n_threads, self.gaps)
        return data_at(place, place.complete, chunks.names), chunks.names

    def evaluations(self, asked: Asked, some: bool = True) -> Evaluations:
        chunks = self._chunks()
        check_names(chunks.names, asked.names, asked.name)
        return Lazy(chunks, asked)

    def batches(
        self, d: int | None, n_threads: int, names: Names | None = None
    ) -> Iterator[tuple[Names | None, Batch]]:
        """All rows in memory, as one batch."""
        return AtHand(self.X, self.sample_weight, self.gaps, self.labels, self.errors).batches(d, n_threads, names)
