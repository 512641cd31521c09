"""What the test files share."""

import os
import sys
import zlib

import pytest

# The tests' own matrix products are small: BLAS threads would only wait for each other. Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cgmm import GMM, _kernels
from cgmm.__main__ import main
from cgmm.command import values as outputs
from cgmm.tables import readers, text
from datasets import table


def pytest_addoption(parser):
    parser.addoption("--full", action="store_true", help="every combination, and tests that repeat what others hold")


FUZZ = str(1 / 6)  # Of the examples of fuzzers (fuzzing.py), where nothing else is said: they are of --full again.


def pytest_configure(config):
    if not config.getoption("--full"):
        os.environ.setdefault("CGMM_FUZZ", FUZZ)
    config.addinivalue_line("markers", "full(held_by): with --full only, for what is named holds the same in less time")


def values(item):
    """The names and identities of what a test is given: of each parametrize, and of each entry of a fixture's tuple."""
    given = dict(item.callspec.params) if hasattr(item, "callspec") else {}
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0] if mark.args else mark.kwargs["argnames"]
        names = tuple(name.strip() for name in names.split(",")) if isinstance(names, str) else tuple(names)
        yield names, tuple(id(given.pop(name)) for name in names if name in given)
    for name, value in given.items():
        entries = value if isinstance(value, tuple) else (value,)
        yield from ((name, place, id(entry)) for place, entry in enumerate(entries))


def covering(items):
    """Of each test's combinations enough for every value of every parameter, in an order that mixes them."""
    seen = set()
    for item in sorted(items, key=lambda item: zlib.crc32(item.nodeid.encode())):
        test = item.nodeid.partition("[")[0]
        new = {(test, value) for value in values(item)} - seen
        if new or not hasattr(item, "callspec"):
            seen |= new
            yield item


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Without --full: what must not be missed, in a few minutes (CONTRIBUTING.md)."""
    if config.getoption("--full"):
        return
    kept = set(covering([item for item in items if item.get_closest_marker("full") is None]))
    config.hook.pytest_deselected(items=[item for item in items if item not in kept])
    items[:] = [item for item in items if item in kept]


@pytest.fixture(autouse=True)
def no_figures_are_left():
    """Figures that a test has drawn are closed, for others look whether any are open."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


@pytest.fixture(params=_kernels.available_targets())
def target(request):
    """Each instruction set that this machine can run, in one process."""
    before = _kernels.target()
    _kernels.set_target(request.param)
    yield request.param
    _kernels.set_target(before)


@pytest.fixture
def run(capsysbinary):
    """Runs a command of the command line in this process: its exit code, what it prints, and what it says of errors."""

    def run(*arguments):
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
        printed, errors = capsysbinary.readouterr()
        return code, printed.decode(), errors.decode()

    return run


@pytest.fixture
def done(run):
    """Runs a command that must succeed and say nothing of errors: what it prints."""

    def done(*arguments):
        code, printed, errors = run(*arguments)
        assert (code, errors) == (0, "")
        return printed

    return done


@pytest.fixture
def model(tmp_path):
    """A model of Old Faithful, and its file, model.npz."""
    model = GMM(2, random_state=0).fit(table("faithful"))
    model.save(tmp_path / "model.npz")
    return model


@pytest.fixture
def blocks_of_a_few(monkeypatch):
    monkeypatch.setattr(text, "BLOCK_CHARACTERS", 300)
    monkeypatch.setattr(readers, "BLOCK_BYTES", 1000)
    monkeypatch.setattr(outputs, "MOST_VALUES", 20)
