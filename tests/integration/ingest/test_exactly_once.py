"""What holds even in the worst moment: kills, races, lost connections, size."""

import json
import random
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import count

import psycopg2
import pytest
from psycopg2.extensions import make_dsn

from rowboat.database import connections, embedded
from rowboat.database.connections import transaction
from rowboat.errors import ConnectionLost
from rowboat.ingest.reports import Run
from rowboat.ingest.run import ingest_files
from tests.conftest import Boat
from tests.support.effort import tries
from tests.support.killing import (
    CLI,
    DANGLING,
    EMPLOYEES,
    FILE,
    SEED,
    SLEEPY,
    Meddler,
    Sample,
    backends,
    check_state,
    check_whole,
    eventually,
    finish,
    kill,
    killed_after_each_commit,
    measured_load,
    race,
    racers,
    sample,
    start,
    start_over,
    stop_being_sleepy,
)

pytestmark = pytest.mark.usefixtures("ended")

KILLS, RACES = tries(10, 50), tries(5, 20)


@pytest.fixture
def parents(boat: Boat) -> Boat:
    """A boat whose twelve departments and 180 jobs are loaded."""
    boat.write("departments.csv", "".join(f"{n},Department {n}\n" for n in range(1, 13)))
    boat.write("jobs.csv", "".join(f"{n},Job {n}\n" for n in range(1, 181)))
    assert [report.state for report in boat.ingest().values()] == ["loaded", "loaded"]
    return boat


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
    # Else the moments say little. Ten of them may all miss on a busy machine: only many must hit.
    assert interrupted > KILLS / 5 or KILLS < 50
    finish(loader())
    check_whole(parents, hires)


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
            texts = [text.replace("-01-01T", f"-01-0{turn + 1}T") for text in texts]
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
    few, many = tries(400_000, 500_000), tries(1_600_000, 5_000_000)
    for size in (few, many):
        peaks[size], seconds = measured_load(parents, size)
        record_property(f"peak MiB at {size:,} rows", round(peaks[size], 1))
        print(f"{size:,} rows: peak {peaks[size]:.1f} MiB, {seconds:.1f} s")
    assert peaks[many] < 1.25 * peaks[few]  # what grew with the file would be fourfold or more
    assert max(peaks.values()) < 200


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
