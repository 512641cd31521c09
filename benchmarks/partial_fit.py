"""A stream learnt by partial_fit, beside scikit-learn's fit of all its rows: seconds a row, and how good it is.

cgmm sees the rows once, shuffled, in batches, from nothing: the fits of its start are counted. scikit-learn fits them
until it has converged, with default arguments. Seconds are divided by rows, not by iterations. The log-likelihood is
that of all rows, less scikit-learn's. A pass ends after MOST_BATCHES, so that small ones do not take for ever: it has
then seen fewer rows. Prints a Markdown table; --json keeps every fit.
"""

import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import GMM
from machine import facts

CASES = ("tiny2d", "mid8", "diag8", "china30", "mid32")
QUICK_SCALE = 0.02
MOST_BATCHES = 5000


def arguments(argv=None):
    found = report.parser(__doc__, CASES)
    found.add_argument("--seeds", type=int, default=3, help="fits of each library; default 3")
    found.add_argument("--batches", type=int, nargs="+", default=[1, 100, 1000, 10_000], help="rows of a batch")
    return report.parse(found, argv, seeds=2)


def measure(problem, X, options):
    """One problem: a pass of each size of batches, and scikit-learn's fit, from each seed."""
    from sklearn.mixture import GaussianMixture

    X = np.random.default_rng(0).permutation(X)
    settings = {"covariance_type": problem.covariance_type}

    def stream(size):
        def fit(rows, seed):
            model = GMM(problem.k, random_state=seed, n_threads=options.threads, **settings)
            for start in range(0, min(len(rows), size * MOST_BATCHES), size):
                model.partial_fit(rows[start : start + size])
            return model

        return report.Fitter(fit, lambda model, rows: result(model, rows, min(len(rows), size * MOST_BATCHES)))

    fitters = {
        "scikit-learn": report.Fitter(
            lambda rows, seed: GaussianMixture(problem.k, random_state=seed, **settings).fit(rows),
            lambda model, rows: result(model, rows, len(rows)),
        ),
        **{f"batches of {size:,}": stream(size) for size in options.batches},
    }
    return {**problem._asdict(), "n": len(X), "fits": report.by_seed(X, fitters, options.seeds)}


def result(model, X, rows):
    return {"log_likelihood": float(model.score(X)), "rows": rows, "iterations": int(model.n_iter_)}


def cells(measured):
    """The table's row of one problem."""
    theirs, *ours = measured["fits"].values()
    seconds = [
        np.median(report.values(records, "seconds") / report.values(records, "rows")) for records in (theirs, *ours)
    ]
    row = [measured["name"], report.shape(measured), f"{report.three(1e6 * seconds[0])} µs"]
    for records, own in zip(ours, seconds[1:], strict=True):
        less = report.values(records, "log_likelihood") - report.values(theirs, "log_likelihood")
        row.append(f"{report.three(1e6 * own)} µs ({report.three(seconds[0] / own)}×), {np.median(less):+.3f}")
    return row


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    warnings.simplefilter("ignore")  # of fits that do not converge, and of components that few rows belong to
    machine = facts()
    print(f"Time a row of one pass of partial_fit (in brackets: so many times faster than scikit-learn's fit), and the "
          f"log-likelihood a row less that of scikit-learn's; medians of {options.seeds} seeds, float64, "
          f"{options.threads} threads, cgmm on {machine['target']}; {machine['cpu']}.\n")  # fmt: skip
    report.print_headings("problem", "n, d, k, family", "scikit-learn", *[f"batches of {b:,}" for b in options.batches])
    results = []
    for problem, X in report.problems(options, QUICK_SCALE):
        results.append(measure(problem, X, options))
        report.print_row(cells(results[-1]))
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
