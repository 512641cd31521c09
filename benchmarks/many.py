"""Many components of few features, and many centers of k-means: passes with and without those that are far away.

    python benchmarks/many.py

One thread, the least of several passes, and both kinds of pass in one run.
"""

import time

import numpy as np

from cgmm import _kernels
from cgmm.em import loop
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.mixture.density import distances_to
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.rows import partition
from cgmm.rows.boxes import boxes_of
from cgmm.rows.data import Complete
from cgmm.rows.k_means import lloyd
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory

MIXTURES = ((100_000, 3, 1000, 3.0), (100_000, 3, 1000, 10.0), (100_000, 2, 300, 3.0), (200_000, 3, 10_000, 20.0))
CENTERS = ((30_000, 3, 1000, 3.0), (30_000, 3, 1000, 10.0), (300_000, 3, 1000, 3.0), (40_000, 16, 256, 5.0))
START_ROWS = 40  # For each component, rows from which the mixture starts.


def rows_of(n, d, k, spread):
    rng = np.random.default_rng(0)
    centers = spread * rng.standard_normal((k, d))
    return centers[rng.integers(k, size=n)] + rng.standard_normal((n, d))


def fitted(X, k, iterations):
    """A mixture after so many iterations, and whose start is k-means of some rows."""
    some, family, rules = X[: START_ROWS * k], FAMILIES["full"], Rules(reg_covar=1e-6)
    labels = lloyd(some, X[:k].copy(), 8, 1e-4).labels
    start, _ = Parameters.estimated(family, partition.of_partition(InMemory(Part(some)), labels, k, family), rules)
    settings = Settings(rules, tol=0.0, max_iter=iterations)
    return loop.run(Complete(InMemory(Part(X[: 50 * k]))), Stage.first(start), settings).parameters


def least_seconds(function, repeats):
    seconds = []
    for _ in range(repeats):
        begun = time.perf_counter()
        function()
        seconds.append(time.perf_counter() - begun)
    return min(seconds)


def mixtures():
    for n, d, k, spread in MIXTURES:
        X = rows_of(n, d, k, spread)
        p = fitted(X, k, 10 if k < 5000 else 2)
        dense, boxed = (
            least_seconds(lambda: _kernels.expectation(X, p.density, "full", None, 1, guide), 3 if k < 5000 else 1)  # noqa: B023
            for guide in (None, boxes_of(p, X.dtype))
        )
        unit = 1e9 / n
        print(
            f"| {n} × {d} | {k} | {spread:g} | {unit * dense:.0f} | {unit * boxed:.0f} | × {dense / boxed:.1f} |",
            flush=True,
        )


def centers():
    for n, d, k, spread in CENTERS:
        X = rows_of(n, d, k, spread)
        found = lloyd(X, X[:k].copy(), 4, 0.0)
        density, labels = distances_to(found.centers), found.labels.copy()
        dense, near = (
            least_seconds(lambda: _kernels.assign(X, density, None, labels, 1, worth), 5)  # noqa: B023
            for worth in (0.0, np.inf)
        )
        print(
            f"| {n} × {d} | {k} | {spread:g} | {1e3 * dense:.1f} | {1e3 * near:.1f} | × {dense / near:.1f} |",
            flush=True,
        )


if __name__ == "__main__":
    mixtures()
    centers()
