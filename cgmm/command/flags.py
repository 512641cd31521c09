"""Arguments of Python in messages, as the options that they are on the command line."""

from __future__ import annotations

import re
from argparse import Namespace

OPTIONS = {
    "n_components": "-k",
    "covariance_type": "--covariance",
    "init_params": "--init",
    "random_state": "--seed",
    "n_threads": "--threads",
    "on_degenerate": "--on-degenerate",
    "reg_covar": "--reg-covar",
    "max_iter": "--max-iter",
    "n_init": "--n-init",
    "tol": "--tol",
}
# Words that mean the argument only where a value follows: they are ordinary words.
ONLY_WITH_VALUES = {name: f"--{name}" for name in ("missing", "prior", "columns", "numeric", "header", "array")}
NOT_BEFORE = r"(?<![\w'\"/.-])"  # A name in quotes, or part of a longer one, is a user's own.
VALUE = r"=['\"]?([\w.+-]*\w|…)['\"]?"  # … is what the user has to choose.
ARGUMENT = re.compile(
    rf"{NOT_BEFORE}(?:({'|'.join(OPTIONS | ONLY_WITH_VALUES)}){VALUE}|({'|'.join(OPTIONS)})(?![\w='\"]))"
)


def spelled(text: str, args: Namespace) -> str:
    """A message in which arguments are options; one that the command has not is not spoken of."""
    if not hasattr(args, "on_degenerate"):
        text = text.replace(" (see on_degenerate)", "")
    return ARGUMENT.sub(_option, text)


def _option(found: re.Match[str]) -> str:
    name, value, alone = found.groups()
    if alone:
        return OPTIONS[alone]
    option = (OPTIONS | ONLY_WITH_VALUES)[name]
    return {"…": option, "True": option, "False": option.replace("--", "--no-")}.get(value, f"{option} {value}")
