"""What was silently wrong at the edges: passes that differ, weights of any size, blocks that are none or mixed.

Of cgmm only public names.
"""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_allclose

import cgmm
import reference
from cgmm import GMM, GMMClassifier, expectation, maximisation
from problems import FITTED, assert_same_bits, clusters, start_of

pytestmark = [
    pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning"),
]
families = pytest.mark.parametrize("family", reference.FAMILIES)
X = clusters(300, 2, 3)
PARAMETERS = ("weights_", "means_", "covariances_")


# Each pass has the same rows: names, shapes, types, weights


def passes(*given):
    """A function of blocks that are others in each pass, the last ones from then on."""
    at = itertools.count()
    return lambda: iter(given[min(next(at), len(given) - 1)])


@pytest.fixture
def frame():
    pd = pytest.importorskip("pandas")
    return pd.DataFrame(clusters(200, 3, 2) + np.array([0.0, 10.0, 100.0]), columns=["a", "b", "c"])


SEVERAL_PASSES = {
    "fit": lambda X: GMM(2, random_state=0).fit(X),
    "gaps": lambda X: GMM(2, random_state=0, missing="marginal").fit(X),
    "select": lambda X: cgmm.select(X, [1, 2], n_init=1),
    "classes": lambda X: GMMClassifier().fit(X, np.arange(200) % 2),
    "subclasses": lambda X: GMMClassifier(2, random_state=0).fit(X, np.arange(200) % 2),
    "chosen subclasses": lambda X: GMMClassifier([1, 2], n_init=1, random_state=0).fit(X, np.arange(200) % 2),
}


@pytest.mark.parametrize("verb", SEVERAL_PASSES)
@pytest.mark.parametrize("later", [1, 2, 3])
def test_columns_in_another_order_in_a_later_pass(later, verb, frame):
    """Also of the second block only, and where names are others."""
    if verb == "gaps":
        frame.iloc[3, 1] = np.nan
    first, second = frame[:90], frame[90:]
    others = [
        [first[["c", "a", "b"]], second[["c", "a", "b"]]],
        [first, second[["b", "a", "c"]]],
        [first.rename(columns={"a": "x"}), second],
    ]
    for other in others:
        with pytest.raises(ValueError, match=r"block [01].*(feature|column|name)"):
            SEVERAL_PASSES[verb](passes(*[[first, second]] * later, other))


@pytest.mark.parametrize("verb", [verb for verb in SEVERAL_PASSES if verb != "gaps"])
def test_names_that_only_a_later_pass_brings_are_compared(verb, frame):
    """A block without names is taken by position; the error is one sentence."""
    X, swapped = frame.to_numpy(), frame[["c", "a", "b"]]
    told = r"^block 1 of pass 2: column 0 is 'c', and was 'a' before: give the same columns in the same order$"
    with pytest.raises(cgmm.errors.BlockError, match=told):
        SEVERAL_PASSES[verb](passes([X[:90], X[90:]], [frame[:90], swapped[90:]]))
    SEVERAL_PASSES[verb](passes([X[:90], X[90:]], [frame[:90], X[90:]]))


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("verb", [GMM.score, GMM.predict, expectation])
def test_columns_in_another_order_in_a_block_beside_a_model(verb, named, frame):
    """With names of its own or without."""
    model, when = GMM(1).fit(frame if named else frame.to_numpy()), "in the fit" if named else "before"
    verb(model, [frame[:90], frame.to_numpy()[90:]])
    with pytest.raises(cgmm.errors.BlockError, match=f"block 1: column 0 is 'c', and was 'a' {when}"):
        verb(model, [frame[:90], frame[["c", "a", "b"]][90:]])
    with pytest.raises(cgmm.errors.BlockError, match=f"block 1: column 2 is missing, and was 'c' {when}"):
        verb(model, [frame[:90], frame[["a", "b"]][90:]])


@pytest.mark.parametrize("learning_rows", [10, 1000])
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_the_first_names_of_a_stream_are_those_of_its_batches(learning_rows, frame):
    X, swapped = frame.to_numpy(), frame[["c", "a", "b"]]
    model = GMM(1, learning_rows=learning_rows).partial_fit(X[:100])
    model.partial_fit(frame[100:150])
    assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    with pytest.raises(ValueError, match="same order"):
        model.partial_fit(swapped)
    for blocks in ([X, swapped], iter([X, swapped])):
        with pytest.raises(cgmm.errors.BlockError, match="block 1: column 0 is 'c', and was 'a'"):
            model.partial_fit(blocks)
    with pytest.raises(cgmm.errors.BlockError, match="block 2: column 0 is 'c', and was 'a'"):
        GMM(1, learning_rows=learning_rows).partial_fit([X, frame, swapped])


@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
def test_names_of_blocks_of_classes_are_those_of_the_stream(frame):
    X, swapped, y = frame.to_numpy(), frame[["c", "a", "b"]], np.arange(400) % 2
    for use in (GMMClassifier().fit, GMMClassifier().partial_fit, GMMClassifier().fit(X, y[:200]).summary):
        with pytest.raises(cgmm.errors.BlockError, match="block 1: column 0 is 'c', and was 'a' before"):
            use([frame, swapped], y)
    model = GMMClassifier().partial_fit(frame, y[:200])
    for again in (model.partial_fit, model.summary):
        with pytest.raises(cgmm.errors.BlockError, match="block 1: column 0 is 'c', and was 'a' in the fit"):
            again([X, swapped], y)
        again([(X, np.ones(200)), X], y)  # weights need not go with all blocks of a stream


@pytest.mark.parametrize("before", ["nothing", "a batch", "a fit"])
@pytest.mark.parametrize("how", ["list", "iterator"])
def test_columns_in_another_order_in_a_later_block_of_a_stream(how, before, frame):
    """The names of every block are compared, as those of every batch are; the model stays as it was."""
    model = GMM(1, random_state=0)
    if before != "nothing":
        model = model.fit(frame) if before == "a fit" else model.partial_fit(frame)
    known = model.means_ if before != "nothing" else None
    blocks = [frame, frame[["c", "a", "b"]]]
    with pytest.raises(ValueError, match=r"block 1.*(feature|column|name)"):
        model.partial_fit(blocks if how == "list" else iter(blocks))
    assert known is None or np.array_equal(model.means_, known)


@pytest.mark.parametrize("fit", [GMM(2, random_state=0).fit, lambda X: GMMClassifier().fit(X, np.arange(200) % 2)])
@pytest.mark.parametrize("change, message", [
    (lambda rows, w: (rows[:, :1], w), "shape"),
    (lambda rows, w: (rows[:50], w[:50]), "shape"),
    (lambda rows, w: rows, "no weights"),
    (lambda rows, w: (rows.astype(np.float32), w), "float32|type"),
    (lambda rows, w: (np.where(np.arange(200)[:, np.newaxis] == 7, np.nan, rows), w), "NaN"),
])  # fmt: skip
def test_blocks_that_differ_in_a_later_pass(change, message, fit):
    rows, w = X[:200], 1.0 + np.arange(200) % 2
    with pytest.raises(ValueError, match=f"block 0.*({message})"):
        fit(passes([(rows, w)], [change(rows, w)]))


@pytest.mark.parametrize("n_components", [1, 2])
@pytest.mark.parametrize("blocks, message", [
    (lambda X, w: [X[:200], X[200:, :1]], r"block 1 has shape \(100, 1\), and one before it \(200, 2\)"),
    (lambda X, w: [X[:200], (X[200:], w[200:])], "block 1 has weights, unlike those before it"),
    (lambda X, w: [(X[:200], w[:200]), X[200:]], "block 1 has no weights, unlike those before it"),
])  # fmt: skip
def test_blocks_of_classes_that_differ_are_named(blocks, message, n_components):
    """Also where no class has rows in both."""
    with pytest.raises(cgmm.errors.BlockError, match=message):
        GMMClassifier(n_components).fit(blocks(X, np.ones(300)), np.arange(300) >= 200)


# By hand: rows and weights of any size


def by_hand(model, X, w):
    return maximisation(model, expectation(model, X[:120], w[:120]) + expectation(model, X[120:], w[120:]))


@families
@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e-200, 1e-12, 1.0, 1e200, 1e302, 1e305])
def test_weights_of_any_size_by_hand(family, scale):
    """Only the ratios of weights matter, as in a fit. Of the least number there is, weights are whole multiples."""
    Y, w = 1e3 * X, (1.0 + np.arange(300) % 3) * scale
    start = [np.array(array) for array in start_of(Y, 3, family)]
    found = by_hand(GMM.from_parameters(*start, family), Y, w)
    expected = by_hand(GMM.from_parameters(*start, family), Y, w / scale)
    for name in PARAMETERS:
        value = getattr(expected, name)
        assert_allclose(getattr(found, name), value, rtol=0, atol=1e-10 * np.abs(value).max(), err_msg=name)
    assert_allclose(found.lower_bound_, expected.lower_bound_, rtol=1e-10)


def test_statistics_of_weights_that_differ_greatly_add_up():
    """Of one block 1e300, of another 1e-300: the first is what counts."""
    model = GMM(2, random_state=0).fit(X)
    heavy, light = expectation(model, X[:100], np.full(100, 1e300)), expectation(model, X[100:], np.full(200, 1e-300))
    found, expected = maximisation(model, heavy + light), maximisation(model, expectation(model, X[:100]))
    for name in PARAMETERS:
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-10, atol=1e-10)


def widened(rows, how):
    """float32 rows that are computed in float64: a column below 1e-15, a value above 1e15."""
    rows = rows.copy()
    if how == "small":
        rows[:, 1] *= np.float32(1e-18)
    elif how == "large":
        rows[3, 1] = 1e17
    return rows.astype(np.float64) if how == "double" else rows


@families
@pytest.mark.parametrize("how", ["small", "large", "double"])
@pytest.mark.parametrize("gather", ["by hand", "list", "function", "dask"])
def test_blocks_of_which_one_needs_double(how, gather, family):
    """Sums of float32 blocks add up whether or not one of them was widened."""
    rows = X.astype(np.float32)
    model = GMM(3, covariance_type=family, random_state=0).fit(rows)
    blocks = [rows[:100], widened(rows[100:200], how), rows[200:]]
    if gather == "by hand":
        found = sum(expectation(model, block) for block in blocks)
    elif gather == "dask":
        da = pytest.importorskip("dask.array")
        dask = pytest.importorskip("dask")
        with dask.config.set(scheduler="synchronous"):
            found = expectation(model, da.concatenate([da.from_array(block, chunks=(100, 2)) for block in blocks]))
    else:
        found = expectation(model, blocks if gather == "list" else lambda: iter(blocks))
    whole = expectation(model, np.concatenate([block.astype(np.float64) for block in blocks]))
    assert_allclose(found.n_k, whole.n_k, rtol=1e-4)
    assert_allclose(found.log_likelihood, whole.log_likelihood, rtol=1e-4)
    assert isinstance(maximisation(model, found), GMM)


# The default prior of rows whose covariance is singular


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("d", [3, 10, 21, 30])
@pytest.mark.parametrize("kind", ["few rows", "a sum", "twice"])
def test_a_default_prior_does_not_depend_on_the_order_of_rows(kind, d, dtype, family):
    """Whether their covariance is singular is decided above the rounding of their type, and of any order of sums.

    Scores of float32 rows have some 1e-6 of their size.
    """
    for seed in range(10):
        rng = np.random.default_rng([seed, d])
        rows = rng.normal(size=(max(2, d - 1) if kind == "few rows" else 3 * d, d))
        if kind != "few rows":
            rows[:, -1] = rows[:, :-1].sum(axis=1) if kind == "a sum" else rows[:, 0]
        rows = rows.astype(dtype)
        scores = []
        for _ in range(4):
            order = rng.permutation(len(rows))
            scores.append(GMM(1, covariance_type=family, prior="default", random_state=0).fit(rows[order]).score(rows))
        assert np.ptp(scores) <= 1e-4 * max(1, np.abs(scores).max())


# Blocks that are none


@pytest.mark.parametrize("verb", ["fit", "partial_fit", "predict", "score", "select", "kmeans"])
@pytest.mark.parametrize("given", [[], (), np.empty((0, 2))], ids=["list", "tuple", "array"])
def test_no_rows_at_all(verb, given):
    """The message says that there are none; it advises nothing about shapes."""
    model = GMM(1, random_state=0).fit(X)
    act = {"select": lambda X: cgmm.select(X, [1]), "kmeans": lambda X: cgmm.kmeans(X, 1)}
    act = act.get(verb) or getattr(GMM(1) if "fit" in verb else model, verb)
    with pytest.raises(ValueError, match=r"no (rows|blocks)|0 rows|0 sample") as told:
        act(given)
    assert "eshape" not in str(told.value)


@pytest.mark.parametrize("block", [(X, np.ones(300), 3), (X,), ()], ids=["three", "one", "none"])
@pytest.mark.parametrize("at", [0, 1])
@pytest.mark.parametrize("verb", ["fit", "partial_fit", "score"])
def test_a_tuple_that_is_no_pair(verb, at, block):
    """A block is an array, or one with its weights, and labels: the message says so, and which block it was."""
    blocks = [(X, np.ones(300))]
    blocks.insert(at, block)
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)])
    for given in (blocks, lambda: iter(blocks), dict(enumerate(blocks)).values()):
        with pytest.raises(ValueError, match=rf"block {at}.*(pair|weights|labels)"):
            getattr(model, verb)(given)


@pytest.mark.parametrize("block", [None, 3.0, "rows", {"a": [1.0]}], ids=["None", "number", "text", "mapping"])
def test_a_block_that_is_nothing_of_the_kind(block):
    with pytest.raises(ValueError, match="block 1") as told:
        GMM(1).fit(lambda: iter([X, block]))
    assert "has no len" not in str(told.value)


@pytest.mark.parametrize("layout", ["C", "F"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.int32, ">f8"])
def test_weights_beside_the_path_of_a_file(layout, dtype, tmp_path):
    """Whatever its type and layout, a file's rows may be weighted as an array's."""
    rows, w = np.asarray(10 * X, dtype, order=layout), 1.0 + np.arange(300) % 3
    np.save(tmp_path / "rows.npy", rows)
    found = GMM(2, random_state=0).fit(tmp_path / "rows.npy", sample_weight=w)
    assert_same_bits(found, GMM(2, random_state=0).fit(np.ascontiguousarray(rows), sample_weight=w))


def in_chunks(rows, w):
    da = pytest.importorskip("dask.array")
    return da.from_array(rows, chunks=(100, 2)), da.from_array(w, chunks=100)


HANDED_OVER = {
    "array": lambda rows, w: (rows, w),
    "blocks": lambda rows, w: ([(rows[:100], w[:100]), (rows[100:], w[100:])], None),
    "chunks": in_chunks,
}


@pytest.mark.parametrize("how", HANDED_OVER)
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_weights_that_vanish_beside_others(init, how):
    """1e-300 beside 1e300 is nothing, however rows are handed over: too few rows, said in our own words."""
    rows, w = HANDED_OVER[how](X, np.where(np.arange(300) == 0, 1e300, 1e-300))
    with pytest.raises(ValueError, match="of positive weight"):
        GMM(2, init_params=init, random_state=0).fit(rows, sample_weight=w)
    with pytest.raises(ValueError, match="of positive weight"):
        cgmm.select(rows, 2, "full", init_params=init, random_state=0, sample_weight=w)


@families
def test_order_in_memory_changes_no_bit(family):
    """Rows one after another or columns one after another: sums are taken in the order of rows."""
    for seed in range(20):
        rows = np.random.default_rng(seed).integers(0, 3, size=(8 + seed, 4)) * 1.7
        fits = [GMM(1, covariance_type=family).fit(np.asarray(rows, order=order)) for order in ("C", "F")]
        assert_same_bits(*fits, names=FITTED)


# What a review found beside these


def test_sums_of_many_blocks_of_large_weights():
    """Each block's sums are numbers, and those of all are beyond the largest: 2e303 rows."""
    rows = np.random.default_rng(0).normal(size=(100, 2)) * 1e3
    model = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2) * 1e6])
    found = sum(expectation(model, rows, np.full(100, 1e299)) for _ in range(20))
    expected = maximisation(model, expectation(model, rows)).covariances_
    assert_allclose(maximisation(model, found).covariances_, expected, rtol=1e-12)


@pytest.mark.parametrize("unit, scale", [(1e-63, 1e-200), (1e-80, 1e-160), (1e80, 1e160)])
def test_moments_that_weights_would_take_from_the_numbers(unit, scale):
    rows = np.random.default_rng(0).normal(size=(200, 2))
    one = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2)]).set_params(reg_covar=0)
    other = GMM.from_parameters([1.0], [[0.0, 0.0]], [np.eye(2) * unit**2]).set_params(reg_covar=0)
    expected = maximisation(one, expectation(one, rows)).covariances_
    found = maximisation(other, expectation(other, rows * unit, np.full(200, scale))).covariances_
    assert_allclose(found / unit**2, expected, rtol=1e-12)


@pytest.mark.parametrize("types", [(np.float32, np.float64), (np.float64, np.float32), (np.float32,) * 2])
def test_a_default_prior_of_batches_of_any_types(types):
    """Rounding of the statistics is that of the roughest batch: it does not say whether a covariance is singular."""
    for seed in range(10):
        rows = np.random.default_rng(seed).normal(size=(1500, 4))
        rows = np.column_stack([rows, rows[:, 0] + rows[:, 1]]).astype(np.float32)
        model = GMM(1, prior="default", reg_covar=0, learning_decay=1.0)
        for dtype in types:
            model.partial_fit(rows.astype(dtype))
        expected = GMM(1, prior="default", reg_covar=0).fit(np.concatenate([rows, rows])).score(rows)
        assert abs(model.score(rows) - expected) < 0.1  # a wrong decision makes it 0.5 to 10


@pytest.mark.parametrize("first", [[], np.empty((0, 3)), np.zeros((5, 3))], ids=["list", "empty", "array"])
@pytest.mark.parametrize("verb", ["fit", "partial_fit"])
def test_names_are_those_of_the_first_block_that_has_some(verb, first, frame):
    other = frame[list(frame.columns[::-1])]
    with pytest.raises(ValueError, match="block 2"):
        getattr(GMM(1), verb)(lambda: iter([first, frame, other]))


def test_weights_beside_an_iterator_are_refused():
    with pytest.raises(TypeError, match="sample_weight"):
        GMM(1).partial_fit(iter([X]), sample_weight=np.ones(300))


def test_a_stream_after_rows_that_weigh_next_to_nothing():
    """5e-324 a row: what is remembered of them is no less than they are."""
    rows = np.random.default_rng(0).normal(size=(41, 2))
    model = GMM(4, random_state=0, max_iter=200).fit(rows, sample_weight=np.full(41, 5e-324))
    model.partial_fit(rows[:1], sample_weight=[5e-324])
    assert_allclose(model.weights_.sum(), 1, rtol=1e-12)


def test_weights_that_nearly_vanish_count_alike_in_blocks():
    rows, w = np.random.default_rng(0).normal(size=(6, 1)), np.array([3.0, *[1.5e-323] * 5])
    assert_same_bits(GMM(3, random_state=0).fit(rows, sample_weight=w), GMM(3, random_state=0).fit([(rows, w)]))


@pytest.mark.parametrize("scale", [5e-324, 1e-310, 1e-200, 1e-30])
@pytest.mark.parametrize("precision", [0.0, 0.01])
def test_a_prior_beside_rows_that_weigh_next_to_nothing(precision, scale):
    """The prior is all there is, and the fit ends."""
    for rows in (X, X[:1]):
        prior = cgmm.Prior(mean_precision=precision, covariance=np.eye(2))
        model = GMM(1, prior=prior, reg_covar=0, random_state=0).fit(rows, sample_weight=np.full(len(rows), scale))
        assert model.converged_ and np.isfinite(model.lower_bounds_).all()
        assert_allclose(model.covariances_[0], np.eye(2) / (2 + 2 + 2 + 1 + (precision > 0)), atol=1e-9)
