"""Starts made of good fits: a mixture near one of them, or between two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from cgmm.em import reseed
from cgmm.fit.split_merge import split_and_merge
from cgmm.fit.starts import FAR
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.rows import partition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels, Mask, Rows

# Rows that begin a component are at least this many more than features: with fewer, their covariance has no inverse.
MORE_THAN_FEATURES = 2
# The best of several good fits is taken the most often: of m of them, number m u² for u uniform in [0, 1).
PREFERENCE = 2


class Ground(NamedTuple):
    """Where moves take place: rows without gaps and their weights, least variances (d,), random numbers."""

    part: Part
    least: Array
    rng: np.random.Generator

    def row(self) -> int:
        """A row, drawn by its weight."""
        weights, n = self.part.weights, len(self.part.rows)
        if weights is None:
            return int(self.rng.integers(n))
        sums = np.cumsum(weights, dtype=np.float64)
        return min(int(np.searchsorted(sums, self.rng.random() * sums[-1], side="right")), n - 1)

    def bounds(self) -> tuple[Rows, Rows]:
        """The least and the largest row (d,)."""
        rows = self.part.rows
        return rows.min(axis=0), rows.max(axis=0)


# (fits, ground) → parameters: a start made of good fits, the best first.
Move: TypeAlias = Callable[["Sequence[Parameters]", Ground], Parameters]


def _one_of(fits: Sequence[Parameters], rng: np.random.Generator) -> Parameters:
    return fits[int(len(fits) * rng.random() ** PREFERENCE)]


def split_and_merged(fits: Sequence[Parameters], ground: Ground) -> Parameters:
    """Two components of a fit merged, and a third split."""
    return split_and_merge(_one_of(fits, ground.rng), ground.least, ground.bounds(), ground.rng)


def swapped(fits: Sequence[Parameters], ground: Ground) -> Parameters:
    """A component moved to a row, with the mean weight and covariance of the others (Zhao, Hautamäki, Kärkkäinen and
    Fränti, Random swap EM algorithm for Gaussian mixture models, 2012)."""
    fit = _one_of(fits, ground.rng)
    c, i = int(ground.rng.integers(fit.k)), ground.row()
    return reseed.at_rows(ground.part.rows[i : i + 1], fit, [c], ground.least)


def gathered(fits: Sequence[Parameters], ground: Ground) -> Parameters:
    """A component moved to a few rows that are neighbours, with their mean and covariance."""
    fit, rng = _one_of(fits, ground.rng), ground.rng
    rows, row_weights = ground.part.rows, ground.part.weights
    (n, d), c = rows.shape, int(rng.integers(fit.k))
    fewest = d + MORE_THAN_FEATURES
    most = max(fewest + 1, n // fit.k)
    count = min(int(np.exp(rng.uniform(np.log(fewest), np.log(most)))), n)
    spread = np.sqrt(np.maximum(fit.variances.mean(axis=0), ground.least))
    with np.errstate(over="ignore"):
        distances = np.minimum((((rows - rows[ground.row()]) / spread) ** 2).sum(axis=1), FAR)
    if row_weights is not None:
        distances = np.where(row_weights > 0, distances, np.inf)
    near = np.argsort(distances, kind="stable")[:count]
    own = None if row_weights is None else np.ascontiguousarray(row_weights[near])
    labels = np.zeros(count, dtype=np.intp)
    few = partition.of_labels(np.ascontiguousarray(rows[near]), labels, 1, fit.family, own)
    one, _ = Parameters.estimated(fit.family, few, Rules(least=ground.least))
    weights, means, covariances = fit.weights.copy(), fit.means.copy(), fit.covariances.copy()
    weights[c], means[c] = count / n, one.means[0]
    if fit.family.per_component:
        covariances[c] = one.covariances[0]
    return Parameters.held(fit.family, weights / weights.sum(), means, covariances, ground.least)


def crossed(fits: Sequence[Parameters], ground: Ground) -> Parameters:
    """The components of one fit on one side of a plane through a row, and those of another on the other side (Deaven
    and Ho, Molecular geometry optimization with a genetic algorithm, 1995)."""
    if len(fits) == 1:
        return swapped(fits, ground)
    rng, k = ground.rng, fits[0].k
    one, other = (fits[at] for at in rng.choice(len(fits), 2, replace=False))
    scale = np.sqrt(np.maximum(one.variances.mean(axis=0), ground.least))
    normal = rng.normal(size=one.d) / scale
    edge = ground.part.rows[ground.row()] @ normal
    # The components of both, those on their own side first, in random order: k of them are taken, alternately.
    near, beyond = one.means @ normal <= edge, other.means @ normal > edge
    ours, theirs = _own_side_first(near, rng), _own_side_first(beyond, rng)
    count = int(np.count_nonzero(near))
    spare = count + int(np.count_nonzero(beyond)) - k
    count = min(max(count - int(rng.integers(min(spare, 0), max(spare, 0) + 1)), 0), k)
    ours, theirs = ours[:count], theirs[: k - count]
    weights = np.concatenate([one.weights[ours], other.weights[theirs]])
    covariances = one.covariances.copy()
    if one.family.per_component:
        covariances = np.concatenate([one.covariances[ours], other.covariances[theirs]])
    least = 1 / (1000 * k)  # of a weight: a component without one would have no rows
    weights = np.maximum(weights, least)
    means = np.vstack([one.means[ours], other.means[theirs]])
    return Parameters.held(one.family, weights / weights.sum(), means, covariances, ground.least)


def _own_side_first(side: Mask, rng: np.random.Generator) -> Labels:
    order = rng.permutation(len(side))
    return np.concatenate([order[side[order]], order[~side[order]]])


MOVES: dict[str, Move] = {
    "split and merge": split_and_merged,
    "component moved": swapped,
    "component on neighbours": gathered,
    "cross of two fits": crossed,
}
