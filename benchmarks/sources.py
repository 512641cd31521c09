"""What rows cost that are not in memory: passes over a mapped file, a Parquet file and blocks, beside an array.

Each way fits the same rows in a process of its own, with the same bits at the end; medians of several, in turns. The
time of a pass is the difference of fits of few and of more iterations, so that the first pass and the start do not
count. Memory is the peak (VmHWM) above that before the fit. The page cache is warm; with --cold (Linux, root) one pass
is timed after the cache was emptied, beside reading the file and nothing else.
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
    buffer = np.empty((32768, whole.shape[1]))
    with open(path, "rb", buffering=0) as file:
        file.seek(whole.offset)
        while size := file.readinto(buffer):
            yield buffer[: size // buffer[0].nbytes]

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


COLD = """
import json, os, sys, time
import numpy as np
import cgmm
from cgmm import GMM, expectation
path, given, threads, k = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])

def alone():
    with open(path if "parquet" not in given else path.replace(".npy", ".parquet"), "rb", buffering=0) as file:
        while file.readinto(buffer):
            pass

def cold(do):
    os.sync()
    with open("/proc/sys/vm/drop_caches", "w") as file:
        file.write("3")
    start = time.perf_counter()
    do()
    return time.perf_counter() - start

buffer = bytearray(1 << 23)
model = GMM(k, random_state=0, n_threads=threads).fit(np.load(path, mmap_mode="r")[:50_000].copy())
pairs = [(cold(alone), cold(lambda: expectation(model, eval(given)))) for _ in range({rounds})]
print(json.dumps(pairs))
"""


def arguments(argv=None):
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    report.common(found)
    found.add_argument("--rows", type=int, default=8_000_000)
    found.add_argument("--features", type=int, default=8)
    found.add_argument("--components", type=int, default=16)
    found.add_argument("--rounds", type=int, default=3)
    found.add_argument("--cold", action="store_true", help="a pass from an empty page cache beside reading the file")
    return report.parse(found, argv, rows=1, features=1, components=1, rounds=1)


def write(path, n, d, k):
    """k clusters, as npy and Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    centres = rng.normal(0, 4, (k, d))
    schema = pa.schema([(str(j), pa.float64()) for j in range(d)])
    header = {"descr": "<f8", "fortran_order": False, "shape": (n, d)}
    with (
        open(path, "wb") as file,
        pq.ParquetWriter(path.with_suffix(".parquet"), schema, compression="none", use_dictionary=False) as writer,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for i in range(0, n, 1 << 17):
            part = centres[rng.integers(k, size=min(1 << 17, n - i))]
            part += rng.normal(size=part.shape)
            file.write(part)  # not by a map: that leaves the file in the page cache in small pieces, which are slow
            writer.write_table(pa.table(list(np.ascontiguousarray(part.T)), schema=schema))


def run(program, path, given, options):
    """What a program prints of a way to the rows."""
    command = [sys.executable, "-c", program, str(path), given, str(options.threads), str(options.components)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def warm(path, options):
    """Fits of each way, in turns: seconds of a pass, of a short fit; bytes; a hash of the means."""
    found = {way: [] for way in WAYS}
    for _ in range(options.rounds):
        for way, given in WAYS.items():
            found[way].append(run(FIT.format(few=FEW, more=MORE), path, given, options))
    if len({fit[3] for fits in found.values() for fit in fits}) != 1:
        raise SystemExit("the fits differ")
    size = path.stat().st_size
    report.print_headings("rows", "a pass", "beside the array", "GB/s", "memory of a fit")
    passes = {way: statistics.median(fit[0] for fit in fits) for way, fits in found.items()}
    for way, seconds in passes.items():
        memory = statistics.median(fit[2] for fit in found[way]) / 2**20
        report.print_row([way, f"{1e3 * seconds:.0f} ms", f"{seconds / passes['array']:.2f}×",
                          f"{size / seconds / 1e9:.2f}", f"{memory:.0f} MiB"])  # fmt: skip
    return found


def cold(path, options):
    """Seconds of reading a file, and of a pass over it, of each way that reads files."""
    ways = {way: given for way, given in WAYS.items() if way in ("npy", "Parquet")}
    found = {
        way: run(COLD.replace("{rounds}", str(options.rounds)), path, given, options) for way, given in ways.items()
    }
    report.print_headings("rows", "reading the file", "a pass", "beside reading", "GB/s")
    for way, pairs in found.items():
        alone, whole = (statistics.median(column) for column in zip(*pairs, strict=True))
        size = (path if way == "npy" else path.with_suffix(".parquet")).stat().st_size
        report.print_row([way, f"{1e3 * alone:.0f} ms", f"{1e3 * whole:.0f} ms", f"{whole / alone:.2f}×",
                          f"{size / whole / 1e9:.2f}"])  # fmt: skip
    return found


def main(argv=None):
    options = arguments(argv)
    n, d, k = options.rows, options.features, options.components
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        write(path, n, d, k)
        told = "from an empty page cache" if options.cold else "from a warm page cache"
        report.print_title(f"{n:,} × {d} rows, k = {k}, full: {path.stat().st_size / 2**20:.0f} MiB, {told}")
        found = (cold if options.cold else warm)(path, options)
    report.write(options, facts(), results=found)


if __name__ == "__main__":
    main()
