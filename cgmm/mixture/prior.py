"""Priors: what is believed of the parameters before the data, as rows that were never seen.

A conjugate prior adds to the sufficient statistics, and the M-step finds the maximum of the posterior density.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.errors import InvalidParameterError
from cgmm.mixture.checks import check_scale
from cgmm.mixture.families import FAMILIES
from cgmm.validation import check_real, check_start_array

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.mixture.values import Values
    from cgmm.types import Array, ArrayLike

# Rows of less weight than 2^−60 are nothing to doubles beside the unseen rows of a prior.
LEAST_EXPONENT = -60


@dataclass(frozen=True, eq=False)
class Prior:
    """A conjugate prior on weights, means and covariances.

    Weights are Dirichlet(α); a mean is normal about m with covariance Σ_c / κ; a covariance is inverse Wishart
    with ν degrees of freedom and scale Λ (full and tied), a variance inverse gamma (ν/2, Λ/2) (diag and
    spherical). The defaults are those of Fraley and Raftery, Bayesian regularization for normal mixture
    estimation and model-based clustering (Journal of Classification 24, 2007), and of mclust.

    Parameters
    ----------
    weight_concentration : float, default=1
        α ≥ 1; with 1 the weights are estimated without a prior.
    mean_precision : float, default=0.01
        κ ≥ 0, rows that the prior of a mean counts for; with 0 the means have none.
    mean : array-like (d,), optional
        m. Default: the mean of the rows.
    degrees_of_freedom : float, optional
        ν > 0. Default: d + 2.
    covariance : array-like, optional
        Λ: (d, d) for full and tied, (d,) or a number for diag, a number for spherical. Default: the covariance of the
        rows (n − 1 in the denominator; its diagonal where it is singular), or the mean of its diagonal, over k^(2/d).
    """

    weight_concentration: float = 1.0
    mean_precision: float = 0.01
    mean: ArrayLike | None = None
    degrees_of_freedom: float | None = None
    covariance: ArrayLike | None = None

    def conjugate(
        self, moments: tuple[float, Array, Array], least: Array, family: Family, k: int, exponent: int = 0
    ) -> Conjugate:
        """The Conjugate for rows of these moments, the weight of all, their mean (d,) and covariance (d,d).

        The rows' weights are 2^exponent times those of the moments; below least (d,) no variance falls.

        ValueError or TypeError names a parameter that cannot be used.
        """
        n, mean, spread = moments
        d = len(mean)
        alpha = check_real("prior.weight_concentration", self.weight_concentration, least=1.0)
        kappa = check_real("prior.mean_precision", self.mean_precision)
        degrees = d + 2.0
        if self.degrees_of_freedom is not None:
            degrees = check_real("prior.degrees_of_freedom", self.degrees_of_freedom)
        if self.mean is not None:
            mean = check_start_array("prior.mean", self.mean, (d,))
        if self.covariance is not None:
            scale = check_scale("prior.covariance", self.covariance, family, d)
        else:
            n = np.ldexp(n, exponent)
            spread = spread * (n / max(n - 1, 1))
            if FAMILIES["full"].hold(spread[np.newaxis].copy(), least, 0.0)[2]:
                spread = np.diag(spread.diagonal())
            scale = family.default_scale(spread) / k ** (2 / d)
        counts = family.prior_counts(degrees, k, d, bool(kappa))
        return Conjugate(alpha - 1, kappa, mean, scale, counts).times_power_of_two(-exponent)


class Joined(NamedTuple):
    """Statistics with a prior's: what the weights are in proportion to, masses, moments and counts."""

    weights: Array
    masses: Array
    first: Array
    second: Array
    counts: Array


@dataclass(frozen=True, eq=False)
class Conjugate:
    """A prior as statistics of rows never seen.

    concentration : α − 1, rows of each component;  precision : κ, rows at `mean` (d,);  scale : Λ, their second moment
    counts : what the family counts for it in the denominator of a covariance
    """

    concentration: float
    precision: float
    mean: Array
    scale: Array
    counts: float

    def times_power_of_two(self, exponent: int) -> Conjugate:
        """That of rows whose weights are 2^exponent as large."""
        return replace(
            self,
            concentration=np.ldexp(self.concentration, exponent),
            precision=np.ldexp(self.precision, exponent),
            scale=np.ldexp(self.scale, exponent),
            counts=np.ldexp(self.counts, exponent),
        )

    def join(self, statistics: SufficientStatistics, family: Family) -> Joined:
        """Joined of the rows seen and those never seen."""
        offsets = self.mean - statistics.shift
        precisions = np.full(len(offsets), self.precision)
        return Joined(
            statistics.n_k + self.concentration,
            statistics.n_k + self.precision,
            statistics.first + self.precision * offsets,
            statistics.second + family.scatter(precisions, offsets) + self.scale,
            family.counts(statistics.n_k, offsets.shape[1]) + self.counts,
        )

    def log_density(self, family: Family, values: Values) -> float:
        """The logarithm of the prior's density at some parameters, but for a constant."""
        means, root = values.means, values.root
        with np.errstate(over="ignore"):
            second = family.scatter(np.full(len(means), self.precision), self.mean - means) + self.scale
            precisions = family.precisions(root)
            covariances = self.counts * family.log_root(root).sum() - 0.5 * (precisions * second).sum()
        weights = np.maximum(values.weights, np.finfo(float).tiny)  # a start's may be zero
        return float(covariances + self.concentration * np.log(weights).sum())


def check_prior(prior: object) -> Prior | None:
    """A Prior or None."""
    if prior is None or isinstance(prior, Prior):
        return prior
    if isinstance(prior, str) and prior == "default":
        return Prior()
    raise InvalidParameterError(f"prior must be None, 'default' or a cgmm.Prior, not {prior!r}")
