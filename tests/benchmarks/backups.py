"""Backup, verify, restore and drill against what Postgres itself and record by record offer."""

import subprocess

from rowboat.backup import verify
from rowboat.backup.recovery import drill, restore
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.backup.take import take_backup, write_set
from rowboat.catalog import tables
from rowboat.database import connections, embedded
from rowboat.database.connections import transaction
from tests.benchmarks import other_tools
from tests.benchmarks.compare import OURS, Ratio, Target, compare, timed
from tests.benchmarks.places import TABLE, Place


def backups(at: Place, rows: int) -> list[Ratio]:
    """Compare with a table of so many rows."""
    at.fill(rows)
    with at.session() as connection:
        return _compare(at, rows, connection)


def _compare(at: Place, rows: int, connection: connections.Connection) -> list[Ratio]:
    dump, address = at.folder / "dump", at.server.uri(embedded.SUPERUSER)

    def take() -> None:
        with transaction(connection) as cursor:
            write_set(cursor, tables.read_catalog(cursor), [TABLE], "backup", lambda *_: None)

    def copy_to() -> None:
        with transaction(connection) as cursor, (at.folder / "copy").open("wb") as file:
            cursor.copy_expert(f"copy {TABLE} to stdout", file)

    def pg_dump() -> None:
        tool("pg_dump", "-Fc", "--data-only", "-t", TABLE, "-f", str(dump), "-d", address)

    def records() -> float:
        return other_tools.backup(address, at.folder / "records.avro")

    found = compare(
        f"backup of {rows:,} rows",
        {
            OURS: timed(take),
            "`COPY TO`": timed(copy_to),
            "`pg_dump -Fc`": timed(pg_dump),
            "psycopg2 and fastavro, record by record": records,
        },
        {"`COPY TO`": Target(2, 1.3), "`pg_dump -Fc`": Target(0.6, 0.3)},
    )
    name = take_backup(connection, [TABLE]).set

    def check() -> None:
        assert verify.verify_set(connection, name).ok

    found += compare(
        f"verify of {rows:,} rows",
        {OURS: timed(check), "its backup": timed(take)},
        {"its backup": Target(1.5, 0.5)},
    )

    def put_back() -> None:
        order = RestoreOrder({TABLE: source_of_set(name, TABLE)}, "replace", "benchmark")
        done = restore.restore_tables(connection, order)
        assert (done.plan.tables[0].insert, done.plan.tables[0].rejected) == (rows, 0)

    def pg_restore() -> None:
        tool("pg_restore", "--data-only", "-d", address, str(dump))
        assert at.count() == rows

    def try_out() -> None:
        assert drill.run_drill(connection, "benchmark", name).ok

    return found + compare(
        f"restore of {rows:,} rows",
        {
            OURS: timed(put_back, at.empty),
            "`pg_restore --data-only`": timed(pg_restore, at.empty),
            "its drill": timed(try_out),
        },
        {"`pg_restore --data-only`": Target(0.6, 0.3)},
        {"`pg_restore --data-only`": "parents, one by one"},
    )


def tool(name: str, *arguments: str) -> None:
    """Run one of Postgres's own tools."""
    subprocess.run([embedded.BINARIES / name, *arguments], check=True, capture_output=True)
