"""Primary keys, unique constraints and unique indexes of a user's own tables."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat
from tests.support.loading import loaded_counts, reasons

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


def test_composite_key(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.slots"
        " (pier text, at date, boat text, primary key (pier, at));"
        "create table s.bookings (id integer primary key, pier text, at date,"
        " foreign key (pier, at) references s.slots)"
    )
    boat.write(
        "slots.csv",
        "pier,at,boat\nA,2023-01-01,x\nA,2023-01-02,y\nA,2023-01-01,z\nA,,z\nB,soon,z\n",
    )
    boat.write("bookings.csv", "1,A,2023-01-01\n2,A,2023-01-03\n3,,2023-01-03\n4,A,\n")
    reports = boat.ingest()
    assert loaded_counts(reports["slots.csv"]) == (5, 2, 0, 0, 3)
    assert loaded_counts(reports["bookings.csv"]) == (4, 3, 0, 0, 1)
    assert [(line, why) for line, _, why in boat.rejects()] == [
        (2, ["reference: s.slots has no pier A, at 2023-01-03"]),
        (4, ["duplicate: pier A, at 2023-01-01 occurs earlier in this file with other values"]),
        (5, ["required: at is empty"]),
        (6, ["type: 'soon' is not an ISO 8601 date"]),
    ]
    boat.write("slots-2.csv", "boat,at,pier\nX,2023-01-01,A\ny,2023-01-02,A\n")
    assert loaded_counts(boat.ingest()["slots-2.csv"]) == (2, 0, 1, 1, 0)


def test_part_of_a_key_by_default(boat: Boat, declare: Declare) -> None:
    """A column that the file leaves out has its default, in keys and references too."""
    declare(
        "create schema s; create table s.ports (name text primary key);"
        "create table s.boats (no integer, port text default 'Home' references s.ports,"
        " primary key (no, port))"
    )
    boat.write("ports.csv", "name\nAway\n")
    boat.write("boats.csv", "no\n1\n1\n")
    assert loaded_counts(boat.ingest()["boats.csv"]) == (2, 0, 0, 0, 2)
    assert reasons(boat) == {
        2: ["reference: s.ports has no name Home"],
        3: ["reference: s.ports has no name Home"],
    }
    boat.write("ports.csv", "name\nAway\nHome\n")
    boat.ingest()
    assert boat.query("select no, port from s.boats") == [(1, "Home")]
    assert reasons(boat) == {
        3: ["duplicate: no 1, port Home occurs earlier in this file with the same values"]
    }


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
def test_unique_constraint(
    boat: Boat, declare: Declare, setting: Setting, chunk_bytes: int
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    declare("create schema s; create table s.u (id integer primary key, code text unique)")
    boat.query("insert into s.u values (1, 'one'), (2, 'two')")
    boat.write("u.csv", "id,code\n3,three\n4,one\n5,three\n1,uno\n6,\n7,\n2,two\n8,eight\n8,acht\n")
    report = boat.ingest()["u.csv"]
    assert loaded_counts(report) == (9, 4, 1, 1, 3)
    assert reasons(boat) == {
        3: ["duplicate: code one belongs to another row"],
        4: ["duplicate: code three belongs to another row"],
        10: ["duplicate: id 8 occurs earlier in this file with other values"],
    }


def test_unique_constraint_across_chunks_says_the_same(
    boat: Boat, declare: Declare, setting: Setting
) -> None:
    declare("create schema s; create table s.u (id integer primary key, code text unique)")
    content = "id,code\n" + "".join(f"{n},c{n}\n" for n in range(1, 30)) + "30,c3\n3,c99\n"
    boat.write("u.csv", content)
    setting("chunk_bytes", "64")
    assert loaded_counts(boat.ingest()["u.csv"]) == (31, 29, 0, 0, 2)
    assert reasons(boat) == {
        31: ["duplicate: code c3 belongs to another row"],
        32: ["duplicate: id 3 occurs earlier in this file with other values"],
    }


def test_unique_constraint_with_equal_nulls(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s; create table s.u"
        " (id integer primary key, code text, unique nulls not distinct (code))"
    )
    boat.write("u.csv", "1,\n2,\n3,x\n")
    assert loaded_counts(boat.ingest()["u.csv"]) == (3, 2, 0, 0, 1)
    assert reasons(boat) == {2: ["duplicate: code (empty) belongs to another row"]}  # fmt: skip


def test_unique_index(boat: Boat, declare: Declare) -> None:
    """What the catalog's constraints do not say is refused in the database's own words."""
    declare(
        "create schema s; create table s.u (id integer primary key, code text);"
        "create unique index code_in_any_case on s.u (lower(code)) where id < 100"
    )
    rows = "".join(f"{n},c{n}\n" for n in range(1, 21))
    boat.write("u.csv", rows + "21,C7\n22,c22\n107,C7\n")
    assert loaded_counts(boat.ingest()["u.csv"]) == (23, 22, 0, 0, 1)
    assert reasons(boat) == {
        21: ['check: duplicate key value violates unique constraint "code_in_any_case"']
    }
