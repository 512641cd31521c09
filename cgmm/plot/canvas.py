"""Where a picture is drawn: the axes and figures that a user gives, and small notes above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgmm.plot.style import FAINT, pyplot
from cgmm.plot.text import draw_literally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def axes_of(ax: Axes | None) -> Axes:
    """Those given, or pyplot's current."""
    return pyplot().gca() if ax is None else ax


def figure_of(figure: Figure | SubFigure | None, inches: float) -> Figure | SubFigure:
    """That given, or a new one, square."""
    return pyplot().figure(figsize=(inches, inches), layout="constrained") if figure is None else figure


def note(ax: Axes, text: str, left: bool = False) -> None:
    """Say something small above the right end of the axes, or the left."""
    end = 0 if left else 1
    draw_literally(ax.annotate(
        text, (end, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
        ha="left" if left else "right", va="bottom", fontsize="x-small", color=FAINT,
    ))  # fmt: skip


def note_hidden(ax: Axes, count: int) -> None:
    if count:
        note(ax, f"{count:,} row{'s' * (count > 1)} outside")
