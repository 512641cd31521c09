"""Discriminant analysis by mixtures in slow, obvious NumPy: EM in which a row of a known class belongs to the
components of that class alone."""

import numpy as np
from scipy.stats import multivariate_normal


def log_joint(X, weights, means, covariances):
    """log π_c N(x_i | μ_c, Σ_c), (n,K)."""
    parts = zip(weights, means, covariances, strict=True)
    return np.column_stack([np.log(w) + multivariate_normal(m, S).logpdf(X) for w, m, S in parts])


def by_class(logs, owners):
    """log Σ_c exp, over the components of each class, (n,C)."""
    return np.column_stack([np.logaddexp.reduce(logs[:, owners == g], axis=1) for g in range(owners.max() + 1)])


def posterior(logs):
    return np.exp(logs - np.logaddexp.reduce(logs, axis=1, keepdims=True))


def maximum(X, parts):
    """Weights, means and covariances (K,d,d) of responsibilities (n,K), which may be weighted."""
    n = parts.sum(axis=0)
    means = parts.T @ X / n[:, None]
    away = X[:, None] - means
    return n / n.sum(), means, np.einsum("nk,nki,nkj->kij", parts, away, away) / n[:, None, None]


def step(X, of_row, owners, weights, means, covariances, row_weights=None, priors=None):
    """The parameters after an iteration of EM; of_row : the class of each row, −1 where it is not known."""
    logs = log_joint(X, weights, means, covariances)
    possible = (of_row[:, None] == owners) | (of_row[:, None] == -1)
    parts = posterior(np.where(possible, logs, -np.inf))
    if row_weights is not None:
        parts = parts * row_weights[:, None]
    weights, means, covariances = maximum(X, parts)
    if priors is not None:
        totals = np.bincount(owners, weights)
        weights = weights / totals[owners] * priors[owners]
    return weights, means, covariances
