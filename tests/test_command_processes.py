"""The command line in processes of its own: pipes, signals, memory, and what its page shows."""

import contextlib
import io
import os
import re
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

import console
from cgmm import GMM
from datasets import DATA, table
from programs import FOLDER, SECONDS

FAITHFUL = str(DATA / "faithful.csv")
X = table("faithful")
PATH = os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH"))))


@pytest.fixture
def model(tmp_path):
    """A fitted model, in a file."""
    model = GMM(2, random_state=0).fit(X)
    model.save(tmp_path / "model.npz")
    return model


@contextlib.contextmanager
def started(*arguments, **options):
    environment = os.environ | {"PYTHONPATH": PATH, "OMP_WAIT_POLICY": "passive", "PYTHONUNBUFFERED": ""}
    command = [sys.executable, "-P", "-m", "cgmm", *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    # Ctrl-C is heard also where whoever started the tests ignores it, as nohup does.
    hearing = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    with subprocess.Popen(command, env=environment, preexec_fn=hearing, **pipes) as process:
        try:
            yield process
        finally:
            process.kill()


def finished(*arguments, given=b""):
    with started(*arguments) as process:
        printed, errors = process.communicate(given, timeout=SECONDS)
        return process.returncode, printed, errors


def test_standard_input(tmp_path, model):
    rows = (DATA / "faithful.csv").read_bytes()
    expected = finished("predict", tmp_path / "model.npz", FAITHFUL)
    assert expected[0] == 0 and expected[1].startswith(b"label\n") and expected[2] == b""
    assert finished("predict", tmp_path / "model.npz", "-", given=rows) == expected
    packed = io.BytesIO()
    np.save(packed, X)
    code, printed, _ = finished("predict", tmp_path / "model.npz", "-", given=packed.getvalue())
    assert code == 0 and b"label\n" + printed == expected[1]


def test_exit_codes():
    assert finished("fit", "none.csv", "-k", 2) == (1, b"", b"cgmm: error: none.csv: No such file or directory\n")
    assert finished("fit")[0] == 2
    assert b"Traceback" in finished("fit", "none.csv", "-k", 2, "--debug")[2]


def test_nobody_reads_on(tmp_path, model):
    np.save(tmp_path / "x.npy", np.tile(X, (1000, 1)))
    with started("predict", tmp_path / "model.npz", tmp_path / "x.npy") as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(SECONDS) == 141
        assert process.stderr.read() == b""


def test_nobody_reads_at_all(tmp_path, model):
    """What is printed is less than a buffer, and is written at the end."""
    with started("info", tmp_path / "model.npz") as process:
        process.stdout.close()
        assert process.wait(SECONDS) == 141
        assert process.stderr.read() == b""


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_interrupted(tmp_path, model, command):
    """While it waits for more rows than a pipe holds."""
    out = tmp_path / "out"
    arguments = {"fit": ["-", "-k", 2], "predict": [tmp_path / "model.npz", "-"]}[command]
    with started(command, *arguments, "-o", out) as process:
        process.stdin.write(b"1,2\n" * 100_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        process.stdin.close()
        assert process.wait(SECONDS) == 130
        assert (process.stdout.read(), process.stderr.read()) == (b"", b"")
    assert os.listdir(tmp_path) == ["model.npz"]


NUMBER = re.compile(r"[+-]?\d+(?:\.\d*)?(?:e[+-]?\d+)?")


@pytest.mark.full("the tests of each command; what the page shows is looked at before a change is merged")
def test_documentation(tmp_path):
    """What the page shows is what is printed: words are the same, numbers but for seconds nearly so."""
    shell = console.Shell(tmp_path)
    commands = list(console.sessions((console.ROOT / "docs" / "command-line.md").read_text()))
    assert len(commands) > 10
    for command, expected in commands:
        printed = shell.run(command)
        assert NUMBER.sub("0", printed).split() == NUMBER.sub("0", expected).split(), command
        if "seconds" not in printed:
            found, shown = ([float(number) for number in NUMBER.findall(text)] for text in (printed, expected))
            assert_allclose(found, shown, rtol=1e-3, atol=1e-6, err_msg=command)


GROWTH = """
import sys
from cgmm.__main__ import main

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

command, model, small, large, out = sys.argv[1:]
assert main([command, model, small, "-o", out]) == 0
before = memory("VmRSS")
assert main([command, model, large, "-o", out]) == 0
print(memory("VmHWM") - before)
"""


IN_BLOCKS = pytest.mark.full(
    "predict, for commands share how rows are read and written; test_tables.py, text in blocks"
)


@pytest.mark.parametrize(
    "command, kind, n, out",
    [
        ("predict", "npy", 6_000_000, "out.npy"),
        pytest.param("score", "npy", 6_000_000, "out.npy", marks=IN_BLOCKS),
        pytest.param("responsibilities", "csv", 2_000_000, "out.csv", marks=IN_BLOCKS),
    ],
)
def test_constant_memory(tmp_path, model, command, kind, n, out):
    """96 MB of rows or 94 MB of text, and more for what is found, in 64 MiB (Linux)."""
    if kind == "npy":
        np.save(tmp_path / "large.npy", np.broadcast_to(X[:1], (n, 2)))
        np.save(tmp_path / "small.npy", X)
    else:
        (tmp_path / "large.csv").write_bytes(b"3.6000000000000001,79.000000000000000000000000\n" * n)
        (tmp_path / "small.csv").write_bytes(b"3.6,79\n")
    files = [tmp_path / name for name in ("model.npz", f"small.{kind}", f"large.{kind}", out)]
    environment = os.environ | {"PYTHONPATH": PATH}
    result = subprocess.run(
        [sys.executable, "-P", "-c", GROWTH, command, *map(str, files)], capture_output=True, text=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < 64 * 2**20
    if out.endswith(".npy"):
        assert np.load(files[-1], mmap_mode="r").shape == (n,)
