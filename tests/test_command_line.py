"""The command line does what the Python interface does, to the bit, and ends as a command should."""

import csv
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from numpy.testing import assert_allclose, assert_array_equal

import cgmm
from cgmm import GMM
from cgmm.command import inputs
from datasets import DATA, numbers, table
from problems import same_model
from programs import FOLDER

FAITHFUL = str(DATA / "faithful.csv")
X = table("faithful")
NAMES = ["eruptions", "waiting"]


# fit


def test_fit(tmp_path, done):
    printed = done("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "model.npz")
    expected = GMM(2, reg_covar="relative", random_state=0).fit(X)
    found = GMM.load(tmp_path / "model.npz")
    same_model(found, expected)
    assert list(found.feature_names_in_) == NAMES
    assert found.verbose == 0
    told = dict(line.split(maxsplit=1) for line in printed.split("\n\n")[1].splitlines())
    assert told["rows"] == "272"
    assert told["components"] == "2, full"
    assert told["features"] == "2 (eruptions, waiting)"
    assert told["fit"] == f"converged in {expected.n_iter_} iterations"
    assert_allclose(float(told["log-likelihood"].split()[0]), expected.score(X) * len(X), rtol=1e-7)
    assert_allclose(float(told["BIC"].split()[0]), expected.bic(X), rtol=1e-7)
    assert float(told["seconds"]) >= 0
    assert len(printed.split("\n\n")[2].splitlines()) == 3
    assert os.listdir(tmp_path) == ["model.npz"]


@pytest.mark.parametrize("n_init", [3, "auto"])
def test_fit_takes_the_arguments_of_GMM(n_init, tmp_path, done):
    arguments = {
        "covariance": "diag",
        "n-init": n_init,
        "seed": 5,
        "tol": 1e-7,
        "max-iter": 500,
        "reg-covar": 1e-3,
        "init": "k-means++",
        "prior": "default",
        "threads": 1,
    }
    options = [option for name, value in arguments.items() for option in (f"--{name}", value)]
    done("fit", FAITHFUL, "--components", 3, "--output", tmp_path / "model.npz", *options)
    expected = GMM(
        3,
        covariance_type="diag",
        n_init=n_init,
        random_state=5,
        tol=1e-7,
        max_iter=500,
        reg_covar=1e-3,
        init_params="k-means++",
        prior="default",
        n_threads=1,
    ).fit(X)
    found = GMM.load(tmp_path / "model.npz")
    same_model(found, expected)
    assert repr(found) == repr(expected)


def test_fit_with_columns_and_weights(tmp_path, done):
    rows = np.column_stack([X, np.arange(272) % 3])
    np.save(tmp_path / "rows.npy", rows)
    expected = GMM(2, reg_covar="relative", random_state=0).fit(X[:, ::-1], sample_weight=rows[:, 2])
    printed = done("fit", tmp_path / "rows.npy", "-k2", "--columns", "1,0", "--weights", "2", "-o", tmp_path / "m")
    same_model(GMM.load(tmp_path / "m"), expected)
    assert f"272, of weight {rows[:, 2].sum():.6g}" in printed
    assert f"{expected.bic(X[:, ::-1], sample_weight=rows[:, 2]):.8g}" in printed


@pytest.mark.parametrize("weighted", [False, True])
def test_a_large_file_is_read_anew_in_each_pass(tmp_path, done, monkeypatch, weighted):
    """It says and saves the same."""
    np.save(tmp_path / "rows.npy", np.column_stack([X, np.arange(1.0, len(X) + 1)]))
    weights = ["--weights", 2] if weighted else ["--columns", "0,1"]
    arguments = "fit", tmp_path / "rows.npy", "-k", 2, "--seed", 0, *weights, "-o"
    told = []
    for limit in (1 << 28, 0):
        monkeypatch.setattr(inputs, "LARGE", limit)
        told.append(re.sub(r"seconds .*", "", done(*arguments, tmp_path / f"{limit}.npz")))
    assert told[0] == told[1]
    same_model(GMM.load(tmp_path / "0.npz"), GMM.load(tmp_path / f"{1 << 28}.npz"))


def test_fit_without_a_file(tmp_path, done, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "log-likelihood" in done("fit", FAITHFUL, "-k", 2)
    assert os.listdir() == []


def test_many_features_and_components_are_not_all_told(tmp_path, run):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).standard_normal((400, 10)))
    options = ["-k", 35, "--covariance", "diag", "--reg-covar", 0.1, "--tol", 0.1]
    code, printed, errors = run("fit", tmp_path / "x.npy", *options)
    assert code == 0 and "--reg-covar 0.1 is" in errors
    assert "\nand 2 features and 5 components more\n" in printed


@pytest.mark.parametrize("command, line", [("fit", "Start 0\n"), ("select", "1 of 14: EII 2\n")])
def test_verbose_is_for_standard_error(tmp_path, run, command, line):
    code, printed, errors = run(command, FAITHFUL, "-k", 2, "--verbose", "-o", tmp_path / "m")
    assert code == 0 and line in errors and line not in printed
    assert GMM.load(tmp_path / "m").verbose == 0


def test_a_warning_is_a_line(run):
    code, _, errors = run("fit", FAITHFUL, "-k", 3, "--max-iter", 2, "--tol", 0)
    assert code == 0
    assert len(errors.splitlines()) == 1
    assert errors.startswith("cgmm: warning: Best performing initialization did not converge")


def test_gaps(tmp_path, done, run):
    """Of a fit that is told of them, and whatever follows from its model."""
    rows = X.copy()
    rows[::7, 0] = rows[3::11, 1] = np.nan
    data, saved = tmp_path / "data.csv", tmp_path / "model.npz"
    data.write_text("e,w\n" + "".join(f"{'' if np.isnan(e) else e},{'NA' if np.isnan(w) else w}\n" for e, w in rows))
    code, _, errors = run("fit", data, "-k", 2, "-o", saved)
    assert code == 1 and "data.csv, line 2, column 'e': the cell is empty" in errors
    done("fit", data, "-k", 2, "--missing", "marginal", "--seed", 0, "-o", saved)
    expected = GMM(2, reg_covar="relative", missing="marginal", random_state=0).fit(rows)
    same_model(GMM.load(saved), expected)
    assert_array_equal(numbers(done("predict", saved, data), 1), expected.predict(rows))
    assert run("score", saved, data, "-o", tmp_path / "s.npy")[0] == 0
    assert_array_equal(np.load(tmp_path / "s.npy"), expected.score_samples(rows))
    done("plot", saved, data, "-o", tmp_path / "picture.png")
    found = done("select", data, "-k", "1-3", "--missing", "marginal", "--covariance", "full")
    assert "best" in found


# select


def test_select(tmp_path, done):
    printed = done(
        "select", FAITHFUL, "-k", "1-2,4", "--covariance", "full,tied", "--criterion", "icl", "-o", tmp_path / "m"
    )
    expected = cgmm.select(X, (1, 2, 4), ("full", "tied"), criterion="icl", random_state=0)
    same_model(GMM.load(tmp_path / "m"), expected.best)
    found = printed.split("\n\n")[0].splitlines()
    assert found[0].startswith("The best of 6 candidates by ICL")
    assert [line.split()[:4] for line in found] == [
        line.split()[:4] for line in str(expected).splitlines()[: len(found)]
    ]
    assert sum(line.endswith("best") for line in found) == 1


def test_select_shows_all_candidates_from_the_best_on(done):
    arguments = "select", FAITHFUL, "-k", "2-4", "--covariance", "tied,VEE"
    expected = cgmm.select(X, range(2, 5), ("tied", "VEE"), random_state=0)
    found = done(*arguments, "--sort").split("\n\n")[0].splitlines()
    assert [line.split()[:4] for line in found] == [
        line.split()[:4] for line in expected.to_text(sort=True).splitlines()
    ]
    for sort in ([], ["--sort"]):
        told, text = json.loads(done(*arguments, "--json", *sort)), done(*arguments, "--csv", *sort)
        frame = expected.to_frame(sort=bool(sort))
        rows = list(csv.DictReader(io.StringIO(text)))
        for name in ("covariance_type", "n_components", "bic", "difference"):
            assert [row[name] for row in told["candidates"]] == frame[name].tolist()
            assert [row[name] for row in rows] == frame[name].map(str).tolist()


def test_select_prints_one_kind_of_table(run):
    code, printed, errors = run("select", FAITHFUL, "--json", "--csv")
    assert (code, printed) == (2, "") and "not allowed with" in errors


@pytest.mark.parametrize("components", ["0", "3-1", "1-2-3", "a", "", "1,", "-1"])
def test_numbers_of_components(run, components):
    code, printed, errors = run("select", FAITHFUL, f"--components={components}")
    assert (code, printed) == (2, "") and "argument -k/--components" in errors


# predict, responsibilities, score

VALUES = {"predict": GMM.predict, "responsibilities": GMM.predict_proba, "score": GMM.score_samples}


def values_of(run, command, *arguments):
    code, printed, errors = run(command, *arguments)
    assert code == 0
    assert errors.startswith("mean log-likelihood of a row: ") if command == "score" else errors == ""
    return printed


@pytest.mark.parametrize("command", VALUES)
def test_values(tmp_path, run, model, blocks_of_a_few, command):
    expected = VALUES[command](model, X)
    printed = values_of(run, command, tmp_path / "model.npz", FAITHFUL)
    assert_array_equal(numbers(printed, skiprows=1), expected)
    names = {"predict": "label", "responsibilities": "component_0,component_1", "score": "log_likelihood"}
    assert printed.splitlines()[0] == names[command]
    for end, mark in ((".csv", ","), (".tsv", "\t"), ("", ",")):
        assert values_of(run, command, tmp_path / "model.npz", FAITHFUL, "-o", tmp_path / f"out{end}") == ""
        assert (tmp_path / f"out{end}").read_text() == printed.replace(",", mark)
    assert values_of(run, command, tmp_path / "model.npz", FAITHFUL, "-o", tmp_path / "out.npy") == ""
    assert_array_equal(np.load(tmp_path / "out.npy"), expected, strict=True)


@pytest.mark.parametrize("command", VALUES)
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_of_numpy_files(tmp_path, run, model, blocks_of_a_few, command, dtype):
    np.save(tmp_path / "x.npy", X.astype(dtype))
    printed = values_of(run, command, tmp_path / "model.npz", tmp_path / "x.npy")
    assert_array_equal(numbers(printed), VALUES[command](model, X.astype(dtype)))


@pytest.mark.parametrize("command", VALUES)
def test_values_where_passes_prune(tmp_path, run, command):
    """A part of the rows may be pruned where the whole is not: the same to rounding."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((20000, 16)) + np.repeat(rng.uniform(-9, 9, (8, 16)), 2500, axis=0)
    many = GMM(8, random_state=0).fit(rows)
    many.save(tmp_path / "model.npz")
    np.save(tmp_path / "x.npy", rows)
    values_of(run, command, tmp_path / "model.npz", tmp_path / "x.npy", "-o", tmp_path / "out.npy")
    assert_allclose(np.load(tmp_path / "out.npy"), VALUES[command](many, rows), rtol=1e-13, atol=1e-15)


def test_columns_are_those_of_the_model(tmp_path, done, run):
    done("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "model.npz")
    other = tmp_path / "other.csv"
    other.write_text("waiting,name,eruptions\n" + "".join(f"{w!r},x,{e!r}\n" for e, w in X.tolist()))
    expected = done("predict", tmp_path / "model.npz", FAITHFUL)
    assert done("predict", tmp_path / "model.npz", other) == expected
    assert done("predict", tmp_path / "model.npz", other, "--columns", "2,waiting") == expected
    np.save(tmp_path / "x.npy", X)
    assert "label\n" + done("predict", tmp_path / "model.npz", tmp_path / "x.npy") == expected
    other.write_text("waiting,x\n1,2\n")
    code, _, errors = run("predict", tmp_path / "model.npz", other)
    assert (code, errors) == (1, f"cgmm: error: {other} has no column 'eruptions'; it has 'waiting', 'x'\n")


APPLYING = {
    "predict": [],
    "responsibilities": [],
    "score": [],
    "bootstrap": ["--replicates", 2],
    "combine": ["-k", 2],
    "plot": ["--dpi", 20],
}


@pytest.mark.parametrize("ending", ["csv", "parquet"])
@pytest.mark.parametrize("command", APPLYING)
def test_chosen_columns_are_taken_by_the_names_of_the_model(tmp_path, run, command, ending):
    """In whatever order they are chosen; other names are not those of its features."""
    frame = pd.DataFrame({"height": X[:, 0], "waiting": X[:, 1], "eruptions": X[:, 0]})
    data, out = tmp_path / f"x.{ending}", tmp_path / "out.png"
    frame.to_csv(data, index=False) if ending == "csv" else frame.to_parquet(data)
    run("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "model.npz")
    arguments = [command, tmp_path / "model.npz", data, *APPLYING[command], *["-o", out] * (command == "plot")]
    expected = run(*arguments, "--columns", "eruptions,waiting")
    assert expected[0] == 0
    for columns in ("waiting,eruptions", "1-2", "waiting:eruptions"):
        assert run(*arguments, "--columns", columns) == expected
    for columns in ("height,waiting", "waiting", "height,eruptions,waiting"):
        code, printed, errors = run(*arguments, "--columns", columns)
        assert (code, printed) == (1, "") and errors.count("\n") == 1
        assert "the features of the model 'eruptions', 'waiting'" in errors and f"{data}: " in errors


def test_columns_of_another_number(tmp_path, run, model):
    code, _, errors = run("predict", tmp_path / "model.npz", DATA / "iris.csv")
    assert code == 1 and "iris.csv has 4 columns, but the model 2 features: choose as many with --columns" in errors
    assert run("predict", tmp_path / "model.npz", DATA / "iris.csv", "--columns", "0-1")[0] == 0


def test_mean(tmp_path, done, run, model, blocks_of_a_few):
    assert_allclose(float(done("score", tmp_path / "model.npz", FAITHFUL, "--mean")), model.score(X), rtol=1e-14)
    _, _, errors = run("score", tmp_path / "model.npz", FAITHFUL)
    assert_allclose(float(errors.split(":")[1]), model.score(X), rtol=1e-9)
    weights = np.arange(272) % 3
    np.save(tmp_path / "x.npy", np.column_stack([weights, X]))
    printed = done("score", tmp_path / "model.npz", tmp_path / "x.npy", "--mean", "--weights", "0")
    assert_allclose(float(printed), model.score(X, sample_weight=weights), rtol=1e-14)
    np.save(tmp_path / "x.npy", np.column_stack([0 * weights, X]))
    code, _, errors = run("score", tmp_path / "model.npz", tmp_path / "x.npy", "--mean", "--weights", "0")
    assert code == 1 and "no rows of positive weight" in errors


def test_no_rows(tmp_path, done, run, model):
    (tmp_path / "empty.csv").write_text("a,b\n")
    assert done("predict", tmp_path / "model.npz", tmp_path / "empty.csv") == "label\n"
    code, printed, errors = run("score", tmp_path / "model.npz", tmp_path / "empty.csv", "--mean")
    assert (code, printed) == (1, "") and "empty.csv has no rows" in errors
    assert run("score", tmp_path / "model.npz", tmp_path / "empty.csv") == (0, "log_likelihood\n", "")
    assert run("score", tmp_path / "model.npz", tmp_path / "empty.csv", "-o", tmp_path / "o.csv") == (0, "", "")
    assert (tmp_path / "o.csv").read_text() == "log_likelihood\n"
    code, printed, errors = run("plot", tmp_path / "model.npz", tmp_path / "empty.csv", "-o", tmp_path / "o.png")
    assert (code, printed) == (1, "") and errors == f"cgmm: error: {tmp_path}/empty.csv has no rows\n"


# sample, info


def test_sample(tmp_path, done, run, model):
    expected, _ = model.set_params(random_state=7).sample(1000)
    assert_array_equal(numbers(done("sample", tmp_path / "model.npz", "-n", 1000, "--seed", 7)), expected)
    assert len(done("sample", tmp_path / "model.npz").splitlines()) == 1
    for many in (2**60, 2**63 - 1):
        code, _, errors = run("sample", tmp_path / "model.npz", "-n", many)
        assert (
            code == 2 and f"error: -n {many}: so many rows of 2 features do not fit into memory: draw fewer" in errors
        )
    several = {done("sample", tmp_path / "model.npz") for _ in range(3)}
    assert len(several) == 3
    done("sample", tmp_path / "model.npz", "-n", 1000, "--seed", 7, "-o", tmp_path / "x.npy")
    assert_array_equal(np.load(tmp_path / "x.npy"), expected, strict=True)


def test_sample_under_names(tmp_path, done):
    done("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "model.npz")
    done("sample", tmp_path / "model.npz", "-n", 500, "-o", tmp_path / "drawn.csv")
    assert "2 (eruptions, waiting)" in done("fit", tmp_path / "drawn.csv", "-k", 2)


@pytest.mark.parametrize("family", ["full", "tied", "diag", "spherical"])
def test_info(tmp_path, done, family):
    path = tmp_path / "model.npz"
    done("fit", FAITHFUL, "-k", 2, "--covariance", family, "-o", path)
    model = GMM.load(path)
    printed = done("info", path)
    assert f"2, {family}" in printed and "2 (eruptions, waiting)" in printed
    deviation = np.sqrt(np.cov(X.T)[0, 0])
    first = printed.splitlines()[-2].split()
    assert first[0] == "0" and first[4] == "±"
    assert_allclose([float(first[1]), float(first[3])], [model.weights_[0], model.means_[0, 0]], rtol=1e-3)
    assert_allclose(float(first[2]), model.weights_[0] * len(X), atol=0.05)
    assert 0 < float(first[5]) <= deviation or family == "spherical"
    facts = json.loads(done("info", path, "--json"))
    assert facts["feature_names"] == NAMES and facts["converged"] is True
    again = GMM.from_parameters(facts["weights"], facts["means"], facts["covariances"], facts["covariance_type"])
    assert_array_equal(again.means_, model.means_)
    assert_array_equal(again.covariances_, model.covariances_)


def test_info_of_given_parameters(tmp_path, done):
    GMM.from_parameters([1], [[0.0]], [[[1.0]]]).save(tmp_path / "m")
    assert "the parameters were given" in done("info", tmp_path / "m")
    assert json.loads(done("info", tmp_path / "m", "--json"))["lower_bound"] is None


# plot


@pytest.fixture
def drawn(monkeypatch):
    """The rows of each picture that is drawn."""
    found = []
    draw = GMM.plot
    monkeypatch.setattr(GMM, "plot", lambda model, X: [found.append(np.asarray(X)), draw(model, X)])
    return found


@pytest.mark.parametrize("kind, magic", [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml"), ("", b"\x89PNG")])
@pytest.mark.parametrize("d", [1, 2, 3, 8])
def test_plot(tmp_path, done, drawn, kind, magic, d):
    rows = np.random.default_rng(0).standard_normal((100, d))
    np.save(tmp_path / "x.npy", rows)
    GMM(2, random_state=0).fit(rows).save(tmp_path / "model.npz")
    out = tmp_path / f"picture.{kind}".removesuffix(".")
    done("plot", tmp_path / "model.npz", tmp_path / "x.npy", "-o", out)
    assert out.read_bytes().startswith(magic)
    assert_array_equal(drawn, [rows])
    assert not pyplot.get_fignums()


def test_plot_of_many_rows(tmp_path, done, drawn, model, blocks_of_a_few, monkeypatch):
    monkeypatch.setattr(inputs, "MOST_DRAWN", 50)
    numbered = np.column_stack([np.arange(200), X[:200, 1]])
    np.save(tmp_path / "x.npy", numbered)
    for seed in range(6):
        done("plot", tmp_path / "model.npz", tmp_path / "x.npy", "-o", tmp_path / "p", "--dpi", 20, "--seed", seed)
    chosen = np.array([rows[:, 0] for rows in drawn], dtype=int)
    assert chosen.shape == (6, 50)
    assert_array_equal(drawn, numbered[chosen])
    assert (np.diff(chosen) > 0).all()
    assert len(np.unique(chosen, axis=0)) == 6
    counts = np.histogram(chosen, bins=4, range=(0, 200))[0]
    assert np.all(np.abs(counts - 75) < 40)  # 6 standard deviations


def test_plot_without_matplotlib(tmp_path, run, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    code, _, errors = run("plot", tmp_path / "model.npz", FAITHFUL, "-o", tmp_path / "picture.png")
    assert (code, errors) == (1, "cgmm: error: pictures need matplotlib: pip install 'compiled-gmm[plot]'\n")


def test_plot_with_a_backend_that_matplotlib_has_not(tmp_path, model):
    command = [sys.executable, "-P", "-m", "cgmm", "plot", tmp_path / "model.npz", FAITHFUL, "-o", tmp_path / "p.png"]
    path = os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"MPLBACKEND": "zzz", "PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("cgmm: error: matplotlib cannot be imported, as its settings or MPLBACKEND are wrong")


def test_an_accelerated_fit_and_where_it_stops(tmp_path, done):
    done("fit", FAITHFUL, "-k", 3, "--accelerate", "--stop", "distance", "--tol", 1e-6, "-o", tmp_path / "model.npz")
    same_model(
        GMM.load(tmp_path / "model.npz"),
        GMM(3, accelerate=True, stop="distance", tol=1e-6, reg_covar="relative", random_state=0).fit(X),
    )
