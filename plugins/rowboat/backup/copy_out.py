"""Reads a whole table by columns, with Postgres's binary COPY.

The server sends a message for each row of a COPY (manual, "Message Flow", "COPY Operations"), and
receiving one for each row of the table would take longer than everything that is done with the
rows. So each row of this COPY is a batch of rows of the table: for all rows in some pages, the
server concatenates the values of each column.
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import TypeAlias

import numpy as np
from psycopg2 import sql

from rowboat.backup.avro.arrays import Array
from rowboat.backup.avro.schema import Field, Schema
from rowboat.catalog.tables import Column, Table
from rowboat.database.columnar import Cells, buffer_of
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.copy_binary import HEADER, SIGNATURE, TRAILER
from rowboat.database.statements import query
from rowboat.errors import BrokenPromise, Unholdable

Take: TypeAlias = Callable[[list[Cells]], None]

_PAGES = 64  # of a batch: some thousand short rows, which fit into the processor's caches
_MOST = 1664  # columns that Postgres returns (MaxTupleAttributeNumber)
_BYTES = 2**20  # of a batch if rows may be of any size
# Types whose values all have the same size: the server need not send the sizes.
_WIDTHS = {
    "boolsend": 1, "int2send": 2, "int4send": 4, "date_send": 4, "float4send": 4, "int8send": 8,
    "float8send": 8, "time_send": 8, "timestamp_send": 8, "timestamptz_send": 8, "uuid_send": 16,
}  # fmt: skip


def fetch_table(cursor: Cursor, table: Table, schema: Schema, take: Take) -> None:
    """Read all rows of a table and pass them to `take` by columns, a batch at a time.

    Raises Unholdable if rows are not in Postgres's own pages (foreign tables, other access
    methods), and what `take` raises.
    """
    family = query("catalog.family", table=sql.Literal(table.identifier.as_string(cursor)))
    cursor.execute(query("copy_out.keeping", family=family))
    is_wide, elsewhere = fetch_one(cursor)
    if elsewhere:
        raise Unholdable(
            f"the rows of {elsewhere} are kept outside Postgres",
            f"detach it from {table.full_name}, or copy its rows into a table of Postgres",
        )
    columns = [_Fetched(field, table.by_name[field.column]) for field in schema.fields]
    if sum(len(column.parts) for column in columns) >= _MOST:
        for column in columns:
            column.join_parts()
    statement = query(
        "copy_out.fetch_wide" if is_wide else "copy_out.fetch",
        ranges=query("copy_out.ranges", family=family, pages=sql.Literal(_PAGES)),
        table=table.identifier,
        columns=sql.SQL(", ").join(part for column in columns for part in column.parts),
        size=sql.SQL(" + ").join(query("copy_out.size", value=column.value) for column in columns),
        bytes=sql.Literal(_BYTES),
    )

    def write(message: bytes) -> None:
        is_first = message.startswith(SIGNATURE)
        message = message[len(HEADER) :] if is_first else message
        if message not in (b"", TRAILER) and (batch := _batch(message, columns)):
            take(batch)

    cursor.copy_expert(statement, SimpleNamespace(write=write))


class _Fetched:
    """A column: the SQL of its value, and of its parts of a message.

    These are the sizes, unless all are the same, and the values; one part if `is_joined`.
    """

    def __init__(self, field: Field, column: Column) -> None:
        send = sql.Identifier(field.kind.send)
        self.name = field.column
        self.value = query("copy_out.value", send=send, value=_expression(field, column))
        self.width = None if field.nullable else _WIDTHS.get(field.kind.send)
        self.parts = [query("copy_out.values", value=self.value)]
        self.is_joined = False
        if self.width is None:
            self.parts.insert(0, query("copy_out.sizes", value=self.value))

    def join_parts(self) -> None:
        """Fetch sizes and values as one part: this costs a copy of them, but half the columns."""
        self.is_joined = len(self.parts) > 1
        self.parts = [sql.SQL(" || ").join(self.parts)]


def _expression(field: Field, column: Column) -> sql.Composable:
    name = sql.Identifier("t", field.column)
    kind = field.kind
    factor = sql.Literal(10 ** column.digits[1] if column.digits else 1)
    labels = sql.Literal(list(column.labels or ()))
    if not isinstance(kind, Array):
        return query(kind.fetch, column=name, factor=factor, labels=labels)
    if kind.fetch == "copy_out.as_it_is":
        return name
    value = sql.Identifier("e", "value")
    element = query(kind.element.fetch, column=value, factor=factor, labels=labels)
    none = sql.SQL("null::bigint" if kind.element.fetch == "copy_out.unscaled" else "null::text")
    return query(kind.fetch, column=name, element=element, none=none)


def _batch(message: bytes, columns: Sequence[_Fetched]) -> list[Cells]:
    """Return the columns of a message; an empty list if its pages have no rows."""
    parts, buffer = _parts(message), buffer_of(message)
    rows = int.from_bytes(message[slice(*next(parts))])
    found = []
    for column in columns if rows else ():
        begin, end = next(parts)
        if column.width:
            size = np.full(rows, column.width, np.int64)
        else:
            size = np.frombuffer(message, ">i4", rows, begin).astype(np.int64)
            begin, end = (begin + 4 * rows, end) if column.is_joined else next(parts)
        behind = begin + np.cumsum(np.maximum(size, 0))
        if behind[-1] != end:
            raise BrokenPromise(f"the server did not send every {column.name}")
        found.append(Cells(buffer, behind - np.maximum(size, 0), size))
    return found


def _parts(message: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each part of a message begins and ends (manual, COPY, "Tuples")."""
    (count,) = struct.unpack_from("!h", message)
    at = 2
    for _ in range(count):
        (size,) = struct.unpack_from("!i", message, at)
        yield at + 4, (at := at + 4 + max(size, 0))
