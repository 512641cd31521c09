"""Values for rows, written block by block: as text, or as a NumPy file whose length is known at the end only."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from cgmm.command.formats import Block, Column, numbers_of, texts_of, write_json_lines, write_parquet
from cgmm.files import naming_output, write_whole
from cgmm.summary import SPELLED

STANDARD_OUTPUT, STANDARD_OUTPUT_NAME = "-", "standard output"
# Numbers that are turned into text at a time: as Python's own they take ten times the memory of an array's.
NUMBERS_AT_A_TIME = 1 << 16


def show(text: str) -> None:
    """Print a text, as far as the terminal can show it."""
    with naming_output(STANDARD_OUTPUT_NAME):
        print(shown(text, sys.stdout), flush=True)


def shown(text: str, file: TextIO) -> str:
    """A text as a file or terminal can show it: what it cannot is spelled with what it can, or escaped."""
    encoding = file.encoding or "utf-8"
    for sign in set(text).intersection(SPELLED):
        if not _has(encoding, sign):
            text = text.replace(sign, SPELLED[sign])
    return text.encode(encoding, "backslashreplace").decode(encoding)


def can_show(text: str) -> bool:
    """Whether the terminal, or whatever reads, can show a text."""
    return _has(sys.stdout.encoding or "utf-8", text)


def _has(encoding: str, text: str) -> bool:
    """Whether an encoding has all signs of a text."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True


def write_rows(
    path: str,
    names: Sequence[str] | None,
    blocks: Iterable[Block],
    as_json: bool = False,
    metadata: Mapping[bytes, bytes] | None = None,
) -> None:
    """Write blocks, (m,) or (m,d) or columns (m,), to a file, whole or not at all, or to standard output ("-").

    The ending of a file's name tells its format, see ENDINGS: of text, numbers have as many digits as they need to be
    read back exactly, and the names, if any, stand above them. Standard output is text with commas, written as blocks
    come, or lines of JSON.

    metadata : of a Parquet file
    """
    if path == STANDARD_OUTPUT:
        with naming_output(STANDARD_OUTPUT_NAME):
            sys.stdout.flush()
            write = write_json_lines if as_json else write_text
            write(sys.stdout.buffer, names, blocks)  # type: ignore[arg-type]
            sys.stdout.buffer.flush()
        return
    write = ENDINGS[ending_of(path)]
    told = {"metadata": metadata} if write is write_parquet else {}
    write_whole(path, lambda file: write(file, names, blocks, **told))


def ending_of(path: str) -> str:
    """The ending of the name of a file, in small letters; empty of a device, which has none."""
    return os.path.splitext(path)[1].lower()


def needs_names(path: str) -> bool:
    """Whether the format of a file has names in any case."""
    return ending_of(path) in NAMED


def has_types(path: str) -> bool:
    """Whether numbers are not texts in the format of a file."""
    return ending_of(path) in (".npy", *NAMED)


def show_table(names: Sequence[str], rows: Iterable[Sequence[object]], as_json: bool = False) -> None:
    """Print rows of numbers and texts under their names, separated by commas, or as a list of objects of JSON; numbers
    have all their digits."""
    if as_json:
        told = [dict(zip(names, map(_of_json, row), strict=True)) for row in rows]
        show(json.dumps(told, indent=2))
        return
    with naming_output(STANDARD_OUTPUT_NAME):
        sys.stdout.flush()
        for row in chain([names], rows):
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(row)
            sys.stdout.buffer.write(line.getvalue().encode())
        sys.stdout.buffer.flush()


def _of_json(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def write_text(file: BinaryIO, names: Sequence[str] | None, blocks: Iterable[Block], delimiter: str = ",") -> None:
    if names is not None:
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(names)
        file.write(line.getvalue().encode())
    for block in blocks:
        if not isinstance(block, np.ndarray):
            file.write(_texts(list(zip(*map(texts_of, block), strict=True)), delimiter).encode())
            continue
        table = block.reshape(len(block), math.prod(block.shape[1:]))
        step = max(1, NUMBERS_AT_A_TIME // table.shape[1])
        for start in range(0, len(table), step):
            rows = table[start : start + step].tolist()
            if table.dtype.kind == "U":
                file.write(_texts(rows, delimiter).encode())
            else:
                file.write("".join(delimiter.join(map(repr, row)) + "\n" for row in rows).encode())


def _texts(rows: Sequence[Sequence[object]], delimiter: str) -> str:
    """Rows of texts, quoted where they hold what stands between cells."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_npy(file: BinaryIO, names: Sequence[str] | None, blocks: Iterable[Block]) -> None:
    """An array of the rows, without names.

    The header is written again at the end, with the length: NumPy leaves room for it to grow.
    """
    if not file.seekable():
        raise OSError("NumPy's format cannot be written to a pipe: choose text")
    n, block = 0, np.empty(0)
    for found in blocks:
        block = found if isinstance(found, np.ndarray) else _numbers(found)
        if n == 0:
            _write_header(file, block, 0)
        file.write(np.ascontiguousarray(block).data)
        n += len(block)
    file.seek(0)
    _write_header(file, block, n)


def _numbers(columns: Sequence[Column]) -> NDArray[Any]:
    """Columns of numbers (m,) as rows (m,d)."""
    found = [numbers_of(column) for column in columns]
    if any(numbers is None for numbers in found):
        raise OSError(
            "NumPy's format holds no texts, no dates, and no nulls among whole numbers, and some of the columns that "
            "are kept do: choose .csv or .parquet"
        )
    return np.column_stack(found)  # type: ignore[arg-type]


def _write_header(file: BinaryIO, block: NDArray[Any], n: int) -> None:
    descr = np.lib.format.dtype_to_descr(block.dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": (n, *block.shape[1:])})


# How rows are written to a file of each ending, and the formats that have names in any case.
ENDINGS: dict[str, Callable[..., None]] = {
    "": write_text,
    ".csv": write_text,
    ".txt": write_text,
    ".tsv": partial(write_text, delimiter="\t"),
    ".npy": write_npy,
    ".parquet": write_parquet,
    ".jsonl": write_json_lines,
}
NAMED = (".parquet", ".jsonl")
