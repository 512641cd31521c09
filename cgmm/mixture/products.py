"""Integrals of products of mixtures, and what follows from them in closed form.

∫ N(x | μ, Σ) N(x | ν, T) dx = N(μ | ν, Σ + T), and the product is that times a normal density of covariance
(Σ⁻¹ + T⁻¹)⁻¹ (Petersen and Pedersen 2012, The Matrix Cookbook, 371).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture import matrices
from cgmm.mixture.density import LOG_2PI
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.transform import freed, freed_alike

if TYPE_CHECKING:
    from cgmm.types import Array


def log_weights(parameters: Parameters) -> Array:
    """log π_c (k,), of weights that sum to one exactly; −inf of none."""
    with np.errstate(divide="ignore"):
        return np.log(parameters.unit_weights)


def log_overlaps(f: Parameters, g: Parameters) -> Array:
    """log ∫ f_a(x) g_b(x) dx of each component of f and of g, (k_f,k_g)."""
    f, g = freed_alike([f, g])
    if f.family.correlated:
        return np.array([_log_overlaps_full(f, a, g) for a in range(f.k)])
    v, w = (p.family.variances(p.covariances, p.k, p.d) for p in (f, g))
    return np.array([_log_normal_diag(f.means[a] - g.means, v[a] + w) for a in range(f.k)])


def _log_overlaps_full(f: Parameters, a: int, g: Parameters) -> Array:
    roots, _ = _kernels.roots(np.ascontiguousarray(f.covariances[a] + g.covariances))
    white = np.einsum("cij,cj->ci", roots, f.means[a] - g.means)
    return matrices.log_diagonal(roots) - 0.5 * (np.einsum("ci,ci->c", white, white) + f.d * LOG_2PI)


def _log_normal_diag(away: Array, variances: Array) -> Array:
    return -0.5 * (away**2 / variances + np.log(variances) + LOG_2PI).sum(axis=1)


def _log_joint(f: Parameters, g: Parameters) -> Array:
    return log_overlaps(f, g) + log_weights(f)[:, None] + log_weights(g)


def log_inner(f: Parameters, g: Parameters) -> float:
    """log ∫ f(x) g(x) dx."""
    return float(np.logaddexp.reduce(_log_joint(f, g), axis=None))


def product(f: Parameters, g: Parameters) -> tuple[Parameters, float]:
    """The mixture f(x) g(x) / Z, of k_f k_g components, and log Z."""
    logs = _log_joint(f, g)
    log_norm = float(np.logaddexp.reduce(logs, axis=None))
    f, g = freed_alike([f, g])
    made = [(_product_full if f.family.correlated else _product_diag)(f, a, g) for a in range(f.k)]
    means, covariances = (np.concatenate(values) for values in zip(*made, strict=True))
    return Parameters.given(f.family, np.exp(logs - log_norm).ravel(), means, covariances), log_norm


def _product_full(f: Parameters, a: int, g: Parameters) -> tuple[Array, Array]:
    """C = (Σ⁻¹ + T⁻¹)⁻¹ and μ + C T⁻¹ (ν − μ), of a component of f with each of g."""
    own, theirs = f.precisions[a], g.precisions
    covariances = _kernels.grams(_kernels.roots(np.ascontiguousarray(own + theirs))[0])
    pull = np.einsum("cij,cj->ci", theirs, g.means - f.means[a])
    return f.means[a] + np.einsum("cij,cj->ci", covariances, pull), covariances


def _product_diag(f: Parameters, a: int, g: Parameters) -> tuple[Array, Array]:
    own, theirs = f.precisions[a], g.precisions
    covariances = 1 / (own + theirs)
    share = (covariances * theirs).reshape(g.k, -1)
    return f.means[a] + share * (g.means - f.means[a]), covariances


def l2_distance(f: Parameters, g: Parameters) -> float:
    """(∫ (f − g)² dx)^½."""
    logs = np.array([log_inner(f, f), log_inner(g, g), log_inner(f, g)])
    top = logs.max()
    squares = np.exp(logs - top)
    return float(np.exp(0.5 * top) * np.sqrt(max(squares[0] + squares[1] - 2 * squares[2], 0.0)))


def kl_components(f: Parameters, g: Parameters) -> Array:
    """D(f_a ‖ g_b) = ½ (|P_b L_a|² + |P_b (μ_a − μ_b)|² − d) + log|P_a| − log|P_b|, (k_f,k_g)."""
    f, g = freed_alike([f, g])
    own, theirs = (p.family.whitening(p.root, p.k, p.d).log_det for p in (f, g))
    variances = np.array([_whitened(f, a, g) for a in range(f.k)])
    return np.maximum(0.5 * (variances - f.d) + own[:, None] - theirs, 0.0)


def _whitened(f: Parameters, a: int, g: Parameters) -> Array:
    """|P_b L_a|² + |P_b (μ_a − μ_b)|² of each component b of g."""
    away = f.means[a] - g.means
    if not f.family.correlated:
        precisions = g.precisions.reshape(g.k, -1)
        variances = f.family.variances(f.covariances[[a]], 1, f.d)
        return (precisions * (variances + away**2)).sum(axis=1)
    white = np.einsum("cij,cj->ci", g.root, away)
    return (matrices.product(g.root, f.factor[a]) ** 2).sum(axis=(1, 2)) + (white**2).sum(axis=1)


def entropies(f: Parameters) -> Array:
    """Of each component, ½ d (1 + log 2π) − log|P|, (k,)."""
    own = freed(f)
    return 0.5 * own.d * (1 + LOG_2PI) - own.family.whitening(own.root, own.k, own.d).log_det


def bhattacharyya_components(f: Parameters, g: Parameters) -> Array:
    """log ∫ (f_a g_b)^½ dx of each component of f and of g, (k_f,k_g).

    The root of N(μ, Σ) is N(μ, 2 Σ) times |8 π Σ|^¼.
    """
    f, g = freed_alike([f, g])
    tall = [Parameters(p.family, p.weights, p.means, 2 * p.covariances, p.root / np.sqrt(2.0)) for p in (f, g)]
    heights = [0.25 * p.d * np.log(8 * np.pi) - 0.5 * p.family.whitening(p.root, p.k, p.d).log_det for p in (f, g)]
    return np.minimum(log_overlaps(*tall) + heights[0][:, None] + heights[1], 0.0)


def wasserstein(f: Parameters, g: Parameters) -> float:
    """The least cost of moving f's components onto g's, MW₂ (Delon and Desolneux 2020, eq. 4.4)."""
    from scipy.optimize import linprog  # slow to import
    from scipy.sparse import eye_array, kron, vstack

    costs = _wasserstein_components(f, g)
    ones = np.ones((1, f.k)), np.ones((1, g.k))
    sums = vstack([kron(eye_array(f.k), ones[1]), kron(ones[0], eye_array(g.k))]).tocsr()
    margins = np.concatenate([f.unit_weights, g.unit_weights])
    scale = costs.max() or 1.0
    found = linprog(costs.ravel() / scale, A_eq=sums[:-1], b_eq=margins[:-1], method="highs")
    if not found.success:
        raise ArithmeticError(f"the transport between the mixtures was not found: {found.message}")
    return float(np.sqrt(max(found.fun * scale, 0.0)))


def _wasserstein_components(f: Parameters, g: Parameters) -> Array:
    """W₂² = |μ_a − μ_b|² + |L_a|² + |L_b|² − 2 |L_aᵀ L_b|_*, the last the sum of the singular values; (k_f,k_g)."""
    f, g = freed_alike([f, g])
    away = ((f.means[:, None] - g.means) ** 2).sum(axis=2)
    if not f.family.correlated:
        v, w = (np.sqrt(p.family.variances(p.covariances, p.k, p.d)) for p in (f, g))
        return away + ((v[:, None] - w) ** 2).sum(axis=2)
    own, theirs = ((p.factor**2).sum(axis=(1, 2)) for p in (f, g))
    cross = [np.linalg.svd(matrices.product(L.T, g.factor), compute_uv=False).sum(axis=1) for L in f.factor]
    return np.maximum(away + own[:, None] + theirs - 2 * np.array(cross), 0.0)
