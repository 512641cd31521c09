"""The landscape of a mixture's log-density: its slope and curvature at points, its modes and their basins.

With r_c the responsibilities at x, v_c = Σ_c⁻¹ (μ_c − x) and Q_c = Σ_c⁻¹, the gradient is g = Σ_c r_c v_c and the
Hessian Σ_c r_c (v_c v_cᵀ − Q_c) − g gᵀ (Carreira-Perpiñán 2000, eq. 5, of the logarithm).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture.transform import freed

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Labels, Mask

POINTS_NUMBERS = 1 << 20  # Numbers of which points hold d² each at a time, so that memory is bounded: 8 MiB.
# Newton's step is tried where the log-density left to gain, half the squared decrement, is below half of this: there a
# quadratic is near the log-density. It is kept only where it gains, so a larger one would only cost more vain trials.
NEAR = 0.1
# A climb ends where the squared decrement is below this: the point is then within 1e-9 widths of the mode.
REACHED = 1e-18
MOST_STEPS = 20000  # Mean shifts of a climb: a ridge so flat that more are needed has no mode that could be told.
SAME = 1e-4  # Ends that are nearer than this share of the mode's width are one mode.
PAIR_POINTS = (0.25, 0.5, 0.75)  # Where, along the ridge from one component to another, climbs begin.


class Modes(NamedTuple):
    """The modes of a mixture's density, the highest first.

    points : (m,d);  log_densities : (m,);  labels : (k,) to which of them the density rises from each component's mean

    Examples
    --------
    >>> from cgmm import GMM
    >>> model = GMM.from_parameters([0.5, 0.5], [[0.0], [10.0]], [1.0, 1.0], "spherical")
    >>> model.modes().points.round(3).tolist()
    [[0.0], [10.0]]
    """

    points: Array
    log_densities: Array
    labels: Labels


class Landscape:
    """The log-density of a mixture, at complete points (n,d)."""

    def __init__(self, parameters: Parameters, n_threads: int | None = None) -> None:
        self.parameters, self.n_threads = parameters, threads(n_threads)
        own = freed(parameters)
        self.precisions = own.family.expand(own.precisions, own.k, own.d)
        self.slopes = np.ascontiguousarray(-self.precisions)
        self.nothing = np.zeros_like(own.means)

    def log_density(self, X: Array) -> Array:
        return _kernels.evaluate(X, self.parameters.density, "log_likelihood", self.n_threads)

    def responsibilities(self, X: Array) -> Array:
        return _kernels.evaluate(X, self.parameters.density, "responsibilities", self.n_threads)

    def gradient(self, X: Array, responsibilities: Array | None = None) -> Array:
        """(n,d)"""
        shares = self.responsibilities(X) if responsibilities is None else responsibilities
        return _kernels.regress(X, self.parameters.means, self.nothing, self.slopes, shares, self.n_threads)

    def hessian(self, X: Array) -> Array:
        """(n,d,d)"""
        shares = self.responsibilities(X)
        return self._curvature(X, shares, self.gradient(X, shares), self._mean_precisions(shares))

    def _mean_precisions(self, shares: Array) -> Array:
        """Σ_c r_c Q_c, (n,d,d)."""
        return np.einsum("ic,cjl->ijl", shares, self.precisions)

    def _curvature(self, X: Array, shares: Array, gradient: Array, mean_precisions: Array) -> Array:
        found = -mean_precisions - gradient[:, :, None] * gradient[:, None, :]
        for c, centre in enumerate(self.parameters.means):
            pull = np.einsum("jl,il->ij", self.precisions[c], centre - X)
            found += shares[:, c, None, None] * pull[:, :, None] * pull[:, None, :]
        return found

    def parts(self, n: int) -> list[slice]:
        """Cuts of n points of which few enough are held at a time."""
        size = max(1, POINTS_NUMBERS // self.parameters.d**2)
        return [slice(start, start + size) for start in range(0, n, size)]

    # Climbs

    def climb(self, X: Array) -> Array:
        """The modes (n,d) to which the density rises from each point.

        By mean shifts x + (Σ_c r_c Q_c)⁻¹ g, which are steps of EM and never lower the density (Carreira-Perpiñán
        2007), and by Newton's steps where these end higher. A saddle is left along its steepest curvature.
        """
        found = np.array(X)
        for part in self.parts(len(X)):
            self._climb(found[part])
        return found

    def _climb(self, X: Array) -> None:
        """X (n,d) becomes the modes above it."""
        todo = np.arange(len(X))
        for _ in range(MOST_STEPS):
            if not len(todo):
                return
            moved, ended = self._step(X[todo])
            X[todo] = moved
            todo = todo[~ended]

    def _step(self, x: Array) -> tuple[Array, Mask]:
        """Each point moved, and whether it is a mode."""
        shares = self.responsibilities(x)
        gradient, mean_precisions = self.gradient(x, shares), self._mean_precisions(shares)
        curvature = -self._curvature(x, shares, gradient, mean_precisions)
        shift = np.linalg.solve(mean_precisions, gradient[:, :, None])[:, :, 0]
        values, axes = np.linalg.eigh(curvature)
        along = np.einsum("ija,ij->ia", axes, gradient)
        with np.errstate(divide="ignore", invalid="ignore"):
            decrement = (along**2 / np.abs(values)).sum(axis=1)
        peaked = values[:, 0] > 0
        at_rest = (np.abs(shift) <= 2 * np.spacing(np.abs(x))).all(axis=1)  # to rounding
        level = at_rest | (np.einsum("ij,ij->i", shift, gradient) < REACHED)
        moved = x + shift
        near = np.flatnonzero(peaked & (decrement < NEAR))
        if len(near):
            newton = x[near] + np.einsum("ija,ia->ij", axes[near], along[near] / values[near])
            gains = self.log_density(newton) >= self.log_density(moved[near])
            moved[near[gains]] = newton[gains]
        stuck = np.flatnonzero(level & ~peaked)
        if len(stuck):
            widths = np.sqrt(1 / np.linalg.eigvalsh(mean_precisions[stuck])[:, -1])
            moved[stuck] += SAME * widths[:, None] * axes[stuck, :, 0]
        return moved, peaked & ((decrement < REACHED) | at_rest)

    def modes(self) -> Modes:
        """All to which the density rises from the means of components, and from between them along their ridges.

        All critical points of a mixture lie on its ridges, the points (Σ_c a_c Q_c)⁻¹ Σ_c a_c Q_c μ_c (Ray and Lindsay
        2005): those of two components are tried, for a mode may lie where no component's mean leads.
        """
        k = self.parameters.k
        ends = self.climb(np.concatenate([self.parameters.means, self._ridge_points()]))
        log_densities = self.log_density(ends)
        chosen: list[int] = []
        for i in np.argsort(-log_densities, kind="stable"):
            if not len(chosen) or self._nearest(ends[[i]], ends[chosen])[0] < 0:
                chosen.append(int(i))
        points = ends[chosen]
        return Modes(points, log_densities[chosen], self._nearest(ends[:k], points))

    def labels(self, X: Array, modes: Modes) -> Labels:
        """To which mode the density rises from each of X (n,d); −1 if it is none of these."""
        return self._nearest(self.climb(X), modes.points)

    def _ridge_points(self) -> Array:
        means, precisions = self.parameters.means, self.precisions
        alone = (precisions == precisions[:1]).all()  # then ridges are straight, and means lead to all modes known
        points = [np.empty((0, self.parameters.d))]
        for c in range(0 if alone else self.parameters.k):
            for share in PAIR_POINTS:
                pull = (1 - share) * np.einsum("cij,cj->ci", precisions[:c], means[:c])
                pull += share * np.einsum("ij,j->i", precisions[c], means[c])
                both = (1 - share) * precisions[:c] + share * precisions[c]
                points.append(np.linalg.solve(both, pull[:, :, None])[:, :, 0])
        return np.concatenate(points)

    def _nearest(self, ends: Array, modes: Array) -> Labels:
        """Which of the modes (m,d) each end (n,d) is; −1 for none."""
        found = np.full(len(ends), -1, dtype=np.intp)
        curvature = -self.hessian(modes)
        for label in range(len(modes) - 1, -1, -1):
            away = ends - modes[label]
            found[np.einsum("ij,jl,il->i", away, curvature[label], away) < SAME**2] = label
        return found
