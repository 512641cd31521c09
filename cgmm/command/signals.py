"""Signals that end the command line: quietly while it is imported, and later so that no half-written file stays.

cgmm imports this before anything else, as NumPy and SciPy take a while: it imports nothing but what is there already.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
PROGRAMS = ("cgmm", "cgmm.exe", "cgmm-script.py")  # Names that installers give the command line.


class Ended(BaseException):
    """A signal asks the command line to end."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def is_command_line() -> bool:
    """Whether this process was started as the command line; asked while cgmm is imported."""
    if os.path.basename(sys.argv[0] if sys.argv else "") in PROGRAMS:
        return True
    return sys.argv[:1] == ["-m"] and ("-mcgmm" in sys.orig_argv or "-m cgmm" in " ".join(sys.orig_argv))


def _default_for_interrupts(new: object) -> bool:
    """Have Ctrl-C end the process at once, or become KeyboardInterrupt; not where it is ignored, as nohup does."""
    if signal.getsignal(signal.SIGINT) in (signal.SIG_DFL, signal.default_int_handler):
        signal.signal(signal.SIGINT, new)  # type: ignore[arg-type]
    return True


def _on_a_line(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What cgmm cannot be imported with, as a word in the environment, is an error like any other."""
    if not issubclass(kind, ValueError):
        sys.__excepthook__(kind, error, trace)
    elif sys.stderr is not None:
        print(f"cgmm: error: {error}", file=sys.stderr)


QUIET = (
    is_command_line()
    and threading.current_thread() is threading.main_thread()
    and _default_for_interrupts(signal.SIG_DFL)
)
if QUIET:
    sys.excepthook = _on_a_line  # until it has begun


@contextmanager
def heard() -> Iterator[None]:
    """Ctrl-C raises KeyboardInterrupt, and SIGTERM and SIGHUP raise Ended, once: what handles it is not disturbed."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING}

    def end(number: int, _: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Ended(number)

    try:
        for number, handler in before.items():
            if handler == signal.SIG_DFL:
                signal.signal(number, end)
        if QUIET:
            sys.excepthook = sys.__excepthook__
            _default_for_interrupts(signal.default_int_handler)
        yield
    finally:
        if QUIET:
            _default_for_interrupts(signal.SIG_DFL)
        for number, handler in before.items():
            signal.signal(number, handler)
