"""How well a mixture fits rows: sums over the rows, and the information criteria that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

CRITERIA = {name: name for name in ("bic", "aic", "icl")}


@dataclass(frozen=True)
class Sums:
    """Σ_i w_i log p(x_i), Σ_i w_i and Σ_i w_i log max_c r_ic, 2^−exponent times what they are; n rows.

    n_parameters : of the mixture, those that are free
    """

    log_likelihood: float
    number: float
    log_certainty: float
    exponent: int
    n: int
    n_parameters: int

    def __add__(self, other: Sums) -> Sums:
        if not self.number or (other.number and other.exponent > self.exponent):
            return other._plus(self)
        return self._plus(other)

    def _plus(self, other: Sums) -> Sums:
        """Their sum, with this one's exponent."""
        more = other.times_power_of_two(other.exponent - self.exponent)
        return replace(
            self,
            log_likelihood=self.log_likelihood + more.log_likelihood,
            number=self.number + more.number,
            log_certainty=self.log_certainty + more.log_certainty,
            n=self.n + more.n,
        )

    def times_power_of_two(self, exponent: int) -> Sums:
        """The same sums, 2^exponent as large."""
        if not exponent:
            return self
        with np.errstate(over="ignore"):
            values = np.ldexp([self.log_likelihood, self.number, self.log_certainty], exponent).tolist()
        log_likelihood, number, log_certainty = values
        return replace(
            self,
            log_likelihood=log_likelihood,
            number=number,
            log_certainty=log_certainty,
            exponent=self.exponent - exponent,
        )

    @property
    def total_weight(self) -> float:
        return self.times_power_of_two(self.exponent).number

    @property
    def mean_log_likelihood(self) -> float:
        return self.log_likelihood / self.number

    def criteria(self) -> Criteria:
        """Information criteria; without the certainty, the ICL is the BIC."""
        sums = self.times_power_of_two(self.exponent)
        aic, bic = information(sums.log_likelihood, sums.number, self.n_parameters)
        return Criteria(sums.log_likelihood, float(aic), float(bic), float(bic) - 2.0 * sums.log_certainty)


def information(log_likelihood: Any, number: Any, n_parameters: int) -> tuple[Any, Any]:
    """AIC and BIC, of numbers or of arrays of them."""
    fit = -2.0 * log_likelihood
    return fit + 2.0 * n_parameters, fit + n_parameters * np.log(number)


class Criteria(NamedTuple):
    log_likelihood: float
    aic: float
    bic: float
    icl: float
