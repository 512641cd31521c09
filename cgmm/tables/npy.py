"""NumPy's files: what a header claims is compared with what is there, and memory is taken for what has come only.

Nothing in them is ever unpickled.
"""

from __future__ import annotations

import io
import math
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import os
    from typing import Self

MAGIC = b"\x93NUMPY"
BYTES_AT_ONCE = 1 << 22  # Bytes that memory is taken for before any of them has come.
LONGEST_HEADER = 10_000  # Characters of a header, at most: NumPy's own bound.
# Characters of a header that are no space, at most: a longer one may nest so deep that Python's parser gives up.
LONGEST_TEXT = 1000
# Columns of an array without rows, at most: where there are rows, their bytes bound the columns.
MOST_COLUMNS = 1 << 24
HEADERS = {
    (1, 0): (2, np.lib.format.read_array_header_1_0),
    (2, 0): (4, np.lib.format.read_array_header_2_0),
}  # by format version: the bytes that hold its length, and who understands it
ENCRYPTED = 1  # The bit that says so of a member of an archive.
SHORT = "it ends before its last row"


class Header(NamedTuple):
    """What a file claims to hold; `length` bytes of it are the header itself."""

    shape: tuple[int, ...]
    is_fortran: bool
    dtype: np.dtype[Any]
    length: int

    @property
    def n(self) -> int:
        return self.shape[0]

    @property
    def d(self) -> int:
        return math.prod(self.shape[1:])

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def check_matrix(self) -> None:
        if len(self.shape) not in (1, 2) or self.dtype.kind not in "biuf":
            raise ValueError(f"it holds an array of shape {self.shape} and type {self.dtype}, not rows of numbers")
        if not self.d:
            raise ValueError(f"it holds an array of shape {self.shape}, which has no columns")
        if not self.n and self.d > MOST_COLUMNS:
            raise ValueError(f"its header is damaged: it tells of an array of shape {self.shape}")

    def check_size(self, found: int) -> None:
        """That so many bytes after the header are those of the array, and not those of pickled objects."""
        if self.dtype.hasobject:
            raise ValueError("it holds Python objects, which are never unpickled")
        if self.nbytes == found:
            return
        claim = f"its header tells of an array of shape {self.shape} and type {self.dtype}, {self.nbytes} bytes"
        if self.nbytes > found:
            raise ValueError(f"{SHORT}: {claim}, and {found} follow")
        raise ValueError(f"it goes on after its last row: {claim}, and {found} follow")


def read_header(file: BinaryIO) -> Header:
    """The header with which a file begins; ValueError says why there is none."""
    magic = file.read(8)
    version = tuple(magic[6:])
    if not magic.startswith(MAGIC) or len(version) != 2:
        raise ValueError("it does not begin as a NumPy file")
    if version not in HEADERS:
        raise ValueError(f"its format version {version} is not one of arrays of numbers")
    width, understand = HEADERS[version]
    size = file.read(width)
    length = int.from_bytes(size, "little")
    text = file.read(min(length, LONGEST_HEADER))
    if length > LONGEST_HEADER or len(text.strip()) > LONGEST_TEXT:
        raise ValueError("its header is longer than that of an array of numbers")
    try:
        shape, is_fortran, dtype = understand(io.BytesIO(size + text))
    except MemoryError:
        raise
    except Exception as error:  # whatever NumPy makes of a damaged header; some of its advice is dangerous
        raise ValueError("its header is damaged") from error
    if any(size < 0 for size in shape):
        raise ValueError("its header is damaged")
    return Header(shape, is_fortran, dtype, len(magic) + len(size) + len(text))


def read_array(file: BinaryIO, header: Header) -> Any:
    """The array whose bytes are next; the memory that is taken grows with what has come."""
    values = read_bytes(file, header.nbytes).view(header.dtype)
    return values.reshape(header.shape[::-1]).T if header.is_fortran else values.reshape(header.shape)


def read_bytes(file: BinaryIO, size: int) -> Any:
    """So many bytes (size,); ValueError if the file ends before."""
    found = np.empty(min(size, BYTES_AT_ONCE), dtype=np.uint8)
    filled = 0
    while filled < size:
        if filled == len(found):
            found.resize(min(size, 2 * filled), refcheck=False)
        more = file.readinto(found[filled:].data)  # type: ignore[attr-defined]
        if not more:
            raise ValueError(SHORT)
        filled += more
    return found


class Archive(Mapping[str, Any]):
    """The arrays of an npz file, each read when it is asked for; ValueError says why one cannot be.

    zip : the archive itself
    """

    def __init__(self, file: BinaryIO | str | os.PathLike[str]) -> None:
        self.zip = zipfile.ZipFile(file)
        self._parts = {part.filename.removesuffix(".npy"): part for part in self.zip.infolist()}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.zip.close()

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)

    def holds_array(self, name: str) -> bool:
        return self._parts[name].filename.endswith(".npy")

    def __getitem__(self, name: str) -> Any:
        return self.read(name)

    def read(self, name: str, of_numbers: bool = False) -> Any:
        """An array; if it is to be rows of numbers, others are refused before they are read."""
        part = self._parts[name]
        if not self.holds_array(name):
            raise ValueError(f"its {name} is not an array")
        if part.flag_bits & ENCRYPTED:
            raise ValueError(f"its array {name} is encrypted: unpack it with its password, and read what comes out")
        with self._opened(part) as file:
            found: Any = file
            try:
                header = read_header(found)
                if of_numbers:
                    header.check_matrix()
                header.check_size(part.file_size - header.length)
                array = read_array(found, header)
                file.read(1)  # at the end the checksum is compared
            except ValueError as error:
                raise ValueError(f"its array {name}: {error}") from error
        return array

    def _opened(self, part: zipfile.ZipInfo) -> IO[bytes]:
        try:
            return self.zip.open(part)
        except NotImplementedError as error:
            raise ValueError(
                f"{part.filename} is packed in a way that Python does not know ({error}): unpack it with the program "
                "that packed it, and read what comes out"
            ) from error
