"""Statistics of rows that are given to components: by labels, or by responsibilities."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.mixture.statistics import EMPTY, SufficientStatistics

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.rows.place import InMemory
    from cgmm.types import Array, Labels, Partition, Rows


def of_partition(place: InMemory, partition: Partition, k: int, family: Family) -> SufficientStatistics:
    """Statistics of rows with given labels (n,) or responsibilities (n,k), about each component's mean.

    A row whose label is −1 is left out: its component is not known, or it is noise. So is what a row's responsibilities
    are less than one.
    """
    part = place.part
    if partition.ndim == 1 and partition.min() < 0:
        known = np.flatnonzero(partition >= 0)
        part, partition = part.gathered(known), partition[known]
    X, row_weights = part.rows, part.weights
    if partition.ndim == 1:
        found = of_labels(X, partition.astype(np.intp, copy=False), k, family, row_weights)
    else:
        found = of_responsibilities(X, partition.astype(np.float64, copy=False), k, family, row_weights)
    return replace(found, exponent=place.exponent) if place.exponent else found


def of_labels(
    X: Rows, labels: Labels, k: int, family: Family, row_weights: Array | None = None
) -> SufficientStatistics:
    """Statistics of rows that each belong to one component, about that component's mean."""
    n_k, first, second, shift = _kernels.moments_of_labels(X, labels, k, family.moment, EMPTY, row_weights)
    return SufficientStatistics(
        n_k=n_k,
        first=first,
        second=second,
        log_likelihood=np.nan,
        total_weight=_kernels.total(n_k),
        shift=shift,
        moment=family.moment,
    )


def of_responsibilities(
    X: Rows, responsibilities: Array, k: int, family: Family, row_weights: Array | None = None
) -> SufficientStatistics:
    """Statistics of rows with given responsibilities (n,k), about each component's mean."""
    one = np.zeros(len(X), dtype=np.intp)
    parts = (r if row_weights is None else r * row_weights for r in responsibilities.T)
    found = (_kernels.moments_of_labels(X, one, 1, family.moment, EMPTY, np.ascontiguousarray(r)) for r in parts)
    n_k, first, seconds, shift = zip(*found, strict=True)
    masses = np.concatenate(n_k)
    return SufficientStatistics(
        n_k=masses,
        first=np.concatenate(first),
        second=SECOND_MOMENTS[family.moment].side_by_side(seconds),
        log_likelihood=np.nan,
        total_weight=_kernels.total(masses),
        shift=np.concatenate(shift),
        moment=family.moment,
    )
