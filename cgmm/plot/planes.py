"""Pictures of two features: rows, ellipses, contours, means."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm import validation
from cgmm.plot.style import (
    INK,
    MARKERS,
    MOST_IN_LEGEND,
    axes,
    component_label,
    name_axes,
    palette,
    pyplot,
)
from cgmm.plot.view import View, view_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cgmm.gmm import GMM
    from cgmm.types import Array, ArrayLike

ANGLES = np.linspace(0, 2 * np.pi, 181)
ROOM = 1.0  # widths of what is there already, by which ellipses may widen the limits at each end


def ellipses(
    model: GMM,
    probabilities: Sequence[float] = (0.5, 0.9),
    *,
    features: Any = None,
    ax: Any = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Any]:
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
    """
    view, ax = view_of(model, features, 2), axes(ax)
    radii = [np.sqrt(-2 * np.log1p(-check_probabilities(probabilities)))] * view.k
    name_axes(ax, view.names)
    make_room(ax, view, radii)
    return _polygons(ax, view, radii, palette(view.k, colors), style)


def contours(
    model: GMM,
    of: str = "mixture",
    *,
    probabilities: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    levels: ArrayLike | None = None,
    features: Any = None,
    ax: Any = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Any]:
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
    """
    validation.check_choice("of", of, {"mixture": 0, "components": 0})
    shares = check_probabilities(probabilities)
    view, ax = view_of(model, features, 2), axes(ax)
    colours = palette(view.k, colors)
    heights = view.levels(shares) if levels is None else np.sort(np.asarray(levels, dtype=np.float64).ravel())
    name_axes(ax, view.names)
    radii = _radii(view, heights)
    if of == "components":
        make_room(ax, view, radii)
        return _polygons(ax, view, radii, colours, {"facecolor": "none", "linewidth": 1.2} | style)
    make_room(ax, view, _radii(view, heights / min(view.k, 2)))  # where two components overlap it is twice as high
    x, y = view.grid(0, *sorted(ax.get_xlim())), view.grid(1, *sorted(ax.get_ylim()))
    points = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
    density = view.densities(points).sum(axis=0).reshape(len(y), len(x))
    reached = heights[heights < density.max()]
    if not len(reached):
        raise ValueError(f"no level is reached: the highest density is {density.max():.3g}")
    with steady(ax):
        return [ax.contour(x, y, density, **{"levels": reached, "colors": INK, "linewidths": 1.2} | style)]


def _radii(view: View, heights: Array) -> list[Array]:
    """The Mahalanobis distances at which each component's weighted density has those heights."""
    with np.errstate(divide="ignore"):
        squares = 2 * np.log(view.peaks()[:, None] / heights)
    return [np.sqrt(row[row > 0]) for row in squares]


@contextmanager
def steady(ax: Any) -> Iterator[None]:
    """What is drawn meanwhile does not change the limits."""
    limits = ax.dataLim.frozen()
    yield
    ax.dataLim.set(limits)
    ax.autoscale_view(tight=False)


def check_probabilities(probabilities: Sequence[float]) -> Array:
    """As an array (·,), all between 0 and 1."""
    shares = np.asarray(probabilities, dtype=np.float64).ravel()
    if not len(shares) or not ((shares > 0) & (shares < 1)).all():
        raise ValueError(f"probabilities must lie between 0 and 1, not {probabilities!r}")
    return shares


def _polygons(ax: Any, view: View, radii: Sequence[Array], colours: Array, style: dict[str, Any]) -> list[Any]:
    """For each component its ellipses at those Mahalanobis distances; the limits stay."""
    from matplotlib.collections import PolyCollection

    circle = np.stack([np.cos(ANGLES), np.sin(ANGLES)])
    roots = view.roots()
    artists = []
    for c in range(view.k):
        outlines = [view.means[c] + radius * (roots[c] @ circle).T for radius in radii[c]]
        plain = {"facecolor": (*colours[c], 0.08), "edgecolor": colours[c], "linewidth": 1.6, "zorder": 2.2}
        artists.append(ax.add_collection(PolyCollection(outlines, **plain | style), autolim=False))
    return artists


def make_room(ax: Any, view: View, radii: Sequence[Array]) -> None:
    """Widen the limits to hold each component's ellipses at those Mahalanobis distances, within reason: by ROOM widths
    of what is there already, or of the mixture, at most, and only for components that matter."""
    frame = np.array(view.frame())
    reach = np.array([row.max(initial=0.0) for row in radii])[:, None]
    sizes = reach * np.sqrt(view.covariances.diagonal(axis1=1, axis2=2))
    matters = view.notable()
    low, high = (view.means - sizes)[matters].min(axis=0), (view.means + sizes)[matters].max(axis=0)
    there = ax.dataLim.get_points()
    least, most = there if ax.has_data() and np.isfinite(there).all() else frame
    room = ROOM * np.where(most > least, most - least, frame[1] - frame[0])
    low, high = np.clip([low, high], least - room, most + room)
    ax.update_datalim([low, high])
    ax.autoscale_view()


def means(model: GMM, *, features: Any = None, ax: Any = None, **style: Any) -> Any:
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
    """
    view, ax = view_of(model, features, 2), axes(ax)
    name_axes(ax, view.names)
    make_room(ax, view, [np.zeros(1)] * view.k)
    size = 110 if view.k <= MOST_IN_LEGEND else 50
    plain = {"marker": "P", "s": size, "color": INK, "edgecolors": "white", "linewidths": 1.2, "zorder": 3}
    with steady(ax):
        return ax.scatter(*view.means.T, **plain | style)


def legend(model: GMM, *, ax: Any = None, colors: ArrayLike | None = None, **style: Any) -> Any:
    """A legend of the components: index, weight, colour and marker.

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
    """
    pyplot()
    from matplotlib.lines import Line2D

    weights = model.weights_
    colours = palette(len(weights), colors)
    handles = [
        Line2D([], [], color=colours[c], marker=MARKERS[c % len(MARKERS)], label=component_label(c, weight))
        for c, weight in enumerate(weights)
    ]
    ax = axes(ax)
    plain = {"fontsize": "small", "title": "component", "title_fontsize": "small", "loc": _corner(ax)}
    return ax.legend(**{"handles": handles} | plain | style)


def _corner(ax: Any) -> str:
    """Where there is most room for a legend. "best" does not see images."""
    images = [image for image in getattr(ax, "images", ()) if image.get_array().shape[-1] == 4]
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
