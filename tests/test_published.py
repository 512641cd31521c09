"""cgmm gives every value of tests/data/lecture_values.json and mclust_fits.json (recipes: datasets.py).

The lectures' values are printed to 17 digits and compared to EXACT. The lecture on k-means and the mixture of
unit variance divides by n_c + 1e-5, which textbooks and cgmm do not: its runs are made one iteration of cgmm
at a time, each followed by that shrinkage.
"""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import reference
from cgmm import GMM
from datasets import (
    FAMILY_OF_MODEL,
    LECTURE,
    MCLUST,
    comp755_kmeans,
    comp755_mixture,
    compact,
    invert,
    lecture15_1d,
    lecture15_2d,
    lecture15_fit1d,
    lecture15_fit2d,
    table,
)

EXACT = 1e-10
LECTURE_EPSILON = 1e-5

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")


def run(X, start, n_iter, family="full", fixed=()):
    """``n_iter`` iterations from ``start`` = (weights, means, covariances), no ``reg_covar``."""
    weights, means, covariances = start
    model = GMM(
        len(weights),
        covariance_type=family,
        tol=0,
        reg_covar=0,
        max_iter=n_iter,
        weights_init=weights,
        means_init=means,
        precisions_init=invert(covariances, family),
        fixed=fixed,
    )
    return model.fit(X)


def assert_values(expected, rtol=EXACT, **actual):
    """Each keyword against the published value of that name."""
    for name, value in actual.items():
        assert_allclose(value, expected[name], rtol=rtol, err_msg=name)


# k-means and the unit-variance mixture: COMP 755


def lecture_kmeans(X, centres, max_iter, tol=1e-3):
    """The lecture's Lloyd's: centre = sum / (n_c + epsilon), so that an empty cluster goes to the origin."""
    objective = []
    while len(objective) < max_iter and not (len(objective) > 1 and objective[-2] - objective[-1] < tol):
        labels = reference.squared_distances(X, centres).argmin(axis=1)
        n_k = np.bincount(labels, minlength=len(centres))
        result = cgmm.kmeans(X, len(centres), init=centres, max_iter=1, tol=0)
        objective.append(result.inertia_history[0])
        centres = result.centers * (n_k / (n_k + LECTURE_EPSILON))[:, np.newaxis]
    return centres, objective


@pytest.mark.parametrize("name", ["seed1_k3", "seed6_k6", "seed7_A"])
def test_comp755_kmeans(name):
    expected = LECTURE[f"comp755_kmeans_{name}"]
    centres, objective = lecture_kmeans(*comp755_kmeans(name))
    if "objective" in expected:
        assert_values(expected, objective=objective, centres=centres)
    else:
        first, final, n_iter = objective[0], objective[-1], len(objective)
        assert_values(expected, objective_first=first, objective_final=final, n_iter=n_iter)


@pytest.mark.parametrize("name", ["seed1_k3", "seed6_k6", "seed7_A"])
def test_comp755_kmeans_in_one_call(name):
    """Without the lecture's epsilon: Lloyd's of the reference, some clusters empty at first (seed 6)."""
    X, centres, max_iter = comp755_kmeans(name)
    expected, _, history = reference.kmeans(X, centres, max_iter, tol=0.0)
    result = cgmm.kmeans(X, len(centres), init=centres, max_iter=max_iter, tol=0)
    both = min(len(history), len(result.inertia_history))
    assert_allclose(result.inertia_history[:both], history[:both], rtol=EXACT)
    assert_allclose(result.centers, expected, rtol=EXACT)
    final = reference.squared_distances(X, result.centers)
    assert_array_equal(result.labels, final.argmin(axis=1))
    assert_allclose(result.inertia, final.min(axis=1).sum(), rtol=EXACT)
    assert result.inertia == result.inertia_history[-1]


def test_comp755_kmeans_restarts_help():
    """One k-means++ start in six ends 5% below the lecture's "poor initialisation", so 50 are sure to."""
    X, centres, _ = comp755_kmeans("seed6_k6")
    best = cgmm.kmeans(X, len(centres), n_init=50, random_state=0)
    assert best.inertia < 0.95 * LECTURE["comp755_kmeans_seed6_k6"]["objective_final"]


@pytest.mark.parametrize("epsilon", [0.0, LECTURE_EPSILON])
def test_comp755_mixture(epsilon):
    """Covariances fixed at the identity; an M-step at a time, its means times n_c / (n_c + epsilon)."""
    expected = LECTURE[f"comp755_mog_eps{epsilon}"]
    X, means = comp755_mixture()
    assert_values(expected, mu0=means.T)
    weights, covariances, total = np.full(3, 1 / 3), np.array([np.eye(2)] * 3), []
    for _ in range(5):
        model = run(X, (weights, means, covariances), 1, fixed=("covariances",))
        total.append(len(X) * model.lower_bounds_[0])
        weights, n_k = model.weights_, len(X) * model.weights_
        means = model.means_ * (n_k / (n_k + epsilon))[:, np.newaxis]
    assert_values(expected, ll=total, mu=means.T)


def test_comp755_mixture_in_one_call():
    X, means = comp755_mixture()
    start = np.full(3, 1 / 3), means, np.array([np.eye(2)] * 3)
    model = run(X, start, 5, fixed=("covariances",))
    assert_values(LECTURE["comp755_mog_eps0.0"], ll=len(X) * model.lower_bounds_, mu=model.means_.T)
    assert_array_equal(model.covariances_, start[2])


def test_comp755_log_sum_exp():
    """Two components, both 1000 nats below the peak of their densities: half each, nothing lost."""
    model = GMM.from_parameters([0.5, 0.5], [[-1.0], [1.0]], [[[5e-4]], [[5e-4]]])
    log_density = -1000 - 0.5 * np.log(2 * np.pi * 5e-4)
    assert_allclose(model.score_samples([[0.0]]), log_density, rtol=1e-13)
    assert_allclose(model.predict_proba([[0.0]]), [[0.5, 0.5]], rtol=1e-12)


# Two clusters apart: the blog post "Expectation Maximization"


def test_separated_clusters():
    """20 and 50 rows: weights 2/7 and 5/7, each component its own rows' maximum-likelihood estimate."""
    random = np.random.RandomState(0)
    clusters = [
        random.multivariate_normal([0, 3], np.diag([0.5, 0.8]), size=20),
        random.multivariate_normal([20, 10], np.eye(2), size=50),
    ]
    model = GMM(2, reg_covar=0, random_state=0).fit(np.concatenate(clusters))
    order = np.argsort(model.weights_)
    assert_allclose(model.weights_[order], [2 / 7, 5 / 7], rtol=1e-12)
    for c, rows in zip(order, clusters, strict=True):
        assert_allclose(model.means_[c], rows.mean(axis=0), rtol=1e-12)
        assert_allclose(model.covariances_[c], np.cov(rows.T, bias=True), rtol=EXACT)


def test_evidence_lower_bound_is_tight():
    """sum_c r_ic (log pi_c N(x_i) - log r_ic) = log p(x_i) if r are the responsibilities: PRML 9.70-9.72."""
    X, start = lecture15_fit2d(78)
    model = run(X, start, 5)
    joint = reference.log_joint(X, model.weights_, model.means_, model.covariances_, "full")
    r = model.predict_proba(X)
    entropy = -np.sum(r * np.log(np.where(r > 0, r, 1)), axis=1)
    assert_allclose(np.sum(r * joint, axis=1) + entropy, model.score_samples(X), rtol=EXACT)


# Worked examples and programs: lecture 15


@pytest.mark.parametrize("family", reference.FAMILIES)
def test_lecture15_1d(family):
    X, (weights, means, covariances) = lecture15_1d()
    start = weights, means, compact(covariances, family)
    expected = LECTURE["lec15_1d"]
    resp = GMM.from_parameters(*start, covariance_type=family).predict_proba(X)
    model = run(X, start, 1, family)
    assert_values(
        expected,
        gamma1=resp[:, 0],
        nk=6 * model.weights_,
        pi=model.weights_,
        mu=model.means_[:, 0],
        ll0=6 * model.lower_bounds_[0],
    )
    variances = reference.expand(model.covariances_, family, 2, 1)[:, 0, 0]
    own = expected["var"]
    pooled = np.full(2, np.average(own, weights=expected["nk"]))
    assert_allclose(variances, pooled if family == "tied" else own, rtol=EXACT)


def test_lecture15_2d():
    X, start = lecture15_2d()
    resp = GMM.from_parameters(*start).predict_proba(X)
    model = run(X, start, 1)
    assert_values(
        LECTURE["lec15_2d"],
        gamma1=resp[:, 0],
        nk=6 * model.weights_,
        mu=model.means_,
        cov=model.covariances_,
    )


@pytest.mark.parametrize("family", ["full", "diag", "spherical"])
def test_lecture15_fit1d(family):
    X, (weights, means, covariances) = lecture15_fit1d()
    model = run(X, (weights, means, compact(covariances, family)), 13, family)
    assert_values(
        LECTURE["lec15_fit1d"],
        ysum=X.sum(),
        mu0=means[:, 0],
        mu=model.means_[:, 0],
        var=model.covariances_.ravel(),
        pi=model.weights_,
    )


@pytest.mark.parametrize("seed", [1, 78])
def test_lecture15_fit2d(seed):
    X, start = lecture15_fit2d(seed)
    model = run(X, start, 121)
    total = len(X) * np.append(model.lower_bounds_, model.score(X))
    assert_values(
        LECTURE[f"lec15_fit2d_seed{seed}"],
        mu0=start[1],
        mu=model.means_,
        pi=model.weights_,
        cov=model.covariances_,
        ll_first=total[0],
        ll_final=total[-1],
        n_decreases=np.sum(np.diff(total) < 0),
    )


# R's mclust

mclust = pytest.mark.parametrize("published", MCLUST, ids=lambda f: f"{f['dataset']}-{f['model']}-{f['k']}")

# Where EM starts, and how often. With k-means none of 40 starts is enough (faithful VVV 4, diabetes VVV 4
# and VVI 4), one in six is (faithful EEE 4), or a component now and then starts on one row (diabetes VVV).
STARTS = {
    ("faithful", "VVV", 4): ("random", 10),
    ("faithful", "EEE", 4): ("kmeans", 40),
    ("diabetes", "VVV", 2): ("random", 10),
    ("diabetes", "VVV", 3): ("random", 30),
    ("diabetes", "VVV", 4): ("random", 10),
    ("diabetes", "VVI", 4): ("random", 10),
}
USUAL_START = ("kmeans", 10)


def mclust_parameters(published):
    """Family, and weights, means, covariances in its shape."""
    family = FAMILY_OF_MODEL[published["model"]]
    covariances = compact(published["covariances"], family)
    return family, (np.array(published["weights"]), np.array(published["means"]), covariances)


@mclust
def test_mclust_criteria(published):
    """mclust's BIC and ICL are larger is better; ICL = BIC - 2 sum_i log max_c r_ic in cgmm's sign."""
    X = table(published["dataset"])
    family, parameters = mclust_parameters(published)
    model = GMM.from_parameters(*parameters, covariance_type=family)
    total = model.score(X) * len(X)
    assert_values(published, loglik=total, bic=-model.bic(X), icl=-model.icl(X))
    assert_allclose((model.aic(X) + 2 * total) / 2, published["df"], rtol=1e-9)
    assert_allclose((model.bic(X) + 2 * total) / np.log(len(X)), published["df"], rtol=1e-9)


@mclust
def test_mclust_optimum_stays(published):
    """One more step gains less than 1e-8 and moves parameters by what mclust's stopping left (up to 5e-6)."""
    X = table(published["dataset"])
    family, parameters = mclust_parameters(published)
    model = run(X, parameters, 1, family)
    before, after = len(X) * model.lower_bounds_[0], len(X) * model.score(X)
    assert_allclose(before, published["loglik"], rtol=EXACT)
    assert -1e-12 * abs(before) <= after - before < 1e-8
    assert_allclose(model.weights_, parameters[0], rtol=0, atol=1e-5)
    assert_allclose(model.means_ / X.std(axis=0), parameters[1] / X.std(axis=0), rtol=0, atol=1e-5)
    assert_allclose(model.covariances_, parameters[2], rtol=0, atol=1e-5 * np.abs(parameters[2]).max())


@mclust
def test_mclust_optimum_is_reached(published):
    """The best of some starts has mclust's log-likelihood or a higher one, by a fit that is not degenerate.

    The tolerance of 1e-5 is what an EM that converges slowly leaves when it stops at 1e-10 a row.
    """
    X, k = table(published["dataset"]), published["k"]
    family = FAMILY_OF_MODEL[published["model"]]
    init_params, n_init = STARTS.get((published["dataset"], published["model"], k), USUAL_START)
    model = GMM(
        k,
        covariance_type=family,
        tol=1e-10,
        reg_covar=0,
        max_iter=3000,
        n_init=n_init,
        init_params=init_params,
        random_state=0,
    ).fit(X)
    assert model.converged_
    assert len(X) * model.score(X) > published["loglik"] - 1e-5
    full = reference.expand(model.covariances_, family, k, X.shape[1])
    assert max(np.linalg.cond(full[c]) for c in range(k)) < 1e6
