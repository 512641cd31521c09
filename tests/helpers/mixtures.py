"""Given mixtures of each family, and their densities by SciPy."""

import numpy as np
from scipy.stats import multivariate_normal

from cgmm import GMM

TYPES = ("full", "tied", "diag", "spherical")


def made(covariance_type, k=3, d=4, seed=0, shift=0.0):
    """A mixture of that family, of random parameters."""
    rng = np.random.default_rng(seed)
    weights, means = rng.dirichlet(np.ones(k)), 2 * rng.normal(size=(k, d)) + shift
    roots = rng.normal(size=(k, d, d))
    full = roots @ np.swapaxes(roots, 1, 2) + 0.3 * np.eye(d)
    covariances = {"full": full, "tied": full[0], "diag": full.diagonal(axis1=1, axis2=2), "spherical": full[:, 0, 0]}
    return GMM.from_parameters(weights, means, covariances[covariance_type], covariance_type)


def matrices_of(model):
    """Covariances as matrices (k,d,d)."""
    k, d = model.means_.shape
    S = model.covariances_
    return {
        "full": lambda: S,
        "tied": lambda: np.repeat(S[None], k, axis=0),
        "diag": lambda: S[:, :, None] * np.eye(d),
        "spherical": lambda: S[:, None, None] * np.eye(d),
    }[model.covariance_type]()


def log_densities(model, X):
    """log π_c N(x | μ_c, Σ_c), (n,k), by SciPy."""
    parts = zip(model.weights_, model.means_, matrices_of(model), strict=True)
    logs = [np.log(w) + multivariate_normal(m, S, allow_singular=False).logpdf(X) for w, m, S in parts]
    return np.reshape(logs, (len(model.weights_), -1)).T


def log_density(model, X):
    return np.logaddexp.reduce(log_densities(model, X), axis=1)
