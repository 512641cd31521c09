"""A classifier in words and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.command.output import can_show
from cgmm.command.summary import aligned, feature_names, lines_of, on_a_line
from cgmm.errors import InvalidParameterError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.classification import GMMClassifier
    from cgmm.types import Array, ArrayLike

MOST_FEATURES, MOST_CLASSES = 8, 30  # That are named: more would not fit a terminal.


def label(text: str | None, labels: NDArray[Any]) -> str | float | None:
    """What the label of an unknown class is among labels that are texts or numbers."""
    if text is None or labels.dtype.kind in "US":
        return text
    try:
        return float(text)
    except ValueError:
        raise InvalidParameterError(f"the labels are numbers, and {text!r}, that of unknown classes, is none") from None


def names(model: GMMClassifier) -> list[str]:
    """What the classes are called."""
    return [str(name) for name in model.classes_.tolist()]


def of_fit(model: GMMClassifier, X: ArrayLike, labels: NDArray[Any], weights: Array | None, seconds: float) -> str:
    """A classifier, and how well it predicts the labels of the rows X from which it was learned in so many seconds."""
    known = np.isin(labels, model.classes_)
    predicted = model.predict(X)
    rows = {"rows": f"{len(labels)}" + f", {int((~known).sum())} of them of unknown class" * bool((~known).any())}
    told = {
        "right": f"{_share(predicted == labels, weights, known):.2%} of these rows",
        "BIC": f"{model.bic(X, weights):.8g}",
        "seconds": f"{seconds:.3g}",
    }
    right = [f"{_share(predicted == own, weights, labels == own):.2%}" for own in model.classes_]
    return lines_of(rows | _facts(model) | told) + "\n\n" + _table(model, right)


def as_text(model: GMMClassifier) -> str:
    """What a classifier is."""
    return lines_of(_facts(model)) + "\n\n" + _table(model)


def as_json(model: GMMClassifier) -> str:
    """All that a classifier is; numbers are read back exactly, and names that a terminal cannot show are escaped."""
    facts = {
        "classes": model.classes_.tolist(),
        "priors": model.priors_.tolist(),
        "n_features": model.n_features_in_,
        "feature_names": feature_names(model),
        "n_parameters": model._classified().n_parameters,
        "converged": model.converged_,
        "n_iter": model.n_iter_,
        "mixtures": [
            {
                "covariance_type": mixture.covariance_type,
                "weights": mixture.weights_.tolist(),
                "means": mixture.means_.tolist(),
                "covariances": mixture.covariances_.tolist(),
            }
            for mixture in model.mixtures_
        ],
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    return text if can_show(text) else json.dumps(facts, indent=2)


def _facts(model: GMMClassifier) -> dict[str, str]:
    known, d = feature_names(model), model.n_features_in_
    more = (", …" if can_show("…") else ", ...") * (d > MOST_FEATURES)
    told = "" if known is None else f" ({', '.join(map(on_a_line, known[:MOST_FEATURES]))}{more})"
    return {
        "classes": f"{len(model.classes_)}",
        "features": f"{d}{told}",
        "parameters": f"{model._classified().n_parameters}",
    }


def _table(model: GMMClassifier, right: list[str] | None = None) -> str:
    """A line for each class: its probability, components and family, and the share of its rows predicted rightly."""
    lines = [["class", "prior", "components", "family", *(["right"] if right else [])]]
    parts = zip(names(model), model.priors_, model.mixtures_, strict=True)
    for g, (name, prior, mixture) in enumerate(list(parts)[:MOST_CLASSES]):
        line = [on_a_line(name), f"{prior:.4f}", f"{mixture.n_components}", mixture.covariance_type]
        lines.append([*line, *([right[g]] if right else [])])
    more = len(model.classes_) - MOST_CLASSES
    return aligned(lines) + (f"\nand {more} classes more" if more > 0 else "")


def _share(right: NDArray[Any], weights: Array | None, counted: NDArray[Any]) -> float:
    """Of the weight of some rows, that of those that are predicted rightly."""
    return float(np.average(right[counted], weights=None if weights is None else weights[counted]))
