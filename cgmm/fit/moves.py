"""Starts made of good fits, many at a time: mixtures near one of them, or between two."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cgmm.fit.split_merge import closeness, split_and_merge
from cgmm.fit.starts import FAR
from cgmm.mixture import matrices
from cgmm.mixture.sketches import Sketches

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.place import InMemory
    from cgmm.types import Array, Labels, Mask

# Rows that begin a component are at least this many more than features: with fewer, their covariance has no inverse.
MORE_THAN_FEATURES = 2
# The best of several good fits is taken the most often: of m of them, number m u² for u uniform in [0, 1).
PREFERENCE = 2

FARTHEST = 1e100  # What rows are apart counts for no more, in units of a spread: its square is still a number.


class Ground:
    """Where moves take place: rows without gaps and their weights, and least variances (d,).

    count : rows of positive weight
    """

    def __init__(self, rows: InMemory, least: Array) -> None:
        self.part, self.least, self.bounds = (part := rows.part), least, rows.edges
        self._sums = None if part.weights is None else np.cumsum(part.weights, dtype=np.float64)
        self.count = len(part.rows) if part.weights is None else int(np.count_nonzero(part.weights > 0))

    def drawn(self, count: int, rng: np.random.Generator) -> Labels:
        """So many rows, each drawn by its weight."""
        if self._sums is None:
            return rng.integers(len(self.part.rows), size=count)
        return np.searchsorted(self._sums, rng.random(count) * self._sums[-1], side="right")


class Good:
    """Good fits of different optima, the best first, of which starts are made."""

    def __init__(self, fits: Sequence[Parameters], ground: Ground) -> None:
        self.ground, self.count = ground, len(fits)
        self.all = Sketches.of(fits)
        self.spreads = np.sqrt(np.maximum([fit.variances.mean(axis=0) for fit in fits], ground.least))
        self.close = np.cumsum([closeness(fit, ground.least) for fit in fits], axis=1)

    def drawn(self, count: int, rng: np.random.Generator) -> Labels:
        """So many of them."""
        return (self.count * rng.random(count) ** PREFERENCE).astype(np.intp)


# (good fits, how many, random numbers) → so many starts that are made of them.
Move: TypeAlias = Callable[[Good, int, np.random.Generator], Sketches]


def made(good: Good, count: int, rng: np.random.Generator, late: bool = True) -> tuple[list[str], Sketches]:
    """So many starts made of good fits, by each move as often as by any other, and the name of the move of each.

    late : the search is one of many starts, see kinds_for
    """
    moves = {kind: MOVES[kind] for kind in kinds_for(good, late)}
    counts = {kind: (count + at) // len(moves) for at, kind in enumerate(reversed(moves))}
    some = [moves[kind](good, number, rng) for kind, number in counts.items() if number]
    return [kind for kind, number in counts.items() for _ in range(number)], Sketches.together(some)


def kinds_for(good: Good, late: bool) -> list[str]:
    """The moves that good fits allow: a cross takes two, and a plane a component that may be flat in any direction.

    A plane is for late starts: ten starts ended lower with planes, forty and more higher.
    """
    family = good.all.family
    barred: set[Move] = set() if good.count > 1 else {crossed}
    if not (late and family.correlated and family.per_component):
        barred.add(flattened)
    return [kind for kind, move in MOVES.items() if move not in barred]


def split_and_merged(good: Good, count: int, rng: np.random.Generator) -> Sketches:
    """Two components of a fit merged, and a third split."""
    which = good.drawn(count, rng)
    return split_and_merge(good.all.taken(which), good.close[which], good.ground.bounds, rng)


def swapped(good: Good, count: int, rng: np.random.Generator) -> Sketches:
    """A component moved to a row, with the mean weight and covariance of the others (Zhao, Hautamäki, Kärkkäinen and
    Fränti, Random swap EM algorithm for Gaussian mixture models, 2012)."""
    found, ground, each = good.all.taken(good.drawn(count, rng)), good.ground, np.arange(count)
    k, components = found.k, rng.integers(found.k, size=count)
    found.weights[...] *= 1 - 1 / k
    found.weights[each, components] = 1 / k
    found.means[each, components] = ground.part.rows[ground.drawn(count, rng)]
    if found.family.per_component:
        found.covariances[each, components] = found.covariances.mean(axis=1)
    return found


def gathered(good: Good, count: int, rng: np.random.Generator) -> Sketches:
    """A component moved to a few rows that are neighbours, with their mean and covariance."""
    ground, which = good.ground, good.drawn(count, rng)
    n, d = ground.count, ground.part.rows.shape[1]
    fewest = d + MORE_THAN_FEATURES
    numbers = _log_uniform(fewest, np.full(count, max(fewest + 1, n // good.all.k)), n, rng)
    order = _nearest(ground, ground.drawn(count, rng), good.spreads[which])
    return _moved_to(good, which, [near[:number] for near, number in zip(order, numbers, strict=True)], rng)


def flattened(good: Good, count: int, rng: np.random.Generator) -> Sketches:
    """A component moved to a few rows near a plane through as many rows as there are features, which are neighbours
    (as Fischler and Bolles, Random sample consensus, 1981, find planes): EM alone hardly finds flat components."""
    ground, which = good.ground, good.drawn(count, rng)
    n, d = ground.count, ground.part.rows.shape[1]
    fewest = d + MORE_THAN_FEATURES
    around = _log_uniform(2 * fewest, np.full(count, n), n, rng)
    first, spreads = ground.drawn(count, rng), good.spreads[which]
    order = _nearest(ground, first, spreads)
    numbers = _log_uniform(fewest, np.maximum(fewest + 1, around // 2), around, rng)
    picked = 1 + (rng.random((count, d - 1)) * (around[:, np.newaxis] - 1)).astype(np.intp)
    through = ground.part.rows[np.take_along_axis(order, np.minimum(picked, n - 1), axis=1)].astype(np.float64)
    origins = ground.part.rows[first].astype(np.float64)
    units = 1 / spreads
    along = np.clip((through - origins[:, np.newaxis]) * units[:, np.newaxis], -FARTHEST, FARTHEST)
    normals = _normals(along) * units
    sets = []
    for near, number, many, normal, origin in zip(order, numbers, around, normals, origins, strict=True):
        some = near[:many]
        away = np.abs(np.einsum("ij,j->i", ground.part.rows[some] - origin, normal))
        sets.append(some[np.argsort(away, kind="stable")[:number]])
    return _moved_to(good, which, sets, rng)


def _normals(vectors: Array) -> Array:
    """A unit vector (m,d) that is orthogonal to each of some vectors (m,d−1,d)."""
    d = vectors.shape[2]
    return matrices.eigh_each(np.einsum("mqi,mqj->mij", vectors, vectors))[1][:, :, 0].reshape(-1, d)


def _log_uniform(fewest: int, most: Labels, at_most: int | Labels, rng: np.random.Generator) -> Labels:
    """Numbers whose logarithms are uniform from that of the fewest to those of the most (m,), but none too large."""
    low, high = np.log(fewest), np.log(np.maximum(most, fewest))
    return np.minimum(np.exp(low + (high - low) * rng.random(len(most))).astype(np.intp), at_most)


def _moved_to(good: Good, which: Labels, sets: Sequence[Labels], rng: np.random.Generator) -> Sketches:
    """Fits with a component moved to a set of rows each, with their mean, covariance and share of all rows."""
    found, rows, row_weights = good.all.taken(which), good.ground.part.rows, good.ground.part.weights
    for at, (c, some) in enumerate(zip(rng.integers(found.k, size=len(which)).tolist(), sets, strict=True)):
        own = np.ones(len(some)) if row_weights is None else row_weights[some]
        shares, few = own / own.sum(), rows[some].astype(np.float64, copy=False)
        found.weights[at, c], found.means[at, c] = len(some) / len(rows), np.einsum("i,ij->j", shares, few)
        if found.family.per_component:
            away = few - found.means[at, c]
            found.covariances[at, c] = found.family.compact(np.einsum("i,ij,il->jl", shares, away, away))
    return found


def _nearest(ground: Ground, first: Labels, spreads: Array) -> Labels:
    """The rows in the order of their distance from some of them (m,), in units of spreads (m,d); those without weight
    come last."""
    rows, row_weights = ground.part.rows, ground.part.weights
    distances = np.zeros((len(first), len(rows)))
    with np.errstate(over="ignore"):
        for column, unit in zip(rows.T, spreads.T, strict=True):
            distances += ((column - column[first, np.newaxis]) / unit[:, np.newaxis]) ** 2
    distances = np.minimum(distances, FAR)
    if row_weights is not None:
        distances = np.where(row_weights > 0, distances, np.inf)
    return np.argsort(distances, axis=1, kind="stable")


def crossed(good: Good, count: int, rng: np.random.Generator) -> Sketches:
    """The components of one fit on one side of a plane through a row, and those of another on the other side (Deaven
    and Ho, Molecular geometry optimization with a genetic algorithm, 1995)."""
    ground, k = good.ground, good.all.k
    one = rng.integers(good.count, size=count)
    other = (one + 1 + rng.integers(good.count - 1, size=count)) % good.count
    ours, theirs = good.all.taken(one), good.all.taken(other)
    normals = rng.normal(size=(count, ours.means.shape[2])) / good.spreads[one]
    edges = (ground.part.rows[ground.drawn(count, rng)] * normals).sum(axis=1)[:, np.newaxis]
    near = np.einsum("mkj,mj->mk", ours.means, normals) <= edges
    beyond = np.einsum("mkj,mj->mk", theirs.means, normals) > edges
    # The components of both, those on their own side first, in random order: k of them are taken.
    numbers = near.sum(axis=1)
    spare = numbers + beyond.sum(axis=1) - k
    taken = numbers - rng.integers(np.minimum(spare, 0), np.maximum(spare, 0) + 1)
    taken, slots = np.clip(taken, 0, k)[:, np.newaxis], np.arange(k)
    first, second = _own_side_first(near, rng), _own_side_first(beyond, rng)
    # Slots after those of one fit are of the other: its components, from the first of its own side on.
    components = np.where(slots < taken, first, k + np.take_along_axis(second, np.maximum(slots - taken, 0), axis=1))
    least = 1 / (1000 * k)  # of a weight: a component without one would have no rows
    each = np.arange(count)[:, np.newaxis]
    weights, means = (
        np.concatenate(pair, axis=1)[each, components] for pair in zip(ours[1:3], theirs[1:3], strict=True)
    )
    covariances = ours.covariances
    if ours.family.per_component:
        covariances = np.concatenate([covariances, theirs.covariances], axis=1)[each, components]
    return Sketches(ours.family, np.maximum(weights, least), means, covariances)


def _own_side_first(side: Mask, rng: np.random.Generator) -> Labels:
    """An order of components (m,k), those on their own side first, and else random."""
    return np.argsort(rng.random(side.shape) + ~side, axis=1)


MOVES: dict[str, Move] = {
    "split and merge": split_and_merged,
    "component moved": swapped,
    "component on neighbours": gathered,
    "component on a plane": flattened,
    "cross of two fits": crossed,
}
