"""Some rows for all: spread evenly, or drawn at random, from rows at hand or from rows that stream by.

A random sample is one row of each stratum of 2^level rows, for some of the strata. A stratum's row is that of its first
or of its second half, as the hash of the stratum says. So rows can be sampled whose number is not known yet, and what
was kept can be halved; and where the number is known, nothing but the chosen rows is looked at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.rows.part import joined

if TYPE_CHECKING:
    from cgmm.rows.part import Part
    from cgmm.types import Labels

MOST_SPREAD = 4096  # Rows that are kept of those spread evenly among all: enough to see their scale.
ALIGNED = _kernels.PART  # Rows that come at a time, a power of two.
# Strata have at most 2^MOST_LEVEL rows, which come at a time; where that is not enough, a sample is larger instead.
MOST_LEVEL = ALIGNED.bit_length() - 1


def stride_of(n: int, count: int = MOST_SPREAD) -> int:
    """Every stride-th of n rows are no more than `count` ≤ MOST_SPREAD: a multiple of a power of two."""
    stride = 1 << _halvings(n, MOST_SPREAD)
    return stride * max(1, _shares(_shares(n, stride), count))


def _shares(n: int, size: int) -> int:
    """How many shares of that size n rows have, the last of which may be smaller."""
    return -(-n // size)


def rows_of(n: int, size: int, rng: np.random.Generator) -> Labels:
    """A sample of `size` of n rows, as indices in their order."""
    key, level = key_of(rng), level_of(n, size)
    return descend(choose(_shares(n, 1 << level), size, rng), level, n, key)


def key_of(rng: np.random.Generator) -> int:
    """What a sample's hashes depend on."""
    return int(rng.integers(2**63))


def level_of(n: int, size: int) -> int:
    """The least level at which n rows have no more than 2 · size strata."""
    return min(_halvings(n, 2 * size), MOST_LEVEL)


def _halvings(n: int, most: int) -> int:
    """How often n must be halved to be no more than that."""
    return max(0, _shares(n, most) - 1).bit_length()


def choose(count: int, size: int, rng: np.random.Generator) -> Labels:
    """`size` of `count` indices, in order; or all."""
    if count <= size:
        return np.arange(count)
    chosen = np.zeros(count, dtype=bool)
    chosen[rng.choice(count, size, replace=False, shuffle=False)] = True
    return np.flatnonzero(chosen)


def descend(strata: Labels, level: int, n: int, key: int) -> Labels:
    """The rows, of n, that stand for these strata of 2^level rows."""
    for below in range(level - 1, -1, -1):
        second = 2 * strata + second_half(strata, below + 1, key)
        strata = np.where(second << below < n, second, 2 * strata)
    return strata


def second_half(strata: Labels, level: int, key: int) -> Labels:
    """Whether a stratum's row is of its second half, 0 or 1: a bit of a hash (Steele, Lea and Flood, Fast splittable
    pseudorandom number generators, 2014)."""
    z = strata.astype(np.uint64)
    z *= np.uint64(64)
    z += np.uint64(level)
    z *= np.uint64(0x9E3779B97F4A7C15)
    z += np.uint64(key)
    for bits, factor in (30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB):
        z ^= z >> np.uint64(bits)
        z *= np.uint64(factor)
    z ^= z >> np.uint64(31)
    z &= np.uint64(1)
    return z.astype(np.intp)


class Strided:
    """Every stride-th of the rows and weights that stream by."""

    def __init__(self) -> None:
        self.n, self.stride = 0, 1
        self.kept: list[Part] = []

    def add(self, part: Part) -> None:
        here = slice(-self.n % self.stride, None, self.stride)
        self.n += len(part.rows)
        self.kept.append(part.taken(here).copied())
        while _shares(self.n, self.stride) > MOST_SPREAD:
            self.stride *= 2
            self.kept = [joined(self.kept).taken(slice(None, None, 2)).copied()]

    def some(self, count: int) -> Part:
        """No more than `count` of the rows that came."""
        self.kept = [joined(self.kept)]
        return self.kept[0].taken(slice(None, None, stride_of(self.n, count) // self.stride))


class Reservoir:
    """A sample of the rows and weights that stream by, of `size` or up to twice as many.

    ALIGNED come at a time, but the last.
    """

    def __init__(self, key: int, size: int) -> None:
        self.key, self.size = key, size
        self.n, self.level = 0, 0
        self.kept: list[Part] = []

    def add(self, part: Part) -> None:
        n = self.n + len(part.rows)
        strata = np.arange(self.n >> self.level, _shares(n, 1 << self.level))
        self.kept.append(part.taken(descend(strata, self.level, n, self.key) - self.n))
        self.n = n
        if self.level < level_of(self.n, self.size):
            self.kept = [self._halved(level_of(self.n, self.size))]
            self.level = level_of(self.n, self.size)

    def sample(self, size: int, rng: np.random.Generator) -> Part:
        """`size` of the rows that came, or all, as `rows_of` with the same key: no more than it was made for."""
        if self.n <= size:
            return self._halved(0)
        found = self._halved(level_of(self.n, size))
        return found.taken(choose(len(found.rows), size, rng))

    def _halved(self, level: int) -> Part:
        """What is kept, at that level."""
        part = joined(self.kept)
        here = np.arange(len(part.rows))
        for to in range(self.level + 1, level + 1):
            pairs = np.arange(_shares(len(here), 2))
            here = here[np.minimum(2 * pairs + second_half(pairs, to, self.key), len(here) - 1)]
        return part.taken(here)
