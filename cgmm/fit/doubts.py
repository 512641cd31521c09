"""What makes a fit doubtful though EM went well: reg_covar beside small units or narrow components, equal components,
constant features."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture import matrices
from cgmm.mixture.floor import EPS, SMALLEST, moments_of, rounding_of_means

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.em.stage import Fit
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Rules
    from cgmm.types import Array, Labels, Mask

# A variance of which reg_covar is more than this share is reg_covar's choice as much as the data's.
TENTH = 0.1
# A component that is narrower than this share of a feature's variance in the mixture has few rows, or equal ones. It is
# no matter of units: in those the whole feature would be small.
NARROW = 1e-4
# A component of fewer rows for each feature and one more is narrow by chance: of ten, the least variance of correlated
# features comes out as half of what it is.
OWN_ROWS = 10
# A component of so many rows for each feature and one more is not singular by chance, nor are several in one direction.
ENOUGH_ROWS = 2
# The cosine of the angle between directions that are one.
PARALLEL = 0.999
# Means and covariances that agree to this, relative to the components' spread, are equal.
SAME = 1e-7
# Means that differ by no more units of rounding may be the mean of one value.
ALIKE = 8
# A share of all rows that is less is none: of a million rows it is a thousandth of one.
NOTHING = 1e-9


class Overwhelmed(NamedTuple):
    """A feature whose variance (in a component, without reg_covar) is so many times smaller than reg_covar."""

    feature: int
    component: int
    times: float


class Blurred(NamedTuple):
    """Features that nearly determine one another in a component, which leaves a variance so many times smaller than
    reg_covar.

    component : None if all share a covariance
    """

    features: list[int]
    component: int | None
    times: float


def overwhelmed(parameters: Parameters, rules: Rules, but: Sequence[int] = ()) -> Overwhelmed | None:
    """Where reg_covar is largest beside a variance, if it is more than a tenth because the units are small.

    but : features that are left out
    """
    added = rules.reg_covar
    if not added or not added > TENTH * (parameters.variances.min() - added):
        return None
    least = _least(parameters, rules)
    own = np.maximum(parameters.variances - added, least)
    _, whole = moments_of(parameters.weights, parameters.means, own)
    doubtful = (added > TENTH * own) & (own >= NARROW * (whole - least)) & (own > 4 * least)
    doubtful &= _estimated(parameters, rules)[:, np.newaxis]
    doubtful[:, list(but)] = False
    if not doubtful.any():
        return None
    c, j = np.unravel_index(np.where(doubtful, own, np.inf).argmin(), own.shape)
    return Overwhelmed(int(j), int(c), float(added / own[c, j]))


def blurred(fit: Fit, rules: Rules) -> Blurred | None:
    """Where reg_covar is largest beside the variance of a component along its narrowest axis, if it is more than a
    tenth, and the axis is oblique: features vary more than their combination does, because they are correlated.

    Not where the covariance is singular, which is told of as such, nor where a component has few rows.
    """
    parameters, added, masses = fit.parameters, rules.reg_covar, fit.masses
    family, d = parameters.family, parameters.d
    if d == 1 or not added or masses is None or not family.correlated or (fit.singular and not family.per_component):
        return None
    if masses.sum() < OWN_ROWS * (d + 1) or not added > TENTH * (family.least_left(parameters.root) / d - added):
        return None  # no variance along an axis is less than a d-th of what is left of a feature, given all others
    sound = _estimated(parameters, rules)
    sound[list(fit.singular)] = False
    which = np.flatnonzero(_many_rows(family, np.where(sound, masses, 0.0), d))
    if not len(which):
        return None
    directions, variances, shared = _narrowest(parameters, which)
    own = variances - added
    least = directions**2 @ _least(parameters, rules)
    doubtful = (added > TENTH * own) & (own > 4 * least) & (shared.sum(axis=1) > 1)
    if not doubtful.any():
        return None
    at = int(np.where(doubtful, own, np.inf).argmin())
    component = int(which[at]) if family.per_component else None
    return Blurred(np.flatnonzero(shared[at]).tolist(), component, float(added / own[at]))


def dependent(fit: Fit, rules: Rules) -> list[int]:
    """The features that determine one another, in every component in the same way, so that all are singular though they
    have rows enough; none if there are no such."""
    parameters, masses = fit.parameters, fit.masses
    family, d = parameters.family, parameters.d
    if d == 1 or masses is None or not family.correlated or not fit.singular:
        return []
    all_of = np.flatnonzero(_estimated(parameters, rules)) if family.per_component else np.array([0])
    rows = masses[all_of] if family.per_component else masses.sum(keepdims=True)
    if not len(all_of) or not set(all_of) <= set(fit.singular) or not (rows >= ENOUGH_ROWS * (d + 1)).all():
        return []
    directions, _, shared = _narrowest(parameters, all_of)
    same = (shared == shared[0]).all() and (np.abs(directions @ directions[0]) > PARALLEL).all()
    return np.flatnonzero(shared[0]).tolist() if same and shared[0].sum() > 1 else []


def _narrowest(parameters: Parameters, which: Labels) -> tuple[Array, Array, Mask]:
    """The directions (m,d) along which some covariances vary least, the variances (m,) there, and the features (m,d)
    that have a part in each: theirs alone, if none were correlated, would be more than the combination's variance."""
    d = parameters.d
    directions, variances = matrices.narrowest(parameters.root.reshape(-1, d, d)[which])
    return directions, variances, directions**2 * parameters.variances[which] > variances[:, np.newaxis]


def suspects(family: Family, means: Array, variances: Array, roots: Array, masses: Array, reg_covar: Array) -> Mask:
    """Of m mixtures (m, …), those (m,) that may be overwhelmed or blurred, or have components that are equal: few are.

    means, variances : (m,k,d);  roots : (m, …) as the family has P;  masses : (m,k) of the components
    reg_covar : (m,) what was added to the variances
    """
    d = means.shape[2]
    with np.errstate(invalid="ignore"):
        small = reg_covar > TENTH * (variances.min(axis=(1, 2)) - reg_covar)
        narrow = reg_covar > TENTH * (family.least_left_each(roots) / d - reg_covar)
        small |= narrow & _many_rows(family, masses, d).any(axis=1)
        near = SAME * np.sqrt(variances[:, :, 0].max(axis=1))
        apart = np.diff(np.sort(means[:, :, 0], axis=1), axis=1)
        return ((reg_covar > 0) & small) | (apart <= near[:, np.newaxis]).any(axis=1)


def constant(parameters: Parameters, rules: Rules) -> list[int]:
    """The features that do not vary, of which only the floor and reg_covar make a variance; none where all are such,
    nor where all features have one variance.

    Where components share a part of their covariances, a feature's variance is more or less than that; one that varies
    has means that differ, then.
    """
    least, added, means = _least(parameters, rules), rules.reg_covar, parameters.means
    if parameters.covariances.ndim == 1:
        return []
    _, whole = moments_of(parameters.weights, means, parameters.variances)
    flat = (whole - added <= 4 * least + 4 * EPS * added) & (least > 4 * SMALLEST)
    if parameters.k > 1:
        alike = np.ptp(means, axis=0) <= ALIKE * EPS * np.abs(means).max(axis=0)
        flat |= alike & (whole - added <= added + ALIKE * np.maximum(least, EPS * whole.max()))
    return [] if flat.all() else np.flatnonzero(flat).tolist()


def equal(parameters: Parameters) -> tuple[int, int] | None:
    """Two components that are the same: EM cannot tell them apart, nor ever will."""
    means, first = parameters.means, parameters.means[:, 0].tolist()
    near = SAME * math.sqrt(parameters.variances[:, 0].max())
    order = sorted(range(len(first)), key=first.__getitem__)
    for a, b in pairwise(order):
        if first[b] - first[a] <= near and parameters.weights[a] > 0 < parameters.weights[b]:
            scale = np.sqrt(parameters.variances[a])
            if (np.abs(means[a] - means[b]) <= SAME * scale).all() and _same_covariances(parameters, a, b):
                return min(a, b), max(a, b)
    return None


def transposed(fit: Fit) -> str:
    """That covariances are singular for there are fewer rows than features; empty if that is not so."""
    d, masses = fit.parameters.d, fit.masses
    if masses is None or not fit.singular or not masses.sum() < d:
        return ""
    return f"There are fewer rows ({masses.sum():.6g}) than features ({d}): is X transposed?"


def noise(parameters: Parameters) -> str:
    """That a noise component has no rows, or all of them; empty if that is not so, or there is none."""
    if parameters.noise is None:
        return ""
    weight = parameters.noise.weight
    if weight < NOTHING:
        return f"No row belongs to the noise component (noise_weight_={weight:.2g}): the fit is one without it."
    if parameters.noise.rest < NOTHING:
        told = f"All rows belong to the noise component (noise_weight_={weight:.6g})"
        return f"{told}: give a lower density, or start the components apart."
    return ""


def _least(parameters: Parameters, rules: Rules) -> Array:
    """The variances (d,) that are no more than the floor, or the rounding of a mean, makes them."""
    _, rounded = rounding_of_means(parameters.d, EPS)
    return np.maximum(rules.floor(parameters.d), rounded * np.square(parameters.means).max(axis=0))


def _estimated(parameters: Parameters, rules: Rules) -> Mask:
    """Which components (k,) have rows, and a covariance that reg_covar was added to."""
    fixed = rules.fixed.covariances
    return (parameters.weights > 0) & (True if fixed is None else ~fixed)


def _many_rows(family: Family, masses: Array, d: int) -> Mask:
    """Which covariances are learnt from rows enough, of components of masses (…,k)."""
    return (masses if family.per_component else masses.sum(axis=-1, keepdims=True)) >= OWN_ROWS * (d + 1)


def _same_covariances(parameters: Parameters, a: int, b: int) -> bool:
    if not parameters.family.per_component:
        return True
    one, other = parameters.covariances[a], parameters.covariances[b]
    return np.allclose(one, other, rtol=SAME, atol=SAME * float(np.abs(one).max()))
