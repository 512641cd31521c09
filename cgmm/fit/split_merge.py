"""Mixtures near mixtures, many at a time: one component split, two merged, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture import matrices
from cgmm.mixture.sketches import Sketches

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Labels

LEAST_SHARE = 1e-3  # What is added to weights by which a component is drawn: one without rows is split as well.


def split_and_merge(of: Sketches, sums: Array, bounds: tuple[Array, Array], rng: np.random.Generator) -> Sketches:
    """Of each mixture two components merged into one, and a third split along its longest axis (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000), near pairs drawn the more often.

    Of two components, the lighter is dropped and the heavier split.

    sums : (m,k·k) `closeness` of each mixture, summed up;  bounds : as of `split`
    """
    a, b = np.divmod(drawn(sums, rng), of.k)
    if of.k == 2:
        return split(of.only(of.weights.argmax(axis=1)), np.zeros(of.m, dtype=np.intp), bounds)
    merged = merge(of, a, b)
    return split(merged, drawn(np.cumsum(merged.weights[:, :-1] + LEAST_SHARE, axis=1), rng), bounds)


def drawn(sums: Array, rng: np.random.Generator) -> Labels:
    """An index (m,) into each row of running sums (m,q), drawn in proportion to what they gain there."""
    thresholds = rng.random(len(sums)) * sums[:, -1]
    return np.minimum((sums <= thresholds[:, np.newaxis]).sum(axis=1), sums.shape[1] - 1)


def merge(of: Sketches, a: Labels, b: Labels) -> Sketches:
    """The mixtures, or one, with components a and b (m,) as one, the last, of their mean and covariance."""
    if not of.family.compiled:
        return of.with_covariances_of(merge(of.freed, a, b))
    return Sketches(of.family, *_kernels.merge_each(of.family.name, *of[1:], a, b))


def split(of: Sketches, components: Labels, bounds: tuple[Array, Array]) -> Sketches:
    """The mixtures, or one, with one component (m,) of each as two, the last, along its longest axis.

    bounds : (d,) and (d,), between which means stay: those of the rows
    """
    if not of.family.compiled:
        return of.with_covariances_of(split(of.freed, components, bounds))
    steps = None if of.means.shape[2] <= matrices.UNTHREADED else _steps(of, components)
    return Sketches(of.family, *_kernels.split_each(of.family.name, *of[1:], components, *bounds, steps))


def _steps(of: Sketches, components: Labels) -> Array:
    """From the mean of one component (m,) of each mixture to that of a half of it, (m,d)."""
    values, axes = matrices.eigh_each(of.matrices(components))
    return np.sqrt(np.maximum(values[:, -1:], 0.0) / 2) * axes[:, :, -1]


def splits(fit: Parameters, components: Labels, bounds: tuple[Array, Array]) -> Sketches:
    """One mixture with each of some components split."""
    return split(Sketches.of([fit]), components, bounds)


def mergers(fit: Parameters, pairs: Labels) -> Sketches:
    """One mixture with each of some pairs of components, a k + b, merged."""
    return merge(Sketches.of([fit]), *np.divmod(pairs, fit.k))


def closeness(parameters: Parameters, least: Array) -> Array:
    """How close each pair of components is (k·k,), in units of the spread within; zero for all but a < b."""
    of = Sketches.of([parameters])
    of = of if of.family.compiled else of.freed
    return _kernels.closeness(of.family.name, *of[1:], least)
