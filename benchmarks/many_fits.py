"""Many fits in one call beside loops over cgmm.GMM and over scikit-learn's GaussianMixture.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/many_fits.py [--case NAME ...]

All three fit the same problems with the same arguments, in turns: ours all of them, the loops as many as take a second
or so; the time of a fit is the median of some rounds. Prints a Markdown table.
"""

import argparse
import time
import warnings
from statistics import median
from typing import NamedTuple

import numpy as np
from sklearn.mixture import GaussianMixture

from cgmm import GMM, fit_many

HEADINGS = ("problems", "k", "iterations", "fit_many, µs a fit", "loop over GMM", "ratio", "scikit-learn", "ratio")


class Case(NamedTuple):
    """m problems of n rows and d features, k components whose means are so many standard deviations apart.

    of_gmm, of_scikit_learn : how many of them the loops fit
    """

    m: int
    n: int
    d: int
    k: int
    distance: float
    of_gmm: int
    of_scikit_learn: int


CASES = {
    "columns": Case(20_000, 1000, 1, 2, 4.0, 1000, 40),
    "groups": Case(5000, 300, 5, 3, 4.0, 1000, 40),
    "long": Case(20, 100_000, 1, 10, 3.0, 20, 2),
}


def problems_of(case):
    """Rows (m,n,d) of equally likely components about means of their own."""
    rng = np.random.default_rng(0)
    means = case.distance * np.arange(case.k)[:, np.newaxis] * np.ones(case.d) / np.sqrt(case.d)
    labels = rng.integers(case.k, size=(case.m, case.n))
    X = rng.standard_normal((case.m, case.n, case.d))
    X += means[labels]
    return X


def seconds_of(fit):
    begun = time.perf_counter()
    fit()
    return time.perf_counter() - begun


def measure(case, rounds, n_threads):
    X, fits = problems_of(case), []

    def ours():
        fits[:] = [fit_many(X, case.k, random_state=0, reg_covar=1e-6, n_threads=n_threads)]

    def gmm():
        for rows in X[: case.of_gmm]:
            GMM(case.k, random_state=0, n_threads=n_threads).fit(rows)

    def scikit_learn():
        for rows in X[: case.of_scikit_learn]:
            GaussianMixture(case.k, random_state=0).fit(rows)

    ways = {ours: case.m, gmm: case.of_gmm, scikit_learn: case.of_scikit_learn}
    fit_many(X[:50], case.k, random_state=0)
    times = {way: [] for way in ways}
    for _ in range(rounds):
        for way, count in ways.items():
            times[way].append(1e6 * seconds_of(way) / count)
    each, of_gmm, of_scikit_learn = (median(found) for found in times.values())
    row = (
        f"{case.m} of {case.n} × {case.d}", case.k, f"{fits[0].n_iter.mean():.1f}", f"{each:.1f}", f"{of_gmm:.0f}",
        f"× {of_gmm / each:.1f}", f"{of_scikit_learn:.0f}", f"× {of_scikit_learn / each:.0f}",
    )  # fmt: skip
    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # that some fits have not converged
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
    for name in options.case:
        measure(CASES[name], options.rounds, options.threads)


if __name__ == "__main__":
    main()
