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
n, d, k = 1_000_000, 8, 64
X = data(n, d, np.{dtype})
start = {{"means_init": X[:: n // k][:k], "precisions_init": [np.eye(d)] * k, "weights_init": np.full(k, 1 / k)}}
model = GMM(k, max_iter=3, random_state=0, **{arguments})
before = memory("VmRSS")
model.fit({rows})
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


def growth(program):
    """What the program prints last: bytes."""
    result = subprocess.run([sys.executable, "-P", "-c", PRELUDE + program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return int(result.stdout)


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
    """A copy of the data would be 61 MiB, twice that from float32; responsibilities would be 488 MiB."""
    assert growth(LARGE_FIT.format(arguments=arguments, rows=rows, dtype=dtype)) < 64 * MIB


def test_a_thousand_small_fits():
    """The smallest thing that a pass could leak, 700 bytes of parameters, would be 20 MiB."""
    assert growth(SMALL_FITS) < MIB
