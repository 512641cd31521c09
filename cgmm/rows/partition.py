"""Statistics of rows that are given to components: by labels, or by responsibilities."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture.statistics import EMPTY, SufficientStatistics

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.rows.place import InMemory
    from cgmm.types import Array, Labels, Partition, Rows


def of_partition(
    place: InMemory, partition: Partition, k: int, family: Family, n_threads: int = 1
) -> SufficientStatistics:
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
        return of_labels(X, partition.astype(np.intp, copy=False), k, family, row_weights, place.exponent, n_threads)
    shares = partition.T.astype(np.float64, order="C")
    if row_weights is not None:
        shares *= row_weights
    return _found(_kernels.moments_of_shares(X, shares, family.moment, EMPTY, n_threads), family, place.exponent)


def of_labels(
    X: Rows,
    labels: Labels,
    k: int,
    family: Family,
    row_weights: Array | None = None,
    exponent: int = 0,
    n_threads: int = 1,
) -> SufficientStatistics:
    """Statistics of rows that each belong to one component, about that component's mean."""
    found = _kernels.moments_of_labels(X, labels, k, family.moment, EMPTY, row_weights, n_threads)
    return _found(found, family, exponent)


def _found(found: tuple[Array, Array, Array, Array], family: Family, exponent: int) -> SufficientStatistics:
    n_k, first, second, shift = found
    return SufficientStatistics(
        n_k=n_k,
        first=first,
        second=second,
        log_likelihood=np.nan,
        total_weight=_kernels.total(n_k),
        shift=shift,
        moment=family.moment,
        exponent=exponent,
    )
