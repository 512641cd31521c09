"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from typing import BinaryIO

MEANWHILE = ".cgmm-"


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Have `write` fill a new file, which takes the place of that at path once it is complete and on the disk.

    A path that is a device or a pipe is written to directly. OSError names the path, or its folder if that is not
    there, and says why it cannot be written.
    """
    with naming_output(path):
        if is_special(path):
            with open(path, "wb") as file:
                write(file)
            return
        _check_name(path)
        _check_folder(path)
        _replace(os.path.realpath(path), write)


def check_writable(path: str | os.PathLike[str]) -> None:
    """That a file may be made at path, before the work whose result it shall hold; OSError says why not."""
    if is_special(path):
        return
    with naming_output(path):
        _check_name(path)
    _check_folder(path)
    with naming_output(os.path.dirname(os.path.realpath(path))):
        partial = _beside(os.path.realpath(path))
        os.close(os.open(partial, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        os.unlink(partial)


@contextlib.contextmanager
def naming_output(path: str | os.PathLike[str]) -> Iterator[None]:
    """Errors of what is written name the path: not nothing, nor the file that stands for it meanwhile."""
    try:
        yield
    except OSError as error:
        named = os.fspath(path)
        if error.filename is not None and MEANWHILE not in os.fspath(error.filename):
            raise
        if error.errno is None:
            raise OSError(f"{named}: {error}") from error
        is_no_place = isinstance(error, FileNotFoundError) and error.filename is not None  # as /proc is none
        raise OSError(error.errno, "No file can be made there" if is_no_place else error.strerror, named) from error


def is_special(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether there is something at path which is no regular file and no folder: a pipe, or a device."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _replace(path: str, write: Callable[[BinaryIO], object]) -> None:
    old_mode = _mode(path)
    mode = 0o666 if old_mode is None else old_mode
    partial = _beside(path)
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


def _beside(path: str) -> str:
    """The file that is written meanwhile: on the same file system, so that it can take the other's place at once."""
    return os.path.join(os.path.dirname(path), f"{MEANWHILE}{os.urandom(8).hex()}.part")


def _check_name(path: str | os.PathLike[str]) -> None:
    """That a file may have that name."""
    fault = None
    if not os.fspath(path):
        fault = errno.ENOENT
    elif os.path.isdir(path) or str(os.fspath(path)).endswith(os.sep):
        fault = errno.EISDIR
    if fault is not None:
        raise OSError(fault, os.strerror(fault))
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        os.stat(path)  # which says if the name is too long; of its folder, _check_folder says more


def _check_folder(path: str | os.PathLike[str]) -> None:
    """That there is a folder in which the file may be; OSError names it."""
    folder = os.path.dirname(os.path.realpath(path))
    if os.path.isdir(folder):
        return
    if os.path.exists(folder):
        raise OSError(errno.ENOTDIR, "Not a folder", folder)
    raise OSError(errno.ENOENT, "No such folder", folder)


def _mode(path: str) -> int | None:
    """The permissions of the file at path; None if there is none, and a new one gets what the umask leaves.

    To ask for the umask is to set it, for all threads.
    """
    try:
        return os.stat(path).st_mode & 0o777
    except FileNotFoundError:
        return None
