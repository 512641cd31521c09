"""One covariance for all components, kept for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture.families.family import Estimate, Family

if TYPE_CHECKING:
    from cgmm.types import Array, Components


class Shared(Family):
    """Comes before the family that it is of: ``class EII(Shared, Spherical)`` is one variance for all.

    Σ = Σ_c W_c / Σ_c n_c (Celeux and Govaert 1995) is the mean of k quotients W_c / (Σ_c n_c / k).
    """

    per_component = False
    shared = "the covariance"

    def n_parameters(self, k: int, d: int) -> int:
        return super().n_parameters(1, d)

    def counts(self, n_k: Array, d: int) -> Array:
        return super().counts(np.full(len(n_k), _kernels.total(n_k) / len(n_k)), d)

    def prior_counts(self, degrees: float, k: int, d: int, mean: bool) -> float:
        """One prior of the covariance, and one of each mean."""
        without = super().prior_counts(degrees, k, d, False)
        return without + k * (super().prior_counts(degrees, k, d, mean) - without)

    def copies(self, k: int) -> int:
        return k

    def keep(self, covariances: Array, components: Components, previous: Array | None) -> Array:
        """A component without rows adds nothing to what all share."""
        return covariances

    def hold(self, covariances: Array, least: Array, reg_covar: float, n_threads: int = 1) -> Estimate:
        least = least if least.ndim == 1 else least.max(axis=0)
        k = len(covariances)
        mean = covariances.cumsum(axis=0)[-1:] / k  # in order, as the compiled iterations add
        found = super().hold(mean, least, reg_covar, n_threads)
        return Estimate(np.repeat(found.covariances, k, axis=0), np.repeat(found.root, k, axis=0), found.held)

    def agree(self, covariances: Array) -> bool:
        return np.allclose(covariances, covariances[:1], rtol=1e-12, atol=0.0)
