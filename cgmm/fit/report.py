"""What a fit says: lines or a bar while it runs, warnings when it ends."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cgmm import errors
from cgmm.em.stage import IterationState
from cgmm.errors import ConvergenceWarning, DegenerateError, DegenerateWarning
from cgmm.fit import doubts
from cgmm.mixture.rules import SINGULAR

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cgmm.em.settings import Settings
    from cgmm.em.stage import Fit, Observer
    from cgmm.fit.request import Watching
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Repair
    from cgmm.rows.data import Data
    from cgmm.types import Names

# A warning lists no more components, or features, than MOST_TOLD and no more causes than MOST_CAUSES, and is no longer
# than MOST_CHARACTERS: more would not be read.
MOST_TOLD, MOST_CAUSES, MOST_CHARACTERS = 8, 2, 300
ADVICE = "Fewer components, a larger reg_covar, a prior or another covariance_type may do better (see on_degenerate)."


def _shown(verbose: int) -> tuple[bool, bool]:
    """Whether there are bars, and whether there are lines."""
    lines = bool(verbose) and (verbose > 1 or find_spec("tqdm") is None)
    return bool(verbose) and not lines, lines


class Progress:
    """Shows how many of some steps are done: a bar or lines as of Reporter."""

    def __init__(self, verbose: int, total: int) -> None:
        bar, self.lines = _shown(verbose)
        self.done, self.total = 0, total
        self.bar: Any = None
        if bar:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=total)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def step(self, name: str, count: int = 1) -> None:
        """So many more are done, the last of which has that name."""
        self.done += count
        if self.lines:
            print(f"{self.done} of {self.total}: {name}")
        if self.bar is not None:
            self.bar.set_description(name, refresh=False)
            self.bar.update(count)


class Reporter:
    """Shows the progress of a fit's restarts and passes it on to the user's callback.

    verbose 1 shows a bar if tqdm is installed; without it, and from 2 on, there are lines.
    """

    def __init__(self, watching: Watching, max_iter: int) -> None:
        verbose, self.interval, self.callback = watching
        self.bars, self.lines = _shown(verbose)
        self.max_iter = max_iter
        self.restart = 0
        self.bar: Any = None

    def resume(self, path: str | os.PathLike[str], finished: int) -> None:
        """The fit goes on from a checkpoint, in which so many starts are finished: these are not run again."""
        if self.lines:
            print(f"Continues from {os.fspath(path)} (finished starts: {finished})")

    def begin(self, restart: int) -> None:
        self.restart = restart
        if self.lines:
            print(f"Start {restart}")
        if self.bars:
            from tqdm.auto import tqdm

            self.bar = tqdm(total=self.max_iter, desc=f"Start {restart}", unit="iteration")

    @property
    def observe(self) -> Observer | None:
        """What is to be called after each iteration; None if nobody looks."""
        watched = self.lines or self.bars or self.callback is not None
        return self._iteration if watched else None

    def _iteration(self, iteration: int, log_likelihood: float, change: float, parameters: Parameters) -> bool:
        """Whether the callback asks to stop."""
        if self.lines and iteration % self.interval == 0:
            print(f"  Iteration {iteration}: {_told(parameters, log_likelihood)} (change {change:.3g})")
        if self.bar is not None:
            objective = {parameters.raises.short: f"{log_likelihood:.6g}"}
            self.bar.set_postfix(**objective, change=f"{change:.1g}", refresh=False)
            self.bar.update()
        if self.callback is None:
            return False
        state = IterationState(iteration, log_likelihood, change, parameters, self.restart)
        return bool(self.callback(state))

    def end(self, fit: Fit) -> None:
        self.close()
        if self.lines:
            how = "converged" if fit.converged else "did not converge"
            print(
                f"Start {self.restart} {how} after {len(fit.lower_bounds)} iterations: "
                f"{_told(fit.parameters, fit.lower_bound)}"
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def _told(parameters: Parameters, objective: float) -> str:
    name, unit, _ = parameters.raises
    return f"{name} is {objective:.8g}{unit}"


def told(repairs: Iterable[Repair]) -> str:
    """Repairs as text, those of one cause together; empty if there are none."""
    causes: dict[str, list[Repair]] = {}
    for repair in sorted(repairs, key=lambda repair: (repair.component, repair.iteration)):
        causes.setdefault(repair.cause, []).append(repair)
    listed = [_of_cause(cause, alike) for cause, alike in causes.items()]
    more = [f"and {len(listed) - MOST_CAUSES} more (see diagnostics_)"] if len(listed) > MOST_CAUSES else []
    return "; ".join(listed[:MOST_CAUSES] + more)


def _of_cause(cause: str, repairs: list[Repair]) -> str:
    components = list(dict.fromkeys(repair.component for repair in repairs))
    begun = min(repair.iteration for repair in repairs)
    if len(components) == 1:
        return f"component {components[0]} (iteration {begun}): {cause}"
    return f"each of components {listed(components)} (from iteration {begun}): {cause}"


def listed(indices: Sequence[object]) -> str:
    """Indices or names as text, of many the first and how many there are."""
    some = ", ".join(map(str, indices[:MOST_TOLD]))
    return some if len(indices) <= MOST_TOLD else f"{some}, … ({len(indices)} in all)"


def check_degenerate(fit: Fit, settings: Settings, names: Names | None) -> None:
    """DegenerateError of what is degenerate in a fit."""
    text = doubtful(fit, settings, names, fit.degenerate)
    if text:
        raise DegenerateError(text)


def doubtful(fit: Fit, settings: Settings, names: Names | None, repairs: Sequence[Repair], went_on: str = "") -> str:
    """What is degenerate in a fit, and what else makes it doubtful, in sentences; empty if nothing does."""
    parameters, rules = fit.parameters, settings.rules
    sentences, still = [], list(repairs)
    flat = doubts.constant(parameters, rules) if any(repair.cause == SINGULAR for repair in still) else []
    if flat:
        sentences.append(
            f"{_features(flat, names)} constant, and covariances singular: drop {'it' if len(flat) == 1 else 'them'}."
        )
    tangled = [] if flat or not still else doubts.dependent(fit, rules)
    if tangled:
        sentences.append(f"{_all_of(tangled, names)} determine one another, and covariances singular: drop one.")
    if flat or tangled:
        still = [repair for repair in still if repair.cause != SINGULAR]
    if still:
        sentences.append(f"{told(still)}.")
    if sentences:
        sentences.append(went_on)
    small = doubts.overwhelmed(parameters, rules, flat)
    if small is not None:
        sentences.append(
            f"reg_covar={rules.reg_covar:g} is {small.times:,.3g} times the variance of "
            f"{_feature(small.feature, names)} in component {small.component}: scale the columns or set reg_covar=0."
        )
    narrow = doubts.blurred(fit, rules) if small is None else None
    if narrow is not None:
        where = "in all components" if narrow.component is None else f"in component {narrow.component}"
        sentences.append(
            f"{_all_of(narrow.features, names)} nearly determine one another {where}, and "
            f"reg_covar={rules.reg_covar:g} blurs this: it is {narrow.times:,.3g} times the variance that is left. Set "
            "reg_covar=0 or a smaller one."
        )
    sentences.append(doubts.noise(parameters))
    same = doubts.equal(parameters) if parameters.needs_rows else None
    if same is not None:
        sentences.append(f"Components {same[0]} and {same[1]} are equal: start them apart, or ask for fewer.")
    sentences.append(doubts.transposed(fit))
    if still:
        sentences.append(ADVICE)
    return _within(sentences)


def _within(sentences: Iterable[str]) -> str:
    """As many of the sentences, in their order, as are read: MOST_CHARACTERS."""
    text = ""
    for sentence in filter(None, sentences):
        longer = f"{text} {sentence}".strip()
        text = longer if len(longer) <= MOST_CHARACTERS or not text else text
    return text[:MOST_CHARACTERS]


def _feature(j: int, names: Names | None) -> str:
    return f"feature {j if names is None else repr(str(names[j]))}"


def _features(indices: list[int], names: Names | None) -> str:
    if len(indices) == 1:
        return f"F{_feature(indices[0], names)[1:]} is"
    return f"{_all_of(indices, names)} are"


def _all_of(indices: list[int], names: Names | None) -> str:
    return f"Features {listed(indices if names is None else [str(names[j]) for j in indices])}"


def swamped(data: Data, names: Names | None) -> list[tuple[str, type[Warning]]]:
    """What is to be warned of in rows: features whose errors of measurement vary as much as their values do."""
    features = data.swamped()
    if not features:
        return []
    known = features if names is None else [str(names[j]) for j in features]
    told = _feature(features[0], names) if len(features) == 1 else f"features {listed(known)}"
    text = (
        f"The errors of measurement vary as much as the values of {told}: little of the variance is left to the "
        "true values, and the mixture is mostly the floor under it there, or the prior. See that error_covariances "
        "are variances, not standard deviations, in squared units of X."
    )
    return [(text, DegenerateWarning)]


def warn_of_swamped(data: Data, names: Names | None, on_degenerate: str) -> None:
    if on_degenerate == "warn":
        for text, category in swamped(data, names):
            errors.warn(text, category)


def faults(fit: Fit, settings: Settings, names: Names | None = None) -> list[tuple[str, type[Warning]]]:
    """What is to be warned of in a fit: what was repaired in it or is doubtful, and that it was cut short."""
    found: list[tuple[str, type[Warning]]] = []
    text = doubtful(fit, settings, names, fit.degenerate, "It was repaired, and the fit went on.")
    if text:
        found.append((text, DegenerateWarning))
    if not fit.converged and not fit.stopped and len(fit.lower_bounds):
        with np.errstate(invalid="ignore"):
            change = abs(np.diff(fit.lower_bounds[-2:]))[0] if len(fit.lower_bounds) > 1 else np.inf
        name, unit, _ = fit.parameters.raises
        name = f"mean {name}" if unit else name
        text = (
            "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
            f"tol, or check for degenerate data: max_iter={settings.max_iter} ended it while the {name} still "
            f"changed by {change:.3g} an iteration (tol={settings.tol:g})."
        )
        found.append((text, errors.kin(ConvergenceWarning)))
    return found


def warn(fit: Fit, settings: Settings, names: Names | None, on_degenerate: str) -> None:
    for text, category in faults(fit, settings, names):
        if category is not DegenerateWarning or on_degenerate == "warn":
            errors.warn(text, category)


def warn_of_new(fit: Fit, settings: Settings, names: Names | None, last: Fit | None) -> None:
    """Warn of what is degenerate or doubtful, and was not when it was last looked at."""
    known = {(repair.component, repair.cause) for repair in (() if last is None else last.degenerate)}
    new = [repair for repair in fit.degenerate if (repair.component, repair.cause) not in known]
    text = doubtful(fit, settings, names, new, "It was repaired, and learning goes on.")
    if text and (new or last is None or not doubtful(last, settings, names, ())):
        errors.warn(text, DegenerateWarning)
