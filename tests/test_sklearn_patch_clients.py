"""What programs do to patched mixtures: outputs, routing, workers, few rows, types, strict warnings."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("sklearn")


from sklearn import base, config_context, pipeline, preprocessing
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
from sklearn.model_selection import GridSearchCV

from cgmm.sklearn import patch_sklearn, unpatch_sklearn
from patched import fitted_quietly
from programs import FOLDER

RANDOM = np.random.RandomState(0)
X = RANDOM.randn(240, 3) + np.repeat(np.eye(3) * 5, 80, axis=0)
FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
classes = pytest.mark.parametrize("kind", [GaussianMixture, BayesianGaussianMixture])


@pytest.fixture(autouse=True)
def never_patched_afterwards():
    yield
    unpatch_sklearn()
    assert "predict" not in vars(GaussianMixture)


def searched(kind, **arguments):
    """A grid search over a pipeline's mixture, by the name of its step."""
    step = kind.__name__.lower()
    pipe = pipeline.make_pipeline(preprocessing.StandardScaler(), kind(random_state=0))
    return GridSearchCV(
        pipe, {f"{step}__n_components": [1, 2, 3], f"{step}__covariance_type": ["full"]}, cv=3, **arguments
    )


def assert_same_search(plain, patched):
    assert plain.best_params_ == patched.best_params_
    assert_allclose(patched.cv_results_["mean_test_score"], plain.cv_results_["mean_test_score"], rtol=1e-9)


@classes
@pytest.mark.parametrize("output", ["default", "pandas"])
def test_frames_go_through_pipelines_that_set_their_output(kind, output):
    plain = searched(kind)
    plain.estimator.set_output(transform=output)
    patched = base.clone(plain)
    plain.fit(FRAME)
    with patch_sklearn():
        patched.fit(FRAME)
        names = getattr(patched.best_estimator_[-1], "feature_names_in_", None)
        assert (names is None) == (output == "default")
        assert_array_equal(patched.predict(FRAME), plain.predict(FRAME))
    assert_same_search(plain, patched)


@classes
def test_metadata_is_routed_as_it_was(kind):
    """A mixture asks for none; a step before it may."""
    weights = RANDOM.uniform(1, 2, len(X))

    def fitted():
        scaler = preprocessing.StandardScaler().set_fit_request(sample_weight=True)
        pipe = pipeline.make_pipeline(scaler, kind(n_components=3, random_state=0))
        return pipe.fit(X, sample_weight=weights)

    with config_context(enable_metadata_routing=True):
        plain = fitted()
        with patch_sklearn():
            patched = fitted()
            assert_array_equal(patched.predict(X), plain.predict(X))
            assert str(patched.get_metadata_routing()) == str(plain.get_metadata_routing())
            with pytest.raises(TypeError, match="sample_weight"):
                kind(n_components=3).fit(X, sample_weight=weights)


def test_workers_beside_busy_processes_find_the_same():
    kind = GaussianMixture
    joblib = pytest.importorskip("joblib")
    plain = searched(kind).fit(X)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(os.cpu_count() or 1)]
    try:
        with patch_sklearn(), joblib.parallel_config("loky", n_jobs=2, initializer=patch_sklearn):
            patched = searched(kind, n_jobs=2).fit(X)
    finally:
        for process in busy:
            process.kill()
            process.wait()
    assert_same_search(plain, patched)


@classes
@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_rows_are_told_of_as_they_were(kind, n):
    found = []
    for _ in range(2):
        try:
            fitted_quietly(kind(n_components=2, random_state=0), X[:n])
        except ValueError as error:
            found.append(str(error))
        patch_sklearn()
    assert len(found) == (0 if n == 2 else 2)
    assert found[:1] == found[1:]


@classes
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types_come_out_as_they_did(kind, dtype):
    rows = X.astype(dtype)
    names = ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_")
    verbs = ("predict", "predict_proba", "score_samples")
    plain = fitted_quietly(kind(n_components=3, random_state=0), rows)
    expected = [getattr(plain, verb)(rows).dtype for verb in verbs]
    with patch_sklearn():
        patched = fitted_quietly(kind(n_components=3, random_state=0), rows)
        for name in names:
            assert getattr(patched, name).dtype == getattr(plain, name).dtype
        assert [getattr(patched, verb)(rows).dtype for verb in verbs] == expected


STRICT = """
import numpy as np
import pandas as pd
from sklearn.mixture import BayesianGaussianMixture, GaussianMixture
rows = np.random.RandomState(0).randn(300, 2) + np.repeat([[0.0], [9.0]], 150, axis=0)
for kind in (GaussianMixture, BayesianGaussianMixture):
    for dtype in (np.float64, np.float32):
        model = kind(n_components=2, random_state=0, max_iter=500, tol=1e-2).fit(rows.astype(dtype))
        model.predict(rows), model.score_samples(rows), model.sample(3)
print("done")
"""


def test_every_warning_may_be_an_error(tmp_path):
    (tmp_path / "script.py").write_text(STRICT)
    command = [sys.executable, "-W", "error", "-m", "cgmm.sklearn", str(tmp_path / "script.py")]
    env = {**os.environ, "PYTHONPATH": FOLDER}
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=env)
    assert found.returncode == 0, found.stderr
    assert found.stdout == "done\n"
