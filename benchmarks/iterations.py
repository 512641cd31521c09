"""Iterations near convergence, and what the default start costs beside them, from few components to ten thousand.

    python benchmarks/iterations.py
    python benchmarks/iterations.py --growing       more and more components, of which each overlaps as many others

Both as a user pays for them, by whole fits: an iteration is the difference of fits of six and of one iteration from
the same parameters, those after ten iterations from the default start; the start, in iterations of its own, is a fit of
one iteration less that iteration. Nothing but `GMM` is used, so that another checkout can be timed by the same script:
PYTHONPATH=… chooses it, and --given FILE keeps the parameters for the next.
"""

import argparse
import statistics
import warnings
from pathlib import Path

import numpy as np

from cgmm import GMM
from report import common, parse, print_headings, print_row, timed

warnings.simplefilter("ignore")
CASES = (  # n, d, k, family, spread of the centers
    (100_000, 1, 10, "full", 3.0),
    (100_000, 4, 8, "full", 3.0),
    (300_000, 2, 300, "full", 3.0),
    (300_000, 3, 1000, "full", 3.0),
    (300_000, 3, 1000, "full", 10.0),
    (100_000, 16, 256, "full", 5.0),
    (20_000, 16, 2000, "diag", 3.0),
)
GROWING = tuple(  # of components that are as far apart as 1000 are at spread 3, and at spread 10
    (300_000, 3, k, "full", spread * (k / 1000) ** (1 / 3))
    for spread in (3, 10)
    for k in (100, 300, 1000, 3000, 10_000)
)
FEW, MANY, EARLIER = 1, 6, 10


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    common(found)
    found.add_argument("--rounds", type=int, default=5, help="timings of each fit; default 5")
    found.add_argument("--growing", action="store_true", help="more and more components of equal overlap instead")
    found.add_argument("--given", type=Path, metavar="FILE", help="parameters (.npz), read if there, else written")
    return parse(found, argv, rounds=1)


def rows_of(n, d, k, spread):
    rng = np.random.default_rng(0)
    centers = spread * rng.standard_normal((k, d))
    return centers[rng.integers(k, size=n)] + rng.standard_normal((n, d))


def parameters_of(model):
    return {f"{name}_init": getattr(model, f"{name}_") for name in ("weights", "means", "precisions")}


def iteration(fit, rounds):
    """Seconds of each of a few iterations, and of a fit of one iteration: fit (iterations) → a fit."""
    few, many = ([timed(fit, count)[1] for _ in range(rounds)] for count in (FEW, MANY))
    first = statistics.median(few)
    return (statistics.median(many) - first) / (MANY - FEW), first


def main(argv=None):
    options = arguments(argv)
    known = dict(np.load(options.given)) if options.given and options.given.exists() else {}
    print_headings("rows", "components", "iteration, ms", "ns a row", "an early one, ms", "start, iterations")
    for n, d, k, family, spread in GROWING if options.growing else CASES:
        if options.quick:
            n, k = n // 100, max(2, k // 100)
        X, name = rows_of(n, d, k, spread), f"{n} {d} {k} {family} {spread:g}"
        fixed = {"covariance_type": family, "tol": 0, "random_state": 0, "n_threads": options.threads}
        if f"{name} means_init" not in known:
            model = GMM(k, max_iter=EARLIER, **fixed).fit(X)
            known |= {f"{name} {key}": value for key, value in parameters_of(model).items()}
        given = {key: known[f"{name} {key}"] for key in ("weights_init", "means_init", "precisions_init")}
        near, _ = iteration(lambda count: GMM(k, max_iter=count, **fixed, **given).fit(X), options.rounds)  # noqa: B023
        early, first = iteration(lambda count: GMM(k, max_iter=count, **fixed).fit(X), options.rounds)  # noqa: B023
        print_row(
            [
                f"{n:,} × {d}, spread {spread:.3g}, {family}",
                f"{k:,}",
                f"{1e3 * near:.2f}",
                f"{1e9 * near / n:.0f}",
                f"{1e3 * early:.2f}",
                f"{(first - early) / early:.1f}",
            ]
        )
    if options.given and not options.given.exists():
        np.savez(options.given, **known)


if __name__ == "__main__":
    main()
