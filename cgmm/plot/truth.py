"""Pictures of what lies behind rows: the modes to which a density rises, and true values behind measured ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.plot.canvas import axes_of
from cgmm.plot.features import view_of
from cgmm.plot.frame import frame
from cgmm.plot.legends import literal_legend
from cgmm.plot.planes import crosses, draw_ellipses
from cgmm.plot.points import draw_rows
from cgmm.plot.protocols import subject_of
from cgmm.plot.rows import Spread, shown_of
from cgmm.plot.style import FAINT, GREY, INK, MOST_POINTS, palette, point_alpha, point_area, sized
from cgmm.plot.text import name_axes
from cgmm.rows.landscape import Landscape

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PathCollection, PolyCollection, QuadMesh

    from cgmm.plot.features import Features
    from cgmm.plot.protocols import Denoising, Mixture
    from cgmm.plot.view import View
    from cgmm.types import Array, ArrayLike

PIXELS = 100  # Of an image of basins along each axis; from each of them the density is climbed.
SPARE = 0.08  # An image of basins goes this share of its width beyond the rows, for contours do.
LEGEND_NAMES = ("measured", "denoised")


class BasinArtists(NamedTuple):
    """What ``basins`` draws: the image of basins, grey rows, contours of the density, and the modes."""

    image: QuadMesh
    rows: list[Artist]
    contours: Artist
    modes: PathCollection


def basins(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    features: Features | None = None,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
) -> BasinArtists:
    """The modes of a density in a plane, as crosses, and their basins: from where it rises to which of them.

    Rows of one basin are one cluster, whatever its shape, see ``GMM.modal_labels``. Of more than two features they are
    the modes of the marginal that is drawn.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d), optional
        Rows, drawn in grey.
    features, ax, sample_weight
        As in ``scatter``.
    colors : as many colours as there are modes, optional
        The highest mode's first.

    Returns
    -------
    BasinArtists
        (image, rows, contours, modes)

    Examples
    --------
    >>> from cgmm import GMM, plot
    >>> model = GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> len(plot.basins(model).modes.get_offsets())
    2
    """
    from matplotlib.colors import ListedColormap

    subject = subject_of(model, X, sample_weight)
    view = view_of(subject, features, 2)
    shown = shown_of(subject)
    low, high = frame(view) if shown is None else Spread.of(shown, view)[2:4]
    low, high = low - SPARE * (high - low), high + SPARE * (high - low)
    landscape = Landscape(Parameters.given(FAMILIES["full"], view.weights, view.means, view.covariances))
    modes = landscape.modes()
    colours = palette(len(modes.points), colors)
    ax = axes_of(ax)
    x, y = np.linspace(low[0], high[0], PIXELS), np.linspace(low[1], high[1], PIXELS)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    labels = landscape.labels(points, modes).reshape(PIXELS, PIXELS)
    mesh: dict[str, Any] = {"shading": "nearest", "alpha": 0.25, "linewidth": 0, "rasterized": True, "zorder": 0.5}
    image = ax.pcolormesh(
        x, y, np.ma.masked_less(labels, 0), cmap=ListedColormap(colours), vmin=-0.5, vmax=len(colours) - 0.5, **mesh
    )
    rows = draw_rows(ax, shown, view, "responsibility", np.full((view.k, 3), GREY), {"zorder": 1})
    heights = np.exp(landscape.log_density(points)).reshape(PIXELS, PIXELS)
    levels = view.levels(np.array([0.1, 0.3, 0.5, 0.7, 0.9]))
    contours = ax.contour(x, y, heights, levels=levels, colors=INK, zorder=1.5, **sized(ax, linewidths=0.8))
    style = crosses(ax, len(colours)) | {"c": colours, "label": "modes"}
    found = ax.scatter(modes.points[:, 0], modes.points[:, 1], **style)
    name_axes(ax, view.names)
    return BasinArtists(image, rows, contours, found)


class DenoisedArtists(NamedTuple):
    """What ``denoised`` draws: rows as measured, as denoised, lines from one to the other, and ellipses."""

    measured: PathCollection
    denoised: PathCollection
    moves: LineCollection
    ellipses: list[PolyCollection]


def denoised(
    model: Denoising,
    X: ArrayLike,
    error_covariances: ArrayLike,
    *,
    features: Features | None = None,
    ax: Axes | None = None,
    legend: bool = True,
) -> DenoisedArtists:
    """Rows as they were measured, the means of their true values given the mixture, and lines from one to the other.

    Of more than 20 000 rows an even choice of these is drawn.

    Parameters
    ----------
    model : GMM
        Fitted with error_covariances.
    X : array-like (n, d)
        Rows as they were measured.
    error_covariances : array-like
        Of their errors, as of ``GMM.fit``.
    features, ax
        As in ``scatter``.
    legend : bool, default=True

    Returns
    -------
    DenoisedArtists
        (measured, denoised, moves, ellipses); the ellipses hold nine tenths of each component of true values.

    Examples
    --------
    >>> import numpy as np
    >>> from cgmm import GMM, plot
    >>> rng = np.random.default_rng(0)
    >>> errors = rng.uniform(0.5, 2, size=(200, 2))  # variances of what was measured
    >>> X = rng.normal([5.0, 2.0], np.sqrt(1 + errors))
    >>> model = GMM(1).fit(X, error_covariances=errors)
    >>> artists = plot.denoised(model, X, errors)
    """
    from matplotlib.collections import LineCollection

    view = view_of(subject_of(model, X), features, 2)
    means = model.denoise(X, error_covariances)
    ends = _in_view(view, np.asarray(X, dtype=np.float64)), _in_view(view, means)
    ax = axes_of(ax)
    alpha, thin = point_alpha(len(ends[0])), sized(ax, linewidths=0.4)
    moves = LineCollection(np.stack(ends, axis=1).tolist(), colors=FAINT, alpha=0.35, zorder=1, **thin)
    ax.add_collection(moves)
    colours, size = (FAINT, palette(1)[0]), sized(ax, s=point_area(len(ends[0])))
    measured, found = (
        ax.scatter(*rows.T, alpha=alpha, color=colour, linewidths=0, zorder=1.2, label=name, **size)
        for rows, colour, name in zip(ends, colours, LEGEND_NAMES, strict=True)
    )
    ellipses = draw_ellipses(ax, view, np.array([0.9]), palette(view.k, [INK] * view.k), {"facecolor": "none"})
    name_axes(ax, view.names)
    if legend:
        literal_legend(ax, [measured, found], {}, markerscale=2)
    return DenoisedArtists(measured, found, moves, ellipses)


def _in_view(view: View, X: Array) -> Array:
    return X[:: -(-len(X) // MOST_POINTS)] @ view.basis.T
