"""Fits beside busy processes: does a second thread help, or at least not harm?

Each fit with one thread and with the default number, in turns, alone and then beside processes that only count. Prints
a Markdown table; --json keeps every timing. The table is of use from a machine that does nothing else.
"""

import argparse
import contextlib
import statistics
import subprocess
import sys
import time
import warnings
from functools import partial
from pathlib import Path

import numpy as np

import report
from cgmm import GMM, select
from machine import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from datasets import table
from problems import clusters

BUSY = "while True: pass"
ITERATIONS = 20
HEADINGS = ("fit", "processes beside", "one thread", "default threads", "of the means")


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=9, help="timings of each fit; default 9")
    found.add_argument("--beside", type=int, default=5, help="busy processes; default 5")
    return report.parse(found, argv, rounds=1, beside=1)


@contextlib.contextmanager
def busy(count):
    """So many processes that compute."""
    others = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()
        time.sleep(1)  # for so long passes may have one thread, because others waited in vain


def iterations(n, d, k, n_threads):
    """A number of iterations from given parameters."""
    X = clusters(n, d, k)
    given = {"weights_init": np.full(k, 1 / k), "means_init": X[:k].copy(), "precisions_init": [np.eye(d)] * k}
    return partial(GMM(k, tol=0, max_iter=ITERATIONS, n_threads=n_threads, **given).fit, X)


def whole(n, d, k, n_threads):
    """A fit with default arguments."""
    return partial(GMM(k, random_state=0, n_threads=n_threads).fit, clusters(n, d, k))


def selection(n_threads):
    return partial(select, table("iris"), range(1, 6), random_state=0, n_threads=n_threads)


def fits(options):
    """Name → a function of the number of threads that makes the fit."""
    sizes = [(2000, 2, 3)] if options.quick else [(10_000, 1, 10), (40_000, 4, 8), (200_000, 8, 8)]
    for n, d, k in sizes:
        yield f"{n:,} × {d}, k = {k}: {ITERATIONS} iterations", partial(iterations, n, d, k)
    for n, d, k in [] if options.quick else [(20_000, 2, 3), (100_000, 1, 10)]:
        yield f"{n:,} × {d}, k = {k}: whole fit", partial(whole, n, d, k)
    if not options.quick:
        yield "select on iris, k = 1 … 5", selection


def main(argv=None):
    options = arguments(argv)
    results = []
    report.print_title("Fits with one thread and with the default number, alone and beside busy processes")
    report.print_headings(*HEADINGS, texts=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, fit in fits(options):
            functions = {"one": fit(1), "default": fit(options.threads)}
            for count in (0, options.beside):
                with busy(count):
                    seconds = report.in_turns(functions, options.rounds, 0.0)
                ratio = statistics.fmean(seconds["default"]) / statistics.fmean(seconds["one"])
                results.append({"fit": name, "beside": count, "seconds": seconds, "ratio_of_means": ratio})
                report.print_row([name, str(count), *report.times(list(seconds.values())), f"{ratio:.2f}"])
    report.write(options, facts(), results=results)


if __name__ == "__main__":
    main()
