"""Many fits in one call: each is that of GMM by itself, bit for bit, whatever the others are."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import degenerate
import reference
from cgmm import GMM, Prior, fit_many
from cgmm.fit import batches, fitting
from cgmm.fit.leaning import leans
from cgmm.fit.report import faults
from many import UNWARNED, alone_as, assert_as_alone, assert_same_fit, problems_like, weights_like
from problems import CHUNK, clusters

pytestmark = UNWARNED
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
SHAPES = [(3, 1, 1), (20, 1, 3), (33, 3, 2), (150, 4, 3), (CHUNK, 2, 5), (CHUNK + 1, 5, 7), (3 * CHUNK, 9, 4)]


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


@pytest.mark.parametrize("m", [3, 4])
def test_errors_that_may_be_variances_or_covariances_are_refused(m):
    """Beside problems of as many rows as features, and perhaps as there are problems."""
    rng, arguments = np.random.default_rng(0), {"n_components": 1, "reg_covar": 0.1}
    X, S = rng.standard_normal((m, 3, 3)), rng.gamma(1.0, 1.0, (m, 3, 3))
    S[1] = S[1] @ S[1].T
    for on_error in ("raise", "skip"):
        with pytest.raises(
            ValueError, match=rf"^error_covariances of shape \({m}, 3, 3\) beside {m} problems of 3 rows"
        ):
            fit_many(X, error_covariances=S, on_error=on_error, **arguments)
    each = fit_many(X, error_covariances=S[..., np.newaxis] * np.eye(3), **arguments)  # the remedy, of variances
    assert_array_equal(each[0].means_, GMM(**arguments).fit(X[0], error_covariances=S[0]).means_)
    S[1, 0, 1] += 1.0
    for values in (S, np.ones(S.shape)):  # which are no covariances, or as good as none
        given = fit_many(X, error_covariances=values, **arguments)
        assert_array_equal(given[1].means_, GMM(**arguments).fit(X[1], error_covariances=values[1]).means_)


@pytest.mark.parametrize("way", ["list", "array", "array, for all", "groups", "columns"])
def test_problems_take_errors_of_measurement(way):
    """In whatever form they are handed over, each fit is that of GMM with its errors, bit for bit."""
    rng = np.random.default_rng(0)
    X, S = clusters(360, 2, 2).reshape(3, 120, 2), rng.gamma(1.0, 0.3, size=(3, 120, 2))
    S = np.broadcast_to(S[0], S.shape) if way == "array, for all" else S
    arguments = {"n_components": 2, "reg_covar": "relative", "random_state": 0}
    if way == "list":
        S = [S[0], None, S[2, :, :, None] * np.eye(2)]
        given = fit_many(list(X), error_covariances=S, **arguments)
    elif way == "groups":
        S = S.reshape(360, 2)
        given = fit_many(X.reshape(360, 2), groups=np.repeat([0, 1, 2], 120), error_covariances=S, **arguments)
        S = S.reshape(3, 120, 2)
    elif way == "columns":
        given = fit_many(X[..., 0].T, columns=True, error_covariances=S[..., 0].T, **arguments)
        X, S = X[..., :1], S[..., :1]
    else:
        given = fit_many(X, error_covariances=S[0] if way == "array, for all" else S, **arguments)
    for i in range(3):
        alone = GMM(**arguments).fit(X[i], error_covariances=S[i])
        assert_array_equal(given[i].means_, alone.means_)
        assert_array_equal(given[i].covariances_, alone.covariances_)
    with pytest.raises(ValueError, match=r"problem 1.* cannot be fitted: error_covariances must be not negative"):
        fit_many(list(X), error_covariances=[None, -np.ones(X.shape[2]), None], **arguments)


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
    ids=lambda arguments: ", ".join(arguments),
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
    """Two of which are made at the same time, each by one thread, and the last by all."""
    problems = [clusters(n, 2, 3) for n in (100, 8191, 8192, 40_000, 9000)]
    arguments = {"n_components": 3, "random_state": 0, "n_threads": 2}
    assert_as_alone(fit_many(problems, **arguments), problems, **arguments)


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

    def counted(asked, *rows, **others):
        made.append(asked.k)
        return found(asked, *rows, **others)

    monkeypatch.setattr(fitting, "found", counted)
    return made


@types
@pytest.mark.parametrize("n_threads", [1, 2])
@pytest.mark.parametrize("values, work", [(1 << 20, 1 << 24), (900, 1 << 24), (1 << 20, 5000), (100, 1)])
def test_plain_problems_are_compiled_whole_whatever_the_batches(
    values, work, n_threads, dtype, one_by_one, monkeypatch
):
    monkeypatch.setattr(batches, "VALUES", values)
    monkeypatch.setattr(batches, "WORK", work)
    problems = problems_like(150, 2, 2, m=12, dtype=dtype)
    fits = fit_many(problems, 2, random_state=0, n_threads=n_threads)
    assert one_by_one == [2]  # the first, which tells how many features there are
    assert_as_alone(fits, problems, n_components=2, random_state=0, n_threads=n_threads)


@pytest.mark.parametrize(
    "arguments",
    [{"n_init": 2}, {"prior": "default"}, {"init_params": "random"}, {"max_iter": 0},
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
    masses = model._state.fit.masses
    leaning = leans(parameters.family, parameters.root, masses, parameters.d, settings.rules.reg_covar)
    return bool(model.diagnostics_.degenerate) + leaning, model.bic(X)


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


@pytest.mark.parametrize("family", ["tied", "EII", "EEI", "VEE", "EEV"])
def test_whatever_components_share(family):
    """A covariance that all share is kept for each of them, but of "tied": a broadcast failed of fewer components."""
    problems = [clusters(150, 2, k, seed=k, distance=12.0) for k in (1, 3)]
    arguments = {"covariance_type": family, "random_state": 0}
    fits = fit_many(problems, [1, 2, 3], **arguments)
    assert len(set(fits.n_components)) > 1
    for i, X in enumerate(problems):
        assert_same_fit(fits[i], alone_as(int(fits.n_components[i]), **arguments).fit(X))


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
