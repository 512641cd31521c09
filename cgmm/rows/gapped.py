"""Rows some of whose values are missing (NaN), as data of a fit, wherever they are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.once import once
from cgmm.rows import sampling
from cgmm.rows.checks import check_columns, largest_of, told_columns
from cgmm.rows.data import Data, check_moments
from cgmm.rows.floor import least_variances
from cgmm.rows.impute import impute
from cgmm.rows.patterns import Patterns
from cgmm.rows.place import InMemory

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self

    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.part import Part
    from cgmm.rows.place import Place
    from cgmm.rows.unlikely import Worst
    from cgmm.types import Array, Names, Output, Rows

# Up to so many features, the gaps of a start's rows are filled by regression on what is observed: each pattern costs
# O(d³). Beyond, they are filled feature by feature.
CORRELATED_FEATURES = 32
# No regression leaves less of a feature's variance than this share: the gaps of few rows stay near the other rows.
RIDGE = 1e-6
# Where a component begins again at a row with gaps, what is expected there is no further out than rows may be: given
# nearly singular covariances it has no bounds.
FURTHEST = largest_of(1 << 40, 1)
# The normal distribution from which starts fill gaps is iterated until the mean log-likelihood per row gains less than
# TOL nats, and no more than MAX_ITER times: a start needs no better.
TOL, MAX_ITER = 1e-4, 30


class Gapped(Data):
    """Rows in which NaN is a missing value.

    Starts, and the scale of a prior, are made of rows in memory: of these, or of a sample that shows something of each
    feature.
    """

    def __init__(self, place: Place, like: Gapped | None = None) -> None:
        """like : the data of which these rows are a part; starts fill gaps by its normal distribution"""
        super().__init__(place)
        self.like = like

    def _of(self, place: Place) -> Self:
        like = (self.like or self) if self.place.in_memory else None
        return type(self)(place, like)

    def at_hand(self) -> None:
        return None

    @once
    def shown(self) -> Gapped:
        """Rows in memory that show something of each feature."""
        return self if self.place.in_memory else Gapped(self.place.some(sampling.MOST_SPREAD))

    gapped = True

    def check_columns(self, names: Names | None = None) -> None:
        shown = self.shown.part
        if self.shown is self:
            check_columns(shown, names)
            return
        if len(shown.rows) == self.counted:
            check_columns(shown._replace(weights=None), names)
        unseen = np.flatnonzero(np.isnan(shown.rows).all(axis=0))
        if len(unseen):
            raise ValueError(
                f"{told_columns(unseen, names)} is missing in each of {len(shown.rows)} rows that are evenly spread "
                "among all: too little is known of it to begin. Drop it, or give all rows as one array"
            )

    def widened(self) -> Self:
        return self if self.place.in_memory is None else super().widened()

    def sample(self, size: int, rng: np.random.Generator) -> Self:
        found = super().sample(size, rng)
        if self.place.in_memory is None and np.isnan(found.part.rows).all(axis=0).any():
            found.like = self.shown
        return found

    # The E-step

    @once
    def patterns(self) -> Patterns:
        """Of rows in memory."""
        return Patterns(self.part)

    def statistics(self, parameters: Parameters, n_threads: int | None = None) -> SufficientStatistics:
        """Of what is observed; every component counts."""
        found = self._statistics(parameters, n_threads, self.labelled)
        check_moments(found, "what is missing in its row: the square of what is expected there")
        return found

    def _statistics(self, parameters: Parameters, n_threads: int | None, known: bool) -> SufficientStatistics:
        """known : a row whose component is known belongs to that one alone"""
        if self.place.in_memory:
            self.count_passes()
            found = self.patterns.statistics(parameters, self.threads(n_threads), known)
            return replace(found, exponent=self.exponent) if self.exponent else found
        found = self.sum_of_blocks(partial(_statistics, parameters, self.threads(n_threads)))
        if not (np.isfinite(found.first).all() and found.total_weight):
            self.place.accuse()
        return found

    def evaluate(self, parameters: Parameters, what: Output, n_threads: int) -> Any:
        return self.patterns.evaluate(parameters, what, n_threads)

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        """Densities of rows of different features cannot be compared: those of filled rows choose."""
        mean = self.statistics(parameters, n_threads).lower_bound
        return self._worst(parameters, count, n_threads)._replace(mean=mean)

    # What starts and priors need

    def spread(self, count: int) -> Rows:
        """No more than `count` values of each column, evenly spread among those observed in rows of positive weight.

        All have as many, those with few observed some of theirs again: rows that never were.
        """
        shown = self.shown
        some = np.arange(min(count, shown.counted))
        return np.stack([values[some * len(values) // len(some)] for values, _ in shown._columns()], axis=1)

    def _columns(self) -> Iterator[tuple[Array, Array]]:
        """Of each column the values observed in rows of positive weight, and their weights, the largest 1."""
        rows, row_weights = self.part.rows, self.part.weights
        for column in rows.T:
            observed = ~np.isnan(column) if row_weights is None else ~np.isnan(column) & (row_weights > 0)
            weights = np.ones(len(rows)) if row_weights is None else row_weights
            yield column[observed], weights[observed] / weights[observed].max()

    @once
    def normal(self) -> Parameters:
        """The normal distribution of rows in memory: the mixture of one component that is most likely, by EM."""
        means = np.array([np.average(values, weights=weights) for values, weights in self._columns()])
        away = zip(self._columns(), means, strict=True)
        variances = np.array([np.average((values - mean) ** 2, weights=weights) for (values, weights), mean in away])
        least = np.maximum(least_variances(self), RIDGE * variances)
        family = FAMILIES["full" if self.d <= CORRELATED_FEATURES else "diag"]
        covariances = family.compact(np.diag(variances))[np.newaxis]
        found = Parameters.held(family, np.ones(1), means[np.newaxis], covariances, least)
        rules, reached = Rules(least=least, eps=float(np.finfo(self.dtype).eps)), -np.inf
        counting = self._counting()
        for _ in range(MAX_ITER):
            statistics = counting._statistics(found, None, known=False)
            change, reached = statistics.lower_bound - reached, statistics.lower_bound
            found, _ = found.maximise(statistics, rules)
            if abs(change) < TOL:
                break
        return found

    def _counting(self) -> Gapped:
        """The rows of positive weight: blocks come without the others, and the same bits are to follow from both."""
        weights = self.part.weights
        if weights is None or weights.all():
            return self
        return Gapped(InMemory(self.part.gathered(np.flatnonzero(weights)), self.exponent))

    def moments(self) -> tuple[float, Array, Array]:
        """The weight of all rows, and the mean (d,) and covariance (d,d) of the normal distribution of those shown."""
        return self._moments

    @once
    def _moments(self) -> tuple[float, Array, Array]:
        normal, memory = self.shown.normal, self.place.in_memory
        weight = self.sum_of_blocks(_weight) if memory is None else memory.part.total_weight
        weight = float(np.ldexp(weight, self.exponent))
        return weight, normal.means[0], normal.family.expand(normal.covariances, 1, self.d)[0]

    @once
    def _bounds(self) -> tuple[Array, Array]:
        found = [(values.min(), values.max()) for values, _ in self._columns()]
        low, high = np.transpose(found)
        return low, high

    def completed(self) -> InMemory:
        return self._completed

    @once
    def _completed(self) -> InMemory:
        """The rows with draws from the normal distribution in their gaps, no further out than other rows.

        Starts from draws end higher than those from conditional means, whose clusters are too narrow: measured.
        """
        like = self.like or self
        filled = impute(like.normal, self.part.rows, np.random.default_rng(0)).clip(*like._bounds)
        return InMemory(self.part._replace(rows=filled), self.exponent)

    def filled(self, parameters: Parameters, n_threads: int) -> Part:
        rows = impute(parameters, self.part.rows, n_threads=n_threads)
        missing = np.isnan(self.part.rows)
        rows[missing] = rows[missing].clip(-FURTHEST, FURTHEST)
        return self.part._replace(rows=rows)


def _statistics(parameters: Parameters, n_threads: int, block: Gapped) -> SufficientStatistics:
    return block._statistics(parameters, n_threads, block.labelled)


def _weight(block: Data) -> float:
    return block.part.total_weight
