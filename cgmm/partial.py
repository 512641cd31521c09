"""A partial fit: from batches of the user's to the state of an estimator that goes on learning."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import em, fitting, protocol, report, validation
from cgmm.data import InMemory
from cgmm.degenerate import EMPTIED, SINGULAR, least_of, least_variances
from cgmm.fitting import Prepared, State
from cgmm.incomplete import Incomplete
from cgmm.sources import Blocks, source_of
from cgmm.statistics import of_parameters
from cgmm.stepwise import Rates, Running, step
from cgmm.streams import ROWS, names_of, naming, positive, read

if TYPE_CHECKING:
    from cgmm.gmm import GMM
    from cgmm.types import Array, ArrayLike, Names, Rows

LEAST_ROWS = 1000  # by default, that are averaged before any is forgotten
ROWS_PER_PARAMETER = 10  # and so many values for each parameter
GROWTH = 2  # of the rows that a start has, from one start to the next
HISTORY = 1000  # log-likelihoods that are kept


class Batch(NamedTuple):
    """Rows (n,d) of positive weight that came together, their weights (n,) or None, and whether no value is missing."""

    rows: Rows
    row_weights: Array | None
    complete: bool = True

    @property
    def weights(self) -> Array:
        return np.ones(len(self.rows)) if self.row_weights is None else self.row_weights

    @property
    def shows_all(self) -> bool:
        """Whether there is a value of each feature."""
        return self.complete or bool((~np.isnan(self.rows)).any(axis=0).all())

    def data(self) -> InMemory:
        kind = InMemory if self.complete else Incomplete
        return kind(self.rows, *validation.of_order_one(self.row_weights))

    def and_then(self, other: Batch) -> Batch:
        """Both as one."""
        unweighted = self.row_weights is None and other.row_weights is None
        weights = None if unweighted else np.concatenate([self.weights, other.weights])
        return Batch(np.concatenate([self.rows, other.rows]), weights, self.complete and other.complete)


class Gathered(NamedTuple):
    """The first rows of a stream, the names of their features or None, and how many of them a start has had."""

    batch: Batch
    names: Names | None
    fitted: int = 0


def partial_fit(model: GMM, X: Any, sample_weight: ArrayLike | None, last: State | Gathered | None) -> State | Gathered:
    """What is known after these rows, or blocks of rows; changes nothing of the estimator."""
    learner = Learner(model)
    known = last
    for names, batch in batches(X, sample_weight, last, learner.n_threads, learner.asked.gaps):
        known = learner.learn(known, batch, names)
    if known is None or known is last:
        raise ValueError("X has no rows of positive weight: nothing can be learnt")
    return known


def batches(
    X: Any, sample_weight: Any, last: State | Gathered | None, n_threads: int, gaps: bool = False
) -> Iterator[tuple[Names | None, Batch]]:
    """Names of features and rows, checked: of an array, or of each block in turn, and each once."""
    source = Blocks(lambda: X) if isinstance(X, Iterator) else source_of(X, sample_weight, gaps)
    d = features(last)
    if source is None:
        names = _check_names(protocol.feature_names(X), last)
        yield names, _batch_of(X, sample_weight, d, n_threads, gaps)
        return
    names = None
    for at, (block, weights) in enumerate(read(source)):
        if not at:
            names = _check_names(names_of(source, block), last)
        if not len(block):
            continue
        with naming(at):
            batch = _batch_of(block, weights, d, n_threads, gaps, some=False)
        d = batch.rows.shape[1]
        if len(batch.rows):
            yield names, batch


def _batch_of(X: Any, sample_weight: Any, d: int | None, n_threads: int, gaps: bool, some: bool = True) -> Batch:
    rows, complete = validation.check_observed(X, d, n_threads, gaps, of=ROWS)
    row_weights = validation.check_weights(sample_weight, len(rows), some)
    if rows.dtype == np.float32 and validation.has_small_column(rows):
        rows = rows.astype(np.float64)
    return Batch(*next(positive([(rows, row_weights)])), complete)


def _check_names(names: Names | None, last: State | Gathered | None) -> Names | None:
    """The names of a stream's features; ValueError where these are others."""
    if last is None:
        return names
    warning = protocol.check_feature_names(names, last.names)
    if warning:
        warnings.warn(warning, UserWarning, stacklevel=5)
    return last.names


def features(known: State | Gathered | None) -> int | None:
    """How many features the rows have that are known of."""
    if isinstance(known, State):
        return known.fit.parameters.d
    return None if known is None else known.batch.rows.shape[1]


class Learner:
    """How a model's arguments say that it learns from batches, checked."""

    def __init__(self, model: GMM) -> None:
        self.model, self.asked = model, fitting.request_of(model)
        self.n_threads = self.asked.settings.n_threads or 1

    def rates(self, d: int) -> Rates:
        decay, rows, half_life = self.asked.learning
        k = self.asked.k
        parameters = self.asked.family.n_parameters(k, d) + k * d + k - 1
        return Rates(decay, rows or max(LEAST_ROWS, ROWS_PER_PARAMETER * parameters / d), half_life)

    def learn(self, known: State | Gathered | None, batch: Batch, names: Names | None) -> State | Gathered:
        """What is known after a batch: by a start from all rows that came, or once these are enough by a step."""
        d = batch.rows.shape[1]
        rates = self.rates(d)
        if isinstance(known, State):
            validation.check_continues("partial_fit", known.fit.parameters, self.asked.family, self.asked.k, d)
            if known.gathered is None:
                return self._step(known, batch, rates)
        before = known.gathered if isinstance(known, State) else known
        whole = batch if before is None else before.batch.and_then(batch)
        n, fitted = len(whole.rows), 0 if before is None else before.fitted
        if n >= max(min(rates.rows, rates.most), self.asked.k):
            return self._checked(self._start(whole, names))
        if before is None:
            whole = whole._replace(rows=whole.rows.copy())  # the caller's may change
        if n >= max(GROWTH * fitted, self.asked.k) and whole.shows_all:
            return self._start(whole, names)._replace(gathered=Gathered(whole, names, n))
        gathered = Gathered(whole, names, fitted)
        return known._replace(gathered=gathered) if isinstance(known, State) else gathered

    def _start(self, batch: Batch, names: Names | None) -> State:
        validation.check_columns(batch.rows, None)
        data, rng = batch.data(), validation.check_random_state(self.model.random_state)
        found = fitting.search(self.model, self.asked, Prepared(data, names, least_variances(data)), rng)
        state = State.of(found, names)
        return state._replace(fit=replace(state.fit, converged=False))

    def _step(self, state: State, batch: Batch, rates: Rates) -> State:
        data = batch.data()
        running = remembered(state) or _given(state, rates, data)
        found = step(running, state.fit.parameters, data, self.asked.settings, rates, self.asked.prior)
        fit = em.Fit(
            found.parameters,
            np.append(state.fit.lower_bounds[1 - HISTORY :], found.log_likelihood),
            False,
            found.running.statistics.n_k,
            found.repairs,
            tuple(repair.component for repair in found.repairs if repair.cause == SINGULAR),
            tuple(repair.component for repair in found.repairs if repair.cause == EMPTIED),
        )
        return self._checked(state._replace(fit=fit, exponent=found.running.exponent, running=found.running))

    def _checked(self, state: State) -> State:
        if self.asked.on_degenerate == "raise":
            report.check_degenerate(state.fit)
        return state


def remembered(state: State) -> Running | None:
    """What a State remembers of the rows that it was learnt from; None if it does not know."""
    fit, settings = state.fit, state.settings
    if state.running is not None or settings is None or settings.least is None or fit.n_k is None:
        return state.running
    statistics = of_parameters(fit.parameters, fit.n_k, settings)
    seen = float(np.ldexp(statistics.total_weight, state.exponent))
    return Running(statistics, state.exponent, seen, len(fit.lower_bounds), 0, settings.least)


def _given(state: State, rates: Rates, data: InMemory) -> Running:
    """The same of given parameters, which count as many rows as are averaged before any is forgotten."""
    parameters = state.fit.parameters
    least = least_of(parameters) if isinstance(data, Incomplete) else least_variances(data)
    statistics = of_parameters(parameters, parameters.weights)
    return Running(statistics, 0, rates.rows, len(state.fit.lower_bounds), 0, least)
