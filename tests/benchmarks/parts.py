"""A large file that is streamed against one whose parts several processes stage.

    .venv/bin/python -m tests.benchmarks.parts [ROWS] [PROCESSES] [PAIRS]

Builds its own rows (default: 2 million hires, 2 processes, 2 pairs), starts its own embedded
server, loads in turn (A B A B …), and prints the seconds of each step. Every load is checked by its
counts.
"""

import os
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg2

from rowboat import catalog, database, folder, ingest, migrations, ranges, server
from rowboat.database import transaction
from rowboat.load import Run
from rowboat.parts import Part
from rowboat.settings import settings
from tests.benchmarks.backups import run

FILE = "hired_employees.csv"
EMPTY = """
truncate hired_employees.hired_employees, ingest_status.ingest_status, ingest_status.loads,
    ingest_status.overwritten, ingest_status.rejected_rows cascade
"""
LYING = """
select sum(pg_total_relation_size(oid)) from pg_class
where relnamespace = 'rowboat_parts'::regnamespace and relkind = 'r'
"""


def main() -> None:
    """Compare in turn."""
    rows, processes, pairs = (
        int(sys.argv[n]) if len(sys.argv) > n else default
        for n, default in enumerate((2_000_000, 2, 2), 1)
    )
    with tempfile.TemporaryDirectory() as home:
        raw = Path(home) / "raw_data"
        write(raw, rows)
        os.environ |= {
            "ROWBOAT_HOME": home,
            "ROWBOAT_RAW_DATA": str(raw),
            "ROWBOAT_SETTLE": "0",
            "ROWBOAT_PART_BYTES": str((raw / FILE).stat().st_size // 8),
        }
        settings.cache_clear()
        embedded = server.EmbeddedServer(Path(home))
        embedded.acquire()
        os.environ["ROWBOAT_DATABASE_URL"] = embedded.uri("rowboat_loader")
        settings.cache_clear()
        try:
            with closing(database.connect(embedded.uri("rowboat_owner"))) as owner:
                migrations.migrate(owner)
            ingest.ingest([raw / "departments.csv", raw / "jobs.csv"], Run("benchmark"))
            with ProcessPoolExecutor(processes) as pool:
                compare(embedded, raw, rows, pool, pairs)
        finally:
            embedded.release()


def write(raw: Path, rows: int) -> None:
    """Write hires and their parents."""
    raw.mkdir()
    (raw / "departments.csv").write_text("".join(f"{n},Department {n}\n" for n in range(1, 13)))
    (raw / "jobs.csv").write_text("".join(f"{n},Job {n}\n" for n in range(1, 181)))
    with (raw / FILE).open("w") as file:
        for n in range(1, rows + 1):
            day = f"2021-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:48:42Z"
            file.write(f"{n},Name {n % 997},{day},{n % 12 + 1},{n % 180 + 1}\n")


def compare(
    embedded: server.EmbeddedServer, raw: Path, rows: int, pool: ProcessPoolExecutor, pairs: int
) -> None:
    """Print the seconds of both ways, and their ratio."""
    ratios, size = [], (raw / FILE).stat().st_size
    for _ in range(pairs):
        run(embedded, EMPTY)
        before = asked(embedded, "select pg_current_wal_lsn() - '0/0'")
        streamed = load(raw, rows)
        log = asked(embedded, "select pg_current_wal_lsn() - '0/0'") - before
        disk = asked(embedded, "select pg_total_relation_size('hired_employees.hired_employees')")
        run(embedded, EMPTY)
        begun = time.perf_counter()
        with database.session("loader") as connection:
            parts = ranges.divide(connection, found(FILE))
        cut = time.perf_counter()
        assert sum(pool.map(stage, [part.to_json() for part in parts])) == rows
        staged = time.perf_counter()
        lying = asked(embedded, LYING)
        merged = load(raw, rows)
        ratios.append(streamed / (time.perf_counter() - begun))
        print(
            f"streamed {streamed:.1f} s ({rows / streamed:,.0f} rows/s); {len(parts)} parts: "
            f"cut {cut - begun:.1f} s, staged {staged - cut:.1f} s, merged {merged:.1f} s "
            f"({rows / merged:,.0f} rows/s); bytes a row: file {size / rows:.0f}, table "
            f"{disk / rows:.0f}, parts {lying / rows:.0f}, write-ahead log {log / rows:.0f}"
        )
    least, greatest = min(ratios), max(ratios)
    print(f"streamed / in parts  {statistics.median(ratios):.2f} ({least:.2f} to {greatest:.2f})")


def asked(embedded: server.EmbeddedServer, statement: str) -> float:
    """Ask the server for a number."""
    with closing(psycopg2.connect(embedded.uri(server.SUPERUSER))) as connection:
        cursor = connection.cursor()
        cursor.execute(statement)
        return float(cursor.fetchall()[0][0])


def load(raw: Path, rows: int) -> float:
    """Load the file and return the seconds that it took."""
    begun = time.perf_counter()
    [report] = ingest.ingest([raw / FILE], Run("benchmark"))
    assert report.report.inserted == rows, report
    return time.perf_counter() - begun


def stage(part: dict[str, object]) -> int:
    """Stage a part in a process of its own; return its rows."""
    with database.session("loader") as connection:
        return ranges.stage_part(connection, found(FILE), Part.from_json(part)).staged


def found(name: str) -> folder.FoundFile:
    """Find a file of raw_data."""
    with database.session("loader") as connection, transaction(connection) as cursor:
        return folder.locate(settings().raw_data / name, catalog.read(cursor))


if __name__ == "__main__":
    main()
