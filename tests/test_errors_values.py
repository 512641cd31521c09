"""Gaps of rows with errors of measurement, and anomalies among them: the formulas, and laws of draws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deconvolution
import reference
from cgmm import GMM, BayesianGMM
from gaps import gappy
from measurements import measured

families = pytest.mark.parametrize("family", [*reference.FAMILIES, "VEE"])
kinds = pytest.mark.parametrize("kind", ["covariances", "variances"])
pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")


def fitted(family, kind, n=80, gaps=0.3, estimator=GMM):
    """A mixture, rows with gaps, and the covariances of their errors."""
    _, X, S = measured(kind, n=n, d=3)
    model = estimator(3, covariance_type=family, random_state=0, max_iter=20).fit(X, error_covariances=S)
    return model, gappy(X, gaps) if gaps else X, S


def formulas(model):
    return model.weights_, model.means_, model._parameters.family.expand(model.covariances_, 3, 3)


# Gaps


@families
@kinds
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_gaps_are_filled_with_what_is_known_of_the_true_value(family, kind, dtype):
    model, X, S = fitted(family, kind)
    X = X.astype(dtype)
    found, gaps = model.impute(X, S), np.isnan(X)
    means, _ = deconvolution.denoised(X.astype(float), S, *formulas(model))
    assert_allclose(found[gaps], means[gaps], rtol=1e-10 if dtype == np.float64 else 1e-5)  # a rounding of float32
    assert_array_equal(found[~gaps], X[~gaps])
    assert found.dtype == dtype
    exact = model.impute(X)
    assert np.abs(found[gaps] - exact[gaps]).max() > 0.1  # as if rows were true values


@pytest.mark.parametrize("estimator", [GMM, BayesianGMM])
@pytest.mark.parametrize("draws", [False, True])
def test_blocks_bring_their_errors(estimator, draws):
    model, X, S = fitted("full", "covariances", estimator=estimator)
    blocks = [(X[:30], None, None, S[:30]), (X[30:], None, None, S[30:])]
    arguments = {"draws": draws, "random_state": 0}
    found, whole = model.impute(blocks, **arguments), model.impute(X, S, **arguments)
    if draws:
        found, whole = found[:30], model.impute(X[:30], S[:30], **arguments)  # of the generator's first numbers
    assert_array_equal(found, whole)
    if not draws:
        model.set_params(missing="marginal")
        assert_array_equal(found[np.isnan(X)], model.denoise(X, S)[np.isnan(X)])


def test_errors_of_zero_change_nothing():
    model, X, _ = fitted("full", "variances")
    assert_allclose(model.impute(X, np.zeros(3)), model.impute(X), rtol=1e-9)


def test_rows_without_gaps_stay_as_they_are():
    model, X, S = fitted("full", "covariances", gaps=0)
    for draws in (False, True):
        assert_array_equal(model.impute(X, S, draws=draws), X)


@families
@kinds
@pytest.mark.parametrize("estimator", [GMM, BayesianGMM])
def test_draws_have_the_moments_of_the_true_values(family, kind, estimator):
    if estimator is BayesianGMM and family == "VEE":
        pytest.skip("it has no conjugate prior")
    model, X, S = fitted(family, kind, estimator=estimator)
    which, n = np.flatnonzero(np.isnan(X).sum(axis=1) == 2)[:3], 40_000
    means, covariances = model.set_params(missing="marginal").denoise(X[which], S[which], return_cov=True)
    for i, mean, covariance in zip(which, means, covariances, strict=True):
        drawn = model.impute(np.repeat(X[[i]], n, axis=0), np.repeat(S[[i]], n, axis=0), draws=True, random_state=1)
        gaps = np.isnan(X[i])
        assert (drawn[:, ~gaps] == X[i, ~gaps]).all()
        deviations = np.sqrt(covariance.diagonal()[gaps])
        away = (drawn[:, gaps] - mean[gaps]) / deviations
        assert_allclose(away.mean(axis=0), 0, atol=5 / np.sqrt(n))  # five standard errors
        expected = covariance[np.ix_(gaps, gaps)] / np.outer(deviations, deviations)
        assert_allclose(away.T @ away / n, expected, atol=12 / np.sqrt(n))  # the fourth moments of mixtures are larger


def test_draws_are_the_same_for_the_same_seed_and_differ_otherwise():
    model, X, S = fitted("full", "covariances")
    one, same, other = (model.impute(X, S, draws=True, random_state=seed) for seed in (1, 1, 2))
    assert_array_equal(one, same)
    assert (one != other)[np.isnan(X)].any()


def test_a_noise_component_fills_nothing():
    _, X, S = measured("covariances", n=80, d=3)
    model = GMM(3, noise_component=1e-3, random_state=0, max_iter=20).fit(X, error_covariances=S)
    weights = model.weights_ / model.weights_.sum()
    plain = GMM.from_parameters(weights, model.means_, model.covariances_)
    rows = gappy(X, 0.3)
    assert_allclose(model.impute(rows, S), plain.impute(rows, S), rtol=1e-9)


# Anomalies


@families
@kinds
@pytest.mark.parametrize("gaps", [0, 0.3])
def test_a_row_is_compared_with_what_is_measured_with_its_errors(family, kind, gaps):
    model, X, S = fitted(family, kind, n=24, gaps=gaps)
    model.set_params(missing="marginal" if gaps else "error")
    X = X * np.where(np.arange(24) % 2, 2.5, 1)[:, np.newaxis]  # of which some lie far out
    S = np.tile(S[:8], (3, *[1] * (S.ndim - 1)))
    arguments = {"share": 0.2, "n_samples": 2000, "random_state": 3}
    found = model.anomalies(X, error_covariances=S, **arguments)
    alone = [model.convolve(own).anomalies([x], **arguments)[0] for x, own in zip(X, S, strict=True)]
    assert_array_equal(found, alone)
    assert 0 < found.sum() < 24
    blocks = [(X[:10], None, None, S[:10]), (X[10:], None, None, S[10:])]
    assert_array_equal(model.anomalies(blocks, **arguments), found)


@pytest.mark.parametrize("k", [1, 3])
def test_false_alarms_are_as_many_as_promised_whatever_the_errors(k):
    """Without errors the level is of true values: more than half of the rows with large errors would be marked."""
    rng = np.random.default_rng(0)
    model = GMM.from_parameters(np.full(k, 1 / k), 8.0 * np.eye(k, 2), np.tile(np.eye(2), (k, 1, 1)))
    kinds, n = np.array([[0.1, 0.1], [4.0, 25.0], [100.0, 9.0]]), 30_000
    S = kinds[np.arange(n) % 3]
    X = model.sample(n, random_state=1)[0][rng.permutation(n)] + np.sqrt(S) * rng.normal(size=(n, 2))
    marked = model.anomalies(X, 0.05, error_covariances=S)
    for kind in range(3):  # 4.5 standard errors, of the rows and of the level's draws
        assert abs(marked[kind::3].mean() - 0.05) < 4.5 * np.sqrt(0.05 * 0.95 * (3 / n + 1e-5))
    assert model.anomalies(X, 0.05)[2::3].mean() > 0.5


def test_rows_beyond_all_numbers_of_another_component():
    """What one component says of a row is no number where only the other one matters, and stands in the same vector."""
    one, other = np.array([[7.6e298, 2.3e147], [2.3e147, 0.34]]), 1e299 * np.array([[1.9, 0.6], [0.6, 1.9]])
    model = GMM.from_parameters([0.75, 0.25], [[-8e148, 0.03], [2.5e149, 7.5e149]], [one, other])
    X = np.array([[0.0, 1e150], [0.0, 1.0], [1e150, 1e150], [1.0, 1.0]])
    for S in (np.zeros((4, 2)), np.ones((4, 2))):
        means, covariances = model.denoise(X, S, return_cov=True)
        assert_allclose(means, X, atol=1e135)
        assert np.isfinite(covariances).all()


@pytest.mark.parametrize("S", [np.array([2.0, 0.5]), np.array([[2.0, 0.5], [0.5, 1.0]])])
def test_errors_that_all_rows_share(S):
    model = GMM.from_parameters([0.4, 0.6], [[0.0, 0.0], [5.0, 1.0]], [np.eye(2), 2 * np.eye(2)])
    X = model.sample(300, random_state=0)[0] * 1.4
    arguments = {"share": 0.1, "n_samples": 2000}
    assert_array_equal(
        model.anomalies(X, error_covariances=S, **arguments), model.convolve(S).anomalies(X, **arguments)
    )


def test_errors_of_what_is_missing_are_ignored():
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)]).set_params(missing="marginal")
    X, S = np.array([[np.nan, 3.0], [np.nan, np.nan], [1.0, 3.0]]), np.array([[np.nan, 1.0], [np.nan] * 2, [1.0, 1.0]])
    assert model.anomalies(X, 0.05, error_covariances=S).tolist() == [True, False, False]
    assert_allclose(model.impute(X, S)[:2], [[0, 3], [0, 0]], atol=1e-15)


def test_noise_of_rows_with_errors():
    """What a component does not explain, its noise does: probabilities sum to one, with the rows' errors or blocks'."""
    _, X, S = measured("covariances", n=80, d=3)
    model = GMM(2, noise_component="uniform", random_state=0).fit(X, error_covariances=S)
    found = model.noise_probability(X, S)
    assert_allclose(model.predict_proba(X, S).sum(axis=1) + found, 1, rtol=1e-12)
    assert_array_equal(found, model.noise_probability([(X, None, None, S)]))
    assert np.abs(found - model.noise_probability(X)).max() > 1e-3
