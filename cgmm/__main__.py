"""The command line: how it begins, and how it ends."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Sequence

from cgmm.command.arguments import parser
from cgmm.errors import InvalidParameterError

BAD, USAGE, INTERRUPTED, BROKEN_PIPE = 1, 2, 130, 141  # exit codes; the last two are a shell's for SIGINT and SIGPIPE
ERRORS = OSError, ValueError, TypeError, ImportError, MemoryError


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line, on sys.argv by default; its exit code.

    0: done. 1: data or a model cannot be used. 2: usage (from argparse, as SystemExit). 130: Ctrl-C. 141: nobody reads
    on.
    """
    args = parser().parse_args(argv)
    try:
        with warnings.catch_warnings():
            _tell_warnings()
            args.run(args)
        sys.stdout.flush()
        return 0
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where the interpreter's last flush goes
        return BROKEN_PIPE
    except ERRORS as error:
        if args.debug:
            raise
        print(f"cgmm: error: {_told(error)}", file=sys.stderr)
        return USAGE if isinstance(error, InvalidParameterError) else BAD


def _tell_warnings() -> None:
    """Warnings that concern a user become lines of standard error."""

    def show(message: Warning | str, *_: object, **__: object) -> None:
        print(f"cgmm: warning: {_on_a_line(message)}", file=sys.stderr)

    warnings.showwarning = show
    warnings.simplefilter("ignore")
    for category in (UserWarning, RuntimeWarning):
        warnings.simplefilter("always", category)


def _told(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory: {_on_a_line(error)}"
    return _on_a_line(error)


def _on_a_line(text: object) -> str:
    return " ".join(str(text).split())


if __name__ == "__main__":
    sys.exit(main())
