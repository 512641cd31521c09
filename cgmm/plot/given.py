"""Pictures of what a mixture says of one feature where another is given: bands, slices, and the whole density."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from cgmm import validation
from cgmm.mixture.univariate import quantiles
from cgmm.plot.canvas import axes_of
from cgmm.plot.features import view_of
from cgmm.plot.frame import frame, grid
from cgmm.plot.legends import literal_legend
from cgmm.plot.planes import check_probabilities
from cgmm.plot.points import draw_rows
from cgmm.plot.protocols import subject_of
from cgmm.plot.rows import Spread, shown_of
from cgmm.plot.style import GREY, INK, OKABE_ITO, sized
from cgmm.plot.text import name_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import FillBetweenPolyCollection, QuadMesh
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    from cgmm.plot.features import Features
    from cgmm.plot.protocols import Mixture
    from cgmm.plot.view import View
    from cgmm.types import Array, ArrayLike

BAND, SLICE = OKABE_ITO[0], OKABE_ITO[1]
FAINT_ROWS = 0.15  # The opacity of rows on an image, which is seen through them.
SHADE = 0.22  # The opacity of a band.
PIXELS = 240  # Of an image along each axis: less than two pixels of a usual picture each.
WIDTH = 0.12  # The highest of all slices is drawn this share of the picture's width from its place.
DARKEST = (
    0.995  # Densities above this quantile of an image's have the darkest colour, so that one peak does not fade all.
)


class PredictiveArtists(NamedTuple):
    """What ``predictive`` draws.

    rows : list of artists
    mean : Line2D
    bands : list of PolyCollection, the widest first;  image : QuadMesh, or None: one or the other
    slices : list of Line2D, one for each value of `at`
    """

    rows: list[Artist]
    mean: Line2D
    bands: list[FillBetweenPolyCollection]
    image: QuadMesh | None
    slices: list[Line2D]


class Given(NamedTuple):
    """Mixtures of one feature at values of another: weights (n,k), means (n,k), deviations (1,k)."""

    weights: Array
    means: Array
    deviations: Array

    @classmethod
    def of(cls, view: View, x: Array) -> Given:
        """Of the second feature of a view, at values x (n,) of the first (Bishop 2006, 2.81, 2.82 and 9.23)."""
        own, both, other = view.covariances[:, 0, 0], view.covariances[:, 0, 1], view.covariances[:, 1, 1]
        away = x[:, None] - view.means[:, 0]
        with np.errstate(divide="ignore"):
            logs = np.log(view.weights) - 0.5 * (np.log(own) + away**2 / own)
        weights = np.exp(logs - logs.max(axis=1, keepdims=True))
        left = np.maximum(other - both**2 / own, np.finfo(float).eps * other)
        return cls(
            weights / weights.sum(axis=1, keepdims=True), view.means[:, 1] + away * (both / own), np.sqrt(left)[None]
        )

    @property
    def mean(self) -> Array:
        return (self.weights * self.means).sum(axis=1)

    def quantile(self, p: float) -> Array:
        return quantiles(self.weights, self.means, self.deviations, np.full(len(self.weights), p))

    def densities(self, y: Array) -> Array:
        """At each y (m,): (m,n)."""
        found = np.zeros((len(y), len(self.weights)))
        for weight, mean, deviation in zip(self.weights.T, self.means.T, self.deviations[0], strict=True):
            z = (y[:, None] - mean) / deviation
            found += weight * np.exp(-0.5 * z**2) / (deviation * np.sqrt(2 * np.pi))
        return found


def predictive(
    model: Mixture,
    X: ArrayLike | None = None,
    *,
    show: Literal["bands", "density"] = "bands",
    probabilities: Sequence[float] = (0.5, 0.9),
    at: ArrayLike = (),
    features: Features | None = None,
    ax: Axes | None = None,
    sample_weight: ArrayLike | None = None,
    legend: bool = True,
) -> PredictiveArtists:
    """What a mixture says of one feature where another is given: a regression, with all of its spread.

    Parameters
    ----------
    model : GMM
        Fitted; of a GMMRegressor its ``mixture_``.
    X : array-like (n, d), optional
        Rows, drawn in grey below.
    show : {"bands", "density"}, default="bands"
        "bands": intervals that hold `probabilities` of the mass and leave as much below as above them. "density": an
        image of the density of the second feature at each value of the first, which shows where it has several peaks.
    probabilities : sequence of float in (0, 1), default=(0.5, 0.9)
    at : sequence of float, optional
        Values of the first feature at which the density of the second is also drawn as a curve, to the right of its
        place and all in one scale.
    features : two indices or names, or directions (2, d), optional
        The one that is given, and the other. May be left out if d = 2.
    ax, sample_weight
        As in ``scatter``.
    legend : bool, default=True

    Returns
    -------
    PredictiveArtists
        (rows, mean, bands, image, slices)

    Examples
    --------
    >>> from cgmm import GMM, plot
    >>> model = GMM.from_parameters([0.5, 0.5], [[0, 0], [4, 2]], [[[1, 0.8], [0.8, 1]]] * 2)
    >>> artists = plot.predictive(model, at=[0, 2])
    >>> len(artists.bands), len(artists.slices)
    (2, 2)
    """
    validation.check_choice("show", show, {"bands": 0, "density": 0})
    shares = np.sort(check_probabilities(probabilities))[::-1]
    subject = subject_of(model, X, sample_weight)
    view = view_of(subject, features, 2)
    shown = shown_of(subject)
    places = np.asarray(validation.check_array("at", at), dtype=np.float64).ravel()
    low, high = frame(view) if shown is None else Spread.of(shown, view)[2:4]
    x = grid(view, 0, float(low[0]), float(high[0]))
    given, ax = Given.of(view, x), axes_of(ax)
    style = {"zorder": 1} | ({"alpha": FAINT_ROWS} if show == "density" else {})
    rows = draw_rows(ax, shown, view, "responsibility", np.full((view.k, 3), GREY), style)
    bands: list[FillBetweenPolyCollection] = []
    image = _draw_image(ax, view, low, high) if show == "density" else None
    for share in shares if show == "bands" else ():
        ends = given.quantile(0.5 - 0.5 * share), given.quantile(0.5 + 0.5 * share)
        label = f"{share:.3g} of the mass"
        bands.append(ax.fill_between(x, *ends, color=BAND, alpha=SHADE, linewidth=0, zorder=1.5, label=label))
    (mean,) = ax.plot(x, given.mean, color=INK, label="mean", zorder=2.5, **sized(ax, linewidth=1.8))
    slices = _draw_slices(ax, view, places, low, high)
    ax.margins(x=0, y=0 if image else None)
    name_axes(ax, view.names)
    if legend:
        literal_legend(ax, [mean, *_as_seen(bands)], {})
    return PredictiveArtists(rows, mean, bands, image, slices)


def _as_seen(bands: Sequence[FillBetweenPolyCollection]) -> list[Patch]:
    """What stands for bands in a legend: each is seen through all that are wider."""
    from matplotlib.patches import Patch

    return [
        Patch(color=BAND, alpha=1 - (1 - SHADE) ** depth, linewidth=0, label=str(band.get_label()))
        for depth, band in enumerate(bands, start=1)
    ]


def _draw_image(ax: Axes, view: View, low: Array, high: Array) -> QuadMesh:
    x, y = np.linspace(low[0], high[0], PIXELS), np.linspace(low[1], high[1], PIXELS)
    heights = Given.of(view, x).densities(y)
    style: dict[str, Any] = {"cmap": "Blues", "vmin": 0.0, "vmax": np.quantile(heights, DARKEST) or None}
    return ax.pcolormesh(x, y, heights, shading="nearest", rasterized=True, zorder=0.5, **style)


def _draw_slices(ax: Axes, view: View, places: Array, low: Array, high: Array) -> list[Line2D]:
    """The density at each place, to its right."""
    if not len(places):
        return []
    y = grid(view, 1, float(low[1]), float(high[1]))
    heights = Given.of(view, places).densities(y)
    scale = WIDTH * (high[0] - low[0]) / heights.max()
    lines = []
    for place, height in zip(places, heights.T, strict=True):
        ax.axvline(place, color=SLICE, linestyle=":", zorder=2.6, **sized(ax, linewidth=0.8))
        plain: dict[str, Any] = {"color": SLICE, "zorder": 2.7, "label": f"at {place:.3g}"}
        lines += ax.plot(place + scale * height, y, **plain | sized(ax, linewidth=1.6))
    return lines
