"""Which features a picture shows: chosen by index, by name, or as directions in space."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from cgmm.mixture.features import column_of, told_features
from cgmm.plot.view import View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.plot.protocols import Subject
    from cgmm.types import Array, Labels, Rows

    Features: TypeAlias = Sequence[int | str] | Labels | Rows  # indices or names; or directions (m,d)


def view_of(subject: Subject, features: Features | None, m: int) -> View:
    """The view along m features, given by index or name, or along directions (m,d); None: the model has only these."""
    d = subject.parameters.d
    told = told_features(subject.names, d)
    if features is None:
        if d != m:
            raise ValueError(_other_picture(d, m))
        features = range(m)
    if np.ndim(features) == 2:
        return View.of(subject, _checked_directions(features, m, d), [f"direction {i + 1}" for i in range(m)])
    columns = [column_of(feature, told) for feature in features]
    if len(columns) != m or len(set(columns)) < m:
        raise ValueError(f"features must be {m} different one{'s' * (m > 1)}, not {features!r}")
    return View.of(subject, np.eye(d)[columns], [told[j] for j in columns])


def columns_of(subject: Subject, features: Sequence[int | str] | Labels) -> Labels:
    """The columns (m,) of features that are given by index or name."""
    if np.ndim(features) != 1 or isinstance(features, str):
        raise ValueError(f"features must be a sequence of indices or names, not {features!r}")
    return view_of(subject, features, len(features)).basis.argmax(axis=1)


def _checked_directions(features: Features, m: int, d: int) -> Array:
    basis = np.asarray(features, dtype=np.float64)
    if basis.shape != (m, d) or not np.isfinite(basis).all() or np.linalg.matrix_rank(basis) < m:
        raise ValueError(f"features, as directions, must be ({m}, {d}), finite and of full rank")
    return basis


def _other_picture(d: int, m: int) -> str:
    if m == 1:
        return f"density draws one feature, and the model has {d}: choose one with feature=…, or call cgmm.plot.model"
    if d == 1:
        return "a plane has two features, and the model has 1: call cgmm.plot.density"
    return (
        f"a plane has two features, and the model has {d}: choose two with features=(0, 1), or call cgmm.plot.pairs "
        "or cgmm.plot.projection"
    )
