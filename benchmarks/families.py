"""What an iteration costs in each of mclust's fourteen families, beside VVV, the full covariances.

All start from the same labels of correlated clusters. An iteration is the difference between a fit of twelve and one of
four, over eight; each time is the least of some rounds in turns. Prints a Markdown table.
"""

import argparse
import time
import warnings

import numpy as np

from cgmm import GMM
from machine import facts

FAMILIES = ["VVV", "EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV"]
FEW, MANY = 4, 12  # iterations of the two fits


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("--n", type=int, default=100_000)
    found.add_argument("--d", type=int, nargs="+", default=(8, 16, 32))
    found.add_argument("--k", type=int, default=16)
    found.add_argument("--spread", type=float, default=1.0, help="deviation of the centres; clusters have about one")
    found.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    found.add_argument("--rounds", type=int, default=3)
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


def seconds(X, labels, k, family, iterations, threads):
    """Of a fit of so many iterations."""
    parts = np.eye(k)[labels]
    model = GMM(k, covariance_type=family, responsibilities_init=parts, tol=0, max_iter=iterations, n_threads=threads)
    begin = time.perf_counter()
    model.fit(X)
    return time.perf_counter() - begin


def measure(n, d, k, options):
    """Seconds of an iteration in each family."""
    X, labels = rows_of(n, d, k, options.spread)
    least = {}
    for _ in range(options.rounds):
        for family in options.families:
            for iterations in (FEW, MANY):
                took = seconds(X, labels, k, family, iterations, options.threads)
                least[family, iterations] = min(took, least.get((family, iterations), np.inf))
    return {family: (least[family, MANY] - least[family, FEW]) / (MANY - FEW) for family in options.families}


def main(argv=None):
    options = arguments(argv)
    warnings.simplefilter("ignore")
    found = {d: measure(options.n, d, options.k, options) for d in options.d}
    told = f"n = {options.n}, k = {options.k}, centres {options.spread:g} deviations apart"
    print(f"{told}; {options.threads} threads; {facts()['cpu']}\n")
    print("| family |" + "".join(f" d = {d}, ms | of VVV's |" for d in options.d))
    print("| --- |" + " ---: | ---: |" * len(options.d))
    for family in options.families:
        cells = (
            f" {1e3 * found[d][family]:.1f} | {found[d][family] / found[d][options.families[0]]:.2f} |"
            for d in options.d
        )
        print(f"| {family} |" + "".join(cells))


if __name__ == "__main__":
    main()
