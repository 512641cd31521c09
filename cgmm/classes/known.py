"""What a user says of the classes of rows, and of how often each class occurs: checked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from cgmm import errors
from cgmm.validation import check_start_array

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.types import Array, Labels, Mask

NOTHING_KNOWN = "y has no row of positive weight whose class is known: nothing can be learnt of any class"
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


class Tally(NamedTuple):
    """What a pass over labels has found of rows of positive weight.

    classes : (C,) labels, ascending;  counts, numbers : (C,) the weight, and the number of rows, of each
    unknown : the weight of the rows whose class is not known
    """

    classes: NDArray[Any]
    counts: Array
    numbers: Labels
    unknown: float

    @classmethod
    def of(cls, labels: NDArray[Any], weights: Array | None, unlabelled: Any) -> Self:
        """Of a block of labels (n,), checked; perhaps of no class."""
        row_weights = np.ones(len(labels)) if weights is None else weights
        unknown = unlabelled_in(labels, unlabelled)
        counted = ~unknown & (row_weights > 0)
        classes, which = _distinct(labels[counted]), row_weights[counted]
        indices = np.searchsorted(classes, labels[counted])
        counts = np.bincount(indices, which, len(classes)).astype(np.float64)
        numbers = np.bincount(indices, minlength=len(classes))
        return cls(classes, counts, numbers, float(row_weights[unknown].sum()))

    def decoded(self, labels: NDArray[Any], unlabelled: Any) -> Tally:
        """The same where the classes stand for labels (C,), of which some may be alike."""
        found = Tally.of(labels, self.counts, unlabelled)
        at = indices_of(labels, found.classes, unlabelled)
        numbers = np.bincount(at[at != UNKNOWN], self.numbers[at != UNKNOWN], len(found.classes))
        return found._replace(numbers=numbers.astype(np.intp), unknown=found.unknown + self.unknown)

    def __add__(self, other: Any) -> Tally:
        """Of both, in this order."""
        classes = _distinct(np.concatenate([self.classes, other.classes]))
        counts, numbers = np.zeros(len(classes)), np.zeros(len(classes), dtype=np.intp)
        for each in (self, other):
            at = np.searchsorted(classes, each.classes)
            counts[at] += each.counts
            numbers[at] += each.numbers
        return Tally(classes, counts, numbers, self.unknown + other.unknown)

    def checked(self) -> Tally:
        """The same; ValueError if no class is known."""
        if not len(self.classes):
            raise ValueError(NOTHING_KNOWN)
        return self


def indices_of(labels: NDArray[Any], classes: NDArray[Any], unlabelled: Any) -> Labels:
    """The index of each label (n,) among classes (C,), UNKNOWN for that of an unknown class, and for any that is none
    of the classes: so are labels of rows without weight."""
    found = np.full(len(labels), UNKNOWN, dtype=np.intp)
    known = ~unlabelled_in(labels, unlabelled)
    at = np.searchsorted(classes, labels[known]).clip(max=len(classes) - 1)
    found[known] = np.where(classes[at] == labels[known], at, UNKNOWN)
    return found


def unlabelled_in(labels: NDArray[Any], unlabelled: Any) -> Mask:
    """Which labels (n,) are that of an unknown class, or None: none is."""
    return np.zeros(len(labels), dtype=bool) if unlabelled is None else _equal(labels, unlabelled)


def known_classes(y: Any, n: int, weights: Array | None, unlabelled: Any = None) -> Known:
    """The classes of n rows, by their labels y (n,); rows of weight zero are left out of them.

    unlabelled : the label of a row whose class is not known, or None

    ValueError or TypeError says what is wrong with the labels.
    """
    labels = check_classes(y, n)
    unknown = unlabelled_in(labels, unlabelled)
    counted = ~unknown if weights is None else ~unknown & (weights > 0)
    if not counted.any():
        raise ValueError(NOTHING_KNOWN)
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


def distinct_classes(labels: Any, unlabelled: Any) -> NDArray[Any]:
    """The different labels, ascending, but for that of an unknown class; ValueError if there is none."""
    found = check_classes(labels, np.size(labels))
    found = _distinct(found[~unlabelled_in(found, unlabelled)])
    if not len(found):
        raise ValueError(NOTHING_KNOWN)
    return found


def check_same_classes(classes: Any, known: NDArray[Any]) -> None:
    """ValueError if classes are given, and are others than those that are known."""
    if classes is not None and set(np.ravel(classes).tolist()) != set(known.tolist()):
        raise ValueError(f"classes={np.ravel(classes).tolist()} is not what was given first, {known.tolist()}")


def _refuse_real(labels: NDArray[Any]) -> None:
    """ValueError where labels are numbers of which some are not whole; NaN may be the label of an unknown class."""
    if np.isinf(labels).any():
        raise ValueError("Input y contains infinity: classes are labels, and infinity is none")
    known = labels[~np.isnan(labels)]
    if not (known == np.round(known)).all():
        raise ValueError(
            "Unknown label type: continuous. y must hold classes, and it holds numbers that are not whole: "
            "cgmm.GMMRegressor predicts numbers"
        )


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
