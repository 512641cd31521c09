"""Pictures of curves: densities of one feature, the history of a fit, the choice of a model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import validation
from cgmm.plot.points import counted, weights_of
from cgmm.plot.style import (
    FAINT,
    INK,
    MARKERS,
    MOST_IN_LEGEND,
    axes,
    component_label,
    name_axes,
    note,
    note_hidden,
    palette,
)
from cgmm.plot.view import view_of

if TYPE_CHECKING:
    from cgmm.gmm import GMM
    from cgmm.selection import Selection
    from cgmm.types import Array, ArrayLike

BARS = 8, 150  # at least and at most
CRITERIA = {name: name for name in ("bic", "aic", "icl")}
TALLEST = 2.5  # times the highest bar, of a curve that is shown whole


class DensityArtists(NamedTuple):
    """What ``density`` draws.

    histogram : StepPatch or None
    components : list of Line2D, a weighted density each
    mixture : Line2D, their sum
    responsibilities : list of Line2D, empty unless asked for
    """

    histogram: Any
    components: list[Any]
    mixture: Any
    responsibilities: list[Any]


def density(
    model: GMM,
    X: ArrayLike | None = None,
    *,
    feature: int | str | None = None,
    bins: int | str | None = None,
    components: bool = True,
    responsibilities: bool = False,
    ax: Any = None,
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
        Also draw each component's responsibility for a value of the feature, from 0 at the foot of the axes to 1 at the
        highest density.
    ax : matplotlib Axes, optional
        Default: the current.
    sample_weight : array-like (n,), optional
        Weights of the rows in the histogram.
    colors : k colours, optional
        Of the components. Default: Okabe and Ito's; for more than eight components, viridis.
    legend : bool, default=True

    Returns
    -------
    DensityArtists
        (histogram, components, mixture, responsibilities)
    """
    view, ax = view_of(model, None if feature is None else [feature], 1), axes(ax)
    colours = palette(view.k, colors)
    histogram, top = None, np.inf
    low, high = (float(end[0]) for end in view.frame())
    if X is not None:
        rows = counted(model._evaluations(X, sample_weight).only())
        values = rows.data.part.rows @ view.basis[0]
        low, high = (float(end[0]) for end in view.frame(values[:, None]))
        heights, edges, hidden = _bars(values, weights_of(rows), bins, (low, high))
        histogram = ax.stairs(heights, edges, fill=True, color="#cfcfcf", zorder=1)
        top = heights.max()
        note_hidden(ax, hidden)
        spare = 0.08 * (high - low)
        low, high = low - spare, high + spare
    x = view.grid(0, low, high)
    each = view.densities(x[:, None])
    total = each.sum(axis=0)
    top = min(total.max(), TALLEST * top)
    drawn = []
    if components:
        drawn = [
            ax.plot(x, each[c], color=colours[c], linewidth=1.8, label=component_label(c, view.weights[c]))[0]
            for c in range(view.k)
        ]
    (mixture,) = ax.plot(x, total, color=INK, linewidth=3.4, label="mixture", zorder=1.9)
    shares = []
    if responsibilities:
        share = top * np.divide(each, total, out=np.zeros_like(each), where=total > 0)
        shares = [ax.plot(x, share[c], color=colours[c], linewidth=1.2, linestyle=":")[0] for c in range(view.k)]
        shares[0].set_label("responsibilities")
    if total.max() > top:
        note(ax, f"the density reaches {total.max():.3g}")
    ax.margins(x=0)
    ax.set_ylim(0, 1.06 * max(top, 0 if histogram is None else heights.max()), auto=None)
    name_axes(ax, (*view.names, "density"))
    if legend and view.k <= MOST_IN_LEGEND:
        ax.legend(fontsize="small")
    return DensityArtists(histogram, drawn, mixture, shares)


def _bars(values: Any, weights: Array, bins: Any, limits: tuple[float, float]) -> tuple[Array, Array, int]:
    """Heights and edges of bars between the limits, of area one with the rows outside; and the number of these."""
    inside = (values >= limits[0]) & (values <= limits[1])
    if bins is None:
        bins = int(np.clip(1.5 * np.sqrt(len(values)), *BARS))
    edges = np.histogram_bin_edges(values[inside], bins, limits)
    heights, _ = np.histogram(values[inside], edges, weights=weights[inside])
    return heights / weights.sum() / np.diff(edges), edges, len(values) - int(np.count_nonzero(inside))


class HistoryArtists(NamedTuple):
    """What ``history`` draws.

    kept : Line2D of the fit that the model is
    others : list of Line2D, of the other starts that were carried to their end
    short : PathCollection of the starts that were given up, or None
    """

    kept: Any
    others: list[Any]
    short: Any


def history(model: GMM, *, restarts: bool = True, ax: Any = None, **style: Any) -> HistoryArtists:
    """The mean log-likelihood of a row over the iterations: of the fit that was kept, and of the other starts.

    The kept fit need not end highest: one without a DegenerateWarning is preferred to one with it.

    Parameters
    ----------
    model : GMM
        Fitted with ``fit``.
    restarts : bool, default=True
        Draw the other starts too: those that were carried to their end as lines, those that were given up after a
        short run as crosses at iteration zero.
    ax : matplotlib Axes, optional
        Default: the current.
    **style
        For ``Axes.plot`` of the fit that was kept.

    Returns
    -------
    HistoryArtists
        (kept, others, short)
    """
    kept = model.lower_bounds_
    if not len(kept):
        raise ValueError("the model has no history: it was not fitted, or with max_iter=0")
    ax, diagnostics = axes(ax), model.diagnostics_
    others, short = [], None
    if restarts:
        rest = [start for at, start in enumerate(diagnostics.restarts) if at != diagnostics.winner]
        told = "other starts"
        for start in rest:
            if start.carried:
                others += _history_line(ax, start.lower_bounds, color=FAINT, linewidth=1, alpha=0.8, label=told)
                told = "_"
        given_up = [start.log_likelihood for start in rest if not start.carried]
        if given_up:
            short = ax.scatter(
                np.zeros(len(given_up)), given_up, marker="x", s=24, color=FAINT, linewidths=1, label="given up early"
            )
    plain = {"color": palette(1)[0], "linewidth": 2.2, "label": "kept", "zorder": 2.5}
    (line,) = _history_line(ax, kept, **plain | style)
    ax.xaxis.get_major_locator().set_params(integer=True)
    name_axes(ax, ("iteration", "mean log-likelihood of a row (nats)"))
    if others or short:
        ax.legend(fontsize="small", loc="lower right")
    return HistoryArtists(line, others, short)


def _history_line(ax: Any, lower_bounds: Array, **style: Any) -> list[Any]:
    marker = "o" if len(lower_bounds) <= 40 else ""
    return ax.plot(np.arange(1, len(lower_bounds) + 1), lower_bounds, **{"marker": marker, "markersize": 3.5} | style)


class SelectionArtists(NamedTuple):
    """What ``selection`` draws.

    lines : dict of Line2D by covariance family
    best : Line2D, a ring about the best candidate
    label : Annotation that names it
    warned : Line2D, hollow markers of fits that were warned of, or None
    """

    lines: dict[str, Any]
    best: Any
    label: Any
    warned: Any


def selection(chosen: Selection, *, criterion: str | None = None, ax: Any = None, **style: Any) -> SelectionArtists:
    """A criterion over the number of components, a line for each covariance family, the best candidate marked.

    The axes show the better half of the candidates and something above; how many are outside is noted.

    Parameters
    ----------
    chosen : cgmm.Selection
    criterion : {"bic", "aic", "icl"}, optional
        Default: that of the selection, whose winner is then marked; otherwise, the smallest of the fits that were not
        warned of. The smaller the better.
    ax : matplotlib Axes, optional
        Default: the current.
    **style
        For ``Axes.plot`` of all lines.

    Returns
    -------
    SelectionArtists
        (lines, best, label, warned)
    """
    name = validation.check_choice("criterion", criterion or chosen.criterion, CRITERIA)
    ax = axes(ax)
    table = [Point(c.n_components, getattr(c, name), c.covariance_type, bool(c.warnings)) for c in chosen.table]
    best = table[chosen.winner]
    if name != chosen.criterion:
        best = min(table, key=lambda point: (point.warned, point.value))
    lines = {}
    for at, family in enumerate(dict.fromkeys(point.family for point in table)):
        wins = family == best.family
        plain = {
            "color": palette(at + 1)[at],
            "marker": MARKERS[at % len(MARKERS)],
            "markersize": 6,
            "linewidth": 2.4 if wins else 1.4,
            "label": family,
            "zorder": 2.2 if wins else 2,
        }
        points = sorted(point[:2] for point in table if point.family == family)
        (lines[family],) = ax.plot(*np.transpose(points), **plain | style)
    warned = None
    if any(point.warned for point in table):
        points = [point[:2] for point in table if point.warned]
        hollow = {"markersize": 3.5, "color": "white", "markeredgewidth": 0, "zorder": 2.3}
        (warned,) = ax.plot(*np.transpose(points), "o", **hollow)
        note(ax, "hollow: the fit was warned of", left=True)
    ring = {"markersize": 16, "markerfacecolor": "none", "markeredgecolor": INK, "markeredgewidth": 1.6}
    (mark,) = ax.plot(best.k, best.value, "o", zorder=3, **ring)
    _limit_criterion(ax, np.array([point.value for point in table]), best.value)
    ax.xaxis.get_major_locator().set_params(integer=True)
    name_axes(ax, ("components k", name.upper()))
    ax.legend(fontsize="small")
    return SelectionArtists(lines, mark, _name_best(ax, best, [point.k for point in table]), warned)


class Point(NamedTuple):
    """A candidate in the picture of a selection."""

    k: int
    value: float
    family: str
    warned: bool


def _name_best(ax: Any, best: Point, sizes: list[int]) -> Any:
    """Its family, k and value below it, to the side where there is room."""
    place = (best.k - min(sizes)) / max(max(sizes) - min(sizes), 1)
    return ax.annotate(
        f"{best.family}, k = {best.k}: {best.value:.1f}", (best.k, best.value), (10 * (1 - 2 * place), -14),
        textcoords="offset points", va="top", ha="left" if place < 0.25 else "right" if place > 0.75 else "center",
        color=INK, fontweight="bold", fontsize="small",
    )  # fmt: skip


def _limit_criterion(ax: Any, values: Array, best: float) -> None:
    """Limits in which the better half of the candidates can be told apart; those outside are counted."""
    middle = np.median(values[values >= best])
    top = min(values.max(), best + 2 * (middle - best)) if middle > best else values.max()
    width = (top - best) or 1.0
    low, high = best - 0.16 * width, top + 0.06 * width
    ax.set_ylim(low, high)
    outside = int(np.count_nonzero((values < low) | (values > high)))
    if outside:
        note(ax, f"{outside} of {len(values)} models outside")
