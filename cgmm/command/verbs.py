"""What each command of the command line does with its arguments."""

from __future__ import annotations

import contextlib
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import bootstrapped, combined, many, selection
from cgmm.bayesian import BayesianGMM
from cgmm.classification import GMMClassifier
from cgmm.command import flags, inputs, pictures, problems, progress, summary
from cgmm.command.output import needs_names, show, show_table, write_rows
from cgmm.errors import InvalidParameterError, SelectionWarning, warn
from cgmm.files import write_whole
from cgmm.gmm import GMM
from cgmm.plot import style
from cgmm.tables import Block, Table, gather

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TypeAlias

    Model: TypeAlias = GMM | BayesianGMM

# Options of a fit that are for variational Bayes only, and those that are not for it, by the names of arguments.
OF_BELIEFS = (
    "weight_concentration_prior_type",
    "weight_concentration_prior",
    "mean_precision_prior",
    "degrees_of_freedom_prior",
)
OF_POINTS = ("stop", "accelerate", "prior", "criterion", "noise_component")


def fit(args: Namespace) -> None:
    """Fit a mixture, print what it is, save it."""
    X, companions = inputs.learned_from(args)
    kind = BayesianGMM if args.bayesian else GMM
    kept = {"verbose": 2 * args.verbose, "checkpoint": args.checkpoint}
    model = kind(args.components, covariance_type=args.covariance, **kept, **_settings(args))
    goes_on = args.checkpoint is not None and os.path.exists(args.checkpoint) and not (args.quiet or args.verbose)
    told = f"cgmm: the fit goes on from {args.checkpoint}" if goes_on else ""
    start = perf_counter()
    with progress.iterations(not args.quiet, told) as callback, contextlib.redirect_stdout(sys.stderr):
        model.set_params(callback=callback)
        model.fit(X, **companions)
    seconds = perf_counter() - start
    model.set_params(verbose=0, callback=None, checkpoint=None)
    _save(args, model)
    _tell(args, model, X, companions, seconds)


def select(args: Namespace) -> None:
    """Fit mixtures of several sizes and families, print how they compare, save the best."""
    X, companions = inputs.learned_from(args)
    start = perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        found, notes = selection.selected(
            X,
            args.components,
            args.covariance,
            criterion=args.criterion,
            **companions,
            verbose=2 if args.verbose else int(not args.quiet and progress.possible()),
            **_settings(args),
        )
    for note in notes if args.csv or args.sort else ():  # what is printed else ends with them
        warn(note, SelectionWarning)
    seconds = perf_counter() - start
    _save(args, found.best)  # before anything is printed: who reads it may go
    if args.json or args.csv:
        show(found.to_json(sort=args.sort) if args.json else found.to_csv(sort=args.sort).rstrip("\n"))
        return
    text = found.to_text(sort=True) if args.sort else repr(found)
    show(f"{text}\n")
    _tell(args, found.best, X, companions, seconds)


def classify(args: Namespace) -> None:
    """Fit the densities of classes, print how well they tell them apart, save the classifier."""
    X, y, sample_weight, unlabelled = inputs.classes_from(args)
    model = GMMClassifier(
        args.components,
        args.covariance,
        args.shared,
        criterion=args.criterion,
        unlabelled=unlabelled,
        **_settings(args),
    )
    start = perf_counter()
    with contextlib.redirect_stdout(sys.stderr):
        model.fit(X, y, sample_weight)
    seconds = perf_counter() - start
    if args.output is not None:
        model.save(args.output)
    told = model.summary(X, y, sample_weight).with_facts({}, {"seconds": f"{seconds:.3g}"}, {"seconds": seconds})
    summary.show_model(args, told, model)


def fit_many(args: Namespace) -> None:
    """Fit a mixture to the rows of each group, or to each column, print a table of all components, save the fits."""
    if args.by is None and not args.each_column:
        raise InvalidParameterError("say what is fitted by itself: each group (--by COLUMN), or --each-column")
    if args.by is not None and args.each_column and args.output is not None:
        raise InvalidParameterError("the fits of each column in each group are no file: choose one column, or none")
    inputs.check_output(args)
    table = Table(inputs.reader_of(args), args.columns, args.weights, args.missing, args.by, numeric=args.numeric)
    inputs.tell_left_out(args, table)
    data = gather(table, progress.watched(table.blocks(), not args.quiet))
    with contextlib.redirect_stdout(sys.stderr):
        found = _fits(args, table, data)
    if args.output is not None:
        found[0].fits.save(args.output)
    by = None if args.by is None else "group" if table.names is None else table.names[-1]
    show_table(*problems.table(found, by, args.each_column, lambda text: flags.spelled(text, args)), args.json)


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
        "verbose": 2 if args.verbose else int(not args.quiet and progress.possible()),
        **settings,
    }
    if args.by is None:
        return [problems.Found(many.fit_many(inputs.framed(data.rows, table.names), columns=True, **arguments))]
    rows, groups = data.rows[:, :-1], table.labels(data.rows[:, -1])
    names = None if table.names is None else table.names[:-1]
    if not args.each_column:
        return [problems.Found(many.fit_many(inputs.framed(rows, names), groups=groups, **arguments))]
    return [
        problems.Found(many.fit_many(rows[:, j : j + 1], groups=groups, **arguments), j if names is None else names[j])
        for j in range(rows.shape[1])
    ]


def bootstrap(args: Namespace) -> None:
    """Print a table of all parameters, with their standard errors and intervals."""
    found, table = inputs.applied_to(args)
    model = inputs.point_of(found, args)
    data = gather(table, progress.watched(table.blocks(), not args.quiet))
    told = bootstrapped.bootstrap(
        model,
        inputs.under_names(model, data.rows),
        args.replicates,
        kind=args.kind,
        sample_weight=data.weights,
        random_state=args.seed,
    )
    show_table(["parameter", *bootstrapped.COLUMNS], told._rows(args.level), args.json)


def combine(args: Namespace) -> None:
    """Print which components are one cluster for each number of clusters, and write the cluster of each row."""
    found, table = inputs.applied_to(args)
    model = inputs.point_of(found, args)
    data = gather(table, progress.watched(table.blocks(), not args.quiet))
    rows = inputs.under_names(model, data.rows)
    merged = combined.combine(model, rows, sample_weight=data.weights)
    merged.clusters(args.clusters)  # which can be refused, written or not
    if args.output is not None:
        names = ["cluster"] if table.names is not None or needs_names(args.output) else None
        write_rows(args.output, names, [merged.predict(rows, args.clusters)])
    show_table(["clusters", "entropy", "components", "elbow"], _merged(merged), args.json)


def _merged(found: combined.Combination) -> Iterator[list[Any]]:
    """For each number of clusters the entropy, the components that are one as "0+2 1", and whether it is the elbow."""
    for left in range(len(found.entropies), 0, -1):
        told = " ".join("+".join(map(str, components)) for components in found.clusters(left))
        yield [left, float(found.entropies[left - 1]), told, left == found.n_clusters]


def info(args: Namespace) -> None:
    """Print what a model is."""
    model = inputs.load(args.model)
    told = model.summary()
    summary.show_model(args, told, model)


def plot(args: Namespace) -> None:
    """Draw the model and the rows."""
    pyplot = style.pyplot()
    pyplot.switch_backend("Agg")
    kind = pictures.kind_of(args.output)
    found, table = inputs.applied_to(args)
    model = inputs.mixture_of(found)
    rows, n = inputs.some_rows(args, table, np.random.default_rng(args.seed))
    gaps = int(np.isnan(rows).any(axis=1).sum())
    if gaps:
        rows = model.impute(inputs.under_names(model, rows))
    first = pyplot.figure(layout="constrained")
    artists = model.plot(inputs.under_names(model, rows))
    drawn = pyplot.gcf()  # the first, or one of the model's own making
    try:
        write_whole(args.output, lambda file: drawn.savefig(file, format=kind, dpi=args.dpi))
    finally:
        pyplot.close(first)
        pyplot.close(drawn)
    if not args.quiet:
        show(f"{args.output}: {pictures.told(model, artists, len(rows), n, gaps)}")


def _settings(args: Namespace) -> dict[str, Any]:
    """The arguments of a model that fit and select share, but for those that are left to its defaults."""
    names = {
        "n_init": args.n_init,
        "tol": args.tol,
        "stop": vars(args).get("stop"),
        "on_degenerate": vars(args).get("on_degenerate"),
        "accelerate": args.accelerate,
        "max_iter": args.max_iter,
        "reg_covar": args.reg_covar,
        "init_params": args.init,
        "prior": args.prior,
        "noise_component": vars(args).get("noise_component"),
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


def _tell(args: Namespace, model: Model, X: Any, companions: Mapping[str, Any], seconds: float) -> None:
    """Print what was fitted."""
    errors = companions.get("error_covariances")
    told = summary.of_fit(model, X, companions.get("sample_weight"), errors, seconds)
    summary.show_model(args, told, model)


def _save(args: Namespace, model: Model) -> None:
    if args.output is not None:
        model.save(args.output)
