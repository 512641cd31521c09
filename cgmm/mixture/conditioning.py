"""What some features of a mixture's components say of others: a regression for each component.

A component of mean μ and covariance Σ whose features o are given has in the others, m, the mean μ_m + B (x_o − μ_o)
and the covariance K Kᵀ = Σ_mm − B Σ_om, with B = Σ_mo Σ_oo⁻¹ (Bishop 2006, 2.81 and 2.82). B and K come from the root
of Σ by reflections (`condition` in src/simd/kernels.h), so no difference of matrices is formed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Labels, Rows


@dataclass(frozen=True, eq=False)
class Conditioning:
    """The regressions of features `others` (m,) of a mixture on the features `given` (p,) that matter.

    means_given : (k,p);  means : (k,m);  slopes : (k,p,m) or (1,p,m), Bᵀ
    factors : (k,m,m) or (1,m,m), K
    """

    given: Labels
    others: Labels
    means_given: Array
    means: Array
    slopes: Array
    factors: Array

    @classmethod
    def of(cls, parameters: Parameters, given: Labels, others: Labels) -> Self:
        found = parameters.family.regression(parameters.root, given, others)
        given = given[: found.slopes.shape[1]]
        means_given, means = (np.ascontiguousarray(parameters.means[:, some]) for some in (given, others))
        return cls(given, others, means_given, means, found.slopes, np.ascontiguousarray(found.factors))

    def taken(self, X: Rows, rows: Labels) -> Array:
        """What those of the rows X (n,d) have in the features given: (rows,p)."""
        return np.ascontiguousarray(X[rows[:, None], self.given], dtype=np.float64)

    def component_means(self, x: Array, n_threads: int = 1) -> Array:
        """The mean of each component given x (n,p): (n,k,m)."""
        return _kernels.regress(x, self.means_given, self.means, self.slopes, None, n_threads)

    def mean(self, x: Array, responsibilities: Array, n_threads: int = 1) -> Array:
        """Σ_c r_c (μ_m + B (x − μ_o))_c for each x (n,p), with responsibilities (n,k): (n,m)."""
        return _kernels.regress(x, self.means_given, self.means, self.slopes, responsibilities, n_threads)

    def draws(self, x: Array, chosen: Array, rng: np.random.Generator, n_threads: int = 1) -> Array:
        """A draw for each x (n,p) from the component that `chosen` (n,k) marks with one: (n,m)."""
        noise = rng.standard_normal((len(x), len(self.others)))
        nothing = np.zeros_like(self.means)
        turned = np.ascontiguousarray(np.swapaxes(self.factors, 1, 2))
        spread = _kernels.regress(noise, nothing, nothing, turned, chosen, n_threads)
        return self.mean(x, chosen, n_threads) + spread

    @property
    def covariances(self) -> Array:
        """K Kᵀ, (k,m,m) or (1,m,m)."""
        return np.einsum("caj,cbj->cab", self.factors, self.factors)

    @property
    def variances(self) -> Array:
        """Of each feature, (k,m) or (1,m)."""
        return np.einsum("caj,caj->ca", self.factors, self.factors)
