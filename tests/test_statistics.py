"""Sufficient statistics: what an expectation pass leaves behind, and what adds up."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import reference
from cgmm import GMM, SufficientStatistics, expectation
from datasets import compact

CENTRES = np.array([[0.0, 0, 0], [30, 0, 0], [0, 30, 0], [30, 30, 30]])
CLUSTERS = np.repeat(CENTRES, 55, axis=0) + np.random.RandomState(0).randn(220, 3) * 5


def parameters(family):
    factors = np.random.RandomState(1).randn(4, 3, 3)
    covariances = factors @ factors.transpose(0, 2, 1) + 20 * np.eye(3)
    return np.array([0.1, 0.2, 0.3, 0.4]), CENTRES + 1.0, compact(covariances, family), family


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-11), (np.float32, 1e-4)])
def test_a_block_without_weight_adds_nothing(family, dtype, rtol):
    model = GMM.from_parameters(*parameters(family))
    whole = expectation(model, CLUSTERS.astype(dtype))
    none = expectation(model, CLUSTERS.astype(dtype), np.zeros(220))
    assert_allclose((whole + none).second, whole.second, rtol=0)
    many = expectation(model, CLUSTERS.astype(dtype), np.full(220, 1e39))
    assert_allclose(many.n_k, 1e39 * whole.n_k, rtol=rtol)


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-11), (np.float32, 1e-4)])
def test_expectation(family, dtype, rtol):
    mixture = parameters(family)
    model = GMM.from_parameters(*mixture)
    row_weights = np.arange(220.0) % 7
    found = expectation(model, CLUSTERS.astype(dtype), row_weights)
    assert isinstance(found, SufficientStatistics)
    responsibilities = reference.responsibilities(CLUSTERS, *mixture)
    expected = reference.statistics(CLUSTERS, row_weights, responsibilities, found.shift)
    second = expected["second"]
    if family == "tied":
        second = second.sum(axis=0)
    elif family != "full":
        second = np.diagonal(second, axis1=1, axis2=2)
    if family == "spherical":
        second = second.sum(axis=1)
    assert_allclose(found.shift, mixture[1], rtol=1e-6)
    assert_allclose(found.n_k, expected["n_k"], rtol=rtol)
    assert_allclose(found.first, expected["first"], rtol=rtol, atol=rtol * 220)
    assert_allclose(found.second, second, rtol=rtol, atol=rtol * np.abs(second).max())
    assert found.total_weight == row_weights.sum()
    assert_allclose(found.log_likelihood, model.score_samples(CLUSTERS) @ row_weights, rtol=rtol)
    assert expectation(model, CLUSTERS).total_weight == 220


def test_statistics_add_up_only_under_the_same_parameters():
    model = GMM.from_parameters(*parameters("full"))
    whole, one, other = (expectation(model, X) for X in (CLUSTERS, CLUSTERS[:90], CLUSTERS[90:]))
    for name in ("n_k", "first", "second", "log_likelihood", "total_weight"):
        value = getattr(whole, name)
        assert_allclose(getattr(one + other, name), value, rtol=1e-11, atol=1e-11 * np.abs(value).max())
    weights, _, covariances, _ = parameters("full")
    moved = GMM.from_parameters(weights, CENTRES, covariances)
    for stranger in (moved, GMM.from_parameters(*parameters("diag"))):
        with pytest.raises(ValueError, match="do not add up"):
            one + expectation(stranger, CLUSTERS)
    with pytest.raises(TypeError):
        one + 1


@pytest.mark.parametrize("family", reference.FAMILIES)
@pytest.mark.parametrize("dtype, far", [(np.float64, 1e20), (np.float32, 1e10)])
def test_a_far_component_leaves_the_others_their_digits(family, dtype, far):
    """A forgotten fill value takes a component to itself; the others are what they are without it."""
    weights, means, covariances, _ = parameters(family)
    means[3] = far
    rows = CLUSTERS[:165].astype(dtype)
    model = GMM.from_parameters(weights, means, covariances, family)
    found = expectation(model, np.append(rows, np.full((1, 3), dtype(far)), axis=0))
    expected = reference.responsibilities(rows, weights, means, covariances, family).sum(axis=0)
    assert_allclose(found.n_k, [*expected[:3], 1], rtol=1e-4 if dtype == np.float32 else 1e-11)
