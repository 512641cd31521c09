"""Files that mean harm, or were harmed: an answer or an error of one line that names the file, in bounded time and
memory, and nothing half-written.

``CGMM_FUZZ=100 pytest tests/test_hostile_files.py`` tries 100 times as many random changes, others in each run.
"""

import os
import zlib

import numpy as np
import pytest

import hostile

TIMES = float(os.environ.get("CGMM_FUZZ", "1"))
EXAMPLES = 3  # random changes of each honest file: a case takes some hundredths of a second


@pytest.fixture(scope="module")
def victim(tmp_path_factory):
    with hostile.Victim(tmp_path_factory.mktemp("hostile")) as victim:
        yield victim


@pytest.mark.parametrize("name", hostile.honest())
def test_honest_files(victim, name):
    assert victim.faults(hostile.honest()[name]) == []


@pytest.mark.parametrize("name", hostile.ruled())
def test_files_that_mean_harm(victim, name):
    assert victim.faults(hostile.ruled()[name]) == []


@pytest.mark.parametrize("name", hostile.honest())
def test_random_changes(victim, name, tmp_path):
    files = hostile.honest()
    rng = np.random.default_rng(zlib.crc32(name.encode()) if TIMES <= 1 else None)
    for _ in range(max(1, round(EXAMPLES * TIMES))):
        content = hostile.changed(files[name], rng, list(files.values()))
        found = victim.faults(content)
        if found:
            (tmp_path / "hostile").write_bytes(content)
            pytest.fail(f"{tmp_path / 'hostile'}: " + "\n".join(found))


@pytest.mark.parametrize(
    "fault, program",
    [
        ("it takes more than", "import time; time.sleep(9)"),
        ("the process ends with", "import os; os.abort()"),
    ],
)
def test_what_hangs_or_dies_is_found(tmp_path, monkeypatch, fault, program):
    monkeypatch.setattr(hostile, "SECONDS", 1)
    with hostile.Victim(tmp_path) as victim:
        monkeypatch.setattr(hostile.sys, "executable", str(tmp_path / "python"))
        (tmp_path / "python").write_text(f"#!/bin/sh\nexec python3 -c '{program}'\n")
        (tmp_path / "python").chmod(0o755)
        (found,) = victim.faults(b"1,2\n")
    assert fault in found
