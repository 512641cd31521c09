"""Iterations of EM in which nothing has to be decided, in one compiled call: on few rows Python would take longer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from cgmm import _kernels, degenerate, matrices
from cgmm.parameters import MOST_FLOAT32, Density, Parameters
from cgmm.pruning import LEAST_ROWS
from cgmm.statistics import EMPTY

if TYPE_CHECKING:
    from cgmm.data import Data
    from cgmm.em import Settings
    from cgmm.types import Array, Rows


class Limits(NamedTuple):
    """What an ordinary iteration stays within: see struct Limits in src/_iterations.pxi."""

    floor: Array
    moved: float
    rounded: float
    relative: float
    added: float
    starved: float
    fall: float
    reach: float


class Steps(NamedTuple):
    """Some iterations, maybe none: what they lead to, the parameters before the last, and its n_k.

    met : an iteration that is not ordinary, which is not done
    held : the iteration, from 0, and the component of each covariance that was held from below
    """

    lower_bounds: Array
    converged: bool
    met: bool
    parameters: Parameters
    before: Parameters
    n_k: Array
    held: list[tuple[int, int]]


class Ordinary:
    """The next iterations of a run of EM, as long as they are ordinary; bit for bit those that cgmm.em.run does itself.

    For rows at hand and so few that no pass over them would be pruned, without a prior or fixed parameters, and of a
    family whose M-step is compiled.
    """

    def __init__(
        self, rows: Rows, row_weights: Array | None, parameters: Parameters, settings: Settings, n_threads: int
    ) -> None:
        n, d = rows.shape
        weight = float(n) if row_weights is None else row_weights.sum()
        single = rows.dtype == np.float32
        limits = Limits(
            np.ascontiguousarray(settings.floor(d)),
            *degenerate.rounding_of_means(d, settings.eps),
            matrices.rounding_of(d),
            settings.reg_covar,
            max(EMPTY, degenerate.STARVED * weight / n),
            degenerate.ROUNDING,
            MOST_FLOAT32 if single else np.inf,
        )
        self.family, self.tol = parameters.family, settings.tol
        self.most = max(1, BURST // (n * parameters.k * d))
        self.iterations = _kernels.Iterations(
            rows,
            form_of(parameters),
            self.family.moment,
            self.family.name,
            row_weights,
            limits,
            matrices.lift,
            n_threads,
        )

    @classmethod
    def of(cls, data: Data, parameters: Parameters, settings: Settings) -> Ordinary | None:
        """Those of some data; None where there are none."""
        at_hand = data.at_hand() if parameters.family.compiled else None
        if at_hand is None or data.n >= LEAST_ROWS or not settings.free:
            return None
        return cls(*at_hand, parameters, settings, data.threads(settings.n_threads))

    def advance(self, parameters: Parameters, lower_bound: float, most: int) -> Steps:
        """Up to `most` iterations from those parameters, whose lower bound before was that."""
        given = parameters.weights, parameters.means, parameters.covariances, parameters.root
        lower_bounds, converged, met, after, before, n_k, held = self.iterations.advance(
            *given, lower_bound, self.tol, min(most, self.most)
        )
        if not len(lower_bounds):
            return Steps(lower_bounds, False, met, parameters, parameters, n_k, held)
        last = Parameters(self.family, *before) if len(lower_bounds) > 1 else parameters
        return Steps(lower_bounds, converged, met, Parameters(self.family, *after), last, n_k, held)


def form_of(parameters: Parameters) -> Density:
    """A density of the form that these parameters have; its numbers are about to be set, and not all are theirs."""
    form, factor, log_det, whitener = parameters.family.whitening(parameters.root, parameters.k, parameters.d)
    return Density(form, parameters.means, parameters.means[0], factor, log_det, whitener)


BURST = 10_000_000  # values of rows, times components, between two looks at whether Ctrl-C was pressed
