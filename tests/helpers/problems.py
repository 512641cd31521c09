"""Mixtures, data, starts and comparisons that the tests of kernels and of laws share."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.rows.data import Complete
from cgmm.rows.part import Part
from cgmm.rows.patterns import Patterns
from cgmm.rows.place import InMemory
from datasets import compact, invert

CHUNK = 1024  # rows whose statistics are summed apart: CGMM_CHUNK_ROWS in kernels.h
FITTED = ("weights_", "means_", "covariances_", "lower_bounds_")


def mixture(family, d, k, rng):
    """k overlapping components about 5, correlated, none of unit variance."""
    means = 5 + 4 * rng.standard_normal((k, d)) / np.sqrt(d)
    factors = np.tril(rng.standard_normal((k, d, d)), -1) / np.sqrt(4 * d)
    factors += np.eye(d) * rng.uniform(0.5, 2, size=(k, 1, d))
    covariances = compact(factors @ factors.transpose(0, 2, 1), family).copy()
    return Parameters.build(FAMILIES[family], rng.dirichlet(np.full(k, 2.0)), means, covariances)


def rows_of(parameters, n, rng):
    """Rows near the components, exact in float32."""
    rows = parameters.means[rng.integers(parameters.k, size=n)] + rng.standard_normal((n, parameters.d))
    return rows.astype(np.float32).astype(np.float64)


def data_of(X, w=None):
    """Rows in memory that lack nothing, as data of a fit."""
    return Complete(InMemory(Part(X, w)))


def patterns_of(X, w=None):
    """Rows in memory, with what is missing of them."""
    return Patterns(Part(X, w))


def clusters(n, d, k, seed=0, distance=4.0):
    """Rows (n, d) of k correlated clusters, on a grid of 2^-20 so that adding 1e6 is exact."""
    rng = np.random.default_rng([seed, n, d, k])
    centres = distance * rng.standard_normal((k, d)) / np.sqrt(d)
    mix = np.eye(d) + np.tril(rng.standard_normal((k, d, d)), -1) / np.sqrt(4 * d)
    label = rng.integers(k, size=n)
    X = centres[label] + np.einsum("nij,nj->ni", mix[label], rng.standard_normal((n, d)))
    return np.round(X * 2**20) / 2**20


def start_of(X, k, family):
    """Weights, means, covariances to begin from: rows far apart in X, the covariance of all."""
    means = X[np.linspace(0, len(X) - 1, k).astype(int)] + 0.01 * np.arange(k)[:, np.newaxis]
    covariances = np.repeat(np.cov(X.T, bias=True).reshape(1, X.shape[1], -1), k, axis=0)
    return np.full(k, 1 / k), means, np.ascontiguousarray(compact(covariances, family))


def begin_at(start, family, **arguments):
    weights, means, covariances = start
    return GMM(
        len(weights),
        covariance_type=family,
        weights_init=weights,
        means_init=means,
        precisions_init=invert(covariances, family),
        **{"tol": 0, "max_iter": 20, **arguments},
    )


def assert_same_bits(a, b, names=FITTED):
    for name in names:
        assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def assert_same_fit(a, b, rtol, names=FITTED):
    """Equal to ``rtol`` of the largest value of each attribute."""
    for name in names:
        expected = getattr(b, name)
        assert_allclose(getattr(a, name), expected, rtol=0, atol=rtol * np.abs(expected).max(), err_msg=name)


def same_model(found, expected):
    for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_"):
        assert_array_equal(getattr(found, name), getattr(expected, name))


def batches(rows, sizes):
    """The rows, cut into these sizes over and over."""
    found, start = [], 0
    while start < len(rows):
        found.append(rows[start : start + sizes[len(found) % len(sizes)]])
        start += len(found[-1])
    return found


def learnt(model, rows, *sizes, passes=1):
    """The model, which has learnt of the rows in batches of these sizes."""
    for _ in range(passes):
        for batch in batches(rows, sizes):
            model.partial_fit(batch)
    return model
