"""Some rows of which features are given, and what a mixture's components say of the others.

Where what is given is exact, each component is a regression that all rows share; where it was measured with errors of
covariance S_i, which differ from row to row, a component's mean and covariance given x_i are those of the true values
b_ic and B_ic of cgmm.rows.measured, of features that nobody has measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import of_some
from cgmm.once import once
from cgmm.rows.row_errors import normal

if TYPE_CHECKING:
    from cgmm.mixture.conditioning import Conditioning
    from cgmm.mixture.density import Density
    from cgmm.types import Array, Labels, RowErrors


class Piece(Protocol):
    """Some rows, the weights (rows,k) of components, and what these say of m features.

    rows : which of all rows they are, a slice or indices
    """

    rows: Any
    shares: Array

    @property
    def means(self) -> Array:
        """Of each component, (rows,k,m)."""

    @property
    def mean(self) -> Array:
        """Σ_c r_c times these, (rows,m)."""

    @property
    def within(self) -> Array:
        """Σ_c r_c times the covariances of components, (rows,m,m), or (1,m,m) where all rows have the same."""

    @property
    def variances_within(self) -> Array:
        """The diagonals of these, (rows,m) or (1,m)."""

    @property
    def deviations(self) -> Array:
        """The standard deviations of the components' first feature, (rows,k) or (1,k)."""

    def draws(self, chosen: Array, rng: np.random.Generator) -> Array:
        """A draw of each row, (rows,m), from the component that `chosen` (rows,k) marks with one."""


def away(piece: Piece) -> Array:
    """The means of components about that of all, (rows,k,m)."""
    return piece.means - piece.mean[:, None]


class Regressed:
    """Rows that have the same features, x (rows,p), which are exact."""

    def __init__(self, rows: Any, regression: Conditioning, x: Array, shares: Array, n_threads: int) -> None:
        self.rows, self.regression, self.x, self.shares, self.n_threads = rows, regression, x, shares, n_threads

    @property
    def means(self) -> Array:
        return self.regression.component_means(self.x, self.n_threads)

    @property
    def mean(self) -> Array:
        return self.regression.mean(self.x, self.shares, self.n_threads)

    @property
    def within(self) -> Array:
        own = self.regression.covariances
        return own if len(own) == 1 else np.einsum("ic,cab->iab", self.shares, own)

    @property
    def variances_within(self) -> Array:
        own = self.regression.variances
        return own if len(own) == 1 else self.shares @ own

    @property
    def deviations(self) -> Array:
        return np.broadcast_to(np.sqrt(self.regression.variances[:, 0]), (1, self.shares.shape[1]))

    def draws(self, chosen: Array, rng: np.random.Generator) -> Array:
        return self.regression.draws(self.x, chosen, rng, self.n_threads)


class Deblurred:
    """Rows x (rows,d) of true values with errors of measurement, NaN in the features (m,) that are asked for.

    errors : (rows,d) or (rows,d,d);  density : of the form "covariances"
    """

    def __init__(
        self, rows: Any, density: Density, x: Array, errors: RowErrors, features: Labels, shares: Array, n_threads: int
    ) -> None:
        self.rows, self.shares = rows, shares
        self.density, self.x, self.errors, self.features, self.n_threads = density, x, errors, features, n_threads

    @once
    def _components(self) -> tuple[Array, Array]:
        """Means (rows,k,m) and covariances (rows,k,m,m)."""
        (n, k), m = self.shares.shape, len(self.features)
        means, covariances = np.empty((n, k, m)), np.empty((n, k, m, m))
        for c in range(k):
            alone = of_some(self.density, np.arange(k) == c)
            b, B = _kernels.truth(self.x, alone, self.errors, True, self.n_threads)
            assert B is not None
            means[:, c], covariances[:, c] = b[:, self.features], B[:, self.features[:, None], self.features]
        return means, covariances

    @property
    def means(self) -> Array:
        return self._components[0]

    @property
    def covariances(self) -> Array:
        return self._components[1]

    @property
    def mean(self) -> Array:
        return np.einsum("ic,icm->im", self.shares, self.means)

    @property
    def within(self) -> Array:
        return np.einsum("ic,icab->iab", self.shares, self.covariances)

    @property
    def variances_within(self) -> Array:
        return np.einsum("ic,icaa->ia", self.shares, self.covariances)

    @property
    def deviations(self) -> Array:
        return np.sqrt(self.covariances[:, :, 0, 0])

    def draws(self, chosen: Array, rng: np.random.Generator) -> Array:
        rows, components = np.arange(len(chosen)), chosen.argmax(axis=1)
        return self.means[rows, components] + normal(self.covariances[rows, components], rng)
