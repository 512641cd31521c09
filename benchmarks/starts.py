"""What the default start costs, and whether the fit that follows is as good as from a k-means on all rows.

For each problem and seed: the time of cgmm's default start, of a start from k-means on all rows, and of an EM
iteration, one after the other; then the converged fits from both. Prints a Markdown table; --json keeps it all.
"""

import argparse
import json
import statistics
import time

import numpy as np
from threadpoolctl import threadpool_limits

from cases import PROBLEMS
from cgmm import em, initialize, kmeans
from cgmm.config import threads
from cgmm.covariance import FAMILIES
from cgmm.statistics import of_labels
from compare import print_row, three
from machine import facts

CASES = ("tiny2d", "mid8", "mid32", "diag8", "rgba", "china30")
QUICK_SCALE = 0.05
REG_COVAR = 1e-6  # GMM's default
TIMED_ITERATIONS = 3
HEADINGS = (
    "problem",
    "n, d, k, family",
    "EM iteration",
    "default start, in EM iterations",
    "full k-means, in EM iterations",
    "log-likelihood a row, default",
    "after full k-means",
    "difference ± its standard error",
    "EM iterations, default",
    "after full k-means",
    "unconverged",
)


def arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--problems", nargs="+", choices=PROBLEMS, default=list(CASES), metavar="NAME",
                        help=f"of {', '.join(PROBLEMS)}; default: {' '.join(CASES)}")  # fmt: skip
    parser.add_argument("--seeds", type=int, default=20, help="random starts of each kind; default 20")
    parser.add_argument("--tol", type=float, default=1e-3, help="of the fits; default 1e-3, GMM's own")
    parser.add_argument("--max-iter", type=int, default=300, help="of the fits; default 300")
    parser.add_argument("--threads", type=int, default=threads(), help="default: all that may be used")
    parser.add_argument("--quick", action="store_true", help="few rows and seeds: to see that it runs")
    parser.add_argument("--json", metavar="FILE", help="write every value and the machine's facts")
    options = parser.parse_args(argv)
    if min(options.seeds, options.max_iter + 1, options.threads + 1) < 2:
        parser.error("--seeds must be at least 2 (for standard deviations), --max-iter and --threads at least 1")
    if options.quick:
        options.seeds = min(options.seeds, 3)
    return options


def default_start(X, problem, family, seed, n_threads):
    """What GMM(k, random_state=seed).fit(X) starts from."""
    method, rng = initialize.METHODS["kmeans"], np.random.default_rng(seed)
    return initialize.start(X, None, problem.k, family, method, rng, REG_COVAR, {}, n_threads)[0]


def full_start(X, problem, family, seed, n_threads):
    """The same from k-means on all rows."""
    labels = kmeans(X, problem.k, random_state=seed, n_threads=n_threads).labels
    return em.maximise(of_labels(X, labels, problem.k, family), family, reg_covar=REG_COVAR)[0]


def timed(function, *arguments):
    begin = time.perf_counter()
    value = function(*arguments)
    return value, time.perf_counter() - begin


def measure(problem, options):
    """One problem: a record for each seed."""
    X, family = problem.rows(QUICK_SCALE if options.quick else 1.0), FAMILIES[problem.covariance_type]
    few = em.Settings(0.0, TIMED_ITERATIONS, REG_COVAR, (), options.threads)
    settings = em.Settings(options.tol, options.max_iter, REG_COVAR, (), options.threads)
    em.run(X, default_start(X, problem, family, 0, options.threads), None, few)
    seeds = []
    for seed in range(options.seeds):
        record = {"seed": seed}
        for name, begin in (("default", default_start), ("full", full_start)):
            start, seconds = timed(begin, X, problem, family, seed, options.threads)
            _, several = timed(em.run, X, start, None, few)
            fit = em.run(X, start, None, settings)
            record[name] = {
                "start_seconds": seconds,
                "iteration_seconds": several / TIMED_ITERATIONS,
                "log_likelihood": fit.lower_bound,
                "iterations": len(fit.lower_bounds),
                "converged": fit.converged,
            }
        seeds.append(record)
    return {**problem._asdict(), "n": len(X), "seeds": seeds}


def cells(measured):
    """The table's row of one problem."""

    def values(name, what):
        return np.array([record[name][what] for record in measured["seeds"]])

    iteration = statistics.median([*values("default", "iteration_seconds"), *values("full", "iteration_seconds")])
    row = [measured["name"], "{n:,}, {d}, {k}, {covariance_type}".format(**measured)]
    row.append(f"{three(1e3 * iteration)} ms")
    row += [three(statistics.median(values(name, "start_seconds")) / iteration) for name in ("default", "full")]
    scores = {name: values(name, "log_likelihood") for name in ("default", "full")}
    row += [f"{score.mean():.4f} ± {score.std(ddof=1):.4f}" for score in scores.values()]
    gain = scores["default"] - scores["full"]
    row.append(f"{gain.mean():+.4f} ± {gain.std(ddof=1) / np.sqrt(len(gain)):.4f}")
    row += [f"{values(name, 'iterations').mean():.1f}" for name in ("default", "full")]
    unfinished = [np.sum(~values(name, "converged")) for name in ("default", "full")]
    return [*row, " / ".join(map(str, unfinished))]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    machine = facts()
    print(
        f"{options.seeds} seeds; float64, {options.threads} threads, cgmm on {machine['target']}; "
        f"{machine['cpu']}; tol {options.tol:g}, at most {options.max_iter} iterations.\n"
    )
    print_row(HEADINGS)
    print_row(["---", "---", *["---:"] * 9])
    results = []
    for name in dict.fromkeys(options.problems):
        results.append(measure(PROBLEMS[name], options))
        print_row(cells(results[-1]))
    print("\nTimes are medians. Log-likelihoods are means ± standard deviations over the seeds.")
    if options.json:
        with open(options.json, "w") as file:
            json.dump({"machine": machine, "options": vars(options), "results": results}, file, indent=1)


if __name__ == "__main__":
    main()
