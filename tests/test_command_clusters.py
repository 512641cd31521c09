"""`cgmm bootstrap` and `cgmm combine`: what Python gives, from files, as tables."""

import csv
import io

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cgmm import GMM, bootstrap, combine
from cgmm.tables import Frame
from datasets import DATA, table

FAITHFUL = str(DATA / "faithful.csv")
X = Frame(table("faithful"), ["eruptions", "waiting"])


@pytest.fixture
def model(tmp_path, done):
    done("fit", FAITHFUL, "-k", 3, "-o", tmp_path / "model.npz")
    return GMM.load(tmp_path / "model.npz")


def rows_of(printed):
    return list(csv.reader(io.StringIO(printed)))


@pytest.mark.parametrize("kind", ["nonparametric", "weighted"])
def test_bootstrap_is_pythons(kind, tmp_path, done, model):
    printed = done(
        "bootstrap", tmp_path / "model.npz", FAITHFUL, "--replicates", 50, "--kind", kind, "--level", 0.8, "--seed", 3
    )
    found = bootstrap(model, X, 50, kind=kind, random_state=3)
    head, *rows = rows_of(printed)
    assert head == ["parameter", "estimate", "standard_error", "bias", "lower", "upper"]
    assert rows == [[name, *map(repr, values)] for name, *values in found._rows(0.8)]
    assert rows[3][0] == "mean[0, eruptions]"


def test_weights_count(tmp_path, done, model):
    weighted = tmp_path / "weighted.csv"
    w = np.random.default_rng(0).integers(1, 4, 272).astype(float)
    np.savetxt(
        weighted,
        np.column_stack([table("faithful"), w]),
        delimiter=",",
        header="eruptions,waiting,w",
        comments="",
        fmt="%.17g",
    )
    printed = done("bootstrap", tmp_path / "model.npz", weighted, "--replicates", 20, "--weights", "w")
    expected = bootstrap(model, X, 20, sample_weight=w, random_state=0)
    assert rows_of(printed)[1][2] == repr(expected.standard_errors.weights[0].item())
    printed = done("combine", tmp_path / "model.npz", weighted, "--weights", "w")
    assert rows_of(printed)[1][1] == repr(combine(model, X, sample_weight=w).entropies[2].item())


@pytest.mark.parametrize("k", [None, 2])
def test_combine_is_pythons(k, tmp_path, done, model):
    output = tmp_path / "clusters.csv"
    asked = [] if k is None else ["-k", k]
    printed = done("combine", tmp_path / "model.npz", FAITHFUL, "-o", output, *asked)
    found = combine(model, X)
    head, *rows = rows_of(printed)
    assert head == ["clusters", "entropy", "components", "elbow"]
    assert [row[1] for row in rows] == [repr(value) for value in found.entropies[::-1].tolist()]
    assert [row[3] for row in rows] == [str(left == found.n_clusters) for left in (3, 2, 1)]
    assert rows[-1][2] == "+".join(str(c) for c in found.clusters(1)[0])
    assert_array_equal(np.loadtxt(output, skiprows=1), found.predict(X, k))
