"""The density and the probabilities of a mixture: against SciPy, quadrature, finite differences and draws."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, multivariate_normal, norm

from cgmm import GMM
from mixtures import TYPES, log_densities, log_density, made, matrices_of

DENSITIES = json.loads((Path(__file__).parent / "data" / "mclust_density_shared.json").read_text())
ONE = [entry for entry in DENSITIES if "quantileMclust" in entry]


@pytest.mark.parametrize("covariance_type", TYPES)
def test_slopes_and_curvatures_are_finite_differences(covariance_type):
    model = made(covariance_type)
    X = model.sample(15)[0]
    step = 1e-4  # errors of a central difference are of order step², and rounding of 1e-16 / step
    gradient, hessian = np.empty((15, 4)), np.empty((15, 4, 4))
    for j, e in enumerate(step * np.eye(4)):
        gradient[:, j] = (log_density(model, X + e) - log_density(model, X - e)) / (2 * step)
        hessian[:, j] = (model.gradient(X + e) - model.gradient(X - e)) / (2 * step)
    np.testing.assert_allclose(model.gradient(X), gradient, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(model.hessian(X), hessian, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_slopes_and_curvatures_are_the_formula(covariance_type):
    model = made(covariance_type)
    X = model.sample(15)[0]
    logs = log_densities(model, X)
    r = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
    Q = np.linalg.inv(matrices_of(model))
    v = np.einsum("cij,ncj->nci", Q, model.means_ - X[:, None])
    g = np.einsum("nc,nci->ni", r, v)
    outer = v[..., :, None] * v[..., None, :] - Q
    H = np.einsum("nc,ncij->nij", r, outer) - g[:, :, None] * g[:, None, :]
    np.testing.assert_allclose(model.gradient(X), g, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(model.hessian(X), H, rtol=1e-9, atol=1e-9)


def test_modes_of_one_feature_are_the_roots_of_the_slope():
    model = GMM.from_parameters([0.3, 0.3, 0.4], [[0.0], [2.5], [9.0]], [[[1.0]], [[0.5]], [[4.0]]])
    x = np.linspace(-5, 20, 200_001)
    slope = model.gradient(x[:, None])[:, 0]
    tops = x[:-1][(slope[:-1] > 0) & (slope[1:] <= 0)]
    found = model.modes()
    assert len(found.points) == len(tops) == 3
    np.testing.assert_allclose(np.sort(found.points[:, 0]), tops, atol=2e-4)
    np.testing.assert_allclose(model.gradient(found.points), 0, atol=1e-8)
    assert (np.diff(found.log_densities) <= 0).all()
    np.testing.assert_allclose(model.score_samples(found.points), found.log_densities)
    valleys = x[:-1][(slope[:-1] < 0) & (slope[1:] >= 0)]
    order = np.argsort(found.points[:, 0])
    points = np.linspace(-4, 19, 301)
    expected = order[np.searchsorted(valleys, points)]
    np.testing.assert_array_equal(model.modal_labels(points[:, None]), expected)
    np.testing.assert_array_equal(found.labels, order)


def test_a_mode_where_no_mean_leads_is_found():
    """Two components with three modes: Ray and Lindsay (2005), figure 1."""
    model = GMM.from_parameters([0.5, 0.5], [[0, 0], [1, 1]], [np.diag([1, 0.05]), np.diag([0.05, 1])])
    found = model.modes()
    assert len(found.points) == 3
    assert found.points[0] == pytest.approx([0.9765, 0.0235], abs=0.05)
    np.testing.assert_allclose(model.gradient(found.points), 0, atol=1e-8)
    assert (np.linalg.eigvalsh(model.hessian(found.points)) < 0).all()


def test_a_start_on_a_saddle_leaves_it():
    """Of three equal components in a row, near each other, the middle one is on the axis of symmetry; two far apart
    have a saddle between them, where the slope is zero."""
    model = GMM.from_parameters([0.5, 0.5], [[-3.0, 0], [3, 0]], [np.eye(2)] * 2)
    assert (model.modal_labels([[0.0, 0.0], [-0.1, 5], [0.1, -5]]) >= 0).all()
    near = model.modal_labels([[-0.1, 5.0], [0.1, -5.0]])
    assert near[0] != near[1]


@pytest.mark.parametrize("covariance_type", TYPES)
def test_modes_move_with_the_data(covariance_type):
    model = made(covariance_type, k=6, d=3, seed=4)
    far = made(covariance_type, k=6, d=3, seed=4, shift=1e6)
    np.testing.assert_allclose(far.modes().points - 1e6, model.modes().points, atol=1e-6)
    assert model.modes().labels.min() >= 0
    np.testing.assert_array_equal(model.modal_labels(model.modes().points), np.arange(len(model.modes().points)))


@pytest.mark.parametrize("entry", ONE, ids=[f"{e['dataset']}-{e['model']}-{e['k']}" for e in ONE])
def test_mclust_distribution_functions(entry):
    covariances = np.reshape(entry["covariances"], (-1, 1, 1))
    model = GMM.from_parameters(entry["weights"], entry["means"], covariances)
    np.testing.assert_allclose(model.cdf(entry["x"]), entry["cdfMclust_y"], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(model.score_samples(np.reshape(entry["x"], (-1, 1))), entry["logdensity"], rtol=1e-10)
    # mclust's quantiles are right to 1e-9 in p: ours are held to the distribution function instead.
    np.testing.assert_allclose(model.cdf(entry["quantileMclust"]), entry["p"], atol=1e-8)
    np.testing.assert_allclose(model.cdf(model.ppf(entry["p"])), entry["p"], rtol=1e-14)
    np.testing.assert_allclose(model.ppf(entry["p"]), entry["quantileMclust"], atol=1e-6)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_quantiles_invert_the_distribution_function_in_both_tails(covariance_type):
    model = made(covariance_type, k=4, d=1)
    p = np.array([1e-300, 1e-30, 1e-5, 0.2, 0.5, 0.9, 1 - 1e-12])
    x = model.ppf(p)
    np.testing.assert_allclose(model.cdf(x[:-1]), p[:-1], rtol=1e-10)
    above = (model.weights_ * norm.sf((x[-1] - model.means_[:, 0]) / np.sqrt(matrices_of(model)[:, 0, 0]))).sum()
    assert above == pytest.approx(1 - p[-1], rel=1e-10)
    assert model.ppf(0.0) == -np.inf and model.ppf(1.0) == np.inf
    low, high = model.interval(0.8)
    assert model.cdf([high])[0] - model.cdf([low])[0] == pytest.approx(0.8, rel=1e-12)
    assert model.ppf([[0.1, 0.2], [0.3, 0.4]]).shape == (2, 2)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_boxes_hold_the_share_of_draws_that_falls_into_them(covariance_type):
    model = made(covariance_type, d=3)
    corners = model.marginal([0, 1, 2]).sample(4)[0]
    X, _ = model.set_params(random_state=1).sample(100_000)
    found = model.cdf(corners + 1, corners - 2)
    for i, corner in enumerate(corners):
        share = ((corner - 2 < X) & (corner + 1 >= X)).all(axis=1).mean()
        assert abs(share - found[i]) < 4.5 * np.sqrt(found[i] * (1 - found[i]) / len(X)) + 1e-5
    parts = list(zip(model.weights_, model.means_, matrices_of(model), strict=True))
    below = [sum(w * multivariate_normal(m, S).cdf(x) for w, m, S in parts) for x in corners]
    np.testing.assert_allclose(model.cdf(corners), below, atol=1e-4)  # SciPy's default accuracy is 1e-5
    np.testing.assert_array_equal(model.cdf(corners), model.cdf(corners))
    np.testing.assert_allclose(model.cdf([[np.inf] * 3]), 1.0)
    np.testing.assert_array_equal(model.cdf(corners, corners + 1), 0.0)


def test_a_level_has_its_share_above():
    normal = made("full", k=1)
    peak = normal.score_samples(normal.means_)[0]
    assert normal.level(0.9) == pytest.approx(peak - 0.5 * chi2.ppf(0.9, 4), rel=1e-12)
    model = made("full")
    X, _ = model.set_params(random_state=7).sample(100_000)
    logs = model.score_samples(X)
    for p in (0.01, 0.5, 0.99):
        assert abs((logs > model.level(p)).mean() - p) < 4.5 * np.sqrt(2 * p * (1 - p) / 1e5)
    assert model.level(1.0) == -np.inf
    one = GMM.from_parameters([0.4, 0.6], [[0.0], [4.0]], [[[1.0]], [[0.5]]])
    height = np.exp(one.level(0.8))
    density = lambda x: np.exp(one.score_samples([[x]])[0])  # noqa: E731
    inside = quad(lambda x: density(x) * (density(x) > height), -8, 12, limit=500, points=[0, 2, 4])[0]
    assert inside == pytest.approx(0.8, abs=6e-3)  # 4.5 standard errors of 100 000 draws


@pytest.mark.parametrize("covariance_type", TYPES)
def test_false_alarms_are_as_many_as_promised(covariance_type):
    model = made(covariance_type).set_params(random_state=3)
    X, _ = model.sample(40_000)
    assert abs(model.anomalies(X, 0.05).mean() - 0.05) < 4.5 * np.sqrt(0.05 * 0.95 * (1 / 4e4 + 1e-5))
    gaps = X.copy()
    gaps[::2, 1] = np.nan
    gaps[0] = np.nan
    found = model.set_params(missing="marginal").anomalies(gaps, 0.05)
    assert abs(found[::2].mean() - 0.05) < 4.5 * np.sqrt(0.05 * 0.95 * (1 / 2e4 + 1e-5))
    assert not found[0]


def fisher(model, X):
    """Sánchez et al. (2013), eqs. 16 to 18, with scikit-image's sign of the last."""
    logs = log_densities(model, X)
    r = np.exp(logs - np.logaddexp.reduce(logs, axis=1)[:, None])
    w, variances = model.weights_, np.diagonal(matrices_of(model), axis1=1, axis2=2)
    z = (X[:, None] - model.means_) / np.sqrt(variances)
    d_w = (r - w).mean(axis=0) / np.sqrt(w)
    d_m = np.einsum("nc,ncj->cj", r, z) / len(X) / np.sqrt(w)[:, None]
    d_s = np.einsum("nc,ncj->cj", r, 1 - z**2) / len(X) / np.sqrt(2 * w)[:, None]
    return np.concatenate([d_w, d_m.ravel(), d_s.ravel()])


@pytest.mark.parametrize("covariance_type", ["diag", "spherical"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fisher_vectors(covariance_type, dtype):
    model = made(covariance_type)
    sets = [model.sample(n)[0].astype(dtype) for n in (1, 30, 200)]
    found = model.fisher_vector(sets)
    tolerance = 1e-11 if dtype is np.float64 else 2e-4  # float32 sums of 200 rows
    for row, X in zip(found, sets, strict=True):
        np.testing.assert_allclose(row, fisher(model, X.astype(float)), rtol=tolerance, atol=tolerance)
        np.testing.assert_array_equal(row, model.fisher_vector(X))
        improved = model.fisher_vector(X, improved=True, alpha=0.3)
        assert np.linalg.norm(improved) == pytest.approx(1.0)
        powers = np.sign(row) * np.abs(row) ** 0.3
        np.testing.assert_allclose(improved, powers / np.linalg.norm(powers))
    with pytest.raises(ValueError, match="diag"):
        made("full").fisher_vector(sets[1])


def test_gaps_are_refused_where_they_mean_nothing():
    model = made("diag").set_params(missing="marginal")
    for ask in (model.gradient, model.hessian, model.modal_labels, model.fisher_vector):
        with pytest.raises(ValueError, match="gaps"):
            ask([[1.0, np.nan, 0, 0]])
    with pytest.raises(ValueError, match="NaN"):
        model.cdf([[1.0, np.nan, 0, 0]])
