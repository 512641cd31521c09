"""Variational Bayes beside scikit-learn's BayesianGaussianMixture: an iteration, and a whole fit.

    python benchmarks/bayesian.py                  all cases
    python benchmarks/bayesian.py --case 2 --rounds 3

The same number of threads for both, ours and theirs in turn, the least of the rounds. An iteration is the difference
of a longer and a shorter fit from the same labels, over the iterations between. A whole fit has each library's own
start by k-means, and ten iterations: where they converge depends on the start.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.mixture import BayesianGaussianMixture
from threadpoolctl import threadpool_limits

from cgmm import BayesianGMM
from cgmm.rows.k_means import nearest

# n, d, k, family; and iterations of scikit-learn's longer fit, whose shorter one has one.
CASES = (
    (100_000, 1, 10, "full", 6),
    (100_000, 8, 16, "full", 3),
    (100_000, 8, 16, "diag", 11),
    (50_000, 32, 20, "full", 2),
)
SHORT, LONG = 5, 45  # iterations of our fits
WHOLE = 10  # iterations of a whole fit
CLOCK = [time.perf_counter]  # or time.process_time
DISTANCE = 3.0  # of centers from the middle, in standard deviations of a component


class FromLabels(BayesianGaussianMixture):
    """scikit-learn's, from labels."""

    labels = None

    def _initialize_parameters(self, X, random_state, **rest):
        self._initialize(X, np.eye(self.n_components)[self.labels])


def problem(n, d, k):
    """Rows (n,d) of k overlapping clusters, and labels by the nearest of k random rows."""
    rng = np.random.default_rng(0)
    centers = DISTANCE * rng.normal(size=(k, d))
    X = centers[rng.integers(k, size=n)] + rng.normal(size=(n, d))
    return X, nearest(X, X[rng.choice(n, k, replace=False)], 1)


def seconds(model, X):
    start = CLOCK[0]()
    model.fit(X)
    return CLOCK[0]() - start


def ours(X, k, family, iterations, threads, labels=None):
    arguments = {"covariance_type": family, "tol": 0, "max_iter": iterations, "random_state": 0}
    return seconds(BayesianGMM(k, **arguments, n_threads=threads, responsibilities_init=labels), X)


def theirs(X, k, family, iterations, threads, labels=None):
    kind = BayesianGaussianMixture if labels is None else FromLabels
    model = kind(n_components=k, covariance_type=family, tol=0, max_iter=iterations, random_state=0)
    model.labels = labels
    with threadpool_limits(threads):
        return seconds(model, X)


def measured(case, threads, rounds):
    """Seconds of an iteration and of a whole fit, ours and theirs: the least of the rounds."""
    n, d, k, family, most = case
    X, labels = problem(n, d, k)
    ours(X, k, family, 2, threads)
    rows = []
    for _ in range(rounds):
        own = ours(X, k, family, LONG, threads, labels) - ours(X, k, family, SHORT, threads, labels)
        other = theirs(X, k, family, most, threads, labels) - theirs(X, k, family, 1, threads, labels)
        whole = ours(X, k, family, WHOLE, threads), theirs(X, k, family, WHOLE, threads)
        rows.append((own / (LONG - SHORT), other / (most - 1), *whole))
    return np.min(rows, axis=0)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=int, choices=range(1, len(CASES) + 1), help="one of them, from 1")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor-time", action="store_true", help="of all threads: for a machine that is busy")
    args = parser.parse_args(argv)
    if args.processor_time:
        CLOCK[0] = time.process_time
    warnings.simplefilter("ignore")
    print("| n | d | k | family | iteration, ms | scikit-learn | ratio | fit, s | scikit-learn | ratio |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES if args.case is None else [CASES[args.case - 1]]:
        own, other, fit, their_fit = measured(case, args.threads, args.rounds)
        n, d, k, family, _ = case
        ratios = f"{1000 * own:.3g} | {1000 * other:.3g} | {other / own:.0f}"
        print(
            f"| {n} | {d} | {k} | {family} | {ratios} | {fit:.3g} | {their_fit:.3g} | {their_fit / fit:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
