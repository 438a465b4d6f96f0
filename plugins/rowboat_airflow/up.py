"""Everything on this machine: embedded Postgres, schema, Airflow, API, the first load."""

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
KEY = "up"  # the name of the API's first key
PARTS = (
    ["api-server"],
    ["dag-processor"],
    ["triggerer", "--skip-serve-logs"],  # the API server reads the log files itself
    ["scheduler", "--skip-serve-logs"],
)
_START = 180  # seconds that a slow machine may take


def run_system(console: Console) -> tuple[dict[str, Any], str, bool]:
    """Start everything, load raw_data by a run of the DAG `ingest`, and stay up until Ctrl-C.

    Raises PortTaken before anything is started.
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
        programs.start("api", [script("rowboat"), "serve"], without="AIRFLOW_")  # and its secrets
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
        for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(each, signal.SIG_IGN)
        console.print("stopping …")
        programs.stop()
    return {"stopped": True}, "everything has stopped; `make run` goes on where this ended", True


def check_ports() -> None:
    """Raise PortTaken where something listens on a port that is needed."""
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
    """Return the environment of Airflow's programs; metadata lie in the embedded server."""
    home = settings().home.resolve()
    port = settings().airflow_port
    folder = home / "airflow"
    folder.mkdir(parents=True, exist_ok=True)
    passwords = folder / "passwords.json"
    write_private(passwords, json.dumps({ADMIN: read_credential(home, "airflow_admin")}))
    metadata = embedded.uri(AIRFLOW, AIRFLOW)
    sections = {
        "CORE__DAGS_FOLDER": str(PROJECT / "dags"),
        "CORE__PLUGINS_FOLDER": str(PROJECT / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__EXECUTOR": "rowboat_airflow.executor.Executor",
        "CORE__PARALLELISM": str(max(4, os.cpu_count() or 1)),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__DEFAULT_TASK_RETRY_DELAY": "5",  # of what begins before the API server is up
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
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.1",
        # what a stop interrupted is taken up again within seconds of the next start
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
    """Return the path of a program of this environment."""
    return str(Path(sysconfig.get_path("scripts")) / name)


def prepare(environment: dict[str, str]) -> None:
    """Bring Airflow's own tables up to date; raises NotUp with its last words."""
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
    """Wait until all parts work and the DAG `ingest` is known; raises NotUp."""
    end = time.monotonic() + _START
    while not (airflow.healthy() and knows_ingest(airflow) and api_answers()):
        if time.monotonic() > end:
            raise NotUp
        keep_up()
        time.sleep(0.25)


def knows_ingest(airflow: Airflow) -> bool:
    """Tell whether Airflow answers and has read the DAG `ingest`."""
    with suppress(AirflowUnreachable):
        return airflow.knows("ingest")
    return False


def revive(embedded: EmbeddedServer, programs: Programs, console: Console) -> None:
    """Start again whatever has ended; what cannot be started now is tried again."""

    def tell(line: str) -> None:
        console.print(line, style="yellow", highlight=False)

    try:
        if embedded.revive():
            tell(f"Postgres ended and is started again: see {embedded.folder}/server.log")
    except RowboatError as error:
        tell(error.fact)
    programs.revive(tell)


def api_answers() -> bool:
    """Tell whether the API lives."""
    try:
        return httpx.get(f"{health.api_address()}/health", timeout=5, trust_env=False).is_success
    except httpx.HTTPError:
        return False


def load_raw_data(airflow: Airflow, keep_up: Callable[[], None], console: Console) -> None:
    """Load raw_data by a run of the DAG `ingest` and show where everything stands.

    Where Airflow falls silent, that run, or one that the files start, goes on when it is back.
    """
    run = state = ""
    with console.status("loading raw_data by the DAG ingest …"):
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
        console.print(f"the run {run} of the DAG ingest failed: its log tells why", style="red")


def tell_addresses(console: Console, embedded: EmbeddedServer) -> None:
    """Print where everything is and how to get in."""
    home = settings().home
    own = settings().database_url is not None
    reader = f"{embedded.uri('rowboat_reader')}  (may read)"
    postgres = "that of ROWBOAT_DATABASE_URL" if own else reader
    lines = [
        "",
        "Rowboat is up.",
        f"  Console    {health.api_address()}/  (sign in with an API key)",
        f"  Airflow    http://{HOST}:{settings().airflow_port}",
        f"             {ADMIN} / {read_credential(home, 'airflow_admin')}",
        f"  API        {health.api_address()}/docs",
        f"  API key    {first_key()}",
        f"  Postgres   {postgres}",
        f"  raw_data   {settings().raw_data}: what you put there is loaded at once",
        f"  backups    {settings().backups}: every night, `rowboat backup` takes one now",
        f"  passwords  {home / 'secrets.json'}, logs {home / 'logs'}",
        "",
        "Ctrl-C stops everything.",
    ]
    console.print("\n".join(lines), highlight=False, soft_wrap=True)
    sys.stderr.flush()


def first_key() -> str:
    """Make the API's first key and return it; later, tell how to make another."""
    with connections.session("owner") as connection, transaction(connection) as cursor:
        if any(each["name"] == KEY for each in keys.list_keys(cursor)):
            return "`rowboat keys create NAME --scope operate` makes another"
        return f"{keys.create_key(cursor, KEY, 'operate')[1]} (operate; shown once)"
