"""The chunks of a Dask collection, and the tasks on them.

Tasks go to the scheduler that the caller has chosen. What they need besides their chunk is one value of the graph, and
what they return is added up by others, in an order that depends on nothing but the chunks.
"""

from __future__ import annotations

import copy
import math
import operator
import sys
from contextlib import contextmanager
from functools import reduce
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import dask
import numpy as np
from dask.delayed import Delayed

from cgmm import protocol
from cgmm.errors import BlockError, counted
from cgmm.rows.evaluation import NO_ROWS
from cgmm.rows.part import Part
from cgmm.rows.reading import naming_block
from cgmm.rows.row_errors import NAME as ERRORS
from cgmm.rows.row_errors import of_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from cgmm.types import Names

T = TypeVar("T")

ADDED = 8  # Values that one task adds up: a tree of sums, whose depth grows slowly with the chunks.


class Chunk(NamedTuple):
    """A task's chunk: its number, the index of its first row if it is known, and the rows as given, unchecked."""

    at: int
    first_row: int | None
    given: Part


class Chunks:
    """The chunks of a collection and of what goes with its rows.

    array : the rows as a Dask array (n,d), n unknown or not;  d : int;  names : of the features, or None
    rows, weights, labels, errors : of each chunk, delayed
    numbers, lengths : of the chunks, and of their rows where those are known
    """

    def __init__(self, X: Any, sample_weight: Any = None, labels: Any = None, errors: Any = None) -> None:
        _check_workers()
        self.array = array_of("X", X, 2)
        self.names: Names | None = protocol.feature_names(X)
        if self.array.numblocks[1] != 1:
            raise ValueError(
                f"X has {self.array.numblocks[1]} chunks of columns, and a row must be in one: use X.rechunk({{1: -1}})"
            )
        if math.isnan(self.array.shape[1]):
            raise ValueError("X does not know how many columns it has: use X.compute_chunk_sizes()")
        self.d = int(self.array.shape[1])
        companions = {"sample_weight": sample_weight, "labels": labels}
        if hasattr(errors, "__dask_graph__"):
            companions[ERRORS] = errors
        given = {name: companion(name, each, self.array) for name, each in companions.items() if each is not None}
        sources = dask.optimize(self.array, *given.values())
        self.rows, *found = [source.to_delayed(optimize_graph=False).ravel().tolist() for source in sources]
        known, none = dict(zip(given, found, strict=True)), [None] * len(self.rows)
        self.weights, self.labels = known.get("sample_weight", none), known.get("labels", none)
        self.errors = known.get(ERRORS, none) if ERRORS in known else [_of_all(errors, self.d)] * len(self.rows)
        self.numbers = list(range(len(self.rows)))
        self.lengths: Sequence[int | None] = [None if math.isnan(n) else int(n) for n in self.array.chunks[0]]

    def take(self, kept: Sequence[int], lengths: Sequence[int]) -> Self:
        """Some of them, now that the numbers of their rows are known."""
        other = copy.copy(self)
        for name in ("rows", "weights", "labels", "errors", "numbers"):
            setattr(other, name, [getattr(self, name)[at] for at in kept])
        other.lengths = lengths
        return other

    def each(self, of: Callable[[Chunk], Any]) -> list[Any]:
        """of(chunk); None for a chunk without rows."""
        with self._telling():
            return list(dask.compute(*self._tasks(of)))

    def total(self, of: Callable[[Chunk], T]) -> T:
        """Σ of(chunk), over the chunks that have rows."""
        values, task = self._tasks(of), dask.delayed(_sum, pure=False)
        while len(values) > 1:
            values = [task(*values[start : start + ADDED]) for start in range(0, len(values), ADDED)]
        with self._telling():
            found = Delayed(values[0].key, dict(values[0].dask)).compute()  # of one layer, which costs Dask far less
        if found is None:
            raise ValueError(NO_ROWS)
        return found

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """BlockError says what of a computation failed: a chunk by its number, a worker, or the cluster."""
        try:
            yield
        except BlockError:  # which says it
            raise
        except Exception as error:
            told = f"{type(error).__name__}: {error}"
            if _lacks_cgmm(error):
                text = f"a worker cannot import cgmm, which must be installed where the workers run ({told})"
            elif _is_of_the_cluster(error):
                text = (
                    f"the Dask client was closed, or its cluster lost, before the chunks of X were worked off ({told})"
                )
            else:
                text = f"{self._failing()} could not be computed: {told}"
            raise BlockError(text) from error

    def _failing(self) -> str:
        """The first chunk whose rows or weights cannot be computed, found by computing one after the other."""
        for number, *chunk in zip(self.numbers, self.rows, self.weights, self.labels, self.errors, strict=True):
            try:
                dask.compute(*chunk)
            except Exception:
                return f"chunk {number}"
        return "a chunk of X"

    @property
    def firsts(self) -> list[Any]:
        """The index of each chunk's first row, or None where a number of rows is unknown."""
        lengths: Any = self.lengths
        if None in lengths:
            return [None] * len(self.lengths)
        return list(accumulate(lengths, initial=0))[:-1]

    def _tasks(self, of: Callable[[Chunk], Any]) -> list[Any]:
        task, shared = dask.delayed(_of_chunk, pure=False), one_value(of)
        companions = self.weights, self.labels, self.errors
        chunks = zip(self.numbers, self.firsts, self.lengths, self.rows, *companions, strict=True)
        return [task(shared, *chunk) for chunk in chunks]


def one_value(of: Any) -> Any:
    """What many tasks need, as one value of their graph: it travels to each worker once."""
    return dask.delayed(of, traverse=False, pure=False)


def array_of(name: str, collection: Any, dimensions: int) -> Any:
    """The Dask array of a Dask array, data frame or series."""
    found = getattr(collection, "ndim", None)
    if not isinstance(found, int):
        kind = type(collection).__name__
        raise TypeError(f"{name} is a Dask {kind}, which has no rows and columns: give a Dask array or data frame")
    if found != dimensions:
        raise ValueError(f"{name} must have {dimensions} dimensions, not {found}")
    if not hasattr(collection, "to_dask_array"):
        return collection
    kinds = dict(collection.dtypes) if dimensions == 2 else {None: collection.dtype}
    nullable = [name for name, kind in kinds.items() if not isinstance(kind, np.dtype) and kind.kind in "biuf"]
    if nullable:  # pandas.NA becomes NaN
        collection = collection.astype("float64" if dimensions == 1 else dict.fromkeys(nullable, "float64"))
    return collection.to_dask_array()


class _OfAll(NamedTuple):
    """Errors of all rows."""

    errors: Any

    def of(self, n: int) -> Any:
        """Those of n rows."""
        return np.broadcast_to(self.errors, (n, *self.errors.shape))


def _of_all(errors: Any, d: int) -> Any:
    """Errors of all rows, which need no chunks, as one value of a graph."""
    if errors is None:
        return None
    if np.shape(errors) not in ((d,), (d, d)):
        raise TypeError(
            f"{ERRORS} must be a Dask array, for X is in chunks, or those of all rows, of shape ({d},) or ({d}, {d}): "
            f"use dask.array.from_array({ERRORS}, chunks=(X.chunks[0], ...))"
        )
    return one_value(_OfAll(np.asarray(errors)))


def companion(name: str, values: Any, array: Any) -> Any:
    """What goes with each row, weights, labels or errors, as a Dask array chunked as the rows."""
    (n, _), (rows, _) = array.shape, array.chunks
    if not hasattr(values, "__dask_graph__"):
        raise TypeError(
            f"{name} must be a Dask array or series, for X is in chunks: use "
            f"dask.array.from_array({name}, chunks=(X.chunks[0],))"
        )
    axes = max(2, min(values.ndim, 3)) if name == ERRORS else 1
    found = array_of(name, values, axes)
    if not math.isnan(n + found.shape[0]):
        if found.shape[0] != n:
            raise ValueError(f"{name} must have shape ({n},), one for each row, not {found.shape}")
        found = found.rechunk((rows, *found.shape[1:]))
    if found.numblocks != (len(rows), *[1] * (axes - 1)):
        raise ValueError(f"{name} has {found.numblocks[0]} chunks, and X has {len(rows)}: give it X's")
    return found


def _check_workers() -> None:
    """BlockError: workers of the cluster that is in use cannot import cgmm. Tasks sent to them would never end."""
    distributed = sys.modules.get("distributed")
    try:
        client = None if distributed is None else distributed.default_client()
    except ValueError:  # there is none
        client = None
    if client is None or client.asynchronous:
        return
    # A built-in function and text: the workers need nothing of ours to run them.
    found = client.run(eval, "__import__('importlib.util').util.find_spec('cgmm') is not None", on_error="return")
    lacking = [address for address, told in found.items() if told is False or isinstance(told, ModuleNotFoundError)]
    if lacking:
        raise BlockError(f"a worker cannot import cgmm, which must be installed where the workers run: {lacking[0]}")


def _lacks_cgmm(error: BaseException) -> bool:
    """Whether a module of ours was not found, here or at the beginning of what happened."""
    told: BaseException | None = error
    while told is not None:
        if isinstance(told, ModuleNotFoundError) and (told.name or "").partition(".")[0] == "cgmm":
            return True
        told = told.__cause__ or told.__context__
    return "No module named 'cgmm" in str(error)


def _is_of_the_cluster(error: BaseException) -> bool:
    """Whether an error is of what runs tasks, not of a task."""
    rooms = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return bool(rooms & {"distributed", "asyncio", "concurrent", "tornado"})


def _of_chunk(
    of: Callable[[Chunk], T], at: int, first_row: int | None, length: int | None, rows: Any, *companions: Any
) -> T | None:
    with naming_block(f"chunk {at}", first_row):
        if length not in (None, len(rows)):
            raise ValueError(
                f"it has {counted(len(rows), 'row')}, and had {length} before: each pass needs the same rows"
            )
        part = Part(rows, *companions)
        if isinstance(part.errors, _OfAll):
            part = part._replace(errors=part.errors.of(len(rows)))
        return of(Chunk(at, first_row, part._replace(errors=of_rows(part.errors)))) if len(rows) else None


def _sum(*values: Any) -> Any:
    """Σ of those that are not None, in their order; None if there is none."""
    found = [value for value in values if value is not None]
    return reduce(operator.add, found) if found else None
