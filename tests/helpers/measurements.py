"""Rows as they are measured, with errors whose covariances are known."""

import numpy as np

from problems import clusters


def measured(kind="covariances", n=400, d=2, k=3, size=1.0, seed=0):
    """True values of clusters, rows as they were measured, and the covariances of their errors."""
    rng = np.random.default_rng([seed, n, d])
    truth = clusters(n, d, k, seed, distance=8.0)
    variances = size * rng.gamma(2.0, 0.5, size=(n, d))
    if kind == "variances":
        return truth, truth + np.sqrt(variances) * rng.standard_normal((n, d)), variances
    axes = np.linalg.qr(rng.standard_normal((n, d, d)))[0]
    S = np.einsum("iab,ib,icb->iac", axes, variances, axes)
    S = (S + S.transpose(0, 2, 1)) / 2
    return truth, truth + np.einsum("iab,ib->ia", np.linalg.cholesky(S), rng.standard_normal((n, d))), S
