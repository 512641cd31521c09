"""What an estimator with a mixture holds: the State of its last fit, or parts that a user has assigned."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast

from cgmm import errors
from cgmm.diagnostics import Diagnostics
from cgmm.fit.state import Assigned, Gathered, State
from cgmm.framing import Framing
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.parts import Parts
from cgmm.protocol import seen_names
from cgmm.rows.evaluation import Asked, Evaluations
from cgmm.rows.open import open_rows
from cgmm.validation import check_choice, check_component_names, check_missing, check_threads

if TYPE_CHECKING:
    from cgmm.types import Array, ArrayLike, Missing, Names

T = TypeVar("T")
PART = {"weights": "shares"}  # What of parameters is read as a part of the mixture, where it is not of its name.


def reads(read: Callable[[Any], T]) -> T:
    """A property, of the type that it reads."""
    return cast(T, property(read))


def part(name: str) -> Any:
    """A part of the mixture, which can be assigned."""

    def assign(self: Holding, value: ArrayLike) -> None:
        self._assign(name, value)

    return property(lambda self: self._read(name), assign)


class Holding(Framing):
    """An estimator whose fit leaves a State. A verb reads it once, so that a fit in another thread does not matter.

    The State is also made of parts that a user assigns (``model.means_ = …``), once they make a mixture: `Assigned`.
    """

    covariance_type: Any
    missing: Missing
    n_threads: int | None
    _state: State | Gathered | Assigned

    weights_: Array = reads(lambda self: self._parameters.shares)
    noise_weight_: float = reads(lambda self: noise.weight if (noise := self._parameters.noise) else 0.0)
    means_: Array = reads(lambda self: self._parameters.means)
    covariances_: Array = reads(lambda self: self._parameters.covariances)
    precisions_: Array = reads(lambda self: self._parameters.precisions)
    precisions_cholesky_: Array = reads(lambda self: self._parameters.precisions_cholesky)
    n_features_in_: int = reads(lambda self: self._parameters.d)
    converged_: bool = reads(lambda self: self._fitted().fit.converged)
    n_iter_: int = reads(lambda self: self._fitted().n_iter)
    lower_bound_: float = reads(lambda self: self._fitted().fit.lower_bound)
    lower_bounds_: Array = reads(lambda self: self._fitted().fit.lower_bounds)
    _parameters: Parameters = reads(lambda self: self._fitted().fit.parameters)
    _mixture: Parameters = reads(lambda self: self._parameters.point.normals)  # what is asked as a distribution

    @property
    def feature_names_in_(self) -> Names:
        return seen_names(self._fitted().names)

    @property
    def component_names_(self) -> tuple[str, ...]:
        """The names of the components (k,), which can be assigned after a fit: summaries, frames, pictures and files
        have them. Without any they are component_0, component_1 and so on.

        Examples
        --------
        >>> from cgmm import GMM
        >>> X = [[0.0], [1.0], [9.0], [10.0]]
        >>> model = GMM(2, random_state=0).fit(X)
        >>> model.component_names_ = ["high", "low"]
        >>> model.component_names_
        ('high', 'low')
        """
        return self._fitted().component_titles

    @component_names_.setter
    def component_names_(self, names: Iterable[str] | None) -> None:
        state = self._fitted()
        self._state = state._replace(component_names=check_component_names(names, state.fit.parameters.k))

    @property
    def diagnostics_(self) -> Diagnostics:
        state = self._fitted()
        return Diagnostics(state.fit, state.restarts, state.winner, state.passes)

    n_parameters_: int = reads(lambda self: self._parameters.n_parameters)

    def _assign(self, name: str, value: ArrayLike) -> None:
        """Replace a part of the mixture; the estimator changes only if that is a part of one."""
        family = check_choice("covariance_type", self.covariance_type, FAMILIES)
        state = vars(self).get("_state")
        if isinstance(state, State):
            state = Assigned(Parts.of(state.fit.parameters.point.normals), state.names)
        elif not isinstance(state, Assigned):
            state = Assigned()
        self._state = state.with_part(name, value, family)

    def _read(self, name: str) -> Array:
        """A part of the mixture, or of what has been assigned of one."""
        state = vars(self).get("_state")
        assigned = getattr(state.parts, name) if isinstance(state, Assigned) else None
        return getattr(self._parameters, PART.get(name, name)) if assigned is None else assigned

    def _learnt(self) -> State | Gathered | None:
        """What learning goes on from, if there is anything; NotFittedError if that is half assigned."""
        state = vars(self).get("_state")
        return self._fitted() if isinstance(state, Assigned) else state

    def __sklearn_is_fitted__(self) -> bool:
        return isinstance(vars(self).get("_state"), State)

    def _fitted(self) -> State:
        """The State of the last fit: a verb reads it once, so that a fit in another thread does not matter."""
        state = vars(self).get("_state")
        if not isinstance(state, State):
            raise errors.not_fitted(self, state.parts.fault() if isinstance(state, Assigned) else "")
        return state

    def _as_mixture(self) -> State:
        """The State of the last fit, with a mixture in the place of what is believed of one."""
        state = self._fitted()
        return state._replace(fit=replace(state.fit, parameters=state.fit.parameters.point))

    def _evaluations(
        self,
        X: Any,
        sample_weight: Any = None,
        state: State | None = None,
        some: bool = True,
        gaps: bool = False,
        errors: Any = None,
    ) -> Evaluations:
        """Rows beside the parameters of that state, or of the last fit.

        They may have gaps if the model allows them or `gaps`; `some` of their weights are to be positive.
        """
        asked = self._asked(state or self._fitted(), gaps)
        return open_rows(X, sample_weight, asked.gaps, errors=errors).evaluations(asked, some)

    def _asked(self, state: State, gaps: bool = False) -> Asked:
        """The mixture of a state, as rows are put beside it."""
        gaps = check_missing(self.missing) or gaps
        return Asked(state.fit.parameters, state.names, check_threads(self.n_threads), gaps, type(self).__name__)

    def _with(self, state: State) -> Self:
        """Itself, of that state."""
        self._state = state
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = self.missing == "marginal"
        return tags
