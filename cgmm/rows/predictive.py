"""The posterior predictive density of rows: what a posterior expects of the density of a row that is still to come."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import Density
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.rows.part import Part
from cgmm.rows.patterns import Patterns

if TYPE_CHECKING:
    from cgmm.mixture.posterior import Posterior
    from cgmm.types import Array, Labels, Rows


def log_predictive(posterior: Posterior, X: Rows, n_threads: int) -> Array:
    """ln ∫ p(x | θ) q(θ) dθ (n,) for rows X (n,d): with expected weights, a mixture of Student's t distributions
    (Bishop 2006, 10.81). Of a row with gaps that of what is observed.
    """
    X = X.astype(np.float64, copy=False)
    patterns = Patterns(Part(X))
    if patterns.complete:
        return _of_features(posterior, X, np.arange(posterior.d), n_threads)
    found = np.zeros(len(X))
    for rows, columns, observed in patterns.by_pattern.patterns():
        if observed:
            features = np.sort(columns[:observed])
            found[rows] = _of_features(posterior, X[rows[:, np.newaxis], features], features, n_threads)
    return found


def _of_features(posterior: Posterior, X: Rows, features: Labels, n_threads: int) -> Array:
    """Of rows X (n,m) of some features (m,)."""
    law, counts = posterior.belief.law, np.broadcast_to(posterior.counts, posterior.k)
    wider = (1.0 + 1.0 / posterior.mean_precision) * counts
    degrees = law.student(counts, posterior.d)
    joints = _apart(posterior, features) if law.apart else [_together(posterior, features)]
    with np.errstate(divide="ignore"):  # of a weight that is zero
        logs = np.tile(np.log(posterior.weights), (len(X), 1))
    for joint in joints:
        logs += joint.log_densities(X, wider, degrees, n_threads)
    top = logs.max(axis=1)
    return top + np.log(np.exp(logs - top[:, np.newaxis]).sum(axis=1))


class Joint(NamedTuple):
    """Features that have one t distribution together in each component.

    columns : of the rows;  density : whose log-densities are −½ |P (x − m)|²;  log_det : (k,) log |P|
    """

    columns: slice
    density: Density
    log_det: Array

    def log_densities(self, X: Rows, wider: Array, degrees: Array, n_threads: int) -> Array:
        """(n,k) of t distributions with those degrees δ, whose scale is `wider` / δ times (Pᵀ P)⁻¹; the arrays (k,):

        ln Γ((δ + m) / 2) − ln Γ(δ / 2) − m/2 ln(π wider) + ln |P| − (δ + m)/2 ln(1 + |P (x − m)|² / wider)
        """
        from scipy.special import gammaln  # slow to import

        m = self.density.means.shape[1]
        squares = -2.0 * _kernels.evaluate(X[:, self.columns], self.density, "log_densities", n_threads)
        norm = gammaln((degrees + m) / 2) - gammaln(degrees / 2) - 0.5 * m * np.log(np.pi * wider) + self.log_det
        found: Array = norm - (degrees + m) / 2 * np.log1p(squares / wider)
        return found


def _together(posterior: Posterior, features: Labels) -> Joint:
    """All features at once."""
    family, k = posterior.family, posterior.k
    weights, means = posterior.weights, np.ascontiguousarray(posterior.means[:, features])
    if len(features) == posterior.d or not family.correlated:
        return _joint(Parameters(family, weights, means, posterior.covariances, posterior.root), slice(None))
    covariances = family.project(posterior.covariances, np.eye(posterior.d)[features], k)
    return _joint(Parameters.build(FAMILIES["full"], weights, means, covariances), slice(None))


def _apart(posterior: Posterior, features: Labels) -> list[Joint]:
    """A feature after the other, as they are independent."""
    family, weights = FAMILIES["spherical"], posterior.weights
    found = []
    for at, j in enumerate(features):
        own = (np.ascontiguousarray(values[:, j]) for values in (posterior.covariances, posterior.root))
        means = np.ascontiguousarray(posterior.means[:, j : j + 1])
        found.append(_joint(Parameters(family, weights, means, *own), slice(at, at + 1)))
    return found


def _joint(parameters: Parameters, columns: slice) -> Joint:
    log_det = parameters.family.whitening(parameters.root, parameters.k, parameters.d).log_det
    return Joint(columns, parameters.density._replace(log_norm=np.zeros(parameters.k)), log_det)
