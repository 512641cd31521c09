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


DECAY = 0.7  # The learning_decay of mixtures, as of GMM.


class Wanted(NamedTuple):
    """What a classifier's arguments ask for, checked.

    shared : whether the classes are the components of one mixture
    sizes : numbers of components of a class;  families : names;  of several that of the best criterion is chosen
    criterion : "bic" or "cv";  seed : of all that is drawn
    arguments : of each GMM, with the seed as random_state;  streaming : those of a stream, the half-life among them
    """

    shared: bool
    sizes: Sequence[int]
    families: Sequence[CovarianceType]
    criterion: str
    seed: int
    arguments: Mapping[str, Any]
    streaming: Mapping[str, Any]

    def model(self, k: int, family: CovarianceType, **others: Any) -> GMM:
        return GMM(k, covariance_type=family, **{**self.arguments, **others})

    @property
    def chosen(self) -> bool:
        """Whether there is one number of components and one family, and nothing to choose."""
        return len(self.sizes) == len(self.families) == 1

    def streamed(self, k: int, family: CovarianceType, **others: Any) -> GMM:
        """A mixture that learns from a stream: where each component is a class, none of whose rows is to be forgotten,
        its steps add up the statistics of all rows."""
        decay = self.streaming["learning_decay"]
        if decay is None:
            decay = 1.0 if self.shared or k == 1 else DECAY
        return self.model(k, family, **{**self.streaming, "learning_decay": decay}, **others)

    def kept(self, weight: float) -> float:
        """The share of what is remembered that is left after rows of this weight."""
        half_life = self.streaming["forget"]
        return 1.0 if half_life is None else float(2.0 ** (-weight / half_life))


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
