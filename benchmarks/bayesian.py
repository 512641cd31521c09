"""Variational Bayes beside scikit-learn's BayesianGaussianMixture: an iteration, and a whole fit.

    python benchmarks/bayesian.py                  all cases
    python benchmarks/bayesian.py --case 2 --rounds 3
    python benchmarks/bayesian.py --many 20        a posterior of each of 20 columns, as CTGAN's preprocessing has them

The same number of threads for both, ours and theirs in turn, the least of the rounds. An iteration is the difference
of a longer and a shorter fit from the same labels, over the iterations between. A whole fit has each library's own
start by k-means, and ten iterations: where they converge depends on the start. One of a hundred, the default, which a
fit of many rows seldom ends before, is that and ninety iterations more.

Of many columns each is fitted with rdt's arguments and a hundred iterations; ours in one call of fit_many, theirs one
after the other, of which the first --theirs are measured.
"""

import argparse
import time
import warnings

import numpy as np
from sklearn.mixture import BayesianGaussianMixture
from threadpoolctl import threadpool_limits

from cgmm import BayesianGMM, fit_many
from cgmm.rows.k_means import nearest

# n, d, k, family; and iterations of scikit-learn's longer fit, whose shorter one has one.
CASES = (
    (100_000, 1, 10, "full", 6),
    (100_000, 8, 16, "full", 3),
    (100_000, 8, 16, "diag", 11),
    (50_000, 32, 20, "full", 2),
)
SHORT, LONG = 5, 45  # iterations of our fits
WHOLE, USUAL = 10, 100  # iterations of a whole fit: of that which is measured, and by default
RDT = {"weight_concentration_prior": 1e-3, "random_state": 0}  # and ten components, in rdt 1 and 2
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


def columns(m, n=100_000, k=5):
    """Columns (n,m), each of k overlapping clusters."""
    draws = [np.random.RandomState(j) for j in range(m)]
    return np.column_stack([3 * draw.randn(k)[draw.randint(k, size=n)] + draw.randn(n) for draw in draws])


def many(m, theirs, threads, rounds):
    """Seconds of a column, ours and theirs, as the least of the rounds."""
    X = columns(m)
    model = BayesianGMM(10, **RDT, n_threads=threads)
    own, other = [], []
    for at in range(rounds):
        start = CLOCK[0]()
        fit_many(X, columns=True, model=model)
        own.append((CLOCK[0]() - start) / m)
        if at < theirs:
            with threadpool_limits(threads):
                other.append(seconds(BayesianGaussianMixture(n_components=10, **RDT), X[:, at : at + 1]))
    return min(own), min(other)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", type=int, choices=range(1, len(CASES) + 1), help="one of them, from 1")
    parser.add_argument("--many", type=int, metavar="M", help="so many columns, in place of the cases")
    parser.add_argument("--theirs", type=int, default=2, help="columns that scikit-learn fits, of those; default 2")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--processor-time", action="store_true", help="of all threads: for a machine that is busy")
    args = parser.parse_args(argv)
    if args.processor_time:
        CLOCK[0] = time.process_time
    warnings.simplefilter("ignore")
    if args.many is not None:
        own, other = many(args.many, args.theirs, args.threads, args.rounds)
        print("| columns | a column, s | scikit-learn | ratio |\n| ---: | ---: | ---: | ---: |")
        print(f"| {args.many} of 100000 rows | {own:.3g} | {other:.3g} | {other / own:.0f} |")
        return
    print("| n | d | k | family | iteration, ms | scikit-learn | ratio | fit, s | scikit-learn | ratio | of 100 |")
    print("| ---: | ---: | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for case in CASES if args.case is None else [CASES[args.case - 1]]:
        own, other, fit, their_fit = measured(case, args.threads, args.rounds)
        n, d, k, family, _ = case
        ratios = f"{1000 * own:.3g} | {1000 * other:.3g} | {other / own:.0f}"
        more = USUAL - WHOLE
        usual = (their_fit + more * other) / (fit + more * own)
        fits = f"{fit:.3g} | {their_fit:.3g} | {their_fit / fit:.0f} | {usual:.0f}"
        print(f"| {n} | {d} | {k} | {family} | {ratios} | {fits} |", flush=True)


if __name__ == "__main__":
    main()
