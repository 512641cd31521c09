"""What a fit leaves in an estimator, as one value."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.em.stage import Fit
from cgmm.em.stepwise import Memory
from cgmm.mixture.floor import EPS
from cgmm.mixture.parts import Parts

if TYPE_CHECKING:
    from typing import Any, Self

    from cgmm.em.settings import Settings
    from cgmm.fit.restarts import Restart, Search
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.opened import Batch
    from cgmm.types import Labels, Names


class Gathered(NamedTuple):
    """The first rows of a stream, the names of their features or None, and how many of them a start has had."""

    batch: Batch
    names: Names | None
    fitted: int = 0


class Assigned(NamedTuple):
    """Parts of a mixture that a user assigns one after the other, before they make one.

    names : of the features of the last fit, or None
    """

    parts: Parts = Parts()
    names: Names | None = None

    def with_part(self, name: str, value: Any, family: Family) -> Assigned | State:
        """With one part replaced; a State once they make a mixture. ValueError or TypeError if they never will."""
        parts = self.parts.with_part(name, value, family)
        if parts.fault():
            return Assigned(parts, self.names)
        parameters = parts.parameters()
        names = None if self.names is None or len(self.names) != parameters.d else self.names
        return State.given(parameters, names)


class State(NamedTuple):
    """What a fit leaves in the estimator.

    names : feature names or None;  restarts, winner : what became of each start, and which of them the fit is
    passes : over the rows;  settings : of the fit, None if the parameters were given
    eps : the relative rounding of the fit's statistics
    memory : what is remembered of a stream;  gathered : its rows, while they are too few
    component_names : that a user has given, or None
    """

    fit: Fit
    names: Names | None = None
    restarts: tuple[Restart, ...] = ()
    winner: int = 0
    passes: int = 0
    settings: Settings | None = None
    eps: float = EPS
    memory: Memory | None = None
    gathered: Gathered | None = None
    component_names: tuple[str, ...] | None = None

    @property
    def component_titles(self) -> tuple[str, ...]:
        """What the components are called: as a user has named them, or by their numbers."""
        return self.component_names or tuple(f"component_{c}" for c in range(self.fit.parameters.k))

    @property
    def n_iter(self) -> int:
        """Iterations of the fit, and batches since."""
        return len(self.fit.lower_bounds) if self.memory is None else self.memory.steps

    @property
    def lower_bound(self) -> float:
        """That of a fit of all its rows, which another may continue; −inf if there is none."""
        streamed = self.memory is not None and self.memory.batches > 0
        return -math.inf if streamed else self.fit.lower_bound

    @classmethod
    def given(cls, parameters: Parameters, names: Names | None = None) -> Self:
        """That of parameters that were not learnt from rows."""
        return cls(Fit(parameters, np.empty(0), converged=True), names)

    @classmethod
    def of(cls, search: Search, names: Names | None) -> Self:
        """What a search found."""
        data = search.problem.data
        return cls(
            fit=search.best,
            names=names,
            restarts=tuple(search.restarts),
            winner=search.winner,
            passes=data.place.passes.begun,
            settings=search.settings,
            eps=float(np.finfo(data.dtype).eps),
        )

    def taken(self, order: Labels) -> State:
        """The same, the components of its mixture in another order."""
        memory = self.memory
        if memory is not None:
            memory = memory._replace(statistics=memory.statistics.taken(order))
        names = self.component_names
        names = None if names is None else tuple(names[c] for c in order)
        return self._replace(fit=self.fit.taken(order), memory=memory, component_names=names)

    def remembered(self) -> Memory | None:
        """What is known of the rows that the fit was learnt from; None if nothing is."""
        fit, settings = self.fit, self.settings
        if self.memory is not None or settings is None or settings.rules.least is None or fit.n_k is None:
            return self.memory
        statistics = fit.parameters.statistics(fit.n_k, settings.rules, fit.exponent)
        return Memory(
            statistics=statistics,
            seen=statistics.weight,
            iterations=len(fit.lower_bounds),
            batches=0,
            least=settings.rules.least,
            eps=self.eps,
        )
