"""What may happen between any two lines of cgmm: another thread's work, a signal, a failure."""

import collections
import os
import sys

import cgmm
from fuzzing import TIMES

FOLDER = os.path.join(os.path.dirname(cgmm.__file__), "")


def at_each_line(act, run):
    """Run `run` again and again, with `act` before its first line in the package, its second, and so on.

    Yields for each what the run returns and what it raises. A line that is passed several times counts as often; once
    where fuzzers try a part of their examples.
    """
    run()  # What is made at the first use only is there.
    passed, times = [], collections.Counter()
    _traced(run, passed.append)
    for line in passed:
        times[line] += 1
        if TIMES >= 1 or times[line] == 1:
            value, error, reached = _at(line, times[line], act, run)
            if reached:
                yield value, error


def _at(line, time, act, run):
    left = time

    def reach(passed):
        nonlocal left
        left -= passed == line
        if not left:
            sys.settrace(None)  # Before what may raise; and what follows is not looked at.
            act()

    value = error = None
    try:
        value = _traced(run, reach)
    except BaseException as raised:
        error = raised.with_traceback(None)  # which would keep all that the run has left
    return value, error, not left


def _traced(run, reach):
    """What the run returns; `reach` is called with each of its lines in the package."""

    def trace(frame, event, _):
        if not frame.f_code.co_filename.startswith(FOLDER):
            return None
        if event == "line":
            reach((frame.f_code.co_filename, frame.f_lineno))
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        return run()
    finally:
        sys.settrace(before)
