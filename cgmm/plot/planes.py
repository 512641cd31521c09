"""Pictures of components in the plane of two features: ellipses, contours, means, and their legend."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cgmm import validation
from cgmm.plot.canvas import axes_of
from cgmm.plot.features import view_of
from cgmm.plot.frame import grid, make_room, steady
from cgmm.plot.legends import literal_legend
from cgmm.plot.protocols import subject_of
from cgmm.plot.style import FAINT, INK, MARKERS, MOST_IN_LEGEND, component_label, palette, sized
from cgmm.plot.text import name_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection, PolyCollection
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend

    from cgmm.plot.features import Features
    from cgmm.plot.protocols import Mixture, Subject
    from cgmm.plot.view import View
    from cgmm.types import Array, ArrayLike

ANGLES = np.linspace(0, 2 * np.pi, 181)  # Of the corners (radians) of the polygon that is drawn for an ellipse.


def ellipses(
    model: Mixture,
    probabilities: Sequence[float] = (0.5, 0.9),
    *,
    features: Features | None = None,
    ax: Axes | None = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[PolyCollection]:
    """The ellipses about each component's mean that hold chosen shares of its probability.

    The ellipse of probability p is where (x−μ)ᵀ Σ⁻¹ (x−μ) = −2 log(1 − p), the quantile of the χ² distribution with
    two degrees of freedom. With `features`, μ and Σ are those of the component's marginal.

    Parameters
    ----------
    model : GMM
        Fitted.
    probabilities : sequence of float in (0, 1), default=(0.5, 0.9)
    features, ax, colors
        As in ``scatter``.
    **style
        For matplotlib's PolyCollection.

    Returns
    -------
    list of PolyCollection
        One for each component, in which each probability has a polygon.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> from cgmm import plot
    >>> artists = plot.ellipses(model, [0.9])
    """
    shares = check_probabilities(probabilities)
    view = view_of(subject_of(model), features, 2)
    colours = palette(view.k, colors)
    return draw_ellipses(axes_of(ax), view, shares, colours, style)


def draw_ellipses(ax: Axes, view: View, shares: Array, colours: Array, style: dict[str, Any]) -> list[PolyCollection]:
    """See ``ellipses``."""
    distances = [np.sqrt(-2 * np.log1p(-shares))] * view.k
    artists = _polygons(ax, view, distances, colours, style)
    make_room(ax, view, distances)
    name_axes(ax, view.names)
    return artists


def contours(
    model: Mixture,
    of: Literal["mixture", "components"] = "mixture",
    *,
    probabilities: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    levels: ArrayLike | None = None,
    features: Features | None = None,
    ax: Axes | None = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Artist]:
    """Contours of the density of the mixture, or of each component's times its weight.

    Parameters
    ----------
    model : GMM
        Fitted.
    of : {"mixture", "components"}, default="mixture"
    probabilities : sequence of float in (0, 1), default=(0.1, 0.3, 0.5, 0.7, 0.9)
        Shares of the mixture's probability that lie within its contours. The components' contours are at the same
        densities, so that all can be compared: a component has none where it is lower.
    levels : sequence of float, optional
        Densities, in the place of those that follow from `probabilities`.
    features, ax, colors
        As in ``scatter``.
    **style
        For ``Axes.contour``, or of the components, matplotlib's PolyCollection.

    Returns
    -------
    list of artists
        Of the mixture, one QuadContourSet, drawn from a grid, which is finer where components are narrow along an axis.
        Of the components, a PolyCollection each, of exact ellipses.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> from cgmm import plot
    >>> artists = plot.contours(model)
    """
    validation.check_choice("of", of, {"mixture": 0, "components": 0})
    shares = check_probabilities(probabilities)
    view = view_of(subject_of(model), features, 2)
    colours = palette(view.k, colors)
    heights = view.levels(shares) if levels is None else np.sort(np.asarray(levels, dtype=np.float64).ravel())
    ax = axes_of(ax)
    artists: list[Artist]
    if of == "mixture":
        artists = [_contours_of_mixture(ax, view, heights, style)]
    else:
        distances = view.distances(heights)
        artists = [*_polygons(ax, view, distances, colours, {"facecolor": "none"} | sized(ax, linewidth=1.2) | style)]
        make_room(ax, view, distances)
    name_axes(ax, view.names)
    return artists


def _contours_of_mixture(ax: Axes, view: View, heights: Array, style: dict[str, Any]) -> Artist:
    """From a grid over the limits, which are widened to hold them unless no level is reached."""
    doubled = heights / min(view.k, 2)  # where two components overlap, the mixture is twice as high
    with steady(ax):
        make_room(ax, view, view.distances(doubled))
        x, y = grid(view, 0, *sorted(ax.get_xlim())), grid(view, 1, *sorted(ax.get_ylim()))
        points = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
        density = view.densities(points).sum(axis=0).reshape(len(y), len(x))
        reached = heights[heights < density.max()]
        if not len(reached):
            raise ValueError(f"no level is reached: the highest density is {density.max():.3g}")
        artist = ax.contour(x, y, density, **{"levels": reached, "colors": INK} | sized(ax, linewidths=1.2) | style)
    make_room(ax, view, view.distances(doubled))
    return artist


def check_probabilities(probabilities: Sequence[float]) -> Array:
    """As an array (·,), all between 0 and 1."""
    shares = np.asarray(probabilities, dtype=np.float64).ravel()
    if not len(shares) or not ((shares > 0) & (shares < 1)).all():
        raise ValueError(f"probabilities must lie between 0 and 1, not {probabilities!r}")
    return shares


def _polygons(
    ax: Axes, view: View, distances: Sequence[Array], colours: Array, style: dict[str, Any]
) -> list[PolyCollection]:
    """For each component its ellipses at those Mahalanobis distances; the limits stay."""
    from matplotlib.collections import PolyCollection

    circle = np.stack([np.cos(ANGLES), np.sin(ANGLES)])
    roots = view.roots()
    artists: list[PolyCollection] = []
    for c in range(view.k):
        outlines = [view.means[c] + radius * (roots[c] @ circle).T for radius in distances[c]]
        plain: dict[str, Any] = {
            "facecolor": (*colours[c], 0.08),
            "edgecolor": colours[c],
            "zorder": 2.2,
        }
        artists.append(PolyCollection(outlines, **plain | sized(ax, linewidth=1.6) | style))
    for artist in artists:
        ax.add_collection(artist, autolim=False)
    return artists


def means(model: Mixture, *, features: Features | None = None, ax: Axes | None = None, **style: Any) -> PathCollection:
    """The means of the components, as crosses.

    Parameters
    ----------
    model : GMM
        Fitted.
    features, ax
        As in ``scatter``.
    **style
        For ``Axes.scatter``.

    Returns
    -------
    PathCollection

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> from cgmm import plot
    >>> artists = plot.means(model)
    """
    view = view_of(subject_of(model), features, 2)
    return draw_means(axes_of(ax), view, style)


def draw_means(ax: Axes, view: View, style: dict[str, Any]) -> PathCollection:
    """See ``means``."""
    with steady(ax):
        artist = ax.scatter(*view.means.T, **{"color": INK} | crosses(ax, view.k) | style)
    make_room(ax, view, [np.zeros(1)] * view.k)
    name_axes(ax, view.names)
    return artist


def crosses(ax: Axes, k: int) -> dict[str, Any]:
    """The style of k crosses, at means or modes."""
    plain: dict[str, Any] = {"marker": "P", "edgecolors": "white", "zorder": 3}
    return plain | sized(ax, s=110 if k <= MOST_IN_LEGEND else 50, linewidths=1.2)


def legend(model: Mixture, *, ax: Axes | None = None, colors: ArrayLike | None = None, **style: Any) -> Legend:
    """A legend of the components: index, weight, colour and marker.

    It is where it hides least; and if that is much, beside the axes, where the layout of the figure makes room for it
    (``layout="constrained"``).

    Parameters
    ----------
    model : GMM
        Fitted.
    ax, colors
        As in ``scatter``.
    **style
        For ``Axes.legend``.

    Returns
    -------
    Legend

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> from cgmm import plot
    >>> artists = plot.ellipses(model), plot.legend(model)
    """
    subject = subject_of(model)
    return draw_legend(axes_of(ax), subject, palette(subject.parameters.k, colors), style)


def draw_legend(
    place: Axes | Figure | SubFigure, subject: Subject, colours: Array, style: dict[str, Any], by_marker: bool = True
) -> Legend:
    """See ``legend``; also of a whole figure, and of one in which all components have the same marker."""
    from matplotlib.lines import Line2D

    shapes = MARKERS if by_marker else MARKERS[:1]
    handles = [
        Line2D([], [], color=colours[c], marker=shapes[c % len(shapes)], markersize=4.5, linewidth=1.3, label=label)
        for c, label in enumerate(subject.labels)
    ]
    noise = subject.parameters.noise
    if noise is not None:
        label = component_label("noise", noise.weight)
        handles.append(Line2D([], [], color=FAINT, marker=".", linestyle="", label=label))
    style = {"handles": handles, "title": "component"} | style
    if "labels" in style:  # the caller's own, which may hold mathematics
        return place.legend(**{"fontsize": "small", "title_fontsize": "small"} | style)
    return literal_legend(place, given={}, **style)
