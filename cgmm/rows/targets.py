"""Features and targets that a user hands over apart, as the rows of one mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import protocol
from cgmm.rows.checks import check_observed, check_part, check_table, harmful, harmless_errors
from cgmm.rows.part import Part
from cgmm.rows.row_errors import among, check_errors, of_rows
from cgmm.validation import check_array

if TYPE_CHECKING:
    from cgmm.types import Array, Labels, Names, RowErrors, Rows


class Joined(NamedTuple):
    """Rows (n,p+t) of features and targets, with errors of both or None.

    names : of the features, or None;  flat : whether the targets had one dimension
    """

    part: Part
    p: int
    names: Names | None
    flat: bool

    @property
    def d(self) -> int:
        return self.part.rows.shape[1]

    def ordered(self, columns: Labels) -> Part:
        """The same, feature or target j in the place columns[j]."""
        rows, found = np.empty_like(self.part.rows), self.part.errors
        rows[:, columns] = self.part.rows
        return self.part._replace(rows=rows, errors=None if found is None else among(found, columns, self.d))


def joined(X: Any, y: Any, sample_weight: Any, errors: Any, gaps: bool, n_threads: int) -> Joined:
    """Features X (n,p) and targets y, (n,) or (n,t), checked, with their weights; errors are those of the features, or
    of both."""
    names = protocol.feature_names(X)
    part, _ = check_part(Part(X, sample_weight), None, n_threads, gaps)
    weights, n, p = part.weights, *part.rows.shape
    y = np.asarray(check_array("y", y))
    flat = y.ndim == 1
    y = y[:, None] if flat else y
    if y.ndim != 2 or not y.shape[1]:
        raise ValueError(f"y must be (rows,) or (rows, targets), not of shape {y.shape}")
    if len(y) != n:
        raise ValueError(f"X and y must have as many rows, but have {n} and {len(y)}")
    try:
        targets, _ = check_observed(y, None, n_threads, gaps, weights=weights)
    except ValueError as error:
        raise ValueError(str(error).replace("Input X", "Input y").replace("X[", "y[")) from None
    rows = np.column_stack([part.rows, targets])
    if weights is not None and not weights.all():  # what replaces a row does so as a whole
        lost = harmful(check_table(X, None, gaps), weights, gaps), harmful(y, weights, gaps)
        rows[np.concatenate(lost)] = rows[np.flatnonzero(weights)[0]]
    return Joined(Part(rows, weights, errors=_errors_of(errors, rows, weights, p, gaps)), p, names, flat)


def _errors_of(errors: Any, rows: Rows, weights: Array | None, p: int, gaps: bool) -> RowErrors | None:
    d = rows.shape[1]
    of_all = errors is not None and np.shape(errors)[-1:] == (d,)
    some = rows if of_all else rows[:, :p]
    found = check_errors(of_rows(harmless_errors(errors, weights, *some.shape)), some, gaps)
    return found if found is None or of_all else among(found, np.arange(p), d)


def r_squared(y: Array, predicted: Array, weights: Array) -> float:
    """1 − Σ_i w_i (y_i − ŷ_i)² / Σ_i w_i (y_i − ȳ)² of (n,) or (n,t), of many targets their mean."""
    y, predicted = (values.reshape(len(values), -1) for values in (y, predicted))
    left = np.einsum("i,ij->j", weights, (y - predicted) ** 2)
    whole = np.einsum("i,ij->j", weights, (y - np.average(y, axis=0, weights=weights)) ** 2)
    constant = np.where(left == 0, 1.0, 0.0)  # of targets that do not vary, as scikit-learn's r2_score
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.where(whole > 0, 1 - left / whole, constant).mean())
