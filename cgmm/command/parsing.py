"""How arguments are parsed: errors are two lines, which say what may have been meant."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from typing import NoReturn

from cgmm.command.flags import OPTIONS
from cgmm.command.output import show, shown
from cgmm.suggestions import ARGUMENTS, VALUES, suggested

CHOICE = re.compile(r"invalid choice: '([^']*)' \(choose from (.*)\)", re.S)
PROBABILITIES = "cgmm responsibilities"
# Options as Python and other programs call their arguments.
OTHER_WORDS = {
    f"--{word.replace('_', '-')}": OPTIONS[name]
    for word, name in (ARGUMENTS | dict(zip(OPTIONS, OPTIONS, strict=True))).items()
    if name in OPTIONS
} | {"-n": "--n-init", "--sample-weight": "--weights", "--proba": PROBABILITIES, "--predict-proba": PROBABILITIES}
USAGE = 2  # The exit code of wrong usage.


class Parser(ArgumentParser):
    """One whose errors name its help in place of listing all that there is."""

    def error(self, message: str) -> NoReturn:
        """Two lines on standard error, and the end of the program."""
        choice = CHOICE.search(message)
        if choice:
            message += suggested(choice[1], re.findall(r"[^\s,']+", choice[2]), VALUES)
        text = f"{self.prog}: error: {' '.join(message.split())}\nRun '{self.prog} --help' to see all options."
        print(shown(text, sys.stderr), file=sys.stderr)
        sys.exit(USAGE)

    def _print_message(self, message: str, file: object = None) -> None:
        """Help or the version, on standard output; OSError where it cannot be written, which argparse passes over."""
        show(message.rstrip("\n"))

    def options(self) -> list[str]:
        """All words that begin with a dash and mean something to it."""
        return [word for action in self._actions for word in action.option_strings]


def parsed(whole: ArgumentParser, argv: Sequence[str]) -> Namespace:
    """The arguments of a command; `help COMMAND` is `COMMAND --help`, and no argument `--help`."""
    words = list(argv) or ["--help"]
    if words[0] == "help":
        words = [*words[1:], "--help"]
    args, unknown = whole.parse_known_args(words)
    if unknown:
        command: Parser = args.parser
        hint = suggested(unknown[0].split("=")[0], [*command.options(), PROBABILITIES], OTHER_WORDS)
        command.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return args
