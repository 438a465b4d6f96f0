"""The state of the system: tables, files with their positions, quarantine, newest backup."""

from dataclasses import asdict, dataclass
from typing import Any

from rowboat.catalog.sizes import count_rows
from rowboat.catalog.tables import read_catalog
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.ingest import file_states
from rowboat.ingest.changes.lost_rows import find_lost_rows
from rowboat.ingest.position import Position


@dataclass(frozen=True)
class TableStatus:
    """A table, its number of rows (exact or estimated), and its open rejected rows."""

    table: str
    rows: int
    exact: bool
    rejected: int


@dataclass(frozen=True)
class Status:
    """What `rowboat status` shows; `backup` is the newest set, its `age` in seconds.

    Files that are no longer in raw_data are not shown; their rows and loads can still be traced.
    `lost` is file → a sentence, if its table no longer holds what the file brought.
    """

    tables: list[TableStatus]
    files: list[Position]
    backup: dict[str, Any] | None
    lost: dict[str, str]

    def to_json(self) -> dict[str, Any]:
        """Return the status as one JSON document."""
        return asdict(self)


def read_status(cursor: Cursor) -> Status:
    """Read the state of all tables, files and the newest backup."""
    cursor.execute(query("status.quarantine"))
    rejected = {row["table_name"]: row["open"] for row in fetch_rows(cursor)}
    catalog = read_catalog(cursor)
    tables = [
        TableStatus(table.full_name, *count_rows(cursor, table), rejected.get(table.full_name, 0))
        for table in catalog.in_order()
    ]
    cursor.execute(query("status.newest_backup"))
    backup = next(iter(fetch_rows(cursor)), None)
    files, lost = file_states.present_positions(cursor), find_lost_rows(cursor, catalog)
    told = {each.file_name: str(lost[each.file_name]) for each in files if each.file_name in lost}
    return Status(tables, files, backup, told)
