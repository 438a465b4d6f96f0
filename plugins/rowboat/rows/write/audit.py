"""Writes the audit: who changed which rows, in the same transaction as the change."""

from typing import Literal, TypeAlias

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.door.context import Judged

Action: TypeAlias = Literal["insert", "update", "upsert", "delete"]


def record_change(
    cursor: Cursor,
    actor: str,
    request: str,
    action: Action,
    table: Table | str,
    before: str | sql.Composable = "[]",
    after: str | sql.Composable = "[]",
) -> None:
    """Record that a request changed rows of a table (or of the table with a full name).

    `before` and `after` are JSON arrays of those rows, as text, or as SQL that makes one.
    """
    facts = {
        "actor": actor,
        "request": request,
        "action": action,
        "table": table if isinstance(table, str) else table.full_name,
    }
    arrays = {
        name: each if isinstance(each, sql.Composable) else sql.Literal(each)
        for name, each in (("before", before), ("after", after))
    }
    cursor.execute(query("audit.record", **arrays), facts)


def rows_before(cursor: Cursor, judged: Judged) -> str:
    """Return the rows that the merge will update, as a JSON array; call it before the merge."""
    cursor.execute(query("audit.before", table=judged.terms.table.identifier))
    found: str = fetch_one(cursor)[0]
    return found


def rows_after(judged: Judged) -> sql.Composable:
    """SQL: the rows that were inserted or updated, as a JSON array.

    The rows are read back from the table by their key if triggers or defaults may have changed
    them. A table without a key can only be recorded as staged.
    """
    table, columns = judged.terms.table, judged.columns
    # If all columns are staged and no trigger can change them, the table need not be read again.
    is_seen = not table.has_triggers and all(each.name in columns.names for each in table.columns)
    if table.key and columns.cover(table.key.columns) and not is_seen:
        theirs = [sql.Identifier("r", name) for name in table.key.columns]
        joined = columns.joined(table.key.columns, theirs)
        beside = query("audit.as_kept", table=table.identifier, joined=joined)
    else:
        names = [each.name for each in table.stored if columns.cover((each.name,))]
        values = [sql.SQL("{} as {}").format(columns.value(n), sql.Identifier(n)) for n in names]
        beside = query("audit.as_staged", values=sql.SQL(", ").join(values))
    # With `refuse`, a staged row whose key the table has got a verdict, so all good ones were new.
    written: sql.Composable = sql.SQL("true")
    if judged.terms.on_known != "refuse":
        written = query("audit.written", updates=sql.Literal(judged.terms.on_known == "update"))
    return query("audit.after", beside=beside, good=judged.good, written=written)
