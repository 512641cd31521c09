"""Which rows lie among others, and which alone: where a start of components beside noise is made.

Byers and Raftery, Nearest-neighbor clutter removal for estimating features in spatial point processes (JASA 93, 1998).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.mixture.density import distances_to
from cgmm.rows.k_means import moderate

if TYPE_CHECKING:
    from cgmm.rows.part import Part
    from cgmm.types import Array, Mask, Rows

# The distance of a row to its NEIGHBOUR-th nearest of REFERENCES others, evenly spread among all, tells how dense rows
# are about it. Of fewer neighbours it varies more, of more a small cluster has too few.
NEIGHBOUR = 8
REFERENCES = 1024
BLOCK_ROWS = 4096  # Rows whose distances are held at once.
MAX_ITER = 100  # Iterations of EM for two densities; most often some twenty are enough.
TOL = 1e-6
LEAST_LEFT = 0.25  # At least this share of the rows is kept, those that lie densest: a start needs some.


def among_others(part: Part, n_threads: int = 1) -> Mask:
    """Whether rows (n,) without gaps are likely to belong to some cluster, not to noise.

    If rows are as dense everywhere, the volume of the ball that reaches to the m-th neighbour has a Gamma(m) density
    with that rate; here are two rates, that of clusters and that of noise, and the mixture of both is fitted.
    """
    volumes = _log_volumes(part.rows, n_threads)
    if not np.isfinite(volumes).any() or np.ptp(volumes) == 0:
        return np.ones(len(volumes), dtype=bool)
    noise = _sparse(volumes, part.weights)
    dense = volumes <= np.quantile(volumes, LEAST_LEFT)
    return (noise < 0.5) | dense


def _log_volumes(rows: Rows, n_threads: int) -> Array:
    """d log r of each row (n,), r its distance to a neighbour in units of the columns' standard deviations."""
    n, d = rows.shape
    scale = rows.std(axis=0, dtype=np.float64)
    rows = moderate(np.ascontiguousarray(rows / np.where(scale > 0, scale, 1.0)), n_threads)[0]
    references = rows[:: -(-n // REFERENCES)].astype(np.float64)
    at = min(NEIGHBOUR, len(references) - 1)
    density = distances_to(references)
    squares = [
        -2.0
        * np.partition(_kernels.evaluate(rows[i : i + BLOCK_ROWS], density, "log_densities", n_threads), -1 - at)[
            :, -1 - at
        ]
        for i in range(0, n, BLOCK_ROWS)
    ]
    found = np.concatenate(squares)
    least = found[found > 0].min(initial=np.inf)
    return 0.5 * d * np.log(np.maximum(found, least)) if np.isfinite(least) else np.zeros(n)


def _sparse(log_volumes: Array, row_weights: Array | None) -> Array:
    """The probability (n,) that each row is of the lower of two rates, by EM on m log volume − rate · volume."""
    volumes = np.exp(log_volumes - np.median(log_volumes))
    volumes = np.minimum(volumes, np.finfo(float).max ** 0.25)
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
