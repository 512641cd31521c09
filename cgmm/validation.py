"""The public edge: every check of what a user hands over, once."""

import numbers

import numpy as np

from cgmm import _kernels

LARGEST = 1e150  # of a value: its square, and sums of many squares, must be numbers
MAX_THREADS = 2**31 - 1  # OpenMP counts them in a C int
START_ARGUMENTS = {"weights": "weights_init", "means": "means_init", "covariances": "precisions_init"}


class ConvergenceWarning(UserWarning):
    """The fit ended at max_iter before the log-likelihood settled."""


class DegenerateWarning(UserWarning):
    """A component could not be estimated from the data and was repaired."""


class NotFittedError(ValueError, AttributeError):
    """The model is used before fit."""


def check_count(name, value, least=1, most=None):
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, not {value}")
    if most is not None and value > most:
        raise ValueError(f"{name} must be at most {most}, not {value}")
    return int(value)


def check_real(name, value, least=0.0):
    if isinstance(value, bool | np.bool_) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, not {value!r}")
    try:
        number = float(value)
    except OverflowError:
        number = np.inf
    if not least <= number < np.inf:
        raise ValueError(f"{name} must be finite and at least {least}, not {value}")
    return number


def check_flag(name, value):
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, not {value!r}")
    return bool(value)


def check_choice(name, value, choices):
    """choices[value]; ValueError lists the choices."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, not {value!r}")
    return choices[value]


def check_threads(value):
    return None if value is None else check_count("n_threads", value, most=MAX_THREADS)


def check_fixed(fixed):
    names = (fixed,) if isinstance(fixed, str) else fixed
    try:
        names = tuple(names)
    except TypeError:
        raise TypeError(f"fixed must be a collection of names, not {fixed!r}") from None
    for name in names:
        if not isinstance(name, str) or name not in START_ARGUMENTS:
            raise ValueError(f"fixed may hold {', '.join(map(repr, START_ARGUMENTS))}, not {name!r}")
    return names


def check_verbose(verbose):
    return int(verbose) if isinstance(verbose, bool | np.bool_) else check_count("verbose", verbose, least=0)


def check_callback(callback):
    if callback is not None and not callable(callback):
        raise TypeError(f"callback must be callable or None, not {callback!r}")
    return callback


def check_random_state(random_state):
    """A Generator: the caller's own, or one seeded from an int, a RandomState or NumPy's global state."""
    if isinstance(random_state, np.random.Generator):
        return random_state
    if random_state is None or random_state is np.random:
        random_state = np.random.mtrand._rand
    if isinstance(random_state, np.random.RandomState):
        return np.random.default_rng(random_state.randint(0, 2**32, size=4, dtype=np.uint64))
    if isinstance(random_state, numbers.Integral) and not isinstance(random_state, bool | np.bool_):
        if random_state < 0:
            raise ValueError(f"random_state must not be negative, got {random_state}")
        return np.random.default_rng(int(random_state))
    raise TypeError(
        f"random_state must be None, an int, a numpy RandomState or a numpy Generator, not {random_state!r}"
    )


def check_rows(X, n_features=None, n_threads=1):
    """X as a float32 or float64 array (n,d), not copied when it is one already; finite.

    TypeError or ValueError says what is wrong, and where the first bad value stands.
    """
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
    if n_features is not None and d != n_features:
        raise ValueError(f"X has {d} features, but GMM is expecting {n_features} features as input.")
    if not _kernels.all_finite(X, n_threads):
        raise ValueError(_first_not_finite("X", X))
    return X


def check_weights(sample_weight, n, some=True):
    """Row weights (n,) float64, or None; `some` of them positive."""
    if sample_weight is None:
        return None
    weights = check_array("sample_weight", sample_weight)
    if weights.shape != (n,):
        raise ValueError(f"sample_weight must have shape ({n},), one for each row, not {weights.shape}")
    weights = np.ascontiguousarray(weights, dtype=np.float64)
    if not np.isfinite(weights).all():
        raise ValueError(_first_not_finite("sample_weight", weights))
    if (weights < 0).any():
        i = int(np.argmax(weights < 0))
        raise ValueError(f"sample_weight must not be negative, but sample_weight[{i}] is {weights[i]}")
    if some and not weights.any():
        raise ValueError("sample_weight is zero for every row")
    with np.errstate(over="ignore"):
        if not np.isfinite(weights.sum()):
            raise ValueError("sample_weight has no finite sum")
    return weights


def of_order_one(weights):
    """Weights / 2^e and e, so that the largest is in [½, 1): float32 can hold them, and no digit is lost."""
    if weights is None:
        return None, 0
    exponent = int(np.frexp(weights.max())[1])
    return np.ldexp(weights, -exponent), exponent


def check_enough_rows(X, row_weights, k, name):
    n = len(X) if row_weights is None else int(np.count_nonzero(row_weights))
    if n < k:
        counted = "rows" if row_weights is None else "rows of positive weight"
        raise ValueError(f"n_samples={n} should be >= {name}={k}: X has only {n} {counted}")


def check_start_array(name, value, shape):
    """A private float64 copy of `value`, of that shape and finite."""
    array = np.array(check_array(name, value), dtype=np.float64, order="C")
    if array.shape != shape:
        raise ValueError(f"{name} must have shape {shape}, not {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(_first_not_finite(name, array))
    return array


def check_mixture_weights(name, value, k):
    weights = check_start_array(name, value, (k,))
    if (weights < 0).any():
        c = int(np.argmax(weights < 0))
        raise ValueError(f"{name} must not be negative, but {name}[{c}] is {weights[c]}")
    if abs(weights.sum() - 1) > 1e-6:
        raise ValueError(f"{name} must sum to one, not {weights.sum()}")
    return weights


def check_matrices(name, value, family, k, d):
    """Covariances or precisions of a family: shape, symmetry and positive definiteness."""
    matrices = check_start_array(name, value, family.shape(k, d))
    if not family.is_symmetric(matrices):
        raise ValueError(f"{name} must be symmetric")
    try:
        family.root(matrices)
    except ValueError as error:
        raise ValueError(f"{name} must be positive definite: {error}") from None
    return matrices


def check_given(family, k, d, weights_init, means_init, precisions_init):
    """The start's parameters that the user gives, by name: weights, means, covariances."""
    given = {}
    if weights_init is not None:
        given["weights"] = check_mixture_weights("weights_init", weights_init, k)
    if means_init is not None:
        given["means"] = check_start_array("means_init", means_init, (k, d))
    if precisions_init is not None:
        precisions = check_matrices("precisions_init", precisions_init, family, k, d)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                given["covariances"] = family.covariances_from_precisions(precisions)
                family.root(given["covariances"])
        except ValueError:
            raise ValueError("precisions_init cannot be inverted: its values are too small") from None
    return given


def check_continues(parameters, family, k, d):
    """That warm_start can go on from the parameters of the last fit."""
    last = (parameters.family.name, parameters.k, parameters.d)
    if last != (family.name, k, d):
        raise ValueError(
            "warm_start cannot continue: the last fit had covariance_type={!r}, n_components={} and {} features, "
            "this one has {!r}, {} and {}; set warm_start=False".format(*last, family.name, k, d)
        )


def check_array(name, value):
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
    try:
        return array.astype(np.float32 if array.dtype == np.float32 else np.float64)
    except OverflowError as error:
        raise ValueError(f"{name} must be numeric: {error}") from None
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} must be numeric: {error}") from None


def _first_not_finite(name, array, rows=65536):
    """Say where the first NaN or infinity stands; a part at a time, so that little memory is taken."""
    largest = min(LARGEST, float(np.finfo(array.dtype).max))
    for start in range(0, len(array), rows):
        bad = np.argwhere(~(np.abs(array[start : start + rows]) <= largest))
        if len(bad):
            at = (int(bad[0][0]) + start, *map(int, bad[0][1:]))
            kind = "NaN" if np.isnan(array[at]) else "infinity" if np.isinf(array[at]) else "a value beyond ±1e150"
            where = ", ".join(map(str, at))
            return f"Input {name} contains {kind}: the first is {name}[{where}] = {array[at]}. Drop or fill it."
    raise AssertionError("every element is finite")
