"""Rows that come in blocks with the labels of their classes: beside them, in a column, or brought by the blocks."""

from __future__ import annotations

import numbers
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import protocol
from cgmm.classes.known import UNKNOWN, Known, Tally, check_classes, indices_of
from cgmm.rows.checks import check_part
from cgmm.rows.part import Part
from cgmm.rows.reading import Seen, naming_block
from cgmm.tables import Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cgmm.rows.sources import Source
    from cgmm.types import Array, Names, Rows


def is_column(y: Any) -> bool:
    """Whether y names a column of X, by its index or name."""
    return isinstance(y, str | numbers.Integral) and not isinstance(y, bool)


def column_of(names: Iterable[Any] | None, d: int, column: Any) -> int:
    """The index of a column among d of these names; ValueError if there is none such."""
    if isinstance(column, str):
        found = [] if names is None else [j for j, name in enumerate(names) if name == column]
        if len(found) != 1:
            told = "no names" if names is None else f"the columns {[str(name) for name in names]}"
            raise ValueError(f"y={column!r} must name one column of X, which has {told}")
        return found[0]
    if not -d <= column < d:
        raise ValueError(f"y={column} must be the index of a column of X, which has {d}")
    return int(column) % d


def frame_without_column(frame: Any, column: Any) -> tuple[Any, Any]:
    """A data frame without one of its columns, and that column."""
    names = list(frame.columns)
    at = column_of(names, len(names), column)
    return frame[[name for j, name in enumerate(names) if j != at]], frame[names[at]]


def without_column(rows: Any, column: Any) -> tuple[Any, NDArray[Any]]:
    """Rows of an array or a data frame without one of their columns, and that column (n,)."""
    if hasattr(rows, "columns") and hasattr(rows, "__getitem__"):  # of any types
        others, own = frame_without_column(rows, column)
        return others, np.asarray(own)
    table = np.asarray(rows)
    if table.ndim != 2:
        raise ValueError(f"X must have 2 dimensions, of which y={column!r} names a column, and has {table.ndim}")
    at = column_of(protocol.feature_names(rows), table.shape[1], column)
    return np.delete(table, at, axis=1), table[:, at]


@dataclass(frozen=True)
class ClassBlocks:
    """The blocks of a source, with labels.

    y : labels of all rows (n,), or the index or name of their column, or None: the blocks bring them
    unlabelled : as of a classifier;  gaps : NaN is a missing value;  seen : what the blocks have been so far
    """

    source: Source
    y: Any
    unlabelled: Any
    gaps: bool
    seen: Seen

    @classmethod
    def of(cls, source: Source, y: Any, unlabelled: Any, gaps: bool, names: Names | None = None) -> ClassBlocks:
        """names : of the features of a model beside which the rows are put, if it has any"""
        if isinstance(source, Table) and is_column(y):
            source = source.labelled_by(y)
        elif y is not None and not is_column(y):
            y = check_classes(y, len(y))
        return cls(source, y, unlabelled, gaps, Seen(source, names))

    @property
    def names(self) -> Names | None:
        """Of the features, as far as they are known before the first block is read."""
        if self.source.names is None:
            return None
        names = list(self.source.names)
        if is_column(self.y):
            del names[-1 if self._table is not None else column_of(names, len(names), self.y)]
        return protocol.names_of_features(names)

    @property
    def _table(self) -> Table | None:
        """The source if it is a table, whose last column has codes of labels."""
        return self.source if isinstance(self.source, Table) and is_column(self.y) else None

    def parts(self, coded: bool = False, alike: bool = True) -> Iterator[tuple[Part, NDArray[Any]]]:
        """The blocks that have rows as they come, without the column of labels, and their labels, checked; if `coded`,
        those of a table as its codes: whether texts are numbers is known once all were read. Unless they are `alike`,
        as those of a stream need not be, no more than names of features is compared."""
        start, names, at = 0, self.names, -1
        for at, block in enumerate(self.seen.read()):
            with naming_block(self.seen.block(at)):
                rows, labels = self._split(block, start)
                self.seen.check_names(protocol.feature_names(rows) if names is None else names)
                part = block._replace(rows=rows, labels=None)
                if alike:
                    self.seen.check(at, part, part)
                if self._table is not None and not coded:
                    labels = self._table.labels(labels)
                labels = check_classes(labels, len(rows))
            start += len(rows)
            if len(rows):
                yield part, labels
        self.seen.check_number(at + 1)
        if isinstance(self.y, np.ndarray) and start != len(self.y):
            raise ValueError(f"X and y must have as many rows, but have {start} and {len(self.y)}")

    def _split(self, block: Part, start: int) -> tuple[Any, Any]:
        if self.y is None:
            if block.labels is None:
                raise ValueError("it brings no labels, and y is None: give (rows, weights or None, labels), or y")
            return block.rows, block.labels
        if not is_column(self.y):
            return block.rows, self.y[start : start + len(block.rows)]
        if self._table is not None:
            return block.rows[:, :-1], block.rows[:, -1]
        return without_column(block.rows, self.y)

    def tally(self) -> tuple[Tally, Names | None]:
        """What a pass finds of the labels, and the names of the features."""
        found: Tally | None = None
        table = self._table
        for part, labels in self.parts(coded=True):
            weights = None if part.weights is None else np.asarray(part.weights, dtype=np.float64)
            own = Tally.of(labels, weights, self.unlabelled if table is None else None)
            found = own if found is None else found + own
        if found is None:
            raise ValueError("X has no blocks: nothing can be fitted")
        if table is not None:
            found = found.decoded(table.labels(found.classes), self.unlabelled)
        return found.checked(), self.seen.names

    def known(self, classes: NDArray[Any]) -> Iterator[tuple[Rows, Array | None, Known]]:
        """Rows of positive weight, checked, with their weights and classes, block by block."""
        for at, (part, labels) in enumerate(self.parts()):
            with naming_block(self.seen.block(at)):
                part = part._replace(labels=indices_of(labels, classes, self.unlabelled))
                checked = check_part(part, None, 1, self.gaps, some=False)[0].positive()
            assert checked.labels is not None
            if len(checked.rows):
                yield checked.rows, checked.weights, Known(classes, checked.labels)

    def of_classes(self, classes: NDArray[Any], labelled: bool = False) -> Chosen:
        """All rows, or those whose class is known, as a source that brings labels."""
        return Chosen(self, classes, None, labelled)

    def of_class(self, classes: NDArray[Any], g: int) -> Chosen:
        """The rows of a class, or of UNKNOWN, as a source without labels."""
        return Chosen(self, classes, g, False)


@dataclass(frozen=True)
class Chosen:
    """Some rows of ClassBlocks, as a source.

    g : the class of these rows, or None: of all;  labelled : only those whose class is known
    """

    of: ClassBlocks
    classes: NDArray[Any]
    g: int | None
    labelled: bool

    mapped = False

    @property
    def names(self) -> Names | None:
        return self.of.names

    def blocks(self) -> Iterator[tuple[Any, ...]]:
        for part, labels in self.of.parts():
            indices = indices_of(labels, self.classes, self.of.unlabelled)
            if self.g is None and not self.labelled:
                yield part.rows, part.weights, indices
                continue
            which = indices != UNKNOWN if self.g is None else indices == self.g
            if which.any():
                weights = None if part.weights is None else np.asarray(part.weights)[which]
                yield np.asarray(part.rows)[which], weights, *([indices[which]] if self.g is None else [])
