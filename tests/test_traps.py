"""What users fall into: units, types, equal starts, constant columns. Each is handled, or told of in one warning."""

import warnings

import numpy as np
import pandas as pd
import pytest

import reference
from cgmm import GMM, DegenerateError, GMMClassifier, GMMRegressor, kmeans, select
from cgmm.selection import COMPARED
from survival import text_of

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


def volts(rng, unit=1.5e-5):
    """Two clusters six standard deviations apart, in a small unit."""
    return np.concatenate([rng.normal(0, unit, 500), rng.normal(6 * unit, unit, 500)])[:, np.newaxis]


@families
def test_a_reg_covar_that_swallows_small_units_is_told_with_the_numbers(family):
    X = volts(np.random.default_rng(0))
    model, text = text_of(lambda: GMM(2, covariance_type=family, random_state=0).fit(X))
    times = 1e-6 / (model.covariances_.min() - 1e-6)
    assert f"reg_covar=1e-06 is {times:,.3g} times the variance of feature 0" in text
    assert "scale the columns or set reg_covar=0" in text
    for cure in ({"reg_covar": 0}, {"reg_covar": "relative"}):
        model, text = text_of(lambda cure=cure: GMM(2, covariance_type=family, random_state=0, **cure).fit(X))
        labels = model.predict(X)
        assert not text and max((labels[:500] == c).mean() + (labels[500:] != c).mean() for c in (0, 1)) > 1.99


def test_a_column_in_small_units_is_called_by_its_name():
    pd = pytest.importorskip("pandas")
    rng = np.random.default_rng(0)
    X = pd.DataFrame({"size": rng.normal(size=1000), "amplitude": volts(rng)[:, 0]})
    assert "feature 'amplitude'" in text_of(lambda: GMM(2, random_state=0).fit(X))[1]


def test_a_stream_in_small_units_is_told_once():
    rng, model = np.random.default_rng(0), GMM(2, random_state=0, learning_rows=100)
    texts = [text_of(lambda: model.partial_fit(rng.permutation(volts(rng))))[1] for _ in range(3)]
    assert [("times the variance" in text) for text in texts] == [True, False, False]


def test_raise_raises_also_here():
    with pytest.raises(DegenerateError, match="times the variance"):
        GMM(2, on_degenerate="raise").fit(volts(np.random.default_rng(0)))


@pytest.mark.parametrize("scale", [1e-7, 1.0, 1e5])
def test_few_or_equal_rows_are_no_matter_of_units(scale):
    """A component of equal rows in a feature that varies: reg_covar keeps it from zero, as it should."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)) * 10
    X[:100, 1] = 3 + 1e-7 * rng.normal(size=100)
    relative = 1e-6 * scale**2
    _, text = text_of(lambda: GMM(3, random_state=0, reg_covar=relative).fit(X * scale))
    assert "times the variance" not in text


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_select_chooses_the_same_in_any_units(unit):
    X = volts(np.random.default_rng(0), unit)
    found, text = text_of(lambda: select(X, range(1, 4), random_state=0))
    assert not text and found.best.n_components == 2


def test_select_tells_of_its_winner():
    X = volts(np.random.default_rng(0))
    found, text = text_of(lambda: select(X, range(1, 4), random_state=0, reg_covar=1e-6))
    assert "times the variance" in text and text in found.table[found.winner].warnings


def test_one_feature_is_fitted_once_where_families_agree():
    found = select(np.random.default_rng(0).normal(size=(200, 1)), [1, 2], random_state=0)
    assert [(row.covariance_type, row.n_components) for row in found.table] == [
        (family, k) for family in ("E", "V") for k in (1, 2)
    ]
    spherical = select(np.random.default_rng(0).normal(size=(200, 1)), [1], ["spherical", "diag"], random_state=0)
    assert [row.covariance_type for row in spherical.table] == ["spherical"]


@families
def test_equal_components_are_told(family):
    X = np.random.default_rng(0).normal(size=(300, 2))
    model = GMM(3, covariance_type=family, means_init=[[0, 0], [1, 1], [1, 1]], weights_init=[0.3, 0.3, 0.4])
    precisions = {
        "full": np.tile(np.eye(2), (3, 1, 1)),
        "tied": np.eye(2),
        "diag": np.ones((3, 2)),
        "spherical": np.ones(3),
    }
    model.set_params(precisions_init=precisions[family])
    assert "Components 1 and 2 are equal" in text_of(lambda: model.fit(X))[1]
    assert "equal" not in text_of(lambda: GMM(3, covariance_type=family, random_state=0).fit(X))[1]


@families
def test_constant_columns_are_named(family):
    X = np.random.default_rng(0).normal(size=(500, 40))
    X[:, [0, 32, 39]] = [0.0, 7.0, -1e6]
    _, text = text_of(lambda: GMM(24, covariance_type=family, random_state=0, max_iter=20).fit(X))
    assert ("Features 0, 32, 39 are constant, and covariances singular: drop them." in text) == (
        family in ("full", "tied", "diag")
    )
    assert "component 3" not in text


@pytest.mark.parametrize("reg_covar", [1e-6, 0, "relative"])
@pytest.mark.parametrize("family", [name for name in COMPARED if name not in ("EII", "spherical")])
def test_constant_columns_are_named_whatever_components_share(family, reg_covar):
    """What is shared moves their variances off the floor: reg_covar was blamed, or their components were."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) + rng.choice([-3, 3], size=(500, 1))
    X[:, [1, 3]] = [5.0, 0.0]
    _, text = text_of(lambda: GMM(2, covariance_type=family, random_state=0, reg_covar=reg_covar).fit(X))
    assert text.startswith("Features 1, 3 are constant, and covariances singular: drop them. It was repaired")
    assert "reg_covar" not in text


def test_a_row_alone_has_no_constant_columns():
    X = np.random.default_rng(0).normal(size=(1, 4))
    for reg_covar in (1e-6, "relative"):
        assert (
            "constant"
            not in text_of(lambda reg=reg_covar: GMM(1, covariance_type="spherical", reg_covar=reg).fit(X))[1]
        )


@pytest.mark.parametrize("reg_covar", [1e-6, 0])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("family", ["full", "tied", "VEE", "VVE", "EEV"])
def test_features_that_determine_one_another_are_named(family, k, reg_covar):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 4)) + rng.choice([-3, 3], size=(500, 1))
    usual = {"covariance_type": family, "random_state": 0, "reg_covar": reg_covar, "max_iter": 300}
    for more, told in ((X[:, 0] - 2 * X[:, 2], "0, 2, 4"), (X[:, 1], "1, 4")):
        rows = np.column_stack([X, more])
        _, text = text_of(lambda rows=rows: GMM(k, **usual).fit(rows))
        assert text.startswith(f"Features {told} determine one another, and covariances singular: drop one.")
    frame = pd.DataFrame(np.column_stack([X, X[:, 1]]), columns=["a", "b", "c", "d", "e"])
    assert text_of(lambda: GMM(k, **usual).fit(frame))[1].startswith("Features b, e determine one another")


def test_components_that_are_flat_by_themselves_are_not_told_of_so():
    """Two lines that cross: in each the features determine one another, but each feature says something."""
    line = np.linspace(-5, 5, 50)
    X = np.vstack([np.column_stack([line, line]), np.column_stack([line, -line])])
    start = {"means_init": np.zeros((2, 2)), "precisions_init": [[[9, -8], [-8, 9]], [[9, 8], [8, 9]]]}
    _, text = text_of(lambda: GMM(2, weights_init=[0.5, 0.5], **start, reg_covar=0).fit(X))
    assert "each of components 0, 1" in text
    assert "determine" not in text


def test_many_faults_make_one_short_warning():
    X = np.repeat(np.random.default_rng(0).normal(size=(12, 3)), 5, axis=0)
    _, text = text_of(lambda: GMM(24, random_state=0).fit(X))
    assert "in all" in text


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_weighs_nothing_may_be_anything(bad, dtype):
    """Rows of weight zero do not count, whatever they hold: in an array, in blocks, in batches, in verbs."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)).astype(dtype)
    w = rng.integers(0, 3, 300).astype(float)
    clean = X.copy()
    X[w == 0, 1] = bad
    model = GMM(2, random_state=0)
    expected = model.fit(clean[w > 0], sample_weight=w[w > 0])
    means, score = expected.means_, expected.score(clean[w > 0], sample_weight=w[w > 0])
    for way in (X, lambda: [(X[:100], w[:100]), (X[100:], w[100:])]):
        found = GMM(2, random_state=0).fit(way, sample_weight=None if callable(way) else w)
        np.testing.assert_allclose(found.means_, means, rtol=1e-3)
    assert np.isclose(expected.score(X, sample_weight=w), score, rtol=1e-6)
    GMM(2, random_state=0).partial_fit(X, sample_weight=w)
    with pytest.raises(ValueError, match="X contains"):
        model.fit(X)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_what_weighs_nothing_may_be_anything_to_whatever_learns(bad, dtype):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 2)).astype(dtype)
    w, y, t = rng.integers(0, 3, 300).astype(float), rng.integers(0, 2, 300), rng.normal(size=300)
    X[y == 1] += 2
    clean, some = X.copy(), w > 0
    X[w == 0, 1] = bad
    for n_components in (1, 2):
        usual = {"n_components": n_components, "random_state": 0}
        model = GMMClassifier(**usual).fit(X, y, sample_weight=w)
        other = GMMClassifier(**usual).fit(clean[some], y[some], sample_weight=w[some])
        np.testing.assert_array_equal(model.mixture_.means_, other.mixture_.means_)
        assert model.score(X, y, sample_weight=w) == other.score(clean[some], y[some], sample_weight=w[some])
        with pytest.raises(ValueError, match="X contains"):
            model.score(X, y)
    GMMClassifier().partial_fit(X, y, classes=[0, 1], sample_weight=w)
    targets = np.where(w == 0, bad, t)
    model = GMMRegressor(1).fit(X, targets, sample_weight=w)
    other = GMMRegressor(1).fit(clean[some], t[some], sample_weight=w[some])
    np.testing.assert_allclose(model.mixture_.means_, other.mixture_.means_, rtol=1e-6)
    expected = other.score(clean[some], t[some], sample_weight=w[some])
    np.testing.assert_allclose(model.score(X, targets, sample_weight=w), expected, rtol=1e-5)
    errors = np.where(np.arange(2) == 1, np.where(w == 0, np.nan, 0.1)[:, np.newaxis], 0.1)
    GMMRegressor(1).fit(X, targets, sample_weight=w, error_covariances=errors).score(X, targets, w, errors)
    GMMRegressor(1).partial_fit(X, targets, sample_weight=w)
    with pytest.raises(ValueError, match="X contains"):
        model.fit(X, t)
    with pytest.raises(ValueError, match="X contains"):  # of which each row has a label
        kmeans(X, 2, sample_weight=w)


@pytest.mark.parametrize("column", range(3))
def test_what_weighs_nothing_is_the_same_to_a_regression_and_to_its_mixture(column):
    """To the bit: a row is replaced as a whole, whether a feature or a target cannot be summed."""
    rows = np.random.default_rng(0).normal(size=(60, 3)) * [1, 1, 10] + [1e9, 0, 5]
    w = np.arange(60) % 3.0
    rows[w == 0] += 1e6
    rows[w == 0, column] = 1e150
    model = GMMRegressor(4, init_params=lambda X, k, random_state: np.arange(len(X)) % k, random_state=0)
    found = model.fit(rows[:, :2], rows[:, 2], sample_weight=w).mixture_
    expected = GMM(**found.get_params()).fit(rows, sample_weight=w)
    np.testing.assert_array_equal(found.means_, expected.means_)
    np.testing.assert_array_equal(found.covariances_, expected.covariances_)


def test_a_gap_in_a_row_of_weight_zero_stays_a_gap():
    """Whatever the blocks: another row in its place would depend on their cut."""
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(60, 2)), rng.integers(0, 2, 60).astype(float)
    X[rng.random(X.shape) < 0.2] = np.nan
    model = {"n_components": 2, "missing": "marginal", "random_state": 0, "max_iter": 5, "tol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        whole = GMM(**model).fit(X, sample_weight=w)
        cut = GMM(**model).fit(lambda: [(X[i : i + 7], w[i : i + 7]) for i in range(0, 60, 7)])
    np.testing.assert_array_equal(whole.lower_bounds_, cut.lower_bounds_)
    np.testing.assert_array_equal(whole.means_, cut.means_)


@pytest.mark.filterwarnings("error::RuntimeWarning", "ignore::cgmm.DegenerateWarning")
@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
def test_a_prior_beside_weights_that_are_hardly_numbers():
    X = np.random.default_rng(0).integers(0, 3, (3, 1)).astype(float)
    model = GMM(2, prior="default", accelerate=True, random_state=0, tol=0.0, max_iter=60)
    assert np.isfinite(model.fit(X, sample_weight=np.full(3, 5e-324)).means_).all()


def test_blocks_whose_shape_changes_are_named_whatever_they_weigh():
    X, w, passes = np.random.default_rng(0).normal(size=(40, 2)), np.arange(40.0) % 3, []

    def blocks():
        passes.append(1)
        yield (X, w) if len(passes) == 1 else (X[:, 0], w)

    with pytest.raises(ValueError, match=r"block 0 has shape \(40,\), and had \(40, 2\) in the first pass"):
        GMM(2, random_state=0).fit(blocks)


def test_fixed_covariances_determine_no_features():
    """The only component with rows has a covariance that was given: nothing is left to look at, and an IndexError."""
    start = {"precisions_init": np.tile(np.eye(2), (2, 1, 1)), "fixed": {"covariances": [True, False]}}
    _, text = text_of(lambda: GMM(2, prior="mclust", random_state=0, **start).fit(np.full((2, 2), 7.1)))
    assert "singular" in text
    assert "determine" not in text
