"""Many workers: Airflow with Celery, redis and two workers, of which one is killed twice.

Each file of a table is a task that takes some seconds of a core. One file of each of four tables is
enough to see that children wait for their parents. ROWBOAT_WORKERS_FILES is the number of files of
each; with more than one there are ten tables, so 20 make it two hundred.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
from psycopg2.extras import RealDictCursor

from rowboat.airflow_client import Airflow
from rowboat.catalog import migrations, outline
from rowboat.catalog.tables import read_catalog
from rowboat.database import connections
from rowboat.database.credentials import read_credential
from rowboat.database.embedded import AIRFLOW, EmbeddedServer, free_port
from rowboat.settings import settings
from rowboat_airflow import up
from rowboat_airflow.processes import Programs
from tests.acceptance.conftest import until
from tests.conftest import ROOT
from tests.support.effort import LONG

pytestmark = pytest.mark.slow

FILES = int(os.environ.get("ROWBOAT_WORKERS_FILES", "1"))  # of each table
LOOK = 0.05  # seconds between two looks for a task to be killed
ROWS, LARGE = 25, 400_000  # rows of each file, of a large one
MERGES = """
    select from pg_locks as l join pg_class as c on c.oid = l.relation
    where c.relnamespace = 'rowboat_parts'::regnamespace and l.mode = 'AccessShareLock'
"""
PARTS = """
    select count(*) from pg_class
    where relnamespace = 'rowboat_parts'::regnamespace and relkind = 'r'
"""
PARENTS: dict[str, list[str]] = {
    "yards": [], "goods": [], "boats": ["yards"], "cargoes": ["boats", "goods"],
}  # fmt: skip
if FILES > 1 or LONG:
    PARENTS |= {
        "ports": [], "sailors": [], "homes": ["ports"], "crews": ["sailors"], "voyages": ["ports"],
        "watches": ["crews"],
    }  # fmt: skip
CELERY = {
    "CORE__EXECUTOR": "airflow.providers.celery.executors.celery_executor.CeleryExecutor",
    "CORE__PARALLELISM": "16",
    "CORE__HOSTNAME_CALLABLE": "tests.support.hostname.name",
    "CELERY__WORKER_CONCURRENCY": "2",
    # a worker takes no task that it cannot begin: if it dies, few wait for it, and those so long
    "CELERY__EXTRA_CELERY_CONFIG": '{"worker_disable_prefetch": true}',
    "CELERY_BROKER_TRANSPORT_OPTIONS__VISIBILITY_TIMEOUT": "30",
    # a task whose worker is silent for so many seconds is given to another
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "15",
    "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
    "CORE__DEFAULT_TASK_RETRY_DELAY": "1",
}


def tables() -> str:
    """Return the migration of the tables, children after parents."""
    made = []
    for name, parents in PARENTS.items():
        refers = "".join(f", {each} integer not null references sea.{each}" for each in parents)
        made.append(
            f"create table sea.{name} (id integer primary key, name text not null{refers});"
        )
    up_ = "\n".join(["create schema sea;", *made])
    return f"-- Tables.\n-- migrate:up\n{up_}\n-- migrate:down\ndrop schema sea cascade;\n"


def rows(table: str, first: int, count: int) -> str:
    """Return rows; a child's refer to the last row of each parent."""
    refers = f",{FILES * ROWS}" * len(PARENTS[table])
    return "".join(f"{n},{table} {n}{refers}\n" for n in range(first, first + count))


@dataclass
class Fleet:
    """Airflow's programs, and the workers by name."""

    home: Path
    raw: Path
    environment: dict[str, str]
    airflow: Airflow
    embedded: EmbeddedServer
    workers: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def start(self, name: str) -> None:
        """Start a worker."""
        with (self.home / "logs" / f"{name}.log").open("ab") as log:
            self.workers[name] = subprocess.Popen(
                [
                    up.script("airflow"), "celery", "worker", "--celery-hostname", name,
                    "--pid", str(self.home / f"{name}.pid"),
                    "--skip-serve-logs", "--without-mingle", "--without-gossip",
                ],
                env=self.environment | {"WORKER": name},
                stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
                start_new_session=True,
            )  # fmt: skip

    def kill(self, name: str) -> None:
        """End a worker and its tasks as a power cut does."""
        for process in self._tree(name):
            process.kill()
        self.workers[name].wait()
        (self.home / f"{name}.pid").unlink(missing_ok=True)

    def kill_during(self, *task: Any) -> str | None:
        """Kill a worker in the middle of such a task; return its name.

        It is stopped first, so that the task cannot end between the look and the kill.
        """
        for name in self.busy(*task):
            tree = self._tree(name)
            for process in tree:
                process.suspend()
            if name in self.busy(*task):
                self.kill(name)
                return name
            for process in tree:
                process.resume()
        return None

    def _tree(self, name: str) -> list[psutil.Process]:
        worker = psutil.Process(self.workers[name].pid)
        return [worker, *worker.children(recursive=True)]

    def query(self, statement: str, values: Any = None) -> list[Any]:
        """Ask the database; one-column rows come as plain values."""
        address = self.embedded.uri("rowboat_owner")
        with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            return [row[0] if len(row) == 1 else row for row in cursor.fetchall()]

    def tasks(self, where: str, *values: Any) -> list[dict[str, Any]]:
        """Return the tries of tasks, the last ones and those before."""
        address = self.embedded.uri(AIRFLOW, AIRFLOW)
        columns = "task_id, map_index, try_number, state, hostname, start_date, end_date"
        every = f"select {columns} from task_instance union all select {columns} from {{}}"
        statement = f"select * from ({every.format('task_instance_history')}) as t where {where}"
        with (
            closing(psycopg2.connect(address)) as connection,
            connection.cursor(cursor_factory=RealDictCursor) as cursor,
        ):
            cursor.execute(statement, values)
            return [dict(row) for row in cursor.fetchall()]

    def busy(self, task: str, first: int = 0) -> set[str]:
        """Return the workers that run a task of this name, mapped from number `first` on."""
        where = "task_id = %s and map_index >= %s and state = 'running'"
        running = self.tasks(where, task, first)
        return {each["hostname"] for each in running} & set(self.workers)


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A redis-server of the test's own; its address."""
    if shutil.which("redis-server") is None:
        pytest.skip("there is no redis-server; environments/local/redis installs it")
    port = free_port()
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", ""],
        cwd=tmp_path_factory.mktemp("redis"), stdout=subprocess.DEVNULL,
    )  # fmt: skip
    yield f"redis://127.0.0.1:{port}/0"
    process.terminate()
    process.wait()


@pytest.fixture(scope="module")
def fleet(alone: None, redis: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Airflow with two workers, and a database of some tables more."""
    folder = tmp_path_factory.mktemp("workers")
    home, raw, moved = folder / "home", folder / "raw_data", folder / "migrations"
    raw.mkdir()
    shutil.copytree(ROOT / "sql" / "migrations", moved)
    (moved / "0900_sea.sql").write_text(tables())
    embedded = EmbeddedServer(home)
    embedded.acquire()
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("ROWBOAT_")]:
            patch.delenv(name)
        patch.setenv("ROWBOAT_HOME", str(home))
        patch.setenv("ROWBOAT_RAW_DATA", str(raw))
        patch.setenv("ROWBOAT_MIGRATIONS", str(moved))
        patch.setenv("ROWBOAT_AIRFLOW_PORT", str(free_port()))
        patch.setenv("ROWBOAT_DATABASE_URL", embedded.uri("rowboat_loader"))
        patch.setenv("ROWBOAT_SETTLE", "0")
        patch.setenv("ROWBOAT_POLL", "3600")  # runs are started by hand
        patch.setenv("ROWBOAT_PART_BYTES", "800000")
        patch.setenv("ROWBOAT_CHUNK_BYTES", "250000")
        settings.cache_clear()
        with closing(connections.connect(embedded.uri("rowboat_owner"))) as owner:
            migrations.migrate(owner)
            with connections.transaction(owner) as cursor:
                outline.write_outline(read_catalog(cursor))
        environment = up.airflow_environment(embedded) | {
            f"AIRFLOW__{name}": value
            for name, value in (CELERY | {"CELERY__BROKER_URL": redis}).items()
        }
        address = f"http://127.0.0.1:{settings().airflow_port}"
    settings.cache_clear()
    up.prepare(environment)
    programs = Programs(environment, home / "logs")
    with Airflow(address, up.ADMIN, read_credential(home, "airflow_admin")) as airflow:
        found = Fleet(home, raw, environment, airflow, embedded)
        try:
            for part in up.PARTS:
                if part[0] != "triggerer":  # runs are started by hand, and none waits
                    programs.start(part[0], [up.script("airflow"), *part])
            for name in ("one", "two"):
                found.start(name)
            until(lambda: airflow.ailing() == ["triggerer"] and airflow.knows("ingest"), 180)
            yield found
        finally:
            for name in found.workers:
                found.kill(name)
            programs.stop()
            embedded.release()


@pytest.fixture(scope="module")
def run(fleet: Fleet) -> str:
    """A run over the files and a large one, in which a worker is killed while it stages a
    part and one while it merges all of them; each is started again. Returns the run's last state.
    """
    for table in PARENTS:
        for number in range(FILES):
            text = rows(table, number * ROWS + 1, ROWS)
            (fleet.raw / f"{table}-{number:02}.csv").write_text(text)
    (fleet.raw / "goods-99.csv").write_text(rows("goods", FILES * ROWS + 1, LARGE))
    started = fleet.airflow.trigger("ingest")

    def both_stage() -> bool:
        done = fleet.tasks("task_id = 'goods.stage' and state = 'success'")
        return {each["hostname"] for each in done} == {"one", "two"}

    def merges() -> list[Any]:
        return fleet.query(MERGES)

    fleet.start(until(lambda: both_stage() and fleet.kill_during("goods.stage"), 400, LOOK))
    fleet.start(until(lambda: merges() and fleet.kill_during("goods.load", FILES), 400, LOOK))
    return list(fleet.airflow.states("ingest", started))[-1]


def test_everything_is_loaded_exactly_once(fleet: Fleet, run: str) -> None:
    assert run == "success"
    for table in PARENTS:
        wanted = FILES * ROWS + (LARGE if table == "goods" else 0)
        assert fleet.query(f"select count(*), max(id) from sea.{table}") == [(wanted, wanted)]
    total = len(PARENTS) * FILES * ROWS + LARGE
    assert fleet.query(
        "select count(*), sum(read), sum(inserted) from ingest_status.ingest_status"
        " where state = 'loaded'"
    ) == [(len(PARENTS) * FILES + 1, total, total)]
    assert fleet.query("select sum(read), sum(inserted) from ingest_status.loads") == [
        (total, total)
    ]


def test_both_workers_load_and_parents_come_first(fleet: Fleet, run: str) -> None:
    loads = fleet.tasks("task_id like '%%.load' and hostname <> ''")
    assert {each["hostname"] for each in loads} == {"one", "two"}
    for child, parents in PARENTS.items():
        begun = min(each["start_date"] for each in loads if each["task_id"] == f"{child}.load")
        for parent in parents:
            ends = [each["end_date"] for each in loads if each["task_id"] == f"{parent}.load"]
            assert len(ends) >= FILES
            assert max(ends) <= begun


def test_the_large_file_is_staged_by_both_and_merged_in_one_transaction(
    fleet: Fleet, run: str
) -> None:
    stages = fleet.tasks("task_id = 'goods.stage'")
    parts = {each["map_index"] for each in stages}
    assert len(parts) > 5
    assert {each["hostname"] for each in stages if each["state"] == "success"} == {"one", "two"}
    assert fleet.query(
        "select count(distinct xid), sum(read) from ingest_status.loads"
        " where source_name = 'goods-99.csv'"
    ) == [(1, LARGE)]
    assert fleet.query(PARTS) == [0]


@pytest.mark.parametrize("task", ["goods.stage", "goods.load"])
def test_what_a_killed_worker_did_is_done_again(fleet: Fleet, run: str, task: str) -> None:
    again = fleet.tasks("task_id = %s and try_number > 1 and state = 'success'", task)
    assert again
