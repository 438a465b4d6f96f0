"""Notices that a table has other columns or rules now, and judges refused rows of its files again.

A position remembers the fingerprint of the table by which the rows of its file were judged. If that
was not recorded yet, as in version 0.1.0, nothing counts as changed, and the present one is
remembered at the first look.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from psycopg2.extras import Json

from rowboat.address import Address
from rowboat.catalog.tables import Catalog, Table, read_catalog
from rowboat.csvfile.dialect import Dialect, count
from rowboat.csvfile.recognise import recognise_dialect, sample_of
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import split_records
from rowboat.csvfile.text import FileText, detect_encoding
from rowboat.database.connections import Cursor, Steps, fetch_rows
from rowboat.database.statements import query
from rowboat.door.rejected_rows import RejectFilter
from rowboat.errors import FileRefused
from rowboat.ingest import position, rejudge
from rowboat.ingest.position import Position
from rowboat.ingest.reports import Run
from rowboat.settings import settings

AT_ONCE = 1_000  # rows cut again in one transaction


def changed_files(cursor: Cursor, catalog: Catalog | None = None) -> dict[str, int]:
    """Return the files of which rows, or which as a whole, were refused by other columns or rules
    than their table has now, and the number of refused rows of each.

    The catalog is read if it is needed and was not given.
    """
    cursor.execute(query("dictionary.judged"))
    if not (found := cursor.fetchall()):
        return {}
    by_name = (catalog or read_catalog(cursor)).by_name
    return {
        name: rejected
        for name, table, known, rejected in found
        if table in by_name and known != by_name[table].fingerprint
    }


def remember_unknown(cursor: Cursor, catalog: Catalog) -> None:
    """Record the present dictionary for files of which it is not known by what they were judged."""
    cursor.execute(query("dictionary.unknown"))
    tables = [catalog.by_name[name] for (name,) in cursor.fetchall() if name in catalog.by_name]
    if tables:
        facts = {
            "names": [each.full_name for each in tables],
            "oids": [each.oid for each in tables],
            "dictionaries": [each.fingerprint for each in tables],
        }
        cursor.execute(query("dictionary.remember_unknown"), facts)


def remember(cursor: Cursor, file_name: str, table: Table, columns: Iterable[str] = ()) -> None:
    """Record that the rows of a file have been judged by the table as it is now; of a file that is
    being begun, also the types of its columns.
    """
    facts = {
        "file_name": file_name,
        "dictionary": table.fingerprint,
        "oid": table.oid,
        "types": Json({name: table.by_name[name].type for name in columns}),
    }
    cursor.execute(query("dictionary.remember"), facts)


def is_read_otherwise(path: Address, before: Position | None, catalog: Catalog) -> bool:
    """Return whether a file of which no row went in would be read in another way now, as the table
    has changed: by another delimiter, or with other columns. Raises FileRefused.
    """
    table = _changed_table(before, catalog)
    if before is None or table is None or not before.read or before.rejected < before.read:
        return False
    with FileText(path) as text:
        sample, is_whole = sample_of(text.peek, settings().record_bytes)
        try:
            found = recognise_dialect(sample, table, is_whole, text.name, catalog)
        except FileRefused:
            return True
    return before.dialect is None or found != Dialect.from_json(before.dialect)


def judge_again(steps: Steps, catalog: Catalog, before: Position, run: Run) -> str | None:
    """Judge the refused rows of a file again if its table has changed since they were judged.

    Returns a sentence about them, or None if there are none.
    """
    table, note = _changed_table(before, catalog), None
    if table is None:
        return None
    if before.rejected:
        _cut_again(steps, table, before)
        which = RejectFilter(source_name=before.file_name)
        report = rejudge.rejudge_rows(steps, catalog, table, run.actor, run.run, which)
        if report.inserted:
            rejudge.rejudge_children(steps, catalog, table, run.actor, run.run)
        with steps() as cursor:
            cursor.execute(query("dictionary.set_right"), {"file_name": before.file_name})
            after = position.read_position(cursor, before.file_name)
        assert after is not None
        note = (
            f"the dictionary of {table.full_name} has changed since: "
            f"{before.rejected - after.rejected:,} of {count(before.rejected, 'refused row')} "
            "went in"
        )
    with steps() as cursor:
        remember(cursor, before.file_name, table)
    return note


def _changed_table(before: Position | None, catalog: Catalog) -> Table | None:
    """Return the table of a file if it has changed since the rows of the file were judged, unless
    these were taken out.
    """
    if before is None or before.dictionary is None or before.table_name is None:
        return None
    if before.unloaded_from is not None:
        return None
    table = catalog.by_name.get(before.table_name)
    return table if table and table.fingerprint != before.dictionary else None


def _cut_again(steps: Steps, table: Table, file: Position) -> None:
    """Cut refused rows into cells that were not kept as such, so that they can be judged.

    Those that still cannot be cut keep their place, with what is wrong with them now.
    """
    if file.dialect is None:
        return
    known = Dialect.from_json(file.dialect)
    dialects = _dialects(known, table)
    facts = {
        "file_name": file.file_name,
        "version": file.version,
        "all": dialects != [known],
        "after": 0,
        "limit": AT_ONCE,
    }
    while True:
        with steps() as cursor:
            cursor.execute(query("dictionary.uncut"), facts)
            found = fetch_rows(cursor)
            changed = [each for row in found if (each := _cut(row, dialects))]
            cursor.execute(query("dictionary.keep_cut"), {"rows": json.dumps(changed)})
        if len(found) < AT_ONCE:
            return
        facts["after"] = found[-1]["id"]


def _dialects(known: Dialect, table: Table) -> list[Dialect]:
    """Return the ways to cut a row: that in which its file was read, and, as columns without a
    header are known by their positions, the one of the table as it is now.
    """
    found = [known] if known.header is not None or known.has_columns_of(table) else []
    if known.header is None:
        positions = tuple(each.name for each in table.settable)
        left_out = tuple(name for name in known.fields[-1:] if name is None)
        found.append(replace(known, fields=positions + left_out))
    return list(dict.fromkeys(found))


def _cut(row: dict[str, Any], dialects: Sequence[Dialect]) -> dict[str, Any] | None:
    """Return what has changed of a row: its cells, or the reasons why it cannot be cut."""
    reasons = row["reasons"]
    for dialect in dialects:
        try:
            records = _records(bytes(row["raw"]), dialect)
        except FileRefused:
            continue
        if len(records) == 1 and not records.refused:
            return {"id": row["id"], "fields": records.cells(0)}
        reasons = [each.to_json() for each in records.refused.get(0, ())] or reasons
    return {"id": row["id"], "reasons": reasons} if reasons != row["reasons"] else None


def _records(raw: bytes, dialect: Dialect) -> Records:
    """Return the records in the original bytes of a row."""
    encoding = "utf-8" if len(raw) % 2 else detect_encoding(raw)
    if encoding != "utf-8":
        raw = raw.decode(encoding, "surrogatepass").encode("utf-8", "surrogatepass")
    return split_records(raw, dialect, at_end=True)
