"""Sessions in the documentation: commands after "$ ", and what they print.

python tests/helpers/console.py FILE.md … runs them and writes what they print now into the files.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from programs import FOLDER, SECONDS

ROOT = Path(__file__).parents[2]
DATA = ROOT / "examples" / "data" / "faithful.csv"
SESSION = re.compile(r"(?<=```console\n).*?(?=```)", re.S)


def sessions(page):
    """The commands of a page, each with what it prints there."""
    for session in SESSION.findall(page):
        for part in re.split(r"^\$ ", session, flags=re.M)[1:]:
            command, _, printed = part.partition("\n")
            yield command, printed


class Shell:
    """Runs commands in a folder that has the data; cgmm is that of these tests."""

    def __init__(self, folder):
        self.folder = Path(folder)
        shutil.copy(DATA, self.folder)
        program = self.folder / "bin" / "cgmm"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -m cgmm "$@"\n')
        program.chmod(0o755)
        python = os.pathsep.join(filter(None, (FOLDER, os.environ.get("PYTHONPATH"))))
        path = os.pathsep.join([str(program.parent), os.environ["PATH"]])
        self.environment = os.environ | {"PATH": path, "PYTHONPATH": python}

    def run(self, command):
        """What a command prints, errors included."""
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
        ).stdout


def rewrite(path):
    with tempfile.TemporaryDirectory() as folder:
        shell = Shell(folder)

        def again(session):
            return "".join(
                f"$ {command}\n{shell.run(command)}" for command, _ in sessions(f"```console\n{session[0]}```")
            )

        path.write_text(SESSION.sub(again, path.read_text()))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        rewrite(Path(name))
