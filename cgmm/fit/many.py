"""Many fits, each of its own rows: one after the other, and what became of each written down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import errors
from cgmm.errors import ConvergenceWarning, DegenerateError, DegenerateWarning
from cgmm.fit import fitting, report
from cgmm.fit.state import State
from cgmm.rows.evaluation import criteria_of

if TYPE_CHECKING:
    from cgmm.fit.request import Request
    from cgmm.fit.restarts import Search
    from cgmm.mixture.criteria import Criteria
    from cgmm.rows.problems import Problems
    from cgmm.types import Names

NAMED = 10  # Problems that a warning names: more would not be read.
SKIPPED = "They are NaN in the results, and Fits.errors gives the reason of each"


class Outcome(NamedTuple):
    """What became of a problem.

    state, criteria : of its fit, or None where there is none
    told : what GMM.fit would have warned of;  leans : whether reg_covar is much of a variance
    error : why there is no fit
    """

    state: State | None = None
    criteria: Criteria | None = None
    told: tuple[tuple[str, type[Warning]], ...] = ()
    leans: bool = False
    error: ValueError | TypeError | None = None

    def rank(self, criterion: str) -> tuple[bool, int, float]:
        """The smallest is the best of several fits of the same rows; as in cgmm.select, one with a component that is
        degenerate, or would be without reg_covar, only if there is no other."""
        if self.state is None:
            return True, 0, np.inf
        return False, bool(self.state.fit.degenerate) + self.leans, getattr(self.criteria, criterion)


class Task(NamedTuple):
    """What is asked of every problem: a Request for each number of components, which differ in nothing else.

    criterion : by which one of them is chosen;  seeds : random_state of each problem
    """

    requests: Sequence[Request]
    criterion: str
    seeds: Sequence[int]


def outcomes(problems: Problems, task: Task) -> Iterator[tuple[int, Outcome]]:
    """What became of each problem, with its index, in their order."""
    d: int | None = None
    for i in range(len(problems)):
        found = outcome(problems, i, task, d)
        if found.state is not None:
            d = found.state.fit.parameters.d
        yield i, found


def outcome(problems: Problems, i: int, task: Task, d: int | None) -> Outcome:
    """What became of one problem, whose rows are to have d features if that is known."""
    candidates = [_fitted(problems, i, task, asked, d) for asked in task.requests]
    return min(candidates, key=lambda one: one.rank(task.criterion))


def _fitted(problems: Problems, i: int, task: Task, asked: Request, d: int | None) -> Outcome:
    """The fit of one number of components."""
    try:
        rows, weights = problems.part(i)
        search, names = fitting.found(asked._replace(seed=task.seeds[i]), rows, weights)
        if d is not None and search.problem.data.d != d:
            raise ValueError(f"X has {search.problem.data.d} features, and the problems before it have {d}")
    except (ValueError, TypeError) as error:
        return Outcome(error=error)
    return _outcome_of(search, problems.names_of(i, names), certainty=task.criterion == "icl")


def _outcome_of(search: Search, names: Names | None, certainty: bool) -> Outcome:
    fit, settings = search.best, search.settings
    return Outcome(
        state=State.of(search, names),
        criteria=criteria_of(search.problem.data, fit.parameters, settings.n_threads, certainty),
        told=tuple(report.faults(fit, settings, names)),
        leans=search.leans(fit.parameters),
    )


def failure(problems: Problems, i: int, error: ValueError | TypeError) -> ValueError | TypeError:
    """The error of a problem that cannot be fitted, of a class that users of GMM.fit know, which names the problem."""
    kinds = (kind for kind in (DegenerateError, ValueError, TypeError) if isinstance(error, kind))
    return next(kinds)(f"{problems.titles.told(i)} cannot be fitted: {error}")


class Notes:
    """What is to be warned of after all fits, in one warning: of each kind the problems that it concerns."""

    def __init__(self, problems: Problems, on_degenerate: str) -> None:
        self.problems, self.silent = problems, on_degenerate != "warn"
        self.skipped: list[tuple[int, str]] = []
        self.unconverged: list[tuple[int, str]] = []
        self.degenerate: list[tuple[int, str]] = []

    def take(self, i: int, found: Outcome) -> None:
        if found.error is not None and found.state is None:
            self.skipped.append((i, str(found.error)))
        for text, category in found.told:
            (self.degenerate if category is DegenerateWarning else self.unconverged).append((i, text))

    def warn(self) -> None:
        told: list[tuple[str, type[Warning]]] = []
        if self.skipped:
            text = f"could not be fitted. {SKIPPED}; the first: {self.skipped[0][1]}"
            told.append((f"{self._counted(self.skipped)} {text}", UserWarning))
        if self.unconverged:
            text = "did not converge: max_iter ended them. Increase max_iter or tol."
            told.append((f"{self._counted(self.unconverged)} {text}", errors.kin(ConvergenceWarning)))
        if self.degenerate and not self.silent:
            text = f"had a component that could not be estimated or is doubtful. The first: {self.degenerate[0][1]}"
            told.append((f"{self._counted(self.degenerate)} {text}", DegenerateWarning))
        if told:
            category = told[0][1] if len(told) == 1 else UserWarning
            errors.warn(" ".join(text for text, _ in told), category)

    def _counted(self, notes: list[tuple[int, str]]) -> str:
        """How many problems, and which."""
        kind, labels, _ = titles = self.problems.titles
        named = ", ".join(f"{i}" if kind == "problem" else repr(titles.label(i)) for i, _ in notes[:NAMED])
        more = f" and {len(notes) - NAMED} more" if len(notes) > NAMED else ""
        return f"{len(notes)} of {len(labels)} {kind}s ({named}{more})"
