"""Primary keys, unique constraints and unique indexes of a user's own tables."""

from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from rowboat.database.connections import Steps
from rowboat.door.rejected_rows import RejectFilter
from rowboat.ingest.rejudge import rejudge_rows
from tests.conftest import Boat
from tests.support.loading import loaded_counts, reasons
from tests.support.writing import numbers

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
    assert loaded_counts(report) == (9, 5, 1, 1, 2)
    assert reasons(boat) == {
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


@pytest.mark.parametrize(
    ("key", "type_", "again"),
    [("1.0", "numeric", "1.00"), ("-0", "double precision", "0"), ("1", "integer", "1")],
)
def test_nothing_but_a_key(boat: Boat, declare: Declare, key: str, type_: str, again: str) -> None:
    declare(f"create schema s; create table s.k (k {type_} primary key)")
    boat.write("k.csv", f"{key}\n")
    boat.ingest()
    boat.write("k-2.csv", f"{again}\n2\n")
    changed = key != again
    assert loaded_counts(boat.ingest()["k-2.csv"]) == (2, 1, changed, not changed, 0)
    assert boat.query("select k::text from s.k order by k") == [again, "2"]


CODES = "create schema s; create table s.u (id integer primary key, code text{});"
CHILD = "create table s.c (id integer primary key, u integer not null references s.u on delete {});"
EXCHANGES = [
    ("1,b\n2,a\n", (2, 0, 2, 0, 0)),
    ("1,b\n2,c\n3,a\n", (3, 0, 3, 0, 0)),
    ("1,b\n2,c\n3,d\n4,e\n5,a\n", (5, 0, 5, 0, 0)),
    ("2,c\n1,b\n3,z\n", (3, 0, 3, 0, 0)),
    ("9,a\n1,z\n", (2, 1, 1, 0, 0)),
    ("8,b\n2,a\n1,z\n", (3, 1, 2, 0, 0)),
    ("1,b\n2,a\n3,c\n4,D\n", (4, 0, 3, 1, 0)),
    ("1,\n2,a\n", (2, 0, 2, 0, 0)),
    ("2,a\n1,\n", (2, 0, 2, 0, 0)),
]
UNIQUES = [
    " unique",
    " unique deferrable",
    " unique deferrable initially deferred",
    ", unique nulls not distinct (code)",
    ", x integer generated always as (id * 2) stored, unique (code)",
]


@pytest.mark.parametrize("rewrites", [True, False])
@pytest.mark.parametrize("unique", UNIQUES)
@pytest.mark.parametrize(("rows", "expected"), EXCHANGES)
def test_rows_exchange_unique_values(
    boat: Boat, declare: Declare, rows: str, expected: tuple[int, ...], unique: str, rewrites: bool
) -> None:
    declare(CODES.format(unique))
    boat.write("u.csv", "id,code\n1,a\n2,b\n3,c\n4,d\n5,e\n")
    boat.ingest()
    name = "u.csv" if rewrites else "u-2.csv"
    boat.write(name, "id,code\n" + rows)
    assert loaded_counts(boat.ingest(dry_run=True)[name]) == expected
    assert loaded_counts(boat.ingest()[name]) == expected
    kept = {1: "a", 2: "b", 3: "c", 4: "d", 5: "e"}
    new = {int(n): code or None for n, code in (row.split(",") for row in rows.split())}
    assert dict(boat.query("select id, code from s.u")) == kept | new
    assert boat.rejects() == []


@pytest.mark.parametrize("action", ["cascade", "set null", "restrict"])
@pytest.mark.parametrize("itself", ["", ", t integer references s.u"])
def test_rows_that_others_refer_to_exchange_values(
    boat: Boat, declare: Declare, itself: str, action: str
) -> None:
    declare(CODES.format(" unique not null" + itself) + CHILD.format(action))
    head, more = ("id,code,t\n", ",1") if itself else ("id,code\n", "")
    boat.write("u.csv", f"{head}1,a{more}\n2,b{more}\n3,c{more}\n")
    boat.write("c.csv", "1,1\n2,2\n3,3\n")
    boat.ingest()
    boat.write("u.csv", f"{head}1,b{more}\n2,a{more}\n3,d{more}\n")
    report = boat.ingest()["u.csv"]
    assert loaded_counts(report) == (3, 0, 3, 0, 0)
    assert boat.query("select id, code from s.u order by id") == [(1, "b"), (2, "a"), (3, "d")]
    assert boat.query("select id, u from s.c order by id") == [(1, 1), (2, 2), (3, 3)]


@pytest.mark.parametrize(
    "more",
    [
        "alter table s.u add note text default 'kept'",  # the file does not have all columns
        "create table s.c (code text references s.u (code))",  # others refer to the value itself
        "create function s.f() returns trigger language plpgsql as $$ begin return new; end $$;"
        "create trigger f before insert on s.u for each row execute function s.f()",
    ],
)
def test_rows_that_cannot_be_replaced_exchange_nothing(
    boat: Boat, declare: Declare, more: str
) -> None:
    """They are not deleted; but a value that one gives up goes to a new row."""
    declare(CODES.format(" unique") + more)
    boat.query("insert into s.u (id, code) values (1, 'a'), (2, 'b'), (3, 'c')")
    boat.write("u.csv", "id,code\n1,b\n2,a\n3,z\n4,c\n")
    assert loaded_counts(boat.ingest()["u.csv"]) == (4, 1, 1, 0, 2)
    assert reasons(boat) == {
        2: ["duplicate: code b belongs to another row"],
        3: ["duplicate: code a belongs to another row"],
    }


def test_a_refused_row_keeps_its_value(boat: Boat, declare: Declare) -> None:
    declare(CODES.format(" unique, n integer not null"))
    boat.query("insert into s.u values (1, 'a', 1), (2, 'b', 1), (3, 'c', 1), (4, 'd', 1)")
    boat.write("u.csv", "id,code,n\n1,b,2\n2,c,2\n3,a,\n4,d,2\n5,e,2\n")
    assert loaded_counts(boat.ingest()["u.csv"]) == (5, 1, 1, 0, 3)
    assert boat.query("select id, code from s.u order by id") == [
        (1, "a"), (2, "b"), (3, "c"), (4, "d"), (5, "e"),
    ]  # fmt: skip


def test_a_value_is_exchanged_at_a_retry(boat: Boat, declare: Declare, setting: Setting) -> None:
    """Rows of different chunks are refused, and let in when they are judged again together."""
    declare(CODES.format(" unique"))
    boat.write("u.csv", "".join(f"{n},code {n}\n" for n in range(1, 41)))
    boat.ingest()
    setting("chunk_bytes", "64")
    rows = [f"{n},code {41 - n}\n" for n in range(1, 41)]
    boat.write("u.csv", "".join(rows))
    boat.ingest()
    assert boat.rejects()
    catalog, steps = boat.catalog(), Steps(boat.connect())
    rejudge_rows(steps, catalog, catalog.table("s.u"), "tester", which=RejectFilter())
    assert boat.rejects() == []
    assert boat.query("select count(*) from s.u where code = 'code ' || (41 - id)") == [40]


def test_rows_of_a_batch_exchange_unique_values(
    boat: Boat, client: FlaskClient, declare: Declare
) -> None:
    declare(CODES.format(" unique"))
    boat.query("insert into s.u values (1, 'a'), (2, 'b'), (3, 'c')")
    rows = [{"id": 1, "code": "b"}, {"id": 2, "code": "a"}, {"id": 3, "code": "z"}]
    rows.append({"id": 4, "code": "c"})
    answer = client.post("/api/u?on_conflict=update", json=rows)
    assert (answer.status_code, numbers(answer)) == (201, (4, 1, 3, 0, 0))
    assert dict(boat.query("select id, code from s.u")) == {1: "b", 2: "a", 3: "z", 4: "c"}
