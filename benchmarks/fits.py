"""Whole fits as a user calls them: GMM(k, random_state=seed).fit(X), and scikit-learn's with the same arguments.

Each starts by its own default, so the same seed does not mean the same start: the log-likelihoods of the fitted
models on all rows are compared over the seeds. Prints a Markdown table; --json keeps every fit.
"""

import warnings

from threadpoolctl import threadpool_limits

import report
from cgmm import GMM
from machine import facts

CASES = ("tiny2d", "mid8", "diag8", "china30", "mid32")
QUICK_SCALE = 0.02
HEADINGS = (
    "problem",
    "n, d, k, family",
    "cgmm",
    "scikit-learn",
    "log-likelihood a row, seed 0, cgmm",
    "scikit-learn",
    "difference over the seeds ± its standard error",
    "EM iterations, cgmm",
    "scikit-learn",
    "unconverged",
)


def arguments(argv=None):
    found = report.parser(__doc__, CASES)
    found.add_argument("--seeds", type=int, default=5, help="fits of each library; default 5")
    return report.parse(found, argv, seeds=2)


def measure(problem, X, options):
    """One problem: each library's fits."""
    from sklearn.mixture import GaussianMixture

    def fitter(estimator, **settings):
        def fit(rows, seed):
            model = estimator(problem.k, covariance_type=problem.covariance_type, random_state=seed, **settings)
            return model.fit(rows)

        return report.Fitter(fit, result)

    fitters = {"cgmm": fitter(GMM, n_threads=options.threads), "scikit-learn": fitter(GaussianMixture)}
    return {**problem._asdict(), "n": len(X), "fits": report.by_seed(X, fitters, options.seeds)}


def result(model, X):
    return {
        "log_likelihood": float(model.score(X)),
        "iterations": int(model.n_iter_),
        "converged": bool(model.converged_),
    }


def cells(measured):
    """The table's row of one problem."""
    fits = measured["fits"].values()
    ours, theirs = (report.values(records, "log_likelihood") for records in fits)
    row = [measured["name"], report.shape(measured), *report.times_of(fits)]
    row += [f"{ours[0]:.4f}", f"{theirs[0]:.4f}", report.spread(ours - theirs)]
    row += report.means_of(fits, "iterations")
    return [*row, " / ".join(str(sum(~report.values(records, "converged"))) for records in fits)]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    warnings.simplefilter("ignore")  # of fits that do not converge: they are counted
    machine = facts()
    print(f"Whole fits, median of {options.seeds} seeds (in brackets: times cgmm's); float64, {options.threads} "
          f"threads, cgmm on {machine['target']}; {machine['cpu']}.\n")  # fmt: skip
    report.print_headings(*HEADINGS)
    results = []
    for problem, X in report.problems(options, QUICK_SCALE):
        results.append(measure(problem, X, options))
        report.print_row(cells(results[-1]))
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
