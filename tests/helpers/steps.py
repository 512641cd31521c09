"""What may happen between any two lines of cgmm: another thread's work, a signal, a failure."""

import os
import sys

import cgmm

FOLDER = os.path.join(os.path.dirname(cgmm.__file__), "")


def at_each_line(act, run):
    """Run `run` again and again, with `act` before its first line in the package, its second, and so on.

    Yields once for each line, with what the run returns and what it raises.
    """
    line, reached = 1, True
    while True:
        value, error, reached = _at_line(line, act, run)
        if not reached:
            return
        yield value, error
        line += 1


def _at_line(line, act, run):
    passed = 0

    def trace(frame, event, _):
        nonlocal passed
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line":
            passed += 1
            if passed == line:
                act()
        return trace

    value = error = None
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        value = run()
    except BaseException as raised:
        error = raised.with_traceback(None)  # which would keep all that the run has left
    finally:
        sys.settrace(before)
    return value, error, passed >= line
