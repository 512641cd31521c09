"""Gaussian mixture regression: gmr's values, the linear model of one component, gaps, weights, and scikit-learn."""

import json
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM, GMMRegressor, NotFittedError
from mixtures import TYPES, log_density, made
from programs import output

GMR = json.loads((Path(__file__).parent / "data" / "gmr_shared.json").read_text())


def curve(n=400, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n, 2))
    return X, np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * rng.normal(size=n)


@pytest.mark.parametrize("case", GMR["cases"], ids=lambda case: str(case["indices"]))
def test_gmr_predictions(case):
    """To 1e-12 (gmr's own NumPy agrees with its values to 7e-15)."""
    mixture = GMM.from_parameters(GMR["weights"], GMR["means"], GMR["covariances"])
    order = np.sort(case["indices"])
    targets = [j for j in range(4) if j not in order]
    points = np.asarray(case["points"])[:, np.argsort(case["indices"])]
    model = GMMRegressor.from_mixture(mixture, targets)
    mean, std, covariance = model.predict(points, return_std=True, return_cov=True)
    assert_allclose(mean, case["predict"], rtol=1e-12, atol=1e-13)
    told = np.array([one["covariance"] for one in case["conditionals"]])
    assert_allclose(covariance, told, rtol=1e-12, atol=1e-13)
    assert_allclose(std**2, np.diagonal(told, axis1=1, axis2=2), rtol=1e-12)
    assert_allclose(model.predictive(points).weights, [one["weights"] for one in case["conditionals"]], rtol=1e-12)


def test_one_component_is_the_linear_model():
    X, y = curve()
    model = GMMRegressor(1, reg_covar=0).fit(X, y)
    design = np.column_stack([np.ones(len(X)), X])
    beta, left, *_ = np.linalg.lstsq(design, y, rcond=None)
    mean, std = model.predict(X, return_std=True)
    assert_allclose(mean, design @ beta, rtol=1e-9, atol=1e-9)
    assert_allclose(std, np.sqrt(left[0] / len(X)), rtol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_the_mixture_is_that_of_features_and_targets_together(covariance_type):
    X, y = curve()
    y = np.column_stack([y, X[:, 0] ** 2])
    model = GMMRegressor(3, covariance_type=covariance_type, random_state=0).fit(X, y)
    mixture = GMM(
        3, covariance_type=covariance_type, reg_covar="relative", n_init=3, random_state=0, tol=1e-4, max_iter=1000
    ).fit(np.column_stack([X, y]))
    assert_array_equal(model.mixture_.means_, mixture.means_)
    joint, marginal = log_density(mixture, np.column_stack([X, y])), log_density(mixture.marginal([0, 1]), X)
    assert_allclose(model.log_predictive(X, y), joint - marginal, rtol=1e-8, atol=1e-8)
    one = mixture.condition({0: X[0, 0], 1: X[0, 1]})
    assert_allclose(model.predict(X[:1])[0], one.mean(), rtol=1e-11)
    quantiles = model.predict_quantiles(X[:1], [0.1, 0.9])
    assert quantiles.shape == (1, 2, 2)
    assert_allclose(quantiles[0, 1], one.marginal([1]).ppf([0.1, 0.9]), rtol=1e-10)
    assert_allclose(model.predict_interval(X[:1], 0.8), quantiles, rtol=1e-12)
    assert model.sample_y(X[:5], 7).shape == (5, 2, 7)
    assert model.n_components_ == 3 and model.n_features_in_ == 2


@pytest.mark.parametrize(("n", "p", "m", "k"), [(1, 1, 1, 1), (33, 2, 1, 3), (700, 5, 2, 4), (1100, 9, 3, 7)])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_one_pass_predicts_what_pieces_do(n, p, m, k, covariance_type, target):
    """By every instruction set; the pieces' regressions are summed in NumPy."""
    mixture = made(covariance_type, k=k, d=p + m, seed=n).set_params(random_state=0)
    given = mixture.conditional(mixture.sample(n)[0][:, :p], range(p))
    means, shares = given.means, given.weights
    mean = np.einsum("ic,icm->im", shares, means)
    away = means - mean[:, None]
    expected = np.einsum("ic,cab->iab", shares, given.covariances) + np.einsum("ic,ica,icb->iab", shares, away, away)
    assert_allclose(given.mean(), mean, rtol=1e-11, atol=1e-11)
    assert_allclose(given.covariance(), expected, rtol=1e-10, atol=1e-11)
    assert_allclose(given.std(), np.sqrt(np.diagonal(expected, axis1=1, axis2=2)), rtol=1e-10)


def test_intervals_hold_what_they_promise():
    X, y = curve(4000)
    model = GMMRegressor(8, random_state=0).fit(X, y)
    fresh, truth = curve(4000, seed=1)
    for p in (0.5, 0.9):
        low, high = model.predict_interval(fresh, p).T
        assert abs(((low <= truth) & (truth <= high)).mean() - p) < 0.03  # 4 standard errors, and what the fit is off
    draws = model.sample_y(fresh[:200], 2000)
    mean, std = model.predict(fresh[:200], return_std=True)
    assert (np.abs(draws.mean(axis=1) - mean) < 5 * std / np.sqrt(2000)).all()
    assert model.predict_quantiles(fresh, 0.5).shape == (4000,)


def test_gaps_are_marginalised_at_fit_and_at_predict():
    """Rows of a mixture that is known: with a fifth of the features or half the targets missing it is found again."""
    truth = made("full", k=2, d=3, seed=5).set_params(random_state=0)
    rows = truth.sample(6000)[0]
    X, y = rows[:, :2], rows[:, 2]
    best = GMMRegressor.from_mixture(truth, 2).predict(X)
    holes = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    unlabelled = np.where(np.arange(6000) % 2 == 0, y, np.nan)
    for some in ((holes, y), (X, unlabelled)):
        model = GMMRegressor(2, missing="marginal", random_state=0).fit(*some)
        assert np.mean((model.predict(X) - best) ** 2) < 0.01 * np.var(best)
    alone = GMMRegressor.from_mixture(model.mixture_.marginal([1, 2]), 1)
    some = np.column_stack([np.full(9, np.nan), X[:9, 1]])
    for verb in (GMMRegressor.predict, GMMRegressor.predict_quantiles):
        assert_allclose(verb(model, some), verb(alone, X[:9, 1:]), rtol=1e-10)
    nothing = model.predict([[np.nan, np.nan]])
    assert_allclose(nothing, model.mixture_.mean()[2], rtol=1e-10)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        GMMRegressor(2).fit(holes, y)
    with pytest.raises(ValueError, match=r"Input y contains NaN: the first is y\[1"):
        GMMRegressor(2).fit(X, unlabelled)


def errors_of(kind, n, p, seed=0):
    """Variances (n,p) or covariances (n,p,p); or those of all rows."""
    rng = np.random.default_rng(seed)
    roots = rng.normal(size=(n, p, p))
    found = {"covariances": roots @ roots.transpose(0, 2, 1) / p, "variances": rng.gamma(1.0, size=(n, p))}
    return found.get(kind, found["covariances"][0])


def blurred(mixture, S, given):
    """The mixture of rows whose given features have errors of covariance S (p,p): exact, and of full covariances."""
    added = np.zeros((mixture.n_features_in_,) * 2)
    added[np.ix_(given, given)] = S
    full = mixture.convolve(np.full(mixture.n_features_in_, 1e-300)).convolve(added)
    return GMM.from_parameters(full.weights_, full.means_, full.covariances_)


@pytest.mark.parametrize("kind", ["covariances", "variances", "of all"])
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_predictions_given_features_with_errors(covariance_type, gaps, kind):
    """They are those of the mixture whose covariances are larger by the row's errors."""
    mixture, given = made(covariance_type, k=3, d=4, seed=2).set_params(random_state=0), np.array([0, 2])
    X = mixture.sample(6)[0]
    S, x, y = errors_of(kind, 6, 2), X[:, given], X[:, [1, 3]]
    if gaps:
        x[:2, 0], x[2] = np.nan, np.nan
    model = GMMRegressor.from_mixture(mixture.set_params(missing="marginal"), [1, 3])
    mean, std, covariance = model.predict(x, return_std=True, return_cov=True, error_covariances=S)
    quantiles, logs = model.predict_quantiles(x, 0.3, S), model.log_predictive(x, y, S)
    draws, predictive = model.sample_y(x, 400, error_covariances=S), model.predictive(x, S)
    for i in range(6):
        own = S if kind == "of all" else np.diag(S[i]) if kind == "variances" else S[i]
        told = blurred(mixture, own, given).conditional(x[i : i + 1], given)
        assert_allclose(mean[i], told.mean()[0], rtol=1e-9, atol=1e-9)
        assert_allclose(covariance[i], told.covariance()[0], rtol=1e-9, atol=1e-9)
        assert_allclose(std[i], told.std()[0], rtol=1e-9)
        assert_allclose(logs[i], told.score_samples(y[i : i + 1])[0], rtol=1e-9)
        assert_allclose(quantiles[i, 1], told[0].marginal([1]).ppf(0.3), rtol=1e-8, atol=1e-8)
        assert_allclose(predictive[i].covariance(), covariance[i], rtol=1e-9, atol=1e-9)
        assert_allclose(draws[i].mean(axis=1), mean[i], atol=5 * std[i].max() / np.sqrt(400))
    nothing = model.predict(x, error_covariances=np.zeros(2))
    assert_allclose(nothing, model.predict(x), rtol=1e-9, atol=1e-9)
    with pytest.raises(ValueError, match=r"different covariances"):
        predictive.covariances  # noqa: B018


@pytest.mark.parametrize("way", ["fit", "bic", "cv", "partial_fit"])
def test_errors_of_features_no_longer_flatten_the_slope(way):
    """Features of variance 1 with errors of variance 1: by what was measured the slope is half of what it is."""
    rng = np.random.default_rng(0)
    true, S = rng.normal(size=(2000, 1)), rng.gamma(4.0, 0.25, size=(2000, 1))
    x, y = true + np.sqrt(S) * rng.normal(size=true.shape), 2 * true[:, 0] + 0.3 * rng.normal(size=2000)
    model = GMMRegressor(1 if way == "fit" else way, max_components=2, random_state=0)
    if way == "partial_fit":
        model = GMMRegressor(1, random_state=0).partial_fit(x, y, error_covariances=S)
    else:
        model.fit(x, y, error_covariances=S)
    low, high = model.predict([[-0.5], [0.5]])
    assert abs(high - low - 2) < 0.4  # 4 standard errors: twice that of the features' variance
    assert abs(np.diff(GMMRegressor(1).fit(x, y).predict([[-0.5], [0.5]]))[0] - 1) < 0.2
    assert model.score(x, y, error_covariances=S) > model.score(x, y) + 0.2
    both = np.column_stack([S, np.full(2000, 0.09)])
    together = GMMRegressor(1, random_state=0).fit(x, y, error_covariances=both).mixture_
    alone = GMM(1, **{name: getattr(together, name) for name in ("tol", "reg_covar", "max_iter", "random_state")})
    assert_array_equal(together.means_, alone.fit(np.column_stack([x, y]), error_covariances=both).means_)
    for bad, told in ((-S, "row 0 is not"), (S[:5], "must have shape"), (np.ones(3), "must have shape")):
        with pytest.raises(ValueError, match=told):
            model.fit(x, y, error_covariances=bad)


def test_weight_two_is_the_row_twice():
    X, y = curve(200)
    weights = np.random.default_rng(0).integers(0, 3, size=200)
    arguments = {"n_components": 1, "reg_covar": 0.0}
    weighted = GMMRegressor(**arguments).fit(X, y, weights)
    twice = np.repeat(np.arange(200), weights)
    repeated = GMMRegressor(**arguments).fit(X[twice], y[twice])
    assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-10)
    assert weighted.score(X, y, weights) == pytest.approx(repeated.score(X[twice], y[twice]), rel=1e-10)


def test_the_number_of_components_is_chosen():
    """|x| is two lines: two components, and one is far from enough."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-3, 3, size=(600, 1))
    y = np.abs(x[:, 0]) + 0.05 * rng.normal(size=600)
    by_bic = GMMRegressor("bic", max_components=5, random_state=0).fit(x, y)
    by_folds = GMMRegressor("cv", max_components=5, random_state=0).fit(x, y)
    assert by_bic.n_components_ >= 2 and by_folds.n_components_ >= 2
    assert by_bic.score(x, y) > 0.99 and by_folds.score(x, y) > 0.99
    assert GMMRegressor("cv", random_state=0).fit(x[:3], y[:3]).n_components_ <= 3
    again = GMMRegressor("cv", max_components=5, random_state=0).fit(x, y)
    assert_array_equal(again.predict(x), by_folds.predict(x))


@pytest.mark.parametrize("start", ["partial_fit", "fit", "bic"])
def test_batches_are_learnt(start):
    X, y = curve(6000)
    model = GMMRegressor("bic" if start == "bic" else 6, random_state=0)
    if start == "fit":
        model.fit(X[:1000], y[:1000])
    for batch in np.split(np.arange(1000, 6000), 5):
        model.partial_fit(X[batch], y[batch])
    assert model.score(*curve(500, seed=2)) > 0.95
    with pytest.raises(ValueError, match="features"):
        model.partial_fit(X[:, :1], y)
    with pytest.raises(ValueError, match="targets"):
        model.partial_fit(X, np.column_stack([y, y]))


def test_a_mixture_fitted_to_files_becomes_a_regressor(tmp_path):
    X, y = curve(3000)
    np.save(tmp_path / "rows.npy", np.column_stack([y, X]))
    mixture = GMM(4, reg_covar="relative", random_state=0).fit(np.load(tmp_path / "rows.npy", mmap_mode="r"))
    model = GMMRegressor.from_mixture(mixture, 0)
    assert model.predict(X).shape == (3000,) and model.score(X, y) > 0.9
    assert GMMRegressor.from_mixture(mixture, [0]).predict(X).shape == (3000, 1)
    model.partial_fit(X[:100], y[:100])
    for targets, told in (([], "at least one"), ([0, 1, 2], "none is left"), ("y", "no feature 'y'")):
        with pytest.raises(ValueError, match=told):
            GMMRegressor.from_mixture(mixture, targets)


def test_names_are_those_of_the_features():
    import pandas as pd

    X, y = curve(100)
    frame = pd.DataFrame(X, columns=["a", "b"])
    model = GMMRegressor(2, random_state=0).fit(frame, y)
    assert model.feature_names_in_.tolist() == ["a", "b"]
    with pytest.raises(ValueError, match="feature names"):
        model.predict(frame[["b", "a"]])
    with pytest.warns(UserWarning, match="GMMRegressor was fitted with feature names"):
        model.predict(X)
    joined = GMM(2, random_state=0).fit(frame.assign(y=y))
    assert GMMRegressor.from_mixture(joined, "y").feature_names_in_.tolist() == ["a", "b"]


def test_any_number_of_threads_gives_the_same_bits():
    X, y = curve(5000)
    one, *others = (GMMRegressor(6, random_state=0, n_threads=n).fit(X, y) for n in (1, 2, 3))
    for other in others:
        assert_array_equal(one.predict(X), other.predict(X))
        assert_array_equal(one.predict(X, return_cov=True)[1], other.predict(X, return_cov=True)[1])
        assert_array_equal(one.predict_quantiles(X[:500]), other.predict_quantiles(X[:500]))
        assert_array_equal(one.sample_y(X[:500], 3), other.sample_y(X[:500], 3))


def test_rows_beyond_all_numbers_of_another_component():
    """One component is so narrow that the square of its prediction is no number where only the other one matters."""
    narrow, wide = np.array([[1e-4, 9e-3], [9e-3, 1.0]]), 1e306 * np.array([[1.0, 0.5], [0.5, 1.0]])
    model = GMM.from_parameters([0.5, 0.5], np.zeros((2, 2)), np.array([narrow, wide]))
    X = np.array([[1e153], [1e-3]])
    means, covariances = GMMRegressor.from_mixture(model, [1]).predict(X, return_cov=True)
    assert_allclose(means[:, 0], [5e152, 9e-2], rtol=1e-12)
    assert_allclose(covariances[0], [[7.5e305]], rtol=1e-12)


def test_float32_rows():
    X, y = curve(1000)
    model = GMMRegressor(4, random_state=0).fit(X.astype(np.float32), y.astype(np.float32))
    assert_allclose(model.predict(X.astype(np.float32)), model.predict(X), atol=1e-5)
    with warnings.catch_warnings(action="error"):  # NumPy warned of a number that float32 cannot hold
        found = model.log_predictive(X.astype(np.float32), y.astype(np.float32))
    assert_allclose(found, model.log_predictive(X, y), atol=1e-3)
    assert model.score(X, y) > 0.9


def test_what_goes_wrong_leaves_the_model_as_it_was():
    X, y = curve(100)
    model = GMMRegressor(2, random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(X)
    before = model.fit(X, y).predict(X)
    for bad in ((X[:50], y), (X, y[:, None, None]), (X, None), (X * np.inf, y)):
        with pytest.raises((ValueError, TypeError)):
            model.fit(*bad)
    for k, told in ((0, "at least 1"), ("aic", "'bic' or 'cv'"), (1.5, "integer")):
        with pytest.raises((ValueError, TypeError), match=told):
            GMMRegressor(k).fit(X, y)
    assert_array_equal(model.predict(X), before)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), before)


def test_the_score_is_r_squared():
    sklearn_metrics = pytest.importorskip("sklearn.metrics")
    X, y = curve(100)
    y = np.column_stack([y, X[:, 0] ** 2, np.full(100, 2.0)])
    weights = np.random.default_rng(0).random(100)
    mixture = made("full", d=5)
    model = GMMRegressor.from_mixture(mixture, [2, 3, 4])
    expected = sklearn_metrics.r2_score(y, model.predict(X), sample_weight=weights)
    assert model.score(X, y, weights) == pytest.approx(expected, rel=1e-12)


CHECKS = """
import json, sys
from cgmm import GMMRegressor
from sklearn.utils.estimator_checks import check_estimator
for check in check_estimator(GMMRegressor(**json.loads(sys.argv[1])), on_skip=None, on_fail=None):
    print(check["check_name"], check["status"], repr(check["exception"]))
"""
by_default = pytest.mark.full("the regressor of two components")


@pytest.mark.parametrize(
    "arguments",
    [
        {"n_components": 2},
        *(pytest.param(case, marks=by_default) for case in ({}, {"n_components": 2, "missing": "marginal"})),
    ],
)
def test_every_check_of_scikit_learn(arguments):
    """None fails, is skipped or is expected to fail; one of them wants arrays of the array API."""
    pytest.importorskip("sklearn")
    pytest.importorskip("array_api_strict")
    lines = output(CHECKS, json.dumps(arguments), SCIPY_ARRAY_API="1", PYTHONWARNINGS="ignore").splitlines()
    assert len(lines) > 53
    assert [line for line in lines if line.split()[1] != "passed"] == []


def test_meta_estimators_take_it():
    sklearn = pytest.importorskip("sklearn")
    from sklearn.model_selection import GridSearchCV, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, y = curve(300)
    assert sklearn.base.is_regressor(GMMRegressor())
    steps = make_pipeline(StandardScaler(), GMMRegressor(4, random_state=0))
    assert cross_val_score(steps, X, y, cv=3).min() > 0.7
    search = GridSearchCV(GMMRegressor(random_state=0), {"n_components": [1, 6]}, cv=3).fit(X, y)
    assert search.best_params_ == {"n_components": 6}
