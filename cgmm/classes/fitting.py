"""How the mixtures of classes are fitted: as components of one, or each by itself."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import errors
from cgmm.classes.choosing import Candidate, best_of, folds_of
from cgmm.classes.classified import Classified
from cgmm.classes.known import UNKNOWN
from cgmm.errors import ConvergenceWarning, DegenerateError, DegenerateWarning, SelectionWarning
from cgmm.fit import fitting, report
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.gmm import GMM
from cgmm.selection import select
from cgmm.steps import expectation, maximisation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.classes.known import Known
    from cgmm.types import Array, CovarianceType, Labels, Mask, Names, Rows

COMPONENTS = "Component c is the class classes_[c]. "


class Wanted(NamedTuple):
    """What a classifier's arguments ask for, checked.

    shared : whether the classes are the components of one mixture
    sizes : numbers of components of a class;  families : names;  of several that of the best criterion is chosen
    criterion : "bic" or "cv";  seed : of all that is drawn
    arguments : of each GMM, with the seed as random_state
    """

    shared: bool
    sizes: Sequence[int]
    families: Sequence[CovarianceType]
    criterion: str
    seed: int
    arguments: Mapping[str, Any]

    def model(self, k: int, family: CovarianceType, **others: Any) -> GMM:
        return GMM(k, covariance_type=family, **{**self.arguments, **others})


class Given(NamedTuple):
    """Rows of positive weight, with all that is known of them.

    rows : (n,d);  weights : (n,) or None;  known : their classes;  priors : (C,) or None;  names : of features, or None
    """

    rows: Rows
    weights: Array | None
    known: Known
    priors: Array | None
    names: Names | None

    def some(self, which: Mask) -> Given:
        known = self.known._replace(of_row=self.known.of_row[which])
        return self._replace(rows=self.rows[which], weights=_some(self.weights, which), known=known)

    @property
    def counts(self) -> Array:
        """(C,) the weight of the rows that are known to be of each class."""
        labelled = self.known.of_row != UNKNOWN
        weights = _some(self.weights, labelled)
        return np.bincount(self.known.of_row[labelled], weights, len(self.known.classes)).astype(np.float64)

    @property
    def shares(self) -> Array:
        """(C,) priors, or the shares of the rows that are known."""
        return self.counts / self.counts.sum() if self.priors is None else self.priors


class Found(NamedTuple):
    """What was learnt, what it was chosen from, and EM's iterations and whether they have converged."""

    classified: Classified
    candidates: tuple[Candidate, ...]
    n_iter: int
    converged: bool


def fit(wanted: Wanted, given: Given) -> Found:
    """The classes that are described best."""
    return _fit_shared(wanted, given) if wanted.shared else _fit_apart(wanted, given)


# The classes as components of one mixture


def _fit_shared(wanted: Wanted, given: Given) -> Found:
    models = [_components(wanted, family, given) for family in wanted.families]
    tried = [_tried(wanted, model, given) for model in models] if len(models) > 1 else []
    best = models[best_of(tried)] if tried else models[0]
    state = best._fitted()
    if wanted.arguments["on_degenerate"] == "raise":
        _check_degenerate(state, COMPONENTS)
    _warn(wanted, state, COMPONENTS)
    candidates = tuple(candidate for candidate, _ in tried)
    return Found(_of_components(wanted, best, given), candidates, state.n_iter, state.fit.converged)


def _tried(wanted: Wanted, model: GMM, given: Given) -> tuple[Candidate, bool]:
    """A mixture as a candidate, and whether it is degenerate."""
    family: CovarianceType = model.covariance_type
    if wanted.criterion == "bic":
        value = information(_of_components(wanted, model, given), given)
    else:
        value = -_cross_validated_labels(wanted, family, given)
    return Candidate(None, family, 1, value), bool(model._fitted().fit.degenerate)


def _components(wanted: Wanted, family: CovarianceType, given: Given) -> GMM:
    """A mixture of that family whose components are the classes: first of the rows that are known, then of all."""
    known, k = given.known, len(given.known.classes)
    fixed = {} if given.priors is None else {"fixed": ("weights",), "weights_init": given.priors}
    model = wanted.model(k, family, n_init=1, on_degenerate="repair", **fixed)
    if known.whole:
        return _fitted(model.set_params(responsibilities_init=known.of_row), given.rows, given.weights, known.of_row)
    labelled = known.of_row != UNKNOWN
    some = given.some(labelled)
    first = model.set_params(responsibilities_init=some.known.of_row)
    _fitted(first, some.rows, some.weights, some.known.of_row)
    model.set_params(responsibilities_init=None, warm_start=True)
    return _fitted(model, given.rows, given.weights, known.of_row).set_params(warm_start=False)


def _of_components(wanted: Wanted, model: GMM, given: Given) -> Classified:
    """The classes as the components of a fitted mixture, which keeps the arguments of the classifier."""
    family: CovarianceType = model.covariance_type
    mixture = wanted.model(model.n_components, family)._with(model._fitted()._replace(names=given.names))
    return Classified.of_components(given.known.classes, mixture)


def _cross_validated_labels(wanted: Wanted, family: CovarianceType, given: Given) -> float:
    """Σ_i w_i log P(class of row i | x_i), of rows that were left out, in nats."""
    folds, total = folds_of(given.known.of_row, wanted.seed), 0.0
    for fold in range(folds.max() + 1):
        kept, out = given.some(folds != fold), given.some(folds == fold)
        found = _of_components(wanted, _components(wanted, family, kept), kept)
        total += _sum(out.weights, found.log_probabilities(out.rows)[np.arange(len(out.rows)), out.known.of_row])
    return total


def information(classified: Classified, given: Given) -> float:
    """−2 log L + p log n of classes and rows together; of a row whose class is not known, of the row."""
    logs, of_row = classified.log_densities(given.rows), given.known.of_row
    own = np.where(of_row == UNKNOWN, np.logaddexp.reduce(logs, axis=1), logs[np.arange(len(logs)), of_row])
    number = _sum(given.weights, np.ones(len(own)))
    return -2.0 * _sum(given.weights, own) + classified.n_parameters * float(np.log(number))


# A mixture for each class


def _fit_apart(wanted: Wanted, given: Given) -> Found:
    candidates: list[Candidate] = []
    each: list[GMM] = []
    for g, label in enumerate(given.known.classes.tolist()):
        own = given.some(given.known.of_row == g)
        model, tried = _of_class(wanted, own.rows, own.weights, label)
        each.append(model._with(model._fitted()._replace(names=given.names)))
        candidates += tried
    n_iter, converged = max(model.n_iter_ for model in each), all(model.converged_ for model in each)
    shares = given.shares
    if not given.known.whole:
        each, shares, n_iter, converged = _with_unlabelled(wanted, given, each)
    classified = Classified.of_mixtures(given.known.classes, each, shares)
    return Found(classified, tuple(candidates), n_iter, converged)


def _of_class(wanted: Wanted, rows: Rows, weights: Array | None, label: Any) -> tuple[GMM, list[Candidate]]:
    """The mixture of the rows of a class, all of positive weight."""
    sizes = [k for k in wanted.sizes if k <= len(rows)]
    if not sizes:
        raise ValueError(
            f"class {label!r} has {len(rows)} rows of positive weight, fewer than n_components={min(wanted.sizes)}"
        )
    families = wanted.families
    try:
        if len(sizes) == len(families) == 1:
            model = _fitted(wanted.model(sizes[0], families[0]), rows, weights)
            _warn(wanted, model._fitted(), f"Class {label!r}: ")
            return model, []
        if wanted.criterion == "bic":
            arguments = {name: value for name, value in wanted.arguments.items() if name != "on_degenerate"}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SelectionWarning)  # candidates_ has what was tried of each class
                table = select(rows, sizes, families, sample_weight=weights, **arguments)
            tried = [Candidate(label, row.covariance_type, row.n_components, row.bic) for row in table.table]
            best = table.best
            if wanted.arguments["on_degenerate"] == "raise":
                _check_degenerate(best._fitted())
            chosen = wanted.model(best.n_components, best.covariance_type)._with(best._fitted())
            return chosen, tried
        tried = [
            Candidate(label, family, k, -_cross_validated(wanted.model(k, family), rows, weights, wanted.seed))
            for family in families
            for k in sizes
        ]
        found = tried[best_of([(candidate, False) for candidate in tried])]
        model = _fitted(wanted.model(found.n_components, found.covariance_type), rows, weights)
        _warn(wanted, model._fitted(), f"Class {label!r}: ")
        return model, tried
    except DegenerateError as error:
        raise DegenerateError(f"class {label!r}: {error}") from None


def _cross_validated(model: GMM, rows: Rows, weights: Array | None, seed: int) -> float:
    """Σ_i w_i log p(x_i), of rows that were left out; −∞ where too few rows are left for the components."""
    folds, total = folds_of(np.zeros(len(rows), dtype=np.intp), seed), 0.0
    for fold in range(folds.max() + 1):
        kept, out = folds != fold, folds == fold
        if kept.sum() < model.n_components:
            return -np.inf
        learnt = _fitted(model.set_params(on_degenerate="repair"), rows[kept], _some(weights, kept))
        total += _sum(_some(weights, out), learnt.score_samples(rows[out]))
    return total


def _with_unlabelled(wanted: Wanted, given: Given, each: list[GMM]) -> tuple[list[GMM], Array, int, bool]:
    """The mixtures of classes, and their shares, by EM of all rows, from those of the rows whose class is known.

    A row of unknown class counts for each class with the probability of that, and there for each component as always.
    """
    if wanted.arguments["prior"] is not None:
        raise ValueError("prior must be None where rows are unlabelled and each class has a mixture of its own")
    shares, last = given.shares, -np.inf
    unknown = given.some(given.known.of_row == UNKNOWN)
    own = [given.some(given.known.of_row == g) for g in range(len(each))]
    whole = _sum(given.weights, np.ones(len(given.rows)))
    tol, max_iter = wanted.arguments["tol"], wanted.arguments["max_iter"]
    for iteration in range(1, max_iter + 1):
        logs = Classified.of_mixtures(given.known.classes, each, shares).log_densities(unknown.rows)
        likelihood = np.logaddexp.reduce(logs, axis=1)
        parts = np.exp(logs - likelihood[:, np.newaxis])
        if unknown.weights is not None:
            parts *= unknown.weights[:, np.newaxis]
        possible = shares > 0
        total = _sum(unknown.weights, likelihood) + float(given.counts[possible] @ np.log(shares[possible]))
        after = []
        for model, some, weights in zip(each, own, parts.T, strict=True):
            known = expectation(model, some.rows, some.weights)
            total += known.log_likelihood * 2.0**known.exponent
            after.append(maximisation(model, known + expectation(model, unknown.rows, weights)))
        if given.priors is None:
            shares = (given.counts + parts.sum(axis=0)) / whole
        each = after
        if abs(total - last) <= tol * whole:
            return each, shares, iteration, True
        last = total
    errors.warn(
        f"max_iter={max_iter} ended the iterations over unlabelled rows while the log-likelihood still changed.",
        errors.kin(ConvergenceWarning),
    )
    return each, shares, max_iter, False


# A fit


def _fitted(model: GMM, rows: Rows, weights: Array | None, labels: Labels | None = None) -> GMM:
    """That model, fitted; it does not warn."""
    asked = request_of(model)
    last = model._learnt() if asked.warm_start else None
    return model._with(fitting.fit(asked, rows, weights, last if isinstance(last, State) else None, labels))


def _warn(wanted: Wanted, state: State, where: str) -> None:
    """Of what a fit has to say; where : begins what is said."""
    assert state.settings is not None  # it was fitted
    for text, category in report.faults(state.fit, state.settings, state.names):
        if category is not DegenerateWarning or wanted.arguments["on_degenerate"] == "warn":
            errors.warn(f"{where}{text}", category)


def _check_degenerate(state: State, where: str = "") -> None:
    """DegenerateError of what is degenerate in a fit; where : begins what is said."""
    assert state.settings is not None  # it was fitted
    try:
        report.check_degenerate(state.fit, state.settings, state.names)
    except DegenerateError as error:
        raise DegenerateError(f"{where}{error}") from None


def _some(weights: Array | None, which: Mask) -> Array | None:
    return None if weights is None else weights[which]


def _sum(weights: Array | None, values: Array) -> float:
    """Σ_i w_i v_i."""
    return float(values.sum() if weights is None else weights @ values)
