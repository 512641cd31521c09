"""What a fit is to learn of a mixture: the point of highest likelihood or posterior density, or a whole posterior."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from cgmm.mixture.parameters import Parameters

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics


class Target(Protocol):
    """family : of the covariances"""

    @property
    def family(self) -> Family: ...

    def estimated(self, statistics: SufficientStatistics, rules: Rules) -> tuple[Parameters, list[Repair]]:
        """What is learnt of some rows' statistics, without anything before it; and what had to be repaired."""
        ...

    def at(self, parameters: Parameters) -> Parameters:
        """Where a run begins that is to begin at these parameters."""
        ...


class Point(NamedTuple):
    """Parameters themselves."""

    family: Family

    def estimated(self, statistics: SufficientStatistics, rules: Rules) -> tuple[Parameters, list[Repair]]:
        return Parameters.estimated(self.family, statistics, rules)

    def at(self, parameters: Parameters) -> Parameters:
        return parameters
