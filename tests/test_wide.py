"""Fits of many features: rows that are fewer are worked on in the space that they span, which changes nothing."""

import warnings

import numpy as np
import pytest

import reference
from cgmm import GMM
from cgmm.em import span

families = pytest.mark.parametrize("family", ["full", "tied"])
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


def rows(n, d, k, seed=0, between=0.4):
    """Rows of k components whose means are `between` from each other in each feature: they overlap."""
    rng = np.random.default_rng([n, d, k, seed])
    return rng.standard_normal((n, d)) + between * rng.standard_normal((k, d))[rng.integers(k, size=n)]


def fit(X, k, family, weights=None, **arguments):
    chosen = {"reg_covar": 1e-3, "max_iter": 12, "tol": 0.0, "random_state": 0, "on_degenerate": "repair"} | arguments
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GMM(k, covariance_type=family, **chosen).fit(X, sample_weight=weights)


@pytest.fixture
def in_features(monkeypatch):
    """Call it, and fits are made in the features."""
    return lambda: monkeypatch.setattr(span.Span, "of", lambda *_: None)


def assert_same_fit(found, expected, rtol=1e-6):
    """rtol: reg_covar is 1e-3 and variances about 1, so the digits of P are 1e-13 of those of a row, and many steps
    of EM enlarge what differs."""
    np.testing.assert_allclose(found.lower_bounds_, expected.lower_bounds_, rtol=rtol)
    assert (found.n_iter_, found.converged_) == (expected.n_iter_, expected.converged_)
    np.testing.assert_allclose(found.weights_, expected.weights_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found.means_, expected.means_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(found.covariances_, expected.covariances_, rtol=rtol, atol=rtol)
    told = [{(r.component, r.cause) for r in model.diagnostics_.repairs} for model in (found, expected)]
    assert told[0] == told[1]
    assert len(found.diagnostics_.degenerate) == len(expected.diagnostics_.degenerate)


@families
@types
@pytest.mark.parametrize(("n", "d", "k"), [(5, 65, 1), (12, 100, 2), (50, 129, 3), (63, 127, 2), (90, 257, 2)])
@pytest.mark.parametrize("weighted", [False, True])
def test_same_fit_as_in_the_features(n, d, k, family, dtype, weighted, in_features):
    """float32 rows in the features as float64: coordinates are, and so lose less."""
    X = rows(n, d, k).astype(dtype)
    w = np.random.default_rng(n).uniform(0.5, 2, size=n) if weighted else None
    found = fit(X, k, family, w)
    in_features()
    expected = fit(X.astype(np.float64), k, family, w)
    assert_same_fit(found, expected, 1e-6 if dtype == np.float64 else 2e-3)


@families
def test_last_step_is_that_of_the_textbook(family):
    """The covariances are those of the responsibilities under the parameters before, and reg_covar I."""
    n, d, k = 30, 80, 2
    X = rows(n, d, k)
    before, after = fit(X, k, family, max_iter=6), fit(X, k, family, max_iter=7)
    r = before.predict_proba(X)
    np.testing.assert_allclose(after.means_, (r.T @ X) / r.sum(axis=0)[:, None], rtol=1e-7, atol=1e-9)
    away = [X - mean for mean in after.means_]
    scatters = np.stack([(r[:, c, None] * away[c]).T @ away[c] for c in range(k)])
    expected = scatters.sum(axis=0) / n if family == "tied" else scatters / r.sum(axis=0)[:, None, None]
    np.testing.assert_allclose(after.covariances_, expected + 1e-3 * np.eye(d), rtol=1e-7, atol=1e-9)


@families
def test_objective_is_the_log_likelihood(family):
    X = rows(20, 90, 2)
    before, after = fit(X, 2, family, max_iter=5), fit(X, 2, family, max_iter=6)
    joint = reference.log_joint(X, before.weights_, before.means_, before.covariances_, family)
    np.testing.assert_allclose(after.lower_bounds_[-1], reference.log_sum_exp(joint).mean(), rtol=1e-8)


@families
def test_it_never_falls(family):
    steps = np.diff(fit(rows(40, 200, 3, between=0.1), 3, family, max_iter=50).lower_bounds_)
    # reg_covar is added after the maximum, and may take that much
    assert steps.min() >= -1e-3 * 200


@families
def test_threads_and_watchers_change_no_bit(family):
    """But those of the parameters that a watcher sees are as many M-steps more."""
    X, seen = rows(40, 130, 2), []
    once = fit(X, 2, family, n_threads=1)
    watched = fit(X, 2, family, n_threads=2, callback=lambda state: seen.append(state))
    for model in (fit(X, 2, family, n_threads=2), fit(X, 2, family, n_threads=3), watched):
        for name in ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_"):
            np.testing.assert_array_equal(getattr(model, name), getattr(once, name))
    assert [state.iteration for state in seen] == list(range(1, once.n_iter_ + 1))
    np.testing.assert_array_equal([state.log_likelihood for state in seen], once.lower_bounds_)
    np.testing.assert_array_equal(seen[-1].parameters.covariances, once.covariances_)
    assert seen[0].parameters.means.shape == (2, 130)


@pytest.mark.parametrize("accelerate", [False, True])
def test_a_watcher_can_stop_it(accelerate):
    X = rows(40, 130, 2)
    for last in (1, 3):
        model = fit(X, 2, "full", callback=lambda state, last=last: state.iteration == last, accelerate=accelerate)
        assert model.n_iter_ == last


@pytest.mark.parametrize("reg_covar", [0.0, 1e-12])
def test_what_rounding_would_decide_stays_in_the_features(reg_covar, in_features):
    X = rows(20, 70, 2)
    found = fit(X, 2, "full", reg_covar=reg_covar)
    in_features()
    np.testing.assert_array_equal(found.covariances_, fit(X, 2, "full", reg_covar=reg_covar).covariances_)


def test_equal_rows_and_an_emptying_component(in_features):
    """Rows of which there are fewer different ones than components, and a start that loses one."""
    X = np.repeat(rows(3, 80, 1), 5, axis=0)
    found = fit(X, 4, "full")
    in_features()
    assert_same_fit(found, fit(X, 4, "full"))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(12))
def test_components_that_lose_their_rows(seed, weighted, in_features):
    """From the start or later, to begin again or not, watched or not; some rows are equal. Fits took every step in the
    features then: 96 × 384, k = 8 took 560 ms in place of 90."""
    rng = np.random.default_rng([seed, 4])
    n, k, family = rng.integers(8, 40), rng.integers(2, 8), ["full", "tied"][seed % 2]
    d = rng.integers(max(65, 2 * n + 1), 150)
    X = rows(n, d, k)[rng.integers(rng.integers(1, n + 1), size=n)]
    away = rng.choice([0, 30, 1e4], size=(k, 1)) * rng.standard_normal((k, d))
    w = rng.uniform(0.5, 2, size=n) if weighted else None
    arguments = {"means_init": X[rng.integers(n, size=k)] + away, "max_iter": 4 + seed % 5}
    seen = {"inside": [], "in features": []}
    found = fit(X, k, family, w, **arguments)
    watched = fit(X, k, family, w, **arguments, callback=seen["inside"].append)
    in_features()
    assert_same_fit(found, fit(X, k, family, w, **arguments, callback=seen["in features"].append))
    np.testing.assert_array_equal(watched.covariances_, found.covariances_)
    for inside, expected in zip(*seen.values(), strict=True):
        np.testing.assert_allclose(inside.parameters.means, expected.parameters.means, rtol=1e-6, atol=1e-6)
        np.testing.assert_allclose(inside.parameters.covariances, expected.parameters.covariances, atol=1e-6)


def test_a_component_left_without_rows_counts_for_none_that_begins_again(in_features):
    """Four start far away, and there are three rows for them."""
    X, away = np.repeat(rows(3, 80, 1), 5, axis=0), np.full((1, 80), 1e4)
    arguments = {"means_init": np.concatenate([X[:1], away, 2 * away, 3 * away, 4 * away]), "max_iter": 8}
    found = fit(X, 5, "full", **arguments)
    assert sum(repair.row is not None for repair in found.diagnostics_.repairs) == 3
    in_features()
    assert_same_fit(found, fit(X, 5, "full", **arguments))


def test_an_offset_far_from_the_origin(in_features):
    X = rows(30, 90, 2)
    near, far = fit(X, 2, "full"), fit(X + 1e6, 2, "full")
    np.testing.assert_allclose(far.lower_bounds_, near.lower_bounds_, rtol=1e-5)
    np.testing.assert_allclose(far.covariances_, near.covariances_, rtol=1e-5, atol=1e-6)


def test_given_starts_and_warm_starts(in_features):
    """A start whose means are outside of what the rows span."""
    X = rows(30, 100, 2)
    outside = {"means_init": rows(2, 100, 2, seed=1), "precisions_init": np.tile(np.eye(100), (2, 1, 1))}
    found = fit(X, 2, "full", **outside)
    warm = warmed(X)
    in_features()
    assert_same_fit(found, fit(X, 2, "full", **outside))
    assert_same_fit(warm, warmed(X))


def warmed(X):
    """A fit that goes on where another has ended."""
    model = fit(X, 2, "full", max_iter=4, warm_start=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.set_params(max_iter=9).fit(X)


def test_restarts(in_features):
    X = rows(40, 100, 2)
    found = fit(X, 2, "full", n_init=6, max_iter=20)
    in_features()
    expected = fit(X, 2, "full", n_init=6, max_iter=20)
    np.testing.assert_allclose(
        [r.log_likelihood for r in found.diagnostics_.restarts],
        [r.log_likelihood for r in expected.diagnostics_.restarts],
        rtol=1e-4,
    )


@families
@pytest.mark.parametrize("seed", range(8))
def test_accelerated_rows_near_a_plane(seed, family, in_features):
    """Where a jump ends a run by rounding, what its parameters were made of is not known: StopIteration was raised."""
    X, arguments = near_a_plane(seed), {"reg_covar": 0.5, "tol": 1e-8, "max_iter": 200, "accelerate": True}
    found = fit(X, 3, family, **arguments, init_params="random_from_data")
    watched = fit(X, 3, family, **arguments, init_params="random_from_data", callback=lambda state: None)
    np.testing.assert_array_equal(watched.means_, found.means_)
    assert found.converged_
    np.testing.assert_allclose(found.score(X), found.lower_bound_, rtol=1e-9)
    in_features()
    before = found.lower_bound_
    again = found.set_params(accelerate=False, warm_start=True).fit(X)  # other jumps may lead to another optimum
    np.testing.assert_allclose(again.lower_bound_, before, atol=1e-3)


@families
@pytest.mark.parametrize("max_iter", [7, 9, 12])
def test_those_who_watch_accelerated_fits_see_what_iterations_made(max_iter, family):
    """Also of one that began at a jump: they saw what would have been made of the parameters before."""
    for seed in range(8):
        arguments = {"reg_covar": 0.5, "max_iter": max_iter, "accelerate": True, "init_params": "random_from_data"}
        seen = []
        model = fit(
            near_a_plane(seed), 3, family, **arguments, callback=lambda state, to=seen: to.append(state.parameters)
        )
        if model.n_iter_ == max_iter:  # otherwise it ends at the parameters before the last
            np.testing.assert_allclose(seen[-1].means, model.means_, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("family", ["full", "tied", "VEE"])
@pytest.mark.parametrize("seed", range(8))
def test_what_reg_covar_takes_ends_no_fit(seed, family, accelerate):
    """Covariances of few rows are singular before it is added, and the likelihood may fall by what it takes: that was
    taken for rounding, and the fit for converged, up to 0.27 below where EM ends."""
    X, arguments = near_a_plane(seed), {"reg_covar": 0.5, "tol": 1e-8, "max_iter": 500}
    found = fit(X, 3, family, **arguments, accelerate=accelerate, init_params="random_from_data")
    start = {name: getattr(found, f"{name[:-5]}_") for name in ("weights_init", "means_init", "precisions_init")}
    gone_on = fit(X, 3, family, **arguments, **start)
    assert found.converged_
    assert gone_on.lower_bound_ < found.lower_bound_ + 1e-3


def near_a_plane(seed):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((30, 2)) @ rng.standard_normal((2, 70)) + 0.05 * rng.standard_normal((30, 70))
