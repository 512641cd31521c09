"""``python -m cgmm.sklearn script.py …`` or ``-m cgmm.sklearn -m module …``: run it with scikit-learn patched."""

from __future__ import annotations

import os
import runpy
import sys

from cgmm.sklearn.patching import patch_sklearn

USAGE = "usage: python -m cgmm.sklearn [-m module | script.py] [argument ...]"


def main(arguments: list[str]) -> None:
    """Run a script, or a module, with its arguments, as Python itself would."""
    is_module = arguments[:1] == ["-m"]
    named = arguments[1:] if is_module else arguments
    if not named or named[0] in ("-h", "--help"):
        print(USAGE)
        sys.exit(0 if named else 2)
    patch_sklearn()
    sys.argv = list(named)
    if is_module:
        runpy.run_module(named[0], run_name="__main__", alter_sys=True)
        return
    sys.path[0] = os.path.dirname(os.path.abspath(named[0]))
    runpy.run_path(named[0], run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
