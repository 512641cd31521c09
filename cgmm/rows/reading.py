"""Blocks of rows on their way: read, named where they fail or differ, cut anew, read ahead."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import count, cycle, zip_longest
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import protocol
from cgmm.errors import BlockError, counted
from cgmm.rows.part import Part
from cgmm.rows.row_errors import axes_of, of_rows, told_of
from cgmm.tables import Block

if TYPE_CHECKING:
    from cgmm.rows.sources import Source
    from cgmm.types import Names

AHEAD = 2  # Parts that are read ahead while one is worked on.


def read(source: Source) -> Iterator[Part]:
    """The blocks as the source gives them: not checked, and perhaps not arrays yet.

    BlockError names one that could not be read.
    """
    blocks = iter(source.blocks())
    for at in count():
        try:
            block = next(blocks)
        except StopIteration:
            return
        except BlockError:  # which says more
            raise
        except Exception as error:
            raise BlockError(f"{block_of(source, at)} could not be read: {type(error).__name__}: {error}") from error
        rows, *companions = block
        part = Part(protocol.without_index(rows), *companions)
        yield part._replace(errors=of_rows(part.errors)) if isinstance(block, Block) else part


def count_of(block: Part) -> int:
    """The rows of a block that is not checked yet; TypeError says that it is none."""
    try:
        return len(block.rows)
    except TypeError:
        kind = type(block.rows).__name__
        raise TypeError(f"it is of type {kind}: a block is rows, or a pair of rows and their weights") from None


def names_of(source: Source, block: Any) -> Names | None:
    """The names of a source's features, which its first block may tell; None if there are none."""
    return protocol.feature_names(block) if source.names is None else protocol.names_of_features(source.names)


class Look(NamedTuple):
    """What is seen of a block at once: its rows, the shape of each, their dtype as given or None, and what goes with
    them."""

    n: int
    shape: tuple[int, ...]
    dtype: object
    weights: bool
    labels: bool
    error_axes: int

    @classmethod
    def at(cls, given: Part, part: Part) -> Look:
        """Of a block as the source gives it, and as it is taken."""
        dtype, companions = getattr(given.rows, "dtype", None), (part.weights is not None, part.labels is not None)
        return cls(count_of(part), np.shape(part.rows)[1:], dtype, *companions, axes_of(part))

    def unlike(self, other: Look) -> str:
        """What it has, or has not, unlike another block; or nothing."""
        if self.weights != other.weights:
            return f"{'no ' * other.weights}weights"
        if self.labels != other.labels:
            return f"{'no ' * other.labels}labels"
        return told_of(self.error_axes) if self.error_axes != other.error_axes else ""


class Seen:
    """What the blocks of a source have been so far: all are to be alike, and each pass is to give the same.

    names : of the features: those of a model, or else of the first block that has any;  passes : that were begun
    """

    def __init__(self, source: Source, names: Names | None = None) -> None:
        self.source, self.names, self.passes = source, names, 0
        self.when = "before" if names is None else "in the fit"
        self.looks: list[Look] = []  # of the first pass
        self.last: Look | None = None  # that has rows

    def read(self) -> Iterator[Part]:
        self.passes += 1
        return read(self.source)

    def block(self, at: int) -> str:
        """What errors call a block."""
        return block_of(self.source, at) + f" of pass {self.passes}" * (self.passes > 1)

    def check_names(self, names: Names | None) -> None:
        """ValueError if a block has other features than are known, or has them in another order."""
        if names is None:
            return
        self.names = names if self.names is None else self.names
        for j, (name, known) in enumerate(zip_longest(names, self.names)):
            if name != known:
                now, before = ("missing" if one is None else repr(one) for one in (name, known))
                raise ValueError(
                    f"column {j} is {now}, and was {before} {self.when}: give the same columns in the same order"
                )

    def check(self, at: int, given: Part, part: Part) -> None:
        """BlockError: a block is unlike those before it, or is not what it was in the first pass."""
        name, now = block_of(self.source, at), Look.at(given, part)
        if self.passes == 1:
            self.looks.append(now)
            if not now.n:
                return
            before, self.last = self.last or now, now
            if now.shape != before.shape:
                raise BlockError(
                    f"{name} has shape {(now.n, *now.shape)}, and one before it {(before.n, *before.shape)}"
                )
            if told := now.unlike(before):
                raise BlockError(f"{name} has {told}, unlike those before it")
            return
        before = self.looks[at] if at < len(self.looks) else now._replace(n=0)
        if now.n != before.n or (now.n and now.shape != before.shape):
            raise BlockError(
                f"{name} has shape {(now.n, *now.shape)}, and had {(before.n, *before.shape)} in the first pass: each "
                "pass needs the same rows"
            )
        if now.n and (told := now.unlike(before)):
            raise BlockError(f"{name} has {told}, unlike in the first pass")
        if now.n and now.dtype != before.dtype:
            raise BlockError(f"{name} is of type {now.dtype}, and was of type {before.dtype} in the first pass")

    def check_number(self, number: int) -> None:
        """BlockError: a pass that has ended had fewer blocks than the first."""
        if number < len(self.looks):
            raise BlockError(f"there were {number} blocks, and {len(self.looks)} in the first pass")


def nothing_counts(n: int, name: str = "X") -> ValueError:
    """The error of n rows, or a file of that name, of which none has a positive weight."""
    return ValueError(
        f"{name} has {counted(n, 'row')}" + " and no positive weight" * bool(n) + ": nothing can be fitted"
    )


def block_of(source: Source, at: int) -> str:
    """What errors call a block of a source; of a file also the file."""
    path = getattr(source, "path", None)
    return f"block {at}" if path is None else f"{path}, block {at}"


@contextmanager
def naming_block(block: str, first_row: int | None = None) -> Iterator[None]:
    """Errors of a block that cannot be used name it, and the row that is its first."""
    try:
        yield
    except BlockError:  # which says more
        raise
    except (ValueError, TypeError) as error:
        where = "" if first_row is None else f", which begins at row {first_row}"
        raise BlockError(f"{block}{where}: {error}") from error


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
    filled = 0
    for part in blocks:
        start, n = 0, len(part.rows)
        while start < n:
            if views and not filled and n - start >= size:
                yield part.taken(slice(start, start + size))
                start += size
                continue
            if ring is None:
                ring = cycle([_empty_like(part, size, dtype) for _ in range(buffers)])
            if not filled:
                held = next(ring)
            more = min(size - filled, n - start)
            held.put(filled, part.taken(slice(start, start + more)))
            filled, start = filled + more, start + more
            if filled == size:
                yield held
                filled = 0
    if filled:
        yield held.taken(slice(filled))


def _empty_like(part: Part, size: int, dtype: Any) -> Part:
    """Room for so many rows of that type, and for the companions that a part's have."""
    room = (None if values is None else np.empty((size, *values.shape[1:]), values.dtype) for values in part.companions)
    return Part(np.empty((size, part.rows.shape[1]), dtype), *room)


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
