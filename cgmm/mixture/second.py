"""The forms in which passes accumulate second moments: what each name of a `moment` stands for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from cgmm.types import Array, Labels, Moment


class SecondMoment(NamedTuple):
    """Second moments of k components and d features.

    shape : of k and d
    scatter : the second moment of masses (k,) at offsets (k,d): moments about the means are those about other points,
        less the scatter of what lies between
    per_component : whether each component has its own, or all share one
    """

    shape: Callable[[int, int], tuple[int, ...]]
    scatter: Callable[[Array, Array], Array]
    per_component: bool = True

    def taken(self, second: Array, components: Labels) -> Array:
        """Those of these components, in this order."""
        return second[components] if self.per_component else second

    def together(self, second: Array) -> Array:
        """Those of all components, about one point, as those of a single component."""
        return second.sum(axis=0, keepdims=True) if self.per_component else second


SECOND_MOMENTS: dict[Moment, SecondMoment] = {
    "full": SecondMoment(lambda k, d: (k, d, d), lambda m, o: (m[:, None] * o)[:, :, None] * o[:, None, :]),
    "diag": SecondMoment(lambda k, d: (k, d), lambda m, o: m[:, None] * o**2),
    "radial": SecondMoment(lambda k, d: (k,), lambda m, o: m * (o**2).sum(axis=1)),
    "pooled": SecondMoment(lambda k, d: (d, d), lambda m, o: np.einsum("c,ci,cj->ij", m, o, o), per_component=False),
}
