"""What of space a picture shows: the limits of its axes, and where densities are evaluated within them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.axes import Axes

    from cgmm.plot.view import View
    from cgmm.types import Array, Rows

CENTRAL = 0.96  # A picture is laid out for this share of the rows, those in the middle; it can show more.
FEW = 10  # Of fewer rows than this, none is called an outlier: quantiles of so few say nothing.
QUANTILES = 1000  # So many points stand for a mixture of which there are no rows, to set the limits by.
GRID = 200  # So many points of an axis lie at equal distances: each is then less than two pixels of a usual picture.
DETAIL = 400  # So many points more lie about the means, shared by the components, so that narrow ones are not missed.
ROOM = 1.0  # Ellipses widen the limits at each end by this many widths of what is drawn already, at most.


def frame(view: View, points: Rows | None = None) -> tuple[Array, Array]:
    """The lowest and highest values (m,) to be shown of points (n,m), or, without any, of the mixture.

    All of them, but no farther than the width of the central share CENTRAL beyond its ends, so that an outlier or
    a huge covariance does not make all else a dot; and the mean of every component of notable weight.
    """
    shown = _quantiles(view) if points is None else points
    low, high = np.transpose([_reach(shown[:, j]) for j in range(shown.shape[1])])
    means = view.means[view.notable()]
    low, high = np.minimum(low, means.min(axis=0)), np.maximum(high, means.max(axis=0))
    sigma = view.deviations().max(axis=0)
    some = np.where(high > low, 0.0, np.maximum(4 * sigma, 1e-6 * np.abs(low)))  # where all rows are the same
    return low - some, high + some


def _quantiles(view: View) -> Array:
    """About QUANTILES points (·,m) distributed as the mixture is along each axis."""
    from scipy.special import ndtri

    counts = np.ceil(QUANTILES * view.weights).astype(int)
    levels = [ndtri((np.arange(count) + 0.5) / count) for count in counts]
    each = zip(view.means, view.deviations(), levels, strict=True)
    return np.concatenate([mu + sigma * z[:, None] for mu, sigma, z in each])


def _reach(values: Rows) -> tuple[float, float]:
    """The ends of values (n,), or of those that are shown."""
    if len(values) < FEW:
        return float(values.min()), float(values.max())
    tail = (1 - CENTRAL) / 2
    left = np.quantile(values, tail, method="higher")
    right = np.quantile(values, 1 - tail, method="lower")
    width = right - left
    if width > 0:
        values = values[(values >= left - width) & (values <= right + width)]
    return float(values.min()), float(values.max())


def grid(view: View, j: int, low: float, high: float) -> Array:
    """Points from low to high along axis j, the denser where a component is narrow."""
    sigma = view.deviations()[:, j]
    steps = np.linspace(-4, 4, max(DETAIL // view.k, 5) | 1)  # an odd number, so that the mean is among them
    fine = (view.means[:, j, None] + sigma[:, None] * steps).ravel()
    return np.unique(np.concatenate([np.linspace(low, high, GRID), fine[(fine > low) & (fine < high)]]))


def make_room(ax: Axes, view: View, distances: Sequence[Array]) -> None:
    """Widen the limits to hold each component's ellipses at those Mahalanobis distances, within reason: by ROOM widths
    of what is there already, or of the mixture, at most, and only for components of notable weight."""
    ends = np.array(frame(view))
    reach = np.array([row.max(initial=0.0) for row in distances])[:, None]
    sizes, matters = reach * view.deviations(), view.notable()
    low, high = (view.means - sizes)[matters].min(axis=0), (view.means + sizes)[matters].max(axis=0)
    there = ax.dataLim.get_points()
    least, most = there if ax.has_data() and np.isfinite(there).all() else ends
    room = ROOM * np.where(most > least, most - least, ends[1] - ends[0])
    low, high = np.clip([low, high], least - room, most + room)
    ax.update_datalim([low, high])
    ax.autoscale_view()


@contextmanager
def steady(ax: Axes) -> Iterator[None]:
    """The limits are in the end, also after an error, what they were before."""
    limits = ax.dataLim.frozen()
    try:
        yield
    finally:
        ax.dataLim.set(limits)
        ax.autoscale_view(tight=False)
