"""The reference itself: against scipy, against scikit-learn, against worked examples, and its own laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

import reference
from datasets import LECTURE, compact, invert, lecture15_1d, lecture15_2d

families = pytest.mark.parametrize("family", reference.FAMILIES)


def problem(family, n=60, d=3, k=4, seed=0):
    """Rows, row weights, and a start whose covariances are far from round."""
    random = np.random.RandomState(seed)
    X = random.randn(n, d) * [1, 2, 5] + random.randint(0, 3, size=(n, 1)) * 4
    factors = random.randn(k, d, d)
    covariances = factors @ factors.transpose(0, 2, 1) + np.eye(d)
    weights = random.dirichlet(np.ones(k))
    return X, random.uniform(0.5, 2, size=n), (weights, X[:k], compact(covariances, family))


@families
def test_densities_are_scipys(family):
    X, _, (weights, means, covariances) = problem(family)
    full = reference.expand(covariances, family, 4, 3)
    expected = np.array([multivariate_normal.logpdf(X, means[c], full[c]) for c in range(4)]).T
    assert_allclose(reference.log_densities(X, means, covariances, family), expected, rtol=1e-12)
    mixture = np.log(np.exp(expected) @ weights)
    assert_allclose(reference.log_likelihoods(X, weights, means, covariances, family), mixture, rtol=1e-12)


def test_log_sum_exp_far_from_zero():
    assert_allclose(reference.log_sum_exp(np.full((1, 2), -1000.0)), -1000 + np.log(2), rtol=1e-15)


@families
@pytest.mark.parametrize("reg_covar", [0.0, 1e-2])
def test_em_is_scikit_learns(family, reg_covar):
    mixture = pytest.importorskip("sklearn.mixture")
    X, _, (weights, means, covariances) = problem(family)
    theirs = mixture.GaussianMixture(
        4,
        covariance_type=family,
        tol=0,
        reg_covar=reg_covar,
        max_iter=20,
        weights_init=weights,
        means_init=means,
        precisions_init=invert(covariances, family),
    )
    with pytest.warns(UserWarning, match="did not converge"):
        theirs.fit(X)
    parameters, history = reference.em(X, weights, means, covariances, family, 20, reg_covar)
    assert_allclose(history, theirs.lower_bounds_, rtol=1e-11)
    for ours, expected in zip(parameters, (theirs.weights_, theirs.means_, theirs.covariances_), strict=True):
        assert_allclose(ours, expected, rtol=1e-9, atol=1e-10)
    assert reference.n_parameters(4, 3, family) == theirs._n_parameters()


@families
def test_weight_counts_rows(family):
    X, _, start = problem(family)
    counts = np.arange(len(X)) % 3
    weighted, history = reference.em(X, *start, family, 5, sample_weight=counts)
    repeated, expected = reference.em(np.repeat(X, counts, axis=0), *start, family, 5)
    assert_allclose(history, expected, rtol=1e-12)
    for a, b in zip(weighted, repeated, strict=True):
        assert_allclose(a, b, rtol=1e-9)


@families
def test_maximise_comes_from_statistics(family):
    """Mean = shift + first / n_k, scatter = second - first first^T / n_k, about any shift."""
    X, w, start = problem(family)
    resp = reference.responsibilities(X, *start, family)
    weights, means, covariances = reference.maximise(X, w, resp, family, reg_covar=0.1)
    totals = reference.statistics(X, w, resp, shift=start[1])
    n_k, first = totals["n_k"], totals["first"]
    assert_allclose(weights, n_k / totals["total_weight"], rtol=1e-12)
    assert_allclose(means, start[1] + first / n_k[:, np.newaxis], rtol=1e-12)
    scatter = np.array([totals["second"][c] - np.outer(first[c], first[c]) / n_k[c] for c in range(4)])
    full = scatter / n_k[:, np.newaxis, np.newaxis]
    expected = {
        "full": full,
        "tied": scatter.sum(axis=0) / n_k.sum(),
        "diag": compact(full, "diag"),
        "spherical": np.trace(full, axis1=1, axis2=2) / 3,
    }[family]
    assert_allclose(
        reference.expand(covariances, family, 4, 3),
        reference.expand(expected, family, 4, 3) + 0.1 * np.eye(3),
        rtol=1e-9,
        atol=1e-12,
    )


@families
@pytest.mark.parametrize("fixed", [("weights",), ("means",), ("covariances",), ("weights", "covariances")])
def test_likelihood_never_falls(family, fixed):
    X, w, start = problem(family)
    parameters, history = reference.em(X, *start, family, 15, sample_weight=w, fixed=fixed)
    assert np.all(np.diff(history) > 0)
    for name, before, after in zip(("weights", "means", "covariances"), start, parameters, strict=True):
        assert np.array_equal(before, after) == (name in fixed)


def test_lecture_1d():
    X, start = lecture15_1d()
    expected = LECTURE["lec15_1d"]
    resp = reference.responsibilities(X, *start, "full")
    (weights, means, covariances), history = reference.em(X, *start, "full", 1)
    assert_allclose(resp[:, 0], expected["gamma1"], rtol=1e-13)
    assert_allclose(resp.sum(axis=0), expected["nk"], rtol=1e-13)
    assert_allclose(6 * history, expected["ll0"], rtol=1e-13)
    assert_allclose(weights, expected["pi"], rtol=1e-13)
    assert_allclose(means[:, 0], expected["mu"], rtol=1e-13)
    assert_allclose(covariances[:, 0, 0], expected["var"], rtol=1e-13)


def test_lecture_2d():
    X, start = lecture15_2d()
    expected = LECTURE["lec15_2d"]
    resp = reference.responsibilities(X, *start, "full")
    _, means, covariances = reference.maximise(X, None, resp, "full")
    assert_allclose(resp[:, 0], expected["gamma1"], rtol=1e-13)
    assert_allclose(resp.sum(axis=0), expected["nk"], rtol=1e-13)
    assert_allclose(means, expected["mu"], rtol=1e-13)
    assert_allclose(covariances, expected["cov"], rtol=1e-13)


def test_kmeans_by_hand():
    """0 and 1 go left, 5 and 9 right, 3 is a tie and goes left; 20 has no rows and keeps its place."""
    X = np.array([[0.0], [1.0], [3.0], [5.0], [9.0]])
    centres, labels, history = reference.kmeans(X, [[1.0], [5.0], [20.0]], max_iter=1)
    assert_allclose(centres, [[4 / 3], [7.0], [20.0]], rtol=1e-15)
    assert_array_equal(labels, [0, 0, 0, 1, 1])
    assert_array_equal(history, [1 + 0 + 4 + 0 + 16])
    assert len(reference.kmeans(X, centres, max_iter=9, tol=0.0)[2]) == 1


def test_kmeans_is_scikit_learns():
    cluster = pytest.importorskip("sklearn.cluster")
    X, _, (_, centres, _) = problem("full", n=200)
    theirs = cluster.KMeans(4, init=centres, n_init=1, tol=0, algorithm="lloyd").fit(X)
    ours, labels, history = reference.kmeans(X, centres, max_iter=100, tol=0.0)
    assert_allclose(ours, theirs.cluster_centers_, rtol=1e-12)
    assert_array_equal(labels, theirs.labels_)
    assert_allclose(history[-1], theirs.inertia_, rtol=1e-12)
    assert np.all(np.diff(history) <= 0)
