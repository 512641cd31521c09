"""What steers a run of EM."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture.floor import EPS, relative_to
from cgmm.mixture.rules import Rules

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.conjugate import Conjugate
    from cgmm.types import Array, Stop

# From one iteration to the next rounding alone changes the mean log-likelihood by up to this, in units of the type's
# rounding times the sum of d and its absolute value: measured on float32 rows, where parameters no longer moved.
NOISE = 0.5
# The log-likelihood does not fall by more, relative to itself: a larger fall is no rounding of double sums.
ROUNDING = 1e-11


class Settings(NamedTuple):
    """What steers EM, checked: see cgmm.GMM for tol, max_iter, stop and accelerate.

    rules : what its M-steps obey;  prune, reseed : False forbids it
    rows : as how many rows the objective counts: a mean as one
    """

    rules: Rules = Rules()
    tol: float = 0.0
    max_iter: int = 0
    prune: bool = True
    reseed: bool = True
    stop: Stop = "change"
    accelerate: bool = False
    rows: float = 1.0

    @property
    def n_threads(self) -> int | None:
        return self.rules.n_threads

    @property
    def prior(self) -> Conjugate | None:
        return self.rules.prior

    @property
    def noise(self) -> float:
        """A run has also converged once its last iterations have together changed the log-likelihood by less than this,
        times the sum of d and its absolute value. With a tol of zero none has: max_iter is to end it.
        """
        return NOISE * self.rules.eps if self.tol else 0.0

    def settled(self, before: float, change: float) -> bool:
        """Whether a run of EM's own steps has converged, whose objective changed so much before, and now.

        With "distance" what is left to gain must be less than tol, too: change² / (before − change), if changes go on
        to shrink at this rate (Aitken's Δ²; Böhning et al. 1994).
        """
        if not abs(change) < self.tol:
            return False
        if self.stop == "change" or change <= 0:
            return True
        return bool(before - change < np.inf and change * change < self.tol * (before - change))

    def with_rules(
        self, *, least: Array | None = None, prior: Conjugate | None = None, variances: Array | None = None
    ) -> Self:
        """The same with what is known once the rows are: a floor, a prior, a reg_covar relative to variances (d,)."""
        rules = self.rules._replace(least=least, prior=prior)
        if rules.relative and variances is not None and least is not None:
            rules = rules._replace(reg_covar=relative_to(variances, least))
        return self._replace(rules=rules)

    def for_rows(self, double: bool) -> Self:
        """The same for moments that are exact to the rounding of float64, or of float32."""
        eps = EPS if double else float(np.finfo(np.float32).eps)
        return self if self.rules.eps == eps else self._replace(rules=self.rules._replace(eps=eps))
