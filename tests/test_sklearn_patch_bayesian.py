"""scikit-learn's BayesianGaussianMixture computed by cgmm: the same iterates, bounds, attributes and messages."""

import pickle
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sklearn")

import contextlib

from sklearn import base
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

import cgmm.sklearn
from cgmm.sklearn import lending, patch_sklearn, unpatch_sklearn
from patched import count_calls, fitted_quietly

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(240, 3) + np.repeat(np.eye(3) * 5, 80, axis=0)
CLOUD = RANDOM.standard_t(5, size=(400, 2))
COLUMN = X[:, :1]
FAMILIES = ("full", "tied", "diag", "spherical")
KINDS = ("dirichlet_process", "dirichlet_distribution")
STARTS = ("kmeans", "k-means++", "random", "random_from_data")
VERBS = ("score_samples", "predict_proba", "predict")

families = pytest.mark.parametrize("family", FAMILIES)
kinds = pytest.mark.parametrize("kind", KINDS)
(LOAN,) = (loan for loan in lending.LOANS if loan.of is BayesianGaussianMixture)


@pytest.fixture(autouse=True)
def never_patched_afterwards():
    yield
    unpatch_sklearn()
    assert "predict" not in vars(BayesianGaussianMixture)


@pytest.fixture
def loans(monkeypatch):
    """How often scikit-learn's own methods were called while patched, by name."""
    return count_calls(LOAN, monkeypatch)


def fitted(rows=X, **settings):
    settings = {"n_components": 4, "random_state": 0, "max_iter": 60} | settings
    return fitted_quietly(BayesianGaussianMixture(**settings), rows)


def both(rows=X, **settings):
    """The same fit, plain and patched."""
    plain = fitted(rows, **settings)
    with patch_sklearn():
        return plain, fitted(rows, **settings)


def parts(value):
    """The arrays of an attribute."""
    return value if isinstance(value, tuple) else (value,)


def assert_same_fit(plain, patched, rtol=1e-8):
    """Attributes: which there are, their types, and their values up to rounding."""
    assert sorted(vars(plain)) == sorted(vars(patched))
    assert (plain.n_iter_, plain.converged_) == (patched.n_iter_, patched.converged_)
    fits = [name for name in vars(plain) if name.endswith("_") and not name.startswith(("lower", "feature"))]
    for name in fits:
        value, other = getattr(plain, name), getattr(patched, name)
        assert type(value) is type(other), name
        for one, two in zip(parts(value), parts(other), strict=True):
            assert np.shape(one) == np.shape(two) and np.asarray(one).dtype == np.asarray(two).dtype, name
            assert_allclose(two, one, rtol=rtol, atol=rtol * np.abs(one).max(), err_msg=name)
            assert not isinstance(two, np.ndarray) or two.flags.writeable
    # scikit-learn's bound of tied covariances is an array of one number; here it is the number.
    assert type(patched.lower_bound_) is np.float64
    assert_allclose(patched.lower_bound_, np.ravel(plain.lower_bound_)[0], rtol=rtol)
    if hasattr(plain, "lower_bounds_"):  # from scikit-learn 1.7 on
        assert_allclose(patched.lower_bounds_, np.ravel(plain.lower_bounds_), rtol=rtol)
        assert type(patched.lower_bounds_) is list


def assert_same_verbs(plain, patched, rows, rtol=1e-8):
    for verb in VERBS:
        expected = getattr(plain, verb)(rows)
        with patch_sklearn():
            found = getattr(patched, verb)(rows)
        assert found.dtype == expected.dtype
        assert_allclose(found, expected, rtol=rtol, atol=rtol)


@families
@kinds
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("rows", [X, CLOUD, COLUMN], ids=["clusters", "cloud", "column"])
def test_a_patched_fit_is_the_plain_one(family, kind, init_params, rows, loans):
    settings = {"covariance_type": family, "weight_concentration_prior_type": kind, "init_params": init_params}
    # Two partitions of a column by k-means are the same in another order: rounding decides between their equal bounds.
    plain, patched = both(rows, **settings, n_init=1 if rows is COLUMN else 2)
    assert_same_fit(plain, patched)
    assert_same_verbs(plain, patched, rows)
    with patch_sklearn():
        assert_allclose(patched.score(rows), plain.score(rows), rtol=1e-9)
    assert loans == []


@families
@kinds
def test_priors_that_are_given(family, kind):
    covariance = {"full": np.eye(3) * 2, "tied": np.eye(3) + 0.2, "diag": [1.0, 2.0, 3.0], "spherical": 1.5}[family]
    told = {
        "weight_concentration_prior_type": kind,
        "weight_concentration_prior": 1e-3,
        "mean_precision_prior": 0.1,
        "mean_prior": [0.0, 1.0, 2.0],
        "degrees_of_freedom_prior": 5,
        "covariance_prior": covariance,
        "reg_covar": 1e-2,
    }
    assert_same_fit(*both(covariance_type=family, **told))


@families
@pytest.mark.parametrize("concentration", [1e-3, 1e-20])
def test_components_that_die(family, concentration):
    """Weights of zero, to which scikit-learn adds what it divides by."""
    told = {"weight_concentration_prior_type": "dirichlet_distribution", "n_components": 8, "tol": 1e-2}
    plain, patched = both(covariance_type=family, weight_concentration_prior=concentration, max_iter=200, **told)
    assert_same_fit(plain, patched, rtol=1e-6)
    assert (plain.weights_ < 1e-3).any()


@families
def test_components_that_die_beside_a_column_of_a_constant(family, loans):
    """What keeps their covariances regular is reg_covar of the rows that they hardly have."""
    told = {"weight_concentration_prior_type": "dirichlet_distribution", "n_components": 8, "tol": 1e-2}
    rows = X * [1, 1, 0]
    assert_same_fit(*both(rows, covariance_type=family, weight_concentration_prior=1e-6, max_iter=300, **told))
    assert loans == []


def test_a_covariance_that_is_singular_is_scikit_learn_s(loans):
    rows = X * [1, 1, 0]
    with pytest.raises(ValueError, match="ill-defined"), patch_sklearn():
        fitted(rows, reg_covar=0.0)
    assert loans == ["fit_predict"]


@families
def test_float32_rows_leave_what_scikit_learn_leaves(family):
    """Where it computes in float64, too, but for the start."""
    rows = X.astype(np.float32)
    plain, patched = both(rows, covariance_type=family, tol=1.0, max_iter=20)
    assert_same_fit(plain, patched, rtol=1e-4)
    assert_same_verbs(plain, patched, rows, rtol=1e-3)
    assert patched.means_.dtype == np.float64


def test_a_warm_start_goes_on():
    models = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        model = BayesianGaussianMixture(n_components=3, random_state=0, warm_start=True, max_iter=3, tol=0)
        with pytest.warns(ConvergenceWarning):
            model.fit(CLOUD).fit(CLOUD)
            model.set_params(tol=1e-3, max_iter=500).fit(CLOUD)
        models.append(model)
    assert_same_fit(*models)


def test_draws_of_a_random_state_go_on_as_in_scikit_learn():
    left = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        state = np.random.RandomState(3)
        fitted(CLOUD, random_state=state, init_params="random", n_init=2)
        left.append(state.randint(1000))
    assert left[0] == left[1]


@families
@kinds
def test_assigned_attributes_count_at_once(family, kind, loans):
    plain = fitted(covariance_type=family, weight_concentration_prior_type=kind)
    other = fitted(X + 1, covariance_type=family, weight_concentration_prior_type=kind, degrees_of_freedom_prior=9)
    with patch_sklearn():
        model = fitted(covariance_type=family, weight_concentration_prior_type=kind)
        model.predict(X)
        for name in LOAN.fitting.reading.names:
            setattr(model, name, getattr(other, name))
            setattr(plain, name, getattr(other, name))
            expected = LOAN.own["score_samples"](plain, X)
            assert_allclose(model.score_samples(X), expected, rtol=1e-8)
        model.means_ = model.means_ + 1.0
        model.means_[0] += 1.0  # in place
        plain.means_ = model.means_
        assert_allclose(model.score_samples(X), LOAN.own["score_samples"](plain, X), rtol=1e-8)
    assert set(loans) == {"score_samples"} and len(loans) == 6  # each by this test itself


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("weight_concentration_", np.ones(4)),
        ("degrees_of_freedom_", np.full(4, 1.5)),
        ("mean_precision_", np.array([1.0, 1.0, 1.0, -1.0])),
        ("precisions_cholesky_", np.full((4, 3, 3), np.nan)),
    ],
)
def test_what_is_no_posterior_is_scikit_learn_s(name, value, loans):
    model = fitted()
    setattr(model, name, value)
    with np.errstate(all="ignore"), patch_sklearn(), contextlib.suppress(ValueError, IndexError):
        model.score_samples(X)
    assert loans == ["score_samples"]


def test_pickles_go_both_ways():
    plain, patched = both()
    with patch_sklearn():
        assert b"cgmm" not in pickle.dumps(patched)
        again = pickle.loads(pickle.dumps(plain))
        assert_allclose(again.score_samples(X), LOAN.own["score_samples"](plain, X), rtol=1e-9)
    assert_allclose(pickle.loads(pickle.dumps(patched)).score_samples(X), plain.score_samples(X), rtol=1e-9)


def test_the_class_by_import_is_a_subclass_of_the_same_name():
    ours = cgmm.sklearn.BayesianGaussianMixture(n_components=4, random_state=0, max_iter=60).fit(X)
    assert isinstance(ours, BayesianGaussianMixture) and type(base.clone(ours)) is cgmm.sklearn.BayesianGaussianMixture
    assert repr(ours) == repr(fitted())
    assert_allclose(ours.means_, fitted().means_, rtol=1e-8)
    assert_array_equal(pickle.loads(pickle.dumps(ours)).predict(X), ours.predict(X))
    assert ours.get_params() == fitted().get_params()


@pytest.mark.parametrize("hook", lending.BAYESIAN_HOOKS)
def test_an_overridden_hook_is_scikit_learn_s(hook, loans):
    kind = type(
        "Own", (BayesianGaussianMixture,), {hook: lambda self, *a, **n: getattr(super(kind, self), hook)(*a, **n)}
    )
    with patch_sklearn(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        kind(n_components=2, random_state=0, max_iter=2).fit(X)
    assert loans == ["fit_predict"]


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, X[:1]),
        ({"n_components": 7}, X[:3]),
        ({"degrees_of_freedom_prior": 1.0}, X),
        ({"mean_prior": [0.0]}, X),
        ({"covariance_prior": -np.eye(3)}, X),
        ({"weight_concentration_prior": 0.0}, X),
        ({"weight_concentration_prior_type": "none"}, X),
        ({"tol": -1.0}, X),
        ({"reg_covar": 0.0}, X * [1, 1, 0]),
        ({"reg_covar": 0.0, "covariance_type": "diag"}, X * [1, 1, 0]),
        ({}, np.where(X > 5, np.nan, X)),
    ],
)
def test_errors_are_scikit_learn_s(settings, rows):
    told = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        with pytest.raises(ValueError) as caught:
            BayesianGaussianMixture(**{"n_components": 3, "random_state": 0} | settings).fit(rows)
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]


def test_nothing_warns_that_did_not(loans):
    """A column of a constant, and a row far off: cgmm alone would say that covariances are held."""
    rows = np.vstack([X, [[1e3, 0, 0]]])
    rows[:, 2] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = BayesianGaussianMixture(n_components=3, random_state=0, max_iter=300, tol=0.1).fit(rows)
        with patch_sklearn():
            assert_same_fit(
                plain, BayesianGaussianMixture(n_components=3, random_state=0, max_iter=300, tol=0.1).fit(rows), 1e-6
            )
    assert loans == []


@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_printed_is_scikit_learn_s(capsys, verbose):
    told = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        fitted(CLOUD, verbose=verbose, verbose_interval=2, n_init=2)
        lines = capsys.readouterr().out.splitlines()
        told.append([line.split("time lapse")[0].split("ll change")[0].split("took")[0] for line in lines])
    assert told[0] == told[1] and len(told[0]) > 4


def test_zero_iterations_are_scikit_learn_s(loans):
    assert_array_equal(fitted(max_iter=0).means_, both(max_iter=0)[1].means_)
    assert loans == ["fit_predict"]
