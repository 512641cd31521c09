"""What became of many fits, in arrays that hold all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from cgmm.fit.many import Outcome
    from cgmm.fit.state import State
    from cgmm.mixture.families import Family
    from cgmm.types import Array, Mask


class Ledger:
    """The fits of m problems, of up to k components each, entered as they end.

    Where a problem has no fit there is NaN, and zero where numbers are counts; a problem of fewer components than k has
    weights of zero for the others, whose means and covariances are NaN.

    weights : (m,k);  means : (m,k,d);  covariances : (m, …) as the family has them;  log_likelihood, aic, bic : (m,)
    converged, n_iter, n_components : (m,);  errors, told : of a problem's index: why it has no fit, and what GMM.fit
    would have warned of
    """

    means: Array
    covariances: Array

    def __init__(self, m: int, k: int, family: Family) -> None:
        self.k, self.family = k, family
        self.weights = np.full((m, k), np.nan)
        self.log_likelihood, self.aic, self.bic = (np.full(m, np.nan) for _ in range(3))
        self.converged: Mask = np.zeros(m, dtype=bool)
        self.n_iter, self.n_components = np.zeros(m, dtype=np.intp), np.zeros(m, dtype=np.intp)
        self.errors: dict[int, str] = {}
        self.told: dict[int, tuple[str, ...]] = {}
        self._states: dict[int, State] = {}
        self._make_room(0)

    def _make_room(self, d: int) -> None:
        """For problems of d features."""
        m, k = self.weights.shape
        self.means = np.full((m, k, d), np.nan)
        self.covariances = np.full((m, *self.family.shape(k, d)), np.nan)

    @property
    def d(self) -> int:
        return self.means.shape[2]

    def enter(self, i: int, found: Outcome) -> None:
        """What became of the i-th problem."""
        if found.state is None or found.criteria is None:
            self.errors[i] = str(found.error)
            return
        fit = found.state.fit
        parameters, k = fit.parameters, fit.parameters.k
        if not self._states:
            self._make_room(parameters.d)
        self.weights[i] = 0.0
        self.weights[i, :k], self.means[i, :k] = parameters.weights, parameters.means
        own: Any = self.covariances[i, :k] if self.family.per_component else self.covariances[i]
        own[...] = parameters.covariances
        self.log_likelihood[i], self.aic[i], self.bic[i], _ = found.criteria
        self.converged[i], self.n_iter[i], self.n_components[i] = fit.converged, found.state.n_iter, k
        if found.told:
            self.told[i] = tuple(text for text, _ in found.told)
        self._states[i] = found.state

    def state(self, i: int) -> State:
        """The State of the i-th problem, which has a fit."""
        return self._states[i]

    def close(self) -> None:
        """Nothing is entered from now on."""
        arrays = (array for array in vars(self).values() if isinstance(array, np.ndarray))
        for array in arrays:
            array.flags.writeable = False
