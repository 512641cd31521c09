"""A saved regressor predicts and learns on bit-identically; a damaged file is an error that names it."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal

import cgmm
from cgmm import GMM, GMMRegressor, NotFittedError
from problems import assert_same_bits

PARTS = ("weights_", "means_", "covariances_", "precisions_cholesky_", "lower_bounds_")


def curve(n=300, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-3, 3, size=(n, 2))
    return X, np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.1 * rng.normal(size=n)


def saved(model):
    file = io.BytesIO()
    model.save(file)
    return GMMRegressor.load(io.BytesIO(file.getvalue()))


def told(model):
    return GMMRegressor.from_dict(json.loads(json.dumps(model.to_dict())))


def flat():
    return GMMRegressor(3, random_state=0, tol=1e-3).fit(*curve())


def many_targets():
    X, y = curve()
    return GMMRegressor("bic", max_components=3, random_state=0).fit(X, np.column_stack([y, X[:, 0] ** 2]))


def named():
    X, y = curve()
    return GMMRegressor(2, random_state=0, covariance_type="tied").fit(pd.DataFrame(X, columns=["a", "b"]), y)


def of_a_mixture():
    X, y = curve()
    mixture = GMM(3, random_state=0, max_iter=500).fit(np.column_stack([X[:, 0], y, X[:, 1]]))
    return GMMRegressor.from_mixture(mixture, 1)


def of_a_stream():
    X, y = curve(2000)
    model = GMMRegressor(3, random_state=0, learning_rows=500)
    for batch in np.split(np.arange(2000), 4):
        model.partial_fit(X[batch], y[batch])
    return model


MODELS = {made.__name__: made for made in (flat, many_targets, named, of_a_mixture, of_a_stream)}
ways = pytest.mark.parametrize("way", [saved, told])
models = pytest.mark.parametrize("made", MODELS.values(), ids=MODELS)


@ways
@models
def test_all_is_kept(way, made):
    model, rows = made(), curve(50, seed=1)[0]
    copy = way(model)
    assert copy.get_params() == model.get_params()
    assert copy.mixture_.get_params() == model.mixture_.get_params()
    rows = pd.DataFrame(rows, columns=["a", "b"]) if made is named else rows
    assert_same_bits(copy.mixture_, model.mixture_, PARTS)
    for found, expected in zip(copy.predict(rows, True, True), model.predict(rows, True, True), strict=True):
        assert_array_equal(found, expected, strict=True)
    assert_array_equal(copy.predict_quantiles(rows), model.predict_quantiles(rows), strict=True)
    assert copy.summary().facts["predicts"] == model.summary().facts["predicts"]
    assert copy.to_frame().equals(model.to_frame())
    assert hasattr(copy, "feature_names_in_") == (made is named)


@ways
def test_streams_go_on(way):
    model, more = of_a_stream(), curve(200, seed=2)
    assert_same_bits(way(model).partial_fit(*more).mixture_, model.partial_fit(*more).mixture_, PARTS[:4])


def test_what_is_no_regressors_is_refused(tmp_path):
    model, path, mixture = flat(), tmp_path / "regressor.npz", tmp_path / "mixture.npz"
    model.save(path)
    model.mixture_.save(mixture)
    assert_same_bits(GMM.load(mixture), model.mixture_, PARTS)
    with pytest.raises(
        ValueError, match=r"regressor.npz.*holds a GMMRegressor, not a GMM: load it with GMMRegressor.load"
    ):
        GMM.load(path)
    with pytest.raises(ValueError, match=r"mixture.npz.*holds a GMM, not a GMMRegressor: load it with GMM.load"):
        GMMRegressor.load(mixture)
    with pytest.raises(ValueError, match=r"use GMMRegressor\.load"):
        cgmm.Fits.load(path)
    with pytest.raises(NotFittedError):
        GMMRegressor().save(path)


@pytest.mark.parametrize(
    "changed",
    [
        None,
        {"features": [0, 1, 2]},
        {"features": [], "targets": [0, 1, 2], "flat": False},
        {"features": [0, 0]},
        {"features": [0, 1.5]},
        {"features": 3},
        {"targets": []},
        {"targets": [3]},
        {"features": [0], "targets": [1, 2]},
        {"flat": "yes"},
        {"feature_names": ["a"]},
        {"settings": None},
    ],
)
def test_damaged_dictionaries_are_refused(changed):
    values = flat().to_dict()
    values["regression"] = changed if changed is None else values["regression"] | changed
    with pytest.raises(ValueError, match="the dictionary cannot be loaded as a cgmm model"):
        GMMRegressor.from_dict(values)
