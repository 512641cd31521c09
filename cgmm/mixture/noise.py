"""A noise component: a density that is constant, for rows that belong to none of the others.

Banfield and Raftery, Model-based Gaussian and non-Gaussian clustering (Biometrics 49, 1993); Fraley and Raftery,
Model-based clustering, discriminant analysis, and density estimation (JASA 97, 2002), section 5.
docs/noise-and-labels.md has the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from cgmm.mixture.density import NoiseConstant

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.types import Array, Rows

# The other components keep at least what rounding leaves of one: the logarithm of their weight is a number.
MOST = 1.0 - 2.0**-53
LEAST_LOG = -1e30  # The logarithm of a weight of zero counts as this, which float32 can hold, too.


class Box(NamedTuple):
    """The rows x with low ≤ A (x − centre) ≤ high.

    centre : (d,);  axes : A (d,d), whose rows are orthonormal;  low, high : (d,)
    """

    centre: Array
    axes: Array
    low: Array
    high: Array

    @property
    def log_volume(self) -> float:
        return float(np.log(self.high - self.low).sum())

    @property
    def log_widths(self) -> Array | None:
        """Of each feature (d,), where the box lies along the features."""
        return np.log(self.high - self.low) if np.array_equal(self.axes, np.eye(len(self.axes))) else None

    def drawn(self, n: int, rng: np.random.Generator) -> Array:
        """Rows (n,d) drawn uniformly from the box."""
        inside = rng.uniform(self.low, self.high, size=(n, len(self.low)))
        return self.centre + np.einsum("im,mj->ij", inside, self.axes)


@dataclass(frozen=True, eq=False)
class Noise:
    """A component of constant density: its weight, the logarithm of its density, and where it is, if that is known.

    Nothing bounds it outside of the box: a row there has the same density.
    """

    PARAMETERS: ClassVar[int] = 2  # Its weight and its volume, as mclust counts them.

    weight: float
    log_density: float
    box: Box | None = None

    def weighing(self, weight: float) -> Self:
        """The same with another weight."""
        return replace(self, weight=float(np.clip(weight, 0.0, MOST)))

    def after(self, statistics: SufficientStatistics) -> Self:
        """The noise that an M-step makes of statistics: n_0 / Σ_i w_i."""
        whole = statistics.noise + float(statistics.n_k.sum())
        return self.weighing(statistics.noise / whole) if whole > 0 else self

    @property
    def rest(self) -> float:
        """The weight of all other components, which is not zero."""
        return 1.0 - self.weight

    @property
    def constant(self) -> NoiseConstant:
        """What it adds to the log-sum-exp of a row that lacks nothing."""
        return NoiseConstant(self._log_weight + self.log_density)

    @property
    def of_gaps(self) -> NoiseConstant:
        """What it adds to that of a row of which something is observed; ValueError where that is not known."""
        widths = None if self.box is None else self.box.log_widths
        if widths is None:
            told = "its box does not lie along the features" if self.box else "only its density is given"
            raise ValueError(
                f"the noise component has no density of rows with missing values, for {told}: fit with "
                "noise_component='uniform' and missing='marginal'"
            )
        return NoiseConstant(self._log_weight, np.ascontiguousarray(widths))

    def sample(self, n: int, rng: np.random.Generator) -> Array:
        """Rows (n,d) drawn from it; ValueError where it is not known where they are."""
        if self.box is None:
            raise ValueError(
                "of the noise component only the density is known, not where its rows are: fit with "
                "noise_component='uniform' to draw from it"
            )
        return self.box.drawn(n, rng)

    def log_densities(self, rows: Rows) -> Array:
        """log (π_0 / V) at each of the rows (n,d), (n,), in which NaN is a missing value."""
        gaps = np.isnan(rows)
        if not gaps.any():
            return np.full(len(rows), self.constant.log_density)
        observed = self.of_gaps
        return observed.log_density - (~gaps * observed.log_widths).sum(axis=1)

    @property
    def _log_weight(self) -> float:
        return float(np.log(self.weight)) if self.weight > 0 else LEAST_LOG
