"""A classifier for people: see cgmm.summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.errors import counted
from cgmm.summary import Grid, Summary, counted_features, on_a_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.classes.fitting import Found
    from cgmm.types import Array

MOST_CLASSES = 30  # That a table names: more would not fit a terminal.


class Predicted(NamedTuple):
    """Rows whose classes are known, as a classifier predicts them.

    labels, predicted : (n,);  weights : (n,) or None;  bic : of all rows
    """

    labels: NDArray[Any]
    predicted: NDArray[Any]
    weights: Array | None
    bic: float

    def right(self, counted: NDArray[Any]) -> float:
        """Of the weight of some rows, a mask (n,), that of those that are predicted rightly."""
        weights = None if self.weights is None else self.weights[counted]
        return float(np.average((self.predicted == self.labels)[counted], weights=weights))


def summary_of(kind: str, found: Found, rows: Predicted | None = None) -> Summary:
    """What a classifier has learnt, and how well it predicts rows, if they are given."""
    classified, mixture = found.classified, found.classified.mixture
    names, d = classified.names, mixture.n_features_in_
    facts = {
        "classes": f"{len(classified.classes)}",
        "features": counted_features(d, names),
        "parameters": f"{classified.n_parameters}",
        "fit": "none: the parameters were given" if not found.n_iter else _ended(found),
    }
    values: dict[str, Any] = {
        "model": kind,
        "classes": classified.classes.tolist(),
        "priors": classified.priors.tolist(),
        "n_features": d,
        "feature_names": None if names is None else list(names),
        "n_parameters": classified.n_parameters,
        "converged": found.converged,
        "n_iter": found.n_iter,
        "mixtures": [
            {
                "covariance_type": one.covariance_type,
                "weights": one.weights_.tolist(),
                "means": one.means_.tolist(),
                "covariances": one.covariances_.tolist(),
            }
            for one in classified.each
        ],
    }
    each = None
    if rows is not None:
        known = np.isin(rows.labels, classified.classes)
        some = f", {int((~known).sum())} of them of unknown class" * bool((~known).any())
        share, each = rows.right(known), [rows.right(rows.labels == own) for own in classified.classes]
        facts = {"rows": f"{len(rows.labels)}{some}", **facts, "right": f"{share:.2%} of these rows"}
        facts["BIC"] = f"{rows.bic:.8g} (of models of the same rows, the smaller is the better)"
        values |= {"right": share, "right_of_classes": each, "bic": rows.bic}
    title = f"{kind} of {counted(len(classified.classes), 'class', 'classes')} in {counted(d, 'feature')}"
    return Summary(title, facts, _grid(found, each), (), values)


def _ended(found: Found) -> str:
    how = "converged" if found.converged else "did not converge"
    return f"{how} in {counted(found.n_iter, 'iteration')}"


def _grid(found: Found, right: list[float] | None) -> Grid:
    """A line for each class: its probability, components and family, and the share of its rows predicted rightly."""
    classified = found.classified
    parts = list(zip(classified.classes.tolist(), classified.priors, classified.each, strict=True))
    lines = []
    for g, (name, prior, mixture) in enumerate(parts[:MOST_CLASSES]):
        share = [] if right is None else [f"{right[g]:.2%}"]
        line = [on_a_line(name), f"{prior:.4f}", f"{mixture.n_components}", mixture.covariance_type]
        lines.append([*line, *share])
    more = len(parts) - MOST_CLASSES
    head = ["class", "prior", "components", "family", *(["right"] if right else [])]
    return Grid(head, lines, f"and {counted(more, 'class', 'classes')} more" if more > 0 else "")
