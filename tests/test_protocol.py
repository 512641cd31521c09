"""scikit-learn's world: its checks, its tools, its errors and diagrams, routed metadata, and data frames."""

import copy
import json
import os
import pickle
import re
import subprocess
import sys
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM
from cgmm.errors import kin
from programs import output

sklearn = pytest.importorskip("sklearn")
joblib = pytest.importorskip("joblib")
base, exceptions, mixture, model_selection, pipeline, preprocessing = (
    pytest.importorskip(f"sklearn.{name}")
    for name in ("base", "exceptions", "mixture", "model_selection", "pipeline", "preprocessing")
)
VERSION = tuple(map(int, sklearn.__version__.split(".")[:2]))
clone, make_pipeline, GaussianMixture = base.clone, pipeline.make_pipeline, mixture.GaussianMixture

X = np.random.RandomState(0).randint(0, 9, size=(120, 3)) + np.repeat([[0.0], [20.0]], 60, axis=0)
WEIGHTS = np.random.RandomState(1).uniform(size=120)
NAMES = ["a", "b", "c"]
MODEL = GMM(2, random_state=0)
FOLDS = model_selection.KFold(3, shuffle=True, random_state=0)
frames = pytest.mark.parametrize("library", ["pandas", "polars"])


def fresh(program, folder, **environment):
    """What a program prints in a process of its own."""
    environment = {**os.environ, "PYTHONWARNINGS": "error", **environment}
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def frame(library, columns):
    return pytest.importorskip(library).DataFrame(dict(zip(NAMES, columns, strict=False)))


# scikit-learn's checks


CHECKS = """
import json, sys
from cgmm import GMM
from sklearn.utils.estimator_checks import check_estimator
for check in check_estimator(GMM(**json.loads(sys.argv[1])), on_skip=None, on_fail=None):
    print(check["check_name"], check["status"], repr(check["exception"]))
"""
by_default = pytest.mark.full("the model without arguments")


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        *(pytest.param({"covariance_type": name}, marks=by_default) for name in ("tied", "diag", "spherical")),
        pytest.param({"missing": "marginal"}, marks=by_default),
    ],
)
def test_every_check_of_scikit_learn(arguments):
    """None fails, is skipped or is expected to fail; one of them wants arrays of the array API."""
    pytest.importorskip("array_api_strict")
    lines = output(CHECKS, json.dumps(arguments), SCIPY_ARRAY_API="1", PYTHONWARNINGS="ignore").splitlines()
    assert len(lines) > 32
    assert [line for line in lines if line.split()[1] != "passed"] == []


# scikit-learn's tools


def scores(model, **w):
    """Mean log-likelihoods of rows that were left out, by hand."""
    return [
        model.fit(X[rows], **{name: value[rows] for name, value in w.items()}).score(X[others], sample_weight=None)
        for rows, others in FOLDS.split(X)
    ]


def test_cross_validation_is_by_score():
    expected = scores(clone(MODEL))
    assert_allclose(model_selection.cross_val_score(MODEL, X, cv=FOLDS), expected, rtol=1e-12)
    scaled = model_selection.cross_val_score(make_pipeline(preprocessing.StandardScaler(), MODEL), X, cv=FOLDS)
    assert_allclose(scaled - 3 * np.log(np.std(X)), expected, atol=0.2)  # in other units, of other rows' deviations


def test_a_grid_search_finds_the_best_score():
    search = model_selection.GridSearchCV(
        MODEL, {"n_components": [1, 2], "covariance_type": ["full", "tied"]}, cv=FOLDS
    )
    search.fit(X)
    for settings, found in zip(search.cv_results_["params"], search.cv_results_["mean_test_score"], strict=True):
        assert_allclose(found, np.mean(scores(clone(MODEL).set_params(**settings))), rtol=1e-12)
    assert_array_equal(search.predict(X), search.best_estimator_.predict(X))


def test_a_clone_is_unfitted_and_has_the_same_parameters():
    model = clone(GMM(2, means_init=X[[0, 60]], fixed=("means",), prior=cgmm.Prior()).fit(X))
    assert repr(model) == repr(GMM(2, means_init=X[[0, 60]], fixed=("means",), prior=cgmm.Prior()))
    assert not hasattr(model, "means_")


class Inner(base.BaseEstimator):
    def __init__(self, a=1):
        self.a = a


def test_nested_parameters():
    """Of arguments that have their own, and of a step of a pipeline; a name that does not exist changes nothing."""
    model = GMM(prior=Inner(3))
    assert model.get_params()["prior__a"] == 3 and "prior__a" not in model.get_params(deep=False)
    assert model.set_params(prior__a=4).prior.a == 4
    assert model.set_params(prior__a=6, prior=Inner(5)).prior.a == 6
    for bad in ({"prior__b": 1}, {"b": 1}, {"tol__a": 1}):
        with pytest.raises(ValueError, match="Invalid parameter"):
            model.set_params(tol=7.0, **bad)
        assert model.tol == 1e-3
    steps = make_pipeline(preprocessing.StandardScaler(), GMM()).set_params(gmm__n_components=2)
    assert steps.get_params()["gmm__n_components"] == steps[-1].n_components == 2


def test_a_subclass_may_pass_its_arguments_on():
    class Tight(GMM):
        def __init__(self, tightness=1, **others):
            super().__init__(tol=1e-9 / tightness, **others)
            self.tightness = tightness

    assert Tight(2, n_components=2).get_params() == {"tightness": 2}
    assert repr(Tight(2)) == "Tight(tightness=2)"


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_fits_are_serial_fits(backend):
    """In other processes of a read-only memory map: rows of more than max_nbytes travel as one."""
    models = [GMM(2, init_params="random_from_data", random_state=seed) for seed in range(4)]
    fitted = joblib.Parallel(2, backend=backend, max_nbytes=1000)(joblib.delayed(model.fit)(X) for model in models)
    for ours, model in zip(fitted, models, strict=True):
        assert_array_equal(ours.means_, clone(model).fit(X).means_)


# Errors and warnings

CLASSES = [cgmm.NotFittedError, cgmm.ConvergenceWarning, cgmm.DegenerateWarning, cgmm.DegenerateError]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
@pytest.mark.parametrize("ours", CLASSES)
def test_errors_and_warnings_are_of_both_families(ours, copied):
    """Theirs of the same name, where there is one; a copy of it too, with its notes."""
    error = kin(ours)("told")
    error.add_note("noted")
    again = copied(error)
    assert isinstance(again, getattr(exceptions, ours.__name__, ours)) and isinstance(again, ours)
    assert type(again) is type(error) and again.args == ("told",) and again.__notes__ == ["noted"]


def test_an_error_from_another_process_is_still_scikit_learns():
    with pytest.raises(exceptions.NotFittedError, match="This GMM instance is not fitted yet") as caught:
        joblib.Parallel(2)([joblib.delayed(GMM().predict)(X)])
    assert isinstance(caught.value, cgmm.NotFittedError)


WITHOUT = """
import pickle, sys
from cgmm import GMM, ConvergenceWarning, NotFittedError
error = pickle.loads(bytes.fromhex({!r}))
assert type(error) is NotFittedError and error.args == ("told",)
model = GMM(3, tol=1e-5)
assert model._repr_html_() == "<pre>GMM(n_components=3, tol=1e-05)</pre>", model._repr_html_()
try:
    model.set_fit_request(sample_weight=True)
except RuntimeError as refused:
    assert "enable_metadata_routing" in str(refused)
else:
    raise AssertionError
try:
    model.predict([[1.0]])
except NotFittedError as refused:
    assert type(refused) is NotFittedError
model.set_params(n_components=1).fit([[1.0], [2.0]]).get_params()
print(*(name for name in sys.modules if name.partition(".")[0] == "sklearn"))
"""


def test_scikit_learn_is_not_imported_unasked(tmp_path):
    """Errors that have been its own are then only ours, and nothing that does without it loads it."""
    error = pickle.dumps(kin(cgmm.NotFittedError)("told"))
    assert fresh(WITHOUT.format(error.hex()), tmp_path).split() == []


# Routed metadata


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def asking(fit=True, score=True):
    return clone(MODEL).set_fit_request(sample_weight=fit).set_score_request(sample_weight=score)


def weighted_score(model, rows, others):
    return model.fit(X[rows], sample_weight=WEIGHTS[rows]).score(X[others], sample_weight=WEIGHTS[others])


def test_weights_reach_the_last_step_of_a_pipeline(routing):
    expected = clone(MODEL).fit(X, sample_weight=WEIGHTS)
    for steps, name in ((make_pipeline(asking()), "sample_weight"), (make_pipeline(asking("w")), "w")):
        weights = {name: WEIGHTS}
        assert_array_equal(steps.fit(X, **weights)[-1].means_, expected.means_)
        assert steps.score(X, sample_weight=WEIGHTS) == expected.score(X, sample_weight=WEIGHTS)
        assert_array_equal(steps.fit_predict(X, **weights), expected.predict(X))


def test_labels_reach_the_last_step_of_a_pipeline(routing):
    labels = np.where(np.arange(len(X)) % 3, -1, np.arange(len(X)) % 2)
    steps = make_pipeline(clone(MODEL).set_fit_request(labels=True))
    assert_array_equal(steps.fit(X, labels=labels)[-1].means_, clone(MODEL).fit(X, labels=labels).means_)
    assert not np.array_equal(steps[-1].means_, clone(MODEL).fit(X).means_)


def test_weights_reach_every_fold(routing):
    expected = [weighted_score(clone(MODEL), *fold) for fold in FOLDS.split(X)]
    assert not np.allclose(expected, scores(clone(MODEL)))
    found = model_selection.cross_validate(asking(), X, cv=FOLDS, params={"sample_weight": WEIGHTS})
    assert_allclose(found["test_score"], expected, rtol=1e-12)
    search = model_selection.GridSearchCV(asking(), {"n_components": [1, 2]}, cv=FOLDS).fit(X, sample_weight=WEIGHTS)
    assert_allclose(search.cv_results_["mean_test_score"][1], np.mean(expected), rtol=1e-12)
    if VERSION >= (1, 9):  # 1.6 and 1.7 do not ask the steps of a pipeline
        search = model_selection.GridSearchCV(make_pipeline(asking()), {"gmm__n_components": [2]}, cv=FOLDS)
        search.fit(X, sample_weight=WEIGHTS)
        assert_allclose(search.cv_results_["mean_test_score"][0], np.mean(expected), rtol=1e-12)


def test_partial_fit_has_a_request_of_its_own(routing):
    model = asking(False).set_partial_fit_request(sample_weight="w")
    assert model.get_metadata_routing().partial_fit.requests == {
        "sample_weight": "w",
        "labels": None,
        "error_covariances": None,
    }
    assert model.get_metadata_routing().fit.requests == {
        "sample_weight": False,
        "labels": None,
        "error_covariances": None,
    }


def test_weights_that_are_not_asked_for(routing):
    """False leaves them out, and nothing said is an error."""
    scaler = preprocessing.StandardScaler().set_fit_request(sample_weight=True)
    model = make_pipeline(scaler, asking(fit=False)).fit(X, sample_weight=WEIGHTS)[-1]
    assert_array_equal(model.means_, clone(MODEL).fit(scaler.transform(X)).means_)
    with pytest.raises(exceptions.UnsetMetadataPassedError, match=r"GMM\.fit"):
        model_selection.GridSearchCV(GMM(), {}).fit(X, sample_weight=WEIGHTS)


@pytest.mark.parametrize("copied", [clone, copy.copy, copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_keep_their_own_requests(routing, copied):
    model = asking("w", False)
    again = copied(model)
    assert again.get_metadata_routing().fit.requests == {
        "sample_weight": "w",
        "labels": None,
        "error_covariances": None,
    }
    again.set_fit_request(sample_weight=True).set_score_request()
    assert again.get_metadata_routing().fit.requests == {
        "sample_weight": True,
        "labels": None,
        "error_covariances": None,
    }
    assert again.get_metadata_routing().score.requests == {"sample_weight": False, "error_covariances": None}
    assert model.get_metadata_routing().fit.requests == {
        "sample_weight": "w",
        "labels": None,
        "error_covariances": None,
    }


def test_requests_are_refused(routing):
    """A request that cannot be, and any where routing is not enabled."""
    model = GMM()
    with pytest.raises(ValueError, match="alias"):
        model.set_fit_request(sample_weight=3)
    assert model.get_metadata_routing().fit.requests == {
        "sample_weight": None,
        "labels": None,
        "error_covariances": None,
    }
    with sklearn.config_context(enable_metadata_routing=False), pytest.raises(RuntimeError, match="routing is enabled"):
        model.set_score_request(sample_weight=True)


# Pictures of an estimator


def test_repr_in_a_pipeline():
    steps = make_pipeline(GMM(3, tol=1e-5))
    assert repr(steps) == "Pipeline(steps=[('gmm', GMM(n_components=3, tol=1e-05))])"


@pytest.mark.parametrize("around", [lambda model: model, make_pipeline])
def test_the_diagram_shows_what_was_changed(around):
    """As text in scikit-learn 1.6; since 1.7 in a table, where it is marked."""
    picture = around(GMM(n_components=37, tol=1e-5))._repr_html_()
    if VERSION < (1, 7):
        assert "n_components=37, tol=1e-05" in picture
        return
    changed = [row for row in picture.split("<tr") if 'class="user-set"' in row and "</td>" in row]
    told = [name for name in GMM().get_params() if any(f">{name}" in row or f"'{name}'" in row for row in changed)]
    assert told == ["n_components", "tol"] and any("37" in row for row in changed)


def test_text_where_scikit_learn_shows_text():
    with sklearn.config_context(display="text"):
        assert GMM(init_params=max)._repr_html_() == "<pre>GMM(init_params=&lt;built-in function max&gt;)</pre>"


# Data frames


@frames
def test_names_of_features(library):
    """Those of the last fit: from a frame of named columns, and from nothing else."""
    model = clone(MODEL).fit(frame(library, X.T))
    assert model.feature_names_in_.dtype == object and model.feature_names_in_.tolist() == NAMES
    assert not hasattr(model.fit(X), "feature_names_in_")


def test_columns_that_are_numbers_are_no_names():
    pandas = pytest.importorskip("pandas")
    assert not hasattr(clone(MODEL).fit(pandas.DataFrame(X)), "feature_names_in_")


def test_names_of_an_arrow_table():
    """Of pyarrow's or what is like it: `columns` are there values."""

    class Arrow:
        shape, column_names, columns = X.shape, NAMES, list(X.T)

        def __array__(self, dtype=None, copy=None):
            return X

    assert clone(MODEL).fit(Arrow()).feature_names_in_.tolist() == NAMES


def said(use):
    """The warning, or the error, of a call: its class and its text, in which ours has the name of theirs."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            use()
        except (TypeError, ValueError) as error:
            return type(error), str(error).replace("GMM", "GaussianMixture")
    return [(warning.category, str(warning.message).replace("GMM", "GaussianMixture")) for warning in caught]


def disagreeing(library):
    """Frames of the same rows, and of some of them, under other names."""
    named = frame(library, X.T)
    renamed = dict(zip(NAMES, "xyz", strict=True))
    return {
        "same": named,
        "unnamed": X,
        "reordered": named[["b", "a", "c"]],
        "fewer": named[["a", "b"]],
        "renamed": named.rename(columns=renamed) if library == "pandas" else named.rename(renamed),
    }


@frames
@pytest.mark.parametrize("verb", ["predict", "predict_proba", "score_samples", "score", "aic", "bic"])
@pytest.mark.parametrize("fitted_on", ["same", "unnamed"])
def test_names_that_disagree_are_told_as_by_scikit_learn(library, verb, fitted_on):
    """Of a pandas frame: scikit-learn 1.6 does not know the names of a polars frame of today."""
    rows, their_rows = disagreeing(library), disagreeing("pandas")
    ours = getattr(clone(MODEL).fit(rows[fitted_on]), verb)
    theirs = getattr(GaussianMixture(2, random_state=0).fit(their_rows[fitted_on]), verb)
    for kind in rows if fitted_on == "same" else rows.keys() - {"fewer"}:
        expected = said(partial(theirs, their_rows[kind]))
        assert said(partial(ours, rows[kind])) == expected, kind
        assert bool(expected) == (kind != fitted_on), kind


def test_a_warning_of_names_points_to_the_call():
    model = clone(MODEL).fit(frame("pandas", X.T))
    for verb in (model.predict, model.predict_proba, model.score_samples, model.score, model.aic, model.bic, model.icl):
        with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
            verb(X)
        assert caught[0].filename == __file__


def test_mixed_names_are_refused_as_by_scikit_learn():
    mixed = pytest.importorskip("pandas").DataFrame(X, columns=["a", 1, 2])
    assert said(lambda: GMM(2).fit(mixed)) == said(lambda: GaussianMixture(2).fit(mixed))


MIXED = {
    "mixed": ("f4", "i2", "f8"),
    "bytes": ("i1", "u1", "i1"),
    "nullable": ("Float64", "Int64", "float64"),
    "nullable_single": ("Float32", "Int32", "UInt16"),
}


@pytest.mark.parametrize("dtypes", MIXED.values(), ids=MIXED)
@frames
def test_frames_of_any_numbers_are_their_float64_rows(library, dtypes):
    """Weights may be a column, too."""
    pandas = pytest.importorskip("pandas")
    table = pandas.DataFrame({name: pandas.array(x, dtype=t) for name, x, t in zip(NAMES, X.T, dtypes, strict=True)})
    weights = pandas.Series(np.arange(120), dtype=dtypes[1])
    if library == "polars":
        polars = pytest.importorskip("polars")
        table = polars.DataFrame({name: polars.Series(table[name].to_numpy()) for name in NAMES})
        weights = polars.Series(weights.to_numpy())
    ours, expected = clone(MODEL).fit(table, sample_weight=weights), clone(MODEL).fit(X, sample_weight=np.arange(120))
    assert_array_equal(ours.means_, expected.means_)
    assert_array_equal(ours.score_samples(table), expected.score_samples(X))


@frames
def test_what_is_missing_in_a_frame_is_named(library):
    table = {"a": [1.0, 2.0, 3.0], "b": [1, None, 3]}
    if library == "pandas":
        table["b"] = pytest.importorskip("pandas").array(table["b"], dtype="Int64")
    with pytest.raises(ValueError, match=r"contains NaN: the first is X\[1, 1\]"):
        GMM().fit(pytest.importorskip(library).DataFrame(table))


@frames
@pytest.mark.parametrize("bad", [["x", "y", "z"], [None, "1", "z"]])
def test_text_in_a_frame_is_refused(library, bad):
    with pytest.raises(ValueError, match="X must be numeric"):
        GMM().fit(pytest.importorskip(library).DataFrame({"a": [1.0, 2.0, 3.0], "b": bad}))


# The documentation


def public(model):
    return {name for name in dir(model) if not name.startswith("_")}


def test_every_public_name_is_told_of():
    """docs/from-scikit-learn.md has each name of GaussianMixture in its tables, and each of GMM alone beside them."""
    text = (Path(__file__).parents[1] / "docs" / "from-scikit-learn.md").read_text()
    tables, besides = text.split("## Besides")
    named = {name for row in re.findall(r"(?m)^\| (`.*?) \|", tables) for name in re.findall(r"`(\w+)`", row)}
    ours, theirs = (public(clone(cls(2)).fit(frame("pandas", X.T))) for cls in (GMM, GaussianMixture))
    assert theirs - named == set() and theirs - ours == set()
    assert ours - theirs - set(re.findall(r"`(?:cgmm\.)?(\w+)`", tables + besides)) == set()


@pytest.mark.parametrize(
    "model, taken",
    [
        (GMM(), {"fit": 3, "partial_fit": 3, "score": 2}),
        (cgmm.GMMRegressor(), {"fit": 2, "partial_fit": 2, "score": 2}),
        (cgmm.GMMClassifier(), {"fit": 1, "partial_fit": 1, "score": 1}),
    ],
)
def test_requests_are_of_what_a_method_takes(model, taken, routing):
    requests = {method: getattr(model.get_metadata_routing(), method).requests for method in taken}
    assert {method: len(names) for method, names in requests.items()} == taken
    assert all("sample_weight" in requests[method] for method, count in taken.items() if count)
    if taken["fit"] == 1:
        with pytest.raises(TypeError, match="fit takes sample_weight, and nothing else that can be routed, not labels"):
            model.set_fit_request(labels=True)
