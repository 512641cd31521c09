"""Roots of covariances of many features, which are taken by strips, against NumPy; and what is held from below."""

from functools import cache

import numpy as np
import pytest

from cgmm import _kernels
from cgmm.mixture import matrices
from cgmm.mixture.families import FAMILIES

D = (63, 64, 65, 100, 127, 128, 129, 200, 257, 385)  # about the bounds of strips and blocks, and between
EPS = np.finfo(float).eps

sizes = pytest.mark.parametrize("d", D)


@cache
def spread(d, condition, seed=0):
    """A covariance (d,d) whose variances along random axes are from 1 down to 1 / condition, as powers are."""
    axes = np.linalg.qr(np.random.default_rng([d, seed]).standard_normal((d, d)))[0]
    S = (axes * np.geomspace(1, 1 / condition, d)) @ axes.T
    return (S + S.T) / 2


@sizes
@pytest.mark.parametrize("condition", [1.0, 1e6, 1e12])
def test_root_whitens(d, condition, target):
    """P Σ Pᵀ = I within the roundings of d products in each of two factors, and two substitutions of as many."""
    S = spread(d, condition)
    (P,), failed = _kernels.roots(S[np.newaxis])
    assert not failed.any()
    assert np.array_equal(P, np.tril(P))
    assert (P.diagonal() > 0).all()
    bound = 4 * d * EPS * (np.abs(P) @ np.abs(S) @ np.abs(P.T))
    assert np.all(np.abs(P @ S @ P.T - np.eye(d)) <= bound)


@sizes
def test_root_is_the_inverse_of_the_cholesky_factor(d, target):
    S = spread(d, 1e4)
    expected = np.linalg.inv(np.linalg.cholesky(S))
    found = _kernels.roots(S[np.newaxis])[0][0]
    # d ε κ(L)²: what the rounding of Σ does to its factor
    np.testing.assert_allclose(found, expected, rtol=0, atol=d * EPS * 1e4 * np.abs(expected).max())


@sizes
def test_upper_triangle_is_not_read(d):
    S = spread(d, 10.0)
    np.testing.assert_array_equal(_kernels.roots(np.tril(S)[np.newaxis])[0], _kernels.roots(S[np.newaxis])[0])


@sizes
@pytest.mark.parametrize("m", [1, 2, 3, 5])
def test_any_threads_give_the_same_bits(d, m):
    stack = np.stack([spread(d, 1e3, seed) for seed in range(m)])
    once = _kernels.roots(stack, 1)
    for n_threads in (2, 3, 8):
        for found, expected in zip(_kernels.roots(stack, n_threads), once, strict=True):
            np.testing.assert_array_equal(found, expected)


@sizes
@pytest.mark.parametrize("fault", [np.nan, np.inf, -1.0, 0.0])
@pytest.mark.parametrize("place", [0, 0.5, 1.0])
def test_what_is_not_positive_definite_has_no_root(d, fault, place, target):
    """Only that matrix of a stack, wherever in it the fault is."""
    stack = np.stack([spread(d, 10.0, seed) for seed in range(3)])
    j = round(place * (d - 1))
    stack[1, j, j] = fault
    roots, failed = _kernels.roots(stack, 2)
    assert failed.tolist() == [False, True, False]
    assert not roots[1].any()
    np.testing.assert_array_equal(roots[::2], _kernels.roots(stack[::2].copy())[0])


@sizes
def test_root_that_is_not_finite_fails(d):
    S = np.eye(d)
    S[-1, -1] = 5e-324
    assert _kernels.roots(S[np.newaxis] * 1e-10)[1].all()


def of_rank(d, rank):
    """A covariance (d,d) of so low a rank."""
    Z = np.random.default_rng([d, rank]).standard_normal((d, rank)) / np.sqrt(rank)
    return Z @ Z.T


def hold(S, least, reg_covar, n_threads=1):
    return FAMILIES["full"].hold(S[np.newaxis].copy(), np.full(len(S), least), reg_covar, n_threads)


@sizes
@pytest.mark.parametrize("rank", [1, 3, 60])
def test_what_reg_covar_alone_holds_up_is_told_of(d, rank, target):
    """Its covariance is S + reg_covar I, and it is held: where nothing else is added, exactly."""
    S = of_rank(d, rank)
    found = hold(S, 1e-18, 1e-3)
    assert found.held == [0]
    rounding = matrices.rounding_of(d) if d <= 64 else 0.0  # what a lift adds at most, where there are few features
    np.testing.assert_allclose(found.covariances[0], S + 1e-3 * np.eye(d), rtol=0, atol=rounding * S.max())
    P = found.root[0]
    bound = 4 * d * EPS * (np.abs(P) @ np.abs(found.covariances[0]) @ np.abs(P.T))
    assert np.all(np.abs(P @ found.covariances[0] @ P.T - np.eye(d)) <= bound)


@pytest.mark.parametrize("d", [100, 257])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
def test_what_is_definite_is_not_held(d, reg_covar):
    """Though a sum of squares of P, which is looked at first, is too large to be sure."""
    S = spread(d, 1e5)
    found = hold(S, 1e-18, reg_covar)
    assert found.held == []
    np.testing.assert_array_equal(found.covariances[0], S + reg_covar * np.eye(d))


@pytest.mark.parametrize("d", [100, 257])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 1e-2])
def test_held_is_what_has_a_variance_below_the_floor(d, reg_covar):
    """On either side of a floor that is far above rounding."""
    floor = 1e-4
    axes = np.linalg.qr(np.random.default_rng(d).standard_normal((d, d)))[0]
    for last, held in ((0.9, [0]), (1.1, [])):
        values = np.append(np.ones(d - 1), last * floor)
        S = (axes * values) @ axes.T
        found = hold((S + S.T) / 2, floor, reg_covar)
        assert found.held == held
        lifted = (axes * np.maximum(values, floor)) @ axes.T + reg_covar * np.eye(d)
        np.testing.assert_allclose(found.covariances[0], lifted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("d", [100, 257])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
def test_holding_gives_the_same_bits_for_any_threads(d, reg_covar):
    stack = np.stack([of_rank(d, 5), spread(d, 1e3), of_rank(d, d - 1)])
    least = np.full(d, 1e-18)
    once = FAMILIES["full"].hold(stack.copy(), least, reg_covar, 1)
    for n_threads in (2, 3, 8):
        found = FAMILIES["full"].hold(stack.copy(), least, reg_covar, n_threads)
        assert found.held == once.held == [0, 2]
        np.testing.assert_array_equal(found.covariances, once.covariances)
        np.testing.assert_array_equal(found.root, once.root)


@sizes
@pytest.mark.parametrize("condition", [1.0, 1e3, 1e10])
def test_condition_numbers(d, condition):
    """Two norms to 1e-4, one of them squared, beside what rounding makes of the smallest eigenvalue."""
    S = spread(d, condition)[np.newaxis]
    found = FAMILIES["full"].condition_numbers(S, FAMILIES["full"].root(S))
    np.testing.assert_allclose(found, condition, rtol=4e-4 + d * EPS * condition)
