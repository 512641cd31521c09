"""Rows that come in blocks, each time anew: what a first pass finds of them, and the passes of a fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from cgmm.rows import sampling
from cgmm.rows.checks import (
    MOST_ROWS,
    SCALE_ROWS,
    by_exponent,
    check_part,
    filled,
    has_small_column,
    not_vanishing,
    part_again,
)
from cgmm.rows.part import Part
from cgmm.rows.place import CUT, InMemory, Local, Passes, by_label, kept, of_labels
from cgmm.rows.reading import (
    AHEAD,
    Seen,
    block_of,
    count_of,
    names_of,
    naming_block,
    nothing_counts,
    read,
    read_ahead,
    recut,
)
from cgmm.rows.row_errors import axes_of
from cgmm.validation import check_array

if TYPE_CHECKING:
    from cgmm.mixture.density import Density
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.pruning import AnyGuide
    from cgmm.rows.sources import Source
    from cgmm.types import Moment

# Bytes of rows that are handed on at once, at least: their pass takes longer than what is done for each part.
PART_BYTES = 1 << 23


class Streamed(Local):
    """The rows of a source, each pass anew, and what a first pass found of them."""

    def __init__(
        self, source: Source, key: int, size: Callable[[int], int], n_threads: int = 1, gaps: bool = False
    ) -> None:
        """key : of the sample (cgmm.rows.sampling.key_of);  size(d) : how many rows it has if there are d features

        If `gaps`, NaN is a missing value, and `complete` says whether there was none.
        """
        self.source, self.size, self.n_threads, self.gaps, self.complete = source, size, n_threads, gaps, True
        self.seen = Seen(source)
        self.n = self.d = 0
        self.dtype, self.passes = np.dtype(np.float32), Passes()
        self.heaviest: float | None = None
        self.weighty: Counter[int] = Counter()
        self.by_label: Counter[tuple[int, int]] | None = None
        self._scan(key)
        self.exponent = int(np.frexp(self.heaviest or 0.0)[1])
        self.labelled = max(self.known(), default=-1) >= 0
        if self.dtype == np.float32 and has_small_column(self.some(SCALE_ROWS).part.rows):
            self.dtype = np.dtype(np.float64)

    def _scan(self, key: int) -> None:
        """The first pass: it keeps a sample, and rows that are evenly spread."""
        self.passes.begun += 1
        found: tuple[sampling.Strided, sampling.Reservoir] | None = None
        for part in recut((part.positive() for part in self._first_blocks()), CUT):
            found = found or (sampling.Strided(), sampling.Reservoir(key, self.size(self.d)))
            found[0].add(part)
            found[1].add(part)
        if found is None:
            raise nothing_counts(self.n, getattr(self.source, "path", None) or "X")
        self._strided, self._reservoir = found

    def _first_blocks(self) -> Iterator[Part]:
        """The blocks, checked; leaves n, d, dtype, heaviest and what was seen of them."""
        total = 0.0
        for at, block in enumerate(self.seen.read()):
            with naming_block(self.seen.block(at), self.n):
                self.seen.check_names(names_of(self.source, block.rows))
            part = self._checked(at, block, self.n)
            self.seen.check(at, block, part)
            row_weights = part.weights
            if not len(part.rows):
                continue
            if row_weights is not None:
                self.heaviest, total = max(self.heaviest or 0.0, row_weights.max()), total + row_weights.sum()
                self.weighty += by_exponent(row_weights)
            if part.labels is not None:
                self.by_label = (self.by_label or Counter()) + by_label(part)
            self.error_axes = axes_of(part)
            self.n, self.d = self.n + len(part.rows), part.rows.shape[1]
            self.dtype = np.result_type(self.dtype, part.rows)
            yield part
        if not np.isfinite(total):
            raise ValueError("the row weights have no finite sum")

    def _checked(self, at: int, block: Part, first_row: int) -> Part:
        with naming_block(block_of(self.source, at), first_row):
            if not count_of(block):
                weights = None if block.weights is None else np.empty(0)
                labels = None if block.labels is None else np.empty(0, dtype=np.intp)
                errors = None if block.errors is None else np.empty((0, self.d))
                return Part(np.empty((0, self.d)), weights, labels, errors)
            part, complete = check_part(block, self.d or None, self.n_threads, self.gaps, of=MOST_ROWS, some=False)
            self.complete = self.complete and complete
            return part

    def _blocks(self) -> Iterator[Part]:
        """The blocks again, in the type of the pass."""
        at = -1
        for at, block in enumerate(self.seen.read()):
            with naming_block(self.seen.block(at)):
                self.seen.check_names(names_of(self.source, block.rows))
                rows = check_array("X", filled(block.rows) if self.gaps else block.rows)
                part = part_again(rows, block, self.gaps)
            self.seen.check(at, block, part)
            if len(part.rows):
                yield self._as_known(part.of_type(self.dtype).times_power_of_two(-self.exponent))
        self.seen.check_number(at + 1)

    def parts(self) -> Iterator[Part]:
        self.passes.begun += 1
        row = self.d * self.dtype.itemsize
        size, mapped = CUT * max(1, PART_BYTES // (CUT * row)), self.source.mapped
        cut = recut(self._blocks(), size, AHEAD + 2, self.dtype, views=mapped)  # other blocks may be refilled meanwhile
        return cut if mapped else read_ahead(cut)

    def expectation(
        self,
        density: Density,
        moment: Moment,
        n_threads: int | None = None,
        guide: AnyGuide | None = None,
        known: bool = False,
        measured: bool = False,
    ) -> tuple[SufficientStatistics, float]:
        found, share = super().expectation(density, moment, n_threads, guide, known, measured)
        if not found.total_weight:
            self.accuse()
        if not np.isfinite(found.first).all():
            self._look_again()
            if not measured:  # where sums may overflow beside a narrow component
                super().accuse()
        return found, share

    def accuse(self) -> None:
        self._look_again()
        super().accuse()

    def _look_again(self) -> None:
        """BlockError: the first block that cannot be used."""
        first_row = 0
        for at, block in enumerate(read(self.source)):
            first_row += len(self._checked(at, block, first_row).rows)

    @property
    def counted(self) -> int:
        return self.n if self.heaviest is None else not_vanishing(self.weighty, self.exponent)

    def known(self) -> Counter[int]:
        return of_labels(self.by_label or Counter(), self.exponent)

    def widened(self) -> Streamed:
        return self.changed(dtype=np.dtype(np.float64))

    def whole(self) -> InMemory:
        raise ValueError(
            "X comes in blocks, and a function as init_params, or responsibilities_init, would need all rows in "
            "memory: give means_init, or an array"
        )

    def some(self, count: int) -> InMemory:
        return self._as_passes_have(self._strided.some(count))

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        if self._reservoir.n > size and sampling.key_of(rng) != self._reservoir.key:
            raise AssertionError("the generator is not that of the first pass")
        return self._as_passes_have(self._reservoir.sample(size, rng))

    def _as_passes_have(self, part: Part) -> InMemory:
        """Rows that were kept in the first pass, in the type and with the weights of later passes."""
        return kept(self._as_known(part.of_type(self.dtype).times_power_of_two(-self.exponent)), self.exponent)

    def _as_known(self, part: Part) -> Part:
        """A part, without labels if no component is known."""
        return part if self.labelled else part._replace(labels=None)
