"""Rows that come in blocks: the same bits as in memory, for every source and cut; clear errors; little memory."""

import os
import re

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
from cgmm import GMM, BayesianGMM, select
from cgmm.errors import BlockError
from cgmm.rows import sources, streams
from gaps import cut
from problems import clusters
from reference import FAMILIES

FITTED = ("weights_", "means_", "covariances_", "lower_bounds_")
N = 30011  # more than a start's sample, and no multiple of anything


class Again:
    """Blocks, as often as they are asked for."""

    def __init__(self, blocks):
        self.list = blocks

    def __iter__(self):
        return iter(self.list)


def rows(dtype=np.float64, n=N, d=3, k=5):
    return clusters(n, d, k).astype(dtype)


def weights(n=N):
    """Some are zero."""
    rng = np.random.default_rng(1)
    return rng.uniform(size=n) * (rng.uniform(size=n) < 0.7)


def assert_same_fit(ours, theirs):
    for name in FITTED:
        assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("size", [977, 8192, 20000, N])
def test_a_function_of_blocks_is_the_array(family, dtype, weighted, size, monkeypatch):
    monkeypatch.setattr(streams, "PART_BYTES", 1)  # several parts, some of them read ahead
    X, w = rows(dtype), weights() if weighted else None
    whole = GMM(5, covariance_type=family, random_state=0, n_init=2).fit(X, sample_weight=w)
    blocks = GMM(5, covariance_type=family, random_state=0, n_init=2).fit(lambda: cut(X, size, w))
    assert_same_fit(blocks, whole)
    assert_array_equal(blocks.predict(lambda: cut(X, size)), whole.predict(X))


def test_blocks_may_be_refilled():
    """As readers do that have one buffer."""
    X = rows(n=600_000, k=2)

    def blocks():
        buffer = np.empty((200_000, 3))
        for start in range(0, len(X), len(buffer)):
            buffer[:] = X[start : start + len(buffer)]
            yield buffer

    assert_same_fit(GMM(2, random_state=0, tol=1e-2).fit(blocks), GMM(2, random_state=0, tol=1e-2).fit(X))


@pytest.fixture
def parts_of_maps(monkeypatch):
    """Maps of 4 MiB are read by parts of 1 MiB: so many bytes has a map at least that is read so."""
    monkeypatch.setattr(sources, "MAPPED_BYTES", 1 << 20)
    monkeypatch.setattr(sources, "LEAST_MAPPED", 1 << 22)
    return 1 << 22


def test_what_is_computed_of_a_map_is_an_array(tmp_path, parts_of_maps):
    X = rows(np.float32, parts_of_maps // 64 + 1, 8, 4)
    np.save(tmp_path / "rows.npy", X)
    doubled = np.load(tmp_path / "rows.npy", mmap_mode="r").astype(np.float64)
    assert isinstance(doubled, np.memmap)
    assert_same_fit(
        GMM(2, random_state=0, tol=1e-2).fit(doubled), GMM(2, random_state=0, tol=1e-2).fit(X.astype(float))
    )


def test_a_map_in_another_order_stays_an_array(tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LEAST_MAPPED", 0)
    np.save(tmp_path / "rows.npy", np.asfortranarray(rows(n=100)))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert sources.source_of(mapped) is None and sources.source_of(mapped[::2]) is None


@pytest.mark.parametrize("order", ["C", "F"])
def test_a_map_of_integers_is_read_by_blocks(order, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "LEAST_MAPPED", 0)
    monkeypatch.setattr(sources, "MAPPED_BYTES", 1 << 16)
    X, w = np.asarray(np.round(100 * rows()), np.int16, order=order), weights()
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    assert sources.source_of(mapped) is not None
    ours, theirs = (GMM(5, random_state=0).fit(given, sample_weight=w) for given in (mapped, X))
    assert_same_fit(ours, theirs)
    assert_array_equal(ours.predict(mapped), theirs.predict(X))


def test_arguments_are_checked_before_any_row_is_read():
    def blocks():
        raise AssertionError("a pass")
        yield

    wrong = {"init_params": "?", "n_init": 0, "prior": 1, "fixed": "?", "callback": 1, "warm_start": 1, "verbose": -1}
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=name.replace("fixed", "fixed may hold")):
            GMM(2, **{name: value}).fit(blocks)
    with pytest.raises(ValueError, match="prior"):
        select(blocks, prior=1)


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
def test_rows_are_read_once_for_a_prior_of_many_candidates():
    passes = []

    def blocks():
        passes.append(1)
        yield rows(n=500)

    for prior in (None, "default"):
        passes.clear()
        select(blocks, [1, 2], ["spherical", "diag"], n_init=1, prior=prior, reg_covar=0, max_iter=1, random_state=0)
        if prior is None:
            before = len(passes)
    assert len(passes) == before + 1


@pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
@pytest.mark.parametrize("n_init", [1, 4])
@pytest.mark.parametrize(
    "arguments", [{}, {"reg_covar": "relative"}, {"prior": "default"}, {"noise_component": 1e-4}, {"accelerate": True}]
)
def test_passes_of_blocks_are_how_often_they_were_read(n_init, arguments):
    read = []

    def blocks():
        read.append(1)
        yield rows(n=500)

    model = GMM(3, n_init=n_init, random_state=0, max_iter=200, **arguments).fit(blocks)
    assert model.diagnostics_.passes == len(read)


@pytest.mark.parametrize("n", [500, 20_000])
def test_passes_of_an_array_are_those_over_all_rows_that_count(n):
    """Short runs of starts are of all rows where these are few, whether or not there are rows that weigh nothing."""
    X = rows(n=n)
    model = GMM(3, n_init=4, random_state=0, max_iter=1000)
    carried = sum(start.n_iter for start in model.fit(X).diagnostics_.restarts)
    assert (model.diagnostics_.passes > carried) == (n == 500) and model.diagnostics_.passes >= carried
    more = np.concatenate([X, np.full((7, X.shape[1]), 1e9)])
    model.fit(more, sample_weight=np.append(np.ones(n), np.zeros(7)))
    carried = sum(start.n_iter for start in model.diagnostics_.restarts)
    assert (model.diagnostics_.passes > carried) == (n == 500)


def test_names_of_every_block_are_those_of_the_first():
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(rows(n=500), columns=["a", "b", "c"])
    swapped = frame[["b", "a", "c"]]
    model = GMM(2, random_state=0).fit([frame[:250], frame[250:]])
    for use in (model.fit, model.score):
        with pytest.raises(BlockError, match=r"(?s)block 1.*same order"):
            use([frame[:250], swapped[250:]])
    with pytest.raises(BlockError, match=r"(?s)block 0.*same order"):
        model.score([swapped[:0], swapped])


def test_scores_of_blocks_whose_weights_are_far_apart():
    X = rows(n=6)
    model = GMM(2, random_state=0).fit(rows())
    for first, second in ((1e-300, 1e300), (0.0, 1e-320), (1e300, 1e-300)):
        w = np.repeat([first, second], 3)
        found = model.score([(X[:3], w[:3]), (X[3:], w[3:])])
        np.testing.assert_allclose(found, model.score(X, sample_weight=w), rtol=1e-12)


def test_a_pruned_fit_is_the_same():
    """Its chunks are the largest; a wrong cut would show in the order of the sums."""
    rng = np.random.default_rng(2)
    X = rng.normal(0, 20, (64, 16))[rng.integers(64, size=N)] + rng.normal(size=(N, 16))
    whole = GMM(64, random_state=0).fit(X)
    assert_same_fit(GMM(64, random_state=0).fit(lambda: cut(X, 5000)), whole)


def test_few_rows_are_all_in_the_sample():
    X = rows(n=300)
    whole = GMM(5, random_state=0, n_init=3).fit(X)
    assert_same_fit(GMM(5, random_state=0, n_init=3).fit(lambda: cut(X, 7)), whole)


@pytest.mark.parametrize("prior", [None, "default"])
def test_the_other_arguments_work_alike(prior):
    X, arguments = rows(), {"random_state": 0, "means_init": rows()[:5], "prior": prior, "reg_covar": 0.0}
    assert_same_fit(GMM(5, **arguments).fit(lambda: cut(X, 977)), GMM(5, **arguments).fit(X))


def test_components_begin_again_at_the_same_rows():
    """Two start where no row is."""
    X = rows()
    far = np.concatenate([X[:3], X[:2] + 1e5])
    fits = []
    for given in (X, lambda: cut(X, 4001)):
        with pytest.warns(cgmm.DegenerateWarning, match="began again"):
            fits.append(GMM(5, means_init=far, precisions_init=[np.eye(3)] * 5, random_state=0).fit(given))
    assert fits[0].diagnostics_.repairs == fits[1].diagnostics_.repairs
    assert_same_fit(*fits)


def test_columns_that_do_not_vary():
    """Their standard deviation takes a pass of its own."""
    X = rows()
    X[:, 1] = 3.0
    fits = []
    for given in (X, lambda: cut(X, 4001)):
        with pytest.warns(cgmm.DegenerateWarning):
            fits.append(GMM(2, random_state=0, reg_covar=0.0).fit(given))
    assert_same_fit(*fits)


@pytest.mark.parametrize("value", [1e20, 1e-20])
def test_float32_that_needs_double(value):
    X = (rows() * value).astype(np.float32)
    model = GMM(5, reg_covar=0, random_state=0)
    assert_same_fit(model.fit(lambda: cut(X, 977)), GMM(5, reg_covar=0, random_state=0).fit(X))


def test_types_may_be_mixed():
    X = rows(np.float32)
    blocks = [X[:1000], X[1000:9000].astype(np.float64), X[9000:].tolist()]
    assert_same_fit(GMM(5, random_state=0).fit(Again(blocks)), GMM(5, random_state=0).fit(X.astype(np.float64)))


def test_evaluations_are_those_of_the_array():
    X, w = rows(), weights()
    model = GMM(5, random_state=0).fit(X)

    def blocks():
        return cut(X, 977, w)

    assert_array_equal(model.score_samples(blocks), model.score_samples(X))
    assert_array_equal(model.predict_proba(blocks), model.predict_proba(X))
    for name in ("score", "bic", "aic", "icl"):
        np.testing.assert_allclose(getattr(model, name)(blocks), getattr(model, name)(X, sample_weight=w), rtol=1e-12)
    ours, theirs = cgmm.expectation(model, blocks), cgmm.expectation(model, X, w)
    np.testing.assert_allclose(ours.second, theirs.second, rtol=1e-10)
    assert_array_equal(GMM(5, random_state=0).fit_predict(lambda: cut(X, 977)), model.predict(X))


def test_select_reads_blocks():
    X = rows(n=20000)
    arguments = {"n_components": [4, 5], "covariance_types": ["diag", "full"], "n_init": 2, "random_state": 0}
    ours, theirs = select(lambda: cut(X, 977), **arguments), select(X, **arguments)
    assert ours.winner == theirs.winner
    np.testing.assert_allclose([row.bic for row in ours.table], [row.bic for row in theirs.table], rtol=1e-12)


# Kinds of sources


@pytest.fixture
def files(tmp_path):
    """The same rows in files: names of columns a, b, c, and weights w."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    X, w = rows(), weights()
    np.save(tmp_path / "rows.npy", X)
    np.save(tmp_path / "integers.npy", (X * 100).astype(np.int32))
    named = dict(zip("abcw", [*X.T, w], strict=True))
    pq.write_table(pa.table(named), tmp_path / "rows.parquet", row_group_size=5000)
    (tmp_path / "parts").mkdir()
    for at, part in enumerate(np.array_split(np.arange(N), 3)):
        pq.write_table(pa.table({k: v[part] for k, v in named.items()}), tmp_path / "parts" / f"{at}.parquet")
    np.savetxt(
        tmp_path / "rows.csv", np.column_stack([X, w]), delimiter=",", header="a,b,c,w", comments="", fmt="%.17g"
    )
    return tmp_path


def test_files(files):
    ds = pytest.importorskip("pyarrow.dataset")
    X, w = rows(), weights()
    plain, weighted = GMM(5, random_state=0).fit(X), GMM(5, random_state=0).fit(X, sample_weight=w)
    assert_same_fit(GMM(5, random_state=0).fit(files / "rows.npy"), plain)
    assert_same_fit(GMM(5, random_state=0).fit(str(files / "rows.npy"), sample_weight=w), weighted)
    for name in ("rows.parquet", "rows.csv"):
        assert_same_fit(GMM(5, random_state=0).fit(cgmm.table(files / name, "a,b,c")), plain)
        model = GMM(5, random_state=0).fit(cgmm.table(files / name, weights="w"))
        assert_same_fit(model, weighted)
        assert model.feature_names_in_.tolist() == ["a", "b", "c"]
    dataset = ds.dataset(files / "parts")
    assert_same_fit(GMM(5, random_state=0).fit(cgmm.table(dataset, weights="w")), weighted)
    assert_same_fit(GMM(5, random_state=0).fit(dataset.scanner(columns=["a", "b", "c"]).to_table()), plain)
    integers = GMM(5, random_state=0).fit((X * 100).astype(np.int32))
    assert_same_fit(GMM(5, random_state=0).fit(files / "integers.npy"), integers)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_mapped_file(tmp_path, dtype, parts_of_maps):
    """One that is large enough to be read by parts, and a part of it that is not its beginning."""
    d = 8
    n = parts_of_maps // (d * np.dtype(dtype).itemsize) + 3000
    X = rows(dtype, n, d, 4)
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    for part in (slice(None), slice(2001, None)):
        model = GMM(4, random_state=0, tol=1e-2).fit(mapped[part])
        assert_same_fit(model, GMM(4, random_state=0, tol=1e-2).fit(X[part]))
        assert model.diagnostics_.passes == 1 + model.n_iter_


def test_what_is_changed_in_a_private_map_is_kept(tmp_path, parts_of_maps):
    X = rows(np.float64, parts_of_maps // 64 + 1, 8, 4)
    np.save(tmp_path / "rows.npy", np.zeros_like(X))
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="c")
    mapped[:] = X
    assert_same_fit(GMM(4, random_state=0, tol=1e-2).fit(mapped), GMM(4, random_state=0, tol=1e-2).fit(X))
    assert_array_equal(mapped, X)


def test_lists_of_blocks_and_of_rows():
    X = rows(n=600)
    whole = GMM(5, random_state=0).fit(X)
    assert_same_fit(GMM(5, random_state=0).fit([X[:100], X[100:]]), whole)
    assert_same_fit(GMM(5, random_state=0).fit(X.tolist()), whole)


# What cannot be used


def failing(X):
    yield X[:1000]
    raise OSError("the disk is gone")


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda X: failing(X), "block 1 could not be read: OSError: the disk is gone"),
        (lambda X: [X[:1000], X[:1000, :2]], "block 1, which begins at row 1000: X has 2 features"),
        (lambda X: [X[:1000], np.where(np.arange(1000)[:, None] == 7, np.nan, X[:1000])], r"block 1.*NaN.*X\[7, 0\]"),
        (lambda X: [X[:1000], (X[:1000], np.ones(1000))], "block 1 has weights, unlike those before it"),
        (lambda X: [(X[:1000], np.ones(1000)), X[:1000]], "block 1 has no weights"),
        (lambda X: [(X[:1000], -np.ones(1000))], "block 0.*negative"),
        (lambda X: [(X[:1000], np.zeros(1000))], "no positive weight"),
        (lambda X: [X[:1000, 0]], "block 0.*2D"),
        (lambda X: [], "0 rows"),
        (lambda X: [X[:3]], "3 rows"),
    ],
)
def test_bad_blocks(blocks, message):
    X = rows()
    model = GMM(5, random_state=0).fit(X[:500])
    before = model.means_.copy()
    with pytest.raises(ValueError, match=message):
        model.fit(lambda: blocks(X))
    assert_array_equal(model.means_, before)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: [X[:500], X[500:999]], r"block 1 has shape \(499, 3\), and had \(500, 3\)"),
        (lambda X: [X[:500]], "1 blocks, and 2 in the first pass"),
        (lambda X: [X[:500], X[500:1000], X[:1]], "block 2 has shape"),
        (lambda X: [X[:500], X[500:1000, :2]], r"block 1 has shape \(500, 2\)"),
        (lambda X: [X[:500], X[500:1000] * np.nan], "block 1.*NaN"),
        (lambda X: [X[:500], (X[500:1000], np.ones(500))], "block 1 has weights, unlike in the first pass"),
        (lambda X: [X[:500], X[500:1000].astype(str)], "block 1.*numeric"),
    ],
)
def test_blocks_that_change(change, message):
    X, calls = rows(n=1000), []

    def blocks():
        calls.append(1)
        return [X[:500], X[500:]] if len(calls) < 3 else change(X)

    with pytest.raises(BlockError, match=message):
        GMM(2, random_state=0, tol=0).fit(blocks)


@pytest.mark.parametrize(
    ("later", "message"),
    [(None, "block 0 has no weights"), (np.zeros(1000), "have changed"), (-np.ones(1000), "block 0")],
)
def test_weights_that_change(later, message):
    X, calls = rows(n=1000), []

    def blocks():
        calls.append(1)
        yield (X, np.ones(1000)) if len(calls) < 3 else (X, later)

    with pytest.raises(BlockError, match=message):
        GMM(2, random_state=0, tol=0).fit(blocks)


@pytest.mark.parametrize(
    "name, source",
    [
        ("rows.csv", os.fspath),
        ("rows.csv", lambda path: cgmm.table(path, ["b", "a"])),
        ("rows.parquet", os.fspath),
        ("rows.npy", cgmm.table),
        ("parts/1.parquet", lambda path: pytest.importorskip("pyarrow.dataset").dataset(path.parent)),
        ("rows.csv", lambda path: pytest.importorskip("pyarrow.dataset").dataset(path, format="csv")),
    ],
)
@pytest.mark.parametrize("kind", [GMM, BayesianGMM])
def test_a_file_that_is_replaced_during_a_fit_is_refused(files, kind, name, source):
    """By one of as many rows: with other columns, the same in another order, or whose names are others."""
    path, new = files / name, files / "new"

    def replace(state):
        if name.endswith(".csv"):
            new.write_text(path.read_text().replace("a,b,c,w", "z,b,c,w"))
        elif name.endswith(".npy"):
            np.save(files / "new.npy", np.load(path)[:, ::-1])
            os.rename(files / "new.npy", new)
        else:
            pq = pytest.importorskip("pyarrow.parquet")
            pq.write_table(pq.read_table(path).select(["c", "b", "w"]), new)
        os.replace(new, path)

    told = rf"{path.name} was replaced or changed while it was being read: .*; begin anew"
    with pytest.raises(BlockError, match=told):
        kind(3, random_state=0, callback=replace).fit(source(path))


def test_a_file_that_is_as_it_was_is_read_again(files):
    """Also if it was renamed meanwhile."""
    table = cgmm.table(files / "rows.csv")
    os.rename(files / "rows.csv", files / "old.csv")
    os.symlink(files / "old.csv", files / "rows.csv")
    assert_same_fit(GMM(2, random_state=0).fit(table), GMM(2, random_state=0).fit(files / "old.csv"))


def test_an_iterator_is_refused():
    with pytest.raises(TypeError, match=r"gives its rows once.*a function that returns a new iterator"):
        GMM(2).fit(cut(rows(), 100))


def test_what_needs_all_rows_is_refused():
    X = rows()
    for arguments in ({"init_params": lambda *_: X[:2]}, {"responsibilities_init": np.zeros(N, dtype=int)}):
        with pytest.raises(ValueError, match="in memory"):
            GMM(2, **arguments).fit(lambda: cut(X, 1000))
    with pytest.raises(TypeError, match="brings its weights"):
        GMM(2).fit(lambda: cut(X, 1000), sample_weight=np.ones(N))


def test_a_missing_file_is_named(tmp_path):
    for name in ("none.npy", "none.csv"):
        with pytest.raises(OSError, match=re.escape(name)):
            GMM(2).fit(tmp_path / name)
