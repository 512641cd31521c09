"""Variational Bayes: the textbook's, scikit-learn's where that is the textbook's, and laws."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
import variational
from cgmm import BayesianGMM
from datasets import DATA, table
from gaps import gappy
from posteriors import FITTED, ROUNDING, assert_close, fitted, shares_of
from problems import clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
kinds = pytest.mark.parametrize("kind", ["dirichlet_process", "dirichlet_distribution"])
# scikit-learn 1.9.1, and exact updates in NumPy: 30 iterations from labels, of which a tenth is spread over all.
PUBLISHED = json.loads((DATA / "variational.json").read_text())


def assert_is_posterior(model, posterior, family, rtol=ROUNDING):
    assert_close(model, posterior["m"], "means_", rtol)
    assert_close(model, variational.covariances_of(posterior, family), "covariances_", rtol)
    assert_close(model, variational.expected_weights(posterior), "weights_", rtol)
    assert_close(model, posterior["b"], "mean_precision_", rtol)
    assert_close(model, variational.degrees_of(posterior, family), "degrees_of_freedom_", rtol)
    assert_close(model, posterior["concentration"], "weight_concentration_", rtol)


def told(fit):
    return "-".join([fit["dataset"], *(str(value) for value in list(fit["arguments"].values())[:3])])


@pytest.mark.parametrize("fit", PUBLISHED["fits"], ids=told)
def test_published_iterates(fit):
    arguments = fit["arguments"]
    k, X = arguments["n_components"], table(fit["dataset"])
    labels = np.array(PUBLISHED["labels"][f"{fit['dataset']}-{k}"])
    model = BayesianGMM(**arguments, responsibilities_init=0.9 * np.eye(k)[labels] + 0.1 / k).fit(X)
    assert_close(model, np.array(fit["means"]), "means_")
    assert_close(model, np.array(fit["covariances"]), "covariances_")
    assert_allclose(model.lower_bounds_[[0, -1]], fit["lower_bounds"], rtol=1e-12)
    if "scikit_learn" in fit:  # the same but for a constant of the lower bound
        assert_close(model, np.array(fit["scikit_learn"]["weights"]), "weights_")
        constant = model.lower_bounds_[[0, -1]] - fit["scikit_learn"]["lower_bounds"]
        assert abs(constant[1] - constant[0]) <= 1e-11 * abs(model.lower_bound_)


@families
@kinds
@pytest.mark.parametrize("d", [1, 2, 5])
@pytest.mark.parametrize("reg_covar", [0.0, 0.01])
def test_updates_are_the_textbooks(family, kind, d, reg_covar):
    X, k = clusters(60, d, 3), 4
    w = np.random.default_rng(1).integers(0, 4, len(X)).astype(float)
    given = {"concentration": 0.7, "b": 0.3, "m": np.ones(d), "nu": d + 0.5}
    prior = variational.default_prior(X, k, family, kind, **given)
    posteriors, bounds = variational.run(X, shares_of(60, k), prior, family, 12, w, reg_covar)
    model = fitted(
        X,
        k,
        w,
        covariance_type=family,
        weight_concentration_prior_type=kind,
        weight_concentration_prior=0.7,
        mean_precision_prior=0.3,
        mean_prior=np.ones(d),
        degrees_of_freedom_prior=d + 0.5,
        covariance_prior=prior["S"],
        reg_covar=reg_covar,
    )
    assert_is_posterior(model, posteriors[-1], family)
    assert_close(model, bounds, "lower_bounds_")
    r, norm, _ = variational.e_step(X, posteriors[-1], family)
    assert_allclose(model.predict_proba(X), r, atol=1e-9)
    assert_allclose(model.score_samples(X), norm, atol=1e-9 * np.abs(norm).max())


@families
@kinds
def test_the_default_prior_is_scikit_learns(family, kind):
    X, k = clusters(50, 3, 3), 4
    prior = variational.default_prior(X, k, family, kind)
    model = fitted(X, k, covariance_type=family, weight_concentration_prior_type=kind)
    posteriors, bounds = variational.run(X, shares_of(50, k), prior, family, 12)
    assert_is_posterior(model, posteriors[-1], family)
    assert_close(model, bounds, "lower_bounds_")
    assert_allclose(model.covariance_prior_, prior["S"], rtol=1e-12)
    assert_allclose(model.mean_prior_, prior["m"], rtol=1e-12)
    told = model.weight_concentration_prior_, model.mean_precision_prior_, model.degrees_of_freedom_prior_
    assert told == (0.25, 1.0, 3.0)


@families
@pytest.mark.parametrize("d", [1, 3])
def test_scikit_learns_iterates(family, d):
    """Where its updates are the exact ones: one feature, or matrices."""
    mixture = pytest.importorskip("sklearn.mixture")
    if family in ("diag", "spherical") and d > 1:
        pytest.skip("scikit-learn takes the digammas of a Wishart distribution there: docs/bayesian.md")

    class FromShares(mixture.BayesianGaussianMixture):
        def _initialize_parameters(self, X, random_state, **rest):
            self._initialize(X, shares_of(len(X), self.n_components))

    X = clusters(200, d, 3, distance=2.0)
    arguments = {"covariance_type": family, "tol": 1e-2, "max_iter": 500, "reg_covar": 1e-6, "random_state": 0}
    theirs = FromShares(n_components=5, **arguments).fit(X)
    ours = BayesianGMM(5, **arguments, responsibilities_init=shares_of(200, 5)).fit(X)
    assert (ours.n_iter_, ours.converged_) == (theirs.n_iter_, theirs.converged_)
    for name in ("precisions_cholesky_", *FITTED[:5]):
        assert_close(ours, getattr(theirs, name), name, 1e-9)
    assert_close(ours, np.array(theirs.weight_concentration_), "weight_concentration_", 1e-9)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), atol=1e-8)
    difference = ours.score_samples(X) - theirs.score_samples(X)
    assert np.ptp(difference) < 1e-8 and (family == "tied" or abs(difference[0]) < 1e-8)
    assert_array_equal(ours.predict(X), theirs.predict(X))


@families
@kinds
def test_gaps_have_a_posterior_of_their_own(family, kind):
    """From the posterior of a few iterations on complete rows; one row has nothing observed."""
    X, k = clusters(50, 3, 3), 3
    rows = gappy(X, 0.3)
    rows[0] = np.nan
    w = np.random.default_rng(2).integers(1, 3, len(X)).astype(float)
    prior = variational.default_prior(X, k, family, kind)
    given = {"mean_prior": prior["m"], "covariance_prior": prior["S"], "weight_concentration_prior_type": kind}
    model = fitted(X, k, w, covariance_type=family, missing="marginal", max_iter=3, warm_start=True, **given)
    posterior = variational.run(X, shares_of(50, k), prior, family, 3, w)[0][-1]
    bounds = []
    for _ in range(5):
        r, _, believed = variational.e_step(rows, posterior, family)
        posterior = variational.m_step(r, believed, prior, family, w)
        bounds.append(variational.elbo(r, believed, posterior, prior, family, w))
    model.set_params(max_iter=5).fit(rows, sample_weight=w)
    assert_is_posterior(model, posterior, family)
    assert_close(model, np.array(bounds), "lower_bounds_")
    assert (np.diff(bounds) > 0).all()


@families
@kinds
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_the_lower_bound_never_falls(family, kind, dtype):
    """Of float32 rows the logarithms are exact to the rounding of float32."""
    X = clusters(400, 3, 4, distance=2.5).astype(dtype)
    model = BayesianGMM(
        8, covariance_type=family, weight_concentration_prior_type=kind, tol=0, max_iter=80, reg_covar=0, random_state=0
    ).fit(X)
    rounding = 1e-13 if dtype == np.float64 else 1e-6
    assert (np.diff(model.lower_bounds_) >= -rounding * np.abs(model.lower_bound_)).all()


@families
def test_float32_rows_are_float64_rows_to_their_rounding(family):
    X = clusters(500, 4, 3).astype(np.float32)
    one, two = fitted(X, 5, covariance_type=family), fitted(X.astype(np.float64), 5, covariance_type=family)
    for name in ("means_", "covariances_", "weights_"):
        assert_close(one, getattr(two, name), name, 1e-4)
    assert abs(one.lower_bound_ - two.lower_bound_) <= 1e-6 * abs(two.lower_bound_)


@families
def test_weight_two_is_the_row_twice(family):
    X = clusters(150, 2, 3)
    w = np.random.default_rng(0).integers(0, 3, 150)
    shares = shares_of(150, 4)
    one = fitted(X, 4, w, covariance_type=family, responsibilities_init=shares)
    two = fitted(np.repeat(X, w, axis=0), 4, covariance_type=family, responsibilities_init=np.repeat(shares, w, axis=0))
    for name in FITTED:
        assert_close(one, getattr(two, name), name, 1e-11)


@families
@kinds
@pytest.mark.parametrize("d", [1, 3])
def test_the_predictive_density_is_a_mixture_of_t_distributions(family, kind, d):
    X = clusters(60, d, 3)
    prior = variational.default_prior(X, 3, family, kind)
    posterior = variational.run(X, shares_of(60, 3), prior, family, 12)[0][-1]
    model = fitted(X, 3, covariance_type=family, weight_concentration_prior_type=kind)
    rows = np.concatenate([X, 100 * X])
    expected = variational.log_predictive(rows, posterior, family)
    assert_allclose(model.log_predictive(rows), expected, rtol=1e-9)
    assert_allclose(model.log_predictive([rows[:50], rows[50:]]), expected, rtol=1e-9)
    assert_allclose(model.log_predictive(rows.astype(np.float32)), expected, rtol=1e-4)


@families
def test_the_predictive_density_integrates_to_one(family):
    """Over the line; and, of a row with a gap, that of what is observed is the integral over what may be there."""
    model = fitted(clusters(30, 1, 2), 3, covariance_type=family)
    tangent = np.tan(np.pi * (np.arange(1, 40001) - 20000.5) / 40001)  # from −∞ to ∞
    weights = np.pi / 40001 * (1 + tangent**2)
    assert_allclose(weights @ np.exp(model.log_predictive(tangent[:, np.newaxis])), 1.0, rtol=1e-4)
    model = fitted(clusters(30, 3, 2), 3, covariance_type=family, missing="marginal")
    rows = np.column_stack([np.full(len(tangent), 0.3), tangent, np.full(len(tangent), -0.2)])
    gap = np.array([[0.3, np.nan, -0.2], [np.nan] * 3, [0.3, 0.1, -0.2]])
    found = model.log_predictive(gap)
    assert_allclose(found[0], np.log(weights @ np.exp(model.log_predictive(rows))), rtol=1e-5)
    assert found[1] == 0
    assert_allclose(found[2], model.log_predictive(gap[2:])[0], rtol=1e-12)


@families
def test_the_predictive_density_has_the_same_bits_for_any_number_of_threads(family):
    X = clusters(3000, 3, 3)
    model = fitted(X, 3, covariance_type=family)
    one, two = (model.set_params(n_threads=threads).log_predictive(X) for threads in (1, 3))
    assert_array_equal(one, two)


def along_scikit_learn(X, labels, k, family, iterations):
    """scikit-learn's model from labels, and the evidence lower bound of each of its iterations."""
    mixture = pytest.importorskip("sklearn.mixture")
    prior, rows, bounds = variational.default_prior(X, k, family), variational.completed(X, k), []

    class Watched(mixture.BayesianGaussianMixture):
        def _initialize_parameters(self, X, random_state, **rest):
            self._initialize(X, 0.9 * np.eye(k)[labels] + 0.1 / k)

        def _m_step(self, X, log_resp, **rest):
            super()._m_step(X, log_resp, **rest)
            nu = self.degrees_of_freedom_
            posterior = {
                "concentration": np.array(self.weight_concentration_),
                "b": self.mean_precision_,
                "m": self.means_,
                "nu": nu,
                "S": nu.reshape(-1, *[1] * (np.ndim(self.covariances_) - 1)) * self.covariances_,
            }
            bounds.append(variational.elbo(np.exp(log_resp), rows, posterior, prior, family))

    arguments = {"covariance_type": family, "tol": 0, "max_iter": iterations, "reg_covar": 0}
    model = Watched(n_components=k, **arguments).fit(X)
    return model, np.array(bounds)


@pytest.mark.filterwarnings("ignore:Best performing:UserWarning")
@pytest.mark.parametrize("family", ["diag", "spherical"])
def test_what_the_lower_bound_does_along_scikit_learns_iterates(family):
    """It falls, on iris from a tenth of all rows in each component: docs/bayesian.md has the numbers."""
    X, labels = table("iris"), np.array(PUBLISHED["labels"]["iris-5"])
    theirs, bounds = along_scikit_learn(X, labels, 5, family, 30)
    assert np.diff(bounds).min() < -0.005
    ours = BayesianGMM(
        5,
        covariance_type=family,
        tol=0,
        max_iter=30,
        reg_covar=0,
        responsibilities_init=0.9 * np.eye(5)[labels] + 0.02,
    ).fit(X)
    assert np.diff(ours.lower_bounds_).min() >= 0
    assert np.abs(ours.means_ - theirs.means_).max() > 0.01


@kinds
@pytest.mark.parametrize("weight", [1e-290, 1e-100, 1.0, 1e100, 1e230, 1e288])
@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::cgmm.DegenerateWarning")
def test_row_weights_of_all_sizes_leave_a_bound(kind, weight):
    """And what is predicted is a number, though weights of components may be zero."""
    X = clusters(60, 2, 3)
    w = weight * 10.0 ** np.linspace(-160, 0, 60)
    model = BayesianGMM(3, weight_concentration_prior_type=kind, weight_concentration_prior=1e-9).fit(
        X, sample_weight=w
    )
    assert np.isfinite(model.lower_bounds_).all()
    assert np.isfinite(model.log_predictive(X)).all()
