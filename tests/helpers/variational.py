"""Variational Bayes for a Gaussian mixture, slow and obvious: Bishop (2006), section 10.2; Blei and Jordan (2006).

What is believed of a component is a normal–Wishart distribution (full), a normal one with a Wishart distribution of the
precision that all share (tied), or normal–gamma ones (diag: each feature; spherical: one for all features). Weights are
Dirichlet distributed, or sticks that are broken, each Beta distributed.
Nothing here uses cgmm.
"""

import numpy as np
from scipy.special import betaln, digamma, gammaln, multigammaln


def default_prior(X, k, family, kind="dirichlet_process", **given):
    d = X.shape[1]
    covariance = np.atleast_2d(np.cov(X, rowvar=False))
    scale = {"full": covariance, "tied": covariance, "diag": covariance.diagonal(), "spherical": covariance.trace() / d}
    prior = {"kind": kind, "concentration": 1 / k, "b": 1.0, "m": X.mean(axis=0), "nu": float(d), "S": scale[family]}
    return {**prior, **given}


def completed(X, k):
    """Rows without gaps as (means (n,k,d), covariances (n,k,d,d), entropies (n,k)) of what they are believed to be."""
    n, d = X.shape
    return np.repeat(X[:, None, :], k, axis=1), np.zeros((n, k, d, d)), np.zeros((n, k))


def m_step(responsibilities, rows, prior, family, row_weights=None, reg_covar=0.0):
    """The posterior that is best given responsibilities (n,k) and what rows are believed to be."""
    means, covariances, _ = rows
    n, k, d = means.shape
    r = responsibilities * (np.ones(n) if row_weights is None else row_weights)[:, None]
    N = r.sum(axis=0)
    x = np.einsum("ic,icj->cj", r, means) / np.where(N > 0, N, 1)[:, None]
    away = means - x
    scatter = np.einsum("ic,icj,icl->cjl", r, away, away) + np.einsum("ic,icjl->cjl", r, covariances)
    scatter += reg_covar * N[:, None, None] * np.eye(d)
    b = prior["b"] + N
    m = (prior["b"] * prior["m"] + N[:, None] * x) / b[:, None]
    from_prior = x - prior["m"]
    scatter += np.einsum("c,cj,cl->cjl", prior["b"] * N / b, from_prior, from_prior)
    if family == "full":
        nu, S = prior["nu"] + N, prior["S"] + scatter
    elif family == "tied":  # ν and S are those of the one Wishart distribution
        nu, S = k * prior["nu"] + N.sum(), k * prior["S"] + scatter.sum(axis=0)
    elif family == "diag":
        nu, S = prior["nu"] + N, prior["S"] + np.einsum("cjj->cj", scatter)
    else:
        nu, S = prior["nu"] + N, prior["S"] + np.einsum("cjj->c", scatter) / d
    if prior["kind"] == "dirichlet_distribution":
        concentration = prior["concentration"] + N
    else:
        after = N[::-1].cumsum()[::-1] - N
        concentration = np.stack([1 + N, prior["concentration"] + after])
    return {"concentration": concentration, "b": b, "m": m, "nu": nu, "S": S, "N": N}


def covariances_of(posterior, family):
    """E[Λ]⁻¹."""
    nu, S = posterior["nu"], posterior["S"]
    if family == "tied" or np.ndim(S) == 1:
        return S / nu
    return S / nu.reshape(-1, *[1] * (S.ndim - 1))


def degrees_of(posterior, family):
    """ν as scikit-learn has it: of a tied one, for each component."""
    return posterior["nu"] / (len(posterior["m"]) if family == "tied" else 1)


def expected_log_weights(posterior):
    a = posterior["concentration"]
    if a.ndim == 1:
        return digamma(a) - digamma(a.sum())
    whole = digamma(a.sum(axis=0))
    remaining = digamma(a[1]) - whole
    return digamma(a[0]) - whole + np.append(0, remaining.cumsum()[:-1])


def expected_weights(posterior):
    a = posterior["concentration"]
    if a.ndim == 1:
        return a / a.sum()
    mean = a[0] / a.sum(axis=0)
    weights = mean * np.append(1, (1 - mean).cumprod()[:-1])
    return weights / weights.sum()


def expected_precisions(posterior, family):
    """E[Λ_c] (k,d,d) and E[ln |Λ_c|] (k,)."""
    nu, S = posterior["nu"], posterior["S"]
    k, d = posterior["m"].shape
    if family == "full":
        return np.array([n * np.linalg.inv(s) for n, s in zip(nu, S, strict=True)]), np.array(
            [_wishart_log_det(n, s) for n, s in zip(nu, S, strict=True)]
        )
    if family == "tied":
        return np.repeat(nu * np.linalg.inv(S)[None], k, axis=0), np.full(k, _wishart_log_det(nu, S))
    if family == "diag":
        return np.array([np.diag(n / s) for n, s in zip(nu, S, strict=True)]), (
            digamma(nu / 2)[:, None] - np.log(S / 2)
        ).sum(axis=1)
    return np.array([n / s * np.eye(d) for n, s in zip(nu, S, strict=True)]), d * (
        digamma(d * nu / 2) - np.log(d * S / 2)
    )


def _wishart_log_det(nu, S):
    d = len(S)
    return digamma((nu - np.arange(d)) / 2).sum() + d * np.log(2) - np.linalg.slogdet(S)[1]


def e_step(X, posterior, family, errors=None):
    """Responsibilities (n,k), their logarithm's normaliser (n,), and what rows are believed to be; NaN is a gap.

    errors (n,d,d) : positive definite covariances of the errors with which rows were measured, or None

    Of a row's gaps q(x_m | c) is normal with the precision E[Λ]_mm about m_m − E[Λ]_mm⁻¹ E[Λ]_mo (x_o − m_o).
    """
    k, d = posterior["m"].shape
    precisions, log_dets = expected_precisions(posterior, family)
    constant = expected_log_weights(posterior) + 0.5 * (log_dets - d * np.log(2 * np.pi) - d / posterior["b"])
    logs = np.empty((len(X), k))
    means, covariances, entropies = completed(X, k)
    for i, x in enumerate(X):
        gap = np.isnan(x)
        for c in range(k):
            L, away = precisions[c], (x - posterior["m"][c])[~gap]
            inner = L[np.ix_(~gap, ~gap)]
            logs[i, c] = constant[c]
            if errors is not None:
                found = true_value(x, errors[i], posterior["m"][c], L)
                logs[i, c] += found[0]
                means[i, c], covariances[i, c], entropies[i, c] = found[1:]
                continue
            if gap.any():
                inverse, cross = np.linalg.inv(L[np.ix_(gap, gap)]), L[np.ix_(gap, ~gap)]
                inner = inner - cross.T @ inverse @ cross
                means[i, c, gap] = posterior["m"][c][gap] - inverse @ cross @ away
                covariances[i, c][np.ix_(gap, gap)] = inverse
                log_det = np.linalg.slogdet(2 * np.pi * inverse)[1]
                entropies[i, c] = 0.5 * (gap.sum() + log_det)
                logs[i, c] += 0.5 * log_det
            logs[i, c] -= 0.5 * away @ inner @ away
    top = logs.max(axis=1, keepdims=True)
    norm = top[:, 0] + np.log(np.exp(logs - top).sum(axis=1))
    return np.exp(logs - norm[:, None]), norm, (means, covariances, entropies)


def true_value(x, S, m, L):
    """ln ∫ exp(−½ (v − m)ᵀ L (v − m)) N(x | v, S) dv; mean and covariance of q(v), which is in proportion to what is
    integrated; and its entropy plus E ln N(x | v, S). By precisions, which add up; what is missing of x has none."""
    seen = ~np.isnan(x)
    measured, x = np.zeros_like(L), np.where(seen, x, 0.0)
    measured[np.ix_(seen, seen)] = np.linalg.inv(S[np.ix_(seen, seen)])
    log_det = np.linalg.slogdet(2 * np.pi * S[np.ix_(seen, seen)])[1]
    covariance = np.linalg.inv(L + measured)
    mean = covariance @ (L @ m + measured @ x)
    own = np.linalg.slogdet(2 * np.pi * covariance)[1]
    from_m, from_x = mean - m, mean - x
    squares = from_x @ measured @ from_x
    entropy = 0.5 * (own + len(x) - log_det - squares - np.trace(measured @ covariance))
    return 0.5 * (own - log_det - from_m @ L @ from_m - squares), mean, covariance, entropy


def elbo(responsibilities, rows, posterior, prior, family, row_weights=None, reg_covar=0.0):
    """E ln p(X, V, Z | θ) − E ln q(Z, V) − KL(q(θ) ‖ p(θ)), term by term; V: gaps, or true values of rows with errors.

    With reg_covar, as in scikit-learn, a row counts as if it had so large a variance about itself in each feature.
    """
    means, covariances, entropies = rows
    n, _, d = means.shape
    w = np.ones(n) if row_weights is None else row_weights
    precisions, log_dets = expected_precisions(posterior, family)
    away = means - posterior["m"]
    covariances = covariances + reg_covar * np.eye(d)
    squares = np.einsum("icj,cjl,icl->ic", away, precisions, away) + np.einsum("cjl,icjl->ic", precisions, covariances)
    logs = expected_log_weights(posterior) + 0.5 * (log_dets - d * np.log(2 * np.pi) - d / posterior["b"] - squares)
    r = responsibilities
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(r > 0, r * np.log(r), 0.0) + r * entropies
    told = w @ ((r * logs).sum(axis=1) + entropy.sum(axis=1))
    return told - _kl_weights(posterior, prior) - _kl_components(posterior, prior, family, precisions)


def _kl_weights(posterior, prior):
    a, g = posterior["concentration"], prior["concentration"]
    if a.ndim == 1:
        k, logs = len(a), digamma(a) - digamma(a.sum())
        log_a, log_g = gammaln(a.sum()) - gammaln(a).sum(), gammaln(k * g) - k * gammaln(g)
        return log_a - log_g + ((a - g) * logs).sum()
    whole = digamma(a.sum(axis=0))
    own = (a[0] - 1) * (digamma(a[0]) - whole) + (a[1] - g) * (digamma(a[1]) - whole)
    return (own - betaln(a[0], a[1]) + betaln(1, g)).sum()


def _kl_components(posterior, prior, family, precisions):
    (k, d), b = posterior["m"].shape, posterior["b"]
    away = posterior["m"] - prior["m"]
    squares = np.einsum("cj,cjl,cl->c", away, precisions, away)
    means = 0.5 * (prior["b"] * (d / b + squares) - d + d * np.log(b / prior["b"])).sum()
    nu, S, nu0, S0 = posterior["nu"], posterior["S"], prior["nu"], prior["S"]
    if family == "full":
        return means + sum(_kl_wishart(n, s, nu0, S0) for n, s in zip(nu, S, strict=True))
    if family == "tied":
        return means + _kl_wishart(nu, S, k * nu0, k * S0)
    if family == "diag":
        return means + _kl_gamma(nu[:, None] / 2, S / 2, nu0 / 2, S0 / 2).sum()
    return means + _kl_gamma(d * nu / 2, d * S / 2, d * nu0 / 2, d * S0 / 2).sum()


def _kl_wishart(nu, S, nu0, S0):
    """Of Wishart distributions of ν degrees of freedom and scale S⁻¹."""
    d = len(S)
    log_b = 0.5 * nu * (np.linalg.slogdet(S)[1] - d * np.log(2)) - multigammaln(nu / 2, d)
    log_b0 = 0.5 * nu0 * (np.linalg.slogdet(S0)[1] - d * np.log(2)) - multigammaln(nu0 / 2, d)
    trace = np.trace(S0 @ np.linalg.inv(S))
    return log_b - log_b0 + 0.5 * (nu - nu0) * _wishart_log_det(nu, S) + 0.5 * nu * (trace - d)


def _kl_gamma(a, s, a0, s0):
    """Of gamma distributions of shape a and rate s."""
    return (a - a0) * digamma(a) - gammaln(a) + gammaln(a0) + a0 * (np.log(s) - np.log(s0)) + a * (s0 / s - 1)


def run(X, responsibilities, prior, family, iterations, row_weights=None, reg_covar=0.0, errors=None):
    """From responsibilities: the posteriors before the first iteration and after each, and the ELBO of each."""
    rows = completed(X, responsibilities.shape[1])
    posteriors, bounds = [m_step(responsibilities, rows, prior, family, row_weights, reg_covar)], []
    for _ in range(iterations):
        r, _, rows = e_step(X, posteriors[-1], family, errors)
        posteriors.append(m_step(r, rows, prior, family, row_weights, reg_covar))
        bounds.append(elbo(r, rows, posteriors[-1], prior, family, row_weights, reg_covar))
    return posteriors, np.array(bounds)


def log_predictive(X, posterior, family):
    """ln p(x | X) (n,): a mixture of Student's t distributions, of which each comes from its definition in SciPy."""
    from scipy import stats

    weights, (k, d) = expected_weights(posterior), posterior["m"].shape
    logs = np.empty((len(X), k))
    for c, (m, b) in enumerate(zip(posterior["m"], posterior["b"], strict=True)):
        wider = (b + 1) / b
        if family in ("full", "tied"):
            nu, S = (posterior["nu"], posterior["S"]) if family == "tied" else (posterior["nu"][c], posterior["S"][c])
            logs[:, c] = stats.multivariate_t(m, wider * S / (nu + 1 - d), nu + 1 - d).logpdf(X)
        elif family == "diag":
            nu, S = posterior["nu"][c], posterior["S"][c]
            logs[:, c] = stats.t(nu, m, np.sqrt(wider * S / nu)).logpdf(X).sum(axis=1)
        else:
            nu, S = posterior["nu"][c], posterior["S"][c]
            logs[:, c] = stats.multivariate_t(m, wider * S / nu * np.eye(d), d * nu).logpdf(X)
    return np.logaddexp.reduce(logs + np.log(weights), axis=1)
