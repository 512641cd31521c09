"""Names and words in a picture."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from matplotlib.text import Text


def name_axes(ax: Axes, names: Sequence[str]) -> None:
    """Label the axes that have no label yet with names of features."""
    label_axes(ax, *names)


def label_axes(ax: Axes, x: str = "", y: str = "") -> None:
    """Label the axes that have no label yet with words of ours."""
    for axis, words in ((ax.xaxis, x), (ax.yaxis, y)):
        if words and not axis.get_label_text():
            draw_literally(axis.set_label_text(words))


def on_one_line(name: str) -> str:
    return name


def draw_literally(text: Text) -> Text:
    return text


def literal_legend(
    place: Axes | Figure | SubFigure, handles: Sequence[Artist], given: Mapping[str, Any], **style: Any
) -> Legend:
    """A legend of the handles' labels."""
    return place.legend(handles=handles, **style)
