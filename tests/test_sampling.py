"""Rows drawn from a mixture."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM
from datasets import compact


@pytest.mark.parametrize("family", reference.FAMILIES)
def test_samples_have_the_moments_of_the_mixture(family):
    """Within 5 standard errors."""
    factors = np.random.RandomState(1).randn(4, 3, 3)
    covariances = compact(factors @ factors.transpose(0, 2, 1) + np.eye(3), family)
    weights, means = np.array([0.1, 0.2, 0.3, 0.4]), np.arange(12.0).reshape(4, 3)
    model = GMM.from_parameters(weights, means, covariances, family).set_params(random_state=3)
    X, labels = model.sample(200_000)
    assert X.shape == (200_000, 3) and (np.diff(labels) >= 0).all()
    counts = np.bincount(labels)
    assert_allclose(counts / 200_000, weights, atol=5 * np.sqrt(0.25 / 200_000))
    for c, covariance in enumerate(reference.expand(covariances, family, 4, 3)):
        rows, variances = X[labels == c], np.diag(covariance)
        assert (np.abs(rows.mean(axis=0) - means[c]) < 5 * np.sqrt(variances / counts[c])).all()
        error = np.sqrt((np.outer(variances, variances) + covariance**2) / counts[c])
        assert (np.abs(np.cov(rows.T) - covariance) < 5 * error).all()


def test_samples():
    model = GMM.from_parameters([0.5, 0, 0.5], [[0.0], [5], [9]], [1, 1, 1], "spherical").set_params(random_state=0)
    assert [array.shape for array in model.sample()] == [(1, 1), (1,)]
    assert_array_equal(model.sample(50)[0], model.sample(50)[0])
    assert set(model.sample(500)[1]) == {0, 2}
    model.set_params(random_state=np.random.default_rng(0))
    assert not np.array_equal(model.sample(50)[0], model.sample(50)[0])
