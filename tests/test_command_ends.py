"""What the command line does about mistakes, terminals, and failures while it writes."""

import io
import os
import sys
import warnings

import numpy as np
import pytest

import cgmm
from cgmm import GMM
from cgmm.command import progress
from datasets import DATA, table

FAITHFUL = str(DATA / "faithful.csv")
X = table("faithful")

# Mistakes


@pytest.mark.parametrize(
    "arguments",
    [
        ["unknown"],
        ["fit", FAITHFUL],
        ["fit", FAITHFUL, "-k", "0"],
        ["fit", FAITHFUL, "-k", "2", "--covariance", "round"],
        ["fit", FAITHFUL, "-k", "2", "-o", "-"],
        ["fit", FAITHFUL, "-k", "2", "--delimiter", "ab"],
        ["fit", FAITHFUL, "-k", "2", "--tol", "-1"],
        ["fit", FAITHFUL, "-k", "2", "--tol", "nan"],
        ["select", FAITHFUL, "--covariance", "full,round"],
        ["predict", "model.npz"],
        ["sample", "model.npz", "-n", "1.5"],
        ["select", "data.csv", "-k", "1-999999999999"],
        ["fit", "data.csv", "-k", "2", "--missing", "drop"],
    ],
)
def test_usage(run, arguments):
    code, printed, errors = run(*arguments)
    assert (code, printed) == (2, "") and "error" in errors


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["fit", "none.csv", "-k", "2"], "none.csv: No such file or directory"),
        (["fit", ".", "-k", "2"], ".: Is a directory"),
        (["fit", "bad.csv", "-k", "2"], "bad.csv, line 3, column 'y': 'x' is not a number"),
        (["fit", FAITHFUL, "-k", "2", "--columns", "z"], "has no column 'z'"),
        (["fit", FAITHFUL, "-k", "300"], "faithful.csv: too few rows for -k 300: 272 rows"),
        (["fit", FAITHFUL, "-k", "2", "-o", "none/model"], "none: No such folder"),
        (["fit", "none.csv", "-k", "2", "-o", "."], ".: Is a directory"),
        (["predict", "none.npz", FAITHFUL], "none.npz: No such file or directory"),
        (["predict", FAITHFUL, FAITHFUL], "faithful.csv cannot be loaded as a cgmm model: it is not an npz file"),
        (["predict", "model.npz", "none.csv"], "none.csv: No such file or directory"),
        (["info", "bad.csv"], "cannot be loaded as a cgmm model"),
        (["fit", "", "-k", "2"], "the name of a file is empty: give one"),
        (["info", ""], "the name of a file is empty: give one"),
        (["fit", FAITHFUL, "-k", "2", "-o", "/proc/x"], "/proc: No file can be made there"),
    ],
)
def test_errors(tmp_path, run, model, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.csv").write_text("x,y\n1,2\n3,x\n")
    code, printed, errors = run(*arguments)
    assert (code, printed) == (1, "")
    assert errors.startswith("cgmm: error: ") and told in errors and errors.count("\n") == 1


def test_a_model_that_is_no_file(tmp_path, run):
    os.mkfifo(tmp_path / "pipe")
    for path, exit_code in (("-", 2), (tmp_path / "pipe", 1)):
        code, _, errors = run("predict", path, "-")
        assert code == exit_code and "a model must be in a regular file" in errors and errors.count("\n") == 1


def test_debug(run):
    with pytest.raises(FileNotFoundError):
        run("fit", "none.csv", "-k", "2", "--debug")


@pytest.mark.parametrize(
    "command", ["", "fit", "select", "predict", "responsibilities", "score", "sample", "info", "plot"]
)
def test_help(run, command):
    code, printed, errors = run(*filter(None, [command]), "--help")
    assert (code, errors) == (0, "")
    assert f"cgmm {command or 'COMMAND'}" in printed
    assert max(map(len, printed.splitlines())) < 100
    if command:
        assert f"\nexamples:\n  cgmm {command} " in printed


def test_version(run):
    assert run("--version") == (0, f"cgmm {cgmm.__version__}\n", "")


def test_nothing_is_left_changed(run):
    before = warnings.showwarning, list(warnings.filters)
    run("fit", FAITHFUL, "-k", 3, "--max-iter", 2, "--tol", 0)
    assert (warnings.showwarning, list(warnings.filters)) == before


# Bars


class Terminal(io.StringIO):
    def isatty(self):
        return True


def on_terminal(monkeypatch):
    """Somebody sees standard error: what is shown there. Called within a test, after pytest has set its own."""
    seen = Terminal()
    monkeypatch.setattr(sys, "stderr", seen)
    return seen


def test_bars(tmp_path, run, model, monkeypatch):
    """They are wiped out in the end."""
    for command, arguments, units in (
        ("fit", [FAITHFUL, "-k", 2], ["rows", "iterations"]),
        ("select", [FAITHFUL, "-k", 2], ["rows"]),
        ("predict", [tmp_path / "model.npz", FAITHFUL, "-o", tmp_path / "out.npy"], ["rows"]),
    ):
        seen = on_terminal(monkeypatch)
        assert run(command, *arguments)[0] == 0
        assert all(unit in seen.getvalue() for unit in units)
        if command != "select":
            assert seen.getvalue().endswith("\r")


def test_no_bar_among_rows_on_a_terminal(tmp_path, run, model, monkeypatch):
    for is_terminal in (True, False):
        seen = on_terminal(monkeypatch)
        monkeypatch.setattr(sys.stdout, "isatty", lambda answer=is_terminal: answer, raising=False)
        assert run("predict", tmp_path / "model.npz", FAITHFUL)[0] == 0
        assert ("rows" in seen.getvalue()) is not is_terminal


def test_no_bar_without_tqdm(run, monkeypatch):
    monkeypatch.setattr(progress, "find_spec", lambda name: None)
    for command in ("fit", "select"):
        seen = on_terminal(monkeypatch)
        assert run(command, FAITHFUL, "-k", 2)[0] == 0
        assert seen.getvalue() == ""


# Files are written whole or not at all


@pytest.mark.parametrize("end", ["csv", "npy"])
@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), MemoryError(), OSError(28, "No space left on device")])
def test_a_failure_leaves_the_old_file(tmp_path, run, model, blocks_of_a_few, monkeypatch, end, error):
    """The last row is bad, or the third block cannot be predicted: two are written by then."""
    bad, out = tmp_path / "bad.csv", tmp_path / f"out.{end}"
    bad.write_text("1,2\n" * 400 + ("1,x\n" if error is None else ""))
    calls = []

    def fail(model, rows):
        calls.append(rows)
        if error is not None and len(calls) > 2:
            raise error
        return np.zeros(len(rows), dtype=np.intp)

    monkeypatch.setattr(GMM, "predict", fail)
    for old in (None, "old"):
        calls.clear()
        if old:
            out.write_text(old)
        code, printed, _ = run("predict", tmp_path / "model.npz", bad, "-o", out)
        assert (code, printed) == (130 if isinstance(error, KeyboardInterrupt) else 1, "")
        assert len(calls) > 2
        assert sorted(os.listdir(tmp_path)) == sorted(["bad.csv", "model.npz", *([out.name] if old else [])])
        assert not old or out.read_text() == old


def test_devices_are_written_to(tmp_path, done, model):
    done("predict", tmp_path / "model.npz", FAITHFUL, "-o", os.devnull)
    model.save(os.devnull)
    assert not os.path.isfile(os.devnull)
