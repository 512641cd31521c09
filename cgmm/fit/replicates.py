"""Replicates of a fit: EM from its parameters on rows, or weights of rows, that are drawn again and again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from cgmm.config import threads
from cgmm.em import problems as compiled
from cgmm.em.abreast import answered
from cgmm.em.problems import Solutions, Start, Task
from cgmm.fit import fitting
from cgmm.fit.batches import VALUES, WORK
from cgmm.fit.state import State
from cgmm.mixture import products
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.transform import freed
from cgmm.rows.evaluation import criteria_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from cgmm.em.settings import Settings
    from cgmm.fit.request import Request
    from cgmm.rows.part import Part
    from cgmm.types import Array, Labels

# A replicate ends when less than this is left to gain of the log-likelihood of all rows. That moves no parameter by
# more than a tenth of its standard error: the log-likelihood falls by z²/2, z standard errors away.
LEFT = 0.005

Draw: TypeAlias = "Callable[[int], Sequence[Part]]"  # of so many replicates, their rows and weights


class Original(NamedTuple):
    """A fit that is replicated, and what its M-steps obeyed: replicates obey the same floor, and the same reg_covar.

    asked : the request, of which a warm start is made;  settings : of a replicate, its rules known
    """

    parameters: Parameters
    asked: Request
    settings: Settings


def original_of(asked: Request, prepared: fitting.Prepared, parameters: Parameters) -> Original:
    """The fit of prepared rows, as the request has it."""
    settings = fitting.settled(asked, prepared)
    rules = settings.rules._replace(relative=False)
    settings = settings._replace(rules=rules)
    return Original(parameters, asked._replace(settings=settings, warm_start=True), settings)


class Replicates:
    """m fits from the parameters of one, in arrays.

    solutions : of all, components as EM left them;  noise : (m,) the weight of the noise component
    errors : of a replicate's index: why it has no fit
    """

    def __init__(self, original: Original, m: int, criteria: bool = False) -> None:
        """criteria : whether log-likelihoods at the end are wanted"""
        parameters, settings = original.parameters, original.settings
        family, k, d = parameters.family, parameters.k, parameters.d
        self.original, self.criteria = original, criteria
        self.solutions = Solutions.empty(m, family, k, d)
        self.noise = np.full(m, np.nan)
        self.errors: dict[int, str] = {}
        self._task = Task.of(settings, family, k, d, criteria) if parameters.compiled else None
        self._uniforms = np.zeros((1, compiled.uniforms_needed(k)))

    def run(self, draw: Draw, values: int) -> None:
        """Fit all replicates; values : of rows or weights that one of them has to itself."""
        d, k = self.original.parameters.d, self.original.parameters.k
        m = len(self.noise)
        at_once = max(1, min(VALUES, WORK // (k * d)) // max(1, values))
        for start in range(0, m, at_once):
            which = slice(start, min(m, start + at_once))
            self._solve(which, draw(which.stop - start))

    @property
    def log_likelihoods(self) -> Array:
        """(m,) of all rows, at the end."""
        return np.ldexp(self.solutions.log_likelihood, self.solutions.exponent)

    @property
    def masses(self) -> Array:
        """(m,k) the weight of the rows of each component."""
        return np.ldexp(self.solutions.n_k, self.solutions.exponent[:, np.newaxis])

    def _solve(self, which: slice, parts: Sequence[Part]) -> None:
        out, original = self.solutions.part(which), self.original
        left: Sequence[int] = range(len(parts))
        if self._task is not None:
            start = Start.at(original.parameters, original.settings.rules)
            rows, weights = [part.rows for part in parts], [part.weights for part in parts]
            n_threads = threads(original.settings.n_threads)
            compiled.solve(self._task, rows, weights, self._uniforms, out, n_threads, start)
            left = np.flatnonzero(out.status).tolist()
            self.noise[which] = 0.0
        for at in left:
            self._alone(which.start + at, parts[at])

    def _alone(self, i: int, part: Part) -> None:
        """One replicate, fitted as GMM.fit continues a fit."""
        out, original, asked = self.solutions, self.original, self.original.asked
        try:
            prepared = fitting.prepare(part.rows, part.weights, asked, asked.k, np.random.default_rng(0))
            least = original.settings.rules.floor(original.parameters.d)
            prepared = prepared._replace(least=least, noise=original.parameters.noise)
            last = State.given(original.parameters)
            fit = answered(fitting.search(asked, prepared, np.random.default_rng(0), last)).best
        except ValueError as error:
            self.errors[i] = str(error)
            return
        parameters = fit.parameters
        out.weights[i], out.means[i] = parameters.weights, parameters.means
        out.covariances[i], out.roots[i] = parameters.covariances, parameters.root
        out.n_iter[i], out.converged[i], out.exponent[i] = len(fit.lower_bounds), fit.converged, 0
        if fit.masses is not None:
            out.n_k[i] = fit.masses
        self.noise[i] = 0.0 if parameters.noise is None else parameters.noise.weight
        if self.criteria:
            found = criteria_of(prepared.data, parameters, asked.n_threads)
            out.log_likelihood[i] = found.log_likelihood

    def align(self) -> None:
        """Put the components of each replicate in the order of those of the original that they are nearest to.

        Those of the smallest sum of Bhattacharyya distances are taken for each other.
        """
        known = np.isfinite(self.solutions.weights).all(axis=1)
        costs = self._distances(np.flatnonzero(known))
        own = costs.argmin(axis=2) == np.arange(costs.shape[1])
        from scipy.optimize import linear_sum_assignment  # slow to import

        for at in np.flatnonzero(~own.all(axis=1)).tolist():
            order = linear_sum_assignment(costs[at].T)[1]
            self._reorder(int(np.flatnonzero(known)[at]), order)

    def _distances(self, which: Labels) -> Array:
        """Of each component of some replicates to each of the original, (·,k,k)."""
        original, k = self.original.parameters.beside(None), self.original.parameters.k
        at_once, found = max(1, VALUES // max(1, self.solutions.roots[0].size)), [np.empty((0, k, k))]
        for start in range(0, len(which), at_once):
            some = which[start : start + at_once]
            logs = products.bhattacharyya_components(original, self._together(some))
            found.append(-logs.T.reshape(len(some), k, k))
        return np.concatenate(found)

    def _together(self, which: Labels) -> Parameters:
        """The components of some replicates as those of one mixture."""
        family, out = self.original.parameters.family, self.solutions
        if family.per_component:
            values = (array[which] for array in (out.weights, out.means, out.covariances, out.roots))
            weights, *others = (array.reshape(-1, *array.shape[2:]) for array in values)
            return Parameters(family, weights, *others)
        each = [freed(self.parameters(i)) for i in which.tolist()]
        names = ("weights", "means", "covariances", "root")
        return Parameters(each[0].family, *(np.concatenate([getattr(one, name) for one in each]) for name in names))

    def parameters(self, i: int) -> Parameters:
        """Those of a replicate, without its noise."""
        out = self.solutions
        family = self.original.parameters.family
        return Parameters(family, out.weights[i], out.means[i], out.covariances[i], out.roots[i])

    def _reorder(self, i: int, order: Labels) -> None:
        taken, out = self.parameters(i).taken(order), self.solutions
        out.weights[i], out.means[i] = taken.weights, taken.means
        out.covariances[i], out.roots[i] = taken.covariances, taken.root
