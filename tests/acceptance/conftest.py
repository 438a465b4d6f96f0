"""The whole system, started as a user starts it: `rowboat up` with a real Airflow."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from rowboat.airflow_client import Airflow
from rowboat.database import embedded
from rowboat.database.credentials import read_credential
from tests.conftest import ROOT
from tests.support.browser import NoBrowser, Watch, launch
from tests.support.posts import Posts, posts

CHALLENGE = Path(os.environ.get("ROWBOAT_CHALLENGE", ROOT.parent / "shared/data/challenge"))
FOLDER = Path(__file__).parent
ROWBOAT = str(Path(sys.executable).with_name("rowboat"))
LOADED = re.compile(r"hired_employees\.csv +hired_employees +loaded")
NEW_TABLES = """
-- Suppliers and what they deliver: a domain that no code knows.
-- migrate:up
create schema trade;
create table trade.suppliers (code text primary key, name text not null);
create table trade.deliveries (
    id bigint primary key, supplier text not null references trade.suppliers, price numeric(12, 2)
);
-- migrate:down
drop schema trade cascade;
"""


_shared: list["System"] = []  # the one system, once it has started


@dataclass
class System:
    """A running system: its folders, its Airflow, its database."""

    home: Path
    raw: Path
    migrations: Path
    environment: dict[str, str]
    process: "subprocess.Popen[str]"
    output: Path
    airflow: Airflow

    def address(self, role: str) -> str:
        """Return the address of the database for a role."""
        own = self.environment.get("ROWBOAT_DATABASE_URL")
        return own or embedded.EmbeddedServer(self.home).uri(role)

    def query(self, statement: str, values: Any = None, role: str = "rowboat_loader") -> list[Any]:
        """Ask the database."""
        connection = psycopg2.connect(self.address(role))
        with connection, connection.cursor() as cursor:
            cursor.execute(statement, values)
            found = cursor.fetchall()
        connection.close()
        return found

    def put(self, name: str, content: str | bytes) -> None:
        """Put a file into raw_data, whole at once."""
        aside = self.raw / f".{name}"
        aside.write_bytes(content.encode() if isinstance(content, str) else content)
        aside.rename(self.raw / name)

    def run(self, dag: str = "ingest", **conf: Any) -> tuple[str, str]:
        """Run a DAG by hand; return the run's id and its last state."""
        run = self.airflow.trigger(dag, **conf)
        return run, list(self.airflow.states(dag, run))[-1]

    def states(self, dag: str, run: str) -> dict[str, str]:
        """Return the states of a run's tasks."""
        return {task["task_id"]: task["state"] for task in self.airflow.tasks(dag, run)}

    def rowboat(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command line beside the running system."""
        return subprocess.run(
            [ROWBOAT, *arguments],
            env=self.environment, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip


def until(condition: Callable[[], Any], seconds: float = 90, every: float = 0.25) -> Any:
    """Await a condition and return its value; fail when it does not come true.

    A look often asks Airflow or the database, which takes their time from what is awaited.
    """
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            pytest.fail(f"not true within {seconds} s")
        time.sleep(every)
    return value


@pytest.fixture(scope="session")
def challenge() -> Path:
    """The folder of the real files; they are not part of the repository."""
    if not CHALLENGE.is_dir():
        pytest.skip(f"the real files are not in {CHALLENGE}; ROWBOAT_CHALLENGE names their folder")
    return CHALLENGE


def start(environment: dict[str, str], output: Path) -> "subprocess.Popen[str]":
    """Start `rowboat up` and wait until it says that it is up."""
    with output.open("w") as log:
        process = subprocess.Popen(
            [ROWBOAT, "up"],
            env=environment, stdout=log, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "Rowboat is up." in output.read_text() or process.poll() is not None, 400)
        assert process.poll() is None, output.read_text()
    except BaseException:
        stop(process)
        raise
    return process


def stop(process: "subprocess.Popen[str]") -> float:
    """Press Ctrl-C and return the seconds until everything has ended."""
    begun = time.monotonic()
    process.send_signal(signal.SIGINT)
    process.wait(timeout=60)
    return time.monotonic() - begun


@contextmanager
def running(folder: Path, **more: str) -> Iterator[System]:
    """Run a system whose home, raw_data, backups and migrations lie in a folder."""
    home, raw, moved = folder / "home", folder / "raw_data", folder / "migrations"
    shutil.copytree(ROOT / "sql" / "migrations", moved)
    port = embedded.free_port()
    environment = (
        {name: value for name, value in os.environ.items() if not name.startswith("ROWBOAT_")}
        | {
            "ROWBOAT_HOME": str(home),
            "ROWBOAT_RAW_DATA": str(raw),
            "ROWBOAT_BACKUPS": str(folder / "backups"),
            "ROWBOAT_MIGRATIONS": str(moved),
            "ROWBOAT_AIRFLOW_PORT": str(port),
            "ROWBOAT_API_PORT": str(embedded.free_port()),
            "ROWBOAT_SETTLE": "0.2",
            "ROWBOAT_POLL": "0.2",
            "PYTHONWARNINGS": "default",
        }
        | more
    )
    output = folder / "up.log"
    process = start(environment, output)
    address = f"http://127.0.0.1:{port}"
    with Airflow(address, "admin", read_credential(home, "airflow_admin")) as airflow:
        system = System(home, raw, moved, environment, process, output, airflow)
        try:
            yield system
        finally:
            if system.process.poll() is None:
                stop(system.process)


@pytest.fixture(scope="package")
def hook() -> Iterator[Posts]:
    """The webhook that the system tells of what fails."""
    with posts() as found:
        yield found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let those tests use the one system last that fill it and kill its parts."""
    ranks = {"test_end_to_end.py": 1, "test_up.py": 2, "test_workers.py": 3}
    ours = [each for each in items if each.path.parent == FOLDER]
    ordered = iter(sorted(ours, key=lambda each: ranks.get(each.path.name, 0)))
    items[:] = [next(ordered) if each.path.parent == FOLDER else each for each in items]


@pytest.fixture(scope="package")  # it ends before the other tests of its process
def system(tmp_path_factory: pytest.TempPathFactory, hook: Posts) -> Iterator[System]:
    """The system with the real files in raw_data, else the sample, loaded by its first start."""
    folder = tmp_path_factory.mktemp("system")
    (folder / "raw_data").mkdir()
    for path in (CHALLENGE if CHALLENGE.is_dir() else ROOT / "raw_data").glob("*.csv"):
        shutil.copy(path, folder / "raw_data")
    more = {
        "ROWBOAT_ALERT_URL": f"{hook.address}/hook",
        "SPT_NOENV": "1",  # setproctitle leaves environments where tests can read them
    }
    with running(folder, **more) as found:
        _shared.append(found)
        yield found


@pytest.fixture(scope="module")
def alone() -> None:
    """Stop the one system, if it runs: what comes now needs the machine for itself."""
    for each in _shared:
        if each.process.poll() is None:
            stop(each.process)


def secrets(home: Path) -> list[str]:
    """Every secret of a system."""
    return list(json.loads((home / "secrets.json").read_text()).values())


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A Chromium; of a module, as its event loop would be in the way of others."""
    with sync_playwright() as playwright:
        try:
            started = launch(playwright)
        except NoBrowser as none:
            pytest.skip(str(none))
        yield started
        started.close()


@pytest.fixture
def visit(system: System, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page on the console: visit(javascript=True, **options); no fault in it passes."""
    watch = Watch()
    opened = []

    def open_page(javascript: bool = True, **options: Any) -> Page:
        context = browser.new_context(
            base_url=f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}",
            java_script_enabled=javascript, viewport={"width": 1280, "height": 900}, **options,
        )  # fmt: skip
        opened.append(context)
        watch.over(context)
        return context.new_page()

    yield open_page
    for each in opened:
        each.close()
    assert watch.faults == []


@pytest.fixture(scope="package")
def key(system: System) -> Callable[[str], str]:
    """Return a key of a scope: key("operate")."""
    made: dict[str, str] = {}

    def of(scope: str) -> str:
        if scope not in made:
            done = system.rowboat("keys", "create", f"browser {scope}", "--scope", scope, "--json")
            made[scope] = json.loads(done.stdout)["token"]
        return made[scope]

    return of


@pytest.fixture
def signed_in(visit: Callable[..., Page], key: Callable[[str], str]) -> Callable[..., Page]:
    """Open a page of somebody who is signed in: signed_in(scope="operate", javascript=True)."""

    def sign_in(scope: str = "operate", javascript: bool = True, **options: Any) -> Page:
        page = visit(javascript, **options)
        page.goto("/sign-in")
        page.get_by_label("API key").fill(key(scope))
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("button", name="Sign out")).to_be_visible()
        return page

    return sign_in
