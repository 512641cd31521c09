"""Levels of a mixture's log-density, and the rows that lie below one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture.transform import convolve, marginal
from cgmm.rows.evaluation import joined
from cgmm.rows.patterns import Patterns
from cgmm.rows.row_errors import distinct

if TYPE_CHECKING:
    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Array, Labels, Mask


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


class Levels:
    """The levels above which all but a share of a mixture's mass lies: of any features, and of what is measured of them
    with errors. Each is found once, from draws of the same seed."""

    def __init__(self, share: float, n: int, seed: int) -> None:
        self.share, self.n, self.seed = share, n, seed
        self._found: dict[tuple[bytes, bytes], float] = {}

    def anomalous(self, block: Evaluation) -> Mask:
        """Which rows of a block lie below the level of the features that they have, and of their errors."""
        return joined([self._anomalous(part) for part in block.parts()])

    def _anomalous(self, block: Evaluation) -> Mask:
        patterns, errors = Patterns(block.data.part), block.data.part.errors
        groups = patterns.as_they_are if patterns.complete else patterns.by_pattern
        logs, found = block.evaluate("log_likelihood"), np.zeros(block.data.n, dtype=bool)
        for rows, columns, p in groups.patterns():
            if not p:
                continue
            features = np.sort(columns[:p])
            for some, S in [(rows, None)] if errors is None else distinct(errors, rows, features):
                found[some] = logs[some] < self._of(block, features, S)
        return found

    def _of(self, block: Evaluation, features: Labels, errors: Array | None) -> float:
        key = features.tobytes(), b"" if errors is None else errors.tobytes()
        if key not in self._found:
            known = block.parameters.normals
            known = known if len(features) == known.d else marginal(known, features)
            known = known if errors is None else convolve(known, errors)
            rng = np.random.default_rng(self.seed)
            self._found[key] = level(known, 1 - self.share, self.n, rng, block.n_threads)
        return self._found[key]
