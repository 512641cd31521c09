"""Rows some of whose values are missing: the E-step against reference.py, its laws, and what fills the gaps.

Tolerances: 1e-9 of the largest value, which is promised of float64; what is missing is computed in it for any input.
"""

import functools
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import _kernels
from cgmm.mixture.families import FAMILIES
from cgmm.mixture.parameters import Parameters
from cgmm.mixture.rules import Rules
from cgmm.rows.impute import impute
from problems import CHUNK, assert_same_bits, clusters, data_of, mixture, patterns_of, rows_of, start_of

families = pytest.mark.parametrize("family", reference.FAMILIES)
SUMS = ("n_k", "first", "second", "log_likelihood", "total_weight", "shift")
OUTPUTS = ("log_likelihood", "responsibilities", "labels")


# Which values are missing, (n, d)


def at_random(n, d, rng):
    return rng.random((n, d)) < 0.3


def monotone(n, d, rng):
    """Who leaves a study does not come back; some were never there."""
    return np.arange(d) >= rng.integers(0, d + 1, size=(n, 1))


def block(n, d, rng):
    """Half of the rows lack the first half of the features."""
    return (np.arange(n) < n // 2)[:, None] & (np.arange(d) < (d + 1) // 2)


def one_column(n, d, rng):
    return (rng.random((n, 1)) < 0.5) & (np.arange(d) == d // 2)


def nearly_all(n, d, rng):
    return rng.random((n, d)) < 0.9


PATTERNS = (at_random, monotone, block, one_column, nearly_all)
# n, d, k, weighted, which are missing
CASES = [
    (1, 1, 1, False, nearly_all),
    (9, 1, 3, True, at_random),
    (33, 2, 1, True, monotone),
    (31, 3, 2, False, nearly_all),
    (128, 4, 5, True, block),
    (129, 5, 4, False, at_random),
    (257, 7, 3, True, one_column),
    (200, 8, 9, True, at_random),
    (150, 9, 2, False, monotone),
    (300, 10, 8, True, at_random),
    (65, 16, 3, True, block),
    (60, 17, 5, True, at_random),
    (40, 33, 2, True, at_random),
    (24, 70, 2, False, at_random),
]


def problem(family, n, d, k, weighted=True, missing=at_random):
    """Rows, exact in float32, with gaps; weights, some of them zero; parameters."""
    rng = np.random.default_rng([n, d, k])
    parameters = mixture(family, d, k, rng)
    X = rows_of(parameters, n, rng)
    X[missing(n, d, rng)] = np.nan
    w = rng.uniform(0, 2, size=n) * (rng.random(n) < 0.9) if weighted else None
    return X, w, parameters


def values(parameters):
    return parameters.weights, parameters.means, parameters.covariances, parameters.family.name


def in_family(second, family):
    """What the family keeps of second moments (k,d,d)."""
    if family == "full":
        return second
    if family == "tied":
        return second.sum(axis=0)
    variances = np.diagonal(second, axis1=1, axis2=2)
    return variances if family == "diag" else variances.sum(axis=1)


def name_of(case):
    return "n{}-d{}-k{}{}-{}".format(*case[:3], "-w" * case[3], case[4].__name__)


@pytest.fixture(scope="module", params=CASES, ids=name_of)
def case(request):
    """A case of each family, with what the reference says of it."""
    return functools.cache(lambda family: expected(family, request.param))


def expected(family, case):
    X, w, parameters = problem(family, *case)
    joint = reference.missing_log_joint(X, *values(parameters))
    log_p = reference.log_sum_exp(joint)
    r = np.exp(joint - log_p[:, np.newaxis])
    totals = reference.missing_statistics(X, w, r, *values(parameters)[1:])
    totals["log_likelihood"] = log_p.sum() if w is None else w @ log_p
    return SimpleNamespace(X=X, w=w, parameters=parameters, log_p=log_p, r=r, totals=totals)


def assert_near(actual, expected, rtol=1e-9, least=0.0):
    """To rtol of the largest value, or of least."""
    expected = np.asarray(expected)
    assert np.shape(actual) == expected.shape
    assert_allclose(actual, expected, rtol=0, atol=rtol * max(np.abs(expected).max(), least))


def assert_statistics_near(a, b, rtol=1e-12):
    for name in SUMS:
        assert_near(getattr(a, name), getattr(b, name), rtol)


# The reference


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_statistics(case, family, dtype, target):
    known = case(family)
    found = patterns_of(known.X.astype(dtype), known.w).statistics(known.parameters)
    second = in_family(known.totals["second"], family)
    for name in ("n_k", "first", "log_likelihood", "total_weight"):
        assert_near(getattr(found, name), known.totals[name], least=1e-3)
    assert_near(found.second, second)
    assert_near(found.shift, known.parameters.means, 1e-15)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_evaluate(case, family, dtype, target):
    known = case(family)
    patterns = patterns_of(known.X.astype(dtype))
    assert_near(patterns.evaluate(known.parameters, "log_likelihood"), known.log_p, least=1e-3)
    r = patterns.evaluate(known.parameters, "responsibilities")
    assert_near(r, known.r)
    assert_array_equal(patterns.evaluate(known.parameters, "labels"), r.argmax(axis=1))


@families
@pytest.mark.parametrize("case", [case for case in CASES if case[0] > 30], ids=name_of, indirect=True)
def test_the_m_step_of_the_statistics(case, family):
    """Where there are rows enough for a covariance."""
    known = case(family)
    statistics = patterns_of(known.X, known.w).statistics(known.parameters)
    found, _ = Parameters.estimated(known.parameters.family, statistics, Rules())
    expected = reference.missing_maximise(known.totals, known.parameters.means, family)
    for name, value in zip(("weights", "means", "covariances"), expected, strict=True):
        assert_near(getattr(found, name), value)


@families
def test_impute(case, family, target):
    known = case(family)
    filled = impute(known.parameters, known.X)
    expected = reference.impute(known.X, known.r, *values(known.parameters)[1:])
    assert_near(filled, expected)
    assert_array_equal(filled[~np.isnan(known.X)], known.X[~np.isnan(known.X)])


# The ordinary path


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32], ids=["f64", "f32"])
def test_without_gaps_the_bits_are_those_of_the_ordinary_pass(family, dtype):
    X, w, parameters = problem(family, 3000, 6, 4, missing=lambda n, d, rng: np.zeros((n, d), dtype=bool))
    X = X.astype(dtype)
    patterns = patterns_of(X, w)
    assert_same_bits(patterns.statistics(parameters), data_of(X, w).statistics(parameters), SUMS)
    for output in OUTPUTS:
        assert_array_equal(patterns.evaluate(parameters, output), _kernels.evaluate(X, parameters.density, output))
    filled = impute(parameters, X)
    assert_array_equal(filled, X)
    assert filled is not X and filled.dtype == dtype


@families
def test_one_gap_leaves_the_other_rows_as_they_are(family):
    """Rows without gaps beside one with: the same densities, to rounding."""
    X, _, parameters = problem(family, 500, 6, 4, missing=lambda n, d, rng: np.zeros((n, d), dtype=bool))
    whole = patterns_of(X).evaluate(parameters, "log_likelihood")
    X[77, 3] = np.nan
    found = patterns_of(X).evaluate(parameters, "log_likelihood")
    assert_allclose(np.delete(found, 77), np.delete(whole, 77), rtol=1e-12)
    assert found[77] != whole[77]


# Laws


@families
@pytest.mark.parametrize("missing", [at_random, monotone, one_column])
@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_change_no_bit(n_threads, missing, family):
    X, w, parameters = problem(family, 8 * CHUNK + 129, 6, 5, missing=missing)
    patterns = patterns_of(X, w)
    assert_same_bits(patterns.statistics(parameters, 1), patterns.statistics(parameters, n_threads), SUMS)
    for output in OUTPUTS:
        one, many = (patterns.evaluate(parameters, output, threads) for threads in (1, n_threads))
        assert_array_equal(one, many)
    for seed in (None, 3):
        one, many = (impute(parameters, X, seed and np.random.default_rng(seed), threads) for threads in (1, n_threads))
        assert_array_equal(one, many)


@families
@pytest.mark.parametrize(
    "layout", [np.asfortranarray, lambda X: np.repeat(X, 2, axis=1)[:, ::2], lambda X: X[::-1].copy()[::-1]]
)
def test_strides_change_no_bit(layout, family):
    X, w, parameters = problem(family, 300, 6, 3)
    a, b = patterns_of(layout(X), w), patterns_of(X, w)
    assert_same_bits(a.statistics(parameters), b.statistics(parameters), SUMS)
    for output in OUTPUTS:
        assert_array_equal(a.evaluate(parameters, output), b.evaluate(parameters, output))


@families
@pytest.mark.parametrize("missing", PATTERNS)
def test_log_likelihood_never_falls(missing, family):
    """Beyond 1e-10 of it; and what EM ends in has moved."""
    X = clusters(600, 5, 3)
    X[missing(*X.shape, np.random.default_rng(0))] = np.nan
    w = np.arange(len(X)) % 4 * 1.0
    patterns = patterns_of(X, w)
    _, means, covariances = start_of(clusters(600, 5, 3), 3, family)
    parameters = Parameters.build(FAMILIES[family], np.full(3, 1 / 3), means, covariances)
    history = []
    for _ in range(40):
        statistics = patterns.statistics(parameters)
        history.append(statistics.lower_bound)
        parameters, _ = parameters.maximise(statistics, Rules())
    assert np.all(np.diff(history) >= -1e-10 * np.abs(history[1:]))
    assert history[-1] > history[0] + 0.1


def test_two_features_of_which_one_is_cut_short():
    """Anderson (1957), "Maximum likelihood estimates for a multivariate normal distribution when some observations are
    missing": x₁ from all rows, the regression of x₂ on it from those that have both."""
    rng = np.random.default_rng(5)
    X = rng.standard_normal((400, 2)) @ [[1.0, 0.7], [0.0, 0.5]] + [3, -1]
    X[250:, 1] = np.nan
    patterns = patterns_of(X)
    parameters = Parameters.build(FAMILIES["full"], np.ones(1), np.zeros((1, 2)), np.eye(2)[np.newaxis])
    for _ in range(300):
        parameters, _ = parameters.maximise(patterns.statistics(parameters), Rules())
    both = np.cov(X[:250].T, bias=True)
    slope, middle = both[0, 1] / both[0, 0], X[:250].mean(axis=0)
    mean, variance = X[:, 0].mean(), X[:, 0].var()
    residual = both[1, 1] - slope * both[0, 1]
    assert_allclose(parameters.means[0], [mean, middle[1] + slope * (mean - middle[0])], rtol=1e-9)
    covariance = [[variance, slope * variance], [slope * variance, residual + slope**2 * variance]]
    assert_allclose(parameters.covariances[0], covariance, rtol=1e-9)


@families
def test_halves_add_up(family):
    X, w, parameters = problem(family, 700, 6, 4)
    one, other = (patterns_of(X[part], w[part]).statistics(parameters) for part in (slice(300), slice(300, None)))
    assert_statistics_near(one + other, patterns_of(X, w).statistics(parameters))


@families
def test_weight_two_is_the_row_twice(family):
    X, _, parameters = problem(family, 300, 6, 4)
    counts = np.arange(300) % 3
    twice = patterns_of(np.repeat(X, counts, axis=0)).statistics(parameters)
    assert_statistics_near(patterns_of(X, counts * 1.0).statistics(parameters), twice)


@families
def test_order_of_the_rows(family):
    X, w, parameters = problem(family, 300, 6, 4)
    order = np.random.default_rng(0).permutation(300)
    a, b = patterns_of(X, w), patterns_of(X[order], w[order])
    assert_statistics_near(b.statistics(parameters), a.statistics(parameters))
    for output in OUTPUTS:
        assert_allclose(b.evaluate(parameters, output), a.evaluate(parameters, output)[order], rtol=1e-12, atol=1e-12)
    assert_allclose(impute(parameters, X[order]), impute(parameters, X)[order], rtol=1e-12)


@families
def test_order_of_the_features(family):
    X, w, parameters = problem(family, 300, 6, 4)
    order = np.array([4, 0, 5, 2, 1, 3])
    weights, means, covariances, _ = values(parameters)
    if family in ("full", "tied"):
        covariances = covariances[..., order, :]
    if family != "spherical":
        covariances = covariances[..., order]
    other = Parameters.build(FAMILIES[family], weights.copy(), means[:, order].copy(), covariances.copy())
    found = patterns_of(X[:, order], w).statistics(other)
    expected = patterns_of(X, w).statistics(parameters)
    assert_near(found.n_k, expected.n_k, 1e-12)
    assert_near(found.first, expected.first[:, order], 1e-12)
    assert_near(found.log_likelihood, expected.log_likelihood, 1e-12)
    assert_allclose(impute(other, X[:, order]), impute(parameters, X)[:, order], rtol=1e-11)


@families
def test_far_from_the_origin_nothing_is_lost(family):
    """Rows and means on a grid of 2^-20, so that adding 1e8 is exact: moments about the means stay as they are."""
    X, w, parameters = problem(family, 300, 6, 4)
    X, means = (np.round(array * 2**20) / 2**20 for array in (X, parameters.means))
    weights, _, covariances, _ = values(parameters)
    near, far = (
        patterns_of(X + offset, w).statistics(
            Parameters.build(FAMILIES[family], weights.copy(), means + offset, covariances.copy())
        )
        for offset in (0.0, 1e8)
    )
    for name in ("n_k", "first", "second", "log_likelihood"):
        assert_near(getattr(far, name), getattr(near, name), 1e-12)


# Nothing is observed


@families
def test_rows_of_which_nothing_is_observed(family):
    """They say nothing: the mixture's weights, the density of nothing, and its own moments."""
    _, _, parameters = problem(family, 1, 5, 4)
    patterns = patterns_of(np.full((7, 5), np.nan), np.arange(7.0))
    assert_allclose(patterns.evaluate(parameters, "log_likelihood"), 0, atol=1e-15)
    assert_allclose(patterns.evaluate(parameters, "responsibilities"), np.tile(parameters.weights, (7, 1)), rtol=1e-14)
    found, _ = parameters.maximise(patterns.statistics(parameters), Rules())
    for name in ("weights", "means", "covariances"):
        assert_near(getattr(found, name), getattr(parameters, name), 1e-13)
    assert_allclose(
        impute(parameters, patterns.part.rows), np.tile(parameters.weights @ parameters.means, (7, 1)), rtol=1e-13
    )


@families
def test_a_feature_that_no_row_has(family):
    """EM leaves what the others say of it as it began: its regression on them, and what it varies by beside."""
    rng = np.random.default_rng(1)
    X = clusters(400, 4, 2)
    begun = mixture(family, 4, 2, rng)
    X[:, 2] = np.nan
    X[at_random(400, 4, rng)] = np.nan
    patterns, parameters, history = patterns_of(X), begun, []
    for _ in range(30):
        statistics = patterns.statistics(parameters)
        history.append(statistics.lower_bound)
        parameters, repairs = parameters.maximise(statistics, Rules())
        assert not repairs
    assert np.all(np.diff(history) >= -1e-10 * np.abs(history[1:]))
    before, after = (of_others(p, 2) for p in (begun, parameters))
    count = 3 if family == "spherical" else 4  # one variance for all features learns from the others
    for a, b in zip(after[:count], before, strict=False):
        assert_allclose(a, b, rtol=1e-8)


def of_others(parameters, j):
    """Of feature j given the others, for each component: slopes, intercept, and variance."""
    full = reference.expand(parameters.covariances, parameters.family.name, parameters.k, parameters.d)
    others = np.delete(np.arange(parameters.d), j)
    slopes = np.array([np.linalg.solve(S[np.ix_(others, others)], S[others, j]) for S in full])
    intercepts = parameters.means[:, j] - np.einsum("co,co->c", slopes, parameters.means[:, others])
    spread = full[:, j, j] - np.einsum("co,co->c", slopes, full[:, others, j])
    return (slopes, intercepts, spread) if parameters.family.name != "spherical" else (slopes, intercepts)


# What it costs


def test_rows_are_not_copied():
    """Nor is anything held of a row and each component, or each feature: 512 bytes of either kind a row."""
    X, w, parameters = problem("full", 20_000, 64, 64, missing=one_column)
    tracemalloc.start()
    patterns_of(X, w).statistics(parameters)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < X.nbytes / 2


# Hard covariances


@pytest.mark.parametrize("family", ["full", "tied"])
def test_nearly_singular_covariances(family):
    """Two features that differ by 1e-7 of their deviations: one tells the other; nothing fails."""
    rng = np.random.default_rng(2)
    X = np.repeat(clusters(500, 3, 2), 2, axis=1)
    X[:, 1::2] += 1e-7 * rng.standard_normal((500, 3))
    begun = np.cov(X.T, bias=True)
    covariances = begun if family == "tied" else np.repeat(begun[np.newaxis], 2, axis=0)
    parameters = Parameters.build(FAMILIES[family], np.full(2, 0.5), X[[0, 250]], covariances)
    gaps = rng.random((500, 3)) < 0.5
    Y = X.copy()
    Y[:, 1::2][gaps] = np.nan
    patterns = patterns_of(Y)
    for _ in range(10):
        statistics = patterns.statistics(parameters)
        assert np.isfinite(statistics.log_likelihood)
        parameters, _ = parameters.maximise(statistics, Rules())
    assert_allclose(impute(parameters, Y), X, rtol=0, atol=1e-6)


@pytest.mark.parametrize("family", ["full", "tied", "diag"])
def test_units_of_features(family):
    """Those of each in units of its own, from 1e-120 to 1e120: a power of two changes no digit of a moment."""
    X, w, parameters = problem(family, 200, 5, 3)
    unit = 2.0 ** np.array([-400, 0, 400, 13, -13])
    weights, means, covariances, _ = values(parameters)
    square = unit**2 if family == "diag" else np.outer(unit, unit)
    other = Parameters.build(FAMILIES[family], weights.copy(), means * unit, covariances * square)
    found, expected = patterns_of(X * unit, w).statistics(other), patterns_of(X, w).statistics(parameters)
    assert_near(found.n_k, expected.n_k, 1e-12)
    assert_near(found.first / unit, expected.first, 1e-12)
    assert_near(found.second / square, expected.second, 1e-12)


@families
def test_a_component_of_weight_zero(family):
    X, w, parameters = problem(family, 100, 4, 3)
    _, means, covariances, _ = values(parameters)
    dead = Parameters.build(FAMILIES[family], np.array([0.4, 0.0, 0.6]), means.copy(), covariances.copy())
    found = patterns_of(X, w).statistics(dead)
    assert found.n_k[1] == 0 and not found.first[1].any()
    assert all(np.isfinite(getattr(found, name)).all() for name in SUMS)


# Draws


@families
def test_draws_are_of_the_conditional_distribution(family):
    """Mean and covariance of many draws for one row: within five of their own standard errors."""
    parameters = mixture(family, 4, 3, np.random.default_rng(3))
    n, row = 40_000, np.array([5.5, np.nan, 4.5, np.nan])
    drawn = impute(parameters, np.tile(row, (n, 1)), np.random.default_rng(0))
    assert_array_equal(drawn[:, [0, 2]], np.tile(row[[0, 2]], (n, 1)))
    r = patterns_of(row[np.newaxis]).evaluate(parameters, "responsibilities")[0]
    full = reference.expand(parameters.covariances, family, 3, 4)
    each = [reference.completed(row, mean, S) for mean, S in zip(parameters.means, full, strict=True)]
    mean = sum(share * filled for share, (filled, _, _) in zip(r, each, strict=True))
    covariance = sum(
        share * (spread + np.outer(filled - mean, filled - mean))
        for share, (filled, spread, _) in zip(r, each, strict=True)
    )
    gaps = np.isnan(row)
    away = drawn[:, gaps] - mean[gaps]
    assert np.all(np.abs(away.mean(axis=0)) < 5 * np.sqrt(np.diag(covariance)[gaps] / n))
    products = np.einsum("ij,il->ijl", away, away)
    error = np.abs(products.mean(axis=0) - covariance[np.ix_(gaps, gaps)])
    assert np.all(error < 5 * products.std(axis=0) / np.sqrt(n))


@families
def test_draws_of_a_seed(family):
    X, _, parameters = problem(family, 200, 5, 3)
    X = X.astype(np.float32)
    a, b, c = (impute(parameters, X, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert a.dtype == np.float32
    assert_array_equal(a, b)
    gaps = np.isnan(X)
    assert_array_equal(a[~gaps], X[~gaps])
    assert (a[gaps] != c[gaps]).all()
