"""What restoring promises in the worst moment: kills, races, readers, any rows whatever."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from threading import Event, Thread
from typing import Any

import psycopg2
import pytest

from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from rowboat.backup.take import Taken, digest_table, take_backup
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.errors import ConnectionLost, RestoreRefused, WouldCascade
from tests.conftest import Boat
from tests.support.effort import tries
from tests.support.killing import answer, ask, eventually, start
from tests.support.restoring import (
    BY_DEPARTMENT,
    DEPARTMENTS,
    EMPLOYEES,
    JOBS,
    carried_out,
    digests,
    files,
    order,
    take,
    undone,
)

pytestmark = pytest.mark.usefixtures("ended", "shelf_of_its_own")

Declare = Callable[[str], None]

SEED, KILLS, ROWS = 20_240_229, tries(10, 50), 20_000

# For each set that is named on stdin a child restores it; answers with its number, then
# with its exit code.
RESTORER = """
import json, os, sys
from rowboat.backup import shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.source import source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.database import connections
print(json.dumps("ready"), flush=True)
for line in sys.stdin:
    name = line.strip()
    pid = os.fork()
    if pid:
        print(json.dumps(pid), flush=True)
        print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])), flush=True)
        continue
    tables = [copy.table for copy in shelf.read_manifest(name).tables]
    sources = {table: source_of_set(name, table) for table in tables}
    with connections.session("loader") as connection:
        restore.restore_tables(connection, RestoreOrder(sources, "replace", "racer"))
    os._exit(0)
"""


def many(boat: Boat) -> tuple[str, dict[str, str], str, dict[str, str]]:
    """Back up two states of many rows; the second stays. Return set and digests of each."""
    boat.query(f"insert into {EMPLOYEES} select n, 'Old ' || n, now(), 1 + n % 2, 1"
               f" from generate_series(3, {ROWS}) as n")  # fmt: skip
    old = take(boat), digests(boat)
    boat.query(f"insert into {DEPARTMENTS} values (9, 'Deck')")
    boat.query(f"update {EMPLOYEES} set employee_name = 'New', department_id = 9 where id % 3 = 0")
    boat.query(f"delete from {EMPLOYEES} where id % 7 = 0")
    boat.query(f"insert into {EMPLOYEES} select n, 'New ' || n, now(), 9, 1"
               f" from generate_series({ROWS + 1}, {ROWS + 3000}) as n")  # fmt: skip
    return *old, take(boat), digests(boat)


def sessions(boat: Boat) -> int:
    """Count the sessions of this database that hold a lock on what restores lock."""
    [found] = boat.query(
        "select count(*) from pg_locks as l join pg_database as d on d.oid = l.database"
        " where d.datname = current_database() and l.pid <> pg_backend_pid()"
        " and (l.locktype = 'advisory' or l.mode in ('ShareRowExclusiveLock', 'ShareLock'))"
    )
    return int(found)


def test_kill_at_random_moments_leaves_the_old_or_the_new(crew: Boat) -> None:
    before, old, _, new = many(crew)
    process = start(crew, RESTORER)
    assert answer(process) == "ready"
    took = []
    for _ in range(2):  # the first is slower
        begin = time.monotonic()
        ask(process, before)
        assert answer(process) == 0
        took.append(time.monotonic() - begin)
        assert digests(crew) == old
        undo_newest(crew, new)
    whole = min(took)
    rng, interrupted = random.Random(SEED), 0
    for _ in range(KILLS):
        pid = ask(process, before)
        Event().wait(rng.uniform(0.05, 1.0) * whole)  # the moment is what is drawn
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        interrupted += answer(process) == -signal.SIGKILL
        assert eventually(lambda: held(crew) == 0, 10) < 10
        found = digests(crew)
        assert found in (old, new)
        if found == old:
            undo_newest(crew, new)
    assert interrupted > KILLS / 2 or KILLS < 50  # else the moments say little
    done = carried_out(crew, order(crew, before))
    assert digests(crew) == old
    assert not [name for name in files() if "/." in name]
    undone(crew, done)
    assert digests(crew) == new


def held(boat: Boat) -> int:
    """Count what other sessions of this database hold that would keep a restore waiting."""
    [found] = boat.query(
        "select count(*) from pg_locks as l join pg_database as d on d.oid = l.database"
        " where d.datname = current_database() and l.pid <> pg_backend_pid()"
        " and (l.locktype = 'advisory' or l.mode in ('ShareRowExclusiveLock', 'ShareLock'))"
    )
    return int(found)


def undo_newest(boat: Boat, new: dict[str, str]) -> None:
    with transaction(boat.connect()) as cursor:
        [newest] = restore.list_restores(cursor, 1)
    wanted = restore.undo_order(boat.connect(), newest["id"], "tester")
    restore.restore_tables(boat.connect(), wanted)
    assert digests(boat) == new
    while boat.opened:  # fifty undos would use up all that the server has
        boat.opened.pop().close()


def test_two_restores_at_once_go_one_after_the_other(crew: Boat) -> None:
    first, old, second, new = many(crew)
    pair = [start(crew, RESTORER) for _ in range(2)]
    assert [answer(each) for each in pair] == ["ready", "ready"]
    for turn in range(tries(2, 4)):
        for each, name in zip(pair, (first, second) if turn % 2 else (second, first), strict=True):
            ask(each, name)
        assert [answer(each) for each in pair] == [0, 0]
        with transaction(crew.connect()) as cursor:
            newest, before = restore.list_restores(cursor, 2)
        assert {newest["source_name"], before["source_name"]} == {first, second}
        assert digests(crew) == (old if newest["source_name"] == first else new)


@contextmanager
def threads(*works: Callable[[], None]) -> Iterator[None]:
    """Run works in threads; their failures are this test's."""
    failures: list[BaseException] = []

    def kept(work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            failures.append(error)

    running = [Thread(target=kept, args=(work,)) for work in works]
    for each in running:
        each.start()
    yield
    for each in running:
        each.join(60)
        assert not each.is_alive()
    assert failures == []


def test_readers_see_the_old_rows_until_they_see_the_new(crew: Boat) -> None:
    before, old, _, new = many(crew)
    seen: list[tuple[str, ...]] = []
    over = Event()
    tables = [crew.catalog().by_name[name] for name in (DEPARTMENTS, EMPLOYEES, JOBS)]

    def read() -> None:
        connection = connections.connect(crew.uri("reader"))
        with closing(connection):
            while not over.is_set():
                with transaction(connection) as cursor:
                    seen.append(tuple(digest_table(cursor, each) for each in tables))

    with threads(read):
        try:
            eventually(lambda: len(seen) > 1)
            restore.restore_tables(crew.connect(), order(crew, before))
            done = len(seen)
            eventually(lambda: len(seen) > done + 1)
        finally:
            over.set()
    states = [tuple(each[table.full_name] for table in tables) for each in (new, old)]
    border = seen.index(states[1])
    assert seen == [states[0]] * border + [states[1]] * (len(seen) - border)
    assert border > 3


def test_writers_wait_and_lose_nothing(crew: Boat) -> None:
    """Rows written before the restore got its turn are in the safety copy, later ones stay."""
    before, *_ = many(crew)
    written: list[int] = []
    meanwhile: list[int] = []
    over = Event()

    def write() -> None:
        connection = connections.connect(crew.uri("loader"))
        with closing(connection):
            while not over.is_set():
                number = 1_000_000 + len(written)
                with transaction(connection) as cursor:
                    cursor.execute(
                        f"insert into {EMPLOYEES} values (%s, 'Writer', now(), 1, 1)", [number]
                    )
                written.append(number)

    with threads(write):
        try:
            eventually(lambda: len(written) > 20)
            wanted = order(crew, before, progress=lambda *_: meanwhile.append(len(written)))
            done = restore.restore_tables(crew.connect(), wanted)
            behind = len(written)
            eventually(lambda: len(written) > behind + 20)
        finally:
            over.set()
    assert meanwhile[-1] <= meanwhile[0] + 1  # the one that was not counted yet
    kept = crew.query(f"select id from {EMPLOYEES} where id >= 1000000 order by id")
    lost = written[: len(written) - len(kept)]
    assert kept == written[len(lost) :]
    carried_out(crew, order(crew, done.safety))
    brought_back = crew.query(f"select id from {EMPLOYEES} where id >= 1000000 order by id")
    assert brought_back == lost


def test_a_restore_waits_for_a_backup(crew: Boat) -> None:
    before, old, *_ = many(crew)
    begun, go_on, waiting = Event(), Event(), Event()

    def progress(*_: object) -> None:
        begun.set()
        assert go_on.wait(30)

    taken: list[Taken] = []

    def back_up() -> None:
        connection = connections.connect(crew.uri("loader"))
        with closing(connection):
            taken.append(take_backup(connection, progress=progress))

    def put_back() -> None:
        connection = connections.connect(crew.uri("loader"))
        with closing(connection):
            waiting.set()
            restore.restore_tables(connection, order(crew, before))

    with threads(back_up, put_back):
        assert begun.wait(30)
        assert waiting.wait(30)
        eventually(lambda: crew.query("select count(*) from pg_locks where not granted") == [1])
        go_on.set()
    assert taken[0].findings == []
    assert digests(crew) == old
    again = order(crew, taken[0].set)
    assert carried_out(crew, again).plan.tables[1].delete == 0


@contextmanager
def uncommitted(boat: Boat, statement: str) -> Iterator[Callable[[], None]]:
    """Another program's transaction; gives what commits it."""
    with closing(psycopg2.connect(boat.uri("loader"))) as other, other.cursor() as cursor:
        cursor.execute(statement)
        yield other.commit


@pytest.mark.parametrize("cascade", [False, True])
def test_an_employee_who_comes_while_the_department_goes(crew: Boat, cascade: bool) -> None:
    held = take(crew)
    crew.query(f"insert into {DEPARTMENTS} values (4, 'Deck')")
    wanted = order(crew, held, [DEPARTMENTS], cascade=cascade)
    outcome: list[Any] = []

    def put_back() -> None:
        connection = connections.connect(crew.uri("loader"))
        with closing(connection):
            try:
                outcome.append(restore.restore_tables(connection, wanted))
            except WouldCascade as error:
                outcome.append(error.fact)

    statement = f"insert into {EMPLOYEES} values (3, 'Cy', now(), 4, 1)"
    with uncommitted(crew, statement) as commit, threads(put_back):
        eventually(lambda: crew.query("select count(*) from pg_locks where not granted") != [0])
        commit()
    if cascade:
        assert outcome[0].plan.tables[0].dependents == {BY_DEPARTMENT: 1}
        undone(crew, outcome[0])
    else:
        assert outcome == [
            f"deleting rows of {DEPARTMENTS} that the backup does not have would affect others:"
            f" 1 of {BY_DEPARTMENT}"
        ]
    assert crew.query(f"select id from {EMPLOYEES} order by id") == [1, 2, 3]
    assert len(crew.departments()) == 4


def test_a_table_that_is_changed_before_its_restore_gets_its_turn(crew: Boat) -> None:
    wanted = order(crew, take(crew))
    facts: list[str] = []

    def put_back() -> None:
        connection = connections.connect(crew.uri("loader"))
        with closing(connection), pytest.raises(RestoreRefused) as raised:
            restore.restore_tables(connection, wanted)
        facts.append(str(raised.value))

    with closing(psycopg2.connect(crew.uri("owner"))) as other, other.cursor() as cursor:
        cursor.execute(f"alter table {EMPLOYEES} add wage integer")
        with threads(put_back):
            eventually(lambda: crew.query("select count(*) from pg_locks where not granted") != [0])
            other.commit()
    assert facts == ["the tables have been changed meanwhile\nHINT: run it again"]
    assert len(shelf.set_names()) == 1
    carried_out(crew, wanted)


def test_the_safety_copy_stays_where_nobody_knows_whether_it_is_needed(
    crew: Boat, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection breaks in the very moment of the commit."""
    held = take(crew)
    crew.query(f"delete from {DEPARTMENTS} where id = 3")
    connection = crew.connect()
    before = digests(crew)

    class Torn:
        def __getattr__(self, name: str) -> Any:
            return getattr(connection, name)

        def commit(self) -> None:
            connection.commit()
            with closing(psycopg2.connect(crew.uri("loader"))) as other, other.cursor() as cursor:
                cursor.execute("select count(*) from backup_status.restores")
                if cursor.fetchone() == (1,):
                    connection.close()
                    raise psycopg2.OperationalError("server closed the connection unexpectedly")

    with pytest.raises(ConnectionLost):
        restore.restore_tables(Torn(), order(crew, held))  # type: ignore[arg-type]
    with transaction(crew.connect()) as cursor:
        [only] = restore.list_restores(cursor)
    undo = restore.undo_order(crew.connect(), only["id"], "tester")
    restore.restore_tables(crew.connect(), undo)
    assert digests(crew) == before
