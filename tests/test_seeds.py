"""Seeds of k-means: those of passes over all rows, whether or not rows that are far from a candidate are looked at."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cgmm import _kernels
from cgmm.mixture.density import distances_to


def seeds_by_passes(X, k, uniforms, weights=None):
    """Greedy k-means++ (Arthur and Vassilvitskii 2007), each round a pass over all rows: the slow, obvious form."""
    n, chunk = len(X), _kernels.CHUNK
    some = X[(2 * np.arange(min(n, 15)) + 1) * n // (2 * min(n, 15))].astype(np.float64)
    middle = np.sort(some, axis=0)[(len(some) - 1) // 2].copy()
    trials = (len(uniforms) - 1) // (k - 1)
    w = np.ones(n) if weights is None else weights
    uniforms = iter(uniforms)

    def drawn(values, sums):
        target = next(uniforms) * np.add.accumulate(sums)[-1]
        reach = np.add.accumulate(sums)
        at = min(int(np.searchsorted(reach, target, side="right")), len(sums) - 1)
        rows = slice(at * chunk, (at + 1) * chunk)
        running = np.add.accumulate(values[rows])
        target = min(max(target - (reach[at] - sums[at]), 0.0), np.nextafter(running[-1], 0.0))
        return at * chunk + min(int(np.searchsorted(running, target, side="right")), len(running) - 1)

    sums = np.array([np.add.accumulate(w[i : i + chunk])[-1] for i in range(0, n, chunk)])
    rows, closest, seeds = [drawn(w, sums)], np.full(n, np.inf), []
    while True:
        candidates = X[rows].astype(np.float64)
        distances = np.empty((len(rows), n))
        sums = _kernels.closer(X, distances_to(candidates, middle), closest, distances, weights)
        best = int(np.argmin(np.add.accumulate(sums, axis=0)[-1]))
        seeds.append(candidates[best])
        if len(seeds) == k:
            return np.array(seeds)
        closest, sums = distances[best].copy(), sums[:, best].copy()
        values = closest if weights is None else w * closest
        rows = [drawn(values, sums) for _ in range(trials)]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    ("n", "d", "k", "kind"),
    [
        (3000, 2, 256, "clusters"),
        (1800, 6, 768, "clusters"),
        (1027, 1, 128, "clusters"),
        (2000, 3, 384, "lattice"),  # many rows are equal, and many candidates gain as much
        (1500, 3, 385, "far"),  # from zero, where rounding is the largest
        (900, 2, 260, "weighted"),
        (700, 5, 639, "clusters"),  # passes only: too few seeds
        (2500, 9, 17, "weighted"),  # and too many features
        (1_060_000, 1, 3, "clusters"),  # too many rows to be packed once
    ],
)
def test_seeds_are_those_of_passes(target, dtype, n, d, k, kind):
    rng = np.random.default_rng(n)
    X = (10 * rng.standard_normal((k, d)))[rng.integers(k, size=n)] + rng.standard_normal((n, d))
    if kind == "lattice":
        X = np.round(X / 2)
    if kind == "far":
        X += 1e4
    X, weights = X.astype(dtype), rng.integers(0, 3, n) * 1.0 if kind == "weighted" else None
    uniforms = rng.random(_kernels.uniforms_of(k))
    expected = seeds_by_passes(X, k, uniforms, weights)
    for n_threads in (1, 3):
        assert_array_equal(_kernels.plus_plus(X, k, uniforms, weights, n_threads), expected)


def test_rows_all_alike_and_rows_too_far_to_be_told_apart():
    uniforms = np.random.default_rng(0).random(_kernels.uniforms_of(200))
    assert_array_equal(_kernels.plus_plus(np.full((500, 2), 0.1), 200, uniforms), np.full((200, 2), 0.1))
    X = np.random.default_rng(1).standard_normal((400, 2)) * 1e140
    seeds = _kernels.plus_plus(X, 200, uniforms)
    assert_array_equal(seeds, seeds_by_passes(X, 200, uniforms))


def test_a_row_far_away_does_not_make_others_alike():
    """float32 rows are packed about the middle of some rows, whatever is drawn."""
    X = np.random.default_rng(0).standard_normal((2000, 2)).astype(np.float32)
    X[1000] = 1e8
    seeds = _kernels.plus_plus(X, 8, np.random.default_rng(1).random(_kernels.uniforms_of(8)))
    assert len(np.unique(seeds, axis=0)) == 8
    assert (np.abs(seeds) < 10).all(axis=1).sum() == 7


def test_an_order_of_rows_depends_on_no_thread_and_brings_neighbours_together():
    X = np.random.default_rng(0).random((20000, 2))
    order = _kernels.order_of_rows(X, np.ones(2))
    assert_array_equal(np.sort(order), np.arange(20000))
    assert_array_equal(_kernels.order_of_rows(X, np.ones(2), 3), order)
    assert np.ptp(X[order[:19968]].reshape(-1, 32, 2), axis=1).mean() < 0.1
