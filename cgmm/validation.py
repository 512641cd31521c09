"""The public edge: every check of what a user hands over, once."""

from __future__ import annotations

import math
import numbers
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from cgmm import _kernels, sampling
from cgmm.parameters import Fixed
from cgmm.protocol import Kin

if TYPE_CHECKING:
    from cgmm.covariance import AnyFamily
    from cgmm.parameters import Parameters
    from cgmm.prior import Prior
    from cgmm.types import Array, Callback, Parts, Rows

T = TypeVar("T")

LARGEST_SINGLE = 1e15  # of a float32 value: beyond it sums of squares of a block may overflow, and
SMALLEST_SINGLE = 1e-15  # of what a float32 column holds: below it squares underflow; both are computed in float64
SCALE_ROWS = 256  # that show whether a column is so small
MAX_THREADS = 2**31 - 1  # OpenMP counts them in a C int
START_ARGUMENTS = {"weights": "weights_init", "means": "means_init", "covariances": "precisions_init"}


class InvalidParameterError(ValueError, TypeError):
    """An argument has a value or a type that cannot be used."""


class BlockError(ValueError):
    """A block of rows could not be read, or cannot be used; the message names it."""


class DegenerateError(ValueError):
    """A component cannot be estimated from the data, and on_degenerate="raise" asks not to repair it."""


class ConvergenceWarning(Kin, UserWarning):
    """The fit ended at max_iter before the log-likelihood settled."""


class DegenerateWarning(UserWarning):
    """A component could not be estimated from the data and was repaired."""


class NotFittedError(Kin, ValueError, AttributeError):
    """The model is used before fit."""


def check_count(name: str, value: Any, least: int = 1, most: int | None = None) -> int:
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise InvalidParameterError(f"{name} must be an integer, not {value!r}")
    number = int(value)
    if number < least:
        raise InvalidParameterError(f"{name} must be at least {least}, not {value}")
    if most is not None and number > most:
        raise InvalidParameterError(f"{name} must be at most {most}, not {value}")
    return number


def check_real(name: str, value: Any, least: float = 0.0, most: float = np.inf) -> float:
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise InvalidParameterError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not least <= number < np.inf:
        raise InvalidParameterError(f"{name} must be finite and at least {least}, not {value}")
    if number > most:
        raise InvalidParameterError(f"{name} must be at most {most}, not {value}")
    return number


def check_flag(name: str, value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise InvalidParameterError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def check_choice(name: str, value: object, choices: Mapping[str, T]) -> T:
    """choices[value]; ValueError lists the choices."""
    if not isinstance(value, str) or value not in choices:
        raise InvalidParameterError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return choices[value]


def check_threads(value: object) -> int | None:
    return None if value is None else check_count("n_threads", value, most=MAX_THREADS)


def check_fixed(fixed: Any, family: AnyFamily, k: int) -> Fixed:
    """em.Fixed from names, or from a mapping of names to masks (k,) or to True or False."""
    if isinstance(fixed, str):
        fixed = (fixed,)
    try:
        masks: dict[Any, Any] = dict(fixed) if isinstance(fixed, Mapping) else dict.fromkeys(fixed, True)
    except TypeError:
        raise InvalidParameterError(f"fixed must be a collection of names, or masks by name, not {fixed!r}") from None
    for name, value in masks.items():
        if not isinstance(name, str) or name not in START_ARGUMENTS:
            known = ", ".join(map(repr, START_ARGUMENTS))
            raise InvalidParameterError(f"fixed may hold {known}, not {name!r}")
        mask = np.asarray(value)
        if mask.dtype != bool or mask.shape not in ((), (k,)):
            raise InvalidParameterError(f"fixed[{name!r}] must be True, False or a mask of {k} bools, not {value!r}")
        mask = np.broadcast_to(mask, k)
        if name == "covariances" and not family.per_component and mask.any() != mask.all():
            raise InvalidParameterError("fixed['covariances'] must be all or nothing: tied components share one")
        masks[name] = mask.copy() if mask.any() else None
    return Fixed(**masks)


def check_prior(prior: object) -> Prior | None:
    """A Prior or None."""
    from cgmm.prior import Prior

    if prior is None or isinstance(prior, Prior):
        return prior
    if isinstance(prior, str) and prior == "default":
        return Prior()
    raise InvalidParameterError(f"prior must be None, 'default' or a cgmm.Prior, not {prior!r}")


def check_verbose(verbose: object) -> int:
    return int(verbose) if isinstance(verbose, bool | np.bool_) else check_count("verbose", verbose, least=0)


def check_path(name: str, path: Any) -> str | os.PathLike[str] | None:
    if path is not None and not isinstance(path, str | os.PathLike):
        raise InvalidParameterError(f"{name} must be a path or None, not {path!r}")
    return path


def check_callback(callback: Callback | None) -> Callback | None:
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
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool | np.bool_):
        if random_state < 0:
            raise InvalidParameterError(f"random_state must not be negative, got {random_state}")
        return np.random.default_rng(int(random_state))
    raise InvalidParameterError(
        f"random_state must be None, an int, a numpy RandomState or a numpy Generator, not {random_state!r}"
    )


def check_rows(X: Any, n_features: int | None = None, n_threads: int = 1, of: int | None = None) -> Rows:
    """X as a float32 or float64 array (n,d), not copied when it is one already; finite; part of so many rows.

    float32 whose squares float32 cannot hold becomes float64. TypeError or ValueError says what is wrong, and where
    the first bad value stands.
    """
    X = _check_table(X, n_features)
    return _check_values(X, n_threads, of)[0]


def check_observed(
    X: Any, n_features: int | None, n_threads: int, gaps: bool, of: int | None = None
) -> tuple[Rows, bool]:
    """The same; if `gaps`, NaN is a missing value, and X then float64. And whether there is none."""
    return _check_values(_check_table(X, n_features), n_threads, of, gaps)


def _check_table(X: Any, n_features: int | None) -> Rows:
    if hasattr(X, "tocsr") or type(X).__module__.startswith("scipy.sparse"):
        raise TypeError("X is sparse; cgmm needs dense rows: use X.toarray()")
    X = check_array("X", X)
    if X.ndim != 2:
        raise ValueError(
            f"Expected 2D array, got {X.ndim}D array instead: X must be (rows, features). Reshape your data "
            "with X.reshape(-1, 1) if it has one feature or X.reshape(1, -1) if it is one row."
        )
    n, d = X.shape
    if n == 0:
        raise ValueError(f"Found array with 0 sample(s) (shape={X.shape}) while a minimum of 1 is required.")
    if d == 0:
        raise ValueError(f"Found array with 0 feature(s) (shape={X.shape}) while a minimum of 1 is required.")
    if n_features is not None:
        check_features(d, n_features)
    return X


def _check_values(X: Rows, n_threads: int, of: int | None = None, gaps: bool = False) -> tuple[Rows, bool]:
    """Rows in a type that can hold their squares, and whether there is no NaN."""
    if X.dtype == np.float32:
        if _kernels.all_within(X, LARGEST_SINGLE, n_threads) and (of or not has_small_column(X)):
            return X, True
        X = X.astype(np.float64)
    largest = largest_of(of or len(X), X.shape[1])
    if _kernels.all_within(X, largest, n_threads):
        return X, True
    fault = _first_not_within("X", X, largest, gaps)
    if fault:
        raise ValueError(fault)
    return X, False


def check_columns(X: Rows, row_weights: Array | None, rows: int = 65536) -> None:
    """That each column has a value that is not missing in a row of positive weight."""
    empty = np.ones(X.shape[1], dtype=bool)
    for start in range(0, len(X), rows):
        part = X[start : start + rows]
        if row_weights is not None:
            part = part[row_weights[start : start + rows] > 0]
        empty &= np.isnan(part).all(axis=0)
        if not empty.any():
            return
    told = ", ".join(f"X[:, {j}]" for j in np.flatnonzero(empty))
    weight = "" if row_weights is None else " of positive weight"
    raise ValueError(f"{told} is missing in every row{weight}: nothing can be learnt of it. Drop it.")


def check_features(d: int, expected: int) -> None:
    if d != expected:
        raise ValueError(f"X has {d} features, but GMM is expecting {expected} features as input.")


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
        raise ValueError(_first_not_within("sample_weight", weights))
    if (weights < 0).any():
        i = int(np.argmax(weights < 0))
        raise ValueError(f"sample_weight must not be negative, but sample_weight[{i}] is {weights[i]}")
    if some and not weights.any():
        raise ValueError("sample_weight is zero for every row")
    with np.errstate(over="ignore"):
        if not np.isfinite(weights.sum()):
            raise ValueError("sample_weight has no finite sum")
    return weights


def of_order_one(weights: Array | None) -> tuple[Array | None, int]:
    """Weights / 2^e and e, so that the largest is in [½, 1): float32 can hold them, and no digit is lost."""
    if weights is None:
        return None, 0
    exponent = int(np.frexp(weights.max())[1])
    return np.ldexp(weights, -exponent), exponent


def check_missing(value: object) -> bool:
    """Whether NaN is a missing value."""
    return check_choice("missing", value, {"error": False, "marginal": True})


def check_enough_rows(rows: int, n: int, k: int, name: str) -> None:
    """That of so many rows n, those of positive weight, are enough."""
    if n < k:
        counted = "rows" if n == rows else "rows of positive weight"
        raise ValueError(f"n_samples={n} should be >= {name}={k}: X has only {n} {counted}")


def check_start_array(name: str, value: object, shape: tuple[int, ...], unknown: bool = False, kind: str = "") -> Array:
    """A private float64 copy of `value`, of that shape and finite; if `unknown`, components may be all NaN."""
    array = np.array(check_array(name, value), dtype=np.float64, order="C")
    if array.shape != shape:
        raise ValueError(f"{_parameter(name, kind)} should have the shape of {shape}, but got {array.shape}")
    told = array
    if unknown and array.shape:
        told = array[~np.isnan(array).reshape(len(array), -1).all(axis=1)]
    if not np.isfinite(told).all():
        raise ValueError(_first_not_within(name, array))
    return array


def check_mixture_weights(name: str, value: object, k: int, unknown: bool = False) -> Array:
    weights = check_start_array(name, value, (k,), unknown)
    known = weights[~np.isnan(weights)]
    if (known < 0).any():
        c = int(np.argmax(weights < 0))
        raise ValueError(f"{_parameter(name)} must not be negative, but {name}[{c}] is {weights[c]}")
    total = known.sum()
    if len(known) < k and total >= 1:
        raise ValueError(f"{_parameter(name)} leaves nothing for the unknown: the others sum to {total}")
    if len(known) == k and abs(total - 1) > 1e-6:
        raise ValueError(f"{_parameter(name)} should be normalized, but got sum(weights) = {total:.5f}")
    return weights


def check_matrices(name: str, value: object, family: AnyFamily, k: int, d: int, unknown: bool = False) -> Array:
    """Covariances or precisions of a family: shape, symmetry and positive definiteness."""
    matrices = check_start_array(name, value, family.shape(k, d), unknown and family.per_component, family.name)
    known = ~np.isnan(matrices).reshape(len(matrices), -1).any(axis=1)
    if not known.any():
        return matrices
    fault = f"{_parameter(name, family.name)} should be {family.definite}"
    if not family.is_symmetric(matrices[known]):
        raise ValueError(f"{fault}, but is not symmetric")
    try:
        family.root(matrices[known])
    except ValueError as error:
        raise ValueError(f"{fault}: {error}") from None
    return matrices


def _parameter(name: str, kind: str = "") -> str:
    """An argument in an error's words, which are scikit-learn's."""
    told = f"{kind} precision" if name == "precisions_init" else name.removesuffix("_init")
    return f"The parameter {told!r}" if told == name else f"{name}: The parameter {told!r}"


def check_scale(name: str, value: object, family: AnyFamily, d: int) -> Array:
    """The scale of a prior: a covariance in the family's form, or a variance for all."""
    array = np.array(check_array(name, value), dtype=np.float64)
    if array.shape == () and family.scale_shape(d) == (d,):
        array = np.full(d, array)
    if array.shape != family.scale_shape(d):
        raise ValueError(f"{name} should have the shape of {family.scale_shape(d)}, but got {array.shape}")
    stack = array[np.newaxis]
    if not np.isfinite(stack).all() or not family.is_symmetric(stack) or not _is_definite(family, stack):
        raise ValueError(f"{name} should be {family.definite}")
    return array


def _is_definite(family: AnyFamily, stack: Array) -> bool:
    if stack.ndim == 3:
        return not _kernels.roots(np.ascontiguousarray(stack))[1].any()
    return bool((stack > 0).all())


def check_given(
    family: AnyFamily,
    k: int,
    d: int,
    weights_init: object,
    means_init: object,
    precisions_init: object,
    largest: float,
) -> dict[str, Array]:
    """The start's parameters that the user gives, by name: weights, means, covariances; NaN where unknown.

    Means may be as large as rows: `largest`.
    """
    given = {}
    if weights_init is not None:
        given["weights"] = check_mixture_weights("weights_init", weights_init, k, unknown=True)
    if means_init is not None:
        given["means"] = means = check_start_array("means_init", means_init, (k, d), unknown=True)
        if not _kernels.all_within(means[~np.isnan(means).any(axis=1)], largest):
            raise ValueError(_first_not_within("means_init", np.nan_to_num(means), largest))
    if precisions_init is not None:
        precisions = check_matrices("precisions_init", precisions_init, family, k, d, unknown=True)
        known = ~np.isnan(precisions).reshape(len(precisions), -1).any(axis=1)
        given["covariances"] = covariances = np.full_like(precisions, np.nan)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                if not known.any():
                    pass
                elif family.per_component:
                    covariances[known] = family.covariances_from_precisions(precisions[known])
                    family.root(covariances[known])
                else:
                    covariances[...] = family.covariances_from_precisions(precisions)
                    family.root(covariances)
        except ValueError:
            raise ValueError("precisions_init cannot be inverted: its values are too small") from None
    return given


def check_fixed_given(fixed: Fixed, given: Mapping[str, Array]) -> None:
    """That what is fixed is given."""
    for name, mask in fixed._asdict().items():
        if mask is None:
            continue
        value = given.get(name)
        if value is None:
            raise ValueError(f"fixed={name!r} needs {START_ARGUMENTS[name]}: the value at which they stay")
        unknown = np.isnan(value).reshape(len(value), -1).any(axis=1) & (mask if len(mask) == len(value) else True)
        if unknown.any():
            c = int(np.argmax(unknown))
            raise ValueError(f"{START_ARGUMENTS[name]}[{c}] is unknown (NaN), but fixed[{name!r}] keeps it")


def check_responsibilities(name: str, value: object, n: int, k: int) -> Parts:
    """Labels (n,) of 0 … k−1 as intp, or responsibilities (n,k), non-negative and each row summing to one."""
    array = check_array(name, value)
    if array.shape == (n,):
        with np.errstate(invalid="ignore"):
            labels = array.astype(np.intp)
        if not np.array_equal(labels, array) or labels.min() < 0 or labels.max() >= k:
            raise ValueError(f"{name} must hold labels from 0 to {k - 1}, one for each row, or responsibilities")
        return labels
    if array.shape != (n, k):
        raise ValueError(f"{name} must be labels ({n},) or responsibilities ({n}, {k}), not of shape {array.shape}")
    array = np.ascontiguousarray(array, dtype=np.float64)
    if not np.isfinite(array).all() or (array < 0).any() or np.abs(array.sum(axis=1) - 1).max() > 1e-6:
        raise ValueError(f"{name} must be non-negative and sum to one in each row")
    return array


def check_continues(name: str, parameters: Parameters, family: AnyFamily, k: int, d: int) -> None:
    """That warm_start or partial_fit can go on from the parameters of the last fit."""
    last = (parameters.family.name, parameters.k, parameters.d)
    if last != (family.name, k, d):
        instead = "set warm_start=False" if name == "warm_start" else "begin with fit"
        raise ValueError(
            "{} cannot continue: the last fit had covariance_type={!r}, n_components={} and {} features, "
            "this one has {!r}, {} and {}; {}".format(name, *last, family.name, k, d, instead)
        )


def check_array(name: str, value: Any) -> Rows:
    """An array of float32 or float64 in native order, aligned; copied only if it is something else."""
    if np.ma.isMaskedArray(value) and value.mask.any():
        raise ValueError(f"{name} is masked, and cgmm would see what the mask hides: fill or drop those rows")
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ValueError(f"{name} is not a rectangular array: {error}") from None
    if array.dtype in (np.float32, np.float64) and array.dtype.isnative and array.flags.aligned:
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


def _first_not_within(
    name: str, array: Rows, largest: float = sys.float_info.max, gaps: bool = False, rows: int = 65536
) -> str:
    """Say where the first NaN, if they are not `gaps`, infinity or value too large stands; "" if there is none.

    A part is looked at at a time, so that little memory is taken.
    """
    for start in range(0, len(array), rows):
        sizes = np.abs(array[start : start + rows])
        bad = np.argwhere(sizes > largest if gaps else ~(sizes <= largest))
        if len(bad):
            at = (int(bad[0][0]) + start, *map(int, bad[0][1:]))
            kind = "NaN" if np.isnan(array[at]) else "infinity" if np.isinf(array[at]) else "a value too large"
            where = ", ".join(map(str, at))
            limit = "" if largest == sys.float_info.max else f" Values may be as large as {largest:.2g} here."
            return f"Input {name} contains {kind}: the first is {name}[{where}] = {array[at]}. Drop or fill it.{limit}"
    return ""
