"""Many fits, each of its own rows: one after the other, and what became of each written down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import errors
from cgmm.config import threads
from cgmm.errors import ConvergenceWarning, DegenerateError, DegenerateWarning, counted
from cgmm.fit import batches, fitting, report
from cgmm.fit.batches import Solver
from cgmm.fit.ledger import Ledger, Outcome
from cgmm.fit.posteriors import Posteriors
from cgmm.fit.state import State
from cgmm.mixture.posterior import Belief
from cgmm.rows.evaluation import criteria_of
from cgmm.tables import Frame

if TYPE_CHECKING:
    from cgmm.fit.batches import Batch, Solved
    from cgmm.fit.request import Request
    from cgmm.fit.restarts import Search
    from cgmm.rows.problems import Problems
    from cgmm.types import Labels, Names

NAMED = 10  # Problems that a warning names: more would not be read.
SKIPPED = "They are NaN in the results, and Fits.errors gives the reason of each"


class Task(NamedTuple):
    """What is asked of every problem: a Request for each number of components, which differ in nothing else.

    criterion : by which one of them is chosen;  seeds : random_state of each problem
    """

    requests: Sequence[Request]
    criterion: str
    seeds: Sequence[int]


class Run:
    """The fits of all problems, entered into a ledger as they end.

    Problems that the compiled core can fit whole go there in batches, once a first fit has told how many features there
    are; the others are fitted one by one, as GMM.fit does.
    """

    def __init__(self, problems: Problems, task: Task, skip: bool) -> None:
        """skip : a problem that cannot be fitted is noted, and no error"""
        largest = task.requests[-1]
        self.problems, self.task, self.skip = problems, task, skip
        self.ledger = _ledger_of(len(problems), largest, task.requests)
        self.notes = Notes(problems, largest.on_degenerate)

    def steps(self) -> Iterator[tuple[int, int]]:
        """Fits them; after each step the last problem that is done, and how many it was."""
        m, done = len(self.problems), 0
        while done < m and not self.ledger.d:
            self._alone(done)
            yield done, 1
            done += 1
        solvers = self._solvers() if done < m else []
        if solvers:
            for problems, batch in batches.gathered(self.problems, done, self.task.requests[-1], self.ledger.d):
                self._together(problems, batch, solvers)
                yield problems[-1], len(problems)
            return
        # Each iteration of a posterior is Python's, which one thread makes while another is in a pass.
        beside = range(done, m) if self.task.requests[-1].beliefs is not None else range(0)
        for i in self._side_by_side(beside):
            yield i, 1
            done = i + 1
        for i in range(done, m):
            self._alone(i)
            yield i, 1

    def _side_by_side(self, which: Sequence[int]) -> Iterator[int]:
        """The first of these problems, as many at a time as there are threads, each by one: those that are done, which
        are all as long as each thread has one, and none where a function of a user's is called."""
        asked = self.task.requests[-1]
        n_threads = threads(asked.n_threads)
        if n_threads == 1 or asked.given.function:
            return
        some = which[: len(which) // n_threads * n_threads]
        for i, found in side_by_side(self.problems, some, self.task, self.ledger.d, n_threads):
            self._enter(i, found)
            yield i

    def _solvers(self) -> list[Solver]:
        """One for each number of components; none if the compiled core does not know what is asked for."""
        if self.task.criterion == "icl" and len(self.task.requests) > 1:
            return []
        found = [Solver.of(asked, self.ledger.d, self.task.seeds) for asked in self.task.requests]
        return [solver for solver in found if solver is not None] if all(found) else []

    def _together(self, problems: range, batch: Batch, solvers: Sequence[Solver]) -> None:
        """Problems of a batch, and those between them that are none for the compiled core."""
        solved = [solver.solve(batch) for solver in solvers]
        best, indices = batches.best_of(solved, self.task.criterion), np.array(batch.indices, dtype=np.intp)
        for which, one in enumerate(solved):
            rows = np.flatnonzero(best == which)
            self._take(one, rows, indices[rows])
        known = dict(zip(batch.indices, range(len(indices)), strict=True))
        left = sorted(set(problems) - set(indices[best >= 0].tolist()))
        large = [i for i in left if i in known and solvers[0].is_large(batch.problems[known[i]])]
        done = set(self._side_by_side(large))
        for i in left:
            if i not in done:
                self._alone(i, known.get(i), solved)

    def _take(self, solved: Solved, rows: Labels, places: Labels) -> None:
        """The fits in some rows of a batch, which are those of the problems at these places."""
        self.ledger.take(places, solved.ledger, rows)
        for i in places[solved.doubtful[rows] | ~solved.ledger.converged[rows]].tolist():
            state = self.ledger.state(i)
            assert state.settings is not None  # it was fitted
            told = tuple(report.faults(state.fit, state.settings, state.names))
            self.ledger.tell(i, told)
            self.notes.take(i, Outcome(state=state, told=told))

    def _alone(self, i: int, row: int | None = None, solved: Sequence[Solved] = ()) -> None:
        """One problem, of which some numbers of components may be solved, in a row of a batch."""
        criterion = self.task.criterion
        ranked: list[tuple[tuple[bool, int, float], int, Outcome | None]] = []
        for at, asked in enumerate(self.task.requests):
            if row is not None and solved[at].fitted[row]:
                ranked.append((solved[at].rank(row, criterion), at, None))
            else:
                found = _fitted(self.problems, i, self.task, asked, self.ledger.d or None)
                ranked.append((found.rank(criterion), at, found))
        _, at, best = min(ranked, key=lambda one: one[:2])
        if best is None:
            self._take(solved[at], np.array([row]), np.array([i]))
        else:
            self._enter(i, best)

    def _enter(self, i: int, best: Outcome) -> None:
        """The best fit of one problem, or why there is none."""
        if best.state is None and best.error is not None and not self.skip:
            raise failure(self.problems, i, best.error) from best.error
        self.ledger.enter(i, best)
        self.notes.take(i, best)


def _ledger_of(m: int, largest: Request, requests: Sequence[Request]) -> Ledger:
    """The ledger of what is to be fitted to m problems."""
    if largest.beliefs is None:
        return Ledger(m, largest.k, largest.family, requests)
    return Posteriors(m, largest.k, largest.family, largest.beliefs.kind, requests)


def side_by_side(
    problems: Problems, which: Sequence[int], task: Task, d: int, n_threads: int
) -> Iterator[tuple[int, Outcome]]:
    """What becomes of some problems, so many of them at a time, each by one thread: in their order, and the bits of
    problems that are fitted one after the other by all threads.

    Whoever leaves before the end, as Ctrl-C does, waits for no more than an iteration of each fit.
    """
    if not which:
        return
    left = Event()
    requests = [_by_one_thread(asked, left) for asked in task.requests]
    find = partial(_best, problems, task._replace(requests=requests), d)
    with ThreadPoolExecutor(n_threads, "cgmm") as pool:
        try:
            yield from zip(which, pool.map(find, which), strict=True)
        finally:
            left.set()
            pool.shutdown(cancel_futures=True)


def _by_one_thread(asked: Request, left: Event) -> Request:
    """The same fit by one thread, which ends once nobody waits for it."""
    rules = asked.settings.rules._replace(n_threads=1)
    watching = asked.watching._replace(callback=lambda _: left.is_set())
    return asked._replace(settings=asked.settings._replace(rules=rules), watching=watching)


def _best(problems: Problems, task: Task, d: int, i: int) -> Outcome:
    """The fit of the best number of components."""
    found = [_fitted(problems, i, task, asked, d) for asked in task.requests]
    return min(found, key=lambda one: one.rank(task.criterion))


def _fitted(problems: Problems, i: int, task: Task, asked: Request, d: int | None) -> Outcome:
    """The fit of one number of components."""
    try:
        part = problems.part(i)
        asked = asked._replace(seed=task.seeds[i])
        known = problems.names_of(i, None)
        rows = part.rows if known is None else Frame(part.rows, list(known))
        search, names = fitting.found(asked, rows, part.weights, labels=part.labels, errors=part.errors)
        if d is not None and search.problem.data.d != d:
            raise ValueError(f"X has {counted(search.problem.data.d, 'feature')}, and the problems before it have {d}")
    except (ValueError, TypeError) as error:
        return Outcome(error=error)
    return _outcome_of(search, problems.names_of(i, names), certainty=task.criterion == "icl")


def _outcome_of(search: Search, names: Names | None, certainty: bool) -> Outcome:
    fit, settings = search.best, search.settings
    told = (*report.swamped(search.problem.data, names), *report.faults(fit, settings, names))
    state = State.of(search, names)
    if isinstance(search.problem.target, Belief):  # the lower bound tells how good it is
        return Outcome(state=state, told=told)
    return Outcome(
        state=state,
        criteria=criteria_of(search.problem.data, fit.parameters, settings.n_threads, certainty),
        told=told,
        leans=search.leans(fit),
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
        for notes in (self.skipped, self.unconverged, self.degenerate):
            notes.sort()
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
