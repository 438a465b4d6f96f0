"""The system under attack: its processes by name, whether it is up, and whether it is at rest."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import httpx
import psutil

from rowboat.database import embedded
from rowboat.errors import AirflowUnreachable
from tests.acceptance.conftest import System
from tests.chaos.workloads import Place

Result = TypeVar("Result")

PARTS = ("api-server", "dag-processor", "triggerer", "scheduler", "api")
VICTIMS = {  # how often each is drawn
    "task": 3, "worker": 2, "postgres": 3,
    "scheduler": 2, "triggerer": 2, "dag-processor": 1, "api-server": 2, "api": 3,
}  # fmt: skip

# What a dead session or a half transaction would leave behind.
HELD = """
select l.locktype, l.mode, l.relation::regclass::text, a.state, a.query
from pg_locks as l join pg_stat_activity as a using (pid)
where a.datname = current_database() and a.pid <> pg_backend_pid()
    and (l.locktype = 'advisory' or l.mode <> 'AccessShareLock')
    and (l.locktype, l.mode) <> ('virtualxid', 'ExclusiveLock')
"""
DEBRIS = """
select nspname || '.' || relname from pg_class as c join pg_namespace as n on n.oid = relnamespace
where nspname = 'rowboat_parts' and relkind = 'r' or nspname like 'rowboat\\_scratch%'
"""


OPEN = "select file_name from ingest_status.ingest_status where state = 'loading'"
UNEVEN = """
select source_name, l.version, sum(l.read), min(s.read)
from ingest_status.loads as l join ingest_status.ingest_status as s
    on s.file_name = l.source_name and s.version = l.version
where l.source = 'file' group by source_name, l.version having sum(l.read) <> min(s.read)
"""


def until(
    what: str, condition: Callable[[], Result], seconds: float = 60, every: float = 0.05
) -> Result:
    """Await a condition and return its value; raises AssertionError with what did not come."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"within {seconds:.0f} s not: {what}"
        time.sleep(every)
    return value


def part(system: System, name: str) -> list[psutil.Process]:
    """Return the processes of a part, its own first; each part has a log for its output."""
    log = str(system.home.resolve() / "logs" / f"{name}.log")
    for child in psutil.Process(system.process.pid).children():
        with suppress(OSError, psutil.Error):
            if str(Path(f"/proc/{child.pid}/fd/1").readlink()) == log:
                return [child, *child.children(recursive=True)]
    return []


def postmaster(home: Path) -> psutil.Process:
    """Return the process of the embedded Postgres."""
    record = home / "postgres" / "data" / "postmaster.pid"
    return psutil.Process(int(record.read_text().splitlines()[0]))


def candidates(system: System, victim: str) -> list[psutil.Process]:
    """Return the processes of which one is to be killed.

    The workers are the scheduler's; those that do something have a task's process each.
    """
    with suppress(psutil.Error, OSError):
        if victim == "postgres":
            found = postmaster(system.home)
            return [found, *found.children()]
        if victim in {"task", "worker"}:
            below = part(system, "scheduler")
            tasks = [each for each in below[1:] if each.ppid() != below[0].pid]
            workers = {each.ppid() for each in tasks}
            return tasks if victim == "task" else [e for e in below if e.pid in workers]
        if victim == "scheduler":
            return part(system, victim)[:1]
        return part(system, victim)
    return []


def kill(system: System, victim: str, rng: Random) -> str:
    """Kill -9 a process of the victim's, the main one in half of all cases; tell which.

    Nothing where there is none at the moment.
    """
    which, main = rng.random(), rng.random() < 0.5
    if found := candidates(system, victim):
        one = found[0] if main else found[int(which * len(found))]
        with suppress(psutil.Error):
            words = " ".join(one.cmdline())[:50]
            one.kill()
            return f"{victim} {one.pid} ({words})"
    return ""


def is_up(system: System) -> bool:
    """Tell whether every part lives, and is ready by the API's own word."""
    assert system.process.poll() is None, f"`rowboat up` ended: {system.output.read_text()[-2000:]}"
    alive = [part(system, name) for name in PARTS]
    if not all(each and each[0].status() != psutil.STATUS_ZOMBIE for each in alive):
        return False
    address = f"http://{embedded.HOST}:{system.environment['ROWBOAT_API_PORT']}"
    try:
        ready = httpx.get(f"{address}/ready", timeout=10, trust_env=False).json()
        return bool(ready["ready"]) and system.airflow.healthy()
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def check_rest(system: System, runs: int = 0) -> None:
    """Check that nothing is held or half done; `runs` of Airflow had not ended before."""
    until("no lock is left", lambda: not held(system), 60)
    assert system.query(DEBRIS, role="rowboat_owner") == []
    assert system.query(OPEN) == [], "files of which nobody knows whether they are loaded"
    assert system.query(UNEVEN) == [], "lines that were counted twice or never"
    until("every run of Airflow has ended", lambda: open_runs(system) <= runs, 180)


def held(system: Place) -> list[Any]:
    """Return the locks that are held by anybody else."""
    return system.query(HELD, role=embedded.SUPERUSER)


def open_runs(system: System) -> int:
    """Return how many runs of Airflow have not ended."""
    dags = ["ingest", "backup", "restore", "undo", "verify", "drill"]
    return sum(
        count
        for states in system.airflow.counts(dags).values()
        for state, count in states.items()
        if state not in ("success", "failed")
    )


@contextmanager
def patiently() -> Iterator[None]:
    """Overlook that something does not answer at this moment."""
    with suppress(AirflowUnreachable, httpx.HTTPError, OSError):
        yield
