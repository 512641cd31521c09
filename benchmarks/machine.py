"""The facts of the machine and of what runs on it, and its peak."""

import datetime
import os
import platform
import re
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import psutil
from threadpoolctl import threadpool_info

from cgmm import _kernels

PACKAGES = (
    "numpy",
    "scipy",
    "scikit-learn",
    "scikit-learn-intelex",
    "daal4py",
    "daal",
    "torch",
    "faiss-cpu",
    "pytest-benchmark",
)
BANDWIDTH_BYTES = 512 << 20  # far more than any cache
BANDWIDTH_READS = 5


def facts():
    """What a reader needs to know about a measurement, for JSON."""
    import cgmm

    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": _cpu(),
        "cores": psutil.cpu_count(logical=False),
        "usable_cores": len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else None,
        "caches": _caches(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "load_average": os.getloadavg() if hasattr(os, "getloadavg") else None,
        "python": platform.python_version(),
        "cgmm": cgmm.__version__,
        "compiler": _compiler(),
        "openmp": _kernels.openmp(),
        "targets": _kernels.available_targets(),
        "target": _kernels.target(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
        "thread_pools": [
            {what: value for what, value in pool.items() if what != "filepath"} for pool in threadpool_info()
        ],
    }


def peak(dtype, threads, seconds=0.05, clock=time.perf_counter):
    """Floating-point operations a second of independent multiply-adds: one measurement, some `seconds` long."""
    repeats = 100_000
    while True:
        begin = clock()
        operations = _kernels.fma_rate(dtype, threads, repeats)
        elapsed = clock() - begin
        if elapsed >= seconds / 2:
            return operations / elapsed
        repeats = int(repeats * max(2.0, seconds / elapsed))


def bandwidth(threads):
    """Bytes a second that all_within reads of a 512 MiB float64 array: the best of some reads.

    Every element is read once, in order, and next to nothing is done with it: the size over the time is the
    bandwidth of reading memory.
    """
    X = np.ones((BANDWIDTH_BYTES // 8 // 64, 64))
    seconds = []
    for _ in range(BANDWIDTH_READS):
        begin = time.perf_counter()
        _kernels.all_within(X, 1e150, threads)
        seconds.append(time.perf_counter() - begin)
    return X.nbytes / min(seconds)


def _cpu():
    try:
        return re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())[1]
    except (OSError, TypeError):
        return platform.processor() or platform.machine()


def _caches():
    """Level and kind → size, of the first core (Linux)."""
    folders = sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*"))

    def read(folder, name):
        return (folder / name).read_text().strip()

    return {f"L{read(f, 'level')} {read(f, 'type').lower()}": read(f, "size") for f in folders}


def _compiler():
    """The compiler's own mark in the extension, if it left one."""
    mark = re.search(rb"GCC: \([^)]*\) [\d.]+|clang version [\d.]+", Path(_kernels.__file__).read_bytes())
    return mark[0].decode() if mark else None


def _version(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
