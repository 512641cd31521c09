"""Every object of the API's page has an example in its docstring that holds, and its parameters are described."""

import doctest
import importlib
import inspect
import re
from pathlib import Path

import pytest

import cgmm
import cgmm.plot

PAGE = (Path(__file__).parent.parent / "docs" / "api.rst").read_text(encoding="utf-8")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def on_page():
    """The page's objects by name, and whether their own pages show their members."""
    for options, names in re.findall(r"^\.\. autosummary::\n((?:   :.*\n)*)\n((?:   \S+\n)+)", PAGE, re.MULTILINE):
        yield from ((f"cgmm.{name}", "plain" not in options) for name in names.split())


def documented():
    """Each function, class and method of cgmm's that the page shows, by the name under which it shows it."""
    for name, members in on_page():
        module, _, last = name.rpartition(".")
        found = getattr(importlib.import_module(module), last)
        yield name, found
        for member, value in inspect.getmembers_static(found) if members else ():
            inner = value.fget if isinstance(value, property) else getattr(value, "__func__", value)
            of_ours = inspect.isfunction(inner) and inner.__module__.startswith("cgmm") and inner.__doc__
            if of_ours and not member.startswith("_"):
                yield f"{name}.{member}", inner


OBJECTS = {name: found for found, name in {found: name for name, found in documented()}.items()}  # Inherited ones once.


def test_the_page_is_read():
    assert {"cgmm.GMM", "cgmm.GMM.partial_fit", "cgmm.select", "cgmm.plot.ellipses"} <= set(OBJECTS)
    assert set(cgmm.__all__) <= {name.split(".")[1] for name, _ in on_page()} | {"__version__", "plot", "sklearn"}
    assert {f"cgmm.plot.{name}" for name in cgmm.plot.__all__} <= set(OBJECTS)


@pytest.mark.parametrize("name", OBJECTS)
def test_example(name, monkeypatch, tmp_path):
    pytest.importorskip("matplotlib").use("agg")
    monkeypatch.chdir(tmp_path)
    (example,) = doctest.DocTestFinder(recurse=False).find(OBJECTS[name], name) or [None]
    assert example is not None and example.examples, f"{name} has no example"
    told = []
    doctest.DocTestRunner(optionflags=OPTIONS).run(example, out=told.append, clear_globs=True)
    assert not told, "".join(told)


@pytest.mark.parametrize("name", [name for name, found in OBJECTS.items() if inspect.isfunction(found)])
def test_parameters_are_described(name):
    section = inspect.getdoc(OBJECTS[name]).partition("Parameters\n-----")[2]
    parameters = inspect.signature(OBJECTS[name]).parameters.keys() - {"self", "cls"}
    assert [parameter for parameter in parameters if not re.search(rf"\b{parameter}\b", section)] == []
