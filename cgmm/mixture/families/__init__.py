"""The covariance families: a class each, and everything that depends on which family it is."""

from cgmm.mixture.families.correlated import Full, Tied
from cgmm.mixture.families.family import Central, Estimate, Family, NotPositiveDefinite, Whitening
from cgmm.mixture.families.independent import Diag, Spherical
from cgmm.mixture.families.parsimonious import EEE, EEI, EEV, EII, EVE, EVI, EVV, VEE, VEI, VEV, VVE, E, V
from cgmm.mixture.families.shared import Shared

FAMILIES: dict[str, Family] = {family.name: family for family in (Full(), Tied(), Diag(), Spherical())}
# The other names are mclust's: three of them are of families above.
FAMILIES |= {"VVV": FAMILIES["full"], "VVI": FAMILIES["diag"], "VII": FAMILIES["spherical"]}
FAMILIES |= {
    family.name: family
    for family in (EII(), EEI(), VEI(), EVI(), EEE(), VEE(), EVE(), VVE(), EEV(), VEV(), EVV(), E(), V())
}

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
