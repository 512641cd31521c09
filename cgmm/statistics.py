"""Sufficient statistics: what an expectation pass leaves behind, and what adds up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.covariance import AnyFamily
    from cgmm.em import Settings
    from cgmm.parameters import Parameters
    from cgmm.types import Array, Labels, Moment, Rows

EMPTY = np.finfo(np.float64).tiny / np.finfo(np.float64).eps  # below it quotients lose their digits

LIGHT = 1e-9  # share of rows in a prior's, below which rounding is more than they
SUMS = ("n_k", "first", "second", "log_likelihood", "total_weight")


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """The weighted moments of the rows that a pass has seen, for k components and d features.

    They are additive: the statistics of two sets of rows under the same parameters add up to those of their
    union, ``a + b``; and 0 adds nothing, so ``sum`` adds them, too. Moments are taken about ``shift``, the means of the
    parameters, so that nothing cancels. They can be pickled, and are as large as the parameters.

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
    moment : str
        Which second moments they are: "full", "diag", "radial" or "pooled".
    """

    n_k: Array
    first: Array
    second: Array
    log_likelihood: float
    total_weight: float
    shift: Array
    moment: Moment

    def __post_init__(self) -> None:
        for array in (self.n_k, self.first, self.second, self.shift):
            array.flags.writeable = False

    @property
    def lower_bound(self) -> float:
        """Mean log-likelihood of a row; NaN without any weight."""
        return self.log_likelihood / self.total_weight if self.total_weight else np.nan

    @property
    def empty(self) -> Labels:
        """Components (indices) that no row belongs to: nothing can be divided by their weight."""
        return (self.n_k < EMPTY).nonzero()[0]

    @property
    def divisor(self) -> Array:
        """n_k, or for the empty components what can be divided by."""
        return np.maximum(self.n_k, EMPTY)

    def __add__(self, other: SufficientStatistics | int) -> SufficientStatistics:
        if isinstance(other, int) and other == 0:
            return self
        if not isinstance(other, SufficientStatistics):
            return NotImplemented
        if self.moment != other.moment or not np.array_equal(self.shift, other.shift):
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
            self.moment,
        )

    def __radd__(self, other: int) -> SufficientStatistics:
        return self + other

    def times_power_of_two(self, exponent: int) -> SufficientStatistics:
        """The statistics of rows whose weights are 2^exponent as large."""
        return replace(self, **{name: np.ldexp(getattr(self, name), exponent) for name in SUMS})

    def times(self, factor: float) -> SufficientStatistics:
        """The statistics of rows whose weights are `factor` as large."""
        return replace(self, **{name: getattr(self, name) * factor for name in SUMS})

    def moved_to(self, shift: Array, family: AnyFamily) -> SufficientStatistics:
        """The same about other points (k,d).

        With the rows' mean at o from the old point and at u from the new, the second moment is that about the mean,
        which is the old one less n_c o oᵀ, and n_c u uᵀ. Where the old point is the mean nothing is subtracted, and
        as little is lost as o is small beside the rows' spread.
        """
        moved = shift - self.shift
        offsets = self.first / self.divisor[:, None]
        left = np.where(self.n_k[:, None] < EMPTY, 0.0, offsets - moved)
        second = self.second + (family.scatter(self.n_k, left) - family.scatter(self.n_k, offsets))
        return replace(self, first=self.n_k[:, None] * left, second=second, shift=shift)

    def moments(self, family: AnyFamily) -> tuple[float, Array, Array]:
        """The weight of all rows, their mean (d,) and their covariance (d,d), as far as the family knows it."""
        (k, d), n = self.shift.shape, self.n_k.sum()
        offset = (self.first + self.n_k[:, None] * (self.shift - self.shift[0])).sum(axis=0) / n
        mean = self.shift[0] + offset
        second = self.moved_to(np.tile(mean, (k, 1)), family).second
        return n, mean, family.expand(family.together(second) / family.counts(np.array([n]), d), 1, d)[0]


def of_parameters(parameters: Parameters, n_k: Array, settings: Settings | None = None) -> SufficientStatistics:
    """Statistics, about the means, of which an M-step with these settings makes these parameters.

    n_k : (k,) the weight of each component
    """
    family, means = parameters.family, parameters.means
    zeros = np.zeros(parameters.covariances.shape)
    found = SufficientStatistics(n_k, np.zeros(means.shape), zeros, np.nan, n_k.sum(), means, family.moment)
    if settings is None:
        return replace(found, second=parameters.covariances * family.counts(n_k, parameters.d))
    covariances = parameters.covariances - family.compact(settings.reg_covar * np.eye(parameters.d))
    if settings.prior is None:
        return replace(found, second=covariances * family.counts(n_k, parameters.d))
    unseen = settings.prior.join(found, family)
    known = n_k < LIGHT * unseen.masses  # of the prior's mean only, or fixed
    if settings.fixed.means is not None:
        known |= settings.fixed.means
    first = np.where(known[:, None], 0.0, -unseen.first)
    return replace(found, first=first, second=covariances * unseen.counts - unseen.second)


def of_labels(
    X: Rows, labels: Labels, k: int, family: AnyFamily, row_weights: Array | None = None
) -> SufficientStatistics:
    """Statistics of rows that each belong to one component, about that component's mean."""
    n_k, first, second, shift = _kernels.moments_of_labels(X, labels, k, family.moment, EMPTY, row_weights)
    return SufficientStatistics(n_k, first, second, np.nan, _kernels.total(n_k), shift, family.moment)


def of_responsibilities(
    X: Rows, responsibilities: Array, k: int, family: AnyFamily, row_weights: Array | None = None
) -> SufficientStatistics:
    """Statistics of rows with given responsibilities (n,k), about each component's mean."""
    one = np.zeros(len(X), dtype=np.intp)
    parts = (r if row_weights is None else r * row_weights for r in responsibilities.T)
    found = (_kernels.moments_of_labels(X, one, 1, family.moment, EMPTY, np.ascontiguousarray(r)) for r in parts)
    n_k, first, seconds, shift = zip(*found, strict=True)
    masses, second = np.concatenate(n_k), family.side_by_side(seconds)
    return SufficientStatistics(
        masses, np.concatenate(first), second, np.nan, _kernels.total(masses), np.concatenate(shift), family.moment
    )
