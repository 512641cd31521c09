"""Tables are read to the bit, whatever the format and the size of a block; what is wrong is told with its place."""

import gzip
import io
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM
from cgmm.tables import Frame, Table, gather, open_reader, readers, text
from cgmm.tables.readers import TableError

X = np.random.default_rng(0).standard_normal((50, 3)) * [1e-300, 1, 1e300]
NAMES = ["a", "b c", 'd"e']


def lines_of(rows, mark=",", head=None):
    lines = [] if head is None else [mark.join(head)]
    return lines + [mark.join(map(repr, row)) for row in np.asarray(rows).tolist()]


def read(path, columns=None, weights=None, **options):
    table = Table(open_reader(str(path), **options), columns, weights)
    return gather(table, table.blocks())


@pytest.fixture
def file(tmp_path):
    """A function that writes lines, text or bytes to a file, and returns its path."""

    def write(content, name="data.csv"):
        path = tmp_path / name
        if not isinstance(content, bytes):
            content = (content if isinstance(content, str) else "\n".join(content) + "\n").encode()
        path.write_bytes(content)
        return str(path)

    return write


@pytest.fixture(params=[1, 100, 1 << 22])
def block(request, monkeypatch):
    """Blocks of a row, of a few, of all."""
    monkeypatch.setattr(text, "BLOCK_CHARACTERS", request.param)
    monkeypatch.setattr(readers, "BLOCK_BYTES", request.param)


@pytest.fixture
def standard_input(monkeypatch):
    def give(content):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(content))))

    return give


# What is read


@given(
    arrays(
        np.float64,
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        elements=st.floats(allow_nan=False, allow_infinity=False),
    )
)
def test_every_float_is_read_back(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("floats") / "data.csv"
    path.write_text("\n".join(lines_of(rows)))
    assert_array_equal(read(path).rows, rows, strict=True)


@pytest.mark.parametrize("mark", [",", "\t", ";", " ", "   "])
@pytest.mark.parametrize("head", [None, ["a", "b", "c"]])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_ends_of_lines(file, block, mark, head, end):
    path = file(end.join(lines_of(X, mark, head)))
    reader = open_reader(path)
    assert_array_equal(read(path).rows, X)
    assert reader.names == (None if head is None else tuple(head))


def test_what_stands_about_the_rows(file, block):
    rows = lines_of(X)
    dressed = ["# a comment, with marks", "", '"a","b c","d""e"', *rows[:20], "", "  ", "# 1,2,3", *rows[20:], "", ""]
    path = file(b"\xef\xbb\xbf" + "\r\n".join(dressed).encode())
    assert_array_equal(read(path).rows, X)
    assert Table(open_reader(path)).names == tuple(NAMES)


def test_quoted_cells(file, block):
    path = file(['x,"y, in m",z', '"1.5","a, b",2', '-3,"c ""d""",4e1'])
    assert_array_equal(read(path, "x,z").rows, [[1.5, 2], [-3, 40]])
    assert_array_equal(read(path, ["x"]).rows, [[1.5], [-3]])


def test_packed(file):
    path = file(gzip.compress("\n".join(lines_of(X, head=["x", "y", "z"])).encode()), "data.csv.gz")
    assert_array_equal(read(path).rows, X)


@pytest.mark.parametrize(
    "first, header",
    [("1,2", None), ("a,b", "a"), ("a,2", None), ("1e5,-.5", None), ("1990,1991", None), ("'1',x", "'1'")],
)
def test_a_header_is_a_row_without_a_number(file, first, header):
    names = open_reader(file([first, "3,4"])).names
    assert (names and names[0]) == header


def test_a_header_may_be_told(file):
    path = file(["1990,1991", "3,4"])
    assert open_reader(path, header=True).names == ("1990", "1991")
    assert_array_equal(read(path, header=True).rows, [[3, 4]])
    assert_array_equal(read(path, "1991", header=True).rows, [[4]])
    with pytest.raises(TableError, match="line 1, column 0: 'a' is not a number"):
        read(file(["a,b", "1,2"]), header=False)


def test_a_delimiter_may_be_told(file):
    assert_array_equal(read(file(["1|2", "3|4"]), delimiter="|").rows, [[1, 2], [3, 4]])


@pytest.mark.parametrize("dtype", ["f8", "f4", ">f8", "i8", "u1", "?", "f2"])
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("packed", [False, True])
def test_numpy_files(tmp_path, file, block, dtype, order, packed):
    array = np.array(np.random.default_rng(0).uniform(0, 9, (20, 3)).astype(dtype), order=order)
    data = io.BytesIO()
    np.save(data, array)
    path = file(gzip.compress(data.getvalue()) if packed else data.getvalue(), "data.npy")
    found = read(path).rows
    assert found.dtype == (np.float32 if dtype == "f4" else np.float64)
    assert_array_equal(found, array)
    assert_array_equal(read(path, "2,0").rows, array[:, [2, 0]])
    archive = tmp_path / "data.npz"
    np.savez(archive, x=array, y=array[:2])
    assert_array_equal(read(archive, array="x").rows, array)
    with pytest.raises(TableError, match=r"2 arrays \(x, y\): choose one with cgmm.table"):
        read(archive)
    with pytest.raises(TableError, match=r"has no array 'z'"):
        read(archive, array="z")


def test_one_column(tmp_path, file):
    np.save(tmp_path / "x.npy", X[:, 0])
    assert_array_equal(read(tmp_path / "x.npy").rows, X[:, :1])
    assert_array_equal(read(file(lines_of(X[:, :1]))).rows, X[:, :1])


def test_parquet(tmp_path, block):
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    path = str(tmp_path / "data.parquet")
    columns = {"x": X[:, 0], "n": np.arange(50), "name": list("ab" * 25), "flag": X[:, 1] > 0}
    pq.write_table(pa.table(columns), path, row_group_size=20)
    found = read(path, "flag,x", weights="n")
    assert_array_equal(found.rows, np.column_stack([X[:, 1] > 0, X[:, 0]]))
    assert_array_equal(found.weights, np.arange(50))
    with pytest.raises(TableError, match="column 'name': string is not a type of numbers; choose"):
        read(path)
    pq.write_table(pa.table({"x": pa.array([1.0, None]), "y": pa.array([1, 2], pa.int8())}), path)
    with pytest.raises(TableError, match=r"row 1 \(counted from 0\), column 'x': nan is a missing value"):
        read(path)
    pq.write_table(pa.table({"x": pa.array(X[:, 1], pa.float32())}), path)
    assert read(path).rows.dtype == np.float32


def test_parquet_without_pyarrow(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(ImportError, match=r"pip install 'compiled-gmm\[arrow\]'"):
        open_reader(file(b"PAR1....PAR1"))


# Which columns


@pytest.mark.parametrize(
    "columns, expected",
    [(None, "abcde"), ("b", "b"), ("e,a", "ea"), ("0,2-4", "acde"), ("1-1,a", "ba"), ("a, c", "ac"), (["d"], "d")],
)
def test_columns(file, columns, expected):
    path = file(["a,b,c,d,e", "0,1,2,3,4"])
    table = Table(open_reader(path), columns)
    assert table.names == tuple(expected) and table.d == len(expected)
    assert_array_equal(gather(table, table.blocks()).rows, [["abcde".index(name) for name in expected]])


@pytest.mark.parametrize("weights", ["b", "1"])
@pytest.mark.parametrize("columns", [None, "a,c"])
def test_weights(file, block, weights, columns):
    path = file(["a,b,c", "1,0.5,3", "4,0,6"])
    found = read(path, columns, weights)
    assert_array_equal(found.rows, [[1, 3], [4, 6]])
    assert_array_equal(found.weights, [0.5, 0])


@pytest.mark.parametrize(
    "columns, weights, error",
    [
        ("z", None, r"has no column 'z'; it has 'a', 'b', '', 'a'"),
        ("4", None, r"has no column '4'"),
        ("2-1", None, r"has no column '2-1'"),
        ("1-9", None, r"has no column '1-9'"),
        ("a", None, r"has 2 columns named 'a': choose one by its number"),
        ("1,b", None, r"column 'b' is chosen twice"),
        ("b", "1", r"column 'b' is chosen twice"),
        (None, "0-1", r"one column of weights is needed"),
        (None, None, r"a column without a name may hold row labels"),
        ([4], None, r"has no column 4; it has 'a', 'b', '', 'a' \(numbers count from 0\)"),
        ([-1], None, r"has no column -1"),
        ([0, 1], 1, r"column 'b' is chosen twice"),
    ],
)
def test_columns_that_cannot_be_chosen(file, columns, weights, error):
    with pytest.raises(TableError, match=error):
        Table(open_reader(file(["a,b,,a", "1,2,3,4"])), columns, weights)
    assert_array_equal(read(file(["a,b,,a", "1,2,3,4"]), "1-2").rows, [[2, 3]])


@pytest.mark.parametrize("kind", [int, np.int64, np.uint8])
def test_columns_by_integers(file, kind):
    """Of which a name may be another's number."""
    path = file(["1,0,2", "5,6,7"])
    found = cgmm.table(path, [kind(0), kind(2)], weights=kind(1), header=True)
    assert found.names == ("1", "2") and found.d == 2
    (block,) = found.blocks()
    assert_array_equal(block.rows, [[5, 7]])
    assert_array_equal(block.weights, [6])
    assert cgmm.table(path, kind(2), header=True).names == ("2",)
    assert cgmm.table(path, (0, "2"), header=True).names == ("1", "2")


@pytest.mark.parametrize("wrong", [True, np.True_, 1.0, None, slice(2), b"a", ["a"]])
def test_columns_are_chosen_by_names_and_numbers_only(file, wrong):
    path = file(["a,b", "1,2"])
    wrongs = [{"columns": [wrong]}, {"columns": "a", "error_columns": [wrong]}]
    wrongs += [{"weights": wrong}] if wrong is not None else []
    wrongs += [{"columns": wrong}] if wrong not in (None, ["a"]) else []
    for arguments in wrongs:
        with pytest.raises(TypeError, match=r"data\.csv: a column is chosen by its name or its number, not by "):
            cgmm.table(path, **arguments)


def test_only_weights(file):
    with pytest.raises(TableError, match="no column is left beside that of the weights"):
        Table(open_reader(file(["a", "1"])), weights="a")
    with pytest.raises(TableError, match="has no column 'a'; it has the columns 0 to 1, without names"):
        Table(open_reader(file(["1,2"])), "a")


# What is wrong, and where


@pytest.mark.parametrize(
    "bad, told",
    [
        ("x,2", "column 'p': 'x' is not a number"),
        ("1,", "column 'q': the cell is empty: fill it, drop the row, or fit with missing=\"marginal\""),
        ('"",2', "column 'p': the cell is empty"),
        ("1,NA", "column 'q': NA is a missing value"),
        ("nan,2", "column 'p': nan is a missing value"),
        ("1,-inf", "column 'q': -inf is not a finite number"),
        ("1e999,2", "column 'p': inf is not a finite number"),
        ("1_000,2", "column 'p': '1_000' is not a number"),
        ('"1,5",2', "column 'p': '1,5' is not a number"),
        ("1", "1 cell, not 2 as in the first"),
        ("1,2,3", "3 cells, not 2 as in the first"),
        ('"1,2",3,4', "3 cells, not 2 as in the first"),
    ],
)
@pytest.mark.parametrize("before", [0, 1, 30])
@pytest.mark.parametrize("columns", [None, "0,1"])
def test_bad_rows(file, block, bad, told, before, columns):
    path = file(["# comment", "p,q", *["1,2"] * before, "", bad, "3,4"])
    with pytest.raises(TableError) as caught:
        read(path, columns)
    assert str(caught.value).startswith(f"{path}, line {before + 4}")
    assert told in str(caught.value)


def test_a_row_of_other_length_is_told_of_though_its_end_is_not_chosen(file):
    with pytest.raises(TableError, match="line 3: 1 cell, not 2 as in the first"):
        read(file(["a,b", "1,2", "3"]), "a")


def test_a_column_of_text(file):
    path = file(["size,kind", "1,small", "2,large"])
    with pytest.raises(TableError, match=r"line 2, column 'kind': 'small' is not a number; choose .* numeric=True"):
        read(path)
    assert_array_equal(read(path, "size").rows, [[1], [2]])


def test_weights_that_cannot_be(file, block):
    with pytest.raises(TableError, match=r"data.csv, line 4, column 'w': the weight -1.0 is negative"):
        read(file(["x,w", "1,2", "", "3,-1"]), weights="w")
    with pytest.raises(TableError, match=r"column 'w': nan is not a finite number"):
        read(file(["x,w", "1,nan"]), weights="w")


@pytest.mark.parametrize(
    "columns, place",
    [(None, r"row 17 \(counted from 0\), column 2"), ("2,0", r"row 17 \(counted from 0\), column 2"), ("0", None)],
)
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_files_with_nan(tmp_path, block, columns, place, order):
    array = np.array(X, order=order)
    array[17, 2] = np.nan
    np.save(tmp_path / "x.npy", array)
    if place is None:
        assert len(read(tmp_path / "x.npy", columns).rows) == 50
        return
    with pytest.raises(TableError, match=f"x.npy, {place}: nan is a missing value"):
        read(tmp_path / "x.npy", columns)


def npy(array, allow_pickle=False):
    data = io.BytesIO()
    np.save(data, array, allow_pickle=allow_pickle)
    return data.getvalue()


@pytest.mark.parametrize(
    "content, told",
    [
        (b"", "is empty"),
        (b"\n\n# nothing\n", "is empty"),
        (b"a,b\n", "no rows"),
        ("größe,x\n1,2\n".encode("latin-1"), "is neither text in UTF-8 nor npy, npz or Parquet"),
        (b"a,b\n1,2\n" + b"\xff" * 9, "is neither text in UTF-8"),
        (gzip.compress(b"1,2\n" * 1000, mtime=0)[:-9], "cannot be read"),
        (gzip.compress(b"1,2\n" * 1000, mtime=0)[:-20] + b"x" * 20, "Error"),
        (npy(X)[:-1], "cannot be read: it ends before its last row"),
        (npy(X)[:40], "cannot be read"),
        (npy(np.array(X, order="F"))[:-1], "cannot be read: it ends before its last row"),
        (npy(X[np.newaxis]), r"shape \(1, 50, 3\) and type float64, not rows of numbers"),
        (npy(np.array(["a"])), "type <U1, not rows of numbers"),
        (npy(np.array([None]), allow_pickle=True), "type object, not rows of numbers"),
        (npy(np.zeros(3, "f8,f8")), "not rows of numbers"),
        (npy(np.float64(1)), r"shape \(\)"),
        (npy(X[:0]), "no rows"),
        (b"PK\x03\x04 no archive", "cannot be read"),
        (b"\x93NUMPY\x09\x00", "cannot be read"),
        (b'"' + b"x" * 200_000 + b'"\n', "is not a table, from line 1 on: field larger than field limit"),
    ],
)
def test_damaged_files(file, content, told):
    if told == "Error":
        with pytest.raises((TableError, OSError)):
            read(file(content))
        return
    with pytest.raises(TableError, match=told):
        read(file(content))


def test_damaged_parquet(file):
    pytest.importorskip("pyarrow")
    with pytest.raises(TableError, match=r"data\.csv cannot be read"):
        read(file(b"PAR1 something else PAR1"))


# More than once


def test_files_are_read_as_often_as_is_asked(file, block):
    table = Table(open_reader(file(lines_of(X))))
    for _ in range(2):
        assert_array_equal(np.concatenate([part.rows for part in table.blocks()]), X)


@pytest.mark.parametrize(
    "content",
    [("\n".join(lines_of(X))).encode(), gzip.compress("\n".join(lines_of(X)).encode()), npy(X), npy(X[:, :1])],
)
def test_standard_input_is_read_once(standard_input, block, content):
    standard_input(content)
    table = Table(open_reader("-"))
    assert_array_equal(gather(table, table.blocks()).rows, X[:, : table.d])
    with pytest.raises(TableError, match="standard input can be read once only"):
        list(table.blocks())


@pytest.mark.parametrize("content", [b"PK\x03\x04", b"PAR1"])
def test_formats_that_standard_input_cannot_have(standard_input, content):
    standard_input(content)
    with pytest.raises(TableError, match=r"standard input is a .*, which cannot be read from a pipe"):
        open_reader("-")


def test_a_frame_is_an_array_under_names():
    frame = Frame(X, ["a", "b", "c"])
    assert frame.shape == X.shape
    assert np.asarray(frame) is X
    assert np.array(frame) is not X
    assert_array_equal(np.asarray(frame, dtype=np.complex128), X.astype(np.complex128))


@pytest.mark.parametrize("first", ["NA", "?,NA", "inf", "nan,nan"])
def test_a_first_row_that_stands_for_numbers_is_no_header(tmp_path, first):
    """It is an error, not a row that is left out without a word."""
    path = tmp_path / "x.csv"
    path.write_text("\n".join([first] + [",".join("1" * len(first.split(",")))] * 3))
    with pytest.raises(TableError, match="line 1"):
        gather(Table(open_reader(str(path))), Table(open_reader(str(path))).blocks())


@pytest.mark.parametrize("dtype", ["csv", "quoted", "space", "parquet", "npy"])
def test_gaps(dtype, tmp_path, file):
    """Cells that stand for missing values are NaN where they are asked for; weights must be there."""
    X = np.arange(12.0).reshape(4, 3)
    X[0, 1] = X[2, 0] = X[3, 2] = np.nan
    w = np.arange(4.0)
    if dtype == "parquet":
        pd = pytest.importorskip("pandas")
        path = tmp_path / "rows.parquet"
        pd.DataFrame(np.column_stack([X, w])).set_axis(list("abcw"), axis=1).to_parquet(path)
    elif dtype == "npy":
        path = tmp_path / "rows.npy"
        np.save(path, np.column_stack([X, w]))
    else:
        mark = {"csv": ",", "quoted": ",", "space": " "}[dtype]
        absent = iter(["NA", "?", "nan"] if dtype == "space" else ["", " n/a ", '"None"'])
        quoted = '"{}"' if dtype == "quoted" else "{}"
        lines = [mark.join(next(absent) if np.isnan(x) else quoted.format(x) for x in row) for row in X]
        path = file(
            ["a b c w".replace(" ", mark), *(f"{line}{mark}{weight}" for line, weight in zip(lines, w, strict=True))]
        )
    weights = "3" if dtype == "npy" else "w"
    table = cgmm.table(path, weights=weights, missing="marginal")
    (block,) = table.blocks()
    assert_array_equal(block.rows, X)
    assert_array_equal(block.weights, w)
    with pytest.raises(TableError, match=r"(?s)(line 2|row 0).*column.*(nan|missing|empty)"):
        list(cgmm.table(path, weights=weights).blocks())
    with pytest.raises(TableError, match=r"(line 4|row 2 \(counted from 0\)), column"):
        list(cgmm.table(path, ["1", "2"] if dtype == "npy" else ["b", "c"], "0" if dtype == "npy" else "a",
                        missing="marginal").blocks())  # fmt: skip
    with pytest.raises(ValueError, match="missing must be one of"):
        cgmm.table(path, missing="drop")


def test_what_is_no_number_is_told_of_beside_gaps(file):
    path = file(["1,2", ",3", "4,x"])
    with pytest.raises(TableError, match=r"line 3, column 1: 'x' is not a number"):
        list(cgmm.table(path, missing="marginal").blocks())
    for cell in ("inf", "1_000", "\uff11", "-nan"):
        with pytest.raises(TableError, match=rf"line 2, column 1: '{cell}' is not a number"):
            list(cgmm.table(file(["1,2", f",{cell}"]), missing="marginal").blocks())


@pytest.mark.parametrize("head", ["Na", "RI,Na", "None,?"])
def test_a_first_row_that_may_be_names_or_gaps_is_asked_about(head, file):
    path = file([head, ",".join("1" for _ in head.split(","))])
    with pytest.raises(TableError, match="names or missing values; say whether it is a header"):
        list(cgmm.table(path, missing="marginal").blocks())
    (block,) = cgmm.table(path, missing="marginal", header=True).blocks()
    assert len(block.rows) == 1


def test_weights_are_not_missing(file):
    with pytest.raises(TableError, match="line 3, column 'w': the cell is empty"):
        list(cgmm.table(file(["a,w", "1,2", "3,"]), weights="w", missing="marginal").blocks())


def test_a_model_that_allows_gaps_reads_files_with_them(file):
    rng = np.random.default_rng(0)
    X = np.repeat([[0.0, 0.0], [9.0, 9.0]], 50, axis=0) + rng.normal(size=(100, 2))
    X[rng.random(X.shape) < 0.2] = np.nan
    path = file([",".join("" if np.isnan(x) else repr(x) for x in row.tolist()) for row in X])
    model = GMM(2, missing="marginal", random_state=0).fit(path)
    assert_allclose(model.means_, GMM(2, missing="marginal", random_state=0).fit(X).means_, rtol=1e-9)
    assert_array_equal(model.predict(path), model.predict(X))
    with pytest.raises(TableError, match="line"):
        GMM(2).fit(path)
