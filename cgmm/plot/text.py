"""Names as they are: matplotlib reads some of their characters as instructions, or does not draw them at all."""

from __future__ import annotations

from textwrap import fill, wrap
from typing import TYPE_CHECKING
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.text import Text

LETTER = 0.6  # A letter is taken to be this wide, in units of the font's size: the mean of matplotlib's usual font.
LEAST_LETTERS = 12  # A name keeps at least so many letters, however short its axis: with fewer it says nothing.
TEX = frozenset("\\{}$&#^_%~")  # What these characters draw is not themselves where all text is set by TeX.


def name_axes(ax: Axes, names: Sequence[str]) -> None:
    """Label the axes that have no label yet with names of features, on two lines or shortened where they do not fit."""
    for axis, name, room in _unnamed(ax, names):
        draw_literally(axis.set_label_text(fitted(on_one_line(name), room)))


def label_axes(ax: Axes, x: str = "", y: str = "") -> None:
    """Label the axes that have no label yet with words of ours, on as many lines as they need."""
    for axis, words, room in _unnamed(ax, (x, y)):
        if words:
            draw_literally(axis.set_label_text(fill(words, room)))


def _unnamed(ax: Axes, words: Sequence[str]) -> Iterator[tuple[Axis, str, int]]:
    """The axes that have no label yet, what is said of each, and for how many letters each has room."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    for axis, said, length in zip((ax.xaxis, ax.yaxis), words, (box.width, box.height), strict=False):
        if not axis.get_label_text():
            yield axis, said, letters_in(72 * length / dpi, axis.get_label().get_fontproperties().get_size_in_points())


def letters_in(length: float, size: float) -> int:
    """How many letters of a font's size stand in a length; both in points."""
    return max(int(length / (LETTER * size)), LEAST_LETTERS)


def on_one_line(name: str) -> str:
    """A name whose line breaks and other control characters are written as in Python: a line break as \\n."""
    return "".join(c.encode("unicode_escape").decode() if category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in name)


def fitted(name: str, letters: int) -> str:
    """A name on one line of at most so many letters, on two if its words allow, or shortened."""
    lines = wrap(name, letters, break_long_words=False, break_on_hyphens=False)
    fits = len(name) > letters and len(lines) == 2 and max(map(len, lines)) <= letters
    return "\n".join(lines) if fits else shortened(name, letters)


def shortened(name: str, letters: int) -> str:
    """A name of at most so many letters: of a longer one, both ends."""
    if len(name) <= letters:
        return name
    tail = (letters - 1) // 2
    return f"{name[: letters - 1 - tail]}…{name[-tail:]}"


def draw_literally(text: Text) -> Text:
    """Have a text drawn letter by letter: neither as mathematics, between two $, nor by TeX.

    Where its letters mean nothing special the artist stays as it is, so that mathematics can be set in its place.
    """
    written = text.get_text()
    if "$" in written:
        text.set_parse_math(False)
    if text.get_usetex() and not TEX.isdisjoint(written):
        text.set_usetex(False)
    return text
