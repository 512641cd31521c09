"""What a mixture says of rows."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np

from cgmm import incomplete, missing, protocol, validation
from cgmm.config import threads
from cgmm.sources import is_dask, source_of
from cgmm.streams import names_of, naming, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from cgmm.data import InMemory
    from cgmm.fitting import State
    from cgmm.gmm import GMM
    from cgmm.parameters import Parameters
    from cgmm.sources import Source
    from cgmm.statistics import SufficientStatistics
    from cgmm.types import ArrayLike, Names, Rows

T = TypeVar("T")  # what adds up

NO_ROWS = "X has no rows: there was no block with one"
LARGEST = np.finfo(np.float32).max
ROWS_AT_A_TIME = 65536  # of responsibilities held at once, where not each of them is wanted


@dataclass(frozen=True)
class Sums:
    """Σ_i w_i log p(x_i), Σ_i w_i and Σ_i w_i log max_c r_ic, 2^−exponent times what they are; n rows.

    n_parameters : of the mixture, those that are free
    """

    log_likelihood: float
    number: float
    log_certainty: float
    exponent: int
    n: int
    n_parameters: int

    def __add__(self, other: Sums) -> Sums:
        if not self.number or (other.number and other.exponent > self.exponent):
            return other._plus(self)
        return self._plus(other)

    def _plus(self, other: Sums) -> Sums:
        """Their sum, with this one's exponent."""
        more = other.times_power_of_two(other.exponent - self.exponent)
        return replace(
            self,
            log_likelihood=self.log_likelihood + more.log_likelihood,
            number=self.number + more.number,
            log_certainty=self.log_certainty + more.log_certainty,
            n=self.n + more.n,
        )

    def times_power_of_two(self, exponent: int) -> Sums:
        """The same sums, 2^exponent as large."""
        with np.errstate(over="ignore"):
            values = np.ldexp([self.log_likelihood, self.number, self.log_certainty], exponent).tolist()
        return Sums(values[0], values[1], values[2], self.exponent - exponent, self.n, self.n_parameters)

    @property
    def total_weight(self) -> float:
        return self.times_power_of_two(self.exponent).number

    @property
    def mean_log_likelihood(self) -> float:
        return self.log_likelihood / self.number

    def criteria(self) -> Criteria:
        """Information criteria; without the certainty, the ICL is the BIC."""
        sums = self.times_power_of_two(self.exponent)
        fit, bic = -2.0 * sums.log_likelihood, self.n_parameters * float(np.log(sums.number))
        return Criteria(
            sums.log_likelihood, fit + 2.0 * self.n_parameters, fit + bic, fit + bic - 2.0 * sums.log_certainty
        )


class Criteria(NamedTuple):
    log_likelihood: float
    aic: float
    bic: float
    icl: float


class Evaluation(NamedTuple):
    """Rows that are known to be good, and the parameters that evaluate them."""

    data: InMemory
    parameters: Parameters
    n_threads: int

    def evaluate(self, what: Any) -> Any:
        """A value for each row."""
        return self.data.evaluate(self.parameters, what, self.n_threads)

    def parts(self) -> Iterator[Evaluation]:
        """Of so few rows at a time that the values of all components fit into memory."""
        for start in range(0, self.data.n, ROWS_AT_A_TIME):
            yield self._replace(data=self.data.cut(slice(start, start + ROWS_AT_A_TIME)))

    def sums(self, certainty: bool = False) -> Sums:
        """Sums over the rows; without `certainty`, log_certainty is zero."""
        data = self.data
        return Sums(
            data.sum(self.evaluate("log_likelihood")),
            data.sum(np.ones(data.n)),
            self._log_certainty() if certainty else 0.0,
            data.exponent,
            data.n,
            self.parameters.n_parameters,
        )

    def statistics(self, double: bool = False) -> SufficientStatistics:
        """Those of the rows, in float64 if `double`."""
        data = self.data.widened() if double else self.data
        return data.statistics(self.parameters, self.n_threads).times_power_of_two(data.exponent)

    def _log_certainty(self) -> float:
        return sum(part.data.sum(np.log(part.evaluate("responsibilities").max(axis=1))) for part in self.parts())


class Evaluations:
    """Evaluations of all blocks, each time anew."""

    def __init__(self, blocks: Iterable[Evaluation]) -> None:
        self.blocks = blocks

    def evaluate(self, what: Any) -> Any:
        """A value for each row."""
        return _joined([block.evaluate(what) for block in self.blocks])

    def impute(self, rng: np.random.Generator | None, single: bool = False) -> Rows:
        """The rows without gaps, float32 if `single`: conditional means, or, from rng, draws."""
        parts = (part for block in self.blocks for part in block.parts())
        found = (missing.impute(part.parameters, part.data.X, rng, part.n_threads) for part in parts)
        return _joined([values.clip(-LARGEST, LARGEST).astype(np.float32) if single else values for values in found])

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


def _joined(values: list[Any]) -> Any:
    """Those of all blocks."""
    if not values:
        raise ValueError(NO_ROWS)
    return values[0] if len(values) == 1 else np.concatenate(values)


class Blocks:
    """The Evaluations of a source's blocks: each time anew, each checked."""

    def __init__(self, source: Source, names: Names | None, parameters: Parameters, n_threads: int, gaps: bool) -> None:
        self.source, self.names, self.parameters = source, names, parameters
        self.n_threads, self.gaps = n_threads, gaps

    def __iter__(self) -> Iterator[Evaluation]:
        for at, (block, weights) in enumerate(read(self.source)):
            with naming(at):
                protocol.check_names_of_block(names_of(self.source, block), self.names)
                if not len(block):
                    continue
                checked = of_rows(block, weights, self.parameters, self.n_threads, self.gaps, some=False)
            yield checked


def of_rows(X: Any, weights: Any, parameters: Parameters, n_threads: int, gaps: bool, some: bool = True) -> Evaluation:
    """Rows and weights as of `incomplete.of_user`, in a type that the parameters can be evaluated in."""
    data = incomplete.of_user(X, weights, gaps, parameters.d, n_threads, some)
    if data.dtype == np.float32 and parameters.needs_double:
        data = data.widened()
    return Evaluation(data, parameters, n_threads)


def evaluations_of(
    model: GMM,
    X: Any,
    sample_weight: ArrayLike | None = None,
    state: State | None = None,
    some: bool = True,
    gaps: bool = False,
) -> Evaluations:
    """Rows that a user gives, at hand or in blocks or chunks, beside a model's parameters of that state, or of its last
    fit.

    They may have gaps if the model allows them or `gaps`; `some` of their weights are to be positive.
    """
    state, gaps = state or model._fitted(), validation.check_missing(model.missing) or gaps
    if is_dask(X):
        return _lazy(model, X, sample_weight, state, gaps)
    source = source_of(X, sample_weight, gaps)
    if source is None:
        return Evaluations([evaluation_of(model, X, sample_weight, state, some, gaps)])
    n_threads = threads(validation.check_threads(model.n_threads))
    return Evaluations(Blocks(source, state.names, state.fit.parameters, n_threads, gaps))


def evaluation_of(
    model: GMM,
    X: Any,
    sample_weight: ArrayLike | None = None,
    state: State | None = None,
    some: bool = True,
    gaps: bool = False,
) -> Evaluation:
    """The same of rows at hand, which have gaps only if `gaps`."""
    state = _state_for(model, protocol.feature_names(X), state)
    n_threads = threads(validation.check_threads(model.n_threads))
    return of_rows(X, sample_weight, state.fit.parameters, n_threads, gaps, some)


def _lazy(model: GMM, X: Any, sample_weight: Any, state: State | None, gaps: bool) -> Evaluations:
    """The same of rows in the chunks of a Dask collection."""
    from cgmm.chunks import Chunks
    from cgmm.cluster import Lazy  # which imports Dask

    chunks, n_threads = Chunks(X, sample_weight), validation.check_threads(model.n_threads)
    return Lazy(chunks, _state_for(model, chunks.names, state).fit.parameters, n_threads, gaps)


def _state_for(model: GMM, names: Names | None, state: State | None) -> State:
    """That state, or of the last fit, if it is for features of those names."""
    state = state or model._fitted()
    warning = protocol.check_feature_names(names, state.names)
    if warning:
        warnings.warn(warning, UserWarning, stacklevel=5)
    return state
