"""The text of a file: unpacked, and converted to UTF-8.

Positions count the bytes of this text. For a plain UTF-8 file they are the bytes of the file.
"""

import codecs
import errno
import hashlib
import lzma
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from rowboat.address import Address
from rowboat.csvfile.file_kinds import check_archive, check_kind
from rowboat.errors import FileChanged, FileRefused, reason, remedy
from rowboat.settings import settings
from rowboat.storage import opening

BLOCK = 2**18
_GZIP_MAGIC, _ZIP_MAGIC = b"\x1f\x8b", b"PK\x03\x04"
PACKED_MAGIC = (_GZIP_MAGIC, _ZIP_MAGIC)  # of what is unpacked while it is read
# What zipfile raises for archives that are damaged, or made to be so.
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    RuntimeError,
    ValueError,
)
_FREE_GROWTH = 2**20  # bytes of text; a smaller one is no bomb, whatever its ratio
_GZIP = zlib.MAX_WBITS | 16  # let zlib read gzip's header and check its trailer


class FileText:
    """The text of a file as it is when opened; it can be read once, from the beginning."""

    def __init__(self, path: Address) -> None:
        with _worded():
            self._file = opening.open_file(path)
        self.name = str(path)
        self.size, self.version = self._file.size, self._file.version
        self._ahead = b""
        self.encoding = "utf-8"
        self._blocks = self._decoded()

    def __enter__(self) -> "FileText":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end, and leave them to be read."""
        parts, length = [self._ahead], len(self._ahead)
        while length < size and (block := next(self._blocks, b"")):
            parts.append(block)
            length += len(block)
        self._ahead = b"".join(parts)
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Read and return the next `size` bytes, fewer only at the end."""
        found = self.peek(size)
        self._ahead = self._ahead[len(found) :]
        return found

    def prefix(self, size: int) -> "Prefix":
        """Read up to byte `size` and return what was read; it is shorter if the text ends first."""
        prefix = Prefix()
        while prefix.size < size and (block := self.read(min(4 * BLOCK, size - prefix.size))):
            prefix.extend(block)
        return prefix

    def still(self) -> bool:
        """Return whether the file is unchanged since it was opened."""
        return self._file.still()

    def original(self, text: bytes) -> bytes:
        """Return the bytes of the file from which a piece of the text was decoded."""
        if self.encoding == "utf-8":
            return text
        return text.decode("utf-8", "surrogatepass").encode(self.encoding, "surrogatepass")

    def _raw(self) -> Iterator[bytes]:
        """Yield the file's bytes up to the size that it had when opened."""
        left = self.size
        while left:
            with _worded():
                block = self._file.read(min(BLOCK, left))
            if not block:
                raise FileChanged("it shrank while it was read")
            left -= len(block)
            yield block

    def _unpacked(self) -> Iterator[bytes]:
        blocks = self._raw()
        first = next(blocks, b"")
        if first.startswith(_ZIP_MAGIC):
            yield from self._unzipped()
            return
        blocks = _chain(first, blocks)
        if first.startswith(_GZIP_MAGIC):
            blocks = gunzip(blocks)
            first = next(blocks, b"")
            blocks = _chain(first, blocks)
        check_kind(first)
        yield from blocks

    def _unzipped(self) -> Iterator[bytes]:
        """Yield the text of the only file in a zip archive."""
        try:
            with _worded(), zipfile.ZipFile(self._file) as archive:
                member = check_archive(archive)
                # what an archive says of its size may be a lie; zipfile reads no more than it says
                _check_growth(member.file_size, min(member.compress_size, self.size))
                with archive.open(member) as opened:
                    first = opened.read(BLOCK)
                    check_kind(first)
                    yield first
                    while block := opened.read(BLOCK):
                        yield block
        except NotImplementedError:
            raise FileRefused(
                "its zip archive is packed by a method that cannot be read", "use gzip instead"
            ) from None
        except _ZIP_FAULTS:
            raise FileRefused("it is a damaged zip archive", "pack the file again") from None

    def _decoded(self) -> Iterator[bytes]:
        blocks = self._unpacked()
        first = next(blocks, b"")
        self.encoding = detect_encoding(first)
        if self.encoding == "utf-8":
            yield from _chain(first, blocks)
            return
        decoder = codecs.getincrementaldecoder(self.encoding)("surrogatepass")
        try:
            for block in _chain(first, blocks):
                yield decoder.decode(block).encode("utf-8", "surrogatepass")
            yield decoder.decode(b"", final=True).encode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            raise FileRefused(
                f"its {self.encoding.upper()} text ends in the middle of a character",
                "write the file again, whole",
            ) from None


class Prefix:
    """The beginning of a text: its size, its sha256 and its last byte."""

    def __init__(self) -> None:
        self.size = 0
        self.last = b""
        self._sha256 = hashlib.sha256()

    def extend(self, text: bytes | memoryview) -> None:
        """Add the bytes that follow."""
        if text:
            self._sha256.update(text)
            self.size += len(text)
            self.last = bytes(text[-1:])

    def copy(self) -> "Prefix":
        """Return an independent copy."""
        twin = Prefix()
        twin.size, twin.last, twin._sha256 = self.size, self.last, self._sha256.copy()
        return twin

    @property
    def ends_line(self) -> bool:
        """Whether it ends with a newline, or is empty."""
        return self.last in (b"", b"\n", b"\r")

    @property
    def sha256(self) -> str:
        """The digest of the bytes, in hexadecimal."""
        return self._sha256.hexdigest()


def detect_encoding(start: bytes) -> str:
    """Return the encoding: UTF-16 has a byte-order mark, or NULs at every second byte."""
    for mark, name in ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be")):
        if start.startswith(mark):
            return name
    sample = start[:1024]
    half = len(sample) // 2
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if half >= 4:
        if odd > 0.8 * half and even < 0.2 * half:
            return "utf-16-le"
        if even > 0.8 * half and odd < 0.2 * half:
            return "utf-16-be"
    return "utf-8"


def gunzip(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Unpack gzip members (RFC 1952), yielding at most BLOCK bytes at a time.

    Raises FileRefused for a damaged or cut-off stream, and as soon as the text exceeds
    ROWBOAT_GZIP_RATIO times the bytes read.
    """
    taken = given = 0

    def counted() -> Iterator[bytes]:
        nonlocal taken
        for block in blocks:
            taken += len(block)
            yield block

    try:
        for text in _unpack_members(counted()):
            given += len(text)
            _check_growth(given, taken)
            yield text
    except EOFError:
        raise FileRefused("its gzip stream is cut off", "pack the file again, whole") from None
    except zlib.error:
        raise FileRefused("its gzip stream is damaged", "pack the file again") from None


def _check_growth(given: int, taken: int) -> None:
    if given > _FREE_GROWTH and given > taken * settings().gzip_ratio:
        raise FileRefused(
            f"it unpacks to more than {settings().gzip_ratio} times its size",
            "unpack it yourself, or raise ROWBOAT_GZIP_RATIO if you trust it",
        )


def _unpack_members(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the text of one member after the other; raises EOFError inside one, or zlib.error."""
    # gzip.GzipFile would do this too, but it needs 1.2 to 1.3 times the CPU time for 200 MB: it
    # reads 8 KiB at a time and copies what it unpacks. Like it, this ignores zeros after a member,
    # with which tapes and some tools fill up the last block.
    member = zlib.decompressobj(_GZIP)
    for block in blocks:
        rest = block
        while rest:
            if member.eof:
                rest = rest.lstrip(b"\0")
                if not rest:
                    break
                member = zlib.decompressobj(_GZIP)
            text = member.decompress(rest, BLOCK)
            if text:
                yield text
            # Text for which BLOCK had no room comes with the next call. There always is one, as a
            # member ends with a checksum, which zlib reads last.
            rest = member.unused_data if member.eof else member.unconsumed_tail
    if not member.eof:
        raise EOFError


@contextmanager
def _worded() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise FileChanged("it vanished before it was read", "put it back") from None
    except OSError as error:
        if error.errno == errno.ESTALE:
            raise FileChanged("it was replaced while it was read") from error
        raise FileRefused(
            f"it cannot be read: {reason(error)}",
            remedy(error, "give the loading user the right to read it"),
        ) from error


def _chain(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest
