"""Which rows lie among others, and which alone: where a start of components beside noise is made.

Byers and Raftery, Nearest-neighbor clutter removal for estimating features in spatial point processes (JASA 93, 1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cgmm.rows.part import Part
    from cgmm.types import Array, Mask, Rows

# The distance of a row to its NEIGHBOUR-th nearest of REFERENCES others, evenly spread among all, tells how dense rows
# are about it. Of fewer neighbours it varies more, of more a small cluster has too few.
NEIGHBOUR = 8
REFERENCES = 1024
MAX_ITER = 100  # Iterations of EM for two densities; most often some twenty are enough.
TOL = 1e-6
MOST_VOLUME = 0.25 * float(np.log(np.finfo(np.float64).max))  # The logarithm: products of four are numbers.
LEAST_LEFT = 0.25  # At least this share of the rows is kept, those that lie densest: a start needs some.


def among_others(part: Part) -> Mask:
    """Whether rows (n,) without gaps are likely to belong to some cluster, not to noise.

    If rows are as dense everywhere, the volume of the ball that reaches to the m-th neighbour has a Gamma(m) density
    with that rate; here are two rates, that of clusters and that of noise, and the mixture of both is fitted.
    """
    volumes = _log_volumes(part.rows)
    if not np.isfinite(volumes).any() or np.ptp(volumes) == 0:
        return np.ones(len(volumes), dtype=bool)
    noise = _sparse(volumes, part.weights)
    dense = volumes <= np.quantile(volumes, LEAST_LEFT)
    return (noise < 0.5) | dense


def _log_volumes(rows: Rows) -> Array:
    """d log r of each row (n,), r its distance to a neighbour in units of the columns' standard deviations."""
    from scipy.spatial import cKDTree  # slow to import

    n, d = rows.shape
    centred = rows - rows.mean(axis=0, dtype=np.float64)
    scale = np.abs(centred).max(axis=0)
    centred /= np.where(scale > 0, scale, 1.0)  # before squares are taken, of which there may be none
    deviations = centred.std(axis=0)
    centred /= np.where(deviations > 0, deviations, 1.0)
    references = centred[:: -(-n // REFERENCES)]
    found = cKDTree(references).query(centred, k=[min(NEIGHBOUR + 1, len(references))])[0][:, 0]
    least = found[found > 0].min(initial=np.inf)
    return d * np.log(np.maximum(found, least)) if np.isfinite(least) else np.zeros(n)


def _sparse(log_volumes: Array, row_weights: Array | None) -> Array:
    """The probability (n,) that each row is of the lower of two rates, by EM on m log volume − rate · volume."""
    volumes = np.exp(np.minimum(log_volumes - np.median(log_volumes), MOST_VOLUME))
    weights = np.ones(len(volumes)) if row_weights is None else row_weights
    noise = (volumes > np.quantile(volumes, 0.75)).astype(np.float64)
    for _ in range(MAX_ITER):
        last = noise
        shares = [float((weights * r).sum()) for r in (1 - noise, noise)]
        sums = [float((weights * r * volumes).sum()) for r in (1 - noise, noise)]
        if not (min(shares) > 0 and min(sums) > 0):
            return np.zeros(len(volumes))
        rates = [NEIGHBOUR * share / total for share, total in zip(shares, sums, strict=True)]
        logs = [
            np.log(share) + NEIGHBOUR * np.log(rate) - rate * volumes for share, rate in zip(shares, rates, strict=True)
        ]
        noise = 1.0 / (1.0 + np.exp(np.clip(logs[0] - logs[1], -700.0, 700.0)))
        if np.abs(noise - last).max() < TOL:
            break
    return noise
