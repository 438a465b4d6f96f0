"""A large file that is streamed against one whose parts several processes stage.

    .venv/bin/python -m tests.benchmarks.parts [ROWS] [PROCESSES] [PAIRS]

Loads in turn (A B A B …; default: 2 million hires, 2 processes, 2 pairs) and prints the seconds of
each step. Every load is checked by its counts.
"""

import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from rowboat.catalog import tables
from rowboat.database import connections
from rowboat.database.connections import Connection, transaction
from rowboat.ingest import discovery
from rowboat.ingest.large_files import split
from rowboat.ingest.large_files.parts import Part
from rowboat.settings import settings
from tests.benchmarks.places import TABLE, Place, hires, place

FILE = "hired_employees.csv"
LYING = """
select sum(pg_total_relation_size(oid)) from pg_class
where relnamespace = 'rowboat_parts'::regnamespace and relkind = 'r'
"""
LOG = "select pg_current_wal_lsn() - '0/0'"


def main() -> None:
    """Compare in turn."""
    rows, processes, pairs = (
        int(sys.argv[n]) if len(sys.argv) > n else default
        for n, default in enumerate((2_000_000, 2, 2), 1)
    )
    with place() as at:
        hires(at.raw / FILE, rows)
        os.environ["ROWBOAT_PART_BYTES"] = str((at.raw / FILE).stat().st_size // 8)
        settings.cache_clear()
        with ProcessPoolExecutor(processes) as pool:
            compare(at, rows, pool, pairs)


def compare(at: Place, rows: int, pool: ProcessPoolExecutor, pairs: int) -> None:
    """Print the seconds of both ways, and their ratio."""
    ratios, size = [], (at.raw / FILE).stat().st_size
    for _ in range(pairs):
        at.empty()
        before = asked(at, LOG)
        streamed = load(at, rows)
        log = asked(at, LOG) - before
        disk = asked(at, f"select pg_total_relation_size('{TABLE}')")
        at.empty()
        begun = time.perf_counter()
        with at.session() as connection:
            parts = split.divide_file(connection, found(connection))
        cut = time.perf_counter()
        assert sum(pool.map(stage, [part.to_json() for part in parts])) == rows
        staged = time.perf_counter()
        lying = asked(at, LYING)
        merged = load(at, rows)
        ratios.append(streamed / (time.perf_counter() - begun))
        print(
            f"streamed {streamed:.1f} s ({rows / streamed:,.0f} rows/s); {len(parts)} parts: "
            f"cut {cut - begun:.1f} s, staged {staged - cut:.1f} s, merged {merged:.1f} s "
            f"({rows / merged:,.0f} rows/s); bytes a row: file {size / rows:.0f}, table "
            f"{disk / rows:.0f}, parts {lying / rows:.0f}, write-ahead log {log / rows:.0f}"
        )
    least, greatest = min(ratios), max(ratios)
    print(f"streamed / in parts  {statistics.median(ratios):.2f} ({least:.2f} to {greatest:.2f})")


def asked(at: Place, statement: str) -> float:
    """Ask the server for a number."""
    return float(at.run(statement)[0][0])


def load(at: Place, rows: int) -> float:
    """Load the file and return the seconds that it took."""
    begun = time.perf_counter()
    at.load(at.raw / FILE, inserted=rows)
    return time.perf_counter() - begun


def stage(part: dict[str, object]) -> int:
    """Stage a part in a process of its own; return its rows."""
    with connections.session("loader") as connection:
        return split.stage_part(connection, found(connection), Part.from_json(part)).staged


def found(connection: Connection) -> discovery.FoundFile:
    """Find the file in raw_data."""
    with transaction(connection) as cursor:
        return discovery.locate_file(settings().raw_data / FILE, tables.read_catalog(cursor))


if __name__ == "__main__":
    main()
