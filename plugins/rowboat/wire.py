"""Postgres's binary COPY, both ways: rows out of a table by columns, columns into a stage.

The format is that of the manual's page on COPY, "Binary Format"; the server sends one message a
row ("Message Flow", COPY Operations), so that rows need not be looked for.
"""

import struct
from collections.abc import Callable, Generator, Sequence
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np
from psycopg2 import sql

from rowboat.arrays import Array
from rowboat.avro import Field, Schema
from rowboat.catalog import Column, Table
from rowboat.database import Cursor
from rowboat.errors import BrokenPromise
from rowboat.queries import query
from rowboat.ragged import Cells, Ints, Piece, Word, assemble, buffer_of, constant, integers

Take: TypeAlias = Callable[[list[Cells]], None]

_MOST_ROWS, _MOST_BYTES = 2**14, 2**20  # of a batch: small enough for the processor's caches
_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
HEADER = _SIGNATURE + bytes(8)
TRAILER = b"\xff\xff"


def fetch(cursor: Cursor, table: Table, schema: Schema, take: Take) -> None:
    """Read all rows of a table and hand them over by columns, a batch at a time.

    Raises what `take` raises.
    """
    columns = [_expression(field, table.by_name[field.column]) for field in schema.fields]
    batches = _batches(len(columns), take)
    next(batches)
    statement = query("wire.fetch", columns=sql.SQL(", ").join(columns), table=table.identifier)
    cursor.copy_expert(statement, SimpleNamespace(write=batches.send))
    batches.close()


def rows(columns: Sequence[Cells]) -> bytes:
    """Return rows, given by columns, as COPY reads them between its header and its trailer."""
    count = len(columns[0])
    fields = int.from_bytes(struct.pack("!h", len(columns)), "little")
    pieces: list[Piece] = [constant(fields, 2, count)]
    for cells in columns:
        size = cells.size.astype(">i4").view("<u4").astype(np.uint64)
        pieces += [Word(size, np.full(count, 4, np.int64)), cells]
    buffer, offsets = assemble(pieces, count)
    return buffer[: offsets[-1]].tobytes()


def _expression(field: Field, column: Column) -> sql.Composable:
    name = sql.Identifier("t", field.column)
    kind = field.kind
    factor = sql.Literal(10 ** column.digits[1] if column.digits else 1)
    labels = sql.Literal(list(column.labels or ()))
    if not isinstance(kind, Array):
        return query(kind.fetch, column=name, factor=factor, labels=labels)
    if kind.fetch == "wire.as_it_is":
        return name
    value = sql.Identifier("e", "value")
    element = query(kind.element.fetch, column=value, factor=factor, labels=labels)
    none = sql.SQL("null::bigint" if kind.element.fetch == "wire.unscaled" else "null::text")
    return query(kind.fetch, column=name, element=element, none=none)


def _batches(columns: int, take: Take) -> Generator[None, bytes, None]:
    """Collect rows as they are sent until there are enough to be worth a look."""
    sent: list[bytes] = []
    size, first = 0, True
    try:
        while True:
            row = yield
            sent.append(row)
            size += len(row)
            if size >= _MOST_BYTES or len(sent) >= _MOST_ROWS:
                first = _hand_over(sent, columns, take, first)
                sent, size = [], 0
    except GeneratorExit:
        _hand_over(sent, columns, take, first)


def _hand_over(sent: list[bytes], columns: int, take: Take, first: bool) -> bool:
    if first and sent:
        if not sent[0].startswith(_SIGNATURE):
            raise BrokenPromise("the server did not send what COPY sends")
        (extension,) = struct.unpack_from("!I", sent[0], len(HEADER) - 4)
        sent[0] = sent[0][len(HEADER) + extension :]
    if sent and sent[-1] == TRAILER:
        sent.pop()
    if first and sent and not sent[0]:
        del sent[0]
    if sent:
        take(_cut(sent, columns))
    return False


def _cut(sent: list[bytes], columns: int) -> list[Cells]:
    buffer = buffer_of(b"".join(sent))
    size = np.fromiter(map(len, sent), np.int64, len(sent))
    ends: Ints = np.cumsum(size)
    at = ends - size + 2
    found = []
    for _ in range(columns):
        width = integers(buffer, at, ">i4").astype(np.int64)
        found.append(Cells(buffer, at + 4, width))
        at = at + 4 + np.maximum(width, 0)
    if (at != ends).any():
        raise BrokenPromise("the server did not send one message a row")
    return found
