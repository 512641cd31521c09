"""Mistakes of one's first hour, and what is said of each."""

import inspect
import pathlib

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


@pytest.mark.parametrize("kind", [GMM, cgmm.BayesianGMM, GMMRegressor])
def test_arguments_that_have_to_be_named(kind):
    with pytest.raises(TypeError, match=r"takes 1 positional argument \(n_components\) but 2 .*covariance_type=,"):
        kind(3, "diag")
    assert GMMClassifier(2, "EEE").covariance_type == "EEE"

    class Placed(kind):
        def __init__(self, mine, other):
            super().__init__()

    assert isinstance(Placed(1, 2), kind)


MODEL = GMM(1, reg_covar=0.1).fit(FRAME.to_numpy())
REGRESSOR = GMMRegressor(1).fit(FRAME.to_numpy(), [1.0, 2.0, 3.0, 4.0])


@pytest.mark.parametrize(
    "call, message",
    [
        (
            lambda: cgmm.select(FRAME, k=3),
            "select() got an unexpected keyword argument 'k': did you mean 'n_comp",
        ),
        (lambda: cgmm.select(FRAME, covariance_type="full"), "'covariance_type': did you mean 'covariance_types'?"),
        (lambda: cgmm.fit_many([FRAME], k=3), "'k': did you mean 'n_components'?"),
        (
            lambda: cgmm.fit_many([FRAME], 3, noise_component=1),
            "'noise_component': GMM and select take it, and this does not",
        ),
        (lambda: cgmm.kmeans(FRAME, 2, seed=3), "kmeans() got an unexpected keyword argument 'seed': did you mean"),
        (
            lambda: GMM(2).fit(FRAME, weights=1),
            "GMM.fit() got an unexpected keyword argument 'weights': did you mean",
        ),
        (lambda: cgmm.BayesianGMM(2).fit(), "BayesianGMM.fit() missing 1 required positional argument: 'X'"),
        (lambda: REGRESSOR.predict(), "GMMRegressor.predict() missing 1 required positional argument: 'X'"),
        (
            lambda: MODEL.score(FRAME, weight=1),
            "GMM.score() got an unexpected keyword argument 'weight': did you mean",
        ),
        (lambda: MODEL.fit(FRAME, xyz=1), "GMM.fit() got an unexpected keyword argument 'xyz'"),
        (lambda: GMM.fit(), "fit() missing 2 required positional arguments: 'self' and 'X'"),
    ],
)
def test_calls_that_a_function_does_not_take(call, message):
    with pytest.raises(TypeError) as raised:
        call()
    assert message in str(raised.value)


def test_what_is_raised_in_a_function_stays_as_it_is():
    def start(X, k, random_state):
        raise TypeError("Learner.fit() is not mine")

    with pytest.raises(TypeError, match=r"^Learner\.fit\(\) is not mine$"):
        GMM(2, init_params=start).fit(FRAME.to_numpy())


@pytest.mark.parametrize(
    "model, message",
    [
        (GMM(range(1, 4)), "n_components must be an integer, not range(1, 4): cgmm.select chooses among several"),
        (cgmm.BayesianGMM([2, 3]), "n_components must be an integer, not [2, 3]: cgmm.select"),
        (GMM("3"), "n_components must be an integer, not '3'"),
        (GMM(2, n_init="all"), "n_init must be an integer or 'auto', not 'all'"),
        (GMM(2, n_init=1.5), "n_init must be an integer, not 1.5"),
    ],
)
def test_numbers_that_are_none(model, message):
    with pytest.raises(ValueError) as raised:
        model.fit(FRAME)
    assert str(raised.value).startswith(message)


@pytest.mark.parametrize("of, name, hint", [
    (GMM(2), "labels_", ": predict(X) gives labels"),
    (cgmm.BayesianGMM(2), "labels_", ": predict(X) gives labels"),
    (GMM(2), "xyz", ""),
    (cgmm, "load", ": did you mean 'GMM.load'?"),
    (cgmm, "GaussianMixture", ": did you mean 'GMM'?"),
    (cgmm, "BayesianGaussianMixture", ": did you mean 'BayesianGMM'?"),
    (cgmm, "selct", ": did you mean 'select'?"),
    (cgmm, "xyz", ""),
])  # fmt: skip
def test_attributes_that_do_not_exist(of, name, hint):
    with pytest.raises(AttributeError) as raised:
        getattr(of, name)
    assert str(raised.value).endswith(f"has no attribute {name!r}{hint}")


@pytest.mark.parametrize(
    "fit", [lambda X: GMM(2).fit(X), lambda X: cgmm.select(X, [2]), lambda X: cgmm.kmeans(X, 2), MODEL.predict]
)
def test_rows_that_are_none(fit):
    with pytest.raises(ValueError, match=r"^X is None: it must be an array of rows"):
        fit(None)
    with pytest.raises(ValueError, match=r"Expected 2D array, got 3D array .*Its shape is \(1, 4, 2\)\.$"):
        fit(FRAME.to_numpy()[np.newaxis])
    with pytest.raises(ValueError, match=r"Reshape your data with X\.reshape\(-1, 1\)"):
        fit(FRAME.to_numpy()[0])


def test_classes_that_are_numbers():
    with pytest.raises(ValueError, match=r"^Unknown label type: continuous\. .*: cgmm\.GMMRegressor predicts numbers"):
        GMMClassifier().fit(FRAME, [0.5, 1.5, 2.5, 3.5])


def test_a_table_has_gaps_if_the_model_takes_them(tmp_path):
    path = tmp_path / "rows.csv"
    pd.concat([HOLE] * 5).to_csv(path, index=False)
    table = cgmm.table(path, ["length", "width"])
    model = GMM(1, missing="marginal", reg_covar=0.1).fit(table)
    assert model.means_.tolist() == GMM(1, missing="marginal", reg_covar=0.1).fit(str(path)).means_.tolist()
    assert len(model.predict(table)) == 20
    with pytest.raises(ValueError, match="line 3, column 'width'"):
        GMM(1).fit(table)


NO_MIXTURE = {
    "expectation": lambda: cgmm.expectation(3, [[1.0]]),
    "maximisation": lambda: cgmm.maximisation("m.npz", None),
    "mix": lambda: GMM.mix([3]),
    "mix another": lambda: GMM.mix([GMM.from_parameters([1.0], [[0.0]], [[[1.0]]]), None]),
    "product": lambda: GMM.from_parameters([1.0], [[0.0]], [[[1.0]]]).product(3),
}


@pytest.mark.parametrize("ask", NO_MIXTURE.values(), ids=NO_MIXTURE)
def test_what_is_no_mixture(ask):
    with pytest.raises(TypeError, match=r"must be a fitted mixture such as a GMM, not (int|str|NoneType)"):
        ask()


def test_what_are_no_statistics():
    with pytest.raises(TypeError, match="statistics must be those of `expectation`, or a sum of such, not ndarray"):
        cgmm.maximisation(GMM.from_parameters([1.0], [[0.0]], [[[1.0]]]), np.ones(3))


def test_a_posterior_has_no_m_step_by_hand():
    X = np.random.default_rng(0).normal(size=(30, 1))
    model = cgmm.BayesianGMM(1).fit(X)
    with pytest.raises(TypeError, match="model must be a GMM, not BayesianGMM"):
        cgmm.maximisation(model, cgmm.expectation(model, X))


def test_an_index_of_a_table_in_memory_is_no_feature():
    """As in a file: pandas' index becomes a column of Arrow's tables."""
    pa = pytest.importorskip("pyarrow")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(60, 3)), columns=list("abc"))
    for given, left in ((frame[frame.a > 0], "abc"), (frame.set_index("c"), "ab"), (frame, "abc")):
        table = pa.Table.from_pandas(given)
        expected = GMM(1).fit(given[list(left)])
        for rows in (table, [table]):
            found = GMM(1).fit(rows)
            assert "".join(found.feature_names_in_) == left
            np.testing.assert_allclose(found.means_, expected.means_, rtol=1e-12, atol=1e-12)
        assert found.score(table) == pytest.approx(found.score(given[list(left)]), rel=1e-12)
        assert cgmm.GMMRegressor(1).fit(table, np.arange(len(given))).n_features_in_ == len(left)


@pytest.mark.parametrize("path", ["x.csv", pathlib.Path("x.csv"), "table"])
@pytest.mark.parametrize("fit", [lambda X: cgmm.kmeans(X, 2), lambda X: GMMRegressor().fit(X, [1.0, 2.0])])
def test_files_where_none_is_read(tmp_path, path, fit):
    FRAME.to_csv(tmp_path / "x.csv", index=False)
    X, told = (cgmm.table(tmp_path / "x.csv"), "a Table") if path == "table" else (path, "a path, 'x.csv'")
    with pytest.raises(TypeError, match=f"X is {told}, and no file is read here: give its rows as an array"):
        fit(X)


@pytest.mark.parametrize("companions", [([1.0] * 4,), ([1.0] * 4, [0] * 4), (None, [0] * 4)])
def test_companions_of_many_problems(companions):
    rows = FRAME.to_numpy()
    given = (rows, *(None if one is None else np.array(one) for one in companions))
    with pytest.raises(
        TypeError, match=r"problem 1 is a tuple, .* as sample_weight=\[\.\.\.\] and the labels as labels="
    ):
        cgmm.fit_many([rows, given], 1)
    assert len(cgmm.fit_many([rows, (rows, rows)], 1, reg_covar=0.1).labels) == 2  # in blocks
