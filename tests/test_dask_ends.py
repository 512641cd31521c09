"""Chunks that fail, clusters that are closed, workers that lack cgmm: an error says so, and nothing hangs."""

import os

import numpy as np
import pytest

import cgmm
import programs
from cgmm import GMM, expectation
from cgmm.errors import BlockError
from problems import clusters

X = clusters(300, 2, 3)


def failing(part):
    raise OSError("the disk is gone")


VERBS = {
    "fit": lambda model, X: GMM(2).fit(X),
    "select": lambda model, X: cgmm.select(X, [1]),
    "score": lambda model, X: model.score(X),
    "expectation": lambda model, X: expectation(model, X),
}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("scheduler", ["synchronous", "threads"])
def test_a_function_that_fails_in_a_chunk(verb, scheduler):
    """The message names the chunk and keeps the cause; the model stays as it was."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")
    model = GMM(2, random_state=0).fit(X)
    before = model.means_
    good, bad = da.from_array(X[:100], chunks=(50, 2)), da.from_array(X[100:150], chunks=(50, 2))
    rows = da.concatenate([good, bad.map_blocks(failing, meta=X[:0])])
    with dask.config.set(scheduler=scheduler), pytest.raises(Exception, match="the disk is gone") as told:
        VERBS[verb](model, rows)
    assert "chunk 2" in str(told.value)
    assert model.means_ is before or np.array_equal(model.means_, before)


CLOSED = """
import logging, sys, threading, time
import dask.array as da, distributed, numpy as np
from cgmm import GMM
from slow import slow

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    X = np.random.default_rng(0).normal(size=(3000, 2))
    cluster = distributed.LocalCluster(n_workers=1, threads_per_worker=1, processes=sys.argv[1] == "processes",
                                       dashboard_address=":0", silence_logs=logging.CRITICAL)
    client = distributed.Client(cluster)
    model = GMM(2, random_state=0, max_iter=1000, tol=0.0)
    end = client.close if sys.argv[2] == "client" else cluster.close
    threading.Timer(2.0, end).start()
    try:
        model.fit(da.from_array(X, chunks=(500, 2)).map_blocks(slow, meta=X[:0]))
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\\n", " "), flush=True)
    else:
        print("no error", flush=True)
    import os
    os._exit(0)
"""
SLOW = """
import time

def slow(part):
    time.sleep(0.05)
    return part
"""
ABSENT = """
import sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "cgmm":
            raise ModuleNotFoundError("No module named 'cgmm'", name="cgmm")

def forget():
    sys.meta_path.insert(0, Absent())

def dask_setup(worker):
    forget()
"""
WITHOUT = """
import logging, sys
import dask, dask.array as da, distributed
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
import numpy as np
from absent import forget
from cgmm import GMM

def told(action):
    try:
        action()
    except Exception as error:
        print(f"{type(error).__name__}: {error}".replace("\\n", " "), flush=True)
    else:
        print("no error", flush=True)

if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    X = np.random.default_rng(0).normal(size=(3000, 2))
    model, rows = GMM(2, random_state=0).fit(X), da.from_array(X, chunks=(500, 2))
    action = {"fit": lambda: GMM(2).fit(rows), "score": lambda: model.score(rows)}[sys.argv[2]]
    if sys.argv[1] == "processes":
        with ProcessPoolExecutor(1, get_context("spawn"), forget) as pool:
            with dask.config.set(scheduler="processes", pool=pool):
                told(action)
    else:
        options = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL, "preload": ["absent"]}
        with distributed.LocalCluster(n_workers=1, threads_per_worker=1, **options) as cluster:
            with distributed.Client(cluster):
                told(action)
"""


@pytest.fixture
def outcome(tmp_path, monkeypatch):
    """What a program prints that may import the modules slow and absent, and that hangs after 40 seconds."""
    pytest.importorskip("distributed")
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "absent.py").write_text(ABSENT)
    monkeypatch.setattr(programs, "SECONDS", 40)
    path = os.pathsep.join(filter(None, (programs.FOLDER, str(tmp_path), os.environ.get("PYTHONPATH"))))
    return lambda program, *arguments: programs.output(program, *arguments, PYTHONPATH=path)


@pytest.mark.parametrize("where, what", [("threads", "client"), ("processes", "cluster")])
def test_a_cluster_that_is_closed_in_the_middle(where, what, outcome):
    """A fit on it ends with an error that says so; nothing waits for ever."""
    printed = outcome(CLOSED, where, what)
    assert "cluster" in printed or "client" in printed, printed
    assert "closed" in printed or "lost" in printed, printed


FIT = pytest.param("cluster", "fit", marks=pytest.mark.full("score on a cluster, and fit by processes"))


@pytest.mark.parametrize("where, verb", [("processes", "fit"), FIT, ("cluster", "score")])
def test_a_worker_without_cgmm(where, verb, outcome):
    """The error says what is missing, and where; nothing waits for ever."""
    printed = outcome(WITHOUT, where, verb)
    assert "cgmm" in printed and "worker" in printed, printed


def test_those_who_gather_chunks_say_that_one_failed():
    """partial_fit, regressors and kmeans take them into memory; the bare KeyError of a chunk came through."""
    dask, da = pytest.importorskip("dask"), pytest.importorskip("dask.array")

    def part(number):
        return {0: np.zeros((9, 2))}[number]

    X = da.concatenate([da.from_delayed(dask.delayed(part)(at), (9, 2), float) for at in range(2)])
    for ask in (
        lambda: GMM(1).partial_fit(X),
        lambda: cgmm.GMMRegressor(1).fit(X, np.zeros(18)),
        lambda: cgmm.kmeans(X, 2),
    ):
        with pytest.raises(BlockError, match=r"a chunk of X could not be computed: KeyError: 1"):
            ask()
