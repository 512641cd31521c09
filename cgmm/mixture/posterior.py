"""Variational Bayes: what is believed of a mixture before its rows, and after them.

q(π) Π_c q(μ_c, Λ_c) Π_i q(z_i) is nearest to the posterior distribution of weights, means, precisions and components,
by coordinate ascent (Bishop 2006, section 10.2). It takes the same passes as EM: the expected log-density of a row is

    E ln π_c + ½ E ln |Λ_c| − d/2 ln 2π − ½ (d / b_c + |P_c (x − m_c)|²),    P_cᵀ P_c = E[Λ_c] = C_c⁻¹,

that of a mixture with means m_c, covariances C_c and weights that do not sum to one; and the statistics that a pass
leaves add to those of the prior. Gaps and the true values of rows with errors of measurement are unknowns of q(z_i),
and their moments are such statistics, too. docs/bayesian.md and docs/mathematics.md have the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cgmm.mixture.conjugate import Conjugate
from cgmm.mixture.density import LOG_2PI
from cgmm.mixture.laws import PRECISION_LAWS, WEIGHT_LAWS
from cgmm.mixture.maximise import maximise
from cgmm.mixture.parameters import Objective, Parameters
from cgmm.mixture.rules import Rules
from cgmm.mixture.second import SECOND_MOMENTS
from cgmm.mixture.statistics import SufficientStatistics, frozen
from cgmm.mixture.values import Values
from cgmm.once import once
from cgmm.validation import check_choice

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.mixture.laws import PrecisionLaw, WeightLaw
    from cgmm.mixture.rules import Repair
    from cgmm.types import Array, Components, Labels


# A covariance may be singular without reg_covar only if its least variance is no more than so many times that. The
# least along any axis is at least 1/d of the least that is left of a feature, given all others.
LEANT = 2


@dataclass(frozen=True, eq=False)
class Belief:
    """What is believed of k components before the rows: the target of a fit, see cgmm.mixture.target.

    A mean is normal about `mean` (d,) with the precision mean_precision Λ_c; Λ_c is Wishart or gamma distributed with
    `degrees` of freedom and the inverse scale `covariance`, in the form of a prior's scale of the family.
    rows : the weight of all rows that are to be fitted
    """

    family: Family
    k: int
    weights: WeightLaw
    mean_precision: float
    mean: Array
    degrees: float
    covariance: Array
    rows: float

    def __reduce__(self) -> tuple[Any, ...]:
        return Belief, tuple(getattr(self, field.name) for field in fields(self))

    @classmethod
    def of_told(cls, family: Family, *, kind: str, concentration: float, **told: Any) -> Belief:
        """From what `told` gives."""
        return cls(
            family, weights=check_choice("weight_concentration_prior_type", kind, WEIGHT_LAWS)(concentration), **told
        )

    def told(self) -> dict[str, Any]:
        """All but the family, by name: numbers, arrays, and the name of what is believed of weights."""
        return {
            "k": self.k,
            "kind": next(name for name, law in WEIGHT_LAWS.items() if isinstance(self.weights, law)),
            "concentration": self.weights.prior,
            "mean_precision": self.mean_precision,
            "mean": self.mean,
            "degrees": self.degrees,
            "covariance": self.covariance,
            "rows": self.rows,
        }

    @property
    def law(self) -> PrecisionLaw:
        return PRECISION_LAWS[self.family.name]

    @once
    def conjugate(self) -> Conjugate:
        """As statistics of rows never seen; the counts are degrees of freedom."""
        counts = float(np.ravel(self.family.counts(np.full(self.k, self.degrees), len(self.mean)))[0])
        return Conjugate(
            concentration=1.0,  # the weights that an M-step makes of it are not looked at
            precision=self.mean_precision,
            mean=self.mean,
            scale=np.asarray(self.covariance * (counts / self.degrees)),
            counts=counts,
        )

    @once
    def log_partition(self) -> float:
        """ln Z of what is believed before the rows: the posterior of no rows."""
        shape = (self.k, len(self.mean))
        nothing = SufficientStatistics(
            n_k=np.zeros(self.k),
            first=np.zeros(shape),
            second=np.zeros(SECOND_MOMENTS[self.family.moment].shape(*shape)),
            log_likelihood=0.0,
            total_weight=0.0,
            shift=np.tile(self.mean, (self.k, 1)),
            moment=self.family.moment,
        )
        return self.posterior(nothing, Rules())[0].log_partition

    def posterior(
        self, statistics: SufficientStatistics, rules: Rules, last: Values | None = None, iteration: int = 0
    ) -> tuple[Posterior, list[Repair]]:
        """What is believed with rows of these statistics; and what had to be repaired.

        reg_covar is the variance that each row has about itself in each feature: as in scikit-learn, it adds
        n_c reg_covar I to the scatter of a component.
        """
        family, d = self.family, len(self.mean)
        if rules.reg_covar:
            own = family.second(family.compact(rules.reg_covar * np.eye(d)), family.counts(statistics.n_k, d))
            statistics = statistics.with_moments(statistics.first, statistics.second + own)
        obeyed = Rules(prior=self.conjugate, least=rules.least, eps=rules.eps, n_threads=rules.n_threads)
        values, repairs = maximise(statistics, family, obeyed, last, iteration)
        return self.of(statistics.masses, values), repairs

    def learnt(
        self, statistics: SufficientStatistics, rules: Rules, last: Values | None = None, iteration: int = 0
    ) -> tuple[Posterior, list[Repair]]:
        """As `posterior`; a component that would be singular without reg_covar is told of, too, as of a mixture."""
        found, repairs = self.posterior(statistics, rules, last, iteration)
        if rules.reg_covar and self.family.least_left(found.root) <= LEANT * found.d * rules.reg_covar:
            repairs = self.posterior(statistics, rules._replace(reg_covar=0.0), last, iteration)[1]
        return found, repairs

    def of(self, masses: Array, values: Values) -> Posterior:
        """The posterior of components of these masses (k,), whose means and covariances the values have."""
        weights = self.weights.means(self.weights.concentration(masses))
        return Posterior(self.family, weights, values.means, values.covariances, values.root, self, masses)

    def estimated(self, statistics: SufficientStatistics, rules: Rules) -> tuple[Posterior, list[Repair]]:
        """As `learnt`, as if the rows of the statistics, of which there may be some only, were all."""
        weight = statistics.weight
        if weight != self.rows:
            statistics = statistics.times(self.rows / weight)
        return self.learnt(statistics, rules)

    def at(self, parameters: Parameters) -> Posterior:
        """What is believed if components had these parameters; of a posterior, the same beside this belief."""
        if isinstance(parameters, Posterior):
            return parameters if parameters.belief is self else replace(parameters, belief=self)
        return self.posterior(parameters.statistics(parameters.weights * self.rows), Rules())[0]


class Expected(Parameters):
    """Parameters in the place of what is believed of them: a pass takes the expected log-densities of its rows.

    `log_weights` (k,) are what a component adds to the log-density of its mean and covariance.
    """

    needs_rows: ClassVar = False
    if TYPE_CHECKING:

        @property
        def log_weights(self) -> Array: ...

    @property
    def compiled(self) -> bool:
        return False

    def log_norms(self, log_det: Array) -> Array:
        return self.log_weights + log_det - 0.5 * self.d * LOG_2PI

    def entropy(self, statistics: SufficientStatistics) -> float:
        """The entropy of components, gaps and true values under these, plus the expected log-densities of errors of
        measurement, as multiples of 2^exponent: what the logarithms of the densities' sums are more than the expected
        logarithm of the densities.

        Both are about the shift, where the pass has the means to its rounding.
        """
        expected = (statistics.n_k * self.density.log_norm).sum()
        expected -= 0.5 * (self.precisions * statistics.second).sum()
        return float(statistics.log_likelihood - expected)


@dataclass(frozen=True, eq=False)
class Posterior(Expected):
    """What is believed of a mixture with its rows: a model, see cgmm.mixture.model.

    Its weights are E[π], divided by their sum; its means m; its covariances C = E[Λ]⁻¹: what a mixture has that is put
    in the place of all that are believed in.
    masses : (k,) Σ_i w_i r_ic, of which the rest follows
    """

    belief: Belief
    masses: Array

    raises: ClassVar = Objective("lower bound", "", "lower_bound")

    def __post_init__(self) -> None:
        super().__post_init__()
        frozen(self.masses)

    def __reduce__(self) -> tuple[Any, ...]:
        return Posterior, (self.family, *self.values, self.belief, self.masses)

    @property
    def point(self) -> Parameters:
        return Parameters(self.family, *self.values)

    @once
    def concentration(self) -> Array:
        """Of the weights: (k,), or (2,k) of the sticks that are broken."""
        return frozen(self.belief.weights.concentration(self.masses))

    @property
    def mean_precision(self) -> Array:
        """b (k,): the precision of a mean is b Λ."""
        return self.belief.mean_precision + self.masses

    @property
    def degrees(self) -> Array:
        """ν as scikit-learn has it: (k,), or the mean of the components where they share a precision."""
        if self.family.per_component:
            return self.belief.degrees + self.masses
        return np.asarray(self.belief.degrees + self.masses.sum() / self.k)

    @once
    def counts(self) -> Array:
        """ν (m,) of each distribution of a precision, as the family counts."""
        return frozen(np.ravel(self.family.counts(self.masses, self.d)) + self.belief.conjugate.counts)

    @once
    def log_weights(self) -> Array:
        """(k,) what a component adds to the log-density of its mean and covariance:
        E ln π + ½ (E ln |Λ| + ln |C|) − d / 2b."""
        logs = self.belief.weights.expected_logs(self.concentration)
        dets = self.belief.law.expected_log_det(self.counts, self.d)
        return frozen(logs + 0.5 * (dets - self.d / self.mean_precision))

    @once
    def log_partition(self) -> float:
        """ln Z of all that is believed, but for a constant of the family, k and d."""
        weights = self.belief.weights.log_partition(self.concentration)
        means = -0.5 * self.d * float(np.log(self.mean_precision).sum())
        precisions = self.belief.law.log_partition(self.counts, self.family.log_root(self.root), self.d)
        return weights + means + precisions

    def objective(self, statistics: SufficientStatistics, rules: Rules, after: Parameters) -> float:
        """The evidence lower bound of all rows: H(r) + ln Z(after) − ln Z(prior) − n d/2 ln 2π."""
        assert isinstance(after, Posterior)
        with np.errstate(over="ignore"):
            told = np.ldexp(
                self.entropy(statistics) - 0.5 * statistics.total_weight * self.d * LOG_2PI, statistics.exponent
            )
        if not np.isfinite(told):
            raise ValueError(
                "sample_weight is so large that the lower bound of all rows is no number: it counts rows, so divide it"
            )
        return float(told + (after.log_partition - self.belief.log_partition))

    def maximise(
        self, statistics: SufficientStatistics, rules: Rules, iteration: int = 0
    ) -> tuple[Posterior, list[Repair]]:
        """What is believed with rows of these statistics; and what had to be repaired."""
        return self.belief.learnt(statistics, rules, self.values, iteration)

    def taken(self, components: Labels) -> Posterior:
        """What is believed of the same components in another order; ValueError if it depends on theirs."""
        if self.belief.weights.ordered and not np.array_equal(components, np.arange(self.k)):
            raise ValueError(
                "components of a Dirichlet process are in the order of its sticks, on which their weights depend: sort "
                "the mixture `prune(point=True)`, or fit with weight_concentration_prior_type='dirichlet_distribution'"
            )
        return Posterior(self.family, *super().taken(components).values, self.belief, self.masses[components])

    def take(self, components: Components) -> Posterior:
        """What is believed of those components, had the others never been: these take with them what rows they had."""
        family, masses = self.family, self.masses[components]
        belief = replace(self.belief, k=len(masses), rows=float(masses.sum()))
        covariances, root = family.take(self.covariances, components), family.take(self.root, components)
        if not family.per_component:  # the prior counts once for each component
            scale = covariances * self.counts + (belief.conjugate.scale - self.belief.conjugate.scale)
            covariances = scale / (family.counts(masses, self.d) + belief.conjugate.counts)
            root = family.root(covariances)
        return belief.of(masses, Values(self.weights[components], self.means[components], covariances, root))
