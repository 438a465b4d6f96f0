"""Rows to write over HTTP, and what a write leaves in the database."""

from typing import Any

from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.conftest import Boat

EMPLOYEES = "hired_employees.hired_employees"
NONE = {"read": 0, "inserted": 0, "updated": 0, "unchanged": 0, "rejected": 0}
TABLES = (
    "hired_employees.departments", "hired_employees.jobs", EMPLOYEES, "ingest_status.loads",
    "ingest_status.rejected_rows", "ingest_status.overwritten", "ingest_status.ingest_status",
    "rowboat.audit", "rowboat.answers",
)  # fmt: skip


def hire(id_: Any = None, **changes: Any) -> dict[str, Any]:
    """Return a hire; without an id the database gives one."""
    found = {
        "id": id_, "employee_name": "Ann", "hired_date": "2021-01-01T00:00:00Z",
        "department_id": 1, "job_id": 1,
    } | changes  # fmt: skip
    return {name: value for name, value in found.items() if value is not None}


def send(client: FlaskClient, rows: Any, query: str = "", **headers: str) -> TestResponse:
    """Post hires."""
    return client.post(f"/api/employees{query}", json=rows, headers=headers)


def numbers(answer: TestResponse) -> tuple[int, ...]:
    """Return read, inserted, updated, unchanged, rejected; they must add up."""
    found = answer.json
    assert found["read"] == sum(found[name] for name in list(NONE)[1:])
    return tuple(found[name] for name in NONE)


def told(answer: TestResponse) -> list[tuple[Any, ...]]:
    """Return row, column, rule, message of every error of an answer."""
    return [(e["row"], e["column"], e["rule"], e["message"]) for e in answer.json["errors"]]


def state(boat: Boat, *tables: str) -> dict[str, list[Any]]:
    """Return all that a write could change: table → its rows with their versions."""
    return {
        name: sorted(map(str, boat.query(f"select to_json(t)::text, xmin::text from {name} as t")))
        for name in tables or TABLES
    }


def rows(boat: Boat, table: str) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON objects."""
    return boat.query(f"select to_jsonb(t) from {table} as t order by t::text")


def audited(boat: Boat) -> list[tuple[str, str, Any, Any]]:
    """Return action, table, rows before and rows after of every entry of the audit."""
    return boat.query("select action, table_name, before, after from rowboat.audit order by id")
