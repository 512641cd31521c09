"""Errors of measurement that a user hands over beside rows: checked, and put in the place of what each row has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.validation import check_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels, Mask, RowErrors, Rows

NAME = "error_covariances"
LARGEST = 1e300  # A variance beyond it is no number once it is added to another.
# A covariance is positive semidefinite to what its type rounds: its correlations may lack so much of it. Products and
# sums of many numbers, of which it may have been computed, lose up to half of the digits.
ROUNDING = {np.dtype(np.float64): 1e-8, np.dtype(np.float32): 1e-4}
CHECKED_NUMBERS = 1 << 20  # Numbers of which it is seen at a time whether they are covariances: 8 MiB.


class OfRows(NamedTuple):
    """Errors that are known to be those of each row, whatever else their shape may stand for beside so many rows."""

    errors: Any


def of_rows(errors: Any) -> Any:
    """The OfRows of errors in the place of those that a user hands over, which may be any; None without any."""
    return None if errors is None else OfRows(errors)


def shaped(errors: Any, n: int, d: int) -> RowErrors | None:
    """Variances (n,d) or covariances (n,d,d) of the errors of each row; those of all rows are not copied for each.

    Their values are not looked at. ValueError or TypeError says what is wrong with their shape.
    """
    if errors is None:
        return None
    known = isinstance(errors, OfRows)
    found = check_array(NAME, errors.errors if known else errors)
    shape = found.shape
    if not known and shape == (d, d) and n == d > 1 and _may_be_covariances(found):
        raise ValueError(
            f"{NAME} of shape ({d}, {d}) beside {n} rows of {d} features may be the variances of each row, or one "
            f"covariance matrix of all: give the first as covariance matrices of shape ({n}, {d}, {d}), or the second "
            f"as np.broadcast_to(S, ({n}, {d}, {d}))"
        )
    if shape == (d,) and not known:
        return np.broadcast_to(found, (n, d))
    if shape == (d, d) and n != d:
        return np.broadcast_to(found, (n, d, d))
    if shape in ((n, d), (n, d, d)):
        return found
    raise ValueError(
        f"{NAME} must have shape ({n}, {d}, {d}), a covariance matrix of each row's errors, or ({n}, {d}), their "
        f"variances, or ({d}, {d}) or ({d},), those of all rows, not {shape}"
    )


def shaped_each(errors: Any, m: int, n: int, d: int) -> tuple[RowErrors | None, bool]:
    """Errors of the rows of m problems (n,d), and whether they are (m,n,d) or (m,n,d,d), of each problem; others are
    those of every problem, whose shape is checked beside its rows."""
    if errors is None:
        return None, False
    found = check_array(NAME, errors)
    if found.shape == (m, n, d) and n == d > 1 and _may_be_covariances(found):
        raise ValueError(
            f"{NAME} of shape ({m}, {d}, {d}) beside {m} problems of {n} rows of {d} features may be the variances of "
            f"each row, or covariance matrices of each problem, or of each row of all: give either as covariance "
            f"matrices of shape ({m}, {n}, {d}, {d})"
        )
    return found, found.shape in ((m, n, d), (m, n, d, d))


def _may_be_covariances(found: RowErrors) -> bool:
    """Whether one of matrices (…,d,d) is symmetric, and not the same number everywhere, as variances often are."""
    symmetric = (found == found.swapaxes(-1, -2)).all(axis=(-1, -2))
    return bool((symmetric & (found != found[..., :1, :1]).any(axis=(-1, -2))).any())


def check_errors(errors: Any, X: Rows, gaps: bool) -> RowErrors | None:
    """The same of rows (n,d), with values that variances and covariances can have; ValueError names the first row that
    has others. If `gaps`, those of missing values may be anything."""
    found = shaped(errors, *X.shape)
    if found is None:
        return None
    n, d = X.shape
    alike = found.strides[0] == 0 or n == 1
    gaps = gaps and bool(np.isnan(X).any())
    rows = 1 if alike and not gaps else max(1, CHECKED_NUMBERS // d ** (found.ndim - 1))
    for start in range(0, 1 if rows == 1 and alike else n, rows):
        some = found[start : start + rows]
        if gaps:
            some = _of_observed(some, np.isnan(X[start : start + rows]))
        _check_finite(some, start)
        if found.ndim == 3:
            _check_covariances(some, start)
        else:
            _refuse(some.min(axis=1) < 0, start, "not negative, as variances are")
    return found


def blurred(X: Array, errors: Any, rng: np.random.Generator) -> Array:
    """Rows (n,d) as they are measured: with draws of errors that have these covariances."""
    found = check_errors(errors, X, gaps=False)
    assert found is not None
    return X + normal(found, rng)


def normal(found: RowErrors, rng: np.random.Generator) -> Array:
    """A draw about zero for each of variances (n,d) or covariances (n,d,d), which may be singular; (n,d)."""
    drawn = rng.standard_normal(found.shape[:2])
    if found.ndim == 2:
        return np.sqrt(found) * drawn
    values, axes = np.linalg.eigh(found)
    return np.einsum("iab,ib->ia", axes, np.sqrt(np.maximum(values, 0.0)) * drawn)


def among(errors: RowErrors, features: Labels, d: int) -> RowErrors:
    """Errors of the features (p,) of rows as those of all d, of which the others have none."""
    n, of_all = len(errors), errors.strides[0] == 0
    some = errors[:1] if of_all else errors
    if errors.ndim == 2:
        found = np.zeros((len(some), d), dtype=errors.dtype)
        found[:, features] = some
    else:
        found = np.zeros((len(some), d, d), dtype=errors.dtype)
        found[:, features[:, None], features] = some
    return np.broadcast_to(found, (n, *found.shape[1:])) if of_all else found


def distinct(errors: RowErrors, rows: Labels, features: Labels) -> Iterator[tuple[Labels, Array]]:
    """Of some rows (m,) those that have the same errors of the features (p,), and these errors, (p,) or (p,p)."""
    some = rows[:1] if errors.strides[0] == 0 else rows
    own = (
        errors[some[:, None], features]
        if errors.ndim == 2
        else errors[some[:, None, None], features[:, None], features]
    )
    values, which, counts = np.unique(own, axis=0, return_inverse=True, return_counts=True)
    order = rows if len(values) == 1 else rows[which.ravel().argsort(kind="stable")]
    yield from zip(np.split(order, counts.cumsum()[:-1]), values.astype(np.float64), strict=True)


def axes_of(part: Part) -> int:
    """2 where errors are variances, 3 where they are covariances, 0 without any."""
    return 0 if part.errors is None else part.errors.ndim


def told_of(axes: int) -> str:
    """The errors of a block in words."""
    return {0: "no errors", 2: "variances of errors", 3: "covariance matrices of errors"}[axes]


def alike(parts: Sequence[Part]) -> list[Part]:
    """Parts of which some have errors: with those of all in one form, zero where there were none."""
    forms = [part.errors.ndim for part in parts if part.errors is not None]
    return [part._replace(errors=_of_form(part, max(forms))) for part in parts]


def _of_form(part: Part, axes: int) -> RowErrors:
    n, d = part.rows.shape
    if part.errors is None:
        return np.zeros((n, d) if axes == 2 else (n, d, d))
    if part.errors.ndim == axes:
        return part.errors
    return part.errors[:, :, None] * np.eye(d)


def _of_observed(errors: RowErrors, missing: Mask) -> RowErrors:
    """With zeros for what is missing."""
    if errors.ndim == 2:
        return np.where(missing, 0, errors)
    return np.where(missing[:, :, None] | missing[:, None, :], 0, errors)


def _check_finite(some: RowErrors, start: int) -> None:
    axes, most = tuple(range(1, some.ndim)), min(LARGEST, float(np.finfo(some.dtype).max))
    with np.errstate(invalid="ignore"):
        _refuse((~(np.abs(some) <= most)).any(axis=axes), start, f"finite numbers of at most {most:g}")


def _check_covariances(some: RowErrors, start: int) -> None:
    """That matrices (m,d,d) are symmetric and positive semidefinite, to rounding."""
    some = np.asarray(some, dtype=np.float64) if some.dtype != np.float32 else some
    tolerance = ROUNDING[some.dtype]
    variances = np.diagonal(some, axis1=1, axis2=2).astype(np.float64)
    _refuse(variances.min(axis=1) < 0, start, "not negative on its diagonal, as variances are")
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    correlations = some / scale[:, :, None] / scale[:, None, :]
    away = np.abs(correlations - correlations.transpose(0, 2, 1)).max(axis=(1, 2))
    _refuse(away > tolerance, start, "symmetric")
    try:
        np.linalg.cholesky(correlations + tolerance * np.eye(some.shape[1]))
    except np.linalg.LinAlgError:
        least = np.linalg.eigvalsh(correlations)[:, 0]
        _refuse(least < -tolerance, start, "positive semidefinite, as a covariance matrix is")


def _refuse(wrong: Any, start: int, told: str) -> None:
    """ValueError of the first row of which something is wrong."""
    if wrong.any():
        raise ValueError(f"{NAME} must be {told}, and that of row {start + int(np.argmax(wrong))} is not")
