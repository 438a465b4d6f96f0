"""Loaders in separate processes that are killed, and checks of what they leave behind."""

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from bisect import bisect
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg2
import pytest

from rowboat.database.connections import Role
from tests.conftest import Boat

SEED = 20_240_229
FILE = "hired_employees.csv"
EMPLOYEES = "hired_employees.hired_employees"
CLI = "from rowboat.cli.commands import main; main(prog_name='rowboat')"
# Loads each path that comes on stdin and answers with the document of the command line.
LOADER = """
import json, sys
from pathlib import Path
from rowboat.ingest.run import ingest_files
from rowboat.ingest.reports import Run
from rowboat.ingest.reports import reports_to_json
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    print(json.dumps(reports_to_json(ingest_files([Path(line.strip())], Run("racer")))), flush=True)
"""
# A process whose connections kill it right after `Mortal.left` commits, before it can do anything
# else.
MORTAL = """
import os, signal, sys
import psycopg2
from psycopg2.extensions import connection
class Mortal(connection):
    left = 0
    def commit(self):
        super().commit()
        Mortal.left -= 1
        if Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
connect = psycopg2.connect
psycopg2.connect = lambda *args, **more: connect(*args, **more, connection_factory=Mortal)
"""
# For each number on stdin a loader that dies after so many commits; answers with its exit code.
DIES_AFTER_COMMIT = f"""
{MORTAL}
from rowboat.ingest.run import ingest_files
from rowboat.ingest.reports import Run
for line in sys.stdin:
    Mortal.left = int(line)
    pid = os.fork()
    if not pid:
        ingest_files([], Run("tester"))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
"""
# Measures what it starts: a process made by a small parent inherits no peak from pytest.
MEASURE = """
import json, os, sys, time
start = time.monotonic()
_, status, used = os.wait4(os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ), 0)
sys.stderr.write(json.dumps([status, used.ru_maxrss / 1024, time.monotonic() - start]))
"""


@dataclass(frozen=True)
class Sample:
    """A file of hires: its lines without newlines, and which of them (from 1) are flawed."""

    lines: list[bytes]
    flawed: list[int]

    @property
    def text(self) -> bytes:
        return b"".join(line + b"\n" for line in self.lines)

    @property
    def good_digest(self) -> str:
        flawed = set(self.flawed)
        good = (line for number, line in enumerate(self.lines, 1) if number not in flawed)
        return hashlib.md5(b"\n".join(good)).hexdigest()


def sample(size: int, share: float, first: int = 1, repeats: bool = True) -> Sample:
    """Make hires with ids from `first` on, a share of them with one of seven flaws; a repeated id
    is none of these if the file is to grow, as there it may be an update.
    """
    flaws = FLAWS if repeats else FLAWS[:-1]
    rng = random.Random(SEED)
    lines, flawed = [], []
    for number in range(1, size + 1):
        key = first + number - 1
        cells = [
            b"%d" % key,
            b"Name %d" % (number % 997),
            b"2021-%02d-%02dT%02d:48:42Z" % (number % 12 + 1, number % 28 + 1, number % 24),
            b"%d" % (number % 12 + 1),
            b"%d" % (number % 180 + 1),
        ]
        if number > 100 and rng.random() < share:
            flawed.append(number)
            cells = flaws[len(flawed) % len(flaws)](cells, b"%d" % (first + rng.randrange(100)))
        lines.append(b",".join(cells))
    return Sample(lines, flawed)


FLAWS: list[Callable[[list[bytes], bytes], list[bytes]]] = [
    lambda cells, _: [cells[0], b"", *cells[2:]],
    lambda cells, _: [*cells[:2], b"yesterday", *cells[3:]],
    lambda cells, _: cells[:4],
    lambda cells, _: [cells[0], b"S\xe9verine", *cells[2:]],
    lambda cells, _: [*cells[:3], b"99", cells[4]],
    lambda cells, _: [cells[0], b" ", *cells[2:]],
    lambda cells, earlier: [earlier, *cells[1:]],
]
STARTED: list["subprocess.Popen[str]"] = []


@pytest.fixture
def ended() -> Iterator[None]:
    """Kill processes that a failed test has left running."""
    yield
    for process in STARTED:
        if process.poll() is None:
            kill(process)
    STARTED.clear()


def start(
    boat: Boat, code: str, *arguments: str, role: Role = "loader", **settings: str
) -> "subprocess.Popen[str]":
    """Start Python code in a process that uses the boat's database."""
    variables = {f"ROWBOAT_{name.upper()}": value for name, value in settings.items()}
    address = {"ROWBOAT_DATABASE_URL": boat.uri(role)}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        env=os.environ | address | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    STARTED.append(process)
    return process


def finish(process: "subprocess.Popen[str]", timeout: float = 120) -> Any:
    """Wait for a loader and return its document; it must exit with 0, stderr empty."""
    said, complained = process.communicate(timeout=timeout)
    assert (process.returncode, complained) == (0, "")
    return json.loads(said)


def tell(process: "subprocess.Popen[str]", word: object) -> None:
    """Send a process its next task, one line on stdin."""
    assert process.stdin
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]") -> Any:
    """Return the next line that a process writes, decoded from JSON."""
    assert process.stdout
    return json.loads(process.stdout.readline())


def ask(process: "subprocess.Popen[str]", word: object) -> Any:
    """Send a process a task and return its answer."""
    tell(process, word)
    return answer(process)


def kill(process: "subprocess.Popen[str]") -> None:
    """Kill a process as the system does when memory runs out."""
    process.kill()
    process.communicate(timeout=10)


def eventually(holds: Callable[[], bool], seconds: float = 30) -> float:
    """Wait until something holds and return how long that took."""
    begin = time.monotonic()
    while not holds():
        assert time.monotonic() - begin < seconds, "it did not come true in time"
        time.sleep(0.02)
    return time.monotonic() - begin


STATE = f"""
select json_build_object(
    'rows', (select count(*) from {EMPLOYEES}),
    'rejects', (select count(*) from ingest_status.rejected_rows where source_name = %(file)s),
    'loads', (
        select coalesce(sum(read), 0) from ingest_status.loads where source_name = %(file)s
    ),
    'position', (
        select to_json(p) from ingest_status.ingest_status as p where file_name = %(file)s
    )
)
"""


def check_state(boat: Boat, hires: Sample, name: str = FILE) -> dict[str, Any] | None:
    """Compare what is committed now with the file; return the position."""
    (state,) = boat.query(STATE, {"file": name})
    position: dict[str, Any] | None = state["position"]
    if position is None:
        assert (state["rows"], state["rejects"], state["loads"]) == (0, 0, 0)
        return None
    prefix = (boat.raw / name).read_bytes()[: position["loaded_bytes"]]
    lines = prefix.count(b"\n")
    rejects = bisect(hires.flawed, lines)
    assert hashlib.sha256(prefix).hexdigest() == position["prefix_sha256"]
    assert (position["loaded_lines"], position["read"], state["loads"]) == (lines, lines, lines)
    assert (position["rejected"], state["rejects"]) == (rejects, rejects)
    assert (position["inserted"], state["rows"]) == (lines - rejects, lines - rejects)
    return position


def check_whole(boat: Boat, hires: Sample, name: str = FILE) -> None:
    """Check that every good line is a row, and every flawed line quarantined exactly once."""
    position = check_state(boat, hires, name)
    assert position is not None
    assert (position["state"], position["loaded_bytes"]) == ("loaded", len(hires.text))
    assert digest(boat) == hires.good_digest
    assert [(line, raw) for line, raw, _ in boat.rejects()] == [
        (line, hires.lines[line - 1]) for line in hires.flawed
    ]


def digest(boat: Boat) -> str:
    """Return the MD5 of all hires in the form of the file."""
    (found,) = boat.query(
        r"""
        select md5(string_agg(concat_ws(
            ',', id, employee_name, to_char(hired_date, 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            department_id, job_id
        ), E'\n' order by id)) from hired_employees.hired_employees
        """
    )
    return str(found)


def start_over(boat: Boat) -> None:
    """Delete the hires and all that is known of their file."""
    boat.query(f"truncate {EMPLOYEES}")
    boat.query(
        "truncate ingest_status.rejected_rows, ingest_status.overwritten, ingest_status.loads"
    )
    boat.query("delete from ingest_status.ingest_status where file_name = %s", [FILE])


def killed_after_each_commit(boat: Boat, **settings: str) -> Iterator[int]:
    """Yield after each load that was killed by commit 1, 2, … until one succeeds."""
    process = start(boat, DIES_AFTER_COMMIT, **settings)
    for commit in count(1):
        code = ask(process, commit)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        yield commit
    _, complained = process.communicate(timeout=30)
    assert (process.returncode, complained) == (0, "")


@contextmanager
def racers(boat: Boat, **settings: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Start two loaders that wait for paths, so that both begin at the same moment."""
    pair = [start(boat, LOADER, **settings) for _ in range(2)]
    assert [answer(each) for each in pair] == ["ready", "ready"]
    yield pair
    for each in pair:
        _, complained = each.communicate(timeout=60)
        assert (each.returncode, complained) == (0, "")


def race(pair: list["subprocess.Popen[str]"], *paths: Path) -> list[dict[str, Any]]:
    """Let each loader load a path; return their reports."""
    for each, path in zip(pair, paths, strict=True):
        tell(each, path)
    return [report for each in pair for report in answer(each)["files"]]


def measured_load(boat: Boat, size: int) -> tuple[float, float]:
    """Load that many hires; return the loader's peak memory in MiB and its seconds."""
    path = boat.raw / f"hired_employees-{size}.csv"
    rests = [
        f",Name {n},2021-{n % 12 + 1:02}-{n % 28 + 1:02}T07:48:42Z,{n % 12 + 1},{n % 180 + 1}\n"
        for n in range(2_520)
    ]
    with path.open("w") as file:
        for block in range(0, size, 100_000):
            ids = range(block + 1, block + 100_001)
            file.write("".join(f"{n}{rests[n % len(rests)]}" for n in ids))
    boat.query(f"truncate {EMPLOYEES}")
    done = subprocess.run(
        [
            *(sys.executable, "-IS", "-c", MEASURE),
            *(sys.executable, "-c", CLI, "ingest", "--json", str(path)),
        ],
        env=os.environ | {"ROWBOAT_DATABASE_URL": boat.uri("loader")},
        capture_output=True,
        text=True,
        timeout=280,
        check=True,
    )
    status, peak, seconds = json.loads(done.stderr)
    path.unlink()
    assert status == 0
    assert json.loads(done.stdout)["totals"]["inserted"] == size
    return peak, seconds


SLEEPY = f"""
create table hired_employees.sleepy ();
grant select on hired_employees.sleepy to rowboat_loader;
create function hired_employees.sleep() returns trigger language plpgsql as $$
begin
    if to_regclass('hired_employees.sleepy') is not null then perform pg_sleep(600); end if;
    return null;
end
$$;
create trigger sleeps before insert on {EMPLOYEES}
for each statement execute function hired_employees.sleep();
"""


def backends(boat: Boat, waits_for: str) -> list[int]:
    """Return the loaders' backends in the middle of a statement that waits for something."""
    return boat.query(
        "select pid from pg_stat_activity where datname = current_database()"
        " and usename = 'rowboat_loader' and wait_event_type = %s",
        [waits_for],
        role="loader",
    )


def stop_being_sleepy(boat: Boat) -> None:
    boat.query("drop table hired_employees.sleepy")


DANGLING = f"""
select count(*) from {EMPLOYEES} as e
where not exists (select from hired_employees.departments as d where d.id = e.department_id)
    or not exists (select from hired_employees.jobs as j where j.id = e.job_id)
"""


class Meddler(Thread):
    """A session that deletes parents, and inserts children of those that are left."""

    def __init__(self, address: str) -> None:
        super().__init__()
        self.address, self.over, self.turns = address, Event(), 0

    def run(self) -> None:
        rng = random.Random(SEED)
        jobs = rng.sample(range(1, 181), 180)
        with closing(psycopg2.connect(self.address)) as connection, connection.cursor() as cursor:
            while jobs and not self.over.is_set():
                cursor.execute(
                    f"insert into {EMPLOYEES} values (%s, 'Zoe', now(), 1, %s)",
                    [1_000_000 + self.turns, rng.choice(jobs)],
                )
                connection.commit()
                cursor.execute("delete from hired_employees.jobs where id = %s", [jobs.pop()])
                time.sleep(rng.uniform(0, 0.02))
                connection.commit()
                self.turns += 1
                self.over.wait(rng.uniform(0.02, 0.08))
