"""Sufficient statistics: what an expectation pass leaves behind, and what adds up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.types import Array, Labels, Moment

# A component of less weight, in units of row weights, is empty: quotients by smaller numbers lose their digits.
EMPTY = np.finfo(np.float64).tiny / np.finfo(np.float64).eps
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
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in SUMS})

    def __radd__(self, other: int) -> SufficientStatistics:
        return self + other

    def times_power_of_two(self, exponent: int) -> SufficientStatistics:
        """The statistics of rows whose weights are 2^exponent as large."""
        return replace(self, **{name: np.ldexp(getattr(self, name), exponent) for name in SUMS})

    def times(self, factor: float) -> SufficientStatistics:
        """The statistics of rows whose weights are `factor` as large."""
        return replace(self, **{name: getattr(self, name) * factor for name in SUMS})

    def moved_to(self, shift: Array, family: Family) -> SufficientStatistics:
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

    def moments(self, family: Family) -> tuple[float, Array, Array]:
        """The weight of all rows, their mean (d,) and their covariance (d,d), as far as the family knows it."""
        (k, d), n = self.shift.shape, self.n_k.sum()
        offset = (self.first + self.n_k[:, None] * (self.shift - self.shift[0])).sum(axis=0) / n
        mean = self.shift[0] + offset
        second = self.moved_to(np.tile(mean, (k, 1)), family).second
        whole = family.together(second) / family.counts(np.array([n]), d)
        return n, mean, family.expand(whole, 1, d)[0]

    def with_moments(self, first: Array, second: Array) -> SufficientStatistics:
        """The same components with other moments."""
        return replace(self, first=first, second=second)

    def without_moments(self) -> SufficientStatistics:
        """The same components with moments of zero."""
        return self.with_moments(np.zeros(self.first.shape), np.zeros(self.second.shape))


def second_shape(moment: Moment, k: int, d: int) -> tuple[int, ...]:
    """The shape of second moments of that name."""
    return {"full": (k, d, d), "diag": (k, d), "radial": (k,), "pooled": (d, d)}[moment]
