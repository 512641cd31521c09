"""The process of hostile.Victim: what the command line and the readers make of the file `hostile`, held to the law."""

import io
import json
import os
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

import cgmm
from cgmm import GMM
from cgmm.__main__ import main

COMMANDS = [
    ["fit", "hostile", "-k", "1", "--max-iter", "2"],
    ["fit", "hostile", "-k", "2", "--max-iter", "2", "--missing", "marginal", "--columns", "0", "-o", "out"],
    ["fit", "-", "-k", "1", "--max-iter", "2"],
    ["predict", "model", "hostile", "-o", "out"],
    ["score", "model", "-", "--mean"],
    ["sample", "hostile", "-n", "3", "-o", "out"],
    ["info", "hostile"],
]


def serve(folder, most):
    """Answer each line of standard input with the faults of the file, as JSON."""
    os.chdir(folder)
    GMM(2, random_state=0).fit(np.random.default_rng(0).normal(size=(60, 2))).save("model")
    Path("warm").write_text("1,2\n3,4\n5,7\n")
    for command in COMMANDS:
        _faults_of_command([name.replace("hostile", "warm") for name in command], b"1,2\n3,4\n5,7\n", "warm")
    told = sys.stdout
    for _ in sys.stdin:
        found = faults(most)
        print(json.dumps(found), file=told, flush=True)


def faults(most):
    content = Path("hostile").read_bytes()
    found = []
    for command in COMMANDS:
        before = _memory("VmRSS", reset=True)
        found += [f"{' '.join(command)}: {fault}" for fault in _faults_of_command(command, content, "hostile")]
        grown = _memory("VmHWM") - before
        if grown > most:
            found.append(f"{' '.join(command)}: it takes {grown >> 20} MiB")
    for use in (_table, GMM(1, max_iter=1).fit, GMM.load, GMM.load("model").predict):
        found += _faults_of_use(use)
    return found


def _faults_of_command(command, content, name):
    before = sys.stdin, sys.stdout, sys.stderr
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.BytesIO(content)))
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", errors=how) for how in HOW)
    try:
        code = main(command)
        sys.stdout.flush()
        sys.stderr.flush()
        lines = sys.stderr.buffer.getvalue().decode().splitlines()
    except BaseException:
        return [traceback.format_exc()[-2000:]]
    finally:
        sys.stdin, sys.stdout, sys.stderr = before
    found = []
    errors = [line for line in lines if line.startswith("cgmm: error: ")]
    others = [line for line in lines if not line.startswith(("cgmm: error: ", "cgmm: warning: "))]
    if code not in (0, 1, 2) or len(errors) != (code > 0):
        found.append(f"exit code {code}, and {len(errors)} errors")
    if command[0] == "score" and code == 0:
        others = []
    if others:
        found.append(f"it says {others[:3]}")
    if errors and name not in errors[0] and "standard input" not in errors[0]:
        found.append(f"no file is named: {errors[0]}")
    if errors and (len(errors[0]) > LONGEST or not errors[0].isprintable()):
        found.append(f"no line that one can read: {errors[0][:LONGEST]!r}")
    if os.path.exists("out") != (code == 0 and "out" in command) or any(".cgmm-" in left for left in os.listdir()):
        found.append(f"it leaves {os.listdir()}")
    if os.path.exists("out"):
        os.unlink("out")
    return found


HOW = ("strict", "backslashreplace")  # as Python has standard output and standard error
LONGEST = 2000  # characters of a message


def _table(path):
    table = cgmm.table(path)
    return cgmm.tables.gather(table, table.blocks())


def _faults_of_use(use):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            use("hostile")
        except (ValueError, OSError, TypeError) as error:
            return [] if str(error) else [f"{use}: an error without a word"]
        except BaseException:
            return [traceback.format_exc()[-2000:]]
    return []


def _memory(name, reset=False):
    """Bytes that the process has, or has had at most since the last reset (Linux)."""
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))
