"""The promises that only hold if they hold in the worst moment: kills, races, size.

Loaders run as processes of their own, so that they can be killed like any other.
"""

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
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from rowboat.database import connections, embedded
from rowboat.database.connections import Role, transaction
from rowboat.errors import ConnectionLost
from rowboat.ingest.reports import Run
from rowboat.ingest.run import ingest_files
from tests.conftest import Boat

SEED = 20_240_229
FILE = "hired_employees.csv"
EMPLOYEES = "hired_employees.hired_employees"
KILLS, RACES = 50, 20

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

# For each number on stdin a loader that dies right after so many commits, before it can do anything
# else; answers with its exit code.
DIES_AFTER_COMMIT = """
import os, signal, sys
import psycopg2
from psycopg2.extensions import connection
from rowboat.ingest.run import ingest_files
from rowboat.ingest.reports import Run
class Mortal(connection):
    left = 0
    def commit(self):
        super().commit()
        Mortal.left -= 1
        if Mortal.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
connect = psycopg2.connect
psycopg2.connect = lambda *args, **more: connect(*args, **more, connection_factory=Mortal)
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


def sample(size: int, share: float, first: int = 1) -> Sample:
    """Make hires with ids from `first` on, a share of them flawed in every way there is."""
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
            cells = FLAWS[len(flawed) % len(FLAWS)](cells, b"%d" % (first + rng.randrange(100)))
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


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """End what a failed test has left running."""
    yield
    for process in STARTED:
        if process.poll() is None:
            kill(process)
    STARTED.clear()


@pytest.fixture
def parents(boat: Boat) -> Boat:
    """A boat whose twelve departments and 180 jobs are loaded."""
    boat.write("departments.csv", "".join(f"{n},Department {n}\n" for n in range(1, 13)))
    boat.write("jobs.csv", "".join(f"{n},Job {n}\n" for n in range(1, 181)))
    assert [report.state for report in boat.ingest().values()] == ["loaded", "loaded"]
    return boat


def start(
    boat: Boat, code: str, *arguments: str, role: Role = "loader", **settings: str
) -> "subprocess.Popen[str]":
    """Start a process of its own on the boat's database."""
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
    """Wait for a loader and return its document; it must end well and say nothing else."""
    said, complained = process.communicate(timeout=timeout)
    assert (process.returncode, complained) == (0, "")
    return json.loads(said)


def tell(process: "subprocess.Popen[str]", word: object) -> None:
    """Give a process its next task."""
    assert process.stdin
    process.stdin.write(f"{word}\n")
    process.stdin.flush()


def answer(process: "subprocess.Popen[str]") -> Any:
    """Read what a process answers, as JSON."""
    assert process.stdout
    return json.loads(process.stdout.readline())


def ask(process: "subprocess.Popen[str]", word: object) -> Any:
    """Give a process a task and wait for its answer."""
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
    """Check what is committed at this moment against the file; return the position."""
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
    """Return the md5 of all hires, written as the file has them."""
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
    boat.query(f"truncate {EMPLOYEES}")
    boat.query(
        "truncate ingest_status.rejected_rows, ingest_status.overwritten, ingest_status.loads"
    )
    boat.query("delete from ingest_status.ingest_status where file_name = %s", [FILE])


def test_kill_at_random_moments_loses_and_doubles_nothing(parents: Boat) -> None:
    hires = sample(200_000, 0.01)
    parents.write(FILE, hires.text)

    def loader() -> "subprocess.Popen[str]":
        return start(parents, CLI, "ingest", "--json", chunk_bytes=str(2**18))

    begin = time.monotonic()
    finish(loader())
    whole = time.monotonic() - begin
    check_whole(parents, hires)
    start_over(parents)

    rng, kills, interrupted = random.Random(SEED), 0, 0
    while kills < KILLS:
        process = loader()
        with suppress(subprocess.TimeoutExpired):
            process.wait(rng.uniform(0.1, 0.5) * whole)
        if process.poll() is None:
            kill(process)
            kills += 1
            position = check_state(parents, hires)
            interrupted += bool(position and 0 < position["loaded_bytes"] < len(hires.text))
        else:
            finish(process)
            check_whole(parents, hires)
            start_over(parents)
    assert interrupted > KILLS / 5  # else the moments say little
    finish(loader())
    check_whole(parents, hires)


def killed_after_each_commit(boat: Boat, **settings: str) -> Iterator[int]:
    """Load what changed, dying after the first commit, then the second, and so on to the end."""
    process = start(boat, DIES_AFTER_COMMIT, **settings)
    for commit in count(1):
        code = ask(process, commit)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        yield commit
    _, complained = process.communicate(timeout=30)
    assert (process.returncode, complained) == (0, "")


def test_kill_after_each_commit_loses_and_doubles_nothing(parents: Boat) -> None:
    hires = sample(300, 0.1)
    parents.write(FILE, hires.text)
    kills = []
    for kill_ in killed_after_each_commit(parents, chunk_bytes="4096"):
        kills.append(check_state(parents, hires))
        assert parents.ingest()[FILE].error is None, f"killed after commit {kill_}"
        check_whole(parents, hires)
        start_over(parents)
    check_whole(parents, hires)
    assert len({each["loaded_bytes"] for each in kills if each}) == 4  # none, and each chunk


def test_kill_after_each_commit_of_a_rewritten_file(parents: Boat) -> None:
    earlier, later = sample(300, 0), sample(300, 0.1)
    later.lines[4:8] = [line.replace(b"Name", b"Nova") for line in later.lines[4:8]]
    refused = [(line, later.lines[line - 1]) for line in later.flawed]
    for kill_ in killed_after_each_commit(_rewritten(parents, earlier, later), chunk_bytes="4096"):
        report = parents.ingest()[FILE]
        assert report.error is None, f"killed after commit {kill_}"
        assert [(line, raw) for line, raw, _ in parents.rejects()] == refused
        assert _names(parents, 4, 9) == ["Name 4", *(f"Nova {n}" for n in range(5, 9)), "Name 9"]
        start_over(parents)
        _rewritten(parents, earlier, later)
    assert [(line, raw) for line, raw, _ in parents.rejects()] == refused


def _rewritten(boat: Boat, earlier: Sample, later: Sample) -> Boat:
    boat.write(FILE, earlier.text)
    assert boat.ingest()[FILE].report.inserted == len(earlier.lines)
    boat.write(FILE, later.text)
    return boat


def _names(boat: Boat, first: int, last: int) -> list[str]:
    return boat.query(
        f"select employee_name from {EMPLOYEES} where id between %s and %s order by id",
        [first, last],
    )


def test_kill_after_each_commit_forgets_no_waiting_child(boat: Boat) -> None:
    boat.write("jobs.csv", "1,Cook\n")
    boat.write(FILE, "1,Ann,2021-01-01T00:00:00Z,1,1\n2,Bob,2021-01-01T00:00:00Z,2,1\n")
    boat.ingest()
    assert len(boat.rejects()) == 2
    boat.write("departments.csv", "1,Hull\n2,Sail\n")
    for kills in killed_after_each_commit(boat):
        boat.ingest()
        assert boat.rejects() == [], f"killed after commit {kills}"
        assert boat.query(f"select id from {EMPLOYEES} order by id") == [1, 2]
        boat.query("delete from hired_employees.departments")
        boat.query("delete from ingest_status.ingest_status where file_name = 'departments.csv'")
        boat.query(
            "update ingest_status.rejected_rows"
            " set settled_at = null, settled_as = null, settled_by = null"
        )
    assert boat.rejects() == []


@contextmanager
def racers(boat: Boat, **settings: str) -> Iterator[list["subprocess.Popen[str]"]]:
    """Two loaders that wait for paths, so that both begin in the same moment."""
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


def test_two_loaders_on_one_file_load_it_once(parents: Boat) -> None:
    size, at_once = 2_000, 20_000
    with racers(parents, chunk_bytes=str(at_once)) as pair:
        for turn in range(RACES):
            hires = sample(size, 0.01, first=1 + turn * size)
            name = f"hired_employees-{turn:02}.csv"
            reports = race(pair, *[parents.write(name, hires.text)] * 2)
            assert [report["error"] for report in reports] == [None, None]
            assert sorted(report["state"] for report in reports) == ["loaded", "unchanged"]
            assert sorted(report["read"] for report in reports) == [0, size]
            loads = parents.query(
                "select first_byte, last_byte, read from ingest_status.loads"
                " where source_name = %s order by id",
                [name],
            )
            assert sum(read for *_, read in loads) == size
            starts, ends = [load[0] for load in loads], [load[1] for load in loads]
            assert [*starts, len(hires.text)] == [0, *ends]
            expected = set(range(1 + turn * size, 1 + (turn + 1) * size))
            found = parents.query(
                f"select id from {EMPLOYEES} where id > %s", [turn * size], role="reader"
            )
            assert len(found) == size - len(hires.flawed)
            assert set(found) < expected


def test_two_loaders_of_different_files_with_the_same_keys(parents: Boat) -> None:
    size = 10_000
    ids = [*range(1, size + 1)]
    first = [f"{n},Ann {n},2021-01-01T00:00:00Z,1,1\n" for n in ids]
    second = [f"{n + size // 4},Bob {n},2022-01-01T00:00:00Z,2,2\n" for n in ids]
    with racers(parents, chunk_bytes="65536") as pair:
        for turn, backwards in enumerate([False, True]):
            names = [f"hired_employees-{turn}-{each}.csv" for each in "ab"]
            texts = ["".join(first), "".join(reversed(second) if backwards else second)]
            paths = [parents.write(*each) for each in zip(names, texts, strict=True)]
            reports = race(pair, *paths)
            assert [report["error"] for report in reports] == [None, None]
            for report in reports:
                done = [report[name] for name in ("inserted", "updated", "unchanged", "rejected")]
                assert report["read"] == size == sum(done)
                assert report["rejected"] == 0
            assert sum(report["inserted"] for report in reports) == size + size // 4
            rows = parents.query(
                f"select id, employee_name, department_id from {EMPLOYEES} order by id"
            )
            assert [row[0] for row in rows] == [*range(1, size + size // 4 + 1)]
            for key, name, department in rows:
                assert (name, department) in {
                    (f"Ann {key}", 1),
                    (f"Bob {key - size // 4}", 2),
                }
            parents.query(f"truncate {EMPLOYEES}")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(
    parents: Boat, record_property: Callable[[str, object], None]
) -> None:
    peaks = {}
    for size in (500_000, 5_000_000):
        peaks[size], seconds = measured_load(parents, size)
        record_property(f"peak MiB at {size:,} rows", round(peaks[size], 1))
        print(f"{size:,} rows: peak {peaks[size]:.1f} MiB, {seconds:.1f} s")
    assert peaks[5_000_000] < 1.25 * peaks[500_000]  # what grew with the file would be tenfold
    assert max(peaks.values()) < 200


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


@pytest.mark.parametrize("waits_for", ["Lock", "Timeout"])
def test_killed_in_a_long_statement_frees_the_file(parents: Boat, waits_for: str) -> None:
    parents.write(FILE, sample(50, 0).text)
    with closing(psycopg2.connect(parents.uri("owner"))) as other, other.cursor() as cursor:
        if waits_for == "Lock":
            cursor.execute(f"lock table {EMPLOYEES} in share mode")
        else:
            parents.query(SLEEPY)
        process = start(parents, CLI, "ingest", "--json")
        eventually(lambda: bool(backends(parents, waits_for)))
        (orphan,) = backends(parents, waits_for)
        kill(process)
        held = "select count(*) from pg_locks where locktype = 'advisory' and pid = %s"
        eventually(lambda: parents.query(held, [orphan]) == [0], seconds=8)
        other.rollback()
    if waits_for == "Timeout":
        stop_being_sleepy(parents)
    assert finish(start(parents, CLI, "ingest", "--json"))["totals"]["inserted"] == 50


LOST = {  # the driver has the server's last words, or finds the line cut
    "the database cannot be reached: terminating connection due to administrator command",
    "the database cannot be reached: server closed the connection unexpectedly",
}


@pytest.fixture
def cut_off(
    parents: Boat, postgres: embedded.EmbeddedServer
) -> Iterator[Callable[[list[int]], None]]:
    """Ends backends, as an administrator does."""
    address = make_dsn(postgres.uri(embedded.SUPERUSER), dbname=_database(parents))
    with closing(psycopg2.connect(address)) as admin:
        admin.autocommit = True

        def terminate(pids: list[int]) -> None:
            with admin.cursor() as cursor:
                cursor.execute("select pg_terminate_backend(pid, 5000) from unnest(%s) pid", [pids])

        yield terminate


def _database(boat: Boat) -> str:
    (name,) = boat.query("select current_database()")
    return str(name)


def test_connection_lost_between_two_chunks(
    parents: Boat,
    setting: Callable[[str, str], None],
    cut_off: Callable[[list[int]], None],
) -> None:
    setting("chunk_bytes", "4096")
    hires = sample(1_000, 0.05)
    path = parents.write(FILE, hires.text)
    calls = count(1)

    def progress(*_: object) -> None:
        if next(calls) == 3:
            cut_off(
                parents.query(
                    "select pid from pg_stat_activity where usename = 'rowboat_loader'"
                    " and datname = current_database()"
                )
            )

    with pytest.raises(ConnectionLost) as lost:
        ingest_files([path], Run("tester", progress=progress))
    assert lost.value.fact in LOST
    assert lost.value.hint == (
        "check that Postgres is running and ROWBOAT_DATABASE_URL is right, then run it again"
    )
    position = check_state(parents, hires)
    assert position is not None
    assert 0 < position["loaded_bytes"] < len(hires.text)
    assert position["state"] == "loading"
    parents.ingest()
    check_whole(parents, hires)


def test_connection_lost_in_a_statement(
    parents: Boat, cut_off: Callable[[list[int]], None]
) -> None:
    hires = sample(1_000, 0.05)
    path = parents.write(FILE, hires.text)
    parents.query(SLEEPY)
    process = start(parents, CLI, "ingest", "--json", str(path))
    eventually(lambda: bool(backends(parents, "Timeout")))
    cut_off(backends(parents, "Timeout"))
    said, complained = process.communicate(timeout=30)
    assert (process.returncode, complained) == (1, "")
    assert json.loads(said)["error"] in LOST
    assert json.loads(said)["hint"] == ConnectionLost.hint
    position = check_state(parents, hires)
    assert position is not None
    assert (position["loaded_bytes"], position["state"]) == (0, "loading")
    stop_being_sleepy(parents)
    parents.ingest()
    check_whole(parents, hires)


DANGLING = f"""
select count(*) from {EMPLOYEES} as e
where not exists (select from hired_employees.departments as d where d.id = e.department_id)
    or not exists (select from hired_employees.jobs as j where j.id = e.job_id)
"""


class Meddler(Thread):
    """Somebody with SQL who deletes parents for good, and inserts children of what is left."""

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


@pytest.mark.parametrize("way", ["fast path", "without the right", "with a trigger"])
def test_no_row_is_left_without_its_parent(
    parents: Boat,
    setting: Callable[[str, str], None],
    monkeypatch: pytest.MonkeyPatch,
    way: str,
) -> None:
    setting("chunk_bytes", "8192")
    if way == "without the right":
        monkeypatch.setattr(connections, "uri", lambda role: parents.uri("owner"))
    if way == "with a trigger":
        parents.query(SLEEPY)
        stop_being_sleepy(parents)
    hires = sample(30_000, 0)
    path = parents.write(FILE, hires.text)
    meddler = Meddler(parents.uri("owner"))
    meddler.start()
    try:
        (report,) = ingest_files([path], Run("tester"))
    finally:
        meddler.over.set()
        meddler.join()
    assert (report.error, report.state) == (None, "loaded")
    assert report.report.read == 30_000
    assert report.report.updated == report.report.unchanged == 0
    assert meddler.turns > 3
    assert parents.query(DANGLING) == [0]
    assert parents.query(f"select count(*) from {EMPLOYEES} where id <= 30000")[0] > 0
    with transaction(parents.connect()) as cursor:
        cursor.execute("select sum(read), sum(inserted + rejected) from ingest_status.loads")
        assert len(set(cursor.fetchone() or ())) == 1
