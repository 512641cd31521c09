"""Files of NumPy's that claim more, or less, than they hold: an error that names them, before memory is taken."""

import gzip
import io
import os
import tracemalloc
import zipfile

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
from cgmm import GMM
from cgmm.errors import BlockError
from cgmm.rows import sources

X = np.random.default_rng(0).normal(size=(50, 3))
MOST = 1 << 26  # bytes that a file of a kilobyte may cost: no more than a block and what Python needs


def npy(array, allow_pickle=False):
    data = io.BytesIO()
    np.save(data, array, allow_pickle=allow_pickle)
    return data.getvalue()


def claimed(shape, descr="<f8", order=False, rows=X):
    """A file of some rows whose header tells of others."""
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(data, {"descr": descr, "fortran_order": order, "shape": shape})
    return data.getvalue() + rows.tobytes()


def headed(text, version=(1, 0)):
    """A file with any header."""
    size = len(text).to_bytes(2 if version == (1, 0) else 4, "little")
    return b"\x93NUMPY" + bytes(version) + size + text.encode() + X.tobytes()


CLAIMS = {
    "too many rows": claimed((51, 3)),
    "too few rows": claimed((49, 3)),
    "too few columns": claimed((50, 2)),
    "wide": claimed((3, 2**31)),
    "very wide": claimed((3, 2**62)),
    "wide, of no rows": claimed((0, 2**40)),
    "long": claimed((2**40, 3)),
    "very long": claimed((2**62, 3)),
    "beyond all integers": claimed((2**70, 2**70)),
    "one long column": claimed((2**50,)),
    "columns first": claimed((2**31, 3), order=True),
    "columns first, wide": claimed((3, 2**62), order=True),
    "no columns": claimed((50, 0)),
    "no columns, long": claimed((2**62, 0)),
    "negative": claimed((-1, 3)),
    "large items": claimed((50, 3), descr="<f16"),
    "text": claimed((50, 3), descr="<U1000000000"),
    "objects": npy(np.array([[{}, 1]]), allow_pickle=True),
    "no dictionary": headed("[1, 2]"),
    "no syntax": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (50, 3"),
    "no type": headed("{'descr': 'z9', 'fortran_order': False, 'shape': (50, 3)}"),
    "strange type": headed("{'descr': [('a', 'b', 'c', 'd')], 'fortran_order': False, 'shape': (50, 3)}"),
    "number as type": headed("{'descr': 5, 'fortran_order': False, 'shape': (50, 3)}"),
    "deep": headed("(" * 9000),
    "deep in another way": headed("-" * 9000 + "1"),
    "as deep as may be": headed("-" * 1000),
    "long header": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (50, 3)}" + " " * 20_000, (2, 0)),
    "header of gigabytes": b"\x93NUMPY\x02\x00\xff\xff\xff\xff" + X.tobytes(),
    "cut in its header": npy(X)[:40],
    "cut in its magic": npy(X)[:7],
    "other version": headed("{'descr': '<f8', 'fortran_order': False, 'shape': (50, 3)}", (3, 0)),
}


@pytest.fixture(params=CLAIMS.values(), ids=CLAIMS)
def content(request):
    return request.param


@pytest.fixture(autouse=True)
def little_memory():
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MOST


def assert_refused(use, *arguments, name):
    with pytest.raises(ValueError, match=name) as caught:
        use(*arguments)
    assert "pickle" not in str(caught.value).replace("never unpickled", "")


def test_a_path(tmp_path, content):
    path = tmp_path / "x.npy"
    path.write_bytes(content)
    for use in (GMM(2).fit, cgmm.select, GMM(1).fit(X).predict, GMM(2).partial_fit):
        assert_refused(use, path, name=r"x\.npy")


@pytest.mark.parametrize("packed", [False, True])
def test_a_table(tmp_path, content, packed):
    path = tmp_path / "x"
    path.write_bytes(gzip.compress(content) if packed else content)

    def read():
        table = cgmm.table(path)
        return cgmm.tables.gather(table, table.blocks())

    assert_refused(read, name="/x ")


def test_the_command_line(tmp_path, run, content, monkeypatch):
    (tmp_path / "x.npy").write_bytes(content)
    code, printed, errors = run("fit", tmp_path / "x.npy", "-k", 1)
    assert (code, printed) == (1, "") and errors.startswith("cgmm: error: ") and errors.count("\n") == 1
    assert "x.npy" in errors
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))
    code, printed, errors = run("fit", "-", "-k", 1)
    assert (code, printed) == (1, "") and errors.startswith("cgmm: error: standard input ") and errors.count("\n") == 1


def archive(path, members, **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        for name, member in members.items():
            file.writestr(name, member)
    return path


def test_an_archive(tmp_path, run, content):
    path = archive(tmp_path / "x.npz", {"a.npy": content})
    table = cgmm.table
    assert_refused(lambda: cgmm.tables.gather(table(path), table(path).blocks()), name=r"x\.npz")
    code, _, errors = run("fit", path, "-k", 1)
    assert code == 1 and "x.npz" in errors and errors.count("\n") == 1


@pytest.mark.parametrize("name", ["header", "weights", "means", "covariances", "precisions_cholesky", "lower_bounds"])
def test_a_model(tmp_path, content, name):
    path = tmp_path / "model.npz"
    GMM(2, random_state=0).fit(X).save(path)
    with zipfile.ZipFile(path) as file:
        members = {part: file.read(part) for part in file.namelist()}
    archive(path, members | {f"{name}.npy": content})
    assert_refused(GMM.load, path, name=r"model\.npz cannot be loaded as a cgmm model")


def test_a_checkpoint(tmp_path, content):
    path = archive(tmp_path / "kept", {"arr_0.npy": content})
    assert_refused(GMM(2, checkpoint=path).fit, X, name="kept is no checkpoint that can be read")


def test_archives_that_are_no_tables(tmp_path):
    path = archive(tmp_path / "data.zip", {"data.csv": "a,b\n1,2\n", "notes": ""})
    with pytest.raises(
        ValueError, match=r"data\.zip is a zip archive that holds no array, but data\.csv, notes: unpack"
    ):
        cgmm.table(path)
    for members in ({}, {"folder/": ""}):
        with pytest.raises(ValueError, match=r"empty\.zip is a zip archive that holds no file, and so no rows"):
            cgmm.table(archive(tmp_path / "empty.zip", members))
    whole = archive(tmp_path / "x.npz", {"a.npy": npy(X)}).read_bytes()
    places = [whole.index(b"PK\x03\x04") + 6, whole.index(b"PK\x01\x02") + 8]
    encrypted, unknown = "a is encrypted: unpack it with", r"a\.npy is packed in a way that Python does not know"
    for at, bit, told in ((0, 1, encrypted), (2, 99, unknown)):
        changed = bytearray(whole)
        for place in places:
            changed[place + at] |= bit
        (tmp_path / "x.npz").write_bytes(changed)
        with pytest.raises(ValueError, match=rf"x\.npz cannot be read: (its array )?{told}"):
            cgmm.table(tmp_path / "x.npz")


def test_a_model_that_is_encrypted_is_named(tmp_path):
    path = tmp_path / "model.npz"
    GMM(1).fit(X).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model\.npz cannot be loaded as a cgmm model: .*encrypted"):
        GMM.load(path)


def test_no_rows(tmp_path, run):
    for array in (X[:0], np.asfortranarray(X[:0]), X[:0, 0]):
        np.save(tmp_path / "x.npy", array)
        for use in (GMM(2).fit, cgmm.select):
            with pytest.raises(ValueError, match=r"x\.npy has 0 rows"):
                use(tmp_path / "x.npy")
        code, _, errors = run("fit", tmp_path / "x.npy", "-k", 1)
        assert (code, errors) == (1, f"cgmm: error: {tmp_path}/x.npy has no rows\n")


def test_a_path_that_ends_in_npy_may_hold_text(tmp_path):
    (tmp_path / "x.npy").write_text("\n".join(",".join(map(repr, row)) for row in X.tolist()))
    assert_array_equal(GMM(2, random_state=0).fit(tmp_path / "x.npy").means_, GMM(2, random_state=0).fit(X).means_)


# Files that are shortened while they are read


@pytest.fixture
def parts(monkeypatch):
    """Parts of 8192 rows, of which 300 000 bytes are one and a half."""
    monkeypatch.setattr(sources, "MAPPED_BYTES", 1 << 16)
    monkeypatch.setattr(sources, "LEAST_MAPPED", 0)


@pytest.mark.parametrize("kind", ["path", "map", "integers", "slice", "other order"])
def test_a_shortened_map(tmp_path, parts, kind):
    """Python is killed by SIGBUS where it reads on."""
    path = tmp_path / "x.npy"
    rows = np.random.default_rng(0).normal(size=(40_000, 2)) * 100
    rows = rows.astype(np.int32) if kind in ("integers", "other order") else rows
    np.save(path, np.asfortranarray(rows) if kind == "other order" else rows)
    X = path if kind == "path" else np.load(path, mmap_mode="r")[3 if kind == "slice" else 0 :]

    def shorten(state):
        os.truncate(path, 200_000)

    with pytest.raises(BlockError, match=r"x\.npy was shortened while it was read: it has 200000 bytes"):
        GMM(3, random_state=0, tol=0, max_iter=3, callback=shorten).fit(X)
    with pytest.raises(ValueError, match=r"x\.npy"):
        GMM(1).fit(rows[:100]).predict(X)


MAPS = {
    "as it is": lambda X: X,
    "from its end": lambda X: X[::-1],
    "columns": lambda X: X[:, :2],
    "an array": np.asarray,
}


@pytest.mark.parametrize("view", MAPS)
def test_a_map_that_is_no_longer_whole(tmp_path, view):
    """Whatever takes it, as rows or as weights: it is no source of parts, and Python was killed."""
    path, rows = tmp_path / "x.npy", np.random.default_rng(0).normal(size=(40_000, 3))
    np.save(path, rows)
    X = MAPS[view](np.load(path, mmap_mode="r"))
    model = GMM(1).fit(np.asarray(rows)[:100, : X.shape[1]])
    os.truncate(path, 200_000)
    y = np.arange(40_000) % 2
    for ask in (
        lambda: model.score(X),
        lambda: cgmm.kmeans(X, 2),
        lambda: cgmm.GMMClassifier().fit(X, y),
        lambda: cgmm.GMMRegressor(1).fit(X, y),
        lambda: model.score(rows[:, : X.shape[1]], sample_weight=X[:, 0]),
    ):
        with pytest.raises(BlockError, match=r"x\.npy was shortened while it was read: it has 200000 bytes"):
            ask()
