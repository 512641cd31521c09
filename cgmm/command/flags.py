"""Arguments of Python in messages, as the options that they are on the command line."""

from __future__ import annotations

import re
from argparse import Namespace

OPTIONS = {
    "n_components": "-k",
    "n_clusters": "-k",
    "covariance_type": "--covariance",
    "init_params": "--init",
    "random_state": "--seed",
    "n_threads": "--threads",
    "on_degenerate": "--on-degenerate",
    "reg_covar": "--reg-covar",
    "max_iter": "--max-iter",
    "n_init": "--n-init",
    "noise_component": "--noise-component",
    "tol": "--tol",
}
# Words that mean the argument only where a value follows: they are ordinary words.
ONLY_WITH_VALUES = {"missing": "--missing", "prior": "--prior"}
NOT_BEFORE = r"(?<![\w'\"/.-])"  # A name in quotes, or part of a longer one, is a user's own.
VALUE = r"=['\"]?([\w.+-]*\w)['\"]?"
TABLE = re.compile(r"cgmm\.table\(path, (\w+)=([^()]*)\)")
NO_VALUES = {"True": "", "[...]": "", '"..."': ""}  # Of arguments of cgmm.table; other values are the option's.
# What Python's interface calls in its words, and scikit-learn's, and what a user of the command line has.
WORDS = {
    r"n_samples=\d+ should be >= (\w+=\d+): X has only ": r"too few rows for \1: ",
    r"\bX has ": "the data have ",
    r"\bX\[:, (\d+)\]": r"feature \1",
    r"\blabels\[(\d+)\] is": r"that of row \1 (counted from 0) is",
}
ARGUMENT = re.compile(
    rf"{NOT_BEFORE}(?:({'|'.join(OPTIONS | ONLY_WITH_VALUES)}){VALUE}|({'|'.join(OPTIONS)})(?![\w='\"]))"
)


def spelled(text: str, args: Namespace) -> str:
    """A message in which arguments are options; one that the command has not is not spoken of."""
    if not hasattr(args, "on_degenerate"):
        text = text.replace(" (see on_degenerate)", "")
    for words, own in WORDS.items():
        text = re.sub(words, own, text)
    return ARGUMENT.sub(_option, TABLE.sub(_option_of_reading, text))


def _option_of_reading(found: re.Match[str]) -> str:
    name, value = found[1].replace("_", "-"), found[2]
    if value == "False":
        return f"--no-{name}"
    return f"--{name} {NO_VALUES.get(value, value.strip(chr(39)))}".strip()


def _option(found: re.Match[str]) -> str:
    name, value, alone = found.groups()
    return OPTIONS[alone] if alone else f"{(OPTIONS | ONLY_WITH_VALUES)[name]} {value}"
