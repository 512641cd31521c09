"""What each command of the command line does with its arguments."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator
from pathlib import PurePath
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import bootstrapped, combined, many, persistence, selection
from cgmm.bayesian import BayesianGMM
from cgmm.classification import GMMClassifier
from cgmm.command import classes, problems, progress, summary
from cgmm.command.output import STANDARD_OUTPUT, can_show, show, show_table, write_rows
from cgmm.errors import InvalidParameterError, SelectionWarning, warn
from cgmm.files import check_writable, write_whole
from cgmm.gmm import GMM
from cgmm.plot import style
from cgmm.tables import Block, Frame, Table, gather, open_reader

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TypeAlias

    from cgmm.tables.readers import Reader
    from cgmm.types import Array, Rows

    Model: TypeAlias = GMM | BayesianGMM

MOST_VALUES = 1 << 23  # Responsibilities that are held at once: 64 MiB of them.
LARGE = 1 << 28  # Bytes of a file: a fit reads a larger one anew in each pass, and holds a smaller one in memory.
MODELS: Mapping[str, type[Model]] = {"GMM": GMM, "BayesianGMM": BayesianGMM}  # By the names of their kinds in files.
# Options of a fit that are for variational Bayes only, and those that are not for it, by the names of arguments.
OF_BELIEFS = (
    "weight_concentration_prior_type",
    "weight_concentration_prior",
    "mean_precision_prior",
    "degrees_of_freedom_prior",
)
OF_POINTS = ("stop", "accelerate", "prior", "criterion")
MOST_DRAWN = 100_000  # Rows in a picture, at most: of more, a sample is drawn.


def fit(args: Namespace) -> None:
    """Fit a mixture, print what it is, save it."""
    X, companions = _learned_from(args)
    kind = BayesianGMM if args.bayesian else GMM
    model = kind(args.components, covariance_type=args.covariance, verbose=2 * args.verbose, **_settings(args))
    start = perf_counter()
    with progress.iterations() as callback, contextlib.redirect_stdout(sys.stderr):
        model.set_params(callback=callback)
        model.fit(X, **companions)
    seconds = perf_counter() - start
    _conclude(args, model.set_params(verbose=0, callback=None), X, companions, seconds)


def select(args: Namespace) -> None:
    """Fit mixtures of several sizes and families, print how they compare, save the best."""
    X, companions = _learned_from(args)
    start = perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        found, notes = selection.selected(
            X,
            args.components,
            args.covariance,
            criterion=args.criterion,
            **companions,
            verbose=2 if args.verbose else int(progress.possible()),
            **_settings(args),
        )
    for note in notes if args.csv or args.sort else ():  # what is printed else ends with them
        warn(note, SelectionWarning)
    seconds = perf_counter() - start
    if args.json or args.csv:
        _save(args, found.best)
        show(found.to_json(sort=args.sort) if args.json else found.to_csv(sort=args.sort).rstrip("\n"))
        return
    text = found.to_text(sort=True) if args.sort else repr(found)
    show(f"{text if can_show(text) else text.replace('Δ', 'd')}\n")
    _conclude(args, found.best, X, companions, seconds)


def classify(args: Namespace) -> None:
    """Fit the densities of classes, print how well they tell them apart, save the classifier."""
    _check_output(args)
    table = Table(_reader(args), args.columns, args.weights, args.missing, args.by)
    data = gather(table, progress.watched(table.blocks()))
    rows, labels = data.rows[:, :-1], table.labels(data.rows[:, -1])
    X = _framed(rows, None if table.names is None else table.names[:-1])
    model = GMMClassifier(
        args.components,
        args.covariance,
        args.shared,
        criterion=args.criterion,
        unlabelled=classes.label(args.unlabelled, labels),
        **_settings(args),
    )
    start = perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        model.fit(X, labels, data.weights)
    seconds = perf_counter() - start
    if args.output is not None:
        model.save(args.output)
    show(classes.of_fit(model, X, labels, data.weights, seconds))


def fit_many(args: Namespace) -> None:
    """Fit a mixture to the rows of each group, or to each column, print a table of all components, save the fits."""
    if args.by is None and not args.each_column:
        raise InvalidParameterError("say what is fitted by itself: each group (--by COLUMN), or --each-column")
    if args.by is not None and args.each_column and args.output is not None:
        raise InvalidParameterError("the fits of each column in each group are no file: choose one column, or none")
    _check_output(args)
    table = Table(_reader(args), args.columns, args.weights, args.missing, args.by)
    data = gather(table, progress.watched(table.blocks()))
    with contextlib.redirect_stdout(sys.stderr):
        found = _fits(args, table, data)
    if args.output is not None:
        found[0].fits.save(args.output)
    by = None if args.by is None else "group" if table.names is None else table.names[-1]
    show_table(*problems.table(found, by, args.each_column))


def _fits(args: Namespace, table: Table, data: Block) -> list[problems.Found]:
    """The fits of each group, of each column, or of each column in each group."""
    settings: dict[str, Any] = {"covariance_type": args.covariance, **_settings(args)}
    if args.bayesian:
        settings = {"model": BayesianGMM(**settings)}
    elif args.criterion is not None:
        settings["criterion"] = args.criterion
    arguments: dict[str, Any] = {
        "n_components": args.components,
        "sample_weight": data.weights,
        "on_error": "skip" if args.skip else "raise",
        "verbose": 2 if args.verbose else int(progress.possible()),
        **settings,
    }
    if args.by is None:
        return [problems.Found(many.fit_many(_framed(data.rows, table.names), columns=True, **arguments))]
    rows, groups = data.rows[:, :-1], table.labels(data.rows[:, -1])
    names = None if table.names is None else table.names[:-1]
    if not args.each_column:
        return [problems.Found(many.fit_many(_framed(rows, names), groups=groups, **arguments))]
    return [
        problems.Found(many.fit_many(rows[:, j : j + 1], groups=groups, **arguments), j if names is None else names[j])
        for j in range(rows.shape[1])
    ]


def predict(args: Namespace) -> None:
    """Write the label of each row: its most probable component, or class."""
    model, table = _applied_to(args)
    found = (model.predict(_named(model, block.rows), *_errors(block)) for block in _watched(args, table))
    _write(args, table, ["label"], (labels.astype(str) if labels.dtype.hasobject else labels for labels in found))


def responsibilities(args: Namespace) -> None:
    """Write the responsibilities of each row, or the probabilities of classes."""
    model, table = _applied_to(args)
    names = classes.names(model) if isinstance(model, GMMClassifier) else summary.components(model)
    step = max(1, MOST_VALUES // model.mixture_.n_components if isinstance(model, GMMClassifier) else len(names))

    def values() -> Iterator[Any]:
        for block in _watched(args, table):
            for start in range(0, len(block.rows), step):
                some = slice(start, start + step)
                errors = (some_of[some] for some_of in _errors(block))
                yield model.predict_proba(_named(model, block.rows[some]), *errors)

    _write(args, table, names, values())


def score(args: Namespace) -> None:
    """Write the log-likelihood of each row, or of a posterior its predictive one, and tell their mean."""
    found, table = _applied_to(args)
    model = _mixture(found)
    told, of = "log_likelihood", model.score_samples
    if isinstance(model, BayesianGMM):
        told, of = "log_predictive", model.log_predictive
    sums: list[tuple[float, float]] = []

    def values() -> Iterator[Any]:
        for block in _watched(args, table):
            found = of(_named(model, block.rows), *_errors(block))
            sums.append(_weighted(found, block.weights))
            yield found

    if args.mean:
        for _ in values():
            pass
    else:
        _write(args, table, [told], values())
    total, weight = map(math.fsum, zip(*sums, strict=True)) if sums else (0.0, 0.0)
    if not weight:
        raise ValueError(f"{table.path} has no rows" + (" of positive weight" if sums else ""))
    if args.mean:
        show(f"{total / weight}")
    else:
        name = "log-likelihood" if told == "log_likelihood" else "predictive log-density"
        print(f"mean {name} of a row: {total / weight:.10g}", file=sys.stderr)


def sample(args: Namespace) -> None:
    """Write rows drawn from the mixture, ordered by component."""
    _check_output(args)
    model = _mixture(_load(args.model))
    rows, _ = model.set_params(random_state=args.seed).sample(args.rows)
    write_rows(args.output, summary.feature_names(model), [rows])


def bootstrap(args: Namespace) -> None:
    """Print a table of all parameters, with their standard errors and intervals."""
    found, table = _applied_to(args)
    model = _point(found, args)
    data = gather(table, progress.watched(table.blocks()))
    told = bootstrapped.bootstrap(
        model,
        _named(model, data.rows),
        args.replicates,
        kind=args.kind,
        sample_weight=data.weights,
        random_state=args.seed,
    )
    show_table(["parameter", *bootstrapped.COLUMNS], told._rows(args.level))


def combine(args: Namespace) -> None:
    """Print which components are one cluster for each number of clusters, and write the cluster of each row."""
    found, table = _applied_to(args)
    model = _point(found, args)
    data = gather(table, progress.watched(table.blocks()))
    rows = _named(model, data.rows)
    merged = combined.combine(model, rows, sample_weight=data.weights)
    if args.output is not None:
        names = None if table.names is None else ["cluster"]
        write_rows(args.output, names, [merged.predict(rows, args.clusters)])
    show_table(["clusters", "entropy", "components", "elbow"], _merged(merged))


def _merged(found: combined.Combination) -> Iterator[list[Any]]:
    """For each number of clusters the entropy, the components that are one as "0+2 1", and whether it is the elbow."""
    for left in range(len(found.entropies), 0, -1):
        told = " ".join("+".join(map(str, components)) for components in found.clusters(left))
        yield [left, float(found.entropies[left - 1]), told, left == found.n_clusters]


def info(args: Namespace) -> None:
    """Print what a model is."""
    model = _load(args.model)
    told = classes if isinstance(model, GMMClassifier) else summary
    show(told.as_json(model) if args.json else told.as_text(model))


def plot(args: Namespace) -> None:
    """Draw the model and the rows."""
    pyplot = style.pyplot()
    pyplot.switch_backend("Agg")
    found, table = _applied_to(args)
    model = _mixture(found)
    rows = _some(table, np.random.default_rng(args.seed))
    if np.isnan(rows).any():
        rows = model.impute(_named(model, rows))
    kind = PurePath(args.output).suffix[1:] or "png"
    first = pyplot.figure(layout="constrained")
    model.plot(_named(model, rows))
    drawn = pyplot.gcf()  # the first, or one of the model's own making
    try:
        write_whole(args.output, lambda file: drawn.savefig(file, format=kind, dpi=args.dpi))
    finally:
        pyplot.close(first)
        pyplot.close(drawn)


def _learned_from(args: Namespace) -> tuple[Any, dict[str, Any]]:
    """All rows of a fit, and the arguments that bring their weights, known components and errors; or, if they are large
    and quickly read anew, the table that has rows, weights and errors."""
    _check_output(args)
    reader, errors = _reader(args), args.error_columns
    if args.labels is not None and errors is not None:
        raise InvalidParameterError(
            "--labels and --error-columns cannot be read together: GMM.fit takes both in Python"
        )
    table = Table(reader, args.columns, args.weights, args.missing, args.labels, errors)
    if args.labels is None and reader.binary and not reader.once and os.path.getsize(args.data) > LARGE:
        return table, {}
    data = gather(table, progress.watched(table.blocks()))
    companions = {"sample_weight": data.weights}
    if args.labels is None:
        return _framed(data.rows, table.names), companions | _measured(data.errors)
    labels = table.labels(data.rows[:, -1])
    if labels.dtype.kind not in "iuf":
        raise InvalidParameterError(
            f"--labels {args.labels} must be a column of component numbers, from 0, or -1 where one is not known; "
            "with a column of texts, 'cgmm classify' learns to tell classes apart"
        )
    names = None if table.names is None else table.names[:-1]
    return _framed(data.rows[:, :-1], names), companions | {"labels": labels}


def _measured(errors: Rows | None) -> dict[str, Rows]:
    """The argument that brings errors of measurement, where there are any."""
    return {} if errors is None else {"error_covariances": errors}


def _errors(block: Block) -> tuple[Rows, ...]:
    """What a verb is given of a block beside its rows."""
    return () if block.errors is None else (block.errors,)


def _load(path: str) -> Model | GMMClassifier:
    """The model of a file, of whatever kind."""
    if persistence.format_of(path) == persistence.CLASSES:
        return GMMClassifier.load(path)
    loaded = persistence.load(path, *MODELS)
    return MODELS[loaded.kind]._of_loaded(loaded)


def _mixture(model: Model | GMMClassifier) -> Model:
    """The mixture that a model is, or that of all classes together."""
    return model.mixture_ if isinstance(model, GMMClassifier) else model


def _point(model: Model | GMMClassifier, args: Namespace) -> GMM:
    """A mixture of points, not of what is believed of them; InvalidParameterError if the model is another."""
    mixture = _mixture(model)
    if isinstance(mixture, BayesianGMM):
        raise InvalidParameterError(f"this is for a GMM, and {args.model} holds a BayesianGMM")
    return mixture


def _applied_to(args: Namespace) -> tuple[Model | GMMClassifier, Table]:
    """A saved model, and the table to which it is applied: its own columns, if both know their names."""
    _check_output(args)
    model, reader = _load(args.model).set_params(n_threads=args.threads), _reader(args)
    columns = args.columns
    if columns is None and reader.names is not None:
        columns = summary.feature_names(model)
    errors = getattr(args, "error_columns", None)
    if errors is not None and not isinstance(model, GMM):
        raise InvalidParameterError(f"--error-columns are for a GMM, and {args.model} holds a {type(model).__name__}")
    table = Table(reader, columns, getattr(args, "weights", None), model.missing, errors=errors)
    if table.d != model.n_features_in_:
        raise ValueError(
            f"{table.path} has {table.d} columns, but the model {model.n_features_in_} features: "
            "choose as many with --columns"
        )
    return model, table


def _reader(args: Namespace) -> Reader:
    return open_reader(args.data, args.header, args.delimiter, args.array)


def _settings(args: Namespace) -> dict[str, Any]:
    """The arguments of a model that fit and select share, but for those that are left to its defaults."""
    names = {
        "n_init": args.n_init,
        "tol": args.tol,
        "stop": vars(args).get("stop"),
        "accelerate": args.accelerate,
        "max_iter": args.max_iter,
        "reg_covar": args.reg_covar,
        "init_params": args.init,
        "prior": args.prior,
        "missing": args.missing,
        "random_state": args.seed,
        "n_threads": args.threads,
    }
    bayesian = vars(args).get("bayesian", False)
    for name in OF_POINTS if bayesian else OF_BELIEFS:
        if vars(args).get(name) is not None:
            option = f"--{name.replace('_', '-')}"
            raise InvalidParameterError(f"{option} is not for --bayesian" if bayesian else f"{option} needs --bayesian")
    names |= {name: vars(args)[name] for name in OF_BELIEFS if bayesian}
    return {name: value for name, value in names.items() if value is not None}


def _framed(rows: Rows, names: Sequence[str] | None) -> Any:
    return rows if names is None else Frame(rows, names)


def _named(model: Model | GMMClassifier, rows: Rows) -> Any:
    """Rows under the names that a model gives to its features."""
    return _framed(rows, summary.feature_names(model))


def _weighted(values: Array, weights: Array | None) -> tuple[float, float]:
    """Σ w v and Σ w."""
    if weights is None:
        return float(values.sum()), float(len(values))
    return float(weights @ values), float(weights.sum())


def _some(table: Table, rng: np.random.Generator) -> Rows:
    """All rows, or MOST_DRAWN of them in their order: those to which the smallest of random keys fall."""
    rows, keys = np.empty((0, table.d)), np.empty(0)
    for block in progress.watched(table.blocks()):
        rows = np.concatenate([rows, block.rows])
        keys = np.concatenate([keys, rng.random(len(block.rows))])
        if len(keys) > MOST_DRAWN:
            kept = np.sort(np.argpartition(keys, MOST_DRAWN)[:MOST_DRAWN])
            rows, keys = rows[kept], keys[kept]
    return rows


def _watched(args: Namespace, table: Table) -> Iterator[Block]:
    """The blocks of a table, under a bar that does not disturb what is printed."""
    visible = args.output != STANDARD_OUTPUT or not sys.stdout.isatty()
    return progress.watched(table.blocks(), visible)


def _write(args: Namespace, table: Table, names: Sequence[str], blocks: Iterable[Any]) -> None:
    """The values of all rows; under names if the data have names."""
    write_rows(args.output, None if table.names is None else names, blocks)


def _conclude(args: Namespace, model: Model, X: Any, companions: Mapping[str, Any], seconds: float) -> None:
    """Save what was fitted, and tell what it is."""
    _save(args, model)
    show(summary.of_fit(model, X, companions.get("sample_weight"), companions.get("error_covariances"), seconds))


def _save(args: Namespace, model: Model) -> None:
    if args.output is not None:
        model.save(args.output)


def _check_output(args: Namespace) -> None:
    """That the result can be written, before there is one, and takes the place of nothing that it comes from."""
    if args.output in (None, STANDARD_OUTPUT):
        return
    for kind in ("model",) if args.run in (predict, responsibilities, score, sample) else ("model", "data"):
        path = vars(args).get(kind)
        if path is not None and _is_same_file(path, args.output):
            raise InvalidParameterError(f"{args.output} is the {kind} that is read: write to another file")
    check_writable(args.output)


def _is_same_file(a: str, b: str) -> bool:
    return os.path.isfile(a) and os.path.isfile(b) and os.path.samefile(a, b)
