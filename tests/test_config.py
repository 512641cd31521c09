"""What the package uses of the machine; each case in a process of its own."""

import json
import os
import subprocess
import sys
import sysconfig

import pytest

import cgmm
from cgmm import _kernels, config

TARGETS = _kernels.available_targets()


def fresh(program, folder, *arguments, check=True, **environment):
    """Run a program in a new interpreter, elsewhere than in the source tree; None removes a variable."""
    settings = {name: value for name, value in (os.environ | environment).items() if value is not None}
    return subprocess.run(
        [sys.executable, "-P", "-c", program, *arguments],
        env=settings,
        cwd=folder,
        check=check,
        capture_output=True,
        text=True,
        timeout=60,
    )


FACTS = """
import contextlib, io, json
import cgmm
with contextlib.redirect_stdout(io.StringIO()):
    facts = cgmm.show_config()
print(json.dumps(facts))
"""


def facts(folder, before="", **environment):
    """show_config of a new interpreter that has run `before`."""
    return json.loads(fresh(before + FACTS, folder, **environment).stdout)


def test_show_config_prints_and_returns(capsys):
    facts = cgmm.show_config()
    assert facts.keys() == {"version", "target", "targets", "openmp", "threads", "dtypes"}
    assert facts["version"] == cgmm.__version__
    assert facts["target"] in facts["targets"] == TARGETS and TARGETS[0] == "baseline"
    assert facts["dtypes"] == ["float32", "float64"]
    assert isinstance(facts["openmp"], bool) and facts["threads"] >= 1
    assert capsys.readouterr().out.splitlines() == [
        f"{name}: {', '.join(value) if isinstance(value, list) else value}" for name, value in facts.items()
    ]


@pytest.mark.parametrize("target", TARGETS)
def test_the_environment_chooses_the_target(tmp_path, target):
    assert facts(tmp_path, CGMM_ISA=target)["target"] == target


@pytest.mark.parametrize("unset", [None, ""])
def test_the_best_target_is_the_default(tmp_path, unset):
    assert facts(tmp_path, CGMM_ISA=unset)["target"] == TARGETS[-1]


@pytest.mark.parametrize("unknown", ["sse9", "AVX2", "avx2 "])
def test_an_unknown_target_is_an_error(tmp_path, unknown):
    result = fresh("import cgmm", tmp_path, check=False, CGMM_ISA=unknown)
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last.startswith("ValueError: CGMM_ISA=") and repr(unknown) in last
    assert last.endswith("possible: " + ", ".join(TARGETS))


def test_an_unknown_word_on_pruning_is_an_error(tmp_path):
    result = fresh("import cgmm", tmp_path, check=False, CGMM_PRUNE="off")
    assert result.returncode == 1
    last = result.stderr.splitlines()[-1]
    assert last == "ValueError: CGMM_PRUNE='off' is neither 0, with which no pass skips components, nor 1, the default"
    for known in ("", "0", "1"):
        fresh("import cgmm", tmp_path, CGMM_PRUNE=known)


@pytest.mark.parametrize("name", ["CGMM_ISA", "CGMM_PRUNE"])
def test_an_unknown_word_is_a_line_on_the_command_line(tmp_path, name):
    command = [sys.executable, "-P", "-m", "cgmm", "--version"]
    done = subprocess.run(command, env=os.environ | {name: "zzz"}, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"cgmm: error: {name}='zzz' is ") and done.stderr.count("\n") == 1


def test_threads_respect_the_environment(tmp_path):
    assert facts(tmp_path, OMP_NUM_THREADS="1")["threads"] == 1


@pytest.mark.parametrize("before", ["", "import cgmm\n"], ids=["before_import", "after_import"])
def test_threads_respect_the_affinity(tmp_path, before):
    pin = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1])"
    assert facts(tmp_path, before + pin, OMP_NUM_THREADS=None)["threads"] == 1


def test_import_is_light(tmp_path):
    """Also a fit, sampling and saving need none of what is optional."""
    program = """
import sys
import sysconfig
import cgmm
model = cgmm.GMM(2, random_state=0).fit([[0.0], [1], [8], [9]])
model.sample(3), model.save("model.npz"), cgmm.GMM.load("model.npz").predict([[1.0]])
print(*{name.partition(".")[0] for name in sys.modules})
"""
    loaded = set(fresh(program, tmp_path).stdout.split())
    assert "numpy" in loaded and "cgmm" in loaded
    assert not loaded & {"sklearn", "matplotlib", "pandas", "dask", "pyarrow", "joblib", "IPython", "pytest"}


FORK = """
import os, sys, warnings
import numpy as np
from cgmm import GMM, kmeans, show_config
warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: the process has threads
X = np.random.default_rng(0).normal(size=(20_000, 3))

def results():
    model = GMM(3, random_state=0, n_threads=int(sys.argv[1]) or None).fit(X)
    arrays = [model.means_, model.predict_proba(X), kmeans(X, 3, random_state=0, n_threads=2).centers]
    return b"".join(array.tobytes() for array in arrays)

expected = results()
children = []
for _ in range(2):
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        ok = results() == expected and show_config()["threads"] == 1
        ok = ok and (grandchild == 0 or os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]) == 0)
        os._exit(0 if ok else 3)
    children.append(child)
assert results() == expected
print([os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


@pytest.mark.parametrize("n_threads", ["0", "4"])
def test_a_forked_child_neither_hangs_nor_differs(tmp_path, n_threads):
    output = fresh(FORK, tmp_path, n_threads, OMP_NUM_THREADS=None).stdout.splitlines()
    assert output[-1] == "[0, 0]"


def test_no_more_threads_than_a_process_may_start():
    assert config.threads(2**31 - 1) == config.MOST_THREADS
    assert config.threads(3) == 3


@pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")
def test_an_import_does_not_bring_the_gil_back(tmp_path):
    fresh("import sys, cgmm; assert not sys._is_gil_enabled()", tmp_path)
