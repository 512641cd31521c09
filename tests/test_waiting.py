"""What OpenMP's threads are told of waiting, before its runtime is loaded."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os
seen = {}
import numpy
import cgmm.waiting
from cgmm.waiting import briefly
with briefly():
    seen["meanwhile"] = os.environ.get("GOMP_SPINCOUNT")
seen["later"] = os.environ.get("GOMP_SPINCOUNT")
print(json.dumps(seen))
"""


def seen(tmp_path, **environment):
    clean = {name: value for name, value in os.environ.items() if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=clean | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_threads_are_told_to_spin_briefly_and_nobody_else_is(tmp_path):
    assert seen(tmp_path) == {"meanwhile": "1000", "later": None}


@pytest.mark.parametrize("said", [{"OMP_WAIT_POLICY": "active"}, {"GOMP_SPINCOUNT": "7"}])
def test_what_the_user_says_stands(tmp_path, said):
    expected = said.get("GOMP_SPINCOUNT")
    assert seen(tmp_path, **said) == {"meanwhile": expected, "later": expected}
