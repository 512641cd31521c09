"""Passes over the rows that EM needs with and without acceleration, where components overlap.

A pass counts whether what it led to was kept or not. They are counted from the same start until the mean
log-likelihood is within 1e-8 of the limit of EM, estimated from its last changes by Aitken's Δ². The starts are those
of k-means, or random rows with --init random_from_data. The largest fall is of the mean log-likelihood in an
iteration; reg_covar, which is added after the maximum, may let it fall, in EM as well.
"""

import argparse
import sys
import time
import warnings
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

import report
from cgmm import GMM, select
from machine import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from datasets import table

NEAR = 1e-8  # nats a row
ALL = ("full", "tied", "diag", "spherical")
TOL = 1e-6
STOPS = ("change", "distance")
MOST = 20_000  # iterations of EM to its limit


class Case(NamedTuple):
    """Rows and the mixture that is fitted to them."""

    name: str
    X: np.ndarray
    k: int
    family: str


class Run(NamedTuple):
    """Passes until near the limit, or None if it was never reached; the end, its passes and the largest fall."""

    passes: int | None
    seconds: float
    end: float
    passes_in_all: int
    fall: float


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--init", default="kmeans", help="init_params of the starts (default: kmeans)")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument("--reg-covar", type=float, default=1e-6, help="default: that of GMM, 1e-6")
    found.add_argument("--times", action="store_true", help="seconds of whole fits and selections instead")
    return report.parse(found, argv)


def overlapping(n, d, k, apart, seed):
    """n rows of k correlated clusters whose centres have the standard deviation `apart`, where theirs is about one."""
    rng = np.random.default_rng([seed, n, d, k])
    centres = apart * rng.standard_normal((k, d))
    mixed = rng.standard_normal((k, d, d)) / np.sqrt(d) + 0.5 * np.eye(d)
    labels = rng.integers(0, k, n)
    return centres[labels] + np.einsum("ijl,il->ij", mixed[labels], rng.standard_normal((n, d)))


def standardised(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def digits(features):
    """The digits along their principal axes."""
    from sklearn.datasets import load_digits

    X = load_digits().data
    X = X - X.mean(axis=0)
    _, lengths, axes = np.linalg.svd(X, full_matrices=False)
    return X @ axes[:features].T / lengths[0] * np.sqrt(len(X))


def cases(quick):
    """The problems of the table."""
    from sklearn.datasets import load_diabetes, load_wine

    iris, faithful = table("iris"), standardised(table("faithful"))
    lined = standardised(load_diabetes().data[:, [0, 2, 3, 4, 5, 6, 7, 8, 9]])
    wine, digit = standardised(load_wine().data), digits(10)
    chosen = [
        *((name, X, k, family) for name, X, k in (
            ("overlap, d = 2", overlapping(2000, 2, 3, 1.0, 0), 3),
            ("overlap, d = 5", overlapping(2000, 5, 4, 0.8, 1), 4),
        ) for family in ALL),
        ("overlap, d = 1", overlapping(3000, 1, 3, 1.5, 2), 3, "full"),
        *(("overlap, d = 8", overlapping(1500, 8, 5, 0.7, 3), 5, family) for family in ALL[:3]),
        ("iris", iris, 3, "full"), ("iris", iris, 4, "full"), ("iris", iris, 5, "tied"),
        ("iris", iris, 4, "diag"), ("iris", iris, 5, "spherical"),
        ("faithful", faithful, 3, "full"), ("faithful", faithful, 3, "tied"),
        ("faithful", faithful, 4, "diag"), ("faithful", faithful, 4, "spherical"),
        ("diabetes (mclust)", standardised(table("diabetes")), 4, "full"),
        ("diabetes", lined, 4, "full"), ("diabetes", lined, 4, "tied"), ("diabetes", lined, 5, "diag"),
        *(("digits, 10 axes", digit, 10, family) for family in ALL),
        ("wine", wine, 3, "full"), ("wine", wine, 4, "diag"),
    ]  # fmt: skip
    return [Case(*case) for case in (chosen[1:3] if quick else chosen)]


def limit_of(model, X):
    """Where EM ends."""
    bounds = model.fit(X).lower_bounds_
    before, change = np.diff(bounds[-3:])
    left = change**2 / (before - change) if 0 < change < before else 0.0
    return max(bounds.max(), bounds[-1] + left)


def run_of(model, X, limit):
    """A Run to the limit, and one to its own end at the tol of the model."""
    start = GMM(**model.get_params() | {"max_iter": 0}).fit(X).diagnostics_.passes
    reached = []

    def near(state):
        reached.append(state.log_likelihood >= limit - NEAR)
        return reached[-1]

    begin = time.perf_counter()
    there = GMM(**model.get_params() | {"callback": near}).fit(X)
    seconds = time.perf_counter() - begin
    whole = model.fit(X)
    bounds = whole.lower_bounds_
    passes = there.diagnostics_.passes - start if reached[-1] else None
    return Run(passes, seconds, bounds[-1], whole.diagnostics_.passes - start, float(np.diff(bounds).min(initial=0.0)))


def left_of(model, X, end):
    """What is left to gain where a fit stops at TOL, as a multiple of it, by each rule: stop → multiple."""
    return {stop: (end - model.set_params(tol=TOL, stop=stop).fit(X).lower_bound_) / TOL for stop in STOPS}


def compare(case, options):
    """EM's limit; its Run, and what is left where it stops at TOL; and those of the accelerated fit."""
    arguments = {"covariance_type": case.family, "init_params": options.init, "random_state": options.seed}
    arguments["reg_covar"] = options.reg_covar
    model = GMM(case.k, tol=1e-12, max_iter=MOST, n_threads=options.threads, **arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limit = limit_of(model, case.X)
        plain, fast = (run_of(model.set_params(accelerate=on), case.X, limit) for on in (False, True))
        ends = {False: max(limit, plain.end), True: max(limit, fast.end)}
        left = {on: left_of(model.set_params(accelerate=on), case.X, end) for on, end in ends.items()}
        return limit, (plain, left[False]), (fast, left[True])


def timed_cases(quick):
    """Problems of more and more rows."""
    chosen = [Case("iris", table("iris"), 4, "full"), Case("faithful", standardised(table("faithful")), 4, "diag")]
    chosen += [Case("overlap, d = 5", overlapping(n, 5, 4, 0.8, 1), 4, "tied") for n in (8000, 10_000, 100_000)]
    chosen += [Case("overlap, d = 2", overlapping(100_000, 2, 3, 1.0, 0), 3, "diag")]
    chosen += [Case("overlap, d = 20", overlapping(20_000, 20, 8, 0.3, 0), 8, "full")]
    return chosen[:2] if quick else chosen


def least_seconds(function):
    """Of three calls, and what the last returned."""
    calls = [report.timed(function) for _ in range(3)]
    return min(seconds for _, seconds in calls), calls[-1][0]


def print_times(options):
    """Seconds of fits with tol=1e-8, and of selections of one to six components."""
    shared = {"random_state": options.seed, "reg_covar": options.reg_covar, "n_threads": options.threads}
    report.print_title(f"Milliseconds of a fit, the start included, {options.threads} threads")
    report.print_headings("data", "n", "k", "family", "EM", "accelerated")
    results = []
    for name, X, k, family in timed_cases(options.quick):
        model = GMM(k, covariance_type=family, tol=1e-8, max_iter=5000, **shared)
        found = [least_seconds(partial(model.set_params(accelerate=on).fit, X))[0] for on in (False, True)]
        report.print_row([name, str(len(X)), str(k), family, *(f"{1e3 * seconds:.1f}" for seconds in found)])
        results.append([name, len(X), *found])
    report.print_title("Selections of one to six components")
    report.print_headings("data", "candidates", "EM, seconds", "accelerated", "higher", "lower")
    for name in ("iris", "faithful", "diabetes"):
        X = standardised(table(name))
        (plain, theirs), (fast, ours) = (
            least_seconds(partial(select, X, range(1, 7), accelerate=on, **shared)) for on in (False, True)
        )
        gains = np.array([a.log_likelihood - b.log_likelihood for a, b in zip(ours.table, theirs.table, strict=True)])
        counts = map(str, ((gains > 1e-3).sum(), (gains < -1e-3).sum()))
        report.print_row([name, str(len(gains)), f"{plain:.2f}", f"{fast:.2f}", *counts])
        results.append([name, plain, fast])
    report.write(options, facts(), results=results)


def main(argv=None):
    options = arguments(argv)
    if options.times:
        print_times(options)
        return
    results, shares = [], []
    report.print_title(
        f"Passes until within {NEAR:g} of EM's limit, init_params={options.init!r}, reg_covar={options.reg_covar:g}"
    )
    report.print_headings("data", "n", "k", "family", "EM", "accelerated", "share", "end less EM's", "largest fall")
    for case in cases(options.quick):
        limit, (plain, plain_left), (fast, fast_left) = compare(case, options)
        found = fast.passes is not None and plain.passes is not None
        share = fast.passes / plain.passes if found else np.nan
        shares.append(share)
        results.append({**case._replace(X=len(case.X))._asdict(), "limit": limit, "em": plain, "accelerated": fast,
                        "left of EM": plain_left, "left of accelerated": fast_left})  # fmt: skip
        report.print_row([case.name, str(len(case.X)), str(case.k), case.family, str(plain.passes),
                          str(fast.passes or "–"), f"{share:.2f}" if found else "–", f"{fast.end - limit:.1e}",
                          f"{abs(fast.fall):.1e}"])  # fmt: skip
    known = np.array(shares)[np.isfinite(shares)]
    lower = sum(result["accelerated"].end < result["limit"] - NEAR for result in results)
    higher = sum(result["accelerated"].end > result["limit"] + NEAR for result in results)
    print(f"\nShare of EM's passes: median {np.median(known):.2f}, largest {known.max():.2f}. "
          f"Of {len(shares)} ends {lower} are lower than EM's, {higher} higher.")  # fmt: skip
    report.print_title(f"What is left to gain at the end with tol={TOL:g}, as a multiple of tol")
    report.print_headings("fit", "stop", "median", "one in ten has more than")
    for name in ("EM", "accelerated"):
        for stop in STOPS:
            left = [result[f"left of {name}"][stop] for result in results]
            report.print_row([name, stop, f"{np.median(left):.2f}", f"{np.quantile(left, 0.9):.2f}"])
    report.write(options, facts(), results=results)


if __name__ == "__main__":
    main()
