"""The covariance families: everything that depends on which family it is.

Each family owns the second moment that the kernels accumulate for it, the covariances that follow from the
statistics, the whitening factor that densities need, and its number of parameters. L is the Cholesky factor of
a covariance Σ = L Lᵀ, and the whitening factor is P = L⁻¹, so that (x−μ)ᵀ Σ⁻¹ (x−μ) = |P (x−μ)|².
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_triangular

from cgmm import _kernels

MOST_STEPS = 30  # of a repair, each ten times the last: beyond them the covariance is replaced


class Whitening(NamedTuple):
    """The density of a family in the form that the kernels take.

    form : "triangular", "diagonal" or "isotropic"
    factor : (k,d,d) lower triangular, (k,d) or (k,), as the form says
    log_det : (k,) log-determinant of each component's P
    whitener : (d,d) applied to the rows first, or None
    """

    form: str
    factor: np.ndarray
    log_det: np.ndarray
    whitener: np.ndarray | None = None


class NotPositiveDefinite(ValueError):
    """The covariances of `components` are not positive definite."""

    def __init__(self, components):
        self.components = list(components)
        super().__init__(f"the covariance of component {self.components[0]} is not positive definite")


class Family:
    """What all families share, unless they say otherwise.

    `maximise` gives covariances about the means, which lie at offsets (k,d) from the statistics' shift; about
    points at offsets from the means they are larger by the `spread` of those offsets: the second moment about s
    is that about μ plus that of μ − s.
    """

    def keep(self, covariances, components, previous):
        """Put the previous covariances, or the mean of the others, in the place of those of `components`."""
        others = np.setdiff1d(np.arange(len(covariances)), components)
        covariances[components] = covariances[others].mean(axis=0) if previous is None else previous[components]
        return covariances


class Matrices(Family):
    """What the families of covariance matrices share; their covariances are (m,d,d) once `stacked`."""

    def root(self, covariances, n_threads=1):
        """P of each covariance; NotPositiveDefinite names those that have none."""
        roots, bad = _kernels.roots(np.ascontiguousarray(self.stacked(covariances)), n_threads)
        if np.count_nonzero(bad):
            raise NotPositiveDefinite(np.flatnonzero(bad))
        return roots.reshape(covariances.shape)

    def repair(self, covariances, floor):
        """Add to the diagonal of each indefinite covariance the least power of ten of `floor` (d,) that mends it.

        Returns covariances and the repaired components.
        """
        covariances = np.array(covariances)
        stack = self.stacked(covariances)
        repaired = []
        for c, S in enumerate(stack):
            if _has_root(S):
                continue
            repaired.append(c)
            S[:] = np.where(np.isfinite(S), S, 0.0)
            ridge = floor
            for _ in range(MOST_STEPS):
                if _has_root(S):
                    break
                S.flat[:: len(S) + 1] += ridge
                ridge = 10 * ridge
            else:
                S[:] = np.diag(floor)
        return covariances, repaired

    def precisions(self, root):
        return np.swapaxes(root, -1, -2) @ root

    def precisions_cholesky(self, root):
        return np.ascontiguousarray(np.swapaxes(root, -1, -2))

    def root_from_precisions_cholesky(self, cholesky):
        return self.precisions_cholesky(cholesky)

    def covariances_from_precisions(self, precisions):
        return self.precisions(self.root(precisions))

    def is_root_of(self, root, covariances):
        """Whether P Σ Pᵀ = I to rounding, P lower triangular with a positive diagonal."""
        product = root @ covariances @ np.swapaxes(root, -1, -2)
        size = np.abs(root).max(axis=(-2, -1)) ** 2 * np.abs(covariances).max(axis=(-2, -1))
        rounding = 1e-9 + 100 * root.shape[-1] ** 2 * np.finfo(float).eps * size
        return (
            np.array_equal(root, np.tril(root))
            and (np.diagonal(root, axis1=-2, axis2=-1) > 0).all()
            and (np.abs(product - np.eye(root.shape[-1])).max(axis=(-2, -1)) <= rounding).all()
        )

    def is_symmetric(self, covariances):
        scale = np.abs(covariances).max()
        return np.allclose(covariances, np.swapaxes(covariances, -1, -2), rtol=1e-8, atol=1e-8 * scale)


class Full(Matrices):
    """Each component its own matrix (mclust's VVV)."""

    name = "full"
    moment = "full"

    def shape(self, k, d):
        return (k, d, d)

    def n_parameters(self, k, d):
        return k * d * (d + 1) // 2

    def stacked(self, covariances):
        return covariances

    def maximise(self, statistics, offsets, reg_covar):
        """Σ_c = Σ_i r_ic (x_i−μ_c)(x_i−μ_c)ᵀ / n_c (Bishop 2006, 9.25)."""
        covariances = statistics.second / statistics.divisor[:, None, None] - self.spread(offsets, statistics.n_k)
        return _add_diagonal(covariances, reg_covar)

    def spread(self, offsets, n_k):
        return offsets[:, :, None] * offsets[:, None, :]

    def whitening(self, root, k, d):
        return Whitening("triangular", root, _log_diagonal(root))

    def variances(self, covariances, k, d):
        return np.diagonal(covariances, axis1=1, axis2=2)

    def project(self, covariances, directions, k):
        half = np.einsum("cij,mj->cmi", covariances, directions)
        return np.einsum("cmi,li->cml", half, directions)

    def expand(self, covariances, k, d):
        return np.array(covariances)

    def colour(self, root, labels, noise):
        """Rows L_c z of noise (n,d), c the label of each."""
        rows = np.empty_like(noise)
        for c in np.unique(labels):
            chosen = labels == c
            rows[chosen] = solve_triangular(root[c], noise[chosen].T, lower=True).T
        return rows


class Tied(Matrices):
    """One matrix for all components (EEE)."""

    name = "tied"
    moment = "pooled"

    def shape(self, k, d):
        return (d, d)

    def n_parameters(self, k, d):
        return d * (d + 1) // 2

    def stacked(self, covariances):
        return covariances[np.newaxis]

    def maximise(self, statistics, offsets, reg_covar):
        """Σ = Σ_c Σ_i r_ic (x_i−μ_c)(x_i−μ_c)ᵀ / Σ_c n_c."""
        covariance = statistics.second / statistics.n_k.sum() - self.spread(offsets, statistics.n_k)
        return _add_diagonal(covariance[np.newaxis], reg_covar)[0]

    def spread(self, offsets, n_k):
        return np.einsum("c,ci,cj->ij", n_k, offsets, offsets) / n_k.sum()

    def keep(self, covariances, components, previous):
        return covariances

    def whitening(self, root, k, d):
        return Whitening("isotropic", np.ones(k), np.repeat(_log_diagonal(root[np.newaxis]), k), root)

    def variances(self, covariances, k, d):
        return np.repeat(np.diag(covariances)[np.newaxis], k, axis=0)

    def project(self, covariances, directions, k):
        return np.repeat(Full.project(self, covariances[np.newaxis], directions, 1), k, axis=0)

    def expand(self, covariances, k, d):
        return np.repeat(covariances[np.newaxis], k, axis=0)

    def colour(self, root, labels, noise):
        return solve_triangular(root, noise.T, lower=True).T


class Variances(Family):
    """What the families without correlations share; P is 1/σ."""

    def root(self, covariances, n_threads=1):
        bad = ~(np.isfinite(covariances) & (covariances > 0)).reshape(len(covariances), -1).all(axis=1)
        if bad.any():
            raise NotPositiveDefinite(np.flatnonzero(bad))
        return 1.0 / np.sqrt(covariances)

    def repair(self, covariances, floor):
        """Lift the variances that are not positive to `floor` (d,), or to its mean; see Matrices.repair."""
        usable = np.isfinite(covariances) & (covariances > 0)
        repaired = np.flatnonzero(~usable.reshape(len(covariances), -1).all(axis=1)).tolist()
        return np.where(usable, covariances, floor if covariances.ndim == 2 else floor.mean()), repaired

    def precisions(self, root):
        return root**2

    def precisions_cholesky(self, root):
        return root.copy()

    def root_from_precisions_cholesky(self, cholesky):
        return cholesky.copy()

    def covariances_from_precisions(self, precisions):
        return 1.0 / precisions

    def is_root_of(self, root, covariances):
        return (root > 0).all() and np.allclose(root**2 * covariances, 1.0, rtol=1e-12, atol=0)

    def is_symmetric(self, covariances):
        return True

    def colour(self, root, labels, noise):
        sigma = 1.0 / root[labels]
        return noise * sigma.reshape(len(noise), -1)


class Diag(Variances):
    """A variance for each component and feature (VVI)."""

    name = "diag"
    moment = "diag"

    def shape(self, k, d):
        return (k, d)

    def n_parameters(self, k, d):
        return k * d

    def maximise(self, statistics, offsets, reg_covar):
        """σ²_cj = Σ_i r_ic (x_ij−μ_cj)² / n_c."""
        variances = statistics.second / statistics.divisor[:, None] - self.spread(offsets, statistics.n_k)
        return np.maximum(variances, 0.0) + reg_covar

    def spread(self, offsets, n_k):
        return offsets**2

    def whitening(self, root, k, d):
        return Whitening("diagonal", root, np.log(root).sum(axis=1))

    def variances(self, covariances, k, d):
        return covariances

    def project(self, covariances, directions, k):
        return np.einsum("cmj,lj->cml", covariances[:, None] * directions, directions)

    def expand(self, covariances, k, d):
        return covariances[:, :, None] * np.eye(d)


class Spherical(Variances):
    """One variance for each component (VII)."""

    name = "spherical"
    moment = "radial"

    def shape(self, k, d):
        return (k,)

    def n_parameters(self, k, d):
        return k

    def maximise(self, statistics, offsets, reg_covar):
        """σ²_c = Σ_i r_ic |x_i−μ_c|² / (d n_c)."""
        d = offsets.shape[1]
        variances = statistics.second / (d * statistics.divisor) - self.spread(offsets, statistics.n_k)
        return np.maximum(variances, 0.0) + reg_covar

    def spread(self, offsets, n_k):
        return (offsets**2).mean(axis=1)

    def whitening(self, root, k, d):
        return Whitening("isotropic", root, d * np.log(root))

    def variances(self, covariances, k, d):
        return np.repeat(covariances[:, None], d, axis=1)

    def project(self, covariances, directions, k):
        return covariances[:, None, None] * np.einsum("mj,lj->ml", directions, directions)

    def expand(self, covariances, k, d):
        return covariances[:, None, None] * np.eye(d)


FAMILIES = {family.name: family for family in (Full(), Tied(), Diag(), Spherical())}


def least_variances(weights, means, variances):
    """The variances (d,) that a repair gives: 1e-12 of the data's, and no less than means are exact to."""
    spread = np.where(np.isfinite(variances), np.maximum(variances, 0.0), 0.0) + (means - weights @ means) ** 2
    exact = 4 * np.finfo(float).eps * np.abs(means[weights > 0]).max(axis=0)
    floor = np.maximum(1e-12 * (weights @ spread), exact**2)
    return np.where(floor > 0, floor, 1e-36)


def _has_root(S):
    return not _kernels.roots(S[np.newaxis])[1][0]


def _log_diagonal(root):
    return np.log(root.diagonal(axis1=-2, axis2=-1)).sum(axis=-1)


def _add_diagonal(stack, value):
    d = stack.shape[-1]
    stack.reshape(len(stack), -1)[:, :: d + 1] += value
    return stack
