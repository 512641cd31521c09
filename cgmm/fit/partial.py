"""A partial fit: from batches of the user's to the state of an estimator that goes on learning."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.em.abreast import answered
from cgmm.em.stage import Fit
from cgmm.em.stepwise import Memory, Rates, step
from cgmm.fit import fitting, report
from cgmm.fit.fitting import Prepared
from cgmm.fit.state import Gathered, State
from cgmm.mixture.checks import check_continues, check_features
from cgmm.mixture.floor import EPS
from cgmm.mixture.rules import EMPTIED, SINGULAR
from cgmm.rows.checks import check_components, lacking
from cgmm.rows.floor import least_variances
from cgmm.rows.open import open_stream
from cgmm.rows.opened import check_names

if TYPE_CHECKING:
    from cgmm.em.settings import Settings
    from cgmm.fit.request import Request
    from cgmm.rows.opened import Batch
    from cgmm.types import Array, Names

# By default no fewer than LEARNING_ROWS rows are averaged before any is forgotten, and no fewer than ROWS_PER_PARAMETER
# values for each free parameter.
LEARNING_ROWS = 1000
ROWS_PER_PARAMETER = 10
GROWTH = 2  # A stream's gathered rows are fitted anew when they are so many times those of the last start, or with
# each batch where a start is one M-step.
HISTORY = 1000  # Log-likelihoods of batches that are kept, at most.


def partial_fit(
    asked: Request,
    X: Any,
    sample_weight: Any,
    last: State | Gathered | None,
    labels: Any = None,
    errors: Any = None,
) -> State | Gathered:
    """What is known after these rows, or blocks of rows.

    labels : the components of rows, −1 where they are not known, or None
    """
    if isinstance(last, State) and (asked.noise is None) != (last.fit.parameters.noise is None):
        has = "no" if asked.noise is not None else "a"
        raise ValueError(
            f"noise_component is {asked.noise!r}, and the mixture that partial_fit goes on from has {has} noise "
            "component: one begins with the first rows, so start anew"
        )
    learner, known, names = Learner(asked), last, None if last is None else last.names
    opened = open_stream(X, sample_weight, asked.gaps, labels, errors)
    for own, batch in opened.batches(_features(last), asked.n_threads or 1, names):
        if known is last and last is not None:
            check_names(own, names)
        names = own if names is None else names
        known = learner.learn(known, batch, names)._replace(names=names)
    if known is None or known is last:
        raise ValueError("X has no rows of positive weight: nothing can be learnt")
    return known


def warn_of_new(asked: Request, known: State | Gathered, last: State | Gathered | None) -> None:
    """Warn of what is doubtful in what is known now, and was not in the last, if the request asks for warnings."""
    if asked.on_degenerate == "warn" and isinstance(known, State) and known.gathered is None:
        before = last.fit if isinstance(last, State) and last.gathered is None else None
        report.warn_of_new(known.fit, _obeyed(asked, known), known.names, before)


def _obeyed(asked: Request, state: State) -> Settings:
    """The settings that the parameters of a state obey."""
    remembered = state.remembered()
    if remembered is None:
        return asked.settings
    variances = remembered.statistics.moments(asked.family)[2].diagonal()
    return asked.settings.with_rules(least=remembered.least, variances=variances)


def _features(known: State | Gathered | None) -> int | None:
    """How many features the rows have that are known of."""
    if isinstance(known, State):
        return known.fit.parameters.d
    return None if known is None else known.batch.part.rows.shape[1]


@dataclass(frozen=True)
class Learner:
    """How a request says that it learns from batches."""

    asked: Request

    def rates(self, d: int) -> Rates:
        decay, rows, half_life = self.asked.learning
        k = self.asked.k
        parameters = self.asked.family.n_parameters(k, d) + k * d + k - 1
        return Rates(decay, rows or max(LEARNING_ROWS, ROWS_PER_PARAMETER * parameters / d), half_life)

    def learn(self, known: State | Gathered | None, batch: Batch, names: Names | None) -> State | Gathered:
        """What is known after a batch: by a start from all rows that came, or once these are enough by a step."""
        d = batch.part.rows.shape[1]
        check_features(self.asked.family, d)
        check_components(batch.known(), self.asked.k)
        rates = self.rates(d)
        if isinstance(known, State):
            check_continues("partial_fit", known.fit.parameters, self.asked.family, self.asked.k, d)
            if known.gathered is None:
                return self._step(known, batch, rates)
        before = known.gathered if isinstance(known, State) else known
        return self._gather(known, before, batch, names, rates)

    def _gather(
        self,
        known: State | Gathered | None,
        before: Gathered | None,
        batch: Batch,
        names: Names | None,
        rates: Rates,
    ) -> State | Gathered:
        """What is known with the batch beside the rows gathered before: a start of all of them, if they are enough."""
        whole = batch if before is None else before.batch.and_then(batch)
        n, fitted = len(whole.part.rows), 0 if before is None else before.fitted
        if n >= max(min(rates.rows, rates.most), self.asked.k):
            return self._checked(self._start(whole, names))
        if before is None:
            whole = replace(whole, part=whole.part.copied())  # the caller's may change
        growth = 1 if self._is_one_step(whole) else GROWTH
        if n >= max(growth * fitted, self.asked.k) and whole.shows_all and not lacking(whole.known(), self.asked.k):
            return self._start(whole, names)._replace(gathered=Gathered(whole, names, n))
        gathered = Gathered(whole, names, fitted)
        return known._replace(gathered=gathered) if isinstance(known, State) else gathered

    def _is_one_step(self, batch: Batch) -> bool:
        """Whether a start of these rows is one M-step, since the component of each is known."""
        known = batch.known()
        return bool(known) and not known[-1]

    def _start(self, batch: Batch, names: Names | None) -> State:
        data = batch.data()
        data.check_columns(names)
        asked = self.asked
        prepared = Prepared(data, names, least_variances(data), fitting.noise_of(asked, data))
        found = answered(fitting.search(asked, prepared, asked.generator()))
        state = State.of(found, names)
        return state._replace(fit=replace(state.fit, converged=False))

    def _step(self, state: State, batch: Batch, rates: Rates) -> State:
        memory = state.remembered() or _given(state, rates, batch)
        found = step(memory, state.fit.parameters, batch.data(), self.asked.settings, rates, self.asked.prior)
        fit = Fit(
            parameters=found.parameters,
            lower_bounds=np.append(state.fit.lower_bounds[1 - HISTORY :], found.log_likelihood),
            converged=False,
            n_k=found.memory.statistics.n_k,
            exponent=found.memory.statistics.exponent,
            repairs=found.repairs,
            singular=tuple(repair.component for repair in found.repairs if repair.cause == SINGULAR),
            starved=tuple(repair.component for repair in found.repairs if repair.cause == EMPTIED),
        )
        return self._checked(state._replace(fit=fit, memory=found.memory))

    def _checked(self, state: State) -> State:
        if self.asked.on_degenerate == "raise":
            report.check_degenerate(state.fit, _obeyed(self.asked, state), state.names)
        return state


def _given(state: State, rates: Rates, batch: Batch) -> Memory:
    """What is remembered of given parameters: they count as many rows as are averaged before any is forgotten."""
    parameters = state.fit.parameters
    least: Array = least_variances(batch.data()) if batch.complete else parameters.least
    return Memory(
        statistics=parameters.statistics(parameters.weights),
        seen=rates.rows,
        iterations=len(state.fit.lower_bounds),
        batches=0,
        least=least,
        eps=EPS,
    )
