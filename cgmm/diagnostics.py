"""What a fit tells of itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from cgmm.once import once

if TYPE_CHECKING:
    from cgmm.em.stage import Fit
    from cgmm.fit.restarts import Restart
    from cgmm.types import Array


class Diagnostics:
    """How a fit went: what a mixture's parameters alone do not tell.

    Attributes
    ----------
    effective_counts : ndarray (k,) or None
        Σ_i w_i r_ic, the weight of the rows of each component in the last E-step; after ``partial_fit``, of those that
        are remembered. None if there was none, or for a model that was loaded.
    condition_numbers : ndarray (k,)
        Largest over smallest eigenvalue of each covariance (tied: (1,)).
    repairs : tuple of Repair
        (iteration, component, cause, row): each first repair of its component and cause; iteration 0 is the start.
        After ``partial_fit`` those of the last batch.
    degenerate : tuple of Repair
        Those of them that the end of the fit depends on: what the DegenerateWarning tells.
    restarts : tuple of Restart
        (kind, log_likelihood, n_iter, converged, carried) of each start.
    winner : int
        Which of them the model is.
    passes : int
        How often the fit read all rows. Of blocks, files and Dask collections: how often they were read. Of an array:
        the iterations of EM over all of its rows of positive weight, with the short runs of starts where these are of
        all of them, and what else looked at all rows. Starts of large data work on a sample of some 16 000 rows; what
        they do there is not counted, nor is k-means, nor the check of an array.

    Examples
    --------
    >>> from cgmm import GMM
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> model = GMM(2, random_state=0).fit(X)
    >>> model.diagnostics_.repairs, len(model.diagnostics_.restarts)
    ((), 1)
    """

    def __init__(self, fit: Fit, restarts: Iterable[Restart], winner: int, passes: int = 0) -> None:
        self._fit, self.restarts, self.winner, self.passes = fit, tuple(restarts), winner, passes
        self.effective_counts: Array | None = fit.masses
        self.repairs, self.degenerate = fit.repairs, fit.degenerate

    @once
    def condition_numbers(self) -> Array:
        parameters = self._fit.parameters
        return parameters.family.condition_numbers(parameters.covariances, parameters.root)

    def __repr__(self) -> str:
        told = [
            f"effective_counts={self.effective_counts}",
            f"condition_numbers={self.condition_numbers}",
            f"repairs={len(self.repairs)}",
            f"winner={self.winner} of {len(self.restarts)}",
        ]
        return f"Diagnostics({', '.join(told)})"
