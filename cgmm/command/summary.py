"""What the command line tells of a model that was fitted or loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cgmm.command.flags import spelled
from cgmm.command.output import can_show, show, show_table
from cgmm.summary import columns_of

if TYPE_CHECKING:
    from argparse import Namespace

    from cgmm.bayesian import BayesianGMM
    from cgmm.classification import GMMClassifier
    from cgmm.gmm import GMM
    from cgmm.summary import Summary
    from cgmm.tables import Table
    from cgmm.types import Array, ArrayLike


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
    first, last = {"rows": f"{sums.n}{weighted}"}, {"seconds": f"{seconds:.3g}"}
    return model._summarised(sums).with_facts(first, last, {"rows": sums.n, "seconds": seconds})


def show_summary(found: Summary, args: Namespace) -> None:
    """Print a summary in signs that the terminal can show; its notes name options, as messages do."""
    found = replace(found, notes=tuple(spelled(note, args) for note in found.notes))
    show(found.to_text(ascii=not can_show("±")))


def show_model(args: Namespace, found: Summary, model: Any) -> None:
    """Print a model in the format that is asked for."""
    if args.json:
        show(as_json(found.to_dict()))
    elif args.csv:
        show_table(*_table(model))
    else:
        show_summary(found, args)


def _table(model: Any) -> tuple[list[str], list[list[object]]]:
    """The parameters, a row for each component; of a classifier with the class of each."""
    mixture = getattr(model, "mixture_", model)
    state = mixture._fitted()
    columns = {"component": list(state.component_names or range(state.fit.parameters.k))}
    if mixture is not model:
        columns["class"] = model.component_classes_.tolist()
    columns |= {name: values.tolist() for name, values in columns_of(state.fit.parameters, state.names).items()}
    return list(columns), [list(row) for row in zip(*columns.values(), strict=True)]


def as_json(values: Any) -> str:
    """Values as JSON; numbers are read back exactly, and names that the terminal cannot show are escaped."""
    text = json.dumps(values, indent=2, ensure_ascii=False)
    return text if can_show(text) else json.dumps(values, indent=2)


def feature_names(model: GMM | BayesianGMM | GMMClassifier) -> list[str] | None:
    """Those of the features, if a model knows them."""
    return list(getattr(model, "feature_names_in_", ())) or None
