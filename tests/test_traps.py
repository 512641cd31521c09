"""What users fall into: units, types, equal starts, constant columns. Each is handled, or told of in one warning."""

import warnings

import numpy as np
import pytest

import reference
from cgmm import GMM

families = pytest.mark.parametrize("family", reference.FAMILIES)

SAMPLES = {
    "heavy tails": lambda rng: rng.standard_t(1.5, (20_000, 1)) ** 2,
    "exponential": lambda rng: rng.exponential(size=(20_000, 3)),
    "normal": lambda rng: rng.normal(size=(5_000, 4)),
    "log-normal": lambda rng: np.exp(2 * rng.normal(size=(20_000, 1))),
    "many features": lambda rng: rng.normal(size=(2_000, 30)),
}


def fitted(X, **arguments):
    """A fit, and the classes of its warnings."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        model = GMM(random_state=0, **arguments).fit(X)
    return model, {warning.category for warning in told}


@families
@pytest.mark.parametrize("name", SAMPLES)
def test_float32_converges_where_float64_does(name, family):
    """At a tol below its rounding a change of less than that is convergence: it would wait for luck, up to max_iter."""
    X = SAMPLES[name](np.random.default_rng(0)).astype(np.float32)
    arguments = {"n_components": 2, "covariance_type": family, "tol": 1e-10, "max_iter": 1000}
    double, told = fitted(X.astype(np.float64), **arguments)
    single, told_of_single = fitted(X, **arguments)
    assert single.n_iter_ <= 1.2 * double.n_iter_ + 1
    assert told_of_single <= told
    assert double.score(X) - single.score(X) < 0.01  # it may end on a plateau


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_tol_of_zero_never_ends_a_fit(dtype):
    X = np.random.default_rng(0).normal(size=(500, 2)).astype(dtype)
    model = fitted(X, n_components=1, tol=0.0, max_iter=50)[0]
    assert model.n_iter_ == 50 and not model.converged_


def test_nor_do_doubles_wait_for_luck():
    X = np.random.default_rng(0).exponential(size=(20_000, 3))
    model = fitted(X, n_components=3, tol=1e-18, max_iter=5000)[0]
    assert model.converged_
