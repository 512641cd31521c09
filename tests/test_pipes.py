"""What is no regular file, a pipe above all, gives its rows once: all of them are read, or none."""

import contextlib
import gzip
import io
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import cgmm
from cgmm import GMM
from programs import FOLDER, SECONDS

N = 40_000  # rows that no pipe and no reader's buffer holds at once
X = np.random.default_rng(0).normal(size=(N, 2))
TEXT = "".join(f"{a!r},{b!r}\n" for a, b in X.tolist()).encode()


def npy(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


CONTENTS = {"text": TEXT, "gzip": gzip.compress(TEXT), "npy": npy(X), "packed npy": gzip.compress(npy(X))}


@pytest.fixture
def pipe(tmp_path):
    """A function that makes a named pipe, and begins to write to it: the bytes once, some of them late."""

    def make(*pieces, name="pipe"):
        path = tmp_path / name
        os.mkfifo(path)

        def write():
            with contextlib.suppress(BrokenPipeError), open(path, "wb", buffering=0) as file:
                for piece in pieces:
                    file.write(piece)
                    time.sleep(0.2 * (len(pieces) > 1))

        threading.Thread(target=write, daemon=True).start()
        return str(path)

    return make


def finished(*arguments, given=b"", shell=None):
    """A command in a process of its own: its exit code, and what it prints."""
    path = os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "cgmm", *map(str, arguments)]
    if shell is not None:
        command = ["bash", "-c", shell, "bash", *command]
    result = subprocess.run(
        command, input=given, capture_output=True, timeout=SECONDS, env=os.environ | {"PYTHONPATH": path}
    )
    return result.returncode, result.stdout.decode(), result.stderr.decode()


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_all_rows_of_a_named_pipe(pipe, content):
    table = cgmm.table(pipe(content))
    assert table.once
    assert_array_equal(np.concatenate([block.rows for block in table.blocks()]), X)
    with pytest.raises(ValueError, match=r"pipe can be read once only: write it to a file first"):
        list(table.blocks())


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("first", [1, 2, 5, 6, 9])
def test_first_bytes_that_come_late(pipe, content, first):
    table = cgmm.table(pipe(content[:first], content[first:]))
    assert_array_equal(np.concatenate([block.rows for block in table.blocks()]), X)


def test_what_needs_many_passes_refuses_a_pipe(pipe):
    for number, use in enumerate((GMM(1).fit, cgmm.select)):
        for name in (f"pipe{number}", f"pipe{number}.npy"):
            with pytest.raises(ValueError, match=rf"{name}, which is no regular file and can be read once only"):
                use(pipe(TEXT, name=name))


def test_verbs_need_one_pass(pipe):
    model = GMM(1).fit(X)
    assert model.score(pipe(TEXT, name="text")) == pytest.approx(model.score(X), rel=1e-12)
    assert_array_equal(model.predict(pipe(npy(X), name="rows.npy")), model.predict(X))


@pytest.mark.parametrize("content", [b"PK\x03\x04" + bytes(99), b"PAR1" + bytes(99)])
def test_formats_that_must_be_files(pipe, content):
    with pytest.raises(ValueError, match="which cannot be read from a pipe: it must be text or npy"):
        cgmm.table(pipe(content))


@pytest.mark.parametrize("load", [GMM.load, cgmm.GMMClassifier.load, cgmm.Fits.load])
def test_a_model_must_be_a_file(tmp_path, load):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a pipe or a device, and a model must be in a regular file"):
        load(tmp_path / "pipe")


def test_the_command_line_reads_pipes_by_path(tmp_path):
    given = b"".join(b"%d\n" % i for i in range(300_000))
    model = tmp_path / "model.npz"
    code, printed, errors = finished("fit", "/dev/stdin", "-k", 1, "-o", model, given=given)
    assert (code, errors) == (0, "") and "rows            300000\n" in printed
    (tmp_path / "rows.txt").write_bytes(given)
    shell = f'"$@" predict {model} <(cat {tmp_path}/rows.txt)'
    code, printed, errors = finished(shell=shell)
    assert (code, errors) == (0, "") and printed.count("\n") == 300_000


@pytest.mark.parametrize("name", ["-", "/dev/stdin"])
def test_standard_input_that_begins_late(tmp_path, name):
    (tmp_path / "x.npy").write_bytes(npy(X))
    shell = f'(head -c 2 {tmp_path}/x.npy; sleep 0.5; tail -c +3 {tmp_path}/x.npy) | "$@" fit {name} -k 1'
    code, printed, errors = finished(shell=shell)
    assert (code, errors) == (0, "") and f"rows            {N}\n" in printed


def test_standard_input_from_the_middle_of_a_file(tmp_path):
    (tmp_path / "x.csv").write_text("a heading\n" + "1,2\n5,9\n8,3\n" * 7)
    shell = f'(read line; "$@" fit - -k 1) < {tmp_path}/x.csv'
    code, printed, errors = finished(shell=shell)
    assert (code, errors) == (0, "") and "rows            21\n" in printed


def test_a_device_without_end(tmp_path, monkeypatch):
    """Its line has no end either: memory stays bounded."""
    monkeypatch.setattr("cgmm.tables.text.LONGEST_LINE", 1 << 16, raising=False)
    with pytest.raises(ValueError, match=r"/dev/zero cannot be read: line 1 is longer than 65536 characters"):
        cgmm.table("/dev/zero")
    with pytest.raises(ValueError, match="/dev/null is empty"):
        cgmm.table(os.devnull)
