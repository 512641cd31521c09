"""Distribution functions and quantiles of many mixtures of one feature at once; and probabilities of boxes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture.density import LOG_2PI
from cgmm.mixture.transform import freed

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array

# Each step of a quantile at least halves the interval in which it is known to lie: after 1100 of them no interval of
# doubles is left. Newton's steps end after ten or so.
MOST_STEPS = 1100
EPS = float(np.finfo(np.float64).eps)


def cdf(weights: Array, means: Array, deviations: Array, x: Array) -> Array:
    """Σ_c w_c Φ((x − μ_c) / σ_c), of weights, means and deviations (…,k) and x (…)."""
    from scipy.special import ndtr  # slow to import

    return np.minimum((weights * ndtr(_standardised(x, means, deviations))).sum(axis=-1), 1.0)


def quantiles(weights: Array, means: Array, deviations: Array, p: Array) -> Array:
    """The x at which Σ_c w_c Φ((x − μ_c) / σ_c) is p, weights and means (n,k), deviations (n,k) or (1,k), p (n,).

    By Newton's steps for log F(x) = log p, or from above for log (1 − F(x)) = log (1 − p), whichever is smaller: so the
    tails are as exact as the middle. A quantile of the mixture lies between those of its components, and a step that
    leaves what is still possible is replaced by one that halves it.
    """
    from scipy.special import ndtri

    deviations = np.broadcast_to(deviations, weights.shape)
    sign = np.where(p > 0.5, -1.0, 1.0)  # of a tail above, the mixture is mirrored
    target, means = np.where(p > 0.5, 1 - p, p), sign[:, None] * means
    with np.errstate(invalid="ignore"):
        own = np.where(deviations > 0, means + deviations * ndtri(target)[:, None], means)
        own = np.where(weights > 0, own, np.nan)
    low, high = np.nanmin(own, axis=1), np.nanmax(own, axis=1)
    x = np.where(np.isfinite(low), 0.5 * (low + high), low)
    rounding = EPS * (1 - np.log(np.maximum(target, np.finfo(np.float64).tiny)))  # of log F near log p
    todo = np.flatnonzero((low < high) & np.isfinite(low))
    for _ in range(MOST_STEPS):
        if not len(todo):
            break
        step, gap = _newton(weights[todo], means[todo], deviations[todo], x[todo], target[todo])
        below = gap > 0
        low[todo], high[todo] = np.where(below, x[todo], low[todo]), np.where(below, high[todo], x[todo])
        moved = x[todo] + step
        there = np.abs(gap) <= rounding[todo]
        inside = (moved > low[todo]) & (moved < high[todo])  # not where F is flat, as between far components
        moved = np.where(inside, moved, np.where(there, x[todo], low[todo] + 0.5 * (high[todo] - low[todo])))
        settled = there | (np.abs(moved - x[todo]) <= 2 * np.spacing(np.abs(x[todo])))
        x[todo] = moved
        todo = todo[~settled]
    return sign * x


def in_order(x: Array, p: Array) -> Array:
    """Quantiles (…,m) of one mixture at p (m,): none is below that of a smaller p, as rounding may have left it."""
    order = np.argsort(p, kind="stable")
    found = np.empty_like(x)
    found[..., order] = np.maximum.accumulate(x[..., order], axis=-1)
    return found


def _standardised(x: Array, means: Array, deviations: Array) -> Array:
    """(x − μ_c) / σ_c, of x (…); where rounding has left nothing of σ_c, infinite: F_c is a step from 0 to 1 at μ_c."""
    with np.errstate(divide="ignore", invalid="ignore"):
        z = (x[..., None] - means) / deviations
    return np.where((deviations == 0) & (x[..., None] == means), np.inf, z)


def _newton(weights: Array, means: Array, deviations: Array, x: Array, target: Array) -> tuple[Array, Array]:
    """Newton's step for log F(x) = log p, and log p − log F(x)."""
    from scipy.special import log_ndtr

    z = _standardised(x, means, deviations)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        logs = np.log(weights) + log_ndtr(z)
        top = logs.max(axis=1, keepdims=True)
        log_F = top[:, 0] + np.log(np.exp(logs - top).sum(axis=1))
        logs = np.log(weights / deviations) - 0.5 * z**2 - 0.5 * LOG_2PI
        slope = np.exp(logs - log_F[:, None]).sum(axis=1)
        gap = np.log(target) - log_F
        return np.nan_to_num(gap / slope, posinf=np.inf, neginf=-np.inf), gap  # there is no slope at a step


def box_probabilities(parameters: Parameters, lower: Array, upper: Array, accuracy: float) -> Array:
    """The probability of each box lower < x ≤ upper, (n,d) both; infinite bounds are none.

    Features that are independent within a component: a product, exact to rounding. Others: Genz's integration (1992),
    by SciPy, to that absolute accuracy; it is seeded, so the same boxes give the same bits.
    """
    own = freed(parameters)
    weights = own.unit_weights
    if own.d == 1 or not own.family.correlated:
        deviations = np.sqrt(own.family.variances(own.covariances, own.k, own.d))
        each = [_between(own.means[c], deviations[c], lower, upper).prod(axis=1) for c in range(own.k)]
        return np.einsum("c,cn->n", weights, np.array(each))
    from scipy.stats import multivariate_normal

    each = [
        multivariate_normal.cdf(
            upper - own.means[c],
            cov=own.covariances[c],
            lower_limit=lower - own.means[c],
            abseps=accuracy,
            releps=0.0,
            maxpts=1_000_000 * own.d,
            rng=np.random.default_rng(0),
        )
        for c in np.flatnonzero(weights)
    ]
    return np.einsum("c,cn->n", weights[weights > 0], np.atleast_2d(np.array(each).reshape(len(each), -1)))


def _between(mean: Array, deviation: Array, lower: Array, upper: Array) -> Array:
    """Φ(b) − Φ(a), from the tail in which both are small."""
    from scipy.special import ndtr

    a, b = (lower - mean) / deviation, (upper - mean) / deviation
    return np.where(a > 0, ndtr(-a) - ndtr(-b), ndtr(b) - ndtr(a))
