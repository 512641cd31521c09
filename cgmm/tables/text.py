"""Tables as text: CSV, TSV, and their like."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

import numpy as np

from cgmm.tables.readers import CHOOSE, MEND, Passes, Reader, TableError

if TYPE_CHECKING:
    from cgmm.tables.readers import Place
    from cgmm.types import Rows

BLOCK_CHARACTERS = 1 << 22
DELIMITERS = "\t;, "  # in this order: what stands further on may be part of a cell
ROW = re.compile(r" *[^ #\n]")
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
MISSING = {"na", "n/a", "nan", "null", "none", "?"}


class TextReader(Reader):
    """Lines of cells. Empty lines, and those that begin with #, are not rows; quotes may stand around a cell.

    A block is parsed at once; only one that cannot be is gone through cell by cell, for gaps or its first fault.
    """

    def __init__(self, path: str, header: bool | None, delimiter: str | None) -> None:
        self._passes = Passes(path, _blocks)
        if self._passes.first is None:
            raise TableError(f"{path} is empty")
        super().__init__(path, 0)
        first = self._passes.first.rows[0]
        self._delimiter = delimiter or next((mark for mark in DELIMITERS if mark in first.strip()), ",")
        cells = next(self._split([first]))
        self._has_header = not any(map(_is_value, cells)) if header is None else header
        self._doubtful = header is None and not self._has_header and not any(map(_is_number, cells))
        self.width, self.names = len(cells), tuple(cells) if self._has_header else None

    def read(self, columns: Sequence[int], gaps: int = 0) -> Iterator[tuple[Rows, Place]]:
        if gaps and self._doubtful:
            raise TableError(
                f"{self.path}: the cells of its first row may be names or missing values; say whether it is a header "
                "(header=True or False; --header or --no-header)"
            )
        blocks = iter(self._passes)
        if self._has_header:
            first = next(blocks)
            blocks = chain([first._replace(rows=first.rows[1:], header=1)], blocks)
        for block in blocks:
            if block.rows:
                yield self._parse(block, columns, gaps), block.place

    def _parse(self, block: _Block, columns: Sequence[int], gaps: int) -> Rows:
        if any(width != self.width for width in self._widths(block.rows)):
            raise self._fault(block, columns)
        delimiter = None if self._delimiter == " " else self._delimiter
        try:
            return np.loadtxt(block.rows, delimiter=delimiter, comments=None, quotechar='"', usecols=columns, ndmin=2)
        except ValueError as error:
            if not gaps:
                raise self._fault(block, columns, str(error)) from None
        try:
            rows = ([_value(cells[j], at < gaps) for at, j in enumerate(columns)] for cells in self._split(block.rows))
            return np.array(list(rows))
        except ValueError as error:
            raise self._fault(block, columns, str(error), gaps) from None

    def _widths(self, rows: Sequence[str]) -> Iterator[int]:
        """The number of cells in each row."""
        if self._delimiter == " " or any('"' in row for row in rows):
            return map(len, self._split(rows))
        return (row.count(self._delimiter) + 1 for row in rows)

    def _split(self, rows: Sequence[str]) -> Iterator[list[str]]:
        """The cells of each row, without quotes and the space about them."""
        lines = map(str.strip, rows) if self._delimiter == " " else rows
        try:
            for cells in csv.reader(lines, delimiter=self._delimiter, skipinitialspace=True):
                yield [cell.strip() for cell in cells]
        except csv.Error as error:
            raise TableError(f"{self.path} is not a table: {error}") from None

    def _fault(self, block: _Block, columns: Sequence[int], otherwise: str = "", gaps: int = 0) -> TableError:
        """What is wrong with the first row that cannot be parsed, and where."""
        for i, cells in enumerate(self._split(block.rows)):
            place = f"{self.path}, {block.place(i)}"
            if len(cells) != self.width:
                return TableError(
                    f"{place}: {len(cells)} cell{'s' * (len(cells) != 1)}, not {self.width} as in the first"
                )
            for at, j in enumerate(columns):
                absent = _is_missing(cells[j])
                if not _is_number(cells[j]) and not (at < gaps and absent):
                    hint = f"; {CHOOSE}" if i == 0 and block.first_line == 1 and not absent else ""
                    return TableError(f"{place}, {self.told(j)}: {_wrong(cells[j])}{hint}")
        return TableError(f"{self.path} cannot be read: {otherwise}")


class _Block(NamedTuple):
    """Rows, and the lines that hold them: the number of the first, and how many rows among them are a header."""

    rows: list[str]
    lines: list[str]
    first_line: int
    header: int = 0

    def place(self, i: int) -> str:
        numbers = (number for number, line in enumerate(self.lines, self.first_line) if ROW.match(line))
        return f"line {next(islice(numbers, self.header + i, None))}"


def _blocks(file: BinaryIO) -> Iterator[_Block]:
    """The lines of a file, where there are rows among them."""
    first_line = 1
    text = io.TextIOWrapper(file, encoding="utf-8-sig")
    try:
        while lines := text.readlines(BLOCK_CHARACTERS):
            rows = list(filter(ROW.match, lines))
            if rows:
                yield _Block(rows, lines, first_line)
            first_line += len(lines)
    finally:
        text.detach()  # who opened the file closes it


def _is_value(cell: str) -> bool:
    """Whether it is a number, or stands for one: it is no name then."""
    try:
        float(cell)
    except ValueError:
        return cell.lower() in MISSING
    return True


def _is_missing(cell: str) -> bool:
    return not cell or cell.lower() in MISSING


def _value(cell: str, gaps: bool) -> float:
    if gaps and _is_missing(cell):
        return np.nan
    if not _is_number(cell):
        raise ValueError(f"{cell!r} is not a number")
    return float(cell)


def _is_number(cell: str) -> bool:
    return bool(NUMBER.fullmatch(cell)) and math.isfinite(float(cell))


def _wrong(cell: str) -> str:
    if not cell:
        return f"the cell is empty: {MEND}"
    if cell.lower() in MISSING:
        return f"{cell} is a missing value: {MEND}"
    return f"{cell!r} is not a {'finite ' if NUMBER.fullmatch(cell) else ''}number"
