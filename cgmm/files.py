"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import BinaryIO


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Have `write` fill a new file, which takes the place of that at path once it is complete and on the disk.

    A path that is a device or a pipe is written to directly.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        with open(path, "wb") as file:
            write(file)
        return
    path = os.path.realpath(path)
    old_mode = _mode(path)
    mode = 0o666 if old_mode is None else old_mode
    partial = os.path.join(os.path.dirname(path), f".cgmm-{os.urandom(8).hex()}.part")
    try:
        with open(partial, "xb", opener=lambda name, flags: os.open(name, flags, mode)) as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if old_mode is not None:
            os.chmod(partial, mode)
        os.replace(partial, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise


def check_writable(path: str | os.PathLike[str]) -> None:
    """That a file may be made at path, before the work whose result it shall hold; OSError says why not."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(path):
        fault, named = errno.EISDIR, os.fspath(path)
    elif os.path.exists(path) and not os.path.isfile(path):
        return
    elif not os.path.isdir(folder):
        fault, named = errno.ENOENT, folder
    elif not os.access(folder, os.W_OK):
        fault, named = errno.EACCES, folder
    else:
        return
    raise OSError(fault, os.strerror(fault), named)


def _mode(path: str) -> int | None:
    """The permissions of the file at path; None if there is none, and a new one gets what the umask leaves.

    To ask for the umask is to set it, for all threads.
    """
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return None
