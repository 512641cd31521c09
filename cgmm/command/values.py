"""The commands that write a value, or several, for each row."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from cgmm.bayesian import BayesianGMM
from cgmm.classification import GMMClassifier
from cgmm.command import classes, inputs, summary
from cgmm.command.formats import columns_of
from cgmm.command.output import has_types, needs_names, show, write_rows
from cgmm.command.summary import as_json
from cgmm.errors import InvalidParameterError, counted
from cgmm.rows.evaluation import NO_PREDICTIVE

if TYPE_CHECKING:
    from cgmm.tables import Table
    from cgmm.types import Array

MOST_VALUES = 1 << 23  # Responsibilities that are held at once: 64 MiB of them.


def predict(args: Namespace) -> None:
    """Write the label of each row: its most probable component, or class."""
    model, table = inputs.applied_to(args)

    def labels(rows: Any, errors: Any) -> Any:
        found = model.predict(rows, *errors)
        return found.astype(str) if found.dtype.hasobject else found

    _write(args, model, table, ["label"], labels)


def responsibilities(args: Namespace) -> None:
    """Write the responsibilities of each row, or the probabilities of classes."""
    model, table = inputs.applied_to(args)
    names = classes.names(model) if isinstance(model, GMMClassifier) else list(model.component_names_)
    k = model.mixture_.n_components if isinstance(model, GMMClassifier) else len(names)
    _write(args, model, table, names, lambda rows, errors: model.predict_proba(rows, *errors), MOST_VALUES // k)


def score(args: Namespace) -> None:
    """Write the log-likelihood of each row, or of a posterior its predictive one, and tell their mean."""
    found, table = inputs.applied_to(args)
    model = inputs.mixture_of(found)
    told, of = "log_likelihood", model.score_samples
    if isinstance(model, BayesianGMM):
        if args.error_columns is not None:
            raise InvalidParameterError(f"--error-columns: {NO_PREDICTIVE} in Python")
        told, of = "log_predictive", model.log_predictive
    sums: list[tuple[float, float]] = []

    def values(rows: Any, errors: Any, weights: Array | None) -> Any:
        found = of(rows, *errors)
        sums.append(_weighted(found, weights))
        return found

    if args.mean:
        for block, _ in inputs.watched(args, table):
            values(inputs.under_names(model, block.rows), inputs.errors_of(block), block.weights)
    else:
        _write(args, model, table, [told], values, weighted=True)
    total, weight = map(math.fsum, zip(*sums, strict=True)) if sums else (0.0, 0.0)
    if args.mean:
        if not weight:
            raise ValueError(f"{table.path} has no rows" + (" of positive weight" if sums else ""))
        show(as_json({f"mean_{told}": total / weight}) if args.json else f"{total / weight}")
    elif weight and not args.quiet:
        name = "log-likelihood" if told == "log_likelihood" else "predictive log-density"
        print(f"mean {name} of a row: {total / weight:.10g}", file=sys.stderr)


def sample(args: Namespace) -> None:
    """Write rows drawn from the mixture, ordered by component."""
    inputs.check_output(args)
    model = inputs.mixture_of(inputs.load(args.model))
    d = model.n_features_in_
    try:
        if args.rows > sys.maxsize // (8 * d):  # bytes that an array can count
            raise MemoryError
        rows, _ = model.set_params(random_state=args.seed).sample(args.rows)
    except MemoryError:
        raise InvalidParameterError(
            f"-n {args.rows}: so many rows of {counted(d, 'feature')} do not fit into memory: draw fewer at a time, "
            "each time with another --seed"
        ) from None
    names = summary.feature_names(model)
    if names is None and _has_names(args):
        names = [f"feature_{j}" for j in range(d)]
    write_rows(args.output, names, [rows], args.json)


def _write(
    args: Namespace,
    model: Any,
    table: Table,
    names: list[str],
    of: Callable[..., Any],
    step: int = MOST_VALUES,
    weighted: bool = False,
) -> None:
    """Write of(rows, errors) for all rows, `step` at a time, beside the columns that are kept; under names if the data
    have names, or the format needs them.

    weighted : of takes the rows' weights, too
    """
    for name in names:
        if name in table.kept_names:
            raise InvalidParameterError(
                f"{table.path} has a column {name!r} already, beside which the new {name!r} cannot stand: choose the "
                "columns that are kept with --keep"
            )

    typed = args.json or has_types(args.output)

    def blocks() -> Iterator[Any]:
        for block, kept in inputs.watched(args, table):
            if typed:  # of texts those that are known to be numbers are no texts there
                places = zip(kept, table.kept_places, strict=True)
                kept = [
                    block.rows[:, place] if place is not None and isinstance(column, list) else column
                    for column, place in places
                ]
            for start in range(0, len(block.rows), max(1, step)):
                some = slice(start, start + max(1, step))
                errors = inputs.errors_of(block, some)
                weights = [None if block.weights is None else block.weights[some]] if weighted else []
                found = of(inputs.under_names(model, block.rows[some]), errors, *weights)
                yield [*(column[some] for column in kept), *columns_of(found)] if kept else found

    told = None if table.names is None and not _has_names(args) else [*table.kept_names, *names]
    write_rows(args.output, told, blocks(), args.json, table.kept_metadata)


def _has_names(args: Namespace) -> bool:
    """Whether what is written has names, whatever the data have."""
    return bool(args.json or args.csv or needs_names(args.output))


def _weighted(values: Array, weights: Array | None) -> tuple[float, float]:
    """Σ w v and Σ w."""
    if weights is None:
        return float(values.sum()), float(len(values))
    return float(weights @ values), float(weights.sum())
