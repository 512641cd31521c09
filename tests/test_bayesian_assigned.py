"""A BayesianGMM whose attributes are assigned is the mixture of these; and what it has not, of what GMM has."""

import io
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, BayesianGMM, GMMRegressor, NotFittedError
from problems import clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
FORMS = ("covariances_", "precisions_", "precisions_cholesky_")
OF_POSTERIORS = ("weight_concentration_", "mean_precision_", "degrees_of_freedom_", "mean_prior_", "n_effective_")
X = clusters(300, 2, 3)


def believed(family="full", k=3, **arguments):
    return BayesianGMM(k, covariance_type=family, random_state=0, max_iter=20, **arguments)


def assert_is_mixture(model, expected):
    """It says what this GMM says, and nothing of what is believed."""
    for verb in ("predict", "predict_proba", "score_samples", "_estimate_log_prob", "_estimate_weighted_log_prob"):
        assert_array_equal(getattr(model, verb)(X), getattr(expected, verb)(X))
    for name in ("weights_", "means_", *FORMS):
        assert_array_equal(getattr(model, name), getattr(expected, name))
    assert_array_equal(model._estimate_log_weights(), expected._estimate_log_weights())
    assert_array_equal(model.mean(), expected.mean())
    for name in OF_POSTERIORS:
        with pytest.raises(NotFittedError, match="were assigned, which makes it the mixture of these"):
            getattr(model, name)
    for ask in (lambda: model.log_predictive(X), model.prune):
        with pytest.raises(NotFittedError, match="nothing is believed of it until the next fit"):
            ask()


@families
@pytest.mark.parametrize("form", FORMS)
def test_parts_make_a_mixture(family, form):
    donor = believed(family).fit(X)
    model, expected = believed(family), GMM(3, covariance_type=family)
    for name in (form, "means_", "weights_"):
        with pytest.raises(NotFittedError):
            model.predict(X)
        for one in (model, expected):
            setattr(one, name, getattr(donor, name))
    assert_is_mixture(model, expected)


@families
def test_after_a_fit_an_assignment_replaces_a_part(family):
    model, means = believed(family).fit(X), believed(family).fit(X).means_ + 1
    expected = model.prune(0.0, point=True)
    for one in (model, expected):
        one.means_ = means
    assert_is_mixture(model, expected)
    assert model.n_iter_ == 0 and model.converged_


def test_reordering_is_consistent():
    """The commonest idiom of public code: part by part, each is checked by itself."""
    model = believed().fit(X)
    expected, order = model.prune(0.0, point=True), np.argsort(model.means_[:, 0])
    for name in ("weights_", "means_", "covariances_"):
        setattr(model, name, getattr(model, name)[order])
    assert_array_equal(order[model.predict(X)], expected.predict(X))
    assert_allclose(model.score_samples(X), expected.score_samples(X), rtol=1e-12)


@pytest.mark.parametrize(
    "name, value, message",
    [
        ("weights_", [0.5, 0.6], "should be normalized"),
        ("means_", [1.0, 2.0], r"shape \(components, features\)"),
        ("covariances_", -np.ones((3, 2, 2)), "positive definite"),
    ],
)
def test_what_is_no_part_is_refused_and_changes_nothing(name, value, message):
    model = believed().fit(X)
    before = model.log_predictive(X)
    with pytest.raises(ValueError, match=message):
        setattr(model, name, value)
    assert_array_equal(model.log_predictive(X), before)


def test_a_fit_goes_on_from_what_was_assigned():
    donor = believed().fit(X)
    model = believed(warm_start=True)
    model.weights_, model.means_, model.covariances_ = donor.weights_, donor.means_, donor.covariances_
    model.fit(X)
    assert model.lower_bound_ >= donor.lower_bound_ - 1e-6
    assert model.n_effective_ <= 3 and model.mean_precision_.shape == (3,)


def test_it_is_saved_and_pickled():
    model = believed().fit(X)
    model.means_ = model.means_ + 1
    file = io.BytesIO()
    model.save(file)
    file.seek(0)
    for kept in (BayesianGMM.load(file), pickle.loads(pickle.dumps(model))):
        assert_array_equal(kept.score_samples(X), model.score_samples(X))
        with pytest.raises(NotFittedError, match="were assigned"):
            kept.log_predictive(X)


@pytest.mark.parametrize(
    "name, remedy",
    [
        ("partial_fit", "Use fit, which takes rows that memory cannot hold"),
        ("bic", "lower_bound_ compares"),
        ("aic", "lower_bound_ compares"),
        ("icl", "lower_bound_ compares"),
        ("to_sklearn", r"prune\(point=True\)\.to_sklearn"),
    ],
)
def test_what_there_is_not_says_what_to_do(name, remedy):
    for model in (believed(), believed().fit(X)):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=rf"has no attribute '{name}': .*{remedy}"):
            getattr(model, name)


def test_other_attributes_are_missing_as_ever():
    with pytest.raises(AttributeError, match="'BayesianGMM' object has no attribute 'bics'"):
        _ = believed().bics
    with pytest.raises(NotFittedError, match="not fitted yet"):
        _ = believed().means_
    with pytest.raises(NotFittedError, match="not fitted yet"):
        _ = believed().n_effective_


def test_a_regressor_names_the_mixture_to_take():
    model = believed().fit(X)
    with pytest.raises(TypeError, match=r"not BayesianGMM: its prune\(point=True\) is one"):
        GMMRegressor.from_mixture(model, targets=1)
    GMMRegressor.from_mixture(model.prune(point=True), targets=1).predict(X[:, :1])


def test_components_of_a_process_have_their_order():
    with pytest.raises(ValueError, match=r"order of its sticks.*prune\(point=True\)"):
        believed().fit(X).sorted(reverse=True)
