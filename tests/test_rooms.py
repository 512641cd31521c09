"""The rooms of the house: what is public, and who takes what from whom.

Which room may use which is a contract in pyproject.toml, for import-linter; here is what it cannot see.
"""

import argparse
import ast
import re
from pathlib import Path

import pytest

import cgmm
from cgmm.command.arguments import parser

PACKAGE = Path(cgmm.__file__).parent
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", MODULES, ids=[str(path.relative_to(PACKAGE)) for path in MODULES])
def test_what_is_taken_from_the_package_itself_is_compiled_or_a_room(path):
    """`from cgmm import GMM` inside would go round the contract."""
    rooms = {other.stem for other in PACKAGE.iterdir()} | {"_kernels"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module == "cgmm":
            assert {name.name for name in node.names} <= rooms
        if isinstance(node, ast.Import):
            assert "cgmm" not in {name.name for name in node.names}


def test_public_names_are_what_dir_shows():
    shown = {name for name in dir(cgmm) if not name.startswith("__")}
    assert shown == {name for name in cgmm.__all__ if not name.startswith("__")}
    assert all(hasattr(cgmm, name) for name in cgmm.__all__)


@pytest.mark.parametrize("name", ["cgmm.em.IterationState", "cgmm.diagnostics.Diagnostics"])
def test_names_that_docstrings_promise_resolve(name):
    module, _, attribute = name.rpartition(".")
    assert hasattr(__import__(module, fromlist=[attribute]), attribute)


def test_docstrings_name_what_there_is():
    """Each dotted name of a module in docstrings and comments leads somewhere."""
    for path in MODULES:
        named = set(re.findall(r"\bcgmm(?:\.[A-Za-z_]+)+", path.read_text(encoding="utf-8")))
        for name in named - {"cgmm.exe", "cgmm.fish"}:  # the command on Windows, and the file that completes it
            assert _resolves(name), f"{path.name}: {name}"


def test_messages_say_themselves_what_to_do():
    """An installed user has no docs/, and Python no options, as which cgmm/command/flags.py spells arguments."""
    (commands,) = (action for action in parser()._actions if isinstance(action, argparse._SubParsersAction))
    options = {word for one in commands.choices.values() for action in one._actions for word in action.option_strings}
    for path in MODULES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                assert ".md" not in node.value, f"{path.name}: {node.value}"
                named = options.intersection(re.findall(r"--[a-z-]+", node.value)) - {"--help"}
                assert not named or "command" in path.parts, f"{path.name}: {node.value}"


def _resolves(name):
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        try:
            found = __import__(".".join(parts[:count]), fromlist=["x"])
        except ImportError:
            continue
        for part in parts[count:]:
            if not hasattr(found, part) and part not in getattr(found, "__annotations__", {}):
                return False
            found = getattr(found, part, None)
        return True
    return False
