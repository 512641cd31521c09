"""Laws that fits, statistics and k-means obey on any data: no expected values, only equalities between runs."""

import warnings

import numpy as np
import pytest
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import reference
from cgmm import GMM
from fuzzing import fuzzed
from problems import CHUNK, assert_same_bits, assert_same_fit, begin_at, clusters, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
types = pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])


# The log-likelihood never falls


def ill_conditioned(X):
    """A callback that ends a fit once a component is flatter than 1e-5 of the data's variance in any direction.

    There a log-density is known to eps · 1e5 = 2e-11 only, and without reg_covar EM goes on from there to one row.
    """

    def stop(state):
        p, scale = state.parameters, X.std(axis=0)
        full = reference.expand(p.covariances, p.family.name, p.k, p.d) / np.outer(scale, scale)
        return np.linalg.eigvalsh(full).min() < 1e-5

    return stop


@families
@fuzzed(
    60,
    n=st.integers(20, 600),
    d=st.integers(1, 12),
    k=st.integers(1, 5),
    distance=st.floats(0, 8),
    scale=st.integers(-4, 4),
    offset=st.sampled_from([0, 1, 1e3]),
    weighted=st.booleans(),
    init=st.sampled_from(["kmeans", "k-means++", "random", "random_from_data"]),
)
def test_log_likelihood_never_falls(family, n, d, k, distance, scale, offset, weighted, init):
    """Beyond 1e-10 of it, or of one nat where it is less."""
    X = (clusters(n, d, k, distance=distance) + offset) * 10.0**scale
    model = GMM(k, covariance_type=family, tol=0, reg_covar=0, max_iter=50, init_params=init, random_state=n)
    model.callback = ill_conditioned(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", cgmm.DegenerateWarning)
        history = model.fit(X, sample_weight=np.arange(n) % 4 if weighted else None).lower_bounds_
    assert np.all(np.diff(history) >= -1e-10 * np.maximum(1, np.abs(history[1:])))


# Statistics add up


@families
@types
@pytest.mark.parametrize("cut", [1, 7, CHUNK - 1, CHUNK, 1500, 2999])
def test_halves_add_up(cut, family, dtype):
    """The same values in sums of another order: SUM of test_kernels.py times what is summed at most."""
    X = clusters(3000, 5, 4).astype(dtype)
    w = np.random.default_rng(0).uniform(0, 2, size=3000)
    model = GMM.from_parameters(*start_of(X, 4, family), covariance_type=family)
    whole = cgmm.expectation(model, X, w)
    parts = cgmm.expectation(model, X[:cut], w[:cut]) + cgmm.expectation(model, X[cut:], w[cut:])
    reach = np.ptp(X, axis=0).max()
    terms = {"n_k": 1, "first": reach, "second": reach**2, "log_likelihood": np.abs(model.score_samples(X)).max()}
    for name, term in terms.items():
        bound = 80 * np.finfo(dtype).eps * w.sum() * term
        assert_allclose(getattr(parts, name), getattr(whole, name), rtol=0, atol=bound, err_msg=name)
    assert_allclose(parts.total_weight, w.sum(), rtol=1e-14)
    assert_array_equal(parts.shift, whole.shift)


def test_other_shifts_and_shapes_do_not_add_up():
    X = clusters(100, 3, 2)
    statistics = []
    for family, offset in [("full", 0), ("full", 1e-12), ("diag", 0), ("tied", 0)]:
        weights, means, covariances = start_of(X, 2, family)
        model = GMM.from_parameters(weights, means + offset, covariances, covariance_type=family)
        statistics.append(cgmm.expectation(model, X))
    for other in statistics[1:]:
        with pytest.raises(ValueError, match="do not add up"):
            statistics[0] + other
    with pytest.raises(TypeError):
        statistics[0] + 1


# Row weights


@families
@pytest.mark.parametrize("n", [60, 2500])
def test_weight_counts_rows(family, n):
    X = clusters(n, 3, 3)
    counts = np.random.default_rng(0).integers(0, 4, size=n)
    start = start_of(X, 3, family)
    weighted = begin_at(start, family).fit(X, sample_weight=counts)
    repeated = begin_at(start, family).fit(np.repeat(X, counts, axis=0))
    assert_same_fit(weighted, repeated, 1e-10)
    assert_allclose(weighted.score(X, sample_weight=counts), repeated.score(np.repeat(X, counts, axis=0)), rtol=1e-12)


@families
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("n", [200, 20_000])
def test_zero_weight_is_absence(family, init, n):
    """From the start's draws on, also where the start takes a sample of the rows."""
    X = clusters(n, 2, 3)
    X[::3] *= 1e9
    w = np.random.default_rng(0).uniform(0.5, 2, size=n)
    w[::3] = 0
    fits = [GMM(3, covariance_type=family, init_params=init, tol=0, max_iter=5, random_state=5) for _ in range(2)]
    fits[0].fit(X, sample_weight=w)
    fits[1].fit(X[w > 0], sample_weight=w[w > 0])
    assert_same_fit(*fits, 1e-10)


@families
def test_rows_of_weight_zero_have_no_scale(family):
    """Neither the floor under the covariances nor a prior sees them, however far they are."""
    near = clusters(400, 2, 2)
    X = np.concatenate([near, 1e9 * np.random.default_rng(0).standard_normal((2000, 2))])
    w = np.repeat([1.0, 0.0], [400, 2000])
    for prior in (None, "default"):
        model = GMM(2, covariance_type=family, prior=prior, random_state=0)
        assert_same_fit(model.fit(X, sample_weight=w), GMM(**model.get_params()).fit(near), 1e-10)


def test_random_rows_are_drawn_by_their_weights():
    """A row of nearly all the weight is drawn nearly always."""
    X = np.arange(100.0)[:, np.newaxis]
    w = np.full(100, 1e-9)
    w[[17, 60]] = 1.0
    for seed in range(20):
        found = cgmm.kmeans(X, 2, init="random", max_iter=0, sample_weight=w, random_state=seed)
        assert found.centers.ravel().tolist() == [17.0, 60.0]


@families
def test_scale_of_weights(family):
    X = clusters(500, 3, 3)
    w = np.random.default_rng(0).uniform(0.5, 2, size=500)
    start = start_of(X, 3, family)
    assert_same_bits(
        begin_at(start, family).fit(X, sample_weight=w), begin_at(start, family).fit(X, sample_weight=w * 2.0**20)
    )


# Order, place and unit of the data


@families
def test_permuted_rows(family):
    X = clusters(3000, 4, 3)
    order = np.random.default_rng(0).permutation(3000)
    start = start_of(X, 3, family)
    assert_same_fit(begin_at(start, family).fit(X), begin_at(start, family).fit(X[order]), 1e-10)


@families
def test_permuted_components(family):
    X = clusters(3000, 4, 5)
    weights, means, covariances = start_of(X, 5, family)
    order = np.array([3, 0, 4, 2, 1])
    own = family != "tied"
    ours = begin_at((weights, means, covariances), family).fit(X)
    permuted = begin_at((weights[order], means[order], covariances[order] if own else covariances), family).fit(X)
    assert_allclose(permuted.lower_bounds_, ours.lower_bounds_, rtol=1e-12)
    assert_allclose(permuted.weights_, ours.weights_[order], rtol=1e-10)
    assert_allclose(permuted.means_, ours.means_[order], rtol=0, atol=1e-10)
    expected = ours.covariances_[order] if own else ours.covariances_
    assert_allclose(permuted.covariances_, expected, rtol=0, atol=1e-10)
    assert_array_equal(order[permuted.predict(X)], ours.predict(X))


@families
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random_from_data"])
@pytest.mark.parametrize("shift, scale", [(1e6, 1), (0, 1e6), (0, 1e-6)])
def test_shifted_and_scaled(family, init, shift, scale):
    """Means about 1e6 are rounded to 1e6 eps / 2, which EM, contracting from a good start, at most adds up.

    Scaling rounds relatively: a few eps an iteration. (From "random", a saddle, EM first grows what is rounded.)
    """
    X, n_iter = clusters(2000, 3, 3), 20
    tol = n_iter * np.finfo(float).eps * max(shift, 100)
    arguments = {"covariance_type": family, "init_params": init, "tol": 0, "max_iter": n_iter, "random_state": 0}
    ours = GMM(3, reg_covar=1e-3, **arguments).fit(X)
    moved = GMM(3, reg_covar=1e-3 * scale**2, **arguments).fit((X + shift) * scale)
    assert_allclose(moved.lower_bounds_ + 3 * np.log(scale), ours.lower_bounds_, rtol=0, atol=tol)
    assert_allclose(moved.weights_, ours.weights_, rtol=0, atol=tol)
    assert_allclose(moved.means_ / scale - shift, ours.means_, rtol=0, atol=tol * np.abs(ours.means_).max())
    assert_allclose(moved.covariances_ / scale**2, ours.covariances_, rtol=0, atol=tol * ours.covariances_.max())
    assert_array_equal(moved.predict((X + shift) * scale), ours.predict(X))


@pytest.mark.parametrize("shift, scale", [(1e6, 1), (0, 1e6), (0, 1e-6)])
def test_kmeans_shifted_and_scaled(shift, scale):
    """Also where it stops: the tolerance is relative to the variance."""
    X = clusters(3000, 2, 6, distance=1)
    ours = cgmm.kmeans(X, 6, tol=1e-3, random_state=0)
    moved = cgmm.kmeans((X + shift) * scale, 6, tol=1e-3, random_state=0)
    assert ours.n_iter == moved.n_iter > 5
    assert_array_equal(moved.labels, ours.labels)
    assert_allclose(moved.centers / scale - shift, ours.centers, rtol=0, atol=1e-8)
    assert_allclose(moved.inertia_history / scale**2, ours.inertia_history, rtol=1e-8)


# What is fixed


@families
@pytest.mark.parametrize("fixed", [("weights",), ("means",), ("covariances",), ("weights", "means"), ()])
def test_fixed_stay_while_the_rest_learns(family, fixed):
    X = clusters(800, 3, 3)
    start = start_of(X, 3, family)
    before = begin_at(start, family, max_iter=0).fit(X)
    after = begin_at(start, family, fixed=fixed, reg_covar=0).fit(X)
    expected, history = reference.em(X, *start, family, 20, fixed=fixed)
    assert_allclose(after.lower_bounds_, history, rtol=1e-10)
    for name, value in zip(("weights", "means", "covariances"), expected, strict=True):
        learned = getattr(after, f"{name}_")
        assert np.array_equal(learned, getattr(before, f"{name}_")) == (name in fixed)
        assert_allclose(learned, value, rtol=1e-9, atol=1e-10)
