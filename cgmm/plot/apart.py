"""Where the components of a mixture differ most: directions in space, and features."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm.mixture.separation import separation
from cgmm.plot.protocols import subject_of

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.plot.protocols import Mixture
    from cgmm.types import Array, Labels

# How much the differences of covariances count beside those of means, which are of order one. It is far above rounding
# and far below any difference of means that is seen, so it decides where means do not. Its square does the same for the
# principal components, which decide where neither means nor covariances do.
TIE = 1e-5


def directions(model: Mixture) -> Array:
    """Two directions (2, d) along which the components of a mixture are farthest apart, for their spread.

    They are Fisher's linear discriminants of the mixture (Hastie, Tibshirani and Friedman, The Elements of Statistical
    Learning, 2009, section 4.3.3): a maximises aᵀBa / aᵀWa, with

        B = Σ_c π_c (μ_c − μ)(μ_c − μ)ᵀ,  W = Σ_c π_c Σ_c,  μ = Σ_c π_c μ_c.

    Where the means do not differ, as in all directions but one if k = 2, those are taken in which the covariances
    differ most: of large Σ_c π_c (Σ_c − W) Σ⁻¹ (Σ_c − W), Σ = B + W (Scrucca 2010, "Dimension reduction for
    model-based clustering", Statistics and Computing 20). Where these do not differ either, as if k = 1, principal
    components of the standardised features are taken.

    Parameters
    ----------
    model : GMM
        Fitted, of at least two features.

    Returns
    -------
    ndarray (2, d)
        The mixture has variance 1 along each, and no covariance between them. Pass it as ``features``.

    See Also
    --------
    cgmm.directions : All directions in which components differ, and by how much.

    Examples
    --------
    >>> import cgmm
    >>> model = cgmm.GMM.from_parameters([0.5, 0.5], [[0.0, 0.0], [4.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], "diag")
    >>> from cgmm import plot
    >>> plot.directions(model).round(3).tolist()
    [[0.447, 0.0], [0.0, 1.0]]
    """
    return farthest_apart(subject_of(model).parameters)


def farthest_apart(parameters: Parameters) -> Array:
    """See ``directions``."""
    if parameters.d < 2:
        raise ValueError("a projection needs two features, and the model has 1: call cgmm.plot.density")
    found = separation(parameters)
    spread = TIE * found.spread / max(np.trace(found.spread), 1.0)
    sought = found.between + spread + TIE**2 * (found.axes * found.values) @ found.axes.T
    leading = np.linalg.eigh(sought)[1][:, :-3:-1].T @ found.whiten
    scaled = leading * found.unit
    strongest = np.abs(scaled).argmax(axis=1)
    return leading * np.sign(scaled[[0, 1], strongest])[:, None]


def distinct(parameters: Parameters, most: int) -> Labels:
    """At most so many features, those in which the means differ most for their variance, in their order."""
    weights, k, d = parameters.unit_weights, parameters.k, parameters.d
    between = weights @ (parameters.means - weights @ parameters.means) ** 2
    within = weights @ parameters.family.variances(parameters.covariances, k, d)
    order = np.argsort(-between / (between + within), kind="stable")
    return np.sort(order[:most])
