"""Extreme deconvolution, the slow and obvious way: rows x_i with errors of known covariance S_i, NaN where a value is
missing.

Bovy, Hogg and Roweis, "Extreme deconvolution: inferring complete distribution functions from noisy, heterogeneous and
incomplete observations", The Annals of Applied Statistics 5 (2011); equations are theirs. NumPy in float64, one row and
one component at a time; no import of cgmm.
"""

import numpy as np

import reference


def covariances_of_errors(errors, n, d):
    """Errors of any of the four shapes as (n,d,d)."""
    errors = np.asarray(errors, dtype=np.float64)
    if errors.ndim == 1 or (errors.ndim == 2 and errors.shape == (n, d) and n != d):
        errors = np.array([np.diag(row) for row in np.broadcast_to(errors, (n, d))])
    return np.broadcast_to(errors, (n, d, d))


def row(x, S, mean, covariance):
    """log N(x | mean, T), T = covariance + S, and the true value's b and B (equation 16), of what is observed of x."""
    seen = np.flatnonzero(~np.isnan(x))
    if not len(seen):
        return 0.0, mean, covariance
    T = (covariance + S)[np.ix_(seen, seen)]
    away = x[seen] - mean[seen]
    gain = np.linalg.solve(T, covariance[seen]).T
    log_density = -0.5 * (len(seen) * np.log(2 * np.pi) + np.linalg.slogdet(T)[1] + away @ np.linalg.solve(T, away))
    return log_density, mean + gain @ away, covariance - gain @ covariance[seen]


def rows(X, errors, means, covariances):
    """log-densities (n,k), b (n,k,d), B (n,k,d,d); covariances full (k,d,d)."""
    (n, d), k = X.shape, len(means)
    errors = np.where(np.isnan(X)[:, :, None] | np.isnan(X)[:, None, :], 0.0, covariances_of_errors(errors, n, d))
    log_densities, b, B = np.empty((n, k)), np.empty((n, k, d)), np.empty((n, k, d, d))
    for i in range(n):
        for c in range(k):
            log_densities[i, c], b[i, c], B[i, c] = row(X[i], errors[i], means[c], covariances[c])
    return log_densities, b, B


def e_step(X, errors, weights, means, covariances, row_weights=None, labels=None, log_noise=None):
    """Responsibilities (n,k), log-likelihoods (n,), b, B; log_noise: log of weight times density of noise, or None."""
    log_densities, b, B = rows(X, errors, means, covariances)
    with np.errstate(divide="ignore"):
        joint = reference.known_joint(np.log(weights) + log_densities, labels)
    everything = joint if log_noise is None else np.column_stack([joint, np.full(len(X), log_noise)])
    log_p = reference.log_sum_exp(everything)
    return np.exp(joint - log_p[:, None]), log_p, b, B


def statistics(X, errors, weights, means, covariances, row_weights=None, labels=None):
    """n_k (k,), first (k,d), second (k,d,d) about the means, and the log-likelihood: what the M-step needs."""
    r, log_p, b, B = e_step(X, errors, weights, means, covariances, row_weights, labels)
    w = np.ones(len(X)) if row_weights is None else np.asarray(row_weights)
    r = w[:, None] * r
    away = b - means
    second = np.einsum("ic,icab->cab", r, B) + np.einsum("ic,ica,icb->cab", r, away, away)
    return r.sum(axis=0), np.einsum("ic,ica->ca", r, away), second, w @ log_p


def m_step(n_k, first, second, means):
    """Weights, means, covariances (equation 16)."""
    offset = first / n_k[:, None]
    covariances = second / n_k[:, None, None] - offset[:, :, None] * offset[:, None, :]
    return n_k / n_k.sum(), means + offset, covariances


def denoised(X, errors, weights, means, covariances):
    """Means (n,d) and covariances (n,d,d) of the true values."""
    r, _, b, B = e_step(X, errors, weights, means, covariances)
    mean = np.einsum("ic,ica->ia", r, b)
    away = b - mean[:, None]
    return mean, np.einsum("ic,icab->iab", r, B) + np.einsum("ic,ica,icb->iab", r, away, away)
