"""What a fit says: lines or a bar while it runs, warnings when it ends."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from cgmm import errors
from cgmm.em.stage import IterationState
from cgmm.errors import ConvergenceWarning, DegenerateError, DegenerateWarning

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cgmm.em.settings import Settings
    from cgmm.em.stage import Fit, Observer
    from cgmm.fit.request import Watching
    from cgmm.mixture.parameters import Parameters
    from cgmm.mixture.rules import Repair

MOST_TOLD = 8  # Components that a warning tells of one by one: more would not be read.
ADVICE = (
    "Fewer components, a larger reg_covar, a prior or another covariance_type may suit these data better "
    "(on_degenerate says what to do about it)."
)


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

    def step(self, name: str) -> None:
        self.done += 1
        if self.lines:
            print(f"{self.done} of {self.total}: {name}")
        if self.bar is not None:
            self.bar.set_description(name, refresh=False)
            self.bar.update()


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
            print(f"  Iteration {iteration}: log-likelihood is {log_likelihood:.8g} a row (change {change:.3g})")
        if self.bar is not None:
            self.bar.set_postfix(log_likelihood=f"{log_likelihood:.6g}", change=f"{change:.1g}", refresh=False)
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
                f"log-likelihood is {fit.lower_bound:.8g} a row"
            )

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


def told(repairs: Iterable[Repair]) -> str:
    """Repairs as text, each component once; empty if there are none."""
    causes: dict[int, list[str]] = {}
    for repair in sorted(repairs, key=lambda repair: (repair.component, repair.iteration)):
        causes.setdefault(repair.component, []).append(f"(iteration {repair.iteration}): {repair.cause}")
    listed = [f"component {c} {', '.join(told)}" for c, told in causes.items()]
    more = [f"and {len(listed) - MOST_TOLD} more (see diagnostics_)"] if len(listed) > MOST_TOLD else []
    return "; ".join(listed[:MOST_TOLD] + more)


def check_degenerate(fit: Fit) -> None:
    """DegenerateError of what is degenerate in a fit."""
    if fit.degenerate:
        raise DegenerateError(f"{told(fit.degenerate)}. {ADVICE}")


def faults(fit: Fit, settings: Settings) -> list[tuple[str, type[Warning]]]:
    """What is to be warned of in a fit: what was repaired in it, and that it was cut short."""
    found: list[tuple[str, type[Warning]]] = []
    if fit.degenerate:
        found.append((f"{told(fit.degenerate)}. It was repaired, and the fit went on. {ADVICE}", DegenerateWarning))
    if not fit.converged and not fit.stopped and len(fit.lower_bounds):
        with np.errstate(invalid="ignore"):
            change = abs(np.diff(fit.lower_bounds[-2:]))[0] if len(fit.lower_bounds) > 1 else np.inf
        text = (
            "Best performing initialization did not converge. Try different init parameters, or increase max_iter, "
            f"tol, or check for degenerate data: max_iter={settings.max_iter} ended it while the mean log-likelihood "
            f"still changed by {change:.3g} an iteration (tol={settings.tol:g})."
        )
        found.append((text, errors.kin(ConvergenceWarning)))
    return found


def warn(fit: Fit, settings: Settings, on_degenerate: str) -> None:
    for text, category in faults(fit, settings):
        if category is not DegenerateWarning or on_degenerate == "warn":
            errors.warn(text, category)


def warn_of_new(fit: Fit, last: Fit | None) -> None:
    """Warn of what is degenerate, and was not when it was last looked at."""
    known = {(repair.component, repair.cause) for repair in (() if last is None else last.degenerate)}
    new = [repair for repair in fit.degenerate if (repair.component, repair.cause) not in known]
    if new:
        text = f"{told(new)}. It was repaired, and learning goes on. {ADVICE}"
        errors.warn(text, DegenerateWarning)
