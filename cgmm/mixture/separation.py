"""By how much, and where, the components of a mixture differ: in their means, and in their covariances."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array

FLAT = 1e-12  # A variance below this share of the largest is rounding: there is no spread in that direction.


class Separation(NamedTuple):
    """What differs between the components of a mixture, in whitened features z = whiten x, of which Σ is the identity.

    unit : (d,) standard deviations of the features
    whiten : (d,d) the symmetric root of the inverse of their correlations, over unit
    axes, values : of the correlations
    between : (d,d) Σ_c π_c (ν_c − ν)(ν_c − ν)ᵀ of the whitened means ν
    spread : (d,d) Σ_c π_c (T_c − T)², of the whitened covariances T_c and their mean T
    """

    unit: Array
    whiten: Array
    axes: Array
    values: Array
    between: Array
    spread: Array


def separation(parameters: Parameters, covariance: Array | None = None) -> Separation:
    """That of a mixture; Σ is its covariance, or one that is given."""
    weights, d = parameters.unit_weights, parameters.d
    covariances = parameters.family.expand(parameters.covariances, parameters.k, d)
    offsets = parameters.means - weights @ parameters.means
    within = np.einsum("c,cij->ij", weights, covariances)
    between = np.einsum("c,ci,cj->ij", weights, offsets, offsets)
    whole = within + between if covariance is None else covariance
    unit = np.sqrt(whole.diagonal())
    unit = np.where(unit > 0, unit, 1.0)
    values, axes = np.linalg.eigh(whole / unit / unit[:, None])
    values = np.maximum(values, FLAT * values[-1])
    whiten = (axes / np.sqrt(values)) @ axes.T / unit
    apart = whiten @ (covariances - within) @ whiten.T
    spread = np.einsum("c,cij->ij", weights, apart @ apart)
    return Separation(unit, whiten, axes, values, whiten @ between @ whiten.T, spread)
