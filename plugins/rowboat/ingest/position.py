"""The position of a file: how far it is loaded. All states of files are derived from it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from rowboat.address import Address
from rowboat.catalog.tables import Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.text import FileText
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.door.passage import Report
from rowboat.errors import Contended
from rowboat.storage.file_names import natural_key

NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # sha256 of no bytes


@dataclass(frozen=True)
class Position:
    """A row of ingest_status; bytes and lines are those of the text (see `csvfile.text`)."""

    id: int
    file_name: str
    table_name: str | None
    state: str
    file_size: int
    file_version: str
    version: int
    dialect: dict[str, Any] | None
    loaded_bytes: int
    pass_bytes: int
    loaded_lines: int
    prefix_sha256: str
    last_id: int | None
    read: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int
    discarded: int
    vanished: int
    error: str | None
    actor: str
    run: str | None
    first_seen_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    dictionary: str | None = None
    relation: int | None = None
    types: dict[str, str] | None = None
    unloaded_from: str | None = None

    @property
    def report(self) -> Report:
        """The counts of the file's current version."""
        return Report(self.read, self.inserted, self.updated, self.unchanged, self.rejected)

    @property
    def refused(self) -> int:
        """How many of its rejected rows have not been discarded."""
        return self.rejected - self.discarded

    @property
    def is_complete(self) -> bool:
        """Whether the file was loaded to its end or unloaded: only a change is to be loaded."""
        return self.state == "loaded" or self.unloaded_from is not None

    @property
    def state_if_unchanged(self) -> str:
        """The state that a run reports if there is nothing to load."""
        return "unchanged" if self.unloaded_from is None else "unloaded"

    def covers(self, table: str, size: int, version: str) -> bool:
        """Return whether a file of this size and version is in this table completely, or was
        unloaded.
        """
        same = (self.table_name, self.file_size, self.file_version) == (table, size, version)
        return self.state in ("loaded", "unloaded") and same


def all_positions(cursor: Cursor) -> dict[str, Position]:
    """Return the positions of all known files by file name, in natural order."""
    cursor.execute(query("position.all"))
    known = sorted(fetch_rows(cursor), key=lambda row: natural_key(row["file_name"]))
    return {row["file_name"]: Position(**row) for row in known}


def seen_versions(cursor: Cursor) -> dict[str, tuple[int, str]]:
    """Return (size, version) of all known files by name, whether or not they could be loaded."""
    cursor.execute(query("position.seen"))
    return {name: (size, version) for name, size, version in cursor.fetchall()}


def done_versions(cursor: Cursor) -> dict[str, tuple[str, int, str, str]]:
    """Return (table, size, version, state if unchanged) of loaded and unloaded files by name."""
    cursor.execute(query("position.done"))
    return {name: (*facts,) for name, *facts in cursor.fetchall()}


def read_position(cursor: Cursor, file_name: str) -> Position | None:
    """Return the position of a file, or None for a new one."""
    cursor.execute(query("position.read"), {"file_name": file_name})
    found = fetch_rows(cursor)
    return Position(**found[0]) if found else None


def begin_pass(
    cursor: Cursor,
    file_name: str,
    table: str,
    text: FileText,
    dialect: Dialect,
    who: dict[str, Any],
) -> Position:
    """Record that a pass begins, and return the position; a new file starts at its first byte."""
    facts = {
        "file_name": file_name,
        "table_name": table,
        "file_size": text.size,
        "file_version": text.version,
        "dialect": Json(dialect.to_json()),
    }
    return _one(cursor, "position.begin", facts | who)


def loaded_positions(cursor: Cursor, table: Table, sizes: list[int] | None) -> list[Position]:
    """Return the positions of files with rows that are loaded completely into a table, none if it
    is empty; of texts with one of these sizes in bytes, or with any.
    """
    statement = query("position.loaded_into", table=table.identifier)
    cursor.execute(statement, {"table_name": table.full_name, "sizes": sizes})
    return [Position(**row) for row in fetch_rows(cursor)]


def rename_file(cursor: Cursor, known: Position, name: str, size: int, version: str) -> None:
    """Give all that is recorded of a file to the name under which it is found now."""
    cursor.execute(query("position.rename"), _renamed(known, name, size, version))


def copy_position(
    cursor: Cursor, known: Position, name: str, size: int, version: str, who: dict[str, Any]
) -> None:
    """Record a copy of a loaded file: all of its rows were read and found unchanged."""
    cursor.execute(query("position.copy"), _renamed(known, name, size, version) | who)


def _renamed(known: Position, name: str, size: int, version: str) -> dict[str, Any]:
    facts = {"file_name": name, "file_size": size, "file_version": version}
    return vars(known) | facts | {"known": known.file_name, "dialect": Json(known.dialect)}


def restart_file(cursor: Cursor, file_name: str, dialect: Dialect) -> Position:
    """Set a file back to its first byte, as its next version.

    Rejects of its earlier versions are superseded.
    """
    facts = {"file_name": file_name, "nothing": NOTHING, "dialect": Json(dialect.to_json())}
    position = _one(cursor, "position.restart", facts)
    cursor.execute(
        query("quarantine.supersede"), {"source_name": file_name, "version": position.version}
    )
    return position


def take_back_last_line(
    cursor: Cursor, path: Address, table: Table, before: Position, only_refused: bool
) -> bool:
    """Undo the load of a file's unfinished last line; return whether that was possible.

    With `only_refused`, a newline followed it: then it goes on only if a quote in it was open.
    Such a line is loaded in a transaction of its own, so its row is the one with that transaction's
    ID. It cannot be taken back if it updated another row, or has been changed since.
    """
    place = {"file_name": before.file_name, "version": before.version}
    cursor.execute(query("position.last_load"), place | {"last_byte": before.loaded_bytes})
    loads = fetch_rows(cursor)
    if not loads or loads[0]["read"] != 1 or loads[0]["updated"]:
        return False
    if only_refused and not loads[0]["rejected"]:
        return False
    last = loads[0]
    if last["inserted"]:
        cursor.execute(query("position.delete_written", table=table.identifier), last)
        if cursor.rowcount != 1:
            return False
    with FileText(path) as text:
        prefix = text.prefix(last["first_byte"])
    cursor.execute(query("position.step_back"), place | last | {"prefix_sha256": prefix.sha256})
    return True


def lock_position(cursor: Cursor, position: Position) -> None:
    """Lock a position until the transaction ends; raises Contended if another loader moved it."""
    found = _one(cursor, "position.hold", {"file_name": position.file_name})
    if (found.loaded_bytes, found.version) != (position.loaded_bytes, position.version):
        raise _contended(position.file_name)


def move_position(
    cursor: Cursor, position: Position, to: dict[str, Any], report: dict[str, int]
) -> Position:
    """Move a position, in the transaction that writes the rows; return the new one.

    Raises Contended if another loader has moved it.
    """
    facts = {
        "file_name": position.file_name,
        "from_bytes": position.loaded_bytes,
        "version": position.version,
    }
    return _one(cursor, "position.move", facts | to | report)


def finish_pass(cursor: Cursor, file_name: str, text: FileText, vanished: int) -> Position:
    """Record that the pass has ended, with the size and version that the file was opened with."""
    facts = {
        "file_name": file_name,
        "file_size": text.size,
        "file_version": text.version,
        "vanished": vanished,
    }
    return _one(cursor, "position.finish", facts)


def transactions_of_pass(cursor: Cursor, position: Position) -> list[str]:
    """Return the transactions (xmin) in which the present pass over a file has written rows.

    A key that they wrote is a duplicate if it comes again; one from an earlier pass is corrected.
    """
    cursor.execute(query("position.transactions_of_pass"), vars(position))
    return [xid for (xid,) in cursor.fetchall()]


def transactions_of_versions(cursor: Cursor, file_name: str, first: int, last: int) -> list[str]:
    """Return the transactions (xmin) in which some versions of a file wrote rows."""
    facts = {"file_name": file_name, "first_version": first, "last_version": last}
    cursor.execute(query("position.transactions_of_versions"), facts)
    return [xid for (xid,) in cursor.fetchall()]


def _one(cursor: Cursor, statement: str, facts: dict[str, Any]) -> Position:
    cursor.execute(query(statement), facts)
    found = fetch_rows(cursor)
    if not found:
        raise _contended(facts["file_name"])
    return Position(**found[0])


def _contended(file_name: str) -> Contended:
    return Contended(f"{file_name} is being loaded by another process")
