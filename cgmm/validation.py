"""The public edge: checks of what a user hands over, as far as they need to know neither mixtures nor rows.

What must be checked against a mixture is in cgmm.mixture.checks; what against rows, in cgmm.rows.checks.
"""

from __future__ import annotations

import mmap
import numbers
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cgmm.errors import BlockError, InvalidParameterError
from cgmm.suggestions import suggested

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeGuard

    from cgmm.types import Array, Rows

T = TypeVar("T")

MOST_TOLD = 12  # Columns that an error lists, at most.
MOST_LOOKED_AT = 1000  # Values of a column in which a text is looked for, to tell what it holds.
MOST_THREADS = 2**31 - 1  # OpenMP counts threads in a C int, and this is the largest.


def check_count(name: str, value: Any, least: int = 1, most: int = sys.maxsize) -> int:
    if type(value) is not int and not is_integer(value):
        raise InvalidParameterError(f"{name} must be an integer, not {value!r}")
    number = int(value)
    if number < least:
        raise InvalidParameterError(f"{name} must be at least {least}, not {value}")
    if number > most:
        raise InvalidParameterError(f"{name} must be at most {most}, not {value}")
    return number


def is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool | np.bool_)


def check_counts(name: str, value: Any) -> list[int]:
    """Distinct integers of at least one, ascending, of one or of several."""
    several = isinstance(value, Iterable) and not isinstance(value, str)
    counts = sorted({check_count(name, number) for number in (value if several else [value])})
    if not counts:
        raise InvalidParameterError(f"{name} must name at least one number of components")
    return counts


def _number(name: str, value: Any) -> float:
    """The value as a float, infinite if it is too large for one."""
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise InvalidParameterError(f"{name} must be a number, not {value!r}")
    try:
        return float(value)
    except OverflowError:
        return np.inf


def check_real(name: str, value: Any, least: float = 0.0, most: float = np.inf) -> float:
    number = _number(name, value)
    if not least <= number < np.inf:
        raise InvalidParameterError(f"{name} must be finite and at least {least}, not {value}")
    if number > most:
        raise InvalidParameterError(f"{name} must be at most {most}, not {value}")
    return number


def check_positive(name: str, value: Any) -> float:
    number = _number(name, value)
    if not 0 < number < np.inf:
        raise InvalidParameterError(f"{name} must be positive and finite, not {value}")
    return number


def check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise InvalidParameterError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def check_choice(name: str, value: object, choices: Mapping[str, T]) -> T:
    """choices[value]; ValueError lists the choices."""
    if not isinstance(value, str) or value not in choices:
        told = ", ".join(map(repr, choices))
        raise InvalidParameterError(f"{name} must be one of {told}, not {value!r}{suggested(value, choices)}")
    return choices[value]


def check_component_names(names: Any, k: int) -> tuple[str, ...] | None:
    """k different names, or None."""
    if names is None:
        return None
    found = () if isinstance(names, str) else tuple(names)
    if len(found) != k or len(set(found)) != k or not all(isinstance(name, str) and name for name in found):
        raise InvalidParameterError(f"component_names_ must be {k} different texts, one for each component: {names!r}")
    return found


def check_missing(value: object) -> bool:
    """Whether NaN is a missing value."""
    return check_choice("missing", value, {"error": False, "marginal": True})


def check_threads(value: object) -> int | None:
    return None if value is None else check_count("n_threads", value, most=MOST_THREADS)


def check_verbose(verbose: object) -> int:
    return int(verbose) if isinstance(verbose, bool | np.bool_) else check_count("verbose", verbose, least=0)


def check_path(name: str, path: Any) -> str | os.PathLike[str] | None:
    if path is not None and not isinstance(path, str | os.PathLike):
        raise InvalidParameterError(f"{name} must be a path or None, not {path!r}")
    if path is not None and not os.fspath(path):
        raise InvalidParameterError(f"{name} is an empty path: name a file, or give None")
    if path is not None and "\0" in os.fsdecode(path):
        raise InvalidParameterError(f"{name} must be a path, and {path!r} has a null character")
    return path


def check_callback(callback: Callable[..., Any] | None) -> Callable[..., Any] | None:
    if callback is not None and not callable(callback):
        raise InvalidParameterError(f"callback must be callable or None, not {callback!r}")
    return callback


def check_random_state(random_state: Any) -> np.random.Generator:
    """A Generator: the caller's own, or one seeded from an int, a RandomState or NumPy's global state."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None or random_state is np.random:
        random_state = np.random.mtrand._rand
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint64))
    if is_integer(random_state):
        if random_state < 0:
            raise InvalidParameterError(f"random_state must not be negative, got {random_state}")
        return np.random.default_rng(int(random_state))
    raise InvalidParameterError(
        f"random_state must be None, an int, a numpy RandomState or a numpy Generator, not {random_state!r}"
    )


def _is_ready(array: Array) -> bool:
    """Whether kernels take it as it is."""
    return array.dtype in (np.float32, np.float64) and array.dtype.isnative and array.flags.aligned


def check_seed(random_state: Any) -> int:
    """One seed for many fits: an int as it is, or one drawn from a generator or from NumPy's global state."""
    if isinstance(random_state, numbers.Integral):
        check_random_state(random_state)
        return int(random_state)
    return int(check_random_state(random_state).integers(2**63))


def check_array(name: str, value: Any) -> Rows:
    """An array of float32 or float64 in native order, aligned; copied only if it is something else."""
    if isinstance(value, np.ndarray) and (value.base is not None or type(value) is np.memmap):
        _check_mapped(name, value)
    if type(value) is np.ndarray and _is_ready(value):
        return value
    if np.ma.isMaskedArray(value) and value.mask.any():
        remedy = ". With GMM(missing='marginal') it is missing" if name == "X" else ""
        raise ValueError(f"{name} is masked, and cgmm would see what the mask hides: fill or drop those rows{remedy}")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    except Exception as error:
        if not hasattr(value, "__dask_graph__"):
            raise
        raise BlockError(f"a chunk of {name} could not be computed: {type(error).__name__}: {error}") from error
    if array.dtype.kind not in "biufc":
        _check_in_memory(name, value)
        _check_columns(name, value)
    if _is_ready(array):
        return np.asarray(array)
    if array.dtype.kind == "c":
        raise ValueError(f"Complex data not supported: {name} has dtype {array.dtype}")
    if array.dtype.kind not in "biufO":
        raise TypeError(f"{name} must be numeric, not of dtype {array.dtype}")
    source = value if array.dtype.kind == "O" and hasattr(value, "astype") else array  # pandas.NA becomes NaN
    try:
        return np.asarray(source.astype(np.float32 if array.dtype == np.float32 else np.float64))
    except OverflowError as error:
        raise ValueError(f"{name} must be numeric: {error}") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be numeric: {error}") from None


def _check_mapped(name: str, value: Any) -> None:
    """That the file of a map, of which these values are all or some, is as long as the map: whoever reads a page beyond
    its end is killed (SIGBUS)."""
    while isinstance(value, np.ndarray):
        own: Any = value
        pages = vars(own).get("_mmap") if isinstance(own, np.memmap) else None
        if pages is not None:
            end = own.offset // mmap.ALLOCATIONGRANULARITY * mmap.ALLOCATIONGRANULARITY + len(pages)
            if pages.size() < end:
                path = os.fspath(own.filename or "its file")
                raise BlockError(
                    f"{path} was shortened while it was read: it has {pages.size()} bytes, and {name}, a map of it, "
                    f"ends at {end}"
                )
            return
        value = own.base


def _check_in_memory(name: str, value: Any) -> None:
    """That X is no file; TypeError says what to give in its place."""
    is_path = isinstance(value, str | os.PathLike)
    if name == "X" and (is_path or hasattr(value, "blocks")):
        told = f"a path, {os.fspath(value)!r}," if is_path else f"a {type(value).__name__},"
        raise TypeError(
            f"{name} is {told} and no file is read here: give its rows as an array or a data frame, such as numpy.load "
            "and pandas.read_csv return"
        )


def _check_columns(name: str, value: Any) -> None:
    """That each column of a data frame can become numbers; ValueError names all that cannot, and what they hold."""
    columns = list(getattr(value, "columns", ()))
    if not columns or not all(isinstance(column, str) for column in columns) or not hasattr(value, "__getitem__"):
        return
    held = {column: kind for column in dict.fromkeys(columns) if (kind := _kind_of(value[column]))}
    if not held:
        return
    told = ", ".join(f"column {column!r} holds {kind}" for column, kind in list(held.items())[:MOST_TOLD])
    more = f" and {len(held) - MOST_TOLD} more columns hold no numbers" if len(held) > MOST_TOLD else ""
    them = "it" if len(held) == 1 else "them"
    raise ValueError(f"{name} must be numeric, but {told}{more}: leave {them} out, or make numbers of {them}")


def _kind_of(column: Any) -> str:
    """What a column of a data frame holds that cannot become numbers; empty if it can."""
    array = np.asarray(column)
    if array.dtype.kind in "biufc":
        return ""
    dtype = str(getattr(column, "dtype", array.dtype)).lower()
    if array.dtype.kind in "mM" or dtype.startswith(("date", "time", "duration", "period")):
        return "dates or times"
    try:
        (column if hasattr(column, "astype") else array).astype(np.float64)  # pandas.NA becomes NaN
    except (TypeError, ValueError, OverflowError):
        categories = dtype.startswith(("categor", "enum"))
        return "categories" if categories else "text" if _is_text(array) else f"objects of dtype {dtype}"
    return ""


def _is_text(array: Any) -> bool:
    return array.dtype.kind in "UST" or any(isinstance(value, str) for value in array.ravel()[:MOST_LOOKED_AT])


def check_start_array(name: str, value: object, shape: tuple[int, ...], unknown: bool = False, kind: str = "") -> Array:
    """A private float64 copy of `value`, of that shape and finite; if `unknown`, components may be all NaN."""
    array = np.array(check_array(name, value), dtype=np.float64, order="C")
    if array.shape != shape:
        raise ValueError(f"{told_parameter(name, kind)} should have the shape of {shape}, but got {array.shape}")
    told = array
    if unknown and array.shape:
        told = array[~np.isnan(array).reshape(len(array), -1).all(axis=1)]
    if not np.isfinite(told).all():
        raise ValueError(first_not_within(name, array))
    return array


def first_not_within(
    name: str,
    array: Rows,
    largest: float = sys.float_info.max,
    gaps: bool = False,
    columns: Sequence[str] | None = None,
    marginal: bool = False,
    rows: int = 65536,
) -> str:
    """Say where the first NaN, if they are not `gaps`, infinity or value too large stands; "" if there is none.

    A part is looked at at a time, so that little memory is taken.
    columns : their names, or None;  marginal : whether the estimator has missing="marginal"
    """
    most = min(largest, float(np.finfo(array.dtype).max))  # NumPy warns of a number that float32 cannot hold
    for start in range(0, len(array), rows):
        sizes = np.abs(array[start : start + rows])
        bad = np.argwhere(sizes > most if gaps else ~(sizes <= most))
        if len(bad):
            at = (int(bad[0][0]) + start, *map(int, bad[0][1:]))
            kind = "NaN" if np.isnan(array[at]) else "infinity" if np.isinf(array[at]) else "a value too large"
            where = f"{name}[{', '.join(map(str, at))}] = {array[at]}"
            where += "" if columns is None else f", in column {columns[at[1]]!r}"
            mend = "Drop or fill it."
            if marginal and np.isnan(array[at]):
                mend = 'Drop or fill it, or set missing="marginal", which takes NaN as a value that was not observed.'
            too_large = kind == "a value too large" and largest != sys.float_info.max
            limit = f" Values may be as large as {largest:.2g} here." if too_large else ""
            return f"Input {name} contains {kind}: the first is {where}. {mend}{limit}"
    return ""


def told_parameter(name: str, kind: str = "") -> str:
    """An argument in an error's words, which are scikit-learn's."""
    told = f"{kind} precision" if name == "precisions_init" else name.removesuffix("_init")
    return f"The parameter {told!r}" if told == name else f"{name}: The parameter {told!r}"
