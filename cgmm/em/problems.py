"""Many problems of few rows in one compiled call: where EM starts, its iterations, and what they leave."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.em.settings import NOISE, ROUNDING
from cgmm.em.stage import STARVED
from cgmm.mixture import matrices
from cgmm.mixture.floor import RELATIVE, SHARE, SMALLEST, rounding_of_means
from cgmm.mixture.parameters import LARGEST_SINGLE, MOST_EXACT, MOST_FLOAT32
from cgmm.mixture.statistics import EMPTY
from cgmm.rows import sampling
from cgmm.rows.checks import SCALE_ROWS, SMALLEST_SINGLE
from cgmm.rows.floor import QUARTILES, SAMPLE
from cgmm.rows.k_means import LARGEST_AS_IT_IS, MOST_MOVES, MOVED
from cgmm.rows.pruning import PRUNED_ROWS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.em.settings import Settings
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Rules
    from cgmm.types import Array, CovarianceType, Labels, Mask, Rows

# Of so many components, or more features, a problem is so large that it is one for itself; and k-means would leave far
# centres out, and roots would be taken by strips.
LEAST_COMPONENTS = 32
MOST_FEATURES = 64


class Task(NamedTuple):
    """What is asked of every problem, in numbers: see struct Task in src/_problems.pxi, and where each comes from."""

    family: CovarianceType
    k: int
    d: int
    tol: float
    noise: float
    distance: bool
    max_iter: int
    reg_covar: float
    relative: bool
    criteria: bool
    moved: float
    rounded: float
    lifted: float
    rows_below: int = PRUNED_ROWS
    moves: int = MOST_MOVES
    move_tol: float = MOVED
    starved: float = STARVED
    empty: float = EMPTY
    fall: float = ROUNDING
    reach: float = MOST_FLOAT32
    exact: float = MOST_EXACT
    accelerated: bool = False
    floor: float = RELATIVE
    smallest: float = SMALLEST
    quartiles: float = QUARTILES
    share: float = SHARE
    largest: float = LARGEST_AS_IT_IS
    largest_single: float = LARGEST_SINGLE
    smallest_single: float = SMALLEST_SINGLE
    scale_rows: int = SCALE_ROWS
    spread_rows: int = sampling.MOST_SPREAD
    floor_rows: int = SAMPLE

    @classmethod
    def of(cls, settings: Settings, family: Family, k: int, d: int, criteria: bool = False) -> Task | None:
        """What these settings ask; None where problems are none for a compiled call.

        criteria : whether sums of log-likelihoods at the end are wanted
        """
        rules = settings.rules
        if not (family.compiled and rules.free and settings.max_iter):
            return None
        if k >= LEAST_COMPONENTS or d > MOST_FEATURES:
            return None
        moved, rounded = rounding_of_means(d, 1.0)
        return cls(
            family=family.name,
            k=k,
            d=d,
            tol=settings.tol,
            noise=NOISE if settings.tol else 0.0,
            distance=settings.stop == "distance",
            max_iter=settings.max_iter,
            reg_covar=rules.reg_covar,
            relative=rules.relative,
            criteria=criteria,
            moved=moved,
            rounded=rounded,
            lifted=matrices.rounding_of(d),
            accelerated=settings.accelerate,
        )


class Start(NamedTuple):
    """Where EM starts in all problems, instead of at clusters of the rows of each; then a row's weight may be zero.

    weights : (k,);  means : (k,d);  covariances, root : as the family has them
    least, reg_covar : (d,) and what is added to variances: what M-steps obey, in place of what the rows of each tell
    """

    weights: Array
    means: Array
    covariances: Array
    root: Array
    least: Array
    reg_covar: float

    @classmethod
    def at(cls, parameters: Parameters, rules: Rules) -> Start:
        """Those parameters, under rules that are known."""
        return cls(*parameters.values, rules.floor(parameters.d), rules.reg_covar)


class Solutions(NamedTuple):
    """What became of m problems; of those whose status is not zero, nothing, and they are left to Python.

    status : (m,) a value of _kernels.STATUSES
    weights : (m,k);  means : (m,k,d);  covariances, roots : (m, …) as the family has them
    n_k, exponent : (m,k), (m,) of the last E-step, as cgmm.em.stage.Fit has them
    lower_bound, n_iter, passes, converged : (m,);  history : (m,·) the lower bounds of the iterations,
    if there is room for those of max_iter
    log_likelihood, total_weight : (m,) sums over the rows at the end, 2^−exponent times what they are, if asked for
    least, reg_covar : (m,d), (m,) the floor under variances, and what was added to them
    floored : (m,) whether the floor took a pass over the rows
    held : (m,) pairs of an iteration, from 0, −1 for the start, and a component whose covariance was held in it: the
    first of each component, and those of the last iteration; or None
    """

    status: Array
    weights: Array
    means: Array
    covariances: Array
    roots: Array
    n_k: Array
    exponent: Labels
    lower_bound: Array
    history: Array
    n_iter: Labels
    passes: Labels
    converged: Mask
    log_likelihood: Array
    total_weight: Array
    least: Array
    reg_covar: Array
    floored: Mask
    held: Array

    @classmethod
    def empty(cls, m: int, family: Family, k: int, d: int, iterations: int = 0) -> Solutions:
        """Room for the results of m problems: NaN, and zero where numbers are counts.

        iterations : of which there is room for the lower bounds
        """
        shape = m, *family.shape(k, d)
        return cls(
            status=np.zeros(m, dtype=np.uint8),
            weights=np.full((m, k), np.nan),
            means=np.full((m, k, d), np.nan),
            covariances=np.full(shape, np.nan),
            roots=np.full(shape, np.nan),
            n_k=np.full((m, k), np.nan),
            exponent=np.zeros(m, dtype=np.intp),
            lower_bound=np.full(m, np.nan),
            history=np.empty((m, iterations)),
            n_iter=np.zeros(m, dtype=np.intp),
            passes=np.zeros(m, dtype=np.intp),
            converged=np.zeros(m, dtype=bool),
            log_likelihood=np.full(m, np.nan),
            total_weight=np.full(m, np.nan),
            least=np.full((m, d), np.nan),
            reg_covar=np.full(m, np.nan),
            floored=np.zeros(m, dtype=bool),
            held=np.full(m, None),
        )

    def part(self, which: slice) -> Solutions:
        """The room of some of the problems."""
        values: Any = (array[which] for array in self)
        return Solutions(*values)


def uniforms_needed(k: int) -> int:
    """How many uniform numbers a problem takes."""
    return _kernels.uniforms_of(k)


def uniforms(task: Task, rng: np.random.Generator) -> Array:
    """The uniform numbers that a problem takes, as a fit draws them from the generator of its random_state."""
    return rng.random(uniforms_needed(task.k))


def solve(
    task: Task,
    rows: Sequence[Rows],
    row_weights: Sequence[Array | None] | None,
    uniforms: Array,
    out: Solutions,
    n_threads: int = 1,
    start: Start | None = None,
) -> Array | None:
    """Fit problems, as k-means starts of `cgmm.GMM` do, or one that continues a fit, bit for bit.

    rows : (n_i,d) each;  row_weights : (n_i,) each, the user's, or None;  uniforms : (·,) for all, or (m,·)
    Returns the lower bounds of the iterations of a single problem; of several, which are as many arrays, None.
    """
    drawn = np.atleast_2d(uniforms)
    return _kernels.fit_problems(rows, row_weights, drawn, task, out, matrices.lift, n_threads, start)
