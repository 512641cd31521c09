"""Classes are learnt of rows and labels from anywhere: files, blocks, Dask collections, batches of a stream."""

import io
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMMClassifier, NotFittedError
from cgmm.tables import readers, table, text
from clouds import clouds, split


@pytest.mark.parametrize("n_components", [1, 2])
def test_rows_in_blocks_in_files_and_of_dask(n_components, tmp_path):
    X, y = clouds(3000)
    model = GMMClassifier(n_components, random_state=0).fit(X, y)
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert_array_equal(
        GMMClassifier(n_components, random_state=0).fit(mapped, y).predict_proba(X), model.predict_proba(X)
    )
    array = pytest.importorskip("dask.array").from_array(X, chunks=(1000, 3))
    for rows in (mapped, array, Blocks(X)):
        assert_array_equal(model.predict(rows), model.predict(X))
        assert_allclose(model.predict_proba(rows), model.predict_proba(X), rtol=1e-9, atol=1e-15)
        assert_allclose(model.decision_log_density(rows), model.decision_log_density(X), rtol=1e-9)
        assert_array_equal(model.anomalies(rows), model.anomalies(X))


class Blocks:
    """Rows that come in blocks, each time anew, perhaps with what goes with them."""

    names, mapped = None, False

    def __init__(self, X, weights=None, labels=None):
        self.X, self.weights, self.labels = X, weights, labels

    def blocks(self):
        for start in range(0, len(self.X), 250):
            part = slice(start, start + 250)
            weights = None if self.weights is None else self.weights[part]
            yield self.X[part], weights, *([] if self.labels is None else [self.labels[part]])


def sources(X, y, weights, folder):
    """The same rows and labels from anywhere: X, y and sample_weight of a fit, and whether the rows have names."""
    dask = pytest.importorskip("dask.array")
    frames, parts = pytest.importorskip("dask.dataframe"), pytest.importorskip("pandas")
    frame = parts.DataFrame(X, columns=["u", "v"]).assign(kind=y)[["u", "kind", "v"]]
    frame.to_csv(folder / "rows.csv", index=False)
    np.save(folder / "rows.npy", X)
    codes = np.unique(y, return_inverse=True)[1]
    chunked = dask.from_array(weights, chunks=300)
    return {
        "blocks": (Blocks(X, weights), y, None),
        "blocks of three": (Blocks(X, weights, y), None, None),
        "a column of blocks": (Blocks(np.column_stack([codes, X]), weights), 0, None),
        "a column of an array": (np.column_stack([X, codes]), -1, weights),
        "a frame": (frame, "kind", weights),
        "text": (table(folder / "rows.csv"), "kind", None),
        "npy": (folder / "rows.npy", y, None),
        "Dask": (dask.from_array(X, chunks=(300, 2)), dask.from_array(y, chunks=200), chunked),
        "a Dask frame": (frames.from_pandas(frame, npartitions=2), "kind", None),
    }


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("last", ["three", "3.0", "?"])
def test_labels_that_look_like_numbers_until_the_last_block(ending, last, tmp_path, monkeypatch):
    """They are what all of them are: texts, if one is no number, and else numbers, so that "01" and "1" are one."""
    frames = pytest.importorskip("pandas")
    X, _ = clouds(900, d=2)
    texts = np.where(np.arange(900) >= 800, last, np.where(np.arange(900) % 2, "01", np.where(X[:, 1] > 0, "1", "02")))
    frame, path = frames.DataFrame(X, columns=["u", "v"]).assign(kind=texts), tmp_path / f"rows.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path, index=False)
    monkeypatch.setattr(text, "BLOCK_CHARACTERS", 1000)
    monkeypatch.setattr(readers, "BLOCK_BYTES", 1000)
    unlabelled = "?" if last == "?" else None
    labels = texts.astype(float).astype(int) if last == "3.0" else texts
    expected = GMMClassifier(unlabelled=unlabelled).fit(frame[["u", "v"]], labels)
    found = GMMClassifier(unlabelled=unlabelled).fit(path, "kind")
    assert found.classes_.tolist() == expected.classes_.tolist()
    assert_allclose(found.predict_proba(frame[["u", "v"]]), expected.predict_proba(frame[["u", "v"]]), rtol=1e-6)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning")  # of subclasses that are equal
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_components": [1, 2], "n_init": 1},
        {"covariance_type": ["EEE", "VVE"]},
        {"n_components": 2, "covariance_type": "EEE", "shared": True, "n_init": 1, "tol": 1e-2},
    ],
)
def test_classes_are_learnt_of_rows_anywhere(arguments, tmp_path):
    """Statistics add up in another order, if at all."""
    X, y = clouds(600)
    X, weights = X[:, :2], np.random.default_rng(0).integers(0, 3, size=600).astype(float)
    plain, weighted = (GMMClassifier(random_state=0, **arguments).fit(X, y, w) for w in (None, weights))
    for name, (rows, labels, w) in sources(X, y, weights, tmp_path).items():
        brings = w is not None or isinstance(rows, Blocks)
        model = GMMClassifier(random_state=0, **arguments).fit(rows, labels, w)
        same = weighted if brings else plain
        assert_allclose(model.predict_proba(X), same.predict_proba(X), rtol=1e-8, atol=1e-12, err_msg=name)
        assert [c[1:3] for c in model.candidates_] == [c[1:3] for c in same.candidates_]
        assert_allclose([c.value for c in model.candidates_], [c.value for c in same.candidates_], rtol=1e-10)
        assert list(getattr(model, "feature_names_in_", [])) == (["u", "v"] if rows_have_names(rows) else [])
        told, expected = model.summary(rows, labels, w), same.summary(X, y, weights if brings else None)
        assert told.facts == expected.facts | {"features": told.facts["features"]}, name
        if labels is not None and np.shape(labels) == (600,):
            assert told.to_dict()["right"] == pytest.approx(model.score(X, y, weights if brings else None), rel=1e-12)


@pytest.mark.parametrize("n_components", [1, 2])
def test_blocks_without_rows_are_passed_over(n_components):
    """As by GMM, wherever they stand: a filter may leave nothing of a block."""
    X, y = clouds(600)
    parts = [slice(*ends) for ends in ((0, 0), (0, 200), (200, 200), (200, 600), (600, 600))]
    blocks = [(X[part], None, y[part]) for part in parts]
    given = [(rows, None) for rows, _, _ in blocks]
    model = GMMClassifier(n_components, random_state=0).fit(X, y)
    for other, labels in ((blocks, None), (given, y)):
        found = GMMClassifier(n_components, random_state=0).fit(other, labels)
        assert_allclose(found.predict_proba(X), model.predict_proba(X), atol=1e-6)
        assert found.summary(other, labels).facts["right"] == model.summary(X, y).facts["right"]
    streamed = GMMClassifier(n_components, random_state=0).partial_fit(iter(blocks), None, classes=model.classes_)
    assert_array_equal(streamed.classes_, model.classes_)
    assert_array_equal(found.predict(given), found.predict(X))


def test_a_summary_of_rows_some_classes_of_which_have_none():
    X, y = clouds(300)
    model, some = GMMClassifier().fit(X, y), y != "b"
    told = model.summary(X[some], y[some]).to_dict()
    assert told["right_of_classes"][1] is None and told["right"] == model.score(X[some], y[some])
    assert model.summary(X[some], np.full(some.sum(), "new")).facts["right"] == "none of these rows"


def rows_have_names(rows):
    return hasattr(rows, "columns") or hasattr(rows, "path")


@pytest.mark.parametrize("n_components", [1, 2])
def test_rows_without_a_label_count_wherever_they_are(n_components):
    X, y = clouds(600)
    some, arguments = split(X, y), {"unlabelled": "?", "random_state": 0, "tol": 1e-3}
    model = GMMClassifier(n_components, **arguments).fit(X, some)
    blocks = GMMClassifier(n_components, **arguments).fit(Blocks(X, None, some), None)
    assert_allclose(blocks.predict_proba(X), model.predict_proba(X), rtol=1e-6, atol=1e-9)
    dask = pytest.importorskip("dask.array")
    chunks = dask.from_array(X, chunks=(300, 3)), dask.from_array(some, chunks=300)
    if n_components > 1:
        with pytest.raises(ValueError, match="need X in memory or in blocks"):
            GMMClassifier(n_components, **arguments).fit(*chunks)
        return
    found = GMMClassifier(n_components, **arguments).fit(*chunks)
    assert_allclose(found.predict_proba(X), model.predict_proba(X), rtol=1e-6, atol=1e-9)


def batches(X, y, weights, size):
    return ((X[at : at + size], None if weights is None else weights[at : at + size], y[at : at + size])
            for at in range(0, len(X), size))  # fmt: skip


@pytest.mark.parametrize("size", [97, 900])
@pytest.mark.parametrize(
    "arguments",
    [{}, {"covariance_type": "EEE"}, {"priors": [0.2, 0.3, 0.5]}, {"shared": False}],
)
def test_batches_of_classes_of_one_component_are_the_fit_of_all_rows(arguments, size):
    X, y = clouds(900)
    weights = np.random.default_rng(0).uniform(0.5, 2, size=900)
    whole = GMMClassifier(reg_covar=1e-6, tol=1e-12, **arguments).fit(X, y, weights)
    streamed, goes_on = (GMMClassifier(reg_covar=1e-6, tol=1e-12, **arguments) for _ in range(2))
    for rows, w, labels in batches(X, y, weights, size):
        streamed.partial_fit(rows, labels, ["a", "b", "c"], w)
    some = slice(0, 500), slice(500, 900)
    goes_on.fit(X[some[0]], y[some[0]], weights[some[0]])
    goes_on.partial_fit(X[some[1]], y[some[1]], sample_weight=weights[some[1]])
    for model in (streamed, goes_on):
        assert_allclose(model.predict_proba(X), whole.predict_proba(X), rtol=1e-6, atol=1e-9)
        assert_allclose(model.priors_, whole.priors_, rtol=1e-9)
    pickle.loads(pickle.dumps(streamed)).partial_fit(X[:9], y[:9])


def test_batches_of_classes_of_several_components_go_on_from_anywhere():
    X, y = clouds(2400)
    dask = pytest.importorskip("dask.array")
    chunks = dask.from_array(X, chunks=(800, 3)), dask.from_array(y, chunks=600)
    model = GMMClassifier(2, random_state=0).partial_fit(batches(X, y, None, 400), None, ["a", "b", "c"])
    chosen = GMMClassifier([1, 2], ["EEE", "VVV"], random_state=0).partial_fit(X[:1200], y[:1200], ["a", "b", "c"])
    sizes = [mixture.n_components for mixture in chosen.mixtures_]
    chosen.partial_fit(X[1200:], y[1200:])
    assert sizes == [mixture.n_components for mixture in chosen.mixtures_] and chosen.candidates_
    for found in (model, chosen, GMMClassifier(2, random_state=0).partial_fit(*chunks)):
        assert found.score(X, y) > 0.87
    assert_allclose(model.priors_, [np.mean(y == label) for label in "abc"], rtol=1e-9)


def test_a_stream_forgets_and_learns_without_labels():
    X, y = clouds(1200)
    unlabelled = GMMClassifier(unlabelled="?").partial_fit(X[:600], y[:600]).partial_fit(X[600:], np.full(600, "?"))
    assert unlabelled.score(X, y) > 0.8
    early = np.where(y == "c", "a", y)
    late = GMMClassifier(forget=20, shared=False).partial_fit(X[:600], early[:600], ["a", "b", "c"])
    with pytest.raises(NotFittedError):
        late.predict(X)
    late.partial_fit(X[600:], y[600:])
    assert_allclose(late.priors_, [np.mean(y[600:] == label) for label in "abc"], atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "batch", "told"),
    [
        ({}, lambda X, y: (X, np.full(len(X), "d")), "the label 'd', which is none of the classes"),
        ({}, lambda X, y: (X, y, ["a", "b"]), "is not what was given first"),
        ({}, lambda X, y: (X[:, :2], y), "X has 2 features, but GMMClassifier is expecting 3"),
        ({"shared": False, "unlabelled": "a"}, lambda X, y: (X, y), "rows without a label are for fit, or"),
    ],
)
def test_batches_that_do_not_suit_are_named_and_change_nothing(arguments, batch, told):
    X, y = clouds(300)
    model = GMMClassifier(**arguments).partial_fit(X[y != "a"], y[y != "a"], ["b", "c"] if arguments else None)
    if not arguments:
        model = GMMClassifier().partial_fit(X, y)
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match=told):
        model.partial_fit(*batch(X, y))
    assert_array_equal(model.predict_proba(X), before)


def test_streams_that_cannot_begin_say_why():
    X, y = clouds(1500)
    with pytest.raises(ValueError, match="no row of class 'a' has come"):
        GMMClassifier().partial_fit(X[y == "c"][:5], y[y == "c"][:5], ["a", "b", "c"]).partial_fit(
            np.tile(X[y == "c"], (3, 1)), np.tile(y[y == "c"], 3)
        )
    with pytest.raises(ValueError, match="give shared=False, or n_components=1"):
        GMMClassifier(2, shared=True).partial_fit(X, y)
    file = io.BytesIO()
    GMMClassifier().fit(X, y).save(file)
    file.seek(0)
    with pytest.raises(ValueError, match="not from a file or from given mixtures"):
        GMMClassifier.load(file).partial_fit(X, y)


@pytest.mark.parametrize(
    "rows, y, weights, told",
    [
        (lambda X: Blocks(X), np.zeros(3), None, "X and y must have as many rows, but have 30 and 3"),
        (lambda X: Blocks(X), None, None, "block 0: it brings no labels, and y is None"),
        (lambda X: Blocks(X), "kind", None, "y='kind' must name one column of X, which has no names"),
        (lambda X: Blocks(X), 7, None, "y=7 must be the index of a column of X, which has 3"),
        (lambda X: Blocks(X), np.zeros(30), np.ones(30), "sample_weight is for arrays"),
        (lambda X: [X], np.full(30, 0.5), None, "Unknown label type: continuous"),
        (lambda X: iter([X]), np.zeros(30), None, "X is an iterator"),
    ],
)
def test_labels_that_do_not_suit_a_source_are_named(rows, y, weights, told):
    with pytest.raises((ValueError, TypeError), match=told):
        GMMClassifier().fit(rows(clouds(30)[0]), y, weights)


def test_folds_are_of_rows_in_memory():
    X, y = clouds(60)
    with pytest.raises(ValueError, match="X must be in memory for criterion='cv'"):
        GMMClassifier(covariance_type=["EEE", "VVV"], criterion="cv").fit(Blocks(X), y)
