"""What the default start costs, and whether the fit that follows is as good as from a k-means on all rows.

For each problem and seed: the time of cgmm's default start, of a start from k-means on all rows, and of an EM
iteration, one after the other; then the converged fits from both. Prints a Markdown table; --json keeps it all.
"""

import statistics

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import kmeans
from cgmm.em.loop import run
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.fit import starts
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.rows.opened import data_of
from cgmm.rows.part import Part
from cgmm.rows.partition import of_labels
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
    found = report.parser(__doc__, CASES)
    found.add_argument("--seeds", type=int, default=20, help="random starts of each kind; default 20")
    found.add_argument("--tol", type=float, default=1e-3, help="of the fits; default 1e-3, GMM's own")
    found.add_argument("--max-iter", type=int, default=300, help="of the fits; default 300")
    return report.parse(found, argv, seeds=2, max_iter=1)


def default_start(X, problem, family, seed, n_threads):
    """What GMM(k, random_state=seed).fit(X) starts from."""
    method, rng = starts.METHODS["kmeans"], np.random.default_rng(seed)
    rows = data_of(Part(X), complete=True).sample(starts.sample_size(problem.k, X.shape[1]), rng)
    return starts.start(rows, problem.k, family, method, rng, Rules(REG_COVAR, n_threads=n_threads))[0]


def full_start(X, problem, family, seed, n_threads):
    """The same from k-means on all rows."""
    labels = kmeans(X, problem.k, random_state=seed, n_threads=n_threads).labels
    return Parameters.estimated(family, of_labels(X, labels, problem.k, family), Rules(REG_COVAR))[0]


def measure(problem, X, options):
    """One problem: a record for each seed."""
    family = FAMILIES[problem.covariance_type]
    data, rules = data_of(Part(X), complete=True), Rules(REG_COVAR, n_threads=options.threads)
    few, settings = Settings(rules, 0.0, TIMED_ITERATIONS), Settings(rules, options.tol, options.max_iter)
    run(data, Stage.first(default_start(X, problem, family, 0, options.threads)), few)
    seeds = []
    for seed in range(options.seeds):
        record = {"seed": seed}
        for name, begin in (("default", default_start), ("full", full_start)):
            start, seconds = report.timed(begin, X, problem, family, seed, options.threads)
            _, several = report.timed(run, data, Stage.first(start), few)
            fit = run(data, Stage.first(start), settings)
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

    kinds = [[record[name] for record in measured["seeds"]] for name in ("default", "full")]
    iteration = statistics.median([seconds for kind in kinds for seconds in report.values(kind, "iteration_seconds")])
    row = [measured["name"], report.shape(measured), f"{report.three(1e3 * iteration)} ms"]
    row += [report.three(statistics.median(report.values(kind, "start_seconds")) / iteration) for kind in kinds]
    scores = [report.values(kind, "log_likelihood") for kind in kinds]
    row += [f"{score.mean():.4f} ± {score.std(ddof=1):.4f}" for score in scores]
    row += [report.spread(scores[0] - scores[1]), *report.means_of(kinds, "iterations")]
    return [*row, " / ".join(str(sum(~report.values(kind, "converged"))) for kind in kinds)]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    machine = facts()
    print(
        f"{options.seeds} seeds; float64, {options.threads} threads, cgmm on {machine['target']}; "
        f"{machine['cpu']}; tol {options.tol:g}, at most {options.max_iter} iterations.\n"
    )
    report.print_headings(*HEADINGS)
    results = []
    for problem, X in report.problems(options, QUICK_SCALE):
        results.append(measure(problem, X, options))
        report.print_row(cells(results[-1]))
    print("\nTimes are medians. Log-likelihoods are means ± standard deviations over the seeds.")
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
