"""Where a row came from and what became of a line, at no cost per row.

Postgres stamps every row version with the transaction that wrote it (xmin), and each load keeps
its transaction's number. A chunk of the file is read again only when somebody asks.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from psycopg2 import sql

from rowboat import position
from rowboat.catalog import INTEGERS, Catalog, Table
from rowboat.database import Cursor, rows
from rowboat.dialect import Dialect
from rowboat.errors import FileRefused, UnknownRow
from rowboat.queries import query
from rowboat.records import cut
from rowboat.settings import settings
from rowboat.text import Text


@dataclass
class Origin:
    """A load that wrote a row: `line` is known where the file is still as it was loaded."""

    load: dict[str, Any]
    file: str | None = None
    line: int | None = None
    note: str | None = None


@dataclass
class RowTrace:
    """A row as it stands, the load that wrote it, and the earlier ones that are known."""

    table: str
    key: list[str]
    fields: dict[str, Any]
    writer: Origin | None
    earlier: list[Origin]


@dataclass
class LineTrace:
    """What became of a line: `state` is one of the sentences below, `row` the row it speaks of."""

    file: str
    line: int
    state: str
    reasons: list[dict[str, Any]]
    load: dict[str, Any] | None = None
    table: str | None = None
    key: list[str] | None = None


IS_ROW = "is the row as it stands"
WAS_ROW = "was the row until another load changed it"
EQUALLED = "equalled a row that was already there"
GONE = "was loaded; the row has been deleted since"
QUARANTINED = "is in quarantine"
SETTLED = "was in quarantine and was loaded later"
NOT_READ = "has not been read yet"
EMPTY = "holds no row: it is blank, a header, or the inner line of a quoted field"


def row(cursor: Cursor, table: Table, key: list[str]) -> RowTrace:
    """Trace the row with a key (one text for each key column).

    Raises UnknownRow where there is none.
    """
    names = table.key.columns if table.key else ()
    if len(key) != len(names):
        raise UnknownRow(
            f"the key of {table.full_name} is ({', '.join(names)}): {len(key)} values were given",
            "separate the values of a key by commas",
        )
    found = _row(cursor, table, key)
    if found is None:
        raise UnknownRow(f"{table.full_name} has no row with {_shown(names, key)}")
    load = _writer(cursor, table, found["xmin"])
    writer = _origin(cursor, table, load, key) if load else None
    earlier = []
    if load:
        facts = {"load_id": load["id"], "table": table.full_name, "key": _key_text(table, found)}
        cursor.execute(query("trace.earlier"), facts)
        earlier = [_origin(cursor, table, each, key) for each in rows(cursor)]
    return RowTrace(table.full_name, key, found["fields"], writer, earlier)


def line(cursor: Cursor, catalog: Catalog, file_name: str, number: int) -> LineTrace:
    """Trace a line (from 1) of a file; raises FileRefused where the file is not known."""
    where = position.read(cursor, file_name)
    if where is None:
        raise FileRefused(f"{file_name} is not known", "`rowboat status` lists the files")
    facts = {"file_name": file_name, "line": number}
    if number > where.loaded_lines:
        return LineTrace(file_name, number, NOT_READ, [])
    cursor.execute(query("trace.rejected_line"), facts)
    rejected = next(iter(rows(cursor)), None)
    if rejected and rejected["settled_as"] != "superseded":
        state = SETTLED if rejected["settled_as"] == "loaded" else QUARANTINED
        return LineTrace(file_name, number, state, rejected["reasons"])
    cursor.execute(query("trace.load_of_line"), facts)
    load = next(iter(rows(cursor)), None)
    if load is None:
        return LineTrace(file_name, number, EMPTY, [])
    return _loaded_line(cursor, catalog.table(load["table_name"]), load, number)


def _loaded_line(cursor: Cursor, table: Table, load: dict[str, Any], number: int) -> LineTrace:
    """Tell whether the row of a line that was loaded still stands as it wrote it."""
    trace = LineTrace(load["source_name"], number, EMPTY, [], load, table.full_name)
    for at, values in _lines(cursor, load):
        if at == number:
            trace.key = _key_of(table, values)
    if trace.key is None:
        return trace
    found = _row(cursor, table, trace.key)
    if found is None:
        trace.state = GONE
        return trace
    writer = _writer(cursor, table, found["xmin"])
    if writer and writer["id"] == load["id"]:
        trace.state = IS_ROW
    elif writer and _wrote_before(cursor, table, writer, load, found):
        trace.state = WAS_ROW
    else:
        trace.state = EQUALLED if load["unchanged"] else WAS_ROW
    return trace


def _wrote_before(
    cursor: Cursor,
    table: Table,
    writer: dict[str, Any],
    load: dict[str, Any],
    found: dict[str, Any],
) -> bool:
    facts = {"load_id": writer["id"], "table": table.full_name, "key": _key_text(table, found)}
    cursor.execute(query("trace.earlier"), facts)
    return load["id"] in {each["id"] for each in rows(cursor)}


def _row(cursor: Cursor, table: Table, key: list[str]) -> dict[str, Any] | None:
    assert table.key is not None
    condition = sql.SQL(" and ").join(
        sql.SQL("t.{}::text = {}").format(sql.Identifier(name), sql.Literal(value))
        for name, value in zip(table.key.columns, key, strict=True)
    )
    cursor.execute(query("trace.row", table=table.identifier, key=condition))
    return next(iter(rows(cursor)), None)


def _writer(cursor: Cursor, table: Table, xmin: str) -> dict[str, Any] | None:
    cursor.execute(query("trace.writers"), {"xmin": xmin, "table": table.full_name})
    return next(iter(rows(cursor)), None)


def _origin(cursor: Cursor, table: Table, load: dict[str, Any], key: list[str]) -> Origin:
    """Find the file and line behind a load's row."""
    origin = Origin(load)
    if load.get("number_recurred"):
        origin.note = "transaction numbers have recurred since; the load is the likely one"
    if load["source"] == "retry":
        _find_retried(cursor, table, origin, key)
    if load["source"] == "file":
        origin.file = load["source_name"]
        origin.line = _find_line(cursor, table, load, key)
        if origin.line is None:
            origin.note = (
                f"in lines {load['first_line']} to {load['last_line']} of the file as it was then"
            )
    return origin


def _find_retried(cursor: Cursor, table: Table, origin: Origin, key: list[str]) -> None:
    assert table.key is not None
    condition = sql.SQL(" and ").join(
        sql.SQL("q.fields ->> {} = {}").format(sql.Literal(name), sql.Literal(value))
        for name, value in zip(table.key.columns, key, strict=True)
    )
    cursor.execute(query("trace.retried", key=condition), {"load_id": origin.load["id"]})
    for rejected in rows(cursor):
        origin.file, origin.line = rejected["source_name"], rejected["line"]
        origin.note = "it waited in quarantine and was judged again"


def _find_line(cursor: Cursor, table: Table, load: dict[str, Any], key: list[str]) -> int | None:
    """Return the line of a load's part of the file that has a key."""
    wanted = [_plain(table, name, text) for name, text in _named(table, key).items()]
    try:
        return next(
            (at for at, values in _lines(cursor, load) if _key_of(table, values) == wanted), None
        )
    except FileRefused:
        return None


def _lines(cursor: Cursor, load: dict[str, Any]) -> Iterator[tuple[int, dict[str, str]]]:
    """Read a load's part of its file again, as (line, column → text).

    Nothing comes where the file is another version now, or no longer what was loaded.
    """
    where = position.read(cursor, load["source_name"])
    if where is None or where.version != load["version"] or where.dialect is None:
        return
    dialect = Dialect.from_json(where.dialect)
    with Text(settings().raw_data / load["source_name"]) as text:
        whole = text.prefix(where.loaded_bytes)
    if whole.sha256 != where.prefix_sha256:
        return
    with Text(settings().raw_data / load["source_name"]) as text:
        start = max(load["first_byte"], dialect.start)
        text.prefix(start)
        records = cut(text.read(load["last_byte"] - start), dialect, at_end=True)
    if dialect.header and load["first_byte"] == 0:
        records = records.without_first()
    for index in range(len(records)):
        if index not in records.refused:
            values = records.fields(index)
            yield load["first_line"] + int(records.lines[index]), values


def _key_of(table: Table, values: dict[str, str]) -> list[str] | None:
    assert table.key is not None
    if not set(table.key.columns) <= set(values):
        return None
    return [_plain(table, name, values[name]) for name in table.key.columns]


def _plain(table: Table, name: str, text: str) -> str:
    """Write an integer as Postgres does, so that 007 finds 7."""
    digits = text.removeprefix("-").isdecimal()
    return str(int(text)) if table.by_name[name].base in INTEGERS and digits else text


def _named(table: Table, key: list[str]) -> dict[str, str]:
    assert table.key is not None
    return dict(zip(table.key.columns, key, strict=True))


def _key_text(table: Table, found: dict[str, Any]) -> str:
    """Write a key as `overwritten` keeps it: the text of a JSON array, as Postgres writes one."""
    assert table.key is not None
    return json.dumps([found["fields"][name] for name in table.key.columns], ensure_ascii=False)


def _shown(names: tuple[str, ...], key: list[str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names, key, strict=True))


def file_name(path: str) -> str:
    """Return a file's name as ingest_status has it, for a name or a path."""
    absolute = Path(path).absolute()
    folder = settings().raw_data.absolute()
    if absolute.is_relative_to(folder):
        return str(absolute.relative_to(folder))
    return path if (folder / path).exists() or not absolute.exists() else str(absolute)
