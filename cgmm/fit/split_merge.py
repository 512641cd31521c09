"""Mixtures near mixtures, many at a time: one component split, two merged, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture import matrices
from cgmm.mixture.sketches import Sketches
from cgmm.mixture.statistics import EMPTY

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Labels, Rows

BLOCK = 1 << 16  # Differences of means that are in memory at once.
LEAST_SHARE = 1e-3  # What is added to weights by which a component is drawn: one without rows is split as well.


def split_and_merge(of: Sketches, sums: Array, bounds: tuple[Rows, Rows], rng: np.random.Generator) -> Sketches:
    """Of each mixture two components merged into one, and a third split along its longest axis (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000), near pairs drawn the more often.

    Of two components, the lighter is dropped and the heavier split.

    sums : (m,k·k) `closeness` of each mixture, summed up;  bounds : as of `split`
    """
    a, b = np.divmod(drawn(sums, rng), of.k)
    if of.k == 2:
        lighter = of.weights.argmin(axis=1)
        nothing = np.empty((of.m, 0)), np.empty((of.m, 0, of.means.shape[2])), of.matrices(lighter)
        return split(of.without(lighter[:, np.newaxis], *nothing), np.zeros(of.m, dtype=np.intp), bounds)
    merged = merge(of, a, b)
    return split(merged, drawn(np.cumsum(merged.weights[:, :-1] + LEAST_SHARE, axis=1), rng), bounds)


def drawn(sums: Array, rng: np.random.Generator) -> Labels:
    """An index (m,) into each row of running sums (m,q), drawn in proportion to what they gain there."""
    thresholds = rng.random(len(sums)) * sums[:, -1]
    return np.minimum((sums <= thresholds[:, np.newaxis]).sum(axis=1), sums.shape[1] - 1)


def merge(of: Sketches, a: Labels, b: Labels) -> Sketches:
    """The mixtures with components a and b (m,) as one, the last, of their mean and covariance."""
    each = np.arange(of.m)
    weights = of.weights[each, a] + of.weights[each, b]
    share = of.weights[each, a] / np.maximum(weights, EMPTY)
    ours, theirs = of.means[each, a], of.means[each, b]
    gap, own = ours - theirs, share[:, np.newaxis, np.newaxis]
    joined = own * of.matrices(a) + (1 - own) * of.matrices(b)
    joined += own * (1 - own) * (gap[:, :, np.newaxis] * gap[:, np.newaxis])
    means = share[:, np.newaxis] * ours + (1 - share[:, np.newaxis]) * theirs
    return of.without(np.column_stack([a, b]), weights[:, np.newaxis], means[:, np.newaxis], joined)


def split(of: Sketches, components: Labels, bounds: tuple[Rows, Rows]) -> Sketches:
    """The mixtures with one component (m,) of each as two, the last, along its longest axis.

    bounds : (d,) and (d,), between which means stay: those of the rows
    """
    each = np.arange(of.m)
    mean, whole = of.means[each, components], of.matrices(components)
    values, axes = matrices.eigh_each(whole)
    step = np.sqrt(np.maximum(values[:, -1:], 0.0) / 2) * axes[:, :, -1]
    halves = np.clip(np.stack([mean - step, mean + step], axis=1), *bounds)
    weights = np.repeat(of.weights[each, components][:, np.newaxis] / 2, 2, axis=1)
    return of.without(components[:, np.newaxis], weights, halves, whole - step[:, :, np.newaxis] * step[:, np.newaxis])


def splits(fit: Parameters, components: Labels, bounds: tuple[Rows, Rows]) -> Sketches:
    """One mixture with each of some components split."""
    return split(Sketches.of([fit]).taken(np.zeros(len(components), dtype=np.intp)), components, bounds)


def mergers(fit: Parameters, pairs: Labels) -> Sketches:
    """One mixture with each of some pairs of components, a k + b, merged."""
    return merge(Sketches.of([fit]).taken(np.zeros(len(pairs), dtype=np.intp)), *np.divmod(pairs, fit.k))


def closeness(parameters: Parameters, least: Array) -> Array:
    """How close each pair of components is (k·k,), in units of the spread within; zero for all but a < b."""
    k, d = parameters.means.shape
    spread = np.sqrt(np.einsum("c,cj->j", parameters.weights, parameters.variances))
    scaled = parameters.means / np.maximum(spread, np.sqrt(least))
    some = max(1, BLOCK // (k * d))
    blocks = (scaled[at : at + some, None] - scaled for at in range(0, k, some))
    return np.triu(np.concatenate([1.0 / (1e-3 + (block**2).sum(axis=2)) for block in blocks]), 1).ravel()
