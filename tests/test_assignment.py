"""Models that are put together: attributes that are assigned, and from_parameters in all its forms."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, NotFittedError
from datasets import compact, invert

families = pytest.mark.parametrize("family", reference.FAMILIES)
K, D = 4, 3
RANDOM = np.random.RandomState(0)
X = RANDOM.randn(200, D) * 3
FORMS = ("covariances", "precisions", "precisions_cholesky")
PARTS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")


def parts(family, seed=0):
    """Weights, means and covariances (K,D) of some mixture, and the precisions."""
    random = np.random.RandomState(seed)
    factors = random.randn(K, D, D)
    covariances = compact(factors @ factors.transpose(0, 2, 1) + np.eye(D), family)
    return random.dirichlet(np.full(K, 5.0)), random.randn(K, D), covariances, invert(covariances, family)


def lower(precisions, family):
    """What people write: np.linalg.cholesky of the precisions."""
    return np.linalg.cholesky(precisions) if family in ("full", "tied") else np.sqrt(precisions)


def forms(family, seed=0):
    """The covariances of a mixture in each form in which they can be given, by the attribute's name."""
    _, _, covariances, precisions = parts(family, seed)
    found = lower(precisions, family)
    flipped = lower(precisions[..., ::-1, ::-1], family)[..., ::-1, ::-1] if found.ndim > 1 else found
    upper = flipped if family in ("full", "tied") else found
    return {"covariances": covariances, "precisions": precisions, "precisions_cholesky": upper, "lower": found}


def assembled(family, form="covariances", order=("weights", "means", "form"), seed=0):
    weights, means, _, _ = parts(family, seed)
    name = "precisions_cholesky" if form == "lower" else form
    values = {"weights": ("weights", weights), "means": ("means", means), "form": (name, forms(family, seed)[form])}
    model = GMM(K, covariance_type=family)
    for part in order:
        name, value = values[part]
        setattr(model, f"{name}_", value)
    return model


@families
@pytest.mark.parametrize("form", [*FORMS, "lower"])
@pytest.mark.parametrize(
    "order", [("weights", "means", "form"), ("form", "weights", "means"), ("means", "form", "weights")]
)
def test_three_parts_make_a_mixture(family, form, order):
    weights, means, covariances, precisions = parts(family)
    model = assembled(family, form, order)
    mixture = (weights, means, covariances, family)
    assert_allclose(model.score_samples(X), reference.log_likelihoods(X, *mixture), rtol=1e-11)
    assert_allclose(model.predict_proba(X), reference.responsibilities(X, *mixture), atol=1e-11)
    assert_allclose(model.covariances_, covariances, rtol=1e-11)
    assert_allclose(model.precisions_, precisions, rtol=1e-11, atol=1e-13)
    upper = model.precisions_cholesky_
    if family in ("full", "tied"):
        assert_array_equal(upper, np.triu(upper))
        upper = upper @ np.swapaxes(upper, -1, -2)
        assert_allclose(upper, precisions, rtol=1e-11, atol=1e-13)
    assert model.converged_ and model.n_iter_ == 0 and model.n_features_in_ == D and len(model.lower_bounds_) == 0


@families
@pytest.mark.parametrize("form", [*FORMS, "lower"])
def test_from_parameters_takes_each_form(family, form):
    weights, means, _, _ = parts(family)
    name = "precisions_cholesky" if form == "lower" else form
    given = {name: forms(family)[form]}
    model = GMM.from_parameters(7 * weights, means, covariance_type=family, normalize=True, **given)
    expected = assembled(family, form)
    assert_allclose(model.weights_, weights, rtol=1e-15)
    for attribute in PARTS[1:]:
        assert_array_equal(getattr(model, attribute), getattr(expected, attribute))
    assert model.n_components == K and model.covariance_type == family


def test_from_parameters_takes_one_form():
    weights, means, covariances, precisions = parts("full")
    for given in ({}, {"covariances": covariances, "precisions": precisions}):
        with pytest.raises(TypeError, match=f"give one of covariances.*not {len(given)}"):
            GMM.from_parameters(weights, means, **given)
    for bad in ([0.0, 0, 0, 0], [1, -1, 1, 1], [[1.0]]):
        with pytest.raises(ValueError, match="normalized"):
            GMM.from_parameters(bad, means, covariances, normalize=True)
    assert_array_equal(GMM.from_parameters([1e308] * K, means, covariances, normalize=True).weights_, np.full(K, 0.25))


@families
def test_a_part_after_a_fit_replaces_that_part(family):
    weights, means, covariances, _ = parts(family)
    model = GMM(K, covariance_type=family, random_state=0).fit(X)
    fitted = {name: getattr(model, name) for name in PARTS}
    model.means_ = means
    for name in PARTS:
        assert_array_equal(getattr(model, name), means if name == "means_" else fitted[name])
    expected = reference.log_likelihoods(X, fitted["weights_"], means, fitted["covariances_"], family)
    assert_allclose(model.score_samples(X), expected, rtol=1e-9)
    model.covariances_ = covariances
    model.weights_ = weights
    assert_allclose(
        model.score_samples(X), reference.log_likelihoods(X, weights, means, covariances, family), rtol=1e-11
    )


@families
def test_a_fit_in_another_order_is_the_same_model(family):
    """The commonest idiom. Bits of the parts, too, for covariances and precisions_cholesky belong to each other; a
    row's responsibilities are divided by their sum, which is rounded in the order of its terms."""
    model = GMM(K, covariance_type=family, random_state=0).fit(X)
    order = np.argsort(model.means_[:, 0])
    other = pickle.loads(pickle.dumps(model))
    for name in PARTS:
        value = getattr(model, name)
        setattr(other, name, value if family == "tied" and name not in PARTS[:2] else value[order])
    assert_allclose(other.predict_proba(X), model.predict_proba(X)[:, order], rtol=1e-14)
    assert_array_equal(other.precisions_cholesky_, model.precisions_cholesky_[order if family != "tied" else ...])


@families
def test_some_components_of_a_fit(family):
    """Between assignments the parts are of different sizes: no verb answers, and each part reads as it was given."""
    model = GMM(K, covariance_type=family, random_state=0).fit(X)
    keep = np.array([0, 2])
    weights, means, covariances = model.weights_[keep], model.means_[keep], model.covariances_
    model.weights_ = weights / weights.sum()
    with pytest.raises(NotFittedError, match=r"weights_ \(2,\), means_ \(4, 3\).* are not of the same sizes"):
        model.predict(X)
    assert model.weights_.shape == (2,) and model.means_.shape == (4, 3)
    model.means_ = means
    if family != "tied":
        with pytest.raises(ValueError, match="not of the same"):
            model.score(X)
        covariances = covariances[keep]
        model.covariances_ = covariances
    expected = reference.log_likelihoods(X, model.weights_, means, covariances, family)
    assert_allclose(model.score_samples(X), expected, rtol=1e-9)


def test_what_is_lacking_is_named():
    weights, means, covariances, _ = parts("full")
    model = GMM(K)
    model.means_ = means
    for use in (lambda: model.predict(X), lambda: model.save("never-written"), lambda: model.precisions_):
        with pytest.raises(NotFittedError, match="weights_ and covariances_ must be assigned"):
            use()
    model.weights_ = weights
    with pytest.raises(NotFittedError, match="covariances_ must be assigned"):
        model.sample()
    with pytest.raises(NotFittedError, match="covariances_ must be assigned"):
        model.partial_fit(X)
    with pytest.raises(NotFittedError, match="covariances_ must be assigned"):
        model.set_params(warm_start=True).fit(X)
    assert not hasattr(model, "lower_bound_") and not hasattr(model, "covariances_")
    revived = pickle.loads(pickle.dumps(model))
    revived.precisions_ = np.linalg.inv(covariances)
    assert np.isfinite(revived.score(X))
    assert np.isfinite(model.set_params(warm_start=False, max_iter=500).fit(X).score(X))  # a fit needs nothing of it


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("weights_", [0.5, 0.6], r"normalized.*1\.1"),
        ("weights_", [0.5, np.nan], "NaN"),
        ("weights_", [[0.5, 0.5]], "weights.* should have the shape of"),
        ("means_", [1.0, 2.0], "means must have shape"),
        ("means_", [[np.inf]], "infinity"),
        ("covariances_", [1.0, 2.0], r"'full covariances' should|'covariances' should have the shape of"),
        ("covariances_", np.zeros((K, D, D)), "positive-definite"),
        ("covariances_", np.full((K, D, D), np.nan), "NaN"),
        ("precisions_", np.triu(np.ones((K, D, D))), "not symmetric"),
        ("precisions_cholesky_", np.ones((K, D, D)), "triangular"),
        ("precisions_cholesky_", -np.array([np.eye(D)] * K), "positive diagonal"),
        ("precisions_cholesky_", np.array([[[np.nan]]]), "NaN|same sizes"),
    ],
)
def test_what_cannot_be_leaves_the_model_as_it_was(name, value, message):
    model = assembled("full")
    before = model.score_samples(X)
    if np.shape(value) == (1, 1, 1):
        value = np.full((K, D, D), np.nan)
    with pytest.raises(ValueError, match=message):
        setattr(model, name, value)
    assert_array_equal(model.score_samples(X), before)
    with pytest.raises(TypeError):
        setattr(model, name, np.asarray(value).astype(str))


@families
def test_assigned_arrays_are_copies_that_nobody_changes(family):
    weights, means, covariances, _ = parts(family)
    model = GMM(K, covariance_type=family)
    for name, value in (("weights_", weights), ("means_", means), ("covariances_", covariances)):
        mine = value.copy()
        setattr(model, name, mine)
        with pytest.raises(ValueError, match="read-only"):
            getattr(model, name)[...] = 0
        mine[...] = 0
    assert model.weights_.sum() == pytest.approx(1) and (model.means_ != 0).all()


def test_the_arguments_stay_and_decide_the_form():
    model = GMM(2, covariance_type="diag", tol=1e-5)
    model.weights_, model.means_, model.covariances_ = [1.0], [[0.0, 1.0]], [[1.0, 2.0]]
    assert model.get_params() == GMM(2, covariance_type="diag", tol=1e-5).get_params()
    model.covariance_type = "spherical"
    assert model.covariances_.shape == (1, 2)
    model.covariances_ = [3.0]
    assert_allclose(model.score([[0.0, 1.0]]), -np.log(2 * np.pi * 3))


@families
def test_what_else_goes_on_from_assigned_parts(family, tmp_path):
    model = assembled(family)
    given = GMM.from_parameters(*parts(family)[:3], family)
    model.save(tmp_path / "model.npz")
    assert_array_equal(GMM.load(tmp_path / "model.npz").score_samples(X), model.score_samples(X))
    gaps = np.where(RANDOM.rand(*X.shape) < 0.1, np.nan, X)
    assert_array_equal(model.impute(gaps), given.impute(gaps))
    assert_array_equal(model.partial_fit(X).means_, given.partial_fit(X).means_)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warm = {"warm_start": True, "max_iter": 3, "tol": 0}
        assert_array_equal(
            assembled(family).set_params(**warm).fit(X).means_,
            GMM.from_parameters(*parts(family)[:3], family).set_params(**warm).fit(X).means_,
        )


def test_names_of_features_stay_while_their_number_does():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=list("abc"))
    model = GMM(2, random_state=0).fit(frame)
    model.means_ = model.means_ + 1
    assert list(model.feature_names_in_) == list("abc")
    model.means_, model.covariances_ = [[0.0], [1.0]], [[[1.0]], [[1.0]]]
    assert model.n_features_in_ == 1 and not hasattr(model, "feature_names_in_")


@families
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_probabilities_by_their_names_in_scikit_learn(family, dtype):
    weights, means, covariances, _ = parts(family)
    weights = np.array([0.0, *weights[1:]]) / weights[1:].sum()
    model = GMM.from_parameters(weights, means, covariances, family)
    rows, tolerance = X.astype(dtype), 1e-11 if dtype == np.float64 else 1e-4
    close = {"rtol": tolerance, "atol": tolerance}  # in float32 rows, of whitened values of about 10
    log_prob = reference.log_densities(rows.astype(float), means, covariances, family)
    assert_allclose(model._estimate_log_prob(rows), log_prob, **close)
    with np.errstate(divide="ignore"):
        assert_array_equal(model._estimate_log_weights(), np.log(weights))
        assert_allclose(model._estimate_weighted_log_prob(rows), log_prob + np.log(weights), **close)
    log_likelihood, log_resp = model._estimate_log_prob_resp(rows)
    tolerance = 1e-12 if dtype == np.float64 else 1e-5  # exp and log of a pass over float32 rows are float32's
    assert_allclose(log_likelihood, model.score_samples(rows), rtol=tolerance)
    assert_allclose(np.exp(log_resp), model.predict_proba(rows), atol=tolerance)


def test_log_probabilities_of_what_is_observed():
    model = assembled("full").set_params(missing="marginal")
    gaps = X.copy()
    gaps[::3, 1] = gaps[5] = np.nan
    log_likelihood, log_resp = model._estimate_log_prob_resp(gaps)
    assert_allclose(log_likelihood, model.score_samples(gaps), atol=1e-12)
    assert_allclose(np.exp(log_resp), model.predict_proba(gaps), atol=1e-12)
    assert_allclose(model._estimate_log_prob(gaps)[5], 0, atol=1e-14)
