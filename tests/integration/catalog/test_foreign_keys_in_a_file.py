"""Rows that refer to rows of the same table: any order, rings, rejected parents."""

from collections.abc import Callable
from typing import Any

from tests.conftest import Boat
from tests.support.loading import loaded_counts, reasons

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]
TREE = """
create schema s;
create table s.people (
    id integer primary key, boss integer references s.people, badge text unique
)
"""


def people(boat: Boat) -> list[Any]:
    return boat.query("select id from s.people order by id")


def test_child_before_parent(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.write("people.csv", "3,2,\n2,1,\n1,,\n4,4,\n")
    assert loaded_counts(boat.ingest()["people.csv"]) == (4, 4, 0, 0, 0)
    assert boat.query("select id, boss from s.people order by id") == [
        (1, None), (2, 1), (3, 2), (4, 4),
    ]  # fmt: skip


def test_child_before_parent_across_chunks(boat: Boat, declare: Declare, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    declare(TREE)
    boat.write("people.csv", "".join(f"{n},{n - 1 or ''},\n" for n in range(40, 0, -1)))
    boat.ingest()
    assert people(boat) == list(range(1, 41))
    assert boat.rejects() == []
    assert boat.query("select read, inserted, rejected from ingest_status.ingest_status") == [
        (40, 40, 0)
    ]


def test_refused_parent_refuses_its_descendants(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.write("people.csv", "1,,\n2,99,\n3,2,\n4,3,\n5,1,\nx,1,\n6,y,\n7,6,\n")
    assert loaded_counts(boat.ingest()["people.csv"]) == (8, 2, 0, 0, 6)
    assert people(boat) == [1, 5]
    assert reasons(boat) == {
        2: ["reference: s.people has no id 99"],
        3: ["reference: s.people has no id 2"],
        4: ["reference: s.people has no id 3"],
        6: ["type: 'x' is not an integer"],
        7: ["type: 'y' is not an integer"],
        8: ["reference: s.people has no id 6"],
    }


def test_orphan_without_a_key_of_its_own_has_one_reason(boat: Boat, declare: Declare) -> None:
    """Rows whose keys the database gives cannot be parents in their file: nothing is repeated."""
    declare(
        "create schema s;"
        " create table s.people ("
        " id integer primary key generated always as identity,"
        " boss integer references s.people, badge text)"
    )
    boat.write("people.csv", "boss,badge\n99,a\n,b\n")
    assert loaded_counts(boat.ingest()["people.csv"]) == (2, 1, 0, 0, 1)
    assert reasons(boat) == {2: ["reference: s.people has no id 99"]}


def test_ring_of_rows(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.write("people.csv", "1,3,\n2,1,\n3,2,\n4,5,\n5,4,\n6,6,\n7,5,x\n8,9,\n9,8,\n9,1,\n")
    assert loaded_counts(boat.ingest()["people.csv"]) == (10, 9, 0, 0, 1)
    assert reasons(boat) == {10: ["duplicate: id 9 occurs earlier in this file with other values"]}


def test_ring_with_a_refused_row(boat: Boat, declare: Declare) -> None:
    declare(TREE)
    boat.query("insert into s.people values (50, null, 'taken')")
    boat.write("people.csv", "1,3,taken\n2,1,\n3,2,\n4,3,\n")
    assert loaded_counts(boat.ingest()["people.csv"]) == (4, 0, 0, 0, 4)
    assert people(boat) == [50]
    assert reasons(boat) == {
        1: ["reference: s.people has no id 3", "duplicate: badge taken belongs to another row"],
        2: ["reference: s.people has no id 1"],
        3: ["reference: s.people has no id 2"],
        4: ["reference: s.people has no id 3"],
    }


def test_parent_refused_as_a_duplicate_refuses_its_children(boat: Boat, declare: Declare) -> None:
    """No row may be left without its parent, whichever rule has refused the parent."""
    declare(TREE)
    boat.write("people.csv", "1,,A\n2,,A\n3,2,\n4,3,\n1,2,\n")
    assert loaded_counts(boat.ingest()["people.csv"]) == (5, 1, 0, 0, 4)
    assert people(boat) == [1]
    assert reasons(boat) == {
        2: ["duplicate: badge A belongs to another row"],
        3: ["reference: s.people has no id 2"],
        4: ["reference: s.people has no id 3"],
        5: ["duplicate: id 1 occurs earlier in this file with other values",
            "reference: s.people has no id 2"],
    }  # fmt: skip


def test_parent_refused_by_the_database_refuses_its_children(boat: Boat, declare: Declare) -> None:
    declare(
        TREE
        + """;
        create function s.no_twelve() returns trigger language plpgsql as
            $$ begin if new.id = 12 then raise 'twelve is unlucky'; end if; return new; end $$;
        create trigger no_twelve before insert on s.people
            for each row execute function s.no_twelve();
        """
    )
    boat.write("people.csv", "11,,\n12,11,\n13,12,\n14,11,\n")
    boat.ingest()
    assert people(boat) == [11, 14]
    assert reasons(boat) == {
        2: ["check: twelve is unlucky"],
        3: ["reference: s.people has no id 12"],
    }
