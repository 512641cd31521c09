"""A fit of few rows in one compiled call, where nothing but the rows says what it is to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgmm.em import ordinary, problems
from cgmm.em.problems import Solutions, Task
from cgmm.em.stage import Fit
from cgmm.mixture.parameters import Parameters

if TYPE_CHECKING:
    import numpy as np

    from cgmm.em.settings import Settings
    from cgmm.fit.request import Request
    from cgmm.rows.data import Data


def plain_fit(asked: Request, data: Data, settings: Settings, rng: np.random.Generator) -> Fit | None:
    """The fit of a first start by k-means, which nobody watches: bit for bit what starts.start and em.run make.

    None where it does not apply, or where something has to be decided: then the generator is as it was.
    """
    part = data.at_hand()
    if part is None or part.labels is not None or not asked.plain:
        return None
    family, k = asked.family, asked.k
    task = Task.of(settings, family, k, data.d)
    if task is None or data.n >= task.rows_below:
        return None
    before = rng.bit_generator.state
    out = Solutions.empty(1, family, k, data.d)
    bounds = problems.solve(
        task, [part.rows], [part.weights], problems.uniforms(task, rng), out, data.threads(settings.n_threads)
    )
    if out.status[0] or bounds is None:
        rng.bit_generator.state = before
        return None
    data.count_passes(int(out.passes[0]))
    held = out.held[0] or ()
    return Fit(
        parameters=Parameters(family, out.weights[0], out.means[0], out.covariances[0], out.roots[0]),
        lower_bounds=bounds,
        converged=bool(out.converged[0]),
        n_k=out.n_k[0],
        repairs=ordinary.with_held((), held, 0),
        singular=ordinary.held_at_the_end(held, len(bounds)),
        exponent=data.exponent,
    )
