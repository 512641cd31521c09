"""What scikit-learn's BayesianGaussianMixture believes of a mixture: a model, see cgmm.mixture.model.

Its M-step is that of cgmm.mixture.posterior. Its log-densities and its bound are of its own: it takes a Wishart
distribution of each precision, of the degrees of freedom of one component, whatever the family. For full and tied
covariances, and for one feature, that is another constant; see docs/bayesian.md for the rest.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.mixture.laws import Wishart
from cgmm.mixture.posterior import Expected
from cgmm.mixture.statistics import frozen
from cgmm.once import once

if TYPE_CHECKING:
    from cgmm.mixture.laws import WeightLaw
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.posterior import Belief, Posterior
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Array

WISHART = Wishart()
# What scikit-learn adds to the weight of each component, so that it can divide by it.
ADDED = 10 * float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Believed(Expected):
    """The attributes of a model as it is now, or those that an M-step has made.

    law : of the weights;  concentration : (k,), or (2,k) of sticks;  mean_precision : (k,)
    degrees : (k,), or () where components share a covariance
    belief : before the rows, which an M-step needs; None where none is made
    """

    law: WeightLaw
    concentration: Array
    mean_precision: Array
    degrees: Array
    belief: Belief | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        own = self.law, self.concentration, self.mean_precision, self.degrees, self.belief
        return Believed, (self.family, *self.values, *own)

    @classmethod
    def of(cls, found: Posterior) -> Believed:
        return cls(
            found.family,
            *found.values,
            found.belief.weights,
            found.concentration,
            found.mean_precision,
            found.degrees,
            found.belief,
        )

    @property
    def log_weights(self) -> Array:
        """(k,) what a component adds to the log-density of its mean and covariance."""
        dets = WISHART.expected_log_det(np.atleast_1d(self.degrees), self.d)
        return self.law.expected_logs(self.concentration) + 0.5 * (dets - self.d / self.mean_precision)

    @once
    def log_partition(self) -> float:
        """What scikit-learn's bound is more than the entropy of the components."""
        log_det = np.broadcast_to(self.family.whitening(self.root, self.k, self.d).log_det, self.k)
        precisions = WISHART.log_partition(np.broadcast_to(self.degrees, self.k), log_det, self.d)
        means = -0.5 * self.d * float(np.log(self.mean_precision).sum())
        return self.law.log_partition(self.concentration) + means + precisions

    def objective(self, statistics: SufficientStatistics, rules: Rules, after: Parameters) -> float:
        """scikit-learn's bound: H(r) + ln Z(after)."""
        assert isinstance(after, Believed)
        return self.entropy(statistics) + after.log_partition

    def maximise(
        self, statistics: SufficientStatistics, rules: Rules, iteration: int = 0
    ) -> tuple[Believed, list[Repair]]:
        assert self.belief is not None
        return updated(self.belief, statistics, rules, self, iteration)


def updated(
    belief: Belief, statistics: SufficientStatistics, rules: Rules, last: Parameters | None = None, iteration: int = 0
) -> tuple[Believed, list[Repair]]:
    """What is believed with rows of these statistics; and what had to be repaired."""
    statistics = replace(statistics, n_k=frozen(statistics.n_k + ADDED))
    found, repairs = belief.posterior(statistics, rules, None if last is None else last.values, iteration)
    return Believed.of(found), repairs
