"""Values for rows, written block by block: as text, or as a NumPy file whose length is known at the end only."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import Any, BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from cgmm.files import naming_output, write_whole
from cgmm.summary import spelled

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
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = spelled(text)
    return text.encode(encoding, "backslashreplace").decode(encoding)


def can_show(text: str) -> bool:
    """Whether the terminal, or whatever reads, can show a text."""
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        return False
    return True


def write_rows(path: str, names: Sequence[str] | None, blocks: Iterable[NDArray[Any]]) -> None:
    """Write blocks (m,) or (m,d) to a file, whole or not at all, or to standard output as they come ("-").

    A file whose name ends in .npy is NumPy's; any other is text, with tabs if its name ends in .tsv and commas
    otherwise, numbers with as many digits as they need to be read back exactly, and the names, if any, above them.
    Blocks may also hold texts.
    """
    if path == STANDARD_OUTPUT:
        with naming_output(STANDARD_OUTPUT_NAME):
            sys.stdout.flush()
            write_text(sys.stdout.buffer, names, blocks)
            sys.stdout.buffer.flush()
    elif path.endswith(".npy"):
        write_whole(path, lambda file: write_npy(file, blocks))
    else:
        write_whole(path, lambda file: write_text(file, names, blocks, "\t" if path.endswith(".tsv") else ","))


def show_table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print rows of numbers and texts under their names, separated by commas; numbers have all their digits."""
    with naming_output(STANDARD_OUTPUT_NAME):
        sys.stdout.flush()
        for row in chain([names], rows):
            line = io.StringIO()
            csv.writer(line, lineterminator="\n").writerow(row)
            sys.stdout.buffer.write(line.getvalue().encode())
        sys.stdout.buffer.flush()


def write_text(
    file: BinaryIO, names: Sequence[str] | None, blocks: Iterable[NDArray[Any]], delimiter: str = ","
) -> None:
    if names is not None:
        line = io.StringIO()
        csv.writer(line, delimiter=delimiter, lineterminator="\n").writerow(names)
        file.write(line.getvalue().encode())
    for block in blocks:
        table = block.reshape(len(block), math.prod(block.shape[1:]))
        step = max(1, NUMBERS_AT_A_TIME // table.shape[1])
        for start in range(0, len(table), step):
            rows = table[start : start + step].tolist()
            if table.dtype.kind == "U":
                file.write(_texts(rows, delimiter).encode())
            else:
                file.write("".join(delimiter.join(map(repr, row)) + "\n" for row in rows).encode())


def _texts(rows: Sequence[Sequence[str]], delimiter: str) -> str:
    """Rows of texts, quoted where they hold what stands between cells."""
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue()


def write_npy(file: BinaryIO, blocks: Iterable[NDArray[Any]]) -> None:
    """The header is written again at the end, with the length: NumPy leaves room for it to grow."""
    if not file.seekable():
        raise OSError("NumPy's format cannot be written to a pipe: choose text")
    n, block = 0, np.empty(0)
    for block in blocks:
        if n == 0:
            _write_header(file, block, 0)
        file.write(np.ascontiguousarray(block).data)
        n += len(block)
    file.seek(0)
    _write_header(file, block, n)


def _write_header(file: BinaryIO, block: NDArray[Any], n: int) -> None:
    descr = np.lib.format.dtype_to_descr(block.dtype)
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": (n, *block.shape[1:])})
