"""What pictures need of a fitted mixture, of how it was learned and of a selection.

Pictures know estimators by these protocols only: whatever has the few attributes can be drawn.
"""

from __future__ import annotations

from inspect import getattr_static
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cgmm.plot.style import component_label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from cgmm.mixture.parameters import Parameters
    from cgmm.rows.evaluation import Evaluation
    from cgmm.types import Array, ArrayLike, Names


class Subject(NamedTuple):
    """What is drawn: a mixture, the names of its features or None, rows beside it or None, and the names of its
    components or None."""

    parameters: Parameters
    names: Names | None
    rows: Evaluation | None
    component_names: Sequence[str] | None = None

    @property
    def labels(self) -> list[str]:
        """Of the components, each with its weight."""
        shares = self.parameters.shares
        titles = self.component_names or range(len(shares))
        return [component_label(title, share) for title, share in zip(titles, shares, strict=True)]


class Mixture(Protocol):
    """A fitted mixture."""

    def _subject(self, X: ArrayLike | None, sample_weight: ArrayLike | None) -> Subject:
        """The mixture as it is now, with checked rows beside it where X is given."""
        ...


class Denoising(Mixture, Protocol):
    """One that tells of true values behind rows."""

    def denoise(self, X: ArrayLike, error_covariances: ArrayLike) -> Any:
        """Their means (n,d)."""
        ...


class Start(Protocol):
    """One of the starts of a fit; `carried` is whether it was carried to its end."""

    @property
    def carried(self) -> bool: ...
    @property
    def lower_bounds(self) -> Array: ...
    @property
    def log_likelihood(self) -> float: ...


class Starts(Protocol):
    """All starts of a fit, and which of them was kept."""

    @property
    def restarts(self) -> Sequence[Start]: ...
    @property
    def winner(self) -> int: ...


class Learned(Protocol):
    """A mixture that tells how its fit went."""

    @property
    def lower_bounds_(self) -> Array: ...
    @property
    def diagnostics_(self) -> Starts: ...


class Candidate(Protocol):
    """One fit of a selection; it also has the criteria `bic`, `aic` and `icl`."""

    @property
    def n_components(self) -> int: ...
    @property
    def covariance_type(self) -> str: ...
    @property
    def warnings(self) -> Sequence[str]: ...


class Joined(Protocol):
    """Two clusters, by their components, that become one."""

    @property
    def first(self) -> tuple[int, ...]: ...
    @property
    def second(self) -> tuple[int, ...]: ...
    @property
    def entropy(self) -> float: ...


class Combined(Protocol):
    """Components that are merged into clusters: how, and the entropy for each number of clusters from one on."""

    @property
    def merges(self) -> Sequence[Joined]: ...
    @property
    def entropies(self) -> Array: ...
    @property
    def n_clusters(self) -> int: ...


class Choice(Protocol):
    """A selection: its fits, the criterion, and which fit is the best."""

    @property
    def table(self) -> Sequence[Candidate]: ...
    @property
    def criterion(self) -> str: ...
    @property
    def winner(self) -> int: ...


def check_drawn(thing: object, attribute: str, what: str) -> None:
    """That a thing has the attribute of `what` a picture is of; TypeError says what it is instead."""
    if getattr_static(thing, attribute, None) is None:
        hint = ": give its mixture_" if getattr_static(thing, "mixture_", None) is not None else ""
        raise TypeError(f"this picture is of {what}, and what was given is a {type(thing).__name__!r} object{hint}")


def subject_of(model: Mixture, X: ArrayLike | None = None, sample_weight: ArrayLike | None = None) -> Subject:
    """What is drawn of a fitted mixture, with checked rows beside it where X is given."""
    check_drawn(model, "_subject", "a fitted GMM or BayesianGMM")
    return model._subject(X, sample_weight)
