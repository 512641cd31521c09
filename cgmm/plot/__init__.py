"""Pictures of mixtures (matplotlib, imported when a function is called: ``pip install 'compiled-gmm[plot]'``).

Each function draws into `ax`, or pyplot's current axes, and returns its artists, to be restyled. ``model`` chooses by
itself.
"""

from cgmm.plot.apart import directions
from cgmm.plot.clusters import entropies, tree
from cgmm.plot.densities import density
from cgmm.plot.fits import history, selection
from cgmm.plot.given import predictive
from cgmm.plot.planes import contours, ellipses, legend, means
from cgmm.plot.points import scatter, uncertainty
from cgmm.plot.truth import basins, denoised
from cgmm.plot.wholes import model, pairs, plane, projection

__all__ = [
    "basins",
    "contours",
    "denoised",
    "density",
    "directions",
    "ellipses",
    "entropies",
    "history",
    "legend",
    "means",
    "model",
    "pairs",
    "plane",
    "predictive",
    "projection",
    "scatter",
    "selection",
    "tree",
    "uncertainty",
]
