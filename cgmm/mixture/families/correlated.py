"""The families of covariance matrices, in which the features of a component are correlated: full and tied."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture import matrices
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
    from cgmm.types import Array, Components, CovarianceType, Labels, Moment


class Matrices(Family):
    """What the families of covariance matrices share; their covariances are (m,d,d) once `stacked`."""

    definite = "symmetric, positive-definite"
    correlated = True
    freed = "full"
    reduced: CovarianceType  # The family of the covariances of some features.

    @abstractmethod
    def stacked(self, covariances: Array) -> Array:
        """All of them, (m,d,d)."""

    def root(self, covariances: Array, n_threads: int = 1) -> Array:
        roots, bad = _kernels.roots(np.ascontiguousarray(self.stacked(covariances)), n_threads)
        if np.count_nonzero(bad):
            raise NotPositiveDefinite(np.flatnonzero(bad))
        return roots.reshape(covariances.shape)

    def sharp_root(self, covariances: Array) -> Array:
        return matrices.sharpen(self.stacked(self.root(covariances)), self.stacked(covariances)).reshape(
            covariances.shape
        )

    def hold(self, covariances: Array, least: Array, reg_covar: float, n_threads: int = 1) -> Estimate:
        """Covariances whose variance is nowhere below `least` (d,) or (k,d), with reg_covar added.

        Of all matrices S with S − diag(least) positive semidefinite, the one of the highest likelihood has the
        covariance's principal axes, in units of √least, and its variances along them, but no less than one.
        """
        stack = np.ascontiguousarray(self.stacked(covariances))
        least = np.atleast_2d(self.least(least))
        roots, suspects, added = _kernels.held_roots(
            stack, least, matrices.rounding_of(stack.shape[-1]), reg_covar, n_threads
        )
        held = np.flatnonzero(added).tolist() if np.count_nonzero(added) else []
        for c in np.flatnonzero(suspects) if np.count_nonzero(suspects) else ():
            stack[c], roots[c], lifted = matrices.lift(stack[c], least[c if len(least) > 1 else 0], reg_covar)
            if lifted:
                held.append(int(c))
        return Estimate(stack.reshape(covariances.shape), roots.reshape(covariances.shape), sorted(held))

    def without(self, covariances: Array, reg_covar: float) -> Array:
        own = covariances - reg_covar * np.eye(covariances.shape[-1])
        left = own.diagonal(axis1=-2, axis2=-1) > ROUNDING * reg_covar
        return own * (left[..., :, np.newaxis] & left[..., np.newaxis, :])

    def least(self, least: Array) -> Array:
        """The floor (d,) or (k,d) as it applies to the family's matrices."""
        return least

    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        return self.stacked(root).diagonal(axis1=1, axis2=2)

    def log_root(self, root: Array) -> Array:
        return matrices.log_diagonal(self.stacked(root))

    def default_scale(self, covariance: Array) -> Array:
        return covariance

    def scale_shape(self, d: int) -> tuple[int, ...]:
        return (d, d)

    def condition_numbers(self, covariances: Array, root: Array) -> Array:
        """The smallest eigenvalues are those of the precisions: of the covariances, they would be rounding."""
        largest, inverse = matrices.norms(self.stacked(covariances)), matrices.norms(self.stacked(root))
        with np.errstate(over="ignore"):
            return largest * inverse**2

    def factor(self, covariances: Array, root: Array) -> Array:
        """Σ Pᵀ = L Lᵀ Pᵀ = L."""
        return np.tril(matrices.product(covariances, np.swapaxes(root, -1, -2)))

    def precisions(self, root: Array) -> Array:
        return _kernels.grams(self.stacked(root)).reshape(root.shape)

    def precisions_cholesky(self, root: Array) -> Array:
        return np.ascontiguousarray(np.swapaxes(root, -1, -2))

    def root_from_precisions_cholesky(self, cholesky: Array) -> Array:
        if np.array_equal(cholesky, np.triu(cholesky)):
            root = self.precisions_cholesky(cholesky)
        elif np.array_equal(cholesky, np.tril(cholesky)):
            root = matrices.other_root(self.stacked(cholesky)).reshape(cholesky.shape)
        else:
            raise ValueError("precisions_cholesky must be triangular")
        if not (np.diagonal(cholesky, axis1=-2, axis2=-1) > 0).all():
            raise ValueError("precisions_cholesky must have a positive diagonal")
        return root

    def covariances_from_root(self, root: Array) -> Array:
        identity = np.eye(root.shape[-1])
        inverses = np.array([matrices.solve(P, identity) for P in self.stacked(root)])  # L is lower: its rows are Lᵀ
        return matrices.product(np.swapaxes(inverses, 1, 2), inverses).reshape(root.shape)

    def covariances_from_precisions(self, precisions: Array) -> Array:
        return self.precisions(self.root(precisions))

    def marginal(self, covariances: Array, root: Array, features: Labels) -> Reduced:
        others = matrices.all_but(root.shape[-1], features)
        columns = np.append(features, np.flatnonzero(others))
        roots = matrices.upright(self._conditioned(root, columns, len(features))[:, : len(features), : len(features)])
        chosen = np.ascontiguousarray(covariances[..., features[:, None], features])
        return Reduced(self.reduced, chosen, roots.reshape(chosen.shape))

    def conditional(self, covariances: Array, root: Array, given: Labels, others: Labels) -> Reduced:
        factors = matrices.upright(np.swapaxes(self.regression(root, given, others).factors, 1, 2))
        inverses = np.array([matrices.solve(np.swapaxes(K, 0, 1), np.eye(len(K))).T for K in factors])
        whole = matrices.product(np.swapaxes(factors, 1, 2), factors)
        shape = (*root.shape[:-2], len(others), len(others))
        return Reduced(self.reduced, whole.reshape(shape), inverses.reshape(shape))

    def regression(self, root: Array, given: Labels, others: Labels) -> Regression:
        p, end = len(given), len(given) + len(others)
        known = np.append(given, others)
        columns = np.append(known, np.flatnonzero(matrices.all_but(root.shape[-1], known)))
        conditioned = self._conditioned(root, columns, p)
        slopes = np.ascontiguousarray(np.swapaxes(conditioned[:, p:end, :p], 1, 2))
        return Regression(slopes, conditioned[:, p:end, p:end])

    def _conditioned(self, root: Array, columns: Labels, observed: int) -> Array:
        stack = np.ascontiguousarray(self.stacked(root))
        return _kernels.condition(stack, np.ascontiguousarray(columns, dtype=np.intp), observed)

    def is_root_of(self, root: Array, covariances: Array) -> bool:
        unit = np.sqrt(np.diagonal(covariances, axis1=-2, axis2=-1))[..., np.newaxis, :]  # of each feature
        scaled = root * unit
        product = scaled @ (covariances / unit / np.swapaxes(unit, -1, -2)) @ np.swapaxes(scaled, -1, -2)
        d = root.shape[-1]
        rounding = 1e-6 + 100 * d**2 * matrices.EPS * np.abs(scaled).max(axis=(-2, -1)) ** 2
        return bool(
            np.array_equal(root, np.tril(root))
            and (np.diagonal(root, axis1=-2, axis2=-1) > 0).all()
            and (np.abs(product - np.eye(d)).max(axis=(-2, -1)) <= rounding).all()
        )

    def compact(self, full: Array) -> Array:
        return full

    def spread(self, away: Array) -> Array:
        return away[:, :, None] * away[:, None, :]

    def is_symmetric(self, covariances: Array) -> bool:
        scale = np.abs(covariances).max()
        return np.allclose(covariances, np.swapaxes(covariances, -1, -2), rtol=1e-8, atol=1e-8 * scale)


class Full(Matrices):
    """Each component its own matrix (mclust's VVV)."""

    name: CovarianceType = "full"
    reduced: CovarianceType = "full"
    moment: Moment = "full"
    compiled = True
    spanned = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k, d, d)

    def n_parameters(self, k: int, d: int) -> int:
        return k * d * (d + 1) // 2

    def stacked(self, covariances: Array) -> Array:
        return covariances

    def counts(self, n_k: Array, d: int) -> Array:
        """Σ_c = Σ_i r_ic (x_i−μ_c)(x_i−μ_c)ᵀ / n_c (Bishop 2006, 9.25)."""
        return n_k[:, None, None]

    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        """Of an inverse Wishart density |Σ|^(−(ν+d+1)/2), and of its mean's normal one, |Σ|^(−1/2)."""
        return degrees + d + 1 + mean

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("triangular", root, self.log_root(root))

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return covariances.diagonal(axis1=1, axis2=2)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return matrices.project(covariances, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return np.array(covariances)

    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        rows = np.empty_like(noise)
        for c in np.unique(labels):
            chosen = labels == c
            rows[chosen] = matrices.solve(root[c], noise[chosen])
        return rows


class Tied(Matrices):
    """One matrix for all components (EEE)."""

    name: CovarianceType = "tied"
    reduced: CovarianceType = "tied"
    moment: Moment = "pooled"
    compiled = True
    spanned = True
    per_component = False
    shared = "the covariance"

    def least(self, least: Array) -> Array:
        return least if least.ndim == 1 else least.max(axis=0)

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (d, d)

    def n_parameters(self, k: int, d: int) -> int:
        return d * (d + 1) // 2

    def stacked(self, covariances: Array) -> Array:
        return covariances[np.newaxis]

    def counts(self, n_k: Array, d: int) -> Array:
        """Σ = Σ_c Σ_i r_ic (x_i−μ_c)(x_i−μ_c)ᵀ / Σ_c n_c."""
        return np.array(_kernels.total(n_k))

    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        return degrees + d + 1 + k * mean

    def keep(self, covariances: Array, components: Components, previous: Array | None) -> Array:
        return covariances

    def take(self, covariances: Array, components: Components) -> Array:
        return covariances

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("isotropic", np.ones(k), np.repeat(self.log_root(root), k), root)

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return covariances.diagonal()[np.newaxis].repeat(k, axis=0)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return np.repeat(matrices.project(covariances[np.newaxis], directions), k, axis=0)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return np.repeat(covariances[np.newaxis], k, axis=0)

    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        return matrices.solve(root, noise)
