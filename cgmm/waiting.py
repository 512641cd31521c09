"""How long OpenMP's threads spin while they wait: set before its runtime is loaded, if the user has set nothing.

By default libgomp's threads spin for milliseconds between two passes. That is fastest on a machine that does nothing
else; on any other they take the processors from those who compute, the next pass among them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

# What a user says of waiting, of any runtime: then it is the user's choice.
SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
# Looks at what is waited for before a thread sleeps, a few microseconds: of those measured (docs/speed.md) the least
# with which two threads alone on a machine are as fast as with spinning.
SPINS = "1000"


@contextlib.contextmanager
def briefly() -> Iterator[None]:
    """A runtime of OpenMP that is loaded meanwhile has threads that spin briefly; what comes later is not told."""
    if any(name in os.environ for name in SAID):
        yield
        return
    os.environ["GOMP_SPINCOUNT"] = SPINS
    try:
        yield
    finally:
        del os.environ["GOMP_SPINCOUNT"]


with briefly():
    from cgmm import _kernels  # noqa: F401, which loads the runtime
