"""Batches over HTTP: what is answered, what is in the table, what is in quarantine."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.application import create_app
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.writing import EMPLOYEES, NONE, TABLES, hire, numbers, send, state

Setting = Callable[[str, str], None]
DEPARTMENTS = "hired_employees.departments"

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
                (0, "x", "shape", f"x is not a column of {EMPLOYEES}"),
                (0, "id", "type", "'true' is not an integer"),
                (0, "employee_name", "required", "employee_name is empty"),
                (0, "hired_date", "type", "'yesterday' is not an ISO 8601 timestamp"),
                (0, "department_id", "required", "department_id is empty"),
                (0, "job_id", "required", "job_id is empty"),
            ],
        ),
        (
            "", [hire(1.5), hire(2, employee_name=5), hire(3, employee_name=" ")], 422,
            (3, 0, 0, 0, 3), [None] * 3,
            [
                (0, "id", "type", "'1.5' is not an integer"),
                (1, "employee_name", "type", "5 is not text"),
                (2, "employee_name", "check", "employee_name is blank"),
            ],
        ),
        (
            "", [hire(7), hire(7), hire(7, job_id="1", employee_name="Bo")], 207, (3, 1, 0, 0, 2),
            [7, None, None],
            [
                (1, "id", "duplicate", "id 7 occurs earlier in this request with the same values"),
                (2, "id", "duplicate", "id 7 occurs earlier in this request with other values"),
            ],
        ),
        ("?mode=atomic", [hire(7), hire()], 201, (2, 2, 0, 0, 0), [7, 1], []),
        (
            "?mode=atomic", [hire(7), hire(8, job_id=9), 5], 422, (2, 0, 0, 0, 2), [],
            [
                (1, "job_id", "reference", "hired_employees.jobs has no id 9"),
                (2, None, "shape", "a row must be an object of column to value"),
            ],
        ),
    ],
)  # fmt: skip
def test_answer(
    boat: Boat, client: FlaskClient, parents: None, query: str, given_: Any, status: int,
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
            "detail": f"{few} refused, so none was kept",
            "hint": "see errors for the reasons; the rows are in quarantine: /api/rejects",
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
         "rows are accepted as application/json, application/x-ndjson, text/csv"),
        ("json", "", b"[}", {}, 400,
         "the body is not JSON: expecting value, at line 1, column 2"),
        ("x-ndjson", "", b"{}\n\n{]", {}, 400,
         "the body is not JSON: expecting property name enclosed in double quotes,"
         " at line 3, column 2"),
        ("json", "", b"[\xff]", {}, 400, "the body is not UTF-8 at byte 1"),
        ("csv", "", b"id,name\n1,a", {}, 422,
         f'the header names "name", which is not a column of {EMPLOYEES}'),
        ("json", "?mode=all", b"[1]", {}, 422, "mode is 'all'"),
        ("json", "?dry_run=1", b"[1]", {}, 422, "dry_run is '1'"),
        ("json", "?on_conflict=replace", b"[1]", {}, 422, "on_conflict is 'replace'"),
        ("json", "?x=%00", b"[1]", {}, 422,
         "x is not a parameter of this address, or is given twice"),
        ("json", "?mode=atomic&mode=atomic", b"[1]", {}, 422,
         "mode is not a parameter of this address, or is given twice"),
        ("json", "", b"[1]", {"Idempotency-Key": "a b"}, 400,
         "the Idempotency-Key is not 1 to 255 printable ASCII characters"),
        ("json", "", b"[1]", {"Idempotency-Key": "x" * 256}, 400,
         "the Idempotency-Key is not 1 to 255 printable ASCII characters"),
        ("json", "", b" " * (5 * 2**20 + 1), {}, 413,
         "the body is larger than this address accepts"),
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


def test_thousand(boat: Boat, client: FlaskClient, parents: None) -> None:
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


def test_scope(boat: Boat, client_of: ClientOf, parents: None) -> None:
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


def test_atomic(boat: Boat, client: FlaskClient, parents: None) -> None:
    before = state(boat, *TABLES[:3], "rowboat.audit")
    bad = hire(8, department_id=9, job_id=9) | {"x": 1}
    answer = send(client, [hire(7), bad, hire(9), hire(9)], "?mode=atomic")
    assert (answer.status_code, numbers(answer)) == (422, (2, 0, 0, 0, 2))
    assert state(boat, *TABLES[:3], "rowboat.audit") == before
    assert boat.rejects() == [
        (1, json.dumps(bad).encode(), [
            f"shape: x is not a column of {EMPLOYEES}",
            f"reference: {DEPARTMENTS} has no id 9", "reference: hired_employees.jobs has no id 9",
        ]),
        (3, json.dumps(hire(9)).encode(), [
            "duplicate: id 9 occurs earlier in this request with the same values"
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
        ("[]", 400, "the body is not an object of arrays"),
        ("{}", 422, "the request has 0 rows"),
        ('{"jobs": []}', 422, "the request has 0 rows"),
        ('{"jobs": {}}', 400, "the body is not an object of arrays"),
        ('{"boats": [{}]}', 404, "there is no table boats"),
        ('{"jobs": [{}], "jobs": [{}]}', 400, "jobs occurs twice"),
        ('{"employees": [{}], "hired_employees": [{}]}', 400,
         f"hired_employees names {EMPLOYEES} again"),
        (json.dumps({"jobs": [1] * 600, "departments": [1] * 401}), 422,
         "the request has 1,001 rows"),
        ('{"jobs": [', 400, "the body is not JSON: expecting value, at line 1, column 11"),
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
