"""Where a run of EM stands between two iterations, what those who watch it see, and what it is when it has ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from cgmm.em.trail import Trail
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import EMPTIED, SINGULAR, Repair
from cgmm.rows.pruning import Pruning

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Self

    from cgmm.em.settings import Settings
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.data import Data
    from cgmm.types import Array, Labels

# A component that has a smaller weight, in rows of the mean weight, explains nothing: it starves.
STARVED = 1e-8


class IterationState(NamedTuple):
    """What a callback sees after each iteration.

    Attributes
    ----------
    iteration : int
        From 1.
    log_likelihood : float
        Mean log-likelihood per row (nats) of the parameters before this iteration's M-step; with a prior, plus the
        logarithm of its density. Of a BayesianGMM the lower bound of all rows, after it.
    change : float
        Of log_likelihood since the iteration before; inf in the first.
    parameters : cgmm.mixture.parameters.Parameters
        After the M-step: weights (k,), means (k, d) and covariances, read-only.
    restart : int
        From 0.

    Examples
    --------
    >>> from cgmm import GMM
    >>> seen = []
    >>> model = GMM(2, random_state=0, callback=lambda state: seen.append(state.log_likelihood))
    >>> model = model.fit([[0.0], [1.0], [9.0], [10.0]])
    >>> len(seen) == model.n_iter_, seen == sorted(seen)
    (True, True)
    """

    iteration: int
    log_likelihood: float
    change: float
    parameters: Parameters
    restart: int = 0


Callback: TypeAlias = Callable[[IterationState], bool | None]  # of a user; True: stop
Observer: TypeAlias = Callable[[int, float, float, Parameters], bool]  # of a run; the same, without the restart
# Of cgmm.em.loop: a run from a stage to its last one; who watches sees each, and stops the run by returning True.
Run: TypeAlias = "Callable[[Data, Stage, Settings, Callable[[Stage], bool] | None], Stage]"


class Starving(NamedTuple):
    """Which components no row belongs to now, which of them have begun again, each once, and which are due to.

    A component far from all rows may recover by itself, for its moments are quotients: it is due when it starves in
    two iterations, or has so little that nothing can be divided by it.
    """

    now: frozenset[int] = frozenset()
    begun: frozenset[int] = frozenset()
    due: tuple[int, ...] = ()

    def after(self, statistics: SufficientStatistics, n: int) -> Self:
        """After an E-step over n rows."""
        starves = (statistics.n_k < STARVED * statistics.total_weight / n).nonzero()[0]
        if not len(starves):
            return self if not self.now else self._replace(now=frozenset(), due=())
        now, lost = frozenset(starves.tolist()), frozenset(statistics.empty.tolist())
        due = ((now & self.now) | lost) - self.begun
        return self._replace(now=now, begun=self.begun | due, due=tuple(sorted(due)))


class History:
    """The mean log-likelihoods of a run's iterations: immutable, and longer ones share the numbers of the shorter.

    Of the list that they share, each is the part up to its own length; so none is copied where a run goes on.
    """

    __slots__ = ("_length", "_shared")

    def __init__(self, values: Iterable[float] = ()) -> None:
        self._shared = list(values)
        self._length = len(self._shared)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[float]:
        return iter(self._shared[: self._length])

    def __getitem__(self, at: int) -> float:
        """That of an iteration, counted from 0."""
        return self._shared[at]

    def and_then(self, *more: float) -> History:
        """Those, and the next ones."""
        longer = History()
        goes_on = self._length and self._length == len(self._shared)
        longer._shared = self._shared if goes_on else self._shared[: self._length]
        longer._shared.extend(more)
        longer._length = self._length + len(more)
        return longer

    def array(self) -> Array:
        return np.array(self._shared[: self._length])


class Stage(NamedTuple):
    """A run of EM between two iterations: all that the next ones depend on.

    before : the parameters of the iteration before
    lower_bounds : of the iterations of this run;  lower_bound, change : the last, and what it has gained
    n_k, exponent : (k,) Σ_i w_i r_ic of the last E-step, as multiples of 2^exponent, or None
    repairs : each first of its component and cause
    singular : components whose covariance was held from below in the last M-step
    double : rows are float64, or have become so
    trail : where the run has been lately, if it is accelerated
    """

    parameters: Parameters
    before: Parameters
    lower_bound: float = -np.inf
    change: float = np.inf
    lower_bounds: History = History()
    n_k: Array | None = None
    repairs: tuple[Repair, ...] = ()
    singular: tuple[int, ...] = ()
    pruning: Pruning = Pruning()
    starving: Starving = Starving()
    double: bool = False
    converged: bool = False
    stopped: bool = False
    exponent: int = 0
    trail: Trail = Trail()

    @classmethod
    def first(cls, parameters: Parameters, repairs: Iterable[Repair] = (), lower_bound: float = -np.inf) -> Self:
        """That of a run which begins at these parameters, that had to be repaired so.

        lower_bound : of the run that this one continues
        """
        repairs = tuple(repairs)
        singular = tuple(repair.component for repair in repairs if repair.cause == SINGULAR)
        return cls(parameters, parameters, lower_bound, repairs=repairs, singular=singular)

    @property
    def iterations(self) -> int:
        return len(self.lower_bounds)

    @property
    def ended(self) -> bool:
        return self.converged or self.stopped

    def repairs_and(self, more: Sequence[Repair]) -> tuple[Repair, ...]:
        return and_then(self.repairs, more)


def and_then(repairs: tuple[Repair, ...], more: Sequence[Repair]) -> tuple[Repair, ...]:
    """The repairs, and those of some more that are the first of their component and cause."""
    if not more:
        return repairs
    known = {(repair.component, repair.cause): repair for repair in repairs}
    for repair in more:
        known.setdefault((repair.component, repair.cause), repair)
    return tuple(known.values())


@dataclass(frozen=True, eq=False)
class Fit:
    """One run of EM from one start, when it has ended.

    n_k, exponent, repairs, singular : as of Stage;  starved : components to which no row belonged in the last E-step
    """

    parameters: Parameters
    lower_bounds: Array
    converged: bool
    n_k: Array | None = None
    repairs: tuple[Repair, ...] = ()
    singular: tuple[int, ...] = ()
    starved: tuple[int, ...] = ()
    stopped: bool = False
    exponent: int = 0

    def __post_init__(self) -> None:
        for array in (self.lower_bounds, self.n_k):
            if array is not None:
                array.flags.writeable = False

    def __reduce__(self) -> tuple[Any, ...]:
        return Fit, tuple(vars(self).values())

    @classmethod
    def of(cls, stage: Stage) -> Self:
        return cls(
            parameters=stage.parameters,
            lower_bounds=stage.lower_bounds.array(),
            converged=stage.converged,
            n_k=stage.n_k,
            repairs=stage.repairs,
            singular=stage.singular,
            starved=tuple(sorted(stage.starving.now)),
            stopped=stage.stopped,
            exponent=stage.exponent,
        )

    def taken(self, order: Labels) -> Fit:
        """The same fit, its components in another order."""
        place = np.argsort(order)
        return replace(
            self,
            parameters=self.parameters.taken(order),
            n_k=None if self.n_k is None else self.n_k[order],
            repairs=tuple(repair._replace(component=int(place[repair.component])) for repair in self.repairs),
            singular=tuple(sorted(place[list(self.singular)].tolist())),
            starved=tuple(sorted(place[list(self.starved)].tolist())),
        )

    @property
    def masses(self) -> Array | None:
        """Σ_i w_i r_ic (k,) of the last E-step, or None."""
        return self.n_k if self.n_k is None or not self.exponent else np.ldexp(self.n_k, self.exponent)

    @property
    def lower_bound(self) -> float:
        return self.lower_bounds[-1] if len(self.lower_bounds) else -np.inf

    @property
    def degenerate(self) -> tuple[Repair, ...]:
        """What a user is to be told of: what is not as EM alone would have it at the end."""
        lasting = {SINGULAR: self.singular, EMPTIED: self.starved}
        return tuple(
            repair
            for repair in self.repairs
            if repair.row is not None or repair.component in lasting.get(repair.cause, ())
        )
