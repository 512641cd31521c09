"""Checks of the rows that a user hands over, and of what goes with them."""

from __future__ import annotations

import math
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import _kernels
from cgmm.errors import counted
from cgmm.mixture.parameters import LARGEST_SINGLE
from cgmm.protocol import feature_names, without_index
from cgmm.rows import sampling
from cgmm.rows.part import Part
from cgmm.rows.row_errors import check_errors, of_rows, shaped
from cgmm.validation import check_array, first_not_within

if TYPE_CHECKING:
    from cgmm.types import Array, Labels, Names, Partition, RowErrors, Rows

# Where a float32 column holds nothing larger, the squares of its values underflow: such rows are computed in float64.
SMALLEST_SINGLE = 1e-15
LARGEST_HARMLESS = 1e100  # A value in a row of weight zero: beyond it sums may not be numbers, zero times it or not.
MOST_ROWS = 1 << 40  # Rows of a stream, whose number is not known: more never come.
# 2^−1074 is the smallest positive double: a number of no more than half of it is rounded to zero.
SMALLEST_EXPONENT = -1074
SCALE_ROWS = 256  # Rows, evenly spread, that are looked at to see whether a column is so small.


def check_rows(X: Any, n_features: int | None = None, n_threads: int = 1, of: int | None = None) -> Rows:
    """X as a float32 or float64 array (n,d), not copied when it is one already; finite; part of so many rows.

    float32 whose squares float32 cannot hold becomes float64. TypeError or ValueError says what is wrong, and where
    the first bad value stands.
    """
    X = check_table(X, n_features)
    return _check_values(X, n_threads, of)[0]


def check_observed(
    X: Any, n_features: int | None, n_threads: int, gaps: bool, of: int | None = None, weights: Array | None = None
) -> tuple[Rows, bool]:
    """The same; if `gaps`, NaN is a missing value, and X then float64. And whether there is none.

    weights : of the rows, or None; one of weight zero may hold anything
    """
    return _check_values(harmless(check_table(X, n_features, gaps), weights, gaps), n_threads, of, gaps, X)


def check_part(
    given: Part,
    n_features: int | None,
    n_threads: int,
    gaps: bool,
    of: int | None = None,
    some: bool = True,
    name: str = "GMM",
) -> tuple[Part, bool]:
    """Rows and weights of a user, `some` of these positive; and whether no value that counts is missing.

    name : of the class of the estimator that expects n_features
    """
    X = check_table(given.rows, n_features, gaps, name)
    weights = check_weights(given.weights, len(X), some)
    X, complete = _check_values(harmless(X, weights, gaps), n_threads, of, gaps, given.rows)
    errors = check_errors(of_rows(harmless_errors(given.errors, weights, *X.shape)), X, gaps)
    return Part(X, weights, check_labels(given.labels, len(X)), errors), complete


def part_again(rows: Rows, given: Part, gaps: bool) -> Part:
    """The part that rows and their companions are once more, after a first pass has checked their values."""
    row_weights = check_weights(given.weights, len(rows), some=False)
    errors = None  # of rows of another shape: that is said elsewhere
    if rows.ndim == 2:
        errors = harmless_errors(given.errors, row_weights, *rows.shape)
    return Part(harmless(rows, row_weights, gaps), row_weights, check_labels(given.labels, len(rows)), errors)


def harmless(X: Rows, weights: Array | None, gaps: bool) -> Rows:
    """The rows, but in the place of those that are harmful one that holds numbers."""
    found = harmful(X, weights, gaps)
    if weights is None or not len(found):
        return X
    counted = np.flatnonzero(weights)
    X = np.array(X)
    X[found] = X[counted[0]] if len(counted) else 0.0
    return X


def harmful(X: Rows, weights: Array | None, gaps: bool) -> Labels:
    """The numbers of the rows of weight zero that hold what no sum can, NaN say (if it is no gap)."""
    nothing = np.flatnonzero(weights == 0) if weights is not None and len(weights) == len(X) else np.arange(0)
    if not len(nothing):
        return nothing
    most = min(LARGEST_HARMLESS, float(np.finfo(X.dtype).max))
    held = np.abs(X[nothing]) < most
    if gaps:
        held |= np.isnan(X[nothing])
    return nothing[~held.reshape(len(nothing), -1).all(axis=1)]  # of any shape: that is checked where it may change


def harmless_errors(errors: Any, weights: Array | None, n: int, d: int) -> RowErrors | None:
    """Errors of rows (n,d) in their shapes: of those of weight zero that hold what is no number there are none."""
    found = shaped(errors, n, d)
    if found is None or weights is None or len(weights) != n or found.strides[0] == 0:
        return found
    nothing = np.flatnonzero(weights == 0)
    harmful = nothing[~np.isfinite(found[nothing]).all(axis=tuple(range(1, found.ndim)))]
    if len(harmful):
        found = np.array(found)
        found[harmful] = 0.0
    return found


def filled(X: Any) -> Any:
    """Rows with NaN where a mask hides a value: it is missing."""
    if not np.ma.isMaskedArray(X):
        return X
    return np.ma.filled(X if X.dtype.kind == "f" else X.astype(np.float64), np.nan)


def check_table(X: Any, n_features: int | None, gaps: bool = False, name: str = "GMM") -> Rows:
    """X as an array (n,d) of numbers, which may be any."""
    if hasattr(X, "tocsr") or type(X).__module__.startswith("scipy.sparse"):
        raise TypeError("X is sparse; cgmm needs dense rows: use X.toarray()")
    if X is None:
        raise ValueError("X is None: it must be an array of rows, of shape (rows, features)")
    X = without_index(X)
    given, X = X, check_array("X", filled(X) if gaps else X)
    if X.ndim in (1, 2) and not len(X):
        raise ValueError(
            f"X has no rows: Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required."
        )
    if X.ndim != 2:
        remedy = f"Its shape is {X.shape}." if X.ndim > 2 else _remedy(given)
        raise ValueError(f"Expected 2D array, got {X.ndim}D array instead: X must be (rows, features). {remedy}")
    n, d = X.shape
    if d == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")
    if n_features is not None:
        check_features(d, n_features, name, n)
    return X


def _remedy(given: Any) -> str:
    """How what has not two dimensions is made to have them."""
    if not isinstance(given, np.ndarray | list | tuple) and hasattr(given, "name") and hasattr(given, "to_numpy"):
        column = given.name if isinstance(given.name, str) else "a"
        return (
            f"It is a Series: one column of a data frame df is df[[{column!r}]], with two brackets, and one row "
            "df.iloc[[0]]."
        )
    return "Reshape your data with X.reshape(-1, 1) if it has one feature or X.reshape(1, -1) if it is one row."


def _check_values(
    X: Rows, n_threads: int, of: int | None = None, gaps: bool = False, source: Any = None
) -> tuple[Rows, bool]:
    """Rows in a type that can hold their squares, and whether there is no NaN.

    source : what a user gave, of an estimator that has an argument `missing`
    """
    if X.dtype == np.float32:
        if _kernels.all_within(X, LARGEST_SINGLE, n_threads) and (of or not has_small_column(X)):
            return X, True
        X = X.astype(np.float64)
    largest = largest_of(of or len(X), X.shape[1])
    if _kernels.all_within(X, largest, n_threads):
        return X, True
    names = None if source is None else feature_names(source)
    columns = None if names is None else list(names)
    fault = first_not_within("X", X, largest, gaps, columns, marginal=source is not None)
    if fault:
        raise ValueError(fault)
    return X, False


def told_columns(columns: Labels, names: Names | None) -> str:
    """Some columns in an error's words."""
    return ", ".join(f"X[:, {j}]" if names is None else f"column {names[j]!r}" for j in columns)


def check_columns(part: Part, names: Names | None = None, rows: int = 65536) -> None:
    """That each column has a value that is not missing in a row of positive weight; names : of the columns, or None"""
    empty = np.ones(part.rows.shape[1], dtype=bool)
    for start in range(0, len(part.rows), rows):
        some = part.taken(slice(start, start + rows)).positive()
        empty &= np.isnan(some.rows).all(axis=0)
        if not empty.any():
            return
    told, alone = told_columns(np.flatnonzero(empty), names), empty.sum() == 1
    told, it = f"{told} {'is' if alone else 'are'}", "it" if alone else "them"
    weight = "" if part.weights is None else " of positive weight"
    raise ValueError(f"{told} missing in every row{weight}: nothing can be learnt of {it}. Drop {it}.")


def check_features(d: int, expected: int, name: str = "GMM", n: int | None = None) -> None:
    """That rows have as many features as are expected; n : the number of rows, where it is known."""
    if d != expected:
        swapped = f" X has {n} rows: is it transposed?" * (n == expected)
        raise ValueError(f"X has {d} features, but {name} is expecting {expected} features as input.{swapped}")


def largest_of(n: int, d: int) -> float:
    """The largest value in X (n,d) such that the sum of the squares of all differences is a number."""
    return math.sqrt(sys.float_info.max / (4.0 * n * d))


def has_small_column(X: Rows) -> bool:
    """Whether some rows show a column whose squares float32 cannot hold."""
    reach = np.abs(X[:: sampling.stride_of(len(X), SCALE_ROWS)]).max(axis=0)
    return bool(np.count_nonzero((reach > 0) & (reach < SMALLEST_SINGLE)))


def check_weights(sample_weight: object, n: int, some: bool = True) -> Array | None:
    """Row weights (n,) float64, or None; `some` of them positive."""
    if sample_weight is None:
        return None
    weights = check_array("sample_weight", sample_weight)
    if weights.shape == ():
        weights = np.full(n, weights)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one for each row, not {weights.shape}")
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise ValueError(first_not_within("sample_weight", weights))
    if (weights < 0).any():
        i = int(np.argmax(weights < 0))
        raise ValueError(f"sample_weight must not be negative, but sample_weight[{i}] is {weights[i]}")
    if some and not weights.any():
        raise ValueError("sample_weight is zero for every row")
    with np.errstate(over="ignore"):
        if not np.isfinite(weights.sum()):
            raise ValueError("sample_weight has no finite sum")
    return weights


def check_labels(labels: object, n: int) -> Labels | None:
    """The component that each row (n,) is known to belong to, −1 where it is not known, as intp; or None.

    Whether there are so many components is checked where their number is known: see check_known.
    """
    if labels is None:
        return None
    array = check_array("labels", labels)
    if array.shape != (n,):
        raise ValueError(f"labels must have shape ({n},), one for each row, not {array.shape}")
    with np.errstate(invalid="ignore"):
        found = array.astype(np.intp)
    wrong = np.flatnonzero((found != array) | (found < -1))
    if len(wrong):
        i = int(wrong[0])
        raise ValueError(
            f"labels must be whole numbers from 0, or -1 where the component of a row is not known, but labels[{i}] is "
            f"{array[i]:.15g}"
        )
    return np.ascontiguousarray(found)


def check_known(known: Counter[int], k: int) -> None:
    """That rows of positive weight, so many of each label, can be rows of k components, none of which is empty."""
    check_components(known, k)
    missing = lacking(known, k)
    if missing:
        raise ValueError(
            f"every row of positive weight has a label, and none has label {missing[0]}: no row is left for component "
            f"{missing[0]} of n_components={k}"
        )


def check_components(known: Counter[int], k: int) -> None:
    """That rows, so many of each label, can be rows of k components."""
    largest = max(known, default=-1)
    if largest >= k:
        raise ValueError(
            f"labels must be from 0 to {k - 1}, or -1, for n_components={k}, but "
            f"{counted(known[largest], 'row has', 'rows have')} label {largest}"
        )


def lacking(known: Counter[int], k: int) -> list[int]:
    """The components to which no row can belong, of rows so many of which have each label."""
    return [c for c in range(k) if not known[c]] if known and not known[-1] else []


def of_order_one(weights: Array | None) -> tuple[Array | None, int]:
    """Weights / 2^e and e, so that the largest is in [½, 1): float32 can hold them, and no digit is lost."""
    exponent = exponent_of(weights)
    return None if weights is None else np.ldexp(weights, -exponent), exponent


def exponent_of(weights: Array | None) -> int:
    """The e of that; 0 without weights."""
    return 0 if weights is None else int(np.frexp(weights.max())[1])


def by_exponent(weights: Array) -> Counter[int]:
    """How many positive weights there are of each exponent e, that is in (2^(e−1), 2^e]."""
    mantissas, exponents = np.frexp(weights[weights > 0])
    exponents, counts = np.unique(exponents - (mantissas == 0.5), return_counts=True)
    return Counter(dict(zip(exponents.tolist(), counts.tolist(), strict=True)))


def not_vanishing(counts: Counter[int], exponent: int) -> int:
    """How many of them are still positive as multiples of 2^exponent: see by_exponent."""
    return sum(count for own, count in counts.items() if own - exponent >= SMALLEST_EXPONENT)


def check_enough_rows(rows: int, n: int, k: int, name: str, d: int = 0) -> None:
    """That of so many rows of d features n, those of positive weight, are enough."""
    if n < k:
        weighty = " of positive weight" * (n != rows)
        swapped = f", of {counted(d, 'feature')}: is it transposed?" * (rows < d and k <= d)
        raise ValueError(f"n_samples={n} should be >= {name}={k}: X has only {counted(n, 'row')}{weighty}{swapped}")


def are_responsibilities(array: Rows, noise: bool = False) -> bool:
    """Whether the rows of an array (n,k) are responsibilities; with `noise`, their sums may be less than one."""
    if not ((array >= 0) & (array <= 1 + 1e-6)).all():  # nor NaN, nor what overflows in a sum
        return False
    away = array.sum(axis=1) - 1
    return bool((away if noise else np.abs(away)).max() <= 1e-6)


def check_responsibilities(name: str, value: object, n: int, k: int, noise: bool = False) -> Partition:
    """Labels (n,) of 0 … k−1 as intp, some of them −1: not known; or responsibilities (n,k), non-negative and each row
    summing to one.

    With `noise`, a row that is noise has label −1, and what is noise of others is what their sum is less than one.
    """
    array = check_array(name, value)
    if array.shape == (n,):
        with np.errstate(invalid="ignore"):
            labels = array.astype(np.intp)
        if not np.array_equal(labels, array) or labels.min() < -1 or labels.max() >= k:
            told = "is noise" if noise else "is unknown"
            raise ValueError(
                f"{name} must hold labels from 0 to {k - 1}, or −1 where it {told}, one for each row; or "
                "responsibilities"
            )
        if labels.max() < 0:
            told = "noise" if noise else "unknown"
            raise ValueError(f"{name} must hold the label of some row, and all are −1: {told}")
        return labels
    if array.shape != (n, k):
        raise ValueError(f"{name} must be labels ({n},) or responsibilities ({n}, {k}), not of shape {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not are_responsibilities(array, noise):
        raise ValueError(f"{name} must be non-negative and sum to {'no more than ' * noise}one in each row")
    return array
