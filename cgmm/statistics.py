"""Sufficient statistics: what an expectation pass leaves behind, and what adds up."""

from dataclasses import dataclass

import numpy as np

from cgmm import _kernels
from cgmm.config import threads

EMPTY = np.finfo(np.float64).tiny / np.finfo(np.float64).eps  # below it quotients lose their digits


@dataclass(frozen=True)
class SufficientStatistics:
    """The weighted moments of the rows that a pass has seen, for k components and d features.

    They are additive: the statistics of two sets of rows under the same parameters add up to those of their
    union, ``a + b``. Moments are taken about ``shift``, the means of the parameters, so that nothing cancels.

    Attributes
    ----------
    n_k : ndarray of shape (k,)
        Σ_i w_i r_ic, the weight of each component.
    first : ndarray of shape (k, d)
        Σ_i w_i r_ic (x_i − s_c).
    second : ndarray of shape (k, d, d), (k, d), (k,) or (d, d)
        Σ_i w_i r_ic (x_i − s_c)(x_i − s_c)ᵀ; its diagonal; its trace; or its sum over the components: what the
        covariance family (full, diag, spherical, tied) needs.
    log_likelihood : float
        Σ_i w_i log p(x_i), in nats.
    total_weight : float
        Σ_i w_i, the number of rows when they have no weights.
    shift : ndarray of shape (k, d)
        s, about which the moments were taken.
    """

    n_k: np.ndarray
    first: np.ndarray
    second: np.ndarray
    log_likelihood: float
    total_weight: float
    shift: np.ndarray

    @property
    def lower_bound(self):
        """Mean log-likelihood of a row."""
        return self.log_likelihood / self.total_weight

    @property
    def empty(self):
        """Components (indices) that no row belongs to: nothing can be divided by their weight."""
        return np.flatnonzero(self.n_k < EMPTY)

    @property
    def divisor(self):
        """n_k, and one for the empty components."""
        return np.where(self.n_k < EMPTY, 1.0, self.n_k)

    def __add__(self, other):
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        if self.second.shape != other.second.shape or not np.array_equal(self.shift, other.shift):
            raise ValueError(
                "these statistics do not add up: they were taken about different shifts or for different "
                "models; compute both with the same parameters, dtype and covariance type"
            )
        return SufficientStatistics(
            self.n_k + other.n_k,
            self.first + other.first,
            self.second + other.second,
            self.log_likelihood + other.log_likelihood,
            self.total_weight + other.total_weight,
            self.shift,
        )


def block_statistics(X, parameters, row_weights=None, n_threads=None, pruning=None):
    """`expectation` on rows, weights and parameters that are known to be good.

    `pruning` (cgmm.pruning.Pruning) decides whether negligible components are left out; None: none is.
    """
    moment = parameters.family.moment
    guide = pruning and pruning.guide(parameters)
    sums, share = _kernels.expectation(X, parameters.density, moment, row_weights, threads(n_threads), guide)
    if pruning:
        pruning.observe(share)
    return SufficientStatistics(*sums)


def expectation(model, X, sample_weight=None):
    """The sufficient statistics of a block of rows under a fitted mixture: one E-step.

    Parameters
    ----------
    model : GMM
        Fitted, or made by ``GMM.from_parameters``.
    X : array-like of shape (n, d)
        Rows; float32 and float64 arrays are not copied.
    sample_weight : array-like of shape (n,), optional
        Non-negative row weights.

    Returns
    -------
    SufficientStatistics

    Raises
    ------
    ValueError, TypeError
        X or sample_weight cannot be used, or X has other features than the model.
    """
    X, row_weights = model._check_rows(X, sample_weight)
    return block_statistics(X, model._parameters, row_weights, model.n_threads)


def of_labels(X, labels, k, family, row_weights=None):
    """Statistics of rows that each belong to one component, about that component's mean."""
    order = np.argsort(labels, kind="stable")
    ends = np.searchsorted(labels, np.arange(1, k), sorter=order)
    rows = np.split(order, ends)
    ones = np.ones(len(X)) if row_weights is None else row_weights
    return _of_parts(((X[r], ones[r]) for r in rows), X, family)


def of_responsibilities(X, responsibilities, family, row_weights=None):
    """Statistics of rows with given responsibilities (n,k), about each component's mean."""
    columns = responsibilities.T
    return _of_parts(((X, r if row_weights is None else r * row_weights) for r in columns), X, family)


def _of_parts(parts, X, family):
    """Statistics from each component's rows and their weights; an empty one's shift is the mean of X."""
    origin = X.mean(axis=0, dtype=np.float64)
    n_k, first, second, shift = [], [], [], []
    for rows, weights in parts:
        centred = rows - origin
        total = weights.sum()
        mean = weights @ centred / total if total >= EMPTY else np.zeros_like(origin)
        z = centred - mean
        weighted = z * weights[:, None]
        n_k.append(total)
        shift.append(origin + mean)
        first.append(weighted.sum(axis=0))
        second.append(_SECOND[family.moment](weighted, z))
    second = np.sum(second, axis=0) if family.moment == "pooled" else np.stack(second)
    n_k = np.array(n_k)
    return SufficientStatistics(n_k, np.stack(first), second, np.nan, n_k.sum(), np.stack(shift))


_SECOND = {
    "full": lambda weighted, z: weighted.T @ z,
    "pooled": lambda weighted, z: weighted.T @ z,
    "diag": lambda weighted, z: (weighted * z).sum(axis=0),
    "radial": lambda weighted, z: (weighted * z).sum(),
}
