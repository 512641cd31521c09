"""Classes that are learnt a batch of rows at a time."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import errors, protocol
from cgmm.classes.classified import CLASSIFIER, Classified
from cgmm.classes.fitting import Found, weights_fixed
from cgmm.classes.given import AtHand
from cgmm.classes.known import (
    UNKNOWN,
    Known,
    check_priors,
    check_same_classes,
    distinct_classes,
    indices_of,
    unlabelled_in,
)
from cgmm.fit.state import State
from cgmm.rows.checks import check_features

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from cgmm.classes.open import Batch
    from cgmm.classes.wanted import Wanted
    from cgmm.gmm import GMM
    from cgmm.types import Array, Names

SEVERAL = "partial_fit learns one mixture of all classes, shared=True, where each class is one component: give "
SEVERAL += "shared=False, or n_components=1, or fit, which takes blocks, too"


class Stream(NamedTuple):
    """What is known after some batches.

    classes : (C,) labels, ascending;  priors : (C,) or None
    models : the mixture of all classes, or that of each, perhaps not fitted yet
    counts : (C,) the weight of the rows of each class that are remembered
    names, d : of the features, None as long as they are not known
    """

    classes: NDArray[Any]
    priors: Array | None
    models: tuple[GMM, ...]
    counts: Array
    names: Names | None = None
    d: int | None = None

    def found(self, wanted: Wanted, before: Found | None) -> Found | None:
        """What is learnt, once the rows are enough for each mixture."""
        states = [model._learnt() for model in self.models]
        fitted = [state._replace(names=self.names) for state in states if isinstance(state, State)]
        if len(fitted) < len(states):
            return None
        models = [copy.copy(model)._with(state) for model, state in zip(self.models, fitted, strict=True)]
        if wanted.shared:
            classified = Classified.of_components(self.classes, models[0])
        else:
            shares = self.counts / self.counts.sum() if self.priors is None else self.priors
            classified = Classified.of_mixtures(self.classes, models, shares)
        n_iter = max(state.n_iter for state in fitted)
        return Found(classified, () if before is None else before.candidates, n_iter, False, self.counts)


def begun(wanted: Wanted, classes: NDArray[Any], priors: Array | None) -> Stream:
    """Nothing of these classes is known yet."""
    k, family = wanted.sizes[0], wanted.families[0]
    if wanted.shared and k > 1:
        raise ValueError(SEVERAL)
    if wanted.shared:
        models = [wanted.streamed(len(classes), family, **weights_fixed(priors))]
    else:
        models = [wanted.streamed(k, family) for _ in classes]
    return Stream(classes, priors, tuple(models), np.zeros(len(classes)))


def after(wanted: Wanted, found: Found, priors: Array | None) -> Stream:
    """That from which a stream goes on after a fit."""
    classified = found.classified
    if found.counts is None:
        raise ValueError(
            "partial_fit goes on from a fit, whose rows it knows, and not from a file or from given mixtures: begin "
            "anew, or keep the classifier by pickle"
        )
    if classified.shared and not classified.alone:
        raise ValueError(SEVERAL)
    each = [classified.mixture] if classified.shared else list(classified.each)
    fixed = weights_fixed(priors) if classified.shared else {}
    models = [
        wanted.streamed(one.n_components, one.covariance_type, **fixed)._with(one._fitted()._replace(names=None))
        for one in each
    ]
    d = classified.mixture.n_features_in_
    return Stream(classified.classes, priors, tuple(models), found.counts, classified.names, d)


def learnt(
    known: Stream | None, batches: Iterable[Batch], classes: Any, wanted: Wanted, priors: Any, unlabelled: Any
) -> Stream:
    """What is known after some batches.

    known : before them, or None
    classes : the labels of all, or None: those of the first batch, or those that are known
    """
    if known is not None:
        check_same_classes(classes, known.classes)
    for batch in batches:
        if known is None:
            named = distinct_classes(batch.labels if classes is None else classes, unlabelled)
            known = begun(wanted, named, check_priors(priors, named))
        known = _after(known, batch, wanted, unlabelled)
    if known is None:
        raise ValueError("X has no rows of positive weight: nothing can be learnt")
    return known


def _after(stream: Stream, batch: Batch, wanted: Wanted, unlabelled: Any) -> Stream:
    """What is known after a batch; the stream is left as it was."""
    block = _known(stream, batch, unlabelled)
    weights = np.ones(len(block.rows)) if block.weights is None else block.weights
    counts = stream.counts * wanted.kept(float(weights.sum())) + block.counts
    if wanted.shared:
        models = [_after_all(stream, block, counts)]
    else:
        models = [_after_rows_of(model, block, g) for g, model in enumerate(stream.models)]
    names = batch.names if stream.names is None else stream.names
    return stream._replace(models=tuple(models), counts=counts, names=names, d=block.rows.shape[1])


def _after_all(stream: Stream, block: AtHand, counts: Array) -> GMM:
    """The mixture of all classes after the rows of a batch."""
    some = block.everything()
    try:
        return copy.copy(stream.models[0]).partial_fit(some.rows, None, some.weights, some.labels)
    except ValueError as error:
        lacking = stream.classes[counts == 0].tolist()
        if not lacking:
            raise
        raise ValueError(
            f"no row of class {lacking[0]!r} has come, and the first rows are to begin the mixture of all classes: "
            "give batches in which all classes come soon, a larger learning_rows, or shared=False"
        ) from error


def _after_rows_of(model: GMM, block: AtHand, g: int) -> GMM:
    """The mixture of a class after its rows of a batch."""
    own = block.of(g)
    if not len(own.rows):
        return model
    only = np.zeros(len(own.rows), dtype=np.intp) if model.n_components == 1 else None
    return copy.copy(model).partial_fit(own.rows, None, own.weights, only)


def _known(stream: Stream, batch: Batch, unlabelled: Any) -> AtHand:
    """The rows of a batch, whose classes and features are those of the stream."""
    d = batch.rows.shape[1]
    if stream.d is not None:
        warning = protocol.check_feature_names(batch.names, stream.names, CLASSIFIER)
        if warning:
            errors.warn(warning, UserWarning)
        check_features(d, stream.d, CLASSIFIER)
    of_row = indices_of(batch.labels, stream.classes, unlabelled)
    others = (of_row == UNKNOWN) & ~unlabelled_in(batch.labels, unlabelled)
    if others.any():
        label = batch.labels[others].tolist()[0]
        raise ValueError(f"y has the label {label!r}, which is none of the classes {stream.classes.tolist()}")
    if len(stream.models) > 1 and (of_row == UNKNOWN).any():
        raise ValueError("rows without a label are for fit, or for partial_fit with shared=True")
    return AtHand(batch.rows, batch.weights, Known(stream.classes, of_row), stream.priors, batch.names)
