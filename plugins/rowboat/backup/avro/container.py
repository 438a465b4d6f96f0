"""AVRO object container files (specification 1.12, "Object Container Files").

They are written in blocks of about 8 KiB. A file that is read may be hostile: its schema must be
one that Rowboat writes before any block is read, and all counts and sizes are bounded.
"""

import json
import os
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any, BinaryIO

import numpy as np
from backports import zstd

from rowboat.backup.avro.schema import FoundRows, Schema, find_rows, read_schema
from rowboat.database.columnar import SPARE, Buffer, Ints
from rowboat.errors import BackupRefused

CODECS = ("null", "deflate", "zstandard")
FORMAT = "1"
MOST_BLOCK = 64 * 2**20  # bytes of a block, and so of a row, unpacked
MOST_HEADER = 2**20  # bytes
MOST_ENTRIES = 64  # of the metadata in the header
MOST_RATIO = 128  # a file may unpack to so many times its size; the writer never exceeds it
MOST_VALUES = 2**14  # of a block; one of 8 KiB has fewer, because each needs at least a byte
_BLOCK = 2**13  # bytes of a block, unpacked: small, because find_rows walks many side by side
_WINDOW = 2**22  # bytes of the blocks that are walked side by side
# find_rows fills arrays of the shape (columns + _ROW_CELLS, rows of the longest block, blocks).
_WINDOW_CELLS = 2**22  # the most elements of them together
_ROW_CELLS = 3  # the arrays that have no column
_MAGIC = b"Obj\x01"
_LEVEL = 1  # of compression: higher ones take more time than the space is worth


class Writer:
    """Writes rows to a container file by passing its bytes to `tell`, piece by piece.

    `names` is added to the metadata. Nothing is written that Reader refuses. Raises BackupRefused
    for a header that is too large.
    """

    def __init__(
        self, schema: Schema, codec: str, names: dict[str, str], tell: Callable[[bytes], None]
    ) -> None:
        self._tell, self._codec, self._sync = tell, codec, os.urandom(16)
        # What the reader still allows to be unpacked, counted in the same way: a credit for small
        # files, then MOST_RATIO bytes for each byte of the file.
        self._pack, self._left = _packer(codec), MOST_BLOCK // 4
        entries = {
            "avro.schema": json.dumps(schema.json, ensure_ascii=False),
            "avro.codec": codec,
            "rowboat.format": FORMAT,
            **{f"rowboat.{name}": value for name, value in names.items()},
        }
        header = _MAGIC + _long(len(entries))
        for name, value in entries.items():
            if len(value.encode()) > MOST_HEADER:
                raise BackupRefused(
                    f"the {name} of {schema.table} has more than {MOST_HEADER // 2**20} MiB",
                    "shorten its comments",
                )
            header += _text(name) + _text(value)
        tell(header + _long(0) + self._sync)

    def write(self, buffer: Buffer, offsets: Ints) -> None:
        """Write encoded rows, given as rows + 1 offsets into a buffer.

        Raises BackupRefused for a row that is larger than a block may be.
        """
        rows, view = len(offsets) - 1, buffer.data
        if int(np.diff(offsets).max(initial=0)) > MOST_BLOCK:
            raise BackupRefused(
                f"a row has more than {MOST_BLOCK // 2**20} MiB, the most that a backup holds",
                "keep such values outside the table",
            )
        # Blocks of equal numbers of rows, not bytes: find_rows walks them in step.
        at_once = max(1, _BLOCK * rows // int(offsets[-1]))
        firsts = [*range(0, rows, at_once), rows]
        places = offsets[firsts].tolist()
        blocks = []
        for n, (begin, end) in enumerate(pairwise(places)):
            content = view[begin:end]
            packed = self._pack(content)
            if self._left + MOST_RATIO * len(packed) < len(content):
                packed = _stored(self._codec, content)  # the reader would take it for a bomb
            self._left += MOST_RATIO * len(packed) - len(content)
            blocks += [_long(firsts[n + 1] - firsts[n]), _long(len(packed)), packed, self._sync]
        self._tell(b"".join(blocks))


@dataclass(frozen=True)
class Header:
    """The header of a file: its metadata, and the marker that ends each block."""

    entries: dict[str, bytes]
    sync: bytes

    def text(self, name: str) -> str:
        """Return an entry as text; raises BackupRefused if there is none."""
        try:
            return self.entries[name].decode()
        except (KeyError, UnicodeDecodeError):
            raise BackupRefused(f"has no {name} in its header") from None


class Reader:
    """Reads a container file of any origin; raises BackupRefused for everything wrong with it."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = _Counted(file, size), MOST_RATIO * size + MOST_BLOCK // 4
        self.header = self._read_header()
        self.codec = self.header.entries.get("avro.codec", b"null").decode("utf-8", "replace")
        if self.codec not in CODECS:
            raise BackupRefused(f"has the codec {self.codec[:40]!r}, not {', '.join(CODECS)}")
        self._unpack = _unpacker(self.codec)

    def schema(self, table: str) -> Schema:
        """Return the embedded schema, which must be one that Rowboat writes for the table."""
        try:
            declared = json.loads(self.header.text("avro.schema"))
        except (ValueError, RecursionError):
            raise BackupRefused("has a schema that is not JSON") from None
        return read_schema(declared, table)

    def rows(self, schema: Schema) -> Iterator[FoundRows]:
        """Yield the rows, those of up to 4 MiB of blocks at a time."""
        window: list[bytes] = []
        counts: list[int] = []
        size = most = 0
        while (block := self._read_block(len(schema.fields))) is not None:
            count, content = block
            most = max(most, count)
            cells = most * (len(window) + 1) * (len(schema.fields) + _ROW_CELLS)
            if window and (size + len(content) > _WINDOW or cells > _WINDOW_CELLS):
                yield _found(schema, window, counts)
                window, counts, size, most = [], [], 0, count
            window.append(content)
            counts.append(count)
            size += len(content)
        if window:
            yield _found(schema, window, counts)

    def _read_header(self) -> Header:
        if self._file.read(4) != _MAGIC:
            raise BackupRefused("is not an AVRO container file")
        entries: dict[str, bytes] = {}
        while count := self._file.long("the number of its metadata"):
            if count < 0:
                self._file.long("the size of its metadata")
            if len(entries) + abs(count) > MOST_ENTRIES:
                raise BackupRefused(f"has {abs(count)} entries in its header")
            for _ in range(abs(count)):
                name = self._file.bytes(MOST_HEADER, "a name in its header")
                entries[name.decode("utf-8", "replace")] = self._file.bytes(
                    MOST_HEADER, "an entry in its header"
                )
        return Header(entries, self._file.exactly(16))

    def _read_block(self, columns: int) -> tuple[int, bytes] | None:
        if self._file.at_end():
            return None
        count = self._file.long("the number of rows in a block")
        packed = self._file.bytes(MOST_BLOCK + MOST_HEADER, "a block")
        # Everything that the block claims is checked before a single value is looked at.
        content = self._unpack(packed)
        if content is None:
            raise BackupRefused("has a block that cannot be unpacked")
        self._left -= len(content)
        if self._left < 0:
            raise BackupRefused(f"grows to more than {MOST_RATIO} times its size")
        if not 0 < count * columns <= len(content):  # every value needs at least a byte
            raise BackupRefused(f"has a block of {len(content)} bytes that claims {count} rows")
        if count > 1 and count * columns > MOST_VALUES:
            raise BackupRefused(f"has a block of {count} rows, more than Rowboat writes")
        if self._file.exactly(16) != self.header.sync:
            raise BackupRefused("has a block that does not end in its marker")
        return count, content


class _Counted:
    """A file of which no more than its size is read."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file, self._left = file, size

    def at_end(self) -> bool:
        return self._left <= 0

    def read(self, size: int) -> bytes:
        content = self._file.read(min(size, self._left))
        self._left -= len(content)
        return content

    def exactly(self, size: int) -> bytes:
        content = self.read(size)
        if len(content) < size:
            raise BackupRefused("ends before its end: it is truncated")
        return content

    def long(self, what: str) -> int:
        """Read a number (specification, "Primitive Types": int and long)."""
        value = 0
        for shift in range(0, 70, 7):
            byte = self.exactly(1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            raise BackupRefused(f"has {what} of more than 64 bits")
        return (value >> 1) ^ -(value & 1)

    def bytes(self, most: int, what: str) -> bytes:
        """Read a size and as many bytes."""
        size = self.long(f"the size of {what}")
        if not 0 <= size <= most:
            raise BackupRefused(f"has {what} of {size} bytes")
        return self.exactly(size)


def _found(schema: Schema, window: list[bytes], counts: list[int]) -> FoundRows:
    sizes = np.array([len(each) for each in window], np.int64)
    ends = np.cumsum(sizes)
    buffer = np.frombuffer(b"".join((*window, bytes(SPARE))), np.uint8)
    return find_rows(schema, buffer, ends - sizes, ends, np.array(counts, np.int64))


def _packer(codec: str) -> Callable[[Any], bytes]:
    if codec == "deflate":
        return lambda content: zlib.compress(content, _LEVEL, -zlib.MAX_WBITS)
    if codec == "zstandard":
        compressor = zstd.ZstdCompressor(level=_LEVEL)
        return lambda content: compressor.compress(content, compressor.FLUSH_FRAME)
    return bytes


def _stored(codec: str, content: Any) -> bytes:
    """Return content in the format of a codec, but not compressed."""
    if codec == "deflate":
        return zlib.compress(content, 0, -zlib.MAX_WBITS)
    # A frame of raw blocks (RFC 8878, section 3.1.1): magic number, descriptor (a size of four
    # bytes follows), window of 128 KiB, size; each block begins with its size and a "last" bit.
    parts, most = [b"\x28\xb5\x2f\xfd\x80\x38", len(content).to_bytes(4, "little")], 2**17
    for begin in range(0, len(content), most):
        part = content[begin : begin + most]
        is_last = begin + most >= len(content)
        parts += [(len(part) << 3 | is_last).to_bytes(3, "little"), part]
    return b"".join(parts)


def _unpacker(codec: str) -> Callable[[bytes], bytes | None]:
    """Return a function that unpacks a block, or returns None if it is damaged or too large."""

    def deflate(packed: bytes) -> bytes | None:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            content = stream.decompress(packed, MOST_BLOCK + 1)
        except zlib.error:
            return None
        return content if stream.eof and not stream.unused_data else None

    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}  # 8 MiB

    def zstandard(packed: bytes) -> bytes | None:
        stream = zstd.ZstdDecompressor(options=options)
        try:
            content = stream.decompress(packed, MOST_BLOCK + 1)
        except zstd.ZstdError:
            return None
        whole = stream.eof and not stream.unused_data and len(content) <= MOST_BLOCK
        return content if whole else None

    def null(packed: bytes) -> bytes | None:
        return packed if len(packed) <= MOST_BLOCK else None

    return {"null": null, "deflate": deflate, "zstandard": zstandard}[codec]


@lru_cache
def _long(value: int) -> bytes:
    folded = (value << 1) ^ (value >> 63)
    encoded = bytearray()
    while folded > 0x7F:
        encoded.append(folded & 0x7F | 0x80)
        folded >>= 7
    encoded.append(folded)
    return bytes(encoded)


def _text(value: str) -> bytes:
    return _long(len(value.encode())) + value.encode()
