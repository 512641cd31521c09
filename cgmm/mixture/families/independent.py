"""The families of variances, in which the features of a component are independent: diagonal and spherical."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture.families.family import (
    ROUNDING,
    Estimate,
    Family,
    NotPositiveDefinite,
    Reduced,
    Regression,
    Whitening,
)

if TYPE_CHECKING:
    from cgmm.types import Array, CovarianceType, Labels, Moment


class Variances(Family):
    """What the families without correlations share; P is 1/σ."""

    definite = "positive"
    correlated = False

    def root(self, covariances: Array, n_threads: int = 1) -> Array:
        bad = ~(np.isfinite(covariances) & (covariances > 0)).reshape(len(covariances), -1).all(axis=1)
        if bad.any():
            raise NotPositiveDefinite(np.flatnonzero(bad))
        return 1.0 / np.sqrt(covariances)

    def sharp_root(self, covariances: Array) -> Array:
        return self.root(covariances)

    @abstractmethod
    def least(self, least: Array) -> Array:
        """The floor (d,) or (k,d) as it applies to the family's variances."""

    def hold(self, covariances: Array, least: Array, reg_covar: float, n_threads: int = 1) -> Estimate:
        least = self.least(least)
        fine = covariances >= least
        held: list[int] = []
        if not fine.all():
            held = np.flatnonzero(~fine.reshape(len(fine), -1).all(axis=1)).tolist()
            covariances = np.where(fine, covariances, least)
        covariances = covariances + reg_covar
        return Estimate(covariances, 1.0 / np.sqrt(covariances), held)

    def without(self, covariances: Array, reg_covar: float) -> Array:
        own = covariances - reg_covar
        return np.where(own > ROUNDING * reg_covar, own, 0.0)

    def log_root(self, root: Array) -> Array:
        return np.log(root)

    def default_scale(self, covariance: Array) -> Array:
        return covariance.diagonal().mean()

    def condition_numbers(self, covariances: Array, root: Array) -> Array:
        rows = covariances.reshape(len(covariances), -1)
        with np.errstate(over="ignore"):
            return rows.max(axis=1) / rows.min(axis=1)

    def factor(self, covariances: Array, root: Array) -> Array:
        return 1.0 / root

    def conditional(self, covariances: Array, root: Array, given: Labels, others: Labels) -> Reduced:
        return self.marginal(covariances, root, others)

    def regression(self, root: Array, given: Labels, others: Labels) -> Regression:
        """What is given tells nothing of a component's other features."""
        deviations = 1.0 / self.root_diagonal(root, len(root), max(given.max(initial=0), others.max()) + 1)[:, others]
        return Regression(np.zeros((1, 0, len(others))), deviations[:, :, None] * np.eye(len(others)))

    def precisions(self, root: Array) -> Array:
        return root**2

    def precisions_cholesky(self, root: Array) -> Array:
        return root.copy()

    def root_from_precisions_cholesky(self, cholesky: Array) -> Array:
        if not (cholesky > 0).all():
            raise ValueError("precisions_cholesky must be positive")
        return cholesky.copy()

    def covariances_from_root(self, root: Array) -> Array:
        return root**-2.0

    def covariances_from_precisions(self, precisions: Array) -> Array:
        return 1.0 / precisions

    def is_root_of(self, root: Array, covariances: Array) -> bool:
        return bool((root > 0).all()) and np.allclose(root**2 * covariances, 1.0, rtol=1e-12, atol=0)

    def is_symmetric(self, covariances: Array) -> bool:
        return True

    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        sigma = 1.0 / root[labels]
        return noise * (sigma if sigma.ndim == 2 else sigma[:, np.newaxis])


class Diag(Variances):
    """A variance for each component and feature (VVI)."""

    name: CovarianceType = "diag"
    freed: CovarianceType = "diag"
    moment: Moment = "diag"
    compiled = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k, d)

    def n_parameters(self, k: int, d: int) -> int:
        return k * d

    def counts(self, n_k: Array, d: int) -> Array:
        """σ²_cj = Σ_i r_ic (x_ij−μ_cj)² / n_c."""
        return n_k[:, None]

    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        """Of an inverse gamma density (σ²)^(−ν/2−1), and of its mean's normal one, (σ²)^(−1/2)."""
        return degrees + 2 + mean

    def least(self, least: Array) -> Array:
        return least

    def scale_shape(self, d: int) -> tuple[int, ...]:
        return (d,)

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("diagonal", root, _kernels.log_products(root))

    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        return root

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return covariances

    def marginal(self, covariances: Array, root: Array, features: Labels) -> Reduced:
        chosen = (np.ascontiguousarray(values[:, features]) for values in (covariances, root))
        return Reduced(self.freed, *chosen)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return np.einsum("cmj,lj->cml", covariances[:, None] * directions, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, :, None] * np.eye(d)

    def compact(self, full: Array) -> Array:
        return full.diagonal(axis1=-2, axis2=-1)

    def spread(self, away: Array) -> Array:
        return away**2


class Spherical(Variances):
    """One variance for each component (VII)."""

    name: CovarianceType = "spherical"
    freed: CovarianceType = "spherical"
    moment: Moment = "radial"
    compiled = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k,)

    def n_parameters(self, k: int, d: int) -> int:
        return k

    def counts(self, n_k: Array, d: int) -> Array:
        """σ²_c = Σ_i r_ic |x_i−μ_c|² / (d n_c)."""
        return d * n_k

    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        return degrees + 2 + d * mean

    def least(self, least: Array) -> Array:
        return least.cumsum(axis=-1)[..., -1] / least.shape[-1]  # in order, as the compiled iterations add

    def scale_shape(self, d: int) -> tuple[int, ...]:
        return ()

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("isotropic", root, d * _kernels.log_products(root[:, None]))

    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        return self.variances(root, k, d)

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, None].repeat(d, axis=1)

    def marginal(self, covariances: Array, root: Array, features: Labels) -> Reduced:
        return Reduced(self.freed, covariances.copy(), root.copy())

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return covariances[:, None, None] * np.einsum("mj,lj->ml", directions, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, None, None] * np.eye(d)

    def compact(self, full: Array) -> Array:
        return full.diagonal(axis1=-2, axis2=-1).mean(axis=-1)

    def spread(self, away: Array) -> Array:
        return (away**2).mean(axis=1)
