"""The covariance families: everything that depends on which family it is.

Each family owns the second moment that the kernels accumulate for it, the covariances that follow from the
statistics, the whitening factor that densities need, and its number of parameters. L is the Cholesky factor of
a covariance Σ = L Lᵀ, and the whitening factor is P = L⁻¹, so that (x−μ)ᵀ Σ⁻¹ (x−μ) = |P (x−μ)|².
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.types import Array, Components, CovarianceType, Form, Labels, Moment

EPS = float(np.finfo(np.float64).eps)
BLOCK = 64  # features: OpenBLAS takes threads for a product of more than 2^18 multiply-adds


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

    def keep(self, covariances: Array, components: Components, previous: Array | None) -> Array:
        """Put the previous covariances, or the mean of the others, in the place of those of `components`."""
        others = np.setdiff1d(np.arange(len(covariances)), components)
        covariances[components] = covariances[others].mean(axis=0) if previous is None else previous[components]
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
        return _sharpen(self.stacked(self.root(covariances)), self.stacked(covariances)).reshape(covariances.shape)

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
        roots, suspects = _kernels.held_roots(stack, most, _rounding(stack.shape[-1]), reg_covar, n_threads)
        held: list[int] = []
        for c in np.flatnonzero(suspects) if np.count_nonzero(suspects) else ():
            stack[c], roots[c], lifted = _lift(stack[c], least if least.ndim == 1 else least[c], reg_covar)
            if lifted:
                held.append(int(c))
        return stack.reshape(covariances.shape), roots.reshape(covariances.shape), held

    def least(self, least: Array) -> Array:
        return least

    def log_root(self, root: Array) -> Array:
        return _log_diagonal(root)

    def default_scale(self, covariance: Array) -> Array:
        """Of a prior, from the covariance (d,d) of the rows."""
        return covariance

    def scale_shape(self, d: int) -> tuple[int, ...]:
        return (d, d)

    def reach(self, root: Array, variances: Array) -> float:
        """The largest of the variances (d,) over that of a feature in a component, given the features before it."""
        with np.errstate(over="ignore"):
            return (np.diagonal(root, axis1=-2, axis2=-1) ** 2 * variances).max()

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
        rounding = 1e-6 + 100 * d**2 * EPS * np.abs(scaled).max(axis=(-2, -1)) ** 2
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
        return Whitening("triangular", root, _log_diagonal(root))

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return np.diagonal(covariances, axis1=1, axis2=2)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return _project(covariances, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return np.array(covariances)

    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        """Rows L_c z of noise (n,d), c the label of each."""
        rows = np.empty_like(noise)
        for c in np.unique(labels):
            chosen = labels == c
            rows[chosen] = _solve(root[c], noise[chosen])
        return rows


class Tied(Matrices):
    """One matrix for all components (EEE)."""

    name: CovarianceType = "tied"
    moment: Moment = "pooled"
    per_component = False

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
        return n_k.sum()

    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        return degrees + d + 1 + k * mean

    def keep(self, covariances: Array, components: Components, previous: Array | None) -> Array:
        return covariances

    def take(self, covariances: Array, components: Components) -> Array:
        return covariances

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("isotropic", np.ones(k), np.repeat(_log_diagonal(root[np.newaxis]), k), root)

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return np.repeat(np.diag(covariances)[np.newaxis], k, axis=0)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return np.repeat(_project(covariances[np.newaxis], directions), k, axis=0)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return np.repeat(covariances[np.newaxis], k, axis=0)

    def colour(self, root: Array, labels: Labels, noise: Array) -> Array:
        return _solve(root, noise)


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

    def log_root(self, root: Array) -> Array:
        return np.log(root)

    def default_scale(self, covariance: Array) -> Array:
        """Of a prior, from the covariance (d,d) of the rows."""
        return covariance.diagonal().mean()

    def reach(self, root: Array, variances: Array) -> float:
        with np.errstate(over="ignore"):
            return (root.reshape(len(root), -1) ** 2 * variances).max()

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
        return Whitening("diagonal", root, np.log(root).sum(axis=1))

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
        return least.mean(axis=-1)

    def scale_shape(self, d: int) -> tuple[int, ...]:
        return ()

    def whitening(self, root: Array, k: int, d: int) -> Whitening:
        return Whitening("isotropic", root, d * np.log(root))

    def variances(self, covariances: Array, k: int, d: int) -> Array:
        return np.repeat(covariances[:, None], d, axis=1)

    def project(self, covariances: Array, directions: Array, k: int) -> Array:
        return covariances[:, None, None] * np.einsum("mj,lj->ml", directions, directions)

    def expand(self, covariances: Array, k: int, d: int) -> Array:
        return covariances[:, None, None] * np.eye(d)

    def compact(self, full: Array) -> Array:
        return full.diagonal().mean()


AnyFamily: TypeAlias = Full | Tied | Diag | Spherical
FAMILIES: dict[str, AnyFamily] = {family.name: family for family in (Full(), Tied(), Diag(), Spherical())}


def _rounding(d: int) -> float:
    """What the rounding of a d×d matrix may leave of a variance, relative to it."""
    return 128 * d**2 * EPS


def _lift(S: Array, least: Array, reg_covar: float) -> tuple[Array, Array, bool]:
    """S with no variance below least, see Matrices.hold, plus reg_covar; its P; and whether one was below.

    Nor is one left below what the rounding of the largest leaves of it, in units in which no feature has so large a
    variance that others are lost in it. Where the floor matters more than reg_covar, P comes from the axes and
    variances themselves: from the matrix, the smallest would be known to its rounding only.
    """
    S = np.where(np.isfinite(S), S, 0.0)
    d, most = len(S), np.sqrt(np.maximum(S.diagonal(), 0.0))
    S = np.clip(S, -most * most[:, None], most * most[:, None])  # as a covariance is, but for rounding
    own = np.maximum(_rounding(d) * S.diagonal() / 16.0, np.finfo(float).tiny)
    least = np.maximum(
        least, 16.0 ** np.ceil(np.log2(own) / 4.0)
    )  # in steps: a floor that moves lets the likelihood fall
    unit = np.sqrt(least)
    values, axes = np.linalg.eigh(S / unit / unit[:, None])
    lowest = max(1.0, 8 * d * EPS * values[-1])
    lifted = bool(values[0] < lowest)
    with np.errstate(over="ignore"):
        added = reg_covar / least
    if added.max() > lowest or not lifted:
        whole = (axes * np.maximum(values, lowest)) @ axes.T * unit * unit[:, None] if lifted else S
        whole = whole + reg_covar * np.eye(d)
        root, failed = _kernels.roots(whole[np.newaxis])
        if not failed[0]:
            return whole, root[0], lifted
    values = np.maximum(values, lowest) + added @ axes**2
    whole = (axes * values) @ axes.T * unit * unit[:, None]
    upper: Any = np.linalg.qr((axes / np.sqrt(values)).T[:, ::-1] / unit[::-1], mode="r")  # W = Q P, P lower triangular
    root = upper[::-1, ::-1] * np.sign(upper.diagonal()[::-1])[:, None]
    return whole, np.tril(root), lifted


def _sharpen(roots: Array, covariances: Array) -> Array:
    """P (k,d,d) to an error of d ε κ(L), from those to d ε κ(L)² that Cholesky factors in double give.

    With L = P⁻¹ and what it leaves, E = Σ − L Lᵀ, P Σ Pᵀ is I + P E Pᵀ = K Kᵀ, and the root K⁻¹ P. In E the
    digits of Σ cancel, so L Lᵀ has to be exact beyond them: L is cut into a + r, where a has so few bits (25, of
    variances scaled to about one) that no sum in a aᵀ rounds, and r is so small that its products may (Ozaki,
    Ogita, Oishi and Rump 2012, "Error-free transformations of matrix multiplication by using fast routines of
    matrix multiplication and its applications"). A P whose I + P E Pᵀ has no K in double stays as it is.
    """
    identity = np.eye(roots.shape[-1])
    scale = 2.0 ** -np.round(np.log2(np.diagonal(covariances, axis1=1, axis2=2)) / 2)
    scaled = roots / scale[:, None, :]
    L = np.array([_solve(P, identity).T for P in scaled])
    a = (L + 1.5 * 2.0**27) - 1.5 * 2.0**27
    r = L - a
    cross = _product(a, np.swapaxes(r, 1, 2))
    left = covariances * scale[:, :, None] * scale[:, None, :] - _product(a, np.swapaxes(a, 1, 2))
    left -= cross + np.swapaxes(cross, 1, 2)
    left -= _product(r, np.swapaxes(r, 1, 2))
    inverses, failed = _kernels.roots(identity + _product(_product(scaled, left), np.swapaxes(scaled, 1, 2)))
    return np.where(failed[:, None, None], roots, _product(inverses, roots))


def _product(A: Array, B: Array) -> Array:
    """A B (k,d,d), by blocks so small that a BLAS takes no threads for one: its bits might depend on them."""
    product = np.zeros(A.shape)
    cuts = [slice(start, start + BLOCK) for start in range(0, A.shape[-1], BLOCK)]
    for rows in cuts:
        for columns in cuts:
            for part in cuts:
                product[:, rows, columns] += A[:, rows, part] @ B[:, part, columns]
    return product


def _solve(root: Array, noise: Array) -> Array:
    """Rows x with P x = z for the rows z of noise (n,d), by forward substitution.

    Not by a BLAS, whose bits may depend on its threads.
    """
    rows = np.empty(noise.shape[::-1])
    for j, row in enumerate(root):
        rows[j] = (noise[:, j] - np.einsum("i,in->n", row[:j], rows[:j])) / row[j]
    return rows.T


def _project(covariances: Array, directions: Array) -> Array:
    half = np.einsum("cij,mj->cmi", covariances, directions)
    return np.einsum("cmi,li->cml", half, directions)


def _log_diagonal(root: Array) -> Array:
    return np.log(root.diagonal(axis1=-2, axis2=-1)).sum(axis=-1)
