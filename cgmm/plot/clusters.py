"""Pictures of components that are merged into clusters: the tree of the merges, and the entropies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cgmm.plot.canvas import axes_of, whole_numbers
from cgmm.plot.protocols import check_drawn
from cgmm.plot.style import FAINT, INK, palette, sized
from cgmm.plot.text import LETTER, draw_literally, label_axes
from cgmm.validation import check_choice

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D
    from matplotlib.text import Text

    from cgmm.plot.protocols import Combined
    from cgmm.types import Array

HEIGHTS: dict[str, Literal["entropy", "step"]] = {"entropy": "entropy", "step": "step"}


class TreeArtists(NamedTuple):
    """What ``tree`` draws.

    links : list of Line2D, one for each merge
    cut : Line2D, below which the clusters of the elbow are
    leaves : list of Text, the components in the order in which they stand
    """

    links: list[Line2D]
    cut: Line2D
    leaves: list[Text]


def tree(
    combination: Combined, *, height: Literal["entropy", "step"] = "entropy", ax: Axes | None = None, **style: Any
) -> TreeArtists:
    """Which components become one cluster, and by how much the entropy has fallen there.

    Parameters
    ----------
    combination : Combination
        What ``cgmm.combine`` found.
    height : {"entropy", "step"}, default="entropy"
        Of a merge: by how much the entropy has fallen in all so far, or its number.
    ax : matplotlib Axes, optional
        Default: the current.
    **style
        For ``Axes.plot`` of the links.

    Returns
    -------
    TreeArtists
        (links, cut, leaves)

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
    >>> X, _ = model.sample(2000, random_state=0)
    >>> found = cgmm.combine(model, X)
    >>> from cgmm import plot
    >>> artists = plot.tree(found)
    """
    check_drawn(combination, "merges", "what cgmm.combine returns")
    check_choice("height", height, HEIGHTS)
    ax, merges, k = axes_of(ax), combination.merges, len(combination.entropies)
    order = _order(k, [(merge.first, merge.second) for merge in merges])
    at: dict[tuple[int, ...], tuple[float, float]] = {(c,): (place, 0.0) for place, c in enumerate(order)}
    colours, links = palette(max(combination.n_clusters, 1)), []
    heights = _heights(combination, height)
    own = _cut_at(heights, k - combination.n_clusters)
    cut = ax.axhline(own, color=FAINT, linestyle=":", **sized(ax, linewidth=1))
    belongs = _cluster_of(combination)
    for merge, top in zip(merges, heights, strict=True):
        (x0, y0), (x1, y1) = at[merge.first], at[merge.second]
        at[tuple(sorted(merge.first + merge.second))] = (x0 + x1) / 2, top
        colour = colours[belongs[merge.first[0]]] if top <= own else INK
        plain: dict[str, Any] = {"color": colour} | sized(ax, linewidth=2)
        links += ax.plot([x0, x0, x1, x1], [y0, top, top, y1], **plain | style)
    ax.set_xticks(range(k), [str(c) for c in order])
    ax.set_xlim(-0.7, k - 0.3)
    ax.set_ylim(bottom=0)
    leaves = ax.get_xticklabels()
    for leaf, c in zip(leaves, order, strict=True):
        leaf.set_color(tuple(colours[belongs[c]]))
        draw_literally(leaf)
    _fit_leaves(ax, leaves)
    whole_numbers(ax.yaxis)
    label_axes(ax, "component", "fall of the entropy (nats)" if height == "entropy" else "merges")
    return TreeArtists(links, cut, leaves)


def _fit_leaves(ax: Axes, leaves: list[Text]) -> None:
    """Labels that would meet stand upright, and are no larger than their distance."""
    distance = 72 * ax.get_window_extent().width / ax.figure.dpi / (len(leaves) + 0.4)
    size = leaves[0].get_fontproperties().get_size_in_points()
    if LETTER * size * (0.5 + max(len(leaf.get_text()) for leaf in leaves)) > distance:
        ax.tick_params(axis="x", labelrotation=90, labelsize=min(size, distance))


def _order(k: int, merges: list[tuple[tuple[int, ...], tuple[int, ...]]]) -> list[int]:
    """The components so that no links cross: those of a cluster side by side."""
    found: dict[tuple[int, ...], list[int]] = {(c,): [c] for c in range(k)}
    for first, second in merges:
        found[tuple(sorted(first + second))] = found.pop(first) + found.pop(second)
    (order,) = found.values()
    return order


def _heights(combination: Combined, height: str) -> Array:
    """Of each merge."""
    count = len(combination.merges)
    if height == "step":
        return np.arange(1.0, count + 1)
    falls = combination.entropies[-1] - combination.entropies[-2::-1]
    return np.maximum.accumulate(np.maximum(falls, 0.0))


def _cut_at(heights: Array, merged: int) -> float:
    """Between the merges of the elbow's clusters and the next one."""
    low = heights[merged - 1] if merged else 0.0
    high = heights[merged] if merged < len(heights) else 1.1 * low or 1.0
    return float((low + high) / 2)


def _cluster_of(combination: Combined) -> dict[int, int]:
    """The cluster of each component, where there are as many as the elbow says, in the order of their first."""
    k = len(combination.entropies)
    first = list(range(k))
    for merge in combination.merges[: k - combination.n_clusters]:
        for c in merge.second:
            first[c] = merge.first[0]
    places = {c: at for at, c in enumerate(sorted(set(first)))}
    return {c: places[own] for c, own in enumerate(first)}


class EntropiesArtists(NamedTuple):
    """What ``entropies`` draws.

    points : Line2D
    fits : list of Line2D, the two straight lines of the elbow; none of fewer than three components
    """

    points: Line2D
    fits: list[Line2D]


def entropies(combination: Combined, *, ax: Axes | None = None, **style: Any) -> EntropiesArtists:
    """The entropy over the number of clusters, and the two straight lines whose meeting is the elbow.

    Parameters
    ----------
    combination : Combination
        What ``cgmm.combine`` found.
    ax : matplotlib Axes, optional
        Default: the current.
    **style
        For ``Axes.plot`` of the points.

    Returns
    -------
    EntropiesArtists
        (points, fits)

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.4, 0.3, 0.3], [[0.0], [10.0], [11.0]], [1.0, 1.0, 1.0], "spherical")
    >>> X, _ = model.sample(2000, random_state=0)
    >>> found = cgmm.combine(model, X)
    >>> from cgmm import plot
    >>> artists = plot.entropies(found)
    """
    check_drawn(combination, "entropies", "what cgmm.combine returns")
    ax, values, c = axes_of(ax), combination.entropies, combination.n_clusters
    numbers = np.arange(1, len(values) + 1)
    fits: list[Line2D] = []
    thin = sized(ax, linewidth=1.2)
    if len(values) > 2:
        for which in (slice(0, c), slice(c - 1, None)):
            slope, start = np.polyfit(numbers[which], values[which], 1)
            fits += ax.plot(numbers[which], slope * numbers[which] + start, color=FAINT, linestyle="--", **thin)
    plain: dict[str, Any] = {"color": palette(1)[0], "marker": "o", "linestyle": "", "zorder": 2.5}
    (points,) = ax.plot(numbers, values, **plain | sized(ax, markersize=6) | style)
    whole_numbers(ax.xaxis)
    label_axes(ax, "clusters", "entropy (nats)")
    return EntropiesArtists(points, fits)
