"""Pictures of rows: in the colours of their components, and how sure these are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import validation
from cgmm.plot.style import (
    MARKERS,
    MOST_IN_LEGEND,
    MOST_POINTS,
    axes,
    component_label,
    doubt_colours,
    name_axes,
    note_hidden,
    palette,
    point_alpha,
    point_area,
)
from cgmm.plot.view import View, view_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.gmm import GMM
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Array, ArrayLike


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
    rows, view, ax = model._evaluations(X, sample_weight).only(), view_of(model, features, 2), axes(ax)
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
    rows, ax = model._evaluations(X, sample_weight).only(), axes(ax)
    if features is None and rows.parameters.d != 2:
        return _uncertainty_curves(ax, rows, palette(rows.parameters.k, colors), style)
    view = view_of(model, features, 2)
    spread = Spread.of(rows, view)
    name_axes(ax, view.names)
    note_hidden(ax, spread.hidden)
    most = 1 - 1 / max(view.k, 2)
    style = {"cmap": doubt_colours(), "vmin": 0, "vmax": most} | style
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
        points = rows.data.part.rows @ view.basis.T
        low, high = view.frame(points)
        inside = ((points >= low) & (points <= high)).all(axis=1)
        hidden = len(points) - int(np.count_nonzero(inside))
        if hidden:
            rows, points = rows.taken(inside), points[inside]
        return cls(rows, points, low, high, hidden)

    def sizes(self) -> Array:
        """Areas (points²) of the rows' markers."""
        n, weights = len(self.points), self.rows.data.part.weights
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


def counted(rows: Evaluation) -> Evaluation:
    """Those of positive weight."""
    weights = rows.data.part.weights
    return rows if weights is None or weights.all() else rows.taken(weights > 0)


def weights_of(rows: Evaluation) -> Array:
    return np.ones(rows.data.n) if rows.data.part.weights is None else rows.data.part.weights


def doubts(rows: Evaluation) -> Array:
    """1 − max_c r_ic (n,)."""
    return 1.0 - rows.evaluate("responsibilities").max(axis=1)


def _of_labels(rows: Evaluation, colours: Array) -> Array:
    return colours[rows.evaluate("labels")]


def _of_responsibilities(rows: Evaluation, colours: Array) -> Array:
    return rows.evaluate("responsibilities") @ colours


SHADES: dict[str, Callable[..., Array]] = {"label": _of_labels, "responsibility": _of_responsibilities}
CURVE = 1000  # points of a curve
