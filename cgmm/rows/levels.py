"""Levels of a mixture's log-density, and the rows that lie below one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture.transform import marginal
from cgmm.rows.patterns import Patterns

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Mask


def level(parameters: Parameters, p: float, n: int, rng: np.random.Generator, n_threads: int | None) -> float:
    """The log-density above which a share p of the mass lies; from n draws, or exact if there is one component."""
    if parameters.k == 1:
        from scipy.special import chdtri  # slow to import

        at_mean = _kernels.evaluate(parameters.means, parameters.density, "log_likelihood")[0]
        return float(at_mean - 0.5 * chdtri(parameters.d, 1 - p))
    if p >= 1:
        return -np.inf
    X, _ = parameters.sample(n, rng)
    found = _kernels.evaluate(X, parameters.density, "log_likelihood", threads(n_threads))
    return float(np.quantile(found, 1 - p))


def anomalous(block: Evaluation, share: float, n: int, seed: int) -> Mask:
    """Which rows of a block lie below the level that a share of the mass does, that of the features that they have."""
    parameters, patterns = block.parameters.normals, Patterns(block.data.part)
    logs, found = block.evaluate("log_likelihood"), np.zeros(block.data.n, dtype=bool)
    for rows, columns, p in patterns.by_pattern.patterns():
        if not p:
            continue
        known = parameters if p == parameters.d else marginal(parameters, np.sort(columns[:p]))
        least = level(known, 1 - share, n, np.random.default_rng(seed), block.n_threads)
        found[rows] = logs[rows] < least
    return found
