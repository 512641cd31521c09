"""Orders in which a mixture's components can stand."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.errors import InvalidParameterError
from cgmm.validation import check_array

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, ArrayLike, Labels, Names


def order_of(
    parameters: Parameters, names: Names | None, by: ArrayLike | str | Callable[..., Any], reverse: bool
) -> Labels:
    """The indices (k,) of the components as they ascend, or descend; see cgmm.GMM.sorted.

    names : of the features, or None.  ValueError or TypeError says why there is no such order.
    """
    keys = _keys(parameters, names, by)
    if reverse:  # twice, so that those that are equal stay in their order
        return (parameters.k - 1 - np.lexsort(keys[::-1, ::-1]))[::-1]
    return np.lexsort(keys[::-1])


def _keys(parameters: Parameters, names: Names | None, by: Any) -> Array:
    """Values (m,k) by which components are sorted, the first of them first."""
    if isinstance(by, str):
        return _named(parameters, names, by)
    if callable(by):
        covariances = parameters.family.expand(parameters.covariances, parameters.k, parameters.d)
        by = list(map(by, parameters.shares, parameters.means, covariances))
    elif isinstance(by, numbers.Integral) and not isinstance(by, bool):
        feature = int(by)
        if not -parameters.d <= feature < parameters.d:
            raise ValueError(f"by={feature} is no feature: there are {parameters.d}")
        return parameters.means[:, [feature]].T
    values = check_array("by", by)
    if values.shape != (parameters.k,) or np.isnan(values).any():
        raise ValueError(f"by must give a number for each of {parameters.k} components, not shape {values.shape}")
    return values[np.newaxis].astype(np.float64)


def _named(parameters: Parameters, names: Names | None, by: str) -> Array:
    features = [] if names is None else list(names)
    if by in features:
        return parameters.means[:, [features.index(by)]].T
    if by in ("means", "weights"):
        return parameters.means.T if by == "means" else parameters.weights[np.newaxis]
    told = ", ".join(map(repr, ["means", "weights", *features[:10]]))
    raise InvalidParameterError(f"by must be one of {told}, a feature, a function or numbers (k,), not {by!r}")
