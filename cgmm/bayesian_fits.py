"""What many fits of posteriors have found: the value that `cgmm.fit_many` returns of a BayesianGMM."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.bayesian import LIVES, BayesianGMM
from cgmm.fits import ManyFits
from cgmm.rows.evaluation import Evaluations

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.fit.posteriors import Posteriors
    from cgmm.rows.problems import Titles
    from cgmm.types import Array, ArrayLike, Labels


class BayesianFits(ManyFits[BayesianGMM]):
    """The posteriors of m problems: what ``cgmm.fit_many`` with ``model=BayesianGMM(…)`` has found.

    ``fits[i]`` is the i-th as a fitted BayesianGMM, ``fits.of(label)`` that of a group or of a named column, and
    ``len(fits)`` is m. The arrays are read-only. With a sequence of numbers of components, k is the largest; a problem
    that has fewer has weights of zero, and NaN in all else, for the rest. All is NaN of a problem without a fit.

    Attributes
    ----------
    labels : ndarray (m,)
        The groups, sorted; the names of the columns; or 0 … m − 1.
    weights : ndarray (m, k)
        Expected weights.
    means : ndarray (m, k, d)
        Expected means.
    covariances : ndarray
        The inverses of expected precisions: (m, k, d, d) full, (m, d, d) tied, (m, k, d) diag, (m, k) spherical.
    weight_concentration : ndarray (m, k), or tuple of two
        As of BayesianGMM: of a Dirichlet process both parameters of the sticks' Beta distributions.
    mean_precision : ndarray (m, k)
    degrees_of_freedom : ndarray (m, k), or (m,) where components share a covariance
    lower_bound : ndarray (m,)
        The evidence lower bound of all rows of the problem (nats).
    n_effective : ndarray (m,) of int
        How many components live: their rows weigh at least as much as one row.
    converged : ndarray (m,) of bool
    n_iter : ndarray (m,) of int
        Iterations.
    n_components : ndarray (m,) of int
        Of the fit that was chosen; 0 where there is none.
    errors : dict
        From the index of each problem that has no fit to the reason.
    warnings : dict
        From an index to what ``BayesianGMM.fit`` would have warned of, a tuple of str, where there is something to
        tell.

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
    >>> fits = cgmm.fit_many(X, model=cgmm.BayesianGMM(2, max_iter=5000, random_state=0))
    >>> fits.n_effective.shape
    (3,)
    """

    _class, _believed = BayesianGMM, True
    _told = ("n_components", "n_effective", "lower_bound", "converged", "n_iter")
    _ledger: Posteriors

    def __init__(self, ledger: Posteriors, titles: Titles, model: BayesianGMM, seeds: Sequence[int]) -> None:
        super().__init__(ledger, titles, model, seeds)
        self.lower_bound: Array = ledger.lower_bound
        self.n_effective: Labels = np.count_nonzero(ledger.masses >= LIVES, axis=1)
        self.mean_precision: Array = ledger.mean_precisions()
        self.degrees_of_freedom: Array = ledger.degrees_of_freedom()
        found = ledger.concentrations()
        self.weight_concentration: Array | tuple[Array, Array] = found[0] if len(found) == 1 else (found[0], found[1])
        for array in (self.n_effective, self.mean_precision, self.degrees_of_freedom, *found):
            array.flags.writeable = False

    def log_predictive(self, X: ArrayLike, *, groups: ArrayLike | None = None, columns: bool = False) -> Any:
        """The logarithm of the posterior predictive density of each row (nats); as ``predict``, NaN where its problem
        has no fit. See ``BayesianGMM.log_predictive``.

        Parameters
        ----------
        X : array-like of shape (n, d)
            Rows, from wherever ``fit`` takes them.
        groups : array-like, optional
            As in ``fit_many``.
        columns : bool, default=False
            As in ``fit_many``.

        Examples
        --------
        >>> import numpy as np
        >>> import cgmm
        >>> X = np.random.default_rng(0).normal(size=(3, 200, 1)) + [[[0.0]], [[50.0]], [[100.0]]]
        >>> fits = cgmm.fit_many(X, model=cgmm.BayesianGMM(1))
        >>> fits.log_predictive(X).shape
        (3, 200)
        """
        return self._evaluate(Evaluations.log_predictive, np.nan, X, groups, columns)
