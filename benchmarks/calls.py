"""Calls of a fitted model against scikit-learn's with the same parameters; small work; the cost of the import.

Verified equal first, then timed in turns. Prints Markdown tables; --json keeps every timing.
"""

import subprocess
import sys
import warnings

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cases import SYNTHETIC, Problem
from cgmm import GMM
from machine import facts

QUICK_SCALE = 0.02
VERBS = ("score_samples", "predict_proba", "predict")
SMALL = Problem("small", 1000, 2, 3, "full")
TOLERANCE = 1e-8  # log-densities, relative, and probabilities
IMPORTS = {
    "cgmm": "cgmm",
    "numpy + scipy.linalg": "numpy, scipy.linalg",
    "sklearn.mixture": "sklearn.mixture",
}


def arguments(argv=None):
    found = report.parser(__doc__, SYNTHETIC)
    found.add_argument("--rounds", type=int, default=7, help="timings of each call; default 7")
    found.add_argument("--seconds", type=float, default=0.1, help="least time of a timing; default 0.1")
    return report.parse(found, argv, rounds=1)


def models(problem, X, n_threads):
    """The same mixture in each library."""
    from sklearn.mixture import GaussianMixture
    from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

    start, family = problem.start(X), problem.covariance_type
    ours = GMM.from_parameters(*start, family).set_params(n_threads=n_threads)
    theirs = GaussianMixture(problem.k, covariance_type=family)
    theirs.weights_, theirs.means_, theirs.covariances_ = start
    theirs.precisions_cholesky_ = _compute_precision_cholesky(start.covariances, family)
    return {"cgmm": ours, "scikit-learn": theirs}


def verify(verb, ours, theirs):
    """ValueError when the values of a call differ; labels may where two components are equally probable."""
    if verb == "predict":
        if np.mean(ours != theirs) > TOLERANCE * 100:
            raise ValueError(f"{verb}: {np.sum(ours != theirs)} labels differ")
    elif not np.allclose(ours, theirs, rtol=TOLERANCE, atol=TOLERANCE):
        raise ValueError(f"{verb} differs by {np.abs(ours - theirs).max():.3g}")


def verbs(problem, X, options):
    """Verb → library → seconds of each round."""
    found, seconds = models(problem, X, options.threads), {}
    for verb in VERBS:
        runs = {name: bind(model, verb, X) for name, model in found.items()}
        verify(verb, *(run() for run in runs.values()))
        seconds[verb] = report.in_turns(runs, options.rounds, options.seconds)
    return seconds


def bind(model, verb, X):
    return lambda: getattr(model, verb)(X)


def small(options):
    """Call → library → seconds of each round, where a call's own cost is what counts."""
    from sklearn.mixture import GaussianMixture

    X = SMALL.rows()
    fits = {
        "cgmm": lambda: GMM(SMALL.k, random_state=0, n_threads=options.threads).fit(X),
        "scikit-learn": lambda: GaussianMixture(SMALL.k, random_state=0).fit(X),
    }
    seconds = {f"fit of {SMALL.n} × {SMALL.d}, k = {SMALL.k}": report.in_turns(fits, options.rounds, options.seconds)}
    for verb in ("predict", "score_samples"):
        runs = {name: bind(model, verb, X[:1]) for name, model in models(SMALL, X, options.threads).items()}
        verify(verb, *(run() for run in runs.values()))
        seconds[f"{verb} of one row"] = report.in_turns(runs, options.rounds, options.seconds)
    return seconds


def imports(rounds):
    """Name → seconds that the import takes in a fresh interpreter."""

    def run(modules):
        clock = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
        return float(subprocess.check_output([sys.executable, "-c", clock], text=True))

    for modules in IMPORTS.values():
        run(modules)
    seconds = {name: [] for name in IMPORTS}
    for _ in range(rounds):
        for name, modules in IMPORTS.items():
            seconds[name].append(run(modules))
    return seconds


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    warnings.simplefilter("ignore")  # of fits that do not converge
    machine, results = facts(), []
    print(f"Calls, median of {options.rounds} rounds (in brackets: times the first's); float64, {options.threads} "
          f"threads, cgmm on {machine['target']}; {machine['cpu']}.")  # fmt: skip
    report.print_title("A fitted model on all rows")
    both = [f"{verb}, {name}" for verb in VERBS for name in ("cgmm", "scikit-learn")]
    report.print_headings("problem", "n, d, k, family", *both)
    for problem, X in report.problems(options, QUICK_SCALE):
        results.append({**problem._asdict(), "n": len(X), "seconds": verbs(problem, X, options)})
        cells = [cell for seconds in results[-1]["seconds"].values() for cell in report.times(seconds.values())]
        report.print_row([problem.name, report.shape(results[-1]), *cells])
    report.print_title("Small work")
    report.print_headings("call", "cgmm", "scikit-learn", texts=1)
    little = small(options)
    for call, seconds in little.items():
        report.print_row([call, *report.times(seconds.values(), 1e6, "µs")])
    report.print_title("Import, in a fresh interpreter")
    report.print_headings(*IMPORTS, texts=0)
    imported = imports(options.rounds)
    report.print_row(report.times(imported.values()))
    report.write(options, machine, results=results, small=little, imports=imported)


if __name__ == "__main__":
    main()
