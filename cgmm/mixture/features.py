"""Features, which users give by index or by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.types import Labels, Names


def told_features(names: Names | None, d: int) -> list[str]:
    """What features are called where they are told."""
    return [f"feature {j}" for j in range(d)] if names is None else [str(name) for name in names]


def column_of(feature: object, names: Sequence[str]) -> int:
    """The column of a feature that is given by index or name; ValueError if there is none."""
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"the model has no feature {feature!r}, only {', '.join(names)}")
        return names.index(feature)
    if isinstance(feature, bool | np.bool_) or not isinstance(feature, int | np.integer):
        raise ValueError(f"a feature is named by its index or name, not {feature!r}")
    if not -len(names) <= feature < len(names):
        raise ValueError(f"there is no feature {feature}: the model has {len(names)}")
    return int(feature) % len(names)


def columns_of(features: Any, names: Names | None, d: int) -> Labels:
    """The columns (m,) of different features that are given by index or name, one or a sequence."""
    if isinstance(features, str) or np.ndim(features) == 0:
        features = [features]
    if np.ndim(features) != 1:
        raise ValueError(f"features must be indices or names, not {features!r}")
    told = told_features(names, d)
    columns = [column_of(feature, told) for feature in features]
    if len(set(columns)) < len(columns):
        raise ValueError(f"features must be different ones, not {features!r}")
    return np.array(columns, dtype=np.intp)


def others_than(columns: Labels, d: int) -> Labels:
    """The other columns, in their order; ValueError if there is none."""
    left = np.setdiff1d(np.arange(d), columns).astype(np.intp)
    if not len(left):
        raise ValueError("every feature is given, and none is left")
    return left
