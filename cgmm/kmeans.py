"""k-means for its own sake, on the kernels of the mixtures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

import numpy as np

from cgmm.config import threads
from cgmm.rows.checks import check_enough_rows, check_rows, check_weights, of_order_one
from cgmm.rows.k_means import SEEDS, KMeansResult, lloyd, moderate
from cgmm.suggestions import explained
from cgmm.validation import (
    check_choice,
    check_count,
    check_random_state,
    check_real,
    check_start_array,
    check_threads,
)

if TYPE_CHECKING:
    from cgmm.types import Array, ArrayLike, Seed

__all__ = ["KMeansResult", "kmeans"]


@explained
def kmeans(
    X: ArrayLike,
    n_clusters: int,
    *,
    init: Literal["k-means++", "random"] | ArrayLike = "k-means++",
    n_init: int = 1,
    max_iter: int = 300,
    tol: float = 1e-4,
    sample_weight: ArrayLike | None = None,
    random_state: Seed = None,
    n_threads: int | None = None,
) -> KMeansResult:
    """Partition rows by Lloyd's algorithm.

    Parameters
    ----------
    X : array-like of shape (n, d)
        Rows; float32 and float64 arrays are not copied.
    n_clusters : int
        Number of clusters, k ≤ n.
    init : {"k-means++", "random"} or array-like of shape (k, d), default="k-means++"
        Seeds by greedy k-means++ (Arthur and Vassilvitskii 2007), distinct random rows, or given centers.
    n_init : int, default=1
        Restarts; the least inertia is kept. Given centers are started from once.
    max_iter : int, default=300
        Moves of the centers at most.
    tol : float, default=1e-4
        Stop when the centers' summed squared movement is at most tol times the mean variance of the features.
        With 0, stop when they no longer move.
    sample_weight : array-like of shape (n,), optional
        Non-negative row weights. A row of weight zero has a label, too, and must be finite.
    random_state : None, int, RandomState or Generator
    n_threads : int, optional
        Default: all that the process may use. It does not change the result.

    Returns
    -------
    KMeansResult
        An empty cluster keeps its center. Rows equally near to two centers belong to the first.

    Raises
    ------
    ValueError, TypeError
        An argument cannot be used; the message says which and why.

    Examples
    --------
    >>> import cgmm
    >>> found = cgmm.kmeans([[0.0], [1.0], [9.0], [10.0]], 2, random_state=0)
    >>> sorted(found.centers.ravel().tolist())
    [0.5, 9.5]
    """
    n_threads = threads(check_threads(n_threads))
    k = check_count("n_clusters", n_clusters)
    restarts = check_count("n_init", n_init)
    moves = check_count("max_iter", max_iter, least=0)
    tol = check_real("tol", tol)
    X = check_rows(X, n_threads=n_threads)
    row_weights, exponent = of_order_one(check_weights(sample_weight, len(X)))
    counted = len(X) if row_weights is None else int(np.count_nonzero(row_weights))
    check_enough_rows(len(X), counted, k, "n_clusters", X.shape[1])
    rng = check_random_state(random_state)
    X, scale = moderate(X, n_threads)
    seeds: Callable[..., Array]
    if isinstance(init, str):
        seeds = check_choice("init", init, SEEDS)
    else:
        given = np.ldexp(check_start_array("init", init, (k, X.shape[1])), -scale)
        seeds, restarts = (lambda *_: given), 1

    results = (
        lloyd(X, seeds(X, k, rng, row_weights, n_threads), moves, tol, row_weights, n_threads) for _ in range(restarts)
    )
    best = min(results, key=lambda result: result.inertia)
    with np.errstate(over="ignore"):
        history = np.ldexp(best.inertia_history, exponent + 2 * scale)
    return best._replace(centers=np.ldexp(best.centers, scale), inertia=float(history[-1]), inertia_history=history)
