"""What a picture shows of a mixture: its marginal along one or two directions, and the part of space it lies in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.gmm import GMM
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array, Mask, Rows

CENTRAL = 0.96  # share of the rows that a picture is laid out for
FEW = 10  # rows: of fewer, none is an outlier
NOTABLE = 0.01  # weight of a component whose mean is always in the picture
SPIRAL = 4000  # points that stand for a mixture
GOLDEN = np.pi * (3 - np.sqrt(5))  # the angle (radians) that spreads points on a spiral evenly
GRID = 200  # points of a regular grid along an axis
DETAIL = 400  # and points more, shared by the components, about their means


class View(NamedTuple):
    """A mixture under x → A x: a mixture of Gaussians again, of m features.

    weights : (k,);  means : (k,m);  covariances : (k,m,m);  basis : A (m,d);  names : of the m
    """

    weights: Array
    means: Array
    covariances: Array
    basis: Array
    names: Sequence[str]

    @property
    def k(self) -> int:
        return len(self.weights)

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

    def notable(self) -> Mask:
        """Which components (k,) have NOTABLE weight."""
        return self.weights >= NOTABLE * self.weights.max()

    def frame(self, points: Rows | None = None) -> tuple[Array, Array]:
        """The lowest and highest values (m,) to be shown of points (n,m), or, without any, of the mixture.

        All of them, but no farther than the width of the central CENTRAL beyond its ends, so that an outlier or
        a huge covariance does not make all else a dot; and the mean of every component that has NOTABLE weight.
        """
        shown = self._quantiles() if points is None else points
        low, high = np.transpose([_reach(shown[:, j]) for j in range(shown.shape[1])])
        means = self.means[self.notable()]
        low, high = np.minimum(low, means.min(axis=0)), np.maximum(high, means.max(axis=0))
        sigma = np.sqrt(self.covariances.diagonal(axis1=1, axis2=2).max(axis=0))
        some = np.where(high > low, 0.0, np.maximum(4 * sigma, 1e-6 * np.abs(low)))  # all rows are the same there
        return low - some, high + some

    def _quantiles(self) -> Array:
        """About a thousand points (·,m) distributed as the mixture is along each axis."""
        from scipy.special import ndtri

        sigma = np.sqrt(self.covariances.diagonal(axis1=1, axis2=2))
        counts = np.ceil(1000 * self.weights).astype(int)
        levels = [ndtri((np.arange(count) + 0.5) / count) for count in counts]
        return np.concatenate([mu + s * z[:, None] for mu, s, z in zip(self.means, sigma, levels, strict=True)])

    def grid(self, j: int, low: float, high: float) -> Array:
        """Points from low to high along axis j, the denser where a component is narrow."""
        sigma = np.sqrt(self.covariances[:, j, j])
        steps = np.linspace(-4, 4, max(DETAIL // self.k, 5) | 1)  # the mean among them
        fine = (self.means[:, j, None] + sigma[:, None] * steps).ravel()
        return np.unique(np.concatenate([np.linspace(low, high, GRID), fine[(fine > low) & (fine < high)]]))


def view_of(model: GMM, features: Any, m: int) -> View:
    """The view along m features, given by index or name, or along directions (m,d); None: the model has only these."""
    state = model._fitted()
    parameters, names = state.fit.parameters, state.names
    d = parameters.d
    told = [f"feature {j}" for j in range(d)] if names is None else [str(name) for name in names]
    if features is None:
        if d != m:
            raise ValueError(_other_picture(d, m))
        features = range(m)
    if np.ndim(features) == 2:
        return _view(parameters, _directions(features, m, d), [f"direction {i + 1}" for i in range(m)])
    columns = [_column(feature, told) for feature in features]
    if len(columns) != m or len(set(columns)) < m:
        raise ValueError(f"features must be {m} different one{'s' * (m > 1)}, not {features!r}")
    return _view(parameters, np.eye(d)[columns], [told[j] for j in columns])


def _view(parameters: Parameters, basis: Array, names: Sequence[str]) -> View:
    covariances = parameters.family.project(parameters.covariances, basis, parameters.k)
    return View(parameters.weights, parameters.means @ basis.T, covariances, basis, names)


def _directions(features: Any, m: int, d: int) -> Array:
    basis = np.asarray(features, dtype=np.float64)
    if basis.shape != (m, d) or not np.isfinite(basis).all() or np.linalg.matrix_rank(basis) < m:
        raise ValueError(f"features, as directions, must be ({m}, {d}), finite and of full rank")
    return basis


def _column(feature: Any, names: Sequence[str]) -> int:
    if isinstance(feature, str):
        if feature not in names:
            raise ValueError(f"the model has no feature {feature!r}, only {', '.join(names)}")
        return names.index(feature)
    if isinstance(feature, bool | np.bool_) or not isinstance(feature, int | np.integer):
        raise ValueError(f"a feature is named by its index or name, not {feature!r}")
    if not -len(names) <= feature < len(names):
        raise ValueError(f"there is no feature {feature}: the model has {len(names)}")
    return int(feature) % len(names)


def _other_picture(d: int, m: int) -> str:
    if m == 1:
        return f"density draws one feature, and the model has {d}: choose one with feature=…, or call cgmm.plot.model"
    if d == 1:
        return "a plane has two features, and the model has 1: call cgmm.plot.density"
    return (
        f"a plane has two features, and the model has {d}: choose two with features=(0, 1), or call cgmm.plot.pairs "
        "or cgmm.plot.projection"
    )


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


def directions(model: GMM) -> Array:
    """Two directions (2, d) along which the components of a mixture are farthest apart, for their spread.

    They are Fisher's linear discriminants of the mixture (Hastie, Tibshirani and Friedman, The Elements of Statistical
    Learning, 2009, section 4.3.3): a maximises aᵀBa / aᵀWa, with

        B = Σ_c π_c (μ_c − μ)(μ_c − μ)ᵀ,  W = Σ_c π_c Σ_c,  μ = Σ_c π_c μ_c.

    Where the means tell no directions apart, as all but one if k = 2, those in which the covariances differ most are
    taken: of large Σ_c π_c (Σ_c − W) Σ⁻¹ (Σ_c − W), Σ = B + W (Scrucca 2010, "Dimension reduction for model-based
    clustering", Statistics and Computing 20); and where these do not either, as if k = 1, principal components of
    the standardised features.

    Parameters
    ----------
    model : GMM
        Fitted, of at least two features.

    Returns
    -------
    ndarray (2, d)
        The mixture has variance 1 along each, and no covariance between them. Pass it as ``features``.
    """
    parameters = model._parameters
    weights, d = parameters.weights / parameters.weights.sum(), parameters.d
    if d < 2:
        raise ValueError("a projection needs two features, and the model has 1: call cgmm.plot.density")
    covariances = parameters.family.expand(parameters.covariances, parameters.k, d)
    offsets = parameters.means - weights @ parameters.means
    within = np.einsum("c,cij->ij", weights, covariances)
    between = np.einsum("c,ci,cj->ij", weights, offsets, offsets)
    unit = np.sqrt((within + between).diagonal())
    unit = np.where(unit > 0, unit, 1.0)
    values, axes = np.linalg.eigh((within + between) / unit / unit[:, None])
    values = np.maximum(values, FLAT * values[-1])
    whiten = (axes / np.sqrt(values)) @ axes.T / unit  # symmetric root, of the correlations
    B = whiten @ between @ whiten.T
    apart = whiten @ (covariances - within) @ whiten.T
    spread = np.einsum("c,cij->ij", weights, apart @ apart)
    sought = B + TIE * spread / max(np.trace(spread), 1.0) + TIE**2 * (axes * values) @ axes.T
    leading = np.linalg.eigh(sought)[1][:, :-3:-1].T @ whiten
    scaled = leading * unit
    strongest = np.abs(scaled).argmax(axis=1)
    return leading * np.sign(scaled[[0, 1], strongest])[:, None]


FLAT = 1e-12  # of the largest variance: below it there is none
TIE = 1e-5  # of what decides where means do not; and of this, where nothing else does
