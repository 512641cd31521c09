"""What keeps a fit alive on data that a mixture cannot be estimated from: docs/degenerate.md has the rules."""

from typing import NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.parameters import LOG_2PI, Parameters

EMPTIED = "no row belongs to it"
SINGULAR = "its covariance is singular"
SMALLEST = 1e-300  # of a variance: its inverse is a number
RELATIVE = 1e-12  # of the data's variance: a standard deviation of 1e-6 of theirs
SAMPLE = 256  # rows that show the data's scale
STARVED = 1e-8  # of a row: a component of less weight explains nothing


class Repair(NamedTuple):
    """A component that could not be estimated in an iteration (0: the start), why, and the row that it was moved to."""

    iteration: int
    component: int
    cause: str
    row: int | None = None


def least_variances(X):
    """The variances (d,) below which none falls: RELATIVE of the data's own, and no less than X is exact to.

    Their scale is the distance between the quartiles of some rows, which no outlier moves; where those are equal,
    the standard deviation of the rows. Where nothing varies, only rounding counts.
    """
    rows = np.sort(X[:: -(-len(X) // SAMPLE)], axis=0).astype(np.float64)
    m = len(rows)
    low, middle, high = rows[m // 4], rows[m // 2], rows[m - 1 - m // 4]
    scale = (high - low) / 1.35  # that of a normal distribution, about
    flat = ~(scale > 0)
    if np.count_nonzero(flat):
        chosen = X[:, flat]
        scale[flat] = (chosen - chosen[0]).std(axis=0, dtype=np.float64)
    exact = 4 * np.finfo(X.dtype).eps * np.abs(middle)
    least = np.maximum(RELATIVE * scale**2, exact**2)
    nothing = least < SMALLEST
    if np.count_nonzero(nothing):  # a column of zeros: as exact as the others; or of numbers below 1e-144
        others = least[~nothing].mean() if not nothing.all() else SMALLEST
        least[nothing] = np.where(scale[nothing] > 0, SMALLEST, others)
    return least


class Reseeding:
    """Moves components that no row belongs to to the rows that the mixture explains worst; each once in a run.

    A component far from all rows may recover by itself, for its moments are quotients: it is moved when it had less
    than STARVED in two iterations, or so little that nothing can be divided by it.

    A moved component gets the mean covariance of the others and the weight w of its row, the others give up theirs
    in proportion. The density of any row falls by no more than the factor 1 − w, and that of its own row
    rises to at least w N(x | x, Σ): a component is moved only where this is sure to raise the likelihood.
    """

    def __init__(self, X, row_weights, settings):
        self.X, self.row_weights, self.settings = X, row_weights, settings
        self.possible = not any(mask is not None for mask in settings.fixed) and settings.prior is None
        self.starving, self.moved = frozenset(), set()

    def due(self, statistics):
        """The components (list) to be moved after this iteration."""
        n_k = statistics.n_k
        least = STARVED * statistics.total_weight / len(self.X)
        if not self.possible or n_k.min() >= least:
            self.starving = frozenset()
            return []
        starving = frozenset(np.flatnonzero(n_k < least).tolist())
        lost = frozenset(statistics.empty.tolist())
        due = sorted(((starving & self.starving) | lost) - self.moved)
        self.starving = starving
        self.moved.update(due)
        return due

    def reseed(self, starved, parameters, statistics, iteration):
        """Parameters with the starved components moved, where that pays, and Repairs that say so."""
        n_threads = threads(self.settings.n_threads)
        log_likelihoods = _kernels.evaluate(self.X, parameters.density, "log_likelihood", n_threads)
        rows = self._worst_rows(log_likelihoods, len(starved))
        family, k, d = parameters.family, parameters.k, parameters.d
        means, covariances = parameters.means.copy(), family.keep(parameters.covariances.copy(), starved, None)
        log_peak = family.whitening(family.root(covariances), k, d).log_det[starved[0]] - 0.5 * d * LOG_2PI
        w = np.ones(len(rows)) if self.row_weights is None else self.row_weights[rows]
        share = w / statistics.total_weight
        gains = np.cumsum(w * (np.log(share) + log_peak - log_likelihoods[rows]))
        costs = -statistics.total_weight * np.log1p(-np.minimum(np.cumsum(share), 1 - 1e-9))
        count = int((np.append(0.0, gains - costs)).argmax())
        if count == 0:
            return parameters, []
        moved, rows = starved[:count], rows[:count]
        weights = parameters.weights * (1 - share[:count].sum())
        weights[moved], means[moved] = share[:count], self.X[rows]
        covariances = family.keep(parameters.covariances.copy(), moved, covariances)
        repairs = [
            Repair(iteration, c, f"{EMPTIED}: it began again at row {row}", int(row))
            for c, row in zip(moved, rows, strict=True)
        ]
        return Parameters.build(family, weights, means, covariances, n_threads), repairs

    def _worst_rows(self, log_likelihoods, count):
        """Up to `count` different rows of the least likelihoods, the worst first."""
        if self.row_weights is not None:
            log_likelihoods = np.where(self.row_weights > 0, log_likelihoods, np.inf)
        m = min(len(log_likelihoods), 4 * count)
        rows = np.argpartition(log_likelihoods, m - 1)[:m]
        rows = rows[np.lexsort((rows, log_likelihoods[rows]))]
        rows = rows[np.isfinite(log_likelihoods[rows])]
        _, firsts = np.unique(self.X[rows], axis=0, return_index=True)
        return rows[np.sort(firsts)][:count]
