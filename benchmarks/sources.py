"""What rows cost that are not in memory: passes over a mapped file, a Parquet file and blocks, beside an array.

Each way fits the same rows in a process of its own, with the same bits at the end; medians of several, in turns. The
time of a pass is the difference of fits of few and of more iterations, so that the first pass and the start do not
count. Memory is the peak (VmHWM) above that before the fit. The page cache is warm; --cold empties it before each
process (Linux, root).
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

import report
from machine import facts

WAYS = {
    "array": "np.load(path)",
    "npy": "path",
    "memmap": "np.load(path, mmap_mode='r')",
    "blocks": "blocks",
    "Parquet": "cgmm.table(path.replace('.npy', '.parquet'))",
}
FEW, MORE = 2, 12  # iterations
FIT = """
import hashlib, json, sys, time, warnings
import numpy as np
import cgmm
from cgmm import GMM
warnings.simplefilter("ignore")
path, given, threads, k = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def blocks():
    whole = np.load(path, mmap_mode="r")
    with open(path, "rb") as file:
        file.seek(whole.offset)
        while len(part := np.fromfile(file, count=100_000 * whole.shape[1])):
            yield part.reshape(-1, whole.shape[1])

def status(name):
    with open("/proc/self/status") as lines:
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))

def fit(rows, iterations):
    start = time.perf_counter()
    model = GMM(k, tol=0, max_iter=iterations, random_state=0, n_threads=threads).fit(rows)
    return time.perf_counter() - start, model

fit(np.random.default_rng(0).normal(size=(1000, 3)), 2)
if "parquet" in given:
    import pyarrow.parquet
rows = eval(given)
before = status("VmRSS")
few, _ = fit(rows, {few})
more, model = fit(rows, {more})
bits = hashlib.sha256(model.means_.tobytes()).hexdigest()
print(json.dumps([(more - few) / ({more} - {few}), few, status("VmHWM") - before, bits]))
"""


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rows", type=int, default=8_000_000)
    found.add_argument("--features", type=int, default=8)
    found.add_argument("--components", type=int, default=16)
    found.add_argument("--rounds", type=int, default=3)
    found.add_argument("--cold", action="store_true", help="empty the page cache before each fit")
    return report.parse(found, argv, rows=1, features=1, components=1, rounds=1)


def write(path, n, d, k):
    """k clusters, as npy and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    centres = rng.normal(0, 4, (k, d))
    X = np.lib.format.open_memmap(path, "w+", np.float64, (n, d))
    schema = pa.schema([(str(j), pa.float64()) for j in range(d)])
    with pq.ParquetWriter(path.with_suffix(".parquet"), schema, compression="none", use_dictionary=False) as writer:
        for i in range(0, n, 1 << 17):
            part = X[i : i + (1 << 17)]
            part[:] = centres[rng.integers(k, size=len(part))] + rng.normal(size=part.shape)
            writer.write_table(pa.table(list(np.ascontiguousarray(part.T)), schema=schema))
    X.flush()


def measure(path, given, options):
    """Seconds of a pass, of a short fit; bytes; a hash of the means."""
    if options.cold:
        Path("/proc/sys/vm/drop_caches").write_text("3")
    program = FIT.format(few=FEW, more=MORE)
    command = [sys.executable, "-c", program, str(path), given, str(options.threads), str(options.components)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main(argv=None):
    options = arguments(argv)
    found = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write(path, options.rows, options.features, options.components)
        size = path.stat().st_size
        for _ in range(options.rounds):
            for way, given in WAYS.items():
                found[way].append(measure(path, given, options))
    bits = {run[3] for runs in found.values() for run in runs}
    if len(bits) != 1:
        raise SystemExit("the fits differ")
    report.print_title(
        f"{options.rows:,} × {options.features} rows, k = {options.components}, full: {size / 2**20:.0f} MiB"
    )
    report.print_headings("rows", "a pass", "beside the array", "GB/s", "memory of a fit")
    passes = {way: statistics.median(run[0] for run in runs) for way, runs in found.items()}
    for way, seconds in passes.items():
        memory = statistics.median(run[2] for run in found[way]) / 2**20
        report.print_row([way, f"{1e3 * seconds:.0f} ms", f"{seconds / passes['array']:.2f}×",
                          f"{size / seconds / 1e9:.2f}", f"{memory:.0f} MiB"])  # fmt: skip
    report.write(options, facts(), results=found)


if __name__ == "__main__":
    main()
