"""How the mixtures of classes are fitted: as components of one, or each by itself."""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import errors
from cgmm.classes import subclasses
from cgmm.classes.choosing import Candidate, best_of, folds_of
from cgmm.classes.classified import Classified
from cgmm.classes.given import AtHand, Given, total
from cgmm.classes.known import UNKNOWN
from cgmm.classes.subclasses import owners_of
from cgmm.classes.wanted import Wanted, check_degenerate, fitted, warn_of
from cgmm.errors import ConvergenceWarning, DegenerateError, counted
from cgmm.selection import selected
from cgmm.steps import expectation, maximisation

if TYPE_CHECKING:
    from cgmm.gmm import GMM
    from cgmm.types import Array, CovarianceType, Names

FOR_FOLDS = "for criterion='cv', whose folds are drawn from all rows: criterion='bic' chooses of rows from anywhere"
COMPONENTS = "Components are the classes in their order, from 0: "
SUBCLASSES = "Components are those of the classes in their order, from 0, {} of each: "


class Found(NamedTuple):
    """What was learnt, what it was chosen from, EM's iterations and whether they have converged; and the weight of the
    rows that are known to be of each class (C,), None if nothing is known of rows."""

    classified: Classified
    candidates: tuple[Candidate, ...]
    n_iter: int
    converged: bool
    counts: Array | None = None


def sizes_for(wanted: Wanted, given: Given, g: int) -> list[int]:
    """The numbers of components that are wanted and that the rows of a class allow; ValueError if none is."""
    number = int(given.numbers[g])
    sizes = [k for k in wanted.sizes if k <= number]
    if not sizes:
        label = given.classes.tolist()[g]
        raise ValueError(
            f"class {label!r} has {counted(number, 'row')} of positive weight, fewer than "
            f"n_components={min(wanted.sizes)}"
        )
    return sizes


def fit(wanted: Wanted, given: Given) -> Found:
    """The classes that are described best."""
    return _fit_shared(wanted, given) if wanted.shared else _fit_apart(wanted, given)


# The classes as components of one mixture


def _fit_shared(wanted: Wanted, given: Given) -> Found:
    sizes = sizes_for(wanted, given, int(given.numbers.argmin()))
    models = [(k, _of_all(wanted, family, k, given)) for family in wanted.families for k in sizes]
    tried = [_tried(wanted, k, model, given) for k, model in models] if len(models) > 1 else []
    k, best = models[best_of(tried)] if tried else models[0]
    state, told = best._fitted(), COMPONENTS if k == 1 else SUBCLASSES.format(k)
    if wanted.arguments["on_degenerate"] == "raise":
        check_degenerate(state, told)
    warn_of(wanted, state, told)
    candidates = tuple(candidate for candidate, _ in tried)
    classified = _of_components(wanted, best, given, given.names)
    return Found(classified, candidates, state.n_iter, state.fit.converged, given.counts)


def _tried(wanted: Wanted, k: int, model: GMM, given: Given) -> tuple[Candidate, bool]:
    """A mixture as a candidate, and whether it is degenerate."""
    family: CovarianceType = model.covariance_type
    if wanted.criterion == "bic":
        value = information(_of_components(wanted, model, given), given)
    else:
        value = -_cross_validated_labels(wanted, family, k, given.at_hand(FOR_FOLDS))
    return Candidate(None, family, k, value), bool(model._fitted().fit.degenerate)


def _of_all(wanted: Wanted, family: CovarianceType, k: int, given: Given) -> GMM:
    """A mixture of that family of all classes, of k components each.

    Where a class never occurs, the log-likelihood of rows that are known to be its own is none, and EM of components
    would not see what it gains on rows without a label; EM of classes leaves it out.
    """
    never = given.priors is not None and not given.priors.all()
    if k == 1 and (given.whole or not never):
        return _components(wanted, family, given)
    return subclasses.fitted_to(wanted, family, k, given)


def _components(wanted: Wanted, family: CovarianceType, given: Given) -> GMM:
    """A mixture of that family whose components are the classes: first of the rows that are known, then of all."""
    model = wanted.model(len(given.classes), family, n_init=1, on_degenerate="repair", **weights_fixed(given.priors))
    known = given.labelled() if not given.whole else given.everything()
    if known.labels is not None and isinstance(known.labels, np.ndarray):
        model.set_params(responsibilities_init=known.labels)
    fitted(model, known)
    model.set_params(responsibilities_init=None)
    if given.whole:
        return model
    return fitted(model.set_params(warm_start=True), given.everything()).set_params(warm_start=False)


def weights_fixed(priors: Array | None) -> dict[str, Any]:
    """The arguments of a mixture whose components are the classes, if their priors are given."""
    return {} if priors is None else {"fixed": ("weights",), "weights_init": priors}


def _of_components(wanted: Wanted, model: GMM, given: Given, names: Names | None = None) -> Classified:
    """The classes as the components of a fitted mixture, which keeps the arguments of the classifier."""
    family: CovarianceType = model.covariance_type
    mixture = wanted.model(model.n_components, family)._with(model._fitted()._replace(names=names))
    return Classified.of_components(given.classes, mixture, owners=owners_of(given, model.n_components))


def _cross_validated_labels(wanted: Wanted, family: CovarianceType, k: int, given: AtHand) -> float:
    """Σ_i w_i log P(class of row i | x_i), of rows that were left out, in nats; but for classes that never occur."""
    folds, sums = folds_of(given.known.of_row, wanted.seed), 0.0
    for fold in range(folds.max() + 1):
        kept, out = given.some(folds != fold), given.some(folds == fold)
        found = _of_components(wanted, _of_all(wanted, family, k, kept), kept)
        out = out.some(found.priors[out.known.of_row] > 0)
        if len(out.rows):
            sums += total(out.weights, found.log_probabilities(out.rows)[np.arange(len(out.rows)), out.known.of_row])
    return sums


def information(classified: Classified, given: Given) -> float:
    """−2 log L + p log n of classes and rows together; of a row whose class is not known, of the row, and of one whose
    class never occurs, given that."""
    logs = classified.log_likelihood(given.of(UNKNOWN)) if not given.whole else 0.0
    for g in np.flatnonzero(given.counts).tolist():
        of_classes = np.log(classified.priors[g]) if classified.priors[g] > 0 else 0.0
        logs += classified.log_likelihood(given.of(g), g) + float(given.counts[g] * of_classes)
    return -2.0 * logs + classified.n_parameters * float(np.log(given.weight))


# A mixture for each class


def _fit_apart(wanted: Wanted, given: Given) -> Found:
    candidates: list[Candidate] = []
    each: list[GMM] = []
    for g, label in enumerate(given.classes.tolist()):
        model, tried = _of_class(wanted, given, g, label)
        each.append(model._with(model._fitted()._replace(names=None)))
        candidates += tried
    n_iter, converged = max(model.n_iter_ for model in each), all(model.converged_ for model in each)
    shares = given.shares
    if not given.whole:
        each, shares, n_iter, converged = _with_unlabelled(wanted, given, each)
    each = [model._with(model._fitted()._replace(names=given.names)) for model in each]
    classified = Classified.of_mixtures(given.classes, each, shares)
    return Found(classified, tuple(candidates), n_iter, converged, given.counts)


def _of_class(wanted: Wanted, given: Given, g: int, label: Any) -> tuple[GMM, list[Candidate]]:
    """The mixture of the rows of a class."""
    own, sizes, families = given.of(g), sizes_for(wanted, given, g), wanted.families
    try:
        if len(sizes) == len(families) == 1:
            model = fitted(wanted.model(sizes[0], families[0]), own)
            warn_of(wanted, model._fitted(), f"Class {label!r}: ")
            return model, []
        if wanted.criterion == "bic":
            arguments = {name: value for name, value in wanted.arguments.items() if name != "on_degenerate"}
            # candidates_ has what was tried of each class, of which a selection would warn
            table, _ = selected(own.rows, sizes, families, sample_weight=own.weights, **arguments)
            tried = [Candidate(label, row.covariance_type, row.n_components, row.bic) for row in table.table]
            best = table.best
            if wanted.arguments["on_degenerate"] == "raise":
                check_degenerate(best._fitted())
            chosen = wanted.model(best.n_components, best.covariance_type)._with(best._fitted())
            return chosen, tried
        some = given.at_hand(FOR_FOLDS).of_class(g)
        tried = [
            Candidate(label, family, k, -_cross_validated(wanted.model(k, family), some, wanted.seed))
            for family in families
            for k in sizes
        ]
        found = tried[best_of([(candidate, False) for candidate in tried])]
        model = fitted(wanted.model(found.n_components, found.covariance_type), own)
        warn_of(wanted, model._fitted(), f"Class {label!r}: ")
        return model, tried
    except DegenerateError as error:
        raise DegenerateError(f"class {label!r}: {error}") from None


def _cross_validated(model: GMM, given: AtHand, seed: int) -> float:
    """Σ_i w_i log p(x_i), of rows of a class that were left out; −∞ where too few are left for the components."""
    folds, found = folds_of(np.zeros(len(given.rows), dtype=np.intp), seed), 0.0
    for fold in range(folds.max() + 1):
        kept, out = given.some(folds != fold), given.some(folds == fold)
        if len(kept.rows) < model.n_components:
            return -np.inf
        learnt = fitted(model.set_params(on_degenerate="repair"), kept.everything()._replace(labels=None))
        found += total(out.weights, learnt.score_samples(out.rows))
    return found


def _with_unlabelled(wanted: Wanted, given: Given, each: list[GMM]) -> tuple[list[GMM], Array, int, bool]:
    """The mixtures of classes, and their shares, by EM of all rows, from those of the rows whose class is known.

    A row of unknown class counts for each class with the probability of that, and there for each component as always.
    """
    if wanted.arguments["prior"] is not None:
        raise ValueError("prior must be None where rows are unlabelled and each class has a mixture of its own")
    shares, last = given.shares, -np.inf
    tol, max_iter = wanted.arguments["tol"], wanted.arguments["max_iter"]
    for iteration in range(1, max_iter + 1):
        classified = Classified.of_mixtures(given.classes, each, shares)
        found = reduce(_added, (_expected(classified, block) for block in given.blocks()))
        possible = shares > 0
        objective = found.log_likelihood + float(given.counts[possible] @ np.log(shares[possible]))
        each = [maximisation(model, own) for model, own in zip(each, found.statistics, strict=True)]
        if given.priors is None:
            shares = (given.counts + found.counts) / given.weight
        if abs(objective - last) <= tol * given.weight:
            return each, shares, iteration, True
        last = objective
    errors.warn(
        f"max_iter={max_iter} ended the iterations over unlabelled rows while the log-likelihood still changed.",
        errors.kin(ConvergenceWarning),
    )
    return each, shares, max_iter, False


class _Expected(NamedTuple):
    """What an E-step of rows leaves.

    statistics : of each class, or 0 of none of its rows
    log_likelihood : of the rows, those of a class given it
    counts : (C,) the weight that each class has of the rows of unknown class
    """

    statistics: list[Any]
    log_likelihood: float
    counts: Array


def _expected(classified: Classified, block: AtHand) -> _Expected:
    unknown = block.some(block.known.of_row == UNKNOWN)
    logs = classified.log_densities(unknown.rows) if len(unknown.rows) else np.empty((0, len(block.classes)))
    likelihood = np.logaddexp.reduce(logs, axis=1)
    parts = np.exp(logs - likelihood[:, np.newaxis])
    if unknown.weights is not None:
        parts *= unknown.weights[:, np.newaxis]
    found, statistics = total(unknown.weights, likelihood), []
    for g, (model, weights) in enumerate(zip(classified.each, parts.T, strict=True)):
        own = block.of(g)
        some = [expectation(model, own.rows, own.weights)] if len(own.rows) else []
        found += sum(known.log_likelihood * 2.0**known.exponent for known in some)
        some += [expectation(model, unknown.rows, weights)] if len(unknown.rows) else []
        statistics.append(sum(some))
    return _Expected(statistics, found, parts.sum(axis=0))


def _added(one: _Expected, other: _Expected) -> _Expected:
    statistics = [a + b for a, b in zip(one.statistics, other.statistics, strict=True)]
    return _Expected(statistics, one.log_likelihood + other.log_likelihood, one.counts + other.counts)
