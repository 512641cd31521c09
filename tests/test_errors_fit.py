"""Fits of rows with errors of measurement: laws, pairs with everything else, and what is refused."""

import warnings

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import deconvolution
import reference
from cgmm import GMM, fit_many, steps
from cgmm.rows import sources
from cgmm.rows.place import CUT
from datasets import compact
from measurements import measured
from problems import assert_same_bits, assert_same_fit, begin_at, clusters, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
kinds = pytest.mark.parametrize("kind", ["covariances", "variances"])


# Laws


@families
@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_without_errors_it_is_the_ordinary_fit(family, kind, gaps):
    X = clusters(500, 3, 3)
    if gaps:
        X = np.where(np.random.default_rng(0).random(X.shape) < 0.15, np.nan, X)
    zeros = np.zeros((500, 3, 3) if kind == "covariances" else (500, 3))
    missing = "marginal" if gaps else "error"
    start = start_of(clusters(500, 3, 3), 3, family)
    ordinary = begin_at(start, family, missing=missing).fit(X)
    assert_same_fit(begin_at(start, family, missing=missing).fit(X, error_covariances=zeros), ordinary, 1e-9)


@families
@kinds
@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_never_falls(seed, family, kind):
    _, X, S = measured(kind, size=3.0, seed=seed)
    model = GMM(3, covariance_type=family, reg_covar=0, tol=0, max_iter=200, random_state=seed, on_degenerate="repair")
    history = model.fit(X, error_covariances=S).lower_bounds_
    assert np.diff(history).min() > -1e-11 * np.abs(history).max()


@families
def test_each_iteration_is_that_of_the_formulas(family):
    _, X, S = measured()
    start = start_of(X, 3, family)
    weights, means, covariances = start[0], start[1], reference.expand(start[2], family, 3, 2)
    for iterations in (1, 2, 3):
        statistics = deconvolution.statistics(X, S, weights, means, covariances)
        weights, means, covariances = deconvolution.m_step(*statistics[:3], means)
        if family == "tied":
            covariances = np.repeat(np.einsum("c,cab->ab", weights, covariances)[None], 3, axis=0)
        if family in ("diag", "spherical"):
            variances = np.diagonal(covariances, axis1=1, axis2=2)
            variances = variances if family == "diag" else np.repeat(variances.mean(axis=1), 2).reshape(3, 2)
            covariances = np.array([np.diag(row) for row in variances])
        found = begin_at(start, family, max_iter=iterations, reg_covar=0).fit(X, error_covariances=S)
        assert_allclose(found.weights_, weights, atol=1e-12)
        assert_allclose(found.means_, means, atol=1e-11)
        assert_allclose(reference.expand(found.covariances_, family, 3, 2), covariances, atol=1e-11)


@kinds
def test_the_mixture_is_that_of_the_true_values(kind):
    """A fit that ignores the errors finds covariances that hold them, twice as large here."""
    truth, X, S = measured(kind, n=20000, size=1.0)
    of_truth = GMM(3, random_state=0).fit(truth)
    found = GMM(3, random_state=0, tol=1e-6, max_iter=500).fit(X, error_covariances=S).sorted()
    of_truth, blind = of_truth.sorted(), GMM(3, random_state=0).fit(X).sorted()
    spread = [np.trace(model.covariances_, axis1=1, axis2=2) for model in (of_truth, found, blind)]
    assert_allclose(spread[1], spread[0], rtol=0.1)
    assert (spread[2] > 1.3 * spread[0]).all()
    assert_allclose(found.means_, of_truth.means_, atol=0.1)


@families
@kinds
def test_a_row_of_weight_two_is_the_row_twice(family, kind):
    _, X, S = measured(kind)
    w = np.random.default_rng(0).integers(0, 3, size=len(X))
    start = start_of(X, 3, family)
    one = begin_at(start, family).fit(X, sample_weight=w, error_covariances=S)
    other = begin_at(start, family).fit(np.repeat(X, w, axis=0), error_covariances=np.repeat(S, w, axis=0))
    assert_same_fit(one, other, 1e-10)


@families
def test_four_ways_to_say_the_same_errors(family):
    _, X, _ = measured()
    start, variances = start_of(X, 3, family), np.array([0.5, 1.0])
    ways = [
        variances,
        np.diag(variances),
        np.tile(variances, (len(X), 1)),
        np.tile(np.diag(variances), (len(X), 1, 1)),
    ]
    fits = [begin_at(start, family).fit(X, error_covariances=S) for S in ways]
    assert_same_bits(fits[0], fits[2])
    assert_same_bits(fits[1], fits[3])
    assert_same_fit(fits[0], fits[1], 1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_layouts_of_errors_and_rows_change_no_bit(dtype):
    _, X, S = measured()
    X, S, start = X.astype(dtype), S.astype(dtype), start_of(X, 3, "full")
    one = begin_at(start, "full").fit(X, error_covariances=S)
    for other_X, other_S in [
        (np.asfortranarray(X), np.asfortranarray(S)),
        (np.repeat(X, 2, axis=0)[::2], S[::-1].copy()[::-1]),
        (X.tolist() if dtype == np.float64 else X, S.tolist() if dtype == np.float64 else S),
    ]:
        assert_same_bits(begin_at(start, "full").fit(other_X, error_covariances=other_S), one)
    assert_same_fit(one, begin_at(start, "full").fit(X.astype(float), error_covariances=S.astype(float)), 1e-12)


@families
@kinds
@pytest.mark.parametrize("n_threads", [2, 5])
def test_threads_change_no_bit(family, kind, n_threads):
    _, X, S = measured(kind, n=20000)
    one, many = (
        GMM(3, covariance_type=family, random_state=0, max_iter=5, n_init=3, n_threads=threads).fit(
            X, error_covariances=S
        )
        for threads in (1, n_threads)
    )
    assert_same_bits(one, many)


# With everything else


@families
def test_a_missing_value_is_one_with_an_infinite_error(family):
    _, X, S = measured()
    gap = np.random.default_rng(0).random(X.shape) < 0.2
    start = start_of(X, 3, family)
    nothing = np.where(gap[:, :, None] | gap[:, None, :], np.nan, S)
    far = np.where(gap[:, :, None] | gap[:, None, :], 0.0, S) + 1e14 * gap[:, :, None] * np.eye(2)
    gapped = begin_at(start, family, missing="marginal").fit(np.where(gap, np.nan, X), error_covariances=nothing)
    large = begin_at(start, family).fit(X, error_covariances=far)
    assert_same_fit(gapped, large, 1e-6, ("weights_", "means_", "covariances_"))  # the error is finite


def test_labels_fixed_prior_noise_and_acceleration():
    _, X, S = measured(n=600)
    labels = np.where(np.arange(600) < 30, np.arange(600) % 3, -1)
    assert GMM(3, random_state=0).fit(X, labels=labels, error_covariances=S).converged_
    start = start_of(X, 3, "full")
    fixed = begin_at(start, "full", fixed={"means"}).fit(X, error_covariances=S)
    assert_array_equal(fixed.means_, start[1])
    prior = GMM(3, prior="default", random_state=0, tol=1e-6).fit(X, error_covariances=S)
    assert np.diff(prior.lower_bounds_).min() > -1e-12
    fast = GMM(3, random_state=0, accelerate=True, tol=1e-9, max_iter=1000).fit(X, error_covariances=S)
    slow = GMM(3, random_state=0, tol=1e-9, max_iter=5000).fit(X, error_covariances=S)
    assert fast.lower_bound_ > slow.lower_bound_ - 1e-6
    far = np.vstack([X, np.random.default_rng(0).uniform(-60, 60, size=(60, 2))])
    errors = np.concatenate([S, S[:60]])
    noisy = GMM(3, random_state=0, noise_component="uniform").fit(far, error_covariances=errors)
    assert 0.03 < noisy.noise_weight_ < 0.2
    assert noisy.denoise(far, errors).shape == far.shape
    shares = noisy.predict_proba(far, errors).sum(axis=1)
    assert_allclose(shares + noisy.noise_probability(far, error_covariances=errors), 1, rtol=1e-12)
    assert np.abs(noisy.noise_probability(far) + shares - 1).max() > 0.01  # that of true values


@pytest.mark.parametrize("family", ["EII", "VVI", "VEE", "EVE", "VVV"])
def test_the_further_families(family):
    _, X, S = measured()
    history = (
        GMM(3, covariance_type=family, random_state=0, tol=0, max_iter=40, reg_covar=0)
        .fit(X, error_covariances=S)
        .lower_bounds_
    )
    assert np.diff(history).min() > -1e-11


@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_blocks_and_maps_are_the_array(kind, gaps, tmp_path):
    _, X, S = measured(kind, n=9000)
    if gaps:
        X[np.random.default_rng(0).random(X.shape) < 0.1] = np.nan
    w = np.random.default_rng(0).uniform(0.5, 2, size=len(X))
    start, arguments = start_of(np.nan_to_num(X), 3, "full"), {"missing": "marginal" if gaps else "error"}
    whole = begin_at(start, "full", **arguments).fit(X, sample_weight=w, error_covariances=S)
    cuts = [(X[a:b], w[a:b], None, S[a:b]) for a, b in [(0, 10), (10, 5000), (5000, 5002), (5002, 9000)]]
    blocks = begin_at(start, "full", **arguments).fit(cuts)
    assert_same_bits(blocks, whole)
    assert_allclose(
        whole.score_samples(X, S), np.concatenate([whole.score_samples(c[0], c[3]) for c in cuts]), rtol=1e-12
    )
    assert_array_equal(whole.predict_proba(cuts), whole.predict_proba(X, S))
    assert_array_equal(whole.denoise(X, S), np.vstack([whole.denoise(c[0], c[3]) for c in cuts]))


def test_blocks_that_differ_are_refused():
    _, X, S = measured(n=100)
    with pytest.raises(cgmm.errors.BlockError, match="block 1 has no errors, unlike those before it"):
        GMM(2).fit([(X[:50], None, None, S[:50]), X[50:]])
    with pytest.raises(cgmm.errors.BlockError, match="block 1 has variances of errors, unlike those before it"):
        GMM(2).fit([(X[:50], None, None, S[:50]), (X[50:], None, None, S[50:, [0, 1], [0, 1]])])
    with pytest.raises(TypeError, match="each of which brings those of its rows"):
        GMM(2).fit([X[:50], X[50:]], error_covariances=S)


def test_dask_is_the_array():
    da = pytest.importorskip("dask.array")
    _, X, S = measured(n=6000)
    start = start_of(X, 3, "full")
    whole = begin_at(start, "full").fit(X, error_covariances=S)
    chunked = begin_at(start, "full").fit(
        da.from_array(X, chunks=(2500, 2)), error_covariances=da.from_array(S, chunks=(2500, 2, 2))
    )
    assert_same_fit(chunked, whole, 1e-11)
    common = begin_at(start, "full").fit(da.from_array(X, chunks=(2500, 2)), error_covariances=[0.5, 0.5])
    assert_same_fit(common, begin_at(start, "full").fit(X, error_covariances=[0.5, 0.5]), 1e-11)
    score = whole.score(da.from_array(X, chunks=(2500, 2)), error_covariances=da.from_array(S, chunks=(2500, 2, 2)))
    assert_allclose(score, whole.score(X, error_covariances=S), rtol=1e-12)
    with pytest.raises(TypeError, match="must be a Dask array"):
        GMM(2).fit(da.from_array(X, chunks=(2500, 2)), error_covariances=S)


@kinds
def test_partial_fit(kind):
    _, X, S = measured(kind, n=6000)
    model = GMM(3, random_state=0, learning_rows=1500)
    for start in range(0, 6000, 500):
        model.partial_fit(X[start : start + 500], error_covariances=S[start : start + 500])
    whole = GMM(3, random_state=0).fit(X, error_covariances=S)
    assert model.score(X, error_covariances=S) > whole.score(X, error_covariances=S) - 0.02
    other = GMM(3, random_state=0, learning_rows=1500)
    other.partial_fit((X[a : a + 500], None, None, S[a : a + 500]) for a in range(0, 6000, 500))
    assert_same_bits(model, other, ("weights_", "means_", "covariances_"))
    mixed = GMM(3, random_state=0).partial_fit(X[:400]).partial_fit(X[400:800], error_covariances=S[400:800])
    assert np.isfinite(mixed.means_).all()


def test_starts_select_and_steps():
    _, X, S = measured(n=500)
    one, many = (GMM(3, random_state=0, n_init=n).fit(X, error_covariances=S) for n in (1, 6))
    assert many.lower_bound_ >= one.lower_bound_
    chosen = cgmm.select(X, range(1, 6), ["full"], n_init=3, random_state=0, error_covariances=S)
    assert chosen.best.n_components == 3
    halves = [steps.expectation(one, X[half], error_covariances=S[half]) for half in (slice(0, 200), slice(200, None))]
    whole = steps.expectation(one, X, error_covariances=S)
    assert_allclose((halves[0] + halves[1]).second, whole.second, rtol=1e-9)
    assert steps.maximisation(one, whole).lower_bounds_[-1] == whole.lower_bound


def test_checkpoints_and_files(tmp_path):
    _, X, S = measured(n=500)
    path = tmp_path / "checkpoint"
    plain = GMM(3, random_state=0, tol=0, max_iter=30).fit(X, error_covariances=S)

    class Killed(Exception):
        pass

    def kill(state):
        if state.iteration == 17:
            raise Killed

    model = GMM(3, random_state=0, tol=0, max_iter=30, checkpoint=path, checkpoint_interval=5, callback=kill)
    with pytest.raises(Killed):
        model.fit(X, error_covariances=S)
    with pytest.raises(ValueError, match="errors"):
        model.set_params(callback=None).fit(X, error_covariances=2 * S)
    assert_same_bits(model.fit(X, error_covariances=S), plain)
    plain.save(tmp_path / "model.npz")
    loaded = GMM.load(tmp_path / "model.npz")
    assert_array_equal(loaded.score_samples(X, S), plain.score_samples(X, S))
    assert_array_equal(loaded.denoise(X, S), plain.denoise(X, S))


@kinds
def test_draws_with_errors(kind):
    """Their covariance is that of mixture and errors together, within five standard errors of 200 000 rows."""
    model = GMM.from_parameters([0.4, 0.6], [[0.0, 0], [3, 1]], [np.eye(2), [[2.0, 0.5], [0.5, 1]]])
    S = np.array([[0.5, 0.3], [0.3, 1.0]]) if kind == "covariances" else np.array([0.5, 1.0])
    X, labels = model.sample(200_000, random_state=0, error_covariances=S)
    expected = model.covariance() + (S if S.ndim == 2 else np.diag(S))
    assert_allclose(np.cov(X.T), expected, atol=5 * expected.max() * np.sqrt(2 / 200_000))
    assert_array_equal(labels, model.sample(200_000, random_state=0)[1])


@pytest.mark.parametrize("family", ["full", "diag"])
def test_denoised_rows_are_nearer_to_the_truth(family):
    truth, X, S = measured(n=3000)
    model = GMM(3, covariance_type=family, random_state=0).fit(X, error_covariances=S)
    means, covariances = model.denoise(X, S, return_cov=True)
    measured_error, error = (np.square(rows - truth).sum(axis=1).mean() for rows in (X, means))
    assert error < 0.75 * measured_error
    assert_allclose(error, np.trace(covariances, axis1=1, axis2=2).mean(), rtol=0.1)
    assert (np.linalg.eigvalsh(covariances)[:, 0] >= 0).all()


# What is refused, and what is warned of


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda S: S[:-1], r"must have shape \(400, 2, 2\)"),
        (lambda S: S[:, :, :1], r"must have shape \(400, 2, 2\)"),
        (lambda S: np.where(np.arange(400)[:, None, None] == 7, np.nan, S), "finite.*row 7 is not"),
        (lambda S: np.where(np.arange(400)[:, None, None] == 9, -S, S), "not negative on its diagonal.*row 9 is not"),
        (lambda S: S + (np.arange(400) == 11)[:, None, None] * [[0, 1], [0, 0]], "symmetric.*row 11 is not"),
        (lambda S: S + (np.arange(400) >= 13)[:, None, None] * [[0, 99], [99, 0]], "semidefinite.*row 13 is not"),
        (lambda S: np.where(np.arange(400)[:, None] == 5, -1.0, S[:, 0]), "not negative.*row 5 is not"),
        (lambda S: [-1.0, 1.0], "not negative.*row 0 is not"),
        (lambda S: "errors", "error_covariances"),
    ],
)
def test_errors_that_are_none_are_named(change, told):
    _, X, S = measured()
    model = GMM(3)
    with pytest.raises((ValueError, TypeError), match=told):
        model.fit(X, error_covariances=change(S))
    with pytest.raises((ValueError, TypeError), match=told):
        GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)]).score_samples(X, change(S))


def test_one_covariance_of_as_many_rows_as_features():
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)])
    X = np.eye(2)
    with pytest.raises(ValueError, match="may be the variances of each row, or one covariance matrix of all"):
        model.score_samples(X, np.diag([1.0, 2.0]))
    variances = model.score_samples(X, [[1.0, 2.0], [3.0, 4.0]])
    assert_array_equal(variances, model.score_samples(X, [np.diag([1.0, 2.0]), np.diag([3.0, 4.0])]))


@pytest.mark.filterwarnings("ignore:. of 6 groups")
@pytest.mark.parametrize("kind", ["variances", "a matrix for all"])
def test_few_rows_of_many_have_the_errors_of_the_whole(kind, tmp_path, monkeypatch):
    """A part of as many rows as features, whose variances are symmetric, is no part with one covariance matrix."""
    rng = np.random.default_rng(0)
    X, S = 10 * rng.standard_normal((12, 2)), np.tile([[0.1, 0.2], [0.2, 0.3]], (6, 1))
    arguments = {"n_components": 1, "tol": 0.0, "max_iter": 5}
    if kind != "variances":
        S = np.array([[0.1, 0.05], [0.05, 0.3]])
    expected = GMM(**arguments).fit(X, error_covariances=S)
    errors = S if len(S) == 2 else da.from_array(S, chunks=(2, 2))
    chunks = da.from_array(X, chunks=(2, 2))
    assert_same_fit(GMM(**arguments).fit(chunks, error_covariances=errors), expected, 1e-9)
    assert_allclose(expected.score(chunks, error_covariances=errors), expected.score(X, error_covariances=S))
    groups = np.arange(12) // 2
    given = fit_many(X, groups=groups, error_covariances=S, **arguments)
    whole = np.broadcast_to(S, (12, 2, 2)) if len(S) == 2 else S[:, :, np.newaxis] * np.eye(2)
    alone = GMM(reg_covar="relative", **arguments).fit(X[:2], error_covariances=whole[:2])
    assert_allclose(given[0].covariances_, alone.covariances_, rtol=1e-6)
    monkeypatch.setattr(sources, "MAPPED_BYTES", 1)
    tall = np.tile(X, (100, 1))[: CUT + 2]
    np.save(tmp_path / "rows.npy", tall)
    of_tall = S if len(S) == 2 else np.tile(S, (100, 1))[: CUT + 2]
    found = expected.score(tmp_path / "rows.npy", error_covariances=of_tall)
    assert_allclose(found, expected.score(tall, error_covariances=of_tall))
    if kind == "variances":
        np.savez(tmp_path / "rows.npz", rows=np.column_stack([X, np.sqrt(S)])[:2])
        table = cgmm.table(tmp_path / "rows.npz", "0,1", error_columns="2,3")
        assert_allclose(expected.score_samples(table), expected.score_samples(X[:2], whole[:2]))


def test_errors_larger_than_the_spread_are_warned_of_once():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 2))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = GMM(2, random_state=0).fit(X, error_covariances=[100.0, 0.1])
    told = [str(warning.message) for warning in caught if "errors" in str(warning.message)]
    assert len(told) == 1
    assert "feature 0" in told[0]
    assert "floor" in told[0]
    assert np.isfinite(model.covariances_).all()


@pytest.mark.parametrize("size", [1e-100, 1e-150])
def test_errors_of_any_size_are_compared_with_the_spread(size):
    """As of standard deviations in another unit: beside 1e-150 they were an error of NumPy's."""
    X = size * np.random.default_rng(0).standard_normal((50, 1))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert np.isfinite(GMM(1).fit(X, error_covariances=[1.0]).covariances_).all()
    assert "vary as much as the values of feature 0" in str(caught[0].message)


@kinds
@pytest.mark.parametrize("gaps", [False, True], ids=["", "gaps"])
def test_a_row_of_weight_zero_may_hold_anything(gaps, kind):
    """Also in its errors, be it in memory or in blocks, once or again."""
    _, X, S = measured(kind)
    w = (np.arange(400) % 3 > 0).astype(float)
    model = GMM(3, random_state=0, missing="marginal" if gaps else "error")
    expected = model.fit(X, sample_weight=w, error_covariances=S).means_
    X, S = X.copy(), S.copy()
    X[::3, 0], S[::3, 0], S[::6] = np.nan, np.nan, np.inf
    assert_array_equal(model.fit(X, sample_weight=w, error_covariances=S).means_, expected)
    blocks = [(X[:150], w[:150], None, S[:150]), (X[150:], w[150:], None, S[150:])]
    assert_allclose(model.fit(blocks).means_, expected, rtol=1e-9)  # with gaps, blocks are the array to rounding


@families
def test_what_no_number_can_hold_is_refused(family):
    """The square of (x − mean) / variance, of 1 / 1e-200: means were NaN, and blocks were said to have changed."""
    X, start = clusters(50, 2, 2), (np.full(2, 0.5), np.eye(2), np.repeat(1e-200 * np.eye(2)[None], 2, axis=0))
    model = begin_at((*start[:2], compact(start[2], family)), family)
    for given in ({"X": X, "error_covariances": np.zeros(2)}, {"X": [(X, None, None, np.zeros(2))]}):
        with pytest.raises(ValueError, match=r"a value too large beside the covariance .*precisions_init"):
            model.fit(**given)


def test_denoise_needs_errors():
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)])
    for X in ([[0.0, 0.0]], [np.zeros((3, 2))]):
        with pytest.raises(ValueError, match="needs the error_covariances"):
            model.denoise(X)
    assert model.denoise([(np.ones((3, 2)), None, None, np.ones(2))]).tolist() == [[0.5, 0.5]] * 3


@pytest.mark.parametrize("scale", [1.0, 1e140])
@pytest.mark.parametrize("d", [2, 3])
def test_features_that_determine_one_another(d, scale):
    """Moments lose all digits there: the fit ends at the covariance that is held, and the likelihood never falls."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        X = scale * rng.normal(size=(int(rng.integers(5, 80)), 1)) * np.append(1.0, rng.normal(size=d - 1))
        options = {"reg_covar": 0, "on_degenerate": "repair", "random_state": 0}
        found = GMM(1, **options).fit(X, error_covariances=np.zeros(X.shape if seed % 2 else (*X.shape, d)))
        assert np.diff(found.lower_bounds_).min(initial=0) >= -1e-10 * abs(found.lower_bound_)
        assert found.diagnostics_.degenerate
        assert_allclose(found.covariances_, GMM(1, **options).fit(X).covariances_, rtol=1e-4, atol=1e-6 * scale**2)
