"""Runs the whole system on this machine: embedded Postgres, Airflow, API, the first load."""

import json
import os
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console

from rowboat import health, status
from rowboat.access import keys
from rowboat.airflow_client import Airflow, connect_to_airflow
from rowboat.catalog import migrations
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.database.credentials import read_credential, write_private
from rowboat.database.embedded import AIRFLOW, HOST, EmbeddedServer, embedded_server, port_is_free
from rowboat.errors import AirflowUnreachable, NotUp, PortTaken, RowboatError
from rowboat.rendering import loads
from rowboat.settings import PROJECT, settings
from rowboat_airflow.processes import Programs

ADMIN = "admin"
KEY = "up"  # name of the API key that is created at the first start
PARTS = (
    ["api-server"],
    ["dag-processor"],
    ["triggerer", "--skip-serve-logs"],  # the API server reads the log files itself
    ["scheduler", "--skip-serve-logs"],
)
_START = 180  # seconds that a slow machine may take to start everything


def run_system(console: Console) -> tuple[dict[str, Any], str, bool]:
    """Start everything, load raw_data by a run of the DAG `ingest`, and keep it up until Ctrl-C.

    Raises PortTaken before anything is started, NotUp if a part does not start.
    """
    check_ports()
    home = settings().home
    with console.status("starting Postgres …"):
        embedded = embedded_server(home)
    with connections.session("owner") as connection:
        for name in migrations.migrate(connection):
            console.print(f"schema: {name}", highlight=False)
    environment = airflow_environment(embedded)
    programs = Programs(environment, home / "logs")
    keep_up = partial(revive, embedded, programs, console)
    try:
        with console.status("preparing Airflow's database …"):
            prepare(environment)
        for part in PARTS:
            programs.start(part[0], [script("airflow"), *part])
        # The API gets none of Airflow's variables, as they contain its secrets.
        programs.start("api", [script("rowboat"), "serve"], without="AIRFLOW_")
        with connect_to_airflow() as airflow:
            with console.status("starting Airflow …"):
                wait_until_healthy(airflow, keep_up)
            load_raw_data(airflow, keep_up, console)
        tell_addresses(console, embedded)
        while True:
            time.sleep(1)
            keep_up()
    except KeyboardInterrupt:
        pass
    finally:
        # A second Ctrl-C must not leave programs behind.
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        console.print("stopping …")
        programs.stop()
    return {"stopped": True}, "everything has stopped; `make run` continues where this ended", True


def check_ports() -> None:
    """Raise PortTaken if a program listens on a port that Rowboat needs."""
    needed = (
        (settings().airflow_port, "Airflow's web page needs", "ROWBOAT_AIRFLOW_PORT"),
        (settings().api_port, "the API needs", "ROWBOAT_API_PORT"),
    )
    for port, whose, setting in needed:
        if not port_is_free(port):
            raise PortTaken(
                f"port {port} is taken, and {whose} it",
                f"stop what listens there (another `make run`?), or set {setting} to another port",
            )


def airflow_environment(embedded: EmbeddedServer) -> dict[str, str]:
    """Return the environment of Airflow's programs; the embedded server has its metadata."""
    home = settings().home.resolve()
    port = settings().airflow_port
    folder = home / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    passwords = folder / "passwords.json"
    # SimpleAuthManager would generate another password, and log it.
    write_private(passwords, json.dumps({ADMIN: read_credential(home, "airflow_admin")}))
    metadata = embedded.uri(AIRFLOW, AIRFLOW)
    sections = {
        "CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "rowboat_airflow.executor.Executor",
        "CORE__PARALLELISM": str(max(4, os.cpu_count() or 1)),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DEFAULT_TASK_RETRY_DELAY": "5",  # for tasks that start before the API server
        "CORE__EXECUTION_API_SERVER_URL": f"http://{HOST}:{port}/execution/",
        "CORE__FERNET_KEY": read_credential(home, "airflow_fernet") + "=",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": f"{ADMIN}:admin",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "API__HOST": HOST,
        "API__PORT": str(port),
        "API__BASE_URL": f"http://{HOST}:{port}",
        "API__WORKERS": "1",
        "API__SECRET_KEY": read_credential(home, "airflow_api"),
        "API_AUTH__JWT_SECRET": read_credential(home, "airflow_jwt"),
        "DATABASE__SQL_ALCHEMY_CONN": metadata.replace("postgresql:", "postgresql+psycopg2:", 1),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "5",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs" / "tasks"),
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
        # Tasks that a stop interrupted are run again seconds after the next start, not minutes.
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "60",
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    }
    return (
        dict(os.environ)
        | {f"AIRFLOW__{name}": value for name, value in sections.items()}
        | {
            "AIRFLOW_HOME": str(folder),
            "AIRFLOW_CONN_ROWBOAT": connections.uri("loader"),
            "ROWBOAT_HOME": str(home),
            "ROWBOAT_RAW_DATA": str(settings().raw_data.absolute()),
            "ROWBOAT_BACKUPS": str(settings().backups.absolute()),
            "PATH": f"{sysconfig.get_path('scripts')}{os.pathsep}{os.environ.get('PATH', '')}",
        }
    )


def script(name: str) -> str:
    """Return the path of a program in this Python environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def prepare(environment: dict[str, str]) -> None:
    """Migrate Airflow's own tables; raises NotUp with the last lines of its output."""
    done = subprocess.run(
        [script("airflow"), "db", "migrate"],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise NotUp(f"Airflow's database could not be prepared: {last}")


def wait_until_healthy(airflow: Airflow, keep_up: Callable[[], None]) -> None:
    """Wait until Airflow and the API work and the DAG `ingest` is parsed; raises NotUp."""
    end = time.monotonic() + _START
    while not (airflow.healthy() and knows_ingest(airflow) and api_answers()):
        if time.monotonic() > end:
            raise NotUp
        keep_up()
        time.sleep(0.25)


def knows_ingest(airflow: Airflow) -> bool:
    """Return whether Airflow answers and has parsed the DAG `ingest`."""
    with suppress(AirflowUnreachable):
        return airflow.knows("ingest")
    return False


def revive(embedded: EmbeddedServer, programs: Programs, console: Console) -> None:
    """Restart what has ended; what cannot be restarted now is tried again by the next call."""

    def tell(line: str) -> None:
        console.print(line, style="yellow", highlight=False)

    try:
        if embedded.revive():
            tell(f"Postgres ended and is restarted: see {embedded.folder}/server.log")
    except RowboatError as error:
        tell(error.fact)
    programs.revive(tell)


def api_answers() -> bool:
    """Return whether the API answers."""
    try:
        return httpx.get(f"{health.api_address()}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def load_raw_data(airflow: Airflow, keep_up: Callable[[], None], console: Console) -> None:
    """Load raw_data by a run of the DAG `ingest`, and print the status.

    If Airflow stops answering, loading continues when it is back, by that run or by one that the
    changed files trigger.
    """
    run = state = ""
    with console.status("loading raw_data with the DAG ingest …"):
        try:
            run = airflow.trigger("ingest")
            for each in airflow.states("ingest", run):
                state = each
                keep_up()
        except AirflowUnreachable as error:
            console.print(error.fact, style="yellow", highlight=False)
    with connections.session("loader") as connection, transaction(connection) as cursor:
        console.print(loads.status_view(status.read_status(cursor)), highlight=False)
    if state == "failed":
        console.print(f"the run {run} of the DAG ingest failed: see its log", style="red")


def tell_addresses(console: Console, embedded: EmbeddedServer) -> None:
    """Print the addresses of everything, and how to sign in."""
    home = settings().home
    own = settings().database_url is not None
    reader = f"{embedded.uri('rowboat_reader')}  (read only)"
    postgres = "see ROWBOAT_DATABASE_URL" if own else reader
    lines = [
        "",
        "Rowboat is up.",
        f"  Console    {health.api_address()}/  (sign in with an API key)",
        f"  Airflow    http://{HOST}:{settings().airflow_port}",
        f"             {ADMIN} / {read_credential(home, 'airflow_admin')}",
        f"  API        {health.api_address()}/docs",
        f"  API key    {first_key()}",
        f"  Postgres   {postgres}",
        f"  raw_data   {settings().raw_data}: files that you put there are loaded at once",
        f"  backups    {settings().backups}: every night, `rowboat backup` takes one now",
        f"  passwords  {home / 'secrets.json'}, logs {home / 'logs'}",
        "",
        "Ctrl-C stops everything.",
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    sys.stderr.flush()


def first_key() -> str:
    """Create the first API key and return it; if it exists, return how to create another."""
    with connections.session("owner") as connection, transaction(connection) as cursor:
        if any(each["name"] == KEY for each in keys.list_keys(cursor)):
            return "create another with `rowboat keys create NAME --scope operate`"
        return f"{keys.create_key(cursor, KEY, 'operate')[1]} (operate; shown once)"
