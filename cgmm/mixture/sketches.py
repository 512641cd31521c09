"""Mixtures in outline, many at a time: their covariances are still to be held, and to share what they are to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.mixture.parameters import Parameters

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.mixture.families import Family
    from cgmm.types import Array, Labels


class Sketches(NamedTuple):
    """m mixtures of one family and as many components.

    weights : (m,k) in proportion to these;  means : (m,k,d);  covariances : (m, …) each of the family's shape
    """

    family: Family
    weights: Array
    means: Array
    covariances: Array

    @classmethod
    def of(cls, mixtures: Sequence[Parameters]) -> Sketches:
        """As they are, whatever noise is beside them."""
        each = zip(*(mixture.values[:3] for mixture in mixtures), strict=True)
        return cls(mixtures[0].family, *(np.array(arrays) for arrays in each))

    @classmethod
    def together(cls, some: Sequence[Sketches]) -> Sketches:
        """All mixtures of some sketches of one family and as many components."""
        return cls(some[0].family, *(np.concatenate(arrays) for arrays in zip(*(one[1:] for one in some), strict=True)))

    @property
    def m(self) -> int:
        return len(self.weights)

    @property
    def k(self) -> int:
        return self.weights.shape[1]

    @property
    def unit(self) -> Sketches:
        """The same, each mixture's weights summing to one."""
        return self._replace(weights=self.weights / self.weights.sum(axis=1, keepdims=True))

    def taken(self, which: Labels) -> Sketches:
        """Those mixtures, in new arrays."""
        return Sketches(self.family, self.weights[which], self.means[which], self.covariances[which])

    def held(self, at: int, least: Array) -> Parameters:
        """One of the mixtures, none of whose variances is below least (d,)."""
        weights = self.weights[at] / self.weights[at].sum()
        return Parameters.held(self.family, weights, self.means[at].copy(), self.covariances[at].copy(), least)

    # Components

    @property
    def _stacked(self) -> bool:
        """Whether covariances are kept for each component."""
        d = self.means.shape[2]
        return self.family.shape(1, d) != self.family.shape(2, d)

    def matrices(self, components: Labels) -> Array:
        """The covariance (m,d,d) of one component (m,) of each."""
        if not self._stacked:
            return self.covariances
        return self.family.expand(self.covariances[np.arange(self.m), components], self.m, self.means.shape[2])

    def without(self, components: Labels, weights: Array, means: Array, matrices: Array) -> Sketches:
        """Each mixture but for some components (m,q), and with others, the last: their weights (m,p), means (m,p,d),
        and the family's covariances that are nearest to matrices (m,d,d), one for those of a mixture. A shared
        covariance stays."""
        m, k, family = self.m, self.k, self.family
        stay = np.ones((m, k), dtype=bool)
        stay[np.arange(m)[:, np.newaxis], components] = False
        left = k - components.shape[1]
        own = self.weights[stay].reshape(m, left), self.means[stay].reshape(m, left, self.means.shape[2])
        found = np.concatenate([own[0], weights], axis=1), np.concatenate([own[1], means], axis=1)
        if not family.per_component:
            own = self.covariances
            return Sketches(
                family, *found, own[:, np.zeros(left + weights.shape[1], np.intp)] if self._stacked else own
            )
        shape = self.covariances.shape[2:]
        more = np.repeat(family.compact(matrices)[:, np.newaxis], weights.shape[1], axis=1)
        covariances = np.concatenate([self.covariances[stay].reshape(m, left, *shape), more], axis=1)
        return Sketches(family, *found, covariances)
