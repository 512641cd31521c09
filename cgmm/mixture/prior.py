"""Priors: what is believed of the parameters before the data, as rows that were never seen.

A conjugate prior adds to the sufficient statistics, and the M-step finds the maximum of the posterior density.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from cgmm.errors import InvalidParameterError
from cgmm.mixture import matrices
from cgmm.mixture.checks import check_scale
from cgmm.mixture.conjugate import Conjugate
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.floor import EPS
from cgmm.validation import check_array, check_choice, check_real, check_start_array

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.types import Array, ArrayLike

# An eigenvalue of a correlation matrix (d,d) is no more than rounding if it is below so many times d times the relative
# rounding of the moments.
ROUNDED = 16
MCLUST: Literal["mclust"] = "mclust"


@dataclass(frozen=True, eq=False)
class Prior:
    """A conjugate prior on weights, means and covariances.

    Weights are Dirichlet(α); a mean is normal about m with covariance Σ_c / κ; a covariance is inverse Wishart
    with ν degrees of freedom and scale Λ (full and tied), a variance inverse gamma (ν/2, Λ/2) (diag and
    spherical). The defaults are those of Fraley and Raftery, Bayesian regularization for normal mixture
    estimation and model-based clustering (Journal of Classification 24, 2007), and of mclust.

    Parameters
    ----------
    weight_concentration : float or array-like (k,), default=1
        α ≥ 1; with 1 the weights are estimated without a prior.
    mean_precision : float or array-like (k,), default=0.01
        κ ≥ 0, rows that the prior of a mean counts for; with 0, which is for all means or for none, they have none.
    mean : array-like (d,) or (k, d), optional
        m, for all components or for each; then the components of a start take the order of those that are nearest.
        Default: the mean of the rows.
    degrees_of_freedom : float, optional
        ν > 0. Default: d + 2.
    covariance : array-like, optional
        Λ: (d, d) for full and tied, (d,) or a number for diag, a number for spherical. Default: the covariance of the
        rows (n − 1 in the denominator; its diagonal where it is singular), or the mean of its diagonal, over k^(2/d).
        Or one for each component, of the shape of ``covariances_``, where they have covariances of their own.
    formulas : {"density", "mclust"}, default="density"
        "density": each covariance that is estimated has the prior's density, in all families. "mclust": what mclust 6
        adds to the scatter and the rows of a component, which differs in EII, EEI, VEI, EVI, EEV and VEV; VEE, EVE, VVE
        and EVV have no prior there, which is an error. See docs/fixed-and-priors.md.

    Examples
    --------
    >>> import cgmm
    >>> prior = cgmm.Prior(mean=[[0.0]], mean_precision=4.0)  # Worth four rows at 0
    >>> model = cgmm.GMM(1, prior=prior).fit([[5.0], [5.0], [5.0], [5.0]])
    >>> model.means_.tolist()
    [[2.5]]
    """

    weight_concentration: float | ArrayLike = 1.0
    mean_precision: float | ArrayLike = 0.01
    mean: ArrayLike | None = None
    degrees_of_freedom: float | None = None
    covariance: ArrayLike | None = None
    formulas: Literal["density", "mclust"] = "density"

    def conjugate(
        self, moments: tuple[float, Array, Array], least: Array, family: Family, k: int, eps: float = EPS
    ) -> Conjugate:
        """The Conjugate for rows of these moments, the weight of all, their mean (d,) and covariance (d,d).

        least : (d,) no variance falls below it;  eps : the relative rounding of the moments

        ValueError or TypeError names a parameter that cannot be used.
        """
        n, mean, spread = moments
        d = len(mean)
        alpha = _strengths("prior.weight_concentration", self.weight_concentration, k, least=1.0)
        kappa = _strengths("prior.mean_precision", self.mean_precision, k)
        if np.any(kappa) != np.all(kappa):
            raise InvalidParameterError("prior.mean_precision must be positive for each component, or zero for all")
        degrees = d + 2.0
        if self.degrees_of_freedom is not None:
            degrees = check_real("prior.degrees_of_freedom", self.degrees_of_freedom)
        if self.mean is not None:
            shape = (k, d) if check_array("prior.mean", self.mean).ndim == 2 else (d,)
            mean = check_start_array("prior.mean", self.mean, shape)
        if self.covariance is not None:
            scale = check_scale("prior.covariance", self.covariance, family, d, k)
        else:
            scale = family.default_scale(unbiased(n, spread, least, eps)) / k ** (2 / d)
        adds = family.mclust_unseen if self.formulas == MCLUST else family.unseen
        unseen = adds(scale, degrees, k, d, bool(np.all(kappa)))
        return Conjugate(alpha - 1, kappa, mean, unseen.scale, unseen.counts)

    def suits(self, family: Family) -> bool:
        """Whether the prior is defined for the family."""
        return self.formulas != MCLUST or family.mclust_prior


def unbiased(n: float, covariance: Array, least: Array, eps: float) -> Array:
    """The covariance (d,d) of rows of weight n with n − 1 in the denominator; where it is singular, its diagonal."""
    n = max(n, 1.0)
    covariance = covariance * (n / max(n - 1, 1))
    # Where rounding is larger than a variance, what is left of it may be negative.
    variances = np.maximum(covariance.diagonal(), 0.0)
    return np.diag(variances) if _is_singular(covariance, least, eps) else covariance


def _strengths(name: str, value: object, k: int, least: float = 0.0) -> float | Array:
    """A number of rows, no less than `least`, for all components or for each."""
    if isinstance(value, str) or np.ndim(check_array(name, value)) == 0:
        return check_real(name, value, least=least)
    found = check_start_array(name, value, (k,))
    if (found < least).any():
        raise InvalidParameterError(f"{name} must be at least {least}, but holds {found.min()}")
    return found


def _is_singular(covariance: Array, least: Array, eps: float) -> bool:
    """Whether a covariance (d,d) leaves a feature no more than the floor, or rounding, once the others are known."""
    if FAMILIES["full"].hold(covariance[np.newaxis].copy(), least, 0.0).held:
        return True
    unit = np.sqrt(covariance.diagonal())
    return bool(matrices.eigh(covariance / unit / unit[:, None])[0][0] < ROUNDED * len(unit) * eps)


def check_prior(prior: object, family: Family) -> Prior | None:
    """A Prior that suits the family, or None."""
    if isinstance(prior, str) and prior in NAMED:
        prior = NAMED[prior]
    if prior is None:
        return None
    if not isinstance(prior, Prior):
        raise InvalidParameterError(f"prior must be None, 'default', 'mclust' or a cgmm.Prior, not {prior!r}")
    check_choice("prior.formulas", prior.formulas, {name: name for name in ("density", MCLUST)})
    if not prior.suits(family):
        raise InvalidParameterError(
            f"prior: mclust has none for covariance_type {family.name!r}; with formulas='density', as prior='default' "
            "has, there is one for all families"
        )
    return prior


# Priors that have a name.
NAMED = {"default": Prior(), MCLUST: Prior(formulas=MCLUST)}
