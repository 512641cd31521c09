"""Classes that are made of mixtures which are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.classes.classified import Classified
from cgmm.classes.known import check_priors
from cgmm.gmm import GMM

if TYPE_CHECKING:
    from collections.abc import Sequence


def of_given(mixtures: GMM | Sequence[GMM], classes: Any, priors: Any) -> tuple[bool, list[GMM], Classified]:
    """Whether one mixture is given, whose components are classes; all that are given; and the classes that they make.

    ValueError or TypeError says what does not go together.
    """
    each = [mixtures] if isinstance(mixtures, GMM) else list(mixtures)
    for mixture in each:
        if not isinstance(mixture, GMM):
            raise TypeError(f"mixtures must be of class GMM, not {type(mixture).__name__}")
    if len({mixture._mixture.d for mixture in each}) != 1:
        raise ValueError("mixtures must be at least one, and all of the same number of features")
    shared = isinstance(mixtures, GMM)
    count = each[0]._mixture.k if shared else len(each)
    labels = np.arange(count) if classes is None else np.asarray(classes)
    if labels.shape != (count,):
        raise ValueError(f"classes must name each of the {count} classes, and has the shape {labels.shape}")
    order = np.argsort(labels, kind="stable")
    if len(np.unique(labels)) != count:
        raise ValueError("classes must differ from each other")
    own = check_priors(priors, labels)
    if shared:
        ordered = each[0]._made(each[0]._mixture.taken(order), each[0]._fitted().names)
        classified = Classified.of_components(labels[order], ordered, None if own is None else own[order])
    else:
        own = np.full(count, 1 / count) if own is None else own
        classified = Classified.of_mixtures(labels[order], [each[g] for g in order], own[order])
    return shared, each, classified
