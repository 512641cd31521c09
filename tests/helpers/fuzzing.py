"""What the fuzzers share: how many examples they try, how long one may take, and what must hold of any outcome.

``CGMM_FUZZ=100`` tries 100 times as many examples, others in each run.
"""

import faulthandler
import functools
import itertools
import os
import signal
import sys
import threading
import warnings
from contextlib import contextmanager

import numpy as np
from hypothesis import HealthCheck, given, settings

import cgmm
import reference

TIMES = float(os.environ.get("CGMM_FUZZ", "1"))
SECONDS = 60  # Of a processor for an example, which takes some milliseconds: what takes so long hangs.
PATIENCE = 20  # How many times as long an example may take that waits, for a busy machine or for ever.
FITTED = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_", "converged_", "n_iter_")
POSTERIOR = (*FITTED, "mean_precision_", "degrees_of_freedom_", "weight_concentration_")
TOLD = (cgmm.ConvergenceWarning, cgmm.DegenerateWarning, cgmm.SelectionWarning)
ERRORS = (ValueError, TypeError, FileNotFoundError, IsADirectoryError)  # the last two of a path


class Hangs(Exception):
    """An example that took too long."""


@contextmanager
def limited(seconds=SECONDS):
    """A limit of processor time: an exception in Python's code, and the end of the process if nothing ever returns."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(*_):
        raise Hangs(f"this example took more than {seconds} seconds of a processor")

    before = signal.signal(signal.SIGPROF, interrupt)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    faulthandler.dump_traceback_later(PATIENCE * seconds, exit=True, file=sys.__stderr__)  # whatever is captured
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def fuzzed(count, **strategies):
    """Makes of a test one of `count` examples, or of TIMES as many, each in a time limit."""

    def decorated(test):
        @functools.wraps(test)
        def timed(*args, **kwargs):
            with limited():
                return test(*args, **kwargs)

        choice = settings(
            max_examples=max(1, int(count * TIMES)),
            derandomize=TIMES <= 1,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        return choice(given(**strategies)(timed))

    return decorated


def attempt(action, errors=ERRORS):
    """What an action returns, or the documented error that it raises; any warning but the documented is a fault."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = action()
        except errors as error:
            assert str(error)
            found = error
    others = {f"{w.message} ({w.filename}:{w.lineno})" for w in told if not issubclass(w.category, TOLD)}
    assert not others, others
    return found


class Killed(Exception):
    """What ends a fit before its end."""


def killed_at(end):
    """A callback whose `end`-th call, from 0 on, kills a fit."""
    calls = itertools.count()

    def kill(state):
        if next(calls) >= end:
            raise Killed("the fit is killed")

    return kill


def refused(error):
    """Whether an error is one of the few that a legal fit may end in."""
    parts = (
        "of positive weight",
        "a value too large",
        "missing in every row",
        "a box of some volume",
        "has a label, and none has",
        "it counts rows",
    )
    return isinstance(error, cgmm.DegenerateError) or any(part in str(error) for part in parts)


def differing(a, b, names=FITTED):
    """The names of what is not the same, to the bit, in two models."""
    return [name for name in names if not np.array_equal(getattr(a, name), getattr(b, name), equal_nan=True)]


def end_alike(a, b):
    """Whether two outcomes are both models; if they are not, they must both be errors that a legal fit may end in.

    Blocks, of which any number of rows may come, allow only smaller values than an array does.
    """
    if any("value too large" in str(one) for one in (a, b)):
        return False
    wrong = [isinstance(one, Exception) for one in (a, b)]
    assert wrong[0] == wrong[1], (a, b)
    assert not any(wrong) or (refused(a) and refused(b)), (a, b)
    return not any(wrong)


def assert_same(a, b):
    """Two outcomes are the same: models to the bit, or errors."""
    if not end_alike(a, b):
        return
    assert not differing(a, b), [(name, getattr(a, name), getattr(b, name)) for name in differing(a, b)]


def check_parameters(model, iterations=True):
    """What holds of every fitted model."""
    assert np.isfinite(model.weights_).all() and (model.weights_ >= 0).all()
    assert abs(model.weights_.sum() + model.noise_weight_ - 1) < 1e-12
    assert np.isfinite(model.means_).all()
    assert np.isfinite(model.covariances_).all()
    assert np.isfinite(model.precisions_cholesky_).all()
    k, d = model.means_.shape
    variances = reference.expand(model.covariances_, model.covariance_type, k, d).diagonal(axis1=1, axis2=2)
    roots = reference.expand(model.precisions_cholesky_, model.covariance_type, k, d).diagonal(axis1=1, axis2=2)
    assert (variances > 0).all()
    assert (roots > 0).all()
    assert not iterations or model.n_iter_ == len(model.lower_bounds_) <= model.max_iter
    assert isinstance(model.converged_, bool)
    told = model.diagnostics_
    assert (told.condition_numbers >= 1 - 1e-9).all()
    assert told.effective_counts is None or (told.effective_counts >= 0).all()
    assert not iterations or 0 <= told.winner < len(told.restarts)


def check_measured(model, X, errors):
    """What is said of rows with errors, if there are any."""
    if errors is None:
        return
    for verb in (model.score_samples, model.uncertainty):
        assert np.isfinite(attempt(lambda verb=verb: verb(X, error_covariances=errors))).all()
    shares = attempt(lambda: model.predict_proba(X, error_covariances=errors))
    total = shares.sum(axis=1)
    assert (shares >= 0).all() and (total <= 1 + 1e-12).all()
    assert np.abs(total + attempt(lambda: model.noise_probability(X, error_covariances=errors)) - 1).max() < 1e-12
    for verb in (model.score, *(getattr(model, name, model.score) for name in ("aic", "bic", "icl"))):
        assert np.isfinite(attempt(lambda verb=verb: verb(X, error_covariances=errors)))
    means, covariances = attempt(lambda: model.denoise(X, errors, return_cov=True))
    assert np.isfinite(means).all() and np.isfinite(covariances).all()
    assert (covariances.diagonal(axis1=1, axis2=2) >= 0).all()
    known = np.nan_to_num(errors)
    if known.shape == (len(total), len(model.means_[0])):  # without NaN, variances of d rows may look like a matrix
        known = known[:, :, np.newaxis] * np.eye(known.shape[1])
    values = np.asarray(X, dtype=float)
    exact = ~np.isnan(values) & ((known if known.ndim == 1 else np.einsum("...ii->...i", known)) == 0)
    assert (means[exact] == values[exact]).all() and (covariances[exact] == 0).all()
    drawn, _ = attempt(lambda: model.sample(len(total), error_covariances=known))
    assert np.isfinite(drawn).all()
