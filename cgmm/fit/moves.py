"""Starts made of good fits: a mixture near one of them, or between two."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle, islice
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cgmm.fit.split_merge import Sketch, closeness, drawn, held, split_and_merge
from cgmm.fit.starts import FAR

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels, Mask, Rows

# Rows that begin a component are at least this many more than features: with fewer, their covariance has no inverse.
MORE_THAN_FEATURES = 2
# The best of several good fits is taken the most often: of m of them, number m u² for u uniform in [0, 1).
PREFERENCE = 2


class Ground:
    """Where moves take place: rows without gaps and their weights, and least variances (d,)."""

    def __init__(self, part: Part, least: Array) -> None:
        self.part, self.least = part, least
        self.bounds: tuple[Rows, Rows] = part.rows.min(axis=0), part.rows.max(axis=0)
        self._sums = None if part.weights is None else np.cumsum(part.weights, dtype=np.float64)
        self._close: list[tuple[Parameters, Array]] = []

    def row(self, rng: np.random.Generator) -> int:
        """A row, drawn by its weight."""
        return int(rng.integers(len(self.part.rows))) if self._sums is None else drawn(self._sums, rng)

    def close(self, fits: Sequence[Parameters], fit: Parameters) -> Array:
        """The running sums of the closeness of a fit's components; of the good fits they are remembered."""
        self._close = [(known, sums) for known, sums in self._close if any(known is one for one in fits)]
        for known, sums in self._close:
            if known is fit:
                return sums
        self._close.append((fit, np.cumsum(closeness(fit, self.least))))
        return self._close[-1][1]


# (fits, ground, random numbers) → a start made of good fits, the best first.
Move: TypeAlias = Callable[["Sequence[Parameters]", Ground, np.random.Generator], Sketch]


def made(
    fits: Sequence[Parameters], ground: Ground, rng: np.random.Generator, count: int
) -> list[tuple[str, Parameters]]:
    """So many starts made of good fits, by each move in turn, and the names of the moves."""
    kinds = list(islice(cycle(MOVES), count))
    return list(zip(kinds, held([MOVES[kind](fits, ground, rng) for kind in kinds], ground.least), strict=True))


def _one_of(fits: Sequence[Parameters], rng: np.random.Generator) -> Parameters:
    return fits[int(len(fits) * rng.random() ** PREFERENCE)]


def split_and_merged(fits: Sequence[Parameters], ground: Ground, rng: np.random.Generator) -> Sketch:
    """Two components of a fit merged, and a third split."""
    fit = _one_of(fits, rng)
    return split_and_merge(fit, ground.close(fits, fit), ground.bounds, rng)


def swapped(fits: Sequence[Parameters], ground: Ground, rng: np.random.Generator) -> Sketch:
    """A component moved to a row, with the mean weight and covariance of the others (Zhao, Hautamäki, Kärkkäinen and
    Fränti, Random swap EM algorithm for Gaussian mixture models, 2012)."""
    fit = _one_of(fits, rng)
    c, k = int(rng.integers(fit.k)), fit.k
    weights, means = fit.weights * (1 - 1 / k), fit.means.copy()
    weights[c], means[c] = 1 / k, ground.part.rows[ground.row(rng)]
    return Sketch(fit.family, weights, means, fit.family.keep(fit.covariances.copy(), [c], None))


def gathered(fits: Sequence[Parameters], ground: Ground, rng: np.random.Generator) -> Sketch:
    """A component moved to a few rows that are neighbours, with their mean and covariance."""
    fit, family = _one_of(fits, rng), fits[0].family
    rows, row_weights = ground.part.rows, ground.part.weights
    (n, d), c = rows.shape, int(rng.integers(fit.k))
    fewest = d + MORE_THAN_FEATURES
    most = max(fewest + 1, n // fit.k)
    count = min(int(np.exp(rng.uniform(np.log(fewest), np.log(most)))), n)
    spread = np.sqrt(np.maximum(fit.variances.mean(axis=0), ground.least))
    with np.errstate(over="ignore"):
        distances = np.minimum((((rows - rows[ground.row(rng)]) / spread) ** 2).sum(axis=1), FAR)
    if row_weights is not None:
        distances = np.where(row_weights > 0, distances, np.inf)
    near = np.argsort(distances, kind="stable")[:count]
    own = np.ones(count) if row_weights is None else row_weights[near]
    shares = own / own.sum()
    few = rows[near].astype(np.float64, copy=False)
    weights, means, covariances = fit.weights.copy(), fit.means.copy(), fit.covariances.copy()
    weights[c], means[c] = count / n, np.einsum("i,ij->j", shares, few)
    if family.per_component:
        away = few - means[c]
        covariances[c] = family.compact(np.einsum("i,ij,il->jl", shares, away, away))
    return Sketch(family, weights, means, covariances)


def crossed(fits: Sequence[Parameters], ground: Ground, rng: np.random.Generator) -> Sketch:
    """The components of one fit on one side of a plane through a row, and those of another on the other side (Deaven
    and Ho, Molecular geometry optimization with a genetic algorithm, 1995)."""
    if len(fits) == 1:
        return swapped(fits, ground, rng)
    k, first = fits[0].k, int(rng.integers(len(fits)))
    one, other = fits[first], fits[(first + 1 + int(rng.integers(len(fits) - 1))) % len(fits)]
    scale = np.sqrt(np.maximum(one.variances.mean(axis=0), ground.least))
    normal = rng.normal(size=one.d) / scale
    edge = ground.part.rows[ground.row(rng)] @ normal
    # The components of both, those on their own side first, in random order: k of them are taken, alternately.
    near, beyond = one.means @ normal <= edge, other.means @ normal > edge
    ours, theirs = _own_side_first(near, rng), _own_side_first(beyond, rng)
    count = int(np.count_nonzero(near))
    spare = count + int(np.count_nonzero(beyond)) - k
    count = min(max(count - int(rng.integers(min(spare, 0), max(spare, 0) + 1)), 0), k)
    ours, theirs = ours[:count], theirs[: k - count]
    weights = np.concatenate([one.weights[ours], other.weights[theirs]])
    covariances = one.covariances
    if one.family.per_component:
        covariances = np.concatenate([one.covariances[ours], other.covariances[theirs]])
    least = 1 / (1000 * k)  # of a weight: a component without one would have no rows
    means = np.concatenate([one.means[ours], other.means[theirs]])
    return Sketch(one.family, np.maximum(weights, least), means, covariances)


def _own_side_first(side: Mask, rng: np.random.Generator) -> Labels:
    order = rng.permutation(len(side))
    return np.concatenate([order[side[order]], order[~side[order]]])


MOVES: dict[str, Move] = {
    "split and merge": split_and_merged,
    "component moved": swapped,
    "component on neighbours": gathered,
    "cross of two fits": crossed,
}
