"""The command line: how it begins, and how it ends."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Sequence

from cgmm.command import flags, signals
from cgmm.command.arguments import parser
from cgmm.command.output import STANDARD_OUTPUT_NAME, shown
from cgmm.command.parsing import parsed
from cgmm.errors import InvalidParameterError

BAD, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # Exit codes: the last two are a shell's for SIGINT and SIGPIPE.
LONGEST = 1500  # Characters of a message, at most: the name of a file alone may have a thousand.
ENDED = 128  # The exit code after another signal is this and the signal's number.
ERRORS = OSError, ValueError, TypeError, ImportError, MemoryError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, on sys.argv by default; its exit code.

    0: done. 1: data or a model cannot be used. 2: usage (from argparse, as SystemExit). 130: Ctrl-C. 141: nobody reads
    on. 129, 143: SIGHUP, SIGTERM.
    """
    try:
        with signals.heard(), contextlib.ExitStack() as stack:
            if sys.stderr is None:  # it is closed; without it print would write to standard output
                nowhere = stack.enter_context(open(os.devnull, "w", encoding="utf-8"))
                stack.enter_context(contextlib.redirect_stderr(nowhere))
            return _ended(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except signals.Ended as end:
        return ENDED + end.number


def _ended(argv: Sequence[str]) -> int:
    """Run a command; its exit code."""
    args = Namespace(debug=False)  # until they are known: help may be what cannot be written
    try:
        if sys.stdout is None:
            raise OSError(f"{STANDARD_OUTPUT_NAME} is closed: send it to a file, or to {os.devnull}")
        args = parsed(parser(), argv)
        with warnings.catch_warnings():
            _tell_warnings(args)
            args.run(args)
        return 0
    except BrokenPipeError:
        _drop_output()
        return BROKEN_PIPE
    except ERRORS as error:
        if args.debug:
            raise
        _tell("error", flags.spelled(_told(error, args), args))
        _drop_output()
        return USAGE if isinstance(error, InvalidParameterError) else BAD


def _drop_output() -> None:
    """What cannot be written is not tried again as the interpreter ends."""
    if sys.stdout is None:
        return
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _tell(kind: str, message: object) -> None:
    """A line of standard error."""
    print(shown(f"cgmm: {kind}: {_on_a_line(message)}", sys.stderr), file=sys.stderr)


def _tell_warnings(args: Namespace) -> None:
    """Warnings that concern a user become lines of standard error."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        _tell("warning", flags.spelled(str(message), args))

    warnings.showwarning = show
    warnings.simplefilter("ignore")
    for category in () if args.quiet else (UserWarning, RuntimeWarning):
        warnings.simplefilter("always", category)


def _told(error: BaseException, args: Namespace) -> str:
    """What is wrong, and with which file."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}" if error.filename else "the name of a file is empty: give one"
    text = f"not enough memory: {error}" if isinstance(error, MemoryError) else str(error)
    files = [name for name in (vars(args).get("data"), vars(args).get("model"), vars(args).get("output")) if name]
    is_of_rows = isinstance(error, ValueError | MemoryError) and not isinstance(error, InvalidParameterError)
    if not is_of_rows or "standard input" in text or any(name in text for name in files if name != "-"):
        return text
    return f"{'standard input' if files[0] == '-' else files[0]}: {text}"


def _on_a_line(text: object) -> str:
    """A message that a terminal shows as it is: what a file holds may be long, and may hold a terminal's commands."""
    line = " ".join(str(text).split())
    line = "".join(mark if mark.isprintable() else mark.encode("unicode_escape").decode() for mark in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} … {line[-LONGEST // 2 :]}"


if __name__ == "__main__":
    sys.exit(main())
