"""Legends: labels as they are, in a size that suits the axes, where they hide little."""

from __future__ import annotations

from math import ceil
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.plot.style import MOST_IN_LEGEND, shrinkage
from cgmm.plot.text import LEAST_LETTERS, draw_literally, letters_in, on_one_line, shortened

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from matplotlib.transforms import BboxBase

    from cgmm.types import Array, Mask

MOST_HIDDEN = 0.15  # A legend within axes hides at most this share of the points of a curve, an ellipse or a component.
WIDEST = 0.6  # A label is at most this share as wide as the axes, or half that of a figure: a longer one is shortened.
LEAST_SIZE = 0.8  # In small axes letters are this times as large as usual, at least: smaller ones are not read.
LINE = 1.3  # The height of a line of a legend, in units of the font's size.
STEPS = 200  # A curve counts as so many points.
ROWS = MOST_IN_LEGEND + 2  # A legend within axes has no more rows: those of components, of noise and of a mixture.


def literal_legend(
    place: Axes | Figure | SubFigure, handles: Sequence[Artist], given: Mapping[str, Any], **style: Any
) -> Legend:
    """A legend of the handles' labels as they are, also of those that begin with _, which matplotlib leaves out.

    Unless the style tells where, it is where it hides least; and where that is much, beside the axes, if the layout of
    the figure makes room for it. A label among what the caller has given for the handles is the caller's own, and may
    hold mathematics.
    """
    from matplotlib.axes import Axes

    if not isinstance(place, Axes):
        return _legend(place, handles, given, style)
    size = _size(place)
    height = 72 * place.get_window_extent().height / place.figure.dpi
    within = {"fontsize": size, "title_fontsize": size, "ncols": ceil(len(handles) / ROWS)}
    legend = _legend(place, handles, given, within | {"loc": _corner(place)} | style)
    if style.keys() & {"loc", "bbox_to_anchor"} or not _makes_room(place) or not _hides(legend, place):
        return legend
    title = _broken(style.get("title") or "")
    columns = ceil(LINE * size * (len(handles) + len(title.split("\n"))) / height)
    beside = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "borderaxespad": 0.5 + _right(place) / size}
    return _legend(place, handles, given, within | {"ncols": columns} | style | beside | {"title": title or None})


def _legend(
    place: Axes | Figure | SubFigure, handles: Sequence[Artist], given: Mapping[str, Any], style: dict[str, Any]
) -> Legend:
    plain: dict[str, Any] = {"alignment": "left", "handlelength": 1.6}
    style = plain | style
    if "label" in given:
        return place.legend(handles=handles, **style)
    labels = [on_one_line(str(handle.get_label())) for handle in handles]
    legend = place.legend(handles=handles, labels=["?"] * len(handles), **style)
    widest = WIDEST if place is legend.axes else WIDEST / 2
    width = widest * 72 * place.get_window_extent().width / legend.figure.dpi
    for text, label in zip(legend.get_texts(), labels, strict=True):
        text.set_text(shortened(label, letters_in(width, text.get_fontproperties().get_size_in_points())))
        draw_literally(text)
    return legend


def _broken(title: str) -> str:
    """On lines that are no wider than a few labels."""
    return "\n".join(fill(line, LEAST_LETTERS + 5) for line in title.split("\n"))


def _size(ax: Axes) -> float:
    """Of the letters (points)."""
    from matplotlib.font_manager import FontProperties

    return FontProperties(size="small").get_size_in_points() * max(shrinkage(ax), LEAST_SIZE)


def _corner(ax: Axes) -> str:
    """Where there is most room for a legend. "best" does not see images."""
    images = list(_images(ax))
    if not images:
        return "best"
    opacity = images[-1].get_array()[..., 3]
    half = len(opacity) // 2
    corners = {
        "upper right": opacity[half:, half:],
        "upper left": opacity[half:, :half],
        "lower left": opacity[:half, :half],
        "lower right": opacity[:half, half:],
    }
    return min(corners, key=lambda name: corners[name].sum())


def _makes_room(ax: Axes) -> bool:
    """Whether the figure's layout keeps what is beside the axes within the figure."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine, TightLayoutEngine

    return isinstance(ax.figure.get_layout_engine(), ConstrainedLayoutEngine | TightLayoutEngine)


def _hides(legend: Legend, ax: Axes) -> bool:
    """Whether much of what is seen in the axes is behind a legend."""
    box = legend.get_window_extent()
    if box.width > ax.bbox.width or box.height > ax.bbox.height:
        return True
    for own in (ax, *_others(ax)):
        most = MOST_HIDDEN if own is ax else 2 * MOST_HIDDEN  # of responsibilities, which are flat for the greater part
        for points in _points(own):
            seen = points[_within(points, ax.bbox)]
            if len(seen) and _within(seen, box).mean() > most:
                return True
    return False


def _within(points: Array, box: BboxBase) -> Mask:
    extents = np.array(box.extents)
    return np.all((points >= extents[:2]) & (points <= extents[2:]), axis=1)


def _points(ax: Axes) -> Iterator[Array]:
    """Of each artist of axes points (·,2) on the screen."""
    from matplotlib.collections import PathCollection, PolyCollection

    for line in ax.lines:
        yield _along(line.get_transform().transform(line.get_xydata()))
    for patch in ax.patches:
        yield _along(patch.get_transform().transform(patch.get_path().vertices))
    for collection in ax.collections:
        if isinstance(collection, PathCollection):
            yield collection.get_offset_transform().transform(np.asarray(collection.get_offsets()))
        elif isinstance(collection, PolyCollection):
            outlines = (_along(collection.get_transform().transform(path.vertices)) for path in collection.get_paths())
            yield np.concatenate([np.empty((0, 2)), *outlines])
    for image in _images(ax):
        opacity = image.get_array()[..., 3]
        i, j = np.nonzero(opacity > 0.5)
        left, right, bottom, top = image.get_extent()
        shares = (np.column_stack([j, i]) + 0.5) / opacity.shape[::-1]
        yield ax.transData.transform([left, bottom] + shares * [right - left, top - bottom])


def _along(corners: Array) -> Array:
    """Points (STEPS,2) at equal distances along a line with those corners (·,2)."""
    corners = corners[np.isfinite(corners).all(axis=1)]
    if not len(corners):
        return corners
    at = np.concatenate([[0.0], np.hypot(*np.diff(corners, axis=0).T).cumsum()])
    return np.column_stack([np.interp(np.linspace(0, at[-1], STEPS), at, values) for values in corners.T])


def _images(ax: Axes) -> Iterator[Any]:
    """Those of rows, which have an opacity."""
    images: Any = ax.images
    return (image for image in images if image.get_array().ndim == 3)


def _others(ax: Axes) -> list[Axes]:
    """Axes that share the place of these, as those of responsibilities do."""
    return [own for own in ax.figure.axes if own is not ax and own.bbox.bounds == ax.bbox.bounds]


def _right(ax: Axes) -> float:
    """How far (points) the ticks and labels of such axes go beyond their right end."""
    boxes = [own.get_tightbbox() for own in _others(ax)]
    return 72 * max((box.x1 - ax.bbox.x1 for box in boxes if box is not None), default=0.0) / ax.figure.dpi
