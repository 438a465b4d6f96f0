"""What a pass over a file leaves to tell: why rows were refused, and which have vanished."""

import re
import secrets

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import Dialect
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.door.passage import Report
from rowboat.door.stage import same_key
from rowboat.errors import AllRefused, FileRefused, LimitExceeded
from rowboat.ingest import position
from rowboat.ingest.position import Position
from rowboat.settings import settings

MOST_VANISHED = 100  # keys that a report names
_SHAPE = re.compile(r".* × has (.*), e\.g\. in line .*")
_QUOTED = re.compile(r"('.*') ((?:is|has|does|holds) .*)", re.DOTALL)


def refused_rows(cursor: Cursor, file: Position) -> list[str]:
    """Return how often each kind of reason occurs among the refused rows of a file's version, the
    most frequent first, each with its first row: `1,982 × job_id is not an integer, e.g. '52.0' in
    line 3`.
    """
    cursor.execute(
        query("quarantine.kinds"), {"source_name": file.file_name, "version": file.version}
    )
    return [_kind(*each) for each in cursor.fetchall()]


def _kind(column: str | None, rows: int, line: int, message: str) -> str:
    quoted = _QUOTED.fullmatch(message)
    if column and quoted:  # the cell is an example, all else is what the rows have in common
        return f"{rows:,} × {column} {quoted[2]}, e.g. {quoted[1]} in line {line:,}"
    return f"{rows:,} × {message}, e.g. in line {line:,}"


def check_any_loaded(cursor: Cursor, file: Position | None) -> None:
    """Raise AllRefused if no row of a file could be loaded, unless some only wait for a parent or
    all have been discarded.
    """
    if file is None or not file.refused or file.rejected < file.read:
        return
    cursor.execute(
        query("quarantine.any_waiting"), {"source_name": file.file_name, "version": file.version}
    )
    if not fetch_one(cursor)[0]:
        kinds = refused_rows(cursor, file)
        rows = "its only row is" if file.read == 1 else f"all {file.read:,} rows are"
        shape = _SHAPE.fullmatch(kinds[0]) if len(kinds) == 1 and file.read > 1 else None
        if shape:
            raise AllRefused(f"all {file.read:,} rows have {shape[1]}")
        raise AllRefused(f"{rows} refused: {'; '.join(kinds[:3])}")


def check_limit(cursor: Cursor, file_name: str, total: Report) -> None:
    """Raise LimitExceeded if more rows were refused than ROWBOAT_REJECT_LIMIT allows."""
    if total.rejected > settings().allowed_rejects(total.read):
        cursor.execute(query("quarantine.example"), {"source_name": file_name})
        line, message = fetch_one(cursor)
        raise LimitExceeded(
            f"{total.rejected:,} of {total.read:,} rows are rejected, more than "
            f"ROWBOAT_REJECT_LIMIT ({settings().reject_limit}) allows; nothing was kept. The "
            f"first, in line {line}: {message}"
        )


def check_rewritable(cursor: Cursor, table: Table, dialect: Dialect, before: Position) -> None:
    """Raise FileRefused if rows cannot be told from those of the file's earlier version."""
    if table.key is not None and table.covers(table.key.columns, dialect.columns):
        return
    own = position.transactions_of_versions(cursor, before.file_name, 1, before.version)
    cursor.execute(query("position.any_left", table=table.identifier), {"own": own})
    # without a key only the rows of a copy are unchanged, which another file has written
    if fetch_one(cursor)[0] or before.unchanged:
        raise FileRefused(
            f"it was rewritten, and without a key no row of {table.full_name} can be "
            "told from its earlier version",
            "append new rows to the old file, or give the table and the file a key",
        )


def vanished_rows(cursor: Cursor, table: Table, file: Position) -> tuple[int, list[str]]:
    """Count the keys that only earlier versions of a file have, and return some of them."""
    assert table.key is not None
    place = {"table": table.identifier}
    differ: sql.Composable = sql.SQL("true")
    if serial := table.serial_key:
        differ = query("position.differ", column=sql.Identifier(serial), **place)
    cells = [sql.Identifier("t", name) for name in table.key.columns]
    statement = query(
        "position.vanished",
        key=sql.SQL(", ").join(cells),
        joined=same_key(table, cells),
        refused=sql.SQL(" and ").join(
            query("position.refused_key", column=sql.Identifier(name), field=sql.Literal(name))
            for name in table.key.columns
        ),
        differ=differ,
        **place,
    )
    facts = {
        "earlier": position.transactions_of_versions(cursor, file.file_name, 1, file.version - 1),
        # The statement compares sums of hashes; with a fixed seed a file could be made in which
        # vanished rows and others cancel out.
        "seed": secrets.randbits(63),
        "most": MOST_VANISHED,
        "file_name": file.file_name,
        "version": file.version,
    }
    cursor.execute(statement, facts)
    found = cursor.fetchall()
    return (found[0][1] if found else 0), [key for key, _ in found]
