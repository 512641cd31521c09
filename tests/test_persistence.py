"""A saved model predicts bit-identically in another process, and is saved whole or not at all."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

from cgmm import GMM, ConvergenceWarning

FAMILIES = ("full", "tied", "diag", "spherical")
ARRAYS = ("weights", "means", "covariances", "precisions_cholesky", "lower_bounds")
X = np.random.RandomState(0).randn(300, 3) * [1, 2, 5] + np.repeat([[0.0], [9.0], [30.0]], 100, axis=0)
SETTINGS = {
    "tol": np.float64(1e-4),
    "reg_covar": 1e-5,
    "max_iter": np.int64(200),
    "n_init": 2,
    "init_params": "k-means++",
    "random_state": np.int32(7),
    "warm_start": False,
    "verbose_interval": 3,
    "missing": "marginal",
    "n_threads": 2,
}
RESULTS = ("predict_proba", "score_samples", "predict", "score", "bic", "icl")


def fitted(family="full", **settings):
    return GMM(3, covariance_type=family, **SETTINGS | settings).fit(X)


def assert_same_model(found, expected):
    for name in ARRAYS[:4]:
        assert_array_equal(getattr(found, name + "_"), getattr(expected, name + "_"), strict=True)
    assert_array_equal(found.lower_bounds_, expected.lower_bounds_, strict=True)
    for name in ("converged_", "n_iter_", "lower_bound_", "n_features_in_"):
        assert getattr(found, name) == getattr(expected, name), name
    for name in RESULTS:
        assert_array_equal(getattr(found, name)(X), getattr(expected, name)(X))


@pytest.fixture
def model():
    return fitted()


@pytest.fixture
def path(tmp_path, model):
    path = tmp_path / "model.npz"
    model.save(path)
    return path


@pytest.mark.parametrize("name", ["model", "model.npz", "model.pkl", "model-0.5"])
def test_a_name_may_end_in_anything(model, tmp_path, name):
    """And nothing is put at its end; whatever the name, the file is no pickle."""
    model.save(tmp_path / name)
    assert os.listdir(tmp_path) == [name]
    assert_same_model(GMM.load(tmp_path / name), model)
    with pytest.raises(pickle.UnpicklingError), open(tmp_path / name, "rb") as file:
        pickle.load(file)


# What is kept


def test_a_fresh_process_predicts_bit_identically(tmp_path):
    program = """
import sys
import numpy as np
from cgmm import GMM
X = np.load("X.npy")
for family in sys.argv[1:]:
    model = GMM.load(f"{family}.model")
    np.savez(f"{family}.npz", **{name: getattr(model, name)(X) for name in %r})
"""
    np.save(tmp_path / "X.npy", X)
    models = {family: fitted(family) for family in FAMILIES}
    for family, model in models.items():
        model.save(tmp_path / f"{family}.model")
    subprocess.run([sys.executable, "-P", "-c", program % (RESULTS,), *FAMILIES], cwd=tmp_path, check=True, timeout=60)
    for family, model in models.items():
        with np.load(tmp_path / f"{family}.npz") as theirs:
            for name in RESULTS:
                assert_array_equal(theirs[name], getattr(model, name)(X))


@pytest.mark.parametrize("family", FAMILIES)
def test_all_is_kept(tmp_path, family):
    model = fitted(family)
    model.save(tmp_path / "model.npz")
    loaded = GMM.load(tmp_path / "model.npz")
    assert_same_model(loaded, model)
    assert loaded.get_params() == model.get_params()
    assert model.n_iter_ > 1 and len(loaded.lower_bounds_) == model.n_iter_
    assert_array_equal(loaded.fit(X).means_, model.means_)
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "lower_bounds_"):
        assert not getattr(GMM.load(tmp_path / "model.npz"), name).flags.writeable, name


@pytest.mark.parametrize("fixed", [(), ("means",), "means", ["weights", "means"], {"means"}])
def test_fixed_names_are_kept(tmp_path, fixed):
    start = GMM(3, random_state=0).fit(X)
    model = GMM(3, fixed=fixed, weights_init=start.weights_, means_init=start.means_).fit(X)
    model.save(tmp_path / "model.npz")
    loaded = GMM.load(tmp_path / "model.npz")
    as_set = {loaded.fixed} if isinstance(loaded.fixed, str) else set(loaded.fixed)
    assert as_set == ({fixed} if isinstance(fixed, str) else set(fixed))
    assert "fixed" in repr(loaded) or not fixed
    again = loaded.set_params(warm_start=True).fit(X)
    assert_array_equal(again.means_, model.means_) if fixed else None


@pytest.mark.parametrize("form", [np.array, list, tuple, np.ndarray.tolist])
def test_what_json_cannot_hold_is_left_out(tmp_path, form):
    model = GMM(3, means_init=form(X[::100]), callback=bool, random_state=np.random.default_rng(0), tol=0.5).fit(X)
    model.save(tmp_path / "model.npz")
    assert repr(GMM.load(tmp_path / "model.npz")) == "GMM(n_components=3, tol=0.5)"


def test_a_model_that_did_not_converge(tmp_path):
    with pytest.warns(ConvergenceWarning):
        model = fitted(tol=0, max_iter=3, n_init=1)
    model.save(tmp_path / "model.npz")
    assert not GMM.load(tmp_path / "model.npz").converged_


@pytest.mark.parametrize("family", FAMILIES)
def test_given_parameters(tmp_path, family):
    start = fitted(family)
    model = GMM.from_parameters([0.5, 0.5, 0.0], start.means_, start.covariances_, family)
    model.save(tmp_path / "model.npz")
    assert_same_model(GMM.load(tmp_path / "model.npz"), model)


def test_ill_conditioned_covariances(tmp_path):
    random = np.random.RandomState(0)
    for scale in (1e-100, 1e-5, 1e100):
        basis = np.linalg.qr(random.randn(20, 20))[0]
        covariance = scale * (basis * np.logspace(0, -11, 20)) @ basis.T
        model = GMM.from_parameters([1], np.zeros((1, 20)), [(covariance + covariance.T) / 2])
        model.save(tmp_path / "model.npz")
        assert_array_equal(GMM.load(tmp_path / "model.npz").precisions_cholesky_, model.precisions_cholesky_)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, *(lambda m, p=p: pickle.loads(pickle.dumps(m, p)) for p in range(6))]
)
def test_pickle_and_copy(family, clone):
    model = fitted(family, means_init=X[::100], fixed=("means",), n_init=1)
    cloned = clone(model)
    assert_same_model(cloned, model)
    assert repr(cloned) == repr(model)
    assert not any(getattr(cloned, name + "_").flags.writeable for name in ARRAYS)
    cloned.set_params(fixed=(), means_init=None).fit(X + 1)
    assert_array_equal(model.means_, X[::100])
    assert repr(clone(GMM(4, tol=0.5))) == "GMM(n_components=4, tol=0.5)"


def test_names_of_features(tmp_path):
    """Those of a data frame; files of versions that kept none are loaded, too."""
    frame = pd.DataFrame(X, columns=["a", "b c", "ö"])
    model = fitted().fit(frame)
    model.save(tmp_path / "model.npz")
    loaded = GMM.load(tmp_path / "model.npz")
    assert_array_equal(loaded.feature_names_in_, model.feature_names_in_, strict=True)
    assert_array_equal(loaded.predict(frame), model.predict(frame))
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(frame[["b c", "a", "ö"]])
    with np.load(tmp_path / "model.npz") as archive:
        parts = dict(archive)
    header = json.loads(parts["header"].item())
    del header["feature_names"]
    np.savez(tmp_path / "model.npz", **parts | {"header": json.dumps(header)})
    assert not hasattr(GMM.load(tmp_path / "model.npz"), "feature_names_in_")


# Where and how it is written


def test_strings_and_paths(tmp_path, monkeypatch, model):
    monkeypatch.chdir(tmp_path)
    for name in (tmp_path / "a", str(tmp_path / "b.npz"), "c.model", Path("d")):
        model.save(name)
        assert_same_model(GMM.load(name), model)
    assert sorted(os.listdir()) == ["a", "b.npz", "c.model", "d"]


def test_an_existing_file_is_replaced(path):
    other = fitted("diag", random_state=1)
    path.chmod(0o640)
    other.save(path)
    assert_same_model(GMM.load(path), other)
    assert path.stat().st_mode & 0o777 == 0o640
    link = path.with_name("link")
    link.symlink_to(path)
    fitted("tied").save(link)
    assert link.is_symlink() and GMM.load(path).covariance_type == "tied"


def test_a_new_file_obeys_the_umask(tmp_path, model):
    umask = os.umask(0o027)
    try:
        model.save(tmp_path / "model")
    finally:
        os.umask(umask)
    assert (tmp_path / "model").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("where", ["numpy.savez", "os.fsync", "os.chmod", "os.replace"])
@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt(), MemoryError()])
def test_an_interrupted_save_leaves_the_old_file(path, monkeypatch, where, error):
    def fail(file, *_, **__):
        if where == "numpy.savez":
            file.write(b"half of it")
        raise error

    old = path.read_bytes()
    new = fitted("diag")
    for target in (path, path.with_name("new.npz"))[: 1 if where == "os.chmod" else 2]:
        with monkeypatch.context() as patch, pytest.raises(type(error)):
            patch.setattr(where, fail)
            new.save(target)
        assert path.read_bytes() == old
        assert os.listdir(path.parent) == [path.name]


def test_no_such_folder(tmp_path, model):
    with pytest.raises(FileNotFoundError):
        model.save(tmp_path / "none" / "model")
    with pytest.raises(IsADirectoryError):
        model.save(tmp_path)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("weight", [1.0, 5e-324])
def test_components_that_hardly_any_row_belongs_to(tmp_path, weight):
    """Sums of responsibilities of 1e-166, times weights: their exponent is far below that of any double."""
    given = {"weights_init": [1.0], "means_init": [[0.0]], "precisions_init": [[[1.0]]]}
    model = GMM(
        1, **given, fixed=("weights", "means", "covariances"), noise_component="uniform", on_degenerate="repair"
    )
    model.fit([[2.4e-151], [-1.1e-150]], sample_weight=[weight, weight]).save(tmp_path / "model")
    assert GMM.load(tmp_path / "model").noise_weight_ == model.noise_weight_ > 0.9
