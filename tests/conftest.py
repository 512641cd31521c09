"""What the test files share."""

import os
import sys

import pytest

# The tests' own matrix products are small: BLAS threads would only wait for each other. Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cgmm import GMM, _kernels
from cgmm.__main__ import main
from cgmm.command import values
from cgmm.tables import readers, text
from datasets import table


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
    monkeypatch.setattr(values, "MOST_VALUES", 20)
