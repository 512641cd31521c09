"""Linear algebra of covariance matrices Σ and their roots P, P Σ Pᵀ = I: held, sharpened, for any number of threads."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.types import Array, Components, Mask

EPS = float(np.finfo(np.float64).eps)
TINY = float(np.finfo(np.float64).tiny)
BLAS_BLOCK = 64  # Features a product may have at a time: OpenBLAS takes threads beyond 2^18 multiply-adds.
UNTHREADED = 25  # Features up to which NumPy's eigenvectors take no threads of a BLAS.
# So many steps find a direction along which the variance is the least of all, or no more than half again as much, of up
# to 2048 features: what is left of other directions shrinks with each step by the ratio of the variances, squared.
STEPS = 10


def all_but(k: int, components: Components) -> Mask:
    """Which of k components are none of those, (k,)."""
    others = np.ones(k, dtype=bool)
    others[components] = False
    return others


def rounding_of(d: int) -> float:
    """What the rounding of a d×d matrix may leave of a variance, relative to it."""
    return 128 * d**2 * EPS


def lift(S: Array, least: Array, reg_covar: float) -> tuple[Array, Array, bool]:
    """S with no variance below least, see Matrices.hold, plus reg_covar; its P; and whether one was below.

    Nor is one left below what the rounding of the largest leaves of it, in units in which no feature has so large a
    variance that others are lost in it. Where the floor matters more than reg_covar, P comes from the axes and
    variances themselves: from the matrix, the smallest would be known to its rounding only.
    """
    S = np.where(np.isfinite(S), S, 0.0)
    d, deviations = len(S), np.sqrt(np.maximum(S.diagonal(), 0.0))
    most = deviations * deviations[:, None]
    S = np.minimum(np.maximum(S, -most), most)  # as a covariance is, but for rounding
    own = np.maximum(rounding_of(d) * S.diagonal() / 16.0, TINY)
    least = np.maximum(
        least, 16.0 ** np.ceil(np.log2(own) / 4.0)
    )  # in steps: a floor that moves lets the likelihood fall
    unit = np.sqrt(least)
    values, axes = eigh(S / unit / unit[:, None])
    lowest = max(1.0, 8 * d * EPS * values[-1])
    lifted = bool(values[0] < lowest)
    with np.errstate(over="ignore"):
        added = reg_covar / least
    if added.max() > lowest or not lifted:
        whole = product(axes * np.maximum(values, lowest), axes.T) * unit * unit[:, None] if lifted else S
        whole = whole + reg_covar * np.eye(d)
        root, failed = _kernels.roots(whole[np.newaxis])
        if not failed[0]:
            return whole, root[0], lifted
    values = np.maximum(values, lowest) + added @ axes**2
    whole = product(axes * values, axes.T) * unit * unit[:, None]
    upper: Any = np.linalg.qr((axes / np.sqrt(values)).T[:, ::-1] / unit[::-1], mode="r")  # W = Q P, P lower triangular
    root = upper[::-1, ::-1] * np.sign(upper.diagonal()[::-1])[:, None]
    return whole, np.tril(root), lifted


def eigh(S: Array) -> tuple[Array, Array]:
    """Eigenvalues, ascending, and eigenvectors, the columns, of a symmetric matrix.

    NumPy's way, divide and conquer, takes a BLAS's threads from 26 features on, and gains nothing by them; they go on
    spinning beside the next pass, which took three times as long on two cores. QR iterations take none up to 90.
    """
    if not UNTHREADED < len(S) <= 90:
        return np.linalg.eigh(S)
    from scipy.linalg.lapack import dsyev  # slow to import

    values, axes, failed = dsyev(S, lower=1)
    return (values, axes) if not failed else np.linalg.eigh(S)


def eigh_each(stack: Array) -> tuple[Array, Array]:
    """The same of each matrix (m,d,d)."""
    if stack.shape[-1] <= UNTHREADED:
        return np.linalg.eigh(stack)
    values, axes = zip(*map(eigh, stack), strict=True)
    return np.array(values), np.array(axes)


def norms(stack: Array) -> Array:
    """The largest singular value of each matrix (m,d,d)."""
    if stack.shape[-1] <= BLAS_BLOCK:
        return np.asarray(np.linalg.svd(stack, compute_uv=False)[:, 0], dtype=np.float64)
    return np.array([_norm(A) for A in stack])


def _norm(A: Array) -> float:
    """The same of a matrix (d,d) of many features, to 1e-4 of it, by Lanczos' iteration."""
    from scipy.sparse.linalg import ArpackNoConvergence, svds  # slow to import

    scale = np.abs(A).max()
    try:
        return float(svds(A / scale, 1, tol=1e-4, v0=np.ones(len(A)), return_singular_vectors=False)[0] * scale)
    except ArpackNoConvergence:
        return float(np.linalg.norm(A, 2))


def narrowest(roots: Array) -> tuple[Array, Array]:
    """Directions (m,d) of unit length, along which covariances with P (m,d,d) vary least, and the variances (m,) there.

    By inverse iteration, v ← Pᵀ P v, which needs no more than products with P.
    """
    m, d = roots.shape[:2]
    unit = np.abs(roots).max(axis=(1, 2))  # or squares might overflow
    P = roots / unit[:, None, None]
    directions, variances = np.tile(np.random.default_rng(0).standard_normal(d), (m, 1)), np.empty(m)
    for _ in range(STEPS):
        halfway = np.einsum("mij,mj->mi", P, directions)
        directions = np.einsum("mij,mi->mj", P, halfway)
        lengths = np.linalg.norm(directions, axis=1)
        variances = (np.linalg.norm(halfway, axis=1) / lengths / unit) ** 2
        directions /= lengths[:, None]
    return directions, variances


def sharpen(roots: Array, covariances: Array) -> Array:
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
    L = np.array([solve(P, identity).T for P in scaled])
    a = (L + 1.5 * 2.0**27) - 1.5 * 2.0**27
    r = L - a
    cross = product(a, np.swapaxes(r, 1, 2))
    left = covariances * scale[:, :, None] * scale[:, None, :] - product(a, np.swapaxes(a, 1, 2))
    left -= cross + np.swapaxes(cross, 1, 2)
    left -= product(r, np.swapaxes(r, 1, 2))
    inverses, failed = _kernels.roots(identity + product(product(scaled, left), np.swapaxes(scaled, 1, 2)))
    return np.where(failed[:, None, None], roots, product(inverses, roots))


def other_root(lower: Array) -> Array:
    """P (k,d,d), lower triangular with a positive diagonal, whose Pᵀ P is L Lᵀ of lower triangular L (k,d,d).

    Lᵀ = Q P; in columns turned round that is the usual decomposition, whose factor is upper triangular.
    """
    turned: Any = np.linalg.qr(np.swapaxes(lower, 1, 2)[:, :, ::-1], mode="r")
    root = turned[:, ::-1, ::-1]
    return np.tril(root * np.sign(np.diagonal(root, axis1=1, axis2=2))[:, :, np.newaxis])


def upright(triangles: Array) -> Array:
    """Triangular matrices (…,d,d) whose rows have the signs that make their diagonals positive."""
    return triangles * np.where(np.diagonal(triangles, axis1=-2, axis2=-1) < 0, -1.0, 1.0)[..., None]


def product(A: Array, B: Array) -> Array:
    """A B of matrices (…,p,q) and (…,q,r), by blocks so small that a BLAS takes no threads for one: its bits might
    depend on them."""
    p, q, r = A.shape[-2], A.shape[-1], B.shape[-1]
    if max(p, q, r) <= BLAS_BLOCK:
        return A @ B
    whole = np.zeros((*np.broadcast_shapes(A.shape[:-2], B.shape[:-2]), p, r))
    cuts = ([slice(start, start + BLAS_BLOCK) for start in range(0, size, BLAS_BLOCK)] for size in (p, r, q))
    for rows, columns, part in itertools.product(*cuts):
        whole[..., rows, columns] += A[..., rows, part] @ B[..., part, columns]
    return whole


def solve(root: Array, noise: Array) -> Array:
    """Rows x with P x = z for the rows z of noise (n,d), by forward substitution.

    Not by a BLAS, whose bits may depend on its threads.
    """
    rows = np.empty(noise.shape[::-1])
    for j, row in enumerate(root):
        rows[j] = (noise[:, j] - np.einsum("i,in->n", row[:j], rows[:j])) / row[j]
    return rows.T


def project(covariances: Array, directions: Array) -> Array:
    half = np.einsum("cij,mj->cmi", covariances, directions)
    return np.einsum("cmi,li->cml", half, directions)


def log_diagonal(root: Array) -> Array:
    """Σ_j log P_jj (m,) of roots (m,d,d)."""
    return _kernels.log_products(root.diagonal(axis1=1, axis2=2))
