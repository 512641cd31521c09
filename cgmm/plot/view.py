"""A mixture along one or more directions: its densities there, and the levels of its density."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.plot.protocols import Subject
    from cgmm.types import Array, Mask

NOTABLE = 0.01  # A picture always shows the mean of a component that has at least this share of the largest weight.
SPIRAL = 4000  # So many points stand for a mixture in levels(): shares of probability are then right to about 0.001.
GOLDEN = np.pi * (3 - np.sqrt(5))  # Points that follow each other on a spiral by this angle (radians) fill it evenly.


class View(NamedTuple):
    """A mixture under x → A x: a mixture of Gaussians again, of m features.

    weights : (k,);  means : (k,m);  covariances : (k,m,m);  basis : A (m,d);  names : of the m
    labels : (k,) of the components, each with its weight
    """

    weights: Array
    means: Array
    covariances: Array
    basis: Array
    names: Sequence[str]
    labels: Sequence[str]

    @classmethod
    def of(cls, subject: Subject, basis: Array, names: Sequence[str]) -> View:
        parameters = subject.parameters
        covariances = parameters.family.project(parameters.covariances, basis, parameters.k)
        return cls(parameters.shares, parameters.means @ basis.T, covariances, basis, names, subject.labels)

    @property
    def k(self) -> int:
        return len(self.weights)

    def deviations(self) -> Array:
        """The standard deviation of each component along each axis (k,m)."""
        return np.sqrt(self.covariances.diagonal(axis1=1, axis2=2))

    def roots(self) -> Array:
        """R_c (k,m,m) with R_c R_cᵀ = Σ_c, from principal axes: a flat Σ_c has one too."""
        values, axes = np.linalg.eigh(self.covariances)
        least = np.finfo(float).eps * values[:, -1:] + np.finfo(float).tiny
        return axes * np.sqrt(np.maximum(values, least))[:, None, :]

    def peaks(self) -> Array:
        """π_c times the highest density of each component (k,)."""
        volumes = np.abs(np.linalg.det(self.roots())) * (2 * np.pi) ** (self.means.shape[1] / 2)
        return self.weights / volumes

    def densities(self, points: Array) -> Array:
        """π_c N(A x | μ_c, Σ_c) of each component at points (n,m); (k,n)."""
        whitened = np.linalg.inv(self.roots()) @ (points - self.means[:, None, :]).swapaxes(1, 2)
        with np.errstate(under="ignore"):
            return self.peaks()[:, None] * np.exp(-0.5 * (whitened**2).sum(axis=1))

    def levels(self, probabilities: Array) -> Array:
        """The densities, ascending, above which a mixture of two features holds these shares of its probability.

        They are quantiles of the density at points that are distributed as the mixture is (Hyndman 1996, "Computing
        and graphing highest density regions"); the points of a component are on a spiral.
        """
        counts = np.ceil(SPIRAL * self.weights).astype(int)
        levels = [(np.arange(count) + 0.5) / max(count, 1) for count in counts]
        radii, turns = [np.sqrt(-2 * np.log1p(-p)) for p in levels], [GOLDEN * np.arange(count) for count in counts]
        circles = [r[:, None] * np.stack([np.cos(t), np.sin(t)], axis=1) for r, t in zip(radii, turns, strict=True)]
        points = np.concatenate([mu + z @ R.T for mu, R, z in zip(self.means, self.roots(), circles, strict=True)])
        shares = np.repeat(self.weights / np.maximum(counts, 1), counts)
        density = self.densities(points).sum(axis=0)
        order = density.argsort()[::-1]
        held = shares[order].cumsum() / shares.sum()
        return np.unique(density[order[np.searchsorted(held, probabilities)]])

    def distances(self, heights: Array) -> list[Array]:
        """The Mahalanobis distances at which the weighted density of each component has those heights."""
        with np.errstate(divide="ignore"):
            squares = 2 * np.log(self.peaks()[:, None] / heights)
        return [np.sqrt(row[row > 0]) for row in squares]

    def notable(self) -> Mask:
        """Which components (k,) have at least the share NOTABLE of the largest weight."""
        return self.weights >= NOTABLE * self.weights.max()
