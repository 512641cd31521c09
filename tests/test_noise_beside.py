"""What a noise component stands beside: families whose components share matrices, assignment, orders, other programs'
mixtures, and verbs of a distribution, which have none of it."""

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM, BayesianGMM, GMMRegressor
from cgmm.mixture.families import FAMILIES
from problems import assert_same_bits

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
K, D = 3, 2
BEGINS = 0.1  # the weight with which a noise component begins where all parameters are given
DENSITY = 2e-3


def scattered(n=900, share=0.2, seed=0):
    """Rows of three clusters that differ in size, shape and axes, and uniform noise about them."""
    rng = np.random.default_rng(seed)
    own = np.where(rng.random(n) < share, -1, rng.integers(K, size=n))
    turns = np.array([[[1.5, 0.4], [0.0, 0.5]], [[0.8, -0.6], [0.3, 0.9]], [[0.5, 0.0], [0.7, 1.2]]])
    X = 10.0 * np.array([[0, 0], [1, 0], [0, 1]])[own] + np.einsum("imj,im->ij", turns[own], rng.normal(size=(n, D)))
    X[own < 0] = rng.uniform(-10, 20, size=(np.count_nonzero(own < 0), D))
    return X


@pytest.fixture(scope="module")
def noisy():
    """A mixture beside noise, and its rows."""
    X = scattered()
    return GMM(K, noise_component="uniform", random_state=0, covariance_type="diag").fit(X), X


def responsibilities(model, X):
    """Of the components (n,k) beside noise that weighs BEGINS and has the density DENSITY, in NumPy."""
    covariances = model._parameters.family.expand(model.covariances_, K, D)
    away = X[:, None] - model.means_
    squares = np.einsum("icj,cjm,icm->ic", away, np.linalg.inv(covariances), away)
    volumes = np.sqrt(np.linalg.det(2 * np.pi * covariances))
    densities = (1 - BEGINS) * model.weights_ * np.exp(-0.5 * squares) / volumes
    return densities / (densities.sum(axis=1, keepdims=True) + BEGINS * DENSITY)


@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-8), (np.float32, 1e-3)])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("family", [name for name, family in FAMILIES.items() if not family.one_feature])
def test_an_m_step_is_that_of_what_is_no_noise(family, weighted, dtype, rtol):
    """Of responsibilities that sum to less than one: that of rows which weigh their sum and have shares of it."""
    X = scattered().astype(dtype)
    w = np.random.default_rng(1).uniform(0.5, 2, size=len(X)) if weighted else np.ones(len(X))
    plain = {"covariance_type": family, "reg_covar": 0, "tol": 0}
    start = GMM(K, random_state=0, max_iter=3, **plain).fit(X.astype(np.float64))
    given = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
    found = GMM(K, noise_component=DENSITY, max_iter=1, **given, **plain).fit(X, sample_weight=w)
    resp = responsibilities(start, X.astype(np.float64))
    left = resp.sum(axis=1)
    assert left.min() < 0.1 and left.max() > 0.9
    expected = GMM(K, responsibilities_init=resp / left[:, None], max_iter=0, **plain).fit(
        X.astype(np.float64), sample_weight=w * left
    )
    assert_allclose(found.noise_weight_, 1 - w @ left / w.sum(), rtol=rtol)
    assert_allclose(found.weights_, w @ resp / w.sum(), rtol=rtol)
    assert_allclose(found.means_, expected.means_, rtol=0, atol=10 * rtol)
    atol = 10 * rtol * np.abs(expected.covariances_).max()
    assert_allclose(found.covariances_, expected.covariances_, rtol=0, atol=atol)


@pytest.mark.parametrize("family", ["EII", "EEE", "EEI"])
def test_shared_covariances_are_of_the_rows_that_are_no_noise(family):
    """Their moments over Σ_i (1 − r_i0), not over the number of rows."""
    X = scattered()
    plain = {"covariance_type": family, "reg_covar": 0, "tol": 0}
    start = GMM(K, random_state=0, max_iter=3, **plain).fit(X)
    given = {"weights_init": start.weights_, "means_init": start.means_, "precisions_init": start.precisions_}
    found = GMM(K, noise_component=DENSITY, max_iter=1, **given, **plain).fit(X)
    resp = responsibilities(start, X)
    means = resp.T @ X / resp.sum(axis=0)[:, None]
    away = X[:, None] - means
    scatter = np.einsum("ic,icj,icm->jm", resp, away, away) / resp.sum()
    expected = {"EII": np.eye(D) * np.trace(scatter) / D, "EEE": scatter, "EEI": np.diag(np.diagonal(scatter))}[family]
    covariances = found._parameters.family.expand(found.covariances_, K, D)
    assert_allclose(covariances, np.tile(expected, (K, 1, 1)), rtol=0, atol=1e-9 * np.trace(scatter))


@pytest.mark.parametrize("family", ["EII", "VVE", "EVV", "VEE"])
def test_families_find_clusters_in_noise(family):
    X = scattered()
    model = GMM(K, covariance_type=family, noise_component="uniform", random_state=0, tol=1e-6, max_iter=500).fit(X)
    assert abs(model.noise_weight_ - 0.2) < 0.05
    assert np.diff(model.lower_bounds_).min() > -1e-10
    away = np.linalg.norm(model.means_[:, None] - 10.0 * np.array([[0, 0], [1, 0], [0, 1]]), axis=2)
    assert away.min(axis=0).max() < 0.5


def test_few_rows_beside_noise_are_not_fitted_as_if_there_were_none():
    """The compiled fits of few rows know no noise."""
    X = scattered(n=150)
    plain, noisy = (GMM(K, random_state=0, noise_component=noise).fit(X) for noise in (None, "uniform"))
    assert plain.noise_weight_ == 0 < noisy.noise_weight_
    assert not np.array_equal(plain.means_, noisy.means_)


def test_another_order_keeps_the_noise(noisy):
    model, X = noisy
    ordered = model.sorted("weights", reverse=True)
    order = np.argsort(-model.weights_)
    assert_array_equal(ordered.weights_, model.weights_[order])
    assert ordered.noise_weight_ == model.noise_weight_ > 0
    assert_allclose(ordered.score_samples(X), model.score_samples(X), rtol=1e-12)
    told = []
    model.sorted(lambda weight, mean, covariance: told.append(weight) or weight)
    assert_array_equal(told, model.weights_)


def test_names_that_users_of_scikit_learn_know_count_the_noise(noisy):
    model, X = noisy
    assert_allclose(model._estimate_log_weights(), np.log(model.weights_))
    weighted = model._estimate_log_prob(X) + model._estimate_log_weights()
    assert_allclose(weighted, model._estimate_weighted_log_prob(X), rtol=1e-9)
    log_likelihood, log_resp = model._estimate_log_prob_resp(X)
    assert_allclose(log_likelihood, model.score_samples(X), rtol=1e-12)
    assert_allclose(np.exp(log_resp), model.predict_proba(X), rtol=0, atol=1e-12)


VERBS = {
    "mean": lambda model, X: model.mean(),
    "covariance": lambda model, X: model.covariance(),
    "marginal": lambda model, X: model.marginal([0]),
    "condition": lambda model, X: model.condition({0: 1.0}),
    "conditional": lambda model, X: model.conditional(X[:, :1], 0),
    "affine": lambda model, X: model.affine(np.eye(D)),
    "convolve": lambda model, X: model.convolve(1.0),
    "product": lambda model, X: model.product(model),
    "product of another": lambda model, X: plain_of(model).product(model),
    "mix": lambda model, X: GMM.mix([plain_of(model), model]),
    "simplify": lambda model, X: model.simplify(2),
    "merge": lambda model, X: model.merge([0, 0, 1]),
    "entropy": lambda model, X: model.entropy(),
    "kl_divergence": lambda model, X: plain_of(model).kl_divergence(model),
    "bhattacharyya": lambda model, X: model.bhattacharyya(plain_of(model)),
    "overlap": lambda model, X: model.overlap(model),
    "wasserstein": lambda model, X: plain_of(model).wasserstein(model),
    "l2_distance": lambda model, X: model.l2_distance(plain_of(model)),
    "gradient": lambda model, X: model.gradient(X),
    "hessian": lambda model, X: model.hessian(X),
    "modes": lambda model, X: model.modes(),
    "modal_labels": lambda model, X: model.modal_labels(X),
    "level": lambda model, X: model.level(0.9),
    "anomalies": lambda model, X: model.anomalies(X),
    "anomalies with gaps": lambda model, X: with_gaps(model).anomalies(X),
    "cdf": lambda model, X: model.cdf(X),
    "ppf": lambda model, X: model.ppf(0.5),
    "interval": lambda model, X: model.interval(0.5),
    "fisher_vector": lambda model, X: model.fisher_vector(X),
    "to_sklearn": lambda model, X: model.to_sklearn(),
    "regression": lambda model, X: GMMRegressor.from_mixture(model, targets=1),
    "assignment": lambda model, X: setattr(model, "means_", model.means_),
}


def plain_of(model):
    """The mixture of its components alone, as the error says it is made."""
    return GMM.from_parameters(
        model.weights_, model.means_, model.covariances_, model.covariance_type, normalize=True
    )  # fmt: skip


def with_gaps(model):
    other = GMM(**{**model.get_params(), "missing": "marginal"})
    return other._with(model._fitted())


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_known_of_normal_distributions_alone_says_so(verb, noisy):
    model, X = noisy
    with pytest.raises(ValueError, match=re.escape("has a noise component")):
        VERBS[verb](model, X)
    assert model.noise_weight_ > 0


@pytest.mark.parametrize("verb", [name for name in VERBS if name not in ("ppf", "interval")])
def test_and_of_the_components_it_is_known(verb, noisy):
    model, X = noisy
    VERBS[verb](plain_of(model), X)


def test_assignment_makes_a_mixture_where_none_was(noisy):
    model, _ = noisy
    other = GMM(K, covariance_type="diag", noise_component="uniform")
    other.means_, other.covariances_ = model.means_, model.covariances_
    with pytest.raises(ValueError, match="weights"):
        other.weights_ = model.weights_  # which sum to less than one
    other.weights_ = model.weights_ / model.weights_.sum()
    assert other.noise_weight_ == 0
    assert_array_equal(other.means_, model.means_)


def test_other_models_have_no_noise():
    X = scattered(n=120)
    with pytest.raises(TypeError, match="noise_component"):
        cgmm.fit_many(X[None], K, noise_component="uniform")
    with pytest.raises(TypeError, match="noise_component"):
        BayesianGMM(K, noise_component="uniform")
    posterior = BayesianGMM(K, random_state=0).fit(X)
    assert posterior.noise_weight_ == 0 and not posterior.noise_probability(X).any()
    assert_same_bits(posterior, BayesianGMM(K, random_state=0).fit(X))


def test_a_file_with_noise_names_its_damage(noisy, tmp_path):
    model, _ = noisy
    model.save(tmp_path / "whole")
    with np.load(tmp_path / "whole") as archive:
        kept = {name: archive[name] for name in archive if name != "noise_high"}
    np.savez(tmp_path / "part.npz", **kept)
    with pytest.raises(ValueError, match="it lacks noise_high"):
        GMM.load(tmp_path / "part.npz")


@pytest.mark.parametrize("family", FAMILIES)
def test_a_mixture_that_is_all_noise(family, tmp_path):
    """None of its draws is of a component, and it is the same once it was saved."""
    model = GMM(1, covariance_type=family, noise_component="uniform", on_degenerate="repair", tol=0, max_iter=50)
    model.fit([[2.4e-311], [-1.1e-310]])  # whose box is so small that no component has its density
    assert model.noise_weight_ > 1 - 1e-15
    assert model.sample(3)[1].tolist() == [-1, -1, -1]
    model.save(tmp_path / "model.npz")
    assert_array_equal(GMM.load(tmp_path / "model.npz").covariances_, model.covariances_)
