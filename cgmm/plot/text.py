"""Names as they are: matplotlib reads some of their characters as instructions, or does not draw them at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from unicodedata import category

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

LETTER = 0.6  # A letter is taken to be this wide, in units of the font's size: the mean of matplotlib's usual font.
LEAST_LETTERS = 12  # A name keeps at least so many letters, however short its axis: with fewer it says nothing.
TEX = frozenset("\\{}$&#^_%~")  # What these characters draw is not themselves where all text is set by TeX.


def name_axes(ax: Axes, names: Sequence[str]) -> None:
    """Label the axes that have no label yet with names of features."""
    box, dpi = ax.get_window_extent(), ax.figure.dpi
    for axis, name, length in zip((ax.xaxis, ax.yaxis), names, (box.width, box.height), strict=False):
        if not axis.get_label_text():
            letter = LETTER * axis.get_label().get_fontproperties().get_size_in_points()
            room = max(int(72 * length / dpi / letter), LEAST_LETTERS)
            draw_literally(axis.set_label_text(shortened(on_one_line(name), room)))


def label_axes(ax: Axes, x: str = "", y: str = "") -> None:
    """Label the axes that have no label yet with words of ours."""
    for axis, words in ((ax.xaxis, x), (ax.yaxis, y)):
        if words and not axis.get_label_text():
            draw_literally(axis.set_label_text(words))


def on_one_line(name: str) -> str:
    """A name whose line breaks and other control characters are written as in Python: a line break as \\n."""
    return "".join(c.encode("unicode_escape").decode() if category(c) in ("Cc", "Cs", "Zl", "Zp") else c for c in name)


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


def literal_legend(
    place: Axes | Figure | SubFigure, handles: Sequence[Artist], given: Mapping[str, Any], **style: Any
) -> Legend:
    """A legend of the handles' labels as they are, also of those that begin with _, which matplotlib leaves out.

    A label among what the caller has given for the handles is the caller's own, and may hold mathematics.
    """
    if "label" in given:
        return place.legend(handles=handles, **style)
    labels = [str(handle.get_label()) for handle in handles]
    legend = place.legend(handles=handles, labels=["?"] * len(handles), **style)
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(on_one_line(label))
        draw_literally(text)
    return legend
