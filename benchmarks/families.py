"""What an iteration costs in each of mclust's fourteen families, beside VVV, the full covariances.

All start from the same labels of correlated clusters, and have made some iterations. An iteration is `expectation` and
`maximisation`; each of the two is the least of some rounds, in which the families take turns. The families of SAME_PASS
have the same pass as VVV, and of their times for it the least counts for all. Prints a Markdown table.
"""

import argparse
import time
import warnings

import numpy as np

from cgmm import GMM, expectation, maximisation
from machine import facts

FAMILIES = ["VVV", "EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV"]
SAME_PASS = ["VVV", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV"]
BEFORE = 3  # iterations before those that are measured


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("--n", type=int, default=100_000)
    found.add_argument("--d", type=int, nargs="+", default=(8, 16, 32))
    found.add_argument("--k", type=int, default=16)
    found.add_argument("--spread", type=float, default=1.0, help="deviation of the centres; clusters have about one")
    found.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    found.add_argument("--rounds", type=int, default=8)
    found.add_argument("--threads", type=int, default=2)
    return found.parse_args(argv)


def rows_of(n, d, k, spread):
    """Clusters (n,d), each with a covariance of its own, and their labels."""
    rng = np.random.default_rng([n, d, k])
    labels = rng.integers(k, size=n)
    mixing = np.eye(d) + 0.5 * rng.standard_normal((k, d, d)) / np.sqrt(d)
    X = spread * rng.standard_normal((k, d))[labels]
    for c in range(k):
        own = labels == c
        X[own] += rng.standard_normal((own.sum(), d)) @ mixing[c]
    return X, labels


def begun(X, labels, k, family, threads):
    """A mixture after a few iterations."""
    parts = np.eye(k)[labels]
    chosen = {"covariance_type": family, "tol": 0, "max_iter": BEFORE, "n_threads": threads}
    return GMM(k, responsibilities_init=parts, **chosen).fit(X)


def step(model, X):
    """The mixture after another iteration, and the seconds of its pass and of its M-step."""
    begin = time.perf_counter()
    statistics = expectation(model, X)
    middle = time.perf_counter()
    model = maximisation(model, statistics)
    return model, middle - begin, time.perf_counter() - middle


def measure(n, d, k, options):
    """Seconds of a pass and of an M-step in each family, (2,)."""
    X, labels = rows_of(n, d, k, options.spread)
    models = {family: begun(X, labels, k, family, options.threads) for family in options.families}
    least = {family: np.full(2, np.inf) for family in options.families}
    for _ in range(options.rounds):
        for family in options.families:
            models[family], *took = step(models[family], X)
            least[family] = np.minimum(least[family], took)
    same = [family for family in options.families if family in SAME_PASS]
    shortest = min((least[family][0] for family in same), default=np.inf)
    return least | {family: np.array([shortest, least[family][1]]) for family in same}


def main(argv=None):
    options = arguments(argv)
    warnings.simplefilter("ignore")
    found = {d: measure(options.n, d, options.k, options) for d in options.d}
    told = f"n = {options.n}, k = {options.k}, centres {options.spread:g} deviations apart"
    print(f"{told}; {options.threads} threads; {facts()['cpu']}\n")
    print("| family |" + "".join(f" d = {d}, ms | M-step, ms | of VVV's |" for d in options.d))
    print("| --- |" + " ---: | ---: | ---: |" * len(options.d))
    for family in options.families:
        both = ((found[d][family], found[d][options.families[0]].sum()) for d in options.d)
        cells = (f" {1e3 * own.sum():.1f} | {1e3 * own[1]:.1f} | {own.sum() / full:.2f} |" for own, full in both)
        print(f"| {family} |" + "".join(cells))


if __name__ == "__main__":
    main()
