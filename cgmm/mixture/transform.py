"""Mixtures made of mixtures: each is exact, and a value of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.mixture.families.family import Reduced
    from cgmm.types import Array, CovarianceType, Labels


def freed(parameters: Parameters, name: CovarianceType | None = None) -> Parameters:
    """The same mixture in a family in which each component has its own covariance: "full", "diag" or "spherical".

    name : that family, which must hold these covariances; None: the least that does
    """
    family, k, d = parameters.family, parameters.k, parameters.d
    name = name or family.freed
    if name == family.name or name == family.freed == "spherical":
        return parameters
    if name == "full":
        values = family.expand(parameters.covariances, k, d), family.expand(parameters.root, k, d)
    else:
        values = family.variances(parameters.covariances, k, d), family.variances(parameters.root, k, d)
    covariances, root = (np.ascontiguousarray(value) for value in values)
    return Parameters(FAMILIES[name], parameters.weights, parameters.means, covariances, root)


def freed_alike(mixtures: Sequence[Parameters]) -> list[Parameters]:
    """The same mixtures in the least of these families that holds all of them."""
    names = [parameters.family.freed for parameters in mixtures]
    least: CovarianceType = "full" if "full" in names else "diag" if "diag" in names else "spherical"
    return [freed(parameters, least) for parameters in mixtures]


def marginal(parameters: Parameters, features: Labels) -> Parameters:
    """Of some features (m,): N(x_m | μ_m, Σ_mm) in each component."""
    reduced = parameters.family.marginal(parameters.covariances, parameters.root, features)
    return _reduced(reduced, parameters.weights, parameters.means[:, features])


def conditional(parameters: Parameters, given: Labels, others: Labels, weights: Array, means: Array) -> Parameters:
    """Of features `others` (m,) when `given` (p,) are; weights (k,) and means (k,m) are what components then have."""
    reduced = parameters.family.conditional(parameters.covariances, parameters.root, given, others)
    return _reduced(reduced, weights, means)


def _reduced(reduced: Reduced, weights: Array, means: Array) -> Parameters:
    family = FAMILIES[reduced.family]
    return Parameters(family, weights.copy(), np.ascontiguousarray(means), reduced.covariances, reduced.root)


def affine(parameters: Parameters, A: Array, b: Array) -> Parameters:
    """Of A x + b, A (m,d): N(A μ + b, A Σ Aᵀ) in each component; NotPositiveDefinite if A has not full row rank."""
    means = np.einsum("cj,ij->ci", parameters.means, A) + b
    covariances = parameters.project(A)
    covariances = (covariances + np.swapaxes(covariances, 1, 2)) / 2
    return Parameters.given(FAMILIES["full"], parameters.weights.copy(), means, covariances)


def convolve(parameters: Parameters, covariance: Array) -> Parameters:
    """Of x + e, e normal about 0 with that covariance (d,d), or variances (d,): Σ + S in each component."""
    if covariance.ndim == 2:
        own = freed(parameters, "full")
    else:
        (own, _) = freed_alike([parameters, _normal_about(0 * covariance, covariance)])
        covariance = covariance if own.family.name == "diag" else np.diag(covariance)
    return Parameters.given(own.family, own.weights.copy(), own.means.copy(), own.covariances + covariance)


def _normal_about(mean: Array, variances: Array) -> Parameters:
    tall = np.maximum(variances, np.finfo(np.float64).tiny)[np.newaxis]
    return Parameters(FAMILIES["diag"], np.ones(1), mean[np.newaxis].copy(), tall, 1 / np.sqrt(tall))


def mix(mixtures: Sequence[Parameters], weights: Array) -> Parameters:
    """Σ_m w_m p_m, of as many mixtures as weights (m,)."""
    own = freed_alike(mixtures)
    shares = [w * each.weights / each.weights.sum() for w, each in zip(weights, own, strict=True)]
    return Parameters(
        own[0].family,
        np.concatenate(shares),
        np.concatenate([each.means for each in own]),
        np.concatenate([each.covariances for each in own]),
        np.concatenate([each.root for each in own]),
    )


def mean(parameters: Parameters) -> Array:
    """Σ_c π_c μ_c, (d,)."""
    return np.einsum("c,cj->j", parameters.unit_weights, parameters.means)


def covariance(parameters: Parameters) -> Array:
    """Σ_c π_c (Σ_c + (μ_c − m)(μ_c − m)ᵀ), m the mean; (d,d)."""
    weights = parameters.unit_weights
    away = parameters.means - mean(parameters)
    own = parameters.family.expand(parameters.covariances, parameters.k, parameters.d)
    return np.einsum("c,cij->ij", weights, own) + np.einsum("c,ci,cj->ij", weights, away, away)


def merge(parameters: Parameters, labels: Labels) -> Parameters:
    """The components of a label (k,) become one of their weight, mean and covariance."""
    own = freed(parameters)
    merged = [_merged(own, np.flatnonzero(labels == label)) for label in np.unique(labels)]
    weights, means, covariances = (np.array(values) for values in zip(*merged, strict=True))
    return Parameters.given(own.family, weights, means, covariances)


def _merged(own: Parameters, components: Labels) -> tuple[float, Array, Array]:
    """The weight, mean and covariance of some components together; the family's nearest covariance to that."""
    weights = own.weights[components]
    total = weights.sum()
    shares = weights / total if total > 0 else np.full(len(components), 1 / len(components))
    centre = np.einsum("c,cj->j", shares, own.means[components])
    spread = own.family.spread(own.means[components] - centre)
    return total, centre, np.einsum("c,c...->...", shares, own.covariances[components] + spread)


def simplify(parameters: Parameters, k: int) -> Parameters:
    """Of k components: merged two by two, each time those whose merging costs least.

    What two cost is a bound of the Kullback–Leibler divergence from the mixture before to that after: with Σ_ab the
    covariance of both together, ½ ((w_a + w_b) log|Σ_ab| − w_a log|Σ_a| − w_b log|Σ_b|) (Runnalls 2007, eq. 21).
    """
    own = freed(parameters)
    costs = np.full((own.k, own.k), np.inf)
    for c in range(1, own.k):
        costs[c, :c] = _costs(own, c, np.arange(c))
    while own.k > k:
        a, b = np.unravel_index(costs.argmin(), costs.shape)  # a > b
        kept = np.delete(np.arange(own.k), a)
        own, costs = _with_merged(own, int(b), int(a), kept), costs[np.ix_(kept, kept)]
        others = np.delete(np.arange(own.k), b)
        new = _costs(own, int(b), others)
        costs[b, :b], costs[b + 1 :, b] = new[:b], new[b:]
    return own


def _with_merged(own: Parameters, b: int, a: int, kept: Labels) -> Parameters:
    weight, centre, whole = _merged(own, np.array([b, a]))
    weights, means, covariances = own.weights.copy(), own.means.copy(), own.covariances.copy()
    weights[b], means[b], covariances[b] = weight, centre, whole
    root = own.root.copy()
    root[b] = own.family.sharp_root(whole[np.newaxis])[0]
    return Parameters(own.family, weights[kept], means[kept], covariances[kept], root[kept])


def _costs(own: Parameters, c: int, others: Labels) -> Array:
    """What merging a component with each of some others costs, (others,)."""
    if not len(others):
        return np.empty(0)
    w, v = own.weights[c], own.weights[others]
    total = np.where(w + v > 0, w + v, 1.0)
    share = (v / total).reshape(-1, *[1] * (own.covariances.ndim - 1))
    spread = own.family.spread(own.means[others] - own.means[c])
    both = (1 - share) * own.covariances[c] + share * own.covariances[others] + share * (1 - share) * spread
    log_root = _log_root(own, own.family.root(both), len(others))
    each = _log_root(own, own.root, own.k)
    return w * each[c] + v * each[others] - (w + v) * log_root


def _log_root(own: Parameters, root: Array, k: int) -> Array:
    """log|P| of each root, −½ log|Σ|."""
    return own.family.whitening(root, k, own.d).log_det
