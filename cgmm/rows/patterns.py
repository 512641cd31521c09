"""Rows some of whose values are missing (NaN): the exact E-step of what is there.

The density of a row is that of its observed features, and the moments are those that completed rows have on average:
Ghahramani and Jordan (1994), "Supervised learning from incomplete data via an EM approach"; Lin, Lee and Ho (2006), "On
fast supervised learning for normal mixture models with missing information". See docs/missing.md.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.config import threads
from cgmm.mixture.density import Density
from cgmm.mixture.statistics import SufficientStatistics
from cgmm.once import once
from cgmm.rows.place import InMemory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.part import Part
    from cgmm.types import Labels, Output, Rows

NOTED_ROWS = 65536  # Rows of which it is noted at a time where they have gaps, so that little memory is taken.


class Groups(NamedTuple):
    """Rows in the order of their patterns, cut into pieces of one pattern, and these into chunks; all of intp.

    order : (n,) rows
    columns : (patterns,d) the features that a pattern observes, then the others;  observed : (patterns,) how many
    pattern : (pieces,) of each;  starts : (pieces+1,) where each begins in the order
    chunks : (chunks+1,) which piece each begins with; the sums of chunks are added in their order
    """

    order: Labels
    columns: Labels
    observed: Labels
    pattern: Labels
    starts: Labels
    chunks: Labels

    def patterns(self) -> Iterator[tuple[Labels, Labels, int]]:
        """Of each pattern its rows, the columns, and how many of them are observed."""
        ends = np.searchsorted(self.pattern, np.arange(len(self.observed)), side="right")
        bounds = self.starts[np.append(0, ends)]
        for pattern, (start, end) in enumerate(pairwise(bounds)):
            yield self.order[start:end], self.columns[pattern], int(self.observed[pattern])


class Patterns:
    """Rows (n,d), float32 or float64 of any strides, in which NaN is a missing value.

    They are not copied. Where something is missing, all is computed in double; else all is as without this class.
    """

    def __init__(self, part: Part) -> None:
        self.part = part
        self.complete = _kernels.all_within(part.rows, np.inf)

    @once
    def by_pattern(self) -> Groups:
        gaps = _gaps(self.part.rows)
        order = np.lexsort(gaps.T)
        gaps = gaps[order]
        begins = np.flatnonzero(np.append(True, (gaps[1:] != gaps[:-1]).any(axis=1)))
        missing = np.isnan(self.part.rows[order[begins]])
        return _cut(order, np.append(begins, len(order)), missing)

    @once
    def as_they_are(self) -> Groups:
        n, d = self.part.rows.shape
        return _cut(np.arange(n), np.array([0, n]), np.zeros((1, d), dtype=bool))

    def statistics(
        self, parameters: Parameters, n_threads: int | None = None, known: bool = False
    ) -> SufficientStatistics:
        """What an M-step makes parameters of: the expected moments of the completed rows, and the
        log-likelihood of what is observed.

        A row of which nothing is observed has the mixture's weights as its responsibilities, the moments of the
        mixture, and the log-likelihood 0. If `known`, one whose component is known belongs to that one alone.
        """
        if self.complete:
            place = InMemory(self.part)
            return place.expectation(parameters.density, parameters.moment, n_threads, known=known)[0]
        moment, groups, density = parameters.moment, self._groups(parameters), _observed_density(parameters)
        rows, row_weights, labels, _ = self.part
        found = _kernels.expectation_of_groups(
            rows, density, moment, groups, row_weights, threads(n_threads), labels if known else None
        )
        return SufficientStatistics.of_pass(found, moment)

    def evaluate(self, parameters: Parameters, what: Output, n_threads: int | None = None) -> Any:
        """A value for each row: "log_likelihood" (n,) of what is observed, "responsibilities" (n,k), "labels" (n,)."""
        if self.complete:
            return _kernels.evaluate(self.part.rows, parameters.density, what, threads(n_threads))
        groups = self._groups(parameters)
        density = _observed_density(parameters)
        found = _kernels.evaluate_groups(self.part.rows, density, what, groups, threads(n_threads))
        values = np.empty_like(found)
        values[groups.order] = found
        return values

    def _groups(self, parameters: Parameters) -> Groups:
        """Features that are independent within a component need no order of the rows."""
        return self.by_pattern if parameters.family.correlated else self.as_they_are


def _observed_density(parameters: Parameters) -> Density:
    """The density in the form that a pass over groups takes, without what depends on the features observed."""
    density, log_weights = parameters.density, parameters.log_weights
    noise = None if parameters.noise is None else parameters.noise.of_gaps
    if parameters.family.correlated:
        return density._replace(log_norm=log_weights, noise=noise)
    scale = 1.0 / np.sqrt(parameters.variances)
    return Density("masked", density.means, density.centre, scale, log_weights, noise=noise)


def _gaps(X: Rows) -> Any:
    """Which values are missing, 64 features to a number: (n, numbers) uint64."""
    n, d = X.shape
    bits = np.zeros((n, -(-d // 64) * 8), dtype=np.uint8)
    for start in range(0, n, NOTED_ROWS):
        part = slice(start, start + NOTED_ROWS)
        bits[part, : -(-d // 8)] = np.packbits(np.isnan(X[part]), axis=1)
    return bits.view(np.uint64)


def _cut(order: Labels, bounds: Labels, missing: Any) -> Groups:
    """Groups of ordered rows, of which the pattern g, missing[g] (d,), has those between bounds g and g+1.

    A piece has no more than CHUNK rows. What a piece costs without its rows is d of them.
    """
    columns = missing.argsort(axis=1, kind="stable")
    rows = np.diff(bounds)
    counts = -(-rows // _kernels.CHUNK)
    pattern = np.repeat(np.arange(len(missing)), counts)
    within = np.arange(len(pattern)) - np.repeat(counts.cumsum() - counts, counts)
    starts = np.append(bounds[pattern] + _kernels.CHUNK * within, bounds[-1])
    work = (np.diff(starts) + missing.shape[1]).cumsum() // _kernels.CHUNK
    chunks = np.append(np.flatnonzero(np.diff(work, prepend=-1)), len(pattern))
    found = (order, columns, (~missing).sum(axis=1), pattern, starts, chunks)
    return Groups(*(np.ascontiguousarray(array, dtype=np.intp) for array in found))
