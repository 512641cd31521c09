"""What fits cost in memory, measured from outside: each in a process of its own (Linux).

The peak is VmHWM, that of the process image: ru_maxrss begins at what the parent, here pytest, had when it forked,
and would hide growth below that.
"""

import subprocess
import sys

import pytest

MIB = 2**20

PRELUDE = """
import warnings
import numpy as np
from cgmm import GMM, kmeans
warnings.simplefilter("ignore")

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

def data(n, d, dtype):
    X = np.random.default_rng(0).standard_normal((n, d), dtype=dtype)
    for i in range(0, n, 1024):
        X[i : i + 1024] += (i // 1024) % 8
    return X

GMM(2, max_iter=2, random_state=0).fit(data(100, 8, np.float64))
"""

LARGE_FIT = """
n, d, k = 1_000_000, 8, 16
X = data(n, d, np.{dtype})
start = {{"means_init": X[:: n // k][:k], "precisions_init": [np.eye(d)] * k, "weights_init": np.full(k, 1 / k)}}
model = GMM(k, max_iter=3, random_state=0, **{arguments})
before = memory("VmRSS")
model.fit({rows})
print(memory("VmHWM") - before)
"""

NPY_FILE = """
part = data(2**16, 8, np.float64)
file = np.lib.format.open_memmap("rows.npy", "w+", np.float64, (2**22, 8))
for i in range(0, len(file), len(part)):
    file[i : i + len(part)] = part
"""

PARQUET_FILE = """
import pyarrow as pa, pyarrow.parquet as pq
part = pa.table(list(data(2**16, 8, np.float64).T), names=list("abcdefgh"))
with pq.ParquetWriter("rows.parquet", part.schema, compression="none", use_dictionary=False) as writer:
    for _ in range(64):
        writer.write_table(part)
"""

FIT_OF_A_FILE = """
import cgmm
if {parquet}:
    import pyarrow.parquet
part = data(2**16, 8, np.float64)
given = {given}
before = memory("VmRSS")
GMM(2, max_iter=2, random_state=0).fit(given)
print(memory("VmHWM") - before)
"""

CLASSES = """
n, d = 2**22, 8
file = np.lib.format.open_memmap("rows.npy", "w+", np.float64, (n, d))
for i in range(0, n, 2**16):
    file[i : i + 2**16, 1:] = data(2**16, d - 1, np.float64)
    file[i : i + 2**16, 0] = np.arange(2**16) // 1024 % 8
"""

CLASSIFY = """
import contextlib, io
from cgmm.__main__ import main
from cgmm.command import inputs
inputs.LARGE = 2**20
before = memory("VmRSS")
with contextlib.redirect_stdout(io.StringIO()) as told:
    assert not main(["classify", "rows.npy", "--by", "0", "--unlabelled", "7", {shared!r}])
assert "rows        4194304, 524288 of them of unknown class" in told.getvalue()
print(memory("VmHWM") - before)
"""

SMALL_FITS = """
def fits(count):
    for q in range(count):
        X = data(60, 5, (np.float32, np.float64)[q % 2])
        for family in ("full", "tied", "diag", "spherical"):
            model = GMM(3, covariance_type=family, max_iter=3, random_state=q).fit(X)
        model.predict_proba(X), model.score(X), kmeans(X, 3, random_state=q)
        for wrong in (X[:2], X[:, 0], X[:, :3]):
            try:
                model.predict(wrong[:, :4]) if wrong.ndim == 2 else model.fit(wrong)
            except ValueError:
                continue
            raise AssertionError("wrong rows were taken")

fits(200)
before = memory("VmRSS")
fits(1000)
print(memory("VmRSS") - before)
"""


def run(program, folder=None):
    """What the program prints."""
    result = subprocess.run([sys.executable, "-P", "-c", PRELUDE + program], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 0, result.stderr
    return result.stdout


def growth(program, folder=None):
    """What the program prints last: bytes."""
    return int(run(program, folder))


@pytest.mark.parametrize(
    "arguments, rows, dtype",
    [
        ("start", "X", "float64"),
        ("{}", "X", "float64"),
        ("{}", "X, sample_weight=np.ones(n)", "float64"),
        ("{}", "X.reshape(d, n).T", "float64"),
        ("{'init_params': 'random'}", "X", "float32"),
    ],
)
def test_large_fit(arguments, rows, dtype):
    """A copy of the data would be 61 MiB, twice that from float32; responsibilities would be 122 MiB."""
    assert growth(LARGE_FIT.format(arguments=arguments, rows=rows, dtype=dtype)) < 64 * MIB


@pytest.mark.parametrize(
    "given", ["'rows.npy'", "np.load('rows.npy', mmap_mode='r')", "cgmm.table('rows.parquet')", "blocks"]
)
def test_rows_that_are_not_in_memory(given, tmp_path):
    """256 MiB of rows; parts of them are read ahead, and a sample is kept. pyarrow has memory of its own."""
    parquet = "parquet" in given
    if parquet:
        pytest.importorskip("pyarrow")
    if given == "blocks":
        given = "lambda: (part.copy() for _ in range(64))"
    else:
        run(PARQUET_FILE if parquet else NPY_FILE, tmp_path)
    assert growth(FIT_OF_A_FILE.format(parquet=parquet, given=given), tmp_path) < (160 if parquet else 96) * MIB


@pytest.mark.parametrize("shared", ["--shared", "--no-shared"])
def test_classes_of_a_file_on_the_command_line(shared, tmp_path):
    """256 MiB of rows, of which parts are read ahead by the first pass over labels and by each fit."""
    run(CLASSES, tmp_path)
    assert growth(CLASSIFY.format(shared=shared), tmp_path) < 192 * MIB


def test_a_thousand_small_fits():
    """The smallest thing that a pass could leak, 700 bytes of parameters, would be 20 MiB."""
    assert growth(SMALL_FITS) < MIB


MANY_FITS = """
from cgmm import fit_many
X = np.random.default_rng(0).normal(size=({m}, 100, 1))
X[:, :50] += 4.0
fit_many(X[:100], 2, max_iter=1000, random_state=0)
before = memory("VmRSS")
fits = fit_many(X, 2, max_iter=1000, random_state=0)
print(memory("VmHWM") - before)
"""


def test_many_fits_cost_what_their_results_take():
    """No more than 600 bytes for each problem of one feature and two components, in 22 numbers and a history of its
    own, once there are batches."""
    few, many = (growth(MANY_FITS.format(m=m)) for m in (20_000, 60_000))
    assert many - few < 40_000 * 600
    assert few < 32 * MIB
