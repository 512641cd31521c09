"""Stepwise EM: a batch of rows is seen once, and its statistics are mixed with those that are remembered.

Cappé and Moulines, On-line expectation–maximization algorithm for latent data models (JRSS B 71, 2009); Liang and
Klein, Online EM for unsupervised models (NAACL 2009). docs/streams.md has the formulas.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm.em import reseed
from cgmm.em.stage import STARVED
from cgmm.mixture.rules import EMPTIED, SINGULAR, Repair

if TYPE_CHECKING:
    from cgmm.em.settings import Settings
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.prior import Prior
    from cgmm.mixture.statistics import SufficientStatistics
    from cgmm.rows.data import Data
    from cgmm.types import Array

FLOAT32 = float(np.finfo(np.float32).eps)  # The relative rounding of float32.
BEGAN = "no row belonged to it, and it began again at row {} of a batch"


class Rates(NamedTuple):
    """How fast rows are forgotten: when u have come, m(u) = min(u, rows (u / rows)^decay, half_life / log 2) are
    remembered, and the next one's share of the statistics is 1 / m(u), however rows are cut into batches."""

    decay: float
    rows: float
    half_life: float | None = None

    @property
    def most(self) -> float:
        """Rows that are ever remembered."""
        return math.inf if self.half_life is None else self.half_life / math.log(2)

    def memory(self, seen: float) -> float:
        """m(u), in rows."""
        if seen <= self.rows:
            return min(seen, self.most)
        return min(self.rows * (seen / self.rows) ** self.decay, self.most)

    def passed(self, seen: float, weight: float) -> float:
        """∫ du / m(u) over rows of this weight after those seen: e^−passed of the statistics are kept."""
        return self._age(seen + weight) - self._age(seen) if seen else math.inf

    def _age(self, seen: float) -> float:
        """∫ du / m(u), from `rows` to the rows seen."""
        now = math.log(seen) - math.log(self.rows)
        full = math.log(self.most / self.rows) if self.most < math.inf else math.inf  # here the memory is full
        full = full / self.decay if full > 0 else full
        x = min(now, full)
        age = math.expm1((1 - self.decay) * x) / (1 - self.decay) if x > 0 and self.decay < 1 else x
        return age if now <= full else age + (seen - self.rows * math.exp(full)) / self.most


class Memory(NamedTuple):
    """What is remembered of a stream.

    statistics : of as many rows as are remembered
    seen : the weight of all rows that came;  iterations : of a fit, and batches since
    least : (d,) below it no variance falls
    eps : the relative rounding of the statistics, the largest of any batch; float32's where it is not known
    """

    statistics: SufficientStatistics
    seen: float
    iterations: int
    batches: int
    least: Array
    eps: float = FLOAT32

    @property
    def steps(self) -> int:
        return self.iterations + self.batches

    @property
    def row(self) -> float:
        """The weight of a row in the statistics, or of all that are remembered, if they weigh less."""
        return min(math.ldexp(1.0, -max(self.statistics.exponent, 0)), float(self.statistics.n_k.sum()))


class Learnt(NamedTuple):
    """What a batch leaves; its mean log-likelihood is of the parameters before it."""

    memory: Memory
    parameters: Parameters
    log_likelihood: float
    repairs: tuple[Repair, ...]


def step(
    memory: Memory, parameters: Parameters, batch: Data, settings: Settings, rates: Rates, prior: Prior | None
) -> Learnt:
    """The parameters once a batch has been seen: its E-step, its statistics mixed with the others, the M-step.

    settings : without a prior;  prior : what it leaves open is as the rows that are remembered have it
    """
    family = parameters.family
    if batch.dtype == np.float32 and parameters.needs_double:
        batch = batch.widened()
    found, _ = batch.pruned_statistics(parameters, settings.n_threads)
    memory = _mixed(memory, found, rates)._replace(eps=max(memory.eps, float(np.finfo(batch.dtype).eps)))
    conjugate = variances = None
    if prior is not None or settings.rules.relative:
        moments = memory.statistics.moments(family)
        variances = moments[2].diagonal()
        if prior is not None:
            conjugate = prior.conjugate(moments, memory.least, family, parameters.k, memory.eps)
    settings = settings.with_rules(least=memory.least, prior=conjugate, variances=variances)
    settings = settings.for_rows(batch.dtype == np.float64)
    parameters, repairs = parameters.maximise(memory.statistics, settings.rules, memory.steps)
    repairs = [repair for repair in repairs if repair.cause == SINGULAR]
    starved = (memory.statistics.n_k < STARVED * memory.row).nonzero()[0].tolist()
    if starved and settings.rules.free and len(starved) < parameters.k:  # or else all rows are noise
        memory, parameters, begun = _begin_again(memory, parameters, batch, settings, starved)
        repairs, starved = repairs + begun, starved[len(begun) :]
    repairs += [Repair(memory.steps, c, EMPTIED) for c in starved]
    return Learnt(memory, parameters, found.lower_bound, tuple(repairs))


def _mixed(memory: Memory, found: SufficientStatistics, rates: Rates) -> Memory:
    """What is remembered after a batch of these statistics."""
    weight = found.weight
    seen = memory.seen + weight
    if not seen < math.inf:
        raise ValueError("the row weights of all batches have no finite sum")
    passed, remembered = rates.passed(memory.seen, weight), rates.memory(seen)
    exponent = math.frexp(remembered)[1]
    total = math.ldexp(remembered, -exponent)
    found = found.normalised()  # a weight that is hardly a number has no quotient
    old = memory.statistics.normalised().moved_to(found.shift)
    old = old.times(math.exp(-passed) * total / (float(old.n_k.sum()) + old.noise))
    new = found.times(-math.expm1(-passed) * total / found.total_weight)
    both = replace(old, exponent=exponent) + replace(new, exponent=exponent)
    return memory._replace(statistics=both, seen=seen, batches=memory.batches + 1)


def _begin_again(
    memory: Memory, parameters: Parameters, batch: Data, settings: Settings, starved: list[int]
) -> tuple[Memory, Parameters, list[Repair]]:
    """The starved components as one row each, those of the batch that are explained worst; and Repairs."""
    rows, indices, _ = batch.worst(parameters, len(starved), settings.n_threads)
    begun = reseed.at_rows(rows, parameters, starved, memory.least)
    starved, n_k = starved[: len(rows)], memory.statistics.n_k.copy()
    n_k[starved] = memory.row / len(n_k)
    begun = replace(begun, weights=n_k / n_k.sum())
    statistics = begun.statistics(n_k, settings.rules, memory.statistics.exponent)
    moved = [Repair(memory.steps, c, BEGAN.format(row), int(row)) for c, row in zip(starved, indices, strict=True)]
    return memory._replace(statistics=statistics), begun, moved
