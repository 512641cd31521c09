"""EM: expectation, maximisation, converged? From a mixture and data to the mixture at which a run ends."""

from cgmm.em.stage import IterationState

__all__ = ["IterationState"]
