"""The floor under variances: what is so small that only rounding, or nothing, is left of it.

docs/degenerate.md has the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.types import Array

EPS = float(np.finfo(np.float64).eps)
# No variance is smaller than this, in squared units of X: the inverse of a smaller one would not be a number.
SMALLEST = 1e-300
# No variance is a smaller share of the data's own: a standard deviation is no less than 1e-9 of theirs.
RELATIVE = 1e-18
SHARE = 1e-6  # What a relative reg_covar adds, as a share of the smallest variance of a feature.
# A standard deviation is no less than so many times the rounding of a mean: below that, rows cannot be told apart.
MEAN_ROUNDING = 1000


def least_of(weights: Array, means: Array, variances: Array) -> Array:
    """The variances (d,) below which none falls, of a mixture whose rows are not at hand: RELATIVE of its own.

    weights : (k,);  means, variances : (k,d) of each feature in each component
    """
    mean, whole = moments_of(weights, means, variances)
    return np.maximum(RELATIVE * whole, (4 * EPS * mean) ** 2 + SMALLEST)


def moments_of(weights: Array, means: Array, variances: Array) -> tuple[Array, Array]:
    """The mean (d,) and the variances (d,) of a mixture whose components have these (k,d)."""
    mean = np.einsum("c,cj->j", weights, means)
    return mean, np.einsum("c,cj->j", weights, variances + (means - mean) ** 2)


def relative_to(variances: Array, least: Array) -> float:
    """The reg_covar that is relative to variances (d,): SHARE of the smallest that is no mere floor; 0 if all are."""
    varies = variances > 4 * least
    return SHARE * float(variances[varies].min()) if varies.any() else 0.0


def exact_to(least: Array, offsets: Array, means: Array, eps: float) -> Array:
    """The variances (d,) or (k,d) below which none falls, if least is not enough for what rounding does.

    Moments about points at `offsets` (k,d) from the means are exact to eps times the offsets' squares; and a mean
    is exact to its own rounding, of which a standard deviation is to be many times.
    """
    moved, rounded = rounding_of_means(means.shape[1], eps)
    if moved * _kernels.sum_of_squares(offsets) + rounded * _kernels.sum_of_squares(means) <= least.min():
        return least
    return np.maximum(least, np.maximum(moved * offsets**2, rounded * means**2))


def rounding_of_means(d: int, eps: float) -> tuple[float, float]:
    """What rounding leaves of a variance: times the square of what a mean has moved, and times that of the mean."""
    return 4 * (d + 4) * eps, (MEAN_ROUNDING * EPS) ** 2
