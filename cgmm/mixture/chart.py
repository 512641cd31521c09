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
        self.about, self.covariances = about, 0
        self.scale = np.sqrt(np.maximum(about.weights, LEAST_WEIGHT))[:, None]
        self.middle = self.coordinates(about)

    def coordinates(self, parameters: Parameters) -> Array:
        """Of a mixture, in one array."""
        family, scale = self.about.family, self.scale
        offsets, logs = family.coordinates(parameters.means, parameters.factor, self.about.values)
        self.covariances = len(logs)
        weights = scale[:, 0] * np.log(np.maximum(parameters.weights, LEAST_WEIGHT))
        noise = [] if parameters.noise is None else [self._noise_scale() * _log_odds(parameters.noise.weight)]
        return np.concatenate([weights, (scale * offsets).ravel(), (self._scale_of(logs) * logs).ravel(), noise])

    def mixture(self, coordinates: Array, rules: Rules) -> Parameters | None:
        """The mixture of these coordinates; what is fixed is as in the middle, and no variance is below the floor.

        None if the coordinates are so far away that its numbers overflow.
        """
        about, (k, d) = self.about, self.about.means.shape
        noise = about.noise
        if noise is not None:
            *coordinates, log_odds = coordinates
            noise = noise.weighing(float(1 / (1 + np.exp(-log_odds / self._noise_scale()))))
        weights, offsets, logs = np.split(np.asarray(coordinates), [k, k + k * d])
        logs = logs.reshape(self.covariances, -1)
        with np.errstate(over="ignore", invalid="ignore"):
            weights = weights / self.scale[:, 0]
            weights = np.exp(weights - weights.max())
            offsets = offsets.reshape(k, d) / self.scale
            logs = logs / self._scale_of(logs)
            means, covariances = about.family.at_coordinates(offsets, logs, about.values, about.factor)
        if not (np.isfinite(means).all() and np.isfinite(covariances).all() and weights.sum() > 0):
            return None
        least = rules.floor(d)
        covariances, root, _ = about.family.hold(covariances, least, 0.0, threads(rules.n_threads))
        values = Values(weights / weights.sum(), means, covariances, root)
        return Parameters(about.family, *restored(values, about.values, rules.fixed), noise=noise)

    def _noise_scale(self) -> float:
        """√(π₀ (1 − π₀)) of the noise in the middle."""
        noise = self.about.noise
        return 1.0 if noise is None else float(np.sqrt(max(noise.weight * noise.rest, LEAST_WEIGHT)))

    def _scale_of(self, logs: Array) -> Array | float:
        """√π⁰ of the component of each covariance; one that all share has the weight of all."""
        return self.scale if len(logs) == len(self.scale) else 1.0
