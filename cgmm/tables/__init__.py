"""Columns of files, a block of rows at a time: a Table chooses them, a reader knows a format."""

from cgmm.tables.origin import TableError
from cgmm.tables.table import Block, Frame, Table, gather, open_reader, table

__all__ = ["Block", "Frame", "Table", "TableError", "gather", "open_reader", "table"]
