"""The loop: expectation → maximise → converged?"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.em import reseed
from cgmm.em.ordinary import Leaps
from cgmm.em.settings import ROUNDING
from cgmm.em.span import Span
from cgmm.em.stage import Fit, Stage
from cgmm.em.trail import Trail
from cgmm.mixture.maximise import fixed_covariances
from cgmm.mixture.parameters import MOST_EXACT, MOST_MEASURED
from cgmm.mixture.rules import SINGULAR

if TYPE_CHECKING:
    from cgmm.em.settings import Settings
    from cgmm.em.stage import History, Observer
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Repair
    from cgmm.rows.data import Data

# Jumps begin when the mean log-likelihood changes by less in an iteration: before, they may lead to another optimum.
CRAWL = 1e-2
SINGLE = float(np.finfo(np.float32).eps)
LOOK_BACK = 6  # One in so many iterations, the last ones, are asked what they have gained together.


def run(
    data: Data,
    stage: Stage,
    settings: Settings,
    observe: Observer | None = None,
    keep: Callable[[Stage], None] | None = None,
) -> Fit:
    """EM from a stage until the mean log-likelihood per row changes by less than tol, or max_iter ends it.

    `observe` is called after each iteration with its number, mean log-likelihood, change and parameters, and stops the
    run by returning True; `keep` with each Stage from which the run could go on. If there is neither, iterations in
    which nothing has to be decided are made many at a time. Rows that are fewer than their features may be worked on in
    the space that they span.
    """
    span = None if keep is not None else Span.of(data, stage, settings)
    if span is not None:
        fit, observe = span.run(stage, observe, _to_its_end)
        if fit is not None:
            return fit
    watch = None if observe is None else partial(_observed, observe)
    return Fit.of(_to_its_end(data, stage, settings, watch, keep))


def _observed(observe: Observer, stage: Stage) -> bool:
    return observe(stage.iterations, stage.lower_bound, stage.change, stage.parameters)


def _to_its_end(
    data: Data,
    stage: Stage,
    settings: Settings,
    watch: Callable[[Stage], bool] | None,
    keep: Callable[[Stage], None] | None = None,
) -> Stage:
    """The last stage of a run in the features that the rows have; `watch` sees the stage after each iteration, and
    stops the run by returning True."""
    if stage.double and data.dtype == np.float32:
        data = data.widened()
    elif data.dtype == np.float64 and not stage.double:
        stage = stage._replace(double=True)
    one_by_one = watch is not None or keep is not None
    settings = settings.for_rows(stage.double)
    leaps = None if one_by_one else Leaps.of(data, stage.parameters, settings)
    while not stage.ended and stage.iterations < settings.max_iter:
        if leaps is not None and not stage.starving.now:
            stage, ordinary = leaps.advance(stage, settings.max_iter - stage.iterations)
            if ordinary:
                continue
        if not stage.double and stage.parameters.needs_double:
            data, stage, settings = data.widened(), stage._replace(double=True), settings.for_rows(double=True)
            leaps = None if one_by_one else Leaps.of(data, stage.parameters, settings)
        done = stage.iterations
        stage = (accelerated if settings.accelerate else iterate)(stage, data, settings)
        if watch is not None and stage.iterations > done and watch(stage):
            stage = stage._replace(stopped=True)
        if keep is not None and not stage.ended:
            keep(stage)
    return stage


def iterate(stage: Stage, data: Data, settings: Settings, jumped: bool = False) -> Stage:
    """One iteration: the stage after an E-step, an M-step, and what had to be decided.

    Where only rounding is left to gain, it is the iteration before that counts, and the run has converged; not if a
    jump led to the stage's parameters, of which `accelerated` decides.
    """
    statistics, pruning = data.pruned_statistics(stage.parameters, settings.n_threads, settings.prune, stage.pruning)
    iteration = stage.iterations + 1
    parameters, held = stage.parameters.maximise(statistics, settings.rules, iteration)
    objective = stage.parameters.objective(statistics, settings.rules, parameters)
    change = objective - stage.lower_bound
    if not jumped and _is_rounding(stage, data, settings, objective):
        last = stage.iterations - 1  # of the parameters that count
        held_before = tuple(one.component for one in stage.repairs if one.cause == SINGULAR and one.iteration == last)
        singular = stage.singular or held_before
        return stage._replace(parameters=stage.before, pruning=pruning, singular=singular, converged=True)
    starving = stage.starving.after(statistics, data.n) if stage.parameters.needs_rows else stage.starving
    lower_bounds = stage.lower_bounds.and_then(objective)
    begun: list[Repair] = []
    if starving.due:
        parameters, begun = reseed.begin_again(data, parameters, starving.due, settings, iteration, _to_its_end)
    return Stage(
        parameters=parameters,
        before=stage.parameters,
        lower_bound=objective,
        change=change,
        lower_bounds=lower_bounds,
        n_k=statistics.n_k,
        exponent=statistics.exponent,
        repairs=stage.repairs_and(held + begun),
        singular=tuple(repair.component for repair in held if repair.cause == SINGULAR),
        pruning=pruning,
        starving=starving,
        double=stage.double,
        converged=not begun
        and (settings.settled(stage.change, change) or _gains_nothing(lower_bounds, data.d, settings.noise)),
        trail=stage.trail,
    )


def accelerated(stage: Stage, data: Data, settings: Settings) -> Stage:
    """One iteration, from where a jump along EM's steps leads, if the objective does not fall there; else EM's own.

    A jump needs a pass over the rows, whether it is kept or not. None is made while EM still moves fast, for it might
    lead to another optimum than EM's.
    """
    jump = stage.trail.jump(settings.rules) if stage.change < CRAWL and not stage.starving.now else None
    by_change = settings._replace(stop="change")
    if jump is not None:
        with np.errstate(over="ignore", invalid="ignore"):  # it may lead where nothing is a number, and is refused then
            found = iterate(stage._replace(parameters=jump.parameters), data, by_change, jumped=True)
        gain = found.change + _less_added(stage, jump.parameters, settings)
        if gain >= 0 and not found.starving.now:
            return _followed(found, stage.trail.kept(jump, gain), settings)
        stage = stage._replace(trail=stage.trail.refused(jump))
    found = iterate(stage, data, by_change)
    if found.starving.due:
        return found._replace(trail=Trail())
    return _followed(found, stage.trail, settings) if found.iterations > stage.iterations else found


def _less_added(stage: Stage, parameters: Parameters, settings: Settings) -> float:
    """How much less adding to covariances takes from the objective of these parameters than of those before."""
    return _added(stage, stage.before, settings) - _added(stage, parameters, settings)


def _added(stage: Stage, parameters: Parameters, settings: Settings) -> float:
    """½ ε Σ_c n_c tr Σ_c⁻¹ over the weight of all rows, ε = reg_covar, n_c of the stage's last E-step.

    An M-step that adds ε to covariances maximises what EM alone would, less this: so does a step of EM raise the
    objective less this, and a jump is to do the same, or it would be drawn to where EM does not end. Nothing is added
    to covariances that are fixed.
    """
    added, n_k = settings.rules.reg_covar, stage.n_k
    if not added or n_k is None:
        return 0.0
    counts = parameters.family.counts(n_k, parameters.d)
    if settings.prior is not None:
        counts = counts + settings.prior.counts_beside(stage.exponent)
    root = np.where(fixed_covariances(settings.rules, parameters.root.ndim), 0.0, parameters.root)
    counts = np.asarray(counts, dtype=float).reshape(-1)
    return _kernels.added_share(counts, root.reshape(len(counts), -1), _kernels.total(n_k), added)


def _followed(stage: Stage, trail: Trail, settings: Settings) -> Stage:
    """The stage with a trail that leads to it; with "distance" it has converged if little is left to gain, too."""
    trail = trail.and_then(stage.before, stage.parameters)
    far = settings.stop == "distance" and stage.converged and not trail.remaining() < settings.tol
    return stage._replace(trail=trail, converged=stage.converged and not far)


def _gains_nothing(lower_bounds: History, d: int, noise: float) -> bool:
    """Whether the last iterations, one in LOOK_BACK of all, gained no more than rounding gives: see Settings.noise.

    Together they gain what single ones lose in it; and a run that has converged goes on for no more than a fifth.
    """
    count = len(lower_bounds)
    looked = 1 + count // LOOK_BACK
    if not noise or count <= looked:
        return False
    last = lower_bounds[count - 1]
    return bool(abs(last - lower_bounds[count - 1 - looked]) < noise * (d + abs(last)))


def _is_rounding(stage: Stage, data: Data, settings: Settings, objective: float) -> bool:
    """Whether the likelihood has fallen, and rounding may have made it fall: a covariance is held at the floor,
    log-densities have lost their digits, or moments have, which for rows with errors are products with T⁻¹ and with Σ
    twice. It did not where an M-step that adds to covariances explains a fall that is too large for rounding, of
    float32 rows as well."""
    change, least = objective - stage.lower_bound, -ROUNDING * max(1.0, abs(objective))
    if not change < least or not stage.iterations:
        return False
    reach = stage.parameters.reach
    lost = reach > MOST_EXACT or (data.measured and stage.before.reach > MOST_MEASURED)
    if not lost and not stage.singular:
        return False
    small = change >= -SINGLE * data.d * reach
    return small or change + _less_added(stage, stage.parameters, settings) < least
