"""What this build can do and what it uses: instruction set, OpenMP, threads."""

from __future__ import annotations

import functools
import os
from typing import Any

from cgmm import _kernels
from cgmm.quotas import quota

VERSION = "0.1.0"
MOST_THREADS = 256  # That any pass takes: OpenMP ends a process that may not start as many as it asks for.
_forked = False


def _after_fork() -> None:
    global _forked
    _forked = True


# A forked child has none of the threads that OpenMP (GCC) believes to have: it would wait for them, in a pass with
# several threads or when its own thread ends. So they are ended before, and the child uses one.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_kernels.end_idle_threads, after_in_child=_after_fork)


def select_target(name: str) -> None:
    """Use the instruction set `name`; ValueError lists the possible ones."""
    possible = _kernels.available_targets()
    if name not in possible:
        raise ValueError(f"CGMM_ISA={name!r} is not available on this machine; possible: {', '.join(possible)}")
    _kernels.set_target(name)


def threads(n_threads: int | None = None) -> int:
    """Threads to use: `n_threads`, or all that the process may use (affinity, OMP_NUM_THREADS and quotas respected).

    A forked child of this process uses one; and none uses more than MOST_THREADS, for OpenMP ends a process that may
    not start as many as it asks for.
    """
    if _forked:
        return 1
    if n_threads is None:
        return min(_kernels.usable_threads(), _quota(), MOST_THREADS)
    return min(n_threads, MOST_THREADS)


@functools.cache
def _quota() -> int:
    """The processors that the quotas of this process amount to, read once; MOST_THREADS where there are none."""
    return quota() or MOST_THREADS


def show_config() -> dict[str, Any]:
    """Print and return the facts of this build and machine.

    Returns
    -------
    dict
        version, target (instruction set in use), targets (those this machine can run), openmp,
        threads (the default number), dtypes (computed in without conversion).

    Examples
    --------
    >>> import contextlib, io
    >>> import cgmm
    >>> with contextlib.redirect_stdout(io.StringIO()):  # It prints them
    ...     facts = cgmm.show_config()
    >>> facts["dtypes"]
    ['float32', 'float64']
    """
    facts = {
        "version": VERSION,
        "target": _kernels.target(),
        "targets": _kernels.available_targets(),
        "openmp": _kernels.openmp(),
        "threads": threads(),
        "dtypes": ["float32", "float64"],
    }
    for name, value in facts.items():
        print(f"{name}: {', '.join(value) if isinstance(value, list) else value}")
    return facts


if os.environ.get("CGMM_ISA"):
    select_target(os.environ["CGMM_ISA"])
if os.environ.get("CGMM_PRUNE", "") not in ("", "0", "1"):
    raise ValueError(
        f"CGMM_PRUNE={os.environ['CGMM_PRUNE']!r} is neither 0, with which no pass skips components, nor 1, the default"
    )
