"""Mixtures near a mixture: one component split, two merged, or both."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture import matrices
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.statistics import EMPTY

if TYPE_CHECKING:
    from cgmm.types import Array, Mask, Rows


def split_and_merge(
    parameters: Parameters, least: Array, bounds: tuple[Rows, Rows], rng: np.random.Generator
) -> Parameters:
    """Two components of a mixture merged into one, and a third split along its longest axis (Ueda, Nakano,
    Ghahramani and Hinton, SMEM algorithm for mixture models, 2000), near pairs drawn the more often.

    Of two components, the lighter is dropped and the heavier split. Arguments as of `split`.
    """
    k = parameters.k
    close = closeness(parameters, least)
    a, b = divmod(int(rng.choice(k * k, p=close / close.sum())), k)
    if k == 2:
        heavier = [int(parameters.weights.argmax())]
        covariances = parameters.family.take(parameters.covariances, heavier)
        return split(_of(parameters, np.ones(1), parameters.means[heavier], covariances, least), 0, least, bounds)
    merged = merge(parameters, a, b, least)
    p = merged.weights[:-1] + 1e-3
    return split(merged, int(rng.choice(k - 2, p=p / p.sum())), least, bounds)


def merge(parameters: Parameters, a: int, b: int, least: Array) -> Parameters:
    """The mixture with components a and b as one, the last, of their mean and covariance."""
    others = matrices.all_but(parameters.k, [a, b])
    weights, means = parameters.weights, parameters.means
    weight = weights[a] + weights[b]
    share, gap = weights[a] / max(weight, EMPTY), means[a] - means[b]
    covariance = share * _one(parameters, a) + (1 - share) * _one(parameters, b)
    covariance += share * (1 - share) * gap[:, None] * gap
    return _of(
        parameters,
        np.append(weights[others], weight),
        np.vstack([means[others], share * means[a] + (1 - share) * means[b]]),
        _with(parameters, others, [covariance]),
        least,
    )


def split(parameters: Parameters, c: int, least: Array, bounds: tuple[Rows, Rows]) -> Parameters:
    """The mixture with component c as two, the last, along its longest axis.

    least : (d,) below it no variance falls;  bounds : (d,) and (d,), between which means stay: those of the rows
    """
    others = matrices.all_but(parameters.k, [c])
    weights, means = parameters.weights, parameters.means
    whole = _one(parameters, c)
    values, axes = matrices.eigh(whole)
    step = np.sqrt(max(values[-1], 0.0) / 2) * axes[:, -1]
    halves = np.clip([means[c] - step, means[c] + step], *bounds)
    return _of(
        parameters,
        np.append(weights[others], [weights[c] / 2, weights[c] / 2]),
        np.vstack([means[others], halves]),
        _with(parameters, others, [whole - step[:, None] * step] * 2),
        least,
    )


def closeness(parameters: Parameters, least: Array) -> Array:
    """How close each pair of components is (k·k,), in units of the spread within; zero for all but a < b."""
    k = parameters.k
    spread = np.sqrt(np.einsum("c,cj->j", parameters.weights, parameters.variances))
    scaled = parameters.means / np.maximum(spread, np.sqrt(least))
    return np.triu([1.0 / (1e-3 + ((scaled - scaled[c]) ** 2).sum(axis=1)) for c in range(k)], 1).ravel()


def _of(like: Parameters, weights: Array, means: Array, covariances: Array, least: Array) -> Parameters:
    return Parameters.held(like.family, weights / weights.sum(), means, np.array(covariances), least)


def _one(parameters: Parameters, c: int) -> Array:
    """The covariance (d,d) of a component."""
    family, d = parameters.family, parameters.d
    return family.expand(family.take(parameters.covariances, [c]), 1, d)[0]


def _with(parameters: Parameters, others: Mask, more: list[Array]) -> Array:
    """The covariances of those components and, nearest to more (d,d), of the family; a shared one stays."""
    family, count = parameters.family, int(np.count_nonzero(others)) + len(more)
    if not family.per_component:
        return family.take(parameters.covariances, [0] * count)
    return np.concatenate([parameters.covariances[others], [family.compact(full) for full in more]])
