"""Replicates and tests of Old Faithful (272 × 2), beside mclust where R and mclust are installed.

    python benchmarks/bootstrap.py [--rounds N] [--json FILE]

Each is called in turns; the time is the median of the rounds. Prints a Markdown table.
"""

import argparse
import json
import shutil
import subprocess
from pathlib import Path
from statistics import median

import numpy as np

import report
from cgmm import GMM, bootstrap, combine, fit_many, likelihood_ratio_test

DATA = Path(__file__).parent.parent / "examples" / "data" / "faithful.csv"
R = """
suppressMessages(library(mclust)); model <- Mclust(faithful, G = 2, modelNames = "VVV", verbose = FALSE)
seconds <- function(call) cat(system.time(call)["elapsed"], "\\n")
for (type in c("bs", "pb", "wlbs")) seconds(MclustBootstrap(model, nboot = 999, type = type, verbose = FALSE))
seconds(mclustBootstrapLRT(faithful, modelName = "VVV", nboot = 199, maxG = 2, verbose = FALSE))
"""
OURS = {
    "bootstrap, 999 nonparametric replicates": lambda X, model: bootstrap(model, X, 999, random_state=0),
    "bootstrap, 999 parametric": lambda X, model: bootstrap(model, X, 999, kind="parametric", random_state=0),
    "bootstrap, 999 weighted": lambda X, model: bootstrap(model, X, 999, kind="weighted", random_state=0),
    "tests of 1 and of 2, 199 replicates each": lambda X, model: tested(X),
    "the same, tol=0.1": lambda X, model: tested(X, tol=0.1),
    "combine, 5 components": lambda X, model: combine(FIVE[0], X),
    "999 nonparametric replicates by fit_many": lambda X, model: by_fit_many(X, model),
}
FIVE = []


def tested(X, **arguments):
    return likelihood_ratio_test(X, n_replicates=199, max_components=3, random_state=0, **arguments)


def by_fit_many(X, model):
    """What one would write without `bootstrap`: copies of rows, and starts by k-means."""
    which = np.random.default_rng(0).integers(0, len(X), (999, len(X)))
    return fit_many(X[which], 2, tol=0.005 / len(X), stop="distance", max_iter=1000, random_state=0)


def of_mclust():
    """Seconds of the first four, by R; nothing without it."""
    if shutil.which("Rscript") is None:
        return []
    found = subprocess.run(["Rscript", "-e", R], capture_output=True, text=True, check=False)
    return [float(line) for line in found.stdout.split()]


def main(argv=None):
    parser = report.common(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    parser.add_argument("--rounds", type=int, default=7)
    options = report.parse(parser, argv, rounds=1)
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    model = GMM(2, tol=1e-8, random_state=0).fit(X)
    FIVE[:] = [GMM(5, tol=1e-6, max_iter=1000, random_state=0).fit(X)]
    seconds = {name: [] for name in OURS}
    for call in OURS.values():
        call(X, model)
    for _ in range(options.rounds):
        for name, call in OURS.items():
            seconds[name].append(report.timed(call, X, model)[1])
    mclust = of_mclust()
    print("| | cgmm, ms | mclust, ms | ratio |\n|---|---|---|---|")
    for at, (name, each) in enumerate(seconds.items()):
        own, theirs = median(each), mclust[at] if at < len(mclust) else None
        told = ("", "") if theirs is None else (f"{1e3 * theirs:.0f}", f"× {theirs / own:.1f}")
        print(f"| {name} | {1e3 * own:.1f} | {told[0]} | {told[1]} |")
    if options.json:
        Path(options.json).write_text(json.dumps({"cgmm": seconds, "mclust": mclust}))


if __name__ == "__main__":
    main()
