"""The SQL that the door runs for a table: recorded while the door itself builds it, not run.

The example is a file that has all columns a source may give, all cells as text. Some of its rows
are refused, some have keys that the table has, some are new: that needs every statement.
"""

from io import BytesIO

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Connection
from rowboat.database.recording import Answers, Recorded, RecordingCursor
from rowboat.door.context import Judged
from rowboat.door.merge import may_skip_triggers, skip_triggers
from rowboat.door.passage import Passage, examine, let_in, open_door
from rowboat.door.stage import Cargo

ROWS, _REFUSED, _DIFFERENT, _UNCHANGED = 100_000, 1, 2, 1
_NEW = ROWS - _REFUSED - _DIFFERENT - _UNCHANGED
_ANSWERS: Answers = {
    "stage.is_built": [(False,)],
    "stage.count_refused": [(_REFUSED,)],
    "match.greatest": [(ROWS,)],
    "match.keys_range": [(1, ROWS, ROWS, [2])],  # least, greatest, greatest known, repeated rows
    "merge.matched": [(_DIFFERENT, _UNCHANGED)],
    "merge.at_once": [(_DIFFERENT, _NEW)],
    "merge.greatest": [(ROWS,)],
    "merge.last_value": [(0,)],
    "door.record": [(1, "1")],  # the load and its transaction
}
_ROW_COUNTS = {
    "merge.displace": 0,
    "merge.update": _DIFFERENT,
    "merge.insert": _NEW,
    "restore.dependents": 0,
}
_RUN = ("merge.may_skip_triggers", "restore.references")


def recording_cursor(connection: Connection) -> RecordingCursor:
    """Return a cursor that answers as a database would to the example, and runs nothing but
    questions about the catalog.
    """
    return RecordingCursor.of(connection, ROWS, _ANSWERS, _ROW_COUNTS, _RUN)


def judge_statements(connection: Connection, catalog: Catalog, table: Table) -> list[Recorded]:
    """Return what is run to lock the parents of a table, stage rows and judge them."""
    cursor = recording_cursor(connection)
    if may_skip_triggers(cursor, catalog, table):
        skip_triggers(cursor, table)
    _examine(cursor, table)
    return cursor.recorded


def merge_statements(connection: Connection, _: Catalog, table: Table) -> list[Recorded]:
    """Return what is run once rows are judged: to merge and count them, and quarantine the rest."""
    cursor = recording_cursor(connection)
    judged = _examine(cursor, table)
    cursor.recorded.clear()
    let_in(cursor, _cargo(table), judged, _passage())
    return cursor.recorded


def _examine(cursor: RecordingCursor, table: Table) -> Judged:
    cargo = _cargo(table)
    open_door(cursor, table, cargo.columns)
    return examine(cursor, table, cargo, _passage())


def _cargo(table: Table) -> Cargo:
    columns = tuple(column.name for column in table.settable)
    return Cargo(columns, BytesIO, ROWS, delimiter=",", origin=lambda _: (1, b""))


def _passage() -> Passage:
    return Passage("file", "example.csv", "example", version=1)
