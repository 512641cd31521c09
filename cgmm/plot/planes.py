"""Pictures of two features: rows, ellipses, contours, means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import validation
from cgmm.plot.style import (
    INK,
    MARKERS,
    MOST_IN_LEGEND,
    MOST_POINTS,
    axes,
    component_label,
    name_axes,
    note_hidden,
    palette,
    point_alpha,
    point_area,
    pyplot,
)
from cgmm.plot.view import View, view_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cgmm.evaluation import Evaluation
    from cgmm.gmm import GMM
    from cgmm.types import Array, ArrayLike

CIRCLE = np.linspace(0, 2 * np.pi, 181)  # radians
ROOM = 0.5  # widths of what is there already, by which ellipses may widen the limits


def scatter(
    model: GMM,
    X: ArrayLike,
    *,
    by: str = "label",
    features: Any = None,
    ax: Any = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Any]:
    """Rows, in the colours of their components.

    Far outliers are left out of the picture, and their number is noted.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d)
        Up to 20 000 rows are points; more are an image, each pixel in the mean colour of its rows, and the more
        opaque the more there are.
    by : {"label", "responsibility"}, default="label"
        The colour of the most probable component, which then also has its own marker; or the mean of the components'
        colours, weighted by responsibility.
    features : two int or str, or ndarray (2, d), optional
        Which features to show, by index or name, or directions in space, such as those of ``directions``.
        May be left out if d = 2. Responsibilities are those of whole rows.
    ax : matplotlib Axes, optional
        Default: the current.
    sample_weight : array-like (n,), optional
        The areas of points are in proportion, the largest ten times the mean's at most.
    colors : k colours, optional
        Of the components. Default: Okabe and Ito's; for more than eight components, viridis.
    **style
        For ``Axes.scatter``, or of an image, ``Axes.imshow``.

    Returns
    -------
    list of artists
        By label, a PathCollection for each component; by responsibility, one for all; of many rows, one AxesImage.
    """
    validation.check_choice("by", by, SHADES)
    rows, view, ax = model._evaluation(X, sample_weight), view_of(model, features, 2), axes(ax)
    colours = palette(view.k, colors)
    spread = Spread.of(rows, view)
    name_axes(ax, view.names)
    note_hidden(ax, spread.hidden)
    if len(spread.points) > MOST_POINTS:
        return [_image(ax, spread, colours, SHADES[by], style)]
    style = {"linewidths": 0, "alpha": point_alpha(len(spread.points))} | style
    sizes = spread.sizes()
    if by == "responsibility":
        shades = np.clip(spread.rows.evaluate("responsibilities") @ colours, 0, 1)
        return [ax.scatter(*spread.points.T, **{"s": sizes, "c": shades} | style)]
    labels = spread.rows.evaluate("labels")
    return [
        ax.scatter(
            *spread.points[labels == c].T,
            **{
                "s": sizes[labels == c],
                "color": colours[c],
                "marker": MARKERS[c % len(MARKERS)],
                "label": component_label(c, view.weights[c]),
            }
            | style,
        )
        for c in range(view.k)
    ]


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
    pyplot()
    from matplotlib.collections import PolyCollection

    shares = np.atleast_1d(np.asarray(probabilities, dtype=np.float64))
    if shares.ndim != 1 or not ((shares > 0) & (shares < 1)).all():
        raise ValueError(f"probabilities must lie between 0 and 1, not {probabilities!r}")
    view, ax = view_of(model, features, 2), axes(ax)
    colours = palette(view.k, colors)
    radii = np.sqrt(-2 * np.log1p(-shares))
    circles = radii[:, None, None] * np.stack([np.cos(CIRCLE), np.sin(CIRCLE)], axis=1)
    outlines = view.means[:, None, None] + circles @ view.roots()[:, None].swapaxes(2, 3)  # (k, radii, angles, 2)
    name_axes(ax, view.names)
    make_room(ax, view, outlines.reshape(-1, 2))
    return [
        ax.add_collection(
            PolyCollection(
                list(outlines[c]),
                **{"facecolor": (*colours[c], 0.08), "edgecolor": colours[c], "linewidth": 1.6, "zorder": 2.2} | style,
            ),
            autolim=False,
        )
        for c in range(view.k)
    ]


def contours(
    model: GMM,
    of: str = "mixture",
    *,
    probabilities: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9),
    features: Any = None,
    ax: Any = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Any]:
    """Contours of the density of the mixture, or of each weighted component.

    The levels are those within which the mixture holds the given shares of its probability (its regions of highest
    density); the components' are the same, so that all can be compared.

    Parameters
    ----------
    model : GMM
        Fitted.
    of : {"mixture", "components"}, default="mixture"
    probabilities : sequence of float in (0, 1), default=(0.1, 0.3, 0.5, 0.7, 0.9)
    features, ax, colors
        As in ``scatter``.
    **style
        For ``Axes.contour``; ``levels`` are densities, and take the place of those of `probabilities`.

    Returns
    -------
    list of QuadContourSet
        One for the mixture; or one for each component whose density reaches the lowest level.
    """
    validation.check_choice("of", of, {"mixture": 0, "components": 0})
    view, ax = view_of(model, features, 2), axes(ax)
    colours = palette(view.k, colors)
    name_axes(ax, view.names)
    low, high = make_room(ax, view)
    x, y = (view.grid(j, low[j], high[j]) for j in range(2))
    points = np.stack(np.meshgrid(x, y), axis=2).reshape(-1, 2)
    densities = view.densities(points).reshape(view.k, len(y), len(x))
    cells = np.gradient(y)[:, None] * np.gradient(x)
    levels = np.asarray(style.pop("levels", levels_of(densities.sum(axis=0), cells, probabilities)), dtype=np.float64)
    if of == "mixture":
        chosen, style = {None: densities.sum(axis=0)}, {"colors": INK} | style
    else:
        chosen = dict(enumerate(densities))
    return [
        ax.contour(
            x,
            y,
            density,
            levels=levels[levels < density.max()],
            **({} if c is None else {"colors": [colours[c]]}) | {"linewidths": 1.2} | style,
        )
        for c, density in chosen.items()
        if (levels < density.max()).any()
    ]


def make_room(ax: Any, view: View, points: Array | None = None) -> tuple[Array, Array]:
    """Widen the limits to hold points (·,2), or the mixture, within reason: by ROOM widths of what is there already,
    or of the mixture, at most. What they now hold of it, from low (2,) to high (2,)."""
    around = view.frame()
    low, high = around if points is None else (points.min(axis=0), points.max(axis=0))
    there = ax.dataLim.get_points()
    least, most = there if ax.has_data() and np.isfinite(there).all() else around
    room = ROOM * np.where(most > least, most - least, high - low)
    low, high = np.clip(low, least - room, most + room), np.clip(high, least - room, most + room)
    ax.update_datalim([low, high])
    ax.autoscale_view()
    return low, high


def levels_of(density: Array, cells: Array, probabilities: Sequence[float]) -> Array:
    """Ascending densities above which a density on a grid of cells of those areas holds the given probabilities."""
    order = density.ravel().argsort()[::-1]
    held = np.cumsum((density * cells).ravel()[order])
    at = np.searchsorted(held, np.sort(probabilities)[::-1])
    return np.unique(density.ravel()[order[np.minimum(at, len(order) - 1)]])


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
    size = 110 if view.k <= MOST_IN_LEGEND else 50
    return ax.scatter(
        *view.means.T,
        **{"marker": "P", "s": size, "color": INK, "edgecolors": "white", "linewidths": 1.2, "zorder": 3} | style,
    )


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
    plain = {"fontsize": "small", "title": "component", "title_fontsize": "small", "frameon": True, "framealpha": 0.8}
    return axes(ax).legend(**{"handles": handles} | plain | style)


def uncertainty(
    model: GMM,
    X: ArrayLike,
    *,
    features: Any = None,
    ax: Any = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Any]:
    """How doubtful the assignment of rows is: 1 − max_c r_ic, r the responsibilities (mclust's uncertainty).

    Of two features (d = 2, or chosen), the rows in the plane, doubtful ones larger and darker; of more than 20 000
    rows, an image of their mean uncertainty. Otherwise a curve for each component: the uncertainty of the rows that
    are assigned to it, from the surest to the most doubtful.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d)
    features, ax, sample_weight, colors
        As in ``scatter``.
    **style
        For ``Axes.scatter``, ``Axes.imshow`` or ``Axes.plot``.

    Returns
    -------
    list of artists
        A PathCollection, an AxesImage, or Line2D for the components that have rows.
    """
    rows, ax = model._evaluation(X, sample_weight), axes(ax)
    if features is None and rows.parameters.d != 2:
        return _uncertainty_curves(ax, rows, palette(rows.parameters.k, colors), style)
    view = view_of(model, features, 2)
    spread = Spread.of(rows, view)
    name_axes(ax, view.names)
    note_hidden(ax, spread.hidden)
    most = 1 - 1 / max(view.k, 2)
    style = {"cmap": "cividis_r", "vmin": 0, "vmax": most} | style
    if len(spread.points) > MOST_POINTS:
        counts, sums = spread.raster(lambda part: doubts(part)[:, None])
        with np.errstate(invalid="ignore"):
            artist = _show_image(ax, spread, sums[..., 0] / np.where(counts > 0, counts, np.nan), style)
    else:
        doubt = doubts(spread.rows)
        order = doubt.argsort(kind="stable")  # the doubtful are drawn last
        sizes = (spread.sizes() * (0.4 + 2.4 * doubt / most))[order]
        points = spread.points[order]
        artist = ax.scatter(*points.T, **{"s": sizes, "c": doubt[order], "linewidths": 0} | style)
    ax.get_figure().colorbar(artist, ax=ax, label="uncertainty")
    return [artist]


def _uncertainty_curves(ax: Any, rows: Evaluation, colours: Array, style: dict[str, Any]) -> list[Any]:
    rows = counted(rows)
    labels, doubt = rows.evaluate("labels"), np.concatenate([doubts(part) for part in rows.parts()])
    weights = weights_of(rows)
    name_axes(ax, ("share of the component's rows, the surest first", "uncertainty"))
    lines = []
    for c in np.unique(labels):
        chosen = np.flatnonzero(labels == c)
        chosen = chosen[doubt[chosen].argsort()]
        share = weights[chosen].cumsum()
        at = np.unique(np.linspace(0, len(chosen) - 1, CURVE).astype(int))
        label = component_label(c, rows.parameters.weights[c])
        lines += ax.plot(
            share[at] / share[-1], doubt[chosen[at]], **{"color": colours[c], "label": label, "linewidth": 1.8} | style
        )
    if rows.parameters.k <= MOST_IN_LEGEND:
        ax.legend(title="component", fontsize="small", title_fontsize="small")
    return lines


def weights_of(rows: Evaluation) -> Array:
    return np.ones(rows.data.n) if rows.data.row_weights is None else rows.data.row_weights


def doubts(rows: Evaluation) -> Array:
    """1 − max_c r_ic (n,)."""
    return 1.0 - rows.evaluate("responsibilities").max(axis=1)


def counted(rows: Evaluation) -> Evaluation:
    """Those of positive weight."""
    weights = rows.data.row_weights
    return rows if weights is None or weights.all() else rows._replace(data=rows.data.take(weights > 0))


class Spread(NamedTuple):
    """Rows that a picture of a view shows, as points (n,2) in it, the limits, and how many rows lie outside."""

    rows: Evaluation
    points: Array
    low: Array
    high: Array
    hidden: int

    @classmethod
    def of(cls, rows: Evaluation, view: View) -> Spread:
        rows = counted(rows)
        points = rows.data.X @ view.basis.T
        low, high = view.frame(points)
        inside = ((points >= low) & (points <= high)).all(axis=1)
        hidden = len(inside) - int(np.count_nonzero(inside))
        if hidden:
            rows, points = rows._replace(data=rows.data.take(inside)), points[inside]
        return cls(rows, points, low, high, hidden)

    def sizes(self) -> Array:
        """Areas (points²) of the rows' markers."""
        n, weights = len(self.points), self.rows.data.row_weights
        relative = np.ones(n) if weights is None else np.minimum(weights / weights.mean(), 10.0)
        return point_area(n) * relative

    def raster(self, values: Callable[[Evaluation], Array]) -> tuple[Array, Array]:
        """The weight of the rows in each pixel (side,side), and the sums of their values (side,side,channels)."""
        side = int(np.clip(3 * len(self.points) ** (1 / 3), 60, 300))
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        total: Any = 0.0
        start = 0
        for part in self.rows.parts():
            points = self.points[start : start + part.data.n]
            start += part.data.n
            i, j = np.minimum((points - self.low) / width * side, side - 1).astype(int).T
            weights = weights_of(part)
            channels = np.column_stack([np.ones(len(points)), values(part)]) * weights[:, None]
            total = total + np.stack([np.bincount(j * side + i, w, side * side) for w in channels.T], axis=1)
        grid = total.reshape(side, side, -1)
        return grid[..., 0], grid[..., 1:]


def _image(ax: Any, spread: Spread, colours: Array, shades: Callable[..., Array], style: dict[str, Any]) -> Any:
    """The mean colour of the rows in each pixel, the more opaque the more rows."""
    counts, sums = spread.raster(lambda part: shades(part, colours))
    filled = counts > 0
    colour = np.where(filled[..., None], sums / np.where(filled, counts, 1.0)[..., None], 1.0)
    dense = np.quantile(counts[filled], 0.98)
    opacity = np.where(filled, 0.12 + 0.88 * np.sqrt(np.minimum(counts / dense, 1.0)), 0.0)
    return _show_image(ax, spread, np.clip(np.dstack([colour, opacity]), 0, 1), style)


def _show_image(ax: Any, spread: Spread, pixels: Array, style: dict[str, Any]) -> Any:
    extent = (spread.low[0], spread.high[0], spread.low[1], spread.high[1])
    image = ax.imshow(
        pixels,
        **{"extent": extent, "origin": "lower", "aspect": "auto", "interpolation": "nearest", "zorder": 1} | style,
    )
    ax.autoscale_view()
    return image


def _of_labels(rows: Evaluation, colours: Array) -> Array:
    return colours[rows.evaluate("labels")]


def _of_responsibilities(rows: Evaluation, colours: Array) -> Array:
    return rows.evaluate("responsibilities") @ colours


SHADES: dict[str, Callable[..., Array]] = {"label": _of_labels, "responsibility": _of_responsibilities}
CURVE = 1000  # points of a curve
