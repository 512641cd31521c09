"""Tables of numbers in files, read a block of rows at a time.

A reader (cgmm/tables/readers.py) knows one format; a Table chooses columns of it and checks their values.
"""

from __future__ import annotations

import copy
import csv
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from cgmm import _kernels
from cgmm.errors import InvalidParameterError, counted
from cgmm.tables.npy import MAGIC
from cgmm.tables.origin import STANDARD_INPUT, Origin, TableError
from cgmm.tables.readers import COLUMNS, MEND, DatasetReader, NpyReader, NpzReader, ParquetReader, Reader, listed
from cgmm.tables.text import TextReader
from cgmm.validation import check_flag, check_missing, is_integer

if TYPE_CHECKING:
    from typing import TypeAlias

    from cgmm.types import Array, Missing, Rows

    Columns: TypeAlias = str | int | Sequence[str | int]

T = TypeVar("T")


class Block(NamedTuple):
    """Some rows (m,d), float32 or float64, and their weights (m,) or None; labels, which files do not have; and the
    variances (m,d) of their errors, or None: as cgmm.rows.part has them."""

    rows: Rows
    weights: Array | None
    labels: None = None
    errors: Rows | None = None


class Frame(NamedTuple):
    """Rows (n,d) under names, as a data frame has them."""

    rows: Rows
    columns: Sequence[str]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.rows.shape

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.rows, dtype) if copy else np.asarray(self.rows, dtype)


class Table:
    """Chosen columns of a file, and one of weights; GMM.fit, cgmm.select and a fitted model's verbs take it for X.

    Parameters
    ----------
    reader : cgmm.tables.readers.Reader
    columns : str, int or sequence of str or int, optional
        Names, or numbers from 0 and ranges of them ("0,2-4"). Default: all but that of the weights.
    weights : str or int, optional
        The column of row weights, by name or number.
    missing : {"error", "marginal"}, default="error"
        As of GMM: "marginal" lets gaps through, as NaN.
    by : str or int, optional
        A column of labels, by name or number: it is the last of the chosen columns, and `labels` tells what its values
        mean.
    errors : str, int or sequence of str or int, optional
        Columns of the standard deviations of errors of measurement, one for each chosen column, in their order.
    keep : str, int, sequence of str or int, or range of numbers, optional
        Columns of which blocks have the cells as they are, too; as `columns`.
    numeric : bool, default=False
        Where columns are not chosen, those that hold no numbers are left out: see `left_out`.

    Attributes
    ----------
    names : tuple of str, or None
        Of the chosen columns; None if the file has none, or the names of columns that are chosen by number repeat.
    d : int
        Their number.
    kept_names : tuple of str
        Of the columns that are kept.
    kept_metadata : dict of bytes
        What a Parquet file tells pandas of them: which are the index, and types that Arrow has not.
    left_out : tuple of str
        The columns that hold no numbers, as errors call them.

    Raises
    ------
    TableError
        A column does not exist, or is chosen twice.

    Examples
    --------
    >>> import csv, os, tempfile
    >>> import cgmm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "rows.csv")
    ...     with open(path, "w") as file:
    ...         csv.writer(file).writerows([["name", "height"], ["a", 1], ["b", 3]])
    ...     model = cgmm.GMM(1).fit(cgmm.table(path, columns="height"))
    >>> model.means_.tolist()
    [[2.0]]
    """

    mapped = False

    def __init__(
        self,
        reader: Reader,
        columns: Columns | None = None,
        weights: str | int | None = None,
        missing: Missing = "error",
        by: str | int | None = None,
        errors: Columns | None = None,
        keep: Columns | range | None = None,
        numeric: bool = False,
    ) -> None:
        self._reader, self._gaps = reader, check_missing(missing)
        self._weights, self._by = self._find_one("weights", weights), self._find_one("labels", by)
        self._errors = [] if errors is None else [j for item in self._items(errors) for j in self._find(item)]
        if keep is None or isinstance(keep, range):
            self._kept = list(keep or ())
        else:
            self._kept = [j for item in self._items(keep) for j in self._find(item)]
        self.kept_names = tuple(f"column_{j}" if reader.names is None else reader.names[j] for j in self._kept)
        self.kept_metadata = reader.metadata if self._kept else {}
        self.left_out: tuple[str, ...] = ()
        if columns is None:
            others = [*self._weights, *self._by, *self._errors, *reader.labels]
            if numeric:
                texts = [j for j in reader.texts() if j not in others]
                self.left_out = tuple(map(reader.told, texts))
                others += texts
            self._columns = [j for j in range(reader.width) if j not in others]
        else:
            self._columns = [j for item in self._items(columns) for j in self._find(item)]
        self._ends_with_labels()
        self._check_columns(chosen=columns is not None)
        if errors is not None and len(self._errors) != self.d:
            told = f"{counted(self.d, 'column is', 'columns are')} chosen, and {len(self._errors)} of errors"
            raise TableError(f"{self.path}: {told}: give one for each")

    def _ends_with_labels(self) -> None:
        """The column of labels, if there is one, after those that are chosen."""
        self._measured = len(self._columns)  # those that may have gaps
        self._columns = self._columns + self._by
        for j in self._by:
            self._reader.code(j)
        names = self._reader.names
        self.names = None if names is None else tuple(names[j] for j in self._columns)
        self.d = len(self._columns)

    def labelled_by(self, column: str | int) -> Table:
        """The same table with that column, by name or number, as its labels, the last of the chosen columns."""
        other = copy.copy(self)
        other._reader = copy.copy(self._reader)
        other._reader.codes = dict(self._reader.codes)
        other._by = self._find_one("labels", column)
        other._columns = [j for j in self._columns if j not in (*self._by, *other._by)]
        other._ends_with_labels()
        other._check_columns(chosen=True)
        return other

    def in_order(self, features: Sequence[str]) -> Table:
        """The same table with its chosen columns, and the errors of each, in the order of these names; TableError if
        they are not the names of those columns."""
        if self.names is None or sorted(self.names) != sorted(features):
            raise TableError(
                f"{self.path}: the chosen columns are {listed([repr(name) for name in self.names or ()])}, and the "
                f"features of the model {listed([repr(name) for name in features])}: choose these, or rename the "
                "columns that hold them"
            )
        other, places = copy.copy(self), [self.names.index(name) for name in features]
        other._columns = [self._columns[j] for j in places]
        other._errors = [self._errors[j] for j in places] if self._errors else []
        other.names = tuple(features)
        return other

    @property
    def kept_places(self) -> tuple[int | None, ...]:
        """Which of the chosen columns each of those that are kept is, if it is one."""
        return tuple(self._columns.index(j) if j in self._columns else None for j in self._kept)

    def blocks(self) -> Iterator[Block]:
        """The rows from the first to the last; TableError names the file and the place of a value that cannot be used.

        Standard input, a pipe and a device can be read once only.
        """
        return (block for block, _ in self.pieces())

    def pieces(self) -> Iterator[tuple[Block, list[Any]]]:
        """The same, each with the columns (m,) that are kept, as they are: see Piece."""
        columns = self._columns + self._errors + self._weights
        with closing(self._reader.read(columns, self._may_be_missing * self._gaps, self._kept)) as parts:
            for values, place, kept in parts:
                self._check_finite(values, place)
                errors = self._not_negative(values, place, self.d, self._errors, "the standard deviation of an error")
                at = self.d + len(self._errors)
                weights = self._not_negative(values, place, at, self._weights, "the weight")
                block = Block(
                    values[:, : self.d] if values.shape[1] > self.d else values,
                    None if weights is None else weights[:, 0].astype(np.float64),
                    errors=None if errors is None else np.square(errors, dtype=np.float64),
                )
                yield block, kept

    def with_gaps(self) -> Table:
        """The same table, which lets gaps through."""
        other = copy.copy(self)
        other._gaps = True
        return other

    @property
    def _may_be_missing(self) -> int:
        """How many of the columns that are read, from the first on: what is missing has no error, either."""
        return self._measured + len(self._errors)

    def _not_negative(self, values: Rows, place: Any, at: int, columns: list[int], told: str) -> Rows | None:
        """The values of these columns, which begin at a column that is read; None if there are none."""
        found = values[:, at : at + len(columns)]
        if (found < 0).any():
            i, j = map(int, np.argwhere(found < 0)[0])
            raise self._fault(place(i), columns[j], f"{told} {found[i, j]} is negative")
        return found if columns else None

    @property
    def path(self) -> str:
        """The file, as messages call it."""
        return self._reader.path

    @property
    def once(self) -> bool:
        """Whether the rows can be read once only, as from a pipe."""
        return self._reader.once

    def labels(self, values: Rows) -> Any:
        """What values (n,) of the column of labels mean: numbers, or texts if that is what the file has."""
        return self._reader.decoded(self._by[0], values)

    def _find_one(self, what: str, column: str | int | None) -> list[int]:
        """The column of weights or of labels; none, if none is asked for."""
        found = [] if column is None else self._find(column)
        if len(found) > 1:
            raise TableError(f"{self.path}: one column of {what} is needed, not {column!r}")
        return found

    def _items(self, columns: Columns) -> Sequence[str | int]:
        """The names, numbers and ranges of which a list of columns consists."""
        items: Sequence[Any]
        if isinstance(columns, str):
            try:
                (items,) = csv.reader([columns], skipinitialspace=True, strict=True)
            except (csv.Error, ValueError):
                raise TableError(
                    f"{self.path}: {columns!r} is no list of columns: put double quotes about a name that holds a "
                    "comma, a quote (which is doubled) or a line break"
                ) from None
        else:
            items = list(columns) if isinstance(columns, Iterable) and not isinstance(columns, bytes) else [columns]
        if not items:
            raise TableError(f"{self.path}: no column is chosen; it has {self._all_columns()}")
        return items

    def _find(self, item: str | int) -> list[int]:
        """The columns that one name, number or range means."""
        names, width = self._reader.names or (), self._reader.width
        if is_integer(item):
            if not 0 <= item < width:
                raise TableError(
                    f"{self.path} has no column {item}; it has {self._all_columns()} (numbers count from 0)"
                )
            return [int(item)]
        if not isinstance(item, str):
            raise InvalidParameterError(f"{self.path}: a column is chosen by its name or its number, not by {item!r}")
        found = [j for j, name in enumerate(names) if name == item]
        if len(found) > 1:
            raise TableError(f"{self._reader.path} has {len(found)} columns named {item!r}: choose one by its number")
        match = re.fullmatch(r"(\d+)(?:-(\d+))?", item, re.ASCII)
        if not found and match:
            first, last = int(match[1]), int(match[2] or match[1])
            found = list(range(first, last + 1)) if first <= last < width else []
        ends = item.split(":")
        if not found and len(ends) == 2 and all(names.count(end) == 1 for end in ends):
            first, last = map(names.index, ends)
            found = list(range(first, last + 1))
        if not found:
            counted = " (numbers count from 0)" if match and names else ""
            raise TableError(f"{self._reader.path} has no column {item!r}; it has {self._all_columns()}{counted}")
        return found

    def _all_columns(self) -> str:
        names, width = self._reader.names, self._reader.width
        if names is None:
            return "the column 0" if width == 1 else f"the columns 0 to {width - 1}, without names"
        return listed([repr(name) for name in names])

    def _check_columns(self, chosen: bool) -> None:
        path, columns = self._reader.path, self._columns + self._errors + self._weights
        if not self._measured:
            others = "that of the weights" if self._weights and not self._by else "those that name rows"
            raise TableError(f"{path}: no column is left beside {others}")
        for j in _repeated(columns):
            raise TableError(f"{path}: {self._reader.told(j)} is chosen twice")
        if self.names is None:
            return
        if "" in self.names and not chosen:
            raise TableError(f"{path}: a column without a name may hold row labels: choose columns with {COLUMNS}")
        for name in _repeated(self.names):
            if chosen:  # by number: no name tells one from the other
                self.names = None
                return
            raise TableError(f"{path}: two columns are named {name!r}: choose columns by number, with {COLUMNS}")

    def _check_finite(self, values: Rows, place: Any) -> None:
        if _kernels.all_within(values, float(np.finfo(values.dtype).max)):
            return
        bad = ~np.isfinite(values)
        if self._gaps:
            bad[:, : self._measured] &= ~np.isnan(values[:, : self._measured])
            if self._errors:  # of what is missing they may be anything
                bad[:, self.d : self.d + len(self._errors)] &= ~np.isnan(values[:, : self.d])
            if not bad.any():
                return
        i, at = map(int, np.argwhere(bad)[0])
        column = (self._columns + self._errors + self._weights)[at]
        if np.isnan(values[i, at]) and at < self.d:
            raise self._fault(place(i), column, f"nan is a missing value: {MEND}")
        raise self._fault(place(i), column, f"{values[i, at]} is not a finite number: fill it, or drop the row")

    def _fault(self, place: str, column: int, told: str) -> TableError:
        return TableError(f"{self._reader.path}, {place}, {self._reader.told(column)}: {told}")


def _repeated(items: Sequence[T]) -> list[T]:
    """Those that are there more than once."""
    return [item for item, times in Counter(items).items() if times > 1]


def open_reader(
    path: str,
    header: bool | None = None,
    delimiter: str | None = None,
    array: str | None = None,
    decimal: str = ".",
) -> Reader:
    """The reader of a file, whose format is told by its first bytes; arguments as of `table`.

    "-" is standard input: text or npy. OSError or TableError says why the file cannot be read.
    """
    origin = Origin(path)
    if origin.magic.startswith(MAGIC):
        return NpyReader(origin)
    if origin.magic.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        origin.check_lasting("a zip archive")
        return NpzReader(path, array)
    if origin.magic.startswith(b"PAR1"):
        origin.check_lasting("a Parquet file")
        return ParquetReader(origin)
    return TextReader(origin, header, delimiter, decimal)


def table(
    source: Any,
    columns: Columns | None = None,
    weights: str | int | None = None,
    *,
    header: bool | None = None,
    delimiter: str | None = None,
    array: str | None = None,
    missing: Missing = "error",
    error_columns: Columns | None = None,
    numeric: bool = False,
    decimal: str = ".",
) -> Table:
    """Rows of a file or of several, which are read anew, block by block, in each pass over them.

    Parameters
    ----------
    source : str, path, or pyarrow.dataset.Dataset
        Text (CSV, TSV and their like), npy, npz or Parquet; gzip, bzip2, xz or zstd may have packed it.
    columns : str, int or sequence of str or int, optional
        Names, ranges of names ("length:width", both included), or numbers from 0 and ranges of them ("0,2-4"). Default:
        all but that of the weights. Columns of the same name can be chosen by number; the features then have no names.
    weights : str or int, optional
        The column of row weights, by name or number.
    header : bool, optional
        Whether the first row of text holds names. Default: it does if none of its cells is a number.
    delimiter : str, optional
        Between the cells of text. Default: the first of tab, semicolon, comma and space that the first row has.
    array : str, optional
        The name of one in an npz archive.
    missing : {"error", "marginal"}, default="error"
        As of GMM: "marginal" lets gaps through, which are NaN, null in Parquet, and in text a cell that is empty or
        holds NA, N/A, NaN, null, None or a question mark.
    error_columns : str, int or sequence of str or int, optional
        Columns that hold the standard deviations of errors of measurement, one for each chosen column and in their
        order; by default they are none of the columns. See docs/measurement-errors.md.
    numeric : bool, default=False
        Leave out the columns that hold no numbers but texts, dates or truth values, where columns are not chosen.
    decimal : str, default="."
        The mark that begins the decimals of numbers in text; "," in much of Europe.

    Returns
    -------
    Table

    Raises
    ------
    OSError, ValueError
        It cannot be read, or a column does not exist; the message names it.

    Examples
    --------
    >>> import csv, os, tempfile
    >>> import cgmm
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "rows.csv")
    ...     with open(path, "w") as file:
    ...         csv.writer(file).writerows([["height", "age"], [1, 10], [3, 30], [2, 26]])
    ...     model = cgmm.GMM(1).fit(cgmm.table(path, columns=["height", "age"]))
    >>> model.means_.tolist()
    [[2.0, 22.0]]
    """
    if hasattr(source, "to_batches"):
        return Table(DatasetReader(source), columns, weights, missing, errors=error_columns, numeric=numeric)
    path = os.fsdecode(source)
    path = os.path.join(os.curdir, path) if path == STANDARD_INPUT else path
    return Table(
        open_reader(path, header, delimiter, array, decimal),
        columns,
        weights,
        missing,
        errors=error_columns,
        numeric=check_flag("numeric", numeric),
    )


def gather(table: Table, blocks: Iterator[Block]) -> Block:
    """All blocks of a table as one, at the cost of one in memory; TableError if there is no row."""
    rows, weights, errors = np.empty((0, table.d)), np.empty(0), np.empty((0, table.d))
    for block in blocks:
        n, m = len(rows), len(block.rows)
        if n == 0:
            rows = rows.astype(block.rows.dtype)
        rows.resize((n + m, table.d), refcheck=False)  # moved by the system's page tables, once large
        rows[n:] = block.rows
        if block.weights is not None:
            weights.resize(n + m, refcheck=False)
            weights[n:] = block.weights
        if block.errors is not None:
            errors.resize((n + m, table.d), refcheck=False)
            errors[n:] = block.errors
    if not len(rows):
        raise TableError(f"{table.path} has no rows")
    return Block(rows, weights if len(weights) else None, errors=errors if len(errors) else None)
