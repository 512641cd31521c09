"""Values for rows in formats of columns: Parquet, and lines of JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = "NDArray[Any] | list[str]"  # (m,): numbers, or texts
Block: TypeAlias = "NDArray[Any] | Sequence[Column]"  # (m,) or (m,d), or columns


def columns_of(block: Block) -> list[Column]:
    """The columns of a block."""
    if isinstance(block, np.ndarray):
        return [block] if block.ndim == 1 else list(block.T)
    return list(block)


def texts_of(column: Column) -> list[str]:
    """A column as texts, numbers with all their digits."""
    if isinstance(column, list):
        return column
    values = column.tolist()
    return values if column.dtype.kind == "U" else list(map(repr, values))


def write_json_lines(file: BinaryIO, names: Sequence[str], blocks: Iterable[Block]) -> None:
    """An object for each row, on a line of its own; a number that JSON has not is null."""
    for block in blocks:
        columns = [column if isinstance(column, list) else _finite(column) for column in columns_of(block)]
        for row in zip(*columns, strict=True):
            file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False).encode() + b"\n")


def _finite(column: NDArray[Any]) -> list[Any]:
    values = column.tolist()
    if column.dtype.kind != "f" or np.isfinite(column).all():
        return values
    return [value if np.isfinite(value) else None for value in values]


def write_parquet(file: BinaryIO, names: Sequence[str], blocks: Iterable[Block]) -> None:
    """A Parquet file, written block by block; of no rows, columns of float64."""
    pyarrow, parquet = _pyarrow()
    writer = None
    try:
        for block in blocks:
            found = pyarrow.table([pyarrow.array(column) for column in columns_of(block)], names=list(names))
            writer = writer or parquet.ParquetWriter(file, found.schema)
            writer.write_table(found)
        if writer is None:
            nothing = pyarrow.table([pyarrow.array([], pyarrow.float64()) for _ in names], names=list(names))
            parquet.write_table(nothing, file)
    finally:
        if writer is not None:
            writer.close()


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("a Parquet file is written with pyarrow: pip install 'compiled-gmm[arrow]'") from error
    return pyarrow, parquet
