"""The families by mclust's names, in which components share some of their volume, shape and axes, or all.

Three letters say of volume, shape and axes, in this order, whether they are equal (E) for all components or vary (V);
an I, that the shape is a sphere, or that the axes are those of the features (Celeux and Govaert, Gaussian parsimonious
clustering models, Pattern Recognition 28, 1995). src/_joined.pxi has the notation.

reg_covar is added to each component's scatter, and so is the floor held, before the factors are estimated: what comes
out is of the family, and of highest likelihood for those scatters.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture import matrices
from cgmm.mixture.families.correlated import Full
from cgmm.mixture.families.family import Central, Estimate, Family, Obeyed, Unseen, Whitening
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
    compiled = True

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """mclust adds the counts, but not the scale; and those of the means even if these have no prior."""
        return Unseen(np.zeros_like(scale), self.prior_counts(degrees, k, d, True) / k)


class E(EII):
    """EII of rows of one feature."""

    name: CovarianceType = "E"
    compiled = True
    one_feature = True

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        return self.unseen(scale, degrees, k, d, mean)


class V(Spherical):
    """VII, which is "spherical", of rows of one feature."""

    name: CovarianceType = "V"
    compiled = True
    one_feature = True


class EEI(Shared, Diag):
    """One diagonal matrix for all components."""

    name: CovarianceType = "EEI"
    compiled = True

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """mclust adds the counts of one component's mean."""
        return Unseen(scale / k, (degrees + 1 + mean) / k)


class EEE(Shared, Full):
    """One matrix for all components, as "tied" has it, kept for each."""

    name: CovarianceType = "EEE"
    compiled = True

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("isotropic", np.ones(k), self.log_root(root), root[0])


class Parsimonious(Family):
    """Comes before the family, full or diag, whose moments it has.

    What makes of each component's own scatter covariances that share a part is compiled, src/_joined.pxi, where the
    formulas are.
    """

    def n_parameters(self, k: int, d: int) -> int:
        volumes, shapes, turns = ({"E": 1, "V": k, "I": 0}[letter] for letter in self.name)
        return volumes + shapes * (d - 1) + turns * d * (d - 1) // 2

    def estimate(self, central: Central, rules: Obeyed, last: Values | None) -> Estimate:
        scatters = central.covariances
        if len(central.empty):
            before = last and self.without(last.covariances, rules.reg_covar)
            scatters = self.keep(scatters, central.empty, before)
        masses, n_threads = np.ravel(central.counts), threads(rules.n_threads)
        found = self.hold(scatters, central.least, rules.reg_covar, n_threads, masses, last)
        return found._replace(held=[c for c in found.held if c not in central.empty])

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
        shares = masses / _kernels.total(masses)
        joined = _kernels.joined(
            self.name,
            own.covariances,
            own.root,
            shares,
            None if last is None else last.covariances,
            None if last is None else last.root,
            n_threads,
        )
        found = super().hold(joined, np.full(least.shape[-1], matrices.TINY), 0.0, n_threads)
        return found._replace(held=self._held(own, found))

    def _held(self, own: Estimate, found: Estimate) -> list[int]:
        """The components whose scatter was held and whose covariance is as narrow: what is shared may have widened it.

        A scatter is no more than d covariances that are its own, or share its shape: tr S_c Σ_c⁻¹ is d.
        """
        held = {*found.held, *self.blurred(found)}
        if own.held:
            some = own.held
            narrow = np.minimum(self._conditions(own.covariances[some], own.root[some]), 1 / matrices.EPS)
            left = self._conditions(found.covariances[some], found.root[some])
            still = left >= narrow / found.covariances.shape[-1]  # as the product may overflow
            held.update(c for c, is_narrow in zip(some, still, strict=True) if is_narrow)
        return sorted(held)

    def _conditions(self, covariances: Array, root: Array) -> Array:
        """The condition numbers as the compiled iterations have them."""
        if covariances.ndim == 3:
            return _kernels.condition_numbers(covariances, root)
        return self.condition_numbers(covariances, root)

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


class VEI(Parsimonious, Diag):
    """A volume for each component, one shape, the features' axes."""

    name: CovarianceType = "VEI"
    compiled = True
    shared = "the shape"

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """mclust adds the scale to each component, and the counts of one variance to each volume."""
        return Unseen(scale, (degrees + 2 + mean) / d)


class EVI(Parsimonious, Diag):
    """One volume, a shape for each component, the features' axes."""

    name: CovarianceType = "EVI"
    compiled = True
    shared = "the volume"

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """mclust adds the scale to each component, and the counts of one to the volume that all share."""
        return Unseen(scale, (degrees + 1 + mean) / k)


class VEE(Parsimonious, Full):
    """A volume for each component, one shape and axes."""

    name: CovarianceType = "VEE"
    compiled = True
    shared = "the shape and axes"
    mclust_prior = False


class EVV(Parsimonious, Full):
    """One volume, a shape and axes for each component."""

    name: CovarianceType = "EVV"
    compiled = True
    shared = "the volume"
    mclust_prior = False


class Turned(Parsimonious, Full):
    """Variances along principal axes: each is known to the rounding of a component's largest."""

    def blurred(self, found: Estimate) -> list[int]:
        largest = np.einsum("cjj->cj", found.covariances).max(axis=1)
        precisions = np.einsum("cij,cij->cj", found.root, found.root).max(axis=1)
        least = 0.25 / (matrices.EPS * found.root.shape[-1])  # both are d-th parts of a trace, at least
        return np.flatnonzero(largest * precisions >= least).tolist()


class EEV(Turned):
    """One volume and shape, axes for each component."""

    name: CovarianceType = "EEV"
    compiled = True
    shared = "the volume and shape"

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """mclust adds the scale to each component, and the counts of one to the volume that all share."""
        return Unseen(scale, self.prior_counts(degrees, k, d, mean) / k)


class VEV(Turned):
    """A volume for each component, one shape, axes for each component."""

    name: CovarianceType = "VEV"
    compiled = True
    shared = "the shape"

    def mclust_unseen(self, scale: Array, degrees: float, k: int, d: int, mean: bool) -> Unseen:
        """mclust adds the scale to each component, and no counts."""
        return Unseen(scale, 0.0)


class EVE(Turned):
    """One volume, a shape for each component, one set of axes."""

    name: CovarianceType = "EVE"
    compiled = True
    shared = "the volume and axes"
    mclust_prior = False


class VVE(Turned):
    """A volume and shape for each component, one set of axes."""

    name: CovarianceType = "VVE"
    compiled = True
    shared = "the axes"
    mclust_prior = False
