"""Rows that a user handed over: a fit asks them for `data`, a verb for `evaluations`, a stream for `batches`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from cgmm import protocol
from cgmm.config import threads
from cgmm.errors import warn
from cgmm.rows.checks import MOST_ROWS, check_part, exponent_of, has_small_column, of_order_one
from cgmm.rows.data import Complete, Data
from cgmm.rows.evaluation import Asked, Evaluation, Evaluations
from cgmm.rows.gapped import Gapped
from cgmm.rows.measured import GappedMeasured, Measured
from cgmm.rows.part import Part, joined
from cgmm.rows.place import InMemory, by_label, of_labels
from cgmm.rows.reading import Seen, count_of, names_of, naming_block
from cgmm.rows.row_errors import alike
from cgmm.rows.streams import Streamed

if TYPE_CHECKING:
    from cgmm.rows.place import Place
    from cgmm.rows.sources import Source
    from cgmm.types import Names


class FirstPass(NamedTuple):
    """What a first pass over rows that are not in memory keeps of them.

    key : of the sample, see cgmm.rows.sampling.key_of;  size(d) : how many rows the sample has if there are d features
    """

    key: Callable[[], int]
    size: Callable[[int], int]


@dataclass(frozen=True)
class Batch:
    """Rows of positive weight that came together, with the user's weights, and whether no value is missing."""

    part: Part
    complete: bool = True

    @property
    def shows_all(self) -> bool:
        """Whether there is a value of each feature, in a row whose weight does not vanish beside others."""
        if self.complete:
            return True
        weights, _ = of_order_one(self.part.weights)
        rows = self.part.rows if weights is None else self.part.rows[weights > 0]
        return bool((~np.isnan(rows)).any(axis=0).all())

    def data(self) -> Data:
        return data_of(self.part, self.complete)

    def known(self) -> Counter[int]:
        """How many rows are known to be of each component, −1: of an unknown one; empty if none is known."""
        return of_labels(by_label(self.part), exponent_of(self.part.weights))

    def and_then(self, other: Batch) -> Batch:
        """Both as one, in memory of its own. Where others have weights, labels or errors, rows without weights count
        one each, rows without labels are of unknown components, and rows without errors are exact."""
        parts = [self.part, other.part]
        if any(part.weights is not None for part in parts):
            parts = [part if part.weights is not None else _counting_one(part) for part in parts]
        if any(part.labels is not None for part in parts):
            parts = [part if part.labels is not None else _unlabelled(part) for part in parts]
        if any(part.errors is not None for part in parts):
            parts = alike(parts)
        return Batch(joined(parts), self.complete and other.complete)


class Opened(Protocol):
    """Rows that a user handed over, not checked yet."""

    def data(self, first_pass: FirstPass, n_threads: int | None) -> tuple[Data, Names | None]:
        """The rows of a fit, checked, and the names of their features.

        ValueError or TypeError says what is wrong with them, and where. Rows that come in blocks or chunks are read.
        """
        ...

    def evaluations(self, asked: Asked, some: bool = True) -> Evaluations:
        """The rows beside a mixture; `some` of their weights are to be positive."""
        ...

    def batches(
        self, d: int | None, n_threads: int, names: Names | None = None
    ) -> Iterator[tuple[Names | None, Batch]]:
        """The names that rows have of their features, and the rows, checked, once.

        d, names : the features that they must have, if they are known; blocks are told that theirs are others
        """
        ...


class AtHand:
    """An array, or what becomes one, its weights, the components that are known, and errors of measurement."""

    def __init__(self, X: Any, sample_weight: Any, gaps: bool, labels: Any = None, errors: Any = None) -> None:
        self.X, self.gaps, self.part = X, gaps, Part(X, sample_weight, labels, errors)

    @property
    def names(self) -> Names | None:
        return protocol.feature_names(self.X)

    def data(self, first_pass: FirstPass, n_threads: int | None) -> tuple[Data, Names | None]:
        names = self.names
        data = _checked(self.part, self.gaps, None, threads(n_threads))
        data.check_columns(names)
        return data, names

    def evaluations(self, asked: Asked, some: bool = True) -> Evaluations:
        check_names(self.names, asked.names, asked.name)
        return Evaluations([evaluation(self.part, asked, some)])

    def batches(
        self, d: int | None, n_threads: int, names: Names | None = None
    ) -> Iterator[tuple[Names | None, Batch]]:
        yield self.names, _batch(self.part, self.gaps, d, n_threads)


class InBlocks:
    """A source of blocks, each with its weights."""

    def __init__(self, source: Source, gaps: bool) -> None:
        self.source, self.gaps = source, gaps

    def data(self, first_pass: FirstPass, n_threads: int | None) -> tuple[Data, Names | None]:
        stream = Streamed(self.source, first_pass.key(), first_pass.size, threads(n_threads), self.gaps)
        return data_at(stream, stream.complete, stream.seen.names), stream.seen.names

    def evaluations(self, asked: Asked, some: bool = True) -> Evaluations:
        return Evaluations(_BlockByBlock(self.source, asked))

    def batches(
        self, d: int | None, n_threads: int, names: Names | None = None
    ) -> Iterator[tuple[Names | None, Batch]]:
        seen = Seen(self.source, names)
        for at, block in enumerate(seen.read()):
            with naming_block(seen.block(at)):
                own = names_of(self.source, block.rows)
                seen.check_names(own)
                if not count_of(block):
                    continue
                batch = _batch(block, self.gaps, d, n_threads, some=False)
            d = batch.part.rows.shape[1]
            if len(batch.part.rows):
                yield own, batch


class _BlockByBlock:
    """The Evaluations of a source's blocks: each time anew, each checked."""

    def __init__(self, source: Source, asked: Asked) -> None:
        self.source, self.asked, self.seen = source, asked, Seen(source, asked.names)

    def __iter__(self) -> Iterator[Evaluation]:
        for at, block in enumerate(self.seen.read()):
            with naming_block(self.seen.block(at)):
                self.seen.check_names(names_of(self.source, block.rows))
                if not count_of(block):
                    continue
                checked = evaluation(block, self.asked, some=False)
            yield checked


def evaluation(given: Part, asked: Asked, some: bool = True) -> Evaluation:
    """Rows that a user gives, checked, in a type that the parameters can be evaluated in."""
    parameters, n_threads = asked.parameters, threads(asked.n_threads)
    data = _checked(given, asked.gaps, parameters.d, n_threads, some, asked.name)
    if data.dtype == np.float32 and parameters.needs_double:
        data = data.widened()
    return Evaluation(data, parameters, n_threads)


def check_names(names: Names | None, fitted: Names | None, name: str = "GMM") -> None:
    """ValueError where the names of features are others than those of the fit; a warning where one has none.

    name : of the class of the fitted estimator
    """
    warning = protocol.check_feature_names(names, fitted, name)
    if warning:
        warn(warning, UserWarning)


def data_of(part: Part, complete: bool) -> Data:
    """Rows in memory, with the user's weights, as data."""
    kind = _kind(complete, part.errors is not None)
    exponent = exponent_of(part.weights)
    part = part.times_power_of_two(-exponent)
    if part.labels is not None and (part.labels < 0).all():
        part = part._replace(labels=None)
    return kind(InMemory(part, exponent))


def data_at(place: Place, complete: bool, names: Names | None) -> Data:
    """Rows somewhere, as data; ValueError where gaps leave too little of a feature, of these names."""
    data = _kind(complete, place.error_axes > 0)(place)
    data.check_columns(names)
    return data


def _kind(complete: bool, measured: bool) -> type[Data]:
    """What rows are."""
    if measured:
        return Measured if complete else GappedMeasured
    return Complete if complete else Gapped


def _checked(
    given: Part, gaps: bool, n_features: int | None, n_threads: int, some: bool = True, name: str = "GMM"
) -> Data:
    """Rows and weights of a user, `some` of them positive. Where nothing is missing they are as without `gaps`."""
    return data_of(*check_part(given, n_features, n_threads, gaps, some=some, name=name))


def _batch(given: Part, gaps: bool, d: int | None, n_threads: int, some: bool = True) -> Batch:
    part, complete = check_part(given, d, n_threads, gaps, of=MOST_ROWS, some=some)
    if part.rows.dtype == np.float32 and has_small_column(part.rows):
        part = part.of_type(np.dtype(np.float64))
    return Batch(part.positive(), complete)


def _unlabelled(part: Part) -> Part:
    return part._replace(labels=np.full(len(part.rows), -1, dtype=np.intp))


def _counting_one(part: Part) -> Part:
    return part._replace(weights=np.ones(len(part.rows)))
