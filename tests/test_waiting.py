"""What OpenMP's threads are told of waiting, before its runtime is loaded."""

import json
import os
import subprocess
import sys

import pytest

from cgmm import GMM, _kernels
from problems import assert_same_bits, clusters
from programs import output

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


KEPT = """
import resource
import numpy as np
from cgmm import GMM

X = np.random.default_rng(0).standard_normal((3000, 80))
start = {"means_init": X[:3], "precisions_init": np.array([np.eye(80)] * 3), "weights_init": np.full(3, 1 / 3)}
model = GMM(3, max_iter=4, tol=0, n_threads=8, **start).fit(X)
with open("/proc/self/status") as status:
    size = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmSize"))
resource.setrlimit(resource.RLIMIT_AS, (size + 2**26, resource.RLIM_INFINITY))
model.fit(X)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the size of a process is limited by Linux only")
def test_threads_stay_from_pass_to_pass():
    """A pass is worth eight threads here, three roots three. A thread that begins takes 64 MiB for its stack, of which
    the process has none left."""
    output(KEPT, OMP_STACKSIZE="64M", MALLOC_ARENA_MAX=1)


def test_passes_have_one_thread_after_others_have_waited_in_vain():
    """Where two passes waited for longer than waking a thread takes; until one is quicker than its work."""
    for _ in range(10):
        calm = _kernels.has_waited(-1.0)  # what others have waited for is forgotten
    assert not calm
    assert [_kernels.has_waited(seconds) for seconds in (1e-3, -1.0, 1e-3, 5e-5, 1e-3)] == [*4 * [False], True]
    model = GMM(3, random_state=0, n_threads=2).fit(clusters(20_000, 2, 3))
    assert_same_bits(model, GMM(3, random_state=0, n_threads=1).fit(clusters(20_000, 2, 3)))
    assert not _kernels.has_waited(-1.0)
