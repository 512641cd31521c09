"""What a covariance family is: everything about a mixture that depends on which family it has.

Each family owns the second moment that the kernels accumulate for it, the covariances that follow from the
statistics, the whitening factor that densities need, and its number of parameters. L is the Cholesky factor of
a covariance Σ = L Lᵀ, and the whitening factor is P = L⁻¹, so that (x−μ)ᵀ Σ⁻¹ (x−μ) = |P (x−μ)|².
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture import matrices

if TYPE_CHECKING:
    from cgmm.mixture.values import Values
    from cgmm.types import Array, Components, CovarianceType, Form, Labels, Moment


# A variance to which reg_covar was added is larger by rounding only, if by no more than this share of it.
ROUNDING = 4 * float(np.finfo(np.float64).eps)


class Whitening(NamedTuple):
    """The density of a family in the form that the kernels take.

    form : "triangular", "diagonal" or "isotropic"
    factor : (k,d,d) lower triangular, (k,d) or (k,), as the form says
    log_det : (k,) log-determinant of each component's P
    whitener : (d,d) applied to the rows first, or None
    """

    form: Form
    factor: Array
    log_det: Array
    whitener: Array | None = None


class Central(NamedTuple):
    """What an M-step knows of the rows once the means are chosen.

    covariances : the second moments about the new means, divided by `counts`: the covariances of highest likelihood,
        unless components share more than the family's moment says
    counts : the family's, of the components' weights and of a prior
    empty : the components that no row belongs to
    least : (d,) or (k,d), below which no variance may fall
    """

    covariances: Array
    counts: Array
    empty: Labels
    least: Array


class Obeyed(Protocol):
    """What of cgmm.mixture.rules.Rules concerns covariances once the means are chosen."""

    @property
    def reg_covar(self) -> float: ...

    @property
    def n_threads(self) -> int | None: ...


class Estimate(NamedTuple):
    """What an M-step makes of that: covariances, P of each, and the components that were held at the floor."""

    covariances: Array
    root: Array
    held: list[int]


class Reduced(NamedTuple):
    """The covariances of some features, and P of them, in the form of the family of that name."""

    family: CovarianceType
    covariances: Array
    root: Array


class Regression(NamedTuple):
    """Of each component, or of all: x_m given x_o is normal with mean μ_m + B (x_o − μ_o) and covariance K Kᵀ.

    slopes : (k,p,m) or (1,p,m), Bᵀ for the first p of the features given, as many as matter
    factors : (k,m,m) or (1,m,m), K, lower triangular
    """

    slopes: Array
    factors: Array


class Unseen(NamedTuple):
    """What a prior adds to the second moments of a component, and to what they are divided by."""

    scale: Array
    counts: float


class NotPositiveDefinite(ValueError):
    """The covariances of `components` are not positive definite."""

    def __init__(self, components: Iterable[int]) -> None:
        self.components = list(components)
        super().__init__(f"the covariance of component {self.components[0]} is not positive definite")


class Family(ABC):
    """A covariance family. Its covariances, and P of them, have `shape(k, d)`; k components, d features.

    `moment` names what the kernels accumulate for it, see cgmm.mixture.second.
    `compiled` says whether the compiled iterations know this family's M-step, by its name; `spanned` whether EM of rows
    that are fewer than their features may be done in the space that they span. A class must say so itself, for neither
    is inherited.
    """

    name: CovarianceType
    moment: Moment
    compiled = False
    spanned = False
    per_component = True  # Whether each component has a covariance of its own.
    mclust_prior = True  # Whether mclust has a prior for the family.
    one_feature = False  # Whether it is of rows of a single feature only.
    shared: str = ""  # What of their covariances components share, in an error's words; empty if nothing.
    correlated: bool  # Whether the features of a component are.
    definite: str  # What covariances must be, in an error's words.
    freed: CovarianceType  # The least of the four families that hold any such covariances, each component its own.

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        names = ("compiled", "spanned")
        cls.compiled, cls.spanned = (bool(vars(cls).get(name, False)) for name in names)

    @abstractmethod
    def shape(self, k: int, d: int) -> tuple[int, ...]:
        """Of the covariances."""

    @abstractmethod
    def n_parameters(self, k: int, d: int) -> int:
        """Free parameters of the covariances."""

    # The M-step

    @abstractmethod
    def counts(self, n_k: Array, d: int) -> Array:
        """What second moments of components of weights n_k (k,) are divided by: a number, or with as many axes."""

    def copies(self, k: int) -> int:
        """How often a covariance is kept that a prior is of once: k times, where components share one kept for each."""
        return 1

    def estimate(self, central: Central, rules: Obeyed, last: Values | None) -> Estimate:
        """The covariances of highest likelihood (or posterior density) that obey the rules.

        last : the parameters before this M-step, from which one that is itself iterated starts; None at a start
        """
        covariances = central.covariances
        if len(central.empty):
            covariances = self.keep(covariances, central.empty, last and last.covariances)
        return self.hold(covariances, central.least, rules.reg_covar, threads(rules.n_threads))

    @abstractmethod
    def hold(self, covariances: Array, least: Array, reg_covar: float, n_threads: int = 1) -> Estimate:
        """Covariances whose variance is nowhere below `least` (d,) or (k,d), with reg_covar added."""

    @abstractmethod
    def without(self, covariances: Array, reg_covar: float) -> Array:
        """Covariances without the reg_covar that was added to them. Of a variance that was no larger, or larger by
        rounding only, zero is left."""

    def second(self, covariances: Array, counts: Array) -> Array:
        """The second moments of which these covariances are the estimate: the inverse of the closed form."""
        return covariances * counts

    @abstractmethod
    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        """What a conjugate prior of so many degrees of freedom adds to the counts, and whether means have one, too."""

    def unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """What the density of a conjugate prior adds to each covariance that is kept."""
        copies = self.copies(k)
        return Unseen(scale / copies, self.prior_counts(degrees, k, d, mean) / copies)

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """What mclust 6 adds in its place if the family has a `mclust_prior`: the same, but where families differ."""
        return self.unseen(scale, degrees, k, d, mean)

    @abstractmethod
    def default_scale(self, covariance: Array) -> Array:
        """The scale of a prior, from the covariance (d,d) of the rows."""

    @abstractmethod
    def scale_shape(self, d: int) -> tuple[int, ...]:
        """Of a prior's scale."""

    def keep(self, covariances: Array, components: Components, previous: Array | None) -> Array:
        """Put the previous covariances, or the mean of the others if there are others, in the place of those of
        `components`."""
        others = matrices.all_but(len(covariances), components)
        if previous is not None:
            covariances[components] = previous[components]
        elif others.any():
            covariances[components] = covariances[others].mean(axis=0)
        return covariances

    # Roots and densities

    @abstractmethod
    def root(self, covariances: Array, n_threads: int = 1) -> Array:
        """P of each covariance; NotPositiveDefinite names those that have none."""

    @abstractmethod
    def sharp_root(self, covariances: Array) -> Array:
        """As `root`, exact to rounding: for covariances that are given, not estimated."""

    @abstractmethod
    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        """The density that these roots make."""

    @abstractmethod
    def log_root(self, root: Array) -> Array:
        """The log-determinant of each P, or of each of its factors: their sum is that of all."""

    @abstractmethod
    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        """The diagonals of P (m,d), of all that there are."""

    def least_left(self, root: Array) -> float:
        """The least variance of a feature in a component, given all others."""
        return float(self.least_left_each(root[np.newaxis])[0])

    def least_left_each(self, roots: Array) -> Array:
        """The same of each of m mixtures (m,)."""
        return _kernels.least_left_each(roots, self.correlated)

    @abstractmethod
    def condition_numbers(self, covariances: Array, root: Array) -> Array:
        """The largest over the smallest eigenvalue of each covariance."""

    @abstractmethod
    def precisions(self, root: Array) -> Array:
        """The inverses of the covariances."""

    @abstractmethod
    def precisions_cholesky(self, root: Array) -> Array:
        """What scikit-learn calls so: the upper triangular Pᵀ, or P where that is 1/σ."""

    @abstractmethod
    def root_from_precisions_cholesky(self, cholesky: Array) -> Array:
        """P of that, or of a lower triangular matrix U with U Uᵀ the precision, as ``np.linalg.cholesky`` gives it.

        ValueError if it is neither, or its diagonal is not positive.
        """

    @abstractmethod
    def covariances_from_root(self, root: Array) -> Array:
        """The inverses of Pᵀ P."""

    @abstractmethod
    def covariances_from_precisions(self, precisions: Array) -> Array:
        """The inverses of the precisions."""

    # Marginal and conditional distributions

    @abstractmethod
    def marginal(self, covariances: Array, root: Array, features: Labels) -> Reduced:
        """Those of some features (m,)."""

    @abstractmethod
    def conditional(self, covariances: Array, root: Array, given: Labels, others: Labels) -> Reduced:
        """Those of some features (m,) when others (p,) are given."""

    @abstractmethod
    def regression(self, root: Array, given: Labels, others: Labels) -> Regression:
        """Of some features (m,) on others (p,)."""

    @abstractmethod
    def factor(self, covariances: Array, root: Array) -> Array:
        """L of each covariance, Σ = L Lᵀ, in the shape of the covariances."""

    # Checks

    @abstractmethod
    def is_root_of(self, root: Array, covariances: Array) -> bool:
        """Whether P Σ Pᵀ = I to rounding, P lower triangular with a positive diagonal."""

    @abstractmethod
    def is_symmetric(self, covariances: Array) -> bool:
        """Whether the covariances are symmetric, to rounding."""

    def agree(self, covariances: Array) -> bool:
        """Whether covariances that components share are the same for all."""
        return True

    # Other forms of the covariances

    @abstractmethod
    def variances(self, covariances: Array, k: int, d: int) -> Array:
        """Of each feature in each component, (k,d)."""

    @abstractmethod
    def expand(self, covariances: Array, k: int, d: int) -> Array:
        """As matrices (k,d,d)."""

    @abstractmethod
    def compact(self, full: Array) -> Array:
        """The covariances of the family that are nearest to matrices (…,d,d)."""

    @abstractmethod
    def spread(self, away: Array) -> Array:
        """The covariances of the family that are nearest to away awayᵀ, of each away (m,d)."""

    def take(self, covariances: Array, components: Components) -> Array:
        """The covariances of those components."""
        return covariances[components]

    @abstractmethod
    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        """The covariances (k,m,m) of what lies along directions (m,d)."""

    @abstractmethod
    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        """Rows L_c z of noise (n,d), c the label of each."""
