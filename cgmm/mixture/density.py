"""A density in the form in which the kernels take it."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.types import Array, Form, Mask

LOG_2PI = float(np.log(2 * np.pi))


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


# What components may weigh together of a row's density that are left out of it, at most: rounding is 1e-16.
NEGLIGIBLE = 1e-20


def that_matter(density: Density, low: Array, high: Array) -> Mask:
    """(k,) the components that may matter to a row between low and high (d,).

    One does not whose density is nowhere more than NEGLIGIBLE of the least that another has between them.
    """
    furthest = np.maximum(np.abs(low - density.means), np.abs(high - density.means))
    if density.form == "triangular":
        images = np.einsum("cij,cj->ci", np.abs(density.factor), furthest)
    else:
        if density.whitener is not None:
            furthest = np.einsum("ij,cj->ci", np.abs(density.whitener), furthest)
        images = furthest * density.factor.reshape(len(furthest), -1)
    with np.errstate(over="ignore"):  # then all matter
        least = (density.log_norm - 0.5 * (images * images).sum(axis=1)).max()
    return density.log_norm > least + np.log(NEGLIGIBLE / len(furthest))


def of_some(density: Density, components: Mask) -> Density:
    """That of some components."""
    return density._replace(
        means=density.means[components],
        factor=density.factor[components],
        log_norm=density.log_norm[components],
    )


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
