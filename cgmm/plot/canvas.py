"""Where a picture is drawn: the axes and figures that a user gives, and small notes above them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.plot.style import FAINT, pyplot
from cgmm.plot.text import draw_literally

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure, SubFigure

LINE = 1.3  # The height of a line of text, in units of the font's size.

# These projections of matplotlib's do not have two straight axes: a plane that is drawn there means something else.
CURVED = ("3d", "polar", "aitoff", "hammer", "lambert", "mollweide")


def axes_of(ax: object) -> Axes:
    """Those given, or pyplot's current, if a picture of two straight axes can be drawn there."""
    current = pyplot()
    from matplotlib.axes import Axes

    told = "ax" if ax is not None else "the current axes, which are taken where ax is not given,"
    ax = current.gca() if ax is None else ax
    if isinstance(ax, dict):
        raise ValueError(f"ax must be one matplotlib Axes, not a dict of them: give one of {', '.join(map(repr, ax))}")
    if isinstance(ax, np.ndarray | list | tuple):
        shape = np.shape(np.asarray(ax, dtype=object))
        raise ValueError(
            f"ax must be one matplotlib Axes, not an array of shape {shape}: give one of them, such as "
            f"axes[{', '.join('0' for _ in shape)}]"
        )
    if not isinstance(ax, Axes):
        raise ValueError(
            f"ax must be a matplotlib Axes, not {type(ax).__name__}: give that of figure, ax = pyplot.subplots()"
        )
    if ax.name in CURVED:
        raise ValueError(
            f"{told} must have two straight axes, not the projection {ax.name!r}: give that of "
            "figure, ax = pyplot.subplots()"
        )
    if ax.get_figure() is None:
        raise ValueError("ax was removed from its figure: give that of figure, ax = pyplot.subplots()")
    return ax


def figure_of(figure: object, inches: float) -> Figure | SubFigure:
    """That given, or a new one, square."""
    current = pyplot()
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    if figure is None:
        return current.figure(figsize=(inches, inches), layout="constrained")
    if isinstance(figure, Figure | SubFigure):
        return figure
    instead = "give its figure, ax.figure" if isinstance(figure, Axes) else "give pyplot.figure()"
    raise ValueError(f"figure must be a matplotlib Figure or SubFigure, not {type(figure).__name__}: {instead}")


def whole_numbers(axis: Axis) -> None:
    """The ticks of an axis are integers, unless the caller has chosen them."""
    from matplotlib.ticker import MaxNLocator

    locator = axis.get_major_locator()
    if isinstance(locator, MaxNLocator):
        locator.set_params(integer=True)


def note(ax: Axes, text: str, left: bool = False) -> None:
    """Say something small above the right end of the axes, or the left; a line higher if it would meet another note."""
    end, others = 0 if left else 1, [other.get_window_extent() for other in ax.texts]
    made = ax.annotate(
        text, (end, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
        ha="left" if left else "right", va="bottom", fontsize="x-small", color=FAINT,
    )  # fmt: skip
    draw_literally(made)
    if made.get_window_extent().count_overlaps(others):
        made.xyann = (0, 3 + LINE * made.get_fontproperties().get_size_in_points())


def note_hidden(ax: Axes, count: int) -> None:
    if count:
        note(ax, f"{count:,} row{'s' * (count > 1)} outside")
