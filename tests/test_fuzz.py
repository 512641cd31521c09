"""The public edge under everything that is legal, and much that is not: no crash, no hang, no silent nonsense.

``CGMM_FUZZ=100 pytest tests/test_fuzz.py`` tries 100 times as many examples, others in each run.
"""

import json
import os
import pickle
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import cgmm
import recipes
import reference
from cgmm import GMM
from cgmm.errors import BlockError
from recipes import Rows

TIMES = int(os.environ.get("CGMM_FUZZ", "1"))
FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_", "converged_", "n_iter_")
TOLD = (cgmm.ConvergenceWarning, cgmm.DegenerateWarning)


def examples(count):
    return settings(
        max_examples=count * TIMES,
        derandomize=TIMES == 1,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )


def attempt(action):
    """What an action returns, or the documented error that it raises; any warning but the documented is a fault."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = action()
        except (ValueError, TypeError, FileNotFoundError, IsADirectoryError) as error:  # of a path
            assert str(error)
            found = error
    others = [f"{w.message} ({w.filename}:{w.lineno})" for w in told if not issubclass(w.category, TOLD)]
    assert not others, others
    return found


def same(a, b):
    """Whether two models are the same to the bit."""
    return all(np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True) for name in FITTED)


# A fit


def refused(error):
    """Whether an error is one of the few that a legal fit may end in."""
    text = str(error)
    return isinstance(error, cgmm.DegenerateError) or any(
        part in text
        for part in (
            "rows of positive weight",
            "a value too large",
            "is missing in every row of positive weight",
        )
    )


def check_fit(recipe, directory):
    """All that is promised of a fit by this recipe."""
    X, row_weights = recipe.build(), recipe.row_weights()
    model = GMM(**recipe.constructor(X))
    before = dict(vars(model))
    fitted = attempt(lambda: model.fit(X, sample_weight=row_weights))
    if fitted is not model:
        assert refused(fitted), fitted
        assert vars(model) == before
        return
    check_parameters(model)
    check_history(recipe, model)
    check_fixed(recipe, model, X, row_weights)
    check_verbs(model, X, row_weights)
    check_copies(model, X, directory)
    again = GMM(**recipe.constructor(X) | {"n_threads": 2})
    assert attempt(lambda: again.fit(X, sample_weight=row_weights)) is again
    assert same(model, again)
    if recipe.warm:
        continued = attempt(lambda: model.fit(X, sample_weight=row_weights))
        if continued is not model:
            assert isinstance(continued, cgmm.DegenerateError), continued
        assert same(model, again) or continued is model
        check_parameters(model)
        check_verbs(model, X, row_weights)


def check_stream(recipe):
    """What is promised of partial_fit, batch by batch, of a fit's rows."""
    X, row_weights = recipe.rows.build(), recipe.row_weights()
    model = GMM(**recipe.constructor(X))
    weights = np.ones(len(X)) if row_weights is None else np.broadcast_to(row_weights, len(X))
    start = 0
    for size in [1, 2, 30, 1, 5, *[9] * (len(X) // 9 + 1)]:
        part = slice(start, start + size)
        start += size
        if not np.any(weights[part]):
            continue
        before = dict(vars(model))
        found = attempt(lambda part=part: model.partial_fit(X[part], sample_weight=weights[part]))
        if found is not model:
            assert refused(found) or "no finite sum" in str(found), found
            assert vars(model) == before
        elif model.__sklearn_is_fitted__():
            check_parameters(model, iterations=False)
    if model.__sklearn_is_fitted__():
        check_verbs(model, X, row_weights)


def check_parameters(model, iterations=True):
    assert np.isfinite(model.weights_).all() and (model.weights_ >= 0).all()
    assert abs(model.weights_.sum() - 1) < 1e-12
    assert np.isfinite(model.means_).all()
    assert np.isfinite(model.covariances_).all()
    assert np.isfinite(model.precisions_cholesky_).all()
    k, d = model.means_.shape
    variances = reference.expand(model.covariances_, model.covariance_type, k, d).diagonal(axis1=1, axis2=2)
    roots = reference.expand(model.precisions_cholesky_, model.covariance_type, k, d).diagonal(axis1=1, axis2=2)
    assert (variances > 0).all()
    assert (roots > 0).all()
    assert not iterations or model.n_iter_ == len(model.lower_bounds_) <= model.max_iter
    assert isinstance(model.converged_, bool)
    told = model.diagnostics_
    assert (told.condition_numbers >= 1 - 1e-9).all()
    assert told.effective_counts is None or (told.effective_counts >= 0).all()
    assert 0 <= told.winner < len(told.restarts)


def check_history(recipe, model):
    history = model.lower_bounds_
    assert np.isfinite(history).all()
    if dict(recipe.arguments).get("reg_covar", 1e-6) == 0:
        slack = 1e-5 if recipe.rows.dtype in ("float32", ">f4") else 1e-10
        falls = np.diff(history) / np.maximum(1, np.abs(history[1:]))
        assert (falls >= -slack).all(), falls.min()


def check_fixed(recipe, model, X, row_weights):
    """What is fixed is as in a fit of no iterations, to the bit."""
    if not recipe.fixed:
        return
    start = GMM(**recipe.constructor(X) | {"max_iter": 0, "on_degenerate": "repair"})
    assert attempt(lambda: start.fit(X, sample_weight=row_weights)) is start
    for name, mask in recipe.masks().items():
        value, own = getattr(start, f"{name}_"), getattr(model, f"{name}_")
        if len(value) == len(mask):
            value, own = value[mask], own[mask]
        assert_array_equal(own, value, err_msg=name)
        if name != "covariances":
            assert_array_equal(value, start.get_params()["weights_init" if name == "weights" else "means_init"][mask])


def check_verbs(model, X, row_weights):
    rows = attempt(lambda: model.score_samples(X))
    assert np.isfinite(rows).all()
    counts = np.broadcast_to(1.0 if row_weights is None else np.asarray(row_weights, float), len(X))
    counts = counts / counts.max()
    shares = attempt(lambda: model.predict_proba(X))
    labels = attempt(lambda: model.predict(X))
    single = getattr(X, "dtype", None) == np.float32
    assert (shares >= 0).all()
    assert np.abs(shares.sum(axis=1) - 1).max() < (1e-5 if single else 1e-12)
    assert labels.shape == (len(X),) and labels.dtype == np.intp
    assert (shares[np.arange(len(X)), labels] >= shares.max(axis=1) * (1 - (1e-5 if single else 1e-12))).all()
    mean = (counts * rows).sum() / counts.sum()
    with np.errstate(over="ignore"):
        total = np.sum(rows if row_weights is None else np.asarray(row_weights, float) * rows)
    assert abs(model.score(X, sample_weight=row_weights) - mean) <= 1e-9 * np.abs(rows).max()
    for verb in (model.aic, model.bic, model.icl):
        assert np.isfinite(attempt(lambda verb=verb: verb(X)))
        weighted = attempt(lambda verb=verb: verb(X, sample_weight=row_weights))
        assert np.isfinite(weighted) == np.isfinite(total)
    assert np.isfinite(attempt(lambda: model.impute(X))).all()
    drawn, kinds = attempt(lambda: model.sample(7))
    assert drawn.shape == (7, len(model.means_[0])) and np.isfinite(drawn).all()
    assert (model.weights_[kinds] > 0).all()


def check_copies(model, X, directory):
    """A model that was saved and loaded, or pickled, is the same."""
    path = directory / "model.npz"
    model.save(path)
    for copy in (attempt(lambda: GMM.load(path)), pickle.loads(pickle.dumps(model))):
        assert isinstance(copy, GMM), copy
        assert same(copy, model)
        assert_array_equal(copy.score_samples(X), model.score_samples(X))


@examples(300)
@given(recipe=recipes.fits())
def test_fit(tmp_path_factory, recipe):
    check_fit(recipe, tmp_path_factory.getbasetemp())


@examples(150)
@given(recipe=recipes.fits().filter(lambda recipe: recipe.labels is None))
def test_partial_fit(recipe):
    check_stream(recipe)


# What is not legal

ROWS = Rows(n=12, d=3).build()
ARGUMENTS = sorted(GMM().get_params())
START_SHAPES = st.sampled_from([(2,), (2, 3), (2, 3, 3), (3, 3), (12,), (12, 2), ()])
TOLD_OTHERWISE = {  # words that stand for a name in an error
    "X": ("X", "array", "rows"),
    "sample_weight": ("sample_weight", "rows of positive weight"),
    "weights": ("weights", "components"),
    "means": ("means", "components"),
    "prior.mean": ("prior",),
    "prior.covariance": ("prior",),
}


def check_names(name, error):
    assert isinstance(error, ValueError | TypeError)
    assert any(word in str(error) for word in TOLD_OTHERWISE.get(name, (name,))), error


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


@examples(250)
@given(name=st.sampled_from(ARGUMENTS), value=recipes.junk())
@example(name="n_init", value=2**70)
def test_any_argument(name, value):
    if callable(value) and name in ("callback", "init_params"):
        return  # it is called, and its errors are its own
    check_argument(name, value)


STARTS = ["weights_init", "means_init", "precisions_init", "responsibilities_init"]


@examples(150)
@given(name=st.sampled_from(STARTS), value=recipes.arrays(START_SHAPES))
def test_any_start(name, value):
    check_argument(name, value)


@examples(60)
@given(
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


@examples(150)
@given(value=st.one_of(recipes.junk(), recipes.arrays(START_SHAPES)), data=st.data())
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
        if not isinstance(found, OSError | BlockError):  # which name a file or a block
            check_names("n_samples" if verb == "sample" else named[0], found)
        assert vars(model)["_state"] is before
    elif not isinstance(found[1], GMM | tuple):
        assert not np.isnan(found[1]).any()


# Given parameters


@examples(100)
@given(
    family=st.sampled_from(recipes.FAMILIES),
    k=st.integers(1, 4),
    d=st.integers(1, 4),
    weights=st.sampled_from(["equal", "steep", "zeros"]),
    columns=st.lists(st.sampled_from(sorted(recipes.COLUMNS)), min_size=1, max_size=3),
    precisions=st.sampled_from(["unit", "large", "small", "huge", "tiny", "correlated"]),
    seed=st.integers(0, 100),
)
def test_from_parameters(tmp_path_factory, family, k, d, weights, columns, precisions, seed):
    """Of all sizes: a model as good as a fitted one, also for rows that are far from it."""
    rng = np.random.default_rng(seed)
    means = Rows(k, d, columns=tuple(columns), seed=seed).build()
    covariances = recipes.start_precisions(precisions, means, k, family, rng)
    given = recipes.start_weights(weights, k, rng), means, covariances
    model = attempt(lambda: GMM.from_parameters(*given, covariance_type=family))
    assert isinstance(model, GMM), model
    model.random_state = 0
    check_copies(model, means, tmp_path_factory.getbasetemp())
    for X in (means, means + 1.0, Rows(9, d, columns=("nasty", "huge"), seed=seed).build()):
        shares = attempt(lambda X=X: model.predict_proba(X))
        assert np.abs(shares.sum(axis=1) - 1).max() < 1e-12
        rows = attempt(lambda X=X: model.score_samples(X))
        assert not np.isnan(rows).any() and (rows < np.inf).all()
        assert (shares[np.arange(len(X)), attempt(lambda X=X: model.predict(X))] >= shares.max(axis=1) - 1e-12).all()
    drawn, _ = attempt(lambda: model.sample(5))
    assert np.isfinite(drawn).all()


@examples(150)
@given(
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


@examples(80)
@given(
    data=recipes.rows(),
    share=st.floats(0, 1),
    init=st.sampled_from(["k-means++", "random", "given"]),
    n_init=st.integers(1, 3),
    max_iter=st.integers(0, 20),
    tol=st.sampled_from([0.0, 1e-4, 1.0]),
    sample_weight=st.sampled_from(sorted(recipes.WEIGHTS)),
)
def test_kmeans(data, share, init, n_init, max_iter, tol, sample_weight):
    X = data.build()
    k = 1 + int(share * min(7, data.n - 1))
    rows = np.asarray(X).astype(float)
    weights = recipes.WEIGHTS[sample_weight](np.random.default_rng(data.seed), data.n)
    init = rows[:k] if init == "given" else init
    arguments = {"init": init, "n_init": n_init, "max_iter": max_iter, "tol": tol, "random_state": data.seed}
    found = attempt(lambda: cgmm.kmeans(X, k, sample_weight=weights, **arguments))
    if isinstance(found, Exception):
        assert "rows of positive weight" in str(found), found
        return
    assert np.isfinite(found.centers).all()
    assert ((found.labels >= 0) & (found.labels < k)).all()
    assert found.n_iter <= max_iter and found.inertia == found.inertia_history[-1]
    again = attempt(lambda: cgmm.kmeans(X, k, sample_weight=weights, n_threads=2, **arguments))
    assert all(np.array_equal(a, b) for a, b in zip(found, again, strict=True))
    assert (found.inertia_history >= 0).all()
    squares = ((rows[:, np.newaxis] - found.centers) ** 2).sum(axis=-1)
    own = squares[np.arange(len(rows)), found.labels]
    rounding = 1e-4 if data.dtype in ("float32", ">f4") else 1e-9
    slack = rounding * (squares.max() + np.abs(rows - np.median(rows, axis=0)).max() ** 2)
    assert (own <= squares.min(axis=1) + slack).all()
    counts = np.broadcast_to(1.0 if weights is None else np.asarray(weights, dtype=float), len(rows))
    if counts.max() > 1e-290 and np.isfinite(found.inertia):  # of smaller weights the sum has no digits
        most = counts.max()
        assert abs(found.inertia / most - counts / most @ own) <= slack * (counts / most).sum()


@examples(100)
@given(
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
        assert same(found, model)


@examples(100)
@given(
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


@examples(100)
@given(
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


@examples(100)
@given(name=st.sampled_from([*ARGUMENTS, "format", "version", "covariance_type", "converged", "settings"]), value=JSON)
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
        check_names(name, fitted)
