"""What a user hands over: bad input is refused, with a message that says what and where; every good form of the
same numbers gives the same result, and none is modified."""

import datetime
import tempfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from cgmm import GMM, NotFittedError, expectation, kmeans

INF, NAN = float("inf"), float("nan")
X = np.random.RandomState(0).randint(0, 9, size=(60, 3)) + np.repeat([[0.0], [20.0]], 30, axis=0)  # fits float16
MODEL = GMM(2, random_state=0).fit(X)

FIT = {"fit": lambda X, **w: GMM(2).fit(X, **w), "fit_predict": lambda X, **w: GMM(2).fit_predict(X, **w)}
USE = {
    name: lambda X, name=name, **w: getattr(MODEL, name)(X, **w)
    for name in ("predict", "predict_proba", "score_samples", "score", "aic", "bic", "icl")
} | {"expectation": lambda X, **w: expectation(MODEL, X, **w)}
ALL = FIT | USE | {"kmeans": lambda X, **w: kmeans(X, 2, **w)}
WEIGHTED = {name: ALL[name] for name in ("fit", "fit_predict", "score", "expectation", "kmeans")}


def table(argument, **cases):
    return pytest.mark.parametrize(argument, cases.values(), ids=cases.keys())


def put(array, at, value):
    """A copy of the array with one value replaced."""
    changed = np.array(array)
    changed[at] = value
    return changed


# Rows


@table("use", **ALL)
@table(
    "bad, error, fragment",
    nan=(put(X, (7, 1), NAN), ValueError, r"NaN.* X\[7, 1\] = nan"),
    infinity=(put(X, (0, 0), -INF), ValueError, r"infinity.* X\[0, 0\] = -inf"),
    none=(put(X.astype(object), (3, 2), None), ValueError, r"NaN.* X\[3, 2\]"),
    scalar=(1.0, ValueError, "2D array, got 0D"),
    vector=(X[:, 0], ValueError, r"2D array, got 1D.*reshape\(-1, 1\)"),
    cube=(X[np.newaxis], ValueError, "2D array, got 3D"),
    no_rows=(X[:0], ValueError, r"X has no rows: .*0 sample.*shape=\(0, 3\)"),
    nothing=([], ValueError, r"X has no rows: .*0 sample.*shape=\(0,\)"),
    no_columns=(X[:, :0], ValueError, r"0 feature.*shape=\(60, 0\)"),
    text=([["1", "2", "3"]] * 60, TypeError, "X must be numeric"),
    words=(put(X.astype(object), (3, 2), "red"), ValueError, "X must be numeric.*red"),
    mapping=(put(X.astype(object), (3, 2), {}), TypeError, "X must be numeric.*dict"),
    times=(X.astype("M8[s]"), TypeError, "X must be numeric.*datetime64"),
    dates=([[datetime.date(2000, 1, 1)] * 3] * 60, TypeError, "X must be numeric.*date"),
    durations=(X.astype("m8[s]"), TypeError, "X must be numeric.*timedelta64"),
    records=(np.zeros((60, 3), "i4,i4"), TypeError, "X must be numeric"),
    complex=(X + 0j, ValueError, "Complex.*X has dtype complex128"),
    ragged=([[1, 2, 3], [1, 2]], ValueError, "X is not a rectangular array"),
    too_large=([[10**400, 0, 0]] * 60, ValueError, "X must be numeric.*too large"),
    sparse_array=(sparse.csr_array(X), TypeError, "X is sparse.*toarray"),
    sparse_matrix=(sparse.coo_matrix(X), TypeError, "X is sparse.*toarray"),
    masked=(np.ma.masked_greater(X, 20), ValueError, "X is masked"),
)
def test_rows_are_refused(use, bad, error, fragment):
    with pytest.raises(error, match=f"(?s){fragment}"):
        use(bad)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.tuples(st.integers(0, 69999), st.integers(0, 2)), min_size=1, max_size=3),
    st.sampled_from((NAN, INF, -INF)),
    st.sampled_from((np.float32, np.float64)),
    st.sampled_from("CF"),
    st.sampled_from((1, 2, 7)),
)
@example([(69999, 2)], NAN, np.float32, "C", 2)
@example([(69999, 0)], INF, np.float64, "F", 7)
@example([(65535, 2), (65536, 0)], NAN, np.float64, "C", 1)
def test_the_first_bad_value_is_named(positions, bad, dtype, order, n_threads):
    rows = np.zeros((70000, 3), dtype=dtype, order=order)
    for at in positions:
        rows[at] = bad
    i, j = min(positions)
    with pytest.raises(ValueError, match=rf"X\[{i}, {j}\] = {bad}"):
        GMM(n_threads=n_threads).fit(rows)


@table("use", **USE)
@pytest.mark.parametrize("d", [1, 2, 4])
def test_feature_count_of_the_fit(use, d):
    with pytest.raises(ValueError, match=f"X has {d} features.*expecting 3 features"):
        use(np.ones((5, d)))


@pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning")
@table("use", fit=lambda X, **w: GMM(3).fit(X, **w), kmeans=lambda X, **w: kmeans(X, 3, **w))
def test_fewer_rows_than_components(use):
    with pytest.raises(ValueError, match=r"n_samples=2 should be >= n_(components|clusters)=3"):
        use(X[:2])
    with pytest.raises(ValueError, match=r"n_samples=2 .*only 2 rows of positive weight"):
        use(X[:4], sample_weight=[1, 0, 2, 0])
    use(X[[0, 30, 31, 5]], sample_weight=[1, 0, 2, 3])


# Row weights


@table("use", **WEIGHTED)
@table(
    "bad, error, fragment",
    negative=(put(np.ones(60), 59, -2), ValueError, r"negative.*sample_weight\[59\] is -2"),
    nan=(put(np.ones(60), 4, NAN), ValueError, r"NaN.*sample_weight\[4\]"),
    infinity=(put(np.ones(60), 4, INF), ValueError, r"infinity.*sample_weight\[4\]"),
    overflow=(np.full(60, 1e308), ValueError, "sample_weight.*sum"),
    short=(np.ones(59), ValueError, r"sample_weight must have shape \(60,\).*\(59,\)"),
    column=(np.ones((60, 1)), ValueError, r"sample_weight must have shape \(60,\).*\(60, 1\)"),
    text=(["1"] * 60, TypeError, "sample_weight must be numeric"),
    complex=(np.ones(60) + 0j, ValueError, "sample_weight has dtype complex"),
)
def test_row_weights_are_refused(use, bad, error, fragment):
    with pytest.raises(error, match=fragment):
        use(X, sample_weight=bad)


@pytest.mark.parametrize("use", [GMM(2).fit, lambda X, **w: kmeans(X, 2, **w), MODEL.score])
def test_weights_that_are_all_zero_are_refused(use):
    with pytest.raises(ValueError, match="zero for every row"):
        use(X, sample_weight=np.zeros(60))


@pytest.mark.parametrize("value", [1e153, -1.7e308])
def test_values_whose_squares_are_no_numbers_are_refused(value):
    with pytest.raises(ValueError, match=r"a value too large.*X\[3, 1\].*5e\+152"):
        GMM(2).fit(put(X, (3, 1), value))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("scale", [2.0**-1000, 2.0**-100, 2.0**100, 2.0**1000])
@table("use", fit=lambda X, **w: GMM(2, random_state=0).fit(X, **w).means_, kmeans=lambda X, **w: kmeans(X, 2, **w)[0])
def test_only_the_ratios_of_row_weights_matter(use, dtype, scale):
    np.random.seed(0)
    weights = np.linspace(1, 2, 60)
    expected = use(X.astype(dtype), sample_weight=weights)
    np.random.seed(0)
    assert_array_equal(use(X.astype(dtype), sample_weight=scale * weights), expected)


# The state of the estimator

ATTRIBUTES = (
    *("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_", "n_features_in_"),
    *("converged_", "n_iter_", "lower_bound_", "lower_bounds_"),
)


@table(
    "use",
    sample=lambda model: model.sample(),
    save=lambda model: model.save("never-written"),
    expectation=lambda model: expectation(model, X),
    **{name: lambda model, name=name: getattr(model, name)(X) for name in USE if name != "expectation"},
    **{name: lambda model, name=name: getattr(model, name) for name in ATTRIBUTES},
)
def test_use_before_fit(use):
    for error in (NotFittedError, ValueError, AttributeError):
        with pytest.raises(error, match="not fitted yet"):
            use(GMM())


def broken(state):
    if state.iteration == 3:
        raise RuntimeError("callback")


@table(
    "change, bad, error",
    rows=({}, put(X, (5, 1), NAN), ValueError),
    few=({}, X[:1], ValueError),
    setting=({"n_init": 0}, X, ValueError),
    family=({"covariance_type": "round"}, X, ValueError),
    start=({"means_init": [[0]]}, X, ValueError),
    callback=({"callback": broken, "tol": 0}, X, RuntimeError),
)
def test_a_failed_fit_changes_nothing(change, bad, error):
    model = GMM(2, random_state=0).fit(X)
    model.set_params(**change)
    before = dict(vars(model))
    with pytest.raises(error):
        model.fit(bad)
    assert vars(model).keys() == before.keys()
    assert all(vars(model)[name] is value for name, value in before.items())
    unfitted = GMM(2).set_params(**change)
    with pytest.raises(error):
        unfitted.fit(bad)
    assert not hasattr(unfitted, "weights_")


# Good input: any form of the same numbers


class Table:
    """What pandas, polars and others are to NumPy."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return self.values if dtype is None else self.values.astype(dtype)


def within(array, index):
    """A view of the numbers that is one part of a larger array: every element else is NaN."""
    larger = np.full(tuple(4 * size for size in array.shape), NAN)
    larger[index] = array
    return larger[index]


def unaligned(array):
    memory = np.zeros(array.nbytes + 1, np.uint8)
    view = memory[1:].view(array.dtype).reshape(array.shape)
    view[:] = array
    return view


def read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


def mapped(array, mode="r"):
    with tempfile.NamedTemporaryFile() as file:
        file.write(array.tobytes())
        file.flush()
        return np.memmap(file.name, array.dtype, mode, shape=array.shape)


FORMS = {
    "list": np.ndarray.tolist,
    "tuples": lambda X: tuple(map(tuple, X)),
    "objects": lambda X: X.astype(object),
    "table": Table,
    "read_only": read_only,
    "mapped": mapped,
    "unaligned": unaligned,
    "fortran": np.asfortranarray,
    "every_fourth_row": lambda X: within(X, np.s_[::4, : X.shape[1]]),
    "every_third_column": lambda X: within(X, np.s_[: len(X), 1 : 3 * X.shape[1] : 3]),
    "backwards": lambda X: within(X, np.s_[len(X) - 1 :: -1, X.shape[1] - 1 :: -1]),
} | {dtype: lambda X, dtype=dtype: X.astype(dtype) for dtype in ("i1", "u8", ">i4", "f2", ">f4", ">f8", "g")}


def everything(X, **w):
    """Results of every computation on X, of each covariance family."""
    result = list(kmeans(X, 2, random_state=0, **w))
    for family in ("full", "tied", "diag", "spherical"):
        model = GMM(2, covariance_type=family, random_state=0).fit(X, **w)
        result += [model.means_, model.covariances_, model.lower_bounds_, model.predict_proba(X)]
        result += [model.score_samples(X), model.score(X, **w), model.bic(X), model.icl(X)]
    return result


@table("form", **FORMS)
def test_any_form_of_the_same_numbers(form):
    weights = np.linspace(1, 9, 60).round()
    rows, row_weights = form(X), form(weights[:, np.newaxis])
    row_weights = row_weights[:, 0] if isinstance(row_weights, np.ndarray) else weights.tolist()
    before = [np.array(array) for array in (rows, row_weights)]
    found = everything(rows, sample_weight=row_weights)
    for ours, expected in zip(found, everything(X, sample_weight=weights), strict=True):
        assert_allclose(ours, expected, rtol=1e-10)
    for array, copy in zip((rows, row_weights), before, strict=True):
        assert_array_equal(np.asarray(array), copy, strict=True)


@pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning")
def test_truth_values():
    rows = np.median(X, axis=0) < X
    for ours, expected in zip(everything(rows), everything(rows.astype(float)), strict=True):
        assert_array_equal(ours, expected)


def test_starts_are_neither_kept_nor_modified():
    starts = {
        "weights_init": np.array([0.5, 0.5]),
        "means_init": X[[0, 30]],
        "precisions_init": np.array([np.eye(3)] * 2),
    }
    before = {name: array.copy() for name, array in starts.items()}
    model = GMM(2, max_iter=0, **starts).fit(X)
    GMM(2, **starts).fit(X)
    other = GMM.from_parameters(*starts.values())
    for name, array in starts.items():
        assert_array_equal(array, before[name])
        array[:] = NAN
    for fitted in (model, other):
        assert_array_equal(fitted.means_, before["means_init"])
        assert_array_equal(fitted.weights_, before["weights_init"])
        assert_array_equal(fitted.covariances_, before["precisions_init"])
