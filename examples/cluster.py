"""A fit on a cluster, and what travels over its network.

Two workers stand for the machines of a cluster. Each makes its own chunks of five million rows and keeps them; the fit
sends them parameters and gets sums back, about as many bytes in an iteration however many rows there are. The labels
stay on the workers, too: only how often each was given is asked for.

    python examples/cluster.py --output FOLDER
"""

import logging
from time import perf_counter

import numpy as np

from _common import numbers, output_folder, panels, save
from cgmm import GMM, plot

try:
    import dask
    import dask.array as da
    import psutil
    from distributed import Client, LocalCluster, wait
except ImportError:
    raise SystemExit("This example needs Dask: pip install 'compiled-gmm[dask]'") from None

CHUNKS, ROWS = 20, 250_000
CENTRES = np.array([[0, 0, 0, 0], [5, 1, 0, 0], [0, 6, 2, 0], [-4, 4, 0, 3]], dtype=float)
SHARES = np.array([0.4, 0.3, 0.2, 0.1])
MIB, KIB = 2**20, 2**10


def made_by_workers():
    """A Dask array of rows that do not exist before a worker makes them; the seed of each chunk is its number."""

    def chunk(block_info):
        rng = np.random.default_rng(block_info[None]["chunk-location"][0])
        kind = rng.choice(len(SHARES), size=ROWS, p=SHARES)
        return CENTRES[kind] + rng.standard_normal((ROWS, CENTRES.shape[1]))

    return da.map_blocks(chunk, chunks=((ROWS,) * CHUNKS, CENTRES.shape[1:]), meta=np.empty((0, 0)))


class Meter:
    """A callback of GMM: the seconds of each iteration, and the bytes that this machine sent meanwhile."""

    def __init__(self):
        self.seconds, self.bytes = [], []
        self.last = None

    def __call__(self, state):
        now = perf_counter(), psutil.net_io_counters().bytes_sent
        if self.last is not None:
            self.seconds.append(now[0] - self.last[0])
            self.bytes.append(now[1] - self.last[1])
        self.last = now


def fit(X):
    meter = Meter()
    begin = perf_counter()
    model = GMM(len(SHARES), random_state=0, tol=1e-6, callback=meter).fit(X)
    return model, meter, perf_counter() - begin


def report(X, model, meter, seconds):
    k, d = model.means_.shape
    median = np.median(meter.seconds)
    print(f"{len(X):,} rows of {d} features in {X.npartitions} chunks on two workers: {X.nbytes / MIB:.0f} MiB")
    print(f"{model.n_iter_} iterations, {model.diagnostics_.passes} passes, {seconds:.1f} s")
    print(f"an iteration: {1e3 * median:.0f} ms, {len(X) / median / 1e6:.1f} million rows a second")
    size = 8 * k * (d * d + d + 1)
    print(f"it sends {np.median(meter.bytes) / KIB:.0f} KiB; the statistics of a chunk are {size} bytes of it")
    print("weights:", numbers(np.sort(model.weights_)), "  drawn with", numbers(np.sort(SHARES), 2))


def draw(X, model, path):
    """Some of the rows, which do travel."""
    some = X[:: len(X) // 3000].compute()
    figure, axes = panels(1, 1, (6.4, 4.8))
    plot.plane(model, some, features=(0, 1), ax=axes[0, 0])
    axes[0, 0].set_title(f"{len(X):,} rows, of which {len(some):,} left their workers", loc="left")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    silent = {"dashboard_address": ":0", "silence_logs": logging.ERROR}
    with LocalCluster(n_workers=2, threads_per_worker=1, **silent) as cluster, Client(cluster):
        X = made_by_workers().persist()
        wait(X)
        model, meter, seconds = fit(X)
        report(X, model, meter, seconds)
        (counts,) = dask.compute(da.bincount(model.predict(X), minlength=len(SHARES)))
        print("rows of each component:", *(f"{count:,}" for count in counts))
        draw(X, model, folder / "cluster.png")


if __name__ == "__main__":
    main()
