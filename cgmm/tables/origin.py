"""Where the bytes of a table come from: a file, opened anew for each pass, or what can be read once only."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import os
import stat
import sys
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import Any, BinaryIO, Generic, TypeVar, cast

from cgmm.errors import BlockError
from cgmm.files import is_special

T = TypeVar("T")

STANDARD_INPUT = "-"
GZIP, BZIP2, XZ, ZSTD = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"  # First bytes of packed files.
MAGIC_BYTES = 6  # First bytes of a file that are looked at: the longest mark of a format, NumPy's, has so many.
BUFFER = 1 << 16  # Bytes that are read at a time from a file whose first bytes were looked at.


class TableError(BlockError):
    """A table cannot be read; the message says where and why."""


class Marks:
    """What tells files from others that take their places, by the names of the files."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Any, ...]] = {}

    def check(self, name: str, *mark: Any) -> None:
        """That the file of that name has the mark that it had at first; TableError if it is another now."""
        if self._known.setdefault(name, mark) != mark:
            raise TableError(
                f"{name} was replaced or changed while it was being read: each pass needs the same rows and columns; "
                "begin anew, and leave the file as it is meanwhile"
            )

    def check_status(self, name: str, found: os.stat_result) -> None:
        """The same, of what the system knows of a file; what is no regular file may change."""
        if stat.S_ISREG(found.st_mode):
            self.check(name, found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


class Origin:
    """A file by its path, or standard input.

    Each time that it is opened it must be the file that it was at first.

    name : as messages call it;  magic : its first bytes, unpacked if gzip, bzip2, xz or zstd has packed them
    once : whether it is no regular file: a pipe, a device or standard input give their bytes once only
    """

    def __init__(self, path: str) -> None:
        self.path, self.once, self.marks = path, path == STANDARD_INPUT or is_special(path), Marks()
        self.name = "standard input" if path == STANDARD_INPUT else path
        with naming_input(self.name), contextlib.ExitStack() as stack:
            file = self._open(stack)
            self._kept: tuple[Any, contextlib.ExitStack] | None = None
            if self.once:
                self.magic, file = looked_at(file, MAGIC_BYTES, self.once)
                self._kept = (file, stack.pop_all())
            else:
                self.magic = file.read(MAGIC_BYTES)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Any]:
        """Its bytes from the first, unpacked if they are packed; TableError if they were read and come once."""
        with naming_input(self.name), contextlib.ExitStack() as stack:
            yield self._take(stack) if self.once else self._open(stack)

    def check_lasting(self, kind: str) -> None:
        """That it may be read in any order, as a format needs."""
        if self._kept is not None:
            self._kept[1].close()
            raise TableError(
                f"{self.name} is {kind}, which cannot be read from a pipe: it must be text or npy, or be written to a "
                "file first"
            )

    def _take(self, stack: contextlib.ExitStack) -> Any:
        if self._kept is None:
            raise TableError(f"{self.name} can be read once only: write it to a file first")
        (file, kept), self._kept = self._kept, None
        stack.enter_context(kept)
        return file

    def _open(self, stack: contextlib.ExitStack) -> Any:
        if self.path == STANDARD_INPUT:
            file: Any = _standard_input()
        else:
            file = stack.enter_context(_bytes_of(self.path))
            self.marks.check_status(self.name, os.fstat(file.fileno()))
        first, file = looked_at(file, MAGIC_BYTES, self.once)
        unpacked = _unpacked(first, file)
        return file if unpacked is None else stack.enter_context(unpacked)


class Passes(Generic[T]):
    """Passes over what `parts` makes of a file, each from its beginning; over what comes once, one.

    first : the first part, None if there is none
    """

    def __init__(self, origin: Origin, parts: Callable[[BinaryIO], Iterator[T]]) -> None:
        self.origin, self.parts = origin, parts
        begun = self._begin()
        self.first: Any = next(begun, None)
        self._begun: Any = None
        if origin.once and self.first is not None:
            self._begun = begun
        else:
            begun.close()

    def __iter__(self) -> Generator[T, None, None]:
        begun, self._begun = self._begun, None
        is_new = begun is None
        with contextlib.closing(self._begin() if is_new else begun) as parts:
            if not is_new:
                yield self.first
            yield from parts

    def _begin(self) -> Any:
        with self.origin.opened() as file:
            yield from self.parts(file)


class Begun(io.RawIOBase):
    """A file some of whose bytes were read already, from the first of these."""

    def __init__(self, first: bytes, file: Any) -> None:
        self._first, self._file = first, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._first:
            return int(self._file.readinto1(buffer))
        given = self._first[: len(buffer)]
        self._first = self._first[len(given) :]
        buffer[: len(given)] = given
        return len(given)


class Unpacked(io.RawIOBase):
    """What a stream of pyarrow's unpacks, as a file of Python's."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        return len(found)


class Members(io.RawIOBase):
    """What is packed in a file, one member after the other, unpacked: what else follows the first is an error.

    Python's own readers of bzip2 and xz end without a word where a further member is damaged.
    """

    def __init__(self, file: Any, begin: Callable[[], Any], padding: bytes = b"") -> None:
        """begin() : what unpacks a member;  padding : bytes that may stand between two"""
        self._file, self._begin, self._padding, self._member = file, begin, padding, begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = b""
        while not found:
            more = b""
            if self._member.eof:
                rest = self._member.unused_data.lstrip(self._padding)
                while not rest:
                    rest = self._file.read1(BUFFER)
                    if not rest:
                        return 0
                    rest = rest.lstrip(self._padding)
                self._member, more = self._begin(), rest
            elif self._member.needs_input:
                more = self._file.read1(BUFFER)
                if not more:
                    raise EOFError("it ends before what is packed in it does")
            found = self._member.decompress(more, len(buffer))
        buffer[: len(found)] = found
        return len(found)


def looked_at(file: Any, count: int, once: bool) -> tuple[bytes, Any]:
    """The first bytes of a file, however late they come, and the file as it was before."""
    first = file.read(count)
    if once:
        return first, io.BufferedReader(Begun(first, file), BUFFER)
    file.seek(0)
    return first, file


def size_of_rest(file: Any) -> int | None:
    """How many bytes a regular file has yet to give; None where that is not known."""
    if not isinstance(getattr(file, "raw", None), io.FileIO):
        return None
    found = os.fstat(file.fileno())
    return found.st_size - file.tell() if stat.S_ISREG(found.st_mode) else None


@contextlib.contextmanager
def naming_input(name: str) -> Iterator[None]:
    """Errors of a damaged file, whoever finds the damage, name it."""
    try:
        yield
    except (TableError, MemoryError, ImportError):
        raise
    except UnicodeDecodeError:
        raise TableError(f"{name} is neither text in UTF-8 nor npy, npz or Parquet") from None
    except OSError as error:
        if error.filename is not None:
            raise
        if error.errno is None:
            raise TableError(f"{name} cannot be read: {error}") from error
        raise OSError(error.errno, error.strerror, name) from error
    except Exception as error:  # whatever gzip, zipfile, NumPy and pyarrow make of a damaged file
        raise TableError(f"{name} cannot be read: {error}") from error


def _unpacked(first: bytes, file: Any) -> Any:
    """A file of the bytes that are packed in another, which begins so; None if they are not packed."""
    if first.startswith(GZIP):
        return gzip.GzipFile(fileobj=file)
    if first.startswith(BZIP2):
        return io.BufferedReader(Members(file, bz2.BZ2Decompressor), BUFFER)
    if first.startswith(XZ):
        return io.BufferedReader(Members(file, partial(lzma.LZMADecompressor, lzma.FORMAT_XZ), b"\0"), BUFFER)
    return _of_zstd(file) if first.startswith(ZSTD) else None


def _of_zstd(file: Any) -> Any:
    """Python's own reader from 3.14 on, or pyarrow's; zstandard's takes a file that was cut off for a whole one."""
    with contextlib.suppress(ImportError):
        return importlib.import_module("compression.zstd").ZstdFile(file)
    with contextlib.suppress(ImportError):
        return io.BufferedReader(Unpacked(importlib.import_module("pyarrow").CompressedInputStream(file, "zstd")))
    raise ImportError("zstd has packed this file: pip install pyarrow, or unpack it first")


def _bytes_of(path: str) -> BinaryIO:
    return open(path, "rb")


def _standard_input() -> io.BufferedReader:
    if sys.stdin is None:
        raise TableError("standard input is closed: name a file")
    return cast(io.BufferedReader, sys.stdin.buffer)
