"""The covariance families: a class each, and everything that depends on which family it is."""

from cgmm.mixture.families.correlated import Full, Tied
from cgmm.mixture.families.family import Central, Estimate, Family, NotPositiveDefinite, Whitening
from cgmm.mixture.families.independent import Diag, Spherical
from cgmm.mixture.families.shared import Shared

FAMILIES: dict[str, Family] = {family.name: family for family in (Full(), Tied(), Diag(), Spherical())}

__all__ = [
    "FAMILIES",
    "Central",
    "Diag",
    "Estimate",
    "Family",
    "Full",
    "NotPositiveDefinite",
    "Shared",
    "Spherical",
    "Tied",
    "Whitening",
]
