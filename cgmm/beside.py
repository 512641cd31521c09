"""What an import of the package looks at before anything else: whether it can be this package that is imported.

An error here is the first thing that a newcomer sees, so each says what happened and what to do.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

PACKAGE = Path(__file__).parent
NOT_COMPILED = (
    "cgmm was imported from its source tree, {root}, which is not compiled for this Python. If cgmm is installed, "
    "start Python in another directory, or as 'python -P', which does not import from the directory it is started in. "
    "To develop cgmm, compile it in its tree: pip install -e ."
)
INCOMPLETE = (
    "{root} holds cgmm without its compiled core for this Python. Install it again: "
    "pip install --force-reinstall compiled-gmm"
)
NAMESAKE = (
    "{root} holds two packages that are imported as cgmm: this one, compiled-gmm, and PyPI's cgmm, which is another "
    "project's ({found}). They overwrite each other's files and cannot live in one environment. To keep this one: "
    "pip uninstall cgmm compiled-gmm, then pip install compiled-gmm"
)


def check(package: Path = PACKAGE) -> None:
    """Raise ImportError where the compiled core is missing, or PyPI's cgmm is installed in the same directory."""
    root = package.parent
    if found := next(root.glob("cgmm-*.dist-info"), None):
        raise ImportError(NAMESAKE.format(root=root, found=found.name))
    if find_spec("cgmm._kernels") is None:
        message = NOT_COMPILED if (root / "src" / "_kernels.pyx").exists() else INCOMPLETE
        raise ImportError(message.format(root=root))


check()
