"""A conjugate prior as sufficient statistics of rows that were never seen: it adds to those of rows that were."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.once import once

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.mixture.values import Values
    from cgmm.types import Array


# Rows of less weight than 2^−60 are nothing to doubles beside the unseen rows of a prior: they count as so much.
LEAST_EXPONENT = -60
# What the prior adds is held as multiples of a power of two, so that the weight of its mean is less than 2^20, and all
# else less than 2^1000: then its sums are numbers, for the squared differences of values may be as large as 2^1000.
MOST_WEIGHT, MOST_MOMENT = 20, 1000
# A concentration, which is the same for all components, counts for no more: then the sum of them is a number.
MOST_CONCENTRATION = 1e300


class WithUnseen(NamedTuple):
    """Statistics with those of rows never seen: what the weights are in proportion to, masses, moments and counts."""

    weights: Array
    masses: Array
    first: Array
    second: Array
    counts: Array


@dataclass(frozen=True, eq=False)
class Conjugate:
    """A prior as statistics of rows never seen.

    concentration : α − 1, rows of each component;  precision : κ, rows at `mean` (d,);  scale : Λ, their second moment
    counts : what the family counts for it in the denominator of a covariance

    Each but the counts may be one for all components, or have an axis (k,) before its own.
    """

    concentration: float | Array
    precision: float | Array
    mean: Array
    scale: Array
    counts: float

    def times_power_of_two(self, exponent: int) -> Conjugate:
        """That of rows whose weights are 2^exponent as large."""
        with np.errstate(over="ignore"):
            concentration = np.minimum(np.ldexp(self.concentration, exponent), MOST_CONCENTRATION)
        return replace(
            self,
            concentration=concentration,
            precision=np.ldexp(self.precision, exponent),
            scale=np.ldexp(self.scale, exponent),
            counts=np.ldexp(self.counts, exponent),
        )

    def beside(self, statistics: SufficientStatistics) -> SufficientStatistics:
        """Statistics as they are added to the prior's: no row is lighter than 2^−60, and the exponent is one that holds
        the prior's sums, too."""
        if statistics.exponent < LEAST_EXPONENT:
            statistics = replace(statistics, exponent=LEAST_EXPONENT)
        return statistics.with_exponent(max(statistics.exponent, self._least_exponent))

    @once
    def _least_exponent(self) -> int:
        """The exponent that holds the prior's own sums."""
        largest = max(self.counts, float(np.abs(self.scale).max()))
        return max(math.frexp(float(np.max(self.precision)))[1] - MOST_WEIGHT, math.frexp(largest)[1] - MOST_MOMENT)

    @once
    def _of_one(self) -> Conjugate:
        """That of rows whose weights are what they are: an iteration asks for it."""
        return self.times_power_of_two(0)

    def counts_beside(self, exponent: int) -> float:
        """What it adds to the counts of rows whose weights are multiples of 2^exponent: see `beside`."""
        with np.errstate(over="ignore"):
            return float(np.ldexp(self.counts, -max(exponent, LEAST_EXPONENT)))

    def with_unseen(self, statistics: SufficientStatistics, family: Family) -> WithUnseen:
        """Of the rows seen and those never seen together, as multiples of 2^exponent, see `beside`."""
        statistics = self.beside(statistics)
        own = self.times_power_of_two(-statistics.exponent) if statistics.exponent else self._of_one
        offsets = own.mean - statistics.shift
        precisions = np.full(len(offsets), own.precision, dtype=np.float64)
        return WithUnseen(
            weights=statistics.n_k + own.concentration,
            masses=statistics.n_k + own.precision,
            first=statistics.first + precisions[:, np.newaxis] * offsets,
            second=statistics.second + SECOND_MOMENTS[statistics.moment].scatter(precisions, offsets) + own.scale,
            counts=family.counts(statistics.n_k, offsets.shape[1]) + own.counts,
        )

    def log_density(self, family: Family, values: Values) -> float:
        """The logarithm of the prior's density at some parameters, but for a constant."""
        means, root, scatter = values.means, values.root, SECOND_MOMENTS[family.moment].scatter
        exponent = max(self._least_exponent, 0)
        own = self.times_power_of_two(-exponent) if exponent else self._of_one
        second = scatter(np.full(len(means), own.precision, dtype=np.float64), own.mean - means) + own.scale
        covariances = own.counts * family.log_root(root).sum() - 0.5 * _sum_of_products(family.precisions(root), second)
        weights = np.maximum(values.weights, np.finfo(float).tiny)  # a start's may be zero
        with np.errstate(over="ignore"):
            return float(np.ldexp(covariances + (own.concentration * np.log(weights)).sum(), exponent))


def _sum_of_products(a: Array, b: Array) -> float:
    """Σ a b, infinite where it is no number; products that are none may cancel."""
    with np.errstate(over="ignore", invalid="ignore"):
        found = (a * b).sum()
    if np.isfinite(found):
        return float(found)
    (a, of_a), (b, of_b) = np.frexp(a), np.frexp(b)
    exponents = of_a + of_b
    largest = exponents.max()
    with np.errstate(over="ignore"):
        return float(np.ldexp(np.ldexp(a * b, exponents - largest).sum(), largest))
