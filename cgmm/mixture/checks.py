"""Checks of the parts of a mixture that a user hands over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import _kernels
from cgmm.errors import InvalidParameterError
from cgmm.mixture.rules import Fixed
from cgmm.validation import check_array, check_start_array, first_not_within, told_parameter

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array

START_ARGUMENTS = {"weights": "weights_init", "means": "means_init", "covariances": "precisions_init"}


def check_fixed(fixed: Any, family: Family, k: int) -> Fixed:
    """Fixed from names, or from a mapping of names to masks (k,) or to True or False."""
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
        if name == "covariances" and family.shared and mask.any() != mask.all():
            raise InvalidParameterError(
                f"fixed['covariances'] must be all or nothing: {family.name} components share {family.shared}"
            )
        masks[name] = mask.copy() if mask.any() else None
    return Fixed(**masks)


def check_mixture_weights(name: str, value: object, k: int, unknown: bool = False) -> Array:
    weights = check_start_array(name, value, (k,), unknown)
    known = weights[~np.isnan(weights)]
    if (known < 0).any():
        c = int(np.argmax(weights < 0))
        raise ValueError(f"{told_parameter(name)} must not be negative, but {name}[{c}] is {weights[c]}")
    total = known.sum()
    if len(known) < k and total >= 1:
        raise ValueError(f"{told_parameter(name)} leaves nothing for the unknown: the others sum to {total}")
    if len(known) == k and abs(total - 1) > 1e-6:
        raise ValueError(f"{told_parameter(name)} should be normalized, but got sum(weights) = {total:.5f}")
    return weights


def normalised(name: str, value: object) -> Array:
    """Weights (k,) over their sum; ValueError if they have none that is positive."""
    weights = check_start_array(name, value, check_array(name, value).shape)
    if weights.ndim != 1 or (weights < 0).any() or not weights.any():
        raise ValueError(f"{name} must be numbers for the components, none negative and not all zero, to be normalized")
    weights = np.ldexp(weights, -int(np.frexp(weights.max())[1]))  # so that their sum is a number
    return weights / weights.sum()


def check_features(family: Family, d: int) -> None:
    """That the family is one of d features."""
    if family.one_feature and d != 1:
        raise ValueError(
            f"covariance_type={family.name!r} is for rows of one feature, not {d}; {family.name}II has one variance "
            f"for all features, and {3 * family.name} a variance of each feature and all covariances"
        )


def check_matrices(
    name: str, value: object, family: Family, k: int, d: int, unknown: bool = False, shared: bool = True
) -> Array:
    """Covariances or precisions of a family: shape, symmetry, positive definiteness, and what components share.

    shared : whether to look at what they share; of extreme rows an M-step's own may agree no better than rounding lets
    """
    check_features(family, d)
    matrices = check_start_array(name, value, family.shape(k, d), unknown and not family.shared, family.name)
    known = ~np.isnan(matrices).reshape(len(matrices), -1).any(axis=1)
    if not known.any():
        return matrices
    fault = f"{told_parameter(name, family.name)} should be {family.definite}"
    if not family.is_symmetric(matrices[known]):
        raise ValueError(f"{fault}, but is not symmetric")
    try:
        family.root(matrices[known])
    except ValueError as error:
        raise ValueError(f"{fault}: {error}") from None
    if shared and not family.agree(matrices[known]):
        raise ValueError(f"{fault} and {family.shared} the same for all components")
    return matrices


def check_scale(name: str, value: object, family: Family, d: int, k: int | None = None) -> Array:
    """The scale of a prior: a covariance in the family's form, or a variance for all; of k components also one each."""
    array = np.array(check_array(name, value), dtype=np.float64)
    if array.shape == () and family.scale_shape(d) == (d,):
        array = np.full(d, array)
    each = family.per_component and array.ndim > len(family.scale_shape(d))
    if k is not None and each and array.shape == family.shape(k, d):
        return check_matrices(name, array, family, k, d)
    if array.shape != family.scale_shape(d):
        raise ValueError(f"{name} should have the shape of {family.scale_shape(d)}, but got {array.shape}")
    stack = array[np.newaxis]
    if not np.isfinite(stack).all() or not family.is_symmetric(stack) or not _is_definite(family, stack):
        raise ValueError(f"{name} should be {family.definite}")
    return array


def _is_definite(family: Family, stack: Array) -> bool:
    if stack.ndim == 3:
        return not _kernels.roots(np.ascontiguousarray(stack))[1].any()
    return bool((stack > 0).all())


def check_given(
    family: Family,
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
            raise ValueError(first_not_within("means_init", np.nan_to_num(means), largest))
    if precisions_init is not None:
        precisions = check_matrices("precisions_init", precisions_init, family, k, d, unknown=True)
        known = ~np.isnan(precisions).reshape(len(precisions), -1).any(axis=1)
        given["covariances"] = covariances = np.full_like(precisions, np.nan)
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                if not known.any():
                    pass
                elif not family.shared:
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


def check_continues(name: str, parameters: Parameters, family: Family, k: int, d: int) -> None:
    """That warm_start or partial_fit can go on from the parameters of the last fit."""
    last = (parameters.family.name, parameters.k, parameters.d)
    if last != (family.name, k, d):
        instead = "set warm_start=False" if name == "warm_start" else "begin with fit"
        raise ValueError(
            "{} cannot continue: the last fit had covariance_type={!r}, n_components={} and {} features, "
            "this one has {!r}, {} and {}; {}".format(name, *last, family.name, k, d, instead)
        )
