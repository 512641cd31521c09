"""cgmm beside scikit-learn: the same numbers from the same start."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import reference
from cgmm import GMM
from datasets import invert, table
from problems import begin_at, clusters, start_of

mixture = pytest.importorskip("sklearn.mixture")
cluster = pytest.importorskip("sklearn.cluster")

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
FITTED = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
SIZES = [(300, 1, 2), (500, 2, 1), (400, 2, 3), (1000, 5, 4), (600, 9, 3), (900, 17, 5)]


def both(X, k, family, **arguments):
    """Ours and theirs, fitted from one start."""
    weights, means, covariances = start_of(X, k, family)
    arguments = {
        "covariance_type": family,
        "weights_init": weights,
        "means_init": means,
        "precisions_init": invert(covariances, family),
        **arguments,
    }
    return GMM(k, **arguments).fit(X), mixture.GaussianMixture(k, **arguments).fit(X)


def assert_same_parameters(ours, theirs, rtol):
    for name in FITTED:
        expected = getattr(theirs, name)
        assert getattr(ours, name).shape == expected.shape
        assert_allclose(getattr(ours, name), expected, rtol=rtol, atol=rtol * np.abs(expected).max(), err_msg=name)


@families
@pytest.mark.parametrize("n, d, k", SIZES)
@pytest.mark.parametrize("reg_covar", [0, 1e-2])
def test_fifty_iterations(n, d, k, reg_covar, family):
    X = clusters(n, d, k)
    ours, theirs = both(X, k, family, tol=0, max_iter=50, reg_covar=reg_covar)
    assert ours.n_iter_ == theirs.n_iter_ == 50
    assert ours.converged_ == theirs.converged_
    assert ours.n_features_in_ == theirs.n_features_in_
    assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-9)
    assert_same_parameters(ours, theirs, 1e-7)


@families
@pytest.mark.parametrize("name, k", [("faithful", 2), ("iris", 3), ("diabetes", 3)])
def test_real_data(name, k, family):
    ours, theirs = both(table(name), k, family, tol=0, max_iter=50)
    assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    assert_same_parameters(ours, theirs, 1e-7)


@families
@pytest.mark.parametrize("n, d, k", SIZES)
def test_predictions(n, d, k, family):
    """Of new rows, near and far; the parameters agree to 1e-9 after five iterations."""
    X = clusters(n, d, k)
    new = np.concatenate([clusters(n, d, k, seed=1), 50 * clusters(20, d, k)])
    ours, theirs = both(X, k, family, tol=0, max_iter=5)
    assert_allclose(ours.score_samples(new), theirs.score_samples(new), rtol=1e-9)
    assert_allclose(ours.predict_proba(new), theirs.predict_proba(new), rtol=1e-6, atol=1e-9)
    assert_array_equal(ours.predict(new), theirs.predict(new))
    assert_array_equal(ours.fit_predict(X), theirs.predict(X))
    for value in ("score", "aic", "bic"):
        assert_allclose(getattr(ours, value)(new), getattr(theirs, value)(new), rtol=1e-9, err_msg=value)
        assert np.ndim(getattr(ours, value)(new)) == 0
    assert ours.predict(new).shape == (n + 20,)
    assert ours.predict_proba(new).shape == (n + 20, k)
    assert ours.sample(7)[0].shape == theirs.sample(7)[0].shape
    assert ours.sample(7)[1].shape == theirs.sample(7)[1].shape


@families
@pytest.mark.parametrize("n, d, k", SIZES)
@pytest.mark.parametrize("tol", [1e-3, 1e-5])
def test_convergence(n, d, k, tol, family):
    ours, theirs = both(clusters(n, d, k), k, family, tol=tol, max_iter=200)
    assert ours.n_iter_ == theirs.n_iter_
    assert ours.converged_ == theirs.converged_
    assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    assert type(ours.converged_) is bool and type(ours.n_iter_) is int


def test_defaults_mean_the_same():
    theirs = mixture.GaussianMixture().get_params()
    ours = GMM().get_params()
    assert {name: ours[name] for name in theirs} == theirs


@families
@pytest.mark.parametrize("max_iter", [0, 1, 3])
def test_few_iterations_of_one_component(max_iter, family):
    """Given arrays and the data alone decide where they start; with max_iter=0 it is also where they end."""
    X = clusters(300, 3, 2)
    for name, value in [("weights_init", [1.0]), ("means_init", X[:1]), ("weights_init", None)]:
        arguments = {name: value, "covariance_type": family, "max_iter": max_iter, "tol": 0}
        ours, theirs = GMM(1, **arguments).fit(X), mixture.GaussianMixture(1, **arguments).fit(X)
        assert_same_parameters(ours, theirs, 1e-9)
        assert ours.n_iter_ == theirs.n_iter_ == max_iter
        assert ours.converged_ == theirs.converged_
        assert_allclose(ours.lower_bound_, theirs.lower_bound_, rtol=1e-9)
        assert len(ours.lower_bounds_) == max_iter


@families
def test_no_iteration_keeps_the_start(family):
    """Its very bits. (scikit-learn 1.9 raises AttributeError here, where every array is given.)"""
    X = clusters(500, 4, 3)
    start = weights, means, covariances = start_of(X, 3, family)
    ours = begin_at(start, family, max_iter=0).fit(X)
    assert_array_equal(ours.weights_, weights)
    assert_array_equal(ours.means_, means)
    assert_allclose(ours.covariances_, covariances, rtol=1e-10, atol=1e-10)
    assert_allclose(ours.score_samples(X), reference.log_likelihoods(X, *start, family), rtol=1e-11)


@families
def test_weights_are_repeated_rows(family):
    """scikit-learn has no sample_weight: it is given each row as often as its weight says."""
    X = clusters(700, 3, 3)
    counts = np.random.default_rng(0).integers(0, 4, size=700)
    repeated = np.repeat(X, counts, axis=0)
    weights, means, covariances = start_of(repeated, 3, family)
    start = {"weights_init": weights, "means_init": means, "precisions_init": invert(covariances, family)}
    arguments = {"covariance_type": family, "tol": 0, "max_iter": 50, **start}
    ours = GMM(3, **arguments).fit(X, sample_weight=counts)
    theirs = mixture.GaussianMixture(3, **arguments).fit(repeated)
    assert_allclose(ours.lower_bounds_, theirs.lower_bounds_, rtol=1e-9)
    assert_same_parameters(ours, theirs, 1e-7)
    assert_allclose(ours.score(X, sample_weight=counts), theirs.score(repeated), rtol=1e-9)


@families
def test_warm_start(family):
    ours, theirs = both(clusters(900, 3, 3), 3, family, tol=0, max_iter=7, warm_start=True)
    X = clusters(900, 3, 3, seed=2)
    ours.fit(X)
    theirs.fit(X)
    assert_allclose(ours.lower_bounds_, theirs.lower_bounds_[-7:], rtol=1e-9)
    assert_same_parameters(ours, theirs, 1e-8)


@pytest.mark.parametrize("n, d, k", SIZES)
@pytest.mark.parametrize("weighted", [False, True])
def test_kmeans(n, d, k, weighted):
    X = clusters(n, d, k)
    w = np.random.default_rng(0).uniform(0.5, 2, size=n) if weighted else None
    init = start_of(X, k, "full")[1]
    theirs = cluster.KMeans(k, init=init, n_init=1, tol=0, max_iter=300, algorithm="lloyd").fit(X, sample_weight=w)
    ours = cgmm.kmeans(X, k, init=init, tol=0, max_iter=300, sample_weight=w)
    assert_allclose(ours.centers, theirs.cluster_centers_, rtol=1e-9, atol=1e-12)
    assert_array_equal(ours.labels, theirs.labels_)
    assert_allclose(ours.inertia, theirs.inertia_, rtol=1e-9)
