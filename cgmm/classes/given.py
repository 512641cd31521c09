"""Rows of classes as a fit of these asks for them: all, those of a class, those of none; wherever they are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cgmm.classes.known import UNKNOWN, Tally
from cgmm.once import once

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from cgmm.classes.blocks import ClassBlocks
    from cgmm.classes.known import Known
    from cgmm.types import Array, Labels, Mask, Names, Rows


class Some(NamedTuple):
    """Rows as ``GMM.fit`` takes them. Those of a source bring their weights and labels themselves."""

    rows: Any
    weights: Any = None
    labels: Any = None


class Given(ABC):
    """Rows with all that is known of them: what a fit of classes is made of.

    classes : (C,) their labels, ascending;  whole : whether the class of each row is known
    counts, numbers : (C,) the weight, and the number of rows of positive weight, that are known to be of each
    priors : (C,) or None;  names : of features, or None
    """

    priors: Array | None
    names: Names | None

    @property
    @abstractmethod
    def classes(self) -> NDArray[Any]: ...

    @property
    @abstractmethod
    def counts(self) -> Array: ...

    @property
    @abstractmethod
    def numbers(self) -> Labels: ...

    @property
    @abstractmethod
    def whole(self) -> bool: ...

    @property
    @abstractmethod
    def weight(self) -> float:
        """Of all rows."""

    @property
    def shares(self) -> Array:
        """(C,) priors, or the shares of the rows that are known."""
        return self.counts / self.counts.sum() if self.priors is None else self.priors

    @abstractmethod
    def everything(self) -> Some:
        """All rows, with labels: the indices of their classes, UNKNOWN where these are not known."""

    @abstractmethod
    def labelled(self) -> Some:
        """The rows whose class is known, with labels."""

    @abstractmethod
    def of(self, g: int) -> Some:
        """The rows of a class, or those of UNKNOWN, without labels."""

    @abstractmethod
    def blocks(self) -> Iterator[AtHand]:
        """The rows in memory, one part after the other; ValueError where they cannot be."""

    def at_hand(self, why: str) -> AtHand:
        """All in memory; ValueError where they are not, which says why they have to be."""
        raise ValueError(f"X must be in memory {why}")


@dataclass(frozen=True)
class AtHand(Given):
    """Rows in memory, of positive weight.

    rows : (n,d);  weights : (n,) or None;  known : their classes
    """

    rows: Rows
    weights: Array | None
    known: Known
    priors: Array | None
    names: Names | None

    @property
    def classes(self) -> NDArray[Any]:
        return self.known.classes

    def some(self, which: Mask) -> AtHand:
        known = self.known._replace(of_row=self.known.of_row[which])
        return replace(self, rows=self.rows[which], weights=some_of(self.weights, which), known=known)

    @once
    def counts(self) -> Array:
        of_row, weights = self.known.of_row, self.weights
        labelled = of_row != UNKNOWN
        return np.bincount(of_row[labelled], some_of(weights, labelled), len(self.classes)).astype(np.float64)

    @once
    def numbers(self) -> Labels:
        return np.bincount(self.known.of_row[self.known.of_row != UNKNOWN], minlength=len(self.classes))

    @property
    def whole(self) -> bool:
        return self.known.whole

    @property
    def weight(self) -> float:
        return total(self.weights, np.ones(len(self.rows)))

    def everything(self) -> Some:
        return Some(self.rows, self.weights, self.known.of_row)

    def labelled(self) -> Some:
        return self.some(self.known.of_row != UNKNOWN).everything()

    def of_class(self, g: int) -> AtHand:
        return self.some(self.known.of_row == g)

    def of(self, g: int) -> Some:
        return self.of_class(g).everything()._replace(labels=None)

    def blocks(self) -> Iterator[AtHand]:
        yield self

    def at_hand(self, why: str) -> AtHand:
        return self


class Elsewhere(Given):
    """Rows that are not in memory, of whose labels a first pass has found the tally."""

    tally: Tally

    @property
    def classes(self) -> NDArray[Any]:
        return self.tally.classes

    @property
    def counts(self) -> Array:
        return self.tally.counts

    @property
    def numbers(self) -> Labels:
        return self.tally.numbers

    @property
    def whole(self) -> bool:
        return not self.tally.unknown

    @property
    def weight(self) -> float:
        return float(self.tally.counts.sum()) + self.tally.unknown


@dataclass(frozen=True)
class InBlocks(Elsewhere):
    """Rows that come in blocks with their labels, and what a first pass over these has found."""

    tally: Tally
    source: ClassBlocks
    priors: Array | None
    names: Names | None

    def everything(self) -> Some:
        return Some(self.source.of_classes(self.classes))

    def labelled(self) -> Some:
        return Some(self.source.of_classes(self.classes, labelled=True))

    def of(self, g: int) -> Some:
        return Some(self.source.of_class(self.classes, g))

    def blocks(self) -> Iterator[AtHand]:
        for rows, weights, known in self.source.known(self.classes):
            yield AtHand(rows, weights, known, self.priors, self.names)


@dataclass(frozen=True)
class InChunks(Elsewhere):
    """Rows in the chunks of a Dask array (n,d), with weights (n,) or None and the indices of classes (n,), Dask arrays
    of the same chunks."""

    tally: Tally
    rows: Any
    weights: Any
    of_row: Any
    priors: Array | None
    names: Names | None

    def everything(self) -> Some:
        return Some(self.rows, self.weights, self.of_row)

    def labelled(self) -> Some:
        return self._some(self.of_row != UNKNOWN)

    def of(self, g: int) -> Some:
        return self._some(self.of_row == g)._replace(labels=None)

    def _some(self, which: Any) -> Some:
        return Some(*(None if each is None else each[which] for each in self.everything()))

    def blocks(self) -> Iterator[AtHand]:
        raise ValueError(
            "rows without a label and a mixture for each class need X in memory or in blocks: give an array, a file "
            "or blocks in place of a Dask collection, or shared=True"
        )


def some_of(weights: Array | None, which: Mask) -> Array | None:
    return None if weights is None else weights[which]


def total(weights: Array | None, values: Array) -> float:
    """Σ_i w_i v_i."""
    return float(values.sum() if weights is None else weights @ values)
