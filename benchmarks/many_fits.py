"""Many fits in one call beside loops over cgmm.GMM and over scikit-learn's GaussianMixture.

    env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/many_fits.py [--case NAME ...] [--share SHARE]
        [--threads 1 --processor-time]

--share takes so much of the problems only; --processor-time counts what one thread works, which other processes on the
machine change little.

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

import report
from cgmm import GMM, fit_many

HEADINGS = ("problems", "k", "iterations", "fit_many, µs a fit", "loop over GMM", "ratio", "scikit-learn", "ratio")


class Case(NamedTuple):
    """m problems of n rows and d features, k components whose means are so many standard deviations apart.

    of_gmm, of_scikit_learn : how many of them the loops fit;  zeros : the share of the values that are zero
    """

    m: int
    n: int
    d: int
    k: int
    distance: float
    of_gmm: int
    of_scikit_learn: int
    zeros: float = 0.0


CASES = {
    "columns": Case(20_000, 1000, 1, 2, 4.0, 1000, 40),
    "groups": Case(5000, 300, 5, 3, 4.0, 1000, 40),
    "long": Case(20, 100_000, 1, 10, 3.0, 20, 2),
    "zeros": Case(2000, 1000, 1, 3, 4.0, 1000, 100, 0.6),
}


def problems_of(case):
    """Rows (m,n,d) of equally likely components about means of their own."""
    rng = np.random.default_rng(0)
    means = case.distance * np.arange(case.k)[:, np.newaxis] * np.ones(case.d) / np.sqrt(case.d)
    labels = rng.integers(case.k, size=(case.m, case.n))
    X = rng.standard_normal((case.m, case.n, case.d))
    X += means[labels]
    if case.zeros:
        X[rng.random(X.shape) < case.zeros] = 0.0
    return X


def seconds_of(fit, clock):
    begun = clock()
    fit()
    return clock() - begun


def part_of(case, share):
    """The same problems, but fewer."""
    few = (max(2, round(share * count)) for count in (case.m, case.of_gmm, case.of_scikit_learn))
    return case._replace(**dict(zip(("m", "of_gmm", "of_scikit_learn"), few, strict=True)))


def measure(case, rounds, n_threads, clock=time.perf_counter):
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
            time.sleep(report.REST)
            times[way].append(1e6 * seconds_of(way, clock) / count)
    each, of_gmm, of_scikit_learn = (median(found) for found in times.values())
    shape = f"{case.m} of {case.n} × {case.d}{', many zeros' * (case.zeros > 0)}"
    row = (
        shape, case.k, f"{fits[0].n_iter.mean():.1f}", f"{each:.1f}", f"{of_gmm:.0f}",
        f"× {of_gmm / each:.1f}", f"{of_scikit_learn:.0f}", f"× {of_scikit_learn / each:.0f}",
    )  # fmt: skip
    print("| " + " | ".join(map(str, row)) + " |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", nargs="+", default=list(CASES), choices=CASES)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--processor-time", action="store_true")
    options = parser.parse_args()
    clock = time.process_time if options.processor_time else time.perf_counter
    warnings.simplefilter("ignore")  # that some fits have not converged
    print("| " + " | ".join(HEADINGS) + " |\n|" + "---|" * len(HEADINGS))
    for name in options.case:
        measure(part_of(CASES[name], options.share), options.rounds, options.threads, clock)


if __name__ == "__main__":
    main()
