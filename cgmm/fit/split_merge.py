"""Mixtures near a mixture: one component split, two merged, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture import matrices
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.statistics import EMPTY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.mixture.families import Family
    from cgmm.types import Array, Rows

BLOCK = 1 << 16  # Differences of means that are in memory at once.


class Sketch(NamedTuple):
    """A mixture whose covariances have not been held from below yet; its weights are in proportion to these."""

    family: Family
    weights: Array
    means: Array
    covariances: Array


def held(sketches: Sequence[Sketch], least: Array) -> list[Parameters]:
    """The mixtures of sketches of one family and as many components, none of whose variances is below least (d,)."""
    family = sketches[0].family
    found = family.hold_all(np.array([sketch.covariances for sketch in sketches]), least)
    return [
        Parameters(family, sketch.weights / sketch.weights.sum(), sketch.means, covariances, root)
        for sketch, covariances, root in zip(sketches, *found, strict=True)
    ]


def split_and_merge(fit: Parameters, close: Array, bounds: tuple[Rows, Rows], rng: np.random.Generator) -> Sketch:
    """Two components of a mixture merged into one, and a third split along its longest axis (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000), near pairs drawn the more often.

    Of two components, the lighter is dropped and the heavier split.

    close : `closeness` of the fit, summed up;  bounds : as of `split`
    """
    k = fit.k
    a, b = divmod(drawn(close, rng), k)
    if k == 2:
        heavier = [int(fit.weights.argmax())]
        covariances = fit.family.take(fit.covariances, heavier)
        return split(Sketch(fit.family, np.ones(1), fit.means[heavier], covariances), 0, bounds)
    merged = merge(fit, a, b)
    return split(merged, drawn(np.cumsum(merged.weights[:-1] + 1e-3), rng), bounds)


def drawn(sums: Array, rng: np.random.Generator) -> int:
    """An index, drawn in proportion to what the running sums gain there."""
    return min(int(np.searchsorted(sums, rng.random() * sums[-1], side="right")), len(sums) - 1)


def merge(of: Parameters | Sketch, a: int, b: int) -> Sketch:
    """The mixture with components a and b as one, the last, of their mean and covariance."""
    weights, means = of.weights, of.means
    weight = weights[a] + weights[b]
    share, gap = weights[a] / max(weight, EMPTY), means[a] - means[b]
    covariance = share * _one(of, a) + (1 - share) * _one(of, b)
    covariance += share * (1 - share) * gap[:, None] * gap
    return _with(of, [a, b], weight, [share * means[a] + (1 - share) * means[b]], covariance)


def split(of: Parameters | Sketch, c: int, bounds: tuple[Rows, Rows]) -> Sketch:
    """The mixture with component c as two, the last, along its longest axis.

    bounds : (d,) and (d,), between which means stay: those of the rows
    """
    mean, whole = of.means[c], _one(of, c)
    values, axes = matrices.eigh(whole)
    step = np.sqrt(max(values[-1], 0.0) / 2) * axes[:, -1]
    halves = np.minimum(np.maximum([mean - step, mean + step], bounds[0]), bounds[1])
    return _with(of, [c], of.weights[c] / 2, halves, whole - step[:, None] * step)


def closeness(parameters: Parameters, least: Array) -> Array:
    """How close each pair of components is (k·k,), in units of the spread within; zero for all but a < b."""
    k, d = parameters.means.shape
    spread = np.sqrt(np.einsum("c,cj->j", parameters.weights, parameters.variances))
    scaled = parameters.means / np.maximum(spread, np.sqrt(least))
    some = max(1, BLOCK // (k * d))
    blocks = (scaled[at : at + some, None] - scaled for at in range(0, k, some))
    return np.triu(np.concatenate([1.0 / (1e-3 + (block**2).sum(axis=2)) for block in blocks]), 1).ravel()


def _one(of: Parameters | Sketch, c: int) -> Array:
    """The covariance (d,d) of a component."""
    return of.family.expand(of.family.take(of.covariances, [c]), 1, of.means.shape[1])[0]


def _with(
    of: Parameters | Sketch, without: list[int], weight: float, more: Sequence[Array] | Array, covariance: Array
) -> Sketch:
    """The mixture but for some components, and as many more as there are means (d,), of that weight each and nearest to
    that covariance (d,d); a shared covariance stays."""
    family, others, left = of.family, matrices.all_but(len(of.weights), without), len(of.weights) - len(without)
    k = left + len(more)
    weights, means = np.empty(k), np.empty((k, of.means.shape[1]))
    weights[:left], means[:left] = of.weights[others], of.means[others]
    weights[left:], means[left:] = weight, more
    if not family.per_component:
        return Sketch(family, weights, means, family.take(of.covariances, [0] * k))
    covariances = np.empty((k, *of.covariances.shape[1:]))
    covariances[:left], covariances[left:] = of.covariances[others], family.compact(covariance)
    return Sketch(family, weights, means, covariances)
