"""Mixtures in outline, many at a time: their covariances are still to be held, and to share what they are to."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.mixture.families import FAMILIES
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

    def taken(self, which: Labels) -> Sketches:
        """Those mixtures, in new arrays."""
        return Sketches(self.family, self.weights[which], self.means[which], self.covariances[which])

    def held(self, at: int, least: Array) -> Parameters:
        """One of the mixtures, none of whose variances is below least (d,)."""
        weights = self.weights[at] / _kernels.total(self.weights[at])  # the bits that compiled starts have
        return Parameters.held(self.family, weights, self.means[at].copy(), self.covariances[at].copy(), least)

    # Components

    @property
    def _stacked(self) -> bool:
        """Whether covariances are kept for each component."""
        d = self.means.shape[2]
        return self.family.shape(1, d) != self.family.shape(2, d)

    def matrices(self, components: Labels) -> Array:
        """The covariance (q,d,d) of a component (q,) of each mixture, or of the only one."""
        which = np.arange(self.m) if self.m > 1 else np.zeros(len(components), dtype=np.intp)
        if not self._stacked:
            return self.covariances[which]
        return self.family.expand(self.covariances[which, components], len(which), self.means.shape[2])

    @property
    def freed(self) -> Sketches:
        """The same mixtures, each component with a covariance matrix of its own."""
        k, d = self.means.shape[1:]
        matrices = np.array([self.family.expand(own, k, d) for own in self.covariances])
        return self._replace(family=FAMILIES["full"], covariances=matrices)

    def with_covariances_of(self, other: Sketches) -> Sketches:
        """Other mixtures, with the family's covariances that are nearest to theirs; where all components of one share
        one, with that of the mixture here."""
        if self.family.per_component:
            return other._replace(family=self.family, covariances=self.family.compact(other.covariances))
        shared = self.covariances[:, np.zeros(other.k, dtype=np.intp)] if self._stacked else self.covariances
        return other._replace(family=self.family, covariances=np.repeat(shared, other.m // self.m, axis=0))

    def only(self, components: Labels) -> Sketches:
        """One component (m,) of each, as a mixture of its own."""
        each = np.arange(self.m)
        covariances = self.covariances[each, components][:, np.newaxis] if self._stacked else self.covariances
        return self._replace(
            weights=self.weights[each, components][:, np.newaxis],
            means=self.means[each, components][:, np.newaxis],
            covariances=covariances,
        )
