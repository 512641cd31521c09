"""Problems that are solved many at a time: gathered into batches of bounded memory, each fitted in compiled calls."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import protocol
from cgmm.config import threads
from cgmm.em import problems as compiled
from cgmm.fit import doubts
from cgmm.fit.ledger import Ledger
from cgmm.mixture.criteria import information
from cgmm.mixture.parameters import n_parameters_of
from cgmm.rows.sources import is_dask, source_of
from cgmm.validation import check_array

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cgmm.fit.request import Request
    from cgmm.rows.problems import Problems
    from cgmm.types import Array, Labels, Mask, Names, Rows

# A batch has no more values of rows, nor numbers of histories, than VALUES (8 MiB), unless one problem has; and no more
# values times components times features than WORK, so that Ctrl-C is noticed within some tenths of a second.
VALUES, WORK = 1 << 20, 1 << 24
EPS = {np.dtype(kind): float(np.finfo(kind).eps) for kind in (np.float32, np.float64)}


class Ready(NamedTuple):
    """A problem as the kernels take it: rows (n_i,d), weights (n_i,) or None, and the names of features or None."""

    rows: Rows
    weights: Array | None
    names: Names | None


class Batch(NamedTuple):
    """Some problems, and their indices."""

    indices: list[int]
    problems: list[Ready]


def gathered(problems: Problems, start: int, asked: Request, d: int) -> Iterator[tuple[range, Batch]]:
    """The problems from one on, in ranges; of each, those that the compiled call may know how to fit."""
    begun, batch, values = start, Batch([], []), 0
    most, alike = min(VALUES, WORK // (asked.k * d)), problems.alike
    for i in range(start, len(problems)):
        # One look at all of them is enough for each.
        ready = _ready(problems, i, asked.gaps) if alike is None else Ready(alike[i], None, problems.names_of(i, None))
        if ready is not None:
            batch.indices.append(i)
            batch.problems.append(ready)
            values += ready.rows.size
        if values >= most or len(batch.indices) * asked.settings.max_iter >= VALUES:
            yield range(begun, i + 1), batch
            begun, batch, values = i + 1, Batch([], []), 0
    if begun < len(problems):
        yield range(begun, len(problems)), batch


def _ready(problems: Problems, i: int, gaps: bool) -> Ready | None:
    """A problem as the kernels take it, who check the values themselves; None if GMM.fit is to see what it is."""
    part = problems.part(i)
    if part.labels is not None or part.errors is not None:
        return None
    try:
        if is_dask(part.rows) or source_of(part.rows, part.weights, gaps) is not None:
            return None
        names = protocol.feature_names(part.rows)
        rows = check_array("X", part.rows)
        weights = None if part.weights is None else check_array("sample_weight", part.weights)
    except (TypeError, ValueError):
        return None
    if rows.ndim != 2 or (weights is not None and weights.ndim != 1):
        return None
    weights = None if weights is None else np.ascontiguousarray(weights, dtype=np.float64)
    return Ready(rows, weights, problems.names_of(i, names))


class Solver:
    """Fits batches for one number of components."""

    def __init__(self, asked: Request, task: compiled.Task, uniforms: Array) -> None:
        """uniforms : random numbers, (m,·) for each problem, or (1,·) for all"""
        self.asked, self.task, self.uniforms = asked, task, uniforms

    @classmethod
    def of(cls, asked: Request, d: int, seeds: Sequence[int]) -> Solver | None:
        """None where the compiled call does not know what is asked for."""
        plain = asked.plain and asked.n_init == 1 and asked.prior is None and asked.settings.max_iter <= VALUES
        task = compiled.Task.of(asked.settings, asked.family, asked.k, d, criteria=True) if plain else None
        if task is None:
            return None
        distinct = seeds[:1] if len(set(seeds)) == 1 else seeds
        generators = (asked._replace(seed=seed).generator() for seed in distinct)
        return cls(asked, task, np.array([compiled.uniforms(task, rng) for rng in generators]))

    def is_large(self, problem: Ready) -> bool:
        """Whether a problem has too many rows for the compiled call: then its passes, not Python, take the time."""
        return len(problem.rows) >= self.task.rows_below

    def solve(self, batch: Batch) -> Solved:
        asked, task, m = self.asked, self.task, len(batch.indices)
        out = compiled.Solutions.empty(m, asked.family, task.k, task.d, task.max_iter)
        uniforms = self.uniforms if len(self.uniforms) == 1 else self.uniforms[batch.indices]
        rows, weights = [problem.rows for problem in batch.problems], [problem.weights for problem in batch.problems]
        compiled.solve(task, rows, weights, uniforms, out, threads(asked.n_threads))
        return Solved(asked, batch, out)


class Solved:
    """What became of a batch, for one number of components.

    fitted : (m,) which problems have a fit; the others are left to Python
    ledger : their fits
    """

    def __init__(self, asked: Request, batch: Batch, out: compiled.Solutions) -> None:
        family, k, m = asked.family, asked.k, len(batch.indices)
        self.fitted: Mask = out.status == 0
        self.ledger = ledger = Ledger(m, k, family, [asked])
        ledger.held = {at: held for at, held in enumerate(out.held) if held is not None}
        ledger.adopt(
            weights=out.weights,
            n_k=out.n_k,
            means=out.means,
            covariances=out.covariances,
            root=out.roots,
            least=out.least,
            reg_covar=out.reg_covar,
            exponent=out.exponent,
            converged=out.converged,
            n_iter=out.n_iter,
        )
        ledger.n_components[self.fitted] = k
        # What is relative takes a pass, for the variances.
        ledger.passes[:] = out.passes + out.floored + asked.settings.rules.relative
        ledger.eps[:] = [EPS[problem.rows.dtype] for problem in batch.problems]
        ledger.names = [problem.names for problem in batch.problems]
        ledger.history = _cut(out.history, out.n_iter)
        number = n_parameters_of(family, k, out.means.shape[2])
        with np.errstate(over="ignore", invalid="ignore"):
            sums = np.ldexp(out.log_likelihood, out.exponent), np.ldexp(out.total_weight, out.exponent)
            ledger.log_likelihood[:] = sums[0]
            ledger.aic[:], ledger.bic[:] = information(*sums, number)

        masses = np.ldexp(out.n_k, out.exponent[:, np.newaxis])
        self.doubtful: Mask = doubts.suspects(family, out.means, ledger.variances(), out.roots, masses, out.reg_covar)
        self.doubtful[list(ledger.held)] = True
        if asked.on_degenerate == "raise":
            self.fitted &= ~self.doubtful

    def leans(self, at: int) -> bool:
        """As Search.leans."""
        return self.ledger.leans(at)

    def rank(self, at: int, criterion: str) -> tuple[bool, int, float]:
        """As of Outcome."""
        return False, self.ledger.holds(at) + self.leans(at), float(getattr(self.ledger, criterion)[at])


def _cut(history: Array, n_iter: Labels) -> list[Array]:
    """The first n_iter numbers of each row, in memory that has no others."""
    cut = history[np.arange(history.shape[1]) < n_iter[:, np.newaxis]]
    ends = n_iter.cumsum().tolist()
    return [cut[end - n : end] for end, n in zip(ends, n_iter.tolist(), strict=True)]


def best_of(solved: Sequence[Solved], criterion: str) -> Labels:
    """Which number of components is the best for each problem of a batch; −1 where more must be known to tell."""
    if len(solved) == 1:
        return np.where(solved[0].fitted, 0, -1)
    values = np.column_stack([getattr(one.ledger, criterion) for one in solved])
    known = np.all([one.fitted for one in solved], axis=0)
    best = np.where(known, np.where(known[:, np.newaxis], values, 0.0).argmin(axis=1), -1)
    for at in np.flatnonzero(known).tolist():
        if solved[best[at]].leans(at) or solved[best[at]].ledger.holds(at):
            best[at] = -1
    return best
