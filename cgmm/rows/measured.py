"""Rows that were measured with errors of known covariance: EM of the mixture of what was measured.

Bovy, Hogg and Roweis (2011), "Extreme deconvolution: inferring complete distribution functions from noisy,
heterogeneous and incomplete observations". See docs/measurement-errors.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import Density, weighted_median
from cgmm.rows import sampling
from cgmm.rows.data import Complete, Data, check_moments
from cgmm.rows.floor import QUARTILES
from cgmm.rows.gapped import Gapped

if TYPE_CHECKING:
    from typing import Self

    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.part import Part
    from cgmm.rows.place import InMemory, Place
    from cgmm.rows.unlikely import Worst
    from cgmm.types import Array, Names, Output, Rows


class Measured(Data):
    """Rows x_i that are true values with errors, normal with covariances S_i that are known.

    All is computed in double. Starts, floors and the scales of priors are made of the rows as they were measured.
    """

    kind: ClassVar[type[Data]] = Complete
    measured = True

    def __init__(self, place: Place, plain: Data | None = None) -> None:
        """plain : the same rows, whose errors are ignored"""
        super().__init__(place)
        self.dtype = np.dtype(np.float64)
        self.plain = plain or self.kind(place)

    def _of(self, place: Place) -> Self:
        return type(self)(place, self.plain._of(place))

    def at_hand(self) -> None:
        return None

    def widened(self) -> Self:
        return self

    # The E-step

    def statistics(self, parameters: Parameters, n_threads: int | None = None) -> SufficientStatistics:
        """Of the true values."""
        density = density_of(parameters, self.place.error_axes, self.gapped)
        found, _ = self.place.expectation(density, "deblurred", n_threads, known=self.labelled, measured=True)
        check_moments(found, "the errors of measurement: the square of (x − mean) / variance")
        return replace(found, second=_of_moment(found, parameters), moment=parameters.moment)

    def evaluate(self, parameters: Parameters, what: Output, n_threads: int) -> Any:
        density = density_of(parameters, self.place.error_axes, self.gapped)
        return _kernels.evaluate(self.part.rows, density, what, n_threads, errors=self.part.errors)

    def truth(self, parameters: Parameters, covariances: bool, n_threads: int) -> tuple[Array, Array | None]:
        """Of rows that are no noise. What has no error is returned as it is."""
        density, part = density_of(parameters, 3, gapped=False)._replace(noise=None), self.part
        errors = part.errors
        assert errors is not None
        means, spreads = _kernels.truth(part.rows, density, errors, covariances, n_threads)
        known = (errors if errors.ndim == 2 else np.diagonal(errors, axis1=1, axis2=2)) == 0
        known &= ~np.isnan(part.rows)
        means[known] = part.rows[known]
        if spreads is not None:
            spreads[known] = 0.0
            spreads.swapaxes(1, 2)[known] = 0.0
        return means, spreads

    def explained(self, parameters: Parameters, n_threads: int) -> tuple[Array, Part]:
        return self.evaluate(parameters, "log_likelihood", n_threads), self.filled(parameters, n_threads)

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        return self._worst(parameters, count, n_threads)

    def swamped(self) -> list[int]:
        part = self.place.some(sampling.MOST_SPREAD).part
        errors, found = part.errors, []
        assert errors is not None
        for j in range(self.d):
            seen = ~np.isnan(part.rows[:, j])
            values, own = part.rows[seen, j], errors[seen, j] if errors.ndim == 2 else errors[seen, j, j]
            if not _varies(values.astype(np.float64), own.astype(np.float64)):
                found.append(j)
        return found

    # What starts and priors need

    def check_columns(self, names: Names | None = None) -> None:
        self.plain.check_columns(names)

    def moments(self) -> tuple[float, Array, Array]:
        return self.plain.moments()

    def spread(self, count: int) -> Rows:
        return self.plain.spread(count)

    def completed(self) -> InMemory:
        return self.plain.completed()

    def filled(self, parameters: Parameters, n_threads: int) -> Part:
        return self.plain.filled(parameters, n_threads)


class GappedMeasured(Measured):
    """The same, in which NaN is a missing value: one whose error is infinite."""

    kind = Gapped
    gapped = True
    plain: Gapped

    def sample(self, size: int, rng: np.random.Generator) -> Self:
        found = super().sample(size, rng)
        if self.place.in_memory is None:
            found.plain.like = self.plain.shown
        return found


def _varies(values: Array, errors: Array) -> bool:
    """Whether values (m,) vary more than their errors of these variances do: whether Σ_i w_i ((x_i − mean)² − S_i) is
    positive. Rows of large errors, which tell little, weigh little: w_i ∝ 1 / (scale² + S_i)², as in a normal
    distribution of that scale; the row of the smallest error has the weight 1."""
    if len(values) < 2:
        return True
    low, high = np.quantile(values, [0.25, 0.75])
    scale = ((high - low) / QUARTILES) ** 2
    if not scale > 0:
        return True
    shares = (scale + errors.min()) / (scale + errors)
    away = values - np.average(values, weights=shares)
    return bool((shares**2 * (away**2 - errors)).sum() > 0)


def density_of(parameters: Parameters, error_axes: int, gapped: bool) -> Density:
    """The density in the form that a pass over rows with errors takes; of a posterior, whose log-weights hold what is
    expected, that of the true values that are unknowns beside its parameters (docs/mathematics.md).

    error_axes : 2, errors are variances, or 3, covariances
    """
    family, (k, d), noise = parameters.family, parameters.means.shape, parameters.noise
    apart = error_axes == 2 and not family.correlated
    full = None if apart else family.expand(parameters.covariances, k, d)
    factor = parameters.variances if full is None else full[:, *np.tril_indices(d)]
    return Density(
        form="variances" if apart else "covariances",
        means=parameters.means,
        centre=weighted_median(parameters.means, parameters.weights),
        factor=np.ascontiguousarray(factor),
        log_norm=parameters.log_weights,
        noise=None if noise is None else noise.of_gaps if gapped else noise.constant,
    )


def _of_moment(found: SufficientStatistics, parameters: Parameters) -> Array:
    """Second moments (k,d,d), or their diagonals (k,d), in the form that an M-step takes."""
    second, moment = found.second, parameters.moment
    if moment == "full":
        return second
    if moment == "pooled":
        return second.sum(axis=0)
    diagonal = second if second.ndim == 2 else np.diagonal(second, axis1=1, axis2=2)
    return diagonal.sum(axis=1) if moment == "radial" else diagonal
