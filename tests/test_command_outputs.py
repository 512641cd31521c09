"""What the command line writes: refused before the work, named if it fails, and never left half-written."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from cgmm import GMM, files
from cgmm.command import inputs
from datasets import DATA, table
from programs import FOLDER, SECONDS

FAITHFUL = str(DATA / "faithful.csv")
X = table("faithful")
PATH = os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH"))))


def finished(*arguments, limit=None, **options):
    """A command in a process of its own: its exit code, what it prints, and what it says of errors."""
    settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    settings.setdefault("encoding", "utf-8")
    environment = os.environ | {"PYTHONPATH": PATH} | settings.pop("env", {})
    if limit is not None:
        settings["preexec_fn"] = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    result = subprocess.run(
        [sys.executable, "-P", "-m", "cgmm", *map(str, arguments)], timeout=SECONDS, env=environment, **settings
    )
    return result.returncode, result.stdout, result.stderr


# Before the work


@pytest.fixture
def no_work(monkeypatch):
    """Neither data nor a model is read."""

    def read(*_):
        raise AssertionError("the work has begun")

    monkeypatch.setattr(inputs, "open_reader", read)
    monkeypatch.setattr(GMM, "load", read)


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", FAITHFUL, "-k", 2],
        ["select", FAITHFUL],
        ["predict", "m", FAITHFUL],
        ["sample", "m"],
        ["plot", "m", FAITHFUL],
    ],
)
def test_an_output_without_a_name(run, no_work, arguments):
    code, printed, errors = run(*arguments, "-o", "")
    assert (code, printed) == (2, "") and "the name of a file is empty" in errors


APPLYING = ["predict", "responsibilities", "score", "combine", "plot"]


@pytest.mark.parametrize(
    "arguments, lost",
    [
        (["fit", "data", "-k", 2], "data"),
        (["select", "data"], "data"),
        (["classify", "data", "--by", "x"], "data"),
        (["fit-many", "data", "-k", 2, "--by", "x"], "data"),
        (["sample", "model"], "model"),
        *((([verb, "model", "data"]), lost) for verb in APPLYING for lost in ("model", "data")),
        *((([verb, "model", "data", "--append"]), "data") for verb in APPLYING[:3]),
    ],
)
@pytest.mark.parametrize("kind", ["same", "link", "hard link", "another name"])
def test_an_output_that_would_replace_what_is_read(tmp_path, run, no_work, monkeypatch, arguments, lost, kind):
    monkeypatch.chdir(tmp_path)
    for name in ("data", "model"):
        (tmp_path / name).write_text("kept")
    os.symlink(lost, tmp_path / "link")
    os.link(lost, tmp_path / "hard")
    output = {"same": lost, "link": "link", "hard link": "hard", "another name": f"./{lost}"}[kind]
    code, printed, errors = run(*arguments, "-o", output)
    assert (code, printed) == (2, "")
    assert errors == f"cgmm: error: {output} is the {lost} that is read: write to another file\n"
    assert (tmp_path / lost).read_text() == "kept" and sorted(os.listdir(tmp_path)) == ["data", "hard", "link", "model"]


@pytest.mark.parametrize("arguments", [["fit", "-", "-k", 2], ["predict", "model.npz", "-"]])
def test_an_output_that_would_replace_standard_input(tmp_path, model, arguments):
    data = tmp_path / "data"
    data.write_bytes((DATA / "faithful.csv").read_bytes())
    with open(data, "rb") as file:
        code, printed, errors = finished(*arguments, "-o", data, stdin=file, cwd=tmp_path)
    assert (code, printed) == (2, "") and errors.endswith("is the data that is read: write to another file\n")
    assert data.read_bytes() == (DATA / "faithful.csv").read_bytes()


@pytest.mark.parametrize(
    "output, told",
    [
        ("none/out", "none: No such folder"),
        ("folder", "folder: Is a directory"),
        ("out/", "out/: Is a directory"),
        ("x" * 256, "x: File name too long"),
        ("loop", "loop: Too many levels of symbolic links"),
        ("data/out", "data: Not a folder"),
    ],
)
def test_outputs_that_cannot_be(tmp_path, run, no_work, monkeypatch, output, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "data").write_text("1,2\n")
    os.symlink("loop", tmp_path / "loop")
    code, printed, errors = run("fit", "data", "-k", 1, "-o", output)
    assert (code, printed) == (1, "") and errors.endswith(f"{told}\n") and errors.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ["data", "folder", "loop"]
    with pytest.raises(OSError, match=r"\w"):
        GMM(1).fit(X).save(output)
    assert sorted(os.listdir(tmp_path)) == ["data", "folder", "loop"]


def test_a_model_without_a_name(tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(FileNotFoundError):
        GMM(1).fit(X).save("")
    assert os.listdir(tmp_path) == ["here"]


ROWS = "rows are written as .csv, .txt, .tsv, .npy, .parquet, .jsonl"
MODELS, PICTURES = "models are written as .npz", "pictures are written as "
FOREIGN = {ROWS: [".docx", ".npz"], MODELS: [".pkl", ".csv", ".PARQUET"], PICTURES: [".docx", ".npz"]}
ENDINGS = {
    "predict": (["m", "data"], ROWS),
    "responsibilities": (["m", "data"], ROWS),
    "score": (["m", "data"], ROWS),
    "combine": (["m", "data"], ROWS),
    "sample": (["m"], ROWS),
    "fit": (["data", "-k", 2], MODELS),
    "select": (["data"], MODELS),
    "classify": (["data", "--by", "x"], MODELS),
    "fit-many": (["data", "-k", 2, "--by", "x"], MODELS),
    "plot": (["m", "data"], PICTURES),
}


@pytest.mark.parametrize(
    "command, ending", [(command, ending) for command, (_, told) in ENDINGS.items() for ending in FOREIGN[told]]
)
def test_an_output_of_another_format_is_refused_before_the_work(tmp_path, run, no_work, monkeypatch, command, ending):
    """A model under the name of a table would take the place of what was there."""
    arguments, told = ENDINGS[command]
    monkeypatch.chdir(tmp_path)
    old = tmp_path / f"out{ending}"
    old.write_text("kept")
    code, printed, errors = run(command, *arguments, "-o", old.name)
    assert (code, printed) == (2, "") and f"'out{ending}' ends in {ending.lower()}, and {told}" in errors
    assert ("'cgmm predict' writes labels" in errors) == (ending in (".csv", ".PARQUET"))
    assert old.read_text() == "kept" and os.listdir(tmp_path) == [old.name]


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".npy", ".parquet", ".jsonl"])
def test_clusters_are_written_in_every_format(tmp_path, done, model, ending):
    np.save(tmp_path / "x.npy", X)
    done("combine", tmp_path / "model.npz", tmp_path / "x.npy", "-k", 1, "-o", tmp_path / f"out{ending}")
    assert (tmp_path / f"out{ending}").stat().st_size


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_a_folder_in_which_no_file_can_be_made(tmp_path, run, no_work, monkeypatch, number):
    def fail(*_):
        raise OSError(number, os.strerror(number), "a hidden name")

    monkeypatch.setattr(files.os, "open", fail)
    code, _, errors = run("fit", FAITHFUL, "-k", 1, "-o", tmp_path / "out")
    assert (code, errors.count("\n")) == (1, 1) and os.strerror(number) in errors


def test_the_file_meanwhile_lies_beside_the_output(tmp_path):
    (tmp_path / "folder").mkdir()
    os.symlink("folder/out", tmp_path / "link")
    seen = []
    files.write_whole(tmp_path / "link", lambda file: seen.extend(os.listdir(tmp_path / "folder")))
    assert len(seen) == 1 and seen[0].startswith(".cgmm-")
    assert os.listdir(tmp_path / "folder") == ["out"]


# While it is written


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EFBIG, errno.EROFS, errno.EIO])
def test_what_cannot_be_written_is_named(tmp_path, number):
    def write(file):
        file.write(b"part")
        raise OSError(number, os.strerror(number))

    with pytest.raises(OSError, match="out") as caught:
        files.write_whole(tmp_path / "out", write)
    assert (caught.value.errno, caught.value.filename) == (number, str(tmp_path / "out"))
    assert os.listdir(tmp_path) == []


def test_a_failing_replacement_names_the_output(tmp_path, monkeypatch):
    def fail(source, target):
        raise OSError(errno.EIO, os.strerror(errno.EIO), source, None, target)

    monkeypatch.setattr(files.os, "replace", fail)
    with pytest.raises(OSError, match="out") as caught:
        files.write_whole(tmp_path / "out", lambda file: None)
    assert caught.value.filename == str(tmp_path / "out")


def test_input_that_fails_meanwhile_is_not_taken_for_the_output(tmp_path):
    def write(file):
        raise OSError(errno.EIO, os.strerror(errno.EIO), "data.csv")

    with pytest.raises(OSError, match=r"data\.csv"):
        files.write_whole(tmp_path / "out", write)


@pytest.mark.parametrize("out", ["out.csv", "out.npy", "model.npz"])
def test_files_that_become_too_large(tmp_path, out):
    GMM(2, random_state=0).fit(X).save(tmp_path / "m")
    arguments = ["fit", FAITHFUL, "-k", 40] if out == "model.npz" else ["responsibilities", tmp_path / "m", FAITHFUL]
    code, printed, errors = finished(*arguments, "-o", tmp_path / out, limit=4096)
    told = [line for line in errors.splitlines() if "warning" not in line]
    assert (code, printed, told) == (1, "", [f"cgmm: error: {tmp_path / out}: File too large"])
    assert os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("command", ["predict", "sample", "info", "fit", "-V", "--help", "help"])
def test_a_full_disk_under_standard_output(tmp_path, command):
    GMM(2, random_state=0).fit(X).save(tmp_path / "m")
    needed = {"-V": [], "--help": [], "help": ["fit"], "fit": [FAITHFUL, "-k", 1]}
    needed["predict"] = [tmp_path / "m", FAITHFUL]
    arguments = needed.get(command, [tmp_path / "m"])
    with open("/dev/full", "wb") as full:
        code, _, errors = finished(command, *arguments, stdout=full)
    assert (code, errors) == (1, "cgmm: error: standard output: No space left on device\n")


def test_a_full_disk_under_an_output(tmp_path, run):
    GMM(2, random_state=0).fit(X).save(tmp_path / "m")
    code, _, errors = run("sample", tmp_path / "m", "-o", "/dev/full")
    assert (code, errors) == (1, "cgmm: error: /dev/full: No space left on device\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("out", ["out.csv", "out.npy"])
def test_signals_leave_nothing(tmp_path, number, out):
    GMM(2, random_state=0).fit(X).save(tmp_path / "m")
    command = [sys.executable, "-P", "-m", "cgmm", "predict", tmp_path / "m", "-", "-o", tmp_path / out]
    with subprocess.Popen(
        list(map(str, command)),
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": PATH},
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    ) as process:
        end = time.monotonic() + SECONDS
        process.stdin.write(b"1,2\n" * 1_100_000)  # more than is read at a time
        process.stdin.flush()
        while not any(name.startswith(".cgmm-") for name in os.listdir(tmp_path)):
            assert time.monotonic() < end
            time.sleep(0.01)
        process.send_signal(number)
        process.stdin.close()
        assert process.wait(SECONDS) == 128 + number
        assert process.stderr.read() == b""
    assert os.listdir(tmp_path) == ["m"]


def test_handlers_of_others_stay(run):
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)]
    assert run("fit", FAITHFUL, "-k", 1)[0] == 0
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)] == before


# Terminals


NUISANCE = """
import os, signal, sys

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["NUISANCE"]:
            os.kill(os.getpid(), signal.SIGINT)
            for _ in range(1000):
                pass

sys.meta_path.insert(0, Finder())
"""


@pytest.mark.parametrize("module", ["numpy", "cgmm.plot", "cgmm.gmm", "cgmm.command.arguments"])
def test_interrupts_during_imports(tmp_path, module):
    (tmp_path / "sitecustomize.py").write_text(NUISANCE)
    path = os.pathsep.join([str(tmp_path), PATH])
    hearing = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    code, printed, errors = finished("--version", env={"PYTHONPATH": path, "NUISANCE": module}, **hearing)
    assert (code, printed, errors) == (-signal.SIGINT, "", "")
    program = tmp_path / "cgmm"
    program.write_text("import sys\nfrom cgmm.__main__ import main\nsys.exit(main())\n")
    environment = os.environ | {"PYTHONPATH": path, "NUISANCE": module}
    result = subprocess.run([sys.executable, program], env=environment, capture_output=True, **hearing)
    assert (result.returncode, result.stderr) == (-signal.SIGINT, b"")


def test_ctrl_c_elsewhere_is_left_alone(tmp_path):
    program = "import signal, cgmm; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    elsewhere = {"cwd": tmp_path, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    environment = os.environ | {"PYTHONPATH": PATH}
    assert subprocess.check_output([sys.executable, "-c", program], env=environment, **elsewhere) == b"True\n"


def closed(*arguments, number):
    return finished(*arguments, preexec_fn=lambda: os.close(number))


def test_closed_streams(tmp_path):
    code, printed, errors = closed("fit", "-", "-k", 2, number=0)
    assert (code, printed, errors) == (1, "", "cgmm: error: standard input is closed: name a file\n")
    code, printed, errors = closed("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "m", number=1)
    assert code == 1
    assert errors == "cgmm: error: standard output is closed: send it to a file, or to /dev/null\n"
    assert os.listdir(tmp_path) == []
    code, printed, errors = closed("fit", "none.csv", "-k", 2, number=2)
    assert (code, printed) == (1, "")
    code, printed, errors = closed("fit", FAITHFUL, "-k", 2, "-o", tmp_path / "m", number=2)
    assert code == 0 and "\nrows            272\n" in printed and os.listdir(tmp_path) == ["m"]


@pytest.mark.parametrize("encoding, sign", [("ascii", "+-"), ("latin-1", "±"), ("utf-8", "±")])
def test_poor_terminals(tmp_path, encoding, sign):
    data = tmp_path / "data.csv"
    data.write_text("größe,中\n" + "".join(f"{a!r},{b!r}\n" for a, b in X.tolist()), encoding="utf-8")
    settings = {"env": {"PYTHONIOENCODING": encoding}, "encoding": encoding}
    code, printed, errors = finished("fit", data, "-k", 2, "-o", tmp_path / "m", **settings)
    assert (code, errors) == (0, "") and f"2.0365 {sign} 0.263" in printed
    code, printed, errors = finished("info", tmp_path / "m", "--json", **settings)
    assert (code, errors) == (0, "") and json.loads(printed)["feature_names"] == ["größe", "中"]


@pytest.mark.parametrize("option", ["99999999999999999999", "9" * 1001, "9" * 5000])
@pytest.mark.parametrize(
    "arguments", [["sample", "m", "-n"], ["fit", "data", "-k"], ["fit", "data", "-k", "1", "--max-iter"]]
)
def test_numbers_that_nothing_counts(run, arguments, option):
    code, printed, errors = run(*arguments, option)
    assert (code, printed) == (2, "") and "error" in errors
    assert "too large" in errors or "is not a whole number" in errors


def test_columns_that_are_no_list(run):
    for columns in ("eruptions\nwaiting", ""):
        code, printed, errors = run("fit", FAITHFUL, "-k", 2, "--columns", columns)
        assert (code, printed) == (1, "") and errors.count("\n") == 1 and "faithful.csv" in errors


@pytest.mark.parametrize(
    "arguments", [["-k", "300"], ["-k", "2", "--columns", "0", "--covariance", "tied", "--weights", "1"]]
)
def test_errors_of_a_fit_name_the_file(tmp_path, run, arguments):
    data = tmp_path / "data.csv"
    data.write_text("a,b\n" + "1,0\n" * 20)
    code, _, errors = run("fit", data, *arguments)
    assert code == 1 and errors.startswith(f"cgmm: error: {data}: ") and errors.count("\n") == 1


def test_what_a_file_holds_does_not_reach_the_terminal_as_it_is(tmp_path, run):
    """Commands of terminals, and a message of a hundred thousand characters."""
    data = tmp_path / "data.csv"
    for cell in ("\x1b]0;title\x07", "x" * 100_000):
        data.write_text(f"1,2\n3,{cell}\n")
        code, _, errors = run("fit", data, "-k", 1)
        assert code == 1 and errors.startswith(f"cgmm: error: {data}, line 2, column 1: '")
        assert errors.endswith("is not a number\n")
        assert errors[:-1].isprintable() and len(errors) < 2000
    (tmp_path / "x\x1b[31my").write_text("")
    assert run("fit", tmp_path / "x\x1b[31my", "-k", 1)[2].endswith("x\\x1b[31my is empty\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", FAITHFUL, "-k", 2],
        ["select", FAITHFUL, "-k", "1-2"],
        ["select", FAITHFUL, "-k", "1-2", "--csv"],
        ["select", FAITHFUL, "-k", "1-2", "--json"],
        ["fit-many", FAITHFUL, "-k", 1, "--each-column"],
    ],
    ids=lambda arguments: f"{arguments[0]} {arguments[-1]}",
)
def test_a_reader_who_leaves_loses_no_model(tmp_path, arguments):
    """`cgmm select … -o best.npz | head` printed first, and the model was lost with the pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    path = tmp_path / "model.npz"
    with open(writing, "w") as nobody:
        code, _, told = finished(*arguments, "--quiet", "-o", path, stdout=nobody)
    assert code == 141, told
    assert path.exists()
