"""What a mixture says of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels, validation
from cgmm.data import InMemory
from cgmm.pruning import Pruning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgmm.gmm import GMM
    from cgmm.parameters import Parameters
    from cgmm.statistics import SufficientStatistics
    from cgmm.types import Array, ArrayLike

ROWS_AT_A_TIME = 65536  # of responsibilities held at once, where not each of them is wanted


class Evaluation(NamedTuple):
    """Rows that are known to be good, and the parameters that evaluate them."""

    data: InMemory
    parameters: Parameters
    n_threads: int

    @property
    def number(self) -> float:
        """The number of rows: the sum of their weights."""
        return self._sum(np.ones(self.data.n))

    def evaluate(self, what: Any) -> Any:
        """A value for each row."""
        guide = Pruning(self.data, moments=False).guide(self.parameters)
        return _kernels.evaluate(self.data.X, self.parameters.density, what, self.n_threads, guide)

    def log_likelihood(self) -> float:
        """Σ_i w_i log p(x_i)."""
        return self._sum(self.evaluate("log_likelihood"))

    def mean_log_likelihood(self) -> float:
        evaluation = self._replace(data=InMemory(self.data.X, self.data.row_weights))
        return evaluation.log_likelihood() / evaluation.number

    def bic(self) -> float:
        return self._penalised(self.log_likelihood(), float(np.log(self.number)))

    def aic(self) -> float:
        return self._penalised(self.log_likelihood(), 2.0)

    def icl(self) -> float:
        return self.bic() - 2.0 * self._log_certainty()

    def criteria(self) -> tuple[float, float, float, float]:
        """Log-likelihood, AIC, BIC and ICL."""
        log_likelihood = self.log_likelihood()
        bic = self._penalised(log_likelihood, float(np.log(self.number)))
        return log_likelihood, self._penalised(log_likelihood, 2.0), bic, bic - 2.0 * self._log_certainty()

    def _penalised(self, log_likelihood: float, parameter: float) -> float:
        return -2.0 * log_likelihood + parameter * self.parameters.n_parameters

    def _log_certainty(self) -> float:
        """Σ_i w_i log max_c r_ic."""
        return sum(part._sum(np.log(part.evaluate("responsibilities").max(axis=1))) for part in self.parts())

    def parts(self) -> Iterator[Evaluation]:
        """Of so few rows at a time that the values of all components fit into memory."""
        for start in range(0, self.data.n, ROWS_AT_A_TIME):
            yield self._replace(data=self.data.cut(slice(start, start + ROWS_AT_A_TIME)))

    def _sum(self, values: Array) -> float:
        row_weights = self.data.row_weights
        if row_weights is None:
            return float(values.sum())
        counted = row_weights > 0  # a row of weight zero may have no finite value
        with np.errstate(over="ignore"):
            return float(np.ldexp((row_weights[counted] * values[counted]).sum(), self.data.exponent))


def expectation(model: GMM, X: ArrayLike, sample_weight: ArrayLike | None = None) -> SufficientStatistics:
    """The sufficient statistics of a block of rows under a fitted mixture: one E-step.

    Parameters
    ----------
    model : GMM
        Fitted, or made by ``GMM.from_parameters``.
    X : array-like of shape (n, d)
        Rows; float32 and float64 arrays are not copied.
    sample_weight : array-like of shape (n,), optional
        Non-negative row weights; all may be zero.

    Returns
    -------
    SufficientStatistics

    Raises
    ------
    ValueError, TypeError
        X or sample_weight cannot be used, or X has other features than the model.
    """
    known = model._evaluation(X)
    weights = validation.check_weights(sample_weight, known.data.n, some=False)
    row_weights, exponent = validation.of_order_one(weights)
    found = InMemory(known.data.X, row_weights).statistics(known.parameters, known.n_threads)
    return found.times_power_of_two(exponent) if exponent else found
