"""Exponentials, logarithms and the far ends of the softmax, where tests against reference.py are too coarse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import _kernels
from cgmm.mixture.density import Density
from cgmm.mixture.parameters import Parameters
from problems import data_of, mixture, rows_of

LARGEST = {np.float64: 1e300, np.float32: 1e37}  # BIG in kernels.inl.h, the bound of a squared norm

families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


def line(scale=1.0, means=(0.0, 1.0)):
    """Components on one feature whose log-densities are −½ (scale (x − μ))², no more."""
    k = len(means)
    return Density("isotropic", np.array(means)[:, np.newaxis], np.zeros(1), np.full(k, scale), np.zeros(k))


@types
def test_responsibilities_down_to_the_smallest(dtype, target):
    """x = q/16 and x² are exact: all that rounds is exp, the sum, the quotient and the product."""
    x = np.arange(-690 if dtype == np.float64 else -79, 40, 1 / 16)
    t = x.astype(np.longdouble) - 0.5
    exact = np.array([1 / (1 + np.exp(t)), np.exp(t) / (1 + np.exp(t))]).T
    eps = np.finfo(dtype).eps
    r = _kernels.evaluate(x[:, np.newaxis].astype(dtype), line(), "responsibilities")
    assert_allclose(r, exact.astype(np.float64), rtol=2 * eps)
    assert exact.min() < (1e-299 if dtype == np.float64 else 1e-34)
    log_p = _kernels.evaluate(x[:, np.newaxis].astype(dtype), line(), "log_likelihood")
    exact = np.log1p(np.exp(t)) - x.astype(np.longdouble) ** 2 / 2
    assert np.all(np.abs(log_p - exact) <= eps * (1 + np.abs(exact)))


@types
def test_logarithms(dtype, target):
    """k equal components: log k, in one rounding."""
    X = np.zeros((1, 1), dtype=dtype)
    found = [_kernels.evaluate(X, line(means=np.zeros(k)), "log_likelihood")[0] for k in range(1, 1201)]
    assert_allclose(found, np.log(np.arange(1, 1201)), rtol=np.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("far", [1e19, 1e30, 3e38, 1e155, 1e200, 1.7e308])
@families
@types
def test_rows_so_far_that_squares_overflow(far, family, dtype, target):
    """Their squared norm is LARGEST, which is a number; their neighbours do not notice."""
    far = min(far, 0.99 * float(np.finfo(dtype).max))
    p = mixture(family, 5, 3, np.random.default_rng(0))
    X = rows_of(p, 40, np.random.default_rng(1)).astype(dtype)
    density, signs = p.density, np.array([1, -1, 0, 1, -1])
    outputs = ("log_likelihood", "responsibilities", "log_densities")
    before = [_kernels.evaluate(X, density, output) for output in outputs]
    others = np.setdiff1d(np.arange(40), [3, 20])
    X[3], X[20] = far * signs, -far
    after = [_kernels.evaluate(X, density, output) for output in outputs]
    for a, b in zip(before, after, strict=True):
        assert_array_equal(a[others], b[others])
        assert np.isfinite(b).all()
    assert np.all(after[0][[3, 20]] >= -LARGEST[dtype])
    assert_allclose(after[1].sum(axis=1), 1.0, rtol=1e-6)
    assert set(_kernels.evaluate(X, density, "labels")) <= {0, 1, 2}
    if far > np.sqrt(10 * LARGEST[dtype]):
        assert_allclose(after[0][[3, 20]], -LARGEST[dtype] / 2, rtol=1e-6)


@families
@types
def test_component_of_weight_zero(family, dtype, target):
    """log 0 = −∞ stays where it is: no responsibility, no label, no NaN."""
    p = mixture(family, 6, 4, np.random.default_rng(0))
    X = rows_of(p, 100, np.random.default_rng(1)).astype(dtype)
    for c in range(4):
        weights = np.where(np.arange(4) == c, 0, p.weights / (1 - p.weights[c]))
        without = Parameters.build(p.family, weights, p.means, p.covariances)
        assert np.all(_kernels.evaluate(X, without.density, "log_densities")[:, c] == -np.inf)
        assert np.all(_kernels.evaluate(X, without.density, "responsibilities")[:, c] == 0)
        assert c not in _kernels.evaluate(X, without.density, "labels")
        assert np.isfinite(_kernels.evaluate(X, without.density, "log_likelihood")).all()
        assert data_of(X).statistics(without).n_k[c] == 0


@types
def test_lowest_of_equal_components(dtype, target):
    X = np.linspace(-3, 3, 70, dtype=dtype)[:, np.newaxis]
    labels = _kernels.evaluate(X, line(means=[1.0, -1.0, -1.0, 1.0, 1.0]), "labels")
    assert_array_equal(labels, np.where(X[:, 0] >= 0, 0, 1))
