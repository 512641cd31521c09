"""What a user may hand over for rows that are not in memory → blocks of rows."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cgmm import _kernels, tables
from cgmm.errors import BlockError
from cgmm.files import is_special
from cgmm.rows.checks import check_labels, check_weights
from cgmm.rows.part import Part
from cgmm.rows.place import CUT
from cgmm.rows.row_errors import of_rows, shaped
from cgmm.tables import npy
from cgmm.tables.origin import naming_input

if TYPE_CHECKING:
    pass

# Bytes of a mapped file in a block: enough for the disk to read on, and little beside memory.
BRING_WEIGHTS = "sample_weight is for arrays: X comes in blocks, each of which brings its weights, (rows, weights)"
BRING_LABELS = (
    "labels are for arrays: X comes in blocks, each of which brings its labels, (rows, weights or None, labels)"
)
BRING_ERRORS = (
    "error_covariances are for arrays: X comes in blocks, each of which brings those of its rows, (rows, weights or "
    "None, labels or None, error covariances)"
)
MAPPED_BYTES = 1 << 23
SEQUENTIAL, NORMAL, DROP = (getattr(mmap, f"MADV_{name}", None) for name in ("SEQUENTIAL", "NORMAL", "DONTNEED"))
LEAST_MAPPED = 1 << 26  # Bytes that a map has at least if a pass is to leave nothing of it in memory.


class Source(Protocol):
    """Rows in blocks, as often as they are asked for, and always the same.

    names : of the features, or None;  mapped : the blocks are views of a file, which nobody needs to read ahead
    """

    @property
    def names(self) -> Sequence[str] | None: ...

    @property
    def mapped(self) -> bool: ...

    def blocks(self) -> Iterator[tuple[Any, ...]]:
        """Each an array-like (m,d), and weights (m,) or None; perhaps labels (m,) and errors, too, as cgmm.rows.part
        has them."""
        ...


class Iterated:
    """Those of an iterable, or of what a function returns: arrays, or pairs of an array and weights, or these with
    labels, or with labels and errors."""

    names = None
    mapped = False

    def __init__(self, iterate: Callable[[], Iterable[Any]]) -> None:
        self.iterate = iterate

    def blocks(self) -> Iterator[tuple[Any, ...]]:
        blocks = self.iterate()
        if not isinstance(blocks, Iterable):
            raise BlockError(f"X is a function, which is to return an iterator of blocks, not {blocks!r}")
        for at, block in enumerate(blocks):
            if isinstance(block, tuple) and len(block) not in (2, 3, 4):
                raise BlockError(
                    f"block {at} is a tuple of {len(block)}: give rows, or a pair of rows and their weights, or these "
                    "and their labels, or all and their error covariances"
                )
            yield block if isinstance(block, tuple) else (block, None)


class Mapped:
    """A mapped file (n,d) and companions of its rows; a pass leaves nothing of it in memory.

    Whoever reads a page of a map beyond the end of its file is killed (SIGBUS): each part is read only if the file
    still holds it.
    """

    names = None
    mapped = True

    def __init__(self, X: np.memmap[Any, Any], *companions: Any) -> None:
        """companions : weights, labels and errors of all rows, or None for any of them"""
        self.X, self.companions = X, companions
        self.rows = max(1, MAPPED_BYTES // (CUT * X.strides[0])) * CUT

    @property
    def path(self) -> str | None:
        """The file, if it is known."""
        return None if self.X.filename is None else os.fspath(self.X.filename)

    def blocks(self) -> Iterator[tuple[Any, ...]]:
        X = np.asarray(self.X)
        part_of_all = Part(X, *self.companions)
        self._advise(X, SEQUENTIAL)
        try:
            for start in range(0, len(X), self.rows):
                part = slice(start, start + self.rows)
                check_length(self.X, X[part])
                _kernels.populate(X[part])
                some = part_of_all.taken(part)
                yield tuple(some._replace(errors=of_rows(some.errors)))
                self._advise(X[part], DROP)
        finally:
            self._advise(X, NORMAL)

    def _advise(self, rows: Any, advice: int | None) -> None:
        """Tell the system of some rows; what was changed in memory only is not to be dropped."""
        if self.X.mode == "c" or advice is None or not len(rows):
            return
        start, end = _place(self.X, rows)
        page = start // mmap.PAGESIZE * mmap.PAGESIZE
        with suppress(OSError):  # of a system that does not know the advice
            vars(self.X)["_mmap"].madvise(advice, page, end - page)


def check_length(X: np.memmap[Any, Any], rows: Any) -> None:
    """That a map's file still holds those of its rows; BlockError if it was shortened."""
    unmapped = X.offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY  # bytes at the file's beginning
    end = unmapped + _place(X, rows)[1]
    size = vars(X)["_mmap"].size()
    if size < end:
        raise BlockError(
            f"{os.fspath(X.filename or 'the mapped file')} was shortened while it was read: it has {size} bytes, and "
            f"the next rows end at {end}"
        )


def _place(X: np.memmap[Any, Any], rows: Any) -> tuple[int, int]:
    """Where in a map some of its rows begin and end, in bytes."""
    start = rows.ctypes.data - np.frombuffer(vars(X)["_mmap"], dtype=np.uint8).ctypes.data
    last = sum(max(0, (size - 1) * stride) for size, stride in zip(rows.shape, rows.strides, strict=True))
    return start, start + last + rows.itemsize


def is_dask(X: Any) -> bool:
    """Whether X is a Dask collection, not what holds one in itself."""
    return hasattr(X, "__dask_graph__") and hasattr(X, "to_delayed")


def source_of(
    X: Any, sample_weight: Any = None, gaps: bool = False, labels: Any = None, errors: Any = None
) -> Source | None:
    """The source that X is, or None: then it is an array, or what becomes one. Of files that it names, cells may be
    empty if `gaps`."""
    if type(X) is np.ndarray:  # most often
        return None
    mapped = X if _is_map(X) and X.nbytes >= LEAST_MAPPED else _map(X)
    if mapped is not None and _is_native(mapped):
        return Mapped(mapped, *_companions(mapped, sample_weight, labels, errors))
    brings = sample_weight is not None or labels is not None or errors is not None
    if mapped is not None and (_would_be_copied(mapped) if mapped is X else brings):
        return Iterated(partial(_slices, mapped, _companions(mapped, sample_weight, labels, errors)))
    found = _blocks_of(X, gaps)
    if found is not None and sample_weight is not None:
        raise TypeError(BRING_WEIGHTS)
    if found is not None and labels is not None:
        raise TypeError(BRING_LABELS)
    if found is not None and errors is not None:
        raise TypeError(BRING_ERRORS)
    return found


def _companions(X: Any, sample_weight: Any, labels: Any, errors: Any) -> tuple[Any, ...]:
    """What goes with the rows of a map, checked but for the values of errors, which are looked at block by block."""
    n, d = X.shape
    return check_weights(sample_weight, n), check_labels(labels, n), shaped(errors, n, d)


def check_lasting(X: Any) -> None:
    """That rows in a file or a table can be read again, as each iteration of EM does."""
    is_path = isinstance(X, str | os.PathLike)
    if not (is_special(os.fspath(X)) if is_path else getattr(X, "once", False)):
        return
    raise BlockError(
        f"X is {os.fspath(X) if is_path else X.path}, which is no regular file and can be read once only, and each "
        "iteration of EM reads its rows anew: write them to a file, or read them into an array first"
    )


def _is_map(X: Any) -> bool:
    """Whether it is in a file: what NumPy computes of a map has its type, but is in memory."""
    return isinstance(X, np.memmap) and vars(X)["_mmap"] is not None


def _map(path: Any) -> Any:
    """The map of an npy file of rows, if it is one's path."""
    if not isinstance(path, str | os.PathLike) or not str(path).endswith(".npy") or not os.path.isfile(path):
        return None
    with naming_input(os.fspath(path)), open(path, "rb") as file:
        if file.read(len(npy.MAGIC)) != npy.MAGIC:
            return None
        file.seek(0)
        header = npy.read_header(file)
        header.check_matrix()
        header.check_size(os.fstat(file.fileno()).st_size - header.length)
        if not header.n:
            return None
        order: Any = "F" if header.is_fortran else "C"
        return np.memmap(file, header.dtype, "r", header.length, header.shape, order)


def _is_native(X: Any) -> bool:
    return X.ndim == 2 and X.flags.c_contiguous and X.dtype in (np.float32, np.float64) and X.dtype.isnative


def _would_be_copied(X: Any) -> bool:
    """Whether a fit would convert these rows in memory."""
    return X.ndim == 2 and X.dtype.kind in "biuf" and not (X.dtype in (np.float32, np.float64) and X.dtype.isnative)


def _slices(X: Any, companions: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    """The rows of a map that must be converted, part by part."""
    rows = max(1, MAPPED_BYTES // (8 * X.shape[1]))
    for start in range(0, len(X), rows):
        part = slice(start, start + rows)
        check_length(X, X[part])
        some = Part(X, *companions).taken(part)
        yield np.asarray(some.rows), some.weights, some.labels, of_rows(some.errors)


def _blocks_of(X: Any, gaps: bool) -> Source | None:
    if isinstance(X, str | os.PathLike) or (hasattr(X, "to_batches") and hasattr(X, "get_fragments")):
        return tables.table(X, missing="marginal" if gaps else "error")
    if isinstance(X, tables.Table):
        return X.with_gaps() if gaps else X
    if hasattr(X, "blocks") and hasattr(X, "mapped"):
        return X
    if hasattr(X, "__array__") or hasattr(X, "shape"):
        return None
    if callable(X):
        return Iterated(X)
    if isinstance(X, Iterator):
        raise TypeError(
            f"X is an iterator ({type(X).__name__}), which gives its rows once, and each iteration of EM reads them "
            "anew: give a function that returns a new iterator, or a list of blocks"
        )
    if isinstance(X, Sequence):
        return Iterated(lambda: X) if any(_is_block(item) for item in X[:2]) else None
    if isinstance(X, Iterable) and not isinstance(X, Mapping):
        return Iterated(lambda: X)
    return None


def _is_block(item: Any) -> bool:
    """Whether it is rows, or a tuple that holds rows: meant as a pair of rows and weights."""
    parts = item if isinstance(item, tuple) else (item,)
    return any(len(getattr(part, "shape", ())) == 2 for part in parts)
