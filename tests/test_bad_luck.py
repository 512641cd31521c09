"""Ordinary bad luck: data far from the origin in float32, and data on which a component cannot be estimated."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose

import cgmm
import reference
from cgmm import GMM
from datasets import compact
from problems import FITTED, begin_at, clusters
from survival import assert_told

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


# float32 far from the origin


@families
@pytest.mark.parametrize("offset", [0, 1e4, -1e4])
@pytest.mark.parametrize("spread", [1, 0.01])
@pytest.mark.parametrize("n, d, k", [(500, 2, 3), (3000, 8, 4)])
def test_float32_is_near_float64(n, d, k, spread, offset, family):
    """At 1e4 the numbers of float32 are 0.001 apart, yet no variance is negative.

    Both fits see the same numbers. The bound is that of one log-density, δ in test_kernels.py, where the squared
    norm of x − μ is d, and 4 d with what is subtracted: in units of the data's deviation EM does not enlarge it.
    """
    X = (spread * clusters(n, d, k) + offset).astype(np.float32)
    model = GMM(k, covariance_type=family, reg_covar=0, tol=0, max_iter=20, random_state=0)
    single, double = (fitted(model.fit(rows)) for rows in (X, X.astype(np.float64)))
    variances = np.linalg.eigvalsh(reference.expand(single["covariances_"], family, k, d))
    assert variances.min() > 0
    sigma = X.std(axis=0, dtype=np.float64).max()
    for name, unit in zip(FITTED, (1, sigma, sigma**2, 1), strict=True):
        bound = np.finfo(np.float32).eps * (d + 4) * 4 * d * unit
        assert_allclose(single[name], double[name], rtol=0, atol=bound, err_msg=name)


def fitted(model):
    return {name: getattr(model, name) for name in FITTED}


# A component that cannot be estimated


def empty_component():
    """Component 2 begins where no row is."""
    X = clusters(300, 2, 2)
    means = np.array([[-2.0, 0.0], [2.0, 0.0], [1e6, 1e6]])
    return X, (np.full(3, 1 / 3), means, np.array([np.eye(2)] * 3))


def duplicate_rows():
    """Component 2 has 40 rows, all (60, 60)."""
    X = np.concatenate([clusters(300, 2, 2), np.full((40, 2), 60.0)])
    means = np.array([[-2.0, 0.0], [2.0, 0.0], [60.5, 59.5]])
    return X, (np.array([0.4, 0.4, 0.2]), means, np.array([np.eye(2)] * 3))


def one_value():
    """Component 0 has all rows, and they are equal; component 1 has none."""
    return np.full((50, 2), 3.0), (
        np.array([0.5, 0.5]),
        np.array([[3.5, 3.0], [1e6, 0.0]]),
        np.array([np.eye(2)] * 2),
    )


def constant_column():
    X = clusters(300, 3, 2)
    X[:, 1] = 7.0
    means = np.array([[-2.0, 7.0, 0.0], [2.0, 7.0, 0.0]])
    return X, (np.array([0.5, 0.5]), means, np.array([np.eye(3)] * 2))


EMPTY, INDEFINITE = "no row belong", "its covariance is singular"
BAD_LUCK = [  # data, family, what is said of which component
    *[(empty_component, family, {2: EMPTY}) for family in reference.FAMILIES],
    *[(duplicate_rows, family, {2: INDEFINITE}) for family in ("full", "diag", "spherical")],
    *[(one_value, family, {0: INDEFINITE, 1: EMPTY}) for family in reference.FAMILIES],
    *[(constant_column, family, {0: INDEFINITE, 1: INDEFINITE}) for family in ("full", "diag")],
    (constant_column, "tied", {0: INDEFINITE}),
    (constant_column, "spherical", {}),
    (duplicate_rows, "tied", {}),
]


@types
@pytest.mark.parametrize("data, family, told", BAD_LUCK)
def test_one_warning_names_the_components(data, family, told, dtype):
    X, (weights, means, covariances) = data()
    model = begin_at((weights, means, compact(covariances, family)), family, reg_covar=0, tol=1e-3)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.fit(X.astype(dtype))
    others = [w for w in caught if not issubclass(w.category, cgmm.ConvergenceWarning)]
    messages = [str(w.message) for w in others]
    assert all(w.category is cgmm.DegenerateWarning for w in others)
    assert len(messages) == (1 if told else 0)
    if data is constant_column and told:
        assert "Feature 1 is constant" in messages[0] and "component" not in messages[0]
    elif told:
        assert_told(messages[0], model.diagnostics_.degenerate)
        assert set(told) <= {repair.component for repair in model.diagnostics_.degenerate}
        assert all(cause in messages[0] for cause in told.values())
    assert_usable(model, X.astype(dtype))


def assert_usable(model, X):
    """Finite, covariances positive definite, and every row somewhere near: no density is unheard of."""
    for name in (*FITTED, "precisions_", "precisions_cholesky_"):
        assert np.isfinite(getattr(model, name)).all()
    full = reference.expand(model.covariances_, model.covariance_type, *model.means_.shape)
    np.linalg.cholesky(full)
    assert_allclose(model.weights_.sum(), 1, rtol=1e-6)
    assert_allclose(model.predict_proba(X).sum(axis=1), 1, rtol=1e-6)
    assert model.score_samples(X).min() > -1000
    assert_allclose(model.predict_proba(X).mean(axis=0), model.weights_, atol=0.05)


@pytest.mark.parametrize("data", [duplicate_rows, constant_column])
@pytest.mark.parametrize("family", ["full", "diag"])
def test_repair_in_other_units(data, family):
    """Each feature in its own unit, powers of two: variances scale by their squares, mended ones too.

    A mended standard deviation is 1e-6 of the data's; log-densities there are known to eps · 1e12 only.
    """
    X, (weights, means, covariances) = data()
    units = 2.0 ** np.array([-15, 15, 0])[: X.shape[1]]
    scaled = covariances * np.outer(units, units)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cgmm.DegenerateWarning)
        ours = begin_at((weights, means, compact(covariances, family)), family, reg_covar=0).fit(X)
        other = begin_at((weights, means * units, compact(scaled, family)), family, reg_covar=0).fit(X * units)
    variances = [
        np.diagonal(reference.expand(model.covariances_, family, *means.shape), axis1=1, axis2=2)
        for model in (ours, other)
    ]
    assert_allclose(variances[1] / units**2, variances[0], rtol=1e-3)
    assert_allclose(other.lower_bounds_ + np.log(units).sum(), ours.lower_bounds_, rtol=0, atol=1e-3)


@families
@types
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("distinct", [1, 3])
@pytest.mark.parametrize("reg_covar", [0, 1e-6])
def test_fewer_distinct_rows_than_components(reg_covar, distinct, init, family, dtype):
    X = np.repeat(np.array([[0.5, -4.0], [1.0, 3.0], [5.0, -2.0]], dtype=dtype)[:distinct], 20, axis=0)
    model = GMM(5, covariance_type=family, init_params=init, reg_covar=reg_covar, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cgmm.DegenerateWarning)
        assert_usable(model.fit(X), X)
