"""EM on rows that are fewer than their features, in the space that they span.

The means of components lie among the rows, and their covariances are scatter about the means plus reg_covar I: nothing
but reg_covar is outside of the n dimensions that n rows span. So EM takes the same steps on any n coordinates of the
rows that keep their inner products, at n³ an iteration where the features would cost d³, and a log-density differs by
the constant −½ (d − n) log(2π reg_covar). The last M-step is made again in the features.
Those who watch a run see each iteration's parameters in the features, which takes an M-step there each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from cgmm import _kernels
from cgmm.em.settings import ROUNDING
from cgmm.em.stage import STARVED, Fit, History, Stage
from cgmm.mixture.density import distances_to
from cgmm.mixture.floor import EPS
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import SINGULAR
from cgmm.rows import partition
from cgmm.rows.data import Complete
from cgmm.rows.floor import least_variances
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.em.settings import Settings
    from cgmm.em.stage import Observer
    from cgmm.mixture.families import Family
    from cgmm.mixture.rules import Repair, Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.data import Data
    from cgmm.types import Array

# Up to so many features an iteration is cheap as it is; and a covariance that reg_covar holds up is lifted along its
# axes, which takes far longer than a root of a few features more: fewer coordinates are filled up by zeros.
FEATURES = 64
# With fewer features for each row, or fewer iterations, the M-steps in the features would cost more than is won.
FEATURES_PER_ROW = 2
ITERATIONS = 4
# The floor is so much less than reg_covar that it changes no more than a thousandth of it.
FAR = 1 << 10

# Of cgmm.em.loop: a run to its last stage, of which somebody may watch each.
Run: TypeAlias = "Callable[[Data, Stage, Settings, Callable[[Stage], bool] | None], Stage]"


class Span(NamedTuple):
    """Rows of d features in n coordinates.

    data : the rows as they are;  inside : their coordinates, as data
    settings : of EM on the rows;  offset : what a log-density of the rows is more than one of their coordinates
    """

    data: Data
    inside: Data
    settings: Settings
    offset: float

    @classmethod
    def of(cls, data: Data, stage: Stage, settings: Settings) -> Span | None:
        """That of the rows; None where EM has to be done in the features."""
        rules, part = settings.rules, data.at_hand()
        if part is None or part.labels is not None or not stage.parameters.compiled:
            return None
        if data.d <= max(FEATURES, FEATURES_PER_ROW * data.n):
            return None
        if not (stage.parameters.family.spanned and rules.free and rules.reg_covar > 0):
            return None
        if stage.iterations or settings.max_iter < ITERATIONS or stage.parameters.d != data.d:
            return None
        coordinates = _coordinates(part, data.threads(settings.n_threads), rules)
        if coordinates is None:
            return None
        place = InMemory(Part(coordinates, part.weights), data.exponent, data.place.passes)
        offset = -0.5 * (data.d - place.d) * np.log(2 * np.pi * rules.reg_covar)
        return cls(data, Complete(place), settings, float(offset))

    def run(self, stage: Stage, observe: Observer | None, run: Run) -> tuple[Fit | None, Observer | None]:
        """EM from a stage before its first iteration to its end. There is no fit where a component starves, where the
        first iteration is the last, or where a jump is the end: then EM is to be done in the features, and the observer
        of that is returned."""
        shares = self._shares(self.data, stage.parameters)
        first = self._first(stage, shares)
        if first is None:
            return None, observe
        steps = _Steps(self, first.parameters, shares, observe)
        if steps.told(first):
            first = first._replace(stopped=True)
        rules = self.settings.rules._replace(least=least_variances(self.inside))
        settings = self.settings._replace(rules=rules)
        last = run(self.inside, first, settings, None if observe is None else steps.watch)
        if observe is None and not steps.knows(last):
            last = run(self.inside, first, settings, steps.watch)
        fit = Fit.of(last)
        if fit.starved or any(repair.cause != SINGULAR for repair in fit.repairs) or not steps.knows(last):
            return None, steps.rest()
        parameters, held = steps.whole(last)
        found = replace(
            fit,
            parameters=parameters,
            lower_bounds=fit.lower_bounds + self.offset,
            repairs=stage.repairs_and(held),
            singular=tuple(repair.component for repair in held),
        )
        return found, None

    def _first(self, stage: Stage, shares: Array) -> Stage | None:
        """The stage, in coordinates, after the first iteration."""
        settings, data = self.settings, self.data
        log_likelihoods = data.evaluate(stage.parameters, "log_likelihood", data.threads(settings.n_threads))
        objective = float(np.average(log_likelihoods, weights=data.part.weights))
        statistics = self._statistics(self.inside, shares, stage.parameters.k, stage.parameters.family)
        change = objective - stage.lower_bound
        if not change >= max(settings.tol, -ROUNDING * abs(objective)):
            return None
        if (statistics.n_k < STARVED * statistics.total_weight / data.n).any() or len(statistics.empty):
            return None
        rules = settings.rules._replace(least=least_variances(self.inside))
        parameters, _ = Parameters.estimated(stage.parameters.family, statistics, rules)
        return Stage(
            parameters=parameters,
            before=parameters,
            lower_bound=objective - self.offset,
            change=change,
            lower_bounds=History([objective - self.offset]),
            n_k=statistics.n_k,
            exponent=statistics.exponent,
            double=True,
        )

    def _shares(self, data: Data, parameters: Parameters) -> Array:
        """Responsibilities (n,k)."""
        return data.evaluate(parameters, "responsibilities", data.threads(self.settings.n_threads))

    def _statistics(self, data: Data, shares: Array, k: int, family: Family) -> SufficientStatistics:
        return partition.of_partition(data.place.whole(), shares, k, family, data.threads(self.settings.n_threads))

    def whole(self, shares: Array, like: Parameters, iteration: int) -> tuple[Parameters, list[Repair]]:
        """What the M-step of an iteration makes of the rows with responsibilities (n,k); and what it had to repair."""
        statistics = self._statistics(self.data, shares, like.k, like.family)
        rules = self.settings.for_rows(self.data.dtype == np.float64).rules
        parameters, held = Parameters.estimated(like.family, statistics, rules)
        return parameters, [repair._replace(iteration=iteration) for repair in held]


class _Steps:
    """The last steps of a run in coordinates: from them the last M-step is made again in the features.

    shares : (n,k) responsibilities of which the first parameters were made
    """

    def __init__(self, span: Span, first: Parameters, shares: Array, observe: Observer | None) -> None:
        self.span, self.first, self.shares, self.observer = span, first, shares, observe
        self.last: list[Stage] = []
        self.iterations = 0

    def watch(self, stage: Stage) -> bool:
        self.last = [*self.last[-1:], stage]
        return self.told(stage)

    def told(self, stage: Stage) -> bool:
        """Tell who watches of an iteration; whether the run is to stop."""
        self.iterations = stage.iterations
        if self.observer is None:
            return False
        whole, _ = self.whole(stage)
        return self.observer(stage.iterations, stage.lower_bound + self.span.offset, stage.change, whole)

    def rest(self) -> Observer | None:
        """Who watches, but is not to be told again of the iterations that were told of."""
        observer, told = self.observer, self.iterations
        if observer is None:
            return None
        return lambda iteration, *found: iteration > told and observer(iteration, *found)

    def knows(self, stage: Stage) -> bool:
        """Whether it is known what the parameters of a stage were made of."""
        return stage.parameters is self.first or self._made_of(stage) is not None

    def _made_of(self, stage: Stage) -> Parameters | None:
        """Those of which an M-step made the parameters of a stage. If its iteration lost by rounding, its parameters
        are those before, and what they were made of is among the last; but not if a jump led there."""
        if stage.before is not stage.parameters:
            return stage.before
        return next((one.before for one in self.last if one.parameters is stage.parameters), None)

    def whole(self, stage: Stage) -> tuple[Parameters, list[Repair]]:
        """The parameters of a stage in the features."""
        shares, before = self.shares, self._made_of(stage)
        if stage.parameters is not self.first and before is not None:
            shares = self.span._shares(self.span.inside, before)
        return self.span.whole(shares, stage.parameters, stage.iterations)


def _coordinates(part: Part, n_threads: int, rules: Rules) -> Array | None:
    """Coordinates of rows whose inner products are those of the rows about their mean: the Cholesky factor of their
    matrix, to which its rounding is added. None unless rounding is far less than reg_covar."""
    rows = part.rows.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        rows -= rows.mean(axis=0)
        gram = _kernels.expectation(rows.T, distances_to(np.zeros((1, len(rows)))), "full", None, n_threads)[0][2][0]
    n, d = rows.shape
    rounding = 8 * d * EPS * gram.diagonal().max()
    least = rules.floor(d).max()
    if not (rounding <= rules.reg_covar and least * FAR <= rules.reg_covar):
        return None
    factor = _kernels.cholesky(gram + rounding / 8 * np.eye(n), n_threads)
    if factor is None or n > FEATURES:
        return factor
    return np.pad(factor, ((0, 0), (0, FEATURES + 1 - n)))
