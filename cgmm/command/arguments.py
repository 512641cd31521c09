"""What may be asked of the command line."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError, BooleanOptionalAction, RawDescriptionHelpFormatter
from argparse import _ArgumentGroup as ArgumentGroup
from collections.abc import Callable

from cgmm.bootstrapped import KINDS
from cgmm.classification import CRITERIA as CHOICES
from cgmm.command import verbs
from cgmm.command.output import STANDARD_OUTPUT
from cgmm.config import VERSION
from cgmm.fit.request import RELATIVE, STOPS
from cgmm.fit.starts import METHODS
from cgmm.mixture.criteria import CRITERIA
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.laws import WEIGHT_LAWS

DELIMITERS = {"tab": "\t", r"\t": "\t", "space": " "}
MOST_COUNTS = 1000  # Candidates of a family, at most: more take longer than anyone waits.
MOST = 2**63 - 1  # An array cannot count more rows.
FAMILY = "covariance family: full, tied, diag, spherical, or one of mclust's, such as VVE (default: full)"
THREADS = "how many to use; results do not depend on it (default: all)"
DATA = """\
DATA is text (CSV, TSV, cells separated by semicolons or spaces; gzip may have
packed it), npy, npz or Parquet: its first bytes tell. "-" is standard input,
text or npy. In text, empty lines and lines that begin with # are no rows."""
CLASSIFY = """\
What is learnt predicts the classes of other rows by "cgmm predict", and their
probabilities by "cgmm responsibilities"."""
TABLE = """\
A table goes to standard output, with a row for each component of each fit:
its weight, the mean and the variance of each feature, and the log-likelihood,
the BIC and the convergence of the fit. Labels are texts or numbers."""
PARAMETERS = """\
The model is fitted again to rows that are drawn anew. A table goes to standard
output, with a row for each parameter: the estimate, its standard error and
bias, and the ends of an interval."""
MERGES = """\
Components are merged two at a time, so that the entropy of the clusters falls
most. A table goes to standard output, with a row for each number of clusters:
the entropy, the components, joined by + where they are one cluster, and
whether it is the elbow of the entropies."""
VALUES = """\
Rows are read, and what is found for each is written, a block at a time, in
constant memory. The columns are those of the model's features if both model
and data have names. A name stands above the values if DATA has names, so that
"paste -d," puts the two side by side. Values have all their digits."""


def parser() -> ArgumentParser:
    """That of the command line; what it parses has `run`, the function of the command."""
    whole = ArgumentParser(
        prog="cgmm",
        description="Gaussian mixture models: fit, choose, apply and look at them.",
        epilog="cgmm COMMAND --help tells of a command's options, with examples.",
    )
    whole.add_argument("--version", action="version", version=f"cgmm {VERSION}")
    add = whole.add_subparsers(metavar="COMMAND", required=True).add_parser

    def command(run: Callable[..., None], help: str, description: str, *examples: str) -> ArgumentParser:
        name = run.__name__.replace("_", "-")
        added = add(
            name,
            help=help,
            description=f"{help[0].upper()}{help[1:]}.\n\n{description}".strip(),
            epilog="\n".join(["examples:", *(f"  cgmm {name} {example}" for example in examples)]),
            formatter_class=RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        added.add_argument("--debug", action="store_true", help="show where in the program an error arose")
        return added

    fit = command(
        verbs.fit,
        "fit a mixture, and save it",
        DATA,
        "data.csv -k 3 -o model.npz",
        "data.csv -k 3 --covariance diag --columns length,width --weights count -o model.npz",
        "rows.npy -k 20 --n-init 10 --seed 1 -o model.npz",
        "data.csv -k 10 --bayesian -o posterior.npz",
        "- -k 3 < data.csv",
    )
    fit.add_argument("data", metavar="DATA")
    fit.add_argument("-k", "--components", type=_count(1), required=True, metavar="K", help="number of components")
    fit.add_argument("--covariance", choices=FAMILIES, metavar="FAMILY", default="full", help=FAMILY)
    _add_errors(_add_learning(fit))
    _add_beliefs(fit)
    _add_labels(fit)

    select = command(
        verbs.select,
        "fit mixtures of several sizes and families, and save the best",
        DATA,
        "data.csv -o best.npz",
        "data.csv -k 1-5,10 --covariance full,tied,VEV --criterion icl -o best.npz",
        "data.csv --csv --sort > candidates.csv",
    )
    select.add_argument("data", metavar="DATA")
    select.add_argument(
        "-k", "--components", type=_counts, default="1-9", metavar="RANGE", help="numbers of components (default: 1-9)"
    )
    select.add_argument(
        "--covariance",
        type=_families,
        metavar="LIST",
        help="covariance families (default: all whose parameters the rows can bear)",
    )
    select.add_argument("--criterion", choices=CRITERIA, default="bic", help="the smallest wins (default: bic)")
    select.add_argument("--sort", action="store_true", help="all candidates, from the best on")
    printed = select.add_mutually_exclusive_group()
    printed.add_argument("--json", action="store_true", help="print all candidates as JSON, and nothing else")
    printed.add_argument("--csv", action="store_true", help="print all candidates as CSV, and nothing else")
    _add_errors(_add_learning(select))
    _add_labels(select)

    classify = command(
        verbs.classify,
        "learn to tell classes apart, by a mixture of each",
        f"{DATA}\n\n{CLASSIFY}",
        "data.csv --by species -o model.npz",
        "data.csv --by species --covariance EEE,VEV,VVV -o model.npz",
        "data.csv --by species -k 1-4 --unlabelled '?' -o model.npz",
    )
    classify.add_argument("data", metavar="DATA")
    classify.add_argument("--by", metavar="COLUMN", required=True, help="the column of the classes, texts or numbers")
    classify.add_argument(
        "-k",
        "--components",
        type=_counts,
        default="1",
        metavar="RANGE",
        help="numbers of components of a class (default: 1)",
    )
    classify.add_argument(
        "--covariance", type=_families, default=("full",), metavar="LIST", help="covariance families (default: full)"
    )
    classify.add_argument(
        "--shared",
        action=BooleanOptionalAction,
        help="whether the family says what the components of all classes share (default: if -k is 1)",
    )
    classify.add_argument(
        "--criterion", choices=CHOICES, default="bic", help="of several the smallest wins, or cross-validation's best"
    )
    classify.add_argument("--unlabelled", metavar="LABEL", help="the label of rows whose class is not known")
    _add_learning(classify, stops=False)

    fit_many = command(
        verbs.fit_many,
        "fit a mixture to each group of rows, or to each column",
        f"{DATA}\n\n{TABLE}",
        "data.csv -k 2 --by species > table.csv",
        "data.csv -k 1-4 --each-column -o fits.npz",
        "data.csv -k 2 --by species --each-column --skip",
    )
    fit_many.add_argument("data", metavar="DATA")
    fit_many.add_argument(
        "-k", "--components", type=_counts, required=True, metavar="RANGE", help="numbers of components, as 2 or 1-4"
    )
    fit_many.add_argument(
        "--by", metavar="COLUMN", help="the rows of each label in this column are fitted by themselves"
    )
    fit_many.add_argument("--each-column", action="store_true", help="each column is fitted by itself")
    fit_many.add_argument("--covariance", choices=FAMILIES, metavar="FAMILY", default="full", help=FAMILY)
    fit_many.add_argument("--criterion", choices=CRITERIA, help="of several numbers the smallest wins (default: bic)")
    fit_many.add_argument(
        "--skip", action="store_true", help="what cannot be fitted is a row with its error, not the end of all"
    )
    _add_learning(fit_many, "file of the fits, .npz, for cgmm.Fits.load, or BayesianFits.load")
    _add_beliefs(fit_many)

    predict = command(
        verbs.predict,
        "the most probable component, or class, of each row",
        f"{DATA}\n\n{VALUES}",
        "model.npz data.csv",
        "model.npz data.csv -o labels.csv",
        "model.npz big.npy -o labels.npy",
        "model.npz data.csv | paste -d, data.csv - > labelled.csv",
    )
    _add_errors(_add_applying(predict))

    responsibilities = command(
        verbs.responsibilities,
        "the probability of each component, or class, given each row",
        f"{DATA}\n\n{VALUES}",
        "model.npz data.csv -o probabilities.csv",
    )
    _add_errors(_add_applying(responsibilities))

    score = command(
        verbs.score,
        "the log-likelihood of each row, in nats",
        f"{DATA}\n\n{VALUES}\nTheir mean is told on standard error. Of a posterior, which fit --bayesian\n"
        "saved, it is the logarithm of the predictive density.",
        "model.npz data.csv -o scores.npy",
        "model.npz data.csv --mean",
    )
    _add_errors(_add_weights(_add_applying(score)))
    score.add_argument("--mean", action="store_true", help="print the mean of all rows, and nothing else")

    sample = command(
        verbs.sample,
        "draw rows from the mixture",
        "They are ordered by component.",
        "model.npz -n 1000 --seed 0 -o rows.csv",
    )
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("-n", "--rows", type=_count(1), default=1, metavar="N", help="how many (default: 1)")
    sample.add_argument("--seed", type=_count(0), metavar="SEED", help="the same seed, the same rows (default: others)")
    _add_rows_output(sample)

    bootstrap = command(
        verbs.bootstrap,
        "standard errors and intervals of all parameters",
        f"{DATA}\n\n{PARAMETERS}",
        "model.npz data.csv > errors.csv",
        "model.npz data.csv --kind weighted --replicates 4999 --level 0.9",
    )
    bootstrap.add_argument("model", metavar="MODEL", help="file that fit or select wrote")
    bootstrap.add_argument("data", metavar="DATA", help="to which it was fitted")
    bootstrap.add_argument("--replicates", type=_count(2), default=999, metavar="N", help="how many (default: 999)")
    bootstrap.add_argument(
        "--kind", choices=KINDS, default="nonparametric", help="what is drawn anew (default: nonparametric, the rows)"
    )
    bootstrap.add_argument("--level", type=float, default=0.95, help="share within the intervals (default: 0.95)")
    bootstrap.add_argument("--seed", type=_count(0), default=0, help="the same seed, the same replicates (default: 0)")
    bootstrap.add_argument("--threads", type=_count(1), metavar="N", help=THREADS)
    bootstrap.set_defaults(output=None)
    _add_weights(_add_reading(bootstrap))

    combine = command(
        verbs.combine,
        "which components are one cluster",
        f"{DATA}\n\n{MERGES}",
        "model.npz data.csv",
        "model.npz data.csv -k 2 -o clusters.csv",
    )
    combine.add_argument("model", metavar="MODEL", help="file that fit or select wrote")
    combine.add_argument("data", metavar="DATA")
    combine.add_argument("-o", "--output", type=_file, metavar="FILE", help="where the cluster of each row is written")
    combine.add_argument(
        "-k", "--clusters", type=_count(1), metavar="K", help="number of clusters in it (default: the elbow's)"
    )
    combine.add_argument("--threads", type=_count(1), metavar="N", help=THREADS)
    _add_weights(_add_reading(combine))

    info = command(verbs.info, "what a model is", "", "model.npz", "model.npz --json")
    info.add_argument("model", metavar="MODEL")
    info.add_argument("--json", action="store_true", help="all parameters, with all their digits, as JSON")

    plot = command(
        verbs.plot,
        "draw a model and its rows",
        f"{DATA}\n\nOf more than {verbs.MOST_DRAWN} rows a sample is drawn.",
        "model.npz data.csv -o picture.png",
        "model.npz data.csv -o picture.pdf",
    )
    plot.add_argument("model", metavar="MODEL")
    plot.add_argument("data", metavar="DATA")
    plot.add_argument(
        "-o",
        "--output",
        type=_file,
        required=True,
        metavar="FILE",
        help="its ending tells the format: .png, .pdf, .svg",
    )
    plot.add_argument("--dpi", type=_count(1), default=150, help="dots per inch (default: 150)")
    plot.add_argument("--seed", type=_count(0), default=0, help="of the sample (default: 0)")
    plot.add_argument("--threads", type=_count(1), help=THREADS)
    _add_reading(plot)
    return whole


def _add_learning(command: ArgumentParser, saved: str = "file of the model, .npz", stops: bool = True) -> ArgumentGroup:
    """What all fits ask; stops : whether it can be said what --tol bounds."""
    command.add_argument("-o", "--output", type=_file, metavar="MODEL", help=saved)
    learning = command.add_argument_group("how it is fitted")
    learning.add_argument("--n-init", type=_starts, metavar="N", help="starts, or auto; the best is kept")
    learning.add_argument("--seed", type=_count(0), default=0, help="the same seed, the same model (default: 0)")
    learning.add_argument("--tol", type=float, help="converged when the log-likelihood of a row changes by less")
    if stops:
        learning.add_argument(
            "--stop",
            choices=STOPS,
            help="what --tol bounds: the change in an iteration (default), or also what is estimated to be left to "
            "gain",
        )
    learning.add_argument(
        "--accelerate", action=BooleanOptionalAction, help="jump ahead along EM's steps where it crawls (default: no)"
    )
    learning.add_argument("--max-iter", type=_count(0), metavar="N", help="EM iterations at most")
    learning.add_argument(
        "--reg-covar",
        type=_number_or_relative,
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
    learning.add_argument("--threads", type=_count(1), metavar="N", help=THREADS)
    learning.add_argument("--verbose", action="store_true", help="tell on standard error how the fit goes")
    return _add_weights(_add_reading(command))


def _add_beliefs(command: ArgumentParser) -> None:
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


def _add_applying(command: ArgumentParser) -> ArgumentGroup:
    command.add_argument("model", metavar="MODEL", help="file that fit, select or classify wrote")
    command.add_argument("data", metavar="DATA")
    _add_rows_output(command)
    command.add_argument("--threads", type=_count(1), metavar="N", help=THREADS)
    return _add_reading(command)


def _add_rows_output(command: ArgumentParser) -> None:
    command.add_argument(
        "-o",
        "--output",
        type=_named,
        default=STANDARD_OUTPUT,
        metavar="FILE",
        help="where to: NumPy's format if it ends in .npy, else text; written whole or not at all (default: standard "
        "output)",
    )


def _add_reading(command: ArgumentParser) -> ArgumentGroup:
    reading = command.add_argument_group("how the data are read")
    reading.add_argument(
        "--columns", metavar="LIST", help='which: names ("length,width"), or numbers from 0 and ranges ("0,2-4")'
    )
    reading.add_argument("--header", action=BooleanOptionalAction, help="the first row of text holds names")
    reading.add_argument(
        "--delimiter", type=_delimiter, metavar="MARK", help='between cells of text: a character, "tab" or "space"'
    )
    reading.add_argument("--array", metavar="NAME", help="which array of an npz file")
    return reading


def _add_weights(reading: ArgumentGroup) -> ArgumentGroup:
    reading.add_argument("--weights", metavar="COLUMN", help="column of row weights, by name or number")
    return reading


def _add_errors(reading: ArgumentGroup) -> None:
    reading.add_argument(
        "--error-columns",
        metavar="LIST",
        help="standard deviations of errors of measurement, a column for each that is read, in their order: the "
        "mixture is that of the true values",
    )


def _add_labels(command: ArgumentParser) -> None:
    command.add_argument(
        "--labels",
        metavar="COLUMN",
        help="column of the components that rows are known to belong to, from 0, or -1 where it is not known",
    )


def _count(least: int) -> Callable[[str], int]:
    """The type of whole numbers, at least so large."""

    def count(text: str) -> int:
        if not re.fullmatch(r"\d{1,1000}", text, re.ASCII) or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        if int(text) > MOST:
            raise ArgumentTypeError(f"{text!r} is too large: at most {MOST}")
        return int(text)

    return count


def _number_or_relative(text: str) -> float | str:
    if text == RELATIVE:
        return text
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a number nor 'relative'") from None


def _starts(text: str) -> int | str:
    """A number of starts, or "auto"."""
    return text if text == "auto" else _count(1)(text)


def _counts(text: str) -> list[int]:
    """Of "1-3,5": 1, 2, 3, 5."""
    found: list[int] = []
    for part in text.split(","):
        ends = [_count(1)(end) for end in part.split("-")]
        if len(ends) > 2 or ends[0] > ends[-1]:
            raise ArgumentTypeError(f"{part!r} is not a range of numbers such as 1-9")
        if ends[-1] - ends[0] >= MOST_COUNTS:
            raise ArgumentTypeError(f"{part!r} is too much: at most {MOST_COUNTS} numbers of components in a range")
        found += range(ends[0], ends[-1] + 1)
    return found


def _families(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in FAMILIES:
            raise ArgumentTypeError(f"{name!r} is not one of {', '.join(FAMILIES)}")
    return names


def _delimiter(text: str) -> str:
    mark = DELIMITERS.get(text, text)
    if len(mark) != 1 or mark in '"#\r\n':
        raise ArgumentTypeError(f"{text!r} is not one character that may stand between cells")
    return mark


def _named(text: str) -> str:
    if not text:
        raise ArgumentTypeError("the name of a file is empty")
    return text


def _file(text: str) -> str:
    _named(text)
    if text == STANDARD_OUTPUT:
        raise ArgumentTypeError("this is written to a file, not to standard output")
    return text
