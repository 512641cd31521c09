"""Whole pictures, put together from the others. Everything is checked before anything is drawn."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from cgmm import validation
from cgmm.plot.apart import distinct, farthest_apart
from cgmm.plot.canvas import axes_of, figure_of
from cgmm.plot.densities import DensityArtists, Histogram, density, draw_density
from cgmm.plot.features import columns_of, view_of
from cgmm.plot.planes import check_probabilities, draw_ellipses, draw_legend, draw_means
from cgmm.plot.points import SHADES, draw_rows
from cgmm.plot.protocols import subject_of
from cgmm.plot.rows import shown_of
from cgmm.plot.style import MOST_IN_LEGEND, palette
from cgmm.plot.text import LEAST_LETTERS, LETTER, draw_literally

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.collections import PathCollection, PolyCollection
    from matplotlib.figure import Figure, SubFigure
    from matplotlib.legend import Legend
    from numpy.typing import NDArray

    from cgmm.plot.features import Features
    from cgmm.plot.points import By
    from cgmm.plot.protocols import Mixture, Subject
    from cgmm.plot.rows import Shown
    from cgmm.plot.view import View
    from cgmm.types import Array, ArrayLike, Labels

MOST_PAIRS = 6  # A grid has no more features than this, unless the caller chooses more: cells would be too small.
LEAST_SIZE = 5.0  # points: smaller letters are not read.
SMALL = 0.83  # matplotlib's, of letters.
ROWS_IN_CORNER = 4  # A legend in the corner of a grid has so many rows: more would hide cells.
PLANE, PAIRS = (0.5, 0.9), (0.9,)  # The probabilities of ellipses: two in a large plane, one in a small cell.


class PlaneArtists(NamedTuple):
    """What ``plane`` and ``projection`` draw.

    rows : list of artists, see ``scatter``
    ellipses : list of PolyCollection
    means : PathCollection
    legend : Legend or None
    """

    rows: list[Artist]
    ellipses: list[PolyCollection]
    means: PathCollection
    legend: Legend | None


def plane(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    by: By = "label",
    probabilities: Sequence[float] = PLANE,
    features: Features | None = None,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    legend: bool = True,
) -> PlaneArtists:
    """Rows, ellipses and means in the plane of two features.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d), optional
    by, features, ax, sample_weight, colors
        As in ``scatter``.
    probabilities : sequence of float in (0, 1), default=(0.5, 0.9)
        As in ``ellipses``.
    legend : bool, default=True
        Of up to eight components, with their weights.

    Returns
    -------
    PlaneArtists
        (rows, ellipses, means, legend)

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> X, _ = model.sample(200, random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.plane(model, X)
    """
    subject = subject_of(model, X, sample_weight)
    return _plane(subject, view_of(subject, features, 2), by, probabilities, ax, colors, legend)


def _plane(
    subject: Subject,
    view: View,
    by: By,
    probabilities: Sequence[float],
    ax: Axes | None,
    colors: ArrayLike | None,
    legend: bool,
) -> PlaneArtists:
    """See ``plane``."""
    validation.check_choice("by", by, SHADES)
    shares, colours = check_probabilities(probabilities), palette(view.k, colors)
    shown, ax = shown_of(subject), axes_of(ax)
    artists = _draw_plane(ax, shown, view, by, shares, colours)
    if legend and view.k <= MOST_IN_LEGEND:
        drawn = draw_legend(ax, subject, colours, _legend_title(shares), by == "label" and not ax.images)
        return artists._replace(legend=drawn)
    return artists


def _legend_title(shares: Array) -> dict[str, str]:
    """A legend's title, which tells what share of a component its ellipses enclose."""
    told = ", ".join(f"{100 * share:.3g}%" for share in shares)
    return {"title": f"component: weight\n(ellipses hold {told})"}


def _draw_plane(ax: Axes, shown: Shown | None, view: View, by: By, shares: Array, colours: Array) -> PlaneArtists:
    rows = draw_rows(ax, shown, view, by, colours, {})
    return PlaneArtists(rows, draw_ellipses(ax, view, shares, colours, {}), draw_means(ax, view, {}), None)


def projection(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    by: By = "label",
    probabilities: Sequence[float] = PLANE,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    legend: bool = True,
) -> PlaneArtists:
    """Rows, ellipses and means in the plane in which the components differ most: that of ``directions``.

    The ellipses are exact: a projected component is Gaussian again.

    Parameters
    ----------
    model : GMM
        Fitted, of at least two features.
    X : array-like (n, d), optional
    by, probabilities, ax, sample_weight, colors, legend
        As in ``plane``.

    Returns
    -------
    PlaneArtists
        (rows, ellipses, means, legend)

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> X, _ = model.sample(200, random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.projection(model, X)
    """
    subject = subject_of(model, X, sample_weight)
    view = view_of(subject, farthest_apart(subject.parameters), 2)
    return _plane(subject, view, by, probabilities, ax, colors, legend)


class PairsArtists(NamedTuple):
    """What ``pairs`` draws.

    figure : Figure
    axes : ndarray (m, m) of Axes, None above the diagonal
    features : tuple of int, which m features
    cells : dict of DensityArtists and PlaneArtists by (row, column)
    """

    figure: Figure | SubFigure
    axes: NDArray[np.object_]
    features: tuple[int, ...]
    cells: dict[tuple[int, int], DensityArtists | PlaneArtists]


def pairs(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    features: Sequence[int | str] | Labels | None = None,
    by: By = "label",
    probabilities: Sequence[float] = PAIRS,
    figure: Figure | SubFigure | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    legend: bool = True,
) -> PairsArtists:
    """Every pair of features in a plane of its own, and on the diagonal the density of each.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d), optional
    features : sequence of int or str, optional
        Which, by index or name. Default: all, or if they are more than six, the six in which the means differ most for
        their variance: of the highest Σ_c π_c (μ_cj − μ_j)² / σ²_j, μ and σ² those of the mixture.
    by, sample_weight, colors, legend
        As in ``plane``.
    probabilities : sequence of float in (0, 1), default=(0.9,)
        Of the ellipses.
    figure : matplotlib Figure or SubFigure, optional
        Default: a new one.

    Returns
    -------
    PairsArtists
        (figure, axes, features, cells)

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> X, _ = model.sample(200, random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.pairs(model, X)
    """
    subject = subject_of(model, X, sample_weight)
    parameters = subject.parameters
    chosen = distinct(parameters, MOST_PAIRS) if features is None else columns_of(subject, features)
    validation.check_choice("by", by, SHADES)
    shares, colours, m = check_probabilities(probabilities), palette(parameters.k, colors), len(chosen)
    views = [view_of(subject, [column], 1) for column in chosen]
    shown = shown_of(subject)
    bars = [Histogram.of(view, shown) for view in views]
    place = figure_of(figure, 2.1 * m + 0.6)
    size = _letters(place, m)
    grid = np.full((m, m), None, dtype=object)
    cells: dict[tuple[int, int], DensityArtists | PlaneArtists] = {}
    for row, column in _cells(m):
        ax = grid[row, column] = place.add_subplot(m, m, row * m + column + 1)
        _shrink_letters(ax, size)
        if row == column:
            cells[row, row] = draw_density(ax, views[row], bars[row], colours, True, False, False)
        else:
            view = view_of(subject, [chosen[column], chosen[row]], 2)
            cells[row, column] = _draw_plane(ax, shown, view, by, shares, colours)
    _tidy(grid, size)
    if legend and parameters.k <= MOST_IN_LEGEND:
        _draw_corner(place, subject, colours, _legend_title(shares), by == "label", m)
    return PairsArtists(place, grid, tuple(int(j) for j in chosen), cells)


def _cell(figure: Figure | SubFigure, m: int) -> Array:
    """The width and height (points) of a cell of a grid of m features, which has labels at two sides."""
    return 72 * np.array(figure.bbox.size) / figure.dpi / (m + 0.6)


def _letters(figure: Figure | SubFigure, m: int) -> float:
    """The size (points) of letters of which those of a shortened name fit to a cell."""
    from matplotlib import rcParams
    from matplotlib.font_manager import FontProperties

    usual = FontProperties(size=rcParams["axes.labelsize"]).get_size_in_points()
    return float(np.clip(_cell(figure, m).min() / (LETTER * (LEAST_LETTERS + 1)), LEAST_SIZE, usual))


def _shrink_letters(ax: Axes, size: float) -> None:
    """Labels and ticks of that size (points)."""
    ax.tick_params(labelsize=size, length=0.3 * size, pad=0.3 * size)
    for axis in (ax.xaxis, ax.yaxis):
        axis.label.set_fontsize(size)
        axis.get_offset_text().set_fontsize(size)
        axis.labelpad = 0.3 * size


def _thin_ticks(axis: Axis, length: float, size: float) -> None:
    """Only the first and the last tick, where labels of that size would meet on so long an axis, both in points.

    The label of the axis stands below the power of ten of all ticks.
    """
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_locator()() if low <= tick <= high]
    letters = 1 + max(map(len, axis.get_major_formatter().format_ticks(ticks)), default=0)
    if len(ticks) > 2 and letters * LETTER * size > length * (ticks[1] - ticks[0]) / (high - low):
        axis.set_ticks([ticks[0], ticks[-1]])
    if axis.get_major_formatter().get_offset():
        axis.labelpad += 1.3 * size


def _draw_corner(
    figure: Figure | SubFigure, subject: Subject, colours: Array, title: dict[str, str], by_marker: bool, m: int
) -> None:
    """The legend of a grid of m features, in the corner above the diagonal, in small letters that fit there."""
    size = SMALL * _letters(figure, m)
    style: dict[str, Any] = title | {"loc": "upper right", "ncols": ceil(subject.parameters.k / ROWS_IN_CORNER)}
    legend = draw_legend(figure, subject, colours, style | {"fontsize": size, "title_fontsize": size}, by_marker)
    width, height = 72 * np.array(legend.get_window_extent().size) / figure.dpi / _cell(figure, m)
    share = max((min((m - rows) / width, rows / height) for rows in range(1, m)), default=1.0)
    if share < 1:
        legend.remove()
        small = float(share * size)
        draw_legend(figure, subject, colours, style | {"fontsize": small, "title_fontsize": small}, by_marker)


def _cells(m: int) -> list[tuple[int, int]]:
    """(row, column) of the diagonal and below it."""
    return [(row, column) for row in range(m) for column in range(row + 1)]


def _tidy(grid: NDArray[np.object_], size: float) -> None:
    """Limits that the axes of a column, and of a row, have in common; labels at the left and at the foot only, in
    letters of that size (points), and no ticks of which they would meet."""
    m = len(grid)
    for j in range(m):
        grid[j, j].set_yticks([])
        draw_literally(grid[j, j].yaxis.set_label_text(grid[j, j].get_xlabel() if j == 0 else ""))
        columns = [grid[row, j] for row in range(j, m)]
        ends = np.array([ax.get_xlim() for ax in columns])
        for ax in columns:
            ax.set_xlim(ends[:, 0].min(), ends[:, 1].max())
        for column in range(j):
            grid[j, column].set_ylim(grid[j, j].get_xlim())
    for row, column in _cells(m):
        grid[row, column].label_outer(remove_inner_ticks=True)
    for ax in grid[m - 1]:
        _thin_ticks(ax.xaxis, 72 * ax.get_window_extent().width / ax.figure.dpi, size)


class Options(TypedDict, total=False):
    """The options of ``model``, beside `ax`; None is the default of the picture that is drawn.

    They are written once more here so that ``GMM.plot``, which passes them on, completes in an editor too.
    """

    feature: int | str | None
    features: Features | None
    by: By | None
    probabilities: Sequence[float] | None
    bins: int | str | None
    components: bool | None
    responsibilities: bool | None
    figure: Figure | SubFigure | None
    sample_weight: ArrayLike | None
    colors: ArrayLike | None
    legend: bool


def model(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    ax: Axes | None = None,
    feature: int | str | None = None,
    features: Features | None = None,
    by: By | None = None,
    probabilities: Sequence[float] | None = None,
    bins: int | str | None = None,
    components: bool | None = None,
    responsibilities: bool | None = None,
    figure: Figure | SubFigure | None = None,
    sample_weight: ArrayLike | None = None,
    colors: ArrayLike | None = None,
    legend: bool = True,
) -> DensityArtists | PlaneArtists | PairsArtists:
    """The picture that suits a mixture: the rows and the components.

    Of one feature, ``density``; of two, ``plane``; of three to six, ``pairs``, or ``projection`` where `ax` is given;
    of more, ``projection``. Where `feature` or `features` are given, their number counts. ``model.plot(X)`` is the
    same.

    Parameters
    ----------
    model : GMM
        Fitted.
    X : array-like (n, d), optional
    ax : matplotlib Axes, optional
        Default: the current; for ``pairs``, a new figure.
    feature, bins, components, responsibilities
        As in ``density``, for pictures of one feature.
    features, by, probabilities
        As in ``plane`` or ``pairs``, for pictures of more.
    figure : matplotlib Figure or SubFigure, optional
        As in ``pairs``.
    sample_weight : array-like (n,), optional
        Weights of the rows.
    colors : k colours, optional
        Of the components. Default: Okabe and Ito's; for more than eight components, viridis.
    legend : bool, default=True
        Of up to eight components, with their weights.

    Returns
    -------
    DensityArtists, PlaneArtists or PairsArtists

    Raises
    ------
    ValueError
        An option is for another picture than the one that is drawn, or cannot be used.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> X, _ = model.sample(200, random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.model(model, X)
    """
    d = subject_of(model).parameters.d
    shared: Any = {"sample_weight": sample_weight, "colors": colors, "legend": legend}
    of_one = _given(bins=bins, components=components, responsibilities=responsibilities)
    of_more = _given(by=by, probabilities=probabilities)
    chosen, whole = _given(features=features), _given(figure=figure)
    if d == 1 or feature is not None:
        _refuse("density", chosen | of_more | whole)
        return density(model, X, feature=feature, ax=ax, **of_one, **shared)
    if d == 2 or (features is not None and (len(features) == 2 or ax is not None)):
        _refuse("plane", of_one | whole)
        return plane(model, X, ax=ax, **chosen, **of_more, **shared)
    if ax is None and (d <= MOST_PAIRS or features is not None):
        _refuse("pairs", of_one)
        return pairs(model, X, **chosen, **of_more, **whole, **shared)
    _refuse("projection", of_one | whole)
    return projection(model, X, ax=ax, **of_more, **shared)


def _given(**options: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in options.items() if value is not None}


def _refuse(picture: str, options: dict[str, Any]) -> None:
    """Raise an error if there are options that a picture has not."""
    if options:
        raise ValueError(f"cgmm.plot.{picture}, which suits this mixture, has no option {', '.join(options)}")
