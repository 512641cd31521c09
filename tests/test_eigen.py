"""Eigenvalues and eigenvectors of symmetric matrices: NumPy's to rounding, whatever the matrices."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import _kernels

EPS = np.finfo(np.float64).eps


def turned(values, seed):
    """A symmetric matrix of those eigenvalues."""
    axes = np.linalg.qr(np.random.default_rng(seed).normal(size=(len(values), len(values))))[0]
    S = axes * values @ axes.T
    return (S + S.T) / 2


MATRICES = {
    "any": lambda d, seed: turned(np.random.default_rng(seed).normal(size=d), seed),
    "graded": lambda d, seed: turned(10.0 ** np.linspace(-12, 12, d), seed),
    "graded upwards": lambda d, seed: turned(np.ones(d), seed) * 10.0 ** np.add.outer(*[np.linspace(0, 9, d)] * 2),
    "graded downwards": lambda d, seed: turned(np.ones(d), seed) * 10.0 ** np.add.outer(*[np.linspace(9, 0, d)] * 2),
    "one value": lambda d, seed: turned(np.full(d, 3.0), seed),
    "two values": lambda d, seed: turned(np.where(np.arange(d) % 2, 1.0, 2.0), seed),
    "low rank": lambda d, seed: turned((np.arange(d) == 0) * 5.0, seed),
    "diagonal": lambda d, seed: np.diag(np.random.default_rng(seed).normal(size=d)),
    "identity": lambda d, seed: np.eye(d),
    "zero": lambda d, seed: np.zeros((d, d)),
    "tridiagonal": lambda d, seed: np.eye(d, k=1) + np.eye(d, k=-1) + 2 * np.eye(d),
    "huge": lambda d, seed: turned(np.linspace(1, 2, d), seed) * 1e300,
    "tiny": lambda d, seed: turned(np.linspace(1, 2, d), seed) * 1e-300,
}


@pytest.mark.parametrize("kind", MATRICES)
@pytest.mark.parametrize("d", [*range(1, 10), 16, 17, 33, 64, 100])
def test_eigenvectors(kind, d):
    """A backward error of a few d ε, that of the procedure's analysis and LAPACK's."""
    for seed in range(3):
        S = MATRICES[kind](d, seed)
        (values,), (rows,) = _kernels.eigenvectors(S[np.newaxis])
        unit = np.abs(S).max() or 1.0
        assert_array_equal(values, np.sort(values))
        assert_allclose(values / unit, np.linalg.eigvalsh(S / unit), atol=4 * d * EPS * d)
        assert_allclose(rows @ rows.T, np.eye(d), atol=8 * d * EPS)
        assert_allclose(rows.T * (values / unit) @ rows, S / unit, atol=8 * d * d * EPS)


@pytest.mark.parametrize("d", range(1, 8))
def test_each_of_many(d):
    """Those beside it change no bit of a matrix, however many steps they take."""
    matrices = np.array([made(d, seed) for seed in range(3) for made in MATRICES.values()])
    values, rows = _kernels.eigenvectors(matrices)
    for S, own, axes in zip(matrices, values, rows, strict=True):
        alone = _kernels.eigenvectors(S[np.newaxis])
        assert_array_equal(own, alone[0][0])
        assert_array_equal(axes, alone[1][0])
