"""What a user believes of a mixture before the rows, as far as it is said: the rest is of the rows' own scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from cgmm.mixture.checks import check_scale
from cgmm.mixture.floor import EPS
from cgmm.mixture.laws import WEIGHT_LAWS
from cgmm.mixture.posterior import Belief
from cgmm.mixture.prior import unbiased
from cgmm.validation import check_choice, check_positive, check_start_array

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.types import Array, ArrayLike

# Row weights may sum to no more: a posterior counts rows, and beyond, the logarithms of its constants are no numbers.
MOST_ROWS = 1e290


class Said(Protocol):
    """The arguments of cgmm.BayesianGMM that say it, as a user has set them."""

    weight_concentration_prior_type: Any
    weight_concentration_prior: Any
    mean_precision_prior: Any
    mean_prior: Any
    degrees_of_freedom_prior: Any
    covariance_prior: Any


class Beliefs(NamedTuple):
    """What is said, checked as far as that can be done without rows; None is what is not said.

    kind : the name of what is believed of weights, of cgmm.mixture.laws.WEIGHT_LAWS
    """

    kind: str
    concentration: float | None
    mean_precision: float | None
    mean: ArrayLike | None
    degrees: float | None
    covariance: ArrayLike | None

    def belief(self, moments: tuple[float, Array, Array], least: Array, family: Family, k: int) -> Belief:
        """The Belief for rows of these moments, the weight of all, their mean (d,) and covariance (d,d).

        Its defaults are those of scikit-learn: 1 / k, 1, the mean of the rows, d, and their covariance with n − 1 in
        the denominator, in the form of the family. Where that is singular it is its diagonal, and no variance is below
        least (d,).

        ValueError or TypeError names an argument that cannot be used.
        """
        n, mean, spread = moments
        d = len(mean)
        if n > MOST_ROWS:
            raise ValueError(f"sample_weight sums to {n:.3g}, but may sum to {MOST_ROWS:g} here: it counts rows")
        degrees = float(d) if self.degrees is None else self.degrees
        if not degrees > d - 1:
            raise ValueError(
                f"degrees_of_freedom_prior must be greater than {d - 1}, the number of features less one, not {degrees}"
            )
        if self.covariance is None:
            whole = np.array(family.compact(unbiased(n, spread, least, EPS))).reshape(family.shape(1, d))
            covariance = family.hold(whole, least, 0.0).covariances.reshape(family.scale_shape(d))
        else:
            covariance = check_scale("covariance_prior", self.covariance, family, d)
        return Belief.of_told(
            family,
            k=k,
            kind=self.kind,
            concentration=1.0 / k if self.concentration is None else self.concentration,
            mean_precision=1.0 if self.mean_precision is None else self.mean_precision,
            mean=mean if self.mean is None else check_start_array("mean_prior", self.mean, (d,)),
            degrees=degrees,
            covariance=covariance,
            rows=n,
        )


def check_beliefs(said: Said) -> Beliefs:
    """The Beliefs that arguments say; ValueError or TypeError names one that cannot be used."""
    return Beliefs(
        kind=check_choice(
            "weight_concentration_prior_type",
            said.weight_concentration_prior_type,
            {name: name for name in WEIGHT_LAWS},
        ),
        concentration=_positive("weight_concentration_prior", said.weight_concentration_prior),
        mean_precision=_positive("mean_precision_prior", said.mean_precision_prior),
        mean=said.mean_prior,
        degrees=_positive("degrees_of_freedom_prior", said.degrees_of_freedom_prior),
        covariance=said.covariance_prior,
    )


def _positive(name: str, value: Any) -> float | None:
    return None if value is None else check_positive(name, value)
