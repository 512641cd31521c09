"""Log-densities beside 50-digit arithmetic: cases, exact values, the bound, and what other libraries make of them.

    python tests/helpers/accuracy.py

measures the table of docs/accuracy.md: errors in units of their bound. With y = P (x − μ), P = L⁻¹, q = |y|²,
κ = κ(L) = |L| |P|, log p = a − q/2, a = log π − d/2 log 2π − log |L|, it is

    δ = ε (d κ (1 + q) + r √q + |a|):

x − μ errs by ε |x − μ| ≤ ε |L| √q, P by d ε |P|, their product by d ε |P| |x − μ|: so y by d ε κ √q, q/2 by
d ε κ q, and log |L| by d ε κ. In mixtures rows and means are rounded relative to a centre c, by ε |x − c| and
ε |μ − c|: that adds ε r to y, r = | |P| |μ − c| | (d times that, if tied: both are whitened before they are
subtracted). A diagonal P multiplies: κ = 1. Components with shares p_c of a row leave log Σ_c p_c e^δ_c of δ_c.
"""

import argparse
import os
from itertools import product
from typing import NamedTuple

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import mpmath
import numpy as np
from scipy.special import logsumexp
from scipy.stats import Covariance, multivariate_normal

import reference
from cgmm import GMM, _kernels
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from datasets import compact

mpmath.mp.dps = 50

MATRICES = ("full", "tied")
D = (1, 2, 5, 9, 17, 33)
K = (1, 3)
CONDITIONS = (1e0, 1e3, 1e6, 1e9, 1e12)  # of a covariance, or, spherical, of all
OFFSETS = (0.0, 1e6)  # of the means, in units of the largest standard deviation
KEYS = tuple(product(reference.FAMILIES, D, K, CONDITIONS, OFFSETS))
FAR = 1e3  # standard deviations


class Case(NamedTuple):
    """A mixture and rows (n,d)."""

    family: str
    weights: np.ndarray
    means: np.ndarray
    covariances: np.ndarray
    X: np.ndarray

    @property
    def full(self):
        """The covariances (k,d,d)."""
        return reference.expand(self.covariances, self.family, *self.means.shape)


def case(family, d, k, condition, offset, seed=0):
    """Variances from 1 down to 1/condition (d = 1: that) along random axes, or features, or components."""
    rng = np.random.default_rng([seed, d, k, int(condition), int(offset)])
    spectrum = condition ** -(np.arange(d) / (d - 1) if d > 1 else np.ones(1))
    variances = np.array([rng.permutation(spectrum) for c in range(k)])
    axes = np.tile(np.eye(d), (k, 1, 1))
    if family == "spherical":
        variances[:] = condition ** -np.linspace(1, 0, k)[:, np.newaxis]
    if family in MATRICES:
        axes = np.linalg.qr(rng.standard_normal((k, d, d)))[0]
    if family == "tied":
        axes[:], variances[:] = axes[0], variances[0]
    half = axes * np.sqrt(variances)[:, np.newaxis]
    covariances = half @ half.transpose(0, 2, 1)
    covariances = compact((covariances + covariances.transpose(0, 2, 1)) / 2, family)
    means = offset + 2 * rng.standard_normal((k, d))
    rows = [means[c] + standard_rows(variances[c], rng) @ half[c].T for c in range(k)]
    return Case(family, rng.dirichlet(np.full(k, 5.0)), means, covariances, np.concatenate(rows))


def standard_rows(variances, rng):
    """Rows (11,d) in standard deviations along the axes: near, far, along the smallest and the largest axis."""
    d = len(variances)
    near, far = rng.standard_normal((3, d)), FAR * rng.standard_normal((2, d))
    along = np.array([1.0, -3.0, FAR])[:, np.newaxis]
    return np.concatenate([near, far, *(along * np.eye(d)[j] for j in (variances.argmin(), variances.argmax()))])


# exact values


class Exact(NamedTuple):
    """log_density (n,) in 50 digits; in double: shares log p_c (n,k), q (n,k), a (k,)."""

    log_density: list
    log_share: np.ndarray
    q: np.ndarray
    a: np.ndarray


def exact(case, X):
    k, d = case.means.shape
    roots = [cholesky(S) for S in (case.full[:1] if case.family == "tied" else case.full)]
    roots *= k // len(roots)
    means, weights = [exactly(mean) for mean in case.means], exactly(case.weights)
    half_log = d * mpmath.log(2 * mpmath.pi) / 2
    a = [
        mpmath.log(w) - half_log - mpmath.fsum(mpmath.log(row[-1]) for row in L)
        for w, L in zip(weights, roots, strict=True)
    ]
    log_density, log_share, q = [], [], []
    for x in map(exactly, X):
        q.append([squared_norm(L, x, mean) for L, mean in zip(roots, means, strict=True)])
        joint = [a_c - q_c / 2 for a_c, q_c in zip(a, q[-1], strict=True)]
        log_density.append(max(joint) + mpmath.log(mpmath.fsum(mpmath.exp(j - max(joint)) for j in joint)))
        log_share.append([j - log_density[-1] for j in joint])
    return Exact(log_density, *(np.array(values, dtype=np.float64) for values in (log_share, q, a)))


def exactly(values):
    return [mpmath.mpf(float(value)) for value in values]


def cholesky(S):
    """L, Σ = L Lᵀ: its rows up to the diagonal."""
    L = []
    for i, row in enumerate(S):
        values = []
        for j, s in enumerate(exactly(row[: i + 1])):
            rest = s - mpmath.fdot(values, values if j == i else L[j][:j])
            values.append(mpmath.sqrt(rest) if j == i else rest / L[j][j])
        L.append(values)
    return L


def squared_norm(L, x, mean):
    """|L⁻¹ (x − μ)|²."""
    y = []
    for row, x_j, mean_j in zip(L, x, mean, strict=True):
        y.append((x_j - mean_j - mpmath.fdot(row[:-1], y)) / row[-1])
    return mpmath.fdot(y, y)


def errors(found, true):
    """|found − exact| (n,)."""
    return np.array([float(abs(f - t)) for f, t in zip(exactly(found), true.log_density, strict=True)])


def bound(case, true, eps, conditioned=True):
    """The bound (n,) of the error of each row; not `conditioned`, that of covariances with κ = 1."""
    d = case.means.shape[1]
    centre = parameters(case).density.centre
    P = np.linalg.inv(np.linalg.cholesky(case.full))
    r = np.linalg.norm(np.einsum("cij,cj->ci", np.abs(P), np.abs(case.means - centre)), axis=1)
    kappa = np.sqrt(np.linalg.cond(case.full)) if conditioned and case.family in MATRICES else 1.0
    r *= d if case.family == "tied" else 1
    delta = eps * (d * kappa * (1 + true.q) + r * np.sqrt(true.q) + np.abs(true.a))
    return logsumexp(true.log_share + delta, axis=1)


# the libraries: log-densities (n,) of rows, or LinAlgError


def cgmm(case, X):
    return GMM.from_parameters(*case[1:4], case.family).score_samples(X)


def cgmm_in_double(case, X):
    """With the roots of the passes of a fit."""
    return _kernels.evaluate(X, parameters(case).density, "log_likelihood")


def parameters(case):
    return Parameters.build(FAMILIES[case.family], *(a.copy() for a in case[1:4]))


def scikit_learn(case, X):
    from sklearn.mixture import GaussianMixture
    from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

    model = GaussianMixture(len(case.weights), covariance_type=case.family)
    model.weights_, model.means_, model.covariances_ = case[1:4]
    model.precisions_cholesky_ = _compute_precision_cholesky(case.covariances, case.family)
    return model.score_samples(X)


def scipy_eigenvectors(case, X):
    return multivariate_normal.logpdf(X, case.means[0], case.full[0])


def scipy_cholesky(case, X):
    S = case.full[0]
    diagonal = case.family not in MATRICES
    root = Covariance.from_diagonal(np.diag(S)) if diagonal else Covariance.from_cholesky(np.linalg.cholesky(S))
    return multivariate_normal.logpdf(X, case.means[0], root)


def others(case):
    """Those that have a density for the case; SciPy's is of one component."""
    return (scikit_learn,) if len(case.weights) > 1 else (scikit_learn, scipy_eigenvectors, scipy_cholesky)


def errors_of(library, case, true):
    """|found − exact| (n,) of float64 rows; infinite, where the library refuses."""
    try:
        return errors(np.atleast_1d(library(case, case.X)), true)
    except np.linalg.LinAlgError:
        return np.full(len(case.X), np.inf)


# the table


def measured(seeds):
    """(matrices?, offset, condition, column) → the largest error in units of its bound."""
    worst = {}

    def note(*key, ratio):
        worst[key] = max(worst.get(key, 0.0), ratio.max())

    for seed, key in product(range(seeds), KEYS):
        family, _, _, condition, offset = key
        c = case(*key, seed)
        at = (family in MATRICES, offset, condition)
        true = exact(c, c.X)
        unit = bound(c, true, np.finfo(np.float64).eps)
        for library in (cgmm, cgmm_in_double, *others(c)):
            note(*at, library.__name__, ratio=errors_of(library, c, true) / unit)
        X = c.X.astype(np.float32)
        true = exact(c, X)
        note(*at, "float32", ratio=errors(cgmm(c, X), true) / bound(c, true, np.finfo(np.float32).eps))
    return worst


COLUMNS = {
    "cgmm": "cgmm",
    "float32": "cgmm, float32 rows",
    "cgmm_in_double": "cgmm, root in double",
    "scikit_learn": "scikit-learn",
    "scipy_eigenvectors": "SciPy",
    "scipy_cholesky": "SciPy, from_cholesky",
}


def table(worst):
    yield f"| covariances | means about | condition | {' | '.join(COLUMNS.values())} |"
    yield "| --- | ---: | ---: |" + " ---: |" * len(COLUMNS)
    for matrices, offset, condition in product((True, False), OFFSETS, CONDITIONS):
        ratios = [worst[matrices, offset, condition, name] for name in COLUMNS]
        cells = ["refused" if np.isinf(ratio) else f"{ratio:.2g}" for ratio in ratios]
        names = "full, tied" if matrices else "diag, spherical"
        yield f"| {names} | {offset:g} | {condition:g} | {' | '.join(cells)} |"


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seeds", type=int, default=20, help="of the cases; default 20")
    print(*table(measured(options.parse_args().seeds)), sep="\n")
