"""The covariance families: everything that depends on which family it is.

Each family owns the second moment that the kernels accumulate for it, the covariances that follow from the
statistics, the whitening factor that densities need, and its number of parameters. L is the Cholesky factor of
a covariance Σ = L Lᵀ, and the whitening factor is P = L⁻¹, so that (x−μ)ᵀ Σ⁻¹ (x−μ) = |P (x−μ)|².
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

import numpy as np

from cgmm import _kernels, matrices

if TYPE_CHECKING:
    from cgmm.types import Array, Components, CovarianceType, Form, Labels, Moment


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


class NotPositiveDefinite(ValueError):
    """The covariances of `components` are not positive definite."""

    def __init__(self, components: Iterable[int]) -> None:
        self.components = list(components)
        super().__init__(f"the covariance of component {self.components[0]} is not positive definite")


class Family:
    """What all families share, unless they say otherwise.

    `scatter` is the second moment of masses (k,) at offsets (k,d), in the form in which the kernels accumulate it;
    the second moment about the means is that about other points, less the scatter of what lies between; and
    divided by the `counts` it is the covariances.
    """

    per_component = True  # a covariance for each
    compiled: ClassVar[bool] = False  # its M-step is among _kernels.FAMILIES; a class says so of itself alone

    def __init_subclass__(cls) -> None:
        cls.compiled = vars(cls).get("compiled", False)  # a subclass may have changed what was compiled

    def together(self, second: Array) -> Array:
        """The second moments of all components together, as those of one."""
        return second.sum(axis=0, keepdims=True)

    def side_by_side(self, seconds: Sequence[Array]) -> Array:
        """The second moments of all components, from those of each as one."""
        return np.concatenate(seconds)

    def keep(self, covariances: Array, components: Components, previous: Array | None) -> Array:
        """Put the previous covariances, or the mean of the others, in the place of those of `components`."""
        if previous is not None:
            covariances[components] = previous[components]
            return covariances
        covariances[components] = covariances[matrices.all_but(len(covariances), components)].mean(axis=0)
        return covariances

    def take(self, covariances: Array, components: Components) -> Array:
        """The covariances of those components."""
        return covariances[components]


class Matrices(Family):
    """What the families of covariance matrices share; their covariances are (m,d,d) once `stacked`."""

    definite = "symmetric, positive-definite"
    correlated = True  # features, within a component

    def stacked(self, covariances: Array) -> Array:
        raise NotImplementedError

    def root(self, covariances: Array, n_threads: int = 1) -> Array:
        """P of each covariance; NotPositiveDefinite names those that have none."""
        roots, bad = _kernels.roots(np.ascontiguousarray(self.stacked(covariances)), n_threads)
        if np.count_nonzero(bad):
            raise NotPositiveDefinite(np.flatnonzero(bad))
        return roots.reshape(covariances.shape)

    def sharp_root(self, covariances: Array) -> Array:
        """As `root`, exact to rounding: for covariances that are given, not estimated."""
        return matrices.sharpen(self.stacked(self.root(covariances)), self.stacked(covariances)).reshape(
            covariances.shape
        )

    def hold(
        self, covariances: Array, least: Array, reg_covar: float, n_threads: int = 1
    ) -> tuple[Array, Array, list[int]]:
        """Covariances whose variance is nowhere below `least` (d,) or (k,d), with reg_covar added; P of them; and
        which components were held.

        Of all matrices S with S − diag(least) positive semidefinite, the one of the highest likelihood has the
        covariance's principal axes, in units of √least, and its variances along them, but no less than one.
        """
        stack = np.ascontiguousarray(self.stacked(covariances))
        least = self.least(least)
        most = least if least.ndim == 1 else least.max(axis=0)
        roots, suspects = _kernels.held_roots(stack, most, matrices.rounding_of(stack.shape[-1]), reg_covar, n_threads)
        held: list[int] = []
        for c in np.flatnonzero(suspects) if np.count_nonzero(suspects) else ():
            stack[c], roots[c], lifted = matrices.lift(stack[c], least if least.ndim == 1 else least[c], reg_covar)
            if lifted:
                held.append(int(c))
        return stack.reshape(covariances.shape), roots.reshape(covariances.shape), held

    def least(self, least: Array) -> Array:
        return least

    def least_left(self, root: Array) -> float:
        """The least variance of a feature in a component, given all others."""
        return 1 / np.einsum("...ij,...ij->...j", root, root).max()

    def log_root(self, root: Array) -> Array:
        return matrices.log_diagonal(self.stacked(root))

    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        """The diagonal of P of each component (k,d), or of the one that all share (1,d)."""
        return self.stacked(root).diagonal(axis1=1, axis2=2)

    def default_scale(self, covariance: Array) -> Array:
        """Of a prior, from the covariance (d,d) of the rows."""
        return covariance

    def scale_shape(self, d: int) -> tuple[int, ...]:
        return (d, d)

    def condition_numbers(self, covariances: Array, root: Array) -> Array:
        """The smallest eigenvalues are those of the precisions: of the covariances, they would be rounding."""
        largest = np.linalg.norm(self.stacked(covariances), 2, axis=(1, 2))
        with np.errstate(over="ignore"):
            return largest * np.linalg.norm(self.stacked(root), 2, axis=(1, 2)) ** 2

    def precisions(self, root: Array) -> Array:
        return _kernels.grams(self.stacked(root)).reshape(root.shape)

    def precisions_cholesky(self, root: Array) -> Array:
        return np.ascontiguousarray(np.swapaxes(root, -1, -2))

    def root_from_precisions_cholesky(self, cholesky: Array) -> Array:
        return self.precisions_cholesky(cholesky)

    def covariances_from_precisions(self, precisions: Array) -> Array:
        return self.precisions(self.root(precisions))

    def is_root_of(self, root: Array, covariances: Array) -> bool:
        """Whether P Σ Pᵀ = I to rounding, P lower triangular with a positive diagonal."""
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
        """The covariance of the family that is nearest to a matrix (d,d)."""
        return full

    def is_symmetric(self, covariances: Array) -> bool:
        scale = np.abs(covariances).max()
        return np.allclose(covariances, np.swapaxes(covariances, -1, -2), rtol=1e-8, atol=1e-8 * scale)


class Full(Matrices):
    """Each component its own matrix (mclust's VVV)."""

    name: CovarianceType = "full"
    moment: Moment = "full"
    compiled = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k, d, d)

    def n_parameters(self, k: int, d: int) -> int:
        return k * d * (d + 1) // 2

    def stacked(self, covariances: Array) -> Array:
        return covariances

    def scatter(self, masses: Array, offsets: Array) -> Array:
        return (masses[:, None] * offsets)[:, :, None] * offsets[:, None, :]

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
        """Rows L_c z of noise (n,d), c the label of each."""
        rows = np.empty_like(noise)
        for c in np.unique(labels):
            chosen = labels == c
            rows[chosen] = matrices.solve(root[c], noise[chosen])
        return rows


class Tied(Matrices):
    """One matrix for all components (EEE)."""

    name: CovarianceType = "tied"
    moment: Moment = "pooled"
    compiled = True
    per_component = False

    def together(self, second: Array) -> Array:
        return second

    def side_by_side(self, seconds: Sequence[Array]) -> Array:
        return np.sum(seconds, axis=0)

    def least(self, least: Array) -> Array:
        return least if least.ndim == 1 else least.max(axis=0)

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (d, d)

    def n_parameters(self, k: int, d: int) -> int:
        return d * (d + 1) // 2

    def stacked(self, covariances: Array) -> Array:
        return covariances[np.newaxis]

    def scatter(self, masses: Array, offsets: Array) -> Array:
        return np.einsum("c,ci,cj->ij", masses, offsets, offsets)

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


class Variances(Family):
    """What the families without correlations share; P is 1/σ."""

    definite = "positive"
    correlated = False

    def root(self, covariances: Array, n_threads: int = 1) -> Array:
        bad = ~(np.isfinite(covariances) & (covariances > 0)).reshape(len(covariances), -1).all(axis=1)
        if bad.any():
            raise NotPositiveDefinite(np.flatnonzero(bad))
        return 1.0 / np.sqrt(covariances)

    sharp_root = root

    def least(self, least: Array) -> Array:
        raise NotImplementedError

    def hold(
        self, covariances: Array, least: Array, reg_covar: float, n_threads: int = 1
    ) -> tuple[Array, Array, list[int]]:
        """See Matrices.hold."""
        least = self.least(least)
        fine = covariances >= least
        held: list[int] = []
        if not fine.all():
            held = np.flatnonzero(~fine.reshape(len(fine), -1).all(axis=1)).tolist()
            covariances = np.where(fine, covariances, least)
        covariances = covariances + reg_covar
        return covariances, 1.0 / np.sqrt(covariances), held

    def least_left(self, root: Array) -> float:
        return 1 / np.square(root).max()

    def log_root(self, root: Array) -> Array:
        return np.log(root)

    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        """See Matrices.root_diagonal."""
        return root

    def default_scale(self, covariance: Array) -> Array:
        """Of a prior, from the covariance (d,d) of the rows."""
        return covariance.diagonal().mean()

    def condition_numbers(self, covariances: Array, root: Array) -> Array:
        rows = covariances.reshape(len(covariances), -1)
        with np.errstate(over="ignore"):
            return rows.max(axis=1) / rows.min(axis=1)

    def precisions(self, root: Array) -> Array:
        return root**2

    def precisions_cholesky(self, root: Array) -> Array:
        return root.copy()

    def root_from_precisions_cholesky(self, cholesky: Array) -> Array:
        return cholesky.copy()

    def covariances_from_precisions(self, precisions: Array) -> Array:
        return 1.0 / precisions

    def is_root_of(self, root: Array, covariances: Array) -> bool:
        return bool((root > 0).all()) and np.allclose(root**2 * covariances, 1.0, rtol=1e-12, atol=0)

    def is_symmetric(self, covariances: Array) -> bool:
        return True

    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        sigma = 1.0 / root[labels]
        return noise * sigma.reshape(len(noise), -1)


class Diag(Variances):
    """A variance for each component and feature (VVI)."""

    name: CovarianceType = "diag"
    moment: Moment = "diag"
    compiled = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k, d)

    def n_parameters(self, k: int, d: int) -> int:
        return k * d

    def scatter(self, masses: Array, offsets: Array) -> Array:
        return masses[:, None] * offsets**2

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

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return covariances

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return np.einsum("cmj,lj->cml", covariances[:, None] * directions, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, :, None] * np.eye(d)

    def compact(self, full: Array) -> Array:
        return full.diagonal()


class Spherical(Variances):
    """One variance for each component (VII)."""

    name: CovarianceType = "spherical"
    moment: Moment = "radial"
    compiled = True

    def shape(self, k: int, d: int) -> tuple[int, ...]:
        return (k,)

    def n_parameters(self, k: int, d: int) -> int:
        return k

    def scatter(self, masses: Array, offsets: Array) -> Array:
        return masses * (offsets**2).sum(axis=1)

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

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, None].repeat(d, axis=1)

    def root_diagonal(self, root: Array, k: int, d: int) -> Array:
        return self.variances(root, k, d)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return covariances[:, None, None] * np.einsum("mj,lj->ml", directions, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, None, None] * np.eye(d)

    def compact(self, full: Array) -> Array:
        return full.diagonal().mean()


AnyFamily: TypeAlias = Full | Tied | Diag | Spherical
FAMILIES: dict[str, AnyFamily] = {family.name: family for family in (Full(), Tied(), Diag(), Spherical())}
