"""Tables as text: CSV, TSV, and their like."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from cgmm.tables.origin import Passes, TableError
from cgmm.tables.readers import CHOOSE, MEND, NO_LABEL, NUMBER, Piece, Reader, is_number

if TYPE_CHECKING:
    from cgmm.tables.origin import Origin
    from cgmm.types import Rows

BLOCK_CHARACTERS = 1 << 22
# Characters of a line, at most: a million numbers with all their digits take 25 million.
LONGEST_LINE = 1 << 26
QUOTE = '"'
DECIMAL = "; if the comma begins its decimals, read it with cgmm.table(path, decimal=',')"
OTHER_LENGTH = "a row has another number of cells than the first"
# Delimiters are looked for in this order: one that stands further on may be part of a cell.
DELIMITERS = "\t;, "
ROW = re.compile(r" *[^ #\n]")
MISSING = {"na", "n/a", "nan", "null", "none", "?"}


class TextReader(Reader):
    """Lines of cells. Empty lines, and those that begin with #, are not rows; quotes may stand around a cell.

    A block is parsed at once; only one that cannot be is gone through cell by cell, for gaps or its first fault.
    """

    def __init__(self, origin: Origin, header: bool | None, delimiter: str | None, decimal: str = ".") -> None:
        if delimiter == decimal:
            raise TableError(f"{origin.name}: {decimal!r} cannot both stand between cells and begin their decimals")
        self._decimal = decimal
        self._passes = Passes(origin, partial(_blocks, delimiter, DELIMITERS.replace(decimal, "")))
        if self._passes.first is None:
            raise TableError(f"{origin.name} is empty")
        if _is_json(self._passes.first.rows[0]):
            raise TableError(f"{origin.name} holds JSON, which is not read: write it as CSV, npy or Parquet")
        super().__init__(origin.name, 0, once=origin.once)
        self._delimiter = self._passes.first.delimiter
        cells = next(self._split(self._passes.first.rows[:1]))
        plain = list(map(self._plain, cells))
        self._has_header = not any(map(_is_value, plain)) if header is None else header
        self._doubtful = header is None and not self._has_header and not any(map(is_number, plain))
        self.width, self.names = len(cells), tuple(cells) if self._has_header else None

    def texts(self) -> list[int]:
        rows = self._passes.first.rows[self._has_header :]
        numeric = [False] * self.width
        for cells in self._split(rows):
            for j, cell in enumerate(cells[: self.width]):
                numeric[j] = numeric[j] or is_number(self._plain(cell))
        return [j for j in range(self.width) if not numeric[j]] if rows else []

    def _plain(self, cell: str) -> str:
        """A cell whose decimals a point begins."""
        return cell if self._decimal == "." else cell.replace(self._decimal, ".")

    def read(self, columns: Sequence[int], gaps: int = 0, kept: Sequence[int] = ()) -> Generator[Piece, None, None]:
        if gaps and self._doubtful:
            raise TableError(
                f"{self.path}: the cells of its first row may be names or missing values; say whether it is a header, "
                "with cgmm.table(path, header=True) or cgmm.table(path, header=False)"
            )
        header = int(self._has_header)
        with closing(iter(self._passes)) as blocks:
            for block in blocks:
                if header:
                    block, header = block._replace(rows=block.rows[1:], header=1), 0
                if block.rows:
                    values = self._parse(block, columns, gaps)
                    cells = list(self._split(block.rows)) if kept else []
                    yield Piece(values, block.place, [[row[j] for row in cells] for j in kept])

    def _parse(self, block: _Block, columns: Sequence[int], gaps: int) -> Rows:
        if not self.codes.keys().isdisjoint(columns):
            return self._cell_by_cell(block, columns, gaps)
        try:
            found = self._numbers(block, columns)
            if found.shape == (len(block.rows), len(columns)):
                return found
            fault = f"it has rows of {found.shape[1]} numbers, not {len(columns)}"
        except ValueError as error:
            fault = str(error)
        if not gaps:
            raise self._fault(block, columns, fault)
        return self._cell_by_cell(block, columns, gaps)

    def _cell_by_cell(self, block: _Block, columns: Sequence[int], gaps: int) -> Rows:
        """The values of a block some of whose cells are no numbers."""
        try:
            rows = (
                [self._value(j, cells[j].strip(), at < gaps) for at, j in enumerate(columns)]
                for cells in self._rows(block)
            )
            return np.array(list(rows))
        except ValueError as error:
            raise self._fault(block, columns, str(error), gaps) from None

    def _value(self, column: int, cell: str, gaps: bool) -> float:
        codes = self.codes.get(column)
        if codes is None:
            return _value(self._plain(cell), gaps)
        if not cell:
            raise ValueError(NO_LABEL)
        return codes.setdefault(cell, len(codes))

    def _numbers(self, block: _Block, columns: Sequence[int]) -> Any:
        """The values of a block that has no gaps; ValueError if it cannot be parsed at once."""
        if self._delimiter == " " or block.quoted:  # of which NumPy might see other cells
            rows = [",".join([self._plain(cells[j]) for j in columns]) for cells in self._rows(block)]
            return self._load(rows, ",", None)
        if any(row.count(self._delimiter) + 1 != self.width for row in block.rows):
            raise ValueError(OTHER_LENGTH)
        rows = block.rows if self._decimal == "." else list(map(self._plain, block.rows))
        return self._load(rows, self._delimiter, columns)

    def _load(self, rows: list[str], delimiter: str, columns: Sequence[int] | None) -> Any:
        if not all(map(str.strip, rows)):
            raise ValueError("a cell is empty")
        return np.loadtxt(rows, delimiter=delimiter, comments=None, usecols=columns, ndmin=2)

    def _rows(self, block: _Block) -> Iterator[list[str]]:
        """The cells of each row, which are as many as in the first, with the space that may follow them."""
        for cells in _cells(block.rows, self._delimiter):
            if len(cells) != self.width:
                raise ValueError(OTHER_LENGTH)
            yield cells

    def _split(self, rows: Sequence[str]) -> Iterator[list[str]]:
        """The cells of each row, without quotes and the space about them."""
        for cells in _cells(rows, self._delimiter):
            yield [cell.strip() for cell in cells]

    def _fault(self, block: _Block, columns: Sequence[int], otherwise: str = "", gaps: int = 0) -> TableError:
        """What is wrong with the first row that cannot be parsed, and where."""
        for i, cells in enumerate(self._split(block.rows)):
            place = f"{self.path}, {block.place(i)}"
            if len(cells) != self.width:
                return TableError(
                    f"{place}: {len(cells)} cell{'s' * (len(cells) != 1)}, not {self.width} as in the first"
                )
            for at, j in enumerate(columns):
                if j in self.codes:
                    if not cells[j]:
                        return TableError(f"{place}, {self.told(j)}: {NO_LABEL}")
                    continue
                absent, cell = _is_missing(cells[j]), self._plain(cells[j])
                if not is_number(cell) and not (at < gaps and absent):
                    if is_number(cell.replace(",", ".", 1)):
                        hint = DECIMAL
                    else:
                        hint = self._hint(j, columns) if i == 0 and block.first_line == 1 and not absent else ""
                    return TableError(f"{place}, {self.told(j)}: {_wrong(cells[j])}{hint}")
        return TableError(f"{self.path} cannot be read: {otherwise}")

    def _hint(self, column: int, columns: Sequence[int]) -> str:
        """What to do about a column whose first cell is no number, and which others are like it."""
        wrong = [j for j in self.texts() if j in columns and j != column and j not in self.codes]
        return f"{self._others([column, *wrong])}; {CHOOSE}"


class _Block(NamedTuple):
    """Rows, and the lines that hold them: the number of the first, and how many rows among them are a header.

    quoted : whether there are quotes;  numbers : of the lines in which rows begin, where some take several
    """

    delimiter: str
    rows: list[str]
    lines: list[str]
    first_line: int
    quoted: bool
    numbers: list[int] | None = None
    header: int = 0

    def place(self, i: int) -> str:
        if self.numbers is not None:
            return f"line {self.numbers[self.header + i]}"
        numbers = (number for number, line in enumerate(self.lines, self.first_line) if ROW.match(line))
        return f"line {next(islice(numbers, self.header + i, None))}"


def _blocks(delimiter: str | None, marks: str, file: BinaryIO) -> Iterator[_Block]:
    """The lines of a file, where there are rows among them; their delimiter is the first of the marks that the
    first row has, if it is not given."""
    lines = Lines(io.TextIOWrapper(file, encoding="utf-8-sig"))
    try:
        while block := lines.block():
            first_line = lines.count - len(block) + 1
            rows = list(filter(ROW.match, block))
            if not rows:
                continue
            delimiter = delimiter or next((mark for mark in marks if mark in rows[0].strip()), marks[-2])
            quoted = any(QUOTE in row for row in rows)
            if not quoted or _are_complete(rows, delimiter):
                yield _Block(delimiter, rows, block, first_line, quoted)
                continue
            numbered = list(_records(block, first_line, delimiter, lines))
            rows, numbers = [row for _, row in numbered], [number for number, _ in numbered]
            yield _Block(delimiter, rows, [], first_line, quoted, numbers)
    finally:
        with suppress(ValueError):  # it is closed, with all that nobody needs any more
            lines.text.detach()  # who opened the file closes it


class Lines:
    """The lines of a text, without their ends, of which `count` were read.

    None may be so long that memory would be in danger.
    """

    def __init__(self, text: io.TextIOWrapper) -> None:
        self.text, self.count = text, 0

    def block(self) -> list[str]:
        """Some of them; none at the end."""
        piece = self.text.read(BLOCK_CHARACTERS)
        if piece and not piece.endswith("\n"):
            piece += self.text.readline(LONGEST_LINE)
        return self._lines(piece)

    def line(self) -> list[str]:
        """One; none at the end."""
        return self._lines(self.text.readline(LONGEST_LINE))

    def _lines(self, piece: str) -> list[str]:
        lines = piece.removesuffix("\n").split("\n") if piece else []
        self.count += len(lines)
        if lines and len(lines[-1]) >= LONGEST_LINE - 1:
            raise ValueError(f"line {self.count} is longer than {LONGEST_LINE} characters")
        return lines


def _records(block: list[str], first_line: int, delimiter: str, rest: Lines) -> Iterator[tuple[int, str]]:
    """The rows of a block, each with the number of its first line; cells in quotes may hold line breaks.

    A row goes on beyond the block where a quote is open at its end.
    """
    begun: list[str] = []
    number = first_line - 1

    def fed() -> Iterator[str]:
        nonlocal number
        for line in block:
            number += 1
            if begun or ROW.match(line):
                begun.append(line + "\n")
                yield begun[-1]
        while begun:
            more = rest.line()
            if not more:
                raise ValueError(f"the quote that is opened in line {number - len(begun) + 1} is not closed")
            number += 1
            begun.append(more[0] + "\n")
            yield begun[-1]

    for _ in _cells(fed(), delimiter, lambda: number - len(begun) + 1):
        yield number - len(begun) + 1, "".join(begun)
        begun.clear()


def _are_complete(rows: Sequence[str], delimiter: str) -> bool:
    """Whether no quote is open at the end of any: one more row is a row of its own then."""
    try:
        return sum(1 for _ in _cells(chain(rows, ["0"]), delimiter)) == len(rows) + 1
    except ValueError:  # a quote that hides too much
        return False


def _cells(rows: Iterable[str], delimiter: str, number: Callable[[], int] | None = None) -> Iterator[list[str]]:
    """The cells of each row."""
    stripped = map(str.strip, rows) if delimiter == " " else rows
    try:
        yield from csv.reader(stripped, delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        place = "" if number is None else f", from line {number()} on"
        raise ValueError(f"it is not a table{place}: {error}") from None


def _is_json(row: str) -> bool:
    """Whether a line is an object or an array of JSON, or the beginning of one."""
    if row.strip() in ("{", "["):
        return True
    try:
        return isinstance(json.loads(row), dict | list)
    except (ValueError, RecursionError):
        return False


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
    if not is_number(cell):
        raise ValueError(f"{cell!r} is not a number")
    return float(cell)


def _wrong(cell: str) -> str:
    if not cell:
        return f"the cell is empty: {MEND}"
    if cell.lower() in MISSING:
        return f"{cell} is a missing value: {MEND}"
    return f"{cell!r} is not a {'finite ' if NUMBER.fullmatch(cell) else ''}number"
