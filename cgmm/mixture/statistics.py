"""Sufficient statistics: what an expectation pass leaves behind, and what adds up."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.mixture.second import SECOND_MOMENTS

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.types import Array, Labels, Mask, Moment

# A component of less weight, in units of row weights, is empty: quotients by smaller numbers lose their digits.
EMPTY = np.finfo(np.float64).tiny / np.finfo(np.float64).eps
LARGE = 1e300  # Sums whose absolute values are less can be added as they are.
SUMS = ("n_k", "first", "second", "log_likelihood", "total_weight", "noise")


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
    exponent : int
        0, unless the row weights are so large, or so small, that floats cannot hold the sums: then the sums are
        2^exponent times what n_k, first, second, log_likelihood, total_weight and noise say.
    noise : float
        Σ_i w_i r_i0, the weight of what belongs to the noise component, if there is one.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM(1).fit([[0.0], [2.0]])
    >>> first, second = cgmm.expectation(model, [[0.0]]), cgmm.expectation(model, [[4.0]])
    >>> (first + second).total_weight
    2.0
    """

    n_k: Array
    first: Array
    second: Array
    log_likelihood: float
    total_weight: float
    shift: Array
    moment: Moment
    exponent: int = 0
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("n_k", "first", "second", "shift"):
            array = getattr(self, name)
            if array.flags.writeable:  # someone else's, who may change it
                object.__setattr__(self, name, frozen(np.array(array)))

    @classmethod
    def of_pass(cls, found: tuple[Any, ...], moment: Moment, exponent: int = 0) -> SufficientStatistics:
        """What a pass has found: n_k, first, second, log-likelihood, total weight, shift, in arrays of its own;
        where there is noise its weight, too."""
        n_k, first, second, log_likelihood, total_weight, shift, *noise = found
        return cls(
            n_k=frozen(n_k),
            first=frozen(first),
            second=frozen(second),
            log_likelihood=log_likelihood,
            total_weight=total_weight,
            shift=frozen(shift),
            moment=moment,
            exponent=exponent,
            noise=sum(noise),
        )

    def among(self, components: Mask, means: Array) -> SufficientStatistics:
        """The same if these components are some of those with means (k,d), and no row belongs to the others."""
        k, per_component = len(means), SECOND_MOMENTS[self.moment].per_component
        n_k, first, shift = np.zeros(k), np.zeros(means.shape), means.copy()
        n_k[components], first[components], shift[components] = self.n_k, self.first, self.shift
        second = self.second
        if per_component:
            second = np.zeros((k, *self.second.shape[1:]))
            second[components] = self.second
        return replace(self, n_k=n_k, first=first, second=second, shift=shift)

    @property
    def lower_bound(self) -> float:
        """Mean log-likelihood of a row; NaN without any weight."""
        return float(self.log_likelihood / self.total_weight) if self.total_weight else np.nan

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
                "these statistics do not add up: they are of different models. Compute both with the same parameters "
                "and covariance_type"
            )
        if not self.exponent and not other.exponent and self._adds_up(other):
            return self._plus(other)
        one, two = self.normalised(), other.normalised()
        exponent = max(one.exponent, two.exponent)
        return one.with_exponent(exponent)._plus(two.with_exponent(exponent)).settled()

    def _adds_up(self, other: SufficientStatistics) -> bool:
        """Whether the sums are so far from the largest numbers that another's can be added to them."""
        return all(np.abs(getattr(part, name)).max() < LARGE for part in (self, other) for name in SUMS)

    def _plus(self, other: SufficientStatistics) -> SufficientStatistics:
        return replace(self, **{name: getattr(self, name) + getattr(other, name) for name in SUMS})

    def __radd__(self, other: int) -> SufficientStatistics:
        return self + other

    def with_exponent(self, exponent: int) -> SufficientStatistics:
        """The same sums, held as multiples of 2^exponent."""
        if exponent == self.exponent:
            return self
        with np.errstate(over="ignore"):
            held = {name: np.ldexp(getattr(self, name), self.exponent - exponent) for name in SUMS}
        return replace(self, **held, exponent=exponent)

    def settled(self) -> SufficientStatistics:
        """The same sums, with an exponent of 0 where floats hold them without losing a digit."""
        if not self.exponent:
            return self
        plain = self.with_exponent(0)
        back = plain.with_exponent(self.exponent)
        exact = all(np.array_equal(getattr(back, name), getattr(self, name), equal_nan=True) for name in SUMS)
        return plain if exact else self

    def normalised(self) -> SufficientStatistics:
        """The same sums, with the exponent that makes the weight of all rows a number of order one."""
        if not self.total_weight:
            return self
        return self.with_exponent(self.exponent + int(np.frexp(self.total_weight)[1]))

    @property
    def weight(self) -> float:
        """Σ_i w_i, whatever the exponent."""
        return float(np.ldexp(self.total_weight, self.exponent))

    @property
    def masses(self) -> Array:
        """Σ_i w_i r_ic (k,), whatever the exponent."""
        return np.ldexp(self.n_k, self.exponent) if self.exponent else self.n_k

    def times(self, factor: float) -> SufficientStatistics:
        """The statistics of rows whose weights are `factor` as large."""
        return replace(self, **{name: getattr(self, name) * factor for name in SUMS})

    def moved_to(self, shift: Array) -> SufficientStatistics:
        """The same about other points (k,d).

        With the rows' mean at o from the old point and at u from the new, the second moment is that about the mean,
        which is the old one less n_c o oᵀ, and n_c u uᵀ. Where the old point is the mean nothing is subtracted, and
        as little is lost as o is small beside the rows' spread.
        """
        moved = shift - self.shift
        offsets = self.first / self.divisor[:, None]
        left = np.where(self.n_k[:, None] < EMPTY, 0.0, offsets - moved)
        scatter = SECOND_MOMENTS[self.moment].scatter
        second = self.second + (scatter(self.n_k, left) - scatter(self.n_k, offsets))
        return replace(self, first=self.n_k[:, None] * left, second=second, shift=shift)

    def moments(self, family: Family) -> tuple[float, Array, Array]:
        """The weight of all rows, their mean (d,) and their covariance (d,d), as far as the family knows it."""
        held = self.normalised()  # so that no weight times a distance overflows
        (k, d), n = held.shift.shape, held.n_k.sum()
        offset = (held.first + held.n_k[:, None] * (held.shift - held.shift[0])).sum(axis=0) / n
        mean = held.shift[0] + offset
        second = held.moved_to(np.tile(mean, (k, 1))).second
        whole = SECOND_MOMENTS[held.moment].together(second) / family.counts(np.array([n]), d)
        return float(np.ldexp(n, held.exponent)), mean, family.expand(whole, 1, d)[0]

    def taken(self, components: Labels) -> SufficientStatistics:
        """The same components in another order."""
        second = SECOND_MOMENTS[self.moment].taken(self.second, components)
        others = {name: getattr(self, name)[components] for name in ("n_k", "first", "shift")}
        return replace(self, second=second, **others)

    def with_moments(self, first: Array, second: Array) -> SufficientStatistics:
        """The same components with other moments."""
        return replace(self, first=first, second=second)

    def without_moments(self) -> SufficientStatistics:
        """The same components with moments of zero."""
        return self.with_moments(np.zeros(self.first.shape), np.zeros(self.second.shape))


def frozen(array: Array) -> Array:
    """The array, which nobody changes from now on."""
    array.flags.writeable = False
    return array
