"""What keeps a fit alive on data that a mixture cannot be estimated from: docs/degenerate.md has the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.parameters import Parameters

if TYPE_CHECKING:
    from cgmm.data import Data
    from cgmm.em import Settings
    from cgmm.statistics import SufficientStatistics
    from cgmm.types import Array, Rows

EMPTIED = "no row belongs to it"
SINGULAR = "its covariance is singular"
EPS = float(np.finfo(np.float64).eps)
SMALLEST = 1e-300  # of a variance: its inverse is a number
RELATIVE = 1e-18  # of the data's variance: a standard deviation of 1e-9 of theirs
SAMPLE = 256  # rows that show the data's scale
MEAN_ROUNDING = 1000  # units of a mean's rounding that a standard deviation is no less than
STARVED = 1e-8  # of a row: a component of less weight explains nothing
LEAST_LOG = -1e300  # of a prior's density for a row: a number, though the density may be zero
LOOK_AHEAD = 20  # iterations in which a component that began again must have raised the likelihood
ROUNDING = 1e-11  # relative: by more the likelihood does not fall
MOST_EXACT = 1e10  # of Parameters.reach: beyond it log-densities lose more than that
LEAST_GAIN = 1e-9  # relative: less may be rounding


class Repair(NamedTuple):
    """A component that could not be estimated.

    Attributes
    ----------
    iteration : int
        0 is the start.
    component : int
    cause : str
    row : int or None
        The row that it was moved to.
    """

    iteration: int
    component: int
    cause: str
    row: int | None = None


def least_variances(data: Data) -> Array:
    """The variances (d,) below which none falls: RELATIVE of the data's own, and no less than X is exact to.

    Their scale is the distance between the quartiles of some rows of positive weight, which no outlier moves; where
    those are equal, the standard deviation of the rows. Where nothing varies, only rounding counts.
    """
    rows = np.sort(data.spread(SAMPLE), axis=0).astype(np.float64)
    m = len(rows)
    low, middle, high = rows[m // 4], rows[m // 2], rows[m - 1 - m // 4]
    scale = (high - low) / 1.35  # that of a normal distribution, about
    flat = np.flatnonzero(~(scale > 0))
    if len(flat):
        scale[flat] = data.deviations(flat, middle[flat])
    exact = 4 * np.finfo(data.dtype).eps * np.abs(middle)
    least = np.maximum(RELATIVE * scale**2, exact**2)
    nothing = least < SMALLEST
    if np.count_nonzero(nothing):  # a column of zeros: as exact as the others; or of numbers below 1e-141
        others = least[~nothing].mean() if not nothing.all() else SMALLEST
        least[nothing] = np.where(scale[nothing] > 0, SMALLEST, others)
    return least


def least_of(parameters: Parameters) -> Array:
    """The same of a mixture whose rows are not at hand: RELATIVE of its own variances."""
    family, weights, means = parameters.family, parameters.weights, parameters.means
    mean = np.einsum("c,cj->j", weights, means)
    variances = family.variances(parameters.covariances, *means.shape) + (means - mean) ** 2
    return np.maximum(RELATIVE * np.einsum("c,cj->j", weights, variances), (4 * EPS * mean) ** 2 + SMALLEST)


def exact_to(least: Array, offsets: Array, means: Array, eps: float) -> Array:
    """The variances (d,) or (k,d) below which none falls, if least is not enough for what rounding does.

    Moments about points at `offsets` (k,d) from the means are exact to eps times the offsets' squares; and a mean
    is exact to its own rounding, of which a standard deviation is to be many times.
    """
    moved, rounded = rounding_of_means(means.shape[1], eps)
    if moved * _kernels.sum_of_squares(offsets) + rounded * _kernels.sum_of_squares(means) <= least.min():
        return least
    return np.maximum(least, np.maximum(moved * offsets**2, rounded * means**2))


def rounding_of_means(d: int, eps: float) -> tuple[float, float]:
    """What rounding leaves of a variance: times the square of what a mean has moved, and times that of the mean."""
    return 4 * (d + 4) * eps, (MEAN_ROUNDING * EPS) ** 2


class Reseeding:
    """Which components are to begin again elsewhere, where that is `possible`, for no row belongs to them; each once.

    A component far from all rows may recover by itself, for its moments are quotients: it is due when it had less
    than STARVED in two iterations, or so little that nothing can be divided by it.
    """

    def __init__(self, n: int, settings: Settings) -> None:
        self.n = n
        self.possible = settings.reseed and settings.free
        self.starving: frozenset[int] = frozenset()
        self.done: set[int] = set()

    def due(self, statistics: SufficientStatistics) -> list[int]:
        """The components (list) that are to begin again after this iteration."""
        starving = frozenset((statistics.n_k < STARVED * statistics.total_weight / self.n).nonzero()[0].tolist())
        if not starving:
            self.starving = starving
            return []
        lost = frozenset(statistics.empty.tolist())
        due = sorted(((starving & self.starving) | lost) - self.done)
        self.starving = starving
        self.done.update(due)
        return due


def begin_at_rows(rows: Rows, parameters: Parameters, components: list[int], least: Array) -> Parameters:
    """Parameters with the components at those rows (m,d), of the mean weight and covariance of the others."""
    family, k = parameters.family, parameters.k
    means, covariances = parameters.means.copy(), family.keep(parameters.covariances.copy(), components, None)
    weights = parameters.weights * (1 - len(components) / k)
    weights[components], means[components] = 1 / k, rows
    return Parameters.held(family, weights / weights.sum(), means, covariances, least)
