"""What the test files share."""

import os

import pytest

# The tests' own matrix products are small: BLAS threads would only wait for each other. Before NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from cgmm import _kernels


@pytest.fixture(params=_kernels.available_targets())
def target(request):
    """Each instruction set that this machine can run, in one process."""
    before = _kernels.target()
    _kernels.set_target(request.param)
    yield request.param
    _kernels.set_target(before)
