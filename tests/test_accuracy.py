"""Log-densities against 50-digit arithmetic, and beside scikit-learn and SciPy: see accuracy.py."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.linalg

import accuracy
from cgmm.mixture.families import FAMILIES

MOST = 4  # bounds: the largest error is 1.6 of one (docs/accuracy.md)
ROUNDING = 2  # bounds with κ = 1: where others are more exact, the largest error of 5 seeds is 1.02 of one

types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


@pytest.fixture(scope="module", params=accuracy.KEYS, ids=lambda key: "{}-d{}-k{}-{:.0e}-at{:.0e}".format(*key))
def known(request):
    """A case and the exact values of its rows, as they are and in float32, once for all targets."""
    case = accuracy.case(*request.param)
    true = {dtype: accuracy.exact(case, case.X.astype(dtype)) for dtype in (np.float64, np.float32)}
    return SimpleNamespace(case=case, true=true)


@types
def test_error_is_within_the_bound(known, dtype, target):
    case, true = known.case, known.true[dtype]
    error = accuracy.errors(accuracy.cgmm(case, case.X.astype(dtype)), true)
    assert np.all(error <= MOST * accuracy.bound(case, true, np.finfo(dtype).eps))


def test_no_worse_than_the_others(known, target):
    """In the worst row of a case, in units of the bound with κ = 1, unless all that is left is rounding."""
    pytest.importorskip("sklearn")
    case, true = known.case, known.true[np.float64]
    unit = accuracy.bound(case, true, np.finfo(np.float64).eps, conditioned=False)
    ours = np.max(accuracy.errors_of(accuracy.cgmm, case, true) / unit)
    for library in accuracy.others(case):
        theirs = np.max(accuracy.errors_of(library, case, true) / unit)
        assert ours <= max(theirs, ROUNDING), library.__name__


@pytest.mark.parametrize("d", accuracy.D)
def test_root_of_scaled_covariances(d, target):
    """Times a power of four: the same bits, half the exponent."""
    S = accuracy.case("full", d, 3, 1e9, 0.0).covariances
    root = FAMILIES["full"].sharp_root
    for exponent in (-450, -1, 450):
        np.testing.assert_array_equal(root(np.ldexp(S, 2 * exponent)), np.ldexp(root(S), -exponent))


def test_root_near_singularity(target):
    """Hilbert's matrices up to condition 5e14."""
    for d in range(1, 12):
        S = scipy.linalg.hilbert(d)[np.newaxis]
        x, origin = np.random.default_rng(d).standard_normal(d), np.zeros(d)
        q = accuracy.squared_norm(accuracy.cholesky(S[0]), accuracy.exactly(x), accuracy.exactly(origin))
        P = FAMILIES["full"].sharp_root(S)[0]
        kappa = np.sqrt(np.linalg.cond(S[0]))
        assert abs(float(np.sum((P @ x) ** 2) / q) - 1) <= MOST * d * np.finfo(float).eps * kappa
