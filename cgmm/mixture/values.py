"""The parameters of a mixture as plain arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cgmm.types import Array


class Values(NamedTuple):
    """weights : (k,);  means : (k,d);  covariances and root, P of them, in the shape of their family"""

    weights: Array
    means: Array
    covariances: Array
    root: Array
