"""Coordinates of mixtures about one of them: whatever numbers they are, they are those of a mixture.

A mixture has the coordinates √π⁰ log π of its weights, √π⁰ P⁰ (μ − μ⁰) of its means, and √π⁰ times the logarithms of
its covariances' Cholesky factors beside those of the mixture in the middle (docs/acceleration.md); and
√(π₀⁰ (1 − π₀⁰)) log(π₀ / (1 − π₀)) of a noise component. Near the middle the
square of their length is, to second order, the complete-data information of a row: twice the Kullback–Leibler
divergence between the joint densities of rows and labels, in nats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture.maximise import restored
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.values import Values

if TYPE_CHECKING:
    from cgmm.mixture.rules import Rules
    from cgmm.types import Array

# The logarithm of a smaller weight is taken of this one, so that it is a number: no row belongs to the component.
LEAST_WEIGHT = float(np.finfo(np.float64).tiny)


def _log_odds(weight: float) -> float:
    return float(np.log(max(weight, LEAST_WEIGHT)) - np.log1p(-weight))


class Chart:
    """The coordinates about a mixture, of mixtures of its family and shape."""

    def __init__(self, about: Parameters) -> None:
        self.about = about
        self.middle = self.coordinates(about)

    def coordinates(self, parameters: Parameters) -> Array:
        """Of a mixture, in one array."""
        found = _kernels.coordinates(self.about.family.moment, self.about.values, parameters.values)
        if parameters.noise is None:
            return found
        return np.append(found, self._noise_scale() * _log_odds(parameters.noise.weight))

    def mixture(self, coordinates: Array, rules: Rules) -> Parameters | None:
        """The mixture of these coordinates; what is fixed is as in the middle, and no variance is below the floor.

        None if the coordinates are so far away that its numbers overflow.
        """
        about, noise = self.about, self.about.noise
        if noise is not None:
            *coordinates, log_odds = coordinates
            noise = noise.weighing(float(1 / (1 + np.exp(-log_odds / self._noise_scale()))))
        found = _kernels.at_coordinates(about.family.moment, about.values, np.asarray(coordinates))
        if found is None:
            return None
        weights, means, covariances = found
        covariances, root, _ = about.family.hold(covariances, rules.floor(about.d), 0.0, threads(rules.n_threads))
        values = Values(weights, means, covariances, root)
        return Parameters(about.family, *restored(values, about.values, rules.fixed), noise=noise)

    def _noise_scale(self) -> float:
        """√(π₀ (1 − π₀)) of the noise in the middle."""
        noise = self.about.noise
        return 1.0 if noise is None else float(np.sqrt(max(noise.weight * noise.rest, LEAST_WEIGHT)))
