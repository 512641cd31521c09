"""A fitted mixture in words and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from cgmm.command.output import can_show
from cgmm.mixture.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.gmm import GMM
    from cgmm.tables import Table
    from cgmm.types import Array, ArrayLike

MOST_FEATURES, MOST_COMPONENTS = 8, 30  # That a table of components shows: more would not fit a terminal.


def of_fit(
    model: GMM, X: ArrayLike | Table, sample_weight: Array | None, errors: ArrayLike | None, seconds: float
) -> str:
    """A model, and how well it explains the rows X from which it was learned in so many seconds."""
    sums = model._evaluations(X, sample_weight, errors=errors).sums()
    weight, criteria = sums.total_weight, sums.criteria()
    weighted = f", of weight {weight:.6g}" * (weight != sums.n)
    rows = {"rows": f"{sums.n}{weighted}"}
    criteria = {
        "log-likelihood": f"{criteria.log_likelihood:.8g} ({criteria.log_likelihood / weight:.6g} a row)",
        "BIC": f"{criteria.bic:.8g}",
        "seconds": f"{seconds:.3g}",
    }
    return _lines(rows | _facts(model) | criteria) + "\n\n" + _components(model)


def as_text(model: GMM) -> str:
    """What a model is."""
    history = {"log-likelihood": f"{model.lower_bound_:.6g} a row"} if model.n_iter_ else {}
    return _lines(_facts(model) | history) + "\n\n" + _components(model)


def as_json(model: GMM) -> str:
    """All that a model is; numbers are read back exactly, and names that the terminal cannot show are escaped."""
    names = feature_names(model)
    facts = {
        "n_components": model.n_components,
        "covariance_type": model.covariance_type,
        "n_features": model.n_features_in_,
        "feature_names": names,
        "n_parameters": model._n_parameters(),
        "converged": model.converged_,
        "n_iter": model.n_iter_,
        "lower_bound": float(model.lower_bound_) if model.n_iter_ else None,
        "weights": model.weights_.tolist(),
        "means": model.means_.tolist(),
        "covariances": model.covariances_.tolist(),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    return text if can_show(text) else json.dumps(facts, indent=2)


def feature_names(model: GMM) -> list[str] | None:
    """Those of the features, if a model knows them."""
    return list(getattr(model, "feature_names_in_", ())) or None


def _facts(model: GMM) -> dict[str, str]:
    k, d, names = model.n_components, model.n_features_in_, feature_names(model)
    more = (", …" if can_show("…") else ", ...") * (d > MOST_FEATURES)
    told = "" if names is None else f" ({', '.join(map(_on_a_line, names[:MOST_FEATURES]))}{more})"
    ended = "converged" if model.converged_ else "did not converge"
    return {
        "components": f"{k}, {model.covariance_type}",
        "features": f"{d}{told}",
        "parameters": f"{model._n_parameters()}",
        "fit": f"{ended} in {model.n_iter_} iterations" if model.n_iter_ else "none: the parameters were given",
    }


def _on_a_line(name: str) -> str:
    return " ".join(name.split())


def _lines(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in facts.items())


def _components(model: GMM) -> str:
    """A table: the weight of each component, and mean ± standard deviation of each feature."""
    shape = k, d = model.means_.shape
    deviations = np.sqrt(FAMILIES[model.covariance_type].variances(model.covariances_, *shape))
    names = feature_names(model) or [f"feature {j}" for j in range(d)]
    head = ["component", "weight", *map(_on_a_line, names[:MOST_FEATURES])]
    lines, sign = [head], "±" if can_show("±") else "+-"
    for c in range(min(k, MOST_COMPONENTS)):
        values = zip(model.means_[c, :MOST_FEATURES], deviations[c], strict=False)
        lines.append([f"{c}", f"{model.weights_[c]:.4f}", *(f"{mean:.5g} {sign} {sd:.3g}" for mean, sd in values)])
    more = []
    if d > MOST_FEATURES:
        more.append(f"{d - MOST_FEATURES} features")
    if k > MOST_COMPONENTS:
        more.append(f"{k - MOST_COMPONENTS} components")
    return _aligned(lines) + (f"\nand {' and '.join(more)} more" if more else "")


def _aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)
