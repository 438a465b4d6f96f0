"""The safety copy: a set of the rows that a restore may change, taken and verified before it."""

from collections.abc import Collection, Sequence

from rowboat.backup import sets, shelf, verify
from rowboat.backup.avro.schema import schema_of_table
from rowboat.backup.take import digest_table, write_set
from rowboat.backup.verify import Progress
from rowboat.catalog.tables import Catalog
from rowboat.database.connections import Connection, Cursor, fetch_one, transaction
from rowboat.database.statements import query
from rowboat.errors import BackupRefused, UnknownSet


def tables_touched(catalog: Catalog, tables: Collection[str], cascade: bool) -> list[str]:
    """Return the tables that a restore may change: with `cascade`, also those below them."""
    found = dict.fromkeys(tables)
    waiting = [catalog.by_name[name] for name in tables] if cascade else []
    while waiting:
        for child in catalog.children(waiting.pop()):
            if child.full_name not in found:
                found[child.full_name] = None
                waiting.append(child)
    return sorted(found)


def lock_tables(cursor: Cursor, catalog: Catalog, tables: Collection[str]) -> None:
    """Lock the tables, and those that they refer to, against other writers."""
    # This must be the first statement of the transaction: its snapshot is taken with the next one,
    # and has to contain what other writers committed before the locks were granted. All writers
    # lock in the same order, parents first, so that they cannot deadlock.
    parents = {
        key.parent: key.parent_identifier
        for name in tables
        for key in catalog.by_name[name].foreign_keys
    }
    inside = [table.full_name for table in catalog.in_order()]
    outside = sorted(set(parents) - set(inside))
    for name in [*outside, *inside]:
        if name in tables:
            cursor.execute(query("restore.lock", table=catalog.by_name[name].identifier))
        elif name in parents:
            cursor.execute(query("restore.lock_parent", table=parents[name]))


def take_safety_copy(
    cursor: Cursor, catalog: Catalog, tables: Sequence[str], progress: Progress
) -> str:
    """Write, verify and record a set of the tables; return its name.

    Raises BackupRefused if it cannot be read back.
    """
    manifest = write_set(cursor, catalog, tables, "safety", progress)
    if findings := _findings(manifest.set):
        shelf.remove_set(manifest.set)
        raise BackupRefused(f"the safety copy cannot be read back: {findings[0]}")
    sets.record_set(cursor, manifest, pinned=False)
    cursor.execute(query("backup.verified"), {"set": manifest.set, "ok": True})
    return manifest.set


def still_holds(cursor: Cursor, catalog: Catalog, name: str, tables: Sequence[str]) -> bool:
    """Return whether an earlier safety copy is whole, and the tables still equal it."""
    try:
        copies = {copy.table: copy for copy in shelf.read_manifest(name).tables}
    except (UnknownSet, BackupRefused):
        return False
    return (
        set(copies) == set(tables)
        and not _findings(name)
        and all(
            copies[table].schema_hash == schema_of_table(catalog.by_name[table]).digest
            and copies[table].digest == digest_table(cursor, catalog.by_name[table])
            for table in tables
        )
    )


def drop_unused(connection: Connection, name: str) -> None:
    """Remove a safety copy from the shelf if it is certain that no restore needs it."""
    if connection.closed or name not in shelf.set_names():
        return
    with transaction(connection) as cursor:
        cursor.execute(query("restore.is_safety_set"), {"set": name})
        needed = fetch_one(cursor)[0]
    if not needed:
        shelf.remove_set(name)


def _findings(name: str) -> list[str]:
    found = (verify.check_copy(name, copy).findings for copy in shelf.read_manifest(name).tables)
    return [each for findings in found for each in findings]
