"""The errors and warnings that users may catch, and how warnings reach the line that asked."""

from __future__ import annotations

import os
import sys
import warnings
from functools import cache
from typing import Any

HERE = os.path.join(os.path.dirname(__file__), "")


class Kin:
    """An error or a warning that scikit-learn has, too: copied or unpickled, it is of both if scikit-learn is there."""

    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return _revived, (getattr(self, "ours", type(self)), self.args), vars(self)


def _revived(ours: Any, args: tuple[Any, ...]) -> Any:
    return kin(ours)(*args)


@cache
def _joined(ours: Any, theirs: Any) -> Any:
    return type(ours.__name__, (ours, theirs), {"__module__": ours.__module__, "ours": ours})


def kin(ours: Any) -> Any:
    """A class of errors or warnings; once scikit-learn is there, that which is also its class of the same name."""
    exceptions = sys.modules.get("sklearn.exceptions")
    theirs = getattr(exceptions, ours.__name__, None)
    return ours if theirs is None else _joined(ours, theirs)


class InvalidParameterError(ValueError, TypeError):
    """An argument has a value or a type that cannot be used."""


class BlockError(ValueError):
    """A block of rows could not be read, or cannot be used; the message names it."""


class DegenerateError(ValueError):
    """A component cannot be estimated from the data, and on_degenerate="raise" asks not to repair it.

    Examples
    --------
    >>> import cgmm
    >>> try:
    ...     cgmm.GMM(1, reg_covar=0, on_degenerate="raise").fit([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    ... except cgmm.DegenerateError:
    ...     print("a feature is constant")
    a feature is constant
    """


class ConvergenceWarning(Kin, UserWarning):
    """The fit ended at max_iter before the log-likelihood settled.

    Examples
    --------
    >>> import warnings
    >>> import cgmm
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore", cgmm.ConvergenceWarning)
    ...     model = cgmm.GMM(2, max_iter=1, random_state=0).fit([[0.0], [1.0], [3.0], [4.0]])
    >>> model.converged_
    False
    """


class DataConversionWarning(Kin, UserWarning):
    """What was handed over has another shape than is asked for, and is taken for what it must be."""


class DegenerateWarning(UserWarning):
    """A component could not be estimated from the data and was repaired.

    Examples
    --------
    >>> import warnings
    >>> import cgmm
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always", cgmm.DegenerateWarning)
    ...     model = cgmm.GMM(1, reg_covar=0).fit([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    >>> told[0].category.__name__
    'DegenerateWarning'
    """


class SelectionWarning(UserWarning):
    """What select compared may not hold the best model: its choice is at an edge, or something was left out.

    Examples
    --------
    >>> import warnings
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> with warnings.catch_warnings(record=True) as told:
    ...     warnings.simplefilter("always", cgmm.SelectionWarning)
    ...     found = cgmm.select(X, range(1, 3), "spherical", random_state=0)
    >>> told[0].category.__name__
    'SelectionWarning'
    """


class NotFittedError(Kin, ValueError, AttributeError):
    """The model is used before fit.

    Examples
    --------
    >>> import cgmm
    >>> try:
    ...     cgmm.GMM(2).predict([[0.0]])
    ... except cgmm.NotFittedError:
    ...     print("fit it first")
    fit it first
    """


def not_fitted(model: object, told: str = "") -> Exception:
    """What is raised where a model is used before fit, in scikit-learn's words; told : what it lacks, if known."""
    why = f": {told}" if told else ""
    error: Exception = kin(NotFittedError)(
        f"This {type(model).__name__} instance is not fitted yet{why}. Call 'fit' with appropriate arguments before "
        "using this estimator."
    )
    return error


def counted(count: int, one: str, many: str = "") -> str:
    """So many of something, in words: "1 row", "2 rows"; many : its plural, if that is not one with s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def warn(text: str, category: type[Warning]) -> None:
    """Warn at the line outside this package that called it, however deep in it the warning arises."""
    level, frame = 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(HERE):
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
