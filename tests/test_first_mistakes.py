"""Mistakes of one's first hour, and what is said of each."""

import inspect

import numpy as np
import pandas as pd
import polars as pl
import pytest

import cgmm
from cgmm import GMM, GMMClassifier, GMMRegressor

FRAME = pd.DataFrame({"length": [1.0, 2.0, 4.0, 9.0], "width": [3.0, 1.0, 2.0, 8.0]})
TEXT = FRAME.assign(species="setosa", day=pd.Timestamp("2020-01-01"), kind=pd.Categorical(["a"] * 4))
HOLE = FRAME.assign(width=[3.0, np.nan, 2.0, 8.0])
TOLD = "column 'species' holds text, column 'day' holds dates or times, column 'kind' holds categories: leave them out"


@pytest.mark.parametrize(
    "X, message",
    [
        (TEXT, TOLD),
        (pl.from_pandas(TEXT), TOLD),
        (HOLE, "X[1, 1] = nan, in column 'width'. Drop or fill it, or set missing=\"marginal\""),
        (pl.from_pandas(HOLE), "in column 'width'"),
        (FRAME.replace(2.0, np.inf), "X[1, 0] = inf, in column 'length'. Drop or fill it."),
        (FRAME["width"], "It is a Series: one column of a data frame df is df[['width']], with two brackets"),
        (FRAME.iloc[0], "one row df.iloc[[0]]"),
    ],
)
@pytest.mark.parametrize(
    "fit", [lambda X: GMM(2).fit(X), lambda X: cgmm.select(X, [2]), lambda X: GMMClassifier().fit(X, [0, 0, 1, 1])]
)
def test_rows(X, message, fit):
    with pytest.raises((ValueError, TypeError)) as raised:
        fit(X)
    assert message in str(raised.value) and ("as large as" in str(raised.value)) == ("too large" in str(raised.value))


def test_nullable_columns_are_numbers_with_gaps():
    rows = FRAME.assign(width=pd.array([3, None, 2, 8], dtype="Int64"))
    assert GMM(1, missing="marginal", reg_covar=0.1).fit(rows).n_features_in_ == 2
    with pytest.raises(ValueError, match="in column 'width'"):
        GMM(1).fit(rows)


def test_rows_and_features_that_are_swapped():
    model = GMM(1, reg_covar=0.1).fit(FRAME.to_numpy())
    with pytest.raises(ValueError, match=r"expecting 2 features as input\. X has 2 rows: is it transposed\?"):
        model.predict(FRAME.to_numpy().T)
    for fit in (GMM(2).fit, lambda X: cgmm.select(X, [2]), lambda X: cgmm.kmeans(X, 2)):
        with pytest.raises(ValueError, match="X has only 1 row, of 5 features: is it transposed"):
            fit(np.zeros((1, 5)))
    with pytest.warns(cgmm.DegenerateWarning, match=r"fewer rows \(2\) than features \(4\): is X transposed\?"):
        GMM(1).fit(FRAME.to_numpy().T)


@pytest.mark.parametrize(
    "kind, name, meant",
    [
        (GMM, "k", "n_components"),
        (GMM, "n_clusters", "n_components"),
        (GMM, "seed", "random_state"),
        (GMM, "max_iters", "max_iter"),
        (GMMRegressor, "covariance_typ", "covariance_type"),
        (GMMClassifier, "xyz", None),
    ],
)
def test_arguments_that_do_not_exist(kind, name, meant):
    with pytest.raises(TypeError) as raised:
        kind(**{name: 3})
    end = "" if meant is None else f": did you mean {meant!r}?"
    assert str(raised.value) == f"{kind.__name__}() got an unexpected keyword argument {name!r}{end}"
    assert "n_components" in inspect.signature(kind).parameters

    class Wrapped(kind):
        def __init__(self, mine, **others):
            super().__init__(**others)
            self.mine = mine

    assert Wrapped(mine=1, n_components=2).n_components == 2
    with pytest.raises(TypeError, match=name):
        Wrapped(mine=1, **{name: 3})


@pytest.mark.parametrize(
    "value, meant", [("vvv", "VVV"), ("Full", "full"), ("diagonal", "diag"), ("isotropic", "spherical"), ("zz", None)]
)
def test_values_that_do_not_exist(value, meant):
    with pytest.raises(ValueError) as raised:
        GMM(2, covariance_type=value).fit(FRAME)
    assert str(raised.value).endswith(f"not {value!r}" + ("" if meant is None else f": did you mean {meant!r}?"))
