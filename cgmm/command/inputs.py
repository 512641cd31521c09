"""What the command line reads: data and models, and whether what it writes takes the place of neither."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import persistence
from cgmm.bayesian import BayesianGMM
from cgmm.classification import GMMClassifier
from cgmm.command import classes, progress, summary
from cgmm.command.output import STANDARD_OUTPUT
from cgmm.errors import InvalidParameterError, counted
from cgmm.files import check_writable
from cgmm.gmm import GMM
from cgmm.rows.row_errors import OfRows
from cgmm.tables import Block, Frame, Table, TableError, gather, open_reader
from cgmm.tables.origin import STANDARD_INPUT
from cgmm.tables.readers import listed

if TYPE_CHECKING:
    from typing import TypeAlias

    from cgmm.tables.readers import Reader
    from cgmm.types import Array, Rows

    Model: TypeAlias = GMM | BayesianGMM

LARGE = 1 << 28  # Bytes of a file: a fit reads a larger one anew in each pass, and holds a smaller one in memory.
MODELS: Mapping[str, type[Model]] = {"GMM": GMM, "BayesianGMM": BayesianGMM}  # By the names of their kinds in files.
MOST_DRAWN = 100_000  # Rows in a picture, at most: of more, a sample is drawn.


def learned_from(args: Namespace) -> tuple[Any, dict[str, Any]]:
    """All rows of a fit, and the arguments that bring their weights, known components and errors; or, if they are large
    and quickly read anew, the table that has rows, weights and errors."""
    check_output(args)
    reader, errors = reader_of(args), args.error_columns
    if args.labels is not None and errors is not None:
        raise InvalidParameterError(
            "--labels and --error-columns cannot be read together: GMM.fit takes both in Python"
        )
    table = Table(reader, args.columns, args.weights, args.missing, args.labels, errors, numeric=args.numeric)
    tell_left_out(args, table)
    if args.labels is None and is_read_anew(args, reader):
        return table, {}
    data = gather(table, progress.watched(table.blocks(), not args.quiet))
    companions = {"sample_weight": data.weights}
    if args.labels is None:
        return framed(data.rows, table.names), companions | error_argument(data.errors)
    labels = table.labels(data.rows[:, -1])
    if labels.dtype.kind not in "iuf":
        raise InvalidParameterError(
            f"--labels {args.labels} must be a column of component numbers, from 0, or -1 where one is not known; "
            "with a column of texts, 'cgmm classify' learns to tell classes apart"
        )
    names = None if table.names is None else table.names[:-1]
    return framed(data.rows[:, :-1], names), companions | {"labels": labels}


def classes_from(args: Namespace) -> tuple[Any, Any, Array | None, str | float | None]:
    """All rows of classes, their labels, their weights, and the label of unknown classes; or, if the rows are large and
    quickly read anew, the table that has rows and weights, and the column of the labels in it."""
    check_output(args)
    reader = reader_of(args)
    table = Table(reader, args.columns, args.weights, args.missing, args.by, numeric=args.numeric)
    tell_left_out(args, table)
    blocks = progress.watched(table.blocks(), not args.quiet)
    if is_read_anew(args, reader) and args.criterion != "cv":  # which needs them in memory
        known = () if args.unlabelled is None else {one for block in blocks for one in block.rows[:, -1].tolist()}
        return table, args.by, None, classes.label(args.unlabelled, table.labels(np.array(sorted(known))))
    data = gather(table, blocks)
    labels = table.labels(data.rows[:, -1])
    X = framed(data.rows[:, :-1], None if table.names is None else table.names[:-1])
    return X, labels, data.weights, classes.label(args.unlabelled, labels)


def is_read_anew(args: Namespace, reader: Reader) -> bool:
    """Whether a fit reads the rows in each pass, and does not hold them in memory."""
    return reader.binary and not reader.once and os.path.getsize(args.data) > LARGE


def error_argument(errors: Rows | None) -> dict[str, Rows]:
    """The argument that brings errors of measurement, where there are any."""
    return {} if errors is None else {"error_covariances": errors}


def errors_of(block: Block, some: slice = slice(None)) -> tuple[OfRows, ...]:
    """What a verb is given of some rows of a block beside them."""
    return () if block.errors is None else (OfRows(block.errors[some]),)


def load(path: str) -> Model | GMMClassifier:
    """The model of a file, of whatever kind."""
    if path == STANDARD_INPUT:
        raise InvalidParameterError("a model must be in a regular file, not on standard input: name that file")
    if persistence.format_of(path) == persistence.CLASSES:
        return GMMClassifier.load(path)
    loaded = persistence.load(path, *MODELS)
    return MODELS[loaded.kind]._of_loaded(loaded)


def mixture_of(model: Model | GMMClassifier) -> Model:
    """The mixture that a model is, or that of all classes together."""
    return model.mixture_ if isinstance(model, GMMClassifier) else model


def point_of(model: Model | GMMClassifier, args: Namespace) -> GMM:
    """A mixture of points, not of what is believed of them; InvalidParameterError if the model is another."""
    mixture = mixture_of(model)
    if isinstance(mixture, BayesianGMM):
        raise InvalidParameterError(f"this is for a GMM, and {args.model} holds a BayesianGMM")
    return mixture


def applied_to(args: Namespace) -> tuple[Model | GMMClassifier, Table]:
    """A saved model, and the table to which it is applied: its own columns, in its order, if both know their names."""
    check_output(args)
    model, reader = load(args.model).set_params(n_threads=args.threads), reader_of(args)
    features = None if reader.names is None else summary.feature_names(model)
    columns = features if args.columns is None else args.columns
    errors = getattr(args, "error_columns", None)
    if errors is not None and isinstance(model, GMMClassifier):
        raise InvalidParameterError(f"--error-columns are for a mixture, and {args.model} holds a GMMClassifier")
    kept = getattr(args, "keep", None)
    kept = range(reader.width) if getattr(args, "append", False) else kept
    weights = getattr(args, "weights", None)
    table = Table(reader, columns, weights, model.missing, errors=errors, keep=kept, numeric=args.numeric)
    tell_left_out(args, table)
    if features is not None and table.names is not None:
        return model, table.in_order(features)
    if table.d != model.n_features_in_:
        raise ValueError(
            f"{table.path} has {counted(table.d, 'column')}, but the model {counted(model.n_features_in_, 'feature')}: "
            "choose as many with --columns"
        )
    return model, table


def reader_of(args: Namespace) -> Reader:
    return open_reader(args.data, args.header, args.delimiter, args.array, args.decimal)


def tell_left_out(args: Namespace, table: Table) -> None:
    """Say which columns --numeric has left out."""
    if table.left_out and not args.quiet:
        print(f"cgmm: left out, for they hold no numbers: {listed(table.left_out)}", file=sys.stderr)


def framed(rows: Rows, names: Sequence[str] | None) -> Any:
    return rows if names is None else Frame(rows, names)


def under_names(model: Model | GMMClassifier, rows: Rows) -> Any:
    """Rows under the names that a model gives to its features."""
    return framed(rows, summary.feature_names(model))


def some_rows(args: Namespace, table: Table, rng: np.random.Generator) -> tuple[Rows, int]:
    """All rows, or MOST_DRAWN of them in their order: those to which the smallest of random keys fall; and how many
    there are; TableError if there is none."""
    rows, keys, n = np.empty((0, table.d)), np.empty(0), 0
    for block in progress.watched(table.blocks(), not args.quiet):
        n += len(block.rows)
        rows = np.concatenate([rows, block.rows])
        keys = np.concatenate([keys, rng.random(len(block.rows))])
        if len(keys) > MOST_DRAWN:
            kept = np.sort(np.argpartition(keys, MOST_DRAWN)[:MOST_DRAWN])
            rows, keys = rows[kept], keys[kept]
    if not n:
        raise TableError(f"{table.path} has no rows")
    return rows, n


def watched(args: Namespace, table: Table) -> Iterator[tuple[Block, list[Any]]]:
    """The blocks of a table, and what is kept of them, under a bar that does not disturb what is printed."""
    visible = not args.quiet and (args.output != STANDARD_OUTPUT or not sys.stdout.isatty())
    return progress.watched_pieces(table.pieces(), visible)


def check_output(args: Namespace) -> None:
    """That results can be written, before there are any, and take the place of nothing that they come from."""
    outputs = [args.output, vars(args).get("checkpoint")]
    for output in outputs:
        if output in (None, STANDARD_OUTPUT):
            continue
        for kind in ("model", "data"):
            path = vars(args).get(kind)
            if path is not None and is_same_file(0 if path == STANDARD_INPUT else path, output):
                raise InvalidParameterError(f"{output} is the {kind} that is read: write to another file")
        check_writable(output)
    if None not in outputs and os.path.realpath(outputs[0]) == os.path.realpath(outputs[1]):
        raise InvalidParameterError(f"{args.output} cannot be the model and its checkpoint: name two files")


def is_same_file(a: str | int, b: str) -> bool:
    """Whether two paths, or a file that is open (0 is standard input) and a path, are of one regular file."""
    return os.path.isfile(a) and os.path.isfile(b) and os.path.samefile(a, b)
