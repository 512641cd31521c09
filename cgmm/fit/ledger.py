"""What became of many fits, in arrays that hold all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from cgmm.em import ordinary
from cgmm.em.stage import Fit
from cgmm.em.stepwise import Memory
from cgmm.fit.leaning import each_leans, leans
from cgmm.fit.restarts import Restart
from cgmm.fit.state import State
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cgmm.em.settings import Settings
    from cgmm.fit.request import Request
    from cgmm.mixture.criteria import Criteria
    from cgmm.mixture.families import Family
    from cgmm.types import Array, Labels, Mask, Names

# The arrays, by what they hold where a problem has no fit, and what a component has that a problem lacks.
NUMBERS = ("log_likelihood", "aic", "bic", "reg_covar", "eps")  # (m,), NaN
COUNTS = ("n_iter", "n_components", "exponent", "passes")  # (m,), zero
OF_COMPONENTS = ("weights", "n_k", "means", "covariances", "root")  # (m, …), NaN; but weights of zero


class Outcome(NamedTuple):
    """What became of a problem.

    state : of its fit, or None where there is none;  criteria : of that, or None of a posterior
    told : what GMM.fit would have warned of;  leans : whether reg_covar is much of a variance
    error : why there is no fit
    """

    state: State | None = None
    criteria: Criteria | None = None
    told: tuple[tuple[str, type[Warning]], ...] = ()
    leans: bool = False
    error: ValueError | TypeError | None = None

    def rank(self, criterion: str) -> tuple[bool, int, float]:
        """The smallest is the best of several fits of the same rows; as in cgmm.select, one with a component that is
        degenerate, or would be without reg_covar, only if there is no other."""
        if self.state is None:
            return True, 0, np.inf
        fit = self.state.fit
        value = -fit.lower_bound if self.criteria is None else getattr(self.criteria, criterion)
        return False, bool(fit.degenerate) + self.leans, value


class Ledger:
    """The fits of m problems, of up to k components each, entered as they end.

    A fit is a row of the arrays, of which its State is made when somebody asks for it. What the arrays have no place
    for (further starts, a prior, repairs that are not `held`) is kept as it is.

    family : of all;  n_iter, converged, … (m,): see cgmm.fits.Fits
    weights, n_k : (m,k);  means : (m,k,d);  covariances, root : (m, …) as the family has them
    least : (m,d) and reg_covar (m,): what the M-steps obeyed;  exponent, passes, eps : (m,) as of Fit and State
    history : the mean log-likelihoods of each fit's iterations;  names : of each problem's features, or None
    errors, told : of a problem's index: why it has no fit, and what GMM.fit would have warned of
    held : of the index of one that is no State's: see cgmm.em.problems.Solutions
    """

    arrays: ClassVar[tuple[str, ...]] = (*OF_COMPONENTS, *NUMBERS, *COUNTS, "least", "converged")  # all but the history
    log_likelihood: Array
    aic: Array
    bic: Array
    reg_covar: Array
    eps: Array
    n_iter: Labels
    n_components: Labels
    exponent: Labels
    passes: Labels
    means: Array
    covariances: Array
    root: Array
    least: Array

    def __init__(self, m: int, k: int, family: Family, requests: Sequence[Request] = ()) -> None:
        """requests : that were fitted; none if the fits come from a file"""
        self.k, self.family = k, family
        self._settings = {asked.k: asked.settings for asked in requests}
        self._kind = requests[0].first_kind if requests else ""
        self.weights, self.n_k = np.full((m, k), np.nan), np.full((m, k), np.nan)
        for name in NUMBERS:
            setattr(self, name, np.full(m, np.nan))
        for name in COUNTS:
            setattr(self, name, np.zeros(m, dtype=np.intp))
        self.converged: Mask = np.zeros(m, dtype=bool)
        self.history: list[Array] = [np.empty(0)] * m
        self.names: list[Names | None] = [None] * m
        self.errors: dict[int, str] = {}
        self.told: dict[int, tuple[str, ...]] = {}
        self.held: dict[int, tuple[tuple[int, int], ...]] = {}
        self._kept: dict[int, State] = {}
        self.make_room(0)

    def make_room(self, d: int) -> None:
        """For problems of d features, of which nothing was entered yet."""
        m, k = self.weights.shape
        self.means, self.least = np.full((m, k, d), np.nan), np.full((m, d), np.nan)
        self.covariances, self.root = (np.full((m, *self.family.shape(k, d)), np.nan) for _ in range(2))

    @property
    def d(self) -> int:
        """The number of features; 0 as long as there is no fit."""
        return self.means.shape[2]

    def adopt(self, **arrays: Any) -> None:
        """Arrays of all problems, by their names."""
        vars(self).update(arrays)

    def enter(self, i: int, found: Outcome) -> None:
        """What became of the i-th problem."""
        if found.state is None:
            self.errors[i] = str(found.error)
            return
        state, fit, parameters = found.state, found.state.fit, found.state.fit.parameters
        assert state.settings is not None  # it was fitted
        rules = state.settings.rules
        if not self.d:
            self.make_room(parameters.d)
        self.weights[i] = 0.0
        values = (parameters.weights, fit.n_k, parameters.means, parameters.covariances, parameters.root)
        for own, value in zip(self.of(i, parameters.k), values, strict=True):
            if value is not None:
                own[...] = value
        if found.criteria is not None:
            self.log_likelihood[i], self.aic[i], self.bic[i], _ = found.criteria
        self.converged[i], self.n_iter[i], self.n_components[i] = fit.converged, state.n_iter, parameters.k
        self.exponent[i], self.passes[i], self.eps[i] = fit.exponent, state.passes, state.eps
        self.least[i], self.reg_covar[i] = rules.floor(parameters.d), rules.reg_covar
        self.history[i], self.names[i] = fit.lower_bounds, state.names
        self.tell(i, found.told)
        if len(state.restarts) > 1 or fit.repairs or fit.starved or rules.prior is not None:
            self._kept[i] = state

    def tell(self, i: int, told: Iterable[tuple[str, type[Warning]]]) -> None:
        """What GMM.fit would have warned of."""
        texts = tuple(text for text, _ in told)
        if texts:
            self.told[i] = texts

    def take(self, places: Labels, other: Ledger, rows: Labels) -> None:
        """The fits of some problems from another ledger of one number of components, which has kept none."""
        k = other.k
        for name in OF_COMPONENTS:
            own, found = getattr(self, name), getattr(other, name)[rows]
            if self._has_components(name):
                own[places, :k] = found
            else:
                own[places] = found
        self.weights[places, k:] = 0.0
        for name in (*NUMBERS, *COUNTS, "least", "converged"):
            getattr(self, name)[places] = getattr(other, name)[rows]
        for i, row in zip(places.tolist(), rows.tolist(), strict=True):
            self.history[i], self.names[i] = other.history[row], other.names[row]
            if row in other.held:
                self.held[i] = other.held[row]

    def state(self, i: int) -> State:
        """The State of the i-th problem, which has a fit."""
        if i in self._kept:
            return self._kept[i]
        k, history, converged = int(self.n_components[i]), self.history[i], bool(self.converged[i])
        parameters, n_k = self.parameters(i), self.n_k[i, :k]
        if not self._settings:
            return State(Fit(parameters, history, converged), self.names[i], memory=self._memory(i, parameters, n_k))
        settings = self._settings[k]
        held = self.held.get(i, ())
        fit = Fit(
            parameters=parameters,
            lower_bounds=history,
            converged=converged,
            n_k=n_k if len(history) else None,
            repairs=ordinary.with_held((), held, 0),
            singular=ordinary.held_at_the_end(held, len(history)),
            exponent=int(self.exponent[i]),
        )
        return State(
            fit=fit,
            names=self.names[i],
            restarts=(Restart(self._kind, fit.lower_bound, len(history), converged, True, history),),
            passes=int(self.passes[i]),
            settings=self._settled(i, settings),
            eps=float(self.eps[i]),
        )

    def holds(self, i: int) -> bool:
        """Whether a covariance of the i-th problem is held from below at the end; only of one that is no State's."""
        return bool(ordinary.held_at_the_end(self.held.get(i, ()), int(self.n_iter[i])))

    def parameters(self, i: int) -> Parameters:
        """Those of the i-th problem, which has a fit."""
        weights, _, *values = self.of(i, int(self.n_components[i]))
        return Parameters(self.family, weights, *values)

    def remembers(self, i: int) -> bool:
        """Whether all that the rows' statistics follow from is in the arrays."""
        state = self._kept.get(i)
        prior = None if state is None or state.settings is None else state.settings.prior
        return prior is None and not np.isnan(self.n_k[i]).all()

    def _memory(self, i: int, parameters: Parameters, n_k: Array) -> Memory | None:
        """What is known of the rows of a fit that comes from a file."""
        if np.isnan(n_k).any():
            return None
        rules = self._rules(i, Rules())
        statistics = parameters.statistics(n_k, rules, int(self.exponent[i]))
        return Memory(
            statistics=statistics,
            seen=statistics.weight,
            iterations=int(self.n_iter[i]),
            batches=0,
            least=self.least[i],
            eps=float(self.eps[i]),
        )

    def _settled(self, i: int, settings: Settings) -> Settings:
        """The settings of the i-th fit, once its rows are known."""
        return settings._replace(rules=self._rules(i, settings.rules))

    def _rules(self, i: int, rules: Rules) -> Rules:
        return rules._replace(least=self.least[i], reg_covar=float(self.reg_covar[i]))

    def of(self, i: int, k: int) -> list[Any]:
        """Of OF_COMPONENTS the views that belong to the k components of a problem."""
        arrays = (getattr(self, name)[i] for name in OF_COMPONENTS)
        return [array[:k] if self._has_components(name) else array
                for name, array in zip(OF_COMPONENTS, arrays, strict=True)]  # fmt: skip

    def _has_components(self, name: str) -> bool:
        """Whether an array has an axis of components; tied covariances have none, others that are shared have one."""
        return name not in ("covariances", "root") or self.family.shape(1, 1) != self.family.shape(2, 1)

    def leans(self, i: int) -> bool:
        """As Search.leans, of the i-th problem; False where it has no fit."""
        masses = np.ldexp(self.n_k[i], self.exponent[i])
        return leans(self.family, self.root[i], masses, self.d, float(self.reg_covar[i]))

    def leaning(self) -> Mask:
        """The same of all problems, which have as many components, (m,)."""
        masses = np.ldexp(self.n_k, self.exponent[:, np.newaxis])
        return each_leans(self.family, self.root, masses, self.d, self.reg_covar)

    def variances(self) -> Array:
        """Of each feature in each component, (m,k,d)."""
        (m, k), d, family = self.weights.shape, self.d, self.family
        if family.per_component:
            stacked = self.covariances.reshape(m * k, *self.covariances.shape[2:])
            return family.variances(stacked, m * k, d).reshape(m, k, d)
        return np.array([family.variances(own, k, d) for own in self.covariances]).reshape(m, k, d)

    def close(self) -> None:
        """Nothing is entered from now on."""
        for array in filter(lambda value: isinstance(value, np.ndarray), vars(self).values()):
            array.flags.writeable = False
