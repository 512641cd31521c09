"""The parameters of a mixture as one immutable value."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cgmm import _kernels
from cgmm.mixture.density import Density, weighted_median
from cgmm.mixture.floor import least_of
from cgmm.mixture.maximise import maximise, statistics_of
from cgmm.mixture.statistics import frozen
from cgmm.mixture.values import Values
from cgmm.once import once

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.conjugate import Conjugate
    from cgmm.mixture.families import Family
    from cgmm.mixture.noise import Noise
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Array, Moment

# Up to this `reach`, float32 rows keep the digits of their log-densities: its root times their rounding is 1e-4.
MOST_FLOAT32 = 1e6


@dataclass(frozen=True, eq=False)
class Parameters:
    """A Gaussian mixture: a model, see cgmm.mixture.model, whose covariances are of a family.

    family : of cgmm.mixture.families.FAMILIES
    weights : (k,);  means : (k,d);  covariances : family.shape(k, d);  root : P, the same shape
    noise : a component of constant density beside these, or None; then the weights are shares of what is no noise
    """

    family: Family
    weights: Array
    means: Array
    covariances: Array
    root: Array
    noise: Noise | None = None

    def __post_init__(self) -> None:
        for array in (self.weights, self.means, self.covariances, self.root):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self.family, *self.values, self.noise)

    @classmethod
    def build(cls, family: Family, weights: Array, means: Array, covariances: Array, n_threads: int = 1) -> Self:
        """From covariances; NotPositiveDefinite names the components that have no Cholesky factor."""
        return cls(family, weights, means, covariances, family.root(covariances, n_threads))

    @classmethod
    def given(cls, family: Family, weights: Array, means: Array, covariances: Array) -> Self:
        """From covariances that are known, not estimated: as `build`, with a root that is exact to rounding."""
        return cls(family, weights, means, covariances, family.sharp_root(covariances))

    @classmethod
    def held(
        cls, family: Family, weights: Array, means: Array, covariances: Array, least: Array, n_threads: int = 1
    ) -> Self:
        """As `build`, but held: no variance is below least (d,)."""
        covariances, root, _ = family.hold(covariances, least, 0.0, n_threads)
        return cls(family, weights, means, covariances, root)

    @classmethod
    def estimated(cls, family: Family, statistics: SufficientStatistics, rules: Rules) -> tuple[Self, list[Repair]]:
        """From statistics, by an M-step without parameters before it; and what had to be repaired."""
        values, repairs = maximise(statistics, family, rules)
        return cls(family, *values), repairs

    def maximise(
        self, statistics: SufficientStatistics, rules: Rules, iteration: int = 0
    ) -> tuple[Parameters, list[Repair]]:
        """The parameters that an M-step makes of statistics under these; and what had to be repaired."""
        values, repairs = maximise(statistics, self.family, rules, self.values, iteration)
        noise = None if self.noise is None else self.noise.after(statistics)
        return Parameters(self.family, *values, noise), repairs

    def beside(self, noise: Noise | None) -> Self:
        """The same components beside that noise."""
        return self if noise is self.noise else replace(self, noise=noise)

    def statistics(self, n_k: Array, rules: Rules | None = None, exponent: int = 0) -> SufficientStatistics:
        """Statistics, about the means, of which an M-step with these rules makes these parameters.

        n_k : (k,) the weight of each component, as multiples of 2^exponent
        """
        return statistics_of(self.family, self.values, n_k, rules, exponent)

    @property
    def values(self) -> Values:
        return Values(self.weights, self.means, self.covariances, self.root)

    @property
    def k(self) -> int:
        return self.means.shape[0]

    @property
    def d(self) -> int:
        return self.means.shape[1]

    @property
    def n_parameters(self) -> int:
        """Free parameters: covariances, means, weights that sum to one, and those of the noise."""
        own = self.family.n_parameters(self.k, self.d) + self.k * self.d + self.k - 1
        return own if self.noise is None else own + self.noise.PARAMETERS

    @property
    def moment(self) -> Moment:
        """What a pass is to accumulate for the next M-step."""
        return self.family.moment

    @property
    def compiled(self) -> bool:
        """Whether compiled iterations know its M-step."""
        return self.family.compiled and self.noise is None

    @property
    def shares(self) -> Array:
        """The weights (k,) of the components among all, the noise included."""
        return self.weights if self.noise is None else frozen(self.weights * self.noise.rest)

    def log_prior(self, prior: Conjugate) -> float:
        """The logarithm of a prior's density at these parameters, but for a constant."""
        return prior.log_density(self.family, self.values)

    def project(self, directions: Array) -> Array:
        """The covariances (k,m,m) of what lies along directions (m,d)."""
        return self.family.project(self.covariances, directions, self.k)

    @property
    def variances(self) -> Array:
        """Of each feature in each component, (k,d)."""
        return self.family.variances(self.covariances, self.k, self.d)

    @property
    def least(self) -> Array:
        """The variances (d,) below which none falls, where the rows' own scale is not known."""
        return least_of(self.weights, self.means, self.variances)

    @once
    def precisions(self) -> Array:
        return frozen(self.family.precisions(self.root))

    @once
    def precisions_cholesky(self) -> Array:
        return frozen(self.family.precisions_cholesky(self.root))

    @once
    def factor(self) -> Array:
        """L of each covariance, in their shape."""
        return frozen(self.family.factor(self.covariances, self.root))

    @once
    def reach(self) -> float:
        """The largest variance of a feature in the mixture over that left of it in a component, given others.

        Its root times the rounding of a number is what may be lost of a whitened row.
        """
        roots = self.family.root_diagonal(self.root, self.k, self.d)
        return _kernels.reach(self.weights, self.means, self.variances, roots)

    @property
    def needs_double(self) -> bool:
        """Whether float32 would lose log-densities."""
        return self.reach > MOST_FLOAT32

    @once
    def density(self) -> Density:
        whitening = self.family.whitening(self.root, self.k, self.d)
        noise = None if self.noise is None else self.noise.constant
        return Density(
            form=whitening.form,
            means=self.means,
            centre=weighted_median(self.means, self.weights),
            factor=whitening.factor,
            log_norm=_kernels.log_norms(whitening.log_det, self.shares, self.d),
            whitener=whitening.whitener,
            noise=noise,
        )
