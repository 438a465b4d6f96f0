"""The sets of the shelf together with their record in backup_status.

The shelf says which sets there are, the record what is known of them. A set that is on the shelf
but not on record (a killed backup's, or that of a database that is gone) is taken on record again.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rowboat import shelf
from rowboat.catalog import Catalog
from rowboat.database import Connection, Cursor, rows, transaction
from rowboat.errors import BackupRefused, UnknownSet
from rowboat.queries import query
from rowboat.settings import settings
from rowboat.shelf import Manifest


@dataclass
class Set:
    """One set: `tables` is table → number of rows; `state` tells what is wrong with it, if any."""

    name: str
    taken_at: datetime
    purpose: str = "backup"
    tables: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    verified_at: datetime | None = None
    drilled_at: datetime | None = None
    pinned: bool = False
    suspicion: str | None = None
    state: str = "whole"

    @property
    def counts(self) -> bool:
        """Tell whether other sets may expire because this one is there."""
        return (
            self.purpose == "backup"
            and self.state == "whole"
            and self.verified_at is not None
            and self.suspicion is None
        )


@contextmanager
def writing(connection: Connection) -> Iterator[None]:
    """Be the only writer of the shelf; what killed writers left is put in order first."""
    with transaction(connection) as cursor:
        cursor.execute(query("backup.lock_shelf"))
    try:
        shelf.clean()
        with transaction(connection) as cursor:
            adopt(cursor)
        yield
    finally:
        if not connection.closed:
            with transaction(connection) as cursor:
                cursor.execute(query("backup.unlock_shelf"))


def adopt(cursor: Cursor) -> None:
    """Take on record what is on the shelf without one; a damaged set stays unrecorded."""
    known = {row["set_name"] for row in _recorded(cursor)}
    for name in shelf.names():
        if name not in known:
            try:
                record(cursor, shelf.read(name), pinned=False)
            except BackupRefused:
                continue


def record(cursor: Cursor, manifest: Manifest, pinned: bool) -> str | None:
    """Take a set on record; return why it is suspicious, where it is."""
    suspicions = _suspicions(cursor, manifest)
    for copy in manifest.tables:
        facts = vars(copy) | {name: getattr(manifest, name)
                              for name in ("set", "snapshot", "taken_at", "purpose")}  # fmt: skip
        facts |= {"pinned": pinned, "suspicion": suspicions.get(copy.table)}
        facts.pop("schema")
        cursor.execute(query("backup.record"), facts)
    return "; ".join(dict.fromkeys(suspicions.values())) or None


def read(cursor: Cursor) -> list[Set]:
    """Return all sets, oldest first: those on the shelf, and those that should be."""
    found: dict[str, Set] = {}
    on_shelf = set(shelf.names())
    for row in _recorded(cursor):
        name = row["set_name"]
        each = found.setdefault(name, Set(name, row["taken_at"], row["purpose"]))
        each.tables[row["table_name"]] = row["number_rows"]
        each.bytes += row["bytes"]
        each.pinned |= row["pinned"]
        each.suspicion = each.suspicion or row["suspicion"]
        each.verified_at, each.drilled_at = row["verified_at"], row["drilled_at"]
        if name not in on_shelf:
            each.state = "missing"
    for name in on_shelf - set(found):
        found[name] = _unrecorded(name)
    return sorted(found.values(), key=lambda each: (each.taken_at, each.name))


def newest(cursor: Cursor, tables: Sequence[str] = ()) -> Set:
    """Return the newest verified backup that has the tables; raises UnknownSet."""
    for each in reversed(read(cursor)):
        if each.counts and set(tables) <= set(each.tables):
            return each
    of = f" of {', '.join(tables)}" if tables else ""
    raise UnknownSet(
        f"there is no verified backup{of}",
        "take one with `rowboat backup`, or prove one that is there with `rowboat verify SET`",
    )


def newest_whole(cursor: Cursor, catalog: Catalog) -> Set:
    """Return the newest verified backup of every table that has ever been backed up.

    Raises UnknownSet.
    """
    backed_up = {table for each in read(cursor) if each.counts for table in each.tables}
    return newest(cursor, sorted(backed_up & set(catalog.by_name)))


def named(cursor: Cursor, name: str) -> Set:
    """Return a set by its name; raises UnknownSet."""
    for each in read(cursor):
        if each.name == name:
            return each
    raise UnknownSet(f"there is no set {name} in {shelf.folder()}")


def pin(cursor: Cursor, name: str, pinned: bool) -> None:
    """Keep a set whatever its age, or let it go when its time comes; raises UnknownSet."""
    adopt(cursor)
    cursor.execute(query("backup.pin"), {"set": name, "pinned": pinned})
    if not cursor.rowcount:
        raise UnknownSet(f"there is no set {name} in {shelf.folder()}")


def _recorded(cursor: Cursor) -> list[dict[str, Any]]:
    cursor.execute(query("backup.recorded"))
    return rows(cursor)


def _unrecorded(name: str) -> Set:
    try:
        manifest = shelf.read(name)
    except BackupRefused:
        taken = datetime.fromtimestamp(shelf.path(name).stat().st_mtime).astimezone()
        return Set(name, taken, state="damaged")
    copies = {copy.table: copy.rows for copy in manifest.tables}
    size = sum(copy.bytes for copy in manifest.tables)
    return Set(name, manifest.taken, manifest.purpose, copies, size)


def _suspicions(cursor: Cursor, manifest: Manifest) -> dict[str, str]:
    """Tell which tables look wrong: all empty, or many rows fewer than in the backup before."""
    if manifest.purpose != "backup":
        return {}
    if not any(copy.rows for copy in manifest.tables):
        return {copy.table: "it holds no rows" for copy in manifest.tables}
    tables = [copy.table for copy in manifest.tables]
    cursor.execute(query("backup.earlier_rows"), {"tables": tables, "set": manifest.set})
    before = {row["table_name"]: row["number_rows"] for row in rows(cursor)}
    share = settings().suspicious_loss / 100
    return {
        copy.table: f"{copy.table} has {copy.rows:,} rows, the last backup {before[copy.table]:,}"
        for copy in manifest.tables
        if before.get(copy.table, 0) - copy.rows > share * before.get(copy.table, 0)
    }
