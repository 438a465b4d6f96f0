"""AVRO container files made by hand, byte by byte."""

import json
import zlib
from typing import BinaryIO

from backports import zstd as zstandard

from rowboat.backup.avro import arrays, types
from rowboat.backup.avro.container import Reader
from rowboat.backup.avro.digests import Digest
from rowboat.backup.avro.schema import Field, Schema
from rowboat.backup.avro.types import Kind

MAGIC, SYNC = b"Obj\x01", bytes(range(100, 116))


def one(kind: Kind, type_: str, base: str, nullable: bool = False) -> Schema:
    """Return the schema of a table with one column, c."""
    return Schema("s.t", (Field("c", type_, base, nullable, kind),))


def scalar(base: str, type_: str | None = None, nullable: bool = False) -> Schema:
    return one(types.scalar_kind(base, None, 0, None), type_ or base, base, nullable)


INTEGER, TEXT, MAYBE = scalar("int4"), scalar("text"), scalar("text", nullable=True)
BOOLEAN, DATE, UUID, BYTES = scalar("bool"), scalar("date"), scalar("uuid"), scalar("bytea")
STAMP, TIME = scalar("timestamptz"), scalar("time")
DECIMAL = one(types.scalar_kind("numeric", 4, 1, None), "numeric(4,1)", "numeric")
WIDEST = one(types.scalar_kind("numeric", 18, 1, None), "numeric(18,1)", "numeric")
LONGER = one(types.scalar_kind("numeric", 30, 1, None), "numeric(30,1)", "numeric")
MOOD = one(types.scalar_kind("mood", None, 0, ["calm", "rough"]), "s.mood", "s.mood")
ARRAY = one(arrays.array_kind(types.scalar_kind("int4", None, 0, None)), "integer[]", "_int4")
TEXTS = one(arrays.array_kind(types.scalar_kind("text", None, 0, None)), "text[]", "_text")


def long(value: int) -> bytes:
    """Encode a number of any size, even one that no file may have."""
    folded, encoded = (value << 1 if value >= 0 else (-value << 1) - 1), b""
    while folded > 0x7F:
        encoded, folded = encoded + bytes([folded & 0x7F | 0x80]), folded >> 7
    return encoded + bytes([folded])


def text(value: bytes | str) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return long(len(raw)) + raw


def head(schema: Schema | bytes | str, codec: str | bytes = "null") -> bytes:
    declared = json.dumps(schema.json) if isinstance(schema, Schema) else schema
    entries = text("avro.schema") + text(declared) + text("avro.codec") + text(codec)
    return MAGIC + long(2) + entries + long(0) + SYNC


def block(rows: int, content: bytes) -> bytes:
    return long(rows) + text(content) + SYNC


def row(schema: Schema, content: bytes, rows: int = 1) -> bytes:
    """Return a file with one block."""
    return head(schema) + block(rows, content)


def deflate(content: bytes) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return packer.compress(content) + packer.flush()


def zstd(content: bytes, tells_size: bool = True) -> bytes:
    options: dict[int, int] = {zstandard.CompressionParameter.content_size_flag: tells_size}
    return zstandard.compress(content, options=options)


def array(count: int, content: bytes, size: int | None = None, end: bytes = b"\0") -> bytes:
    return long(count) + long(len(content) if size is None else size) + content + end


def read(file: BinaryIO, size: int) -> str:
    """Read a file to its last value and return its digest; raises BackupRefused."""
    reader, digest = Reader(file, size), Digest()
    schema = reader.schema("s.t")
    for part in reader.rows(schema):
        digest.add(part.buffer, part.at, part.size)
        for column in schema.by_column:
            part.cells(column)
    return str(digest)
