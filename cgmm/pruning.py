"""When a pass leaves negligible components out, and what guides it: see docs/pruning.md."""

import os

import numpy as np

from cgmm import _kernels

DIMENSIONS = 8  # of the guide: enough to tell components apart, few enough to cost little
STEPS = 4  # of the iteration that finds it
WORTH = 0.75  # share of the dense work (multiply-adds) below which pruning is the faster, measured
LEAST_ROWS = 8192  # below it a pass is too short to gain
LEAST_FEATURES = {"triangular": 9, "diagonal": 16, "isotropic": 16}  # below it dense kernels win always
LEAST_COMPONENTS = 4
PROBE_ROWS = 4096
STARVED = 1e-8  # share of the weight: what is left out, 1e-20 of it (float32 1e-13), is beside it 1e-12 (1e-5)


class Pruning:
    """Whether the passes of one run of EM prune: decided by counts of the work done, so always the same.

    A pass that prunes counts its work; while passes are dense, a sample of the rows is tried at the iterations
    1, 2, 4, 8, …
    """

    def __init__(self, X):
        self.iteration, self.pays = 0, False
        self.sample = X[:: max(1, len(X) // PROBE_ROWS)]
        self.possible = len(X) >= LEAST_ROWS and os.environ.get("CGMM_PRUNE") != "0"

    def guide(self, parameters):
        """The guide (m,d) of the next pass, or None for a dense one."""
        self.iteration += 1
        density, moment = parameters.density, parameters.family.moment
        if not self.possible or moment == "pooled" or parameters.k < LEAST_COMPONENTS:
            return None
        if parameters.d < LEAST_FEATURES[density.form]:
            return None
        probe = self.iteration & (self.iteration - 1) == 0
        if not (self.pays or probe):
            return None
        guide = directions(parameters)
        if not self.pays:
            _, share = _kernels.expectation(self.sample, density, moment, guide=guide)
            self.pays = share < WORTH
        return guide if self.pays else None

    def observe(self, share, n_k, weights):
        """Take note of the share of the dense work that the last pass did; True if the pass must be repeated.

        What a pruned pass leaves out is negligible for the rows. For a component that hardly any row belongs to it
        may be all there is: then the pass is repeated without pruning.
        """
        starved = np.any((n_k < STARVED * n_k.sum()) & (weights > 0))
        self.pays = self.pays and share < WORTH and not starved
        return starved


def directions(parameters):
    """(m,d), m a multiple of 4: the principal directions of the means, in units of the spread within components.

    By subspace iteration (Golub and Van Loan 2013, section 8.2); a few steps suffice, for any guide is exact.
    Products are small: einsum keeps them from a BLAS, whose threads would go on spinning beside those of the pass.
    """
    weights, means = parameters.weights, parameters.means
    variances = parameters.family.variances(parameters.covariances, *means.shape)
    scale = 1.0 / np.sqrt(np.einsum("c,cj->j", weights, variances))
    offsets = (means - np.einsum("c,cj->j", weights, means)) * scale * np.sqrt(weights)[:, None]
    basis = np.eye(parameters.d)[:DIMENSIONS]
    for _ in range(STEPS):
        images = np.einsum("cj,mj->cm", offsets, basis)
        basis = np.linalg.qr(np.einsum("cm,cj->jm", images, offsets) + 1e-12 * basis.T)[0].T
    return np.ascontiguousarray(basis * scale)
