"""Rows whose component is known: fits beside the reference, with whatever they are combined, and what is refused."""

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM, BayesianGMM, Prior, _kernels
from cgmm.errors import BlockError
from cgmm.mixture.families import FAMILIES
from cgmm.rows import data as data_module
from gaps import a_prior, counts, gappy
from problems import CHUNK, FITTED, assert_same_bits, assert_same_fit, begin_at, clusters, mixture, rows_of, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)


def some_labels(n, k, share=0.3, seed=0):
    """Labels (n,), of which a share is known, at random: not those of the clusters."""
    rng = np.random.default_rng([seed, n, k])
    return np.where(rng.random(n) < share, rng.integers(k, size=n), -1)


def assert_as_reference(model, expected, history, rtol):
    for name, value in zip(FITTED, expected, strict=False):
        assert_allclose(getattr(model, name), value, rtol=0, atol=rtol * np.abs(value).max(), err_msg=name)
    if history is not None:
        assert_allclose(model.lower_bounds_, history, rtol=rtol)


# The reference


@families
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-9), (np.float32, 1e-4)])
@pytest.mark.parametrize("n, d, k, weighted", [(97, 1, 2, False), (300, 3, 3, True), (CHUNK + 5, 9, 5, False)])
def test_a_fit_is_the_references(n, d, k, weighted, dtype, rtol, family):
    """Parameters and log-likelihoods of twelve iterations; the weights of float32 rows' statistics are of single
    precision."""
    X, labels = clusters(n, d, k).astype(dtype), some_labels(n, k)
    start, w = start_of(X.astype(np.float64), k, family), counts(n) if weighted else None
    expected, history = reference.em(X, *start, family, 12, 1e-6, w, labels=labels)
    model = begin_at(start, family, max_iter=12).fit(X, sample_weight=w, labels=labels)
    assert_as_reference(model, expected, history, rtol)


@families
@pytest.mark.parametrize("with_prior, fixed", [(True, ()), (False, ("means",)), (False, ("weights", "covariances"))])
def test_a_fit_of_rows_with_gaps_is_the_references(with_prior, fixed, family):
    X, labels, w = clusters(90, 4, 3), some_labels(90, 3), counts(90)
    start, Y, prior = start_of(X, 3, family), gappy(X), a_prior(family, 4) if with_prior else None
    expected, history = reference.missing_em(Y, *start, family, 6, 1e-6, w, fixed, prior, labels)
    arguments = {"missing": "marginal", "max_iter": 6, "fixed": fixed, "prior": Prior(*prior) if prior else None}
    model = begin_at(start, family, **arguments).fit(Y, sample_weight=w, labels=labels)
    assert_as_reference(model, expected, None if prior else history, 1e-9)


@families
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_responsibilities_of_known_rows_are_exact(dtype, family, target):
    """Of rows that are all known, n_k counts rows to the bit, however far they are from their component."""
    rng = np.random.default_rng(0)
    found = mixture(family, 5, 7, rng)
    X = (1e3 * rows_of(found, 1001, rng)).astype(dtype)
    labels = rng.integers(7, size=1001)
    n_k, _, _, log_likelihood, *_ = _kernels.expectation(X, found.density, found.moment, known=labels)[0]
    assert_array_equal(n_k, np.bincount(labels, minlength=7))
    joint = _kernels.evaluate(X, found.density, "log_densities")
    assert_allclose(log_likelihood, joint[np.arange(1001), labels].sum(), rtol=1e-6 if dtype is np.float32 else 1e-12)


# Laws


@families
def test_log_likelihoods_never_fall(family):
    model = GMM(3, covariance_type=family, tol=0, max_iter=60, reg_covar=0, random_state=0)
    gains = np.diff(model.fit(clusters(500, 3, 3), labels=some_labels(500, 3)).lower_bounds_)
    assert gains.min() > -1e-12


@families
def test_all_known_is_one_m_step(family):
    """The parameters are the moments of each component's rows, from the first iteration on, and n_init is no matter."""
    X, labels, w = clusters(400, 3, 4), some_labels(400, 4, share=1.0), counts(400)
    model = GMM(4, covariance_type=family, n_init=5, random_state=0).fit(X, sample_weight=w, labels=labels)
    expected = reference.maximise(X, w, np.eye(4)[labels], family, 1e-6)
    assert_as_reference(model, expected, None, 1e-12)
    assert model.n_iter_ == 2 and model.converged_ and len(model.diagnostics_.restarts) == 1


def test_a_label_that_is_not_known_changes_no_bit():
    X = clusters(3000, 3, 4)
    plain, unknown = (GMM(4, random_state=0).fit(X, labels=labels) for labels in (None, np.full(3000, -1)))
    assert_same_bits(plain, unknown)


@families
def test_weight_two_is_the_row_twice(family):
    X, labels, w = clusters(200, 2, 3), some_labels(200, 3), 1 + counts(200)
    start = start_of(X, 3, family)
    weighted = begin_at(start, family).fit(X, sample_weight=w, labels=labels)
    repeated = begin_at(start, family).fit(np.repeat(X, w, axis=0), labels=np.repeat(labels, w))
    for name in FITTED:
        assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-9, err_msg=name)


@families
def test_any_number_of_threads_and_calls_gives_the_same_bits(family, monkeypatch):
    X, labels = clusters(5000, 4, 3), some_labels(5000, 3)
    fits = [GMM(3, covariance_type=family, random_state=0, n_threads=t).fit(X, labels=labels) for t in (1, 2, 3)]
    watched = GMM(3, covariance_type=family, random_state=0, callback=lambda state: False).fit(X, labels=labels)
    for other in (*fits[1:], watched):
        assert_same_bits(fits[0], other)


@pytest.mark.parametrize("d, k", [(2, 40), (16, 24)])
def test_components_of_known_rows_are_never_left_out(d, k, monkeypatch):
    """Fits that would be pruned, by boxes or by a guide: a row far from its own component counts for it alone."""
    monkeypatch.setattr(data_module, "guide_by_itself", lambda *_: None)
    X = clusters(20_000, d, k, distance=30.0)
    labels = some_labels(20_000, k, share=0.01)
    start = start_of(X, k, "diag")
    expected, _ = reference.em(X, *start, "diag", 3, 1e-6, labels=labels)
    model = begin_at(start, "diag", max_iter=3).fit(X, labels=labels)
    assert_as_reference(model, expected, None, 1e-9)


# Starts


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random_from_data", "random"])
def test_a_start_numbers_its_components_as_the_labels_do(init):
    X = np.random.default_rng(0).normal(size=(600, 2)) + 12 * np.repeat(np.arange(3), 200)[:, np.newaxis]
    own = np.repeat([2, 0, 1], 200)
    labels = np.where(np.arange(600) % 20 == 0, own, -1)
    for n_init in (1, 6):
        model = GMM(3, init_params=init, n_init=n_init, random_state=1).fit(X, labels=labels)
        assert_array_equal(model.predict(X), own)


def test_a_start_that_is_given_keeps_its_numbers():
    X = clusters(300, 2, 3, distance=20.0)
    first = GMM(3, random_state=0).fit_predict(X)
    labels = np.where(first == 1, 1, -1)
    given = GMM(3, responsibilities_init=first, max_iter=1).fit(X, labels=labels)
    assert_array_equal(given.predict(X), first)


def test_a_component_without_known_rows_is_found():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(900, 2)) + 10 * np.repeat(np.arange(3), 300)[:, np.newaxis]
    labels = np.full(900, -1)
    labels[:5] = 1
    found = GMM(3, random_state=0).fit(X, labels=labels).predict(X)
    assert (found[:300] == 1).all() and set(found[300:600]) | set(found[600:]) == {0, 2}


# Wherever rows are


def blocks_of(X, labels, w=None, size=700):
    for start in range(0, len(X), size):
        part = slice(start, start + size)
        yield X[part], None if w is None else w[part], labels[part]


@families
@pytest.mark.parametrize("gaps", [False, True])
def test_blocks_and_chunks_give_what_an_array_gives(gaps, family):
    """To rounding: sums of chunks are added in another order; what fills gaps is not used by a start that is given."""
    X, labels, w = clusters(3000, 3, 3), some_labels(3000, 3), 1.0 + counts(3000)
    start = start_of(X, 3, family)
    rows = gappy(X, 0.1) if gaps else X
    arguments = {"missing": "marginal"} if gaps else {}
    whole = begin_at(start, family, **arguments).fit(rows, sample_weight=w, labels=labels)
    streamed = begin_at(start, family, **arguments).fit(lambda: blocks_of(rows, labels, w))
    arrays = [da.from_array(values, chunks=(800, *values.shape[1:])) for values in (rows, w, labels)]
    chunked = begin_at(start, family, **arguments).fit(arrays[0], sample_weight=arrays[1], labels=arrays[2])
    for other in (streamed, chunked):
        for name in FITTED:
            assert_allclose(getattr(other, name), getattr(whole, name), rtol=1e-8, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random", "random_from_data"])
def test_a_start_from_blocks_with_labels_is_the_start_from_an_array(init):
    X, labels = clusters(600, 3, 3), some_labels(600, 3)
    whole = GMM(3, init_params=init, random_state=0).fit(X, labels=labels)
    assert_same_bits(GMM(3, init_params=init, random_state=0).fit(lambda: blocks_of(X, labels, size=170)), whole)


def test_labels_of_rows_whose_weight_vanishes_are_as_not_there():
    """Beside a weight that is 1e600 times as large, be the rows in memory, in blocks or in chunks."""
    X, labels, w = clusters(30, 2, 2), np.arange(30) % 3, np.where(np.arange(30) % 3 == 2, 1e-300, 1e300)
    chunks = [da.from_array(values, chunks=(10, *values.shape[1:])) for values in (X, w, labels)]
    for rows, row_weights, known in ((X, w, labels), (lambda: blocks_of(X, labels, w, size=9), None, None), chunks):
        with pytest.raises(ValueError, match="every row of positive weight has a label, and none has label 2"):
            GMM(3).fit(rows, sample_weight=row_weights, labels=known)


@pytest.mark.parametrize("model", [GMM, BayesianGMM])
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-8), (np.float32, 1e-3)])
@pytest.mark.parametrize("kind", ["whole", "gaps", "errors"])
@pytest.mark.parametrize("label, weight", [(0, 1e-300), (10**9, 1e-300), (10**9, 0.0)])
@families
def test_where_only_rows_that_do_not_count_have_labels_none_is_known(family, label, weight, kind, dtype, rtol, model):
    """Rows whose weight is zero, or vanishes beside others: the fit is that without labels, of an array, of blocks (to
    the rounding of sums in another order) and of a batch."""
    X, w = clusters(60, 2, 2).astype(dtype), np.where(np.arange(60) % 9 == 4, weight, 1e30)
    labels, arguments = np.where(w < 1, label, -1), {"covariance_type": family, "random_state": 0}
    if kind == "gaps":
        X[7, 1], arguments["missing"] = np.nan, "marginal"
    errors = np.full(X.shape, 0.1) if kind == "errors" else None
    expected = model(2, **arguments).fit(X, sample_weight=w, error_covariances=errors)
    found = model(2, **arguments).fit(X, sample_weight=w, labels=labels, error_covariances=errors)
    assert_same_bits(found, expected)
    blocks = [
        (X[i : i + 25], w[i : i + 25], labels[i : i + 25], None if errors is None else errors[i : i + 25])
        for i in (0, 25, 50)
    ]
    assert_same_fit(model(2, **arguments).fit(blocks), expected, rtol)
    if model is GMM and kind != "errors":
        batches = [GMM(2, **arguments).partial_fit(X, sample_weight=w, labels=known) for known in (labels, None)]
        assert_same_bits(*batches)


def test_a_mapped_file_takes_labels(tmp_path):
    X, labels = clusters(3000, 3, 3), some_labels(3000, 3)
    np.save(tmp_path / "rows.npy", X)
    start = start_of(X, 3, "full")
    fits = [begin_at(start, "full").fit(rows, labels=labels) for rows in (X, str(tmp_path / "rows.npy"))]
    for name in FITTED:
        assert_allclose(getattr(fits[1], name), getattr(fits[0], name), rtol=1e-12, err_msg=name)


def test_labels_may_be_a_series():
    X, labels = clusters(300, 2, 3), some_labels(300, 3)
    fits = [GMM(3, random_state=0).fit(X, labels=given) for given in (labels, pd.Series(labels), labels.astype(float))]
    for other in fits[1:]:
        assert_same_bits(fits[0], other)


def test_an_accelerated_fit_honours_labels():
    X, labels = clusters(400, 3, 3, distance=1.5), some_labels(400, 3, share=0.2)
    plain = GMM(3, random_state=0, tol=1e-9, max_iter=5000, reg_covar=0).fit(X, labels=labels)
    fast = GMM(3, random_state=0, tol=1e-9, max_iter=5000, reg_covar=0, accelerate=True).fit(X, labels=labels)
    assert_allclose(fast.lower_bound_, plain.lower_bound_, rtol=1e-6)


@pytest.mark.filterwarnings("ignore::cgmm.DegenerateWarning")  # rows fewer than features have singular covariances
def test_a_fit_of_more_features_than_rows_honours_labels():
    wide, own = clusters(40, 90, 2), some_labels(40, 2, share=0.5)
    start = start_of(wide, 2, "tied")
    start = (*start[:2], start[2] + np.eye(90))
    expected, _ = reference.em(wide, *start, "tied", 6, 1.0, labels=own)
    model = begin_at(start, "tied", reg_covar=1.0, max_iter=6).fit(wide, labels=own)
    assert_as_reference(model, expected, None, 1e-9)


def test_a_checkpoint_is_of_its_labels(tmp_path):
    X, labels, path = clusters(300, 2, 3), some_labels(300, 3), tmp_path / "kept"

    def stop(state):
        if state.iteration == 5:
            raise KeyboardInterrupt

    arguments = {"random_state": 0, "tol": 0, "max_iter": 20}
    kept = GMM(3, **arguments, checkpoint=path, checkpoint_interval=2, callback=stop)
    with pytest.raises(KeyboardInterrupt):
        kept.fit(X, labels=labels)
    others = [np.roll(labels, 1) * (labels[-1] >= -1) % 3, np.roll(labels, 1), None]  # of as many rows each; none
    for other in others:
        with pytest.raises(ValueError, match="whose labels was"):
            GMM(3, **arguments, checkpoint=path).fit(X, labels=other)
    again = GMM(3, **arguments, checkpoint=path).fit(X, labels=labels)
    assert_same_bits(again, GMM(3, **arguments, callback=lambda state: False).fit(X, labels=labels))


# What is refused


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda labels: labels[:-1], r"labels must have shape \(200,\), one for each row, not \(199,\)"),
        (
            lambda labels: np.where(labels == 0, -2, labels),
            r"-1 where the component of a row is not known, but labels\[",
        ),
        (lambda labels: np.where(labels == 0, 0.5, labels), r"is 0\.5"),
        (lambda labels: np.where(labels == 0, np.nan, labels), r"is nan"),
        (
            lambda labels: np.where(labels == 2, 3, labels),
            r"labels must be from 0 to 2, or -1, for n_components=3, but",
        ),
        (lambda labels: np.abs(labels) % 2, "none has label 2: no row is left for component 2"),
        (lambda labels: labels.astype(str), "labels must be numeric"),
    ],
)
def test_labels_that_cannot_be_are_refused(change, message):
    X = clusters(200, 2, 3)
    with pytest.raises((ValueError, TypeError), match=message):
        GMM(3).fit(X, labels=change(some_labels(200, 3)))


def test_a_label_only_of_rows_of_weight_zero_is_refused_where_no_row_is_left():
    labels = np.repeat([0, 1], 50)
    with pytest.raises(ValueError, match="none has label 1"):
        GMM(2).fit(clusters(100, 2, 2), sample_weight=1.0 - labels, labels=labels)


def test_blocks_bring_their_labels():
    X, labels = clusters(200, 2, 3), some_labels(200, 3)
    with pytest.raises(TypeError, match="each of which brings its labels"):
        GMM(3).fit(lambda: [X], labels=labels)
    with pytest.raises(BlockError, match="block 1 has no labels, unlike those before it"):
        GMM(3).fit([(X[:100], None, labels[:100]), (X[100:], None)])
    with pytest.raises(BlockError, match="block 1, which begins at row 100: labels must have shape"):
        GMM(3).fit([(X[:100], None, labels[:100]), (X[100:], None, labels)])
    with pytest.raises(TypeError, match="labels must be a Dask array or series"):
        GMM(3).fit(da.from_array(X, chunks=(50, 2)), labels=labels)


# Components that weigh nothing


def learnt(model, how, X, labels, dtype):
    """The model after one iteration, of rows that come so."""
    X = X.astype(dtype)
    if how == "blocks":
        return model.fit(lambda: blocks_of(X, labels, size=11))
    if how == "chunks":
        return model.fit(da.from_array(X, chunks=(11, X.shape[1])), labels=da.from_array(labels, chunks=11))
    if "gaps" in how:
        model, X = model.set_params(missing="marginal"), np.where(np.arange(len(X))[:, None] == 2, np.nan, X)
    if how == "a block with gaps":
        return model.fit(lambda: blocks_of(X[::-1], labels[::-1], size=11))
    if how == "errors":
        return model.fit(X, labels=labels, error_covariances=np.full(X.shape, 0.01))
    if how == "warm":
        return model.set_params(max_iter=0).fit(X).set_params(max_iter=1, warm_start=True).fit(X, labels=labels)
    if how == "stream":
        return model.set_params(max_iter=0).fit(X).partial_fit(X, labels=labels)
    return model.fit(X, labels=labels)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("how", ["array", "blocks", "chunks", "gaps", "a block with gaps", "errors", "warm", "stream"])
@pytest.mark.parametrize("other", [0.0, 0.5])
def test_labelled_rows_bring_a_component_without_weight_to_life(family, dtype, how, other):
    """As they would from any smaller weight than rounding, whether all of the others are of one component or not."""
    X = clusters(40, 1 if FAMILIES[family].one_feature else 2, 3)
    labels = np.repeat([2, -1, 0], [6, 26, 8])
    start = {"means_init": X[[0, 20, 39]], "max_iter": 1, "on_degenerate": "repair", "random_state": 0}
    found, expected = (
        learnt(GMM(3, covariance_type=family, weights_init=weights, **start), how, X, labels, dtype)
        for weights in ([1 - other, other, 0.0], [1 - other, other, 1e-300])
    )
    assert found.weights_[2] > 0
    for name in FITTED[:3]:  # half the squared distance is what a log-density differs by from 690
        assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-11 if dtype == np.float64 else 1e-3)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("n_init", [1, 4])
def test_iterations_from_a_component_without_weight_are_the_same_bits_compiled(family, n_init):
    X = clusters(60, 1 if FAMILIES[family].one_feature else 2, 3)
    labels = np.repeat([2, -1, 0], [6, 46, 8])
    arguments = {"covariance_type": family, "weights_init": [0.4, 0.6, 0.0], "on_degenerate": "repair"}
    arguments |= {"n_init": n_init, "random_state": 0}
    compiled = GMM(3, **arguments).fit(X, labels=labels)
    one_by_one = GMM(3, **arguments, callback=lambda state: False).fit(X, labels=labels)
    assert_same_bits(compiled, one_by_one)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("how", ["array", "blocks", "chunks", "gaps"])
def test_a_label_only_of_rows_without_weight_is_refused(family, how):
    """Where every other row has another label: then no row is left for the component, and it has no start."""
    X = clusters(40, 1 if FAMILIES[family].one_feature else 2, 3)
    labels, w = np.repeat([0, 1, 2], [20, 14, 6]), np.repeat([1.0, 0.0], [34, 6])
    model = GMM(3, covariance_type=family, missing="marginal" if how == "gaps" else "error")
    arrays = [da.from_array(values, chunks=(11, *values.shape[1:])) for values in (X, w, labels)]
    with pytest.raises(ValueError, match="none has label 2: no row is left for component 2"):
        if how == "blocks":
            model.fit(lambda: blocks_of(X, labels, w, size=11))
        elif how == "chunks":
            model.fit(arrays[0], sample_weight=arrays[1], labels=arrays[2])
        else:
            missing = (how == "gaps") & (np.arange(40) == 3)[:, None]
            model.fit(np.where(missing, np.nan, X), sample_weight=w, labels=labels)
