"""The one door: what a user hands over for rows is an array, a source of blocks, or a Dask collection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cgmm.rows.opened import AtHand, InBlocks
from cgmm.rows.sources import (
    BRING_ERRORS,
    BRING_LABELS,
    BRING_WEIGHTS,
    Iterated,
    check_lasting,
    is_dask,
    source_of,
)

if TYPE_CHECKING:
    from cgmm.rows.opened import Opened


def open_rows(
    X: Any,
    sample_weight: Any = None,
    gaps: bool = False,
    again: bool = False,
    labels: Any = None,
    errors: Any = None,
) -> Opened:
    """What X is, with what goes with its rows; if `gaps`, NaN is a missing value; if `again`, it must be possible to
    read the rows more than once."""
    if is_dask(X):
        from cgmm.rows.cluster import Collection  # which imports Dask

        return Collection(X, sample_weight, gaps, labels, errors)
    if again:
        check_lasting(X)
    source = source_of(X, sample_weight, gaps, labels, errors)
    return AtHand(X, sample_weight, gaps, labels, errors) if source is None else InBlocks(source, gaps)


def open_stream(
    X: Any, sample_weight: Any = None, gaps: bool = False, labels: Any = None, errors: Any = None
) -> Opened:
    """The same for rows that are read once: an iterator of blocks will do."""
    if not isinstance(X, Iterator):
        return open_rows(X, sample_weight, gaps, labels=labels, errors=errors)
    if sample_weight is not None:
        raise TypeError(BRING_WEIGHTS)
    if labels is not None:
        raise TypeError(BRING_LABELS)
    if errors is not None:
        raise TypeError(BRING_ERRORS)
    return InBlocks(Iterated(lambda: X), gaps)
