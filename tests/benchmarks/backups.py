"""Backup, verify and restore against what Postgres itself offers, side by side in one run.

    .venv/bin/python -m tests.benchmarks.backups [ROWS]

Builds its own rows (default: 2 million hires), starts its own embedded server, runs every
comparison in turn (A B A B …), and prints medians of ratios with their least and greatest. A
benchmark that computes something wrong fails; none fails by time.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2

from rowboat import backup, catalog, database, drill, migrations, restore, server, verify
from rowboat.database import Connection, transaction
from rowboat.settings import settings
from rowboat.source import of_set

TABLE = "hired_employees.hired_employees"
PAIRS = 3
FILL = f"""
insert into hired_employees.departments (id, department) select n, 'Department ' || n
from generate_series(1, 12) as n on conflict do nothing;
insert into hired_employees.jobs (id, job) select n, 'Job ' || n
from generate_series(1, 180) as n on conflict do nothing;
insert into {TABLE} (id, employee_name, hired_date, department_id, job_id)
select n, 'Name' || n %% 5000 || ' Sur' || n %% 7777,
    timestamptz '2020-01-01' + (n * 7919 %% 94608000) * interval '1 second',
    1 + n * 31 %% 12, 1 + n * 17 %% 180
from generate_series(1, %(rows)s::bigint) as n;
"""
Work = Callable[[], Any]


def main() -> None:
    """Compare, then measure memory in processes of their own."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    with tempfile.TemporaryDirectory() as folder:
        os.environ |= {"ROWBOAT_HOME": folder + "/home", "ROWBOAT_BACKUPS": folder + "/shelf"}
        settings.cache_clear()
        embedded = server.EmbeddedServer(settings().home)
        embedded.acquire()
        try:
            with closing(database.connect(embedded.uri("rowboat_owner"))) as owner:
                migrations.migrate(owner)
            fill(embedded, rows)
            compare(embedded, rows, Path(folder))
            memory(embedded, rows)
        finally:
            embedded.release()


def compare(embedded: server.EmbeddedServer, rows: int, folder: Path) -> None:
    """Print ratios of this project over the others."""
    connection = database.connect(embedded.uri("rowboat_loader"))
    dump = folder / "dump"
    print(f"{rows:,} rows; this project over the other: median (least to greatest)")

    def take() -> None:
        with transaction(connection) as cursor:
            backup.write(cursor, catalog.read(cursor), [TABLE], "backup", lambda *_: None)

    def copy_to() -> None:
        with transaction(connection) as cursor, (folder / "copy").open("wb") as file:
            cursor.copy_expert(f"copy {TABLE} to stdout", file)

    def pg_dump() -> None:
        tool(embedded, "pg_dump", "-Fc", "--data-only", "-t", TABLE, "-f", str(dump))

    ratio("backup / COPY TO", take, copy_to)
    ratio("backup / pg_dump -Fc", take, pg_dump)
    name = backup.take(connection, [TABLE]).set

    def check() -> None:
        assert verify.verify(connection, name).ok

    ratio("verify / backup", check, take)

    def empty() -> None:
        run(embedded, f"truncate {TABLE}")

    def restore_set() -> None:
        order = restore.Order({TABLE: of_set(name, TABLE)}, "replace", "benchmark")
        done = restore.restore(connection, order)
        assert (done.plan.tables[0].insert, done.plan.tables[0].rejected) == (rows, 0)

    def pg_restore() -> None:
        tool(embedded, "pg_restore", "--data-only", "-d", embedded.uri(server.SUPERUSER), str(dump))

    ratio("restore / pg_restore --data-only", restore_set, pg_restore, empty)
    ratio("drill / restore", lambda: drill.drill(connection, "benchmark", name), restore_set, empty)
    connection.close()


def ratio(name: str, ours: Work, theirs: Work, before: Work = lambda: None) -> None:
    """Time two pieces of work in turn and print how they compare."""
    pairs = []
    for _ in range(PAIRS):
        pairs.append((timed(ours, before), timed(theirs, before)))
        print(f"    {name}: {pairs[-1][0]:.2f} s / {pairs[-1][1]:.2f} s", flush=True)
    ratios = sorted(mine / other for mine, other in pairs)
    median = statistics.median(ratios)
    print(f"{name:34} {median:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})", flush=True)


def timed(work: Work, before: Work) -> float:
    """Return the seconds that a piece of work takes."""
    before()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def memory(embedded: server.EmbeddedServer, rows: int) -> None:
    """Print the peak memory of a backup with its verify, and of a restore, as the table grows."""
    for size in (rows // 4, rows * 5 // 2):
        run(embedded, f"truncate {TABLE}")
        fill(embedded, size)
        for work in ("take", "put_back"):
            found = subprocess.run(
                [sys.executable, "-c", f"from tests.benchmarks.backups import {work}; {work}()"],
                capture_output=True, text=True, check=True, env=os.environ,
            )  # fmt: skip
            peak = json.loads(found.stdout.splitlines()[-1])
            print(f"{work:9} {size:>10,} rows: peak {peak:.0f} MiB", flush=True)


def take() -> None:
    """Take a set in this process and print its peak memory."""
    with database.session("loader") as connection:
        assert not backup.take(connection, [TABLE]).findings
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def put_back() -> None:
    """Restore the newest set into the changed table and print the peak memory."""
    with database.session("loader") as connection:
        name = newest(connection)
        run(server.EmbeddedServer(settings().home), f"delete from {TABLE} where id %% 3 = 0")
        order = restore.Order({TABLE: of_set(name, TABLE)}, "replace", "benchmark")
        restore.restore(connection, order)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def newest(connection: Connection) -> str:
    """Return the newest set."""
    from rowboat import sets

    with transaction(connection) as cursor:
        return sets.newest(cursor, [TABLE]).name


def fill(embedded: server.EmbeddedServer, rows: int) -> None:
    """Insert generated hires."""
    run(embedded, FILL, {"rows": rows}, replica=True)
    run(embedded, f"vacuum analyze {TABLE}")


def run(
    embedded: server.EmbeddedServer, statement: str, values: Any = None, replica: bool = False
) -> None:
    """Run a statement as the superuser, outside any transaction."""
    connection = psycopg2.connect(embedded.uri(server.SUPERUSER))
    connection.autocommit = True
    with connection.cursor() as cursor:
        if replica:
            cursor.execute("set session_replication_role = replica")
        cursor.execute(statement, values or {})
    connection.close()


def tool(embedded: server.EmbeddedServer, name: str, *arguments: str) -> None:
    """Run one of Postgres's own tools as the superuser."""
    address = [] if "-d" in arguments else ["-d", embedded.uri(server.SUPERUSER)]
    subprocess.run([server.BINARIES / name, *address, *arguments], check=True, capture_output=True)


if __name__ == "__main__":
    main()
