"""Choosing among families and numbers of components: candidates, the best of them, and the folds that try them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.types import CovarianceType, Labels

FOLDS = 5  # Of cross-validation: as many as scikit-learn's default.
NEVER = -1  # The fold of a row that is never left out.


class Candidate(NamedTuple):
    """A mixture that a classifier tried.

    Attributes
    ----------
    label
        The class that it is of; None where the classes are the components of one mixture.
    covariance_type : str
    n_components : int
        Of the class.
    value : float
        The criterion, of which the smallest wins: BIC, or of "cv" minus the log-density, or minus the log-probability
        of the classes, of the rows that were left out.

    Examples
    --------
    >>> from cgmm import GMMClassifier
    >>> X, y = [[0.0], [1.0], [2.0], [7.0], [8.0], [9.0]], [0, 0, 0, 1, 1, 1]
    >>> model = GMMClassifier(covariance_type=["E", "V"]).fit(X, y)
    >>> [candidate.covariance_type for candidate in model.candidates_]
    ['E', 'V']
    """

    label: Any
    covariance_type: CovarianceType
    n_components: int
    value: float


def best_of(tried: Sequence[tuple[Candidate, bool]]) -> int:
    """The index of the best candidate, among those that are not degenerate if there are any."""
    return min(range(len(tried)), key=lambda at: (tried[at][1], tried[at][0].value))


def folds_of(of_row: Labels, seed: int) -> Labels:
    """The fold (n,) in which each row is left out: those of each class are spread evenly over all folds.

    Rows of an unknown class, and the only row of a class, are never left out.
    """
    rng, found = np.random.default_rng(seed), np.full(len(of_row), NEVER, dtype=np.intp)
    for g in range(of_row.max() + 1):
        rows = np.flatnonzero(of_row == g)
        if len(rows) > 1:
            found[rng.permutation(rows)] = np.arange(len(rows)) % FOLDS
    return found
