"""Real Postgres for every test: one embedded server, a database of its own cloned per test."""

import gc
import os
import shutil
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg2
import pytest
from psycopg2 import sql
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

from rowboat.catalog import migrations, tables
from rowboat.database import connections
from rowboat.database.connections import Connection, Role
from rowboat.database.credentials import read_credential
from rowboat.database.embedded import ROLES, SUPERUSER, EmbeddedServer
from rowboat.ingest.reports import FileReport, Run
from rowboat.ingest.run import ingest_files
from rowboat.settings import settings
from tests.support.postgres import of_tests as postgres_of_tests

ROOT = Path(__file__).resolve().parents[1]
ACCEPTANCE = "tests/acceptance/"
OWN_SYSTEM = "tests/acceptance/test_workers.py"  # the others there share a system
TEMPLATE = "rowboat_template"
# copying the files takes half the time of the default, which writes all pages to the log
CLONE = "create database {} template rowboat_template owner rowboat_owner strategy file_copy"
MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30  # tmpfs; bytes
os.environ["AIRFLOW_HOME"] = str(ROOT / ".rowboat" / "airflow-of-tests")  # not the user's own


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let a skipped test fail in CI: what is missing there is to be installed."""
    report = yield
    if report.skipped and os.environ.get("CI"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which is a failure in CI: {report.longrepr}"
    return report


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with the longest tests where several processes share them, so that all end at once."""
    if hasattr(config, "workerinput"):
        ours = [each for each in items if each.nodeid.startswith(ACCEPTANCE)]  # in their own order
        rest = [each for each in items if not each.nodeid.startswith(ACCEPTANCE)]
        rest.sort(key=lambda each: each.get_closest_marker("slow") is None)
        items[:] = rest + ours


def pytest_collection_finish() -> None:
    """Keep what is there for good out of the garbage collector's way: thousands of tests."""
    gc.collect()
    gc.freeze()


class Scheduler(LoadScopeScheduling):
    """Gives tests to processes one by one; those of one running system stay together.

    These are the largest units, so they start first, each in a process of its own.
    """

    def _split_scope(self, nodeid: str) -> str:
        together = (OWN_SYSTEM, ACCEPTANCE)
        return next((each for each in together if nodeid.startswith(each)), nodeid)

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Forget a finished unit: all of a process's units are counted after each test."""
        super().mark_test_complete(node, item_index, duration)
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(self.assigned_work[node][scope].values()):
            del self.assigned_work[node][scope]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduler:
    """Let pytest-xdist, where it is asked for processes, share the tests out so."""
    return Scheduler(config, log)


def counts(report: FileReport) -> tuple[int, int, int, int, int]:
    """Return read, inserted, updated, unchanged, rejected; they must add up."""
    found = report.report
    found.check()
    return found.read, found.inserted, found.updated, found.unchanged, found.rejected


@pytest.fixture(scope="session")
def fast_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder in memory where there is room: each test's database is hundreds of files."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        with TemporaryDirectory(prefix="rowboat-tests-", dir=MEMORY) as name:
            yield Path(name)
    else:
        yield tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def postgres(fast_home: Path) -> Iterator[EmbeddedServer]:
    """An embedded server with a migrated template database."""
    embedded = postgres_of_tests(fast_home)
    embedded.acquire()
    with closing(Admin(embedded)) as run:
        run("alter system set fsync = off")  # nothing here outlives the machine
        run("alter system set max_wal_size = '512MB'")
        run("select pg_reload_conf()")
        for role in ROLES:  # thousands of sessions are opened
            who, password = sql.Identifier(role), sql.Literal(read_credential(embedded.home, role))
            run("set scram_iterations = 1; alter role {} password {}", who, password)
        run("create database {} owner rowboat_owner", sql.Identifier(TEMPLATE))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROWBOAT_HOME", str(embedded.home))
        settings.cache_clear()
        owner = connections.connect(embedded.uri("rowboat_owner", TEMPLATE))
        migrations.migrate(owner)
        owner.close()
    settings.cache_clear()
    yield embedded
    embedded.release()


@pytest.fixture(scope="session")
def admin(postgres: EmbeddedServer) -> Iterator["Admin"]:
    """The session that makes and drops the databases of all tests."""
    with closing(Admin(postgres)) as run:
        yield run


@dataclass
class Boat:
    """A system of a test's own: database, raw_data, and short ways to use them."""

    raw: Path
    uri: Callable[[Role], str]
    opened: list[Connection] = field(default_factory=list)

    def connect(self, role: Role = "loader") -> Connection:
        """Open a connection that the fixture closes."""
        self.opened.append(connections.connect(self.uri(role)))
        return self.opened[-1]

    def query(self, statement: str, values: Any = None, role: Role = "owner") -> list[Any]:
        """Run a statement; one-column rows come as plain values."""
        connection = connections.connect(self.uri(role))
        with closing(connection), connections.transaction(connection) as cursor:
            cursor.execute(statement, values)
            found = cursor.fetchall() if cursor.description else []
        return [row[0] if len(row) == 1 else row for row in found]

    def write(self, name: str, content: str | bytes) -> Path:
        """Put a file into raw_data."""
        path = self.raw / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def ingest(self, *paths: Path, **options: Any) -> dict[str, FileReport]:
        """Load what changed and return file → report."""
        run = Run("tester", **options)
        return {report.file: report for report in ingest_files(paths, run)}

    def departments(self) -> list[tuple[int, str]]:
        """Return the departments by id."""
        return self.query("select id, department from hired_employees.departments order by id")

    def rejects(self) -> list[tuple[int, bytes, list[str]]]:
        """Return (line, raw, ["rule: message", …]) of every open refused row."""
        found = self.query(
            "select line, raw, reasons from ingest_status.rejected_rows"
            " where settled_at is null order by source_name, line, id"
        )
        return [
            (line, bytes(raw), [f"{each['rule']}: {each['message']}" for each in reasons])
            for line, raw, reasons in found
        ]

    def catalog(self) -> tables.Catalog:
        """Read the data dictionary."""
        with connections.transaction(self.connect()) as cursor:
            return tables.read_catalog(cursor)


@pytest.fixture
def boat(
    postgres: EmbeddedServer,
    admin: "Admin",
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Boat]:
    """A migrated database and an empty raw_data; settle time off."""
    name = f"test_{abs(hash(request.node.nodeid)):x}"
    admin(CLONE, sql.Identifier(name))

    def uri(role: Role) -> str:
        return postgres.uri(f"rowboat_{role}", name)

    monkeypatch.setattr(connections, "uri", uri)
    raw = tmp_path / "raw_data"
    raw.mkdir()
    monkeypatch.setenv("ROWBOAT_RAW_DATA", str(raw))
    monkeypatch.setenv("ROWBOAT_HOME", str(postgres.home))
    monkeypatch.setenv("ROWBOAT_SETTLE", "0")
    settings.cache_clear()
    system = Boat(raw, uri)
    yield system
    for connection in system.opened:
        connection.close()
    settings.cache_clear()
    admin("drop database {} with (force)", sql.Identifier(name))


@pytest.fixture
def setting(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Set a setting for one test: setting("chunk_bytes", "64")."""

    def change(name: str, value: str) -> None:
        monkeypatch.setenv(f"ROWBOAT_{name.upper()}", value)
        settings.cache_clear()

    return change


@pytest.fixture
def declare(
    boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]
) -> Callable[[str], None]:
    """Add tables to the test's database as a user would: by one SQL file."""

    def add(statements: str) -> None:
        folder = tmp_path / "migrations"
        shutil.copytree(ROOT / "sql" / "migrations", folder)
        form = f"-- migrate:up\n{statements}\n-- migrate:down\n"
        (folder / "0900_domain.sql").write_text(form, encoding="utf-8")
        setting("migrations", str(folder))
        migrations.migrate(boat.connect("owner"))

    return add


class Admin:
    """Runs statements as the server's superuser, outside any transaction, in one session."""

    def __init__(self, embedded: EmbeddedServer) -> None:
        self._embedded, self._connection = embedded, self._connect(embedded)

    def __call__(self, statement: str, *parts: sql.Composable) -> None:
        """Run a statement; its braces are filled with the parts."""
        try:
            self._run(statement, *parts)
        except psycopg2.OperationalError:
            if not self._connection.closed:
                raise
            self._connection = self._connect(self._embedded)  # a test has ended all sessions
            self._run(statement, *parts)

    def close(self) -> None:
        """End the session."""
        self._connection.close()

    def _run(self, statement: str, *parts: sql.Composable) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*parts))

    @staticmethod
    def _connect(embedded: EmbeddedServer) -> psycopg2.extensions.connection:
        connection = psycopg2.connect(embedded.uri(SUPERUSER, "postgres"))
        connection.autocommit = True
        return connection
