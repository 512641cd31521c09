"""Formats of tables: what each reader knows of a file, and how it reads chosen columns of it, block by block."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from cgmm.tables import npy
from cgmm.tables.origin import Marks, Origin, Passes, TableError, naming_input, size_of_rest
from cgmm.validation import check_array

if TYPE_CHECKING:
    from typing import TypeAlias

    from cgmm.types import Rows

    Place: TypeAlias = Callable[[int], str]  # "line 17" of a block's row i

MEND = 'fill it, drop the row, or fit with missing="marginal"'
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
ARRAY = 'cgmm.table(path, array="...")'
OFFICE = "[Content_Types].xml"  # What Excel's workbooks hold, and all of their kin.
NO_LABEL = "the row has no label there: fill it, or drop the row"
# Arguments of cgmm.table, which the command line spells as options: see cgmm.command.flags.
COLUMNS = "cgmm.table(path, columns=[...])"
CHOOSE = f"choose the columns of numbers with {COLUMNS}, or all of them with cgmm.table(path, numeric=True)"
BLOCK_BYTES = 1 << 22  # Bytes of a block's values: so many that the cost of a call for each does not matter.
ROWS_AT_ONCE = 8192  # Rows of columns that are turned into rows at once: they stay in cache.
INDEX = re.compile(r"__index_level_\d+__")  # So pandas names an index that has no name.
MOST_TOLD = 12  # Names that an error lists, at most.


class Piece(NamedTuple):
    """Some rows: values (m,d), how to tell where a row stands, and columns (m,) of kept cells, as they are.

    A kept column is an array of numbers, a list of texts, or an array of Arrow's, of any type.
    """

    values: Rows
    place: Place
    kept: list[Any]


class Reader:
    """What all readers share.

    path : of the file, or "standard input";  names : of all columns (width,), or None
    binary : its numbers need not be parsed;  once : it can be read once only
    """

    binary = False

    def __init__(self, path: str, width: int, names: Sequence[str] | None = None, once: bool = False) -> None:
        self.path, self.width, self.names, self.once = path, width, names, once
        self.codes: dict[int, dict[str, int]] = {}

    def code(self, column: int) -> None:
        """From now on a text in that column is a label, of which `read` gives the code, a number from 0."""
        self.codes[column] = {}

    def decoded(self, column: int, values: Any) -> Any:
        """The labels that values (n,) of a coded column stand for: numbers if all of them are, or else texts."""
        if not self.codes.get(column):
            return _whole(values)
        labels = list(self.codes[column])
        if all(map(is_number, labels)):
            return _whole(np.array([float(label) for label in labels]))[values.astype(np.intp)]
        return np.array(labels)[values.astype(np.intp)]

    @property
    def labels(self) -> Sequence[int]:
        """The columns that name rows, as a data frame's index does: they are no features unless they are chosen."""
        return ()

    @property
    def metadata(self) -> dict[bytes, bytes]:
        """What a Parquet file is to tell pandas of those of its columns that are kept: which are the index, and types
        that Arrow has not. Columns of which it tells nothing may stand beside them."""
        return {}

    def _others(self, wrong: Sequence[int]) -> str:
        """That further columns of those hold no numbers, in an error's words."""
        if len(wrong) < 2:
            return ""
        return f" (nor does {listed([self.told(j) for j in wrong[1:]])} hold numbers)"

    def told(self, column: int) -> str:
        """A column in an error's words."""
        return f"column {column}" if self.names is None else f"column {self.names[column]!r}"

    def texts(self) -> list[int]:
        """The columns that hold no numbers, as far as the first rows tell."""
        return []

    def read(self, columns: Sequence[int], gaps: int = 0, kept: Sequence[int] = ()) -> Generator[Piece, None, None]:
        """Blocks of the values of those columns, (m, len(columns)), and of the cells of those that are kept.

        In the first `gaps` of them a cell of text that stands for a missing value is NaN.
        """
        raise NotImplementedError


class NpyReader(Reader):
    """A NumPy file: rows are read as they stand, those of a Fortran array all at once."""

    binary = True

    def __init__(self, origin: Origin) -> None:
        self._passes: Passes[Any] = Passes(origin, _npy_parts)
        super().__init__(origin.name, self._passes.first.d, once=origin.once)

    def read(self, columns: Sequence[int], gaps: int = 0, kept: Sequence[int] = ()) -> Generator[Piece, None, None]:
        start = 0
        with contextlib.closing(iter(self._passes)) as parts:
            next(parts)
            for values in parts:
                yield Piece(_of_columns(values, columns), _rows_from(start), [values[:, j] for j in kept])
                start += len(values)


class NpzReader(Reader):
    """An array of a NumPy archive, held in memory."""

    def __init__(self, path: str, name: str | None) -> None:
        with naming_input(path), npy.Archive(path) as archive:
            names = list(filter(archive.holds_array, archive))
            if not names:
                if OFFICE in list(archive):
                    raise TableError(f"{path} is a workbook, or another document of an office suite: save it as CSV")
                held = listed([name for name in archive if not name.endswith("/")])  # which folders do
                if not held:
                    raise TableError(f"{path} is a zip archive that holds no file, and so no rows: choose another")
                raise TableError(f"{path} is a zip archive that holds no array, but {held}: unpack it first")
            if name is None and len(names) != 1:
                raise TableError(f"{path} holds {len(names)} arrays ({listed(names)}): choose one with {ARRAY}")
            if name is not None and name not in names:
                raise TableError(f"{path} has no array {name!r}; it has {listed(names)}")
            array = archive.read(name or names[0], of_numbers=True)
        self._array = array[:, np.newaxis] if array.ndim == 1 else array
        super().__init__(path, self._array.shape[1])

    def read(self, columns: Sequence[int], gaps: int = 0, kept: Sequence[int] = ()) -> Generator[Piece, None, None]:
        step = _rows_of_block(self._array.itemsize * self.width)
        for start in range(0, len(self._array), step):
            values = self._array[start : start + step]
            yield Piece(_of_columns(values, columns), _rows_from(start), [values[:, j] for j in kept])


class ParquetReader(Reader):
    """A Parquet file, read with pyarrow; missing values become NaN."""

    binary = True

    def __init__(self, origin: Origin) -> None:
        self._marks = origin.marks
        super().__init__(origin.path, 0)
        with self._opened() as file:
            self._schema = file.schema_arrow
        self.width, self.names = len(self._schema.names), self._schema.names

    @property
    def labels(self) -> Sequence[int]:
        index = (self._schema.pandas_metadata or {}).get("index_columns", [])
        return [j for j, name in enumerate(self._schema.names) if name in index or INDEX.fullmatch(name)]

    @property
    def metadata(self) -> dict[bytes, bytes]:
        return {key: value for key, value in (self._schema.metadata or {}).items() if key == b"pandas"}

    def read(self, columns: Sequence[int], gaps: int = 0, kept: Sequence[int] = ()) -> Generator[Piece, None, None]:
        from pyarrow import float32, float64, types

        kinds = [self._schema.types[j] for j in columns]
        coded = {j for j in self.codes if _is_text(self._schema.types[j])}
        wrong = [j for j in columns if j not in coded and not _is_numeric(self._schema.types[j])]
        if wrong:
            kind = self._schema.types[wrong[0]]
            raise TableError(
                f"{self.path}, {self.told(wrong[0])}: {kind} is not a type of numbers{self._others(wrong)}; {CHOOSE}"
            )
        kind = float32() if all(map(types.is_float32, kinds)) else float64()
        start = 0
        with naming_input(self.path):
            for batch in self._batches(list(dict.fromkeys(self._schema.names[j] for j in (*columns, *kept)))):
                found = [batch.column(at) for at in self._places(columns, batch.schema.names)]
                parts = [
                    self._coded(j, column, start)
                    if j in coded
                    else column.cast(kind, safe=False).to_numpy(zero_copy_only=False)
                    for j, column in zip(columns, found, strict=True)
                ]
                cells = [batch.column(at) for at in self._places(kept, batch.schema.names)]
                yield Piece(_by_rows(parts, kind.to_pandas_dtype()), _rows_from(start), cells)
                start += batch.num_rows

    def texts(self) -> list[int]:
        from pyarrow import types

        return [j for j, kind in enumerate(self._schema.types) if not _is_numeric(kind) or types.is_boolean(kind)]

    def _coded(self, j: int, column: Any, start: int) -> list[int]:
        codes = self.codes[j]
        labels = column.to_pylist()
        if None in labels:
            raise TableError(f"{self.path}, {_row(start + labels.index(None))}, {self.told(j)}: {NO_LABEL}")
        return [codes.setdefault(str(label), len(codes)) for label in labels]

    def _places(self, columns: Sequence[int], held: Sequence[str]) -> list[int]:
        """Where those columns are among others of the same order, whose names may be the same."""
        names = self._schema.names
        same = {name: [at for at, other in enumerate(held) if other == name] for name in held}
        return [same[names[j]][names[:j].count(names[j])] for j in columns]

    @contextlib.contextmanager
    def _opened(self) -> Iterator[Any]:
        with _parquet_file(self.path) as file:
            self._marks.check_status(self.path, os.stat(self.path))  # of what was opened, or of what came after it
            yield file

    def _batches(self, names: list[str]) -> Iterator[Any]:
        with self._opened() as file:
            yield from file.iter_batches(_rows_of_block(8 * len(names)), columns=names)


class DatasetReader(ParquetReader):
    """A pyarrow.dataset.Dataset: its files one after the other."""

    def __init__(self, dataset: Any) -> None:
        self._dataset, self._schema, self._marks = dataset, dataset.schema, Marks()
        Reader.__init__(self, "the dataset", len(self._schema.names), self._schema.names)
        self._check_files()

    def _check_files(self) -> None:
        """That each file is the one that it was at first: inode numbers are known of those on this machine only."""
        from pyarrow.fs import LocalFileSystem

        for fragment in self._dataset.get_fragments():
            system = getattr(fragment, "filesystem", None)  # none of what is in memory
            if isinstance(system, LocalFileSystem):
                self._marks.check_status(fragment.path, os.stat(fragment.path))
            elif system is not None:
                found = system.get_file_info(fragment.path)
                self._marks.check(fragment.path, found.size, found.mtime_ns)

    def _batches(self, names: list[str]) -> Iterator[Any]:
        from pyarrow.dataset import ParquetFileFormat, ParquetFragmentScanOptions

        self._check_files()
        few: dict[str, Any] = {"batch_readahead": 2, "fragment_readahead": 1, "use_threads": False}
        if isinstance(getattr(self._dataset, "format", None), ParquetFileFormat):
            few["fragment_scan_options"] = ParquetFragmentScanOptions(pre_buffer=False)
        yield from self._dataset.to_batches(columns=names, batch_size=_rows_of_block(8 * len(names)), **few)
        self._check_files()  # each was opened after those before it


def is_number(cell: str) -> bool:
    """Whether a text is a finite number."""
    return bool(NUMBER.fullmatch(cell)) and math.isfinite(float(cell))


def _is_numeric(kind: Any) -> bool:
    """Whether a column of that type holds numbers."""
    from pyarrow import types

    tests = types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null
    return any(test(kind) for test in tests)


def _is_text(kind: Any) -> bool:
    """Whether a column of that type holds texts."""
    from pyarrow import types

    inner = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_string(inner) or types.is_large_string(inner))


def _whole(values: Any) -> Any:
    """Integers, if all values are; or the values."""
    is_whole = (np.abs(values) < 2**53).all() and (values == np.floor(values)).all()
    return values.astype(np.int64) if is_whole else values


@contextlib.contextmanager
def _parquet_file(path: str) -> Iterator[Any]:
    try:
        from pyarrow.parquet import ParquetFile
    except ImportError as error:
        message = f"{path} is a Parquet file, which pyarrow reads: pip install 'compiled-gmm[arrow]'"
        raise ImportError(message) from error
    with naming_input(path), ParquetFile(path, pre_buffer=False) as file:  # or all of it is read ahead
        yield file


def listed(names: Sequence[str]) -> str:
    """Names, but of many only the first."""
    more = f" and {len(names) - MOST_TOLD} more" if len(names) > MOST_TOLD else ""
    return ", ".join(names[:MOST_TOLD]) + more


def _npy_parts(file: BinaryIO) -> Iterator[Any]:
    """The header, and then arrays of rows (m,d).

    The first rows of a file of unknown size are read before its header is believed.
    """
    header = npy.read_header(file)
    header.check_matrix()
    rows, size = _npy_rows(file, header), size_of_rest(file)
    if size is not None:
        header.check_size(size)
        first = None
    else:
        first = next(rows, None)
    yield header
    if first is not None:
        yield first
    yield from rows
    if file.read(1):
        raise ValueError(f"it goes on after its last row: its header tells of an array of shape {header.shape}")


def _npy_rows(file: BinaryIO, header: npy.Header) -> Iterator[Any]:
    n, d = header.n, header.d
    if n and d > 1 and header.is_fortran:
        yield npy.read_array(file, header)
        return
    step = _rows_of_block(d * header.dtype.itemsize)
    for start in range(0, n, step):
        yield npy.read_array(file, header._replace(shape=(min(step, n - start), d), is_fortran=False))


def _of_columns(values: Any, columns: Sequence[int]) -> Rows:
    """Those columns, as float32 or float64; not copied if they are all."""
    chosen = values if list(columns) == list(range(values.shape[1])) else values[:, columns]
    return check_array("the data", chosen)


def _rows_from(start: int) -> Place:
    return lambda i: _row(start + i)


def _row(i: int) -> str:
    """A row as errors call it: of a text they tell the line, which counts from 1."""
    return f"row {i} (counted from 0)"


def _rows_of_block(row_bytes: int) -> int:
    return max(1, BLOCK_BYTES // max(1, row_bytes))


def _by_rows(columns: Sequence[Any], dtype: Any) -> Rows:
    """Columns (n,) as rows (n,d), some thousands at a time: each line of the cache is then written once."""
    rows = np.empty((len(columns[0]), len(columns)), dtype)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        for j, column in enumerate(columns):
            rows[start : start + ROWS_AT_ONCE, j] = column[start : start + ROWS_AT_ONCE]
    return rows
