"""Odd but honest files: Parquet as pandas writes it, gzip with a fault, files without rows; errors name them."""

import gzip

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM
from cgmm.errors import BlockError

X = np.random.default_rng(0).normal(size=(50, 3))
LINES = b"".join(b"%r,%r\n" % (a, b) for a, b in X[:, :2].tolist())


def read(path, columns=None, **options):
    return np.concatenate([found.rows for found in cgmm.table(path, columns, **options).blocks()])


@pytest.fixture
def parquet(tmp_path):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    def write(arrays, names):
        pq.write_table(pa.table([pa.array(array) for array in arrays], names=names), tmp_path / "x.parquet")
        return tmp_path / "x.parquet"

    return write


@pytest.mark.parametrize("columns", ["0", "2", "2,0", "1,2", "3,0-2"])
def test_columns_of_one_name(parquet, columns):
    """As the message advises, by number."""
    path = parquet([*X.T, X[:, 0] + 1], ["a", "b", "a", "c"])
    table = np.column_stack([X, X[:, 0] + 1])
    chosen = {"3,0-2": [3, 0, 1, 2]}.get(columns) or [int(j) for j in columns.split(",")]
    found = cgmm.table(path, columns)
    assert_array_equal(np.concatenate([block.rows for block in found.blocks()]), table[:, chosen])
    assert (found.names is None) == (0 in chosen and 2 in chosen)  # names that repeat tell no feature from another


def test_columns_of_one_name_on_the_command_line(tmp_path, parquet, done):
    path, model = parquet([*X.T], ["a", "a", "b"]), tmp_path / "m.npz"
    done("fit", path, "-k", 1, "--columns", "0,1,2", "-o", model)
    assert_allclose(GMM.load(model).means_, [X.mean(axis=0)], rtol=1e-12)  # sums in another order
    assert len(done("predict", model, path, "--columns", "0-2").split()) == 50
    done("fit", path, "-k", 1, "--columns", "1,2", "-o", model)  # whose features have names
    assert len(done("predict", model, path, "--columns", "0,1").split()) == 50


def test_columns_of_one_name_as_weights(parquet):
    path = parquet([X[:, 0], np.arange(50.0), X[:, 1]], ["a", "a", "b"])
    (block,) = cgmm.table(path, "0,2", weights="1").blocks()
    assert_array_equal(block.rows, X[:, :2])
    assert_array_equal(block.weights, np.arange(50.0))


@pytest.mark.parametrize("index", [None, "id"])
def test_an_index_is_no_feature(tmp_path, index):
    """As of a data frame itself."""
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame(X, columns=["a", "b", "c"], index=pd.Index(np.arange(50) ** 2, name=index))
    frame.to_parquet(tmp_path / "x.parquet")
    table = cgmm.table(tmp_path / "x.parquet")
    assert table.names == ("a", "b", "c")
    assert_array_equal(read(tmp_path / "x.parquet"), X)
    name = index or "__index_level_0__"
    assert_array_equal(read(tmp_path / "x.parquet", name), frame.index.to_numpy()[:, np.newaxis])
    ours, theirs = GMM(2, random_state=0).fit(tmp_path / "x.parquet"), GMM(2, random_state=0).fit(X)
    assert_array_equal(ours.means_, theirs.means_)


def test_an_index_whose_origin_was_forgotten(parquet):
    path = parquet([X[:, 0], np.arange(50)], ["a", "__index_level_0__"])
    assert cgmm.table(path).names == ("a",)
    with pytest.raises(ValueError, match=r"x\.parquet: no column is left beside those that name rows"):
        cgmm.table(parquet([np.arange(50)], ["__index_level_0__"]))


def test_a_column_of_nothing(tmp_path, parquet, run):
    path = parquet([X[:, 0], [None] * 50], ["a", "b"])
    with pytest.raises(ValueError, match=r"x\.parquet, row 0 \(counted from 0\), column 'b': nan is a missing value"):
        read(path)
    assert np.isnan(read(path, missing="marginal")[:, 1]).all()
    code, _, errors = run("fit", path, "-k", 1, "--missing", "marginal")
    assert code == 1 and errors.startswith(f"cgmm: error: {path}: column 'b' is missing in every row")
    np.save(tmp_path / "x.npy", [[1.0, np.nan]] * 50)
    code, _, errors = run("fit", tmp_path / "x.npy", "-k", 1, "--missing", "marginal")
    assert code == 1 and errors.startswith(f"cgmm: error: {tmp_path}/x.npy: feature 1 is missing in every row")


@pytest.mark.parametrize(
    "content, told",
    [
        (gzip.compress(LINES)[:-8] + bytes(8), "CRC check failed"),
        (gzip.compress(LINES)[:-4] + bytes(4), "length"),
        (gzip.compress(LINES) + b"more", "Not a gzipped file"),
        (gzip.compress(LINES)[:-20], "ended before"),
    ],
)
def test_gzip_with_a_fault(tmp_path, run, content, told):
    (tmp_path / "x.csv.gz").write_bytes(content)
    with pytest.raises(ValueError, match=rf"x\.csv\.gz cannot be read: .*{told}"):
        read(tmp_path / "x.csv.gz")
    code, _, errors = run("fit", tmp_path / "x.csv.gz", "-k", 1)
    assert code == 1 and "x.csv.gz" in errors and errors.count("\n") == 1


@pytest.mark.parametrize("kind", ["text", "parquet"])
def test_files_without_rows(tmp_path, parquet, run, kind):
    path = parquet([X[:0, 0]], ["a"]) if kind == "parquet" else tmp_path / "x.csv"
    if kind == "text":
        path.write_text("a\n")
    for use in (GMM(1).fit, cgmm.select):
        with pytest.raises(ValueError, match=rf"{path.name} has 0 rows"):
            use(path)
    for arguments in (["fit", path, "-k", 1], ["select", path]):
        code, _, errors = run(*arguments)
        assert (code, errors) == (1, f"cgmm: error: {path} has no rows\n")


def test_names_of_files_are_bytes_too(tmp_path):
    (tmp_path / "x.csv").write_bytes(LINES)
    assert_array_equal(read(str(tmp_path / "x.csv").encode()), X[:, :2])


@pytest.mark.parametrize("kind", ["csv", "npy", "parquet"])
def test_blocks_that_cannot_be_used_name_their_file(tmp_path, kind):
    """Whatever verb reads them, with the names of columns or their number."""
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 2)), columns=["x", "y"])
    model, path = GMM(1).fit(frame.to_numpy() if kind == "npy" else frame), tmp_path / f"other.{kind}"
    other = frame[["y", "x"]] if kind != "npy" else frame[["x", "y", "x"]]
    if kind == "npy":
        np.save(path, other.to_numpy())
    else:
        getattr(other, f"to_{kind}")(path, index=False)
    for verb in (model.predict, model.score, model.predict_proba, model.score_samples):
        with pytest.raises(BlockError, match=rf"(?s)other\.{kind}, block 0: .*(order|features)"):
            verb(cgmm.table(path))
        if kind == "npy":
            with pytest.raises(BlockError, match=r"other\.npy, block 0: .*features"):
                verb(path)
