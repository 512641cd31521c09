"""How pictures look: colours, markers, sizes, and how they change with the numbers of rows and components, and with the
size of the axes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.errors import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Colormap

    from cgmm.types import Array, ArrayLike

# The palette of Okabe and Ito (2008), "Color universal design", which colour-blind readers can tell apart too.
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
INK, FAINT = "#222222", "#757575"
GREY = 0x75 / 0xFF  # FAINT as red, green and blue: what belongs to no component.
MOST_POINTS = 20_000  # More rows than this become an image of their density: points would hide each other.
USUAL_SIDE = 2.5  # inches: in axes whose shorter side is at least this, lines and markers are as wide as they are here.
LEAST_SHRINKAGE = 0.4  # Lines and markers are never thinner than this times their usual size: they would not be seen.
POWERS = {"linewidth": 1, "linewidths": 1, "markeredgewidth": 1, "markersize": 1, "s": 2}  # s is an area
MOST_IN_LEGEND = 8  # A legend lists no more components than this, which is how many colours can be told apart.


def pyplot() -> Any:
    """matplotlib.pyplot."""
    try:
        from matplotlib import pyplot
    except ImportError as error:
        raise ImportError("pictures need matplotlib: pip install 'compiled-gmm[plot]'") from error
    except ValueError as error:
        raise ImportError(f"matplotlib cannot be imported, as its settings or MPLBACKEND are wrong: {error}") from error
    return pyplot


def palette(k: int, colors: ArrayLike | None = None) -> Array:
    """The colours (k,3) of k components: those given, Okabe and Ito's, or of more than eight, viridis."""
    pyplot()
    from matplotlib import colormaps
    from matplotlib.colors import to_rgba_array

    if colors is not None:
        rgb = to_rgba_array(colors)[:, :3]
    elif k <= len(OKABE_ITO):
        rgb = to_rgba_array(OKABE_ITO[:k])[:, :3]
    else:
        rgb = to_rgba_array(colormaps["viridis"](np.linspace(0, 0.95, k)))[:, :3]
    if len(rgb) < k:
        raise ValueError(f"colors has {counted(len(rgb), 'colour')} for {counted(k, 'component')}")
    return rgb[:k]


def doubt_colours() -> Colormap:
    """A colormap from a faint grey, for what is sure, to a dark red; its lightness falls evenly."""
    from matplotlib.colors import LinearSegmentedColormap

    return LinearSegmentedColormap.from_list("doubt", ["#dcdcdc", "#E69F00", "#D55E00", "#6b1400"])


def shrinkage(ax: Axes) -> float:
    """How much smaller lines, markers and texts are in axes than in usual ones: as their shorter side."""
    box = ax.get_window_extent()
    return float(np.clip(min(box.width, box.height) / ax.figure.dpi / USUAL_SIDE, LEAST_SHRINKAGE, 1.0))


def sized(ax: Axes, **sizes: Any) -> dict[str, Any]:
    """Widths (points) of lines and markers, and areas s (points²), as they suit the size of the axes."""
    factor = shrinkage(ax)
    return {name: size * factor ** POWERS[name] for name, size in sizes.items()}


def point_area(n: int) -> float:
    """The area (points²) of the marker of each of n rows: the more rows, the smaller."""
    return float(np.clip(440 / np.sqrt(n), 4, 60))


def point_alpha(n: int) -> float:
    """The opacity of each of n rows: the more rows, the fainter."""
    return float(np.clip(1.3 - 0.23 * np.log10(n), 0.4, 0.9))


def component_label(title: object, weight: float) -> str:
    """A component, by its name or number, and its weight in per cent."""
    return f"{title}: {100 * weight:.2g}%" if weight < 0.095 else f"{title}: {weight:.0%}"
