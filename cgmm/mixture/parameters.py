"""The parameters of a mixture as one immutable value."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import Density, weighted_median
from cgmm.mixture.floor import least_of
from cgmm.mixture.maximise import maximise, statistics_of
from cgmm.mixture.statistics import frozen
from cgmm.mixture.values import Values
from cgmm.once import once

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.families import Family
    from cgmm.mixture.noise import Noise
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Array, Labels, Moment

# Up to this `reach`, float32 rows keep the digits of their log-densities: its root times their rounding is 1e-4.
MOST_FLOAT32 = 1e6
# Beyond this size of a float32 value, or of what is taken from it, the sum of a block's squares may overflow.
LARGEST_SINGLE = 1e15
# Beyond this `reach`, rounding may take more of a log-density of float64 rows than a part in 1e11.
MOST_EXACT = 1e10
# Beyond this `reach`, it may take a part in 1e11 of the moments of rows with errors.
MOST_MEASURED = 1e5
# The logarithm of a prior's density counts for no less per row: it stays a number where the density is zero.
LEAST_LOG = -1e300
NO_NOISE = (
    "the mixture has a noise component, and this is known of normal distributions alone: GMM.from_parameters(weights_, "
    "means_, covariances_, covariance_type, normalize=True) makes a mixture of them"
)


class Objective(NamedTuple):
    """What EM raises, in a reader's words.

    name : of it;  unit : of what it is told of, after the number;  short : its name where there is no space
    """

    name: str
    unit: str
    short: str


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
    noise: Noise | None = field(default=None, kw_only=True)

    raises: ClassVar = Objective("log-likelihood", " a row", "log_likelihood")
    needs_rows: ClassVar = True

    def __post_init__(self) -> None:
        for array in (self.weights, self.means, self.covariances, self.root):
            array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Parameters, (self.family, *self.values), {"noise": self.noise}

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
        return Parameters(self.family, *values, noise=noise), repairs

    def beside(self, noise: Noise | None) -> Self:
        """The same components beside that noise."""
        return self if noise is self.noise else replace(self, noise=noise)

    def statistics(self, n_k: Array, rules: Rules | None = None, exponent: int = 0) -> SufficientStatistics:
        """Statistics, about the means, of which an M-step with these rules makes these parameters.

        n_k : (k,) the weight of each component, as multiples of 2^exponent
        """
        found = statistics_of(self.family, self.values, n_k, rules, exponent)
        if self.noise is None:
            return found
        mass = float(found.n_k.sum()) * self.noise.weight / self.noise.rest
        return replace(found, noise=mass, total_weight=found.total_weight + mass)

    def taken(self, components: Labels) -> Parameters:
        """The same components in another order."""
        family = self.family
        covariances, root = (family.take(array, components) for array in (self.covariances, self.root))
        return Parameters(family, self.weights[components], self.means[components], covariances, root, noise=self.noise)

    @property
    def point(self) -> Parameters:
        """The mixture that these are, or that is put in the place of all that are believed in."""
        return self

    @property
    def normals(self) -> Parameters:
        """These, which are a mixture of normal distributions alone; ValueError if there is noise beside them."""
        if self.noise is not None:
            raise ValueError(NO_NOISE)
        return self

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
        return n_parameters_of(self.family, self.k, self.d) + (0 if self.noise is None else self.noise.PARAMETERS)

    @property
    def moment(self) -> Moment:
        """What a pass is to accumulate for the next M-step."""
        return self.family.moment

    @property
    def compiled(self) -> bool:
        """Whether compiled iterations know its M-step."""
        return self.family.compiled and self.noise is None

    @property
    def unit_weights(self) -> Array:
        """The weights (k,) of the components over their sum, which rounding may have left beside one."""
        return self.weights / self.weights.sum()

    @property
    def shares(self) -> Array:
        """The weights (k,) of the components among all, the noise included."""
        return self.weights if self.noise is None else frozen(self.weights * self.noise.rest)

    def objective(self, statistics: SufficientStatistics, rules: Rules, after: Parameters) -> float:
        """The mean log-likelihood per row of an E-step's statistics; with a prior, plus the logarithm of its density
        but for a constant."""
        if rules.prior is None:
            return statistics.lower_bound
        log_density = rules.prior.log_density(self.family, self.values)
        return statistics.lower_bound + max(log_density / rules.prior.beside(statistics).weight, LEAST_LOG)

    def project(self, directions: Array) -> Array:
        """The covariances (k,m,m) of what lies along directions (m,d)."""
        return self.family.project(self.covariances, directions, self.k)

    def sample(self, n: int, rng: np.random.Generator) -> tuple[Array, Labels]:
        """Rows (n,d) drawn from the mixture, ordered by component, and the component of each (n,); those of noise come
        last, with −1."""
        weights, noise = self.shares, self.noise
        if noise is not None:
            weights = np.append(weights, noise.weight)
        counts = rng.multinomial(n, weights / weights.sum())
        labels = np.repeat(np.arange(self.k), counts[: self.k])
        normal = rng.standard_normal((len(labels), self.d))
        rows = self.means[labels] + self.family.colour(self.root, labels, normal)
        if noise is None:
            return rows, labels
        left = n - len(labels)
        return np.vstack([rows, noise.sample(left, rng)]), np.append(labels, np.full(left, -1))

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
        """Whether float32 would lose log-densities, or the moments of rows about the means overflow."""
        return self.reach > MOST_FLOAT32 or not _kernels.all_within(self.means, LARGEST_SINGLE, 1)

    @property
    def log_weights(self) -> Array:
        """(k,) what a component adds to the log-density of its covariance: log π."""
        with np.errstate(divide="ignore"):
            return np.log(self.shares)

    def log_norms(self, log_det: Array) -> Array:
        """(k,) log π N(x|μ, Σ) at the means, from the log-determinants of P."""
        return _kernels.log_norms(log_det, self.shares, self.d)

    @once
    def density(self) -> Density:
        whitening = self.family.whitening(self.root, self.k, self.d)
        noise = None if self.noise is None else self.noise.constant
        return Density(
            form=whitening.form,
            means=self.means,
            centre=weighted_median(self.means, self.weights),
            factor=whitening.factor,
            log_norm=self.log_norms(whitening.log_det),
            whitener=whitening.whitener,
            noise=noise,
        )


def n_parameters_of(family: Family, k: int, d: int) -> int:
    """Free parameters of a mixture: covariances, means, and weights that sum to one."""
    return family.n_parameters(k, d) + k * d + k - 1
