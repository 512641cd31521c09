"""The one door for rows of classes: an array, a source of blocks, or a Dask collection, with y beside it or in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import protocol
from cgmm.classes.blocks import ClassBlocks, is_column, without_column
from cgmm.classes.given import AtHand, InBlocks, InChunks
from cgmm.classes.known import check_classes, known_classes
from cgmm.config import threads
from cgmm.rows.checks import check_part
from cgmm.rows.part import Part
from cgmm.rows.sources import BRING_WEIGHTS, Iterated, check_lasting, is_dask, source_of
from cgmm.validation import check_threads

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.rows.sources import Source
    from cgmm.types import Array, Names, Rows


def given_of(
    X: Any, y: Any, sample_weight: Any, unlabelled: Any, gaps: bool, n_threads: int | None
) -> AtHand | InBlocks | InChunks:
    """The rows, with their classes, and without priors. The labels of rows that are not in memory are read."""
    n_threads = threads(check_threads(n_threads))
    if y is None and (is_dask(X) or isinstance(X, np.ndarray)):
        check_classes(y, 0)
    if is_dask(X):
        from cgmm.classes.chunks import in_chunks  # which imports Dask

        return in_chunks(X, y, sample_weight, unlabelled)
    source = None if isinstance(X, np.ndarray) else source_of(X, gaps=gaps)
    if source is None:
        return _at_hand(X, y, sample_weight, unlabelled, gaps, n_threads)
    if sample_weight is not None:
        raise TypeError(BRING_WEIGHTS)
    check_lasting(X)
    blocks = ClassBlocks.of(source, y, unlabelled, gaps)
    tally, names = blocks.tally()
    return InBlocks(tally, blocks, None, names)


class Batch(NamedTuple):
    """Rows of positive weight that came together, checked, with weights or None, labels, and the features' names."""

    rows: Rows
    weights: Array | None
    labels: NDArray[Any]
    names: Names | None


def batches_of(
    X: Any,
    y: Any,
    sample_weight: Any,
    unlabelled: Any,
    gaps: bool,
    n_threads: int | None,
    known: Names | None,
) -> Iterator[Batch]:
    """The rows as a stream brings them: an array at once, the others block by block, which need be read only once.

    known : names that the features must have, or None; blocks are told that theirs are others
    """
    n_threads = threads(check_threads(n_threads))
    if is_dask(X):
        from cgmm.classes.chunks import chunk_by_chunk  # which imports Dask

        names, parts = chunk_by_chunk(X, y, sample_weight)
    elif (source := _source_of_stream(X, gaps)) is not None:
        if sample_weight is not None:
            raise TypeError(BRING_WEIGHTS)
        blocks = ClassBlocks.of(source, y, unlabelled, gaps, known)
        names, parts = blocks.names, blocks.parts(alike=False)
    else:
        X, y = without_column(X, y) if is_column(y) else (X, y)
        names, parts = None, iter([(Part(X, sample_weight), y)])
    for part, y_of_part in parts:
        own = protocol.feature_names(part.rows) if names is None else names
        checked = check_part(part, None, n_threads, gaps, some=False)[0]
        labels = check_classes(y_of_part, len(checked.rows))
        some = slice(None) if checked.weights is None else checked.weights > 0
        if len(labels[some]):
            yield Batch(
                checked.rows[some], None if checked.weights is None else checked.weights[some], labels[some], own
            )


def _source_of_stream(X: Any, gaps: bool) -> Source | None:
    if isinstance(X, np.ndarray):
        return None
    return Iterated(lambda: X) if isinstance(X, Iterator) else source_of(X, gaps=gaps)


def _at_hand(X: Any, y: Any, sample_weight: Any, unlabelled: Any, gaps: bool, n_threads: int) -> AtHand:
    if is_column(y):
        X, y = without_column(X, y)
    names = protocol.feature_names(X)
    part, _ = check_part(Part(X, sample_weight), None, n_threads, gaps)
    rows, weights = part.rows, part.weights
    known = known_classes(y, len(rows), weights, unlabelled)
    given = AtHand(rows, weights, known, None, names)
    return given if weights is None or weights.all() else given.some(weights > 0)
