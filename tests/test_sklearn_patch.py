"""scikit-learn's GaussianMixture computed by cgmm: the same class, attributes, messages and answers."""

import copy
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sklearn")

from sklearn import base, mixture, pipeline, preprocessing
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

import cgmm.sklearn
from cgmm.sklearn import lending, patch_sklearn, unpatch_sklearn
from cgmm.sklearn.__main__ import main
from patched import count_calls, fitted_quietly

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(300, 3) + np.repeat(np.eye(3) * 5, 100, axis=0)
CLOUD = RANDOM.standard_t(5, size=(500, 3))
FAMILIES = ("full", "tied", "diag", "spherical")
STARTS = ("kmeans", "k-means++", "random", "random_from_data")
ARRAYS = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")

families = pytest.mark.parametrize("family", FAMILIES)


@pytest.fixture(autouse=True)
def never_patched_afterwards():
    yield
    unpatch_sklearn()
    assert "predict" not in vars(GaussianMixture)


@pytest.fixture
def loans(monkeypatch):
    """How often scikit-learn's own methods were called while patched, by name."""
    return count_calls(lending.LOANS[0], monkeypatch)


def fitted(X=X, **settings):
    settings = {"n_components": 3, "random_state": 0, "max_iter": 300} | settings
    return fitted_quietly(GaussianMixture(**settings), X)


def both(X=X, **settings):
    """The same fit, plain and patched."""
    plain = fitted(X, **settings)
    with patch_sklearn():
        return plain, fitted(X, **settings)


def assert_same_fit(plain, patched, rtol=1e-8):
    """Attributes: which there are, their types, and their values up to rounding."""
    assert sorted(vars(plain)) == sorted(vars(patched))
    for name, value in vars(plain).items():
        other = vars(patched)[name]
        assert type(value) is type(other), name
        if name in ARRAYS:
            assert value.dtype == other.dtype and value.shape == other.shape and other.flags.writeable
            assert_allclose(other, value, rtol=rtol, atol=rtol * np.abs(value).max())
    assert (plain.n_iter_, plain.converged_) == (patched.n_iter_, patched.converged_)
    assert_allclose(patched.lower_bound_, plain.lower_bound_, rtol=rtol)
    if hasattr(plain, "lower_bounds_"):  # from scikit-learn 1.7 on
        assert_allclose(patched.lower_bounds_, plain.lower_bounds_, rtol=rtol)
        assert list(map(type, patched.lower_bounds_)) == list(map(type, plain.lower_bounds_))


@families
@pytest.mark.parametrize("init_params", STARTS)
@pytest.mark.parametrize("rows", [X, CLOUD], ids=["clusters", "cloud"])
def test_a_patched_fit_is_the_plain_one(family, init_params, rows):
    plain, patched = both(rows, covariance_type=family, init_params=init_params, n_init=2, tol=1e-4)
    assert_same_fit(plain, patched)
    for verb in ("score_samples", "predict_proba", "predict"):
        expected = getattr(plain, verb)(rows)
        with patch_sklearn():
            found = getattr(patched, verb)(rows)
        assert found.dtype == expected.dtype
        assert_allclose(found, expected, rtol=1e-7, atol=1e-9)
    with patch_sklearn():
        assert_allclose(patched.bic(rows), plain.bic(rows), rtol=1e-9)
        assert_allclose(patched.score(rows), plain.score(rows), rtol=1e-9)


@pytest.mark.parametrize("seed", range(12))
def test_k_means_ends_where_scikit_learn_s_does(seed):
    """Of rows on a grid, too, of which many are equally near to two seeds; and of some that are there often."""
    random = np.random.RandomState(seed)
    n, d, k = random.randint(50, 800), random.randint(1, 5), random.randint(2, 8)
    rows = random.randn(n, d) + random.randn(k, d)[random.randint(k, size=n)] * 3
    rows = [rows, np.round(rows), np.round(rows * 4)][seed % 3]
    assert_same_fit(*both(rows, n_components=k, max_iter=20, random_state=seed), rtol=1e-6)


@families
def test_float32_goes_in_and_comes_out(family):
    """Means of about 5 in float32, to a few of its roundings."""
    rows = X.astype(np.float32)
    plain, patched = both(rows, covariance_type=family)
    assert_same_fit(plain, patched, rtol=1e-4)
    with patch_sklearn():
        for verb, tolerance in (("score_samples", 1e-3), ("predict_proba", 1e-3), ("predict", 0)):
            found = getattr(patched, verb)(rows)
            expected = getattr(plain, verb)(rows)
            assert found.dtype == expected.dtype and np.abs(found - expected).max() <= tolerance
        assert patched.score_samples(X).dtype == np.float64  # as NumPy has it
        assert patched.score_samples(np.round(X).astype(int)).dtype == np.float64


def test_the_engine_is_used(loans):
    with patch_sklearn():
        model = fitted()
        model.predict(X), model.predict_proba(X), model.score_samples(X), model.score(X), model.bic(X)
    assert loans == []
    lending.LOANS[0].own["predict"](model, X)
    assert loans == ["predict"]


# 1. Identity


def test_the_class_is_the_same_object():
    before = fitted()
    with patch_sklearn():
        assert mixture.GaussianMixture is GaussianMixture is type(fitted())
        assert isinstance(fitted(), GaussianMixture) and type(before) is type(fitted())
        steps = pipeline.make_pipeline(preprocessing.StandardScaler(), GaussianMixture(2)).named_steps
        assert list(steps) == ["standardscaler", "gaussianmixture"]
        assert pickle.dumps(before) == pickle.dumps(copy.deepcopy(before))
        assert b"cgmm" not in pickle.dumps(fitted())
        patched = pickle.dumps(fitted())
        assert_allclose(pickle.loads(pickle.dumps(before)).score_samples(X), before.score_samples(X))
        assert GaussianMixture.predict.__doc__ and GaussianMixture.fit_predict.__name__ == "fit_predict"
    assert_allclose(pickle.loads(patched).score_samples(X), before.score_samples(X), rtol=1e-9)


def test_a_pickle_of_a_patched_model_needs_no_cgmm(tmp_path):
    with patch_sklearn():
        (tmp_path / "model.pickle").write_bytes(pickle.dumps(fitted()))
    code = (
        f"import pickle, sys; model = pickle.load(open({str(tmp_path / 'model.pickle')!r}, 'rb'));"
        "print(model.predict([[0.0, 5, 0]]).shape, 'cgmm' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert found.stdout.split() == ["(1,)", "False"]


def test_patching_twice_and_unpatching_twice_is_once():
    own = GaussianMixture.predict
    patch_sklearn()
    patch_sklearn()
    lent = GaussianMixture.predict
    assert lent is not own
    unpatch_sklearn()
    assert GaussianMixture.predict is own
    unpatch_sklearn()
    assert GaussianMixture.predict is own
    with pytest.raises(RuntimeError), patch_sklearn():
        raise RuntimeError
    assert GaussianMixture.predict is own


def test_the_class_by_import_is_a_subclass_of_the_same_name():
    ours = cgmm.sklearn.GaussianMixture(3, random_state=0).fit(X)
    assert isinstance(ours, GaussianMixture) and repr(ours) == repr(fitted()).replace("max_iter=300, ", "")
    assert_allclose(ours.means_, fitted().means_, rtol=1e-9)
    assert_array_equal(pickle.loads(pickle.dumps(ours)).predict(X), ours.predict(X))
    assert type(base.clone(ours)) is cgmm.sklearn.GaussianMixture
    assert list(pipeline.make_pipeline(ours).named_steps) == ["gaussianmixture"]
    assert issubclass(cgmm.sklearn.BayesianGaussianMixture, mixture.BayesianGaussianMixture)


def test_scikit_learn_s_checks_of_an_estimator_pass():
    checks = pytest.importorskip("sklearn.utils.estimator_checks")
    with warnings.catch_warnings(), patch_sklearn():
        warnings.simplefilter("ignore")
        checks.check_estimator(GaussianMixture())


# 2. Attributes, parameters, messages


def test_parameters_are_scikit_learn_s():
    plain = GaussianMixture(2, tol=0.1).get_params()
    with patch_sklearn():
        assert GaussianMixture(2, tol=0.1).get_params() == plain
    assert cgmm.sklearn.GaussianMixture(2, tol=0.1).get_params() == plain


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        ({}, X[:1]),
        ({"n_components": 5}, X[:3]),
        ({"reg_covar": 0.0}, np.repeat(X[:4], 5, axis=0)),
        ({"reg_covar": 0.0, "covariance_type": "diag"}, X * [1, 1, 0]),
        ({"n_components": 0}, X),
        ({"covariance_type": "round"}, X),
        ({"tol": -1.0}, X),
        ({"weights_init": [0.5, 0.5, 0.5]}, X),
        ({"means_init": [[0.0]]}, X),
        ({"precisions_init": -np.ones((3, 3, 3))}, X),
        ({}, np.where(X > 5, np.nan, X)),
        ({}, X[:, 0]),
        ({}, [["a", "b"]]),
    ],
)
def test_errors_are_scikit_learn_s(settings, rows):
    told = []
    for patched in (False, True):
        with pytest.raises(ValueError) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if patched:
                patch_sklearn()
            GaussianMixture(**{"n_components": 3, "random_state": 0} | settings).fit(rows)
        told.append((type(caught.value), str(caught.value)))
    assert told[0] == told[1]


def test_verbs_before_a_fit_and_on_other_rows_say_what_scikit_learn_says():
    for rows, model in ((X, GaussianMixture(3)), (X[:, :2], fitted())):
        for verb in ("predict", "predict_proba", "score_samples", "score"):
            told = []
            for patched in (False, True):
                if patched:
                    patch_sklearn()
                with pytest.raises(ValueError) as caught:
                    getattr(model, verb)(rows)
                told.append(str(caught.value))
                unpatch_sklearn()
            assert told[0] == told[1]


def test_warnings_are_scikit_learn_s():
    told = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        with pytest.warns(ConvergenceWarning) as caught:
            GaussianMixture(3, random_state=0, max_iter=2, tol=0).fit(CLOUD)
        told.append([(warning.category, str(warning.message)) for warning in caught])
    assert told[0] == told[1]


def test_nothing_warns_that_did_not(loans):
    """Components of one row, columns of a constant: cgmm alone would say that they are degenerate."""
    rows = np.vstack([X, [[1e3, 0, 0]]])
    rows[:, 2] = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plain = GaussianMixture(4, random_state=0, max_iter=300).fit(rows)
        with patch_sklearn():
            assert_same_fit(plain, GaussianMixture(4, random_state=0, max_iter=300).fit(rows), rtol=1e-7)
    assert loans == []


@pytest.mark.parametrize("verbose", [1, 2])
def test_what_is_printed_is_scikit_learn_s(capsys, verbose):
    told = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        fitted(CLOUD, verbose=verbose, verbose_interval=2, n_init=2, tol=1e-4)
        lines = capsys.readouterr().out.splitlines()
        told.append([line.split("time lapse")[0].split("ll change")[0].split("took")[0] for line in lines])
    assert told[0] == told[1] and len(told[0]) > 4


# warm_start and random states


def test_a_warm_start_goes_on():
    models = []
    for patched in (False, True):
        if patched:
            patch_sklearn()
        model = GaussianMixture(3, random_state=0, warm_start=True, max_iter=3, tol=0)
        with pytest.warns(ConvergenceWarning):
            model.fit(CLOUD).fit(CLOUD)
            model.set_params(tol=1e-3).fit(CLOUD)
        models.append(model)
    assert_same_fit(*models)


def test_draws_of_a_random_state_go_on_as_in_scikit_learn():
    for settings in (
        {},
        {"init_params": "random"},
        {"reg_covar": 0.0, "init_params": "random_from_data", "max_iter": 1},
    ):
        left = []
        for patched in (False, True):
            if patched:
                patch_sklearn()
            state = np.random.RandomState(3)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    GaussianMixture(3, random_state=state, **settings).fit(CLOUD)
                except ValueError as error:
                    left.append(str(error))
            left.append(state.randint(1000))
            unpatch_sklearn()
        assert left[: len(left) // 2] == left[len(left) // 2 :]
    labels = fitted().sample(20)[1]
    with patch_sklearn():
        assert_array_equal(fitted().sample(20)[1], labels)


# 3. Verbs use the attributes that are there now


@families
def test_assigned_attributes_count_at_once(family, loans):
    plain = fitted(covariance_type=family)
    other = fitted(CLOUD, covariance_type=family)
    with patch_sklearn():
        model = fitted(covariance_type=family)
        model.predict(X)
        for name in ("means_", "weights_", "precisions_cholesky_"):
            setattr(model, name, getattr(other, name).copy())
            setattr(plain, name, getattr(other, name))
            expected = lending.LOANS[0].own["score_samples"](plain, X)
            assert_allclose(model.score_samples(X), expected, rtol=1e-9)
        model.means_[0] += 1.0  # in place
        plain.means_[0] = model.means_[0]
        assert_allclose(model.score_samples(X), lending.LOANS[0].own["score_samples"](plain, X), rtol=1e-9)
    assert set(loans) == {"score_samples"}


def test_models_that_were_never_fitted(loans):
    model = GaussianMixture(2)
    model.weights_ = np.array([0.3, 0.7])
    model.means_ = np.array([[0.0, 0, 0], [5, 5, 5]])
    covariances = np.array([np.eye(3) + 0.3] * 2)
    for cholesky in (np.linalg.cholesky(np.linalg.inv(covariances)), np.sqrt(0.5) * np.array([np.eye(3)] * 2)):
        model.precisions_cholesky_ = cholesky
        expected = model.score_samples(X)
        with patch_sklearn():
            assert_allclose(model.score_samples(X), expected, rtol=1e-9)
            assert_array_equal(model.predict(X), model.predict_proba(X).argmax(axis=1))
    model.weights_ = np.array([0.3, 0.3])  # scikit-learn does not ask
    expected = model.score_samples(X)
    with patch_sklearn():
        assert_allclose(model.score_samples(X), expected, rtol=1e-9)
    assert loans == []


@pytest.mark.parametrize("cholesky", [np.ones((2, 3, 3)), -np.array([np.eye(3)] * 2), np.full((2, 3, 3), np.nan)])
def test_what_is_no_mixture_is_scikit_learn_s(cholesky, loans):
    model = GaussianMixture(2)
    model.weights_, model.means_, model.precisions_cholesky_ = np.array([0.3, 0.7]), np.zeros((2, 3)), cholesky
    with np.errstate(all="ignore"), patch_sklearn():
        found = model.predict_proba(X)
    assert loans == ["predict_proba"] and found.shape == (len(X), 2)


# 4. Who overrides a hook, or asks for another namespace, is served by scikit-learn


@pytest.mark.parametrize("hook", lending.HOOKS)
def test_an_overridden_hook_is_called(hook, loans):
    called = []

    def own(self, *arguments, **named):
        called.append(hook)
        return getattr(GaussianMixture, hook)(self, *arguments, **named)

    kind = type("Own", (GaussianMixture,), {hook: own})
    with patch_sklearn():
        kind(3, random_state=0).fit(X)
        assert called and loans == ["fit_predict"]
        called.clear()
        model = GaussianMixture(3, random_state=0)
        setattr(model, hook, lambda *arguments, **named: own(model, *arguments, **named))
        model.fit(X)
    assert called and loans == ["fit_predict"] * 2


def test_a_subclass_that_overrides_nothing_of_em_is_served(loans):
    class Own(GaussianMixture):
        def fit_predict(self, X, y=None):
            return super().fit_predict(X, y) + 10

    with patch_sklearn():
        assert Own(3, random_state=0).fit_predict(X).min() == 10
        assert base.clone(Own(3, random_state=0)).fit(X).predict(X).max() == 2
    assert loans == []


def test_array_api_dispatch_is_scikit_learn_s(monkeypatch):
    """Which needs SCIPY_ARRAY_API=1 from SciPy's import on; what its configuration says is enough here."""
    loan = lending.LOANS[0]
    assert loan.serves(GaussianMixture())
    monkeypatch.setattr(lending, "get_config", lambda: {"array_api_dispatch": True})
    assert not loan.serves(GaussianMixture())


def test_zero_iterations_are_scikit_learn_s():
    start = {"weights_init": [1.0], "means_init": [[0.0, 0, 0]], "n_components": 1}
    assert_same_fit(*both(max_iter=0, **start))


# 5. Names, workers, the command line

SCRIPT = """
import sys
from sklearn.mixture import GaussianMixture
print(GaussianMixture.predict.__code__.co_filename.count("lending.py"), sys.argv[1:], __name__)
"""


def test_the_command_line_runs_a_script_patched(tmp_path, capsys):
    (tmp_path / "script.py").write_text(SCRIPT)
    (tmp_path / "neighbour.py").write_text("")
    env = {"PYTHONPATH": str(Path(cgmm.__file__).parents[1]), "PATH": "/usr/bin:/bin"}
    for arguments in (["script.py", "-a", "b"], ["-m", "script", "-a", "b"]):
        command = [sys.executable, "-m", "cgmm.sklearn", *arguments]
        found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
        assert found.stdout.split() == ["1", "['-a',", "'b']", "__main__"], found.stderr
    for arguments, code in ([], 2), (["-h"], 0):
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code == code and capsys.readouterr().out.startswith("usage:")


def test_workers_are_patched_by_an_initializer():
    joblib = pytest.importorskip("joblib")

    def is_patched():
        from sklearn.mixture import GaussianMixture

        return "predict" in vars(GaussianMixture)

    with joblib.parallel_config("loky", n_jobs=2, initializer=patch_sklearn):
        found = joblib.Parallel()(joblib.delayed(is_patched)() for _ in range(4))
    assert found == [True] * 4


def test_grid_searches_and_outputs():
    model_selection = pytest.importorskip("sklearn.model_selection")
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=["a", "b", "c"])
    search = model_selection.GridSearchCV(
        pipeline.make_pipeline(preprocessing.StandardScaler(), GaussianMixture(random_state=0)),
        {"gaussianmixture__n_components": [1, 2, 3]},
        cv=3,
    ).set_params()
    plain = base.clone(search).fit(frame)
    with patch_sklearn():
        patched = base.clone(search).fit(frame)
        assert list(GaussianMixture(2).fit(frame).feature_names_in_) == ["a", "b", "c"]
        with pytest.warns(UserWarning, match="does not have valid feature names"):
            GaussianMixture(2).fit(frame).predict(X)
    assert plain.best_params_ == patched.best_params_
    assert_allclose(patched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-9)
