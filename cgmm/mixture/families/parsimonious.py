"""The families by mclust's names, in which components share some of their volume, shape and axes, or all.

Three letters say of volume, shape and axes, in this order, whether they are equal (E) for all components or vary (V);
an I, that the shape is a sphere, or that the axes are those of the features (Celeux and Govaert, Gaussian parsimonious
clustering models, Pattern Recognition 28, 1995). cgmm.mixture.families.factors has the notation.

reg_covar is added to each component's scatter, and so is the floor held, before the factors are estimated: what comes
out is of the family, and of highest likelihood for those scatters.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from cgmm.config import threads
from cgmm.mixture import matrices
from cgmm.mixture.families import axes, factors
from cgmm.mixture.families.correlated import Full
from cgmm.mixture.families.family import Central, Estimate, Family, Obeyed, Whitening
from cgmm.mixture.families.independent import Diag, Spherical
from cgmm.mixture.families.shared import Shared

if TYPE_CHECKING:
    from cgmm.mixture.values import Values
    from cgmm.types import Array, CovarianceType

# Covariances are of a family if the family's nearest differ by less than this from them, relative to the deviations of
# the two features: the axes of an eigendecomposition are known to the root of the rounding where variances are close.
WITHIN = 1e-6


class EII(Shared, Spherical):
    """One variance for all components and features: σ² = Σ_c tr W_c / (n d)."""

    name: CovarianceType = "EII"


class E(EII):
    """EII of rows of one feature."""

    name: CovarianceType = "E"
    one_feature = True


class V(Spherical):
    """VII, which is "spherical", of rows of one feature."""

    name: CovarianceType = "V"
    one_feature = True


class EEI(Shared, Diag):
    """One diagonal matrix for all components."""

    name: CovarianceType = "EEI"


class EEE(Shared, Full):
    """One matrix for all components, as "tied" has it, kept for each."""

    name: CovarianceType = "EEE"

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("isotropic", np.ones(k), self.log_root(root), root[0])


class Parsimonious(Family):
    """Comes before the family, full or diag, whose moments it has. `joined` makes of scatters the covariances."""

    def n_parameters(self, k: int, d: int) -> int:
        volumes, shapes, turns = ({"E": 1, "V": k, "I": 0}[letter] for letter in self.name)
        return volumes + shapes * (d - 1) + turns * d * (d - 1) // 2

    @abstractmethod
    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        """The covariances of highest likelihood.

        own : each component's scatter over its weight, with reg_covar added and none singular, and P of it
        shares : (k,) of the weights;  last : the parameters before
        """

    def estimate(self, central: Central, rules: Obeyed, last: Values | None) -> Estimate:
        scatters = central.covariances
        if len(central.empty):
            scatters = self.keep(scatters, central.empty, last and last.covariances)
        masses, n_threads = np.ravel(central.counts), threads(rules.n_threads)
        return self.hold(scatters, central.least, rules.reg_covar, n_threads, masses, last)

    def hold(
        self,
        covariances: Array,
        least: Array,
        reg_covar: float,
        n_threads: int = 1,
        masses: Array | None = None,
        last: Values | None = None,
    ) -> Estimate:
        """The family's covariances of highest likelihood for scatters that obey.

        masses : (k,) of the components, or None: equal;  last : the parameters before, or None
        """
        masses = np.ones(len(covariances)) if masses is None else masses
        own = super().hold(covariances, least, reg_covar, n_threads)
        joined = self.joined(own, masses / masses.sum(), last)
        found = super().hold(joined, np.full(least.shape[-1], matrices.TINY), 0.0, n_threads)
        return found._replace(held=self._held(own, found))

    def _held(self, own: Estimate, found: Estimate) -> list[int]:
        """The components whose scatter was held and whose covariance is as narrow: what is shared may have widened it.

        A scatter is no more than d covariances that are its own, or share its shape: tr S_c Σ_c⁻¹ is d.
        """
        held = {*found.held, *self.blurred(found)}
        if own.held:
            narrow = np.minimum(self.condition_numbers(own.covariances, own.root), 1 / matrices.EPS)
            left = self.condition_numbers(found.covariances, found.root)
            held.update(c for c in own.held if left[c] * found.covariances.shape[-1] >= narrow[c])
        return sorted(held)

    def blurred(self, found: Estimate) -> list[int]:
        """The components of whose smallest variances rounding leaves nothing."""
        return []

    def agree(self, covariances: Array) -> bool:
        """Covariances of the family are those of highest likelihood for scatters that equal them."""
        if (covariances == covariances[:1]).all():
            return True
        d = covariances.shape[-1]
        found = self.hold(covariances.copy(), np.full(d, matrices.TINY), 0.0).covariances
        full = self.expand(np.abs(found - covariances), len(found), d)
        deviations = np.sqrt(self.variances(covariances, len(found), d))
        return bool((full <= WITHIN * deviations[:, :, None] * deviations[:, None, :]).all())

    def log_volumes(self, root: Array) -> Array:
        """log |Σ_c|^(1/d), (k,)."""
        return -2.0 * self.log_root(root).reshape(len(root), -1).sum(axis=1) / root.shape[-1]

    def volumes_before(self, own: Estimate, last: Values | None) -> Array:
        """The volumes (k,) of the last covariances, or those of the scatters."""
        logs = self.log_volumes(own.root if last is None else last.root)
        return np.exp(logs - logs.mean())


class VEI(Parsimonious, Diag):
    """A volume for each component, one shape, the features' axes."""

    name: CovarianceType = "VEI"
    shared = "the shape"

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        d = own.covariances.shape[-1]
        return factors.own_volumes(own.covariances, shares, self.volumes_before(own, last), d, factors.of_diagonal)


class EVI(Parsimonious, Diag):
    """One volume, a shape for each component, the features' axes."""

    name: CovarianceType = "EVI"
    shared = "the volume"

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        return own.covariances * factors.one_volume(self.log_volumes(own.root), shares)[:, None]


class VEE(Parsimonious, Full):
    """A volume for each component, one shape and axes."""

    name: CovarianceType = "VEE"
    shared = "the shape and axes"

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        d = own.covariances.shape[-1]
        return factors.own_volumes(own.covariances, shares, self.volumes_before(own, last), d, self._inverse)

    def _inverse(self, pooled: Array) -> tuple[Array, float]:
        root = Full.hold(self, pooled[np.newaxis].copy(), np.full(len(pooled), matrices.TINY), 0.0).root
        return self.precisions(root)[0], -2.0 * float(self.log_root(root)[0])


class EVV(Parsimonious, Full):
    """One volume, a shape and axes for each component."""

    name: CovarianceType = "EVV"
    shared = "the volume"

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        return own.covariances * factors.one_volume(self.log_volumes(own.root), shares)[:, None, None]


class Turned(Parsimonious, Full):
    """Variances along principal axes: each is known to the rounding of a component's largest, see `known`."""

    def blurred(self, found: Estimate) -> list[int]:
        largest = np.einsum("cjj->cj", found.covariances).max(axis=1)
        precisions = np.einsum("cij,cij->cj", found.root, found.root).max(axis=1)
        least = 0.25 / (matrices.EPS * found.root.shape[-1])  # both are d-th parts of a trace, at least
        return np.flatnonzero(largest * precisions >= least).tolist()


class EEV(Turned):
    """One volume and shape, axes for each component."""

    name: CovarianceType = "EEV"
    shared = "the volume and shape"

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        variances, turns = principal(own.covariances)
        mean = np.einsum("c,cj->j", shares, variances)
        return along(np.broadcast_to(mean, variances.shape), turns)


class VEV(Turned):
    """A volume for each component, one shape, axes for each component."""

    name: CovarianceType = "VEV"
    shared = "the shape"

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        variances, turns = principal(own.covariances)
        start = self.volumes_before(own, last)
        return along(factors.own_volumes(variances, shares, start, variances.shape[1], factors.of_diagonal), turns)


class CommonAxes(Turned):
    """The axes that all components share are found by a search, see cgmm.mixture.families.axes."""

    def joined(self, own: Estimate, shares: Array, last: Values | None) -> Array:
        unit = float(np.abs(own.covariances).max())
        scatters = own.covariances / unit

        def objective(variances: Array) -> tuple[float, Array]:
            best = self.of_variances(known(variances), shares)
            return float(shares @ np.log(best).sum(axis=1)), shares[:, None] / best

        start = common_to(scatters if last is None else last.covariances / np.abs(last.covariances).max())
        turns = axes.common(scatters, start, objective)
        variances = np.einsum("ij,cij->cj", turns, matrices.product(scatters, turns))
        return along(self.of_variances(known(variances), shares) * unit, turns)

    @abstractmethod
    def of_variances(self, variances: Array, shares: Array) -> Array:
        """The variances of the covariances (k,d) along axes, of those of the scatters."""


class EVE(CommonAxes):
    """One volume, a shape for each component, one set of axes."""

    name: CovarianceType = "EVE"
    shared = "the volume and axes"

    def of_variances(self, variances: Array, shares: Array) -> Array:
        return variances * factors.one_volume(np.log(variances).mean(axis=1), shares)[:, None]


class VVE(CommonAxes):
    """A volume and shape for each component, one set of axes."""

    name: CovarianceType = "VVE"
    shared = "the axes"

    def of_variances(self, variances: Array, shares: Array) -> Array:
        return variances


def principal(covariances: Array) -> tuple[Array, Array]:
    """Variances (k,d), ascending, and principal axes, the columns (k,d,d)."""
    found = [matrices.eigh(covariance) for covariance in covariances]
    return known(np.array([values for values, _ in found])), np.array([turns for _, turns in found])


def known(variances: Array) -> Array:
    """Variances (k,d) along axes, but none below what the rounding of a component's largest leaves of it."""
    return np.maximum(variances, np.maximum(matrices.EPS * variances.max(axis=1, keepdims=True), matrices.TINY))


def along(variances: Array, turns: Array) -> Array:
    """Covariances (k,d,d) of those variances (k,d) along axes (d,d) or (k,d,d)."""
    covariances = matrices.product(turns * variances[:, None, :], np.swapaxes(turns, -1, -2))
    return 0.5 * (covariances + np.swapaxes(covariances, 1, 2))


def common_to(covariances: Array) -> Array:
    """Axes (d,d) common to covariances (k,d,d), if they have some.

    Those of a sum in which no two of them weigh the same, so that a plane in which the sum does not vary is, but for
    accidents, one in which none of them does.
    """
    k = len(covariances)
    sizes = np.einsum("cjj->c", covariances)
    return matrices.eigh(np.einsum("c,cij->ij", (1.0 + np.arange(k) / k) / (k * sizes), covariances))[1]
