"""Keys and defaults in batches: known keys, generated keys, omitted columns; dry runs."""

from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.support.writing import EMPLOYEES, audited, hire, numbers, rows, send, state, told

Declare = Callable[[str], None]

# Known keys


def test_on_conflict(boat: Boat, client: FlaskClient, parents: None) -> None:
    assert send(client, [hire(1), hire(2)]).status_code == 201
    again = [hire(1), hire(2, employee_name="Bo"), hire(3)]
    answer = send(client, again)
    assert (answer.status_code, numbers(answer)) == (207, (3, 1, 0, 0, 2))
    assert told(answer) == [
        (0, "id", "duplicate", "id 1 is already in the table with the same values"),
        (1, "id", "duplicate", "id 2 is already in the table with other values"),
    ]
    before = state(boat, EMPLOYEES)
    again = [hire(1), hire(2, employee_name="Bo"), hire(3), hire(4)]
    answer = send(client, again, "?on_conflict=ignore")
    assert (answer.status_code, numbers(answer)) == (201, (4, 1, 0, 3, 0))
    assert answer.json["tables"][EMPLOYEES]["ids"] == [1, 2, 3, 4]
    assert set(before[EMPLOYEES]) < set(state(boat, EMPLOYEES)[EMPLOYEES])
    answer = send(client, again, "?on_conflict=update")
    assert (answer.status_code, numbers(answer)) == (201, (4, 0, 1, 3, 0))
    assert boat.query(f"select employee_name from {EMPLOYEES} order by id") == [
        "Ann", "Bo", "Ann", "Ann",
    ]  # fmt: skip
    before = state(boat, EMPLOYEES, "rowboat.audit")
    assert numbers(send(client, again, "?on_conflict=update")) == (4, 0, 0, 4, 0)
    assert state(boat, EMPLOYEES, "rowboat.audit") == before


def test_update_keeps_what_is_left_out(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(
        "create schema s; create table s.boats (id integer primary key, name text not null,"
        " crew integer, state text default 'new', made timestamptz default 'infinity')"
    )
    client.post("/api/boats", json=[{"id": 1, "name": "a", "crew": 3, "state": "old"}])
    answer = client.post(
        "/api/boats?on_conflict=update",
        json=[{"id": 1, "name": "b"}, {"id": 2, "name": "c"}, {"id": 3, "name": "d", "crew": 5}],
    )
    assert (answer.status_code, numbers(answer)) == (201, (3, 2, 1, 0, 0))
    assert answer.json["tables"]["s.boats"]["ids"] == [1, 2, 3]
    assert rows(boat, "s.boats") == [
        {"id": n, "name": name, "crew": crew, "state": state_, "made": "infinity"}
        for n, name, crew, state_ in (
            (1, "b", 3, "old"), (2, "c", None, "new"), (3, "d", 5, "new")
        )
    ]  # fmt: skip
    answer = client.post("/api/boats?on_conflict=update", json=[{"id": 1, "crew": None}])
    assert told(answer) == [(0, "name", "required", "name is empty")]


# On trial


@pytest.mark.parametrize("mode", ["", "&mode=atomic"])
@pytest.mark.parametrize("on_conflict", ["error", "update", "ignore"])
def test_dry_run(
    boat: Boat, client: FlaskClient, parents: None, mode: str, on_conflict: str
) -> None:
    send(client, [hire(1), hire(2)])
    before = state(boat), boat.query(f"select last_value from {EMPLOYEES}_id_seq")
    given_ = [hire(1, employee_name="Bo"), hire(2), hire(), hire(5, job_id=9), hire()]
    query = f"?on_conflict={on_conflict}{mode}"
    headers = {"Idempotency-Key": "k"}
    trial = send(client, given_, query + "&dry_run=true", **headers)
    assert (state(boat), boat.query(f"select last_value from {EMPLOYEES}_id_seq")) == before
    real = send(client, given_, query, **headers)
    assert "Idempotency-Replayed" not in real.headers
    assert (trial.status_code, numbers(trial), told(trial)) == (
        real.status_code, numbers(real), told(real),
    )  # fmt: skip
    assert (trial.json["dry_run"], real.json["dry_run"]) == (True, False)
    assert "ids" not in trial.json["tables"][EMPLOYEES]
    assert "quarantine" not in trial.json.get("hint", "")


def test_dry_run_of_good_rows(boat: Boat, client: FlaskClient, parents: None) -> None:
    answer = send(client, [hire(), hire()], "?dry_run=true")
    assert (answer.status_code, numbers(answer)) == (200, (2, 2, 0, 0, 0))
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [0]


# Keys that the database gives


def test_ids_after_an_ingest(boat: Boat, client: FlaskClient, parents: None) -> None:
    boat.write(
        "hired_employees.csv", "5,a,2021-01-01T00:00:00Z,1,1\n40,b,2021-01-01T00:00:00Z,1,1\n"
    )
    boat.ingest()
    answer = send(client, [hire(employee_name="c"), hire(41), hire(employee_name="d"), hire(43)])
    assert (answer.status_code, numbers(answer)) == (201, (4, 4, 0, 0, 0))
    ids = answer.json["tables"][EMPLOYEES]["ids"]
    assert ids == [42, 41, 44, 43]
    names = dict(boat.query(f"select id, employee_name from {EMPLOYEES}"))
    assert [names[each] for each in ids] == ["c", "Ann", "d", "Ann"]
    assert send(client, [hire()]).json["tables"][EMPLOYEES]["ids"] == [45]


@pytest.mark.parametrize("on_conflict", ["error", "update", "ignore"])
def test_ids_behind_the_table(
    boat: Boat, client: FlaskClient, parents: None, on_conflict: str
) -> None:
    """A row without an id is a new one, even where somebody wrote past the sequence."""
    boat.query(f"insert into {EMPLOYEES} select n, 'x', now(), 1, 1 from generate_series(1, 7) n")
    before = state(boat, EMPLOYEES)[EMPLOYEES]
    answer = send(client, [hire(), hire()], f"?on_conflict={on_conflict}")
    assert (answer.status_code, numbers(answer)) == (201, (2, 2, 0, 0, 0))
    assert set(before) < set(state(boat, EMPLOYEES)[EMPLOYEES])
    assert all(each > 7 for each in answer.json["tables"][EMPLOYEES]["ids"])


def test_ids_in_the_way(boat: Boat, client: FlaskClient, parents: None) -> None:
    given_ = [hire(n) if n % 2 else hire() for n in range(1, 1001)]
    answer = send(client, given_)
    assert numbers(answer) == (1000, 1000, 0, 0, 0)
    assert sorted(answer.json["tables"][EMPLOYEES]["ids"]) == sorted(
        boat.query(f"select id from {EMPLOYEES}")
    )


def test_ids_used_up(boat: Boat, client: FlaskClient, parents: None) -> None:
    boat.query("alter table hired_employees.jobs alter column id set maxvalue 4")
    assert client.post("/api/jobs", json=[{"job": "x"}]).status_code == 201
    answer = client.post("/api/jobs", json=[{"id": 4, "job": "x"}, *[{"job": "y"}] * 5])
    assert (answer.status_code, numbers(answer)) == (207, (6, 1, 0, 0, 5))
    message = 'nextval: reached maximum value of sequence "jobs_id_seq" (4)'
    assert told(answer) == [(n, None, "check", message) for n in range(1, 6)]


# Tables of every kind


KINDS = """
create schema s;
create type s.mood as enum ('calm', 'rough');
create domain s.code as text check (value ~ '^[A-Z]{2}$');
create table s.kinds (
    id integer generated always as identity primary key, name text not null default 'none',
    mood s.mood default 'calm', code s.code, numbers integer[], words text[],
    doc json, bdoc jsonb, made date default '2020-01-01', twice integer generated always as
    (cardinality(numbers) * 2) stored, flag boolean, part numeric(10,2), hex bytea, at inet
);
create table s.pairs (a integer, b text, c integer default 7, primary key (a, b));
create table s.codes (id uuid primary key default gen_random_uuid(), n integer);
create table s.loose (a integer, b text default 'x');
create table s.numbers (n integer generated by default as identity, a text);
create table s.constants (k text primary key default 'only', a integer);
create table s.tree (
    id integer primary key, boss integer references s.tree, state text default 'new'
);
"""


def test_kinds(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(KINDS)
    answer = client.post("/api/kinds", json=[
        {}, {"name": "a", "mood": "rough", "code": "AB", "numbers": [1, None],
             "words": ["x\"\\", ""], "doc": {"a": [1.50, "é"]}, "bdoc": [1, 2],
             "made": "2021-02-03", "flag": True, "part": 1.5, "hex": "\\x00ff", "at": "10.0.0.1"},
        {"code": "abc", "mood": "wild", "numbers": [1.0], "doc": "text", "flag": 1, "part": 1.234,
         "made": "2021-02-30", "at": 5},
        {"id": 1, "twice": 2}, {"numbers": [[1, 2], [3, 4]]},
    ])  # fmt: skip
    assert (answer.status_code, answer.json["tables"]["s.kinds"]["ids"]) == (
        207, [1, 2, None, None, 5],
    )  # fmt: skip
    bare = {
        "name": "none", "mood": "calm", "code": None, "numbers": None, "words": None, "doc": None,
        "bdoc": None, "made": "2020-01-01", "twice": None, "flag": None, "part": None, "hex": None,
        "at": None,
    }  # fmt: skip
    assert rows(boat, "s.kinds") == [
        bare | {"id": 1},
        bare | {
            "id": 2, "name": "a", "mood": "rough", "code": "AB", "numbers": [1, None],
            "words": ["x\"\\", ""], "doc": {"a": [1.5, "é"]}, "bdoc": [1, 2], "made": "2021-02-03",
            "twice": 4, "flag": True, "part": 1.5, "hex": "\\x00ff", "at": "10.0.0.1",
        },
        bare | {"id": 5, "numbers": [[1, 2], [3, 4]], "twice": 8},
    ]  # fmt: skip
    assert [each[:3] for each in told(answer)] == [
        (2, "flag", "type"), (2, "at", "type"), (2, "mood", "type"), (2, "code", "type"),
        (2, "numbers", "type"), (2, "made", "type"), (2, "part", "type"),
        (3, "id", "shape"), (3, "twice", "shape"),
    ]  # fmt: skip
    assert boat.query("select after from rowboat.audit") == [
        boat.query("select json_agg(to_jsonb(t) order by id) from s.kinds as t")[0]
    ]


WIDTHS = {"small": 16, "middle": 32, "great": 64}  # bits
WHOLE = """
create schema whole;
create table whole.numbers (id bigint primary key, small smallint, middle integer, great bigint);
"""


@pytest.mark.parametrize("column", ["small", "middle", "great"])
@pytest.mark.parametrize("beside", [0, None, "0"], ids=["numbers", "null", "text"])
def test_whole_numbers(
    boat: Boat, client: FlaskClient, declare: Declare, column: str, beside: Any
) -> None:
    declare(WHOLE)
    most = 1 << (WIDTHS[column] - 1)
    fit, wide = [-most, -1, 0, most - 1], [-most - 1, most, 10**30]
    for many in (fit, fit + wide):
        boat.query("delete from whole.numbers")
        given = [{"id": n, column: each} for n, each in enumerate([*many, beside])]
        answer = client.post("/api/whole.numbers", json=given)
        kept = boat.query(f"select id, {column} from whole.numbers order by id")
        expected = [(n, each) for n, each in enumerate(many) if each in fit]
        last = None if beside is None else 0
        assert kept == [*expected, (len(many), last)]
        refused = {row: each for row, each in enumerate(many) if each in wide}
        assert {(row, name, rule) for row, name, rule, _ in told(answer)} == {
            (row, column, "type") for row in refused
        }
        for row, _, _, message in told(answer):
            assert str(refused[row]) in message


def test_keys(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(KINDS)
    answer = client.post("/api/pairs", json=[{"a": 1, "b": "x"}, {"a": "2", "b": "x", "c": 1},
                                             {"a": 1, "b": "x"}, {"b": "y"}])  # fmt: skip
    assert answer.json["tables"]["s.pairs"]["ids"] == [[1, "x"], [2, "x"], None, None]
    assert told(answer) == [
        (2, "a, b", "duplicate",
         "a 1, b x occurs earlier in this request with the same values"),
        (3, "a", "required", "a is empty"),
    ]  # fmt: skip
    answer = client.post("/api/codes", json=[{"n": 1}, {"n": 2}])
    ids = answer.json["tables"]["s.codes"]["ids"]
    assert boat.query("select id::text from s.codes order by n") == ids
    answer = client.post("/api/loose", json=[{"a": 1}, {"a": 1, "b": None}, {}])
    assert (answer.status_code, answer.json["tables"]["s.loose"]["ids"]) == (201, [])
    assert rows(boat, "s.loose") == [
        {"a": None, "b": "x"}, {"a": 1, "b": None}, {"a": 1, "b": "x"},
    ]  # fmt: skip
    answer = client.post("/api/numbers", json=[{"a": "x"}, {"a": "y", "n": 9}])
    assert rows(boat, "s.numbers") == [{"n": 1, "a": "x"}, {"n": 9, "a": "y"}]
    answer = client.post("/api/constants", json=[{"a": 1}, {"k": "other"}])
    assert answer.json["tables"]["s.constants"]["ids"] == ["only", "other"]


def test_columns_left_out(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    """Rows that leave out different columns pass together: one load, and each sees the others."""
    declare(KINDS)
    answer = client.post("/api/tree", json=[
        {"id": 3, "boss": 2, "state": "set"}, {"id": 2, "boss": 1}, {"id": 1}, {"id": 3},
        {"id": 4, "boss": 9}, {"id": 5, "boss": 4, "state": None}, {"id": 6, "boss": 6},
    ])  # fmt: skip
    assert (answer.status_code, numbers(answer)) == (207, (7, 4, 0, 0, 3))
    assert [each[:3] for each in told(answer)] == [
        (3, "id", "duplicate"), (4, "boss", "reference"), (5, "boss", "reference"),
    ]  # fmt: skip
    assert boat.query("select id, boss, state from s.tree order by id") == [
        (1, None, "new"), (2, 1, "new"), (3, 2, "set"), (6, 6, "new"),
    ]  # fmt: skip
    loads = boat.query("select read, inserted from ingest_status.loads where source = 'api'")
    assert loads == [(7, 4)]


def test_many_columns(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    """A function takes a hundred arguments at most."""
    columns = ", ".join(f"c{n} integer" for n in range(300))
    declare(f"create schema s; create table s.wide (id integer primary key, {columns})")
    answer = client.post("/api/wide", json=[{"id": 1, "c299": 5}, {"id": 2, "c5": "x"}])
    assert (answer.status_code, numbers(answer)) == (207, (2, 1, 0, 0, 1))
    answer = client.post("/api/wide?on_conflict=update", json=[{"id": 1, "c299": 6}])
    assert (answer.status_code, numbers(answer)) == (201, (1, 0, 1, 0, 0))
    assert [(b[0]["c299"] if b else None, a[0]["c299"]) for _, _, b, a in audited(boat)] == [
        (None, 5), (5, 6),
    ]  # fmt: skip
