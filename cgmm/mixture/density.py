"""A density in the form in which the kernels take it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.types import Array, Form


class NoiseConstant(NamedTuple):
    """What a noise component adds to the log-sum-exp of each row.

    log_density : the logarithm of its weight times its density
    log_widths : (d,) to be subtracted for each feature that a row does not lack, or None
    """

    log_density: float
    log_widths: Array | None = None


class Density(NamedTuple):
    """A mixture's density for the kernels: log π_c N(x|μ_c, Σ_c) = log_norm_c − ½ |P_c (x−μ_c)|².

    Whoever has a log_norm and a P of each component is a density to the kernels, whether a mixture's parameters, a
    posterior's expectations, or distances.

    form, factor, whitener : as cgmm.mixture.families.Whitening
    means : (k,d)
    centre : (d,), subtracted from rows and means alike, so that float32 keeps its digits far from the origin
    log_norm : (k,)
    noise : that of the component of constant density, if there is one
    """

    form: Form
    means: Array
    centre: Array
    factor: Array
    log_norm: Array
    whitener: Array | None = None
    noise: NoiseConstant | None = None


def distances_to(centres: Array, middle: Array | None = None) -> Density:
    """The Density whose log-densities are −½ |x − centre_c|², about the median of the centres, or `middle`."""
    k = len(centres)
    if middle is None:
        middle = np.sort(centres, axis=0)[(k - 1) // 2]
    return Density("isotropic", centres, middle, *_unit(k))


@functools.lru_cache(maxsize=64)
def _unit(k: int) -> tuple[Array, Array]:
    """Ones and zeros (k,) that nobody writes to: k-means asks for as many again and again."""
    ones, zeros = np.ones(k), np.zeros(k)
    ones.flags.writeable = zeros.flags.writeable = False
    return ones, zeros


def weighted_median(means: Array, weights: Array) -> Array:
    """The weighted median of the means in each feature, (d,): unlike a mean, a far component leaves it alone."""
    order = means.argsort(axis=0, kind="stable").T
    return _kernels.weighted_median(means, weights, np.ascontiguousarray(order))
