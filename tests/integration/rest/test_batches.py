"""Batches over HTTP: what is answered, what is in the table, what is in quarantine."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given
from hypothesis import settings as effort
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from api.actions import batches
from api.application import create_app
from rowboat.ingest import rejudge
from tests.conftest import Boat
from tests.integration.conftest import ClientOf

Declare = Callable[[str], None]
Setting = Callable[[str, str], None]
EMPLOYEES = "hired_employees.hired_employees"
DEPARTMENTS = "hired_employees.departments"
NONE = {"read": 0, "inserted": 0, "updated": 0, "unchanged": 0, "rejected": 0}
TABLES = (
    "hired_employees.departments", "hired_employees.jobs", EMPLOYEES, "ingest_status.loads",
    "ingest_status.rejected_rows", "ingest_status.overwritten", "ingest_status.ingest_status",
    "rowboat.audit", "rowboat.answers",
)  # fmt: skip


@pytest.fixture
def crew(boat: Boat) -> None:
    """Departments 1 and 2, job 1."""
    boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b')")
    boat.query("insert into hired_employees.jobs values (1, 'j')")


def hire(id_: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a hire; without an id the database gives one."""
    found = {
        "id": id_, "employee_name": "Ann", "hired_date": "2021-01-01T00:00:00Z",
        "department_id": 1, "job_id": 1,
    } | changes  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def send(client: FlaskClient, rows: Any, query: str = "", **headers: str) -> TestResponse:
    return client.post(f"/api/employees{query}", json=rows, headers=headers)


def numbers(answer: TestResponse) -> tuple[int, ...]:
    """Return read, inserted, updated, unchanged, rejected; they must add up."""
    found = answer.json
    assert found["read"] == sum(found[name] for name in list(NONE)[1:])
    return tuple(found[name] for name in NONE)


def told(answer: TestResponse) -> list[tuple[Any, ...]]:
    return [(e["row"], e["column"], e["rule"], e["message"]) for e in answer.json["errors"]]


def state(boat: Boat, *tables: str) -> dict[str, list[Any]]:
    """Return all that a write could change."""
    return {
        name: sorted(map(str, boat.query(f"select to_json(t)::text, xmin::text from {name} as t")))
        for name in tables or TABLES
    }


def rows(boat: Boat, table: str) -> list[dict[str, Any]]:
    return boat.query(f"select to_jsonb(t) from {table} as t order by t::text")


def audited(boat: Boat) -> list[tuple[str, str, Any, Any]]:
    return boat.query("select action, table_name, before, after from rowboat.audit order by id")


# Answers


@pytest.mark.parametrize(
    ("query", "given_", "status", "counts", "ids", "errors"),
    [
        ("", [hire(7)], 201, (1, 1, 0, 0, 0), [7], []),
        ("", hire(7), 201, (1, 1, 0, 0, 0), [7], []),
        ("", [hire("7"), hire(8)], 201, (2, 2, 0, 0, 0), [7, 8], []),
        ("", [hire(), hire()], 201, (2, 2, 0, 0, 0), [1, 2], []),
        (
            "", [hire(7), hire(8, department_id=9)], 207, (2, 1, 0, 0, 1), [7, None],
            [(1, "department_id", "reference", f"{DEPARTMENTS} has no id 9")],
        ),
        (
            "", [{"id": True, "hired_date": "yesterday", "x": 1}], 422, (1, 0, 0, 0, 1), [None],
            [
                (0, "x", "shape", f"x is no column of {EMPLOYEES}"),
                (0, "id", "type", "'true' is not an integer"),
                (0, "employee_name", "required", "employee_name is empty"),
                (0, "hired_date", "type", "'yesterday' is not an ISO 8601 timestamp"),
                (0, "department_id", "required", "department_id is empty"),
                (0, "job_id", "required", "job_id is empty"),
            ],
        ),
        (
            "", [hire(1.0), hire(2, employee_name=5), hire(3, employee_name=" ")], 422,
            (3, 0, 0, 0, 3), [None] * 3,
            [
                (0, "id", "type", "'1.0' is not an integer"),
                (1, "employee_name", "type", "5 is not text"),
                (2, "employee_name", "check", "employee_name is blank"),
            ],
        ),
        (
            "", [hire(7), hire(7), hire(7, job_id="1", employee_name="Bo")], 207, (3, 1, 0, 0, 2),
            [7, None, None],
            [
                (1, "id", "duplicate", "id 7 stands earlier in this request with the same values"),
                (2, "id", "duplicate", "id 7 stands earlier in this request with other values"),
            ],
        ),
        ("?mode=atomic", [hire(7), hire()], 201, (2, 2, 0, 0, 0), [7, 1], []),
        (
            "?mode=atomic", [hire(7), hire(8, job_id=9), 5], 422, (2, 0, 0, 0, 2), [],
            [
                (1, "job_id", "reference", "hired_employees.jobs has no id 9"),
                (2, None, "shape", "a row is an object: column to value"),
            ],
        ),
    ],
)  # fmt: skip
def test_answer(
    boat: Boat, client: FlaskClient, crew: None, query: str, given_: Any, status: int,
    counts: tuple[int, ...], ids: list[Any], errors: list[tuple[Any, ...]],
) -> None:  # fmt: skip
    answer = send(client, given_, query)
    report = dict(zip(NONE, counts, strict=True))
    body = {
        "request": answer.headers["X-Request-Id"],
        "dry_run": False,
        **report,
        "tables": {EMPLOYEES: report | {"ids": ids}},
        "errors": [dict(zip(("row", "column", "rule", "message"), e, strict=True)) for e in errors],
    }
    media = "application/json"
    if status == 422:
        few = "1 row is" if counts[4] == 1 else f"{counts[4]} rows are"
        body |= {
            "type": "about:blank",
            "title": "Unprocessable Entity",
            "status": 422,
            "detail": f"{few} refused, and none was kept",
            "hint": "errors tells why; the rows wait in quarantine: /api/rejects",
        }
        media = "application/problem+json"
    assert (answer.status_code, answer.json, answer.content_type) == (status, body, media)
    kept = [each for each in ids if each is not None]
    assert boat.query(f"select id from {EMPLOYEES} order by 1") == sorted(kept)
    assert len(boat.rejects()) == counts[4]


@pytest.mark.parametrize(
    ("method", "query", "body", "headers", "status", "detail"),
    [
        ("json", "", b"[]", {}, 422, "the request has 0 rows"),
        ("json", "", json.dumps([hire()] * 1001).encode(), {}, 422, "the request has 1,001 rows"),
        ("csv", "", b"", {}, 422, "the request has 0 rows"),
        ("x-ndjson", "", b"\n \n", {}, 422, "the request has 0 rows"),
        ("xml", "", b"[]", {}, 415,
         "rows come as application/json, application/x-ndjson, text/csv"),
        ("json", "", b"[}", {}, 400,
         "the body is no JSON: expecting value, in line 1, column 2"),
        ("x-ndjson", "", b"{}\n\n{]", {}, 400,
         "the body is no JSON: expecting property name enclosed in double quotes,"
         " in line 3, column 2"),
        ("json", "", b"[\xff]", {}, 400, "the body is not UTF-8 at byte 1"),
        ("csv", "", b"id,name\n1,a", {}, 422,
         f'the header names "name", which is no column of {EMPLOYEES}'),
        ("json", "?mode=all", b"[1]", {}, 422, "mode is 'all'"),
        ("json", "?dry_run=1", b"[1]", {}, 422, "dry_run is '1'"),
        ("json", "?on_conflict=replace", b"[1]", {}, 422, "on_conflict is 'replace'"),
        ("json", "?x=%00", b"[1]", {}, 422,
         "x is no parameter of this address, or is given twice"),
        ("json", "?mode=atomic&mode=atomic", b"[1]", {}, 422,
         "mode is no parameter of this address, or is given twice"),
        ("json", "", b"[1]", {"Idempotency-Key": "a b"}, 400,
         "the Idempotency-Key is not 1 to 255 letters, digits and signs"),
        ("json", "", b"[1]", {"Idempotency-Key": "x" * 256}, 400,
         "the Idempotency-Key is not 1 to 255 letters, digits and signs"),
        ("json", "", b" " * (5 * 2**20 + 1), {}, 413,
         "the body is larger than this address takes"),
    ],
)  # fmt: skip
def test_refused_whole(
    boat: Boat, client: FlaskClient, method: str, query: str, body: bytes,
    headers: dict[str, str], status: int, detail: str,
) -> None:  # fmt: skip
    before = state(boat)
    media = ("text/" if method == "csv" else "application/") + method
    answer = client.post(f"/api/employees{query}", data=body, headers=headers, content_type=media)
    assert (answer.status_code, answer.json["detail"]) == (status, detail)
    assert answer.content_type == "application/problem+json"
    assert state(boat) == before


@pytest.mark.parametrize(
    ("table", "status"), [("boats", 404), ("ingest_status", 404), ("rowboat.keys", 404)]
)
def test_no_table(client: FlaskClient, table: str, status: int) -> None:
    assert client.post(f"/api/{table}", json=[{}]).status_code == status


def test_thousand(boat: Boat, client: FlaskClient, crew: None) -> None:
    assert numbers(send(client, [hire() for _ in range(1000)])) == (1000, 1000, 0, 0, 0)
    assert boat.query(f"select id from {EMPLOYEES} order by id") == list(range(1, 1001))


def test_body_cap(boat: Boat, setting: Setting, client_of: ClientOf) -> None:
    setting("api_body_bytes", "1024")
    app = create_app()
    client = app.test_client()
    client.environ_base = client_of("write").environ_base
    for length, status in ((1024, 422), (1025, 413)):
        body = b"[" + b" " * (length - 2) + b"]"
        answer = client.post("/api/jobs", data=body, content_type="application/json")
        assert answer.status_code == status
    app.extensions["rowboat"].close()


def test_scope(boat: Boat, client_of: ClientOf, crew: None) -> None:
    assert send(client_of("read"), [hire()]).status_code == 403
    limited = client_of("write", [DEPARTMENTS])
    assert send(limited, [hire()]).status_code == 403
    assert limited.post("/api/departments", json=[{"department": "c"}]).status_code == 201
    both = {"departments": [{"id": 9, "department": "d"}], "employees": [hire()]}
    assert limited.post("/api/batch", json=both).status_code == 403
    assert sorted(name for _, name in boat.departments()) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("media", "body"),
    [
        ("application/json", b'[ {"job": "a", "id": 5} , {"job":"\\u0000"},7 , {"job": ""}]'),
        ("application/x-ndjson", b'{"job": "a", "id": 5}\r\n{"job":"\\u0000"}\n7\n {"job": ""}'),
        ("text/csv", b'id,job\r\n5,a\r\n6,\x00\r\n7\r\n8," "\r\n'),
    ],
)
def test_original_bytes(boat: Boat, client: FlaskClient, media: str, body: bytes) -> None:
    answer = client.post("/api/jobs", data=body, content_type=media)
    assert (answer.status_code, numbers(answer)) == (207, (4, 1, 0, 0, 3))
    kept = {"text/csv": [b"6,\x00", b"7", b'8," "']}
    plain = [b'{"job":"\\u0000"}', b"7", b' {"job": ""}']
    if media == "application/json":
        plain[2] = plain[2].strip()
    assert [(line, raw) for line, raw, _ in boat.rejects()] == list(
        enumerate(kept.get(media, plain), 1)
    )
    found = boat.query("select source, source_name, table_name from ingest_status.rejected_rows")
    assert set(found) == {("api", answer.json["request"], "hired_employees.jobs")}


# All or nothing


def test_atomic(boat: Boat, client: FlaskClient, crew: None) -> None:
    before = state(boat, *TABLES[:3], "rowboat.audit")
    bad = hire(8, department_id=9, job_id=9) | {"x": 1}
    answer = send(client, [hire(7), bad, hire(9), hire(9)], "?mode=atomic")
    assert (answer.status_code, numbers(answer)) == (422, (2, 0, 0, 0, 2))
    assert state(boat, *TABLES[:3], "rowboat.audit") == before
    assert boat.rejects() == [
        (1, json.dumps(bad).encode(), [
            f"shape: x is no column of {EMPLOYEES}",
            f"reference: {DEPARTMENTS} has no id 9", "reference: hired_employees.jobs has no id 9",
        ]),
        (3, json.dumps(hire(9)).encode(), [
            "duplicate: id 9 stands earlier in this request with the same values"
        ]),
    ]  # fmt: skip
    loads = boat.query(
        "select source, source_name, table_name, read, inserted, rejected from ingest_status.loads"
    )
    assert loads == [("api", answer.json["request"], EMPLOYEES, 2, 0, 2)]
    # its rows stay together: a parent that arrives does not let one of them in alone
    client.post("/api/departments", json={"id": 9, "department": "d"})
    client.post("/api/jobs", json={"id": 9, "job": "d"})
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [0]


def test_atomic_over_tables(boat: Boat, client: FlaskClient) -> None:
    body = {"departments": [{"id": 5, "department": "x"}], "jobs": [{"id": 5, "job": " "}]}
    answer = client.post("/api/batch?mode=atomic", json=body)
    assert (answer.status_code, numbers(answer)) == (422, (1, 0, 0, 0, 1))
    assert answer.json["errors"] == [
        {"table": "hired_employees.jobs", "row": 0, "column": "job", "rule": "check",
         "message": "job is blank"},
    ]  # fmt: skip
    assert answer.json["tables"][DEPARTMENTS] == NONE | {"ids": []}
    assert boat.departments() == []
    assert len(boat.rejects()) == 1


# Known keys


def test_on_conflict(boat: Boat, client: FlaskClient, crew: None) -> None:
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
def test_dry_run(boat: Boat, client: FlaskClient, crew: None, mode: str, on_conflict: str) -> None:
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


def test_dry_run_of_good_rows(boat: Boat, client: FlaskClient, crew: None) -> None:
    answer = send(client, [hire(), hire()], "?dry_run=true")
    assert (answer.status_code, numbers(answer)) == (200, (2, 2, 0, 0, 0))
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [0]


# Keys that the database gives


def test_ids_after_an_ingest(boat: Boat, client: FlaskClient, crew: None) -> None:
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
    boat: Boat, client: FlaskClient, crew: None, on_conflict: str
) -> None:
    """A row without an id is a new one, even where somebody wrote past the sequence."""
    boat.query(f"insert into {EMPLOYEES} select n, 'x', now(), 1, 1 from generate_series(1, 7) n")
    before = state(boat, EMPLOYEES)[EMPLOYEES]
    answer = send(client, [hire(), hire()], f"?on_conflict={on_conflict}")
    assert (answer.status_code, numbers(answer)) == (201, (2, 2, 0, 0, 0))
    assert set(before) < set(state(boat, EMPLOYEES)[EMPLOYEES])
    assert all(each > 7 for each in answer.json["tables"][EMPLOYEES]["ids"])


def test_ids_in_the_way(boat: Boat, client: FlaskClient, crew: None) -> None:
    given_ = [hire(n) if n % 2 else hire() for n in range(1, 1001)]
    answer = send(client, given_)
    assert numbers(answer) == (1000, 1000, 0, 0, 0)
    assert sorted(answer.json["tables"][EMPLOYEES]["ids"]) == sorted(
        boat.query(f"select id from {EMPLOYEES}")
    )


def test_ids_used_up(boat: Boat, client: FlaskClient, crew: None) -> None:
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
        (2, "at", "type"), (2, "mood", "type"), (2, "code", "type"), (2, "numbers", "type"),
        (2, "made", "type"), (2, "flag", "type"), (2, "part", "type"),
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
         "a 1, b x stands earlier in this request with the same values"),
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


# Rules that only the database knows

RULES = """
create schema s;
create table s.slots (
    id integer primary key, during int4range, exclude using gist (during with &&)
);
create function s.refuse() returns trigger language plpgsql as $$ begin
    if new.n % 7 = 0 then raise 'no % here, 100%%', new.n; end if;
    return new;
end $$;
create table s.picky (id integer generated by default as identity primary key, n integer);
create trigger picky before insert or update on s.picky for each row execute function s.refuse();
create table s.shares (id integer primary key, n integer check (100 / n > 1));
create table s.late (id integer primary key, n integer);
create constraint trigger late after insert on s.late deferrable initially deferred
    for each row execute function s.refuse();
create table s.few (id integer primary key, n integer);
create unique index on s.few ((n % 10));
create table s.named (state text primary key, said text, rule integer, n integer, this integer);
create trigger named before insert on s.named for each row execute function s.refuse();
create table s.long (k text primary key);
create table s.docs (id integer primary key, doc jsonb, docs jsonb[]);
"""


def test_exclusion(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(RULES)
    given_ = [{"id": n, "during": f"[{n * 10},{n * 10 + 5})"} for n in range(20)]
    given_[7]["during"] = "[22,24)"
    given_ += [{"id": 30, "during": "[3,9)"}, {"id": 31, "during": "[6,9)"}, {"id": "x"}]
    answer = client.post("/api/slots", json=given_)
    words = 'conflicting key value violates exclusion constraint "slots_during_excl"'
    assert (answer.status_code, numbers(answer)) == (207, (23, 20, 0, 0, 3))
    assert told(answer) == [
        (7, None, "check", words), (20, None, "check", words),
        (22, "id", "type", "'x' is not an integer"),
    ]  # fmt: skip
    found = boat.query("select line, raw, fields from ingest_status.rejected_rows order by line")
    assert [(line, json.loads(bytes(raw)), fields) for line, raw, fields in found[:1]] == [
        (7, given_[7], {"id": "7", "during": "[22,24)"})
    ]
    answer = client.post("/api/slots?mode=atomic", json=[{"id": 50}, {"id": 51, "during": "[1,2)"}])
    assert (answer.status_code, told(answer)) == (422, [(1, None, "check", words)])
    assert boat.query("select count(*) from s.slots") == [20]
    assert boat.query("select count(*) from ingest_status.loads") == [2]


@pytest.mark.parametrize("on_conflict", ["error", "update", "ignore"])
def test_trigger(boat: Boat, client: FlaskClient, declare: Declare, on_conflict: str) -> None:
    declare(RULES)
    boat.query("insert into s.picky values (8, 1), (14, 1)")
    given_ = [{"id": n, "n": n} for n in range(1, 30)]
    answer = client.post(f"/api/picky?on_conflict={on_conflict}", json=given_)
    refused = {n: f"no {n} here, 100%" for n in (7, 14, 21, 28)}
    known = {8, 14} if on_conflict == "error" else set()
    refused = {n: words for n, words in refused.items() if n not in known}
    if on_conflict == "ignore":
        refused.pop(14)
    assert {row + 1: words for row, _, rule, words in told(answer) if rule == "check"} == refused
    assert {row + 1 for row, _, rule, _ in told(answer) if rule == "duplicate"} == known
    assert answer.status_code == 207
    updated = 1 if on_conflict == "update" else 0
    assert numbers(answer)[2] == updated
    assert numbers(answer)[4] == len(refused) + len(known)


def test_trigger_on_every_row(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(RULES)
    answer = client.post("/api/picky", json=[{"n": 7 * n} for n in range(1000)])
    assert (answer.status_code, numbers(answer)) == (422, (1000, 0, 0, 0, 1000))
    assert answer.json["errors"][999]["message"] == "no 6993 here, 100%"


@pytest.mark.parametrize(
    ("table", "given_", "refused"),
    [
        ("late", [{"id": n, "n": n} for n in range(1, 16)],
         {6: "no 7 here, 100%", 13: "no 14 here, 100%"}),
        ("shares", [{"id": n, "n": n % 5} for n in range(12)],
         dict.fromkeys((0, 5, 10), "division by zero")),
        ("few", [{"id": n, "n": n} for n in range(12)],
         dict.fromkeys((10, 11), 'duplicate key value violates unique constraint "few_expr_idx"')),
        ("named", [{"state": "a", "said": "%s", "rule": 1, "n": 7, "this": 2}, {"state": "b"}],
         {0: "no 7 here, 100%"}),
        ("docs", [{"id": 1, "docs": '{"' + "[" * 99_999 + '"}'}, {"id": 2, "doc": [1]}],
         {0: "stack depth limit exceeded"}),
    ],
)  # fmt: skip
def test_rules(
    boat: Boat, client: FlaskClient, declare: Declare, table: str, given_: list[Any],
    refused: dict[int, str],
) -> None:  # fmt: skip
    declare(RULES)
    trial = client.post(f"/api/{table}?dry_run=true", json=given_)
    answer = client.post(f"/api/{table}", json=given_)
    assert answer.status_code == trial.status_code == 207
    assert told(answer) == [(n, None, "check", words) for n, words in refused.items()]
    assert told(trial) == told(answer)
    assert boat.query(f"select count(*) from s.{table}") == [len(given_) - len(refused)]
    assert len(boat.rejects()) == len(refused)


def test_what_cannot_be_judged(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    """A rule that fails before it has a result fails for rows that are refused already, too."""
    declare(RULES)
    answer = client.post("/api/shares", json=[{"id": 1, "n": 0, "x": 1}, {"id": 2, "n": 5}])
    assert (answer.status_code, numbers(answer)) == (207, (2, 1, 0, 0, 1))
    assert told(answer) == [
        (0, "x", "shape", "x is no column of s.shares"), (0, None, "check", "division by zero"),
    ]  # fmt: skip


def test_too_long_for_an_index(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(RULES)
    noise = random.Random(1)
    long = "".join(chr(noise.randrange(0x100, 0x800)) for _ in range(9000))
    answer = client.post("/api/long", json=[{"k": long}, {"k": "a"}])
    assert (answer.status_code, numbers(answer)) == (207, (2, 1, 0, 0, 1))
    assert "maximum" in answer.json["errors"][0]["message"]


# Several tables


def test_parents_first(boat: Boat, client: FlaskClient) -> None:
    answer = client.post("/api/batch", json={
        "employees": [hire(1), hire(2, department_id=2), hire(3, department_id=3)],
        "hired_employees.jobs": [{"id": 1, "job": "j"}],
        "departments": [{"id": 1, "department": "a"}, {"id": 2, "department": ""}],
    })  # fmt: skip
    assert (answer.status_code, numbers(answer)) == (207, (6, 3, 0, 0, 3))
    assert answer.json["errors"] == [
        {"table": DEPARTMENTS, "row": 1, "column": "department", "rule": "check",
         "message": "department is blank"},
        {"table": EMPLOYEES, "row": 1, "column": "department_id", "rule": "reference",
         "message": f"{DEPARTMENTS} has no id 2"},
        {"table": EMPLOYEES, "row": 2, "column": "department_id", "rule": "reference",
         "message": f"{DEPARTMENTS} has no id 3"},
    ]  # fmt: skip
    assert {name: each["ids"] for name, each in answer.json["tables"].items()} == {
        DEPARTMENTS: [1, None], "hired_employees.jobs": [1], EMPLOYEES: [1, None, None],
    }  # fmt: skip
    (number,) = set(boat.query("select xid::text from ingest_status.loads where source = 'api'"))
    assert set(boat.query(f"select xmin::text from {EMPLOYEES}")) == {number}


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        ("[]", 400, "the body is no object of arrays"),
        ("{}", 422, "the request has 0 rows"),
        ('{"jobs": []}', 422, "the request has 0 rows"),
        ('{"jobs": {}}', 400, "the body is no object of arrays"),
        ('{"boats": [{}]}', 404, "there is no table boats"),
        ('{"jobs": [{}], "jobs": [{}]}', 400, "jobs stands twice"),
        ('{"employees": [{}], "hired_employees": [{}]}', 400,
         f"hired_employees names {EMPLOYEES} again"),
        (json.dumps({"jobs": [1] * 600, "departments": [1] * 401}), 422,
         "the request has 1,001 rows"),
        ('{"jobs": [', 400, "the body is no JSON: expecting value, in line 1, column 11"),
    ],
)  # fmt: skip
def test_batch_refused(
    boat: Boat, client: FlaskClient, body: str, status: int, detail: str
) -> None:
    before = state(boat)
    answer = client.post("/api/batch", data=body, content_type="application/json")
    assert (answer.status_code, answer.json["detail"]) == (status, detail)
    assert state(boat) == before
    assert client.post("/api/batch", data=body, content_type="text/csv").status_code == 415


# The same request again


def test_replay(boat: Boat, client: FlaskClient, client_of: ClientOf, crew: None) -> None:
    first = send(client, [hire(), hire(5, job_id=9)], **{"Idempotency-Key": "k"})
    before = state(boat)
    again = send(client, [hire(), hire(5, job_id=9)], **{"Idempotency-Key": "k"})
    assert (again.status_code, again.data, again.content_type) == (
        first.status_code, first.data, first.content_type,
    )  # fmt: skip
    assert (again.headers["Idempotency-Replayed"], first.headers.get("Idempotency-Replayed")) == (
        "true", None,
    )  # fmt: skip
    assert state(boat) == before
    for rows_, query in (([hire()], ""), ([hire(), hire(5, job_id=9)], "?mode=atomic")):
        other = send(client, rows_, query, **{"Idempotency-Key": "k"})
        assert (other.status_code, other.json["detail"]) == (
            422, "the Idempotency-Key 'k' was used for another request",
        )  # fmt: skip
    assert state(boat) == before
    theirs = send(client_of("write"), [hire(), hire(5, job_id=9)], **{"Idempotency-Key": "k"})
    assert theirs.json["request"] != first.json["request"]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [2]


@pytest.mark.parametrize("query", ["", "?mode=atomic"])
def test_replay_of_refusals(boat: Boat, client: FlaskClient, crew: None, query: str) -> None:
    first = send(client, [hire(5, job_id=9)], query, **{"Idempotency-Key": "k"})
    assert first.status_code == 422
    before = state(boat)
    again = send(client, [hire(5, job_id=9)], query, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.data, again.content_type) == (
        422, first.data, "application/problem+json",
    )  # fmt: skip
    assert again.headers["Idempotency-Replayed"] == "true"
    assert state(boat) == before


def test_mistakes_are_not_kept(boat: Boat, client: FlaskClient, crew: None) -> None:
    for body, query in ((b"[", ""), (b"[]", ""), (b"[1]", "?mode=x")):
        answer = client.post(
            f"/api/employees{query}", data=body, content_type="application/json",
            headers={"Idempotency-Key": "k"},
        )  # fmt: skip
        assert answer.status_code in (400, 422)
    assert boat.query("select * from rowboat.answers") == []
    assert send(client, [hire()], **{"Idempotency-Key": "k"}).status_code == 201


def test_answers_expire(boat: Boat, client: FlaskClient, crew: None) -> None:
    for key in ("a", "b"):
        send(client, [hire()], **{"Idempotency-Key": key})
    boat.query("update rowboat.answers set answered_at = answered_at - interval '23 hours'")
    assert "Idempotency-Replayed" in send(client, [hire()], **{"Idempotency-Key": "a"}).headers
    boat.query("update rowboat.answers set answered_at = answered_at - interval '61 minutes'")
    answer = send(client, [hire(employee_name="Bo")], **{"Idempotency-Key": "a"})
    assert (answer.status_code, "Idempotency-Replayed" in answer.headers) == (201, False)
    assert boat.query("select key from rowboat.answers") == ["a"]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [3]


def test_hundred_at_once(boat: Boat, app: Flask, client: FlaskClient, crew: None) -> None:
    def again(_: int) -> tuple[int, bytes]:
        mine = app.test_client()
        mine.environ_base = client.environ_base
        answer = send(mine, [hire(), hire(), hire(9, job_id=9)], **{"Idempotency-Key": "k"})
        return answer.status_code, answer.data

    with ThreadPoolExecutor(20) as pool:
        found = set(pool.map(again, range(100)))
    assert [status for status, _ in found] == [207]
    assert boat.query(f"select count(*) from {EMPLOYEES}") == [2]
    assert len(boat.rejects()) == 1
    assert boat.query("select count(*) from ingest_status.loads") == [1]
    assert len(audited(boat)) == 1


def test_many_writers(boat: Boat, app: Flask, client: FlaskClient, crew: None) -> None:
    """Writers of the same and of other rows: each answer tells the truth, none fails.

    Their own numbers are below zero: those that the sequence gives are never taken.
    """

    def write(n: int) -> TestResponse:
        mine = app.test_client()
        mine.environ_base = client.environ_base
        return send(mine, [hire(), hire(-1_000 - n), hire(-1 - n % 3)])

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(write, range(40)))
    assert {each.status_code for each in found} <= {201, 207}
    ids = [each for answer in found for each in answer.json["tables"][EMPLOYEES]["ids"]]
    kept = [each for each in ids if each is not None]
    assert sorted(kept) == sorted(boat.query(f"select id from {EMPLOYEES}"))
    assert len(kept) == 40 + 40 + 3


# The audit


def test_audit(boat: Boat, client: FlaskClient, crew: None) -> None:
    first = send(client, [hire(1), hire(2), hire(3, job_id=9)])
    kept = {n: hire(n, hired_date="2021-01-01T00:00:00+00:00") for n in (1, 2)}
    send(client, [hire(1), hire(2, employee_name="Bo"), hire(4)], "?on_conflict=update")
    send(client, [hire(1), hire(2)])
    changed = kept[2] | {"employee_name": "Bo"}
    assert audited(boat) == [
        ("insert", EMPLOYEES, [], [kept[1], kept[2]]),
        ("upsert", EMPLOYEES, [kept[2]], [changed, kept[1] | {"id": 4}]),
    ]
    (caller,) = boat.query("select id from rowboat.keys")
    who = boat.query("select actor, request from rowboat.audit order by id limit 1")
    assert who == [(caller, first.json["request"])]
    assert boat.query("select distinct actor from ingest_status.loads") == [caller]


def test_audit_of_what_the_database_makes(
    boat: Boat, client: FlaskClient, declare: Declare
) -> None:
    declare(
        "create schema s; create table s.boats (id integer generated by default as identity"
        " primary key, name text, loud text generated always as (upper(name)) stored,"
        " made timestamptz default now(), n real);"
        "create function s.trim() returns trigger language plpgsql as"
        " $$ begin new.name := trim(new.name); return new; end $$;"
        "create trigger trim before insert on s.boats for each row execute function s.trim()"
    )
    client.post("/api/boats", json=[{"name": " a "}, {"name": "b", "n": 0.1}])
    assert audited(boat) == [("insert", "s.boats", [], rows(boat, "s.boats"))]


# Rows that wait for parents


def test_parents_arrive(boat: Boat, client: FlaskClient, crew: None) -> None:
    boat.write(
        "hired_employees.csv",
        "1,a,2021-01-01T00:00:00Z,7,1\n2,b,2021-01-01T00:00:00Z,7,8\n"
        "3,c,2021-01-01T00:00:00Z,1,1\n4,,2021-01-01T00:00:00Z,7,1\n",
    )
    boat.ingest()
    send(client, [hire(5, department_id=7)])
    assert boat.query(f"select id from {EMPLOYEES} order by id") == [3]
    answer = client.post("/api/departments", json=[{"id": 7, "department": "x"}])
    assert (answer.status_code, numbers(answer)) == (201, (1, 1, 0, 0, 0))
    assert boat.query(f"select id from {EMPLOYEES} order by id") == [1, 3, 5]
    assert [line for line, *_ in boat.rejects()] == [2, 4]
    file = boat.query("select read, inserted, rejected from ingest_status.ingest_status")
    assert file == [(4, 2, 2)]
    (caller,) = boat.query("select id from rowboat.keys")
    who = boat.query("select actor, run, inserted from ingest_status.loads where source = 'retry'")
    assert {each for each in who if each[2]} == {(caller, answer.json["request"], 1)}
    answer = client.put("/api/jobs/8", json={"job": "y"})
    assert answer.status_code == 201
    assert boat.query(f"select id from {EMPLOYEES} order by id") == [1, 2, 3, 5]
    assert [line for line, *_ in boat.rejects()] == [4]


def test_parents_of_parents(boat: Boat, client: FlaskClient, declare: Declare) -> None:
    declare(
        "create schema s; create table s.ports (id integer primary key);"
        "create table s.boats (id integer primary key, port integer references s.ports);"
        "create table s.masts (id integer primary key, boat integer references s.boats)"
    )
    client.post("/api/masts", json=[{"id": 1, "boat": 1}])
    client.post("/api/boats", json=[{"id": 1, "port": 1}])
    before = state(boat, "s.masts", "s.boats", *TABLES)
    client.post("/api/ports?dry_run=true", json=[{"id": 1}])
    assert state(boat, "s.masts", "s.boats", *TABLES) == before
    client.post("/api/ports", json=[{"id": 1}])
    assert (rows(boat, "s.masts"), boat.rejects()) == ([{"id": 1, "boat": 1}], [])


def test_failure_of_those_that_wait(
    boat: Boat, client: FlaskClient, crew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows that went in stay, and are told so, whatever becomes of those that wait for them."""

    def fail(*_: Any) -> None:
        raise RuntimeError("lost")

    send(client, [hire(5, department_id=7)])
    with monkeypatch.context() as patch:
        patch.setattr(rejudge, "rejudge_children", fail)
        answer = client.post("/api/departments", json=[{"id": 7, "department": "x"}])
        assert answer.status_code == 201
    with monkeypatch.context() as patch:
        patch.setattr(batches, "_PATIENCE", -1.0)
        answer = client.post("/api/departments", json=[{"id": 8, "department": "y"}])
        assert answer.status_code == 201
    assert [id_ for id_, _ in boat.departments()] == [1, 2, 7, 8]
    assert len(boat.rejects()) == 1
    client.post("/api/departments", json=[{"id": 9, "department": "z"}])
    assert boat.rejects() == []


# Against an oracle

TEXT = st.sampled_from(["Ann", "Bo", "", " ", "é", "x\0", None, 5, True, ["a"]])
DATE = st.sampled_from(
    ["2021-01-01T00:00:00Z", "2020-02-29", "2021-02-29", "yesterday", 20210101, None]
)
NUMBER = st.sampled_from([1, 2, "1", "2", 3, "03", 1.0, True, "x", None, 2**31, -1, "0x1"])
FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "id": st.integers(1, 6) | NUMBER, "employee_name": TEXT, "hired_date": DATE,
        "department_id": NUMBER, "job_id": NUMBER, "more": st.just(1),
    },
)  # fmt: skip
GOOD = st.builds(
    lambda n, **more: hire(n, **more),
    st.integers(1, 8),
    employee_name=st.sampled_from(["Ann", "Bo", "é"]),
    department_id=st.sampled_from([1, 2, "2"]),
)


def right(name: str, value: Any, fault: Callable[[str], None]) -> Any:
    """Return a value as the table will have it; or tell what is wrong with it."""
    if value is None:
        return fault("required")
    if name == "employee_name":
        if not isinstance(value, str):
            return fault("type")
        if "\0" in value:
            return fault("encoding")
        return value if value.strip() else fault("check")
    if name == "hired_date":
        known = {"2021-01-01T00:00:00Z": "2021-01-01", "2020-02-29": "2020-02-29"}
        return known.get(value, "") + "T00:00:00+00:00" if value in known else fault("type")
    text = str(value)
    is_whole = type(value) in (int, str) and text.lstrip("-").isdigit()
    if not is_whole or int(text) >= 2**31:
        return fault("type")
    if name != "id" and int(text) not in ((1, 2) if name == "department_id" else (1,)):
        return fault("reference")
    return int(text)


def oracle(
    given_: list[Any], table: dict[int, Any], on_conflict: str
) -> tuple[dict[int, Any], dict[int, set[str]], list[int]]:
    """Return the table as it will be, the rules that each refused row breaks, and the counts."""
    after, wrong, counts, seen = dict(table), dict[int, set[str]](), [0, 0, 0], set[int]()
    for n, each in enumerate(given_):
        rules = set[str]()
        fields = {
            name: right(name, each.get(name), rules.add)
            for name in ("id", "employee_name", "hired_date", "department_id", "job_id")
        }
        if "more" in each:
            rules.add("shape")
        key = fields["id"]
        if key is not None and (key in seen or (on_conflict == "error" and key in table)):
            rules.add("duplicate")
        if rules:
            wrong[n] = rules
            continue
        seen.add(key)
        if key not in table:
            counts[0] += 1
        elif table[key] == fields or on_conflict == "ignore":
            counts[2] += 1
            continue
        else:
            counts[1] += 1
        after[key] = fields
    return after, wrong, counts


def table_of(boat: Boat) -> dict[int, Any]:
    return {each["id"]: each for each in rows(boat, EMPLOYEES)}


@effort(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(GOOD | FIELDS, min_size=1, max_size=10),
    st.sampled_from(["error", "update", "ignore"]),
    st.sampled_from(["partial", "atomic"]),
)
def test_oracle(
    boat: Boat, client: FlaskClient, given_: list[Any], on_conflict: str, mode: str
) -> None:
    """Whatever is sent: what goes in, what is refused and why, and what is said of it agree."""
    if not boat.departments():
        boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b')")
        boat.query("insert into hired_employees.jobs values (1, 'j')")
    given_ = [{"id": None} | each for each in given_]  # an id that is left out is given: no oracle
    before = table_of(boat)
    after, wrong, counts = oracle(given_, before, on_conflict)
    if mode == "atomic" and wrong:
        after, counts = before, [0, 0, 0]
    answer = send(client, given_, f"?on_conflict={on_conflict}&mode={mode}")
    assert numbers(answer)[1:] == (*counts, len(wrong))
    assert answer.status_code == (422 if not sum(counts) else 207 if wrong else 201)
    rules: dict[int, set[str]] = {}
    for row, _, rule, _ in told(answer):
        rules.setdefault(row, set()).add(rule)
    assert rules == wrong
    assert table_of(boat) == after
    kept = boat.query(
        "select line, raw, reasons from ingest_status.rejected_rows where source_name = %s"
        " order by line",
        (answer.json["request"],),
    )
    assert [(line, json.loads(bytes(raw))) for line, raw, _ in kept] == [
        (n, given_[n]) for n in sorted(wrong)
    ]
    assert {line: {each["rule"] for each in found} for line, _, found in kept} == wrong
    loads = boat.query(
        "select sum(read), sum(inserted), sum(updated), sum(unchanged), sum(rejected)"
        " from ingest_status.loads where source_name = %s",
        (answer.json["request"],),
    )
    assert loads == [numbers(answer)]
    good = [each for n, each in enumerate(given_) if n not in wrong]
    if good:
        send(client, good, "?on_conflict=update")
        settled = state(boat, EMPLOYEES, "rowboat.audit")
        assert numbers(send(client, good, "?on_conflict=update"))[3] == len(good)
        assert state(boat, EMPLOYEES, "rowboat.audit") == settled
