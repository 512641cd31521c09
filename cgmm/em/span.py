"""EM on rows that are fewer than their features, in the space that they span.

The means of components lie among the rows, and their covariances are scatter about the means plus reg_covar I: nothing
but reg_covar is outside of the n dimensions that n rows span. So EM takes the same steps on any n coordinates of the
rows that keep their inner products, at n³ an iteration where the features would cost d³, and a log-density differs by
the constant −½ (d − n) log(2π reg_covar). The last M-step is made again in the features; where it was no M-step that
made the parameters, they are taken over from the coordinates.
Those who watch a run see each iteration's parameters in the features, which takes an M-step there each time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.em import reseed
from cgmm.em.settings import ROUNDING
from cgmm.em.stage import Fit, History, Stage, and_then
from cgmm.mixture import matrices
from cgmm.mixture.density import distances_to
from cgmm.mixture.floor import EPS
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import EMPTIED, SINGULAR, Repair
from cgmm.rows import partition
from cgmm.rows.data import Complete
from cgmm.rows.floor import least_variances
from cgmm.rows.part import Part
from cgmm.rows.place import InMemory

if TYPE_CHECKING:
    from cgmm.em.settings import Settings
    from cgmm.em.stage import Observer, Run
    from cgmm.mixture.rules import Rules
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.data import Data
    from cgmm.types import Array, Rows

# Up to so many features an iteration is cheap as it is; and a covariance that reg_covar holds up is lifted along its
# axes, which takes far longer than a root of a few features more: fewer coordinates are filled up by zeros.
FEATURES = 64
# With fewer features for each row, or fewer iterations, the M-steps in the features would cost more than is won.
FEATURES_PER_ROW = 2
ITERATIONS = 4
# The floor is so much less than reg_covar that it changes no more than a thousandth of it.
FAR = 1 << 10


class Span(NamedTuple):
    """Rows of d features in n coordinates.

    data : the rows as they are;  inside : their coordinates, as data
    factor : (n,n) the coordinates, before those of equal rows were made equal
    settings : of EM on the rows;  offset : what a log-density of the rows is more than one of their coordinates
    """

    data: Data
    inside: Data
    factor: Array
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
        factor = _factor(_centred(part.rows)[1], data.threads(settings.n_threads), rules)
        if factor is None:
            return None
        place = InMemory(Part(_coordinates(part.rows, factor), part.weights), data.exponent, data.place.passes)
        offset = -0.5 * (data.d - place.d) * np.log(2 * np.pi * rules.reg_covar)
        return cls(data, Complete(place), factor, settings, float(offset))

    def run(self, stage: Stage, observe: Observer | None, run: Run) -> tuple[Fit | None, Observer | None]:
        """EM from a stage before its first iteration to its end. There is no fit where the first iteration is the last,
        or rounding ends jumps: then EM is to be done in the features, and the observer of that is returned."""
        rules = self.settings.rules._replace(least=least_variances(self.inside))
        settings, shares = self.settings._replace(rules=rules), self.shares(self.data, stage.parameters)
        first = self._first(stage, shares, settings, run)
        if first is None:
            return None, observe
        steps = _Steps(self, stage.parameters, first, shares, observe)
        if steps.told(first):
            first = first._replace(stopped=True)
        last = run(self.inside, first, settings, None if observe is None else steps.told)
        if settings.accelerate and last.before is last.parameters is not first.parameters:
            return None, steps.rest()
        fit, (parameters, singular) = Fit.of(last), steps.whole(last)
        lost = [repair for repair in fit.repairs if repair.cause != SINGULAR]
        found = replace(
            fit,
            parameters=parameters,
            lower_bounds=fit.lower_bounds + self.offset,
            repairs=and_then(stage.repairs_and(lost), singular),
            singular=tuple(repair.component for repair in singular),
        )
        return found, None

    def _first(self, stage: Stage, shares: Array, settings: Settings, run: Run) -> Stage | None:
        """The stage, in coordinates, after the first iteration. Where a component without rows is does not matter."""
        data = self.data
        log_likelihoods = data.evaluate(stage.parameters, "log_likelihood", data.threads(settings.n_threads))
        objective = float(np.average(log_likelihoods, weights=data.part.weights))
        change = objective - stage.lower_bound
        if not change >= max(settings.tol, -ROUNDING * abs(objective)):
            return None
        statistics = self.statistics(self.inside, shares, stage.parameters)
        parameters, found = Parameters.estimated(stage.parameters.family, statistics, settings.rules)
        repairs = [repair._replace(iteration=1) for repair in found if repair.cause != SINGULAR]
        starving = stage.starving.after(statistics, data.n)
        if starving.due:
            parameters, begun = reseed.begin_again(self.inside, parameters, starving.due, settings, 1, run)
            repairs += begun
        return Stage(
            parameters=parameters,
            before=parameters,
            lower_bound=objective - self.offset,
            change=change,
            lower_bounds=History([objective - self.offset]),
            n_k=statistics.n_k,
            exponent=statistics.exponent,
            repairs=tuple(repairs),
            starving=starving,
            double=True,
        )

    def shares(self, data: Data, parameters: Parameters) -> Array:
        """Responsibilities (n,k)."""
        return data.evaluate(parameters, "responsibilities", data.threads(self.settings.n_threads))

    def statistics(self, data: Data, shares: Array, of: Parameters) -> SufficientStatistics:
        """Those of an E-step that gives these responsibilities (n,k)."""
        return partition.of_partition(
            data.place.whole(), shares, of.k, of.family, data.threads(self.settings.n_threads)
        )

    @property
    def rules(self) -> Rules:
        """What an M-step in the features obeys."""
        return self.settings.for_rows(self.data.dtype == np.float64).rules

    def taken_over(self, parameters: Parameters) -> tuple[Parameters, list[Repair]]:
        """Parameters of coordinates, in the features; and which covariances are singular.

        Rows about their mean are F W, F their coordinates. So a mean m is m W there; and a covariance Σ, without what
        reg_covar adds, is Wᵀ (Σ − reg_covar I) W.
        """
        (mean, away), n, d, rules = _centred(self.data.part.rows), len(self.factor), self.data.d, self.rules
        axes, family, k = matrices.solve(self.factor, away.T), parameters.family, parameters.k
        means = mean + np.einsum("ci,ji->cj", parameters.means[:, :n], axes)
        inner = parameters.covariances[..., :n, :n] - rules.reg_covar * np.eye(n)
        scatters = matrices.product(matrices.product(axes, inner), axes.T)
        scatters = 0.5 * (scatters + np.swapaxes(scatters, -1, -2)).reshape(family.shape(k, d))
        found = family.hold(scatters, rules.floor(d), rules.reg_covar, self.data.threads(rules.n_threads))
        whole = Parameters(family, parameters.weights, means, found.covariances, found.root)
        return whole, [Repair(0, c, SINGULAR) for c in found.held]


class _Steps:
    """What the stages of a run in coordinates are in the features.

    start : the parameters before the first iteration, in the features;  first : the stage after it, in coordinates
    shares : (n,k) responsibilities in the first iteration
    """

    def __init__(self, span: Span, start: Parameters, first: Stage, shares: Array, observer: Observer | None) -> None:
        self.span, self.start, self.first, self.observer = span, start, first.parameters, observer
        begun = {repair.component for repair in first.repairs if repair.row is not None}
        self.shares = None if begun else shares
        self.iterations = 0  # that were told of
        # These never had rows, and are where they started.
        self.unmoved = sorted({repair.component for repair in first.repairs if repair.cause == EMPTIED} - begun)

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

    def whole(self, stage: Stage) -> tuple[Parameters, list[Repair]]:
        """The parameters of a stage in the features; and which covariances are singular."""
        shares, span = self._made_of(stage), self.span
        if shares is None:
            found, repairs = self._taken_over(stage.parameters)
        else:
            statistics = span.statistics(span.data, shares, stage.parameters)
            moved = set(statistics.empty.tolist()) - set(self.unmoved)
            last = self._taken_over(stage.parameters)[0] if moved else self.start
            found, repairs = last.maximise(statistics, span.rules)
        return found, [repair._replace(iteration=stage.iterations) for repair in repairs if repair.cause == SINGULAR]

    def _made_of(self, stage: Stage) -> Array | None:
        """The responsibilities of which an M-step made the parameters of a stage; None if it was something else, or of
        an iteration before that is no longer known: the last has lost by rounding."""
        if stage.parameters is self.first:
            return self.shares
        began = any(repair.row is not None and repair.iteration == stage.iterations for repair in stage.repairs)
        if began or stage.before is stage.parameters:
            return None
        return self.span.shares(self.span.inside, stage.before)

    def _taken_over(self, parameters: Parameters) -> tuple[Parameters, list[Repair]]:
        found, repairs = self.span.taken_over(parameters)
        if self.unmoved:
            means = found.means.copy()
            means[self.unmoved] = self.start.means[self.unmoved]
            covariances = found.family.keep(found.covariances.copy(), self.unmoved, self.start.covariances)
            least = self.span.rules.floor(found.d)
            found = Parameters.held(found.family, found.weights, means, covariances, least)
        return found, [repair for repair in repairs if repair.component not in self.unmoved]


def _centred(rows: Rows) -> tuple[Array, Array]:
    """The mean of rows (d,), and rows less their mean."""
    wide = rows.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        mean = wide.mean(axis=0)
        wide -= mean
    return mean, wide


def _factor(away: Array, n_threads: int, rules: Rules) -> Array | None:
    """The Cholesky factor (n,n) of the inner products of rows less their mean (n,d), to which their rounding is added.
    None unless rounding is far less than reg_covar."""
    n, d = away.shape
    with np.errstate(over="ignore", invalid="ignore"):
        gram = _kernels.expectation(away.T, distances_to(np.zeros((1, n))), "full", None, n_threads)[0][2][0]
    rounding = 8 * d * EPS * gram.diagonal().max()
    least = rules.floor(d).max()
    if not (rounding <= rules.reg_covar and least * FAR <= rules.reg_covar):
        return None
    return _kernels.cholesky(gram + rounding / 8 * np.eye(n), n_threads)


def _coordinates(rows: Rows, factor: Array) -> Array:
    """Coordinates of rows (n,d), whose inner products are those of the rows about their mean: those of equal rows are
    equal, too, and there are more of them than of features with which an iteration is cheap."""
    n = len(factor)
    sums = np.sort(rows.sum(axis=1))
    if (sums[1:] == sums[:-1]).any():  # or else no rows are equal, of which to be told takes far longer
        _, first, which = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        factor = factor[first[which.ravel()]]
    return np.pad(factor, ((0, 0), (0, max(0, FEATURES + 1 - n))))
