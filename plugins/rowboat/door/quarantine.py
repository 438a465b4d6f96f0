"""Writes the quarantine: keeps refused rows, returns them as cargoes to be judged again, discards
them."""

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
    """Store every refused row of a cargo, whether or not it could be staged.

    `facts` are the load's id, table, source, source_name and version. If the cargo is from the
    quarantine, rows that are refused again stay there with their new reasons, and the others are
    settled.
    """
    fields = query(
        "quarantine.fields", cells=sql.SQL(", ").join(map(judged.columns.named_cell, cargo.columns))
    )
    # only the numbers of refused rows are fetched: the bytes of all others are never asked for
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
    """Return the next open rows of a table as a cargo to be judged again, or None at the end.

    Without `which` these are the rows whose only fault is a missing parent; with it, the chosen
    rows that could be split into cells. Returns the cargo, whose rows are from one source and have
    the same columns, with the name and version of that source. Locks the rows.
    """
    columns = tuple(column.name for column in table.stored)
    known = set(columns)
    values: dict[str, Any] = {
        "table": table.full_name,
        "after": after,
        "limit": limit,
        "columns": [*columns],
    }
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


def discard_rejects(
    cursor: Cursor, which: RejectFilter, actor: str, because: str
) -> dict[str, int]:
    """Settle chosen open rows as not wanted, for a reason that is not blank.

    They are kept, but no retry and no parent brings them back. Returns table → number of rows.
    """
    facts = which.values | {"actor": actor, "because": because}
    cursor.execute(query("quarantine.discard", which=query("quarantine.which")), facts)
    return dict(cursor.fetchall())


def cargo_of_rejected(columns: tuple[str, ...], refused: list[dict[str, Any]]) -> Cargo:
    """Return refused rows (id, line, raw, fields) as a cargo; rows that are let in are settled."""
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
    """Yield refused rows in COPY's text format: bytes in hexadecimal, backslashes doubled."""
    for n in refused:
        line, raw = origin(n - 1)
        again = cargo.rejected_ids[n - 1] if cargo.rejected_ids else r"\N"
        yield f"{n}\t{line}\t\\\\x{raw.hex()}\t\\N\t{again}\n"
    for each in cargo.refused:
        reasons = json.dumps([reason.to_json() for reason in each.reasons])
        escaped = reasons.replace("\\", "\\\\")
        yield f"\\N\t{each.line}\t\\\\x{each.raw.hex()}\t{escaped}\t\\N\n"


def _csv(table: list[list[str | None]]) -> bytes:
    """Return rows as CSV in which COPY can tell NULL (nothing) from empty text (quotes)."""
    return "".join(
        ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row) + "\n"
        for row in table
    ).encode()
