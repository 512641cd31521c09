"""Programs in interpreters of their own, where they can hang, fork, be interrupted and run out of memory."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import cgmm

FOLDER = str(Path(cgmm.__file__).parents[1])
SECONDS = 120  # after which a program hangs: it is killed, with all processes that it has started


def output(program, *arguments, launcher=(), **environment):
    """What a program prints that must succeed; it imports the cgmm of these tests. None removes a variable, and a
    launcher is a command that starts the program.

    Threads that wait for others sleep: on a busy machine spinning takes longer than the work.
    """
    path = os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH"))))
    settings = os.environ | {"PYTHONPATH": path, "OMP_WAIT_POLICY": "passive"} | environment
    with subprocess.Popen(
        [*launcher, sys.executable, "-P", "-c", program, *map(str, arguments)],
        env={name: str(value) for name, value in settings.items() if value is not None},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            printed, errors = process.communicate(timeout=SECONDS)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, f"exit code {process.returncode}\n{printed}{errors}"
    return printed
