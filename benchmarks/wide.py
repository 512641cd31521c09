"""Wide data: fits of 100 to 2048 features beside scikit-learn's, an iteration and a whole fit of ten.

Both start from the same means and make the same iterations. An iteration is the difference between fits of five and of
ten iterations, over five; of ten and sixty where it is short, of one and three where it is long, which then is what
stands for a whole fit. Each time is the least of some rounds in turns, after a rest. Let scikit-learn's BLAS choose its
own kernels: `env -u OPENBLAS_CORETYPE -u OPENBLAS_L2_SIZE python benchmarks/wide.py`. On a machine on which others run:
`--threads 1 --processor-time`. Prints a Markdown table; --json adds the rows to a file.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
from sklearn.mixture import GaussianMixture
from threadpoolctl import threadpool_limits

import report
from cgmm import GMM
from machine import facts, peak

D = (100, 128, 200, 256, 384, 768, 1024, 1536, 2048)
K = (2, 8)
FAMILIES = ("full", "tied")
# Rows for each size: a quarter of d, d, 5 k d and 20 k d; the four regimes.
ROWS = {"d/4": lambda d, k: d // 4, "d": lambda d, k: d, "5kd": lambda d, k: 5 * k * d, "20kd": lambda d, k: 20 * k * d}
WHOLE = 10  # iterations of a whole fit
SHORT, LONG = 1e9, 1e11  # useful operations of an iteration: fewer are short, more are long
HEADINGS = (
    "d", "k", "family", "n", "iteration, ms", "scikit-learn", "ratio",
    "fit, ms", "scikit-learn", "ratio", "GFLOP/s", "of the peak",
)  # fmt: skip


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__)
    found.add_argument("--d", type=int, nargs="+", default=D)
    found.add_argument("--k", type=int, nargs="+", default=K)
    found.add_argument("--families", nargs="+", default=FAMILIES, choices=FAMILIES)
    found.add_argument("--rows", nargs="+", default=list(ROWS), choices=ROWS)
    found.add_argument("--most", type=float, default=4e7, help="leave out shapes of more values of X; default 4e7")
    found.add_argument("--rounds", type=int, default=3)
    found.add_argument("--threads", type=int, default=2)
    found.add_argument(
        "--processor-time",
        dest="clock",
        action="store_const",
        const=time.process_time,
        default=time.perf_counter,
        help="measure what one thread takes of a processor: for a machine on which others run",
    )
    found.add_argument("--json", type=Path, help="file to which the rows are added")
    return found.parse_args(argv)


def rows_of(n, d, k):
    """Overlapping components: rows of unit variance about means that are half of it apart in each feature."""
    rng = np.random.default_rng([n, d, k])
    labels = rng.integers(k, size=n)
    return rng.standard_normal((n, d)) + 0.5 * rng.standard_normal((k, d))[labels], labels


def timed(kind, X, start, k, family, iterations, clock=time.perf_counter, **arguments):
    chosen = {"covariance_type": family, "max_iter": iterations, "tol": 0.0, "random_state": 0}
    model = kind(k, means_init=start, init_params="random_from_data", **chosen, **arguments)
    begin = clock()
    model.fit(X)
    return clock() - begin


def flops(n, d, k, family):
    """Useful operations of an iteration: whitening, second moments, and roots; of fewer rows than features in their
    space, whose size is n."""
    m = min(n, d)
    if family == "tied":
        return 2 * n * m * m + 2 * m**3 / 3
    return k * (2 * n * m * m + 2 * m**3 / 3)


def lengths(work):
    """Iterations of the two fits, of so many operations each."""
    if work > LONG:
        return 1, 3
    return (WHOLE, 60) if work < SHORT else (5, WHOLE)


def measure(n, d, k, family, options):
    """Seconds of an iteration and of a whole fit, ours and scikit-learn's; and the peak of the same minutes."""
    X, labels = rows_of(n, d, k)
    start = np.stack([X[labels == c].mean(axis=0) if (labels == c).any() else X[c] for c in range(k)])
    work = flops(n, d, k, family)
    few, many = lengths(work)
    ours, theirs, peaks = {few: [], many: []}, {few: [], many: []}, []
    for _ in range(1 if work > LONG else options.rounds):
        for iterations in (few, many):
            for found, kind, arguments in ((ours, GMM, {"n_threads": options.threads}), (theirs, GaussianMixture, {})):
                time.sleep(report.REST)
                shape = X, start, k, family, iterations, options.clock
                found[iterations].append(timed(kind, *shape, **arguments))
        time.sleep(report.REST)
        peaks.append(peak(np.float64, options.threads, clock=options.clock))
    found = {"n": n, "d": d, "k": k, "family": family, "peak": max(peaks), "flops": work}
    for name, seconds in (("cgmm", ours), ("scikit_learn", theirs)):
        least = {iterations: min(own) for iterations, own in seconds.items()}
        found[name] = {
            "iteration": (least[many] - least[few]) / (many - few),
            "fit": least.get(WHOLE, least[many]),
            "seconds": seconds,
        }
    return found


def cells(row):
    ours, theirs = row["cgmm"], row["scikit_learn"]
    shown = [row["d"], row["k"], row["family"], row["n"]]
    for what in ("iteration", "fit"):
        shown += [f"{1e3 * ours[what]:.3g}", f"{1e3 * theirs[what]:.3g}", f"{theirs[what] / ours[what]:.2g}"]
    rate = row["flops"] / ours["iteration"]
    return [*shown, f"{rate / 1e9:.0f}", f"{rate / row['peak']:.0%}"]


def main(argv=None):
    options = arguments(argv)
    threadpool_limits(options.threads)
    warnings.simplefilter("ignore")  # of runs that do not converge
    print("| " + " | ".join(HEADINGS) + " |\n|" + " ---: |" * len(HEADINGS))
    measured = []
    for d in options.d:
        for k in options.k:
            for family in options.families:
                for count in options.rows:
                    n = ROWS[count](d, k)
                    if n * d > options.most:
                        continue
                    measured.append(measure(n, d, k, family, options))
                    print("| " + " | ".join(map(str, cells(measured[-1]))) + " |", flush=True)
    if options.json:
        known = json.loads(options.json.read_text())["rows"] if options.json.exists() else []
        options.json.write_text(json.dumps({"machine": facts(), "rows": known + measured}, indent=1))


if __name__ == "__main__":
    main()
