"""How good and how long many starts are: the best of them in cgmm, beside mclust's optimum and scikit-learn's best.

mclust's log-likelihoods of faithful, iris and diabetes are those of tests/data/mclust_fits.json; the toy sets are
scikit-learn's. A fit is below if its log-likelihood is lower by more than 1e-6 of it. cgmm returns a fit whose
covariances the rows determine before a more likely one that only reg_covar holds up, as scikit-learn's best may be:
beside scikit-learn the highest likelihood that cgmm's starts reached counts.
"""

import argparse
import sys
import warnings
from pathlib import Path

from threadpoolctl import threadpool_limits

import report
from cgmm import GMM
from machine import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from datasets import FAMILY_OF_MODEL, MCLUST, table

TOYS = ("iris", "wine", "breast_cancer", "diabetes")
LIBRARIES = ("cgmm", "sklearn")
BELOW = 1e-6  # relative: convergence


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--starts", type=int, default=40, help="cgmm's n_init (default: 40)")
    found.add_argument("--peer-starts", type=int, default=10, help="scikit-learn's (default: 10)")
    found.add_argument("--tol", type=float, default=1e-8)
    found.add_argument("--seed", type=int, default=0)
    return report.parse(found, argv, starts=1, peer_starts=1)


def problems(options):
    """Name, rows, family, k, mclust's log-likelihood or None."""
    for known in MCLUST[:: 12 if options.quick else 1]:
        X, family = table(known["dataset"]), FAMILY_OF_MODEL[known["model"]]
        yield known["dataset"], X, family, known["k"], known["loglik"]
    from sklearn import datasets

    for name in TOYS[: 1 if options.quick else None]:
        X = getattr(datasets, f"load_{name}")().data
        for family in FAMILY_OF_MODEL.values():
            for k in (3, 6):
                yield f"{name} (toy)", X, family, k, None


def fit(estimator, X, family, k, n_init, options):
    """Log-likelihood of the rows, seconds, and the highest log-likelihood that its starts reached."""
    settings = {"covariance_type": family, "n_init": n_init, "tol": options.tol, "max_iter": 2000}
    model = estimator(k, random_state=options.seed, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _, seconds = report.timed(model.fit, X)
    found, reached = model.score(X), -float("inf")
    if hasattr(model, "diagnostics_"):
        reached = max(restart.log_likelihood for restart in model.diagnostics_.restarts if restart.carried)
    return found * len(X), seconds, max(found, reached) * len(X)


def below(value, reference):
    return value < reference - BELOW * abs(reference)


def main(argv=None):
    options = arguments(argv)
    from sklearn.mixture import GaussianMixture

    results = []
    with threadpool_limits(options.threads):
        for name, X, family, k, mclust in problems(options):
            ours = fit(lambda *a, **s: GMM(*a, n_threads=options.threads, **s), X, family, k, options.starts, options)
            theirs = fit(GaussianMixture, X, family, k, options.peer_starts, options)
            results.append({"data": name, "family": family, "k": k, "mclust": mclust, "cgmm": ours, "sklearn": theirs})
    sets = dict.fromkeys(result["data"] for result in results)
    report.print_title(
        f"cgmm's best of {options.starts} starts, scikit-learn's of {options.peer_starts}, tol={options.tol:g}"
    )
    report.print_headings("data", "fits", "cgmm below mclust", "scikit-learn below mclust", "cgmm below scikit-learn",
                          "scikit-learn below cgmm", "cgmm, seconds", "scikit-learn, seconds")  # fmt: skip
    for name in sets:
        chosen = [result for result in results if result["data"] == name]
        known = [result for result in chosen if result["mclust"] is not None]
        counts = [
            sum(below(r[library][0], r["mclust"]) for r in known) if known else "–" for library in ("cgmm", "sklearn")
        ]
        counts += [sum(below(r["cgmm"][2], r["sklearn"][2]) for r in chosen)]
        counts += [sum(below(r["sklearn"][2], r["cgmm"][2]) for r in chosen)]
        seconds = [f"{sum(r[own][1] for r in chosen):.2f}" for own in LIBRARIES]
        report.print_row([name, str(len(chosen)), *map(str, counts), *seconds])
    report.write(options, facts(), results=results)


if __name__ == "__main__":
    main()
