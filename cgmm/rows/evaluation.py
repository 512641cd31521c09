"""What a mixture says of rows, wherever they are."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from cgmm import _kernels
from cgmm.mixture.criteria import Sums
from cgmm.mixture.posterior import Posterior
from cgmm.rows.impute import impute, impute_measured
from cgmm.rows.predictive import log_predictive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cgmm.mixture.criteria import Criteria
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.data import Data
    from cgmm.types import Answer, Array, Names, Rows

T = TypeVar("T")  # What adds up.

NO_PREDICTIVE = (
    "log_predictive is the density of true values, and these rows have errors of measurement: the density of what is "
    "measured has no closed form. score_samples takes errors"
)
NO_ROWS = "X has no rows: there was no block with one"
LARGEST_FLOAT32 = np.finfo(np.float32).max
LITTLE = 1e-3  # A probability of which a difference from one leaves fewer than 13 digits.
ROWS_AT_A_TIME = 65536  # Rows whose responsibilities are held at once, where not each of them is wanted.


class Asked(NamedTuple):
    """A mixture that is asked about rows.

    names : of the features that it was fitted to, or None
    n_threads : checked;  gaps : whether NaN is a missing value
    name : of the class of the estimator that asks, in messages
    """

    parameters: Parameters
    names: Names | None = None
    n_threads: int | None = None
    gaps: bool = False
    name: str = "GMM"


@dataclass(frozen=True)
class Evaluation:
    """Rows in memory that are known to be good, and the parameters that evaluate them."""

    data: Data
    parameters: Parameters
    n_threads: int

    def evaluate(self, what: Answer) -> Any:
        """A value for each row."""
        return self._noise() if what == "noise" else self.data.evaluate(self.parameters, what, self.n_threads)

    def certainty(self) -> Array:
        """The probability (n,) of the most probable component of each row, which may be the noise; 1 if it is known."""
        found, labels = self.evaluate("responsibilities").max(axis=1), self.data.part.labels
        if self.parameters.noise is not None:
            found = np.maximum(found, self._noise())
        return found if labels is None else np.where(labels < 0, found, 1.0)

    def uncertainty(self) -> Array:
        """The probability (n,) that each row is of another than its most probable component."""
        return joined([1.0 - part.certainty() for part in self.parts()])

    def _log_likelihoods(self) -> Array:
        """log p(x_i) of each row, or log π_c N(x_i | μ_c, Σ_c) if it is known to be of component c; (n,)."""
        if self.data.part.labels is None:
            found: Array = self.evaluate("log_likelihood")
            return found
        return np.concatenate([part._of_known() for part in self.parts()])

    def _of_known(self) -> Array:
        """The same of so few rows that the values of all components fit into memory."""
        labels, logs = self.data.part.labels, self.evaluate("log_densities")
        assert labels is not None  # it is asked for where components are known
        return np.where(labels < 0, self.evaluate("log_likelihood"), logs[np.arange(len(logs)), labels])

    def _noise(self) -> Array:
        """The probability (n,) of the noise."""
        if self.parameters.noise is None:
            return np.zeros(len(self.data.part.rows))
        return joined([part._noise_of_few() for part in self.parts()])

    def _noise_of_few(self) -> Array:
        """The same of so few rows that the responsibilities fit into memory: what these leave. Where that is little it
        keeps more digits as a share of the density, of which large log-densities leave few."""
        noise, rows = self.parameters.noise, self.data.part.rows
        assert noise is not None  # it is asked for where there is some
        left = 1.0 - self.evaluate("responsibilities").sum(axis=1)
        share = np.exp(np.minimum(noise.log_densities(rows) - self.evaluate("log_likelihood"), 0.0))
        return np.where(left > LITTLE, left, share)

    def parts(self) -> Iterator[Evaluation]:
        """Of so few rows at a time that the values of all components fit into memory."""
        if self.data.n <= ROWS_AT_A_TIME:
            yield self
            return
        for start in range(0, self.data.n, ROWS_AT_A_TIME):
            yield replace(self, data=self.data.cut(slice(start, start + ROWS_AT_A_TIME)))

    def truth(self, covariances: bool) -> tuple[Array, Array | None]:
        """Means (n,d) and covariances (n,d,d), if they are wanted, of the true values of rows with errors."""
        return self.data.truth(self.parameters, covariances, self.n_threads)

    def imputed(self, rng: np.random.Generator | None) -> Rows:
        """The rows without gaps: conditional means, or, from rng, draws."""
        if self.data.measured:
            return impute_measured(self.parameters, self.data, rng, self.n_threads)
        return impute(self.parameters, self.data.part.rows, rng, self.n_threads)

    def log_predictive(self) -> Array:
        """The posterior predictive log-density of each row."""
        if self.data.measured:
            raise ValueError(NO_PREDICTIVE)
        assert isinstance(self.parameters, Posterior)
        posterior = self.parameters
        return joined([log_predictive(posterior, part.data.part.rows, self.n_threads) for part in self.parts()])

    def taken(self, which: Any) -> Evaluation:
        """Of some of the rows: indices or a mask."""
        return replace(self, data=self.data.take(which))

    def sums(self, certainty: bool = False) -> Sums:
        """Sums over the rows; without `certainty`, log_certainty is zero. A row whose component is known counts for it
        alone."""
        log_likelihood, log_certainty = self._both() if certainty else (self._sum(self._log_likelihoods()), 0.0)
        return Sums(
            log_likelihood=log_likelihood,
            number=self._sum(np.ones(self.data.n)),
            log_certainty=log_certainty,
            exponent=self.data.exponent,
            n=self.data.n,
            n_parameters=self.parameters.n_parameters,
        )

    def _both(self) -> tuple[float, float]:
        """log_likelihood and log_certainty: of few rows in one compiled call, if there is one for them."""
        few = self.data.n <= ROWS_AT_A_TIME and self.parameters.noise is None and self.data.part.labels is None
        found = self.data.sums(self.parameters, self.n_threads) if few else None
        return found or (self._sum(self._log_likelihoods()), self._log_certainty())

    def _sum(self, values: Array) -> float:
        """Σ_i w_i v_i; a row of weight zero may have no finite value."""
        return _kernels.total_of_rows(values, self.data.part.weights)

    def statistics(self, double: bool = False) -> SufficientStatistics:
        """Those of the rows, in float64 if `double`; about the means as they are, not as float32 rows have them."""
        data = self.data.widened() if double else self.data
        found = data.statistics(self.parameters, self.n_threads)
        means = self.parameters.means
        return (found if np.array_equal(found.shift, means) else found.moved_to(means)).settled()

    def _log_certainty(self) -> float:
        return sum(_kernels.total_of_logs(part.certainty(), part.data.part.weights) for part in self.parts())


class Evaluations:
    """Evaluations of all blocks, each time anew."""

    def __init__(self, blocks: Iterable[Evaluation]) -> None:
        self.blocks = blocks

    def evaluate(self, what: Answer) -> Any:
        """A value for each row."""
        return joined([block.evaluate(what) for block in self.blocks])

    def values(self, of: Callable[[Evaluation], Any], none: Any) -> Any:
        """What a function says of the rows of each block; none : what it says of no rows."""
        return joined([of(block) for block in self.blocks])

    def log_predictive(self) -> Array:
        """The posterior predictive log-density of each row."""
        return joined([block.log_predictive() for block in self.blocks])

    def only(self) -> Evaluation:
        """That of rows at hand, which are one block."""
        (block,) = self.blocks
        return block

    def impute(self, rng: np.random.Generator | None, single: bool = False) -> Rows:
        """The rows without gaps, float32 if `single`: conditional means, or, from rng, draws."""
        parts = (part for block in self.blocks for part in block.parts())
        found = (part.imputed(rng) for part in parts)
        return joined([_single(values) if single else values for values in found])

    def truth(self, covariances: bool) -> tuple[Array, Array | None]:
        """As of an Evaluation, of all rows."""
        means, spreads = zip(*(block.truth(covariances) for block in self.blocks), strict=True)
        return joined(list(means)), joined(list(spreads)) if covariances else None

    def total(self, of: Callable[[Evaluation], T]) -> T:
        """Σ of(block)."""
        total: Any = None
        for block in self.blocks:
            found = of(block)
            total = found if total is None else total + found
        if total is None:
            raise ValueError(NO_ROWS)
        return total

    def sums(self, certainty: bool = False) -> Sums:
        sums = self.total(partial(Evaluation.sums, certainty=certainty))
        if not sums.number:
            raise ValueError("sample_weight is zero for every row")
        return sums


def criteria_of(data: Data, parameters: Parameters, n_threads: int | None = None, certainty: bool = False) -> Criteria:
    """How well a mixture fits the rows that it was fitted to; without the certainty, the ICL is the BIC."""
    if data.dtype == np.float32 and parameters.needs_double:
        data = data.widened()
    return data.sum_of_blocks(partial(_sums_of, parameters, data.threads(n_threads), certainty)).criteria()


def _sums_of(parameters: Parameters, n_threads: int, certainty: bool, block: Data) -> Sums:
    return Evaluation(block, parameters, n_threads).sums(certainty)


def _single(values: Rows) -> Rows:
    return values.clip(-LARGEST_FLOAT32, LARGEST_FLOAT32).astype(np.float32)


def joined(values: list[Any]) -> Any:
    """Those of all blocks."""
    if not values:
        raise ValueError(NO_ROWS)
    return values[0] if len(values) == 1 else np.concatenate(values)
