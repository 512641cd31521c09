"""What an EM iteration costs on a Dask cluster of this machine's processes, beside one in memory, and what chunks do.

Workers have one thread each, and hold the rows, which is checked at the end. An iteration's time is the median of
those between calls of a callback; its bytes are all that the machine sent meanwhile, so let it do nothing else. The
fits' parameters must agree with those of the fit in memory. What a chunk costs beside its rows is how the time of an
iteration grows with the number of chunks that have next to none.
"""

import argparse
import logging
import statistics
import time
import warnings

import dask.array as da
import numpy as np
import psutil
from distributed import Client, LocalCluster, wait

import report
from cases import PROBLEMS
from cgmm import GMM, ConvergenceWarning
from machine import facts

ROWS = {"mid8": 4_000_000, "mid32": 1_000_000, "diag8": 4_000_000}
FEW, MANY = 64, 512  # chunks
AGREES = 1e-9  # of the largest parameter


class Meter:
    """A callback: when each iteration ended, and what the machine had sent until then."""

    def __init__(self):
        self.times, self.sent = [], []

    def __call__(self, state):
        self.times.append(time.perf_counter())
        self.sent.append(psutil.net_io_counters().bytes_sent)

    def results(self):
        return {"seconds": np.diff(self.times).tolist(), "bytes": np.diff(self.sent).tolist()}


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--problems", nargs="+", choices=ROWS, default=list(ROWS))
    found.add_argument("--workers", nargs="+", type=int, default=[1, 2])
    found.add_argument("--chunks", type=int, default=16, help="of each problem's rows; default 16")
    found.add_argument("--iterations", type=int, default=12)
    return report.parse(found, argv, chunks=1, iterations=3)


def fit(problem, start, X, options, **more):
    """The model, and each iteration's seconds and bytes."""
    meter = Meter()
    weights, means, covariances = start
    model = GMM(
        problem.k,
        covariance_type=problem.covariance_type,
        weights_init=weights,
        means_init=means,
        precisions_init=np.linalg.inv(covariances) if covariances.ndim == 3 else 1 / covariances,
        reg_covar=0.0,
        tol=0.0,
        max_iter=options.iterations,
        callback=meter,
        **more,
    )
    return model.fit(X), meter.results()


def chunked(X, count, client):
    """A Dask array of X, which the workers have."""
    parts = np.array_split(X, count)
    futures = client.scatter(parts)
    wait(futures)
    return da.concatenate(
        [da.from_delayed(f, part.shape, part.dtype) for f, part in zip(futures, parts, strict=True)]
    ), futures


def agree(model, other):
    pairs = ((getattr(model, name), getattr(other, name)) for name in ("weights_", "means_", "covariances_"))
    return all(np.abs(a - b).max() <= AGREES * np.abs(b).max() for a, b in pairs)


def on_cluster(problem, start, X, workers, options):
    """The model and its results on so many workers; whether each chunk is where it was, and nowhere else."""
    silent = {"dashboard_address": ":0", "silence_logs": logging.ERROR}
    with LocalCluster(n_workers=workers, threads_per_worker=1, **silent) as cluster, Client(cluster) as client:
        rows, futures = chunked(X, options.chunks, client)
        before = client.who_has(futures)
        model, results = fit(problem, start, rows, options)
        return model, results | {"moved": client.who_has(futures) != before}


def without_rows(workers, options):
    """Seconds of an iteration of next to no rows: those of each chunk, and the rest."""
    problem = PROBLEMS["mid8"]._replace(k=2, d=2)
    X = np.random.default_rng(0).normal(size=(MANY * 16, 2))
    start = np.full(2, 0.5), X[:2], np.tile(np.eye(2), (2, 1, 1))
    found = {}
    for count in (FEW, MANY):
        _, results = on_cluster(problem, start, X, workers, argparse.Namespace(**vars(options) | {"chunks": count}))
        found[count] = statistics.median(results["seconds"])
    chunk = (found[MANY] - found[FEW]) / (MANY - FEW)
    return {"chunk": chunk, "pass": found[FEW] - FEW * chunk}


def measure(name, options):
    """The results of a problem, by where its rows were."""
    problem = PROBLEMS[name]._replace(n=ROWS[name])
    X = problem.rows(0.01 if options.quick else 1.0)
    start, found = problem.start(X), {}
    expected, found["memory, 1 thread"] = fit(problem, start, X, options, n_threads=1)
    if options.threads > 1:
        _, found[f"memory, {options.threads} threads"] = fit(problem, start, X, options, n_threads=options.threads)
    for workers in options.workers:
        model, results = on_cluster(problem, start, X, workers, options)
        if not agree(model, expected):
            raise SystemExit(f"{name}: the fit of {workers} workers is another")
        found[f"{workers} worker{'s' * (workers > 1)}"] = results
    return problem._replace(n=len(X)), found


def print_iterations(measured, options):
    report.print_title(f"An EM iteration of rows in {options.chunks} chunks")
    headings = "an iteration", "beside 1 thread", "million rows/s", "sent, KiB", "statistics, KiB", "chunks moved"
    report.print_headings("n, d, k", "where", *headings)
    for problem, found in measured.values():
        one = statistics.median(found["memory, 1 thread"]["seconds"])
        for where, results in found.items():
            seconds = statistics.median(results["seconds"])
            row = [report.shape(problem._asdict()), where, f"{1e3 * seconds:.1f} ms", f"{seconds / one:.2f}×"]
            row.append(f"{problem.n / seconds / 1e6:.1f}")
            report.print_row([*row, *what_travels(problem, results)])


def what_travels(problem, results):
    """Cells: what was sent in an iteration, the size of a chunk's statistics, and whether chunks moved."""
    if "moved" not in results:
        return ["–"] * 3
    width = problem.d if problem.covariance_type == "full" else 1
    size = 8 * problem.k * (1 + problem.d + problem.d * width)
    sent = statistics.median(results["bytes"])
    return [f"{sent / 1024:.0f}", f"{size / 1024:.1f}", "yes" if results["moved"] else "no"]


def main(argv=None):
    options = arguments(argv)
    warnings.simplefilter("ignore", ConvergenceWarning)
    measured = {name: measure(name, options) for name in options.problems[: 1 if options.quick else None]}
    print_iterations(measured, options)
    empty = {workers: without_rows(workers, options) for workers in options.workers}
    report.print_title("An iteration beside its rows")
    report.print_headings("workers", "each chunk", "the rest", texts=1)
    for workers, seconds in empty.items():
        report.print_row([str(workers), f"{1e3 * seconds['chunk']:.2f} ms", f"{1e3 * seconds['pass']:.0f} ms"])
    values = {name: {"n": problem.n, "results": found} for name, (problem, found) in measured.items()}
    report.write(options, facts(), results=values, without_rows=empty)


if __name__ == "__main__":
    main()
