"""One mixture of all classes, of which each has several components: the rows of a class belong to its own alone.

Hastie and Tibshirani, Discriminant analysis by Gaussian mixtures (JRSS B 58, 1996), for the family with one covariance;
here it may be any.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.classes.classified import parts_of, weighing
from cgmm.classes.known import UNKNOWN
from cgmm.classes.wanted import fitted
from cgmm.em.stage import STARVED, Fit, and_then
from cgmm.fit import fitting
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import EMPTIED, SINGULAR, Repair
from cgmm.steps import expectation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.classes.given import Given
    from cgmm.classes.wanted import Wanted
    from cgmm.em.settings import Settings
    from cgmm.gmm import GMM
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Array, CovarianceType, Labels


def owners_of(given: Given, k: int) -> Labels:
    """The class (k,) of each of k components, of which each class has as many."""
    return np.repeat(np.arange(len(given.classes)), k // len(given.classes))


def fitted_to(wanted: Wanted, family: CovarianceType, k: int, given: Given) -> GMM:
    """The mixture of that family, of k components of each class, by EM from those of each class by itself."""
    if k > 1 and given.priors is not None and not given.priors.all():
        label = given.classes.tolist()[int(np.argmin(given.priors))]
        raise ValueError(
            "priors must be positive where shared=True and classes have several components, which share the prior of "
            f"their class, but that of class {label!r} is zero"
        )
    owners = np.repeat(np.arange(len(given.classes)), k)
    model = wanted.model(len(owners), family, on_degenerate="repair")
    settings = _settings(model, given)
    each = [fitted(wanted.model(k, family, on_degenerate="repair"), given.of(g)) for g in range(len(given.classes))]
    means = np.concatenate([one.means_ for one in each])
    of_known = [expectation(one, *given.of(g)[:2]) for g, one in enumerate(each)]
    begun, repairs = Parameters.estimated(request_of(model).family, _beside(of_known, owners, means), settings.rules)
    return model._with(_run(model, _prior_obeyed(begun, owners, given.priors), repairs, owners, given, settings))


def _settings(model: GMM, given: Given) -> Settings:
    """What steers EM of all rows."""
    asked, some = request_of(model), given.everything()
    prepared = fitting.prepare(some.rows, some.weights, asked, len(given.classes), asked.generator())
    return fitting.settled(asked, prepared).for_rows(prepared.data.dtype == np.float64)


def _run(
    model: GMM, parameters: Parameters, held: Sequence[Repair], owners: Labels, given: Given, settings: Settings
) -> State:
    """EM until the mean log-likelihood of rows and classes changes by less than tol, or max_iter ends it."""
    bounds: list[float] = []
    statistics, converged, repairs = None, False, and_then((), held)
    while len(bounds) < settings.max_iter and not converged:
        statistics = _expected(model, parameters, owners, given)
        after, held = parameters.maximise(statistics, settings.rules, len(bounds) + 1)
        shares = np.bincount(owners, parameters.weights)
        possible = shares > 0
        of_classes = float(given.counts[possible] @ np.log(shares[possible])) / given.weight
        bounds.append(float(parameters.objective(statistics, settings.rules, after)) + of_classes)
        parameters, repairs = _prior_obeyed(after, owners, given.priors), and_then(repairs, held)
        converged = len(bounds) > 1 and settings.settled(np.inf, bounds[-1] - bounds[-2])
    starved: list[int] = []
    if statistics is not None:
        starved = np.flatnonzero(statistics.n_k < STARVED * statistics.total_weight / given.numbers.sum()).tolist()
    emptied = [Repair(len(bounds), c, EMPTIED) for c in starved]
    fit = Fit(
        parameters=parameters,
        lower_bounds=np.array(bounds),
        converged=converged,
        n_k=None if statistics is None else statistics.n_k.copy(),
        repairs=and_then(repairs, emptied),
        singular=tuple(repair.component for repair in held if repair.cause == SINGULAR),
        starved=tuple(starved),
        exponent=0 if statistics is None else statistics.exponent,
    )
    return State(fit, settings=settings)


def _expected(model: GMM, parameters: Parameters, owners: Labels, given: Given) -> SufficientStatistics:
    """Statistics of all rows, those of a class under its own components and their log-density given the class."""
    parts = parts_of(parameters, owners)
    of_known = [expectation(model._made(part), *given.of(g)[:2]) for g, part in enumerate(parts)]
    found = _beside(of_known, owners, parameters.means)
    if given.whole:
        return found
    return found + expectation(model._made(parameters), *given.of(UNKNOWN)[:2])


def _beside(of_known: Sequence[SufficientStatistics], owners: Labels, means: Array) -> SufficientStatistics:
    """The statistics of each class as those of one mixture with means (K,d)."""
    each = [statistics.among(owners == g, means) for g, statistics in enumerate(of_known)]
    return sum(each[1:], each[0])


def _prior_obeyed(parameters: Parameters, owners: Labels, priors: Array | None) -> Parameters:
    """The same components, those of a class weighing together what its prior says, if that is given."""
    if priors is None:
        return parameters
    shares, alike = np.bincount(owners, parameters.weights)[owners], 1.0 / np.bincount(owners)[owners]
    # a class whose rows weigh nothing beside others tells nothing of how its components share its prior
    return weighing(parameters, np.divide(parameters.weights, shares, out=alike, where=shares > 0) * priors[owners])
