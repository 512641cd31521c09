"""Components that lost their rows begin again at the rows that are explained worst.

docs/degenerate.md has the rules.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgmm.em.stage import Stage
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import EMPTIED, Repair

if TYPE_CHECKING:
    from cgmm.em.settings import Settings
    from cgmm.em.stage import Run
    from cgmm.rows.data import Data
    from cgmm.types import Array, Rows

# A component that began again must raise the likelihood within so many iterations; once it has, EM goes on from there.
LOOK_AHEAD = 20
# It must have raised it by at least this, relative to itself: less may be rounding.
LEAST_GAIN = 1e-9


def begin_again(
    data: Data,
    parameters: Parameters,
    starved: tuple[int, ...],
    settings: Settings,
    iteration: int,
    run: Run,
) -> tuple[Parameters, list[Repair]]:
    """Parameters with the starved components begun again at the rows that are explained worst; and Repairs.

    They are where iterations from there, by `run`, have raised the likelihood. If these do not, or nothing may begin
    again, the parameters stay as they are.
    """
    if not (settings.reseed and settings.rules.free) or len(starved) == parameters.k:  # then all rows are noise
        return parameters, [Repair(iteration, c, EMPTIED) for c in starved]
    rows, indices, before = data.worst(parameters, len(starved), settings.n_threads)
    moved, left = starved[: len(rows)], starved[len(rows) :]
    begun = at_rows(rows, parameters, list(starved), settings.rules.floor(data.d))
    gain = LEAST_GAIN * max(1.0, abs(before))
    ahead = run(
        data,
        Stage.first(begun),
        # Iterations that gain less than their share will not do it: often the component lost its row at once.
        settings._replace(max_iter=LOOK_AHEAD, tol=gain / LOOK_AHEAD, stop="change", reseed=False),
        lambda stage: stage.lower_bound > before + gain,
    )
    if not ahead.lower_bound > before + gain:
        return parameters, [Repair(iteration, c, EMPTIED) for c in starved]
    cause = "no row belonged to it, and it began again at row {}"
    repairs = [Repair(iteration, c, cause.format(row), int(row)) for c, row in zip(moved, indices, strict=True)]
    return ahead.parameters, repairs + [Repair(iteration, c, EMPTIED) for c in left]


def at_rows(rows: Rows, parameters: Parameters, starved: list[int], least: Array) -> Parameters:
    """Parameters with the starved components at those rows (m,d), of the mean weight and covariance of those that are
    not; if there are fewer rows, the last ones stay as they are."""
    family, k, moved = parameters.family, parameters.k, starved[: len(rows)]
    means, covariances = parameters.means.copy(), family.keep(parameters.covariances.copy(), starved, None)
    covariances = family.keep(covariances, starved[len(rows) :], parameters.covariances)
    weights = parameters.weights * (1 - len(moved) / k)
    weights[moved], means[moved] = 1 / k, rows
    return Parameters.held(family, weights / weights.sum(), means, covariances, least).beside(parameters.noise)
