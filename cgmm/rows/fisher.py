"""Fisher vectors: how the likelihood of some rows changes with the parameters of a mixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture.transform import freed

if TYPE_CHECKING:
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Array


def fisher_vector(block: Evaluation, alpha: float | None) -> Array:
    """(k + 2 k d,): of weights, means and deviations; with alpha, that power of each and the length 1.

    From the sums of one E-step (Sánchez, Perronnin, Mensink and Verbeek 2013, eqs. 16 to 18), those of deviations with
    the sign that scikit-image gives them.
    """
    parameters = block.parameters.normals
    if parameters.family.correlated:
        raise ValueError("Fisher vectors are of features that are independent in each component: fit a diag mixture")
    if not _kernels.all_within(block.data.part.rows, np.inf):
        raise ValueError("X has gaps, and a Fisher vector is of complete rows: impute them")
    own = freed(parameters, "diag")
    (n_k, first, second, _, total, shift), _ = _kernels.expectation(
        block.data.part.rows, own.density, "diag", None, block.n_threads
    )
    away = shift - own.means  # what float32 rows leave of the means
    second = second + 2 * away * first + n_k[:, None] * away**2
    first = first + n_k[:, None] * away
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = 1 / (total * np.sqrt(own.weights))
        parts = (
            (n_k - total * own.weights) * scale,
            first / np.sqrt(own.covariances) * scale[:, None],
            (n_k[:, None] - second / own.covariances) / np.sqrt(2.0) * scale[:, None],
        )
    found = np.concatenate([np.where(np.isfinite(part), part, 0.0).ravel() for part in parts])
    if alpha is None:
        return found
    found = np.sign(found) * np.abs(found) ** alpha
    length = np.linalg.norm(found)
    return found / length if length > 0 else found
