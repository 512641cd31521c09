"""What the words after an option may be."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterable

from cgmm.command.output import ENDINGS, STANDARD_OUTPUT, ending_of
from cgmm.fit.request import RELATIVE, UNIFORM
from cgmm.mixture.families import FAMILIES
from cgmm.suggestions import suggested

DELIMITERS = {"tab": "\t", r"\t": "\t", "space": " "}
MOST_COUNTS = 1000  # Candidates of a family, at most: more take longer than anyone waits.
MODEL_ENDINGS = ("", ".npz")
MOST = 2**63 - 1  # An array cannot count more rows.


def count(least: int) -> Callable[[str], int]:
    """The type of whole numbers, at least so large."""

    def whole(text: str) -> int:
        if not re.fullmatch(r"\d{1,1000}", text, re.ASCII) or int(text) < least:
            raise ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
        if int(text) > MOST:
            raise ArgumentTypeError(f"{text!r} is too large: at most {MOST}")
        return int(text)

    return whole


def components(text: str) -> int:
    """A number of components: one."""
    if re.fullmatch(r"\d+([-,:]\d+)+", text, re.ASCII):
        raise ArgumentTypeError(f"{text!r} is more than one number: 'cgmm select' chooses among several")
    return count(1)(text)


def family(text: str) -> str:
    """The name of a covariance family, not a list of them."""
    if "," in text:
        raise ArgumentTypeError(f"{text!r} is more than one family: 'cgmm select' chooses among several")
    return text


def number_or_relative(text: str) -> float | str:
    if text == RELATIVE:
        return text
    try:
        return float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a number nor 'relative'") from None


def noise(text: str) -> float | str:
    """A density, or "uniform"."""
    try:
        return text if text == UNIFORM else float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is neither a density nor {UNIFORM!r}") from None


def starts(text: str) -> int | str:
    """A number of starts, or "auto"."""
    try:
        return text if text == "auto" else count(1)(text)
    except ArgumentTypeError as error:
        raise ArgumentTypeError(f"{error}, nor 'auto'") from None


def counts(text: str) -> list[int]:
    """Of "1-3,5": 1, 2, 3, 5."""
    found: list[int] = []
    for part in text.split(","):
        if not re.fullmatch(r"\d+(-\d+)?", part, re.ASCII):
            raise ArgumentTypeError(f"{part!r} is neither a number nor a range of numbers such as 1-9")
        ends = [count(1)(end) for end in part.split("-")]
        if ends[0] > ends[-1]:
            raise ArgumentTypeError(f"{part!r} is not a range of numbers such as 1-9")
        if ends[-1] - ends[0] >= MOST_COUNTS:
            raise ArgumentTypeError(f"{part!r} is too much: at most {MOST_COUNTS} numbers of components in a range")
        found += range(ends[0], ends[-1] + 1)
    return found


def families(text: str) -> tuple[str, ...]:
    names = tuple(text.split(","))
    for name in names:
        if name not in FAMILIES:
            raise ArgumentTypeError(f"{name!r} is not one of {', '.join(FAMILIES)}{suggested(name, FAMILIES)}")
    return names


def delimiter(text: str) -> str:
    mark = DELIMITERS.get(text, text)
    if len(mark) != 1 or mark in '"#\r\n':
        raise ArgumentTypeError(f"{text!r} is not one character that may stand between cells")
    return mark


def named(text: str) -> str:
    if not text:
        raise ArgumentTypeError("the name of a file is empty")
    return text


def file(text: str) -> str:
    named(text)
    if text == STANDARD_OUTPUT:
        raise ArgumentTypeError("this is written to a file, not to standard output")
    return text


def rows_file(text: str) -> str:
    """The name of a file for rows, whose ending tells the format; or standard output."""
    if named(text) != STANDARD_OUTPUT:
        check_ending(text, "rows", ENDINGS)
    return text


def clusters_file(text: str) -> str:
    """The name of a file for rows, beside a table on standard output."""
    return rows_file(file(text))


def model_file(text: str) -> str:
    """The name of a file for a model: with the ending of rows it would take the place of a table."""
    check_ending(file(text), "models", MODEL_ENDINGS, "; 'cgmm predict' writes labels" * (ending_of(text) in ENDINGS))
    return text


def check_ending(path: str, what: str, known: Iterable[str], instead: str = "") -> None:
    """That the ending of a name is one of those known; ArgumentTypeError says which these are."""
    if ending_of(path) not in known:
        endings = ", ".join(filter(None, known))
        raise ArgumentTypeError(f"{path!r} ends in {ending_of(path)}, and {what} are written as {endings}{instead}")
