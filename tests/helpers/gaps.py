"""Rows some of whose values are missing, and what goes with them in fits."""

import numpy as np

from cgmm import GMM


def gappy(X, share=0.3, seed=0):
    """A copy of X that lacks a share of its values."""
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def marginal(k, **arguments):
    return GMM(k, missing="marginal", **{"random_state": 0} | arguments)


def cut(X, size, w=None):
    """Blocks of `size` rows."""
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        yield X[part] if w is None else (X[part], w[part])


def counts(n):
    return np.random.default_rng(0).integers(0, 3, size=n)


def a_prior(family, d):
    """alpha, kappa, m, nu, Lambda."""
    scale = 1.5 if family == "spherical" else np.full(d, 1.5) if family == "diag" else 1.2 * np.eye(d) + 0.3
    return 1.5, 0.7, np.linspace(-1, 1, d), d + 1.0, scale
