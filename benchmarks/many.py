"""Many components of few features, and many centers of k-means: passes with and without those that are far away;
and seeds of k-means, whose passes are compared with what is done.

    python benchmarks/many.py

One thread, the least processor time of several passes, and both kinds of pass in one run.
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
from cgmm.rows.boxes import boxes_of, in_space
from cgmm.rows.data import Complete
from cgmm.rows.k_means import lloyd
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory

MIXTURES = ((300_000, 3, 1000, 3.0), (300_000, 3, 1000, 10.0), (300_000, 2, 300, 3.0), (200_000, 3, 10_000, 20.0))
CENTERS = ((30_000, 3, 1000, 3.0), (30_000, 3, 1000, 10.0), (300_000, 3, 1000, 3.0), (40_000, 16, 256, 5.0))
SEEDS = ((30_000, 3, 1000, 10.0), (30_000, 3, 1000, 3.0), (20_000, 2, 300, 3.0))
# A pass is timed over so many rows: for a dense one any will do, for one in boxes runs of RUN in the order of all.
TIMED_ROWS, RUN = 20_480, 1024
REPEATS = 20
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
        begun = time.thread_time()
        function()
        seconds.append(time.thread_time() - begun)
    return min(seconds)


def mixtures():
    for n, d, k, spread in MIXTURES:
        X = rows_of(n, d, k, spread)
        p = fitted(X, k, 10 if k < 5000 else 2)
        ordered = 1e9 / n * least_seconds(lambda: in_space(X), 3)  # noqa: B023
        runs = in_space(X)[: n // RUN * RUN].reshape(-1, RUN)
        some = np.ascontiguousarray(X[runs[:: max(1, n // TIMED_ROWS)].ravel()])
        as_they_are, guide = np.arange(len(some), dtype=np.int32), boxes_of(p, X.dtype)
        dense, boxed = (
            1e9 / len(some) * least_seconds(lambda: _kernels.expectation(some, p.density, "full", *rest), REPEATS)  # noqa: B023
            for rest in ((), (None, 1, guide, None, as_they_are))
        )
        print(
            f"| {n} × {d} | {k} | {spread:g} | {dense:.0f} | {boxed:.0f} | × {dense / boxed:.1f} | {ordered:.0f} |",
            flush=True,
        )


def seeds():
    for n, d, k, spread in SEEDS:
        X = rows_of(n, d, k, spread)
        uniforms = np.random.default_rng(0).random(_kernels.uniforms_of(k))
        closest, trials = np.full(n, 1.0), (len(uniforms) - 1) // (k - 1)
        few = distances_to(X[:trials].copy())
        rounds = k * least_seconds(lambda: _kernels.closer(X, few, closest), 50)  # noqa: B023
        near = least_seconds(lambda: _kernels.plus_plus(X, k, uniforms), 3)  # noqa: B023
        print(
            f"| {n} × {d} | {k} | {spread:g} | {1e3 * rounds:.0f} | {1e3 * near:.0f} | × {rounds / near:.1f} |",
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
    seeds()
    centers()
    mixtures()
