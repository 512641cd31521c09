"""What a mixture is to EM's loop and to the passes over complete rows: a density, an M-step, and what decides of both.

cgmm.mixture.parameters.Parameters is one. A posterior of parameters, whose density has other constants, would be
another.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.density import Density
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Array, Moment


class Model(Protocol):
    """density, moment : what the kernels evaluate, and what they accumulate;  k, d : components and features
    compiled : whether compiled iterations know its M-step
    needs_rows : whether nothing is known of a component that no row belongs to
    reach, needs_double : how much of its log-densities rounding takes, and whether float32 would lose them
    """

    @property
    def density(self) -> Density: ...

    @property
    def moment(self) -> Moment: ...

    @property
    def weights(self) -> Array: ...

    @property
    def k(self) -> int: ...

    @property
    def d(self) -> int: ...

    @property
    def compiled(self) -> bool: ...

    @property
    def needs_rows(self) -> bool: ...

    @property
    def reach(self) -> float: ...

    @property
    def needs_double(self) -> bool: ...

    def objective(self, statistics: SufficientStatistics, rules: Rules, after: Self) -> float:
        """What EM raises, once an E-step under this model has left these statistics, and an M-step the model after."""
        ...

    def maximise(self, statistics: SufficientStatistics, rules: Rules, iteration: int = 0) -> tuple[Self, list[Repair]]:
        """The model that an M-step makes of statistics under this one; and what had to be repaired."""
        ...
