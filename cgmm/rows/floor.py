"""The floor under variances that rows give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture.floor import RELATIVE, SMALLEST

if TYPE_CHECKING:
    from cgmm.rows.data import Data
    from cgmm.types import Array

SAMPLE = 256  # Rows, evenly spread, that show the data's scale.
QUARTILES = 1.35  # The distance between the quartiles of a normal distribution, in its standard deviations.


def least_variances(data: Data) -> Array:
    """The variances (d,) below which none falls: RELATIVE of the data's own, and no less than X is exact to.

    Their scale is the distance between the quartiles of some rows of positive weight, which no outlier moves; where
    those are equal, the standard deviation of the rows. Where nothing varies, only rounding counts.
    """
    rows = np.sort(data.spread(SAMPLE), axis=0).astype(np.float64)
    m = len(rows)
    low, middle, high = rows[m // 4], rows[m // 2], rows[m - 1 - m // 4]
    scale = (high - low) / QUARTILES
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
