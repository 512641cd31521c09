"""A fit: from what the user gives to the state of a fitted estimator."""

from __future__ import annotations

import copy
import math
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from cgmm.em.abreast import answered
from cgmm.em.checkpoint import Checkpoint
from cgmm.fit import report, starts
from cgmm.fit.plain import plain_fit
from cgmm.fit.restarts import Problem, Search
from cgmm.fit.state import State
from cgmm.mixture.checks import check_continues, check_features, check_fixed_given
from cgmm.mixture.noise import Noise
from cgmm.mixture.target import Point
from cgmm.rows import sampling
from cgmm.rows.checks import check_enough_rows, check_known, check_responsibilities
from cgmm.rows.enclosing import enclosing
from cgmm.rows.floor import least_variances
from cgmm.rows.open import open_rows
from cgmm.rows.opened import FirstPass

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from cgmm.em.abreast import Asking, Watch
    from cgmm.em.settings import Settings
    from cgmm.fit.request import Request
    from cgmm.fit.starts import Method
    from cgmm.mixture.target import Target
    from cgmm.rows.data import Data
    from cgmm.types import Array, Names


NOISE = 0.1  # The weight with which a noise component begins where a start does not say which rows are noise.


class Prepared(NamedTuple):
    """Rows of the user's that are known to be good, the names of their features or None, least_variances, and the noise
    that a fit begins with, if it is to have any."""

    data: Data
    names: Names | None
    least: Array
    noise: Noise | None = None


def prepare(
    X: Any,
    sample_weight: Any,
    asked: Request,
    k: int,
    rng: np.random.Generator,
    labels: Any = None,
    errors: Any = None,
) -> Prepared:
    """The rows, weights, known components and errors of fits of up to k components, checked.

    Rows that come in blocks or chunks are read once: for the sample of a search with that generator.
    """
    first_pass = FirstPass(partial(_key_of, rng), partial(starts.sample_size, k))
    opened = open_rows(X, sample_weight, asked.gaps, again=True, labels=labels, errors=errors)
    data, names = opened.data(first_pass, asked.n_threads)
    return Prepared(data, names, least_variances(data), noise_of(asked, data))


def noise_of(asked: Request, data: Data) -> Noise | None:
    """The noise component that a request asks for, where it begins, of these rows."""
    if asked.noise is None:
        return None
    if isinstance(asked.noise, str):
        box = enclosing(data, asked.gaps)
        return Noise(NOISE, -box.log_volume, box)
    if data.gapped:
        raise ValueError(
            "noise_component is a density of whole rows, and X has missing values: noise_component='uniform' knows "
            "that of what is observed, too"
        )
    return Noise(NOISE, math.log(asked.noise))


def _key_of(rng: np.random.Generator) -> int:
    """The key of a sample, which leaves the generator as it is."""
    return sampling.key_of(copy.deepcopy(rng))


def fit(
    asked: Request,
    X: Any,
    sample_weight: Any,
    last: State | None = None,
    labels: Any = None,
    errors: Any = None,
) -> State:
    """The State of the best fit that a request asks for.

    labels : the components of rows, −1 where they are not known, or None;  errors : of measurement, or None
    last : the state that warm_start continues, if there is one
    """
    search, names = found(asked, X, sample_weight, last, labels, errors)
    report.warn_of_swamped(search.problem.data, names, asked.on_degenerate)
    return State.of(search, names)


def found(
    asked: Request,
    X: Any,
    sample_weight: Any,
    last: State | None = None,
    labels: Any = None,
    errors: Any = None,
) -> tuple[Search, Names | None]:
    """The same as the search that found it, and the names of the features."""
    rng, keeping = asked.generator(), asked.keeping
    checkpoint = None if keeping is None else Checkpoint(keeping.path, keeping.interval, rng)
    prepared = prepare(X, sample_weight, asked, asked.k, rng, labels, errors)
    if checkpoint and keeping:
        checkpoint.belongs_to(keeping.arguments, prepared.data, last and last.fit.parameters)
    whole = answered(search(asked, prepared, rng, last, checkpoint=checkpoint))
    if asked.on_degenerate == "raise":
        report.check_degenerate(whole.best, whole.settings, prepared.names)
    if checkpoint:
        checkpoint.remove()
    return whole, prepared.names


def search(
    asked: Request,
    prepared: Prepared,
    rng: np.random.Generator,
    last: State | None = None,
    share: Callable[[Method], Method] | None = None,
    checkpoint: Checkpoint | None = None,
    sound: bool = False,
    watch: Watch | None = None,
) -> Asking[Search]:
    """The starts that a request asks for, once they are run.

    share : makes of a start's method one that several searches share
    sound, watch : as of Search
    """
    data, method, kinds = prepared.data, asked.method, asked.kinds
    if share is not None:
        method, kinds = share(method), {kind: share(other) for kind, other in kinds.items()}
    check_enough_rows(data.n, data.counted, asked.k, "n_components", data.d)
    check_features(asked.family, data.d)
    check_known(data.place.known(), asked.k)
    settings, target = settled(asked, prepared), _target(asked, prepared)
    if asked.beliefs is not None:
        settings = settings._replace(rows=data.moments()[0])
    reporter = report.Reporter(asked.watching, settings.max_iter)
    if checkpoint is not None and checkpoint.found is not None:
        reporter.resume(checkpoint.path, len(checkpoint.fits))
    problem = Problem(data, asked.k, target, kinds, prepared.noise)
    found = Search(problem, settings, rng, reporter, checkpoint, sound, watch)
    try:
        if asked.warm_start and last is not None:
            check_continues("warm_start", last.fit.parameters, asked.family, asked.k, data.d)
            yield from found.carry("warm start", found.stage(last.fit.parameters, [], last.lower_bound))
        else:
            yield from _begin(asked, method, found)
    finally:
        reporter.close()
    return found


def settled(asked: Request, prepared: Prepared) -> Settings:
    """The settings once the rows are known: with the floor, and a prior of their scale."""
    data, least, prior = prepared.data, prepared.least, asked.prior
    conjugate = None if prior is None else prior.conjugate(data.moments(), least, asked.family, asked.k)
    variances = data.moments()[2].diagonal() if asked.settings.rules.relative else None
    return asked.settings.with_rules(least=least, prior=conjugate, variances=variances)


def _target(asked: Request, prepared: Prepared) -> Target:
    """What is to be learnt, once the rows are known."""
    if asked.beliefs is None:
        return Point(asked.family)
    data = prepared.data
    return asked.beliefs.belief(data.moments(), prepared.least, asked.family, asked.k)


def _begin(asked: Request, method: Method, search: Search) -> Asking[None]:
    """The first start, and the further ones."""
    data, k, given = search.problem.data, asked.k, asked.given
    parameters: Mapping[str, Array] = given.parameters(asked.family, k, data.n, data.d)
    check_fixed_given(asked.settings.rules.fixed, parameters)
    rows = data.whole() if given.function else None
    alone = not search.watched and method is asked.method
    plain = plain_fit(asked, data, search.settings, search.rng) if alone else None
    if plain is not None:
        search.enter(asked.first_kind, plain)
    elif given.responsibilities is None:
        start = yield from search.begin_first(method, parameters, rows)
        yield from search.carry(asked.first_kind, start)
    else:
        kind, whole = "responsibilities_init", data.whole()
        parts = check_responsibilities(kind, given.responsibilities, whole.n, k, noise=asked.noise is not None)
        yield from search.carry(kind, search.begin(starts.of_parts(parts), parameters, whole, labelled=True))
    yield from search.further(asked.n_init, parameters, rows)
