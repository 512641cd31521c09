"""`cgmm classify`, and what becomes of its model: the predictions of cgmm.GMMClassifier, from files."""

import json
import re
from functools import partial

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import frames
from cgmm import GMMClassifier
from cgmm.command import inputs
from cgmm.tables import readers
from frames import read
from problems import clusters

N = 120
FRAME = pd.DataFrame(clusters(N, 2, 3), columns=["height", "width"])
SPECIES = np.array(["oak", "ash", "elm, wych"])[(FRAME["height"].rank() * 3 / (N + 1)).astype(int)]
NUMBERS = np.searchsorted(np.unique(SPECIES), SPECIES) * 10
DEFAULTS = {"reg_covar": "relative", "random_state": 0}


written = partial(frames.written, FRAME)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("labels", [SPECIES, NUMBERS], ids=["texts", "numbers"])
def test_the_classifier_is_that_of_python(tmp_path, done, labels, ending):
    weights = np.random.default_rng(0).integers(1, 4, N).astype(float)
    path, model = written(tmp_path / f"data.{ending}", kind=labels, count=weights), tmp_path / "model.npz"
    arguments = ("-k", "1-2", "--covariance", "EEE,VVV", "--weights", "count", "-o", model)
    printed = done("classify", path, "--by", "kind", *arguments)
    expected = GMMClassifier([1, 2], ["EEE", "VVV"], **DEFAULTS).fit(FRAME, labels, weights)
    right = expected.score(FRAME, labels, weights)
    assert f"{right:.2%} of these rows" in printed and f"parameters  {expected._classified().n_parameters}" in printed
    for label, mixture in zip(expected.classes_, expected.mixtures_, strict=True):
        (line,) = (line for line in printed.splitlines() if line.strip().startswith(f"{label} "))
        assert line.split()[-3:-1] == [str(mixture.n_components), mixture.covariance_type]
    assert_array_equal(GMMClassifier.load(model).predict_proba(FRAME), expected.predict_proba(FRAME))
    assert_array_equal(read(done("predict", model, path))["label"], expected.predict(FRAME))
    found = read(done("responsibilities", model, path))
    assert list(found.columns) == [str(label) for label in expected.classes_]
    assert_array_equal(found.to_numpy(), expected.predict_proba(FRAME))
    assert float(done("score", model, path, "--mean")) == pytest.approx(expected.mixture_.score(FRAME), rel=1e-12)
    assert len(read(done("sample", model, "-n", 7))) == 7


@pytest.mark.parametrize("ending", ["npy", "parquet"])
@pytest.mark.parametrize("unlabelled", [None, "-1"])
@pytest.mark.parametrize("components", ["1", "1-2"])
def test_a_large_file_is_read_anew_in_each_pass(tmp_path, done, monkeypatch, ending, unlabelled, components):
    """It says and saves the same: a summary to its digits, parameters to rounding."""
    labels = np.where(np.arange(N) % 3 == 0, -1, NUMBERS) if unlabelled else NUMBERS
    if ending == "parquet":
        labels = labels.astype(str)
    weights = np.random.default_rng(0).integers(0, 4, N).astype(float)
    path = tmp_path / f"data.{ending}"
    if ending == "npy":
        np.save(path, np.column_stack([FRAME, labels, weights]))
    else:
        written(path, kind=labels, count=weights)
    by, count = ("2", "3") if ending == "npy" else ("kind", "count")
    options = ["--by", by, "--weights", count, "-k", components, *(["--unlabelled", unlabelled] if unlabelled else [])]
    told, models = [], []
    for limit in (1 << 28, 0):
        monkeypatch.setattr(inputs, "LARGE", limit)
        monkeypatch.setattr(readers, "BLOCK_BYTES", 1000)
        told.append(re.sub(r"seconds .*", "", done("classify", path, *options, "-o", tmp_path / "model.npz")))
        models.append(GMMClassifier.load(tmp_path / "model.npz"))
    assert told[0] == told[1]
    assert models[0].get_params() == models[1].get_params()
    assert models[0].classes_.tolist() == models[1].classes_.tolist()
    rows = FRAME.to_numpy() if ending == "npy" else FRAME
    assert_allclose(models[1].predict_proba(rows), models[0].predict_proba(rows), rtol=1e-6, atol=1e-12)


def test_labels_are_written_as_numpy_and_as_tabs(tmp_path, done):
    path, model = written(tmp_path / "data.csv", kind=SPECIES), tmp_path / "model.npz"
    done("classify", path, "--by", "kind", "-o", model)
    expected = GMMClassifier(**DEFAULTS).fit(FRAME, SPECIES).predict(FRAME)
    done("predict", model, path, "-o", tmp_path / "labels.npy")
    assert_array_equal(np.load(tmp_path / "labels.npy"), expected)
    done("predict", model, path, "-o", tmp_path / "labels.tsv")
    assert_array_equal(pd.read_csv(tmp_path / "labels.tsv", sep="\t")["label"], expected)


def test_what_a_classifier_is(tmp_path, done):
    path, model = written(tmp_path / "data.csv", kind=SPECIES), tmp_path / "model.npz"
    done("classify", path, "--by", "kind", "--covariance", "VEV", "-o", model)
    expected = GMMClassifier(1, "VEV", **DEFAULTS).fit(FRAME, SPECIES)
    told = done("info", model)
    assert "classes     3" in told and "features    2 (height, width)" in told and "elm, wych" in told
    facts = json.loads(done("info", model, "--json"))
    assert facts["classes"] == expected.classes_.tolist() and facts["priors"] == expected.priors_.tolist()
    assert facts["mixtures"][1]["means"] == expected.mixtures_[1].means_.tolist()


@pytest.mark.parametrize("labels", [SPECIES, NUMBERS], ids=["texts", "numbers"])
def test_labels_may_be_unknown(tmp_path, done, labels):
    unknown = "?" if labels is SPECIES else -1
    some = np.where(np.arange(N) % 3 == 0, labels, unknown)
    path, model = written(tmp_path / "data.csv", kind=some), tmp_path / "model.npz"
    printed = done("classify", path, "--by", "kind", "--unlabelled", unknown, "-o", model)
    expected = GMMClassifier(unlabelled=unknown, **DEFAULTS).fit(FRAME, some)
    assert "120, 80 of them of unknown class" in printed
    assert_array_equal(GMMClassifier.load(model).predict_proba(FRAME), expected.predict_proba(FRAME))


@pytest.mark.parametrize(
    "options, told",
    [
        (("--by", "kind", "--columns", "kind"), "column 'kind' is chosen twice"),
        (("--by", "species"), "has no column 'species'"),
        (("--by", "kind", "--shared", "-k", 200), "fewer than -k 200"),
        (("--by", "kind", "-k", 200), "fewer than -k 200"),
        (("--by", "width", "--columns", "height"), "Unknown label type"),
        (("--by", "number", "--unlabelled", "?", "--columns", "height"), "labels are numbers"),
        ((), "--by"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, run, options, told):
    path = written(tmp_path / "data.csv", kind=SPECIES, number=NUMBERS)
    columns = () if "--columns" in options else ("--columns", "height,width")
    code, printed, error = run("classify", path, *options, *columns)
    assert code and not printed
    assert told in error


def test_a_picture_of_a_classifier(tmp_path, done):
    pytest.importorskip("matplotlib")
    path, model = written(tmp_path / "data.csv", kind=SPECIES), tmp_path / "model.npz"
    done("classify", path, "--by", "kind", "-o", model)
    done("plot", model, path, "-o", tmp_path / "picture.png")
    assert (tmp_path / "picture.png").read_bytes().startswith(b"\x89PNG")
