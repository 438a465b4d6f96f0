"""The state of everything: tables, files and positions, quarantine, newest backup."""

from dataclasses import asdict, dataclass
from typing import Any

from psycopg2 import sql

from rowboat.catalog import tables as catalogs
from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, one, rows
from rowboat.database.statements import query
from rowboat.ingest import position
from rowboat.ingest.position import Position

EXACT_UP_TO = 1_000_000  # rows; above it counting costs more than the answer is worth


@dataclass(frozen=True)
class TableStatus:
    """A table with its number of rows (exact or estimated) and of open refused rows."""

    table: str
    rows: int
    exact: bool
    rejected: int


@dataclass(frozen=True)
class Status:
    """What `rowboat status` shows; `backup` is the newest set with its age in seconds."""

    tables: list[TableStatus]
    files: list[Position]
    backup: dict[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """Return it as one JSON document."""
        return asdict(self)


def read(cursor: Cursor) -> Status:
    """Read the state of everything."""
    cursor.execute(query("status.quarantine"))
    rejected = {row["table_name"]: row["open"] for row in rows(cursor)}
    tables = [
        TableStatus(table.full_name, *count(cursor, table), rejected.get(table.full_name, 0))
        for table in catalogs.read(cursor).in_order()
    ]
    cursor.execute(query("status.newest_backup"))
    backup = next(iter(rows(cursor)), None)
    return Status(tables, list(position.all_positions(cursor).values()), backup)


def count(cursor: Cursor, table: Table, exact_up_to: int = EXACT_UP_TO) -> tuple[int, bool]:
    """Return about how many rows a table has, exactly where they are few, and which of both."""
    about = estimate(cursor, table)
    if about > exact_up_to:
        return about, False
    cursor.execute(query("status.count", table=table.identifier))
    return one(cursor)[0], True


def estimate(cursor: Cursor, table: Table) -> int:
    """Return about how many rows a table has; -1 where Postgres does not know yet."""
    name = sql.Literal(table.identifier.as_string(cursor))
    cursor.execute(query("status.estimate", table=name))
    found: int = one(cursor)[0]
    return found
