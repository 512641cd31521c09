"""How pictures look: colours, markers, sizes, and how they change with the number of rows and components."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.types import Array, ArrayLike

# Okabe and Ito (2008), "Color universal design": told apart by colour-blind readers too
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, FAINT = "#222222", "#757575"
MOST_POINTS = 20_000  # rows drawn as points; more become an image of their density
MOST_IN_LEGEND = 8  # components


def pyplot() -> Any:
    """matplotlib.pyplot."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'cgmm[plot]'") from error
    return pyplot


def axes(ax: Any) -> Any:
    """Those given, or pyplot's current."""
    return pyplot().gca() if ax is None else ax


def palette(k: int, colors: ArrayLike | None = None) -> Array:
    """The colours (k,3) of k components: those given, Okabe and Ito's, or of more than eight, viridis."""
    pyplot()
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba_array

    if colors is None:
        some: Any = OKABE_ITO[:k] if k <= len(OKABE_ITO) else colormaps["viridis"](np.linspace(0, 0.95, k))
    else:
        some = colors
    rgb = to_rgba_array(some)[:, :3]
    if len(rgb) < k:
        raise ValueError(f"colors has {len(rgb)} colours for {k} components")
    return rgb[:k]


def doubt_colours() -> Any:
    """A colormap from a faint grey, for what is sure, to a dark red; its lightness falls evenly."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("doubt", ["#dcdcdc", "#E69F00", "#D55E00", "#6b1400"])


def point_area(n: int) -> float:
    """Of a marker (points²): the more rows, the smaller."""
    return float(np.clip(440 / np.sqrt(n), 4, 60))


def point_alpha(n: int) -> float:
    return float(np.clip(1.3 - 0.23 * np.log10(n), 0.4, 0.9))


def component_label(c: int, weight: float) -> str:
    """A component and its weight in per cent."""
    return f"{c}: {100 * weight:.2g}%" if weight < 0.095 else f"{c}: {weight:.0%}"


def name_axes(ax: Any, names: Sequence[str]) -> None:
    """Label the axes that have no label yet."""
    for name, get, put in zip(names, (ax.get_xlabel, ax.get_ylabel), (ax.set_xlabel, ax.set_ylabel), strict=False):
        if not get():
            put(name)


def note(ax: Any, text: str, left: bool = False) -> None:
    """Say something small above the right end of the axes, or the left."""
    end = 0 if left else 1
    ax.annotate(
        text, (end, 1), (0, 3), xycoords="axes fraction", textcoords="offset points",
        ha="left" if left else "right", va="bottom", fontsize="x-small", color=FAINT,
    )  # fmt: skip


def note_hidden(ax: Any, count: int) -> None:
    if count:
        note(ax, f"{count:,} row{'s' * (count > 1)} outside")
