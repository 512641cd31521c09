"""Mixtures made of a mixture: each against SciPy, or a formula written out in NumPy."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.integrate import quad
from scipy.stats import norm

from cgmm import GMM
from cgmm.mixture import univariate
from mixtures import TYPES, log_density, made, matrices_of

GMR = json.loads((Path(__file__).parent / "data" / "gmr_shared.json").read_text())


def test_gmr_conditional_mixtures():
    """To 1e-12: conditional and joint densities come from reflections here, from inverses in gmr."""
    model = GMM.from_parameters(GMR["weights"], GMR["means"], GMR["covariances"])
    for case in GMR["cases"]:
        given = model.conditional(case["points"], case["indices"])
        for i, (point, told) in enumerate(zip(case["points"], case["conditionals"], strict=True)):
            one = model.condition(dict(zip(case["indices"], point, strict=True)))
            for weights, means, covariances in (
                (one.weights_, one.means_, one.covariances_),
                (given.weights[i], given.means[i], given.covariances),
                (given[i].weights_, given[i].means_, given[i].covariances_),
            ):
                np.testing.assert_allclose(weights, told["weights"], rtol=1e-12, atol=1e-15)
                np.testing.assert_allclose(means, told["means"], rtol=1e-12, atol=1e-13)
                np.testing.assert_allclose(covariances, told["covariances"], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(one.mean(), told["mean"], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(given.mean()[i], told["mean"], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(given.covariance()[i], told["covariance"], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(one.covariance(), told["covariance"], rtol=1e-12, atol=1e-13)
            np.testing.assert_allclose(given.std()[i] ** 2, np.diagonal(told["covariance"]), rtol=1e-12)
    np.testing.assert_allclose(model.mean(), GMR["to_mvn"]["mean"], rtol=1e-12)
    np.testing.assert_allclose(model.covariance(), GMR["to_mvn"]["covariance"], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_marginal_is_what_draws_have(covariance_type):
    model = made(covariance_type)
    some = model.marginal([3, 1])
    assert some.covariance_type == covariance_type
    np.testing.assert_allclose(some.means_, model.means_[:, [3, 1]])
    np.testing.assert_allclose(matrices_of(some), matrices_of(model)[:, [[3], [1]], [3, 1]], rtol=1e-14)
    X = np.random.default_rng(1).normal(size=(20, 2))
    np.testing.assert_allclose(some.score_samples(X), log_density(some, X), rtol=1e-12)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("features", [[0], [2, 0], [1, 2, 3]])
def test_joint_is_marginal_times_conditional(covariance_type, features):
    model = made(covariance_type)
    X = model.sample(40)[0]
    others = [j for j in range(4) if j not in features]
    given = model.conditional(X[:, features], features)
    joint = log_density(model, X)
    split = log_density(model.marginal(features), X[:, features])
    np.testing.assert_allclose(given.score_samples(X[:, others]), joint - split, rtol=1e-10, atol=1e-10)
    each = [log_density(one, X[[i]][:, others])[0] for i, one in enumerate(given)]
    np.testing.assert_allclose(given.score_samples(X[:, others]), each, rtol=1e-10, atol=1e-10)
    assert given.score(X[:, others]) == pytest.approx(np.mean(each), rel=1e-10)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_gaps_in_what_is_given_are_as_if_not_given(covariance_type):
    model = made(covariance_type)
    values = model.sample(6)[0][:, [2, 0, 3]]
    values[1, 0] = values[2, 1] = values[3] = np.nan
    given = model.conditional(values, [2, 0, 3])
    for i, row in enumerate(values):
        known = [(j, v) for j, v in zip([2, 0, 3], row, strict=True) if not np.isnan(v)]
        alone = model.marginal([1, *(j for j, _ in known)])
        one = alone.condition({at + 1: v for at, (_, v) in enumerate(known)}) if known else alone.marginal([0])
        np.testing.assert_allclose(given[i].weights_, one.weights_, rtol=1e-11)
        np.testing.assert_allclose(given[i].means_, one.means_, rtol=1e-11)
        np.testing.assert_allclose(matrices_of(given[i]), matrices_of(one), rtol=1e-11)
        np.testing.assert_allclose(given.mean()[i], one.mean(), rtol=1e-11)
        np.testing.assert_allclose(given.covariance()[i], one.covariance(), rtol=1e-11)
        np.testing.assert_allclose(given.quantile(0.3)[i], one.ppf(0.3), rtol=1e-12)
        np.testing.assert_allclose(given.cdf(np.ones(6))[i], one.cdf([1.0])[0], rtol=1e-12)
    with pytest.raises(ValueError, match="different gaps"):
        _ = given.covariances


@pytest.mark.parametrize("covariance_type", TYPES)
def test_imputed_means_are_conditional_means(covariance_type):
    model = made(covariance_type)
    X = model.sample(30)[0]
    gaps = X.copy()
    gaps[:, [1, 3]] = np.nan
    found = model.conditional(X[:, [0, 2]], [0, 2]).mean()
    np.testing.assert_allclose(found, model.impute(gaps)[:, [1, 3]], rtol=1e-12, atol=1e-13)


def test_draws_have_the_conditional_moments():
    model = made("full", seed=3)
    given = model.conditional(model.sample(3)[0][:, :2], [0, 1])
    draws = given.sample(40_000, random_state=0)
    assert draws.shape == (40_000, 3, 2)
    error = given.std() / 200  # of a mean of 40 000
    assert (np.abs(draws.mean(axis=0) - given.mean()) < 4.5 * error).all()
    for i in range(3):
        centred = (draws[:, i] - given.mean()[i])[:, :, None] * (draws[:, i] - given.mean()[i])[:, None, :]
        assert (np.abs(centred.mean(axis=0) - given.covariance()[i]) < 4.5 * centred.std(axis=0) / 200).all()
    np.testing.assert_array_equal(given.sample(random_state=5), given.sample(random_state=5))
    assert given.sample().shape == (3, 2)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_any_number_of_threads_gives_the_same_bits(covariance_type):
    models = [made(covariance_type, k=5, d=6).set_params(n_threads=n) for n in (1, 2, 3)]
    values = np.random.default_rng(0).normal(size=(5000, 3))
    values[::7, 1] = np.nan
    one, *others = [model.conditional(values, [0, 2, 4]) for model in models]
    for other in others:
        for read in (lambda c: c.weights, lambda c: c.means, lambda c: c.mean(), lambda c: c.covariance()):
            np.testing.assert_array_equal(read(one), read(other))
        np.testing.assert_array_equal(one.sample(random_state=0), other.sample(random_state=0))


def test_float32_rows_are_taken():
    model = made("full")
    values = model.sample(50)[0][:, :2].astype(np.float32)
    np.testing.assert_array_equal(
        model.conditional(values, [0, 1]).mean(), model.conditional(values.astype(float), [0, 1]).mean()
    )


@pytest.mark.parametrize("covariance_type", TYPES)
def test_affine_and_convolved_mixtures_have_the_densities_of_what_they_are(covariance_type):
    model = made(covariance_type)
    A, b = np.array([[1.0, 2, 0, -1], [0, 1, 1, 1]]), np.array([3.0, -2.0])
    moved = model.affine(A, b)
    np.testing.assert_allclose(moved.means_, model.means_ @ A.T + b)
    np.testing.assert_allclose(moved.covariances_, A @ matrices_of(model) @ A.T)
    for added in (np.diag([1.0, 2, 3, 4]), np.array([1.0, 2, 3, 4]), np.array(2.0), np.zeros((4, 4))):
        whole = added if added.ndim == 2 else np.diag(np.broadcast_to(added, 4))
        noisy = model.convolve(added)
        np.testing.assert_allclose(matrices_of(noisy), matrices_of(model) + whole, rtol=1e-14)
    assert made("diag").convolve([1.0, 2, 3, 4]).covariance_type == "diag"
    for _, wrong in (("rank", [[1.0, 0, 0, 0], [2, 0, 0, 0]]), ("shape", [[1.0, 2]])):
        with pytest.raises(ValueError, match=r"rank|shape"):
            model.affine(wrong)
    with pytest.raises(ValueError, match="semidefinite"):
        model.convolve([1.0, -1, 0, 0])


@pytest.mark.parametrize("one", TYPES)
@pytest.mark.parametrize("other", TYPES)
def test_a_product_times_its_normaliser_is_the_product(one, other):
    f, g = made(one, seed=1), made(other, k=2, seed=2)
    both, log_normaliser = f.product(g)
    X = np.random.default_rng(0).normal(size=(20, 4))
    expected = log_density(f, X) + log_density(g, X)
    np.testing.assert_allclose(both.score_samples(X) + log_normaliser, expected, rtol=1e-11, atol=1e-11)


def test_mixed_mixtures_are_the_weighted_sum():
    models = [made(name, seed=seed) for seed, name in enumerate(TYPES)]
    X = np.random.default_rng(0).normal(size=(20, 4))
    for some in (models, models[2:], models[3:]):
        weights = np.arange(1.0, len(some) + 1)
        mixed = GMM.mix(some, weights)
        expected = (
            sum(w * np.exp(log_density(model, X)) for w, model in zip(weights, some, strict=True)) / weights.sum()
        )
        np.testing.assert_allclose(mixed.score_samples(X), np.log(expected), rtol=1e-11)
    assert [GMM.mix(some).covariance_type for some in (models, models[2:], models[3:])] == ["full", "diag", "spherical"]


def runnalls(weights, means, covariances, k):
    """The same merging, written out: at each step all pairs are tried (Runnalls 2007)."""
    parts = list(zip(weights, means, covariances, strict=True))

    def joined(a, b):
        w = a[0] + b[0]
        m = (a[0] * a[1] + b[0] * b[1]) / w
        S = sum(p[0] * (p[2] + np.outer(p[1] - m, p[1] - m)) for p in (a, b)) / w
        return w, m, S

    def cost(a, b):
        return 0.5 * sum(sign * p[0] * np.linalg.slogdet(p[2])[1] for sign, p in ((1, joined(a, b)), (-1, a), (-1, b)))

    while len(parts) > k:
        pairs = [(cost(parts[a], parts[b]), b, a) for a in range(len(parts)) for b in range(a)]
        _, b, a = min(pairs)
        parts[b] = joined(parts[b], parts[a])
        del parts[a]
    return tuple(np.array(values) for values in zip(*parts, strict=True))


@pytest.mark.parametrize("covariance_type", TYPES)
def test_simplified_mixtures_are_runnalls(covariance_type):
    model = made(covariance_type, k=8, d=3)
    simple = model.simplify(3)
    np.testing.assert_allclose(simple.mean(), model.mean(), rtol=1e-12)
    if covariance_type in ("full", "tied"):
        weights, means, covariances = runnalls(model.weights_, model.means_, matrices_of(model), 3)
        np.testing.assert_allclose(simple.weights_, weights, rtol=1e-12)
        np.testing.assert_allclose(simple.means_, means, rtol=1e-11)
        np.testing.assert_allclose(simple.covariances_, covariances, rtol=1e-11)
        np.testing.assert_allclose(simple.covariance(), model.covariance(), rtol=1e-11)
    else:
        np.testing.assert_allclose(np.trace(simple.covariance()), np.trace(model.covariance()), rtol=1e-12)
    np.testing.assert_array_equal(model.simplify(8).weights_, model.weights_)


def test_merged_components_keep_their_moments():
    model = made("full", k=5)
    merged = model.merge([1, 0, 1, 2, 0])
    parts = [[1, 4], [0, 2], [3]]
    for c, group in enumerate(parts):
        w = model.weights_[group] / model.weights_[group].sum()
        alone = GMM.from_parameters(w, model.means_[group], model.covariances_[group])
        np.testing.assert_allclose(merged.means_[c], alone.mean(), rtol=1e-12)
        np.testing.assert_allclose(merged.covariances_[c], alone.covariance(), rtol=1e-12)


def test_names_go_with_features():
    import pandas as pd

    X = pd.DataFrame(np.random.default_rng(0).normal(size=(50, 3)), columns=["a", "b", "c"])
    model = GMM(2, random_state=0).fit(X)
    assert model.marginal(["c", "a"]).feature_names_in_.tolist() == ["c", "a"]
    assert model.condition({"b": 0.0}).feature_names_in_.tolist() == ["a", "c"]
    assert model.conditional(X["b"], "b")[0].feature_names_in_.tolist() == ["a", "c"]
    np.testing.assert_allclose(
        model.condition({"b": 0.5, "a": 1.0}).means_, model.condition({0: 1.0, 1: 0.5}).means_, rtol=1e-13
    )


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda m: m.marginal([0, 0]), "different"),
        (lambda m: m.marginal(["x"]), "no feature 'x'"),
        (lambda m: m.marginal([4]), "no feature 4"),
        (lambda m: m.condition({}), "mapping"),
        (lambda m: m.condition({0: np.nan}), "NaN"),
        (lambda m: m.condition(dict.fromkeys(range(4), 0.0)), "none is left"),
        (lambda m: m.conditional([[1.0, 2]], [0]), "shape"),
        (lambda m: m.conditional([[np.inf]], [0]), "infinity"),
        (lambda m: m.conditional([[1.0]], [0]).quantile(0.5), "one feature"),
        (lambda m: m.conditional([[1.0, 2, 3]], [0, 1, 2]).quantile(1.5), "between 0 and 1"),
        (lambda m: m.conditional([[1.0]], [0]).score([[1.0]]), "shape"),
        (lambda m: m.simplify(4), "at most 3"),
        (lambda m: m.merge([0, 1]), "integers"),
        (lambda m: GMM.mix([]), "at least one"),
        (lambda m: GMM.mix([m, made("full", d=2)]), "features"),
        (lambda m: GMM.mix([m, m], [-1, 2]), "non-negative"),
        (lambda m: m.product(made("full", d=2)), "features"),
        (lambda m: m.ppf(0.5), "one feature"),
    ],
)
def test_what_cannot_be_says_so(ask, told):
    with pytest.raises((ValueError, TypeError), match=told):
        ask(made("full"))


def test_far_from_every_component_a_conditional_is_still_a_mixture():
    model = made("full")
    given = model.conditional([[1e8, -1e8]], [0, 1])
    assert given.weights.sum() == pytest.approx(1.0)
    assert np.isfinite(given.mean()).all() and np.isfinite(given.covariance()).all()


@pytest.mark.parametrize("p", [0.0, 0.2, 0.5, 0.7, 1.0])
def test_quantiles_where_nothing_is_left_of_a_deviation(p):
    """A component whose deviation is rounded to zero is a step at its mean, here 0 of weight 0.4 beside N(1, 1)."""
    weights, means, deviations = np.array([[0.4, 0.6]]), np.array([[0.0, 1.0]]), np.array([[0.0, 1.0]])
    found = univariate.quantiles(weights, means, deviations, np.array([p]))
    before = 0.6 * norm.cdf(-1.0)
    expected = 0.0 if before <= p <= before + 0.4 else 1 + norm.ppf((p - 0.4 * (p > before)) / 0.6)
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-300)
    assert univariate.cdf(weights, means, deviations, np.zeros(1)) == pytest.approx(before + 0.4)
    alone = univariate.quantiles(np.ones((1, 1)), np.full((1, 1), 3.0), np.zeros((1, 1)), np.array([p]))
    assert alone == 3.0


def test_a_conditional_density_integrates_to_one():
    one = made("full", d=2).condition({0: 1.3})
    total = quad(lambda y: np.exp(one.score_samples([[y]])[0]), -40, 40, limit=200, epsabs=1e-10)[0]
    assert total == pytest.approx(1.0, abs=1e-8)


def test_quantiles_never_fall():
    """Where a deviation is less than the spacing of doubles each is exact to that: two of them fell."""
    rng = np.random.default_rng(0)
    for _ in range(60):
        k, scale, variance = rng.integers(1, 4), 10.0 ** rng.integers(-3, 16), 10.0 ** rng.integers(-30, 3)
        means = scale * rng.normal(size=(k, 1))
        model = GMM.from_parameters(rng.dirichlet(np.ones(k)), means, np.full((k, 1, 1), variance))
        p = rng.random(50)
        assert (np.diff(model.ppf(p)[np.argsort(p)]) >= 0).all()
        twice = GMM.from_parameters(model.weights_, np.hstack([means, means]), variance * np.array([np.eye(2)] * k))
        assert (np.diff(twice.conditional(means, [0]).quantile(p)[:, np.argsort(p)]) >= 0).all()


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("distance", [1.0, 1e-3, 1e150])
@pytest.mark.parametrize("share", [0.5, 0.25, 0.125, 1 / 3, 0.9, 1e-9])
def test_quantiles_between_far_components_lie_between_them(share, distance):
    """There the distribution function is flat, and its value is p, to rounding."""
    weights, deviations = np.array([0.25 * share, 0.75 * share, 1 - share]), np.full((1, 3), 1e-6 * distance)
    means = distance * np.array([[-1.0, -1.0, 1.0]])
    for p in (share, np.nextafter(share, 0), np.nextafter(share, 1), 1 - (1 - share)):
        found = univariate.quantiles(weights[np.newaxis], means, deviations, np.array([p]))
        assert (np.abs(found) < distance * (1 + 1e-5)).all()
        np.testing.assert_allclose(univariate.cdf(weights, means, deviations, found), p, rtol=1e-14)


def test_deviations_whose_squares_are_no_numbers():
    """A component of share 1e-16 is 1e155 away: std was infinite. Of complete rows, and of one with a gap."""
    wide = np.array([[1, 0, 1e150], [0, 1, 0], [1e150, 0, 2e300]])
    model = GMM.from_parameters([1.0, 1e-16], np.zeros((2, 3)), [np.eye(3), wide])
    for second in (0.0, np.nan):
        found = model.conditional([[1e5, second]], [0, 1])
        assert_allclose(found.std(), [[1e147]], rtol=1e-6)
        assert_allclose(found.covariance(), [[[1e294]]], rtol=1e-6)
