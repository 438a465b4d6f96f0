"""Rows without parents: rejected, kept, and loaded once the parents arrive."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat, counts
from tests.support.loading import hires, position

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


def test_unknown_parents(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    boat.write(
        "hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,9,8\n3,C,2021-01-01,x,7\n"
    )
    reports = boat.ingest()
    assert counts(reports["hired_employees.csv"]) == (3, 1, 0, 0, 2)
    assert boat.rejects() == [
        (2, b"2,B,2021-01-01,9,8", ["reference: hired_employees.departments has no id 9",
                                    "reference: hired_employees.jobs has no id 8"]),
        (3, b"3,C,2021-01-01,x,7", ["type: 'x' is not an integer",
                                    "reference: hired_employees.jobs has no id 7"]),
    ]  # fmt: skip


def test_parent_that_was_refused(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n2,\n")
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,2,1\n")
    boat.ingest()
    assert boat.rejects() == [
        (2, b"2,", ["required: department is empty"]),
        (2, b"2,B,2021-01-01,2,1", ["reference: hired_employees.departments has no id 2"]),
    ]


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_parent_arrives_later(boat: Boat, setting: Setting, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    boat.write(
        "hired_employees.csv", "1,A,2021-01-01,1,1\n2,B,2021-01-01,2,1\nx,C,2021-01-01,1,1\n"
    )
    boat.ingest()
    assert position(boat, "hired_employees.csv") == (3, 0, 0, 0, 3)
    boat.write("jobs.csv", "1,b\n")
    boat.ingest()
    assert position(boat, "hired_employees.csv") == (3, 0, 0, 0, 3)
    assert [reasons for _, _, reasons in boat.rejects()] == [
        ["reference: hired_employees.departments has no id 1"],
        ["reference: hired_employees.departments has no id 2"],
        ["type: 'x' is not an integer", "reference: hired_employees.departments has no id 1",
         "reference: hired_employees.jobs has no id 1"],
    ]  # fmt: skip
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    assert hires(boat) == [(1, "A", "2021-01-01 00:00:00+00", 1, 1)]
    assert position(boat, "hired_employees.csv") == (3, 1, 0, 0, 2)
    assert boat.query(
        "select q.line, q.settled_as, l.source, l.inserted from ingest_status.rejected_rows q"
        " join ingest_status.loads l on l.id = q.settled_by"
    ) == [(1, "loaded", "retry", 1)]
    boat.write("departments.csv", "1,a\n2,z\n")
    boat.ingest()
    assert [row[0] for row in hires(boat)] == [1, 2]
    assert position(boat, "hired_employees.csv") == (3, 2, 0, 0, 1)


THREE_LEVELS = """
create schema s;
create table s.fleets (id integer primary key, name text not null);
create table s.boats (id integer primary key, fleet_id integer not null references s.fleets);
create table s.oars (id integer primary key, boat_id integer not null references s.boats);
"""


def test_grandchildren_follow(boat: Boat, declare: Declare) -> None:
    declare(THREE_LEVELS)
    boat.write("oars.csv", "1,10\n2,10\n3,11\n")
    boat.write("boats.csv", "10,100\n11,101\n")
    boat.ingest()
    assert boat.query("select count(*) from s.boats") == [0]
    assert position(boat, "oars.csv") == (3, 0, 0, 0, 3)
    boat.write("fleets.csv", "100,Blue\n")
    boat.ingest()
    assert boat.query("select id from s.boats") == [10]
    assert boat.query("select id from s.oars order by id") == [1, 2]
    assert position(boat, "boats.csv") == (2, 1, 0, 0, 1)
    assert position(boat, "oars.csv") == (3, 2, 0, 0, 1)
    assert boat.rejects() == [
        (2, b"11,101", ["reference: s.fleets has no id 101"]),
        (3, b"3,11", ["reference: s.boats has no id 11"]),
    ]


def test_retried_row_does_not_overwrite_a_later_one(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees-1.csv", "1,Old,2021-01-01,1,1\n2,Bo,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "2,z\n")
    boat.write("hired_employees-2.csv", "1,New,2022-02-02,2,1\n")
    boat.ingest()
    boat.write("departments.csv", "2,z\n1,a\n")
    boat.ingest()
    assert hires(boat) == [
        (1, "New", "2022-02-02 00:00:00+00", 2, 1),
        (2, "Bo", "2021-01-01 00:00:00+00", 1, 1),
    ]
    assert boat.rejects() == [
        (1, b"1,Old,2021-01-01,1,1",
         ["duplicate: id 1 is already in the table with other values"]),
    ]  # fmt: skip
    assert position(boat, "hired_employees-1.csv") == (2, 1, 0, 0, 1)


def test_retried_row_does_not_overwrite_a_row_written_by_hand(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees.csv", "1,Old,2021-01-01,1,1\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments values (2, 'z')")
    boat.query("insert into hired_employees.hired_employees values (1, 'Hand', '2022-01-01', 2, 1)")
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    assert [row[:2] for row in hires(boat)] == [(1, "Hand")]
    assert [reasons for _, _, reasons in boat.rejects()] == [
        ["duplicate: id 1 is already in the table with other values"]
    ]


def test_retried_row_overwrites_an_earlier_one(boat: Boat) -> None:
    boat.write("departments.csv", "1,a\n")
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees-1.csv", "1,Old,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("hired_employees-2.csv", "1,New,2022-02-02,2,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n2,z\n")
    boat.ingest()
    assert [row[:2] for row in hires(boat)] == [(1, "New")]
    assert boat.rejects() == []
    assert position(boat, "hired_employees-2.csv") == (1, 0, 1, 0, 0)


def test_retried_row_is_updated_by_a_tail_of_its_file(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    path = boat.write("hired_employees.csv", "1,A,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n")
    boat.ingest()
    path.write_bytes(path.read_bytes() + b"1,B,2021-01-01,1,1\n")
    boat.ingest()
    assert [row[:2] for row in hires(boat)] == [(1, "B")]
    assert position(boat, "hired_employees.csv") == (2, 1, 1, 0, 0)
