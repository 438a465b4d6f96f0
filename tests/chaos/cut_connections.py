"""Faults of the line to Postgres and of others who work there: cuts, deadlocks, two systems."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from threading import Event, Thread

import psycopg2
from psycopg2 import sql

from rowboat.database.embedded import SUPERUSER, EmbeddedServer
from tests.acceptance.conftest import System, running
from tests.chaos.posting import Posts
from tests.chaos.proxy import before
from tests.chaos.sandbox import Yard, yard
from tests.chaos.system import check_rest, held, is_up, until
from tests.chaos.workloads import LIFTED, Backup, Ingest, Restore, Work, check_set
from tests.conftest import ROOT

CUTS, LINES = 20, 60_000
SCHEMA, EDITORS, FILES = "hired_employees", 3, 15
EDIT = (
    "select from {table} where id = %s for update",
    "update {table} set {name} = {name} || '.' where id = %s",
)
DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


def cut(folder: Path, seed: int, cuts: int = CUTS) -> str:
    """The connection is reset in the middle of COPY, after a random number of bytes."""
    rng = Random(seed)
    with yard(folder, ROWBOAT_CHUNK_BYTES="200000") as here, before(_port(here)) as proxy:
        address = here.address().replace(f":{_port(here)}/", f":{proxy.port}/")
        through = {"ROWBOAT_DATABASE_URL": address}
        one = here.hires(seed, LINES)
        positions = []
        while proxy.cuts < cuts:
            proxy.cut_after(rng.randrange(2_000, 3 * len(one.file.text) // cuts))
            said = here.rowboat("ingest", "--json", **through)
            if said.returncode == 0:
                break
            assert "cannot be reached" in said.stdout, said
            positions.append(_position(here, one))
        loads = proxy.cuts
        here.does("ingest", **through)
        one.check()
        taken = here.does("backup")["set"]
        for _ in range(cuts // 2):
            proxy.cut_after(rng.randrange(2_000, 1_000_000), to_server=False)
            said = here.rowboat("backup", "--json", **through)
            assert said.returncode == 0 or "cannot be reached" in said.stdout, said
        backups = proxy.cuts - loads
        for each in here.shelf.iterdir():
            if not each.name.startswith("."):
                check_set(here, each.name)
        here.query("update hired_employees.hired_employees set employee_name = 'X'")
        for _ in range(cuts // 2):
            proxy.cut_after(rng.randrange(20_000, 1_000_000))
            said = here.rowboat(
                *("restore", "hired_employees", "--from", taken, "--yes", "--json"), **through
            )
            if said.returncode == 0:
                break
            assert "cannot be reached" in said.stdout, said
            unlike = (
                "select count(*) from hired_employees.hired_employees where employee_name <> 'X'"
            )
            assert here.query(unlike) == [(0,)]
        restores = proxy.cuts - loads - backups
        here.does("restore", "hired_employees", "--from", taken, "--yes")
        one.check_rows()
        assert here.does("backup")["findings"] == []
        assert [each.name for each in here.shelf.iterdir() if each.name.startswith(".")] == []
        until("no lock is left", lambda: not held(here))
    return f"{loads} loads, {backups} backups and {restores} restores cut"


def _position(here: Yard, one: Ingest) -> int:
    """Return the lines that are loaded; rows, quarantine and position must agree."""
    [(lines, rejected, rows)] = here.query(
        "select coalesce(max(loaded_lines), 0)::int, coalesce(max(rejected), 0)::int,"
        " (select count(*) from hired_employees.hired_employees)"
        " from ingest_status.ingest_status where file_name = %s",
        [one.name],
    )
    assert rejected == sum(number <= lines for number in one.file.flawed)
    assert rows == lines - rejected
    return int(lines)


def _port(here: Yard) -> int:
    return EmbeddedServer(here.home).port


def deadlocks(folder: Path, seed: int) -> str:
    """Others change jobs and departments in any order while hires are loaded that refer to both.

    They wait longer than the loads before they look for a deadlock, so that the loads give way;
    these hold the tables of the parents, or without that right each row.
    """
    seen = {}
    with yard(folder, ROWBOAT_CHUNK_BYTES="100000") as here:
        for role, first in ("rowboat_loader", seed), ("rowboat_owner", seed + FILES):
            before_, files = _deadlocks(here), list[Ingest]()
            with _edited(here, seed) as turns:
                while _deadlocks(here) < before_ + 3 and len(files) < FILES:
                    files.append(here.hires(first + len(files), 20_000))
                    here.does("ingest", ROWBOAT_DATABASE_URL=here.address(role))
            for one in files:
                one.check()
            seen[role] = _deadlocks(here) - before_
            assert seen[role], f"{role} met no deadlock beside {sum(turns)} edits"
    return f"loads of 20,000 lines: {seen}"


@contextmanager
def _edited(here: Yard, seed: int) -> Iterator[list[int]]:
    """Edit parents all the time; gives how often each editor has done so."""
    over, turns = Event(), [0] * EDITORS
    address = here.address(SUPERUSER)

    def edit(number: int) -> None:
        rng = Random(seed + number)
        own = [("jobs", "job", n) for n in range(number + 1, 181, EDITORS)]
        own += [("departments", "department", n) for n in range(number + 1, 13, EDITORS)] * 10
        connection = psycopg2.connect(address, options="-c deadlock_timeout=1min")
        while not over.wait(rng.uniform(0.1, 0.6)):
            with connection, connection.cursor() as cursor:
                for table, column, row in rng.sample(own, 3):
                    names = {"table": sql.Identifier(SCHEMA, table), "name": sql.Identifier(column)}
                    for statement in EDIT:
                        cursor.execute(sql.SQL(statement).format(**names), [row])
                    over.wait(rng.uniform(0, 0.05))
            turns[number] += 1
        connection.close()

    editors = [Thread(target=edit, args=[number]) for number in range(EDITORS)]
    for each in editors:
        each.start()
    try:
        yield turns
    finally:
        over.set()
        for each in editors:
            each.join()


def _deadlocks(here: Yard) -> int:
    [(count,)] = here.query(DEADLOCKS)
    return int(count)


def two_systems(folder: Path, seed: int) -> str:
    """Two whole systems share a database, a folder of files and a shelf."""
    embedded = EmbeddedServer(folder / "database")
    embedded.acquire()
    stack = ExitStack()
    stack.callback(embedded.release)
    shared = {
        "ROWBOAT_DATABASE_URL": embedded.uri("rowboat_owner"),
        "ROWBOAT_RAW_DATA": str(folder / "one" / "raw_data"),
        "ROWBOAT_BACKUPS": str(folder / "backups"),
    }
    for name in ("one", "two"):
        (folder / name / "raw_data").mkdir(parents=True)
    for path in (ROOT / "raw_data").glob("*.csv"):
        shutil.copy(path, folder / "one" / "raw_data")
    with stack:
        systems = [stack.enter_context(running(folder / n, **shared)) for n in ("one", "two")]
        one, two = systems
        one.query(LIFTED)
        files: list[Work] = [Ingest(one, seed + n, Random(seed + n)) for n in range(4)]
        others: list[Work] = [
            kind(each, seed, Random(seed)) for each in systems for kind in (Backup, Posts)
        ]
        first, second = _two_restores(one, two, seed)
        for each in others:
            each.prepare()
        works = [*files, *others]
        all_ = [*works, first, second]
        for each in all_:
            each.begin()
        until("all is done", lambda: sum(w.done() for w in all_) == len(all_), 300)
        for each in works:
            each.check()
        states = {each.system.airflow.state("restore", each.run) for each in (first, second)}
        assert "success" in states, states
        first.check_rows()
        for system in systems:
            until("it is up", lambda system=system: is_up(system))  # type: ignore[misc]
            check_rest(system)
        for path in (folder / "backups").iterdir():
            check_set(one, path.name)
    return f"{len(files)} files, {len(others)} backups and posts, 2 restores of one table"


def _two_restores(one: System, two: System, seed: int) -> tuple[Restore, Restore]:
    """Return restores of one table to one set, by both, of which one may not hold by then."""
    first, second = (Restore(each, seed, Random(seed)) for each in (one, two))
    first.prepare()
    second.like(first)
    return first, second
