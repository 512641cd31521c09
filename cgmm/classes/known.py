"""What a user says of the classes of rows, and of how often each class occurs: checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import errors
from cgmm.validation import check_start_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.types import Array, Labels, Mask

UNKNOWN = -1  # The index of a class that is not known.
SUM_OF_PRIORS = 1e-6  # Probabilities that are given as decimals sum to one up to this.


class Known(NamedTuple):
    """The classes that occur in rows of positive weight.

    classes : (C,) their labels, ascending;  of_row : (n,) the index of each row's class, UNKNOWN where it is not known
    """

    classes: NDArray[Any]
    of_row: Labels

    @property
    def whole(self) -> bool:
        """Whether the class of each row is known."""
        return not (self.of_row == UNKNOWN).any()


def known_classes(y: Any, n: int, weights: Array | None, unlabelled: Any = None) -> Known:
    """The classes of n rows, by their labels y (n,); rows of weight zero are left out of them.

    unlabelled : the label of a row whose class is not known, or None

    ValueError or TypeError says what is wrong with the labels.
    """
    labels = check_classes(y, n)
    unknown = np.zeros(n, dtype=bool) if unlabelled is None else _equal(labels, unlabelled)
    counted = ~unknown if weights is None else ~unknown & (weights > 0)
    if not counted.any():
        raise ValueError("y has no row of positive weight whose class is known: nothing can be learnt of any class")
    classes = _distinct(labels[counted])
    of_row = np.full(n, UNKNOWN, dtype=np.intp)
    of_row[counted] = np.searchsorted(classes, labels[counted])
    return Known(classes, of_row)


def check_classes(y: Any, n: int) -> NDArray[Any]:
    """Labels (n,) of classes: of any type that can be sorted, but no real numbers that are not whole."""
    if y is None:
        raise ValueError("This GMMClassifier estimator requires y to be passed, but the target y is None.")
    if hasattr(y, "tocsr"):
        raise TypeError("y is sparse; it must be one label for each row, as an array of shape (rows,)")
    labels = np.asarray(y)
    if labels.ndim == 2 and labels.shape[1] == 1:
        errors.warn(
            "A column-vector y was passed when a 1d array was expected. Please change the shape of y to (n_samples,), "
            "for example using ravel().",
            errors.kin(errors.DataConversionWarning),
        )
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise ValueError(f"y must be one label for each row, of shape (rows,), not of shape {labels.shape}")
    if len(labels) != n:
        raise ValueError(f"X and y must have as many rows, but have {n} and {len(labels)}")
    if labels.dtype.kind == "f" and not (np.isfinite(labels) & (labels == np.round(labels))).all():
        _refuse_real(labels)
    return labels


def _refuse_real(labels: NDArray[Any]) -> None:
    """ValueError where labels are numbers of which some are not whole; NaN may be the label of an unknown class."""
    if np.isinf(labels).any():
        raise ValueError("Input y contains infinity: classes are labels, and infinity is none")
    known = labels[~np.isnan(labels)]
    if not (known == np.round(known)).all():
        raise ValueError("Unknown label type: continuous. y must hold classes, and it holds numbers that are not whole")


def _equal(labels: NDArray[Any], label: Any) -> Mask:
    """Which labels are that one, NaN being like NaN and None."""
    if not _is_nan(label):
        return np.asarray(labels == label, dtype=bool) & np.ones(len(labels), dtype=bool)
    if labels.dtype.kind == "f":
        return np.isnan(labels)
    return np.array([value is None or _is_nan(value) for value in labels], dtype=bool)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and value != value


def _distinct(labels: NDArray[Any]) -> NDArray[Any]:
    """The different labels, ascending."""
    if labels.dtype.kind == "f" and np.isnan(labels).any():
        raise ValueError("Input y contains NaN: give unlabelled=float('nan') if the class of such rows is not known")
    if labels.dtype.hasobject and any(value is None or _is_nan(value) for value in labels):
        raise ValueError("Input y contains NaN or None: give unlabelled=float('nan') if such classes are not known")
    try:
        return np.unique(labels)
    except TypeError as error:
        raise TypeError(f"the labels in y must be of one type, which can be sorted: {error}") from None


def check_priors(priors: Any, classes: NDArray[Any]) -> Array | None:
    """Probabilities (C,) of the classes, in their order, that sum to one; or None."""
    if priors is None:
        return None
    if isinstance(priors, Mapping):
        if len(priors) != len(classes) or any(label not in priors for label in classes.tolist()):
            raise ValueError(f"priors must give the probability of each class, {classes.tolist()}, and of no other")
        priors = [priors[label] for label in classes.tolist()]
    found = check_start_array("priors", priors, (len(classes),))
    if (found < 0).any() or abs(found.sum() - 1) > SUM_OF_PRIORS:
        raise ValueError(f"priors must be non-negative and sum to one, not {found.tolist()}")
    return found / found.sum()
