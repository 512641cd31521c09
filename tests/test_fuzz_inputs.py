"""The public edge under much that is not legal: what is handed over is used, or refused by its name.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import json

import numpy as np
import pytest
from hypothesis import example
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import cgmm
import recipes
from cgmm import GMM
from fuzzing import assert_same, attempt, check_parameters, fuzzed
from recipes import Rows

# What is not legal

ROWS = Rows(n=12, d=3).build()
ARGUMENTS = sorted(GMM().get_params())
START_SHAPES = st.sampled_from([(2,), (2, 3), (2, 3, 3), (3, 3), (12,), (12, 2), ()])
TOLD_OTHERWISE = {  # words that stand for a name in an error
    "X": ("X", "array", "rows"),
    "sample_weight": ("sample_weight", "of positive weight"),
    "weights": ("weights", "components"),
    "means": ("means", "components"),
    "prior.mean": ("prior",),
    "prior.covariance": ("prior",),
}


def check_names(name, error, *others):
    """That an error names an argument, or one of the others that it holds."""
    if name == "checkpoint" and isinstance(error, OSError):  # there can be no such file, which it names
        assert error.filename
        return
    assert isinstance(error, ValueError | TypeError)
    assert any(word in str(error) for own in (name, *others) for word in TOLD_OTHERWISE.get(own, (own,))), error


def check_argument(name, value):
    """A fit with this argument either succeeds or names it, and leaves the estimator as it was."""
    model = GMM(**{"n_components": 2, "max_iter": 3, "on_degenerate": "repair", name: value})
    before = dict(vars(model))
    fitted = attempt(lambda: model.fit(ROWS))
    if fitted is model:
        check_parameters(model)
    else:
        check_names(name, fitted)
        assert vars(model).keys() == before.keys()
        assert all(vars(model)[key] is before[key] for key in before)


@fuzzed(166, name=st.sampled_from(ARGUMENTS), value=recipes.junk())
@example(name="n_init", value=2**70)
def test_any_argument(name, value):
    if callable(value) and name in ("callback", "init_params"):
        return  # it is called, and its errors are its own
    check_argument(name, value)


STARTS = ["weights_init", "means_init", "precisions_init", "responsibilities_init"]


@fuzzed(100, name=st.sampled_from(STARTS), value=recipes.arrays(START_SHAPES))
def test_any_start(name, value):
    check_argument(name, value)


@fuzzed(
    40,
    name=st.sampled_from(["weight_concentration", "mean_precision", "mean", "degrees_of_freedom", "covariance"]),
    value=st.one_of(recipes.junk(), recipes.arrays(st.sampled_from([(3,), (3, 3), ()]))),
    family=st.sampled_from(recipes.FAMILIES),
)
def test_any_prior(name, value, family):
    model = GMM(2, covariance_type=family, max_iter=3, on_degenerate="repair", prior=cgmm.Prior(**{name: value}))
    fitted = attempt(lambda: model.fit(ROWS))
    if fitted is model:
        check_parameters(model)
    else:
        check_names(f"prior.{name}", fitted)


@fuzzed(100, value=st.one_of(recipes.junk(), recipes.arrays(START_SHAPES)), data=st.data())
def test_any_input(value, data):
    """Of the verbs: what is handed over is used, or refused by name."""
    verbs = {
        "fit": lambda model: ("X", model.fit(value)),
        "fit's sample_weight": lambda model: ("sample_weight", model.fit(ROWS, sample_weight=value)),
        "partial_fit": lambda model: ("X", model.partial_fit(value)),
        "partial_fit's sample_weight": lambda model: ("sample_weight", model.partial_fit(ROWS, sample_weight=value)),
        "predict": lambda model: ("X", model.predict(value)),
        "predict_proba": lambda model: ("X", model.predict_proba(value)),
        "score_samples": lambda model: ("X", model.score_samples(value)),
        "score": lambda model: ("sample_weight", model.score(ROWS, sample_weight=value)),
        "bic": lambda model: ("sample_weight", model.bic(ROWS, sample_weight=value)),
        "icl": lambda model: ("X", model.icl(value)),
        "expectation": lambda model: ("sample_weight", cgmm.expectation(model, ROWS, value).n_k),
        "sample": lambda model: ("n_samples", model.sample(value)),
    }
    verb = data.draw(st.sampled_from(sorted(verbs)))
    if verb == "sample" and isinstance(value, int) and value > 1000:
        return  # it is legal, and memory ends before it
    model = GMM(2, max_iter=3, on_degenerate="repair").fit(ROWS)
    before = vars(model)["_state"]
    found = attempt(lambda: verbs[verb](model))
    if isinstance(found, Exception):
        named = ("sample_weight",) if "sample_weight" in verb or verb in ("score", "bic", "expectation") else ("X",)
        if not isinstance(found, OSError) and "block" not in str(found):  # which name a file or a block
            check_names("n_samples" if verb == "sample" else named[0], found)
        assert vars(model)["_state"] is before
    elif not isinstance(found[1], GMM | tuple):
        assert not np.isnan(found[1]).any()


@fuzzed(
    100,
    weights=st.one_of(recipes.junk(), recipes.arrays(st.sampled_from([(2,), (1,)])), st.just([0.5, 0.5])),
    means=st.one_of(recipes.junk(), recipes.arrays(st.sampled_from([(2, 3), (2, 1)])), st.just(np.eye(2))),
    covariances=st.one_of(recipes.junk(), recipes.arrays(START_SHAPES), st.just([np.eye(2)] * 2)),
    family=st.one_of(recipes.junk(), st.sampled_from(recipes.FAMILIES)),
)
def test_any_parameters(weights, means, covariances, family):
    found = attempt(lambda: GMM.from_parameters(weights, means, covariances, covariance_type=family))
    if isinstance(found, GMM):
        assert np.isfinite(found.precisions_cholesky_).all()
        assert np.isfinite(attempt(lambda: found.predict_proba(found.means_))).all()
    else:
        assert any(name in str(found) for name in ("weights", "means", "covariances", "covariance_type")), found


# k-means


@fuzzed(
    66,
    name=st.sampled_from(["X", "n_clusters", "init", "n_init", "max_iter", "tol", "sample_weight", "n_threads"]),
    value=st.one_of(recipes.junk(), recipes.arrays(START_SHAPES)),
)
def test_any_argument_of_kmeans(name, value):
    if name == "n_init" and isinstance(value, int) and value > 100:
        return  # legal, and endless
    arguments = {"X": ROWS, "n_clusters": 2, "random_state": 0, name: value}
    found = attempt(lambda: cgmm.kmeans(**arguments))
    if isinstance(found, Exception):
        check_names(name, found)
    else:
        assert np.isfinite(found.centers).all()


# Files


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A model's file, its bytes, and the model."""
    path = tmp_path_factory.mktemp("saved") / "model.npz"
    model = GMM(2, random_state=0, max_iter=5, tol=1.0).fit(ROWS)
    model.save(path)
    return path, path.read_bytes(), model


def check_load(path, model):
    """A file that was the model's once is refused by its name, or still is the model's."""
    found = attempt(lambda: GMM.load(path))
    if isinstance(found, Exception):
        assert isinstance(found, ValueError) and str(path) in str(found)
    else:
        assert_same(found, model)


@fuzzed(
    66,
    cuts=st.lists(st.floats(0, 1), min_size=3, max_size=3),
    how=st.sampled_from(["swap", "drop", "twice", "insert", "zeros"]),
    inserted=st.binary(min_size=1, max_size=20),
)
def test_spliced_files(saved, cuts, how, inserted):
    path, whole, model = saved
    a, b, c = sorted(int(cut * len(whole)) for cut in cuts)
    parts = {
        "swap": whole[:a] + whole[b:c] + whole[a:b] + whole[c:],
        "drop": whole[:a] + whole[b:],
        "twice": whole[:b] + whole[a:],
        "insert": whole[:a] + inserted + whole[a:],
        "zeros": whole[:a] + bytes(b - a) + whole[b:],
    }
    path.write_bytes(parts[how])
    check_load(path, model)


@fuzzed(
    66,
    name=st.sampled_from(["weights", "means", "covariances", "precisions_cholesky", "lower_bounds"]),
    value=recipes.arrays(),
)
def test_files_of_other_arrays(saved, name, value):
    """Refused by the file's name, or a model that can be used."""
    path, whole, _ = saved
    if value.dtype == object:
        return
    path.write_bytes(whole)
    with np.load(path) as archive:
        members = dict(archive)
    np.savez(path, **members | {name: value})
    found = attempt(lambda: GMM.load(path))
    if isinstance(found, Exception):
        assert isinstance(found, ValueError) and str(path) in str(found)
    else:
        assert np.isfinite(found.score_samples(ROWS)).all()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@fuzzed(
    66, name=st.sampled_from([*ARGUMENTS, "format", "version", "covariance_type", "converged", "settings"]), value=JSON
)
@example(name="checkpoint", value="/")
@example(name="checkpoint", value="\0")
def test_files_of_other_headers(saved, name, value):
    """Refused by the file's name, or a model that can be used; its settings are checked where they are used."""
    path, whole, model = saved
    path.write_bytes(whole)
    with np.load(path) as archive:
        members = dict(archive)
    header = json.loads(str(members["header"]))
    (header["settings"] if name in ARGUMENTS else header)[name] = value
    np.savez(path, **members | {"header": np.array(json.dumps(header))})
    found = attempt(lambda: GMM.load(path))
    if isinstance(found, Exception):
        assert isinstance(found, ValueError) and str(path) in str(found)
        return
    assert repr(found)
    assert_array_equal(found.weights_, model.weights_)
    fitted = attempt(lambda: found.set_params(n_threads=1).fit(ROWS))
    if fitted is not found:
        check_names(name, fitted, *(value if isinstance(value, dict) else ()))
