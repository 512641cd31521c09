"""The recipes of docs/cluster.md for other engines, run where those are installed: they are a fit in memory."""

import importlib.util
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from cgmm import GMM
from problems import assert_same_fit, begin_at, clusters, start_of
from programs import output

PAGE = Path(__file__).parent.parent / "docs" / "cluster.md"
X = clusters(5000, 3, 4)
ITERATIONS = 3
GIVEN = """
import sys
import numpy as np
from cgmm import GMM

folder = sys.argv[1]
X, iterations = np.load(folder + "/rows.npy"), int(sys.argv[2])
start = GMM.load(folder + "/start.npz")
"""
SPARK = """
import os
os.environ["PYSPARK_PYTHON"] = sys.executable
from pyspark import SparkContext

context = SparkContext("local[2]")
found = fit_with_spark(context, context.parallelize(np.array_split(X, 3), 4), start, iterations)
context.stop()
found.save(folder + "/found.npz")
"""
MPI = """
rank, size = MPI.COMM_WORLD.rank, MPI.COMM_WORLD.size
found = fit_with_mpi(np.array_split(X, size)[rank], start, iterations)
found.save(f"{folder}/found{rank}.npz")
"""

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not here")


@pytest.fixture
def folder(tmp_path):
    """One with the rows and the start."""
    np.save(tmp_path / "rows.npy", X)
    start().save(tmp_path / "start.npz")
    return tmp_path


def start():
    return GMM.from_parameters(*start_of(X, 4, "full"), "full")


@pytest.fixture
def expected():
    with pytest.warns(UserWarning, match="did not converge"):
        return begin_at(start_of(X, 4, "full"), "full", max_iter=ITERATIONS).fit(X)


def recipe(name):
    """The block of the page that defines that function."""
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    (found,) = (block for block in blocks if f"def {name}(" in block)
    return found


@pytest.mark.skipif(not (importlib.util.find_spec("pyspark") and shutil.which("java")), reason="needs pyspark and Java")
def test_spark(folder, expected):
    """Some of its partitions are empty."""
    output(recipe("fit_with_spark") + GIVEN + SPARK, folder, ITERATIONS)
    assert_same_fit(GMM.load(folder / "found.npz"), expected, 1e-10)


@pytest.mark.skipif(
    not (importlib.util.find_spec("mpi4py") and shutil.which("mpirun")), reason="needs mpi4py and mpirun"
)
def test_mpi(folder, expected):
    launcher = ("mpirun", "-n", "3", "--oversubscribe", "--allow-run-as-root")
    output(recipe("fit_with_mpi") + GIVEN + MPI, folder, ITERATIONS, launcher=launcher)
    models = [GMM.load(folder / f"found{rank}.npz") for rank in range(3)]
    assert_same_fit(models[0], expected, 1e-10)
    for model in models[1:]:
        assert np.array_equal(model.means_, models[0].means_)
