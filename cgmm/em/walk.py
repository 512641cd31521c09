"""Walks: races of runs of EM, one after the other, along mixtures of ever more components, in one compiled call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels
from cgmm.em.abreast import fit_of, part_of, runs_of
from cgmm.mixture.matrices import UNTHREADED

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.em.abreast import Leaning, Round
    from cgmm.em.settings import Settings
    from cgmm.em.stage import Fit
    from cgmm.mixture.families import Family
    from cgmm.rows.data import Data
    from cgmm.types import Array


class Step(NamedTuple):
    """A race of the splits or the mergers of a fit.

    of : the number of that fit, −1 for the winner of the step before
    merges : whether mergers are tried, and not splits
    to : the number of the fit for which the winner is a start, −1 if it is none
    """

    of: int
    merges: bool
    to: int

    @property
    def search(self) -> int:
        """The number of the fit whose search makes it."""
        return self.of if self.to < 0 else self.to


class Stand(NamedTuple):
    """The best fit so far with a number of components; whether it holds no covariance, and whether it leans on nothing:
    see Race.best_first."""

    fit: Fit
    free: bool
    upright: bool


@dataclass
class Walk:
    """Steps along fits of ever more components of one family, one after the other. Wanted are the fits that win the
    first ones, of as many as a compiled call makes: the same that a Race of each step has.

    near : how many splits, of the heaviest components, or mergers, of the closest, are tried
    rounds : as of a Race, the last to the end of a run, which a step that leads to no start leaves out
    least, bounds : variances are not below the first (d,) where closeness is measured, and means of splits stay between
    the others (d,) and (d,)
    seconds : that each of these steps took, and what one that Python has to make has taken; once they are made
    """

    data: Data
    family: Family
    settings: Settings
    stands: Sequence[Stand]
    steps: Sequence[Step]
    near: int
    rounds: Sequence[Round]
    leaning: Leaning
    least: Array
    bounds: tuple[Array, Array]
    seconds: Sequence[float] = ()

    def compiled(self) -> _kernels.Walk | None:
        """The races, to be made by a compiled call as long as they are ordinary; None where they are not for one."""
        data, family, settings = self.data, self.family, self.settings
        most = 1 + max(stand.fit.parameters.k for stand in self.stands)
        part = part_of(data, most, family.compiled, settings)
        if part is None or not settings.max_iter or data.d > UNTHREADED:
            return None
        none = [np.empty((0, *shape)) for shape in ((1,), (1, data.d), family.shape(1, data.d))]
        return _kernels.Walk(
            runs_of(data, part, family, 1, none, settings, [(1, 1)], self.leaning),
            [stand.fit.parameters.values[:3] for stand in self.stands],
            [2 * stand.free + stand.upright for stand in self.stands],
            [stand.fit.lower_bound for stand in self.stands],
            self.steps,
            self.near,
            self.least,
            *self.bounds,
            [(min(iterations, settings.max_iter), left) for iterations, left in self.rounds],
        )

    def fits(self, walk: _kernels.Walk | None) -> Sequence[Fit]:
        """Those that have won, of the steps that were made."""
        if walk is None:
            return []
        done, left = walk.done, [] if walk.left is None else [walk.left]
        self.data.count_passes(sum(int(runs.passes.sum()) for runs in done))
        self.seconds = [float(runs.seconds.sum()) for runs in done + left]
        return [fit_of(self.data, self.family, runs, int(runs.alive[0])) for runs in done]
