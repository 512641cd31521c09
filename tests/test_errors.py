"""Rows with errors of measurement: the compiled pass against the formulas, written out in helpers/deconvolution.py.

In double every value is within 1e-11 of the reference's, relative to the largest: T = Σ + S has condition numbers below
1e4 here, and a solution loses as many of sixteen digits as these have, in either computation.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import deconvolution
import reference
from cgmm import GMM, _kernels
from cgmm.mixture.parameters import Parameters
from cgmm.rows.measured import GappedMeasured, Measured
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory
from problems import mixture, rows_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
DATA = Path(__file__).parent / "data"
SIZES = [(1, 1, 1), (7, 2, 3), (33, 3, 2), (129, 4, 3), (40, 5, 5), (65, 6, 2), (50, 7, 3), (257, 8, 2)]
SIZES += [(34, 9, 4), (20, 17, 3)]
families = pytest.mark.parametrize("family", [*reference.FAMILIES, "VEE", "EVI"])
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
kinds = pytest.mark.parametrize("kind", ["covariances", "variances", "one covariance", "one variance"])
sizes = pytest.mark.parametrize("size", SIZES, ids=str)


def errors_of(kind, n, d, rng):
    """Errors of a kind about as large as the components, of some features zero."""
    if kind.endswith("variances") or kind == "one variance":
        found = rng.gamma(1.0, 1.0, size=(n, d) if kind == "variances" else d)
        return np.where(rng.random(found.shape) < 0.2, 0.0, found)
    factors = rng.standard_normal((n, d, max(1, d - 1))) / np.sqrt(d)  # singular
    found = factors @ factors.transpose(0, 2, 1)
    return found if kind == "covariances" else found[0]


def problem(size, family, kind, gaps=False):
    n, d, k = size
    rng = np.random.default_rng([n, d, k, len(kind)])
    p = mixture("full" if family in ("VEE", "EVI") else family, d, k, rng)
    if family in ("VEE", "EVI"):
        p = GMM(k, covariance_type=family, random_state=0, max_iter=3, tol=0).fit(rows_of(p, 500, rng))._parameters
    X = rows_of(p, n, rng)
    if gaps:
        X[rng.random((n, d)) < 0.3] = np.nan
    return X, errors_of(kind, n, d, rng), p


def data_of(X, errors, w=None, labels=None):
    n, d = X.shape
    shape = (n, d) if np.ndim(errors) == 1 or (np.ndim(errors) == 2 and np.shape(errors) == (n, d)) else (n, d, d)
    part = Part(X, w, labels, np.broadcast_to(errors, shape))
    return (GappedMeasured if np.isnan(X).any() else Measured)(InMemory(part))


def full(p):
    return p.family.expand(p.covariances, p.k, p.d)


def near(found, expected, tolerance=1e-11):
    assert_allclose(found, expected, rtol=0, atol=tolerance * max(1.0, float(np.abs(expected).max())))


def in_form(second, p):
    return {
        "full": lambda: second,
        "pooled": lambda: second.sum(axis=0),
        "diag": lambda: np.diagonal(second, axis1=1, axis2=2),
        "radial": lambda: np.trace(second, axis1=1, axis2=2),
    }[p.moment]()


@sizes
@families
@kinds
@types
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_statistics_are_those_of_the_formulas(size, family, kind, dtype, gaps):
    if family in ("VEE", "EVI") and size[1] == 1:
        pytest.skip("of one feature these are other families")
    X, errors, p = problem(size, family, kind, gaps)
    X, w = X.astype(dtype), np.random.default_rng(1).uniform(0, 1, size=len(X))
    found = data_of(X, errors.astype(dtype), w).statistics(p, 2)
    errors = errors.astype(dtype)
    n_k, first, second, log_likelihood = deconvolution.statistics(
        X.astype(float), errors, p.shares, p.means, full(p), w
    )
    near(found.n_k, n_k)
    near(found.first, first)
    near(found.second, in_form(second, p))
    near(found.log_likelihood, log_likelihood)
    assert found.moment == p.moment
    assert_allclose(found.total_weight, w.sum(), rtol=1e-14)


@sizes
@kinds
@pytest.mark.parametrize("family", ["full", "diag"])
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_values_of_rows_are_those_of_the_formulas(size, family, kind, gaps):
    X, errors, p = problem(size, family, kind, gaps)
    data = data_of(X, errors)
    r, log_p, _, _ = deconvolution.e_step(X, errors, p.shares, p.means, full(p))
    near(data.evaluate(p, "log_likelihood", 1), log_p)
    near(data.evaluate(p, "responsibilities", 1), r)
    assert_array_equal(data.evaluate(p, "labels", 1), r.argmax(axis=1))
    near(data.evaluate(p, "log_densities", 1), np.log(p.shares) + deconvolution.rows(X, errors, p.means, full(p))[0])
    means, covariances = deconvolution.denoised(X, errors, p.shares, p.means, full(p))
    found = data.truth(p, True, 1)
    near(found[0], means)
    near(found[1], covariances)
    assert_array_equal(data.truth(p, False, 1)[0], found[0])


@kinds
@pytest.mark.parametrize("d", [3, 9])
@pytest.mark.parametrize("target", _kernels.available_targets())
def test_each_instruction_set(target, kind, d):
    X, errors, p = problem((150, d, 4), "full", kind, gaps=True)
    before = _kernels.target()
    _kernels.set_target(target)
    try:
        found, means = data_of(X, errors).statistics(p, 1), data_of(X, errors).truth(p, True, 1)
    finally:
        _kernels.set_target(before)
    n_k, first, second, log_likelihood = deconvolution.statistics(X, errors, p.weights, p.means, full(p))
    near(found.n_k, n_k)
    near(found.first, first)
    near(found.second, second)
    near(found.log_likelihood, log_likelihood)
    near(means[1], deconvolution.denoised(X, errors, p.weights, p.means, full(p))[1])


@kinds
@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(n_threads, family, kind):
    X, errors, p = problem((20 * 1024 + 129, 3, 4), family, kind)
    one, many = (data_of(X, errors).statistics(p, threads) for threads in (1, n_threads))
    for name in ("n_k", "first", "second", "log_likelihood", "total_weight"):
        assert_array_equal(getattr(one, name), getattr(many, name))
    for what in ("log_likelihood", "responsibilities", "labels"):
        assert_array_equal(data_of(X, errors).evaluate(p, what, 1), data_of(X, errors).evaluate(p, what, n_threads))
    for a, b in zip(data_of(X, errors).truth(p, True, 1), data_of(X, errors).truth(p, True, n_threads), strict=True):
        assert_array_equal(a, b)


@pytest.mark.parametrize("family", reference.FAMILIES)
def test_labels_and_errors(family):
    X, errors, p = problem((200, 3, 4), family, "covariances")
    labels = np.random.default_rng(0).integers(-1, 4, size=200)
    found = data_of(X, errors, labels=labels).statistics(p)
    n_k, first, second, log_likelihood = deconvolution.statistics(X, errors, p.weights, p.means, full(p), labels=labels)
    near(found.n_k, n_k)
    near(found.first, first)
    near(found.second, in_form(second, p))
    near(found.log_likelihood, log_likelihood)


@pytest.mark.parametrize("axes", [2, 3])
@pytest.mark.parametrize("scale", [1e-140, 1e-8, 1.0, 1e8, 1e140])
def test_units_change_nothing(scale, axes):
    """The product of many variances would be no number."""
    X, errors, p = problem((60, 5, 3), "full", "covariances" if axes == 3 else "variances")
    scaled = Parameters.given(p.family, p.weights, p.means * scale, p.covariances * scale**2)
    one, other = data_of(X, errors).statistics(p), data_of(X * scale, errors * scale**2).statistics(scaled)
    near(other.n_k, one.n_k)
    near(other.first / scale, one.first)
    near(other.second / scale**2, one.second)
    near(other.log_likelihood + 60 * 5 * np.log(scale), one.log_likelihood, 1e-10)


def test_errors_that_are_nearly_singular_and_large():
    """S = 1e12 v vᵀ beside components of order one: what lies across v is known as without errors."""
    rng = np.random.default_rng(0)
    v = np.array([0.6, 0.8])
    X = rng.standard_normal((200, 2)) + 1e6 * rng.standard_normal((200, 1)) * v
    p = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)])._parameters
    found = data_of(X, np.broadcast_to(1e12 * np.outer(v, v), (200, 2, 2))).statistics(p)
    across = X @ np.array([0.8, -0.6])
    second = np.array([0.8, -0.6]) @ found.second[0] @ np.array([0.8, -0.6])
    assert_allclose(second, np.sum(across**2), rtol=1e-3)  # 1e12 leaves four of sixteen digits of a row
    assert np.linalg.eigvalsh(found.second[0])[0] > 0


@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
@pytest.mark.parametrize("size", [0.0, 1e-20, 1e-12, 1e-3])
def test_small_errors_keep_their_digits(size, gaps, kind):
    """What is observed of a true value has the covariance S − S T⁻¹ S, of exact rows zero; no variance is negative.

    To 1e-12 of S, for T has condition numbers below 1e3 here.
    """
    rng = np.random.default_rng(0)
    model, S = GMM.from_parameters([1.0], np.zeros((1, 3)), [np.eye(3) + 0.9]), size * errors_of(kind, 20, 3, rng)
    S = deconvolution.covariances_of_errors(S, 20, 3)
    X = rng.standard_normal((20, 3))
    if gaps:
        X[:, 1] = np.nan
        model.missing = "marginal"
    seen = [0, 2] if gaps else [0, 1, 2]
    _, found = model.denoise(X, S, return_cov=True)
    assert (found.diagonal(axis1=1, axis2=2) >= 0).all()
    for own, errors in zip(found[:, seen][:, :, seen], S[:, seen][:, :, seen], strict=True):
        T = model.covariances_[0][np.ix_(seen, seen)] + errors
        assert_allclose(own, errors - errors @ np.linalg.solve(T, errors), rtol=0, atol=1e-12 * errors.max())


@kinds
@pytest.mark.parametrize("far", [1.0, 1e8, 1e150])
@pytest.mark.parametrize("scale", [1.0, 1e-40, 1e120])
def test_what_is_exact_of_a_row_stays_as_it_is(scale, far, kind):
    """However far away the row is and however its errors, its gaps and its features' scales differ."""
    scales = np.array([scale, 1.0, 1.0, 1.0])
    spread = (np.eye(4) + 0.5) * np.outer(scales, scales)
    turned = spread * np.outer([1, -1, 1, 1], [1, -1, 1, 1])
    model = GMM.from_parameters([0.4, 0.6], [scales, -scales], [spread, turned])
    model.set_params(missing="marginal")
    X = np.random.default_rng(0).standard_normal((9, 4)) * scales
    X[:, 3] *= far
    X[::2, 1] = np.nan
    S = np.zeros((9, 4)) if kind == "variances" else np.zeros((9, 4, 4))
    (S if kind == "variances" else np.einsum("iaa->ia", S))[3:, 2] = [1e-9, 1e-3, 0.1, 1.0, 10.0, 1e9]
    means, covariances = model.denoise(X, S, return_cov=True)
    exact = np.isfinite(X)
    exact[3:, 2] = False
    assert_array_equal(means[exact], X[exact])
    assert (covariances[exact] == 0).all()
    assert (covariances.swapaxes(1, 2)[exact] == 0).all()
    assert np.isfinite(means).all()
    assert np.isfinite(covariances).all()
    assert (covariances.diagonal(axis1=1, axis2=2)[~exact] > 0).all()


@kinds
def test_true_values_of_far_rows_keep_their_digits(kind):
    """Small errors beside covariances: x less S u, whose rounding is that of S, not of Σ."""
    rng, values = np.random.default_rng(0), 1e9 * np.array([[1.0, 1.0, 1.0], [1.0, -3.0, 2.0]])
    model = GMM.from_parameters([1.0], np.zeros((1, 3)), [np.eye(3) + 0.9])
    S = deconvolution.covariances_of_errors(1e-12 * errors_of(kind, 2, 3, rng), 2, 3)
    found = model.denoise(values, S)
    for x, own, errors in zip(values, found, S, strict=True):
        moved = errors @ np.linalg.solve(model.covariances_[0] + errors, x)
        assert_allclose(own, x - moved, rtol=0, atol=2e-16 * np.abs(x).max())


def test_published_iterates():
    """astroML's XDGMM, twenty iterations from a given start, to 1e-10 of its log-likelihoods."""
    shared = json.loads((DATA / "xd_shared.json").read_text())
    table = np.loadtxt(DATA / "xd2d.csv", delimiter=",", skiprows=1)
    X, S = table[:, :2], table[:, [2, 3, 3, 4]].reshape(-1, 2, 2)
    start, history = shared["start"], shared["loglik_history_start_then_after_each"]
    model = GMM(
        3,
        weights_init=start["alpha"],
        means_init=start["mu"],
        precisions_init=np.linalg.inv(start["V"]),
        reg_covar=0,
        tol=0,
        max_iter=20,
    )
    model.fit(X, error_covariances=S)
    assert_allclose(model.lower_bounds_ * len(X), history[:20], rtol=1e-10)
    assert_allclose(model.score(X, error_covariances=S) * len(X), history[20], rtol=1e-10)
    for name, value in (("weights_", "alpha"), ("means_", "mu"), ("covariances_", "V")):
        assert_allclose(getattr(model, name), shared[value], rtol=0, atol=1e-10)
