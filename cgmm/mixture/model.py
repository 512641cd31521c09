"""What a pass over rows asks of a mixture: the density that it evaluates, and the second moments that it accumulates.

cgmm.mixture.parameters.Parameters is one. A posterior of parameters, whose density has other constants, or a mixture
with a component that has a weight and no moments, would be another. The loop asks Parameters for more: whether its
M-step is compiled, its `reach`, and what guides a pruned pass; for another model, these become part of the protocol.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.density import Density
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Moment


class Model(Protocol):
    """density : what the kernels evaluate;  moment : what they accumulate"""

    @property
    def density(self) -> Density: ...

    @property
    def moment(self) -> Moment: ...

    def maximise(self, statistics: SufficientStatistics, rules: Rules, iteration: int = 0) -> tuple[Self, list[Repair]]:
        """The model that an M-step makes of statistics under this one; and what had to be repaired."""
        ...
