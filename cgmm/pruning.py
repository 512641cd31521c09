"""When a pass leaves negligible components out, and what guides it: see docs/pruning.md."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels

if TYPE_CHECKING:
    from cgmm.data import Data
    from cgmm.parameters import Parameters
    from cgmm.types import Array

DIMENSIONS = _kernels.GUIDE_DIMENSIONS
STEPS = 4  # of the iteration that finds it
WORTH = 0.9  # share of the dense work (multiply-adds) below which pruning is the faster, measured
LEAST_ROWS = 8192  # below it a pass is too short to gain
LEAST_FEATURES = {"triangular": 9, "diagonal": 16, "isotropic": 24}  # below it dense kernels win always
LEAST_COMPONENTS = 4
PROBE_PART = 32  # of the rows are a probe's sample: to ask must cost little beside a pass,
PROBE_LEAST, PROBE_MOST = 1024, 4096  # but it needs so many rows, and no more
STARVED = 1e-6  # share of the weight: what is left out, 1e-20 of it (float32 1e-13), is beside it 1e-14 (1e-7)


class Pruning:
    """Whether the passes of one run of EM prune: decided by counts of the work done, so always the same.

    A pass that prunes counts its work; while passes are dense, a sample of the rows is tried at the iterations
    1, 2, 4, 8, … Without `moments`, the passes are those that only evaluate.
    """

    def __init__(self, data: Data, moments: bool = True, possible: bool = True) -> None:
        self.iteration, self.pays, self.moments = 0, False, moments
        self.possible = possible and data.n >= LEAST_ROWS and os.environ.get("CGMM_PRUNE") != "0"
        self.data = data

    def guide(self, parameters: Parameters) -> Guide | None:
        """The Guide of the next pass, or None for a dense one."""
        self.iteration += 1
        if not self.possible or parameters.k < LEAST_COMPONENTS:
            return None
        density, moment = parameters.density, parameters.family.moment if self.moments else None
        if moment not in _kernels.PRUNED or parameters.d < LEAST_FEATURES[density.form]:
            return None
        probe = self.iteration & (self.iteration - 1) == 0
        if not (self.pays or probe):
            return None
        if not self.pays and _kernels.least_share(density, moment) > WORTH:
            return None
        guide = guide_of(parameters, self.data.dtype)
        if not self.pays:
            n = self.data.n
            sample = self.data.spread(min(max(PROBE_LEAST, n // PROBE_PART), PROBE_MOST))
            self.pays = _kernels.share_of_work(sample, density, moment, guide, n) < WORTH
        return guide if self.pays else None

    def observe(self, share: float, n_k: Array, weights: Array) -> bool:
        """Take note of the share of the dense work that the last pass did; True if the pass must be repeated.

        What a pruned pass leaves out is negligible for the rows. For a component that hardly any row belongs to it
        may be all there is: then the pass is repeated without pruning.
        """
        starved = bool(np.any((n_k < STARVED * n_k.sum()) & (weights > 0)))
        self.pays = self.pays and share < WORTH and not starved
        return starved


class Guide(NamedTuple):
    """A projection to m dimensions in which components are told apart, and their images in it.

    directions : ndarray (m,d);  roots : ndarray (k,m,m), P = L⁻¹ of no less than the images' covariances.
    """

    directions: Array
    roots: Array


def guide_of(parameters: Parameters, dtype: np.dtype[np.floating[Any]]) -> Guide:
    """The Guide of a mixture for rows of that type.

    Its covariances are larger than the images' by the square of what rounding may do to an image: by rounding,
    distances in it exceed the true ones by little. One whose root cannot be taken has zero for it, and is never
    left out.
    """
    directions = principal_directions(parameters)
    covariances = parameters.family.project(parameters.covariances, directions, parameters.k)
    images = np.einsum("cj,mj->cm", parameters.means - parameters.means[0], directions)
    diagonal = np.einsum("cmm->cm", covariances)
    slack = 1e-10 * diagonal.max(axis=1) + (8 * np.finfo(dtype).eps * np.abs(images).max()) ** 2
    diagonal += slack[:, np.newaxis]
    return Guide(directions, _kernels.roots(covariances)[0])


def principal_directions(parameters: Parameters) -> Array:
    """(m,d): the principal directions of the means, in units of the spread within components.

    By subspace iteration (Golub and Van Loan 2013, section 8.2), made orthonormal by the Cholesky factor of its
    Gram matrix; a few steps suffice, for any guide is exact. Products are small: einsum keeps them from a BLAS,
    whose threads would go on spinning beside those of the pass.
    """
    weights, means = parameters.weights, parameters.means
    variances = parameters.family.variances(parameters.covariances, *means.shape)
    scale = 1.0 / np.sqrt(np.einsum("c,cj->j", weights, variances))
    offsets = (means - np.einsum("c,cj->j", weights, means)) * scale * np.sqrt(weights)[:, None]
    basis = np.eye(DIMENSIONS, parameters.d)
    for _ in range(STEPS):
        images = np.einsum("cj,mj->cm", offsets, basis)
        basis = np.einsum("cm,cj->mj", images, offsets) + 1e-12 * basis
        gram = np.einsum("mj,lj->ml", basis, basis)
        roots, _ = _kernels.roots((gram + 1e-12 * gram.trace() * np.eye(DIMENSIONS))[np.newaxis])
        basis = np.einsum("lm,mj->lj", roots[0], basis)
    return np.ascontiguousarray(basis * scale)
