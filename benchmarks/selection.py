"""Choosing a model: cgmm.select beside the same loop over scikit-learn.

Every size and family, with as many starts, the same tol and max_iter. Before the times, what they buy: in how many
candidates each has the lower BIC, by more than 1e-6 of it. What only reg_covar holds up does not count: cgmm does not
return it.
"""

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import select
from cgmm.fit.leaning import LEANING
from machine import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from datasets import table
from problems import clusters

FAMILIES = ("full", "tied", "diag", "spherical")
BELOW = 1e-6  # relative
SETTINGS = {"tol": 1e-6, "max_iter": 1000, "reg_covar": 1e-6}


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--starts", type=int, default=10, help="of each candidate; default 10")
    found.add_argument("--most", type=int, default=9, help="components; default 9")
    found.add_argument("--seed", type=int, default=0)
    return report.parse(found, argv, starts=2, most=3)


def problems(options):
    """Names and rows."""
    for name in ("faithful", "iris", "diabetes"):
        yield name, table(name)
    for n, d in () if options.quick else ((2000, 4), (20000, 8)):
        yield f"five clusters, {n:,} × {d}", clusters(n, d, 5)


def with_cgmm(X, options):
    """BIC by family and size."""
    found = select(
        X,
        range(1, options.most + 1),
        FAMILIES,
        n_init=options.starts,
        random_state=options.seed,
        n_threads=options.threads,
        **SETTINGS,
    )
    return {(row.covariance_type, row.n_components): row.bic for row in found.table}


def with_scikit_learn(X, options):
    """The same, without what only reg_covar holds up."""
    from sklearn.mixture import GaussianMixture

    found = {}
    for family in FAMILIES:
        for k in range(1, options.most + 1):
            model = GaussianMixture(
                k, covariance_type=family, n_init=options.starts, random_state=options.seed, **SETTINGS
            ).fit(X)
            precisions = model.precisions_
            left = 1 / (np.diagonal(precisions, axis1=-2, axis2=-1) if family in ("full", "tied") else precisions)
            found[family, k] = model.bic(X) if left.min() > SETTINGS["reg_covar"] / LEANING else np.inf
    return found


def main(argv=None):
    options = arguments(argv)
    results = []
    with threadpool_limits(options.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        select(clusters(100, 2, 2), 2)  # what is loaded late, is
        for name, X in problems(options):
            ours, seconds = report.timed(with_cgmm, X, options)
            theirs, peer_seconds = report.timed(with_scikit_learn, X, options)
            lower = sum(ours[key] < theirs[key] - BELOW * abs(ours[key]) for key in ours)
            higher = sum(ours[key] > theirs[key] + BELOW * abs(ours[key]) for key in ours)
            results.append({"data": name, "candidates": len(ours), "lower": lower, "higher": higher,
                            "seconds": seconds, "scikit_learn_seconds": peer_seconds})  # fmt: skip
    report.print_title(f"select beside a loop over scikit-learn: k to {options.most}, {options.starts} starts")
    report.print_headings("data", "candidates", "cgmm's BIC lower", "higher", "cgmm, seconds", "scikit-learn, seconds")
    for r in results:
        ratio = r["scikit_learn_seconds"] / r["seconds"]
        report.print_row([r["data"], str(r["candidates"]), str(r["lower"]), str(r["higher"]), f"{r['seconds']:.2f}",
                          f"{r['scikit_learn_seconds']:.1f} ({ratio:.0f}×)"])  # fmt: skip
    report.write(options, facts(), results=results)


if __name__ == "__main__":
    main()
