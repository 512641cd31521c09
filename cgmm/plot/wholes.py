"""Whole pictures, put together from the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.plot import planes
from cgmm.plot.curves import density
from cgmm.plot.points import scatter
from cgmm.plot.style import MOST_IN_LEGEND, axes, pyplot
from cgmm.plot.view import directions, view_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.gmm import GMM
    from cgmm.types import ArrayLike, Labels

MOST_PAIRS = 6  # features of a grid of pairs


class PlaneArtists(NamedTuple):
    """What ``plane`` and ``projection`` draw.

    rows : list of artists, see ``scatter``
    ellipses : list of PolyCollection
    means : PathCollection
    legend : Legend or None
    """

    rows: list[Any]
    ellipses: list[Any]
    means: Any
    legend: Any


def plane(
    model: GMM,
    X: ArrayLike | None = None,
    *,
    by: str = "label",
    probabilities: Sequence[float] = (0.5, 0.9),
    features: Any = None,
    ax: Any = None,
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
    """
    ax = axes(ax)
    rows: list[Any] = []
    if X is not None:
        rows = scatter(model, X, by=by, features=features, ax=ax, sample_weight=sample_weight, colors=colors)
    outlines = planes.ellipses(model, probabilities, features=features, ax=ax, colors=colors)
    means = planes.means(model, features=features, ax=ax)
    small = legend and model._parameters.k <= MOST_IN_LEGEND
    return PlaneArtists(rows, outlines, means, planes.legend(model, ax=ax, colors=colors) if small else None)


def projection(model: GMM, X: ArrayLike | None = None, **options: Any) -> PlaneArtists:
    """Rows, ellipses and means in the plane in which the components differ most: that of ``directions``.

    The ellipses are exact: a projected component is Gaussian again.

    Parameters
    ----------
    model : GMM
        Fitted, of at least two features.
    X : array-like (n, d), optional
    **options
        Of ``plane``, but `features`.

    Returns
    -------
    PlaneArtists
        (rows, ellipses, means, legend)
    """
    return plane(model, X, features=directions(model), **options)


class PairsArtists(NamedTuple):
    """What ``pairs`` draws.

    figure : Figure
    axes : ndarray (m, m) of Axes, None above the diagonal
    features : tuple of int, which m features
    cells : dict of DensityArtists and PlaneArtists by (row, column)
    """

    figure: Any
    axes: Any
    features: tuple[int, ...]
    cells: dict[tuple[int, int], Any]


def pairs(
    model: GMM,
    X: ArrayLike | None = None,
    *,
    features: Sequence[int | str] | None = None,
    by: str = "label",
    probabilities: Sequence[float] = (0.9,),
    figure: Any = None,
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
    """
    chosen = _distinct(model) if features is None else view_of(model, features, len(features)).basis.argmax(axis=1)
    m = len(chosen)
    figure = pyplot().figure(figsize=(2.1 * m + 0.6,) * 2, layout="constrained") if figure is None else figure
    grid = np.full((m, m), None, dtype=object)
    cells: dict[tuple[int, int], Any] = {}
    shared: dict[str, Any] = {"sample_weight": sample_weight, "colors": colors, "legend": False}
    for row, column in _cells(m):
        ax = figure.add_subplot(m, m, row * m + column + 1)
        grid[row, column] = ax
        if row == column:
            cells[row, row] = density(model, X, feature=chosen[row], ax=ax, **shared)
        else:
            pair = chosen[[column, row]]
            cells[row, column] = plane(model, X, features=pair, by=by, probabilities=probabilities, ax=ax, **shared)
    _tidy(grid)
    if legend and model._parameters.k <= MOST_IN_LEGEND:
        planes.legend(model, ax=figure, colors=colors, loc="upper right")
    return PairsArtists(figure, grid, tuple(int(j) for j in chosen), cells)


def _distinct(model: GMM) -> Labels:
    """The MOST_PAIRS features in which the means differ most for their variance, in their order."""
    parameters = model._parameters
    weights, k, d = parameters.weights / parameters.weights.sum(), parameters.k, parameters.d
    between = weights @ (parameters.means - weights @ parameters.means) ** 2
    within = weights @ parameters.family.variances(parameters.covariances, k, d)
    order = np.argsort(-between / (between + within), kind="stable")
    return np.sort(order[:MOST_PAIRS])


def _cells(m: int) -> list[tuple[int, int]]:
    """(row, column) of the diagonal and below it."""
    return [(row, column) for row in range(m) for column in range(row + 1)]


def _tidy(grid: Any) -> None:
    """Limits that the axes of a column, and of a row, have in common; labels at the left and at the foot only."""
    m = len(grid)
    for j in range(m):
        grid[j, j].set_yticks([])
        grid[j, j].set_ylabel(grid[j, j].get_xlabel() if j == 0 else "")
        columns = [grid[row, j] for row in range(j, m)]
        ends = np.array([ax.get_xlim() for ax in columns])
        for ax in columns:
            ax.set_xlim(ends[:, 0].min(), ends[:, 1].max())
        for column in range(j):
            grid[j, column].set_ylim(grid[j, j].get_xlim())
    for row, column in _cells(m):
        grid[row, column].label_outer(remove_inner_ticks=True)


def model(model: GMM, X: ArrayLike | None = None, *, ax: Any = None, **options: Any) -> Any:
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
    **options
        Of the function that draws: `sample_weight`, `colors` and `legend` of all.

    Returns
    -------
    DensityArtists, PlaneArtists or PairsArtists
    """
    d, features = model._parameters.d, options.get("features")
    if d == 1 or "feature" in options:
        return density(model, X, ax=ax, **options)
    if d == 2 or (features is not None and (len(features) == 2 or ax is not None)):
        return plane(model, X, ax=ax, **options)
    if ax is None and (d <= MOST_PAIRS or features is not None):
        return pairs(model, X, **options)
    return projection(model, X, ax=ax, **options)
