"""When there is no backup, or somebody else is at the shelf: clear words and no half set."""

import errno
import json
import os
import random
import resource
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from threading import Event

import psycopg2
import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from rowboat.backup import retention, sets, shelf, verify
from rowboat.backup.take import Taken, take_backup
from rowboat.database import connections, embedded
from rowboat.errors import ConnectionLost, DatabaseRefused, ShelfUnusable, Unholdable
from rowboat.settings import settings
from tests.chaos.proxy import before
from tests.conftest import Boat
from tests.support import backups
from tests.support.backups import DEPARTMENTS, EMPLOYEES, JOBS, no_set_from, take

USABLE = "free some space and make it writable for this user, or set ROWBOAT_BACKUPS"
CLI = "from rowboat.cli.commands import main; main(prog_name='rowboat')"


@pytest.fixture(autouse=True)
def _shelf(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> None:
    setting("backups", str(tmp_path / "shelf"))
    setting("backup_codec", "deflate")
    backups.fill(boat)


def test_a_value_that_avro_cannot_hold(boat: Boat) -> None:
    """It stands in the last row of the second table: by then a file is written."""
    backups.of_days_ago(boat, 100, 99)
    boat.query(f"insert into {EMPLOYEES} values (9999, 'Zoe', 'infinity', 1, 1)")
    connection = boat.connect()
    with no_set_from(boat, Unholdable) as said:
        take_backup(connection)
    assert said == [
        f"{EMPLOYEES} has a row whose hired_date is infinity, "
        "which AVRO's timestamp-micros cannot hold",
        "correct the row; until then its table cannot be backed up",
    ]
    assert all(each.keep for each in retention.prune_sets(connection))
    boat.query(f"delete from {EMPLOYEES} where id = 9999")
    assert take_backup(connection).findings == []  # the session goes on


def test_a_file_where_the_folder_should_be(boat: Boat, tmp_path: Path) -> None:
    (tmp_path / "shelf").write_text("not a folder")
    with pytest.raises(ShelfUnusable) as raised:
        take_backup(boat.connect())
    assert (raised.value.fact, raised.value.hint) == (
        f"{tmp_path}/shelf cannot be written: Not a directory", USABLE
    )  # fmt: skip
    assert (tmp_path / "shelf").read_text() == "not a folder"
    assert backups.record(boat) == []


def test_a_folder_that_cannot_be(boat: Boat, setting: Callable[[str, str], None]) -> None:
    setting("backups", "/proc/backups")
    with pytest.raises(ShelfUnusable) as raised:
        take_backup(boat.connect())
    assert (raised.value.fact, raised.value.hint) == (
        "/proc/backups cannot be written: No such file or directory", USABLE
    )  # fmt: skip
    assert backups.record(boat) == []


@contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be a user whom the folder is not open to, even where the tests run as root."""
    for each in folder.parents:
        if each.stat().st_mode & (way := stat.S_IXGRP | stat.S_IXOTH) != way:
            each.chmod(each.stat().st_mode | way)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_is_not_open_to_the_user(boat: Boat, mode: int) -> None:
    take(boat)
    connection = boat.connect()
    with no_set_from(boat, ShelfUnusable) as said:
        shelf.shelf_folder().chmod(mode)
        try:
            with as_nobody(shelf.shelf_folder()):
                take_backup(connection)
        finally:
            shelf.shelf_folder().chmod(0o755)
    assert said == [f"{shelf.shelf_folder()} cannot be written: Permission denied", USABLE]
    (found,) = backups.known(boat)
    assert found.counts


@pytest.mark.parametrize("part", ["", shelf.MANIFEST])
def test_a_set_that_cannot_be_read_now_makes_none_go_and_stays(boat: Boat, part: str) -> None:
    old, new = backups.of_days_ago(boat, 100, 50)
    take(boat)
    place, connection = shelf.set_path(new, part), boat.connect()
    before = backups.mode(place)
    place.chmod(0)
    try:
        with as_nobody(shelf.shelf_folder()), connections.transaction(connection) as cursor:
            found = sets.read_sets(cursor)
    finally:
        place.chmod(before)
    assert [each.state for each in found] == ["whole", "unreadable", "whole"]
    assert [each.counts for each in found] == [True, False, True]
    verdicts = retention.judge_sets(found, found[-1].taken_at, settings())
    assert [(each.set, each.keep) for each in verdicts][:2] == [(old, True), (new, True)]
    assert verdicts[1].reasons == ["its contents are unknown"]


def test_a_file_that_cannot_be_read(boat: Boat) -> None:
    name = take(boat).set
    path, copy = shelf.set_path(name, "jobs.avro"), shelf.read_manifest(name).copy(JOBS)
    path.chmod(0)
    try:
        with as_nobody(shelf.shelf_folder()):
            found = verify.check_copy(name, copy).findings
    finally:
        path.chmod(0o640)
    assert found == ["cannot be read: Permission denied"]


def test_the_disk_is_full(boat: Boat) -> None:
    """Files of a process of its own may grow to some bytes only, after which it runs out."""
    take(boat)
    backups.fill(boat, hires=30_000, first=1_000)
    size = 100_000
    code = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size})); {CLI}"
    before = backups.contents(), backups.record(boat)
    done = subprocess.run(
        [sys.executable, "-c", code, "backup", "--json"],
        env=os.environ | {"ROWBOAT_DATABASE_URL": boat.uri("loader")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "")
    said = json.loads(done.stdout)
    assert (said["error"], said["hint"]) == (
        f"{shelf.shelf_folder()} cannot be written: File too large", USABLE
    )  # fmt: skip
    assert (backups.contents(), backups.record(boat)) == before
    assert len(backups.on_shelf()) == 5
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


@pytest.mark.parametrize("at", range(6))
def test_the_disk_tells_late_that_it_is_full(
    boat: Boat, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """A disk may take what is written and fail when it has to keep it: at any of the syncs."""
    take(boat)
    calls, sync = [0], os.fsync

    def fsync(file: int) -> None:
        calls[0] += 1
        if calls[0] == at + 1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(file)

    monkeypatch.setattr(os, "fsync", fsync)
    with no_set_from(boat, ShelfUnusable) as said:
        take_backup(boat.connect())
    assert said == [f"{shelf.shelf_folder()} cannot be written: No space left on device", USABLE]
    assert calls == [at + 1]


def test_wrong_password(boat: Boat) -> None:
    parts = parse_dsn(boat.uri("loader"))
    with pytest.raises(ConnectionLost) as lost:
        take_backup(connections.connect(make_dsn(boat.uri("loader"), password="wrong")))
    assert lost.value.fact.startswith(
        f"the database at {parts['host']}:{parts['port']} cannot be reached: "
    )
    assert "password authentication failed" in lost.value.fact
    assert "wrong" not in lost.value.fact
    assert lost.value.hint == ConnectionLost.hint
    assert not shelf.shelf_folder().exists()


def test_the_database_goes_away(boat: Boat, postgres: embedded.EmbeddedServer) -> None:
    take(boat)
    (name,) = boat.query("select current_database()")
    connection = boat.connect()
    pid = connection.info.backend_pid

    def progress(table: str, *_: int) -> None:
        address = make_dsn(postgres.uri(embedded.SUPERUSER), dbname=name)
        with closing(psycopg2.connect(address)) as admin, admin.cursor() as cursor:
            cursor.execute("select pg_terminate_backend(%s, 5000)", [pid])

    with no_set_from(boat, ConnectionLost) as said:
        take_backup(connection, progress=progress)
    assert said[0].startswith("the database cannot be reached: ")
    assert len(backups.names(boat)) == 1
    take(boat)


def test_the_line_is_cut_in_a_copy(boat: Boat, postgres: embedded.EmbeddedServer) -> None:
    """Cut within a row, the driver has no words of its own for it; Airflow tries it again."""
    backups.fill(boat, hires=3_000, first=1_000)
    with before(postgres.port) as proxy:
        address = boat.uri("loader").replace(f":{postgres.port}/", f":{proxy.port}/")
        for size in (40_000, 70_000, 90_000):
            with closing(connections.connect(address)) as connection:
                proxy.cut_after(size, to_server=False)
                with no_set_from(boat, ConnectionLost) as said:
                    take_backup(connection)
            assert said[0].startswith("the database cannot be reached: ")
        assert proxy.cuts == 3


def test_a_role_that_may_not_record(boat: Boat) -> None:
    with pytest.raises(DatabaseRefused) as refused:
        take_backup(boat.connect("reader"))
    assert "permission denied" in refused.value.fact
    assert backups.record(boat) == []


def test_two_backups_at_once(boat: Boat) -> None:
    taken: list[Taken] = []
    with backups.in_threads(*[lambda: taken.append(take(boat))] * 2):
        pass
    assert len({each.set for each in taken}) == 2
    assert [each.set for each in sorted(taken, key=lambda each: each.set)] == backups.names(boat)
    assert {each.counts for each in backups.known(boat)} == {True}
    assert [len(backups.findings(boat, each.set)) for each in taken] == [0, 0]


def test_a_backup_waits_for_the_writer_of_the_shelf(boat: Boat) -> None:
    with sets.only_writer(boat.connect()):
        half = shelf.shelf_folder() / ".20200101T000000Z.part"
        half.mkdir(parents=True)
        with backups.in_threads(lambda: take(boat)):
            backups.until_waiting(boat)
            assert [half] == [*shelf.shelf_folder().iterdir()]
            half.rmdir()
            for connection in boat.opened[:1]:
                connection.close()
    assert len(backups.names(boat)) == 1


def test_hundred_writers_leave_no_dangling_reference_in_a_set(boat: Boat) -> None:
    """Each adds a parent with children and deletes parents; the children go by cascade."""
    over, turns = Event(), [0] * 100

    def write(number: int) -> None:
        rng = random.Random(number)
        with closing(psycopg2.connect(boat.uri("owner"))) as connection:
            cursor = connection.cursor()
            while not over.is_set():
                key = 1_000 + number * 1_000_000 + turns[number]
                cursor.execute(f"insert into {JOBS} values (%s, 'Job')", [key])
                cursor.execute(f"insert into {DEPARTMENTS} values (%s, 'Department')", [key])
                cursor.execute(
                    f"insert into {EMPLOYEES} values (%s, 'Zoe', now(), %s, %s)", [key] * 3
                )
                connection.commit()
                parent = rng.choice([JOBS, DEPARTMENTS])
                cursor.execute(f"delete from {parent} where id = %s", [key - rng.randrange(3)])
                connection.commit()
                turns[number] += 1

    taken: list[Taken] = []
    with backups.in_threads(*[lambda n=n: write(n) for n in range(100)]):
        try:
            backups.eventually(lambda: min(turns) > 1, seconds=60)
            for _ in range(3):
                begin = sum(turns)

                def progress(*_: object, begin: int = begin) -> None:
                    """Let the writers do a good deal between one table and the next."""
                    backups.eventually(lambda: sum(turns) > begin + 100)

                taken.append(take_backup(boat.connect(), progress=progress))
        finally:
            over.set()
    for each in taken:
        assert each.findings == []
        ids = {table: {row["id"] for row in backups.rows(each.set, f"{table}.avro")}
               for table in ("departments", "jobs")}  # fmt: skip
        hires = backups.rows(each.set, "hired_employees.avro")
        assert len(hires) > 20
        assert {row["department_id"] for row in hires} <= ids["departments"]
        assert {row["job_id"] for row in hires} <= ids["jobs"]
        assert len(ids["jobs"] ^ ids["departments"]) > 10  # parents without children are there


@pytest.mark.parametrize("way", ["backup", "verify", "prune"])
def test_a_lost_record_is_made_again_from_the_shelf(boat: Boat, way: str) -> None:
    first = take(boat, pinned=True).set
    boat.query(f"delete from {EMPLOYEES} where id > 5")
    second = take(boat).set
    facts = "select set_name, table_name, file_name, number_rows, last_id, bytes, sha256,"
    facts += " row_digest, schema_hash, snapshot, taken_at, pinned, purpose, suspicion"
    facts += " from backup_status.backup_status order by set_name, table_name"
    before, shelved = boat.query(facts), backups.contents()
    boat.query("truncate backup_status.backup_status")
    unrecorded = backups.known(boat)
    assert [(each.name, each.state, each.pinned, each.counts) for each in unrecorded] == [
        (first, "whole", True, False), (second, "whole", False, False)
    ]  # fmt: skip
    connection = boat.connect()
    if way == "backup":
        third = take(boat).set
        verify.verify_set(connection, third)
        boat.query("delete from backup_status.backup_status where set_name = %s", [third])
    elif way == "verify":
        assert verify.verify_set(connection, first).ok
    else:
        assert all(each.keep for each in retention.prune_sets(connection))
    assert boat.query(facts) == before
    assert {name: backups.contents()[name] for name in shelved} == shelved
    verified = {"backup": [False, False], "verify": [True, False], "prune": [True, True]}[way]
    assert [each.verified_at is not None for each in backups.known(boat)[:2]] == verified
