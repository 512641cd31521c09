"""A fitted mixture in words and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from cgmm.bayesian import BayesianGMM
from cgmm.command.output import can_show
from cgmm.mixture.families import FAMILIES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.classification import GMMClassifier
    from cgmm.gmm import GMM
    from cgmm.mixture.criteria import Sums
    from cgmm.tables import Table
    from cgmm.types import Array, ArrayLike

MOST_FEATURES, MOST_COMPONENTS = 8, 30  # That a table of components shows: more would not fit a terminal.


def of_fit(
    model: GMM | BayesianGMM,
    X: ArrayLike | Table,
    sample_weight: Array | None,
    errors: ArrayLike | None,
    seconds: float,
) -> str:
    """A model, and how well it explains the rows X from which it was learned in so many seconds."""
    sums = model._evaluations(X, sample_weight, errors=errors).sums()
    weight = sums.total_weight
    weighted = f", of weight {weight:.6g}" * (weight != sums.n)
    rows = {"rows": f"{sums.n}{weighted}"}
    facts = rows | _facts(model) | _goodness(model, sums) | {"seconds": f"{seconds:.3g}"}
    return lines_of(facts) + "\n\n" + _components(model)


def _goodness(model: GMM | BayesianGMM, sums: Sums) -> dict[str, str]:
    """How well a model explains the rows of which these are the sums."""
    if isinstance(model, BayesianGMM):
        return _bound(model)
    criteria = sums.criteria()
    return {
        "log-likelihood": f"{criteria.log_likelihood:.8g} ({criteria.log_likelihood / sums.total_weight:.6g} a row)",
        "BIC": f"{criteria.bic:.8g}",
    }


def _bound(model: BayesianGMM) -> dict[str, str]:
    return {"lower bound": f"{model.lower_bound_:.8g}"} if model.n_iter_ else {}


def as_text(model: GMM | BayesianGMM) -> str:
    """What a model is."""
    if isinstance(model, BayesianGMM):
        history = _bound(model)
    else:
        history = {"log-likelihood": f"{model.lower_bound_:.6g} a row"} if model.n_iter_ else {}
    return lines_of(_facts(model) | history) + "\n\n" + _components(model)


def as_json(model: GMM | BayesianGMM) -> str:
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
        **(_beliefs(model) if isinstance(model, BayesianGMM) else {}),
    }
    text = json.dumps(facts, indent=2, ensure_ascii=False)
    return text if can_show(text) else json.dumps(facts, indent=2)


def _beliefs(model: BayesianGMM) -> dict[str, object]:
    """What a posterior has besides; nothing if its parts were assigned."""
    names = ("n_effective", "weight_concentration", "mean_precision", "degrees_of_freedom")
    found = {name: getattr(model, f"{name}_", None) for name in names}
    return {name: np.asarray(value).tolist() for name, value in found.items() if value is not None}


def components(model: GMM | BayesianGMM) -> list[str]:
    """What the components are called."""
    return [f"component_{c}" for c in range(model.n_components)]


def feature_names(model: GMM | BayesianGMM | GMMClassifier) -> list[str] | None:
    """Those of the features, if a model knows them."""
    return list(getattr(model, "feature_names_in_", ())) or None


def _facts(model: GMM | BayesianGMM) -> dict[str, str]:
    k, d, names = model.n_components, model.n_features_in_, feature_names(model)
    more = (", …" if can_show("…") else ", ...") * (d > MOST_FEATURES)
    told = "" if names is None else f" ({', '.join(map(on_a_line, names[:MOST_FEATURES]))}{more})"
    ended = "converged" if model.converged_ else "did not converge"
    return {
        "components": f"{k}, {model.covariance_type}{_living(model)}",
        "features": f"{d}{told}",
        "parameters": f"{model._n_parameters()}",
        "fit": f"{ended} in {model.n_iter_} iterations" if model.n_iter_ else "none: the parameters were given",
    }


def _living(model: GMM | BayesianGMM) -> str:
    """How many components of a posterior live."""
    living = getattr(model, "n_effective_", None) if isinstance(model, BayesianGMM) else None
    return "" if living is None else f"; {living} live"


def on_a_line(name: str) -> str:
    return " ".join(name.split())


def lines_of(facts: Mapping[str, str]) -> str:
    width = max(map(len, facts)) + 2
    return "\n".join(f"{name:{width}}{value}" for name, value in facts.items())


def _components(model: GMM | BayesianGMM) -> str:
    """A table: the weight of each component, and mean ± standard deviation of each feature."""
    shape = k, d = model.means_.shape
    deviations = np.sqrt(FAMILIES[model.covariance_type].variances(model.covariances_, *shape))
    names = feature_names(model) or [f"feature {j}" for j in range(d)]
    head = ["component", "weight", *map(on_a_line, names[:MOST_FEATURES])]
    lines, sign = [head], "±" if can_show("±") else "+-"
    for c in range(min(k, MOST_COMPONENTS)):
        values = zip(model.means_[c, :MOST_FEATURES], deviations[c], strict=False)
        lines.append([f"{c}", f"{model.weights_[c]:.4f}", *(f"{mean:.5g} {sign} {sd:.3g}" for mean, sd in values)])
    more = []
    if d > MOST_FEATURES:
        more.append(f"{d - MOST_FEATURES} features")
    if k > MOST_COMPONENTS:
        more.append(f"{k - MOST_COMPONENTS} components")
    return aligned(lines) + (f"\nand {' and '.join(more)} more" if more else "")


def aligned(lines: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join("  ".join(map(str.rjust, line, widths)) for line in lines)
