"""Priors that differ between components."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, Prior
from datasets import compact

families = pytest.mark.parametrize("family", reference.FAMILIES)
K, D = 3, 2
RANDOM = np.random.RandomState(0)
X = RANDOM.randn(90, D) + np.repeat([[0.0, 0], [5, 0], [0, 6]], 30, axis=0)
MEANS = np.array([[0.0, 6], [0, 0], [5, 0]])
STRENGTHS = np.array([0.5, 3.0, 20.0])
ALPHA = np.array([1.0, 5.0, 2.0])


def scales(family, rows=slice(None)):
    factors = np.random.RandomState(1).randn(K, D, D)
    each = compact(factors @ factors.transpose(0, 2, 1) + np.eye(D), family)
    return each if family == "tied" else each[rows]


@families
def test_one_component_s_prior_is_as_if_it_were_all(family):
    """Components that are far from each other are fitted as if each had its rows for itself, and its own prior."""
    each = scales(family)
    prior = Prior(
        weight_concentration=ALPHA, mean_precision=STRENGTHS, mean=MEANS, degrees_of_freedom=6, covariance=each
    )
    far = X + np.repeat([[0.0, 0], [1e3, 0], [0, 1e3]], 30, axis=0)
    prior = Prior(**vars(prior) | {"mean": np.add(MEANS, [[0, 1e3], [0, 0], [1e3, 0]])})
    labels = np.repeat([1, 2, 0], 30)
    model = GMM(K, covariance_type=family, prior=prior, responsibilities_init=labels, reg_covar=0, random_state=0).fit(
        far
    )
    expected = (30 + ALPHA - 1) / (90 + (ALPHA - 1).sum())
    assert_allclose(model.weights_, expected, rtol=1e-10)
    for c in range(K):
        rows = far[labels == c]
        mean = (rows.sum(axis=0) + STRENGTHS[c] * prior.mean[c]) / (30 + STRENGTHS[c])
        assert_allclose(model.means_[c], mean, rtol=1e-10)
        if family == "tied":
            continue
        alone = Prior(mean_precision=STRENGTHS[c], mean=prior.mean[c], degrees_of_freedom=6, covariance=each[c])
        one = GMM(1, covariance_type=family, prior=alone, reg_covar=0).fit(rows)
        assert_allclose(model.covariances_[c], one.covariances_[0], rtol=1e-9)


@families
def test_the_same_for_each_is_that_for_all(family):
    common = scales(family, 0)
    all_ = Prior(weight_concentration=3.0, mean_precision=2.0, mean=MEANS[0], covariance=common)
    repeated = common if family == "tied" else np.repeat(np.asarray(common)[np.newaxis], K, axis=0)
    each = Prior(weight_concentration=[3.0] * K, mean_precision=[2.0] * K, mean=[MEANS[0]] * K, covariance=repeated)
    labels = np.repeat([0, 1, 2], 30)
    settings = {"covariance_type": family, "responsibilities_init": labels, "random_state": 0}
    one, other = (GMM(K, prior=prior, **settings).fit(X) for prior in (all_, each))
    for name in ("weights_", "means_", "covariances_", "lower_bounds_"):
        assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-12)


@families
def test_starts_take_the_order_of_the_prior_s_means(family):
    prior = Prior(mean=MEANS, mean_precision=STRENGTHS)
    for init_params in ("kmeans", "k-means++"):
        model = GMM(K, covariance_type=family, prior=prior, init_params=init_params, n_init=3, random_state=0).fit(X)
        assert np.abs(model.means_ - MEANS).max() < 1
        assert (np.diff(model.lower_bounds_) > -1e-6).all()


def test_a_user_s_labels_keep_their_order():
    labels = np.repeat([0, 1, 2], 30)
    weak = Prior(mean=MEANS, mean_precision=1e-6)
    model = GMM(K, prior=weak, responsibilities_init=labels, random_state=0).fit(X)
    assert_array_equal(model.predict(X), labels)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": MEANS[:2]}, r"prior.mean.*\(3, 2\)"),
        ({"mean_precision": [1.0, 2.0]}, r"prior.mean_precision.*\(3,\)"),
        ({"mean_precision": [1.0, 0.0, 2.0]}, "positive for each component, or zero for all"),
        ({"mean_precision": [1.0, -1.0, 2.0]}, "at least 0"),
        ({"weight_concentration": [1.0, 0.5, 2.0]}, "at least 1"),
        ({"covariance": -scales("full")}, "positive-definite"),
        ({"covariance": scales("full")[:2]}, "shape of"),
    ],
)
def test_what_is_no_prior(settings, message):
    with pytest.raises(ValueError, match=message):
        GMM(K, prior=Prior(**settings)).fit(X)


@families
def test_streams_and_checkpoints_take_it_too(family, tmp_path):
    prior = Prior(weight_concentration=ALPHA, mean_precision=STRENGTHS, mean=MEANS, covariance=scales(family))
    settings = {"covariance_type": family, "prior": prior, "random_state": 0}
    kept = GMM(K, checkpoint=tmp_path / "kept", **settings).fit(X)
    assert_array_equal(kept.means_, GMM(K, **settings).fit(X).means_)
    model = GMM(K, **settings).fit(X)
    for _ in range(3):
        model.partial_fit(X)
    assert np.abs(model.means_ - MEANS).max() < 1
