"""Classification together with all else: weights, gaps, labels that are not known, priors, types, files, choices."""

import io
import json
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM, ConvergenceWarning, DegenerateError, DegenerateWarning, GMMClassifier, NotFittedError
from clouds import clouds, split


def test_labels_of_any_type():
    X, y = clouds()
    codes = {"a": 3, "b": -7, "c": 10}
    as_texts = GMMClassifier().fit(X, y).predict(X)
    for kind in (int, float, np.int8, object):
        numbers = np.array([codes[label] for label in y], dtype=kind)
        found = GMMClassifier().fit(X, numbers)
        assert found.classes_.tolist() == [-7, 3, 10]
        assert_array_equal(found.predict(X), [codes[label] for label in as_texts])
    objects = GMMClassifier().fit(X, y.astype(object))
    assert_array_equal(objects.predict(X), as_texts)
    flags = GMMClassifier().fit(X, y == "a")
    assert flags.classes_.dtype == bool and flags.score(X, y == "a") > 0.9


def test_weight_two_is_the_row_twice_and_zero_is_none():
    X, y = clouds()
    weights = np.random.default_rng(0).integers(0, 3, size=len(X)) * (y != "b")
    twice = np.repeat(np.arange(len(X)), weights)
    for arguments in ({}, {"n_components": 2, "n_init": 1, "init_params": by_first_feature, "tol": 1e-10}):
        weighted = GMMClassifier(**arguments, random_state=0).fit(X, y, weights)
        repeated = GMMClassifier(**arguments, random_state=0).fit(X[twice], y[twice])
        assert weighted.classes_.tolist() == ["a", "c"]
        assert_allclose(weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-6, atol=1e-9)
        assert weighted.score(X, y, weights) == pytest.approx(repeated.score(X[twice], y[twice]), rel=1e-12)


def by_first_feature(X, k, random_state):
    return (X[:, 1] > 0).astype(int)


@pytest.mark.parametrize("arguments", [{}, {"n_components": 2}, {"n_components": [1, 2], "covariance_type": "VEV"}])
def test_any_number_of_threads_gives_the_same_bits(arguments):
    X, y = clouds(5000)
    some = split(X, y)
    one, *others = (
        GMMClassifier(**arguments, unlabelled="?", random_state=0, n_threads=n).fit(X, some) for n in (1, 2, 3)
    )
    for other in others:
        assert_array_equal(one.predict_proba(X), other.predict_proba(X))
        assert_array_equal(one.decision_log_density(X), other.decision_log_density(X))
        assert_array_equal(one.anomalies(X), other.anomalies(X))


@pytest.mark.parametrize("n_components", [1, 2])
def test_gaps_are_marginalised_at_fit_and_at_predict(n_components):
    X, y = clouds(3000)
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    model = GMMClassifier(n_components, missing="marginal", random_state=0).fit(holes, y)
    assert model.score(X, y) > 0.97 * GMMClassifier(n_components, random_state=0).fit(X, y).score(X, y)
    alone = GMMClassifier.from_mixtures(
        [mixture.marginal([0, 1]) for mixture in model.mixtures_], model.classes_, model.priors_
    )
    some = np.column_stack([X[:50, :2], np.full(50, np.nan)])
    assert_allclose(model.predict_proba(some), alone.predict_proba(X[:50, :2]), rtol=1e-8, atol=1e-12)
    assert_array_equal(model.anomalies(some, 0.1), alone.anomalies(X[:50, :2], 0.1))
    assert_allclose(model.predict_proba(np.full((1, 3), np.nan))[0], model.priors_, rtol=1e-12)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        GMMClassifier(n_components).fit(holes, y)


@pytest.mark.parametrize("n_components", [1, 2])
def test_float32_rows(n_components):
    X, y = clouds(1000)
    single = GMMClassifier(n_components, random_state=0).fit(X.astype(np.float32), y)
    double = GMMClassifier(n_components, random_state=0).fit(X, y)
    assert_allclose(single.predict_proba(X.astype(np.float32)), double.predict_proba(X), atol=2e-4)


def test_rows_that_belong_to_no_class():
    """Of a class's own rows no more than a share is marked, and of rows that are far from all classes each."""
    X, y = clouds(4000)
    for arguments in ({}, {"n_components": 2}):
        model = GMMClassifier(**arguments, random_state=0).fit(X, y)
        assert 0.001 < model.anomalies(X, 0.05).mean() < 0.06
        assert model.anomalies(X + 100).all() and not model.anomalies(X, 0.0).any()
        marked = [mixture.anomalies(X, 0.05) for mixture in model.mixtures_]
        assert_array_equal(model.anomalies(X, 0.05), np.all(marked, axis=0))


@pytest.mark.parametrize("scale", [1.0, 1e200, 1e-200])
@pytest.mark.parametrize("shared", [True, False])
def test_unlabelled_rows_of_any_weight_beside_a_class_that_never_occurs(shared, scale):
    X, y = clouds(600)
    arguments = {"shared": shared, "unlabelled": "?", "priors": [0.0, 0.4, 0.6], "tol": 1e-8}
    model = GMMClassifier(**arguments).fit(X, split(X, y), np.full(600, scale))
    assert model.converged_ and (model.predict_proba(X)[:, 0] == 0).all()
    plain = GMMClassifier(**arguments).fit(X, split(X, y))
    assert_allclose(model.predict_proba(X), plain.predict_proba(X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("covariance_type", ["EEE", "VVV", "EII", "VII", "VEV", "VVI"])
def test_a_class_that_never_occurs_does_not_end_em_of_rows_without_a_label(covariance_type):
    """It goes on as with one that hardly ever does."""
    X, y = clouds(600)
    some = split(X, y, 0.05)
    arguments = {"covariance_type": covariance_type, "shared": True, "unlabelled": "?", "tol": 1e-9, "reg_covar": 0.0}
    never, hardly = (GMMClassifier(**arguments, priors=[p, 0.4, 0.6]).fit(X, some) for p in (0.0, 1e-300))
    assert never.n_iter_ > 20 and never.converged_
    assert_allclose(never.mixture_.means_, hardly.mixture_.means_, rtol=1e-3, atol=1e-3)
    assert_allclose(never.mixture_.covariances_, hardly.mixture_.covariances_, rtol=1e-3, atol=1e-3)
    assert never.priors_[0] == 0 and (never.predict(X) != "a").all()


@pytest.mark.parametrize("criterion", ["bic", "cv"])
@pytest.mark.parametrize("unlabelled", [None, "?"])
def test_families_are_chosen_beside_a_class_that_never_occurs(unlabelled, criterion):
    """By what the other classes' rows say of them, and by how well the class itself is described."""
    X, y = clouds(600)
    rows = X * [1.0, 3.0, 0.3]  # of which the first family says that they are spheres of one size
    arguments = {"shared": True, "unlabelled": unlabelled, "criterion": criterion, "priors": [0.0, 0.4, 0.6]}
    model = GMMClassifier(covariance_type=["EII", "VVV"], **arguments).fit(rows, split(X, y) if unlabelled else y)
    assert np.isfinite([candidate.value for candidate in model.candidates_]).all()
    assert model.mixture_.covariance_type == "VVV"


def test_priors_move_the_boundary():
    X, y = clouds()
    rare = GMMClassifier(priors={"a": 0.01, "b": 0.495, "c": 0.495}).fit(X, y)
    alike = GMMClassifier(priors=[1 / 3] * 3).fit(X, y)
    assert (rare.predict(X) == "a").sum() < (alike.predict(X) == "a").sum()
    assert_allclose(alike.priors_, 1 / 3)
    assert_allclose(rare.decision_log_density(X) - np.log(rare.priors_), alike.decision_log_density(X) + np.log(3))
    never = GMMClassifier(2, priors=[0.0, 0.5, 0.5], random_state=0).fit(X, y)
    assert (never.predict_proba(X)[:, 0] == 0).all() and not np.isnan(never.predict_log_proba(X)).any()


def test_names_are_those_of_the_features():
    import pandas as pd

    X, y = clouds()
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    for n_components in (1, 2):
        model = GMMClassifier(n_components, random_state=0).fit(frame, pd.Series(y))
        assert model.feature_names_in_.tolist() == ["a", "b", "c"]
        assert model.mixture_.feature_names_in_.tolist() == ["a", "b", "c"]
        some = GMMClassifier(n_components, unlabelled="?", random_state=0, tol=1e-2).fit(frame, split(X, y))
        assert some.mixtures_[0].feature_names_in_.tolist() == ["a", "b", "c"]
        with pytest.raises(ValueError, match="feature names"):
            model.predict(frame[["b", "a", "c"]])
        with pytest.warns(UserWarning, match="GMMClassifier was fitted with feature names"):
            model.predict(X)
    with pytest.raises(AttributeError, match="feature_names_in_"):
        GMMClassifier().fit(X, y).feature_names_in_  # noqa: B018


@pytest.mark.parametrize("kind", [str, object, np.int64, bool])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"n_components": [1, 2], "covariance_type": ["full", "EEE"]},
        {"n_components": 2, "covariance_type": "EEE", "shared": True},
    ],
)
def test_files_predict_the_same_bits(tmp_path, arguments, kind):
    import pandas as pd

    X, y = clouds()
    y = (y == "a") if kind is bool else np.searchsorted(["a", "b", "c"], y) if kind is np.int64 else y.astype(kind)
    model = GMMClassifier(**arguments, random_state=0, n_threads=1).fit(pd.DataFrame(X, columns=list("uvw")), y)
    path = tmp_path / "model.npz"
    model.save(path)
    again = GMMClassifier.load(path)
    frame = pd.DataFrame(X, columns=list("uvw"))
    assert_array_equal(again.predict(frame), model.predict(frame))
    assert again.classes_.dtype == model.classes_.dtype
    assert_array_equal(again.predict_proba(frame), model.predict_proba(frame))
    assert again.candidates_ == model.candidates_ and again.n_iter_ == model.n_iter_
    assert again.feature_names_in_.tolist() == list("uvw") and again.n_threads == 1
    assert again.bic(frame) == model.bic(frame)
    assert list(np.atleast_1d(again.n_components)) == list(np.atleast_1d(model.n_components))
    memory = io.BytesIO()
    model.save(memory)
    memory.seek(0)
    assert_array_equal(GMMClassifier.load(memory).priors_, model.priors_)
    with pytest.raises(ValueError, match=r"GMMClassifier\.load"):
        GMM.load(path)
    GMM(2, random_state=0).fit(X).save(path)
    with pytest.raises(ValueError, match=r"GMM\.load"):
        GMMClassifier.load(path)


def test_damaged_files_are_refused(tmp_path):
    X, y = clouds()
    path = tmp_path / "model.npz"
    GMMClassifier(2, random_state=0).fit(X, y).save(path)
    whole = dict(np.load(path))
    header = json.loads(whole["header"].item())
    for changed, told in (
        ({"priors": np.ones(3)}, "priors"),
        ({"classes": np.array(["b", "a", "c"])}, "ascend"),
        ({"classes": np.array(["a", "b"])}, "classes"),
        ({"header": np.array(json.dumps(header | {"components": [2, 2, 0]}))}, "components"),
        ({"weights_0": np.array([0.7, 0.7])}, "weights"),
        ({"header": np.array(json.dumps(header | {"covariance_types": []}))}, "no mixture"),
        ({"header": np.array(json.dumps(header | {"candidates": [[7, "full", 1, 0.0]]}))}, "class"),
        ({"header": np.array(json.dumps(header | {"version": 2}))}, "newer"),
    ):
        np.savez(path, **{**whole, **changed})
        with pytest.raises(ValueError, match=told):
            GMMClassifier.load(path)
    with pytest.raises(ValueError, match="objects that are no texts"):
        GMMClassifier().fit(X, as_objects(y)).save(path)


def as_objects(y):
    """Labels that can be sorted and that no file can hold."""
    found = np.empty(len(y), dtype=object)
    found[:] = [frozenset() if label == "a" else frozenset("x") if label == "b" else frozenset("xy") for label in y]
    return found


def test_mixtures_that_are_there_become_a_classifier():
    X, y = clouds()
    fitted = GMMClassifier().fit(X, y)
    labels = np.searchsorted(fitted.classes_, y)
    mixture = GMM(3, reg_covar="relative", random_state=0).fit(X, labels=labels)
    model = GMMClassifier.from_mixtures(mixture, ["a", "b", "c"])
    assert_allclose(model.predict_proba(X), fitted.predict_proba(X), rtol=1e-9, atol=1e-14)
    backwards = GMMClassifier.from_mixtures(mixture, ["z", "y", "x"])
    assert backwards.classes_.tolist() == ["x", "y", "z"]
    assert_allclose(backwards.predict_proba(X)[:, ::-1], model.predict_proba(X), rtol=1e-9, atol=1e-14)
    each = GMMClassifier.from_mixtures(fitted.mixtures_, priors=[0.5, 0.25, 0.25])
    assert each.classes_.tolist() == [0, 1, 2] and each.priors_.tolist() == [0.5, 0.25, 0.25]
    for bad, told in (
        (([],), "at least one"),
        (([mixture, mixture.marginal([0])],), "same number of features"),
        ((mixture, ["a", "b"]), "each of the 3"),
        ((mixture, ["a", "a", "b"]), "differ"),
        ((mixture, None, [0.5, 0.5, 0.5]), "sum to one"),
    ):
        with pytest.raises(ValueError, match=told):
            GMMClassifier.from_mixtures(*bad)
    with pytest.raises(TypeError, match="class GMM"):
        GMMClassifier.from_mixtures([fitted])


@pytest.mark.parametrize(
    ("arguments", "y", "told"),
    [
        ({"n_components": 0}, None, "at least 1"),
        ({"n_components": "bic"}, None, "integer"),
        ({"shared": "yes"}, None, "True or False"),
        ({"covariance_type": "round"}, None, "covariance_type must be one of"),
        ({"covariance_type": []}, None, "at least one"),
        ({"criterion": "aic"}, None, "criterion must be one of"),
        ({"priors": [0.5, 0.5]}, None, "priors"),
        ({"priors": [0.5, 0.5, 0.5]}, None, "sum to one"),
        ({"priors": {"a": 0.5, "b": 0.5}}, None, "each class"),
        ({}, np.linspace(0, 1, 300), "Unknown label type"),
        ({}, np.full(300, np.nan), "NaN"),
        ({}, np.full(300, np.inf), "infinity"),
        ({}, [None] * 300, "NaN or None"),
        ({}, np.array(["a"] * 299 + [1], dtype=object), "of one type"),
        ({}, ["a"] * 299, "as many rows"),
        ({}, [["a", "b"]] * 300, "of shape"),
        ({"unlabelled": "a"}, ["a"] * 300, "nothing can be learnt"),
        ({"n_components": 200}, None, "class 'a' has"),
        ({"unlabelled": "a", "prior": "default", "n_components": 2}, None, "prior must be None"),
    ],
)
def test_what_goes_wrong_is_named_and_leaves_the_model_as_it_was(arguments, y, told):
    X, labels = clouds()
    model = GMMClassifier(random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(X)
    before = model.fit(X, labels).predict(X)
    with pytest.raises((ValueError, TypeError), match=told):
        model.set_params(**arguments).fit(X, labels if y is None else y)
    model.set_params(unlabelled=None)
    assert_array_equal(model.predict(X), before)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), before)


def test_sparse_rows_and_labels_are_refused():
    sparse = pytest.importorskip("scipy.sparse")
    X, y = clouds()
    with pytest.raises(TypeError, match="X is sparse"):
        GMMClassifier().fit(sparse.csr_matrix(X), y)
    with pytest.raises(TypeError, match="y is sparse"):
        GMMClassifier().fit(X, sparse.csr_matrix(np.ones((300, 1))))


def test_a_class_that_cannot_be_estimated_is_named():
    X, y = clouds()
    X[y == "b"] = X[0]
    with pytest.warns(DegenerateWarning, match="Class 'b'"):
        GMMClassifier(1, shared=False).fit(X, y)
    with pytest.warns(DegenerateWarning, match=r"^Components are the classes in their order, from 0: component 1 "):
        GMMClassifier().fit(X, y)
    with pytest.raises(DegenerateError, match="class 'b'"):
        GMMClassifier(1, shared=False, on_degenerate="raise").fit(X, y)
    with pytest.raises(DegenerateError, match=r"^Components are the classes in their order, from 0: component 1 "):
        GMMClassifier(on_degenerate="raise").fit(X, y)
    assert GMMClassifier(1, ["full", "EEE"], on_degenerate="raise").fit(X, y).mixture_.covariance_type == "EEE"
    with pytest.raises(DegenerateError, match="class 'b'"), pytest.warns(DegenerateWarning):
        GMMClassifier([1, 2], on_degenerate="raise", reg_covar=0.0, random_state=0).fit(X, y)
    model = GMMClassifier(1, shared=False, on_degenerate="repair").fit(X, y)
    assert model.score(X, y) > 0.8 and not np.isnan(model.predict_proba(X)).any()
    with pytest.warns(ConvergenceWarning, match="Class 'only'"):
        GMMClassifier(2, max_iter=1, random_state=0).fit(clouds()[0], ["only"] * 300)
    with pytest.warns(ConvergenceWarning, match="unlabelled"):
        GMMClassifier(1, shared=False, max_iter=2, tol=1e-13, unlabelled="a").fit(*clouds())


def test_one_class_is_always_predicted():
    X, _ = clouds()
    for n_components in (1, 2):
        model = GMMClassifier(n_components, random_state=0).fit(X, ["only"] * len(X))
        assert set(model.predict(X)) == {"only"}
        assert_allclose(model.predict_proba(X), 1, rtol=1e-15)
