"""Rows some of whose values are missing, as what the passes of a fit run over."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from cgmm import em, sampling, validation
from cgmm.covariance import FAMILIES
from cgmm.data import Data, InMemory
from cgmm.degenerate import least_variances
from cgmm.missing import Patterns, impute
from cgmm.parameters import Parameters, once

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any, Self

    from cgmm.pruning import Pruning
    from cgmm.statistics import SufficientStatistics
    from cgmm.types import Array, Rows
    from cgmm.unlikely import Worst

T = TypeVar("T")  # what adds up

CORRELATED_FEATURES = 32  # beyond it the gaps of a start's rows are filled feature by feature: patterns cost O(d³) each
RIDGE = 1e-6  # of a feature's variance, which no regression leaves less of: the gaps of few rows stay near the others
TOL, MAX_ITER = 1e-4, 30  # of the normal distribution from which starts fill gaps


class Incomplete(InMemory):
    """Rows in memory (n,d), float64, in which NaN is a missing value; and their weights (n,) or None.

    of : the rows of which these are some, whose distribution fills gaps where a start needs rows without
    """

    def __init__(
        self, X: Rows, row_weights: Array | None = None, exponent: int = 0, of: Incomplete | None = None
    ) -> None:
        super().__init__(X, row_weights, exponent)
        self.of = of

    def _other(self, X: Rows, row_weights: Array | None, exponent: int) -> Self:
        return type(self)(X, row_weights, exponent, self.of or self)

    def at_hand(self) -> None:
        return None

    @once
    def patterns(self) -> Patterns:
        return Patterns(self.X, self.row_weights)

    def blocks(self) -> Iterator[InMemory]:
        self.begun[0] += 1
        yield self

    def statistics(
        self, parameters: Parameters, n_threads: int | None = None, pruning: Pruning | None = None
    ) -> SufficientStatistics:
        """Of what is observed; every component counts."""
        self.begun[0] += 1
        return self.patterns.statistics(parameters, n_threads)

    def evaluate(self, parameters: Parameters, what: Any, n_threads: int) -> Any:
        return self.patterns.evaluate(parameters, what, n_threads)

    def spread(self, count: int) -> Rows:
        """No more than `count` values of each column, evenly spread among those observed in rows of positive weight.

        All have as many, those with few observed some of theirs again: rows that never were.
        """
        some = np.arange(min(count, self.counted))
        return np.stack([values[some * len(values) // len(some)] for values, _ in self._columns()], axis=1)

    def _columns(self) -> Iterator[tuple[Array, Array]]:
        """Of each column the values observed in rows of positive weight, and their weights, the largest 1."""
        for column in self.X.T:
            observed = ~np.isnan(column) if self.row_weights is None else ~np.isnan(column) & (self.row_weights > 0)
            weights = np.ones(self.n) if self.row_weights is None else self.row_weights
            yield column[observed], weights[observed] / weights[observed].max()

    @once
    def normal(self) -> Parameters:
        """The normal distribution of the rows: the mixture of one component that is most likely."""
        means = np.array([np.average(values, weights=weights) for values, weights in self._columns()])
        away = zip(self._columns(), means, strict=True)
        variances = np.array([np.average((values - mean) ** 2, weights=weights) for (values, weights), mean in away])
        least = np.maximum(least_variances(self), RIDGE * variances)
        family = FAMILIES["full" if self.d <= CORRELATED_FEATURES else "diag"]
        covariances = family.compact(np.diag(variances))[np.newaxis]
        start = Parameters.held(family, np.ones(1), means[np.newaxis], covariances, least)
        return em.run(self, start, em.Settings(tol=TOL, max_iter=MAX_ITER, least=least)).parameters

    @once
    def moments(self) -> tuple[float, Array, Array]:
        """The weight of all rows, and the mean (d,) and covariance (d,d) of their normal distribution."""
        family, n = self.normal.family, self.n if self.row_weights is None else self.row_weights.sum()
        return float(n), self.normal.means[0], family.expand(self.normal.covariances, 1, self.d)[0]

    @once
    def _bounds(self) -> tuple[Array, Array]:
        found = [(values.min(), values.max()) for values, _ in self._columns()]
        return tuple(np.transpose(found))

    @once
    def completed(self) -> InMemory:
        """The rows with draws from the normal distribution in their gaps, no further out than other rows.

        Starts from draws end higher than those from conditional means, whose clusters are too narrow: measured.
        """
        of = self.of or self
        filled = impute(of.normal, self.X, np.random.default_rng(0)).clip(*of._bounds)
        return InMemory(filled, self.row_weights, self.exponent)

    def filled(self, parameters: Parameters, n_threads: int) -> InMemory:
        return InMemory(impute(parameters, self.X, n_threads=n_threads), self.row_weights, self.exponent)

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        """Densities of rows of different features cannot be compared: those of filled rows choose."""
        mean = self.statistics(parameters, n_threads).lower_bound
        return super().worst(parameters, count, n_threads)._replace(mean=mean)


class Gapped(Data):
    """Rows some of whose values are missing, in the parts of other data, which need not be in memory.

    Starts, and the scale of a prior, are those of a sample of them.
    """

    def __init__(self, of: Data) -> None:
        self.of, self.n, self.d, self.dtype = of, of.n, of.d, of.dtype
        self.exponent, self.begun = of.exponent, of.begun
        self.few = _with_gaps(of.some(sampling.MOST_SPREAD))
        if self.few.n == self.counted:
            validation.check_columns(self.few.X, None)
        unseen = np.flatnonzero(np.isnan(self.few.X).all(axis=0))
        if len(unseen):
            told = ", ".join(f"X[:, {j}]" for j in unseen)
            raise ValueError(
                f"{told} is missing in each of {self.few.n} rows that are evenly spread among all: too little is known "
                "of it to begin. Drop it, or give all rows as one array"
            )

    @property
    def counted(self) -> int:
        return self.of.counted

    def threads(self, n_threads: int | None) -> int:
        return self.of.threads(n_threads)

    def widened(self) -> Self:
        return self

    def scaled(self, exponent: int) -> Gapped:
        return Gapped(self.of.scaled(exponent))

    def whole(self) -> InMemory:
        return self.of.whole()

    def accuse(self) -> None:
        self.of.accuse()

    def some(self, count: int) -> InMemory:
        return _with_gaps(self.of.some(count))

    def spread(self, count: int) -> Rows:
        return self.few.spread(count)

    def sample(self, size: int, rng: np.random.Generator) -> InMemory:
        found = _with_gaps(self.of.sample(size, rng))
        if np.isnan(found.X).all(axis=0).any():
            found.of = self.few  # which shows something of each feature
        return found

    def sum_of_blocks(self, of: Callable[[InMemory], T]) -> T:
        return self.of.sum_of_blocks(partial(_of_block, of))

    def sum_of_pieces(self, of: Callable[[InMemory, int], T]) -> T:
        return self.of.sum_of_pieces(partial(_of_piece, of))

    def statistics(
        self, parameters: Parameters, n_threads: int | None = None, pruning: Pruning | None = None
    ) -> SufficientStatistics:
        found = self.sum_of_blocks(partial(_statistics, parameters, self.threads(n_threads)))
        if not (np.isfinite(found.first).all() and found.total_weight):
            self.accuse()
        return found

    @once
    def moments(self) -> tuple[float, Array, Array]:
        return self.sum_of_blocks(_weight), *self.few.moments[1:]

    def worst(self, parameters: Parameters, count: int, n_threads: int | None) -> Worst:
        mean = self.statistics(parameters, n_threads).lower_bound
        return super().worst(parameters, count, n_threads)._replace(mean=mean)


def _with_gaps(data: InMemory) -> Incomplete:
    return Incomplete(data.X, data.row_weights, data.exponent)


def _of_block(of: Callable[[InMemory], T], data: InMemory) -> T:
    return of(_with_gaps(data))


def _of_piece(of: Callable[[InMemory, int], T], data: InMemory, first: int) -> T:
    return of(_with_gaps(data), first)


def _statistics(parameters: Parameters, n_threads: int, data: InMemory) -> SufficientStatistics:
    return data.statistics(parameters, n_threads)


def _weight(data: InMemory) -> float:
    return float(data.n if data.row_weights is None else data.row_weights.sum())


def of_user(
    X: Any, sample_weight: Any, gaps: bool, n_features: int | None = None, n_threads: int = 1, some: bool = True
) -> InMemory:
    """Rows and weights, `some` of them positive, checked; if `gaps`, NaN is a missing value.

    Where nothing is missing the rows are as they would be without `gaps`.
    """
    X, complete = validation.check_observed(X, n_features, n_threads, gaps)
    kind = InMemory if complete else Incomplete
    return kind(X, *validation.of_order_one(validation.check_weights(sample_weight, len(X), some)))
