"""Passes over rows of which some are noise: the reference's statistics, pruned or not."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import reference
from cgmm import _kernels
from cgmm.mixture.noise import Noise
from cgmm.rows.boxes import boxes_of
from cgmm.rows.pruning import guide_of
from problems import mixture, rows_of

families = pytest.mark.parametrize("family", reference.FAMILIES)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_moments_do_not_count_what_is_noise(family, dtype, target):
    """Of every target: the statistics are those of responsibilities that sum to less than one."""
    rng = np.random.default_rng(0)
    found = mixture(family, 5, 7, rng)
    X, w = rows_of(found, 1100, rng).astype(dtype), rng.uniform(0.5, 2, size=1100)
    noisy = found.beside(Noise(0.3, -9.0))
    n_k, first, second, log_likelihood, total, shift, noise = _kernels.expectation(X, noisy.density, found.moment, w)[0]
    joint = reference.log_joint(X, 0.7 * found.weights, found.means, found.covariances, family)
    joint = np.column_stack([joint, np.full(len(X), np.log(0.3) - 9.0)])
    log_p = reference.log_sum_exp(joint)
    resp = np.exp(joint - log_p[:, np.newaxis])
    expected = reference.statistics(X, w, resp[:, :-1], shift)
    full = expected["second"]
    seconds = {"full": full, "tied": full.sum(axis=0), "diag": np.diagonal(full, axis1=1, axis2=2)}
    rtol = 1e-4 if dtype is np.float32 else 1e-11
    pairs = [
        (n_k, expected["n_k"]),
        (first, expected["first"]),
        (second, seconds.get(family, np.trace(full, axis1=1, axis2=2))),
        (log_likelihood, w @ log_p),
        (noise, w @ resp[:, -1]),
        (noise + n_k.sum(), total),
    ]
    for ours, theirs in pairs:
        assert_allclose(ours, theirs, rtol=0, atol=rtol * np.abs(theirs).max())
    assert 100 < noise < 1000


@pytest.mark.parametrize("family, d, k, guided", [("full", 16, 30, guide_of), ("diag", 2, 60, boxes_of)])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_pruned_passes_are_dense_passes(family, d, k, guided, dtype):
    rng = np.random.default_rng(0)
    found = mixture(family, d, k, rng).beside(Noise(0.2, -2.0 * d))
    X = rows_of(found, 5000, rng).astype(dtype)
    guide, rtol = guided(found, X.dtype), 1e-4 if dtype is np.float32 else 1e-10
    dense, pruned = (_kernels.expectation(X, found.density, found.moment, guide=g)[0] for g in (None, guide))
    for ours, theirs in zip(pruned, dense, strict=True):
        assert_allclose(ours, theirs, rtol=0, atol=rtol * np.abs(theirs).max())
    for output in ("log_likelihood", "responsibilities", "labels"):
        ours, theirs = (_kernels.evaluate(X, found.density, output, guide=g) for g in (guide, None))
        assert_allclose(ours, theirs, rtol=0, atol=1e-3 if dtype is np.float32 else 1e-10)
