"""A fit: from what the user gives to the state of a fitted estimator."""

from __future__ import annotations

import copy
import math
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cgmm import degenerate, em, incomplete, initialize, protocol, report, sampling, validation
from cgmm.checkpoint import Checkpoint
from cgmm.config import threads
from cgmm.covariance import FAMILIES
from cgmm.prior import LEAST_EXPONENT
from cgmm.restarts import Problem, Restart, Search
from cgmm.sources import check_lasting, is_dask, source_of
from cgmm.streams import Streamed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Self

    import numpy as np

    from cgmm.covariance import AnyFamily
    from cgmm.data import Data
    from cgmm.gmm import GMM
    from cgmm.partial import Gathered
    from cgmm.prior import Prior
    from cgmm.stepwise import Running
    from cgmm.types import Array, ArrayLike, Callback, Method, Names

ON_DEGENERATE = {name: name for name in ("warn", "repair", "raise")}


class State(NamedTuple):
    """What a fit leaves in the estimator, as one value.

    names : feature names or None;  exponent : the fit's row weights were 2^−exponent times the user's
    passes : over the rows;  settings : of the fit, None if the parameters were given
    running : what is remembered of a stream;  gathered : its rows, while they are too few
    """

    fit: em.Fit
    names: Names | None = None
    restarts: tuple[Restart, ...] = ()
    winner: int = 0
    exponent: int = 0
    passes: int = 0
    settings: em.Settings | None = None
    running: Running | None = None
    gathered: Gathered | None = None

    @property
    def n_iter(self) -> int:
        """Iterations of the fit, and batches since."""
        return len(self.fit.lower_bounds) if self.running is None else self.running.steps

    @property
    def lower_bound(self) -> float:
        """That of a fit of all its rows, which another may continue; −inf if there is none."""
        streamed = self.running is not None and self.running.batches > 0
        return -math.inf if streamed else self.fit.lower_bound

    @classmethod
    def of(cls, search: Search, names: Names | None) -> Self:
        """What a search found."""
        data = search.problem.data
        return cls(
            search.best, names, tuple(search.restarts), search.winner, data.exponent, data.begun[0], search.settings
        )


class Prepared(NamedTuple):
    """Rows of the user's that are known to be good, the names of their features or None, and least_variances."""

    data: Data
    names: Names | None
    least: Array


def prepare(
    X: Any, sample_weight: ArrayLike | None, n_threads: int | None, k: int, rng: np.random.Generator, gaps: bool
) -> Prepared:
    """The rows and weights of a fit, checked; ValueError or TypeError says what is wrong with them, and where.

    Rows that come in blocks or chunks are read once: for the sample of a search for k components with that generator.
    If `gaps`, NaN is a missing value.
    """
    size = partial(initialize.sample_size, k)
    if is_dask(X):
        from cgmm.cluster import Chunked  # which imports Dask

        chunked = Chunked(X, sample_weight, _key_of(rng), size, n_threads, gaps)
        return _prepared(chunked if chunked.complete else incomplete.Gapped(chunked), chunked.names)
    check_lasting(X)
    source = source_of(X, sample_weight, gaps)
    if source is not None:
        stream = Streamed(source, _key_of(rng), size, threads(n_threads), gaps)
        return _prepared(stream if stream.complete else incomplete.Gapped(stream), stream.names)
    names = protocol.feature_names(X)
    data = incomplete.of_user(X, sample_weight, gaps, n_threads=threads(n_threads))
    if isinstance(data, incomplete.Incomplete):
        validation.check_columns(data.X, data.row_weights)
    return _prepared(data, names)


def _prepared(data: Data, names: Names | None) -> Prepared:
    return Prepared(data, names, degenerate.least_variances(data))


def _key_of(rng: np.random.Generator) -> int:
    """The key of a sample, which leaves the generator as it is."""
    return sampling.key_of(copy.deepcopy(rng))


def settings_of(model: GMM) -> em.Settings:
    """The constructor's arguments that steer EM, checked."""
    return em.Settings(
        tol=validation.check_real("tol", model.tol),
        max_iter=validation.check_count("max_iter", model.max_iter, least=0),
        reg_covar=validation.check_real("reg_covar", model.reg_covar),
        n_threads=validation.check_threads(model.n_threads),
    )


class Request(NamedTuple):
    """What a model's arguments ask for, checked as far as that can be done without rows.

    settings : of EM, without a prior or least variances;  first : the name of init_params, whose method comes with it
    kinds : methods of further starts, by their names;  gaps : whether NaN is a missing value
    learning : decay, rows and half-life of cgmm.stepwise.Rates, None by default
    verbose, interval, callback : of cgmm.report.Reporter
    """

    settings: em.Settings
    k: int
    family: AnyFamily
    first: str
    method: Method
    kinds: Mapping[str, Method]
    n_init: int
    warm_start: bool
    prior: Prior | None
    gaps: bool
    on_degenerate: str
    learning: tuple[float, float | None, float | None]
    verbose: int
    interval: int
    callback: Callback | None


def request_of(model: GMM) -> Request:
    """The Request of a model; ValueError or TypeError names the argument that cannot be used."""
    settings = settings_of(model)
    k = validation.check_count("n_components", model.n_components)
    family = validation.check_choice("covariance_type", model.covariance_type, FAMILIES)
    first, method = _method(model)
    return Request(
        settings._replace(fixed=validation.check_fixed(model.fixed, family, k)),
        k,
        family,
        first,
        method,
        initialize.KINDS if first == "kmeans" else {first: method},
        validation.check_count("n_init", model.n_init, most=sys.maxsize),
        validation.check_flag("warm_start", model.warm_start),
        validation.check_prior(model.prior),
        validation.check_missing(model.missing),
        validation.check_choice("on_degenerate", model.on_degenerate, ON_DEGENERATE),
        _learning_of(model),
        validation.check_verbose(model.verbose),
        validation.check_count("verbose_interval", model.verbose_interval),
        validation.check_callback(model.callback),
    )


def _learning_of(model: GMM) -> tuple[float, float | None, float | None]:
    rows, half_life = model.learning_rows, model.forget
    return (
        validation.check_real("learning_decay", model.learning_decay, least=0.5, most=1.0),
        None if rows is None else validation.check_real("learning_rows", rows, least=1.0),
        None if half_life is None else validation.check_real("forget", half_life, least=1.0),
    )


def fit(model: GMM, X: Any, sample_weight: ArrayLike | None, last: State | None = None) -> State:
    """The State of the best fit of a model's arguments; changes nothing of the estimator.

    last : the state that warm_start continues, if there is one
    """
    asked = request_of(model)
    rng = validation.check_random_state(model.random_state)
    interval = validation.check_count("checkpoint_interval", model.checkpoint_interval)
    path = validation.check_path("checkpoint", model.checkpoint)
    checkpoint = None if path is None else Checkpoint(path, interval, rng)
    prepared = prepare(X, sample_weight, asked.settings.n_threads, asked.k, rng, asked.gaps)
    if checkpoint:
        checkpoint.belongs_to(model.get_params(deep=False), prepared.data, last and last.fit.parameters)
    found = search(model, asked, prepared, rng, last, checkpoint=checkpoint)
    if asked.on_degenerate == "raise":
        report.check_degenerate(found.best)
    if checkpoint:
        checkpoint.remove()
    return State.of(found, prepared.names)


def search(
    model: GMM,
    asked: Request,
    prepared: Prepared,
    rng: np.random.Generator,
    last: State | None = None,
    share: Callable[[Method], Method] | None = None,
    checkpoint: Checkpoint | None = None,
) -> Search:
    """The starts of a model's arguments, run.

    asked : of the model;  share : makes of a start's method one that several searches share
    """
    data, k, family, method, kinds = prepared.data, asked.k, asked.family, asked.method, asked.kinds
    if share is not None:
        method, kinds = share(method), {kind: share(other) for kind, other in kinds.items()}
    validation.check_enough_rows(data.n, data.counted, k, "n_components")
    if asked.prior is not None and data.exponent < 0:  # beside a prior of order one, not the prior beside them
        data = data.scaled(max(data.exponent, LEAST_EXPONENT))
    settings = asked.settings._replace(least=prepared.least)
    if asked.prior is not None:
        conjugate = asked.prior.conjugate(data.moments, prepared.least, family, k, data.exponent)
        settings = settings._replace(prior=conjugate)
    reporter = report.Reporter(asked.verbose, asked.interval, asked.callback, settings.max_iter)
    found = Search(Problem(data, k, family, kinds), settings, rng, reporter, checkpoint)
    try:
        if asked.warm_start and last is not None:
            validation.check_continues("warm_start", last.fit.parameters, family, k, data.d)
            found.carry("warm start", last.fit.parameters, [], last.lower_bound)
        else:
            given = _given(model, found)
            rows = data.whole() if callable(model.init_params) else None
            if model.responsibilities_init is not None:
                _from_parts(model, found, given)
            else:
                found.carry(asked.first, *found.begin(method, given, rows))
            found.further(asked.n_init - 1, given, rows)
    finally:
        reporter.close()
    return found


def _method(model: GMM) -> tuple[str, Method]:
    """The name and the method of init_params."""
    if callable(model.init_params):
        return str(getattr(model.init_params, "__name__", model.init_params)), initialize.of_function(model.init_params)
    return model.init_params, validation.check_choice("init_params", model.init_params, initialize.METHODS)


def _given(model: GMM, search: Search) -> Mapping[str, Array]:
    """The start's parameters that the user gives."""
    problem = search.problem
    n, k, d = problem.data.n, problem.k, problem.data.d
    given = validation.check_given(
        problem.family,
        k,
        d,
        model.weights_init,
        model.means_init,
        model.precisions_init,
        validation.largest_of(n, d),
    )
    validation.check_fixed_given(search.settings.fixed, given)
    return given


def _from_parts(model: GMM, search: Search, given: Mapping[str, Array]) -> None:
    """The first start from the user's labels or responsibilities of all rows."""
    kind, rows = "responsibilities_init", search.problem.data.whole()
    parts = validation.check_responsibilities(kind, model.responsibilities_init, rows.n, search.problem.k)
    search.carry(kind, *search.begin(initialize.of_parts(parts), given, rows))
