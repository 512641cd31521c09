"""A fitted mixture as a distribution: what follows from it, and what lies between two of them."""

from cgmm.distribution.algebra import M
from cgmm.distribution.between import Between
from cgmm.distribution.probability import Probability

__all__ = ["Distribution"]


class Distribution(Between[M], Probability):
    """Verbs of a mixture that is a distribution; see docs/distribution.md."""
