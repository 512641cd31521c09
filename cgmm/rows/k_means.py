"""k-means of rows in memory on the kernels: Lloyd's iterations, and seeds for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import distances_to

if TYPE_CHECKING:
    from cgmm.types import Array, Labels, Rows

# A start moves centers at most so often, and until they move by less than this share of a variance: as scikit-learn's.
MOST_MOVES = 300
MOVED = 1e-4
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

    Examples
    --------
    >>> import cgmm
    >>> found = cgmm.kmeans([[0.0], [1.0], [9.0], [10.0]], 2, random_state=0)
    >>> sorted(found.centers.ravel().tolist()), found.inertia
    ([0.5, 9.5], 1.0)
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
    """Lloyd's iterations (1982) from centers (k,d): assign each row to the nearest, move it to their mean."""
    centers, labels, history, _ = _kernels.lloyd(X, centers, max_iter, tol, row_weights, n_threads)
    return KMeansResult(centers, labels, float(history[-1]), history, len(history) - 1)


def nearest(X: Rows, centers: Array, n_threads: int = 1) -> Labels:
    """The nearest center of each row, (n,)."""
    return _kernels.evaluate(X, distances_to(centers), "labels", n_threads)


def plus_plus(X: Rows, k: int, rng: np.random.Generator, row_weights: Array | None = None, n_threads: int = 1) -> Array:
    """Greedy k-means++ seeds (k,d): each the best of a few rows drawn in proportion to w · distance²."""
    w = None if row_weights is None else np.ascontiguousarray(row_weights)
    return _kernels.plus_plus(X, k, rng.random(_kernels.uniforms_of(k)), w, n_threads)


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
