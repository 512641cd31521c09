"""Values for rows in formats of columns: Parquet, and lines of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, TypeAlias

import numpy as np
from numpy.typing import NDArray

Column: TypeAlias = Any  # (m,): an array of numbers, a list of texts, or an array of Arrow's, of any type
Block: TypeAlias = "NDArray[Any] | Sequence[Column]"  # (m,) or (m,d), or columns


def columns_of(block: Block) -> list[Column]:
    """The columns of a block."""
    if isinstance(block, np.ndarray):
        return [block] if block.ndim == 1 else list(block.T)
    return list(block)


def texts_of(column: Column) -> list[str]:
    """A column as texts, numbers with all their digits; a null is empty."""
    return ["" if value is None else str(value) for value in _values_of(column)]


def numbers_of(column: Column) -> NDArray[Any] | None:
    """A column as an array of numbers, in which a null is NaN; None if they are none."""
    if _is_of_arrow(column):
        from pyarrow import types

        if column.null_count and not types.is_floating(column.type):
            return None
        column = column.to_numpy(zero_copy_only=False)
    return column if isinstance(column, np.ndarray) and column.dtype.kind in "biuf" else None


def _is_of_arrow(column: Column) -> bool:
    return hasattr(column, "to_pylist")


def _values_of(column: Column) -> list[Any]:
    """A column as values of Python's; a null is None."""
    if isinstance(column, list):
        return column
    found: list[Any] = column.to_pylist() if _is_of_arrow(column) else column.tolist()
    return found


def write_json_lines(file: BinaryIO, names: Sequence[str], blocks: Iterable[Block]) -> None:
    """An object for each row, on a line of its own; a number that JSON has not is null, and a date a text."""
    for block in blocks:
        columns = [map(_of_json, _values_of(column)) for column in columns_of(block)]
        for row in zip(*columns, strict=True):
            file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False).encode() + b"\n")


def _of_json(value: Any) -> Any:
    if isinstance(value, float | Decimal):
        return float(value) if math.isfinite(value) else None
    return value if value is None or isinstance(value, str | int) else str(value)


def write_parquet(
    file: BinaryIO, names: Sequence[str], blocks: Iterable[Block], metadata: Mapping[bytes, bytes] | None = None
) -> None:
    """A Parquet file, written block by block, that has these metadata; of no rows, columns of float64 without any."""
    pyarrow, parquet = _pyarrow()
    writer = None
    try:
        for block in blocks:
            columns = [column if _is_of_arrow(column) else pyarrow.array(column) for column in columns_of(block)]
            found = pyarrow.table(columns, names=list(names)).replace_schema_metadata(metadata)
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
