"""Headers that name, omit or repeat columns; defaults and sequences of omitted columns."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat, counts
from tests.support.loading import failure

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


@pytest.mark.parametrize(
    ("header", "error", "hint"),
    [
        (
            "id,department,boss",
            'the header names "boss", which is not a column of hired_employees.departments',
            "its columns are: id, department",
        ),
        (
            "id",
            'the header lacks "department", which every row of hired_employees.departments needs',
            "add the column to the file",
        ),
        ("id,department,ID", 'the header names "id" twice', "name each column once"),
        (
            "department;id;department",
            'the header names "department" twice',
            "name each column once",
        ),
    ],
)  # fmt: skip
def test_wrong_headers(boat: Boat, header: str, error: str, hint: str) -> None:
    boat.write("departments.csv", f"{header}\n1,a\n")
    assert failure(boat, "departments.csv") == ("failed", error, hint)
    assert boat.departments() == []
    assert boat.query("select state, error from ingest_status.ingest_status") == [("failed", error)]


def test_wrong_header_is_looked_at_again_when_corrected(boat: Boat) -> None:
    boat.write("departments.csv", "id\n1\n")
    assert failure(boat, "departments.csv")[0] == "failed"
    boat.write("departments.csv", "id,department\n1,a\n")
    assert counts(boat.ingest()["departments.csv"]) == (1, 1, 0, 0, 0)


def test_columns_with_a_default_may_be_left_out(boat: Boat, declare: Declare) -> None:
    declare(
        "create schema s;"
        "create table s.boats (name text primary key, crew integer, built date not null"
        " default '2020-01-01', check (crew < 9))"
    )
    boat.write("boats.csv", "name\nKestrel\nHeron\n")
    assert counts(boat.ingest()["boats.csv"]) == (2, 2, 0, 0, 0)
    assert boat.query("select name, crew, built::text from s.boats order by name") == [
        ("Heron", None, "2020-01-01"),
        ("Kestrel", None, "2020-01-01"),
    ]


def test_id_may_be_left_out(boat: Boat) -> None:
    boat.write("departments.csv", "department\na\nb\n")
    assert counts(boat.ingest()["departments.csv"]) == (2, 2, 0, 0, 0)
    assert boat.departments() == [(1, "a"), (2, "b")]


def test_insert_without_id_follows_explicit_ids(boat: Boat) -> None:
    boat.write("departments.csv", "41,a\n7,b\nx,c\n99,\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments (department) values ('c')")
    assert boat.departments() == [(7, "b"), (41, "a"), (42, "c")]


def test_sequence_never_moves_back(boat: Boat) -> None:
    boat.query("select setval('hired_employees.departments_id_seq', 50)")
    boat.write("departments.csv", "7,a\n")
    boat.ingest()
    boat.query("insert into hired_employees.departments (department) values ('c')")
    assert boat.departments() == [(7, "a"), (51, "c")]


def test_one_column(boat: Boat, declare: Declare, setting: Setting) -> None:
    """A table of one column: blank lines are no rows, and COPY's own end mark is a text."""
    declare("create schema s; create table s.words (word text primary key)")
    boat.write("words.csv", 'word\n\nan oar\n\\.\n"a, b"\n""\n\\N\nlast\n')
    report = boat.ingest()["words.csv"]
    assert boat.query('select word from s.words order by word collate "C"') == [
        "", "\\.", "\\N", "a, b", "an oar", "last",
    ]  # fmt: skip
    assert counts(report) == (6, 6, 0, 0, 0)
