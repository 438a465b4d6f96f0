"""Finds where a row came from, and what became of a line of a file.

This costs nothing per loaded row: Postgres keeps the transaction that wrote each row (xmin), and
Rowboat the transaction of each load. A trace reads the chunk of the file again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Any, TypeAlias

import numpy as np
from psycopg2 import sql
from psycopg2.extras import Json

from rowboat.catalog.tables import Catalog, Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.splitter import split_records
from rowboat.csvfile.text import FileText
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import as_printed, query
from rowboat.errors import FileChanged, FileRefused
from rowboat.ingest import discovery, position
from rowboat.rows.read.reading import check_key, unknown_row
from rowboat.settings import settings


@dataclass
class Origin:
    """A load that wrote a row.

    `line` is known if the file is unchanged; `request` and `caller` (ID of an API key) if the row
    came by HTTP.
    """

    load: dict[str, Any]
    file: str | None = None
    line: int | None = None
    note: str | None = None
    request: str | None = None
    caller: str | None = None


@dataclass
class RowTrace:
    """A row, the load that wrote it, known earlier loads, and backup sets with this row version."""

    table: str
    key: list[str]
    fields: dict[str, Any]
    writer: Origin | None
    earlier: list[Origin]
    held_by: list[str] = field(default_factory=list)


@dataclass
class Discard:
    """Who discarded a refused row, when and why; `by` is a user or the ID of an API key."""

    by: str
    at: datetime
    because: str


@dataclass
class LineTrace:
    """What became of a line; `state` is one of the sentences below, `key` that of its row."""

    file: str
    line: int
    state: str
    reasons: list[dict[str, Any]]
    load: dict[str, Any] | None = None
    table: str | None = None
    key: list[str] | None = None
    discarded: Discard | None = None


IS_ROW = "is the present row"
WAS_ROW = "was the row until another load changed it"
EQUALLED = "was equal to a row that already existed"
GONE = "was loaded; the row has been deleted since"
UNLOADED = "was loaded; its file has been unloaded since, and the row is no longer there"
QUARANTINED = "is in quarantine"
SETTLED = "was in quarantine and was loaded later"
DISCARDED = "was refused, and discarded"
NOT_READ = "has not been read yet"
EMPTY = "has no row: it is blank, a header, or inside a quoted field"
CHANGED = "was read; the file has changed since, so its content is unknown"

Load: TypeAlias = dict[str, Any]


def trace_row(cursor: Cursor, table: Table, key: list[str], most: int | None = None) -> RowTrace:
    """Trace the row with a key (a text for each key column); raises UnknownRow.

    If more than `most` bytes of its file are loaded, the line is not searched for; the origin then
    has no `note`, which would say that it cannot be found.
    """
    check_key(table, key)
    found = _row(cursor, table, key)
    if found is None:
        raise unknown_row(table, key)
    loads = _writers(cursor, table, found["xmin"])
    origin = partial(_origin, cursor, table, key=found["key"], most=most)
    writer = origin(loads) if loads else None
    before = groupby(_earlier(cursor, table, loads, found["key"]), lambda load: str(load["xid"]))
    earlier = [origin(list(same)) for _, same in before]
    held_by = _held_by(cursor, writer.load) if writer else []
    return RowTrace(table.full_name, key, found["fields"], writer, earlier, held_by)


def trace_line(cursor: Cursor, catalog: Catalog, file_name: str, number: int) -> LineTrace:
    """Trace a line (from 1) of a file; raises FileRefused if the file is not known."""
    where = position.read_position(cursor, file_name)
    if where is None:
        raise FileRefused(f"{file_name} is not known", "`rowboat status` lists the files")
    facts = {"file_name": file_name, "line": number}
    if number > where.loaded_lines:
        return LineTrace(file_name, number, NOT_READ, [])
    # The quarantine comes first: the lines of a load include its rejected ones.
    cursor.execute(query("trace.rejected_line"), facts)
    rejected = next(iter(fetch_rows(cursor)), None)
    if rejected:
        return _rejected_line(file_name, number, rejected)
    cursor.execute(query("trace.loads_of_line"), facts)
    found = LineTrace(file_name, number, EMPTY, [])
    for load in fetch_rows(cursor):
        found = _loaded_line(cursor, catalog.table(load["table_name"]), load, number)
        # If a line got its newline later, two loads have read it, but only one has its row.
        if found.state != EMPTY:
            break
    return found


def _rejected_line(file_name: str, number: int, rejected: dict[str, Any]) -> LineTrace:
    found = LineTrace(file_name, number, QUARANTINED, rejected["reasons"])
    if rejected["settled_as"] == "loaded":
        found.state = SETTLED
    elif rejected["settled_as"] == "discarded":
        found.state = DISCARDED
        found.discarded = Discard(
            rejected["discarded_by"], rejected["settled_at"], rejected["discarded_because"]
        )
    return found


def _loaded_line(cursor: Cursor, table: Table, load: Load, number: int) -> LineTrace:
    """Return whether the row of a loaded line is still the present row."""
    trace = LineTrace(load["source_name"], number, EMPTY, [], load, table.full_name)
    try:
        trace.key = next(
            (_key_of(table, values) for at, values in _lines(cursor, load) if at == number), None
        )
    except FileRefused:
        trace.state = CHANGED
    if trace.key is None:
        return trace
    found = _row(cursor, table, trace.key)
    if found is None:
        cursor.execute(query("trace.unload"), load)
        unload = next(iter(fetch_rows(cursor)), None)
        trace.state, trace.load = (UNLOADED, unload) if unload else (GONE, load)
        return trace
    writers = _writers(cursor, table, found["xmin"])
    before = _earlier(cursor, table, writers, found["key"])
    if load["id"] in {each["id"] for each in writers}:
        trace.state = IS_ROW
    elif load["id"] in {each["id"] for each in before}:
        trace.state = WAS_ROW
    else:
        # This load is not known to have written the row: if it has found equal rows at all, this
        # was one of them; else a later load has overwritten its row.
        trace.state = EQUALLED if load["unchanged"] else WAS_ROW
    return trace


def _row(cursor: Cursor, table: Table, key: list[str]) -> dict[str, Any] | None:
    assert table.key is not None
    # A text that is not a value of its column would fail in the cast below.
    if _canonical(cursor, table, [key]) == [None]:
        return None
    condition = sql.SQL(" and ").join(
        sql.SQL("t.{} = {}::{}").format(
            sql.Identifier(name), sql.Literal(value), as_printed(table.by_name[name].type)
        )
        for name, value in zip(table.key.columns, key, strict=True)
    )
    names = sql.SQL(", ").join(sql.Identifier("t", name) for name in table.key.columns)
    cursor.execute(query("trace.row", table=table.identifier, key=names, condition=condition))
    return next(iter(fetch_rows(cursor)), None)


def _canonical(cursor: Cursor, table: Table, keys: Sequence[list[str]]) -> list[str | None]:
    """Return keys as Postgres writes them, as JSON arrays; None for one that cannot be a key."""
    assert table.key is not None
    types = [table.by_name[name].type for name in table.key.columns]
    cells = [sql.SQL("(k.key ->> {})").format(sql.Literal(n)) for n in range(len(types))]
    valid = [
        sql.SQL("pg_input_is_valid({}, {})").format(cell, sql.Literal(type_))
        for cell, type_ in zip(cells, types, strict=True)
    ]
    values = [
        sql.SQL("{}::{}").format(cell, as_printed(type_))
        for cell, type_ in zip(cells, types, strict=True)
    ]
    cursor.execute(
        query(
            "trace.canonical",
            valid=sql.SQL(" and ").join(valid),
            values=sql.SQL(", ").join(values),
        ),
        {"keys": Json(list(keys))},
    )
    return [text for (text,) in cursor.fetchall()]


def _writers(cursor: Cursor, table: Table, xmin: str) -> list[Load]:
    """Return the loads of the transaction that wrote a row.

    xmin has 32 bits and recurs, so several transactions may match; the newest one is taken.
    """
    cursor.execute(query("trace.writers"), {"xmin": xmin, "table": table.full_name})
    found = fetch_rows(cursor)
    return [load for load in found if load["xid"] == found[0]["xid"]]


def _earlier(cursor: Cursor, table: Table, loads: list[Load], key: str) -> list[Load]:
    facts = {"load_ids": [load["id"] for load in loads], "table": table.full_name, "key": key}
    cursor.execute(query("trace.earlier"), facts)
    return fetch_rows(cursor)


def _held_by(cursor: Cursor, load: Load) -> list[str]:
    facts = {"table": load["table_name"], "xid": load["xid"], "finished_at": load["finished_at"]}
    cursor.execute(query("trace.held"), facts)
    return [name for (name,) in cursor.fetchall()]


def _origin(cursor: Cursor, table: Table, loads: list[Load], key: str, most: int | None) -> Origin:
    """Return the file and line of a row, found among the loads of one transaction."""
    found = [_origin_in(cursor, table, load, key, most) for load in loads]
    # Each chunk of a transaction was searched; the row is in one of them.
    origin = next((each for each in found if each.line is not None), found[0])
    if origin.load.get("number_recurred"):
        origin.note = "transaction IDs have wrapped around since, so the load is only likely"
    return origin


def _origin_in(cursor: Cursor, table: Table, load: Load, key: str, most: int | None) -> Origin:
    origin = Origin(load)
    if load["source"] == "api":
        origin.request, origin.caller = load["source_name"], load["actor"]
    if load["source"] == "retry":
        _find_retried(cursor, table, origin, key)
    if load["source"] == "file":
        origin.file = load["source_name"]
        where = position.read_position(cursor, load["source_name"])
        # To check the hash of the loaded part, all of it is read.
        if where and most is not None and where.loaded_bytes > most:
            return origin
        origin.line = _find_line(cursor, table, load, key)
        if origin.line is None:
            origin.note = (
                f"in lines {load['first_line']} to {load['last_line']} of the file as it was then"
            )
    return origin


def _find_retried(cursor: Cursor, table: Table, origin: Origin, key: str) -> None:
    cursor.execute(query("trace.retried"), {"load_id": origin.load["id"]})
    found = fetch_rows(cursor)
    keys = [_key_of(table, rejected["fields"]) or [] for rejected in found]
    for rejected, written in zip(found, _canonical(cursor, table, keys), strict=True):
        if written == key:
            origin.file, origin.line = rejected["source_name"], rejected["line"]
            origin.note = "it was in quarantine and was judged again"


def _find_line(cursor: Cursor, table: Table, load: Load, key: str) -> int | None:
    """Return the line with a key in the load's part of its file; None if it is not found."""
    try:
        found = [(at, _key_of(table, values) or []) for at, values in _lines(cursor, load)]
    except FileRefused:
        return None
    written = _canonical(cursor, table, [each for _, each in found])
    return next((at for (at, _), each in zip(found, written, strict=True) if each == key), None)


def _lines(cursor: Cursor, load: Load) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (line, column → text) from the load's part of its file.

    Raises FileRefused if the file has been replaced or its loaded part has changed.
    """
    where = position.read_position(cursor, load["source_name"])
    if where is None or where.version != load["version"] or where.dialect is None:
        raise FileChanged
    dialect = Dialect.from_json(where.dialect)
    path = settings().raw_data / load["source_name"]
    # The first pass checks the loaded part, the second reads from it: a text is only read forwards.
    with FileText(path) as text:
        if text.prefix(where.loaded_bytes).sha256 != where.prefix_sha256:
            raise FileChanged
    with FileText(path) as text:
        text.prefix(load["first_byte"])
        records = split_records(
            text.read(load["last_byte"] - load["first_byte"]), dialect, at_end=True
        )
    if (
        dialect.header == "" and load["first_byte"] <= dialect.start
    ):  # 0.1.0 loaded it with the rows
        records = records.without_headers(np.array([0]))
    for index in range(len(records)):
        if index not in records.refused:
            yield load["first_line"] + int(records.lines[index]), records.fields(index)


def _key_of(table: Table, values: dict[str, str]) -> list[str] | None:
    assert table.key is not None
    if not set(table.key.columns) <= set(values):
        return None
    return [values[name] for name in table.key.columns]


def name_of_file(path: str) -> str:
    """Return the name of a file, given a name or a path, as in ingest_status."""
    return discovery.open_raw_data().name(path)
