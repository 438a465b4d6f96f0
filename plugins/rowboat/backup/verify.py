"""Verifies a set: reads every file, decodes every row, computes every digest again."""

import hashlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any

from rowboat.backup import sets, shelf
from rowboat.backup.avro.container import Reader
from rowboat.backup.avro.digests import Digest
from rowboat.backup.shelf import Copy
from rowboat.database.connections import Connection, fetch_rows, persistently, transaction
from rowboat.database.statements import query
from rowboat.errors import BackupRefused, UnknownSet

Progress = Callable[[str, int, int], None]


@dataclass
class CheckedTable:
    """What was found in one table's file; `findings` are sentences on what is wrong."""

    table: str
    rows: int = 0
    bytes: int = 0
    sha256: str | None = None
    digest: str | None = None
    findings: list[str] = field(default_factory=list)


@dataclass
class CheckedSet:
    """What was found in a set."""

    set: str
    tables: list[CheckedTable] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings

    def to_json(self) -> dict[str, Any]:
        """Return the findings as `rowboat verify --json` prints them."""
        tables = [asdict(each) | {"ok": not each.findings} for each in self.tables]
        return {"set": self.set, "ok": self.ok, "tables": tables, "findings": self.findings}


def verify_set(
    connection: Connection, name: str | None = None, progress: Progress = lambda *_: None
) -> CheckedSet:
    """Verify a set (default: the newest backup); record when, or that it is no longer whole.

    Raises UnknownSet.
    """
    name, record = persistently(partial(_look_up, connection, name))
    checked = CheckedSet(name)
    try:
        manifest = shelf.read_manifest(name)
    except (BackupRefused, UnknownSet) as error:
        checked.findings.append(error.fact)
    else:
        for copy in manifest.tables:
            table = check_copy(name, copy, progress)
            recorded = record.get(copy.table)
            if recorded and (recorded["sha256"], recorded["row_digest"]) != (
                copy.sha256, copy.digest,
            ):  # fmt: skip
                table.findings.append("the manifest is not that of the set that was recorded")
            checked.tables.append(table)
            checked.findings += [f"{copy.file}: {each}" for each in table.findings]
        if missing := set(record) - {copy.table for copy in manifest.tables}:
            checked.findings.append(f"the manifest lacks {', '.join(sorted(missing))}")
    recorded_rows = persistently(partial(_tell, connection, checked))
    if not checked.ok and not recorded_rows and name not in shelf.set_names():
        raise UnknownSet(f"the set {name} was removed while it was read")
    return checked


def _look_up(connection: Connection, name: str | None) -> tuple[str, dict[str, dict[str, Any]]]:
    """Return a set's name (default: that of the newest backup) and its record by table."""
    with transaction(connection) as cursor:
        sets.adopt_sets(cursor)
        backups = [each for each in sets.read_sets(cursor) if each.purpose == "backup"]
        if name is None and not backups:
            raise UnknownSet("there is no backup yet", "take one with `rowboat backup`")
        # Sets dated in the future are sorted first, so that [-1] is the newest real one.
        ordered = sorted(backups, key=lambda each: each.state != sets.FUTURE)
        found = sets.find_set(cursor, name or ordered[-1].name)
        cursor.execute(query("backup.recorded"))
        record = {
            row["table_name"]: row for row in fetch_rows(cursor) if row["set_name"] == found.name
        }
    return found.name, record


def _tell(connection: Connection, checked: CheckedSet) -> int:
    """Record what was found; return how many tables of the set are on record."""
    with transaction(connection) as cursor:
        cursor.execute(query("backup.verified"), {"set": checked.set, "ok": checked.ok})
        return int(cursor.rowcount)


def check_copy(name: str, copy: Copy, progress: Progress = lambda *_: None) -> CheckedTable:
    """Compare one file of a set with its entry in the manifest."""
    found = CheckedTable(copy.table)
    try:
        with shelf.open_set_file(name, copy.file) as file:
            found.bytes = file.size
            found.sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            digest = Digest()
            reader = Reader(file, found.bytes)
            schema = reader.schema(copy.table)
            for part in reader.rows(schema):
                digest.add(part.buffer, part.at, part.size)
                for column in schema.by_column:
                    part.cells(column)
                if digest.rows > copy.rows:
                    break
                progress(copy.table, digest.rows, copy.rows)
        found.rows, found.digest = digest.rows, str(digest)
    except OSError as error:
        found.findings.append(f"cannot be read: {error.strerror}")
        return found
    except BackupRefused as error:
        found.findings.append(error.fact)
    else:
        if schema.digest != copy.schema_hash or schema.json != copy.schema:
            found.findings.append("has another schema than its manifest says")
        if (found.rows, found.digest) != (copy.rows, copy.digest):
            found.findings.append(f"has {found.rows:,} rows, not the {copy.rows:,} it should have"
                                  if found.rows != copy.rows else "has other rows")  # fmt: skip
    if (found.bytes, found.sha256) != (copy.bytes, copy.sha256):
        found.findings.append("is not byte for byte the file that was written")
    return found
