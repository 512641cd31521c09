"""Volumes and shapes of highest likelihood: what the families of Celeux and Govaert (1995) make of scatters.

A covariance is Σ_c = λ_c D_c A_c D_cᵀ: its volume λ_c = |Σ_c|^(1/d), its shape A_c, a diagonal matrix with |A_c| = 1,
and its axes D_c, an orthogonal one. S_c is the scatter of a component over its weight, π_c its share of the weights;
−2 / n times the expected log-likelihood is then Σ_c π_c (log |Σ_c| + tr S_c Σ_c⁻¹) but for a constant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cgmm.mixture.matrices import EPS

if TYPE_CHECKING:
    from cgmm.types import Array

# The logarithm of a determinant (d,d), of order d, that falls by less than so many times d times the relative rounding
# of a double has not fallen.
ROUNDED = 4
# Alternations between volumes and a shape at most: the gain of each is a share of that of the one before.
MOST = 1000

# A pooled scatter → its inverse, and the logarithm of its determinant.
Inverse: TypeAlias = Callable[["Array"], "tuple[Array, float]"]


def rounding(d: int, value: float) -> float:
    """By how much an objective of this value, a sum over d features, has to fall to have fallen."""
    return ROUNDED * EPS * max(d, abs(value))


def own_volumes(scatters: Array, shares: Array, start: Array, d: int, inverse: Inverse) -> Array:
    """Σ_c = λ_c C of highest likelihood: a volume λ_c for each component, and one matrix C, or diagonal, for all.

    C = Σ_c π_c S_c / λ_c for these λ, and λ_c = tr(S_c C⁻¹) / d for this C, in turn, from λ = `start` (k,) until |C|
    falls no more, with Π_c λ_c^π_c = 1 (Celeux and Govaert 1995, sections 4.2.2 and 4.3.2). No optimum but the best
    is met: in the logarithm of the parameters along geodesics the objective is convex.

    scatters : (k,d,d), or (k,d) where C is diagonal
    """
    volumes, lowest = start, np.inf
    axes = (slice(None), *[np.newaxis] * (scatters.ndim - 1))
    for _ in range(MOST):
        volumes = volumes / np.exp(shares @ np.log(volumes))
        pooled = np.einsum("c,c...->...", shares, scatters / volumes[axes])
        precision, log_det = inverse(pooled)
        if not log_det < lowest - rounding(d, log_det):
            break
        lowest = log_det
        volumes = (scatters * precision).reshape(len(scatters), -1).sum(axis=1) / d
    volumes = volumes / np.exp(shares @ np.log(volumes))
    return volumes[axes] * pooled


def of_diagonal(variances: Array) -> tuple[Array, float]:
    """The inverse and the logarithm of the determinant of a diagonal matrix (d,)."""
    return 1.0 / variances, float(np.log(variances).sum())


def one_volume(log_volumes: Array, shares: Array) -> Array:
    """The factors (k,) of scatters of volumes g_c = |S_c|^(1/d), given as logarithms, that make Σ_c of one volume.

    Σ_c = λ S_c / g_c with λ = Σ_c π_c g_c (Celeux and Govaert 1995, sections 4.2.3 and 4.3.4).
    """
    most = log_volumes.max()
    return np.exp(most + np.log(shares @ np.exp(log_volumes - most)) - log_volumes)
