"""What steers a run of EM."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture.floor import EPS
from cgmm.mixture.rules import Rules

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.conjugate import Conjugate
    from cgmm.types import Array, Stop

# The log-likelihood does not fall by more, relative to itself: a larger fall is no rounding of double sums.
ROUNDING = 1e-11


class Settings(NamedTuple):
    """What steers EM, checked: see cgmm.GMM for tol, max_iter, stop and accelerate.

    rules : what its M-steps obey;  prune, reseed : False forbids it
    """

    rules: Rules = Rules()
    tol: float = 0.0
    max_iter: int = 0
    prune: bool = True
    reseed: bool = True
    stop: Stop = "change"
    accelerate: bool = False

    @property
    def n_threads(self) -> int | None:
        return self.rules.n_threads

    @property
    def prior(self) -> Conjugate | None:
        return self.rules.prior

    def settled(self, before: float, change: float) -> bool:
        """Whether a run of EM's own steps has converged, whose objective changed so much before, and now.

        With "distance" what is left to gain must be less than tol, too: change² / (before − change), if changes go on
        to shrink at this rate (Aitken's Δ²; Böhning et al. 1994).
        """
        if not abs(change) < self.tol:
            return False
        return self.stop == "change" or change <= 0 or change * change < self.tol * (before - change) < np.inf

    def with_rules(self, *, least: Array | None = None, prior: Conjugate | None = None) -> Self:
        """The same with a floor, and a prior, that are known once the rows are."""
        return self._replace(rules=self.rules._replace(least=least, prior=prior))

    def for_rows(self, double: bool) -> Self:
        """The same for moments that are exact to the rounding of float64, or of float32."""
        eps = EPS if double else float(np.finfo(np.float32).eps)
        return self if self.rules.eps == eps else self._replace(rules=self.rules._replace(eps=eps))
