"""Rows in Dask collections: the fit of memory, the same bits on any scheduler; only what is small travels."""

import logging
import os
import pickle
import signal
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
import reference
from cgmm import GMM, select
from cgmm.errors import BlockError
from problems import assert_same_bits, assert_same_fit, begin_at, clusters, start_of

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")
dd = pytest.importorskip("dask.dataframe")
distributed = pytest.importorskip("distributed")

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
N, D, K, ROWS = 30011, 3, 5, 4001
X = clusters(N, D, K)
APART = clusters(N, D, K, distance=30.0)
WEIGHTS = np.random.default_rng(1).uniform(size=N) * (np.random.default_rng(2).uniform(size=N) < 0.7)
NAMES = ["a", "b", "c"]
families = pytest.mark.parametrize("family", reference.FAMILIES)


def chunked(rows=X, size=ROWS):
    return da.from_array(rows, chunks=(size, *rows.shape[1:]))


def frame(rows=X, names=NAMES, **columns):
    """Of eight partitions, whose sizes Dask does not know."""
    pd = pytest.importorskip("pandas")
    return dd.from_pandas(pd.DataFrame(dict(zip(names, rows.T, strict=True)) | columns), npartitions=8)


@pytest.fixture(autouse=True)
def scheduler():
    """Unless a test chooses another."""
    with dask.config.set(scheduler="synchronous"):
        yield


@pytest.fixture(scope="module")
def cluster():
    """Two processes of one thread. None steals another's task: a slow machine would copy chunks to a faster process."""
    logs = {"dashboard_address": ":0", "silence_logs": logging.CRITICAL}
    with dask.config.set({"distributed.scheduler.work-stealing": False}):
        cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **logs)
        yield cluster
        try:
            cluster.close()
        except KeyError:  # of distributed, when all is closed: its table may have lost a worker that a test has killed
            cluster.status = distributed.core.Status.closed


@pytest.fixture
def client(cluster):
    with distributed.Client(cluster) as client, dask.config.set(scheduler="dask.distributed"):
        yield client


# The fit of memory


@families
@pytest.mark.parametrize("weighted", [False, True])
def test_a_fit_is_that_of_memory(family, weighted):
    """To the rounding of sums in another order."""
    start, w = start_of(X, K, family), WEIGHTS if weighted else None
    whole = begin_at(start, family).fit(X, sample_weight=w)
    found = begin_at(start, family).fit(chunked(), sample_weight=None if w is None else chunked(w))
    assert_same_fit(found, whole, 1e-11)


def test_float32_is_that_of_memory():
    start, rows = start_of(X, K, "full"), X.astype(np.float32)
    assert_same_fit(begin_at(start, "full").fit(chunked(rows)), begin_at(start, "full").fit(rows), 1e-4)


@pytest.mark.parametrize("value", [1e20, 1e-20])
def test_float32_that_needs_double(value):
    rows = (X * value).astype(np.float32)
    model = GMM(K, reg_covar=0, random_state=0).fit(chunked(rows))
    there = GMM(K, reg_covar=0, random_state=0).fit(rows)
    assert model.lower_bound_ == pytest.approx(there.lower_bound_, rel=1e-3)


def test_passes_that_prune():
    rng = np.random.default_rng(2)
    centres = rng.normal(0, 20, (16, 16))
    rows = centres[rng.integers(16, size=N)] + rng.normal(size=(N, 16))
    start = np.full(16, 1 / 16), centres + 0.3, np.repeat(4 * np.eye(16)[np.newaxis], 16, axis=0)
    assert_same_fit(begin_at(start, "full").fit(chunked(rows, 9000)), begin_at(start, "full").fit(rows), 1e-10)


def test_weight_two_is_the_row_twice():
    twice = np.repeat([1.0, 2.0], [N // 2, N - N // 2])
    start = start_of(X, K, "full")
    found = begin_at(start, "full").fit(chunked(), sample_weight=chunked(twice))
    whole = begin_at(start, "full").fit(chunked(np.concatenate([X, X[N // 2 :]]), 3000))
    assert_same_fit(found, whole, 1e-10)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_weights_of_any_size(scale):
    arguments = {"prior": "default" if scale > 1 else None}
    found = begin_at(start_of(X, K, "full"), "full", **arguments)
    whole = begin_at(start_of(X, K, "full"), "full", **arguments).fit(X, sample_weight=WEIGHTS * scale)
    assert_same_fit(found.fit(chunked(), sample_weight=chunked(WEIGHTS * scale)), whole, 1e-10)


def test_jumps_of_heavy_rows_that_vary_by_little():
    """Weights over variances are more than any number, and the share of reg_covar is not."""
    X, w = 1e-150 * np.concatenate([clusters(40, 3, 2)[:20], 3 + clusters(40, 3, 2)[20:]]), np.full(40, 1e9)
    options = {"tol": 0, "max_iter": 8, "on_degenerate": "repair", "random_state": 0}
    model = GMM(2, accelerate=True, reg_covar=5e-324, **options)
    model.fit(chunked(X, 17), sample_weight=chunked(w, 17))
    assert model.n_iter_ == 8 and np.isfinite(model.lower_bounds_).all()


def test_a_start_of_few_rows_sees_them_all():
    """Then k-means is that of memory."""
    rows = X[:300]
    for size in (7, 290, 300):
        assert_same_fit(GMM(K, random_state=0).fit(chunked(rows, size)), GMM(K, random_state=0).fit(rows), 1e-10)


@pytest.mark.parametrize("sizes", [(4001,) * 7 + (2004,), (N,), (25000, 11, 5000), (1,) * 11 + (30000,)])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_start_is_as_good_as_that_of_memory(sizes, weighted):
    """However uneven the chunks are; the first pass, and where they are very uneven one more, are all that it takes."""
    rows, w = da.from_array(APART, chunks=(sizes, D)), da.from_array(WEIGHTS, chunks=(sizes,))
    found = GMM(K, random_state=0, tol=1e-8).fit(rows, sample_weight=w if weighted else None)
    whole = GMM(K, random_state=0, tol=1e-8).fit(APART, sample_weight=WEIGHTS if weighted else None)
    assert found.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-6)
    assert found.diagnostics_.passes - found.n_iter_ in (1, 2)


def test_a_start_depends_on_the_seed_alone():
    fits = [GMM(K, random_state=seed, max_iter=3).fit(chunked()) for seed in (0, 0, 1)]
    assert_same_bits(fits[0], fits[1])
    assert not np.array_equal(fits[0].means_, fits[2].means_)


def test_components_begin_again():
    """Two start where no row is."""
    start = np.full(K, 1 / K), np.concatenate([X[:3], X[:2] + 1e5]), np.repeat(np.eye(D)[np.newaxis], K, axis=0)
    fits = []
    for rows in (X, chunked()):
        with pytest.warns(cgmm.DegenerateWarning, match="began again"):
            fits.append(begin_at(start, "full").fit(rows))
    assert fits[0].diagnostics_.repairs == fits[1].diagnostics_.repairs
    assert_same_fit(*fits, 1e-9)


def test_columns_that_do_not_vary():
    rows = X.copy()
    rows[:, 1] = np.where(np.arange(N) % 50, 3.0, 3.1)
    with pytest.warns(cgmm.DegenerateWarning):
        whole = GMM(2, random_state=0, reg_covar=0.0, covariance_type="diag").fit(rows[:9000])
    with pytest.warns(cgmm.DegenerateWarning):
        found = GMM(2, random_state=0, reg_covar=0.0, covariance_type="diag").fit(chunked(rows[:9000]))
    assert_same_fit(found, whole, 1e-6)


def test_select():
    arguments = {"n_components": [4, 5], "covariance_types": ["diag", "full"], "n_init": 2, "random_state": 0}
    ours, theirs = (select(rows, **arguments) for rows in (chunked(X[:9001], 2001), X[:9001]))
    assert ours.winner == theirs.winner
    assert_allclose([row.bic for row in ours.table], [row.bic for row in theirs.table], rtol=1e-5)


# Data frames, and what is not known of chunks


def test_a_data_frame():
    model = GMM(K, random_state=0).fit(frame())
    assert_array_equal(model.feature_names_in_, NAMES)
    assert model.lower_bound_ == pytest.approx(GMM(K, random_state=0).fit(X).lower_bound_, rel=1e-4)
    table = frame(w=WEIGHTS)
    start = start_of(X, K, "full")
    weighted = begin_at(start, "full").fit(table[NAMES], sample_weight=table.w)
    assert_same_fit(weighted, begin_at(start, "full").fit(X, sample_weight=WEIGHTS), 1e-10)


def test_names_must_be_those_of_the_fit():
    model = GMM(K, random_state=0, max_iter=1).fit(frame())
    with pytest.raises(ValueError, match="feature names should match"):
        model.predict(frame(names=["a", "b", "d"]))
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        model.predict(chunked())


def test_partitions_that_lost_their_rows():
    table = frame()
    some = table[table.a > np.quantile(X[:, 0], 0.9)]
    rows = some.compute().to_numpy()
    start = start_of(rows, K, "full")
    model = begin_at(start, "full").fit(some)
    assert_same_fit(model, begin_at(start, "full").fit(rows), 1e-10)
    empty = table.map_partitions(lambda part: part[: 2000 * (part.a.iloc[0] == X[0, 0])])
    assert sum(len(part) > 0 for part in dask.compute(*empty.to_delayed())) == 1
    assert_same_fit(begin_at(start, "full").fit(empty), begin_at(start, "full").fit(X[:2000]), 1e-10)
    assert_array_equal(model.predict(empty).compute(), model.predict(empty.compute()))
    assert model.score(empty) == pytest.approx(model.score(empty.compute()))


# Verbs


@pytest.fixture(scope="module")
def model():
    return GMM(K, random_state=0).fit(X)


@pytest.mark.parametrize("rows", [chunked, lambda: frame().to_dask_array()], ids=["known", "unknown"])
@pytest.mark.parametrize("verb", ["predict", "predict_proba", "score_samples"])
def test_verbs_are_lazy(verb, rows, model):
    read = []
    lazy = getattr(model, verb)(rows().map_blocks(lambda part: read.append(len(part)) or part, meta=X[:0]))
    assert isinstance(lazy, da.Array)
    assert not read
    expected = getattr(model, verb)(X)
    assert (lazy.dtype, lazy.ndim, lazy._meta.dtype) == (expected.dtype, expected.ndim, expected.dtype)
    assert lazy.shape[1:] == expected.shape[1:]
    assert_array_equal(lazy.compute(), expected)
    assert sum(read) == N


def test_sums_over_chunks(model):
    w = chunked(WEIGHTS)
    for name in ("score", "bic", "icl"):
        assert getattr(model, name)(chunked()) == pytest.approx(getattr(model, name)(X), rel=1e-12)
    assert model.score(chunked(), sample_weight=w) == pytest.approx(model.score(X, sample_weight=WEIGHTS), rel=1e-12)
    assert model.bic(chunked(), sample_weight=w) == pytest.approx(model.bic(X, sample_weight=WEIGHTS), rel=1e-12)
    assert model.aic(chunked()) == pytest.approx(model.aic(X), rel=1e-12)
    ours, theirs = cgmm.expectation(model, chunked(), w), cgmm.expectation(model, X, WEIGHTS)
    assert_allclose(ours.second, theirs.second, rtol=1e-10)


def test_fit_predict_is_lazy():
    labels = GMM(K, random_state=0).fit_predict(chunked())
    assert_array_equal(labels.compute(), GMM(K, random_state=0).fit(chunked()).predict(X))


# What cannot be used


def bad(value, row=9000, column=1):
    rows = X.copy()
    rows[row, column] = value
    return rows


@pytest.mark.parametrize("rows, message", [
    (lambda: chunked(bad(np.nan)), r"chunk 2, which begins at row 8002: Input X contains NaN: .* X\[998, 1\]"),
    (lambda: frame(bad(np.inf)), "chunk 2: Input X contains infinity"),
    (lambda: chunked(X[:0]), "X has 0 rows"),
    (lambda: chunked().rechunk({1: 1}), r"X.rechunk\({1: -1}\)"),
    (lambda: da.from_delayed(dask.delayed(X), (N, np.nan), float), "how many columns"),
    (lambda: chunked(X[:, 0]), "X must have 2 dimensions, not 1"),
    (lambda: frame(c=["x"] * N), "chunk .: X must be numeric"),
])  # fmt: skip
def test_rows_that_cannot_be_used(rows, message):
    model = GMM(2, random_state=0).fit(X[:100])
    before = model.means_
    with pytest.raises(ValueError, match=message):
        model.fit(rows())
    assert model.means_ is before


@pytest.mark.parametrize("weights, message", [
    (lambda: WEIGHTS, "sample_weight must be a Dask array or series"),
    (lambda: chunked(WEIGHTS[1:]), rf"must have shape \({N},\)"),
    (lambda: chunked(np.where(np.arange(N) == 9000, -1.0, 1.0)), "chunk 2, .* 8002: sample_weight must not"),
    (lambda: chunked(np.zeros(N)), "no positive weight"),
    (lambda: chunked(np.full(N, 1e305)), "no finite sum"),
    (lambda: frame().a, "sample_weight has 8 chunks, and X has 16"),
])  # fmt: skip
def test_weights_that_cannot_be_used(weights, message):
    size = 2000 if "16" in message else ROWS
    with pytest.raises((ValueError, TypeError), match=message):
        GMM(2).fit(chunked(size=size), sample_weight=weights())


def test_what_is_no_rows():
    bag = pytest.importorskip("dask.bag")
    for other in (bag.from_sequence([1, 2]), dask.delayed(X)):
        with pytest.raises(TypeError, match="give a Dask array or data frame"):
            GMM(2).fit(other)
        with pytest.raises(TypeError, match="give a Dask array or data frame"):
            GMM(2).fit(X[:100]).predict(other)


def test_verbs_name_what_they_cannot_use(model):
    with pytest.raises(ValueError, match="X has 2 features, but GMM is expecting 3"):
        model.predict(chunked(X[:, :2].copy()))
    with pytest.raises(BlockError, match="chunk 2: Input X contains NaN"):
        model.predict_proba(chunked(bad(np.nan))).compute()
    with pytest.raises(BlockError, match="chunk 2, which begins at row 8002: Input X contains NaN"):
        model.score(chunked(bad(np.nan)))
    with pytest.raises(ValueError, match="zero for every row"):
        model.score(chunked(), sample_weight=chunked(np.zeros(N)))


def test_gaps(model):
    """Verbs and fits allow them if the model does."""
    rows = bad(np.nan)
    model = GMM.from_parameters(model.weights_, model.means_, model.covariances_).set_params(missing="marginal")
    assert_array_equal(model.predict_proba(chunked(rows)).compute(), model.predict_proba(rows))
    assert model.score(chunked(rows)) == pytest.approx(model.score(rows), rel=1e-12)
    pd = pytest.importorskip("pandas")
    nullable = dd.from_pandas(pd.DataFrame(rows[:600]).convert_dtypes(), npartitions=3)
    assert_array_equal(model.predict(nullable).compute(), model.predict(rows[:600]))
    start = {"weights_init": model.weights_, "means_init": model.means_, "precisions_init": model.precisions_}
    again = GMM(5, missing="marginal", tol=0, max_iter=5, **start)
    whole, parts = again.fit(rows).means_, again.fit(chunked(rows)).means_
    np.testing.assert_allclose(parts, whole, rtol=0, atol=1e-9 * np.abs(whole).max())
    with pytest.raises(TypeError, match=r"X\.map_blocks"):
        model.impute(chunked(rows))
    assert_array_equal(chunked(rows).map_blocks(model.impute, meta=X[:0]).compute(), model.impute(rows))


def test_what_needs_all_rows_in_one_place():
    for arguments in ({"responsibilities_init": np.zeros(N, dtype=int)}, {"init_params": lambda X, k, state: X[:k]}):
        with pytest.raises(ValueError, match="all rows in one place"):
            GMM(2, **arguments).fit(chunked())


@pytest.mark.parametrize(
    "later, message", [(X[:4000], "it has 4000 rows, and had 4001"), (bad(np.nan, 7)[:ROWS], "NaN")]
)
def test_rows_that_change_between_passes(later, message):
    parts = [X[:ROWS], later]
    first = dask.delayed(lambda: parts.pop(0) if len(parts) > 1 else parts[0], pure=False)()
    rows = da.concatenate([da.from_delayed(first, (ROWS, D), float), chunked(X[ROWS:])])
    with pytest.raises(BlockError, match=f"chunk 0, which begins at row 0.*{message}"):
        GMM(2, random_state=0).fit(rows)


# Schedulers and clusters


def assert_bits(rows, weights, expected):
    found = GMM(K, random_state=0, max_iter=4, tol=0).fit(rows, sample_weight=weights)
    assert_same_bits(found, expected)


@pytest.fixture(scope="module")
def expected():
    with dask.config.set(scheduler="synchronous"):
        return GMM(K, random_state=0, max_iter=4, tol=0).fit(chunked(), sample_weight=chunked(WEIGHTS))


def test_threads_change_no_bit(expected):
    for count in (1, 2, 5):
        with dask.config.set(scheduler="threads", num_workers=count):
            assert_bits(chunked(), chunked(WEIGHTS), expected)


def test_processes_change_no_bit(expected):
    with ProcessPoolExecutor(2, get_context("spawn")) as pool, dask.config.set(scheduler="processes", pool=pool):
        assert_bits(chunked(), chunked(WEIGHTS), expected)


def test_threads_within_a_task_change_no_bit():
    fits = [GMM(K, random_state=0, max_iter=4, tol=0, n_threads=count).fit(chunked()) for count in (None, 2)]
    assert_same_bits(*fits)


def test_workers_change_no_bit(cluster, client, expected):
    rows, weights = client.persist([chunked(), chunked(WEIGHTS)])
    for count in (2, 3, 1, 2):
        cluster.scale(count)
        client.wait_for_workers(count, timeout=60)
        assert_bits(rows, weights, expected)


def test_a_worker_is_killed(client, expected):
    """One that holds chunks, after the second iteration; they are computed anew."""
    rows, weights = client.persist([chunked(), chunked(WEIGHTS)])
    distributed.wait([rows, weights])
    workers = client.run(os.getpid)
    holding = {address for some in client.who_has(rows).values() for address in some}

    def kill(state):
        if state.iteration == 2:
            os.kill(workers[min(holding)], signal.SIGKILL)

    found = GMM(K, random_state=0, max_iter=4, tol=0, callback=kill).fit(rows, sample_weight=weights)
    assert_same_bits(found, expected)
    client.wait_for_workers(2, timeout=60)
    assert set(client.run(os.getpid)) != set(workers)


def test_verbs_stay_on_the_cluster(client, model):
    labels = model.predict(client.persist(chunked())).persist()
    distributed.wait(labels)
    assert_array_equal(labels.compute(), model.predict(X))
    assert model.score(chunked()) == pytest.approx(model.score(X), rel=1e-12)


class Needs(dask.callbacks.Callback):
    """How many of some chunks each task of a computation needs."""

    def __init__(self, chunks):
        self.chunks, self.counts = chunks, []

    def _start(self, dsk):
        needs = (set(dask.core.get_dependencies(dsk, key)) for key in dsk if key not in self.chunks)
        self.counts += [len(self.chunks & own) for own in needs]


def test_no_task_needs_two_chunks():
    """So none has to move: a worker that has the chunk has all that a task needs but the parameters."""
    rows = chunked(clusters(1 << 12, 8, 4), 1 << 9).persist()
    chunks = set(dask.core.flatten(rows.__dask_keys__()))
    assert len(chunks) == 8
    with Needs(chunks) as needs:
        GMM(4, random_state=0, max_iter=5, tol=0).fit(rows)
    assert needs.counts.count(1) >= 8 * 6 and max(needs.counts) == 1


class Travelling(dask.callbacks.Callback):
    """The pickled bytes of what tasks return, and of what they share, by the names of the tasks."""

    def __init__(self):
        self.bytes = {"partial": [], "_of_chunk": [], "_sum": []}

    def _start(self, dsk):
        for key, value in dsk.items():
            if str(key).startswith("partial-"):
                self._note(key, value())

    def _posttask(self, key, value, dsk, state, worker_id):
        if str(key).startswith(("_of_chunk-", "_sum-")):
            self._note(key, value)

    def _note(self, key, value):
        self.bytes[key.split("-")[0]].append(len(pickle.dumps(value)))


@pytest.mark.parametrize("n", [8 * 1024, 64 * 1024])
@pytest.mark.parametrize("k, d", [(4, 3), (16, 16)])
def test_what_travels_does_not_grow_with_the_rows(n, k, d):
    """Parameters go to the chunks, statistics come back: k (d² + 2 d + …) numbers each."""
    rows, iterations = clusters(n, d, k), 3
    start = start_of(rows, k, "full")
    with Travelling() as travelling:
        begin_at(start, "full", max_iter=iterations).fit(chunked(rows, n // 8))
    most = 8 * k * (d * d + 3 * d + 2) + 4000
    assert [len(sizes) for sizes in travelling.bytes.values()] == [1 + iterations, 8 * (1 + iterations), iterations]
    assert max(travelling.bytes["partial"]) < most
    assert max(travelling.bytes["_of_chunk"][8:]) < most
    assert max(travelling.bytes["_sum"]) < most
