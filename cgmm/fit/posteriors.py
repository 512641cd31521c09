"""What became of many fits of which each is a posterior, in arrays that hold all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from cgmm.fit.ledger import Ledger
from cgmm.mixture.laws import WEIGHT_LAWS, DirichletProcess
from cgmm.mixture.posterior import Belief, Posterior
from cgmm.mixture.values import Values

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.em.settings import Settings
    from cgmm.em.stepwise import Memory
    from cgmm.fit.ledger import Outcome
    from cgmm.fit.request import Request
    from cgmm.mixture.families import Family
    from cgmm.mixture.parameters import Parameters
    from cgmm.types import Array

# What is believed of each problem before its rows, by the names of cgmm.mixture.posterior.Belief: (m,), NaN.
NUMBERS_OF_BELIEF = ("concentration", "mean_precision", "degrees", "rows")


class Posteriors(Ledger):
    """A Ledger of posteriors.

    kind : the name of what is believed of all weights;  masses : (m,k) as of Posterior, zero for what a problem lacks
    prior_mean : (m,d);  prior_covariance : (m, …) in the form of a prior's scale of the family
    lower_bound : (m,) the evidence lower bound of each fit
    """

    arrays: ClassVar = (*Ledger.arrays, *NUMBERS_OF_BELIEF, "masses", "prior_mean", "prior_covariance", "lower_bound")
    concentration: Array
    mean_precision: Array
    degrees: Array
    rows: Array
    prior_mean: Array
    prior_covariance: Array

    def __init__(self, m: int, k: int, family: Family, kind: str, requests: Sequence[Request] = ()) -> None:
        self.kind, self.masses = kind, np.full((m, k), np.nan)
        for name in NUMBERS_OF_BELIEF:
            setattr(self, name, np.full(m, np.nan))
        self.lower_bound = np.full(m, np.nan)
        super().__init__(m, k, family, requests)

    def make_room(self, d: int) -> None:
        super().make_room(d)
        m = len(self.weights)
        self.prior_mean = np.full((m, d), np.nan)
        self.prior_covariance = np.full((m, *self.family.scale_shape(d)), np.nan)

    def enter(self, i: int, found: Outcome) -> None:
        super().enter(i, found)
        if found.state is None:
            return
        posterior, told = _posterior_of(found.state.fit.parameters)
        for name in NUMBERS_OF_BELIEF:
            getattr(self, name)[i] = told[name]
        self.prior_mean[i], self.prior_covariance[i] = told["mean"], told["covariance"]
        self.masses[i] = 0.0
        self.masses[i, : posterior.k] = posterior.masses
        self.lower_bound[i] = found.state.fit.lower_bound

    def belief(self, i: int) -> Belief:
        """What was believed of the i-th problem, which has a fit, before its rows."""
        return Belief.of_told(
            self.family,
            k=int(self.n_components[i]),
            kind=self.kind,
            mean=self.prior_mean[i],
            covariance=self.prior_covariance[i],
            **{name: float(getattr(self, name)[i]) for name in NUMBERS_OF_BELIEF},
        )

    def parameters(self, i: int) -> Parameters:
        k = int(self.n_components[i])
        weights, _, *values = self.of(i, k)
        return self.belief(i).of(self.masses[i, :k], Values(weights, *values))

    def mean_precisions(self) -> Array:
        """b (m,k), NaN for what a problem lacks."""
        return self.mean_precision[:, np.newaxis] + self._own_masses()

    def degrees_of_freedom(self) -> Array:
        """ν (m,k), NaN for what a problem lacks; or (m,), its mean, where components share a covariance."""
        if self.family.per_component:
            return self.degrees[:, np.newaxis] + self._own_masses()
        with np.errstate(invalid="ignore"):
            return self.degrees + self.masses.sum(axis=1) / self.n_components

    def concentrations(self) -> list[Array]:
        """Of the weights: one array (m,k), or two of the sticks that are broken; NaN for what a problem lacks."""
        law = WEIGHT_LAWS[self.kind]
        found = np.full((2 if law is DirichletProcess else 1, *self.masses.shape), np.nan)
        for i in np.flatnonzero(self.n_components).tolist():
            k = int(self.n_components[i])
            found[:, i, :k] = law(float(self.concentration[i])).concentration(self.masses[i, :k])
        return list(found)

    def _own_masses(self) -> Array:
        """The masses (m,k), NaN for what a problem lacks."""
        lacks = np.arange(self.masses.shape[1]) >= self.n_components[:, np.newaxis]
        return np.where(lacks, np.nan, self.masses)

    def remembers(self, i: int) -> bool:
        return True  # which is nothing that a stream could go on from

    def _memory(self, i: int, parameters: Parameters, n_k: Array) -> Memory | None:
        return None

    def _settled(self, i: int, settings: Settings) -> Settings:
        return super()._settled(i, settings)._replace(rows=float(self.rows[i]))


def _posterior_of(parameters: Parameters) -> tuple[Posterior, dict[str, Any]]:
    """The posterior, and what its belief tells by name."""
    assert isinstance(parameters, Posterior)
    return parameters, parameters.belief.told()
