"""Pictures of rows: in the colours of their components, and how sure these are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np

from cgmm import validation
from cgmm.plot.canvas import axes_of, note_hidden
from cgmm.plot.features import view_of
from cgmm.plot.legends import literal_legend
from cgmm.plot.protocols import subject_of
from cgmm.plot.rows import Shown, Spread, shown_of
from cgmm.plot.style import (
    FAINT,
    GREY,
    MARKERS,
    MOST_IN_LEGEND,
    MOST_POINTS,
    doubt_colours,
    palette,
    point_alpha,
    point_area,
    sized,
)
from cgmm.plot.text import label_axes, name_axes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.lines import Line2D

    from cgmm.plot.features import Features
    from cgmm.plot.protocols import Mixture
    from cgmm.plot.view import View
    from cgmm.types import Array, ArrayLike, Mask

    By: TypeAlias = Literal["label", "responsibility"]

CURVE = 1000  # A curve has at most so many points, about as many as a picture has pixels along it.


def scatter(
    model: Mixture,
    X: ArrayLike,
    *,
    by: By = "label",
    features: Features | None = None,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Artist]:
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
        Default: the current. Its two axes are straight: those of a polar or 3-D picture are refused.
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

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> X, _ = model.sample(200, random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.scatter(model, X)
    """
    validation.check_choice("by", by, SHADES)
    subject = subject_of(model, X, sample_weight)
    view = view_of(subject, features, 2)
    shown, colours = shown_of(subject), palette(view.k, colors)
    return draw_rows(axes_of(ax), shown, view, by, colours, style)


def draw_rows(ax: Axes, shown: Shown | None, view: View, by: By, colours: Array, style: dict[str, Any]) -> list[Artist]:
    """See ``scatter``; nothing without rows."""
    if shown is None:
        return []
    spread = Spread.of(shown, view)
    artists = _artists(ax, spread, view, by, colours, style)
    name_axes(ax, view.names)
    note_hidden(ax, spread.hidden)
    return artists


def _artists(ax: Axes, spread: Spread, view: View, by: By, colours: Array, style: dict[str, Any]) -> list[Artist]:
    n = len(spread.points)
    if n > MOST_POINTS:
        return [_image(ax, spread, colours, SHADES[by], style)]
    style = {"linewidths": 0, "alpha": point_alpha(n)} | style
    sizes = sized(ax, s=point_area(n))["s"] * spread.relative_weights()
    if by == "responsibility":
        shades = np.clip(_of_responsibilities(spread.shown, colours), 0, 1)
        return [ax.scatter(*spread.points.T, **{"s": sizes, "c": shades} | style)]
    labels = spread.shown.labels()
    noise = [_noise(ax, spread, labels < 0, sizes, style)] if (labels < 0).any() else []
    return noise + [
        ax.scatter(
            *spread.points[labels == c].T,
            **{
                "s": sizes[labels == c],
                "color": colours[c],
                "marker": MARKERS[c % len(MARKERS)],
                "label": view.labels[c],
            }
            | style,
        )
        for c in range(view.k)
    ]


def uncertainty(
    model: Mixture,
    X: ArrayLike,
    *,
    features: Features | None = None,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    **style: Any,
) -> list[Artist]:
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

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> X, _ = model.sample(200, random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.uncertainty(model, X)
    """
    subject = subject_of(model, X, sample_weight)
    parameters, shown = subject.parameters, shown_of(subject)
    assert shown is not None  # X is given
    colours = palette(parameters.k, colors)
    if features is None and parameters.d != 2:
        return [*_uncertainty_curves(axes_of(ax), shown, subject.labels, colours, style)]
    view = view_of(subject, features, 2)
    spread, ax = Spread.of(shown, view), axes_of(ax)
    artist = _uncertainty_plane(ax, spread, 1 - 1 / max(view.k + (parameters.noise is not None), 2), style)
    name_axes(ax, view.names)
    note_hidden(ax, spread.hidden)
    return [artist]


def _uncertainty_plane(ax: Axes, spread: Spread, most: float, style: dict[str, Any]) -> Artist:
    """Doubts from 0 to the most that there can be, and a bar that explains their colours."""
    style = {"cmap": doubt_colours(), "vmin": 0, "vmax": most} | style
    artist: Any
    if len(spread.points) > MOST_POINTS:
        counts, sums = spread.raster(lambda part: part.doubts()[:, None])
        with np.errstate(invalid="ignore"):
            artist = _show_image(ax, spread, sums[..., 0] / np.where(counts > 0, counts, np.nan), style)
    else:
        doubt = spread.shown.doubts()
        order = doubt.argsort(kind="stable")  # the doubtful are drawn last
        areas = sized(ax, s=point_area(len(doubt)))["s"] * spread.relative_weights() * (0.4 + 2.4 * doubt / most)
        plain: dict[str, Any] = {"s": areas[order], "c": doubt[order], "linewidths": 0}
        artist = ax.scatter(*spread.points[order].T, **plain | style)
    figure = ax.get_figure()
    assert figure is not None  # axes_of has seen to it
    figure.colorbar(artist, ax=ax, label="uncertainty")
    return artist


def _uncertainty_curves(
    ax: Axes, shown: Shown, component_labels: Sequence[str], colours: Array, style: dict[str, Any]
) -> list[Line2D]:
    labels, doubt, weights = shown.labels(), shown.doubts(), shown.weights()
    lines = []
    for c in np.unique(labels):
        chosen = np.flatnonzero(labels == c)
        chosen = chosen[doubt[chosen].argsort()]
        share = weights[chosen].cumsum()
        at = np.unique(np.linspace(0, len(chosen) - 1, CURVE).astype(int))
        plain: dict[str, Any] = {
            "color": _with_grey(colours)[c],
            "label": "noise" if c < 0 else component_labels[c],
        } | sized(ax, linewidth=1.8)
        lines += ax.plot(share[at] / share[-1], doubt[chosen[at]], **plain | style)
    label_axes(ax, "share of the component's rows, the surest first", "uncertainty")
    if len(colours) <= MOST_IN_LEGEND:
        literal_legend(ax, lines, style, title="component")
    return lines


def _image(ax: Axes, spread: Spread, colours: Array, shades: Callable[..., Array], style: dict[str, Any]) -> AxesImage:
    """The mean colour of the rows in each pixel, the more opaque the more rows."""
    counts, sums = spread.raster(lambda part: shades(part, colours))
    filled = counts > 0
    colour = np.where(filled[..., None], sums / np.where(filled, counts, 1.0)[..., None], 1.0)
    dense = np.quantile(counts[filled], 0.98)
    opacity = np.where(filled, 0.12 + 0.88 * np.sqrt(np.minimum(counts / dense, 1.0)), 0.0)
    return _show_image(ax, spread, np.clip(np.dstack([colour, opacity]), 0, 1), style)


def _show_image(ax: Axes, spread: Spread, pixels: Array, style: dict[str, Any]) -> AxesImage:
    extent = (spread.low[0], spread.high[0], spread.low[1], spread.high[1])
    plain: dict[str, Any] = {
        "extent": extent,
        "origin": "lower",
        "aspect": "auto",
        "interpolation": "nearest",
        "zorder": 1,
    }
    image = ax.imshow(pixels, **plain | style)
    ax.autoscale_view()
    return image


def _noise(ax: Axes, spread: Spread, which: Mask, sizes: Array, style: dict[str, Any]) -> Artist:
    """The rows of the noise component, small, for this marker is, and grey, beneath the others."""
    plain: dict[str, Any] = {"s": sizes[which], "color": FAINT, "marker": ".", "label": "noise", "zorder": 0.9}
    return ax.scatter(*spread.points[which].T, **plain | style)


def _with_grey(colours: Array) -> Array:
    """The colours, and grey as the last, that of the noise component, whose label is −1."""
    return np.vstack([colours, np.full(3, GREY)])


def _of_labels(part: Shown, colours: Array) -> Array:
    return _with_grey(colours)[part.labels()]


def _of_responsibilities(part: Shown, colours: Array) -> Array:
    shares = part.responsibilities()
    left = np.maximum(1.0 - shares.sum(axis=1), 0.0) if part.rows.parameters.noise else np.zeros(len(shares))
    return shares @ colours + left[:, None] * GREY


SHADES: dict[str, Callable[[Shown, Array], Array]] = {"label": _of_labels, "responsibility": _of_responsibilities}
