"""Rows that come in blocks, each time anew: what a first pass finds of them, and the passes of a fit."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import protocol, sampling, validation
from cgmm.data import PART, Data, InMemory
from cgmm.validation import BlockError

if TYPE_CHECKING:
    from cgmm.parameters import Density
    from cgmm.pruning import Guide
    from cgmm.sources import Source
    from cgmm.statistics import SufficientStatistics
    from cgmm.types import Array, Moment, Names, Part, Rows

PART_BYTES = 1 << 23  # of rows handed on at once, at least: their pass takes longer than what is done for each part
AHEAD = 2  # parts that are read ahead
ROWS = 1 << 40  # more than ever come


class Streamed(Data):
    """The rows of a source, each pass anew, and what a first pass found of them."""

    def __init__(
        self, source: Source, key: int, size: Callable[[int], int], n_threads: int = 1, gaps: bool = False
    ) -> None:
        """key : of the sample (cgmm.sampling.key_of);  size : how many rows it is to have, by their features

        If `gaps`, NaN is a missing value, and `complete` says whether there was none.
        """
        self.source, self.size, self.n_threads, self.gaps, self.complete = source, size, n_threads, gaps, True
        self.n = self.d = 0
        self.dtype, self.begun = np.dtype(np.float32), [0]
        self.lengths: list[int] = []
        self.heaviest: float | None = None
        self.names: Names | None = None
        self._scan(key)
        self.shift = self.exponent = int(np.frexp(self.heaviest or 0.0)[1])
        if self.dtype == np.float32 and validation.has_small_column(self.spread(validation.SCALE_ROWS)):
            self.dtype = np.dtype(np.float64)

    def _scan(self, key: int) -> None:
        """The first pass: it keeps a sample, and rows that are evenly spread."""
        self.begun[0] += 1
        kept: tuple[sampling.Spread, sampling.Reservoir] | None = None
        for rows, row_weights in recut(positive(self._first_blocks()), PART):
            kept = kept or (sampling.Spread(), sampling.Reservoir(key, self.size(self.d)))
            kept[0].add(rows, row_weights)
            kept[1].add(rows, row_weights)
        if kept is None:
            raise nothing_counts(self.n, getattr(self.source, "path", "X"))
        self._spread, self._reservoir = kept

    def _first_blocks(self) -> Iterator[Part]:
        """The blocks, checked; leaves n, d, dtype, lengths, names and heaviest."""
        total = 0.0
        for at, (block, weights) in enumerate(read(self.source)):
            names = names_of(self.source, block)
            self.names = self.names if at else names
            with naming(at, self.n):
                protocol.check_names_of_block(names, self.names)
            rows, row_weights = self._checked(at, block, weights, self.n)
            if self.n and (row_weights is None) != (self.heaviest is None):
                raise BlockError(f"block {at} has {'no ' * (row_weights is None)}weights, unlike those before it")
            self.lengths.append(len(rows))
            if not len(rows):
                continue
            if row_weights is not None:
                self.heaviest, total = max(self.heaviest or 0.0, row_weights.max()), total + row_weights.sum()
            self.n, self.d, self.dtype = self.n + len(rows), rows.shape[1], np.result_type(self.dtype, rows)
            yield rows, row_weights
        if not np.isfinite(total):
            raise ValueError("the row weights have no finite sum")

    def _checked(self, at: int, block: Any, weights: Any, first: int) -> Part:
        with naming(at, first):
            if not len(block):
                return np.empty((0, self.d)), None if weights is None else np.empty(0)
            rows, complete = validation.check_observed(block, self.d or None, self.n_threads, self.gaps, of=ROWS)
            self.complete = self.complete and complete
            return rows, validation.check_weights(weights, len(rows), some=False)

    def _blocks(self) -> Iterator[Part]:
        """The blocks again, in the type of the pass."""
        at = -1
        for at, (block, weights) in enumerate(read(self.source)):
            expected = self.lengths[at] if at < len(self.lengths) else 0
            with naming(at):
                rows: Any = validation.check_array("X", block)
                row_weights = validation.check_weights(weights, len(rows), some=False)
            if len(rows) != expected or (expected and rows.shape[1:] != (self.d,)):
                raise BlockError(
                    f"block {at} has shape {rows.shape}, and had {(expected, self.d)} in the first pass: each pass "
                    "needs the same rows"
                )
            if expected and (row_weights is None) != (self.heaviest is None):
                raise BlockError(f"block {at} has {'no ' * (row_weights is None)}weights, unlike in the first pass")
            if row_weights is not None:
                row_weights = np.ldexp(row_weights, -self.shift)
            if expected:
                yield rows.astype(self.dtype, copy=False), row_weights
        if at + 1 < len(self.lengths):
            raise BlockError(f"there were {at + 1} blocks, and {len(self.lengths)} in the first pass")

    def parts(self) -> Iterator[Part]:
        self.begun[0] += 1
        row = self.d * self.dtype.itemsize
        size, mapped = PART * max(1, PART_BYTES // (PART * row)), self.source.mapped
        cut = recut(self._blocks(), size, AHEAD + 2, self.dtype, views=mapped)  # other blocks may be refilled meanwhile
        return cut if mapped else read_ahead(cut)

    def expectation(
        self, density: Density, moment: Moment, n_threads: int | None = None, guide: Guide | None = None
    ) -> tuple[SufficientStatistics, float]:
        found, share = super().expectation(density, moment, n_threads, guide)
        if not (np.isfinite(found.first).all() and found.total_weight):
            self.accuse()
        return found, share

    def accuse(self) -> None:
        first = 0
        for at, (block, weights) in enumerate(read(self.source)):
            first += len(self._checked(at, block, weights, first)[0])
        super().accuse()

    @property
    def counted(self) -> int:
        return self._reservoir.n

    def widened(self) -> Streamed:
        return self.changed(dtype=np.dtype(np.float64))

    def scaled(self, exponent: int) -> Streamed:
        return self.changed(shift=self.shift - exponent, exponent=0)

    def whole(self) -> InMemory:
        raise ValueError(
            "X comes in blocks, and a function as init_params, or responsibilities_init, would need all rows in "
            "memory: give means_init, or an array"
        )

    def some(self, count: int) -> InMemory:
        return self._of_this_type(*self._spread.rows(count))

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        if self.counted > size and sampling.key_of(rng) != self._reservoir.key:
            raise AssertionError("the generator is not that of the first pass")
        return self._of_this_type(*self._reservoir.sample(size, rng))

    def _of_this_type(self, rows: Rows, row_weights: Array | None) -> InMemory:
        """Rows that were kept in the first pass, and their weights, as passes have them."""
        if row_weights is not None:
            row_weights = np.ldexp(row_weights, -self.shift)
        return InMemory(rows.astype(self.dtype, copy=False), row_weights, self.exponent)


def read(source: Source) -> Iterator[tuple[Any, Any]]:
    """The blocks as the source gives them; BlockError names one that could not be read."""
    blocks = iter(source.blocks())
    for at in count():
        try:
            block = next(blocks)
        except StopIteration:
            return
        except BlockError:  # which says more
            raise
        except Exception as error:
            raise BlockError(f"block {at} could not be read: {type(error).__name__}: {error}") from error
        yield block


def names_of(source: Source, block: Any) -> Names | None:
    """The names of a source's features, which its first block may tell; None if there are none."""
    return protocol.feature_names(block) if source.names is None else np.array(source.names, dtype=object)


def nothing_counts(n: int, name: str = "X") -> ValueError:
    """The error of n rows, or a file of that name, of which none has a positive weight."""
    return ValueError(f"{name} has {n} rows" + " and no positive weight" * bool(n) + ": nothing can be fitted")


@contextmanager
def naming(at: int, first: int | None = None, kind: str = "block") -> Iterator[None]:
    """Errors of a block that cannot be used name it, and the row that is its first."""
    try:
        yield
    except (ValueError, TypeError) as error:
        where = f"{kind} {at}" if first is None else f"{kind} {at}, which begins at row {first}"
        raise BlockError(f"{where}: {error}") from error


def positive(blocks: Iterable[Part]) -> Iterator[Part]:
    """The rows of positive weight."""
    for rows, row_weights in blocks:
        if row_weights is None or (row_weights > 0).all():
            yield rows, row_weights
        else:
            yield rows[row_weights > 0], row_weights[row_weights > 0]


def recut(
    blocks: Iterable[Part],
    size: int,
    buffers: int = 1,
    dtype: np.dtype[Any] | type = np.float64,
    views: bool = True,
) -> Iterator[Part]:
    """Blocks cut anew: `size` rows each, but the last. They are copied, with `views` only where they must be joined.

    The last `buffers` that were handed out stay as they are; one more that is asked for may overwrite the first.
    """
    ring: Any = None
    held: Any = None
    weights: Any = None
    filled = 0
    for rows, row_weights in blocks:
        start = 0
        while start < len(rows):
            if views and not filled and len(rows) - start >= size:
                cut, start = slice(start, start + size), start + size
                yield rows[cut], None if row_weights is None else row_weights[cut]
                continue
            if ring is None:
                ring = cycle([(np.empty((size, rows.shape[1]), dtype), np.empty(size)) for _ in range(buffers)])
            if not filled:
                held, weights = next(ring)
            more = min(size - filled, len(rows) - start)
            held[filled : filled + more] = rows[start : start + more]
            if row_weights is not None:
                weights[filled : filled + more] = row_weights[start : start + more]
            filled, start = filled + more, start + more
            if filled == size:
                yield held, None if row_weights is None else weights
                filled = 0
    if filled:
        yield held[:filled], None if row_weights is None else weights[:filled]


def read_ahead(parts: Iterator[Part]) -> Iterator[Part]:
    """The same, read by another thread while the caller works."""
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    ended = threading.Event()

    def read() -> None:
        try:
            for part in parts:
                ready.put((part, None))
                if ended.is_set():
                    return
            ready.put((None, None))
        except BaseException as error:
            ready.put((None, error))

    thread = threading.Thread(target=read, daemon=True, name="cgmm reads ahead")
    thread.start()
    try:
        while True:
            part, error = ready.get()
            if error is not None:
                raise error
            if part is None:
                return
            yield part
    finally:
        ended.set()
        while thread.is_alive():
            with suppress(queue.Empty):
                ready.get(timeout=0.01)
        thread.join()
