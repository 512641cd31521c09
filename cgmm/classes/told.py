"""A classifier for people: see cgmm.summary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np

from cgmm.classes.known import UNKNOWN, indices_of
from cgmm.errors import counted
from cgmm.mixture.criteria import Sums, information
from cgmm.summary import Grid, Summary, counted_features, on_a_line

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.classes.fitting import Found
    from cgmm.types import Array

MOST_CLASSES = 30  # That a table names: more would not fit a terminal.


class Predicted(NamedTuple):
    """How a classifier predicts rows whose classes are known: of several parts of them this adds up.

    unknown : how many are of none of the classes
    weights, right : (C,) the weight of the rows of each class, and of those that are predicted rightly
    sums : of the density of all classes together
    """

    unknown: int
    weights: Array
    right: Array
    sums: Sums

    @classmethod
    def of(
        cls,
        classes: NDArray[Any],
        labels: NDArray[Any],
        predicted: NDArray[Any],
        row_weights: Array | None,
        sums: Sums,
    ) -> Self:
        """Of rows with labels (n,) and weights (n,) or None, for which these (n,) are predicted."""
        own = indices_of(labels, classes, None)
        known = own != UNKNOWN
        of_row = np.ones(len(own)) if row_weights is None else row_weights
        right = known & (predicted == labels)
        all_of, right_of = (
            np.bincount(own[some], of_row[some], len(classes)).astype(np.float64) for some in (known, right)
        )
        return cls(int((~known).sum()), all_of, right_of, sums)

    def __add__(self, other: Any) -> Predicted:
        return Predicted(*(mine + theirs for mine, theirs in zip(self, other, strict=True)))


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
    each: list[float | None] | None = None
    if rows is not None:
        some = f", {rows.unknown} of them of unknown class" * bool(rows.unknown)
        share, bic = _share(rows.right.sum(), rows.weights.sum()), bic_of(rows.sums, classified.n_parameters)
        each = list(map(_share, rows.right, rows.weights))
        facts = {"rows": f"{rows.sums.n}{some}", **facts, "right": f"{_percent(share)} of these rows"}
        facts["BIC"] = f"{bic:.8g} (smaller is better, for the same rows)"
        values |= {"right": share, "right_of_classes": each, "bic": bic}
    title = f"{kind} of {counted(len(classified.classes), 'class', 'classes')} in {counted(d, 'feature')}"
    return Summary(title, facts, _grid(found, each), (), values)


def bic_of(sums: Sums, n_parameters: int) -> float:
    """The Bayesian information criterion of so many free parameters, the priors not among them."""
    sums = sums.times_power_of_two(sums.exponent)
    return float(information(sums.log_likelihood, sums.number, n_parameters)[1])


def _share(right: float, weight: float) -> float | None:
    """What part of a weight is right; None of no rows."""
    return float(right / weight) if weight else None


def _percent(share: float | None) -> str:
    return "none" if share is None else f"{share:.2%}"


def _ended(found: Found) -> str:
    how = "converged" if found.converged else "did not converge"
    return f"{how} in {counted(found.n_iter, 'iteration')}"


def _grid(found: Found, right: list[float | None] | None) -> Grid:
    """A line for each class: its probability, components and family, and the share of its rows predicted rightly."""
    classified = found.classified
    parts = list(zip(classified.classes.tolist(), classified.priors, classified.each, strict=True))
    lines = []
    for g, (name, prior, mixture) in enumerate(parts[:MOST_CLASSES]):
        share = [] if right is None else [_percent(right[g])]
        line = [on_a_line(name), f"{prior:.4f}", f"{mixture.n_components}", mixture.covariance_type]
        lines.append([*line, *share])
    more = len(parts) - MOST_CLASSES
    head = ["class", "prior", "components", "family", *(["right"] if right else [])]
    return Grid(head, lines, f"and {counted(more, 'class', 'classes')} more" if more > 0 else "")
