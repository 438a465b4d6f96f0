"""Takes a backup: a set with an AVRO file for each table, all from one snapshot."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from functools import partial
from typing import Any

import numpy as np
from psycopg2 import sql

from rowboat import __version__
from rowboat.backup import copy_out, sets, shelf, verify
from rowboat.backup.avro.container import Writer
from rowboat.backup.avro.digests import Digest
from rowboat.backup.avro.schema import encode_columns, schema_of_table
from rowboat.backup.shelf import Copy, Manifest, Purpose
from rowboat.catalog.tables import Catalog, Table, read_catalog
from rowboat.database.columnar import Cells
from rowboat.database.connections import Connection, Cursor, fetch_one, persistently, transaction
from rowboat.database.statements import query
from rowboat.errors import BackupRefused
from rowboat.settings import settings
from rowboat.storage.interfaces import Aside, Sink

Progress = Callable[[str, int, int], None]


@dataclass
class Taken:
    """A set that was taken; `findings` say what is wrong with it, `suspicion` what may be."""

    set: str
    tables: list[Copy]
    suspicion: str | None = None
    findings: list[str] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        """The size of its files together."""
        return sum(copy.bytes for copy in self.tables)

    def to_json(self) -> dict[str, Any]:
        """Return the set as `rowboat backup --json` prints it."""
        names = ("table", "rows", "bytes", "sha256", "digest")
        return {
            "set": self.set,
            "tables": [{name: getattr(copy, name) for name in names} for copy in self.tables],
            "suspicion": self.suspicion,
            "findings": self.findings,
        }


def take_backup(
    connection: Connection,
    tables: Sequence[str] = (),
    pinned: bool = False,
    progress: Progress = lambda *_: None,
) -> Taken:
    """Back up the tables (default: all) as one set, then verify it.

    Raises UnknownTable, Unholdable, BackupRefused, ShelfUnusable; then no set has been created.
    """
    with sets.only_writer(connection):
        manifest = None
        while manifest is None:
            manifest = _take(connection, tables, pinned, progress)
        suspicion = persistently(partial(_record, connection, manifest, pinned))
    checked = verify.verify_set(connection, manifest.set, progress)
    return Taken(manifest.set, list(manifest.tables), suspicion, checked.findings)


def write_set(
    cursor: Cursor,
    catalog: Catalog,
    tables: Sequence[str],
    purpose: Purpose,
    progress: Progress,
    pinned: bool = False,
) -> Manifest:
    """Write a set of tables, as the transaction sees them, to the shelf; return its manifest.

    The caller must be the only writer of the shelf, and records the set.
    """
    cursor.execute(query("backup.moment"))
    snapshot, taken, server = fetch_one(cursor)
    name = shelf.new_set_name(taken.astimezone(UTC), sets.recorded_names(cursor))
    files = shelf.file_names(list(tables))
    codec = settings().backup_codec
    with shelf.set_in_progress(name) as where:
        copies = tuple(
            _write_table(cursor, catalog.by_name[table], where, files[table], name, progress)
            for table in tables
        )
        manifest = Manifest(
            name, purpose, taken.astimezone(UTC).isoformat(), snapshot, f"rowboat {__version__}",
            f"PostgreSQL {server}", codec, copies,
        )  # fmt: skip
        shelf.publish_set(where, manifest, pinned)
    return manifest


def digest_table(cursor: Cursor, table: Table) -> str:
    """Return the digest of a table's rows as the transaction sees them."""
    schema, found = schema_of_table(table), Digest()

    def take_columns(columns: list[Cells]) -> None:
        buffer, offsets = encode_columns(schema, columns)
        found.add(buffer, offsets[:-1], np.diff(offsets))

    copy_out.fetch_table(cursor, table, schema, take_columns)
    return str(found)


def _take(
    connection: Connection, tables: Sequence[str], pinned: bool, progress: Progress
) -> Manifest | None:
    """Lock the tables and write them; None if tables were created or dropped before the lock."""
    # In a transaction of its own: that of the backup begins with the lock, so that its snapshot is
    # taken when definitions can no longer change.
    with transaction(connection) as cursor:
        chosen = _chosen(read_catalog(cursor), tables)
    with transaction(connection) as cursor:
        held = sql.SQL(", ").join(table.identifier for table in chosen.values())
        cursor.execute(query("backup.hold", tables=held))
        catalog = read_catalog(cursor)  # again: it can no longer change
        if _chosen(catalog, tables).keys() != chosen.keys():
            return None
        return write_set(cursor, catalog, list(chosen), "backup", progress, pinned)


def _chosen(catalog: Catalog, tables: Sequence[str]) -> dict[str, Table]:
    found = [catalog.table(name) for name in tables] or list(catalog)
    if not found:
        raise BackupRefused("there are no tables to back up", "`rowboat migrate` creates them")
    chosen = {each.full_name: each for each in sorted(found, key=lambda each: each.full_name)}
    if lost := [each.full_name for each in found if chosen[each.full_name] != each]:
        raise BackupRefused(f"two tables are called {lost[0]}", "rename a schema or a table")
    return chosen


def _record(connection: Connection, manifest: Manifest, pinned: bool) -> str | None:
    with transaction(connection) as cursor:
        return sets.record_set(cursor, manifest, pinned)


def _write_table(
    cursor: Cursor, table: Table, where: Aside, file_name: str, name: str, progress: Progress
) -> Copy:
    schema = schema_of_table(table)
    identifier = table.identifier
    quoted = sql.Literal(identifier.as_string(cursor))
    cursor.execute(query("backup.hides_rows", table=quoted))
    if fetch_one(cursor)[0]:
        raise BackupRefused(
            f"{table.full_name} has row security: this role may not see every row",
            "give the role that takes backups BYPASSRLS, or switch row security off",
        )
    cursor.execute(query("backup.estimate", family=query("catalog.family", table=quoted)))
    expected: int = fetch_one(cursor)[0]
    with where.file(file_name) as file:
        sink = _Sink(file)
        names = {"table": table.full_name, "set": name}
        writer = Writer(schema, settings().backup_codec, names, sink.write)
        found = Digest()

        def take_columns(columns: list[Cells]) -> None:
            buffer, offsets = encode_columns(schema, columns)
            writer.write(buffer, offsets)
            found.add(buffer, offsets[:-1], np.diff(offsets))
            progress(table.full_name, found.rows, max(expected, found.rows))

        copy_out.fetch_table(cursor, table, schema, take_columns)
    last_id = None
    if table.serial_key:
        column = sql.Identifier(table.serial_key)
        cursor.execute(query("backup.last_id", column=column, table=identifier))
        last_id = fetch_one(cursor)[0]
    progress(table.full_name, found.rows, found.rows)
    return Copy(
        table.full_name, file_name, found.rows, sink.size, sink.sha256, str(found), last_id,
        schema.digest, schema.json,
    )  # fmt: skip


class _Sink:
    """A file that is hashed and measured while it is written."""

    def __init__(self, file: Sink) -> None:
        self._file, self._hash, self.size = file, hashlib.sha256(), 0

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    def write(self, content: bytes) -> None:
        self._hash.update(content)
        self._file.write(content)
        self.size += len(content)
