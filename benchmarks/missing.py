"""What missing values cost: an EM iteration of rows with gaps beside that of the same rows without.

Both run from the same parameters. First the densities of some rows with gaps must agree with the slow reference of the
tests to 1e-8, and the log-likelihood must rise. Then iterations are timed in turns; and apart from them what is done
once in a fit, to order rows by what is missing in them. Prints a Markdown table; --json keeps it all.
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cases import Problem
from cgmm.em.loop import run
from cgmm.em.settings import Settings
from cgmm.em.stage import Stage
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.rows.opened import data_of
from cgmm.rows.part import Part
from machine import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
import reference

SIZES = ((100_000, 10, 8), (20_000, 20, 8))
SHARES = (0.05, 0.3)
ITERATIONS = 3  # of a timing
CHECKED = 100  # rows
AGREE = 1e-8
QUICK_SCALE = 0.05
HEADINGS = ("n, d, k, family", "missing", "patterns", "complete", "with gaps", "order of the rows, in iterations")


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=7, help="default 7")
    found.add_argument("--seconds", type=float, default=0.2, help="of a timing, at least; default 0.2")
    return report.parse(found, argv, rounds=1)


def verify(data, parameters, settings):
    """That the densities of some rows are the reference's, and EM raises the likelihood."""
    rows = data.part.rows[:CHECKED]
    found = data.evaluate(parameters, "log_likelihood", 1)[:CHECKED]
    mixture = parameters.weights, parameters.means, parameters.covariances, parameters.family.name
    expected = reference.log_sum_exp(reference.missing_log_joint(rows, *mixture))
    error = np.abs(found - expected).max() / np.abs(expected).max()
    if not error < AGREE:
        raise SystemExit(f"log-densities differ from the reference by {error:g}")
    if not np.all(np.diff(run(data, Stage.first(parameters), settings).lower_bounds) > 0):
        raise SystemExit("the log-likelihood fell")


def measure(problem, X, share, options):
    """Seconds of an iteration with and without gaps, and of finding the order of the rows."""
    family = FAMILIES[problem.covariance_type]
    start = Parameters.build(family, *problem.start(X))
    gaps = np.random.default_rng(0).random(X.shape) < share
    part = Part(np.where(gaps, np.nan, X))
    complete, gapped = data_of(Part(X), complete=True), data_of(part, complete=False)
    settings = Settings(Rules(n_threads=options.threads), max_iter=ITERATIONS)
    verify(gapped, start, settings)
    runs = {
        "complete": lambda: run(complete, Stage.first(start), settings),
        "with gaps": lambda: run(gapped, Stage.first(start), settings),
        "order": lambda: data_of(part, complete=False).statistics(start, options.threads),
        "no order": lambda: gapped.statistics(start, options.threads),
    }
    return {
        **problem._asdict(),
        "n": len(X),
        "share": share,
        "patterns": len(np.unique(gaps, axis=0)),
        "seconds": report.in_turns(runs, options.rounds, options.seconds),
    }


def cells(measured):
    """The table's row of one measurement."""
    seconds = measured["seconds"]
    iterations = [[value / ITERATIONS for value in seconds[name]] for name in ("complete", "with gaps")]
    order, none, iteration = map(statistics.median, (seconds["order"], seconds["no order"], iterations[1]))
    shape = [report.shape(measured), f"{measured['share']:.0%}", f"{measured['patterns']:,}"]
    return [*shape, *report.times(iterations), f"{max(order - none, 0) / iteration:.1f}"]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    machine = facts()
    print(f"float64, {options.threads} threads, cgmm on {machine['target']}; {machine['cpu']}.\n")
    report.print_headings(*HEADINGS, texts=1)
    results = []
    for n, d, k in SIZES:
        for family in FAMILIES:
            problem = Problem("missing", n, d, k, family)
            X = problem.rows(QUICK_SCALE if options.quick else 1.0)
            for share in SHARES:
                results.append(measure(problem, X, share, options))
                report.print_row(cells(results[-1]))
    print("\nTimes are medians. In brackets: how many times that of complete rows.")
    report.write(options, machine, results=results)


if __name__ == "__main__":
    main()
