"""GMM of rows some of whose values are missing: whole fits beside the reference, verbs, imputation, what is refused."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

import cgmm
import degenerate
import reference
from cgmm import GMM, Prior, _kernels, select
from cgmm.rows.patterns import Patterns
from gaps import a_prior, counts, cut, gappy, marginal
from problems import CHUNK, FITTED, assert_same_bits, begin_at, clusters, start_of
from survival import assert_survives, model_of, repaired

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
VERBS = ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl", "impute")


# The reference


@families
@pytest.mark.parametrize(
    "weighted, with_prior, fixed",
    [
        (False, False, ()),
        (True, False, ()),
        (True, True, ()),
        (True, False, ("weights",)),
        (True, False, ("means",)),
        (True, False, ("covariances",)),
        (False, False, ("weights", "means")),
    ],
)
def test_a_fit_is_the_references(weighted, with_prior, fixed, family):
    """Parameters to 1e-9 of their largest after six iterations, and the history without a prior."""
    X = clusters(90, 4, 3)
    start, Y, w = start_of(X, 3, family), gappy(X), counts(90) if weighted else None
    prior = a_prior(family, 4) if with_prior else None
    expected, history = reference.missing_em(Y, *start, family, 6, 1e-6, w, fixed, prior)
    arguments = {"missing": "marginal", "max_iter": 6, "fixed": fixed, "prior": Prior(*prior) if prior else None}
    model = begin_at(start, family, **arguments).fit(Y, sample_weight=w)
    for name, value in zip(FITTED, expected, strict=False):
        assert_allclose(getattr(model, name), value, rtol=0, atol=1e-9 * np.abs(value).max(), err_msg=name)
    if prior is None:
        assert_allclose(model.lower_bounds_, history, rtol=1e-9)


@families
@pytest.mark.parametrize("share", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("prior", [None, "default"])
def test_lower_bounds_never_fall(prior, share, family):
    X = gappy(clusters(500, 5, 3), share)
    history = marginal(4, covariance_type=family, tol=0, reg_covar=0, prior=prior, n_init=2).fit(X).lower_bounds_
    assert len(history) > 10
    assert np.all(np.diff(history) >= -1e-10 * np.abs(history[1:]))


@families
def test_the_objective_is_the_score(family):
    X = gappy(clusters(300, 4, 3))
    model = begin_at(start_of(clusters(300, 4, 3), 3, family), family, missing="marginal", max_iter=1)
    first = model.fit(X, sample_weight=counts(300)).lower_bound_
    model.set_params(max_iter=0)
    assert_allclose(model.fit(X, sample_weight=counts(300)).score(X, sample_weight=counts(300)), first, rtol=1e-12)


# Without gaps nothing changes


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_complete_rows_give_the_same_bits_at_no_cost(family, dtype, monkeypatch):
    """Values are looked at as often, and no patterns are looked for."""
    X, looks = clusters(9000, 4, 3).astype(dtype), []
    look = _kernels.all_within
    monkeypatch.setattr(_kernels, "all_within", lambda *arguments: looks.append(1) or look(*arguments))
    monkeypatch.setattr(Patterns, "__init__", None)

    def told(**arguments):
        looks.clear()
        model = GMM(3, covariance_type=family, random_state=0, n_init=4, **arguments).fit(X)
        return model, [getattr(model, verb)(X) for verb in VERBS[:-1]], len(looks)

    (plain, answers, seen), (asked, others, seen_then) = told(), told(missing="marginal")
    assert_same_bits(plain, asked)
    assert seen_then == seen
    for answer, other in zip(answers, others, strict=True):
        assert_array_equal(answer, other)


# Laws


@families
def test_threads_change_no_bit(family):
    X = gappy(clusters(3 * CHUNK + 100, 4, 3))
    one, many = (marginal(3, covariance_type=family, n_threads=threads, n_init=3).fit(X) for threads in (1, 3))
    assert_same_bits(one, many)
    for verb in VERBS:
        assert_array_equal(getattr(one, verb)(X), getattr(many, verb)(X))


@families
def test_weight_two_is_the_row_twice(family):
    X, start = gappy(clusters(200, 4, 3)), start_of(clusters(200, 4, 3), 3, family)
    twice = np.repeat(X, counts(200), axis=0)
    weighted, repeated = (begin_at(start, family, missing="marginal", prior="default") for _ in range(2))
    weighted.fit(X, sample_weight=counts(200))
    repeated.fit(twice)
    for name in FITTED:
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-7, atol=1e-9, err_msg=name)
    for verb in ("score", "aic", "bic", "icl"):
        assert_allclose(
            getattr(weighted, verb)(X, sample_weight=counts(200)), getattr(weighted, verb)(twice), rtol=1e-9
        )


@families
def test_rows_of_weight_zero_do_not_count(family):
    """Whatever is in them: to the rounding of sums in another order."""
    X, w = gappy(clusters(200, 4, 3)), counts(200)
    other = np.where(w[:, np.newaxis] > 0, X, [np.nan, 1e5, np.nan, -7.0])
    one, same = (marginal(3, covariance_type=family, prior="default") for _ in range(2))
    one.fit(X, sample_weight=w)
    same.fit(other, sample_weight=w)
    for name in FITTED:
        assert_allclose(getattr(same, name), getattr(one, name), rtol=1e-7, atol=1e-9, err_msg=name)


@families
def test_float32_is_float64(family):
    X = gappy(clusters(300, 4, 3)).astype(np.float32)
    single, double = (marginal(3, covariance_type=family).fit(rows) for rows in (X, X.astype(np.float64)))
    assert_same_bits(single, double)
    assert_array_equal(single.score_samples(X), double.score_samples(X))


def test_the_prior_of_incomplete_rows():
    """Its default mean and scale are those of the one normal distribution that is most likely, or nearly."""
    X = gappy(clusters(400, 3, 2))
    one = marginal(1, tol=1e-10, reg_covar=0, max_iter=500).fit(X)
    given = Prior(mean=one.means_[0], covariance=one.covariances_[0] * 400 / 399 / 2 ** (2 / 3))
    start = start_of(clusters(400, 3, 2), 2, "full")
    default, same = (begin_at(start, "full", missing="marginal", prior=prior).fit(X) for prior in ("default", given))
    for name in FITTED:
        assert_allclose(getattr(default, name), getattr(same, name), rtol=2e-3, err_msg=name)


# What a model says


@families
def test_rows_are_judged_by_what_is_observed(family):
    X, k, d = gappy(clusters(300, 4, 3), 0.5), 3, 4
    model = marginal(k, covariance_type=family).fit(X)
    full = reference.expand(model.covariances_, family, k, d)
    joint = np.tile(np.log(model.weights_), (len(X), 1))
    for i, row in enumerate(X):
        o = ~np.isnan(row)
        if o.any():
            joint[i] += [
                multivariate_normal(mean[o], S[np.ix_(o, o)]).logpdf(row[o])
                for mean, S in zip(model.means_, full, strict=True)
            ]
    log_p = np.logaddexp.reduce(joint, axis=1)
    assert np.isnan(X).all(axis=1).any()
    assert_allclose(model.score_samples(X), log_p, rtol=1e-9, atol=1e-9)
    assert_allclose(model.predict_proba(X), np.exp(joint - log_p[:, np.newaxis]), atol=1e-9)
    assert_array_equal(model.predict(X), joint.argmax(axis=1))
    assert_array_equal(model.fit_predict(X), joint.argmax(axis=1))
    assert_allclose(model.score(X), log_p.mean(), rtol=1e-9)
    p = reference.n_parameters(k, d, family)
    assert_allclose(model.aic(X), 2 * p - 2 * log_p.sum(), rtol=1e-9)
    assert_allclose(model.bic(X), p * np.log(len(X)) - 2 * log_p.sum(), rtol=1e-9)
    doubt = -2 * (joint.max(axis=1) - log_p).sum()
    assert_allclose(model.icl(X), p * np.log(len(X)) - 2 * log_p.sum() + doubt, rtol=1e-9)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_expectations_of_halves_add_up(family, dtype):
    """Also if one has no gap."""
    X = clusters(300, 4, 3).astype(dtype)
    X[150:] = gappy(X[150:])
    model = marginal(3, covariance_type=family).fit(X)
    whole, halves = cgmm.expectation(model, X), [cgmm.expectation(model, half) for half in (X[:150], X[150:])]
    blocks = cgmm.expectation(model, [X[:150], X[150:]])
    for found in (halves[0] + halves[1], blocks):
        for name in ("n_k", "first", "second", "log_likelihood", "total_weight"):
            expected = getattr(whole, name)
            assert_allclose(getattr(found, name), expected, rtol=0, atol=1e-11 * np.abs(expected).max())


def test_blocks_may_have_gaps():
    X = gappy(clusters(300, 4, 3))
    model, blocks = marginal(3).fit(X), [X[:100], X[100:]]
    for verb in VERBS:
        assert_allclose(getattr(model, verb)(blocks), getattr(model, verb)(X), rtol=1e-12)


@families
@pytest.mark.parametrize("size", [50, 1000])
def test_a_stream_with_gaps_is_learnt(size, family):
    """Four passes over shuffled rows, from nothing: within 0.02 nats a row of the optimum."""
    rng = np.random.default_rng(0)
    X = gappy(clusters(4000, 4, 3))
    best = marginal(3, covariance_type=family, n_init=3, tol=1e-7, max_iter=500).fit(X)
    model = marginal(3, covariance_type=family, n_init=10)
    for _ in range(4):
        model.partial_fit(cut(X[rng.permutation(len(X))], size))
    assert best.score(X) - 0.02 < model.score(X) <= best.score(X) + 1e-9


def test_batches_with_gaps():
    X = clusters(300, 4, 3)
    with pytest.raises(ValueError, match="NaN"):
        GMM(3).partial_fit(gappy(X))
    with pytest.raises(ValueError, match="missing must be one of"):
        GMM(3, missing="mean").partial_fit(X)
    assert_same_bits(marginal(3).partial_fit(X), GMM(3, random_state=0).partial_fit(X))
    hidden = X.copy()
    hidden[:, 2] = np.nan
    model = marginal(3)
    model.partial_fit(hidden[:20])  # waits until something is seen of each feature
    assert not hasattr(model, "means_")
    assert np.isfinite(model.partial_fit(X[20:40]).means_).all()
    with pytest.raises(ValueError, match=r"X\[:, 2\] is missing in every row"):
        marginal(3, learning_rows=10).partial_fit(hidden)
    given = GMM.from_parameters(*start_of(X, 3, "full")).set_params(missing="marginal", random_state=0)
    assert np.isfinite(given.partial_fit(hidden).means_).all()
    model = marginal(3).partial_fit(X[:2], sample_weight=np.full(2, 1e-300))
    model.partial_fit(hidden[:20], sample_weight=np.full(20, 1e300))  # beside which nothing is seen of a feature
    assert not hasattr(model, "means_")
    assert np.isfinite(model.partial_fit(X[20:40], sample_weight=np.full(20, 1e300)).means_).all()


def test_data_frames():
    X = gappy(clusters(200, 3, 2))
    frame = pd.DataFrame(X, columns=list("abc")).convert_dtypes()
    assert frame.isna().to_numpy().any()
    model = marginal(2).fit(frame)
    assert_same_bits(model, marginal(2).fit(X))
    assert_array_equal(model.feature_names_in_, ["a", "b", "c"])
    assert_array_equal(model.impute(frame), model.impute(frame.astype(float)))


def test_select():
    X = gappy(clusters(400, 3, 3, distance=9.0))
    found = select(X, range(1, 5), missing="marginal", n_init=3, random_state=0)
    assert found.best.n_components == 3
    row = found.table[found.winner]
    assert_allclose([row.bic, row.icl, row.aic], [getattr(found.best, name)(X) for name in ("bic", "icl", "aic")])
    with pytest.raises(ValueError, match="NaN"):
        select(X, 2)


# Imputation


def test_imputation_is_nearer_to_the_truth_than_means_of_columns():
    rng = np.random.default_rng(0)
    line = rng.standard_normal((1000, 1)) * 3
    X = np.hstack([line, -line, 2 * line]) + 0.3 * rng.standard_normal((1000, 3))
    X[500:] += [10, 10, -10]
    Y = gappy(X, 0.25)
    gaps = np.isnan(Y)

    def error(filled):
        return np.sqrt(((filled - X)[gaps] ** 2).mean())

    model = marginal(2).fit(Y)
    means, draws = model.impute(Y), model.impute(Y, draws=True)
    columns = error(np.where(gaps, np.nanmean(Y, axis=0), X))
    assert error(means) < 0.5 * columns
    assert error(means) < error(draws) < columns
    for filled in (means, draws):
        assert_array_equal(filled[~gaps], X[~gaps])


def test_draws_vary_as_what_is_missing_does():
    """x₂ given x₁ of a normal pair: means and variances within five standard errors."""
    n, x = 50_000, 1.7
    model = GMM.from_parameters([1.0], [[1.0, -2.0]], [[[2.0, 1.2], [1.2, 1.0]]])
    X = np.tile([x, np.nan], (n, 1))
    mean, variance = -2 + 0.6 * (x - 1), 1 - 0.6 * 1.2
    assert_allclose(model.impute(X)[:, 1], mean, rtol=1e-12)
    drawn = model.impute(X, draws=True, random_state=0)[:, 1]
    assert abs(drawn.mean() - mean) < 5 * np.sqrt(variance / n)
    assert abs(drawn.var() - variance) < 5 * variance * np.sqrt(2 / n)


def test_what_impute_takes():
    X = gappy(clusters(300, 3, 2)).astype(np.float32)
    model = GMM(2, random_state=3).fit(clusters(300, 3, 2))
    for filled in (model.impute(X), model.impute(X, draws=True)):
        assert filled.dtype == np.float32 and not np.isnan(filled).any()
        assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    seeds = None, 3, np.random.default_rng(4)
    of_model, same, other = (model.impute(X, draws=True, random_state=seed) for seed in seeds)
    assert_array_equal(of_model, same)
    assert not np.array_equal(same, other)
    whole = clusters(10, 3, 2)
    assert_array_equal(model.impute(whole), whole)
    assert_array_equal(model.impute(whole.astype(int)), whole.astype(int))
    with pytest.raises(TypeError, match="draws must be True or False"):
        model.impute(X, draws=3)
    with pytest.raises(ValueError, match="X has 2 features"):
        model.impute(X[:, :2])
    with pytest.raises(ValueError, match="infinity"):
        model.impute(np.full((1, 3), np.inf))


# What is refused


def test_nan_is_an_error_unless_asked():
    X = clusters(100, 3, 2)
    model, told = GMM(2, random_state=0).fit(X), r"Input X contains NaN: the first is X\[7, 1\] = nan. Drop or fill it."
    X[7, 1] = X[9, 0] = np.nan
    for verb in ("fit", "fit_predict", *VERBS[:-1]):
        with pytest.raises(ValueError, match=told):
            getattr(model, verb)(X)
    with pytest.raises(ValueError, match=told):
        cgmm.expectation(model, X)
    with pytest.raises(ValueError, match="missing must be one of 'error', 'marginal', not 'mean'"):
        model.set_params(missing="mean").predict(X)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("bad, told", [(np.inf, "infinity"), (-np.inf, "infinity"), (1e160, "a value too large")])
def test_gaps_hide_nothing_else(bad, told, dtype):
    X = clusters(100, 3, 2).astype(dtype)
    model = marginal(2).fit(X)
    X[5, 0] = np.nan
    with np.errstate(over="ignore"):
        X[70, 2] = bad
    with pytest.raises(ValueError, match=rf"{told if np.isfinite(X[70, 2]) else 'infinity'}: the first is X\[70, 2\]"):
        model.predict(X)
    with pytest.raises(ValueError, match=r"X\[70, 2\]"):
        model.fit(X)


def test_a_column_without_values():
    X = gappy(clusters(100, 4, 2))
    X[:, 2] = np.nan
    with pytest.raises(ValueError, match=r"X\[:, 2\] is missing in every row: nothing can be learnt of it"):
        marginal(2).fit(X)
    told, frame = "column 'c' is missing in every row: nothing can", pd.DataFrame(X, columns=list("abcd"))
    for fit in (
        marginal(2).fit,
        lambda X: marginal(2).fit(lambda: iter([X])),
        lambda X: cgmm.select(X, 2, missing="marginal"),
        lambda X: cgmm.fit_many(X, 2, groups=np.arange(100) % 2, missing="marginal"),
        lambda X: cgmm.fit_many(X, 2, columns=True, missing="marginal"),
    ):
        with pytest.raises(ValueError, match=told):
            fit(frame)
    X[50, 2] = 1.0
    w = np.ones(100)
    w[50] = 0
    with pytest.raises(ValueError, match=r"X\[:, 2\] is missing in every row of positive weight"):
        marginal(2).fit(X, sample_weight=w)
    model = marginal(2).fit(clusters(100, 4, 2))
    X[:, 2] = np.nan
    assert np.isfinite(model.score_samples(X)).all()


# Starts


@families
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_starts(init, family):
    """Of well separated clusters each start but the random one finds all."""
    X = clusters(600, 5, 3, distance=20.0)
    Y = gappy(X)
    model = marginal(3, covariance_type=family, init_params=init, n_init=4).fit(Y)
    assert np.isfinite(model.lower_bound_)
    if init != "random":
        whole = GMM(3, covariance_type=family, random_state=0).fit(X)
        assert_allclose(np.sort(model.weights_), np.sort(whole.weights_), atol=0.05)


@families
def test_the_users_own_starts_see_completed_rows(family):
    X = gappy(clusters(200, 3, 2))
    seen = []

    def own(rows, k, random_state):
        seen.append(rows)
        return np.arange(len(rows)) % k

    one = marginal(2, covariance_type=family, init_params=own).fit(X)
    assert seen[0].shape == X.shape and np.isfinite(seen[0]).all()
    assert_array_equal(seen[0][~np.isnan(X)], X[~np.isnan(X)])
    assert_same_bits(one, marginal(2, covariance_type=family, responsibilities_init=np.arange(200) % 2).fit(X))


@pytest.mark.parametrize("d", [3, 40])
def test_a_rare_value_far_down(d):
    """A column that a start's sample may miss, and more features than correlations are estimated of."""
    X = clusters(40_000, d, 2)
    X[:, 1] = np.nan
    X[39_990:, 1] = 5.0 + np.arange(10)
    model = marginal(2, covariance_type="diag", max_iter=5).fit(X)
    assert np.isfinite(model.means_).all() and model.means_[:, 1].min() > 4


def test_a_component_begins_again_where_rows_are_explained_worst():
    X = gappy(clusters(300, 2, 1), 0.2)
    X[:40] += 30
    start = np.array([0.5, 0.5]), np.array([[0.0, 0.0], [1e4, 1e4]]), np.array([np.eye(2)] * 2)
    model = begin_at(start, "full", missing="marginal", max_iter=100, on_degenerate="repair").fit(X)
    assert any(repair.row is not None and repair.row < 40 for repair in model.diagnostics_.repairs)
    assert_allclose(model.weights_, [260 / 300, 40 / 300], atol=0.02)


# Bad luck


@families
@pytest.mark.parametrize("name", degenerate.names(np.float64))
def test_degenerate_rows_with_gaps(name, family):
    """What a fit survives it survives with gaps, but for a column of which nothing is left."""
    case = degenerate.case(name, np.float64)
    X = gappy(case.X, 0.2)
    empty = np.isnan(X).all(axis=0)
    X[0, empty] = case.X[0, empty]
    model, told = repaired(model_of(case, family, missing="marginal", reg_covar=0), X)
    assert_survives(model, X, told)
    assert np.isfinite(model.impute(X)).all()


@families
def test_rows_of_which_nothing_is_observed(family):
    X = gappy(clusters(200, 3, 2))
    X[::3] = np.nan
    model = marginal(2, covariance_type=family).fit(X)
    assert np.isfinite(model.means_).all()
    assert_allclose(model.score_samples(X)[::3], 0, atol=1e-12)
    assert_allclose(model.predict_proba(X)[::3], np.tile(model.weights_, (67, 1)), rtol=1e-9)


# An estimator of scikit-learn's


def test_tags():
    pytest.importorskip("sklearn")
    assert marginal(1).__sklearn_tags__().input_tags.allow_nan
    assert not GMM().__sklearn_tags__().input_tags.allow_nan


def test_copies(tmp_path):
    X = gappy(clusters(200, 3, 2))
    model = marginal(2).fit(X)
    model.save(tmp_path / "model")
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model), GMM.load(tmp_path / "model")):
        assert other.missing == "marginal"
        assert_array_equal(other.score_samples(X), model.score_samples(X))
        assert_array_equal(other.impute(X), model.impute(X))


def test_nothing_is_warned_of():
    X = gappy(clusters(300, 3, 2))
    X[:5] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = marginal(2, n_init=5, prior="default").fit(X)
        for verb in VERBS:
            getattr(model, verb)(X)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("blocks", [False, True])
def test_what_is_expected_beyond_all_numbers_is_refused(blocks):
    """A fixed mean far from all values, and a column of 1e150: what is missing there is expected 1e9 times as far out.
    Its square overflowed, and the fit went on with what was left of the covariance."""
    X = np.array([[7.1, 5.3e149, 1e9, 7.1], [np.nan, np.nan, 1e9 + 1, np.nan], [7.1, 3.9e149, np.nan, np.nan]])
    X = np.vstack([X, [np.nan, -5.4e149, 1e9, np.nan]]) * (1e-3 if blocks else 1)  # of which blocks allow less
    model = GMM(1, missing="marginal", fixed=("means",), means_init=np.nan_to_num(X[[2]]), random_state=0)
    with pytest.raises(
        ValueError, match=r"a value too large beside the covariance .* is missing in its row: .*precisions_init"
    ):
        model.fit((lambda: [X[:2], X[2:]]) if blocks else X)
