"""Options that several commands share."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction
from argparse import _ArgumentGroup as ArgumentGroup

from cgmm.command import kinds
from cgmm.command.output import STANDARD_OUTPUT
from cgmm.fit.request import RELATIVE, STOPS
from cgmm.fit.starts import METHODS
from cgmm.mixture.laws import WEIGHT_LAWS

THREADS = "how many to use; results do not depend on it (default: all)"


def add_learning(command: ArgumentParser, saved: str = "file of the model, .npz", stops: bool = True) -> ArgumentGroup:
    """What all fits ask; stops : whether it can be said what --tol bounds."""
    command.add_argument("-o", "--output", type=kinds.model_file, metavar="MODEL", help=saved)
    learning = command.add_argument_group("how it is fitted")
    learning.add_argument("--n-init", type=kinds.starts, metavar="N", help="starts, or auto; the best is kept")
    learning.add_argument("--seed", type=kinds.count(0), default=0, help="the same seed, the same model (default: 0)")
    learning.add_argument("--tol", type=float, help="converged when the log-likelihood of a row changes by less")
    if stops:
        learning.add_argument(
            "--stop",
            choices=STOPS,
            help="what --tol bounds: the change in an iteration (default), or also what is estimated to be left to "
            "gain",
        )
    learning.add_argument(
        "--accelerate",
        action=BooleanOptionalAction,
        help="jump ahead along EM's steps where it crawls (default: only by select, where features are few)",
    )
    learning.add_argument("--max-iter", type=kinds.count(0), metavar="N", help="EM iterations at most")
    learning.add_argument(
        "--reg-covar",
        type=kinds.number_or_relative,
        default=RELATIVE,
        metavar="VARIANCE",
        help='added to all variances; "relative" (default): 1e-6 times the smallest variance of a column',
    )
    learning.add_argument("--init", choices=METHODS, help="the first start")
    learning.add_argument(
        "--prior", choices=["default", "mclust"], help="keep covariances from degenerating; as mclust counts it"
    )
    learning.add_argument(
        "--missing",
        choices=["error", "marginal"],
        default="error",
        help="what an empty cell, NA or NaN is: an error, or a value that was not observed (default: error)",
    )
    learning.add_argument("--threads", type=kinds.count(1), metavar="N", help=THREADS)
    learning.add_argument("--verbose", action="store_true", help="tell on standard error how the fit goes")
    return add_weights(add_reading(command))


def add_beliefs(command: ArgumentParser) -> None:
    beliefs = command.add_argument_group("variational Bayes")
    beliefs.add_argument(
        "--bayesian",
        action="store_true",
        help="learn a posterior, as cgmm.BayesianGMM; of several numbers of components the largest lower bound wins",
    )
    beliefs.add_argument(
        "--weight-concentration-prior-type",
        choices=WEIGHT_LAWS,
        metavar="KIND",
        help="what is believed of weights: dirichlet_process (default) or dirichlet_distribution",
    )
    beliefs.add_argument(
        "--weight-concentration-prior", type=float, metavar="NUMBER", help="the smaller, the fewer components live"
    )
    beliefs.add_argument(
        "--mean-precision-prior", type=float, metavar="ROWS", help="that the prior of a mean counts for (default: 1)"
    )
    beliefs.add_argument(
        "--degrees-of-freedom-prior",
        type=float,
        metavar="ROWS",
        help="that the prior of a covariance counts for (default: the number of features)",
    )


def add_applying(command: ArgumentParser) -> ArgumentGroup:
    command.add_argument("model", metavar="MODEL", help="file that fit, select or classify wrote")
    command.add_argument("data", metavar="DATA")
    add_rows_output(command)
    add_kept(command)
    command.add_argument("--threads", type=kinds.count(1), metavar="N", help=THREADS)
    return add_reading(command)


def add_rows_output(command: ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        type=kinds.rows_file,
        default=STANDARD_OUTPUT,
        metavar="FILE",
        help="where to, whole or not at all; its ending tells the format: .csv, .txt, .tsv, .npy, .parquet, or .jsonl "
        "(default: standard output)",
    )
    add_format(command, "print lines of JSON, an object for each row", "print text with commas, and names in any case")


def add_format(command: ArgumentParser, json: str, csv: str | None = None) -> None:
    """In which format results go to standard output."""
    printed = command.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help=json)
    if csv is not None:
        printed.add_argument("--csv", action="store_true", help=csv)


def add_kept(command: ArgumentParser) -> None:
    kept = command.add_mutually_exclusive_group()
    kept.add_argument("--append", action="store_true", help="write the columns of DATA, too, before the values")
    kept.add_argument("--keep", metavar="LIST", help="write these columns of DATA, too, as --columns names them")


def add_reading(command: ArgumentParser) -> ArgumentGroup:
    reading = command.add_argument_group("how the data are read")
    reading.add_argument(
        "--columns",
        metavar="LIST",
        help='which: names ("length,width") and ranges of them ("length:width"), or numbers, counted from 0, and '
        'ranges of these ("0,2-4")',
    )
    reading.add_argument("--numeric", action="store_true", help="leave out the columns that hold no numbers")
    reading.add_argument("--header", action=BooleanOptionalAction, help="the first row of text holds names")
    reading.add_argument(
        "--delimiter", type=kinds.delimiter, metavar="MARK", help='between cells of text: a character, "tab" or "space"'
    )
    reading.add_argument(
        "--decimal", choices=[".", ","], default=".", help='what begins the decimals of a number in text (default: ".")'
    )
    reading.add_argument("--array", metavar="NAME", help="which array of an npz file")
    return reading


def add_weights(reading: ArgumentGroup) -> ArgumentGroup:
    reading.add_argument("--weights", metavar="COLUMN", help="column of row weights, by name or number")
    return reading


def add_errors(reading: ArgumentGroup) -> None:
    reading.add_argument(
        "--error-columns",
        metavar="LIST",
        help="standard deviations of errors of measurement, a column for each that is read, in their order: the "
        "mixture is that of the true values",
    )


def add_known(command: ArgumentParser) -> None:
    """What may be known of rows: that some belong to no component, and to which others belong."""
    command.add_argument(
        "--noise-component",
        type=kinds.noise,
        metavar="DENSITY",
        help='a component of constant density for rows that belong to no other: "uniform", or that density',
    )
    command.add_argument(
        "--labels",
        metavar="COLUMN",
        help="column of the components that rows are known to belong to, from 0, or -1 where it is not known",
    )
