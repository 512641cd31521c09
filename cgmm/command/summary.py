"""What the command line tells of a model that was fitted or loaded."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from cgmm.command.output import can_show, show

if TYPE_CHECKING:
    from cgmm.bayesian import BayesianGMM
    from cgmm.classification import GMMClassifier
    from cgmm.gmm import GMM
    from cgmm.summary import Summary
    from cgmm.tables import Table
    from cgmm.types import Array, ArrayLike

SIGNS = "±…"  # That summaries have beside ASCII.


def of_fit(
    model: GMM | BayesianGMM,
    X: ArrayLike | Table,
    sample_weight: Array | None,
    errors: ArrayLike | None,
    seconds: float,
) -> Summary:
    """A model, and how well it explains the rows X from which it was learned in so many seconds."""
    sums = model._evaluations(X, sample_weight, errors=errors).sums()
    weight = sums.total_weight
    weighted = f", of weight {weight:.6g}" * (weight != sums.n)
    return model._summarised(sums).with_facts({"rows": f"{sums.n}{weighted}"}, {"seconds": f"{seconds:.3g}"})


def show_summary(found: Summary) -> None:
    """Print a summary in signs that the terminal can show."""
    show(found.to_text(ascii=not can_show(SIGNS)))


def as_json(values: Any) -> str:
    """Values as JSON; numbers are read back exactly, and names that the terminal cannot show are escaped."""
    text = json.dumps(values, indent=2, ensure_ascii=False)
    return text if can_show(text) else json.dumps(values, indent=2)


def feature_names(model: GMM | BayesianGMM | GMMClassifier) -> list[str] | None:
    """Those of the features, if a model knows them."""
    return list(getattr(model, "feature_names_in_", ())) or None
