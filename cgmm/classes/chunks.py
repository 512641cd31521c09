"""Rows of a Dask collection, with the labels of their classes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial, reduce
from operator import add
from typing import TYPE_CHECKING, Any

import dask
import numpy as np

from cgmm import protocol
from cgmm.classes.blocks import column_of, frame_without_column, is_column
from cgmm.classes.given import InChunks
from cgmm.classes.known import Tally, check_classes, indices_of
from cgmm.rows.checks import check_weights
from cgmm.rows.chunks import array_of, companion
from cgmm.rows.part import Part

if TYPE_CHECKING:
    from cgmm.types import Array, Names


def chunk_by_chunk(X: Any, y: Any, sample_weight: Any) -> tuple[Names | None, Iterator[tuple[Part, Any]]]:
    """The names of the features, and the rows and labels of one chunk after the other, in memory."""
    rows, weights, labels, names = _beside(X, y, sample_weight)
    each = [rows, labels, *([] if weights is None else [weights])]

    def parts() -> Iterator[tuple[Part, Any]]:
        for at in range(rows.numblocks[0]):
            some, own, *weighing = dask.compute(*(one.blocks[at] for one in each))
            yield Part(some, *weighing), own

    return names, parts()


def in_chunks(X: Any, y: Any, sample_weight: Any, unlabelled: Any) -> InChunks:
    """The rows, of which none is read, and what their labels are, which are; y may be a column of X."""
    rows, weights, labels, names = _beside(X, y, sample_weight)
    parts = [each.to_delayed().ravel().tolist() for each in (labels, *([] if weights is None else [weights]))]
    tasks = [dask.delayed(_tally, pure=False)(unlabelled, *some) for some in zip(*parts, strict=True)]
    tally = reduce(add, dask.compute(*tasks)).checked()
    index = partial(_indices, tally.classes, unlabelled)
    of_row = labels.map_blocks(index, dtype=np.intp, meta=np.empty(0, dtype=np.intp))
    return InChunks(tally, rows, weights, of_row, None, names)


def _beside(X: Any, y: Any, sample_weight: Any) -> tuple[Any, Any, Any, Names | None]:
    """Rows, weights or None and labels as Dask arrays of the same chunks, and the names of the features."""
    names = protocol.feature_names(X)
    if is_column(y):
        X, y, names = _without_column(X, y, names)
    if not isinstance(getattr(y, "dtype", np.dtype(object)), np.dtype):  # pandas' own, such as of texts and categories
        y = y.astype(object)
    rows = array_of("X", X, 2)
    labels = companion("y", y, rows)
    weights = None if sample_weight is None else companion("sample_weight", sample_weight, rows)
    return rows, weights, labels, names


def _without_column(X: Any, column: Any, names: Names | None) -> tuple[Any, Any, Names | None]:
    """X, its column, and the names of the others."""
    if not hasattr(X, "to_dask_array"):
        at = column_of(None, X.shape[1], column)
        others = [j for j in range(X.shape[1]) if j != at]
        return X[:, others], X[:, at], None
    others, own = frame_without_column(X, column)
    return others, own, protocol.feature_names(others)


def _tally(unlabelled: Any, labels: Any, weights: Any = None) -> Tally:
    found = check_classes(np.asarray(labels), len(labels))
    row_weights: Array | None = check_weights(weights, len(found), some=False)
    return Tally.of(found, row_weights, unlabelled)


def _indices(classes: Any, unlabelled: Any, labels: Any) -> Any:
    return indices_of(np.asarray(labels), classes, unlabelled)
