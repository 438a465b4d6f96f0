"""Versions of metrics: each write changes them, other work does not."""

import io
from collections.abc import Callable
from dataclasses import replace

import pytest

from rowboat.database.connections import Connection, transaction
from rowboat.metrics.definitions import Metric
from rowboat.metrics.figures import (
    Moment,
    add_up_writes,
    begin_moment,
)
from tests.conftest import Boat
from tests.support.figures import DEPARTMENTS, HIRES, QUARTERS, WRITES


def seen(connection: Connection, wanted: Metric = QUARTERS) -> str | None:
    with transaction(connection) as cursor:
        return begin_moment(cursor, wanted).version


OTHERS = {
    "nothing": "select 1",
    "another table": "insert into rowboat.usage values ('x', now(), 1)",
    "analyze": f"analyze {HIRES}",
    "locks": f"select * from {HIRES} for update",
    "lock": f"lock table {HIRES} in share mode",
    "rolled back": f"do $$ begin delete from {HIRES}; raise '%', 1;"
    " exception when others then null; end $$",
    "a number": "select nextval('hired_employees.hired_employees_id_seq')",
}


@pytest.mark.parametrize("write", WRITES)
def test_writes_are_seen(crew: Boat, write: str) -> None:
    connection = crew.connect("api")
    before = seen(connection)
    crew.query(WRITES[write])
    assert seen(connection) != before


@pytest.mark.parametrize("other", OTHERS)
def test_other_work_changes_no_version(crew: Boat, other: str) -> None:
    connection = crew.connect("api")
    before = seen(connection)
    crew.query(OTHERS[other])
    assert seen(connection) == before is not None


def test_copy_and_silent_triggers_are_seen(crew: Boat) -> None:
    """As a load does it: session_replication_role is replica, rows come by COPY."""
    versions = [seen(crew.connect("api"))]
    with transaction(crew.connect("loader")) as cursor:
        cursor.execute("set local session_replication_role = replica")
        cursor.copy_expert(f"copy {HIRES} from stdin", io.StringIO("9\tA\t2021-01-01Z\t1\t1\n"))
    versions.append(seen(crew.connect("api")))
    crew.write("jobs.csv", "1,J\n2,L\n")
    crew.ingest()
    versions.append(seen(crew.connect("api")))
    assert len(set(versions)) == 3


def test_a_metric_has_versions_of_its_own(crew: Boat) -> None:
    quarters, departments = seen(crew.connect("api")), seen(crew.connect("api"), DEPARTMENTS)
    crew.query("update hired_employees.jobs set job = 'X' where id = 1")
    assert seen(crew.connect("api")) != quarters
    assert seen(crew.connect("api"), DEPARTMENTS) == departments


def test_what_has_no_version(crew: Boat) -> None:
    crew.query("create view hired_employees.names as select 1 from hired_employees.departments")
    of_view = replace(QUARTERS, tables=("hired_employees.names",))
    assert seen(crew.connect("api"), of_view) is None
    of_now = replace(QUARTERS, statement="select now(), %(year)s")
    assert seen(crew.connect("api"), of_now) is None


def test_a_partition_of_its_own(boat: Boat, declare: Callable[[str], None]) -> None:
    declare(
        "create schema s; create table s.p (id integer) partition by range (id);"
        " create table s.p1 partition of s.p for values from (0) to (10);"
    )
    wanted = replace(QUARTERS, tables=("s.p",), statement="select count(*), %(year)s from s.p")
    versions = [seen(boat.connect("owner"), wanted)]
    for write in (
        "insert into s.p1 values (1)",
        "insert into s.p values (2)",
        "create table s.p2 partition of s.p for values from (10) to (20)",
        "insert into s.p2 values (11)",  # nobody counts its writes yet
        "insert into s.p2 values (12)",
    ):
        boat.query(write)
        versions.append(seen(boat.connect("owner"), wanted))
    assert len(set(versions)) == len(versions)
    assert None not in versions


def test_counts_are_added_up(crew: Boat) -> None:
    """The sums stay as they are, those of a writer at work too."""
    for _ in range(5):
        crew.query(WRITES["update"])
    before, owner = seen(crew.connect("api")), crew.connect("owner")
    with transaction(owner) as cursor:
        cursor.execute(WRITES["delete"])
        with transaction(crew.connect("api")) as other:
            add_up_writes(other)
        assert seen(crew.connect("api")) == before
    moments = [now(crew), now(crew)]
    assert moments[0].version == moments[1].version != before
    assert moments[0].pieces == 4  # one for each of three tables, and the writer's
    with transaction(crew.connect("api")) as cursor:
        add_up_writes(cursor)
    assert now(crew).pieces == 3
    assert now(crew).version == moments[0].version


def now(boat: Boat) -> Moment:
    with transaction(boat.connect("api")) as cursor:
        return begin_moment(cursor, QUARTERS)


def test_two_add_up_at_once(crew: Boat) -> None:
    before = seen(crew.connect("api"))
    with transaction(crew.connect("api")) as first, transaction(crew.connect("loader")) as second:
        add_up_writes(first)
        second.execute("set local lock_timeout = '1s'")
        add_up_writes(second)  # leaves it to the first
    assert seen(crew.connect("api")) == before


def test_a_trigger_that_was_off(crew: Boat) -> None:
    """Nobody has counted the write, but the trigger has changed."""
    before = seen(crew.connect("api"))
    crew.query(f"alter table {HIRES} disable trigger rowboat_written")
    crew.query(WRITES["delete"])
    crew.query(f"alter table {HIRES} enable always trigger rowboat_written")
    assert seen(crew.connect("api")) != before
