"""EM for Gaussian mixtures, the slow and obvious way: the yardstick of the other tests.

NumPy in float64, one formula a function, no import of cgmm, no care for speed or memory. Index i runs over
the n rows, j over the d features, c over the k components. Covariances have scikit-learn's shapes:
full (k, d, d), tied (d, d), diag (k, d), spherical (k,).
PRML is Bishop, "Pattern Recognition and Machine Learning", 2006.
"""

import numpy as np
from scipy.linalg import solve_triangular

FAMILIES = ("full", "tied", "diag", "spherical")


def expand(covariances, covariance_type, k, d):
    """Covariances of any family as k full matrices, (k, d, d)."""
    covariances = np.asarray(covariances, dtype=np.float64)
    if covariance_type == "tied":
        return np.array([covariances for c in range(k)])
    if covariances.ndim == 3:
        return covariances
    if covariances.ndim == 2:
        return np.array([np.diag(covariances[c]) for c in range(k)])
    return np.array([covariances[c] * np.eye(d) for c in range(k)])


def n_parameters(k, d, covariance_type):
    """Free parameters: k - 1 weights, k d means, and the covariances."""
    symmetric = d * (d + 1) // 2
    covariances = {"full": k * symmetric, "tied": symmetric, "diag": k * d, "spherical": k}[covariance_type]
    return k - 1 + k * d + covariances


# E-step


def log_densities(X, means, covariances, covariance_type):
    """log N(x_i | mu_c, Sigma_c), (n, k): PRML 2.43.

    With Sigma = L L^T and y = L^-1 (x - mu), the quadratic form is y^T y and log |Sigma| = 2 sum_j log L_jj.
    """
    X, means = np.asarray(X, dtype=np.float64), np.asarray(means, dtype=np.float64)
    (n, d), k = X.shape, len(means)
    result = np.empty((n, k))
    for c, covariance in enumerate(expand(covariances, covariance_type, k, d)):
        L = np.linalg.cholesky(covariance)
        y = solve_triangular(L, (X - means[c]).T, lower=True)
        log_determinant = 2 * np.sum(np.log(np.diag(L)))
        result[:, c] = -0.5 * (d * np.log(2 * np.pi) + log_determinant + np.sum(y**2, axis=0))
    return result


def log_joint(X, weights, means, covariances, covariance_type):
    """log (pi_c N(x_i | mu_c, Sigma_c)), (n, k). A weight of 0 gives -inf."""
    with np.errstate(divide="ignore"):
        log_weights = np.log(np.asarray(weights, dtype=np.float64))
    return log_weights + log_densities(X, means, covariances, covariance_type)


def log_sum_exp(a):
    """log sum_c exp a_ic, (n,): the largest term is taken out, so that nothing over- or underflows."""
    largest = a.max(axis=1)
    return largest + np.log(np.sum(np.exp(a - largest[:, np.newaxis]), axis=1))


def known_joint(joint, labels):
    """Of log pi_c N(x_i | mu_c, Sigma_c), (n, k), what counts where components are known: of a row with label c its own
    alone, and all of a row with label -1. labels (n,), or None."""
    if labels is None:
        return joint
    labels = np.asarray(labels)[:, np.newaxis]
    return np.where((labels < 0) | (labels == np.arange(joint.shape[1])), joint, -np.inf)


def log_likelihoods(X, weights, means, covariances, covariance_type):
    """log p(x_i) = log sum_c pi_c N(x_i | mu_c, Sigma_c), (n,): the terms of PRML 9.28."""
    return log_sum_exp(log_joint(X, weights, means, covariances, covariance_type))


def responsibilities(X, weights, means, covariances, covariance_type):
    """r_ic = pi_c N(x_i | mu_c, Sigma_c) / p(x_i), (n, k): PRML 9.23."""
    joint = log_joint(X, weights, means, covariances, covariance_type)
    return np.exp(joint - log_sum_exp(joint)[:, np.newaxis])


# M-step


def statistics(X, sample_weight, resp, shift):
    """Moments of the rows about ``shift`` (k, d), each row weighted by w_i r_ic; w_i = 1 if None.

    Returns
    -------
    dict
        n_k (k,), first (k, d), second (k, d, d), total_weight.
    """
    X = np.asarray(X, dtype=np.float64)
    (n, d), k = X.shape, resp.shape[1]
    w = np.ones(n) if sample_weight is None else np.asarray(sample_weight, dtype=np.float64)
    r = w[:, np.newaxis] * resp
    first, second = np.empty((k, d)), np.empty((k, d, d))
    for c in range(k):
        residuals = X - shift[c]
        first[c] = np.sum(r[:, c, np.newaxis] * residuals, axis=0)
        second[c] = (r[:, c, np.newaxis] * residuals).T @ residuals
    return {"n_k": r.sum(axis=0), "first": first, "second": second, "total_weight": w.sum()}


def maximise_weights(X, sample_weight, resp):
    """pi_c = n_c / sum_i w_i, (k,): PRML 9.26."""
    totals = statistics(X, sample_weight, resp, np.zeros((resp.shape[1], X.shape[1])))
    return totals["n_k"] / totals["total_weight"]


def maximise_means(X, sample_weight, resp):
    """mu_c = sum_i w_i r_ic x_i / n_c, (k, d): PRML 9.24."""
    totals = statistics(X, sample_weight, resp, np.zeros((resp.shape[1], X.shape[1])))
    return totals["first"] / totals["n_k"][:, np.newaxis]


def maximise_covariances(X, sample_weight, resp, means, covariance_type, reg_covar):
    """Covariances about ``means``, ``reg_covar`` added to every variance: PRML 9.25 for full.

    S_c = sum_i w_i r_ic (x_i - mu_c)(x_i - mu_c)^T. The others are Celeux and Govaert, "Gaussian parsimonious
    clustering models", 1995: tied EEE, diag VVI, spherical VII.
    """
    totals = statistics(X, sample_weight, resp, means)
    n_k, S, d = totals["n_k"], totals["second"], np.shape(X)[1]
    if covariance_type == "full":
        return S / n_k[:, np.newaxis, np.newaxis] + reg_covar * np.eye(d)
    if covariance_type == "tied":
        return S.sum(axis=0) / n_k.sum() + reg_covar * np.eye(d)
    variances = np.array([np.diag(S_c) for S_c in S]) / n_k[:, np.newaxis] + reg_covar
    return variances if covariance_type == "diag" else variances.mean(axis=1)


def maximise(X, sample_weight, resp, covariance_type, reg_covar=0.0):
    """Weights, means and covariances that maximise the expected log-likelihood: PRML 9.24-9.27."""
    weights = maximise_weights(X, sample_weight, resp)
    means = maximise_means(X, sample_weight, resp)
    return weights, means, maximise_covariances(X, sample_weight, resp, means, covariance_type, reg_covar)


# Missing values: NaN. Ghahramani and Jordan, "Supervised learning from incomplete data via an EM approach", 1994.


def completed(x, mean, covariance):
    """What N(mean, covariance) says of a row x (d,) some of whose values are NaN.

    Returns
    -------
    filled : ndarray (d,)
        x with mu_m + Sigma_mo Sigma_oo^-1 (x_o - mu_o) in its gaps.
    spread : ndarray (d, d)
        Sigma_mm - Sigma_mo Sigma_oo^-1 Sigma_om for the gaps, zero elsewhere.
    log_density : float
        log N(x_o | mu_o, Sigma_oo), 0 when nothing is observed.
    """
    m, o = np.isnan(x), ~np.isnan(x)
    filled, spread = x.astype(np.float64), np.zeros((len(x), len(x)))
    regression = np.linalg.solve(covariance[np.ix_(o, o)], covariance[np.ix_(o, m)]).T
    filled[m] = mean[m] + regression @ (x[o] - mean[o])
    spread[np.ix_(m, m)] = covariance[np.ix_(m, m)] - regression @ covariance[np.ix_(o, m)]
    if not o.any():
        return filled, spread, 0.0
    return filled, spread, log_densities(x[np.newaxis, o], [mean[o]], [covariance[np.ix_(o, o)]], "full")[0, 0]


def missing_log_joint(X, weights, means, covariances, covariance_type):
    """log (pi_c N(x_io | mu_co, Sigma_coo)), (n, k), of what is observed of each row."""
    full = expand(covariances, covariance_type, *np.shape(means))
    densities = [[completed(x, mean, S)[2] for mean, S in zip(means, full, strict=True)] for x in X]
    return np.log(weights) + np.array(densities)


def missing_statistics(X, sample_weight, resp, means, covariances, covariance_type):
    """Expected moments of the completed rows about ``means``: as ``statistics``, the spread of the gaps included."""
    full = expand(covariances, covariance_type, *np.shape(means))
    (n, d), k = X.shape, len(means)
    w = np.ones(n) if sample_weight is None else sample_weight
    first, second = np.zeros((k, d)), np.zeros((k, d, d))
    for i in range(n):
        for c in range(k):
            filled, spread, _ = completed(X[i], means[c], full[c])
            residual = filled - means[c]
            first[c] += w[i] * resp[i, c] * residual
            second[c] += w[i] * resp[i, c] * (np.outer(residual, residual) + spread)
    return {"n_k": w @ resp, "first": first, "second": second, "total_weight": w.sum()}


def missing_maximise(totals, means, covariance_type, reg_covar=0.0, keep_means=False, prior=None):
    """Weights, means and covariances from the expected moments about the old ``means``: PRML 9.24-9.27.

    ``prior`` is alpha, kappa, m, nu, Lambda: weights are Dirichlet(alpha), means N(m, Sigma_c / kappa), covariances
    inverse Wishart or gamma. The mode is that of Fraley and Raftery, "Bayesian regularization for normal mixture
    estimation and model-based clustering", 2007, table 1 and appendix.
    """
    n_k, first, (k, d) = totals["n_k"], totals["first"], np.shape(means)
    alpha, kappa, m, nu, scale = prior or (1.0, 0.0, np.zeros(d), 0.0, 0.0)
    more = {"full": d + 2, "tied": d + 1 + k, "diag": 3, "spherical": d + 2}[covariance_type] + nu if prior else 0.0
    offsets = (first + kappa * (m - means)) / (n_k + kappa)[:, np.newaxis]
    if keep_means:
        offsets = np.zeros((k, d))
    S = totals["second"].copy()
    for c in range(k):
        offset, away = offsets[c], m - means[c] - offsets[c]
        S[c] += n_k[c] * np.outer(offset, offset) - np.outer(first[c], offset) - np.outer(offset, first[c])
        S[c] += kappa * np.outer(away, away)
    variances = np.array([np.diag(S_c) for S_c in S])
    covariances = {
        "full": (S + scale) / (n_k + more)[:, np.newaxis, np.newaxis] + reg_covar * np.eye(d),
        "tied": (S.sum(axis=0) + scale) / (n_k.sum() + more) + reg_covar * np.eye(d),
        "diag": (variances + np.diag(scale * np.eye(d))) / (n_k + more)[:, np.newaxis] + reg_covar,
        "spherical": (variances.sum(axis=1) + np.mean(scale)) / (d * n_k + more) + reg_covar,
    }
    weights = n_k + alpha - 1
    return weights / weights.sum(), means + offsets, covariances[covariance_type]


def impute(X, resp, means, covariances, covariance_type):
    """X with sum_c r_ic times the conditional mean of component c in its gaps."""
    full = expand(covariances, covariance_type, *np.shape(means))
    filled = np.array([[completed(x, mean, S)[0] for mean, S in zip(means, full, strict=True)] for x in X])
    return np.where(np.isnan(X), np.einsum("ic,icj->ij", resp, filled), X)


# The loops


def em(
    X, weights, means, covariances, covariance_type, n_iter, reg_covar=0.0, sample_weight=None, fixed=(), labels=None
):
    """``n_iter`` iterations of EM (PRML 9.2.2) from the given parameters.

    Those named in ``fixed`` ("weights", "means", "covariances") stay; covariances are taken about the means
    that are then current.

    Returns
    -------
    parameters : tuple
        Weights, means, covariances.
    history : ndarray of shape (n_iter,)
        Mean log-likelihood of a row before each M-step: scikit-learn's ``lower_bounds_``.
    """
    X = np.asarray(X, dtype=np.float64)
    history = []
    for _ in range(n_iter):
        joint = known_joint(log_joint(X, weights, means, covariances, covariance_type), labels)
        log_p = log_sum_exp(joint)
        history.append(np.average(log_p, weights=sample_weight))
        resp = np.exp(joint - log_p[:, np.newaxis])
        if "weights" not in fixed:
            weights = maximise_weights(X, sample_weight, resp)
        if "means" not in fixed:
            means = maximise_means(X, sample_weight, resp)
        if "covariances" not in fixed:
            covariances = maximise_covariances(X, sample_weight, resp, means, covariance_type, reg_covar)
    return (weights, means, covariances), np.array(history)


def noise_em(
    X,
    weights,
    means,
    covariances,
    noise_weight,
    widths,
    covariance_type,
    n_iter,
    reg_covar=0.0,
    sample_weight=None,
    labels=None,
):
    """As ``missing_em``, beside a component of density 1 / prod_j widths_j over what is observed: it has a weight only.

    ``weights`` sum to 1 - noise_weight. Returns parameters, the fourth the weight of the noise, and the history.
    """
    history, known = [], np.full(len(X), -1) if labels is None else labels
    for _ in range(n_iter):
        joint = known_joint(missing_log_joint(X, weights, means, covariances, covariance_type), labels)
        noise = np.log(noise_weight) - np.sum(np.where(np.isnan(X), 0.0, np.log(widths)), axis=1)
        joint = np.column_stack([joint, np.where(known < 0, noise, -np.inf)])
        log_p = log_sum_exp(joint)
        history.append(np.average(log_p, weights=sample_weight))
        resp = np.exp(joint - log_p[:, np.newaxis])
        noise_weight = np.average(resp[:, -1], weights=sample_weight)
        totals = missing_statistics(X, sample_weight, resp[:, :-1], means, covariances, covariance_type)
        shares, means, covariances = missing_maximise(totals, means, covariance_type, reg_covar)
        weights = (1 - noise_weight) * shares
    return (weights, means, covariances, noise_weight), np.array(history)


def missing_em(
    X,
    weights,
    means,
    covariances,
    covariance_type,
    n_iter,
    reg_covar=0.0,
    sample_weight=None,
    fixed=(),
    prior=None,
    labels=None,
):
    """As ``em``, of rows in which NaN is a missing value; the history is without the prior's density."""
    history = []
    for _ in range(n_iter):
        joint = known_joint(missing_log_joint(X, weights, means, covariances, covariance_type), labels)
        log_p = log_sum_exp(joint)
        history.append(np.average(log_p, weights=sample_weight))
        resp = np.exp(joint - log_p[:, np.newaxis])
        totals = missing_statistics(X, sample_weight, resp, means, covariances, covariance_type)
        found = missing_maximise(totals, means, covariance_type, reg_covar, "means" in fixed, prior)
        weights = weights if "weights" in fixed else found[0]
        means = found[1]
        covariances = covariances if "covariances" in fixed else found[2]
    return (weights, means, covariances), np.array(history)


def squared_distances(X, centres):
    """|x_i - m_c|^2, (n, k)."""
    return np.array([np.sum((X - centre) ** 2, axis=1) for centre in centres]).T


def kmeans(X, centres, max_iter, tol=None):
    """Lloyd's algorithm (PRML 9.2-9.4): assign, record the objective, move the centres.

    A tie goes to the lowest index; an empty cluster keeps its centre. If ``tol`` is given, stops once the
    squared movement of all centres is at most ``tol`` times the mean variance of the features.

    Returns
    -------
    centres : ndarray of shape (k, d)
        After the last move.
    labels : ndarray of shape (n,)
        Of the rows, with respect to the returned centres.
    history : ndarray
        PRML 9.1 at each assignment, before the move.
    """
    X, centres = np.asarray(X, dtype=np.float64), np.array(centres, dtype=np.float64)
    history = []
    for _ in range(max_iter):
        distances = squared_distances(X, centres)
        labels = distances.argmin(axis=1)
        history.append(np.sum(distances.min(axis=1)))
        previous = centres.copy()
        for c in np.unique(labels):
            centres[c] = X[labels == c].mean(axis=0)
        if tol is not None and np.sum((centres - previous) ** 2) <= tol * X.var(axis=0).mean():
            break
    return centres, squared_distances(X, centres).argmin(axis=1), np.array(history)
