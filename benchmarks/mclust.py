"""Choosing among fourteen families and one to nine components: cgmm.select beside R's Mclust.

Both are called with nothing but the rows: `select(X, random_state=0)` takes one start for each candidate, by k-means,
and its neighbours, `Mclust(X)` its hierarchical one. Beside the times, what they buy: how many candidates have the
lower BIC, by more than 1e-6 of it, among those that both fitted; what only reg_covar holds up does not count for cgmm,
nor what mclust gives up (NA) for mclust.
Without Rscript and its package mclust there is nothing to compare, and only cgmm is timed.
"""

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

import report
from cgmm import select
from machine import facts

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "helpers"))
from datasets import FAMILY_OF_MODEL, table
from problems import clusters

HERE = Path(__file__).parent
BELOW = 1e-6  # relative
NAMES = {family: model for model, family in FAMILY_OF_MODEL.items()}


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rounds", type=int, default=5, help="of which the median counts; default 5")
    found.add_argument("--n-init", type=int, nargs="+", default=[1, 2], help="starts; default 1 and 2")
    found.add_argument("--large", action="store_true", help="50,000 × 5, too, which takes mclust minutes")
    return report.parse(found, argv, rounds=1)


def problems(options):
    """Names and rows."""
    for name in ("faithful", "iris", "diabetes"):
        yield name, table(name)
    if not options.quick:
        yield "five clusters, 2,000 × 5", clusters(2000, 5, 5)
    if options.large:
        yield "five clusters, 50,000 × 5", clusters(50_000, 5, 5)


def with_cgmm(X, options, n_init):
    """The median of the seconds, and BIC by family and size."""
    seconds = []
    for _ in range(options.rounds):
        found, once = report.timed(lambda: select(X, n_init=n_init, random_state=0, n_threads=options.threads))
        seconds.append(once)
    bics = {
        (NAMES.get(row.covariance_type, row.covariance_type), row.n_components): row.bic
        for row in found.table
        if not row.warnings
    }
    return statistics.median(seconds), bics


def with_mclust(X, options):
    """The same; None without R or its package."""
    if shutil.which("Rscript") is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        np.savetxt(
            path, X, delimiter=",", fmt="%.17g", header=",".join(f"x{j}" for j in range(X.shape[1])), comments=""
        )
        program = ["Rscript", str(HERE / "mclust.R"), str(path), str(options.rounds)]
        done = subprocess.run(program, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"mclust is left out: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    (_, *seconds), *lines = (line.split() for line in done.stdout.splitlines())
    bics = {(model, int(k)): -float(bic) for model, k, bic in lines if bic != "NA"}
    return statistics.median(map(float, seconds)), bics


def compared(ours, theirs):
    """Of the candidates that both have: how many, in how many ours is lower, and in how many higher."""
    both = [key for key in ours if key in theirs]
    lower = sum(ours[key] < theirs[key] - BELOW * abs(ours[key]) for key in both)
    higher = sum(ours[key] > theirs[key] + BELOW * abs(ours[key]) for key in both)
    return {"candidates": len(both), "lower": lower, "higher": higher,
            "winner_lower_by": min(theirs.values()) - min(ours.values())}  # fmt: skip


def main(argv=None):
    options = arguments(argv)
    results = []
    with threadpool_limits(options.threads), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        select(clusters(100, 2, 2), 2)  # what is loaded late, is
        for name, X in problems(options):
            theirs = with_mclust(X, options)
            for n_init in options.n_init:
                seconds, bics = with_cgmm(X, options, n_init)
                found = {"data": name, "n_init": n_init, "seconds": seconds}
                if theirs is not None:
                    found |= {"mclust_seconds": theirs[0], **compared(bics, theirs[1])}
                results.append(found)
    report.print_title("select beside Mclust: fourteen families, one to nine components")
    report.print_headings(
        "data", "starts", "cgmm, seconds", "mclust, seconds", "candidates of both", "cgmm's BIC lower", "higher",
        "winner's BIC lower by",
    )  # fmt: skip
    for r in results:
        peer = ["–"] * 5
        if "mclust_seconds" in r:
            ratio = f"{r['mclust_seconds']:.2f} ({r['mclust_seconds'] / r['seconds']:.1f}×)"
            peer = [ratio, *(str(r[what]) for what in ("candidates", "lower", "higher")), f"{r['winner_lower_by']:.2f}"]
        report.print_row([r["data"], str(r["n_init"]), f"{r['seconds']:.3f}", *peer])
    report.write(options, facts(), results=results)


if __name__ == "__main__":
    main()
