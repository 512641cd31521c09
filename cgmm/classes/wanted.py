"""What a classifier's arguments ask for, and fits of the mixtures that it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from cgmm import errors
from cgmm.errors import DegenerateError, DegenerateWarning
from cgmm.fit import fitting, report
from cgmm.fit.request import request_of
from cgmm.fit.state import State
from cgmm.gmm import GMM

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from cgmm.classes.given import Some
    from cgmm.types import CovarianceType


class Wanted(NamedTuple):
    """What a classifier's arguments ask for, checked.

    shared : whether the classes are the components of one mixture
    sizes : numbers of components of a class;  families : names;  of several that of the best criterion is chosen
    criterion : "bic" or "cv";  seed : of all that is drawn
    arguments : of each GMM, with the seed as random_state
    """

    shared: bool
    sizes: Sequence[int]
    families: Sequence[CovarianceType]
    criterion: str
    seed: int
    arguments: Mapping[str, Any]

    def model(self, k: int, family: CovarianceType, **others: Any) -> GMM:
        return GMM(k, covariance_type=family, **{**self.arguments, **others})


def fitted(model: GMM, some: Some) -> GMM:
    """That model, fitted; it does not warn."""
    asked = request_of(model)
    last = model._learnt() if asked.warm_start else None
    last = last if isinstance(last, State) else None
    return model._with(fitting.fit(asked, some.rows, some.weights, last, some.labels))


def warn_of(wanted: Wanted, state: State, where: str) -> None:
    """Of what a fit has to say; where : begins what is said."""
    assert state.settings is not None  # it was fitted
    for text, category in report.faults(state.fit, state.settings, state.names):
        if category is not DegenerateWarning or wanted.arguments["on_degenerate"] == "warn":
            errors.warn(f"{where}{text}", category)


def check_degenerate(state: State, where: str = "") -> None:
    """DegenerateError of what is degenerate in a fit; where : begins what is said."""
    assert state.settings is not None  # it was fitted
    try:
        report.check_degenerate(state.fit, state.settings, state.names)
    except DegenerateError as error:
        raise DegenerateError(f"{where}{error}") from None
