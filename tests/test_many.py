"""Many fits in one call: each is that of GMM by itself, bit for bit, whatever the others are."""

import inspect
import json
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import degenerate
import reference
from cgmm import GMM, ConvergenceWarning, DegenerateError, DegenerateWarning, Fits, Prior, fit_many, table
from cgmm.fit import batches, fitting
from cgmm.fit.report import faults
from cgmm.fit.restarts import LEANING
from datasets import DATA
from problems import CHUNK, FITTED, assert_same_bits, clusters
from steps import at_each_line

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
    pytest.mark.filterwarnings(r"ignore:\d+ of \d+ problems .* did not converge"),  # and some are degenerate
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
SHAPES = [(3, 1, 1), (20, 1, 3), (33, 3, 2), (150, 4, 3), (CHUNK, 2, 5), (CHUNK + 1, 5, 7), (3 * CHUNK, 9, 4)]
# What GMM has for one fit only: what watches or keeps it, goes on from it, or is of the rows of one problem.
OF_ONE = {"warm_start", "verbose_interval", "responsibilities_init", "callback", "checkpoint", "checkpoint_interval"}
OF_STREAMS = {"learning_decay", "learning_rows", "forget"}


def problems_like(n, d, k, m=5, dtype=np.float64):
    """A list of m sets of rows, of n rows and fewer."""
    return [clusters(n - i if n > 10 * m else n, d, k, seed=i).astype(dtype) for i in range(m)]


def weights_like(problems, kind):
    rng = np.random.default_rng(1)
    if kind == "none":
        return None
    draw = {"counts": lambda n: rng.integers(0, 3, n), "reals": lambda n: rng.uniform(0, 3e-5, n)}[kind]
    weights = [draw(len(X)).astype(float) for X in problems]
    for w in weights:
        w[: min(len(w), 8)] = w.max() + 1e-6  # there are enough rows of positive weight
    return weights


def alone_as(n_components=1, **arguments):
    """The GMM of one problem, with the defaults of fit_many."""
    return GMM(n_components, **{"reg_covar": "relative", **arguments})


def assert_same_fit(found, alone):
    assert_same_bits(found, alone, names=(*FITTED, "n_iter_", "converged_", "precisions_cholesky_"))
    assert str(found.diagnostics_) == str(alone.diagnostics_)
    assert found.diagnostics_.repairs == alone.diagnostics_.repairs
    assert found.diagnostics_.passes == alone.diagnostics_.passes
    for one, other in zip(found.diagnostics_.restarts, alone.diagnostics_.restarts, strict=True):
        assert one[:5] == other[:5]
        assert_array_equal(one.lower_bounds, other.lower_bounds)
    assert repr(found) == repr(alone)


def assert_as_alone(fits, problems, weights=None, seeds=None, **arguments):
    """Every fit is that of GMM by itself, and the arrays are those of the fits."""
    assert len(fits) == len(problems)
    for i, X in enumerate(problems):
        w = None if weights is None else weights[i]
        seed = arguments.get("random_state") if seeds is None else seeds[i]
        alone = alone_as(**{**arguments, "random_state": seed}).fit(X, sample_weight=w)
        assert_same_fit(fits[i], alone)
        for name in ("weights", "means", "covariances", "converged", "n_iter"):
            assert_array_equal(getattr(fits, name)[i], getattr(alone, f"{name}_"))
        total = len(X) if w is None else np.sum(w)
        assert_allclose(fits.log_likelihood[i], alone.score(X, sample_weight=w) * total, rtol=1e-13)
        assert_allclose(fits.bic[i], alone.bic(X, sample_weight=w), rtol=1e-13)
        if w is None:
            assert_allclose(fits.aic[i], alone.aic(X), rtol=1e-13)


@families
@types
@pytest.mark.parametrize("n, d, k", SHAPES)
@pytest.mark.parametrize("weighting", ["none", "counts", "reals"])
def test_each_fit_is_that_of_gmm(weighting, n, d, k, dtype, family):
    problems = problems_like(n, d, k, dtype=dtype)
    weights = weights_like(problems, weighting)
    arguments = {"n_components": k, "covariance_type": family, "tol": 1e-6, "random_state": 3}
    fits = fit_many(problems, sample_weight=weights, **arguments)
    assert_as_alone(fits, problems, weights, **arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_init": 3},
        {"init_params": "random"},
        {"init_params": "random_from_data"},
        {"init_params": "k-means++"},
        {"init_params": lambda X, k, random_state: X[random_state.choice(len(X), k, replace=False)]},
        {"prior": "default"},
        {"prior": Prior(mean_precision=0.1)},
        {"fixed": {"weights"}, "weights_init": [0.5, 0.3, 0.2]},
        {"means_init": np.arange(6.0).reshape(3, 2)},
        {"max_iter": 0},
        {"max_iter": 2},
        {"tol": 0.0, "max_iter": 30},
        {"reg_covar": 0.0},
        {"reg_covar": 10.0},
        {"reg_covar": 1e-6},
        {"n_init": "auto"},
        {"stop": "distance", "tol": 1e-8},
        {"accelerate": True, "tol": 1e-8, "max_iter": 500},
        {"n_threads": 1},
        {"n_threads": 3},
    ],
    ids=str,
)
def test_nor_does_another_argument_of_gmm_make_a_difference(arguments):
    problems = problems_like(200, 2, 3)
    arguments = {"n_components": 3, "random_state": 0, **arguments}
    assert_as_alone(fit_many(problems, **arguments), problems, **arguments)


@families
@types
def test_nor_do_gaps(dtype, family):
    rng = np.random.default_rng(0)
    problems = problems_like(120, 3, 2, dtype=dtype)
    for X in problems[1:]:  # the first has none
        X[rng.random(X.shape) < 0.2] = np.nan
    arguments = {"n_components": 2, "covariance_type": family, "missing": "marginal", "random_state": 0}
    assert_as_alone(fit_many(problems, **arguments), problems, **arguments)


@families
@pytest.mark.parametrize("reg_covar", [1e-6, 0.0])
def test_nor_do_degenerate_rows(reg_covar, family):
    for name in degenerate.names():
        case = degenerate.case(name)
        problems = [case.X, case.X[::-1]]
        arguments = {"n_components": case.n_components, "covariance_type": family, "reg_covar": reg_covar}
        fits = fit_many(problems, random_state=1, **arguments)
        assert_as_alone(fits, problems, random_state=1, **arguments)


@types
def test_nor_do_scales(dtype):
    """Rows so large, so small, or so far from the origin that they are computed in other ways."""
    X = clusters(300, 2, 2)
    problems = [X, X * 1e-20, X * 1e20, X * 1e-30 + 1e-25, X + 1e6, np.column_stack([X[:, 0], np.full(300, 7.0)])]
    problems = [rows.astype(dtype) for rows in problems] + [X * 1e145]
    arguments = {"n_components": 2, "reg_covar": 0.0, "random_state": 0}
    assert_as_alone(fit_many(problems, **arguments), problems, **arguments)


def test_many_rows_are_fitted_as_well():
    problems = [clusters(n, 2, 3) for n in (100, 8191, 8192, 40_000)]
    assert_as_alone(fit_many(problems, 3, random_state=0), problems, n_components=3, random_state=0)


def test_strides_do_not_matter():
    X = clusters(400, 6, 2)
    problems = [X[::2, :2], X[:, 1:6:3], X.T[:2].T, np.asfortranarray(X[:, :2]), X[::-1, :2]]
    assert_as_alone(fit_many(problems, 2, random_state=0), problems, n_components=2, random_state=0)


def test_any_number_of_threads_gives_the_same_bits():
    X = np.stack(problems_like(100, 2, 3, m=300)[:1] * 300) + np.random.default_rng(0).normal(size=(300, 100, 2))
    one = fit_many(X, 3, random_state=0, n_threads=1)
    for n_threads in (2, 3, 8):
        other = fit_many(X, 3, random_state=0, n_threads=n_threads)
        for name in ("weights", "means", "covariances", "log_likelihood", "bic", "n_iter", "converged"):
            assert_array_equal(getattr(one, name), getattr(other, name))


# Batches, and the way of GMM.fit


@pytest.fixture
def one_by_one(monkeypatch):
    """The numbers of components of fits that are not compiled whole, as they are made."""
    made, found = [], fitting.found

    def counted(asked, *rows):
        made.append(asked.k)
        return found(asked, *rows)

    monkeypatch.setattr(fitting, "found", counted)
    return made


@types
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("values, work", [(1 << 20, 1 << 24), (900, 1 << 24), (1 << 20, 5000), (1, 1)])
def test_plain_problems_are_compiled_whole_whatever_the_batches(
    values, work, n_threads, dtype, one_by_one, monkeypatch
):
    monkeypatch.setattr(batches, "VALUES", values)
    monkeypatch.setattr(batches, "WORK", work)
    problems = problems_like(150, 2, 2, m=12, dtype=dtype)
    fits = fit_many(problems, 2, random_state=0, n_threads=n_threads)
    assert one_by_one == [2]  # the first, which tells how many features there are
    assert_as_alone(fits, problems, n_components=2, random_state=0)


@pytest.mark.parametrize(
    "arguments",
    [{"n_init": 2}, {"prior": "default"}, {"accelerate": True}, {"init_params": "random"}, {"max_iter": 0},
     {"means_init": np.eye(2)}, {"fixed": {"weights"}, "weights_init": [0.5, 0.5]}],
    ids=str,
)  # fmt: skip
def test_others_are_not(arguments, one_by_one):
    fit_many(problems_like(100, 2, 2, m=4), 2, random_state=0, **arguments)
    assert one_by_one == [2] * 4


def odd_ones():
    """Problems of two features, some of which are none for the compiled core, and why."""
    X = clusters(80, 2, 2)
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.1, np.nan, X)
    return {
        "plain": X, "gaps": gaps, "long": clusters(9000, 2, 2), "few": X[:2], "one": X[:1], "none": X[:0],
        "wide": X[:, [0, 1, 1]], "constant": np.column_stack([X[:, 0], np.ones(80)]), "text": [["a", "b"]],
        "equal": np.repeat(X[:4], 20, axis=0), "infinite": np.where(X[3] == X, np.inf, X), "large": X * 1e150,
        "frame": pd.DataFrame(X, columns=["a", "b"]), "list": X.tolist(), "integers": np.round(9 * X).astype(int),
        "big-endian": X.astype(">f8"), "flat": X[:, 0], "float32": X.astype(np.float32), "half": X.astype(np.float16),
        "plain too": X + 1, "far": X + 1e9, "two": np.repeat([[0.0, 1.0], [5.0, 5.0]], 40, axis=0), "nothing": None,
    }  # fmt: skip


@families
@pytest.mark.parametrize("sizes", [2, [1, 2, 3], [4, 1]], ids=str)
@pytest.mark.parametrize("reg_covar", ["relative", 0.0])
def test_whatever_stands_beside_it_a_fit_is_that_of_gmm(reg_covar, sizes, family):
    odd = odd_ones()
    arguments = {
        "covariance_type": family,
        "missing": "marginal",
        "random_state": 1,
        "reg_covar": reg_covar,
        "tol": 1e-5,
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fits = fit_many(list(odd.values()), sizes, on_error="skip", **arguments)
    for i, (name, X) in enumerate(odd.items()):
        try:
            models = [alone_as(k, **arguments).fit(X) for k in sorted(np.atleast_1d(sizes).tolist()) if k <= len(X)]
            assert X is not None and models and models[0].n_features_in_ == 2
        except (ValueError, TypeError, AssertionError):
            assert i in fits.errors, name
            continue
        best = min(models, key=lambda model, X=X: rank(model, X))
        assert_same_fit(fits[i], best)
        assert_array_equal(fits.bic[i], best.bic(X), strict=False)
        assert (i in fits.warnings) == bool(told_of(best))


def rank(model, X):
    """As cgmm.select ranks candidates."""
    settings, parameters = model._state.settings, model._parameters
    leans = settings.rules.reg_covar > LEANING * parameters.family.least_left(parameters.root)
    return bool(model.diagnostics_.degenerate) + leans, model.bic(X)


def told_of(model):
    state = model._state
    return faults(state.fit, state.settings, state.names)


# How rows are handed over


def test_an_array_of_three_dimensions():
    X = np.stack([clusters(80, 2, 2, seed=i) for i in range(7)])
    w = np.random.default_rng(0).uniform(0.5, 1, size=(7, 80))
    assert_as_alone(fit_many(X, 2, random_state=0), X, n_components=2, random_state=0)
    assert_as_alone(fit_many(X, 2, sample_weight=w, random_state=0), X, w, n_components=2, random_state=0)
    shared = fit_many(X, 2, sample_weight=w[0], random_state=0)
    assert_as_alone(shared, X, [w[0]] * 7, n_components=2, random_state=0)


def test_the_same_rows_with_many_weights_are_not_copied():
    X = clusters(200, 2, 2)
    w = np.random.default_rng(0).integers(0, 3, size=(20, 200)).astype(float)
    fits = fit_many(np.broadcast_to(X, (20, 200, 2)), 2, sample_weight=w, random_state=0)
    assert_as_alone(fits, [X] * 20, w, n_components=2, random_state=0)


@pytest.mark.parametrize("kind", ["str", "int", "object", "float"])
def test_groups(kind):
    rng = np.random.default_rng(0)
    X, w = clusters(400, 2, 2), rng.uniform(0.5, 1, size=400)
    labels = {
        "str": ["b", "a", "c"],
        "int": [7, -1, 3],
        "object": np.array(["b", "a", "c"], object),
        "float": [0.5, 2, 1],
    }
    groups = np.asarray(labels[kind])[rng.integers(3, size=400)]
    fits = fit_many(X, 2, groups=groups, sample_weight=w, random_state=0)
    assert_array_equal(fits.labels, np.unique(groups))
    chosen = [groups == label for label in fits.labels]
    assert_as_alone(fits, [X[c] for c in chosen], [w[c] for c in chosen], n_components=2, random_state=0)
    assert_same_fit(fits.of(fits.labels[1]), fits[1])
    for verb in ("predict", "predict_proba", "score_samples"):
        found = getattr(fits, verb)(X, groups=groups)
        for label, c in zip(fits.labels, chosen, strict=True):
            assert_array_equal(found[c], getattr(fits.of(label), verb)(X[c]))
        assert_array_equal(getattr(fits, verb)(X[chosen[1]], groups=groups[chosen[1]]), found[chosen[1]])


def test_columns():
    X = np.column_stack([clusters(300, 1, 2, seed=i) for i in range(6)])
    columns = [X[:, [j]] for j in range(6)]
    w = np.random.default_rng(0).uniform(0.5, 1, size=X.shape)
    fits = fit_many(X, 2, columns=True, random_state=0)
    assert_as_alone(fits, columns, n_components=2, random_state=0)
    assert_as_alone(
        fit_many(X, 2, columns=True, sample_weight=w, random_state=0), columns, w.T, n_components=2, random_state=0
    )
    shared = fit_many(X, 2, columns=True, sample_weight=w[:, 0], random_state=0)
    assert_as_alone(shared, columns, [w[:, 0]] * 6, n_components=2, random_state=0)
    labels, scores = fits.predict(X, columns=True), fits.predict_proba(X, columns=True)
    assert labels.shape == X.shape and scores.shape == (*X.shape, 2)
    for j in range(6):
        assert_array_equal(labels[:, j], fits[j].predict(columns[j]))
        assert_array_equal(scores[:, j], fits[j].predict_proba(columns[j]))


def test_columns_with_gaps():
    X = np.column_stack([clusters(300, 1, 2, seed=i) for i in range(4)])
    X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    arguments = {"n_components": 2, "missing": "marginal", "random_state": 0}
    fits = fit_many(X, columns=True, **arguments)
    assert_as_alone(fits, [X[:, [j]] for j in range(4)], **arguments)


def test_a_frame_gives_names():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(clusters(200, 2, 2), columns=["height", "width"])
    groups = pd.Series(rng.integers(2, size=200)).map({0: "oak", 1: "ash"})
    fits = fit_many(frame, 2, groups=groups, random_state=0)
    assert list(fits.labels) == ["ash", "oak"]
    assert list(fits.of("oak").feature_names_in_) == ["height", "width"]
    assert list(fits.to_frame(components=True).columns) == [
        "weight", "mean_height", "variance_height", "mean_width", "variance_width",
    ]  # fmt: skip
    by_column = fit_many(frame, 2, columns=True, random_state=0)
    assert list(by_column.labels) == ["height", "width"]
    assert list(by_column.of("width").feature_names_in_) == ["width"]
    assert_same_fit(by_column.of("width"), alone_as(2, random_state=0).fit(frame[["width"]]))
    assert_array_equal(by_column.predict(frame, columns=True)[:, 1], by_column[1].predict(frame[["width"]]))
    with pytest.raises(ValueError, match=r"problem 0 \(column 'width'\): The feature names should match"):
        by_column.predict(frame[["width", "height"]], columns=True)
    with pytest.raises(ValueError, match=r"group 'ash'\): The feature names should match"):
        fits.predict(frame[["width", "height"]], groups=groups)
    with pytest.warns(UserWarning, match="does not have valid feature names") as caught:
        labels = fits.predict(frame.to_numpy(), groups=groups)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert_array_equal(labels, fits.predict(frame, groups=groups))


def test_a_list_may_hold_frames_and_lists():
    X = clusters(60, 2, 2)
    fits = fit_many([X, pd.DataFrame(X, columns=["a", "b"]), X.tolist()], 2, random_state=0)
    assert_as_alone(fits, [X, pd.DataFrame(X, columns=["a", "b"]), X], n_components=2, random_state=0)
    assert list(fits[1].feature_names_in_) == ["a", "b"]


# Numbers of components


@pytest.mark.parametrize("criterion", ["bic", "aic", "icl"])
@types
def test_of_several_numbers_the_best_is_chosen(dtype, criterion):
    problems = [clusters(150, 2, k, seed=k, distance=12.0).astype(dtype) for k in (1, 2, 3, 2)]
    fits = fit_many(problems, [1, 2, 3, 4], criterion=criterion, random_state=0)
    for i, X in enumerate(problems):
        models = [alone_as(k, random_state=0).fit(X) for k in (1, 2, 3, 4)]
        best = min(models, key=lambda model, X=X: getattr(model, criterion)(X))
        assert_same_fit(fits[i], best)
        k = best.n_components
        assert fits.n_components[i] == k
        assert_array_equal(fits.weights[i], np.pad(best.weights_, (0, 4 - k)))
        assert np.isnan(fits.means[i, k:]).all()
        assert np.isnan(fits.covariances[i, k:]).all()
        assert_array_equal(fits.means[i, :k], best.means_)
    assert len(set(fits.n_components)) > 1
    found = fits.predict_proba(problems)
    assert all(values.shape == (150, 4) for values in found)


def test_numbers_for_which_there_are_too_few_rows_are_left_out():
    fits = fit_many([clusters(2, 1, 1), clusters(200, 1, 3, distance=20.0)], range(1, 4), random_state=0)
    assert fits.n_components[0] <= 2
    assert fits.n_components[1] == 3


# Seeds


def test_each_problem_may_have_a_seed():
    problems = problems_like(100, 2, 4)
    seeds = [5, 0, 2**40, 7, 5]
    arguments = {"n_components": 4, "init_params": "random_from_data"}
    fits = fit_many(problems, random_state=seeds, **arguments)
    assert_as_alone(fits, problems, seeds=seeds, **arguments)
    assert [model.random_state for model in fits] == seeds
    same = fit_many(problems, random_state=np.array(seeds), **arguments)
    assert_array_equal(same.means, fits.means)


@pytest.mark.parametrize("draw", [np.random.default_rng, np.random.RandomState])
def test_a_generator_gives_one_seed(draw):
    X = np.stack([clusters(100, 2, 4, seed=1)] * 2)
    fits = fit_many(X, 4, random_state=draw(3))
    assert fits[0].random_state == fits[1].random_state == fit_many(X, 4, random_state=draw(3))[0].random_state
    assert_as_alone(fits, X, n_components=4, random_state=fits[0].random_state)


# What cannot be fitted, and what is warned of

BAD = {
    "few": (np.zeros((1, 2)), "n_samples=1 should be >= n_components=2"),
    "none": (np.empty((0, 2)), "0 sample"),
    "infinite": (np.array([[0.0, np.inf], [1, 2], [3, 4]]), "infinity"),
    "nan": (np.array([[0.0, np.nan], [1, 2], [3, 4]]), "NaN"),
    "flat": (np.zeros(9), "Expected 2D"),
    "text": (np.array([["a", "b"]] * 3), "must be numeric"),
    "wide": (np.zeros((9, 3)), "3 features, and the problems before it have 2"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_problem_that_cannot_be_fitted_is_named(kind):
    rows, message = BAD[kind]
    X = clusters(50, 2, 2)
    with pytest.raises((ValueError, TypeError), match=rf"problem 1 cannot be fitted: .*{message}"):
        fit_many([X, rows, X], 2, random_state=0)


@pytest.mark.parametrize("kind", BAD)
def test_or_skipped_and_the_others_are_fitted(kind):
    rows, message = BAD[kind]
    X = clusters(50, 2, 2)
    with pytest.warns(UserWarning, match=r"2 of 4 problems \(1, 3\) could not be fitted") as caught:
        fits = fit_many([X, rows, X[:40], rows], 2, random_state=0, on_error="skip")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    assert list(fits.errors) == [1, 3]
    assert message in fits.errors[1]
    for name in ("weights", "means", "covariances", "log_likelihood", "bic", "aic"):
        assert np.isnan(getattr(fits, name)[[1, 3]]).all()
        assert np.isfinite(getattr(fits, name)[[0, 2]]).all()
    assert_array_equal(fits.n_components, [2, 0, 2, 0])
    assert_array_equal(fits.converged, [True, False, True, False])
    assert_same_fit(fits[2], alone_as(2, random_state=0).fit(X[:40]))
    with pytest.raises(ValueError, match=r"problem 1 has no fit: .*"):
        fits[1]
    labels = fits.predict([X, X[:3], X, X[:1]])
    assert_array_equal(labels[1], [-1, -1, -1])
    assert np.isnan(fits.score_samples([X, X[:3], X, X[:1]])[3]).all()
    assert np.isnan(fits.predict_proba([X, X[:3], X, X[:1]])[3]).all()
    frame = fits.to_frame()
    assert list(frame["error"] != "") == [False, True, False, True]
    assert len(fits.to_frame(components=True)) == 4


def test_where_none_can_be_fitted():
    with pytest.warns(UserWarning, match="3 of 3 problems"):
        fits = fit_many([np.zeros((1, 2))] * 3, 2, on_error="skip")
    assert np.isnan(fits.weights).all() and len(fits.errors) == 3
    assert "3 without a fit" in repr(fits)


def test_a_group_is_named_by_its_label():
    X = clusters(9, 1, 1)
    with pytest.warns(UserWarning, match=r"1 of 2 groups \('b'\) could not be fitted"):
        fit_many(X, 2, groups=["a"] * 8 + ["b"], on_error="skip")
    with pytest.raises(ValueError, match=r"problem 1 \(group 'b'\) cannot be fitted: n_samples=1"):
        fit_many(X, 2, groups=["a"] * 8 + ["b"])


CONVERGENCE = "12 of 12 problems (0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more) did not converge"


def test_there_is_one_warning():
    X = np.stack([clusters(100, 2, 3, seed=i) for i in range(12)])
    X[5:7, :, 1] = 3.0
    arguments = {"random_state": 0, "reg_covar": 0.0}
    with pytest.warns(UserWarning) as caught:
        fits = fit_many(X, 3, max_iter=2, tol=0.0, **arguments)
    assert len(caught) == 1 and caught[0].category is UserWarning
    assert caught[0].filename == __file__
    assert str(caught[0].message).startswith(CONVERGENCE)
    assert "2 of 12 problems (5, 6) had a component that could not be estimated" in str(caught[0].message)
    assert any("constant" in told for told in fits.warnings[5])


@pytest.mark.parametrize(
    "arguments, category",
    [
        ({"max_iter": 2, "tol": 0.0, "on_degenerate": "repair"}, ConvergenceWarning),
        ({"max_iter": 500}, DegenerateWarning),
        ({"max_iter": 500, "on_degenerate": "repair"}, None),
    ],
    ids=str,
)
def test_of_one_kind_it_is_of_that_kind(arguments, category):
    X = np.stack([clusters(100, 2, 3, seed=i) for i in range(12)])
    X[5:7, :, 1] = 3.0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fit_many(X, 3, random_state=0, reg_covar=0.0, **arguments)
    assert [issubclass(warning.category, category) for warning in caught] == [True] * (category is not None)


def test_degenerate_problems_can_be_errors():
    X = [clusters(50, 2, 2), np.ones((50, 2))]
    with pytest.raises(DegenerateError, match="problem 1 cannot be fitted"):
        fit_many(X, 2, random_state=0, on_degenerate="raise")
    with pytest.warns(UserWarning, match=r"1 of 2 problems \(1\)"):
        fits = fit_many(X, 2, random_state=0, on_degenerate="raise", on_error="skip")
    assert list(fits.errors) == [1]


X2 = clusters(10, 2, 2)


@pytest.mark.parametrize(
    "X, arguments, error, message",
    [
        (X2, {}, ValueError, "has 2 dimensions"),
        ([], {}, ValueError, "empty list"),
        (np.empty((0, 3, 2)), {}, ValueError, "no problem"),
        (X2, {"groups": [1] * 9}, ValueError, r"groups must have shape \(10,\)"),
        (X2, {"groups": [None] + [1] * 9}, ValueError, r"groups\[0\] is None"),
        (X2, {"groups": [1.0] * 9 + [np.nan]}, ValueError, r"groups\[9\] is .*nan"),
        (X2, {"groups": np.array(["a"] * 5 + [1] * 5, object)}, TypeError, "sorted"),
        (X2, {"groups": [1] * 10, "columns": True}, ValueError, "not both"),
        (X2, {"columns": 1}, ValueError, "True or False"),
        (X2[0], {"columns": True}, ValueError, "must be a matrix"),
        (X2, {"columns": True, "sample_weight": np.ones(3)}, ValueError, "sample_weight must have shape"),
        (X2, {"groups": [1] * 10, "sample_weight": np.ones(3)}, ValueError, r"sample_weight must have shape \(10,\)"),
        ([X2, X2], {"sample_weight": [None]}, ValueError, "a list of 2"),
        ([X2, X2], {"sample_weight": 3.0}, ValueError, "a list of 2"),
        (X2[None], {"sample_weight": np.ones((1, 9))}, ValueError, "sample_weight must have shape"),
        ("rows.csv", {}, TypeError, "not str: read the file"),
        (iter([X2]), {}, TypeError, "not list_iterator"),
        (lambda: iter([X2]), {}, TypeError, "not function"),
        ([X2], {"n_components": 0}, ValueError, "n_components must be at least 1"),
        ([X2], {"n_components": []}, ValueError, "at least one number"),
        ([X2], {"criterion": "best"}, ValueError, "criterion must be one of"),
        ([X2], {"on_error": "ignore"}, ValueError, "on_error must be one of"),
        ([X2], {"random_state": [1, 2]}, ValueError, "2 seeds for 1 problems"),
        ([X2], {"random_state": [-1]}, ValueError, "must not be negative"),
        ([X2], {"random_state": "a"}, ValueError, "random_state must be"),
        ([X2], {"tol": -1}, ValueError, "tol must be"),
        ([X2], {"covariance_type": "round"}, ValueError, "covariance_type must be one of"),
    ],
)
def test_what_cannot_be_used_is_one_clear_error(X, arguments, error, message):
    with pytest.raises(error, match=message):
        fit_many(X, **arguments)


def test_rows_in_blocks_are_refused_with_the_reason():
    dask = pytest.importorskip("dask.array")
    for X in (dask.zeros((4, 10, 2)), table(DATA / "faithful.csv")):
        with pytest.raises(TypeError, match=r"array in memory.* not (Array|Table): the rows of one problem may"):
            fit_many(X)


def test_but_those_of_one_problem_may_come_in_blocks():
    dask = pytest.importorskip("dask.array")
    X = clusters(9000, 2, 2)
    in_blocks = lambda: (X[start : start + 1000] for start in range(0, 9000, 1000))  # noqa: E731
    problems = [dask.from_array(X, chunks=(3000, 2)), X, in_blocks]
    fits = fit_many(problems, 2, random_state=0)
    for i, rows in enumerate(problems):
        assert_same_fit(fits[i], alone_as(2, random_state=0).fit(rows))


# The value


def test_fits_are_a_sequence():
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    assert isinstance(fits, Fits) and len(fits) == len(list(fits)) == 3
    assert_same_fit(fits[-1], fits[2])
    assert_same_fit(fits[np.int64(1)], fits[1])
    for index in (3, -4):
        with pytest.raises(IndexError, match="3 problems"):
            fits[index]
    with pytest.raises(TypeError):
        fits["a"]
    with pytest.raises(KeyError):
        fits.of(9)
    assert repr(fits) == "Fits(3 problems, 2 components, 2 features, 3 converged)"
    for name in ("weights", "means", "covariances", "log_likelihood", "aic", "bic", "converged", "n_iter"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(fits, name)[0] = 0


def test_a_fit_learns_on_and_is_saved(tmp_path):
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    fits[1].save(tmp_path / "model.npz")
    assert_same_bits(GMM.load(tmp_path / "model.npz"), fits[1], names=FITTED)
    alone = alone_as(2, random_state=0).fit(X[1])
    assert_same_bits(fits[1].partial_fit(X[2]), alone.partial_fit(X[2]), names=FITTED)
    assert_same_fit(fits[1], alone_as(2, random_state=0).fit(X[1]))  # which has not changed


def test_frames():
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    frame = fits.to_frame()
    assert frame.index.name == "problem" and list(frame["bic"]) == list(fits.bic)
    parts = fits.to_frame(components=True)
    assert parts.loc[(2, 1), "mean_1"] == fits.means[2, 1, 1]
    assert parts.loc[(2, 1), "variance_1"] == fits.covariances[2, 1, 1, 1]
    for family, shape in (("tied", (3, 2, 2)), ("diag", (3, 2, 2)), ("spherical", (3, 2))):
        other = fit_many(X, 2, covariance_type=family, random_state=0)
        assert other.covariances.shape == shape
        assert len(other.to_frame(components=True)) == 6


def test_verbs_refuse_other_problems():
    X = np.stack([clusters(60, 2, 2, seed=i) for i in range(3)])
    fits = fit_many(X, 2, random_state=0)
    with pytest.raises(ValueError, match="X has 2 problems, and 3 were fitted"):
        fits.predict(X[:2])
    with pytest.raises(ValueError, match="none of the groups"):
        fits.predict(X[0], groups=[0] * 60)
    assert_array_equal(fits.predict(list(X)), fits.predict(X))


def test_the_arguments_are_those_of_gmm():
    ours, theirs = (inspect.signature(of).parameters for of in (fit_many, GMM))
    own = {"X", "groups", "columns", "sample_weight", "criterion", "on_error"}
    assert set(ours) - own == set(theirs) - OF_ONE - OF_STREAMS
    other = {name for name in set(ours) & set(theirs) if ours[name].default != theirs[name].default}
    assert other == {"reg_covar"} and ours["reg_covar"].default == "relative"


def test_progress(capsys):
    """The first fit by itself, and then batches, or one by one what is not for the compiled core."""
    fit_many([clusters(50, 1, 1)] * 3, verbose=2)
    assert capsys.readouterr().out.splitlines() == ["1 of 3: problem 0", "3 of 3: problem 2"]
    fit_many([clusters(50, 1, 1)] * 3, verbose=2, prior="default")
    assert capsys.readouterr().out.splitlines() == ["1 of 3: problem 0", "2 of 3: problem 1", "3 of 3: problem 2"]


def test_an_interrupt_ends_it():
    """Between any two lines; there is no result, and what comes after is as if nothing had been."""
    X = np.stack([clusters(20, 1, 2, seed=i) for i in range(3)])
    expected = fit_many(X, 2, random_state=0)

    def interrupted():
        raise KeyboardInterrupt

    for value, error in at_each_line(interrupted, lambda: fit_many(X, 2, random_state=0)):
        assert value is None and isinstance(error, KeyboardInterrupt)
    assert_array_equal(fit_many(X, 2, random_state=0).means, expected.means)


# Files and pickles


def assert_same_fits(found, expected):
    for name in ("labels", "weights", "means", "covariances", "log_likelihood", "aic", "bic", "converged", "n_iter"):
        assert_array_equal(getattr(found, name), getattr(expected, name), strict=True)
    assert_array_equal(found.n_components, expected.n_components)
    assert found.errors == expected.errors and found.warnings == expected.warnings
    assert repr(found) == repr(expected)


def assert_kept(kept, fits, tmp_path, problems):
    """Each fit is what a model of its own that was saved is: it predicts and learns on with the same bits."""
    assert_same_fits(kept, fits)
    for i, X in enumerate(problems):
        if i in fits.errors:
            with pytest.raises(ValueError, match="has no fit"):
                kept[i]
            continue
        fits[i].save(tmp_path / "model.npz")
        found, alone = kept[i], GMM.load(tmp_path / "model.npz")
        assert found.get_params() == alone.get_params()
        assert getattr(found, "feature_names_in_", None) is getattr(alone, "feature_names_in_", None) is None
        assert_same_bits(found, alone, names=(*FITTED, "n_iter_", "converged_", "precisions_cholesky_"))
        assert_array_equal(found.score_samples(X), fits[i].score_samples(X))
        assert_same_bits(found.partial_fit(X), alone.partial_fit(X), names=("weights_", "means_", "covariances_"))


@families
@types
def test_fits_are_saved_and_pickled(tmp_path, dtype, family):
    problems = [*problems_like(90, 2, 2, dtype=dtype), np.empty((0, 2)), np.ones((9, 2))]
    with pytest.warns(UserWarning, match="could not be fitted"):
        fits = fit_many(problems, [1, 2], covariance_type=family, random_state=3, on_error="skip", missing="marginal")
    fits.save(tmp_path / "fits.npz")
    assert_kept(Fits.load(tmp_path / "fits.npz"), fits, tmp_path, problems)
    again = pickle.loads(pickle.dumps(fits))
    assert_same_fits(again, fits)
    for i in (0, 1, 2, 3, 4, 6):
        assert_same_fit(again[i], fits[i])
    assert_array_equal(again.score_samples(problems)[0], fits.score_samples(problems)[0])


@pytest.mark.parametrize("arguments", [{"n_init": 3}, {"prior": "default"}, {"max_iter": 0}, {"fixed": {"weights"}}])
def test_what_is_saved_predicts_whatever_was_asked_for(tmp_path, arguments):
    problems = problems_like(90, 2, 2)
    fits = fit_many(problems, 2, random_state=0, weights_init=[0.5, 0.5], **arguments)
    fits.save(tmp_path / "fits.npz")
    found = Fits.load(tmp_path / "fits.npz")
    assert_same_fits(found, fits)
    for one, other in zip(found.predict_proba(problems), fits.predict_proba(problems), strict=True):
        assert_array_equal(one, other)


@pytest.mark.parametrize("labels", [["b", "a"], [2, 1], np.array(["b", "a"], object), np.array([2, 1], "M8[D]")])
def test_labels_and_names_are_saved(tmp_path, labels):
    frame = pd.DataFrame(clusters(60, 2, 2), columns=["height", "width"])
    fits = fit_many(frame, 2, groups=np.repeat(labels, 30), random_state=0)
    fits.save(tmp_path / "fits.npz")
    found = Fits.load(tmp_path / "fits.npz")
    assert_same_fits(found, fits)
    assert list(found[1].feature_names_in_) == ["height", "width"]
    groups = np.repeat(labels, 30)
    assert_array_equal(found.predict(frame, groups=groups), fits.predict(frame, groups=groups))
    pd.testing.assert_frame_equal(found.to_frame(components=True), fits.to_frame(components=True))


def test_labels_that_a_file_cannot_hold(tmp_path):
    fits = fit_many(clusters(60, 1, 1), groups=np.array([1, 2] * 30, dtype=object))
    with pytest.raises(ValueError, match="Python objects"):
        fits.save(tmp_path / "fits.npz")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_kind_is_named(tmp_path):
    X = clusters(60, 2, 2)
    GMM(2).fit(X).save(tmp_path / "model.npz")
    fit_many([X], 2).save(tmp_path / "fits.npz")
    with pytest.raises(ValueError, match=r"model\.npz cannot be loaded as the fits of many .* use GMM\.load"):
        Fits.load(tmp_path / "model.npz")
    with pytest.raises(ValueError, match=r"fits\.npz cannot be loaded as a cgmm model: .* use Fits\.load"):
        GMM.load(tmp_path / "fits.npz")


DAMAGE = {
    "weights": (lambda a: a * 2, "weights"),
    "means": (lambda a: a[0], "means has shape"),
    "root": (lambda a: a * 1.01, "problem 0: .*does not belong"),
    "n_components": (lambda a: a + 9, "n_components must be from 0 to 2"),
    "n_iter": (lambda a: a + 1, "one float64 an iteration"),
    "history": (lambda a: a[1:], "one float64 an iteration"),
    "labels": (lambda a: a[1:], "labels has shape"),
    "covariances": (lambda a: -a, "problem 0: "),
    "bic": (lambda a: a.astype(complex), "bic has shape"),
    "least": (lambda a: -a, "problem 0: n_k and least"),
    "seeds": (lambda seeds: seeds[1:], "1 seeds for 2 problems"),
    "kind": (lambda _: "row", "kind must be one of"),
    "errors": (lambda _: [[7, "why"]], "no problem 7"),
    "names": (lambda _: [], "damaged: names"),
    "version": (lambda _: 9, "newer than this"),
}


@pytest.mark.parametrize("part", DAMAGE)
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, part):
    change, message = DAMAGE[part]
    path = tmp_path / "fits.npz"
    fit_many([clusters(60, 2, 2, seed=i) for i in range(2)], 2).save(path)
    arrays = dict(np.load(path))
    header = json.loads(arrays["header"].item())
    where = header if part in header else arrays
    where[part] = change(where[part])
    np.savez(path, **{**arrays, "header": np.array(json.dumps(header))})
    with pytest.raises(ValueError, match=rf"fits\.npz cannot be loaded as the fits of many problems: .*{message}"):
        Fits.load(path)
