"""The one door for rows of classes: an array, a source of blocks, or a Dask collection, with y beside it or in it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cgmm import protocol
from cgmm.classes.blocks import ClassBlocks, is_column, without_column
from cgmm.classes.given import AtHand, InBlocks, InChunks
from cgmm.classes.known import check_classes, known_classes
from cgmm.config import threads
from cgmm.rows.checks import check_observed, check_weights
from cgmm.rows.sources import BRING_WEIGHTS, check_lasting, is_dask, source_of
from cgmm.validation import check_threads


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


def _at_hand(X: Any, y: Any, sample_weight: Any, unlabelled: Any, gaps: bool, n_threads: int) -> AtHand:
    if is_column(y):
        X, y = without_column(X, y)
    names = protocol.feature_names(X)
    rows, _ = check_observed(X, None, n_threads, gaps)
    weights = check_weights(sample_weight, len(rows))
    known = known_classes(y, len(rows), weights, unlabelled)
    given = AtHand(rows, weights, known, None, names)
    return given if weights is None or weights.all() else given.some(weights > 0)
