"""Where benchmarks work: a server and folders of their own, and rows that are always the same."""

import atexit
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2

from rowboat.catalog import migrations
from rowboat.database import connections
from rowboat.database.connections import Connection
from rowboat.database.embedded import SUPERUSER, EmbeddedServer, embedded_server, free_port
from rowboat.ingest.reports import Run
from rowboat.ingest.run import ingest_files
from rowboat.settings import settings

TABLE = "hired_employees.hired_employees"
DEPARTMENTS, JOBS = 12, 180
_EMPTY = f"truncate {TABLE}, ingest_status.ingest_status, ingest_status.loads, "
_EMPTY += "ingest_status.overwritten, ingest_status.rejected_rows cascade"
_FILL = f"""
insert into {TABLE} (id, employee_name, hired_date, department_id, job_id)
select n, 'Name' || n %% 5000 || ' Sur' || n %% 7777,
    timestamptz '2020-01-01' + (n * 7919 %% 94608000) * interval '1 second',
    1 + n * 31 %% {DEPARTMENTS}, 1 + n * 17 %% {JOBS}
from generate_series(1, %(rows)s::bigint) as n
"""


@dataclass(frozen=True)
class Place:
    """An embedded server with the schema, a folder of files to load, and one for others."""

    server: EmbeddedServer
    raw: Path
    folder: Path

    def run(self, statement: str, values: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement as the superuser, outside any transaction."""
        with closing(psycopg2.connect(self.server.uri(SUPERUSER))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []

    def session(self) -> AbstractContextManager[Connection]:
        """Open a connection of the loader."""
        return connections.session("loader")

    def empty(self) -> None:
        """Take out all hires and all that is known of files; what waits for the disk is written."""
        self.run(_EMPTY)
        self.run("checkpoint")

    def count(self) -> int:
        """Return the number of hires."""
        found: int = self.run(f"select count(*) from {TABLE}")[0][0]
        return found

    def fill(self, rows: int) -> None:
        """Put generated hires into the emptied table, by SQL."""
        self.empty()
        self.run("set session_replication_role = replica; " + _FILL, {"rows": rows})
        self.run(f"vacuum analyze {TABLE}")

    def load(self, file: Path, **wanted: int) -> None:
        """Load a file; what becomes of its rows must be as wanted."""
        [found] = ingest_files([file], Run("benchmark"))
        counts = {name: number for name, number in vars(found.report).items() if number}
        counts.pop("read")
        assert (found.state, counts) == ("loaded", wanted), found


@contextmanager
def place() -> Iterator[Place]:
    """Run an embedded server with departments and jobs until the end of the block."""
    with tempfile.TemporaryDirectory() as name:
        folder, raw = Path(name), Path(name) / "raw_data"
        raw.mkdir()
        os.environ |= {
            "ROWBOAT_HOME": f"{folder}/home",
            "ROWBOAT_BACKUPS": f"{folder}/shelf",
            "ROWBOAT_RAW_DATA": str(raw),
            "ROWBOAT_API_PORT": str(free_port()),
            "ROWBOAT_SETTLE": "0",
        }
        settings.cache_clear()
        embedded = embedded_server(settings().home)
        try:
            with closing(connections.connect(embedded.uri("rowboat_owner"))) as owner:
                migrations.migrate(owner)
            at = Place(embedded, raw, folder)
            for file, rows in parents(raw).items():
                at.load(file, inserted=rows)
            yield at
        finally:
            embedded.release()
            atexit.unregister(embedded.release)  # its folder goes now


def parents(raw: Path) -> dict[Path, int]:
    """Write departments and jobs; returns file → number of rows."""
    sizes = {raw / "departments.csv": DEPARTMENTS, raw / "jobs.csv": JOBS}
    for file, rows in sizes.items():
        file.write_text("".join(f"{n},{file.stem[:-1]} {n}\n" for n in range(1, rows + 1)))
    return sizes


def hires(file: Path, rows: int, first: int = 1, mode: str = "w") -> None:
    """Write hires with ids from `first` on."""
    with file.open(mode) as out:
        out.writelines(hire(n) for n in range(first, first + rows))


def hire(n: int) -> str:
    """Return a hire as a line of CSV."""
    day = f"2021-{n % 12 + 1:02}-{n % 28 + 1:02}T{n % 24:02}:{n % 60:02}:42Z"
    department, job = n * 31 % DEPARTMENTS + 1, n * 17 % JOBS + 1
    return f"{n},Name{n % 5000} Sur{n % 7777},{day},{department},{job}\n"
