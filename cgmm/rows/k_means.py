"""k-means of rows in memory on the kernels: Lloyd's iterations, and seeds for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import distances_to

if TYPE_CHECKING:
    from cgmm.types import Array, Labels, Rows

# A pass that begins with guesses leaves far centres out. It is the faster one if it does less than this share of the
# dense work: measured.
WORTH = 0.5
LEAST_CENTERS = 32  # Of fewer, a pass that looks which are near takes longer than one that looks at all.
LARGEST_AS_IT_IS = 1e140  # Rows with larger values are scaled: the kernels cut squared distances at 1e300.


class KMeansResult(NamedTuple):
    """A partition by k-means.

    Attributes
    ----------
    centers : ndarray (k, d)
    labels : ndarray (n,)
        Of these centers.
    inertia : float
        Weighted sum of the squared distances of rows from their centers, in squared units of X.
    inertia_history : ndarray
        Before each move of the centers and at the end.
    n_iter : int
        Moves made.
    """

    centers: Array
    labels: Labels
    inertia: float
    inertia_history: Array
    n_iter: int


def moderate(X: Rows, n_threads: int = 1) -> tuple[Rows, int]:
    """Rows times 2^−e, and e, so that their squared distances are numbers for the kernels: mostly the rows, and 0."""
    if _kernels.all_within(X, LARGEST_AS_IT_IS, n_threads):
        return X, 0
    exponent = int(np.frexp(np.abs(X).max())[1])
    return np.ldexp(X, -exponent), exponent


def lloyd(
    X: Rows, centers: Array, max_iter: int, tol: float, row_weights: Array | None = None, n_threads: int = 1
) -> KMeansResult:
    """Lloyd's iterations (1982) from centers (k,d): assign each row to the nearest, move it to their mean.

    The labels of each pass are the guesses of the next, from which it knows what is near; they change no bit.
    """
    labels = np.empty(len(X), dtype=np.intp)
    leaving_out, worth = LeavingOut(len(centers) >= LEAST_CENTERS), 0.0
    threshold = tol * mean_variance(X, row_weights, n_threads) if tol else 0.0
    history, settled = [], False
    middle = None
    for moves in range(max_iter + 1):
        density = distances_to(centers, middle)
        n_k, sums, inertia, share = _kernels.assign(X, density, row_weights, labels, n_threads, worth)
        worth = leaving_out.worth_after(share, worth)
        history.append(inertia)
        moved = _means(n_k, sums, density.centre, centers)
        step = moved - centers
        if moves == max_iter or settled or not np.count_nonzero(step):
            break
        settled = (step * step).sum() <= threshold
        centers = moved
        if moves == 0:  # from now on the same: then the same centers follow from the same labels, to the bit
            middle = distances_to(centers).centre
    return KMeansResult(centers, labels, history[-1], np.array(history), moves)


def _means(n_k: Array, sums: Array, middle: Array, centers: Array) -> Array:
    """The means (k,d) of the rows of each cluster, from their sums about a point; of an empty one, its center."""
    if n_k.min() > 0:
        return sums / n_k[:, np.newaxis] + middle
    moved, filled = centers.copy(), n_k > 0
    moved[filled] = sums[filled] / n_k[filled, np.newaxis] + middle
    return moved


class LeavingOut:
    """Whether the next pass leaves far centers out: decided by counts of the work done, so always the same.

    One that did not pay is followed by a dense one, the next by two, then by four, …: when the centers have come to
    rest, it may pay.
    """

    def __init__(self, possible: bool) -> None:
        self._possible, self._rest, self._left = possible, 1, 0

    def worth_after(self, share: float, worth: float) -> float:
        """The share of the dense work that the next pass may take, 0 for a dense one, after what the last one did."""
        if worth and share >= worth:
            self._left, self._rest = self._rest, 2 * self._rest
        self._left -= 1
        return WORTH if self._possible and self._left < 0 else 0.0


def mean_variance(X: Rows, row_weights: Array | None = None, n_threads: int = 1) -> float:
    """Variance of a feature, averaged over the features: the scale of a tolerance."""
    shift = _kernels.column_means(X[:: max(1, len(X) // 100)])[np.newaxis]
    n_k, sums, inertia, _ = _kernels.assign(X, distances_to(shift), row_weights, None, n_threads)
    return float(inertia / n_k[0] - ((sums[0] / n_k[0]) ** 2).sum()) / X.shape[1]


def nearest(X: Rows, centers: Array, n_threads: int = 1) -> Labels:
    """The nearest center of each row, (n,)."""
    return _kernels.evaluate(X, distances_to(centers), "labels", n_threads)


def plus_plus(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None = None, n_threads: int = 1) -> Array:
    """Greedy k-means++ seeds (k,d): each the best of a few rows drawn in proportion to w · distance²."""
    trials = 2 + int(np.log(k))
    w = None if row_weights is None else np.ascontiguousarray(row_weights)
    ones, closest, chosen = np.ones(len(X)), np.full(len(X), np.inf), []
    chunk_sums = np.add.reduceat(ones if w is None else w, np.arange(0, len(X), _kernels.CHUNK))
    candidates = draw(ones, w, chunk_sums, 1, rng)
    distances = np.empty((trials, len(X)))
    while True:
        centers = np.ascontiguousarray(X[candidates], dtype=np.float64)
        found = distances[: len(candidates)]
        chunk_sums = _kernels.closer(X, distances_to(centers), closest, found, w, n_threads)
        best = chunk_sums.sum(axis=0).argmin()
        chosen.append(candidates[best])
        if len(chosen) == k:
            return np.ascontiguousarray(X[chosen], dtype=np.float64)
        closest[:] = found[best]
        candidates = draw(closest, w, chunk_sums[:, best], trials, rng)


def draw(values: Array, w: Array | None, chunk_sums: Array, count: int, rng: np.random.Generator) -> list[int]:
    """Indices of `count` rows, each drawn in proportion to w · value (n,), whose sums over chunks are known."""
    reach = chunk_sums.cumsum()
    targets = rng.random(count) * reach[-1]
    chunks = np.minimum(reach.searchsorted(targets, side="right"), len(reach) - 1)
    targets = np.maximum(targets - (reach[chunks] - chunk_sums[chunks]), 0.0)
    found = np.empty(count, dtype=np.intp)
    for chunk in set(chunks.tolist()):
        here = chunks == chunk
        found[here] = chunk * _kernels.CHUNK + _passed(_running_sum(values, w, chunk), targets[here])
    drawn: list[int] = found.tolist()
    return drawn


def _running_sum(values: Array, w: Array | None, chunk: int) -> Array:
    rows = slice(chunk * _kernels.CHUNK, (chunk + 1) * _kernels.CHUNK)
    return (values[rows] if w is None else w[rows] * values[rows]).cumsum()


def _passed(reach: Array, targets: Array) -> Labels:
    """Where a running sum passes each target; by rounding, that may be past the last."""
    targets = np.minimum(targets, np.nextafter(reach[-1], 0.0))
    return np.minimum(reach.searchsorted(targets, side="right"), len(reach) - 1)


def random_rows(
    X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None = None, n_threads: int = 1
) -> Array:
    """k distinct rows (k,d), drawn in proportion to their weights."""
    shares = None
    if row_weights is not None:
        shares = row_weights / row_weights.sum()
        if np.count_nonzero(shares) < k:  # some are lost beside others
            shares = (row_weights > 0) / np.count_nonzero(row_weights)
    rows = np.sort(rng.choice(len(X), k, replace=False, p=shares))
    return np.ascontiguousarray(X[rows], dtype=np.float64)


SEEDS = {"k-means++": plus_plus, "random": random_rows}
