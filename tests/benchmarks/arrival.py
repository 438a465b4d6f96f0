"""From a file's arrival to its rows, through a whole system, against a DAG of one task by REST."""

import os
import time
from itertools import count

from rowboat.airflow_client import Airflow
from rowboat.database import embedded
from rowboat.database.credentials import read_credential
from tests.acceptance.conftest import System, start, stop, until
from tests.benchmarks.compare import OURS, Ratio, Target, compare
from tests.benchmarks.places import TABLE, Place, hires, parents

ROWS = 2_000
ROUNDS = 7


def arrival(at: Place, _: int) -> list[Ratio]:
    """Run a system beside the benchmark's own, with no time for files to settle."""
    folder = at.folder / "system"
    raw = folder / "raw_data"
    raw.mkdir(parents=True)
    parents(raw)
    port = embedded.free_port()
    environment = os.environ | {
        "ROWBOAT_HOME": str(folder / "home"),
        "ROWBOAT_RAW_DATA": str(raw),
        "ROWBOAT_BACKUPS": str(folder / "backups"),
        "ROWBOAT_AIRFLOW_PORT": str(port),
        "ROWBOAT_API_PORT": str(embedded.free_port()),
        "ROWBOAT_SETTLE": "0",
    }
    output = folder / "up.log"
    process = start(environment, output)
    password = read_credential(folder / "home", "airflow_admin")
    try:
        with Airflow(f"http://{embedded.HOST}:{port}", "admin", password) as airflow:
            return _compare(
                System(folder / "home", raw, folder, environment, process, output, airflow)
            )
    finally:
        stop(process)


def _compare(system: System) -> list[Ratio]:
    begins = count(1, ROWS)
    assert system.run("ingest")[1] == "success"
    assert system.run("backup")[1] == "success"  # for the other DAG to read

    def arrive() -> float:
        first = next(begins)
        aside, name = system.raw / ".aside", f"hired_employees-{first}.csv"
        hires(aside, ROWS, first)
        begun = time.perf_counter()
        aside.rename(system.raw / name)
        last = first + ROWS - 1
        until(lambda: system.query(f"select from {TABLE} where id = %s", [last]), 300, 0.05)
        taken = time.perf_counter() - begun
        until(lambda: settled(system), 300)
        return taken

    def one_task() -> float:
        begun = time.perf_counter()
        assert system.run("verify")[1] == "success"
        return time.perf_counter() - begun

    against = "a DAG of one task by REST"
    arrive()
    return compare(
        f"a file of {ROWS:,} rows arrives, its rows show",
        {OURS: arrive, against: one_task},
        {against: Target(10, 4)},
        rounds=ROUNDS,
    )


def settled(system: System) -> bool:
    """Tell whether no run of ingest is under way."""
    active = ("queued", "running")
    return not any(run["state"] in active for run in system.airflow.runs("ingest"))
