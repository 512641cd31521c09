"""What a fit says: lines while it runs, warnings when it ends."""

import warnings

import numpy as np

from cgmm.em import IterationState
from cgmm.validation import ConvergenceWarning, DegenerateWarning


class Reporter:
    """Prints the progress of a fit's restarts and passes it on to the user's callback."""

    def __init__(self, verbose, interval, callback):
        self.verbose, self.interval, self.callback = verbose, interval, callback
        self.restart = 0

    def begin(self, restart):
        self.restart = restart
        if self.verbose:
            print(f"Start {restart}")

    def iteration(self, iteration, log_likelihood, change, parameters):
        """Called after each iteration; True when the callback asks to stop."""
        if self.verbose and iteration % self.interval == 0:
            print(f"  Iteration {iteration}: log-likelihood is {log_likelihood:.8g} a row (change {change:.3g})")
        if self.callback is None:
            return False
        state = IterationState(iteration, log_likelihood, change, parameters, self.restart)
        return bool(self.callback(state))

    def end(self, fit):
        if self.verbose:
            how = "converged" if fit.converged else "did not converge"
            print(
                f"Start {self.restart} {how} after {len(fit.lower_bounds)} iterations: "
                f"log-likelihood is {fit.lower_bound:.8g} a row"
            )


def warn(fit, settings):
    """Warn once of a fit that was cut short, and once of what was repaired in it."""
    if fit.repairs:
        first = {repair.component: repair for repair in reversed(fit.repairs)}
        told = "; ".join(
            f"component {c} (iteration {repair.iteration}): {repair.cause}" for c, repair in sorted(first.items())
        )
        warnings.warn(
            f"{told}. It was repaired, and the fit went on; fewer components, a larger reg_covar or another "
            "covariance_type may suit these data better.",
            DegenerateWarning,
            stacklevel=3,
        )
    if not fit.converged and not fit.stopped and len(fit.lower_bounds):
        change = abs(np.diff(fit.lower_bounds[-2:]))[0] if len(fit.lower_bounds) > 1 else np.inf
        warnings.warn(
            f"The fit did not converge: max_iter={settings.max_iter} ended it while the mean log-likelihood still "
            f"changed by {change:.3g} an iteration (tol={settings.tol:g}). Increase max_iter or tol.",
            ConvergenceWarning,
            stacklevel=3,
        )
