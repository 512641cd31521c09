"""Pictures of one feature: a histogram, the densities of the components and of the mixture, and responsibilities."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.plot.canvas import axes_of, note, note_hidden
from cgmm.plot.features import view_of
from cgmm.plot.frame import frame, grid
from cgmm.plot.legends import literal_legend
from cgmm.plot.protocols import subject_of
from cgmm.plot.rows import shown_of
from cgmm.plot.style import FAINT, INK, MOST_IN_LEGEND, palette, sized
from cgmm.plot.text import draw_literally, label_axes, name_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.patches import StepPatch

    from cgmm.plot.protocols import Mixture
    from cgmm.plot.rows import Shown
    from cgmm.plot.view import View
    from cgmm.types import Array, ArrayLike

BARS = 8, 150  # A histogram has at least and at most so many bars, unless the caller says how many.
TALLEST = 2.5  # A curve is shown up to this many times the highest bar; if it is higher, a note says how high.
SHADE = 0.22  # The opacity of bars: a light grey, through which responsibilities behind them are seen.
HEADROOM = 1.06  # The axes are this many times as high as what they show.


class DensityArtists(NamedTuple):
    """What ``density`` draws.

    histogram : StepPatch or None
    components : list of Line2D, a weighted density each
    mixture : Line2D, their sum
    responsibilities : list of Line2D on an axis of their own, ``responsibilities[0].axes``; empty unless asked for
    """

    histogram: StepPatch | None
    components: list[Line2D]
    mixture: Line2D
    responsibilities: list[Line2D]


def density(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    feature: int | str | None = None,
    bins: int | str | None = None,
    components: bool = True,
    responsibilities: bool = False,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    legend: bool = True,
) -> DensityArtists:
    """A histogram of one feature, the density of each component times its weight, and their sum, the mixture.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d), optional
        Rows of the histogram, whose area is one. Far outliers are left out of the picture, and their number is noted.
    feature : int or str, optional
        Which, by index or name, of a model of several; the curves are then its marginals. May be left out if d = 1.
    bins : int or str, optional
        Number of bars, or a rule of ``numpy.histogram_bin_edges``. Default: 1.5 √n, but from 8 to 150.
    components : bool, default=True
        Draw each component.
    responsibilities : bool, default=False
        Also draw each component's responsibility for a value of the feature: dotted, with an axis of its own at the
        right.
    ax : matplotlib Axes, optional
        Default: the current. Its two axes are straight: those of a polar or 3-D picture are refused.
    sample_weight : array-like (n,), optional
        Weights of the rows in the histogram.
    colors : k colours, optional
        Of the components. Default: Okabe and Ito's; for more than eight components, viridis.
    legend : bool, default=True

    Returns
    -------
    DensityArtists
        (histogram, components, mixture, responsibilities)

    Examples
    --------
    >>> import cgmm
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> model = cgmm.GMM(2, random_state=0).fit(X)
    >>> from cgmm import plot
    >>> artists = plot.density(model, X)
    """
    subject = subject_of(model, X, sample_weight)
    view = view_of(subject, None if feature is None else [feature], 1)
    shown = Histogram.of(view, shown_of(subject), bins)
    colours = palette(view.k, colors)
    return draw_density(axes_of(ax), view, shown, colours, components, responsibilities, legend)


class Histogram(NamedTuple):
    """Bars of the rows, heights (·,) and edges (·+1,), of area one with the rows outside; and the number of these.

    Of a picture without rows there are no bars; low and high are the limits of the picture.
    """

    heights: Array
    edges: Array
    hidden: int
    low: float
    high: float

    @classmethod
    def of(cls, view: View, rows: Shown | None, bins: int | str | None = None) -> Histogram:
        """Of rows along the axis of a view."""
        if rows is None:
            low, high = (float(end[0]) for end in frame(view))
            return cls(np.empty(0), np.empty(0), 0, low, high)
        points, weights = rows.along(view.basis), rows.weights()
        low, high = (float(end[0]) for end in frame(view, points))
        values = points[:, 0]
        inside = (values >= low) & (values <= high)
        if bins is None:
            bins = int(np.clip(1.5 * np.sqrt(len(values)), *BARS))
        edges = np.histogram_bin_edges(values[inside], bins, (low, high))
        heights, _ = np.histogram(values[inside], edges, weights=weights[inside])
        hidden = len(values) - int(np.count_nonzero(inside))
        spare = 0.08 * (high - low)
        return cls(heights / weights.sum() / np.diff(edges), edges, hidden, low - spare, high + spare)


def draw_density(
    ax: Axes, view: View, shown: Histogram, colours: Array, components: bool, responsibilities: bool, legend: bool
) -> DensityArtists:
    """See ``density``."""
    x = grid(view, 0, shown.low, shown.high)
    each = view.densities(x[:, None])
    total = each.sum(axis=0)
    highest, tallest = float(total.max()), float(shown.heights.max(initial=0.0))
    top = min(highest, TALLEST * tallest) if len(shown.heights) else highest
    bars = (
        ax.stairs(shown.heights, shown.edges, fill=True, color=INK, alpha=SHADE, zorder=1)
        if len(shown.heights)
        else None
    )
    lines = []
    if components:
        for c in range(view.k):
            lines += ax.plot(x, each[c], color=colours[c], label=view.labels[c], **sized(ax, linewidth=1.8))
    (mixture,) = ax.plot(x, total, color=FAINT, label="mixture", zorder=1.9, **sized(ax, linewidth=3.4))
    ax.margins(x=0)
    ax.set_ylim(0, HEADROOM * max(top, tallest), auto=None)
    shares = _draw_responsibilities(ax, x, each, total, colours) if responsibilities else []
    name_axes(ax, view.names)
    label_axes(ax, y="density")
    note_hidden(ax, shown.hidden)
    if highest > top:
        note(ax, f"the density reaches {highest:.3g}", left=bool(shown.hidden))
    if legend and view.k <= MOST_IN_LEGEND:
        literal_legend(ax, [*lines, mixture, *shares[:1]], {})
    return DensityArtists(bars, lines, mixture, shares)


def _draw_responsibilities(ax: Axes, x: Array, each: Array, total: Array, colours: Array) -> list[Line2D]:
    """On an axis of their own from 0 to 1, below the densities."""
    figure = ax.get_figure()
    assert figure is not None  # axes_of has seen to it
    current = figure.gca()
    own = ax.twinx()
    figure.sca(current)  # which twinx changes
    own.patch.set(visible=ax.patch.get_visible(), facecolor=ax.patch.get_facecolor())
    ax.patch.set_visible(False)
    ax.set_zorder(own.get_zorder() + 1)
    own.margins(x=0)
    own.set_ylim(0, HEADROOM)
    draw_literally(own.set_ylabel("responsibility"))
    shares = np.divide(each, total, out=np.zeros_like(each), where=total > 0)
    lines = []
    for share, colour in zip(shares, colours, strict=True):
        lines += own.plot(x, share, color=colour, linestyle=":", label="_", **sized(ax, linewidth=1.2))
    lines[0].set_label("responsibilities")
    return lines
