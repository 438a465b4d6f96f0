"""The sets on the shelf, together with their records in backup_status.

The shelf determines which sets exist, the records what is known about them. A set on the shelf
without a record (of a backup that was killed, or of a lost database) is recorded again. A set
dated in the future, because a clock was wrong, neither counts nor expires until that time.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from rowboat.backup import shelf
from rowboat.backup.shelf import Manifest
from rowboat.catalog.tables import Catalog
from rowboat.database.connections import Connection, Cursor, fetch_one, fetch_rows, transaction
from rowboat.database.statements import query
from rowboat.errors import BackupRefused, UnknownSet
from rowboat.settings import settings

FUTURE = "dated in the future"
_SLACK = timedelta(days=1)  # for clocks and time zones that are only a little wrong


@dataclass
class Set:
    """One set: `tables` is table → number of rows.

    `state` is whole, missing, damaged, unreadable (for now) or dated in the future.
    """

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
        """Whether other sets may expire because this one exists."""
        return (
            self.purpose == "backup"
            and self.state == "whole"
            and self.verified_at is not None
            and self.suspicion is None
        )


@contextmanager
def only_writer(connection: Connection) -> Iterator[None]:
    """Be the only writer of the shelf; first clean up what killed writers have left."""
    # The lock belongs to the session, not to a transaction, because the block commits several.
    with transaction(connection) as cursor:
        cursor.execute(query("backup.lock_shelf"))
    try:
        shelf.clean_shelf()
        with transaction(connection) as cursor:
            adopt_sets(cursor)
        yield
    finally:
        if not connection.closed:
            with transaction(connection) as cursor:
                cursor.execute(query("backup.unlock_shelf"))


def adopt_sets(cursor: Cursor) -> None:
    """Record the sets on the shelf that have no record, except damaged ones.

    Does nothing while another session writes: it will record its newest set itself.
    """
    cursor.execute(query("backup.try_lock_shelf"))
    if not fetch_one(cursor)[0]:
        return
    known = recorded_names(cursor)
    for name in shelf.set_names():
        if name not in known:
            try:
                record_set(cursor, shelf.read_manifest(name), shelf.is_pinned(name))
            except (BackupRefused, UnknownSet):
                continue


def record_set(cursor: Cursor, manifest: Manifest, pinned: bool) -> str | None:
    """Record a set; return why it is suspicious, or None if it is not."""
    suspicions = _suspicions(cursor, manifest)
    for copy in manifest.tables:
        facts = vars(copy) | {name: getattr(manifest, name)
                              for name in ("set", "snapshot", "taken_at", "purpose")}  # fmt: skip
        facts |= {"pinned": pinned, "suspicion": suspicions.get(copy.table)}
        facts.pop("schema")
        cursor.execute(query("backup.record"), facts)
    return "; ".join(dict.fromkeys(suspicions.values())) or None


def read_sets(cursor: Cursor) -> list[Set]:
    """Return all sets, oldest first: those on the shelf, and those that are only on record.

    The files of a whole set exist and have the right sizes; only `verify` reads them.
    """
    found: dict[str, Set] = {}
    sums: dict[str, dict[str, str]] = {}
    for row in _recorded(cursor):
        name = row["set_name"]
        each = found.setdefault(name, Set(name, row["taken_at"], row["purpose"]))
        each.tables[row["table_name"]] = row["number_rows"]
        each.bytes += row["bytes"]
        each.pinned |= row["pinned"]
        each.suspicion = each.suspicion or row["suspicion"]
        each.verified_at, each.drilled_at = row["verified_at"], row["drilled_at"]
        sums.setdefault(name, {})[row["table_name"]] = row["sha256"]
    on_shelf = set(shelf.set_names())
    for name, each in found.items():
        each.state = _state(name, sums[name]) if name in on_shelf else "missing"
    for name in on_shelf - set(found):
        if unrecorded := _unrecorded(name):
            found[name] = unrecorded
    for each in found.values():
        if each.state == "whole" and each.taken_at > datetime.now(UTC) + _SLACK:
            each.state = FUTURE
    return sorted(found.values(), key=lambda each: (each.taken_at, each.name))


def recorded_names(cursor: Cursor) -> set[str]:
    """Return the names of the recorded sets."""
    return {row["set_name"] for row in _recorded(cursor)}


def newest_set(cursor: Cursor, tables: Sequence[str] = ()) -> Set:
    """Return the newest verified backup that has the tables; raises UnknownSet."""
    for each in reversed(read_sets(cursor)):
        if each.counts and set(tables) <= set(each.tables):
            return each
    of = f" of {', '.join(tables)}" if tables else ""
    raise UnknownSet(
        f"there is no verified backup{of}",
        "take one with `rowboat backup`, or verify an existing one with `rowboat verify SET`",
    )


def newest_whole(cursor: Cursor, catalog: Catalog) -> Set:
    """Return the newest verified backup of every table that has ever been backed up.

    Raises UnknownSet.
    """
    backed_up = {table for each in read_sets(cursor) if each.counts for table in each.tables}
    return newest_set(cursor, sorted(backed_up & set(catalog.by_name)))


def find_set(cursor: Cursor, name: str) -> Set:
    """Return a set by its name; raises UnknownSet."""
    for each in read_sets(cursor):
        if each.name == name:
            return each
    raise UnknownSet(f"there is no set {name} in {shelf.shelf_folder()}")


def files_of_set(cursor: Cursor, name: str) -> list[dict[str, Any]]:
    """Return a set's files from its record, or from its manifest if it has no record.

    Raises UnknownSet, BackupRefused.
    """
    recorded = [row for row in _recorded(cursor) if row["set_name"] == name]
    return [
        {
            "table": row["table_name"],
            "file": row["file_name"],
            "rows": row["number_rows"],
            "bytes": row["bytes"],
            "sha256": row["sha256"],
            "digest": row["row_digest"],
        }
        for row in recorded
    ] or [vars(copy) for copy in shelf.read_manifest(name).tables]


def pin_set(cursor: Cursor, name: str, pinned: bool) -> None:
    """Pin a set, so that it never expires, or unpin it; raises UnknownSet.

    It is also marked on the shelf, so that the pin is not lost if the record is.
    """
    find_set(cursor, name)
    cursor.execute(query("backup.pin"), {"set": name, "pinned": pinned})
    if name in shelf.set_names():
        shelf.mark_pinned(name, pinned)


def _recorded(cursor: Cursor) -> list[dict[str, Any]]:
    cursor.execute(query("backup.recorded"))
    return fetch_rows(cursor)


def _unrecorded(name: str) -> Set | None:
    """Return a set from its manifest, or None if it is being removed."""
    try:
        manifest = shelf.read_manifest(name)
    except BackupRefused:
        with suppress(OSError):
            return Set(name, shelf.written_at(name), pinned=shelf.is_pinned(name), state="damaged")
        return None
    except UnknownSet:
        return None
    copies = {copy.table: copy.rows for copy in manifest.tables}
    state = _state(name, {copy.table: copy.sha256 for copy in manifest.tables})
    size = sum(copy.bytes for copy in manifest.tables)
    pinned = shelf.is_pinned(name)
    return Set(name, manifest.taken, manifest.purpose, copies, size, pinned=pinned, state=state)


def _state(name: str, sums: dict[str, str]) -> str:
    """Return the state of a set on the shelf, as far as it can be known without reading files."""
    try:
        manifest = shelf.read_manifest(name)
        sizes = shelf.file_sizes(name, [copy.file for copy in manifest.tables])
    except UnknownSet:
        return "missing"
    except (BackupRefused, FileNotFoundError) as error:
        return "unreadable" if isinstance(error.__cause__, OSError) else "damaged"
    except OSError:
        return "unreadable"
    same = sums.items() <= {copy.table: copy.sha256 for copy in manifest.tables}.items()
    whole = same and sizes == {copy.file: copy.bytes for copy in manifest.tables}
    return "whole" if whole else "damaged"


def _suspicions(cursor: Cursor, manifest: Manifest) -> dict[str, str]:
    """Return table → why it is suspicious: all are empty, or it lost many rows since the last."""
    if manifest.purpose != "backup":
        return {}
    if not any(copy.rows for copy in manifest.tables):
        return {copy.table: "it holds no rows" for copy in manifest.tables}
    tables = [copy.table for copy in manifest.tables]
    moment = {"set": manifest.set, "taken_at": manifest.taken_at}
    cursor.execute(query("backup.earlier_rows"), {"tables": tables, **moment})
    before = {row["table_name"]: row["number_rows"] for row in fetch_rows(cursor)}
    percent = settings().suspicious_loss
    return {
        copy.table: f"{copy.table} has {copy.rows:,} rows, the last backup {before[copy.table]:,}"
        for copy in manifest.tables
        if 100 * (before.get(copy.table, 0) - copy.rows) > percent * before.get(copy.table, 0)
    }
