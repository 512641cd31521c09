"""What a model's arguments ask for: everything that can be checked without rows, checked once."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from cgmm.em.settings import Settings
from cgmm.errors import InvalidParameterError
from cgmm.fit import starts
from cgmm.mixture import checks
from cgmm.mixture.beliefs import Beliefs, check_beliefs
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.laws import PRECISION_LAWS
from cgmm.mixture.prior import check_prior
from cgmm.mixture.rules import Rules
from cgmm.rows.checks import largest_of
from cgmm.validation import (
    check_callback,
    check_choice,
    check_count,
    check_flag,
    check_missing,
    check_path,
    check_positive,
    check_random_state,
    check_real,
    check_threads,
    check_verbose,
)

if TYPE_CHECKING:
    from cgmm.em.stage import Callback
    from cgmm.fit.starts import Method
    from cgmm.mixture.families import Family
    from cgmm.mixture.prior import Prior
    from cgmm.types import Array, Starts, Stop

RELATIVE = "relative"  # A reg_covar that is a share of the rows' variances.
UNIFORM = "uniform"  # A noise component whose density is one over the volume of a box that holds all rows.
SMALLEST_DENSITY = sys.float_info.min  # A smaller density of noise has lost its digits, or is none.
STOPS: dict[str, Stop] = {"change": "change", "distance": "distance"}
ON_DEGENERATE = {name: name for name in ("warn", "repair", "raise")}


class Arguments(Protocol):
    """The constructor's arguments that all models have, as a user has set them."""

    n_components: Any
    covariance_type: Any
    tol: Any
    reg_covar: Any
    max_iter: Any
    n_init: Any
    init_params: Any
    random_state: Any
    warm_start: Any
    verbose: Any
    verbose_interval: Any
    responsibilities_init: Any
    on_degenerate: Any
    missing: Any
    n_threads: Any
    callback: Any
    checkpoint: Any
    checkpoint_interval: Any

    def get_params(self, deep: bool = True) -> dict[str, Any]: ...


class PointArguments(Arguments, Protocol):
    """Those of cgmm.GMM."""

    stop: Any
    accelerate: Any
    noise_component: Any
    weights_init: Any
    means_init: Any
    precisions_init: Any
    fixed: Any
    prior: Any
    learning_decay: Any
    learning_rows: Any
    forget: Any


class BayesianArguments(Arguments, Protocol):
    """Those of cgmm.BayesianGMM."""

    weight_concentration_prior_type: Any
    weight_concentration_prior: Any
    mean_precision_prior: Any
    mean_prior: Any
    degrees_of_freedom_prior: Any
    covariance_prior: Any


class Given(NamedTuple):
    """What a user gives of the start, not checked: that needs the rows' features.

    responsibilities : or labels, of all rows, or None;  function : init_params is one, which needs all rows
    """

    weights: Any = None
    means: Any = None
    precisions: Any = None
    responsibilities: Any = None
    function: bool = False

    @property
    def any(self) -> bool:
        """Whether anything is given."""
        return self.function or not all(value is None for value in self[:4])

    def parameters(self, family: Family, k: int, n: int, d: int) -> dict[str, Array]:
        """Weights, means and covariances by name, those that are given, checked; NaN where unknown."""
        return checks.check_given(family, k, d, self.weights, self.means, self.precisions, largest_of(n, d))


class Learning(NamedTuple):
    """How fast a stream is forgotten, see cgmm.em.stepwise.Rates: rows and half_life are None by default."""

    decay: float = 0.7
    rows: float | None = None
    half_life: float | None = None


class Watching(NamedTuple):
    """Who looks on: see cgmm.fit.report.Reporter."""

    verbose: int
    interval: int
    callback: Callback | None


class Keeping(NamedTuple):
    """The file in which a fit keeps what it has done, how often, and the arguments that tell it from another fit."""

    path: str | os.PathLike[str]
    interval: int
    arguments: Mapping[str, Any]


class Request(NamedTuple):
    """What a model's arguments ask for, checked as far as that can be done without rows.

    settings : of EM, without a prior or least variances
    prior : of parameters whose maximum is to be found;  beliefs : of those of which a posterior is to be found, or None
    first_kind : the name of init_params, whose method comes with it;  kinds : methods of further starts, by their names
    noise : None, UNIFORM or a density
    given : of the start;  gaps : whether NaN is a missing value;  seed : random_state, of which `generator` makes one
    """

    settings: Settings
    k: int
    family: Family
    first_kind: str
    method: Method
    kinds: Mapping[str, Method]
    given: Given
    n_init: Starts
    warm_start: bool
    noise: str | float | None
    gaps: bool
    on_degenerate: str
    seed: Any
    watching: Watching
    keeping: Keeping | None
    prior: Prior | None = None
    beliefs: Beliefs | None = None
    learning: Learning = Learning()

    @property
    def n_threads(self) -> int | None:
        return self.settings.n_threads

    @property
    def plain(self) -> bool:
        """Whether the first start of a fit of parameters without noise is k-means of the rows, and nothing of it is
        given."""
        known = self.beliefs is None and self.noise is None
        return known and self.method is starts.METHODS["kmeans"] and not self.given.any

    def generator(self) -> np.random.Generator:
        """A generator of random numbers, which begins as the user's random_state says."""
        return check_random_state(self.seed)


def request_of(model: PointArguments) -> Request:
    """The Request of a GMM; ValueError or TypeError names the argument that cannot be used."""
    k = _size(model.n_components)
    family = check_choice("covariance_type", model.covariance_type, FAMILIES)
    noise = _noise(model.noise_component)
    asked = _request_of(model, k, family, settings_of(model, family, k), noise)
    given = asked.given._replace(weights=model.weights_init, means=model.means_init, precisions=model.precisions_init)
    return asked._replace(given=given, prior=check_prior(model.prior, asked.family), learning=_learning(model))


def bayesian_request_of(model: BayesianArguments) -> Request:
    """The Request of a BayesianGMM; ValueError or TypeError names the argument that cannot be used."""
    k = _size(model.n_components)
    family = FAMILIES[check_choice("covariance_type", model.covariance_type, {name: name for name in PRECISION_LAWS})]
    asked = _request_of(model, k, family, _steered(model))
    return asked._replace(beliefs=check_beliefs(model))


def _request_of(
    model: Arguments, k: int, family: Family, settings: Settings, noise: str | float | None = None
) -> Request:
    """What all models ask for."""
    first_kind, method = _method(model.init_params, noise is not None)
    return Request(
        settings=settings,
        k=k,
        family=family,
        first_kind=first_kind,
        method=method,
        kinds=starts.KINDS if first_kind == "kmeans" else {first_kind: method},
        given=Given(responsibilities=model.responsibilities_init, function=callable(model.init_params)),
        n_init=_starts(model.n_init),
        warm_start=check_flag("warm_start", model.warm_start),
        noise=noise,
        gaps=check_missing(model.missing),
        on_degenerate=check_choice("on_degenerate", model.on_degenerate, ON_DEGENERATE),
        seed=_seed(model.random_state),
        watching=_watching(model),
        keeping=_keeping(model),
    )


def settings_of(model: PointArguments, family: Family, k: int) -> Settings:
    """The arguments of a GMM that steer EM, checked."""
    settings = _steered(model)
    return settings._replace(
        rules=settings.rules._replace(fixed=checks.check_fixed(model.fixed, family, k)),
        stop=check_choice("stop", model.stop, STOPS),
        accelerate=check_flag("accelerate", model.accelerate),
    )


def _steered(model: Arguments) -> Settings:
    """Those of all models."""
    relative = isinstance(model.reg_covar, str) and model.reg_covar == RELATIVE
    if isinstance(model.reg_covar, str) and not relative:
        raise InvalidParameterError(f"reg_covar must be a number or {RELATIVE!r}, not {model.reg_covar!r}")
    rules = Rules(
        reg_covar=0.0 if relative else check_real("reg_covar", model.reg_covar),
        relative=relative,
        n_threads=check_threads(model.n_threads),
    )
    return Settings(
        rules,
        tol=check_real("tol", model.tol),
        max_iter=check_count("max_iter", model.max_iter, least=0),
    )


def _noise(noise_component: Any) -> str | float | None:
    """noise_component, checked."""
    if noise_component is None or (isinstance(noise_component, str) and noise_component == UNIFORM):
        return noise_component
    if isinstance(noise_component, str):
        raise InvalidParameterError(f"noise_component must be None, {UNIFORM!r} or a density, not {noise_component!r}")
    density = check_positive("noise_component", noise_component)
    if density < SMALLEST_DENSITY:
        least = f"{SMALLEST_DENSITY:g}"
        raise InvalidParameterError(f"noise_component must be a density of at least {least}, not {density:g}")
    return density


def _method(init_params: Any, noise: bool) -> tuple[str, Method]:
    """The name and the method of init_params."""
    if callable(init_params):
        return str(getattr(init_params, "__name__", init_params)), starts.of_function(init_params, noise)
    return init_params, check_choice("init_params", init_params, starts.METHODS)


def _starts(n_init: Any) -> Starts:
    if not isinstance(n_init, str):
        return check_count("n_init", n_init)
    if n_init != "auto":
        raise InvalidParameterError(f"n_init must be an integer or 'auto', not {n_init!r}")
    return "auto"


def _size(n_components: Any) -> int:
    if isinstance(n_components, Iterable) and not isinstance(n_components, str):
        raise InvalidParameterError(
            f"n_components must be an integer, not {n_components!r}: cgmm.select chooses among several"
        )
    return check_count("n_components", n_components)


def _seed(random_state: Any) -> Any:
    """Checked, but not drawn from yet, where drawing would change it."""
    if type(random_state) is int and random_state >= 0:  # most are; to make a generator takes longer than all checks
        return random_state
    stateful = isinstance(random_state, np.random.Generator | np.random.RandomState)
    if not (stateful or random_state is None or random_state is np.random):
        check_random_state(random_state)
    return random_state


def _learning(model: PointArguments) -> Learning:
    rows, half_life = model.learning_rows, model.forget
    return Learning(
        check_real("learning_decay", model.learning_decay, least=0.5, most=1.0),
        None if rows is None else check_real("learning_rows", rows, least=1.0),
        None if half_life is None else check_real("forget", half_life, least=1.0),
    )


def _watching(model: Arguments) -> Watching:
    interval = check_count("verbose_interval", model.verbose_interval)
    return Watching(check_verbose(model.verbose), interval, check_callback(model.callback))


def _keeping(model: Arguments) -> Keeping | None:
    interval = check_count("checkpoint_interval", model.checkpoint_interval)
    path = check_path("checkpoint", model.checkpoint)
    return None if path is None else Keeping(path, interval, model.get_params(deep=False))
