"""Formats of tables: what each reader knows of a file, and how it reads chosen columns of it, block by block."""

from __future__ import annotations

import contextlib
import gzip
import io
import itertools
import math
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeVar, cast

import numpy as np

from cgmm.errors import BlockError
from cgmm.validation import check_array

if TYPE_CHECKING:
    from typing import TypeAlias

    from cgmm.types import Rows

    Place: TypeAlias = Callable[[int], str]  # "line 17" of a block's row i

T = TypeVar("T")

STANDARD_INPUT = "-"
GZIP = b"\x1f\x8b"
MEND = "fill it, drop the row, or fit with missing=marginal"
CHOOSE = "choose the columns of numbers with --columns"
BLOCK_BYTES = 1 << 22  # of a block's values: past the caches, so that the cost of a call does not matter
AT_ONCE = 8192  # rows that are turned at once: they stay in cache
NPY_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class TableError(BlockError):
    """A table cannot be read; the message says where and why."""


class Reader:
    """What all readers share.

    path : of the file, or "-" for standard input;  names : of all columns (width,), or None
    binary : its numbers need not be parsed
    """

    binary = False

    def __init__(self, path: str, width: int, names: Sequence[str] | None = None) -> None:
        self.path, self.width, self.names = path, width, names

    def told(self, column: int) -> str:
        """A column in an error's words."""
        return f"column {column}" if self.names is None else f"column {self.names[column]!r}"

    def read(self, columns: Sequence[int], gaps: int = 0) -> Iterator[tuple[Rows, Place]]:
        """Blocks of the values of those columns, (m, len(columns)), and how to tell where their rows stand.

        In the first `gaps` of them a cell of text that stands for a missing value is NaN.
        """
        raise NotImplementedError


class Passes(Generic[T]):
    """Passes over what `parts` makes of a file, each from its beginning; over standard input, one.

    first : the first part, None if there is none
    """

    def __init__(self, path: str, parts: Callable[[BinaryIO], Iterator[T]]) -> None:
        self.path, self.parts = path, parts
        begun = self._begin()
        self.first: Any = next(begun, None)
        self._begun: Iterator[T] | None = None
        if path == STANDARD_INPUT:
            self._begun = begun if self.first is None else itertools.chain([self.first], begun)
        else:
            begun.close()

    def __iter__(self) -> Iterator[T]:
        if self.path != STANDARD_INPUT:
            return self._begin()
        begun, self._begun = self._begun, None
        if begun is None:
            raise TableError("standard input can be read once only: write it to a file first")
        return begun

    def _begin(self) -> Any:
        with opened(self.path) as file:
            yield from self.parts(file)


class NpyReader(Reader):
    """A NumPy file: rows are read as they stand, those of a Fortran array all at once."""

    binary = True

    def __init__(self, path: str) -> None:
        self._passes: Passes[Any] = Passes(path, self._parts)
        shape = self._passes.first[0]
        super().__init__(path, 1 if len(shape) == 1 else shape[1])

    def read(self, columns: Sequence[int], gaps: int = 0) -> Iterator[tuple[Rows, Place]]:
        parts = iter(self._passes)
        next(parts)
        start = 0
        for values in parts:
            yield _of_columns(values, columns), _rows_from(start)
            start += len(values)

    def _parts(self, file: BinaryIO) -> Iterator[Any]:
        """The header, and then arrays of rows."""
        version = np.lib.format.read_magic(file)
        if version not in NPY_HEADERS:
            raise ValueError(f"its format version {version} is not one of arrays of numbers")
        header = shape, is_fortran, dtype = NPY_HEADERS[version](file)
        _check_matrix(shape, dtype)
        yield header
        n, d = shape[0], math.prod(shape[1:])
        if is_fortran and d > 1:
            yield _from_bytes(file, (d, n), dtype).T
            return
        step = _rows_of_block(d * dtype.itemsize)
        for start in range(0, n, step):
            yield _from_bytes(file, (min(step, n - start), d), dtype)


class NpzReader(Reader):
    """An array of a NumPy archive, held in memory."""

    def __init__(self, path: str, name: str | None) -> None:
        with naming(path), open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            names = archive.files
            if name is None and len(names) != 1:
                raise TableError(f"{path} holds {len(names)} arrays ({', '.join(names)}): choose one with --array")
            if name is not None and name not in names:
                raise TableError(f"{path} has no array {name!r}; it has {', '.join(names)}")
            array = archive[name or names[0]]
            _check_matrix(array.shape, array.dtype)
        self._array = array.reshape(len(array), -1)
        super().__init__(path, self._array.shape[1])

    def read(self, columns: Sequence[int], gaps: int = 0) -> Iterator[tuple[Rows, Place]]:
        step = _rows_of_block(self._array.itemsize * self.width)
        for start in range(0, len(self._array), step):
            yield _of_columns(self._array[start : start + step], columns), _rows_from(start)


class ParquetReader(Reader):
    """A Parquet file, read with pyarrow; missing values become NaN."""

    binary = True

    def __init__(self, path: str) -> None:
        with _parquet_file(path) as file:
            self._schema = file.schema_arrow
        super().__init__(path, len(self._schema.names), self._schema.names)

    def read(self, columns: Sequence[int], gaps: int = 0) -> Iterator[tuple[Rows, Place]]:
        from pyarrow import float32, float64, types

        numeric = types.is_integer, types.is_floating, types.is_decimal, types.is_boolean
        kinds = [self._schema.types[j] for j in columns]
        for j, kind in zip(columns, kinds, strict=True):
            if not any(test(kind) for test in numeric):
                raise TableError(f"{self.path}, {self.told(j)}: {kind} is not a type of numbers; {CHOOSE}")
        kind = float32() if all(map(types.is_float32, kinds)) else float64()
        names = [self._schema.names[j] for j in columns]
        start = 0
        for batch in self._batches(names):
            parts = [batch.column(name).cast(kind, safe=False).to_numpy(zero_copy_only=False) for name in names]
            yield _by_rows(parts, kind.to_pandas_dtype()), _rows_from(start)
            start += batch.num_rows

    def _batches(self, names: list[str]) -> Iterator[Any]:
        with _parquet_file(self.path) as file:
            yield from file.iter_batches(_rows_of_block(8 * len(names)), columns=names)


class DatasetReader(ParquetReader):
    """A pyarrow.dataset.Dataset: its files one after the other."""

    def __init__(self, dataset: Any) -> None:
        self._dataset, self._schema = dataset, dataset.schema
        Reader.__init__(self, "the dataset", len(self._schema.names), self._schema.names)

    def _batches(self, names: list[str]) -> Iterator[Any]:
        from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

        few: dict[str, Any] = {"batch_readahead": 2, "fragment_readahead": 1, "use_threads": False}
        if isinstance(getattr(self._dataset, "format", None), ParquetFileFormat):
            few["fragment_scan_options"] = ParquetFragmentScanOptions(pre_buffer=False)
        return self._dataset.to_batches(columns=names, batch_size=_rows_of_block(8 * len(names)), **few)


@contextlib.contextmanager
def opened(path: str) -> Iterator[Any]:
    """The bytes of a file or of standard input, unpacked if gzip has packed them."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(naming(path))
        file = _standard_input() if path == STANDARD_INPUT else stack.enter_context(open(path, "rb"))
        yield stack.enter_context(gzip.open(file)) if file.peek(2)[:2] == GZIP else file


def _standard_input() -> io.BufferedReader:
    return cast(io.BufferedReader, sys.stdin.buffer)


def magic(path: str) -> bytes:
    """The first bytes of a file, unpacked, or of standard input as they are."""
    if path == STANDARD_INPUT:
        return _standard_input().peek(6)[:6]
    with opened(path) as file:
        return file.peek(6)[:6]


@contextlib.contextmanager
def _parquet_file(path: str) -> Iterator[Any]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        raise ImportError(f"{path} is a Parquet file, which pyarrow reads: pip install 'cgmm[arrow]'") from error
    with naming(path), ParquetFile(path, pre_buffer=False) as file:  # or all of it is read ahead
        yield file


@contextlib.contextmanager
def naming(path: str) -> Iterator[None]:
    """Errors of a damaged file, whoever finds the damage, name it."""
    try:
        yield
    except (TableError, OSError):
        raise
    except UnicodeDecodeError:
        raise TableError(f"{path} is neither text in UTF-8 nor npy, npz or Parquet") from None
    except (ValueError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise TableError(f"{path} cannot be read: {error}") from error


def _check_matrix(shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    if len(shape) not in (1, 2) or dtype.kind not in "biuf":
        raise ValueError(f"it holds an array of shape {shape} and type {dtype}, not rows of numbers")


def _from_bytes(file: BinaryIO, shape: tuple[int, int], dtype: np.dtype[Any]) -> Any:
    expected = math.prod(shape) * dtype.itemsize
    found = file.read(expected)
    if len(found) < expected:
        raise ValueError("it ends before its last row")
    return np.frombuffer(found, dtype).reshape(shape)


def _of_columns(values: Any, columns: Sequence[int]) -> Rows:
    """Those columns, as float32 or float64; not copied if they are all."""
    chosen = values if list(columns) == list(range(values.shape[1])) else values[:, columns]
    return check_array("the data", chosen)


def _rows_from(start: int) -> Place:
    return lambda i: f"row {start + i}"


def _rows_of_block(row_bytes: int) -> int:
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def _by_rows(columns: Sequence[Any], dtype: Any) -> Rows:
    """Columns (n,) as rows (n,d), some thousands at a time: each line of the cache is then written once."""
    rows = np.empty((len(columns[0]), len(columns)), dtype)
    for start in range(0, len(rows), AT_ONCE):
        for j, column in enumerate(columns):
            rows[start : start + AT_ONCE, j] = column[start : start + AT_ONCE]
    return rows
