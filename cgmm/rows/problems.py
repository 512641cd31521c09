"""Many sets of rows that a user hands over at once, each a problem of its own: taken apart, and put together again."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import protocol
from cgmm.errors import InvalidParameterError
from cgmm.rows.part import Part
from cgmm.rows.row_errors import NAME, of_rows, shaped, shaped_each
from cgmm.rows.sources import is_dask
from cgmm.validation import check_array, check_flag

if TYPE_CHECKING:
    from cgmm.types import Labels, Names, Rows

KINDS = ("problem", "group", "column")
IN_MEMORY = "X must be a list of arrays, an array in memory, or a data frame"
IN_BLOCKS = (
    "the rows of one problem may stand in many blocks, and are needed together; gather them in memory, or give a list "
    "with the rows of each problem, which may come in blocks"
)


class Titles(NamedTuple):
    """What problems are called.

    kind : of all, in messages: one of KINDS
    labels : (m,) groups, names of columns, or indices
    names : of the features, where all problems share them, or None
    """

    kind: str
    labels: Any
    names: Names | None = None

    def told(self, i: int) -> str:
        """The i-th problem in a message: "problem 3", or "problem 3 (group 'oak')"."""
        return f"problem {i}" + f" ({self.kind} {self.label(i)!r})" * (self.kind != "problem")

    def label(self, i: int) -> Any:
        """That of a problem, as Python's own value."""
        return self.labels[i : i + 1].tolist()[0]


class Problems(ABC):
    """m sets of rows, not checked yet, and what they are called."""

    titles: Titles

    def __len__(self) -> int:
        return len(self.titles.labels)

    @abstractmethod
    def part(self, i: int) -> Part:
        """The rows of one problem, (n_i, d), their weights, known components and errors of measurement, or None."""

    @property
    def alike(self) -> Rows | None:
        """(m, n, d) the rows of all problems as the kernels take them, where nothing goes with them; else None."""
        return None

    def names_of(self, i: int, own: Names | None) -> Names | None:
        """The names of a problem's features, if its rows alone tell `own`."""
        return own if self.titles.names is None else self.titles.names

    @abstractmethod
    def gather(self, values: Sequence[Any]) -> Any:
        """What was found for the rows of each problem, (n_i, …), in the form in which the rows were handed over."""


class Listed(Problems):
    """A list of arrays."""

    def __init__(self, X: Sequence[Any], sample_weight: Any, labels: Any = None, errors: Any = None) -> None:
        self.X, self.titles = X, Titles("problem", np.arange(len(X)))
        self.weights = _listed("sample_weight", "weights", sample_weight, len(X))
        self.labels = _listed("labels", "labels", labels, len(X))
        self.errors = _listed(NAME, "errors", errors, len(X))

    def part(self, i: int) -> Part:
        return Part(self.X[i], _of(self.weights, i), _of(self.labels, i), _of(self.errors, i))

    def gather(self, values: Sequence[Any]) -> Any:
        return list(values)


class Stacked(Problems):
    """An array (m, n, d); weights, and labels, (n,) for all, or (m, n); errors those of a problem, or of each."""

    def __init__(self, X: Any, sample_weight: Any, labels: Any = None, errors: Any = None) -> None:
        self.X, self.titles = X, Titles("problem", np.arange(len(X)))
        self.weights = _of_each("sample_weight", sample_weight, (len(X), X.shape[1]))
        self.labels = _of_each("labels", labels, (len(X), X.shape[1]))
        self.errors, self.errors_of_each = shaped_each(errors, *X.shape)

    @property
    def alike(self) -> Rows | None:
        return _alike(self.X, self.weights, self.labels, self.errors)

    def part(self, i: int) -> Part:
        errors = of_rows(_of(self.errors, i)) if self.errors_of_each else self.errors
        return Part(self.X[i], _of(self.weights, i), _of(self.labels, i), errors)

    def gather(self, values: Sequence[Any]) -> Any:
        return np.stack(values)


class Columns(Problems):
    """The columns of a matrix (n, m), each a problem of one feature; weights, labels and variances of errors, (n,) for
    all, or (n, m)."""

    def __init__(self, X: Any, sample_weight: Any, labels: Any = None, errors: Any = None) -> None:
        names = protocol.feature_names(X)
        self.X = _matrix(X, "columns=True")
        unnamed = Titles("problem", np.arange(self.X.shape[1]))
        self.titles = unnamed if names is None else Titles("column", names)
        given = (("sample_weight", sample_weight), ("labels", labels), (NAME, errors))
        found = (_of_each(name, values, self.X.shape, of="rows") for name, values in given)
        self.weights, self.labels, self.errors = (None if values is None else values.T for values in found)

    @property
    def alike(self) -> Rows | None:
        return _alike(self.X.T[:, :, np.newaxis], self.weights, self.labels, self.errors)

    def part(self, i: int) -> Part:
        errors = None if self.errors is None else self.errors[i, :, np.newaxis]
        return Part(self.X[:, i : i + 1], _of(self.weights, i), _of(self.labels, i), errors)

    def names_of(self, i: int, own: Names | None) -> Names | None:
        return None if self.titles.kind == "problem" else self.titles.labels[i : i + 1]

    def gather(self, values: Sequence[Any]) -> Any:
        return np.stack(values, axis=1)


class Grouped(Problems):
    """Rows (n, d), each of which belongs to a group; the groups in the order of their labels."""

    def __init__(self, X: Any, groups: Any, sample_weight: Any, labels: Any = None, errors: Any = None) -> None:
        names = protocol.feature_names(X)
        self.X = _matrix(X, "groups")
        n = len(self.X)
        distinct, member = _members(groups, n)
        self.titles = Titles("group", distinct, names)
        self.order = np.argsort(member, kind="stable")
        self.ends = np.concatenate([[0], np.bincount(member, minlength=len(distinct)).cumsum()])
        self.weights = _of_each("sample_weight", sample_weight, (n,), of="rows")
        self.labels = _of_each("labels", labels, (n,), of="rows")
        self.errors = shaped(errors, *self.X.shape)

    def rows(self, i: int) -> Labels:
        """Which rows belong to a group."""
        return self.order[self.ends[i] : self.ends[i + 1]]

    def part(self, i: int) -> Part:
        rows = self.rows(i)
        return Part(self.X[rows], _of(self.weights, rows), _of(self.labels, rows), of_rows(_of(self.errors, rows)))

    def gather(self, values: Sequence[Any]) -> Any:
        return np.concatenate(values)[np.argsort(self.order)]


def problems_of(
    X: Any,
    groups: Any = None,
    columns: bool = False,
    sample_weight: Any = None,
    labels: Any = None,
    errors: Any = None,
) -> Problems:
    """The problems that a user hands over; ValueError or TypeError says what cannot be taken apart."""
    if check_flag("columns", columns) and groups is not None:
        raise InvalidParameterError("give groups or columns=True, not both: a problem is a group of rows, or a column")
    if is_dask(X) or callable(X) or hasattr(X, "blocks") or hasattr(X, "to_batches"):
        raise TypeError(f"{IN_MEMORY}, not {type(X).__name__}: {IN_BLOCKS}")
    if isinstance(X, str | os.PathLike):
        raise TypeError(f"{IN_MEMORY}, not {type(X).__name__}: read the file, or use cgmm fit-many on the command line")
    if columns:
        return Columns(X, sample_weight, labels, errors)
    if groups is not None:
        return Grouped(X, groups, sample_weight, labels, errors)
    if hasattr(X, "shape") or hasattr(X, "__array__"):
        return _stacked(X, sample_weight, labels, errors)
    if not isinstance(X, Sequence):
        raise TypeError(f"{IN_MEMORY}, not {type(X).__name__}")
    if not len(X):
        raise ValueError("X is an empty list: there is no problem to fit")
    for i, rows in enumerate(X):
        if type(rows) is tuple and rows and any(map(_is_companion, rows[1:])) and getattr(rows[0], "ndim", 0) == 2:
            raise TypeError(
                f"problem {i} is a tuple, and its items would be blocks of rows: give rows alone, and of all problems "
                "the weights as sample_weight=[...] and the labels as labels=[...], one item for each problem"
            )
    return Listed(X, sample_weight, labels, errors)


def _is_companion(values: Any) -> bool:
    """Whether they are none of rows, but may go with them."""
    return values is None or getattr(values, "ndim", 0) == 1


def _stacked(X: Any, sample_weight: Any, labels: Any, errors: Any) -> Problems:
    array = X if isinstance(X, np.ndarray) else check_array("X", X)
    if array.ndim != 3:
        raise ValueError(
            f"X has {array.ndim} dimensions, and an array of many problems has three, (problems, rows, features): give "
            "the group of each row as groups, or columns=True if each column is a problem of its own"
        )
    if not len(array):
        raise ValueError(f"X has shape {array.shape}: there is no problem to fit")
    return Stacked(check_array("X", array), sample_weight, labels, errors)


def _matrix(X: Any, asked: str) -> Any:
    array = check_array("X", X)
    if array.ndim != 2 or 0 in array.shape:
        raise ValueError(
            f"with {asked} X must be a matrix (rows, features) that is not empty, not of shape {array.shape}"
        )
    return array


def _members(groups: Any, n: int) -> tuple[Any, Labels]:
    """The distinct labels in their order, and which of them each row has."""
    labels = np.asarray(groups)
    if labels.shape != (n,):
        raise ValueError(f"groups must have shape ({n},), a label for each row of X, not {labels.shape}")
    missing = labels != labels if labels.dtype.kind in "fcmMO" else np.zeros(n, dtype=bool)
    if labels.dtype == object:
        missing = missing | np.array([label is None for label in labels])
    if missing.any():
        raise ValueError(f"groups[{int(np.argmax(missing))}] is {labels[np.argmax(missing)]}: each row needs a group")
    try:
        distinct, member = np.unique(labels, return_inverse=True)
    except TypeError as error:
        raise TypeError(f"groups must be labels that can be sorted, of one type: {error}") from None
    return distinct, member


def _listed(name: str, told: str, values: Any, m: int) -> Sequence[Any] | None:
    """What goes with the rows of each problem of a list, as the argument of that name has it."""
    if values is None:
        return None
    found = values if hasattr(values, "__len__") and not isinstance(values, str) else ()
    if len(found) != m:
        raise ValueError(f"{name} must be a list of {m}, the {told} of each problem or None, as X is one")
    return found


def _of_each(name: str, values: Any, shape: tuple[int, ...], of: str = "problems") -> Any:
    """Values of the shape of the rows, or None; if all problems share those of the rows, a view."""
    if values is None:
        return None
    found = check_array(name, values)
    shared = shape[:1] if of == "rows" else shape[1:]
    if found.shape == shape:
        return found
    if found.shape != shared:
        raise ValueError(f"{name} must have shape {shared}, or {shape}, not {found.shape}")
    return np.broadcast_to(found[:, np.newaxis] if of == "rows" and len(shape) > 1 else found, shape)


def _alike(X: Rows, *companions: Any) -> Rows | None:
    """Rows that have been checked, if they are in memory and have no companions."""
    return X if type(X) is np.ndarray and all(values is None for values in companions) else None


def _of(values: Any, which: Any) -> Any:
    """Those of a problem, if there are any."""
    return None if values is None else values[which]
