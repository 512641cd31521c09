"""What may be asked of the command line."""

from __future__ import annotations

from argparse import ArgumentParser, BooleanOptionalAction, RawDescriptionHelpFormatter
from collections.abc import Callable

from cgmm.bootstrapped import KINDS
from cgmm.classification import CRITERIA as CHOICES
from cgmm.command import completion, inputs, kinds, options, values, verbs
from cgmm.command.parsing import Parser
from cgmm.config import VERSION
from cgmm.mixture.criteria import CRITERIA
from cgmm.mixture.families import FAMILIES

FAMILY = "covariance family: full, tied, diag, spherical, or one of mclust's, such as VVE (default: full)"
DATA = """\
DATA is text (CSV, TSV, cells separated by semicolons or spaces), npy, npz or
Parquet, and gzip, bzip2, xz or zstd may have packed it: its first bytes tell.
"-" is standard input, text or npy. In text, empty lines and lines that begin
with # are no rows."""
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
and data have names. A name stands above the values if DATA has names; --append
and --keep put the columns of DATA before them. Values have all their digits."""
MODEL_JSON = "print all parameters, with all their digits, as JSON, and nothing else"
MODEL_CSV = "print a table of the components as CSV, and nothing else"


def parser() -> ArgumentParser:
    """That of the command line; what it parses has `run`, the function of the command."""
    whole = Parser(
        prog="cgmm",
        description="Gaussian mixture models: fit, choose, apply and look at them.",
        epilog="Run 'cgmm COMMAND --help', or 'cgmm help COMMAND', to see a command's options, with examples.",
    )
    whole.add_argument("-V", "--version", action="version", version=f"cgmm {VERSION}")
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
        added.set_defaults(run=run, parser=added, whole=whole)
        added.add_argument("-q", "--quiet", action="store_true", help="tell nothing on standard error but errors")
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
        "data.csv -k 3 --numeric --json > model.json",
        "big.npy -k 50 --checkpoint fit.ckpt -o model.npz",
        "- -k 3 < data.csv",
    )
    fit.add_argument("data", metavar="DATA")
    fit.add_argument(
        "-k", "--components", type=kinds.components, required=True, metavar="K", help="number of components"
    )
    fit.add_argument("--covariance", type=kinds.family, choices=FAMILIES, metavar="FAMILY", default="full", help=FAMILY)
    options.add_errors(options.add_learning(fit))
    options.add_beliefs(fit)
    options.add_known(fit)
    fit.add_argument(
        "--checkpoint",
        type=kinds.file,
        metavar="FILE",
        help="where the fit keeps what it has done, until it ends: the same command goes on from there",
    )
    fit.add_argument(
        "--on-degenerate",
        choices=["warn", "repair", "raise"],
        help="what happens where a component cannot be estimated: it is repaired with a warning (default), or "
        "silently, or that is an error",
    )
    options.add_format(fit, MODEL_JSON, MODEL_CSV)

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
        "-k",
        "--components",
        type=kinds.counts,
        default="1-9",
        metavar="RANGE",
        help="numbers of components (default: 1-9)",
    )
    select.add_argument(
        "--covariance",
        type=kinds.families,
        metavar="LIST",
        help="covariance families (default: all whose parameters the rows can bear)",
    )
    select.add_argument("--criterion", choices=CRITERIA, default="bic", help="the smallest wins (default: bic)")
    select.add_argument("--sort", action="store_true", help="all candidates, from the best on")
    options.add_format(
        select, "print all candidates as JSON, and nothing else", "print all candidates as CSV, and nothing else"
    )
    options.add_errors(options.add_learning(select))
    options.add_known(select)

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
        type=kinds.counts,
        default="1",
        metavar="RANGE",
        help="numbers of components of a class (default: 1)",
    )
    classify.add_argument(
        "--covariance",
        type=kinds.families,
        default=("full",),
        metavar="LIST",
        help="covariance families (default: full)",
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
    options.add_learning(classify, stops=False)
    options.add_format(classify, MODEL_JSON, "print the components of all classes as CSV, and nothing else")

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
        "-k",
        "--components",
        type=kinds.counts,
        required=True,
        metavar="RANGE",
        help="numbers of components, as 2 or 1-4",
    )
    fit_many.add_argument(
        "--by", metavar="COLUMN", help="the rows of each label in this column are fitted by themselves"
    )
    fit_many.add_argument("--each-column", action="store_true", help="each column is fitted by itself")
    fit_many.add_argument("--covariance", choices=FAMILIES, metavar="FAMILY", default="full", help=FAMILY)
    fit_many.add_argument("--criterion", choices=CRITERIA, help="of several numbers the smallest wins (default: bic)")
    options.add_format(fit_many, "print the table as JSON")
    fit_many.add_argument(
        "--skip", action="store_true", help="what cannot be fitted is a row with its error, not the end of all"
    )
    options.add_learning(fit_many, "file of the fits, .npz, for cgmm.Fits.load, or BayesianFits.load")
    options.add_beliefs(fit_many)

    predict = command(
        values.predict,
        "the most probable component, or class, of each row",
        f"{DATA}\n\n{VALUES}",
        "model.npz data.csv",
        "model.npz data.csv -o labels.csv",
        "model.npz big.npy -o labels.npy",
        "model.npz data.csv --append -o labelled.csv",
        "model.npz data.csv --keep id --json",
    )
    options.add_errors(options.add_applying(predict))

    responsibilities = command(
        values.responsibilities,
        "the probability of each component, or class, given each row",
        f"{DATA}\n\n{VALUES}",
        "model.npz data.csv -o probabilities.csv",
    )
    options.add_errors(options.add_applying(responsibilities))

    score = command(
        values.score,
        "the log-likelihood of each row, in nats",
        f"{DATA}\n\n{VALUES}\nTheir mean is told on standard error. Of a posterior, which fit --bayesian\n"
        "saved, it is the logarithm of the predictive density.",
        "model.npz data.csv -o scores.npy",
        "model.npz data.csv --mean",
    )
    options.add_errors(options.add_weights(options.add_applying(score)))
    score.add_argument("--mean", action="store_true", help="print the mean of all rows, and nothing else")

    sample = command(
        values.sample,
        "draw rows from the mixture",
        "They are ordered by component.",
        "model.npz -n 1000 --seed 0 -o rows.csv",
    )
    sample.add_argument("model", metavar="MODEL")
    sample.add_argument("-n", "--rows", type=kinds.count(1), default=1, metavar="N", help="how many (default: 1)")
    sample.add_argument(
        "--seed", type=kinds.count(0), metavar="SEED", help="the same seed, the same rows (default: others)"
    )
    options.add_rows_output(sample)

    bootstrap = command(
        verbs.bootstrap,
        "standard errors and intervals of all parameters",
        f"{DATA}\n\n{PARAMETERS}",
        "model.npz data.csv > errors.csv",
        "model.npz data.csv --kind weighted --replicates 4999 --level 0.9",
    )
    bootstrap.add_argument("model", metavar="MODEL", help="file that fit or select wrote")
    bootstrap.add_argument("data", metavar="DATA", help="to which it was fitted")
    bootstrap.add_argument(
        "--replicates", type=kinds.count(2), default=999, metavar="N", help="how many (default: 999)"
    )
    bootstrap.add_argument(
        "--kind", choices=KINDS, default="nonparametric", help="what is drawn anew (default: nonparametric, the rows)"
    )
    bootstrap.add_argument("--level", type=float, default=0.95, help="share within the intervals (default: 0.95)")
    bootstrap.add_argument(
        "--seed", type=kinds.count(0), default=0, help="the same seed, the same replicates (default: 0)"
    )
    bootstrap.add_argument("--threads", type=kinds.count(1), metavar="N", help=options.THREADS)
    bootstrap.set_defaults(output=None)
    options.add_format(bootstrap, "print the table as JSON")
    options.add_weights(options.add_reading(bootstrap))

    combine = command(
        verbs.combine,
        "which components are one cluster",
        f"{DATA}\n\n{MERGES}",
        "model.npz data.csv",
        "model.npz data.csv -k 2 -o clusters.csv",
    )
    combine.add_argument("model", metavar="MODEL", help="file that fit or select wrote")
    combine.add_argument("data", metavar="DATA")
    combine.add_argument(
        "-o",
        "--output",
        type=kinds.clusters_file,
        metavar="FILE",
        help="where the cluster of each row is written; its ending tells the format, as of predict",
    )
    combine.add_argument(
        "-k", "--clusters", type=kinds.count(1), metavar="K", help="number of clusters in it (default: the elbow's)"
    )
    combine.add_argument("--threads", type=kinds.count(1), metavar="N", help=options.THREADS)
    options.add_weights(options.add_reading(combine))

    options.add_format(combine, "print the table as JSON")

    info = command(verbs.info, "what a model is", "", "model.npz", "model.npz --json")
    info.add_argument("model", metavar="MODEL")
    options.add_format(info, MODEL_JSON, MODEL_CSV)

    plot = command(
        verbs.plot,
        "draw a model and its rows",
        f"{DATA}\n\nOf more than {inputs.MOST_DRAWN} rows a sample is drawn.",
        "model.npz data.csv -o picture.png",
        "model.npz data.csv -o picture.pdf",
    )
    plot.add_argument("model", metavar="MODEL")
    plot.add_argument("data", metavar="DATA")
    plot.add_argument(
        "-o",
        "--output",
        type=kinds.file,
        required=True,
        metavar="FILE",
        help="its ending tells the format: .png, .pdf, .svg",
    )
    plot.add_argument("--dpi", type=kinds.count(1), default=150, help="dots per inch (default: 150)")
    plot.add_argument("--seed", type=kinds.count(0), default=0, help="of the sample (default: 0)")
    plot.add_argument("--threads", type=kinds.count(1), help=options.THREADS)
    options.add_reading(plot)

    shells = command(
        completion.completion,
        "a script that makes a shell complete this command line",
        'bash: eval "$(cgmm completion bash)" in ~/.bashrc; zsh: likewise in ~/.zshrc, after compinit;\n'
        "fish: cgmm completion fish > ~/.config/fish/completions/cgmm.fish.",
        "bash",
        "fish",
    )
    shells.add_argument("shell", choices=completion.SCRIPTS, help="which shell")
    return whole
