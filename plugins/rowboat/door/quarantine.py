"""Keeps refused rows: original bytes and every reason; judges them again when it may help."""

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import takewhile
from typing import Any

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.door.context import Judged
from rowboat.door.rejected_rows import RejectFilter
from rowboat.door.stage import Cargo


def keep_rejected(cursor: Cursor, cargo: Cargo, judged: Judged, facts: dict[str, Any]) -> None:
    """Store every refused row of a cargo, those on the stage and those that could not be staged.

    `facts` are the load's id, table, source, source_name and version. Rows that come from the
    quarantine stay there with their reasons of today; the others of such a cargo are settled.
    """
    fields = query(
        "quarantine.fields", cells=sql.SQL(", ").join(map(judged.columns.named_cell, cargo.columns))
    )
    if cargo.origin is None:
        cursor.execute(query("quarantine.fill_from_stage", fields=fields))
    else:
        cursor.execute(query("judge.refused"))
        lines = _lines(cargo, [n for (n,) in cursor.fetchall()], cargo.origin)
        cursor.copy_expert(query("quarantine.fill"), io.StringIO("".join(lines)))
    if cargo.rejected_ids is not None:
        cursor.execute(query("quarantine.again"))
        settled = {"load_id": facts["load_id"], "ids": cargo.rejected_ids}
        cursor.execute(query("quarantine.settle"), settled)
        cursor.execute(query("quarantine.count_back"), settled)
        return
    cursor.execute(query("quarantine.keep", fields=fields), facts)


def waiting_rows(
    cursor: Cursor, table: Table, which: RejectFilter | None, after: int, limit: int
) -> tuple[Cargo, dict[str, Any]] | None:
    """Return the next open rows of a table as a cargo to judge again, or None at the end.

    Those whose only fault is a missing parent; with `which`, those chosen that could be split. A
    cargo comes from one source, whose name and version are returned with it.
    """
    columns = tuple(column.name for column in table.stored)
    known = set(columns)
    values: dict[str, Any] = {"table": table.full_name, "after": after, "limit": limit}
    statement = query("quarantine.waiting")
    if which is not None:
        statement = query("quarantine.open", which=query("quarantine.which"))
        values |= replace(which, tables=[table.full_name]).values
    cursor.execute(statement, values)
    found = fetch_rows(cursor)
    if not found:
        return None
    present = tuple(name for name in columns if name in found[0]["fields"])
    source = {name: found[0][name] for name in ("source_name", "version")}

    def belongs(row: dict[str, Any]) -> bool:
        return known & set(row["fields"]) == set(present) and source.items() <= row.items()

    return cargo_of_rejected(present, list(takewhile(belongs, found))), source


def cargo_of_rejected(columns: tuple[str, ...], refused: list[dict[str, Any]]) -> Cargo:
    """Return refused rows (id, line, raw, fields) as a cargo that settles those that go in."""
    csv = _csv([[row["fields"][name] for name in columns] for row in refused])
    return Cargo(
        columns=columns,
        content=lambda: io.BytesIO(csv),
        staged=len(refused),
        delimiter=",",
        origin=lambda n: (refused[n]["line"], bytes(refused[n]["raw"])),
        rejected_ids=[row["id"] for row in refused],
    )


def _lines(
    cargo: Cargo, refused: list[int], origin: Callable[[int], tuple[int, bytes]]
) -> Iterator[str]:
    """Write refused rows in COPY's text format (bytes as hexadecimal, backslash doubled)."""
    for n in refused:
        line, raw = origin(n - 1)
        again = cargo.rejected_ids[n - 1] if cargo.rejected_ids else r"\N"
        yield f"{n}\t{line}\t\\\\x{raw.hex()}\t\\N\t{again}\n"
    for each in cargo.refused:
        reasons = json.dumps([reason.to_json() for reason in each.reasons])
        escaped = reasons.replace("\\", "\\\\")
        yield f"\\N\t{each.line}\t\\\\x{each.raw.hex()}\t{escaped}\t\\N\n"


def _csv(table: list[list[str | None]]) -> bytes:
    """Write rows so that NULL and the empty text stay apart, as COPY reads them."""
    return "".join(
        ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) + "\n"
        for row in table
    ).encode()
