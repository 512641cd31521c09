"""The command line: formats of what is read and written, columns by name, and what is said in passing."""

import bz2
import csv
import datetime as dt
import gzip
import io
import json
import lzma
import zipfile
from decimal import Decimal
from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM
from datasets import DATA, table

FAITHFUL = DATA / "faithful.csv"
X = table("faithful")


@pytest.fixture
def mixed(tmp_path):
    """Rows with an id, a text and a date among them."""
    frame = pd.DataFrame(X, columns=["eruptions", "waiting"])
    frame.insert(0, "id", [f"r{i:03}" for i in range(len(X))])
    frame["kind, or sort"] = np.where(X[:, 1] > 70, 'a "long" one', "short")
    frame["day"] = pd.Timestamp("2020-01-01")
    frame.to_csv(tmp_path / "mixed.csv", index=False)
    frame.to_parquet(tmp_path / "mixed.parquet")
    return frame


# What is written


def test_a_model_as_json_and_csv(done, tmp_path):
    expected = GMM(2, reg_covar="relative", random_state=0).fit(X)
    told = json.loads(done("fit", FAITHFUL, "-k", 2, "--json", "-o", tmp_path / "m.npz"))
    assert told["means"] == expected.means_.tolist() and told["rows"] == 272
    assert_allclose(told["bic"], expected.bic(X))
    for command in (["fit", FAITHFUL, "-k", 2, "--csv"], ["info", tmp_path / "m.npz", "--csv"]):
        done(*command)
        (tmp_path / "table.csv").write_text(done(*command))
        found = pd.read_csv(tmp_path / "table.csv", index_col="component")
        assert_array_equal(found["mean[waiting]"], expected.means_[:, 1])
        assert list(found.columns) == list(GMM.load(tmp_path / "m.npz").to_frame().columns)


def test_tables_as_json(done, model, tmp_path):
    rows = json.loads(done("fit-many", FAITHFUL, "-k", 2, "--each-column", "--json"))
    assert len(rows) == 4 and {row["column"] for row in rows} == {"eruptions", "waiting"}
    rows = json.loads(done("combine", tmp_path / "model.npz", FAITHFUL, "--json"))
    assert [row["clusters"] for row in rows] == [2, 1]
    rows = json.loads(done("bootstrap", tmp_path / "model.npz", FAITHFUL, "--replicates", 2, "--json"))
    assert rows[0]["parameter"] == "weight[0]"


@pytest.mark.parametrize("source", ["mixed.csv", "mixed.parquet"])
@pytest.mark.parametrize("ending", [".csv", ".tsv", ".parquet", ".jsonl"])
def test_values_beside_columns_of_the_data(mixed, done, model, tmp_path, blocks_of_a_few, source, ending):
    out = tmp_path / f"out{ending}"
    columns = ["--columns", "eruptions,waiting"]
    done("responsibilities", tmp_path / "model.npz", tmp_path / source, *columns, "--append", "-o", out)
    read = {".csv": pd.read_csv, ".tsv": lambda path: pd.read_csv(path, sep="\t"), ".parquet": pd.read_parquet}
    found = read.get(ending, lambda path: pd.read_json(path, lines=True))(out)
    assert list(found.columns) == [*mixed.columns, "component_0", "component_1"]
    assert list(found["id"]) == list(mixed["id"]) and list(found["kind, or sort"]) == list(mixed["kind, or sort"])
    assert found["waiting"].dtype.kind in "if"
    assert_array_equal(found["waiting"], X[:, 1])
    assert_allclose(found["component_1"], model.predict_proba(X)[:, 1], rtol=1e-9, atol=1e-9)


def test_chosen_columns_are_kept(mixed, done, run, model, tmp_path):
    (tmp_path / "named.npz").write_bytes((tmp_path / "model.npz").read_bytes())
    done("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "named.npz")
    lines = done("predict", tmp_path / "named.npz", tmp_path / "mixed.csv", "--keep", "id").splitlines()
    labels = GMM.load(tmp_path / "named.npz").predict(pd.DataFrame(X, columns=["eruptions", "waiting"]))
    assert lines[:2] == ["id,label", f"r000,{labels[0]}"] and len(lines) == 273
    first = json.loads(
        done("score", tmp_path / "named.npz", tmp_path / "mixed.csv", "--keep", "id", "--json", "-q").split("\n")[0]
    )
    assert first["id"] == "r000" and first["log_likelihood"] < 0
    np.save(tmp_path / "x.npy", X)
    assert done("predict", tmp_path / "model.npz", tmp_path / "x.npy", "--csv").startswith("label\n")
    done("predict", tmp_path / "model.npz", tmp_path / "x.npy", "--append", "-o", tmp_path / "out.npy")
    assert np.load(tmp_path / "out.npy").shape == (272, 3)
    doubled = ["predict", tmp_path / "named.npz", tmp_path / "l.csv", "--append"]
    (tmp_path / "l.csv").write_text("eruptions,waiting,label\n3,70,9\n")
    code, _, errors = run(*doubled)
    assert code == 2 and "has a column 'label' already" in errors
    texts = ["predict", tmp_path / "named.npz", tmp_path / "mixed.csv", "--keep", "id", "-o", tmp_path / "t.npy"]
    assert "NumPy's format holds no texts" in run(*texts)[2]


KEPT = {
    "id": pa.array([2**53 + 1, None, *range(270)], pa.int64()),
    "small": pa.array([0.1, None, *[1.5] * 270], pa.float32()),
    "when": pa.array([dt.datetime(2020, 1, 2, 3, 4, 5), None, *[dt.datetime(2024, 2, 29)] * 270], pa.timestamp("us")),
    "day": pa.array([dt.date(2020, 1, 2), None, *[dt.date(2024, 2, 29)] * 270]),
    "sort": pa.array(["a", None, *["b, c"] * 270]).dictionary_encode(),
    "name": pa.array(["", None, *["x"] * 270], pa.large_string()),
    "open": pa.array([True, None, *[False] * 270]),
    "price": pa.array([Decimal("1.50"), None, *[Decimal("2.25")] * 270], pa.decimal128(9, 2)),
}
TOLD = {  # The first two rows as text and as JSON, where the second has nulls.
    "id": ("9007199254740993", 2**53 + 1),
    "small": ("0.10000000149011612", 0.10000000149011612),
    "when": ("2020-01-02 03:04:05", "2020-01-02 03:04:05"),
    "day": ("2020-01-02", "2020-01-02"),
    "sort": ("a", "a"),
    "name": ("", ""),
    "open": ("True", True),
    "price": ("1.50", 1.5),
}


@pytest.mark.parametrize("command", ["predict", "responsibilities", "score"])
@pytest.mark.parametrize("kept", [["--append"], ["--keep", "price,when,sort,id"]])
def test_columns_of_parquet_are_kept_as_they_are(done, run, model, tmp_path, blocks_of_a_few, command, kept):
    """Types and nulls, in every block; in text a null is an empty cell, and in JSON null."""
    given = pa.table({"eruptions": X[:, 0], **KEPT, "waiting": X[:, 1].astype(np.int16)})
    pq.write_table(given, tmp_path / "x.parquet", row_group_size=50)
    arguments = [command, tmp_path / "model.npz", tmp_path / "x.parquet", "--columns", "eruptions,waiting", *kept]
    assert run(*arguments, "-o", tmp_path / "out.parquet")[0] == 0
    found = pq.read_table(tmp_path / "out.parquet")
    names = given.column_names if kept == ["--append"] else kept[1].split(",")
    assert found.column_names[: len(names)] == names
    for name in names:
        assert found[name].type == given[name].type and found[name].to_pylist() == given[name].to_pylist()
    assert run(*arguments, "-o", tmp_path / "out.csv")[0] == 0
    first, second = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text())))[:2]
    assert run(*arguments, "-o", tmp_path / "out.jsonl")[0] == 0
    lines = list(map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines()))
    for name in set(names) & set(TOLD):
        assert (first[name], lines[0][name]) == TOLD[name] and (second[name], lines[1][name]) == ("", None)
    for name in KEPT:  # none but the numbers without nulls are NumPy's, whatever a block holds
        code, _, errors = run(*arguments[: -len(kept)], "--keep", name, "-o", tmp_path / "out.npy")
        assert code == (0 if name == "small" else 1) and (code == 0 or "NumPy's format holds no texts" in errors)
    assert np.isnan(np.load(tmp_path / "out.npy")[:, 0]).sum() == 1


INDICES = {
    "counted": pd.RangeIndex(272),
    "a range": pd.RangeIndex(10, 554, 2),
    "named": pd.Index(np.random.default_rng(0).permutation(272), name="id"),
    "without a name": pd.Index([f"r{i}" for i in range(272)]),
    "levels": pd.MultiIndex.from_arrays([np.arange(272) % 2, np.arange(272)], names=["half", None]),
}


@pytest.mark.parametrize("kept", [["--append"], ["--keep", "eruptions,waiting,sort,count,text"]])
@pytest.mark.parametrize("index", INDICES)
def test_pandas_reads_what_is_kept_of_parquet_as_before(done, model, tmp_path, blocks_of_a_few, kept, index):
    """Its index and its own types, such as integers with gaps, beside what is new."""
    given = pd.DataFrame(X, columns=["eruptions", "waiting"])
    given["sort"] = pd.Categorical(["b", "a"] * 136, categories=["b", "a", "c"], ordered=True)
    given["count"] = pd.array([1, None] * 136, dtype="Int64")
    given["text"] = pd.array(["x", None] * 136, dtype="string")
    given = given.set_index(INDICES[index])
    given.to_parquet(tmp_path / "x.parquet", row_group_size=50)
    columns = ["--columns", "eruptions,waiting"]
    done("predict", tmp_path / "model.npz", tmp_path / "x.parquet", *columns, *kept, "-o", tmp_path / "out.parquet")
    found = pd.read_parquet(tmp_path / "out.parquet")
    assert list(found.columns) == [*given.columns, "label"]
    assert_array_equal(found.pop("label"), model.predict(X))
    if kept == ["--append"] or isinstance(INDICES[index], pd.RangeIndex):
        pd.testing.assert_frame_equal(found, given)
    else:  # columns of an index that are not kept are none
        pd.testing.assert_frame_equal(found, given.reset_index(drop=True))


def test_what_parquet_tells_others_is_not_passed_on(done, model, tmp_path):
    """Spark would read the columns alone that its metadata list."""
    given = pa.table({"eruptions": X[:, 0], "waiting": X[:, 1]}, metadata={"org.apache.spark.sql": "{}"})
    pq.write_table(given, tmp_path / "x.parquet")
    done("predict", tmp_path / "model.npz", tmp_path / "x.parquet", "--append", "-o", tmp_path / "out.parquet")
    assert not pq.read_schema(tmp_path / "out.parquet").metadata


def test_numbers_of_text_are_numbers_in_numpys_format(done, model, tmp_path):
    done("predict", tmp_path / "model.npz", FAITHFUL, "--append", "-o", tmp_path / "out.npy")
    assert_array_equal(np.load(tmp_path / "out.npy"), np.column_stack([X, model.predict(X)]))


def test_parquet_of_no_rows_and_endings_that_are_unknown(done, run, model, tmp_path):
    (tmp_path / "none.csv").write_text("eruptions,waiting\n")
    done("predict", tmp_path / "model.npz", tmp_path / "none.csv", "-o", tmp_path / "out.parquet")
    assert pq.read_table(tmp_path / "out.parquet").column_names == ["label"]
    for name in ("out.xlsx", "out.csv.gz"):
        code, _, errors = run("predict", tmp_path / "model.npz", FAITHFUL, "-o", tmp_path / name)
        assert code == 2 and "rows are written as .csv, .txt, .tsv, .npy, .parquet, .jsonl" in errors
    done("sample", tmp_path / "model.npz", "-n", 3, "-o", tmp_path / "drawn.parquet")
    assert pq.read_table(tmp_path / "drawn.parquet").column_names == ["feature_0", "feature_1"]


# What is read


@pytest.fixture(params=[gzip.compress, bz2.compress, lzma.compress, "zstd"])
def pack(request):
    return partial(pa.compress, codec="zstd", asbytes=True) if request.param == "zstd" else request.param


@pytest.mark.parametrize("members", [1, 2])
def test_packed_files(pack, done, tmp_path, members):
    content = FAITHFUL.read_bytes()
    parts = [content] if members == 1 else [content[:100], content[100:]]
    padding = b"\0" * 4 if pack is lzma.compress else b""
    (tmp_path / "rows.packed").write_bytes(padding.join(map(pack, parts)))
    asked = ["-k", 2, "--json"]
    expected, found = (json.loads(done("fit", path, *asked)) for path in (FAITHFUL, tmp_path / "rows.packed"))
    assert found["means"] == expected["means"]


@pytest.mark.parametrize("fault", ["damaged", "cut off", "garbage"])
def test_packed_files_whose_end_is_wrong(pack, run, tmp_path, fault):
    """No row of what comes before is taken for all."""
    first, second = pack(b"1\n2\n3\n4\n"), pack(b"5\n6\n7\n8\n")
    more = {"damaged": bytes([second[0] ^ 1]) + second[1:], "cut off": second[:-3], "garbage": b"more"}[fault]
    (tmp_path / "rows.packed").write_bytes(first + more)
    code, printed, errors = run("fit", tmp_path / "rows.packed", "-k", 1)
    assert (code, printed) == (1, "") and "rows.packed cannot be read" in errors


@pytest.mark.parametrize("source", ["mixed.csv", "mixed.parquet"])
def test_columns_of_texts(mixed, run, tmp_path, source):
    code, _, errors = run("fit", tmp_path / source, "-k", 2)
    assert code == 1 and all(word in errors for word in ("'id'", "'kind, or sort'", "'day'", "--numeric"))
    code, printed, errors = run("fit", tmp_path / source, "-k", 2, "--numeric")
    assert code == 0 and "2 (eruptions, waiting)" in printed
    assert errors == "cgmm: left out, for they hold no numbers: column 'id', column 'kind, or sort', column 'day'\n"
    assert run("fit", tmp_path / source, "-k", 2, "--numeric", "--quiet")[2] == ""
    assert cgmm.table(tmp_path / source, numeric=True).names == ("eruptions", "waiting")


def test_ranges_of_names(done, tmp_path):
    (tmp_path / "x.csv").write_text("a,b,c,d,a:b\n" + "\n".join(f"{i},{i % 3},{i % 5},{i % 7},1" for i in range(50)))
    assert cgmm.table(tmp_path / "x.csv", "a:c").names == ("a", "b", "c")
    assert cgmm.table(tmp_path / "x.csv", "a:b").names == ("a:b",)
    with pytest.raises(ValueError, match="column"):
        cgmm.table(tmp_path / "x.csv", "c:a")


@pytest.mark.parametrize("quote", ["", '"'])
def test_decimals_that_a_comma_begins(done, tmp_path, quote):
    text = "\n".join(";".join(f"{quote}{value}{quote}" for value in row).replace(".", ",") for row in X.tolist())
    (tmp_path / "x.csv").write_text("eruptions;waiting\n" + text)
    told = json.loads(done("fit", tmp_path / "x.csv", "-k", 2, "--decimal", ",", "--json"))
    assert told["means"] == json.loads(done("fit", FAITHFUL, "-k", 2, "--json"))["means"]


def test_an_empty_standard_input_is_named(run, monkeypatch, tmp_path):
    import io
    import sys

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert "standard input is empty" in run("fit", "-", "-k", 2)[2]


# What is said


def test_help_and_usage(run):
    for words in ([], ["help"], ["--help"], ["help", "fit"], ["-V"]):
        code, printed, errors = run(*words)
        assert code == 0 and "cgmm" in printed and not errors
    for words, meant in (
        (["fti", "x", "-k", 2], "did you mean 'fit'?"),
        (["fit", FAITHFUL, "-k", 2, "--colums", "a"], "did you mean '--columns'?"),
        (["fit", FAITHFUL, "-k", 2, "--covariance", "diagonal"], "did you mean 'diag'?"),
        (["fit", FAITHFUL], "-k/--components"),
    ):
        code, printed, errors = run(*words)
        assert code == 2 and not printed and meant in errors and len(errors.splitlines()) == 2


@pytest.mark.parametrize(
    "words, told",
    [
        (["fit", FAITHFUL, "-k", "1-3"], "'1-3' is more than one number: 'cgmm select' chooses among several"),
        (["select", FAITHFUL, "-k", "1:5"], "'1:5' is neither a number nor a range of numbers such as 1-9"),
        (["fit", FAITHFUL, "-k", 2, "--covariance", "diag,full"], "more than one family: 'cgmm select' chooses"),
        (["select", FAITHFUL, "--covariance", "full,tiedd"], "did you mean 'tied'?"),
        (["fit", FAITHFUL, "-k", 2, "--n-init", "all"], "'all' is not a whole number from 1 on, nor 'auto'"),
        (["fit", FAITHFUL, "-k", 2, "--random-state", 3], "did you mean '--seed'?"),
        (["fit", FAITHFUL, "-k", 2, "--n-jobs", 3], "did you mean '--threads'?"),
        (["fit", FAITHFUL, "-k", 2, "-n", 3], "did you mean '--n-init'?"),
        (["predict", "m.npz", FAITHFUL, "--proba"], "did you mean 'cgmm responsibilities'?"),
    ],
)
def test_usage_says_what_was_meant(run, words, told):
    code, printed, errors = run(*words)
    assert (code, printed) == (2, "") and told in errors
    assert errors.splitlines()[1] == f"Run 'cgmm {words[0]} --help' to see all options."


# Files that a reader refuses, the arguments of cgmm.table that help, and the options that are these.
REFUSED = {
    "text": ("x,kind\n1,a\n", "cgmm.table(path, columns=[...]), or all of them with cgmm.table(path, numeric=True)",
             "choose the columns of numbers with --columns, or all of them with --numeric"),
    "decimals": ("x;y\n1;2,5\n", "cgmm.table(path, decimal=',')",
                 "if the comma begins its decimals, read it with --decimal ,"),
    "gap": ("x,y\n1,2\n3,\n", 'or fit with missing="marginal"', "or fit with --missing marginal"),
    "unnamed": (",y\n1,2\n", "choose columns with cgmm.table(path, columns=[...])", "choose columns with --columns"),
    "twice": ("y,y\n1,2\n", "by number, with cgmm.table(path, columns=[...])", "by number, with --columns"),
    "lines": ('{"a": 1}\n{"a": 2}\n', "holds JSON, which is not read", "holds JSON, which is not read"),
    "pretty": ('[\n{"a": 1}\n]\n', "holds JSON, which is not read", "holds JSON, which is not read"),
    "rows": ("[1, 2]\n[3, 4]\n", "holds JSON, which is not read", "holds JSON, which is not read"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_errors_of_files_name_what_python_or_the_command_line_has(run, tmp_path, kind):
    content, in_python, on_the_command_line = REFUSED[kind]
    (tmp_path / "x.csv").write_text(content)
    with pytest.raises(ValueError, match=r"x\.csv") as told:
        GMM(1).fit(cgmm.table(tmp_path / "x.csv"))
    assert in_python in str(told.value) and "--" not in str(told.value)
    code, _, errors = run("fit", tmp_path / "x.csv", "-k", 1)
    assert code == 1 and on_the_command_line in errors and "cgmm.table" not in errors and "=" not in errors


def test_arrays_and_headers_are_chosen_by_what_python_or_the_command_line_has(run, tmp_path):
    np.savez(tmp_path / "x.npz", a=X, b=X)
    (tmp_path / "x.csv").write_text("NA\n1\n")
    for name, options, arguments, in_python, on_the_command_line in (
        ("x.npz", [], {}, 'choose one with cgmm.table(path, array="...")', "choose one with --array\n"),
        ("x.csv", ["--missing", "marginal"], {"missing": "marginal"},
         "cgmm.table(path, header=True) or cgmm.table(path, header=False)", "with --header or --no-header\n"),
    ):  # fmt: skip
        with pytest.raises(ValueError, match=r"x\.") as told:
            list(cgmm.table(tmp_path / name, **arguments).blocks())
        assert in_python in str(told.value)
        assert on_the_command_line in run("fit", tmp_path / name, "-k", 1, *options)[2]


def test_a_workbook_is_named(run, tmp_path):
    with zipfile.ZipFile(tmp_path / "x.xlsx", "w") as file:
        file.writestr("[Content_Types].xml", "<Types/>")
    assert (
        "x.xlsx is a workbook, or another document of an office suite: save it as CSV"
        in run("fit", tmp_path / "x.xlsx", "-k", 1)[2]
    )


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_truth_values_are_no_numbers(run, tmp_path, ending):
    """In every format: --numeric chooses the same columns."""
    frame = pd.DataFrame(X, columns=["eruptions", "waiting"]).assign(long=X[:, 1] > 70)
    path = tmp_path / f"x.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    code, printed, errors = run("fit", path, "-k", 2, "--numeric")
    assert code == 0 and "2 (eruptions, waiting)" in printed and errors.endswith("hold no numbers: column 'long'\n")


def test_what_is_counted_from_0_says_so(run, tmp_path):
    assert (
        "has no column '2'; it has 'eruptions', 'waiting' (numbers count from 0)"
        in run("fit", FAITHFUL, "-k", 2, "--columns", "1,2")[2]
    )
    np.save(tmp_path / "x.npy", [[1.0], [np.nan]])
    assert "x.npy, row 1 (counted from 0), column 0: nan" in run("fit", tmp_path / "x.npy", "-k", 1)[2]


def test_a_number_of_clusters_is_refused_whether_they_are_written_or_not(run, model, tmp_path):
    for output in ([], ["-o", tmp_path / "c.csv"]):
        code, printed, errors = run("combine", tmp_path / "model.npz", FAITHFUL, "-k", 9, *output)
        assert (code, printed) == (2, "") and errors == "cgmm: error: -k is 9, and the mixture has 2 components\n"


def test_one_is_one(run, tmp_path):
    (tmp_path / "x.csv").write_text("1,2\n")
    assert "too few rows for -k 2: 1 row, of 2 features" in run("fit", tmp_path / "x.csv", "-k", 2)[2]


def test_warnings_of_classes_name_no_attribute(run, tmp_path):
    (tmp_path / "x.csv").write_text("x,kind\n" + "".join(f"{i // 2},k{i // 2}\n" for i in range(40)))
    errors = run("classify", tmp_path / "x.csv", "--by", "kind")[2]
    assert "Components are the classes in their order, from 0: " in errors and "classes_" not in errors


def test_messages_speak_of_options(run, tmp_path):
    code, _, errors = run("fit", FAITHFUL, "-k", 3, "--max-iter", 2)
    assert code == 0 and "increase --max-iter, --tol" in errors and "--max-iter 2 ended it" in errors
    assert run("fit", FAITHFUL, "-k", 3, "--max-iter", 2, "--quiet")[2] == ""
    (tmp_path / "hole.csv").write_text("x,y\n1,2\n3,\n")
    assert "or fit with --missing marginal" in run("fit", tmp_path / "hole.csv", "-k", 1)[2]
    (tmp_path / "flat.csv").write_text("tol,y\n" + "1,2\n2,2\n" * 9)
    code, _, errors = run("fit", tmp_path / "flat.csv", "-k", 2, "--reg-covar", 0)
    assert code == 0 and "=" not in errors
    assert run("fit", tmp_path / "flat.csv", "-k", 2, "--reg-covar", 0, "--on-degenerate", "raise")[0] == 1
    (tmp_path / "few.csv").write_text("x,y\n1,2\n3,4\n5,5\n")
    shown = run("fit", tmp_path / "few.csv", "-k", 2)[1]
    assert "a larger --reg-covar, a prior or another --covariance" in shown.splitlines()[-1]


@pytest.mark.parametrize("columns, told", [(2, "eruptions and waiting"), (4, "pairs of "), (7, "differ most, of 7")])
def test_plot_says_what_it_drew(done, tmp_path, columns, told):
    rows = np.random.default_rng(0).normal(size=(60, columns)) + 5 * (np.arange(60) % 2)[:, None]
    rows[0, 1] = np.nan
    names = ["eruptions", "waiting", *"abcde"][:columns]
    pd.DataFrame(rows, columns=names).to_csv(tmp_path / "x.csv", index=False)
    done("fit", tmp_path / "x.csv", "-k", 2, "--missing", "marginal", "-o", tmp_path / "m.npz", "--covariance", "diag")
    printed = done("plot", tmp_path / "m.npz", tmp_path / "x.csv", "-o", tmp_path / "x.png", "--dpi", 20)
    assert all(text in printed for text in ("60 rows and 2 components", told, "missing values of 1 row were filled"))
    assert done("plot", tmp_path / "m.npz", tmp_path / "x.csv", "-o", tmp_path / "x.png", "--dpi", 20, "-q") == ""


def test_a_label_that_is_no_whole_number_is_told_by_its_row(run, tmp_path):
    (tmp_path / "x.csv").write_text("x,y\n1,0\n2,0.5\n3,1\n")
    code, _, errors = run("fit", tmp_path / "x.csv", "-k", 2, "--labels", "y")
    assert code == 1 and f"{tmp_path}/x.csv: labels must be whole numbers from 0, " in errors
    assert "but that of row 1 (counted from 0) is 0.5" in errors
