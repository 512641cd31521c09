"""Pictures of fits: how the likelihood rose in one, and how many compare in a selection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cgmm import validation
from cgmm.plot.canvas import axes_of, note, whole_numbers
from cgmm.plot.legends import literal_legend
from cgmm.plot.protocols import check_drawn
from cgmm.plot.style import FAINT, INK, MARKERS, palette, shrinkage, sized
from cgmm.plot.text import draw_literally, label_axes, on_one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.lines import Line2D
    from matplotlib.text import Annotation

    from cgmm.plot.protocols import Choice, Learned, Start
    from cgmm.types import Array

CRITERIA = {name: name for name in ("bic", "aic", "icl")}
CLEAR, DASHES = 6, ("-", "--", ":")  # So many colours are seen well as thin lines, and each comes in these styles.
RING, NAME = 16, 14  # points: the diameter of the ring about the best candidate, and the height of its name.
FEW_ITERATIONS = 40  # A line of no more iterations than this has a marker for each: of more, they would touch.


class HistoryArtists(NamedTuple):
    """What ``history`` draws.

    kept : Line2D of the fit that the model is
    others : list of Line2D, of the other starts that were carried to their end
    short : PathCollection of the starts that were given up, or None
    """

    kept: Line2D
    others: list[Line2D]
    short: PathCollection | None


def history(model: Learned, *, restarts: bool = True, ax: Axes | None = None, **style: Any) -> HistoryArtists:
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
        Default: the current. Its two axes are straight: those of a polar or 3-D picture are refused.
    **style
        For ``Axes.plot`` of the fit that was kept.

    Returns
    -------
    HistoryArtists
        (kept, others, short)

    Examples
    --------
    >>> import cgmm
    >>> X = [[0.0], [1.0], [9.0], [10.0]]
    >>> model = cgmm.GMM(2, random_state=0).fit(X)
    >>> from cgmm import plot
    >>> artists = plot.history(model)
    """
    check_drawn(model, "lower_bounds_", "a fitted GMM or BayesianGMM")
    bounds, diagnostics = model.lower_bounds_, model.diagnostics_
    if not len(bounds):
        raise ValueError("the model has no history: it was not fitted, or with max_iter=0")
    colour = palette(1)[0]
    ax = axes_of(ax)
    plain = {"color": colour, "label": "kept", "zorder": 2.5} | sized(ax, linewidth=2.2)
    (kept,) = _history_line(ax, bounds, plain | style)
    rest = [start for at, start in enumerate(diagnostics.restarts) if at != diagnostics.winner] if restarts else []
    others, short = _others(ax, rest), _given_up(ax, rest)
    whole_numbers(ax.xaxis)
    label_axes(ax, "iteration", "mean log-likelihood of a row (nats)")
    shown = [*others[:1], *([short] if short else []), kept]
    if len(shown) > 1:
        literal_legend(ax, shown, style)
    return HistoryArtists(kept, others, short)


def _others(ax: Axes, starts: Iterable[Start]) -> list[Line2D]:
    """Lines of those that were carried to their end; one name for all."""
    lines: list[Line2D] = []
    for start in starts:
        if start.carried:
            label = "_" if lines else "other starts"
            plain: dict[str, Any] = {"color": FAINT, "alpha": 0.8, "label": label}
            lines += _history_line(ax, start.lower_bounds, plain | sized(ax, linewidth=1))
    return lines


def _given_up(ax: Axes, starts: Iterable[Start]) -> PathCollection | None:
    ends = [start.log_likelihood for start in starts if not start.carried]
    if not ends:
        return None
    style = {"marker": "x", "color": FAINT, "label": "given up early"} | sized(ax, s=24, linewidths=1)
    return ax.scatter(np.zeros(len(ends)), ends, **style)


def _history_line(ax: Axes, lower_bounds: Array, style: dict[str, Any]) -> list[Line2D]:
    plain: dict[str, Any] = {"marker": "o" if len(lower_bounds) <= FEW_ITERATIONS else ""} | sized(ax, markersize=3.5)
    return ax.plot(np.arange(1, len(lower_bounds) + 1), lower_bounds, **plain | style)


class SelectionArtists(NamedTuple):
    """What ``selection`` draws.

    lines : dict of Line2D by covariance family
    best : Line2D, a ring about the best candidate
    label : Annotation that names it
    warned : Line2D, hollow markers of fits that were warned of, or None
    """

    lines: dict[str, Line2D]
    best: Line2D
    label: Annotation
    warned: Line2D | None


def selection(
    chosen: Choice, *, criterion: Literal["bic", "aic", "icl"] | None = None, ax: Axes | None = None, **style: Any
) -> SelectionArtists:
    """A criterion over the number of components, a line for each covariance family, the best candidate marked.

    The axes show the better half of the candidates and something above; how many are outside is noted.

    Parameters
    ----------
    chosen : cgmm.Selection
    criterion : {"bic", "aic", "icl"}, optional
        Default: that of the selection, whose winner is then marked; otherwise, the smallest of the fits that were not
        warned of. The smaller the better.
    ax : matplotlib Axes, optional
        Default: the current. Its two axes are straight: those of a polar or 3-D picture are refused.
    **style
        For ``Axes.plot`` of all lines.

    Returns
    -------
    SelectionArtists
        (lines, best, label, warned)

    Examples
    --------
    >>> import numpy as np
    >>> import cgmm
    >>> X = np.concatenate([np.linspace(-1, 1, 50), np.linspace(9, 11, 50)])[:, None]
    >>> found = cgmm.select(X, range(1, 4), "spherical", random_state=0)
    >>> from cgmm import plot
    >>> artists = plot.selection(found)
    """
    check_drawn(chosen, "table", "what cgmm.select returns")
    name = validation.check_choice("criterion", criterion or chosen.criterion, CRITERIA)
    table = [Point(c.n_components, getattr(c, name), c.covariance_type, bool(c.warnings)) for c in chosen.table]
    best = table[chosen.winner]
    if name != chosen.criterion:
        best = min(table, key=lambda point: (point.warned, point.value))
    families = list(dict.fromkeys(point.family for point in table))
    colours = palette(min(len(families), CLEAR))
    ax = axes_of(ax)
    lines = {}
    for at, family in enumerate(families):
        wins = family == best.family
        plain: dict[str, Any] = {
            "color": colours[at % len(colours)],
            "linestyle": DASHES[at // len(colours) % len(DASHES)],
            "marker": MARKERS[at % len(MARKERS)],
            "label": family,
            "zorder": 2.2 if wins else 2,
        } | sized(ax, markersize=6, linewidth=2.4 if wins else 1.4)
        points = sorted(point[:2] for point in table if point.family == family)
        (lines[family],) = ax.plot(*np.transpose(points), **plain | style)
    warned = _mark_warned(ax, [point for point in table if point.warned])
    ring: dict[str, Any] = {"markerfacecolor": "none", "markeredgecolor": INK, "zorder": 3}
    (mark,) = ax.plot(best.k, best.value, "o", **ring | sized(ax, markersize=RING, markeredgewidth=1.6))
    _limit_criterion(ax, np.array([point.value for point in table]), best.value)
    whole_numbers(ax.xaxis)
    label_axes(ax, "components k", name.upper())
    literal_legend(ax, list(lines.values()), style, handlelength=2.6)
    return SelectionArtists(lines, mark, _name_best(ax, best, [point.k for point in table]), warned)


def _mark_warned(ax: Axes, points: Iterable[Point]) -> Line2D | None:
    """Hollow markers, and what they mean."""
    places = [point[:2] for point in points]
    if not places:
        return None
    hollow: dict[str, Any] = {"color": "white", "markeredgewidth": 0, "zorder": 2.3}
    (warned,) = ax.plot(*np.transpose(places), "o", **hollow | sized(ax, markersize=3.5))
    note(ax, "hollow: the fit was warned of", left=True)
    return warned


class Point(NamedTuple):
    """A candidate in the picture of a selection."""

    k: int
    value: float
    family: str
    warned: bool


def _name_best(ax: Axes, best: Point, sizes: list[int]) -> Annotation:
    """Its family, k and value below it, to the side where there is room."""
    place = (best.k - min(sizes)) / max(max(sizes) - min(sizes), 1)
    words = f"{on_one_line(best.family)}, k = {best.k}: {best.value:.1f}"
    label = ax.annotate(
        words, (best.k, best.value), (10 * (1 - 2 * place), -_below(ax)),
        textcoords="offset points", va="top", ha="left" if place < 0.25 else "right" if place > 0.75 else "center",
        color=INK, fontweight="bold", fontsize="small",
    )  # fmt: skip
    draw_literally(label)
    return label


def _below(ax: Axes) -> float:
    """How far (points) from the best candidate its name is: below the ring."""
    return 0.5 * RING * shrinkage(ax) + 5


def _limit_criterion(ax: Axes, values: Array, best: float) -> None:
    """Limits in which the better half of the candidates can be told apart, and its name has room below the best; those
    outside are counted."""
    middle = np.median(values[values >= best])
    top = min(values.max(), best + 2 * (middle - best)) if middle > best else values.max()
    width = (top - best) or 1.0
    named = (_below(ax) + NAME) / (72 * ax.get_window_extent().height / ax.figure.dpi)  # a share of the axes' height
    low, high = best - max(0.16, 1.06 * named / (1 - named)) * width, top + 0.06 * width
    ax.set_ylim(low, high)
    outside = int(np.count_nonzero((values < low) | (values > high)))
    if outside:
        note(ax, f"{outside} of {len(values)} models outside")
