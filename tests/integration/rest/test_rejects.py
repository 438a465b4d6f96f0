"""The quarantine over HTTP: pages, CSV, judging again."""

import csv
import io
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.problems import wrong
from tests.support.quarantine import DEPARTMENTS, EMPLOYEES


def test_rows_tell_where_why_and_what(client: FlaskClient, refused: None) -> None:
    found = client.get("/api/rejects?table=departments").get_json()
    assert (found["limit"], found["next"]) == (100, None)
    assert [(each["line"], each["raw"], each["raw_hex"]) for each in found["rows"]] == [
        (1, "1,", "312c"), (3, "x,Sails", "782c5361696c73"), (4, "3,\\xe9t\\xe9", "332ce974e9"),
    ]  # fmt: skip
    first = found["rows"][0]
    assert first["reasons"] == [
        {"rule": "required", "column": "department", "message": "department is empty"}
    ]
    assert (first["table_name"], first["source"], first["source_name"]) == (
        DEPARTMENTS, "file", "departments.csv",
    )  # fmt: skip


def test_pages_meet(client: FlaskClient, refused: None) -> None:
    every = [each["id"] for each in client.get("/api/rejects").get_json()["rows"]]
    assert len(every) == 5
    link, seen = "/api/rejects?limit=2", []
    while link:
        answer = client.get(link)
        seen.append([each["id"] for each in answer.get_json()["rows"]])
        link = answer.get_json()["next"]
        assert answer.headers.get("Link") == (f'<{link}>; rel="next"' if link else None)
    assert [len(each) for each in seen] == [2, 2, 1]
    assert [each for page in seen for each in page] == every


def test_csv_holds_each_row_byte_for_byte(client: FlaskClient, refused: None) -> None:
    answer = client.get("/api/rejects?table=departments&limit=3", headers={"Accept": "text/csv"})
    assert answer.content_type == "text/csv; charset=utf-8"
    assert 'rel="next"' in answer.headers["Link"]
    text = answer.get_data().decode("utf-8", "surrogateescape")
    rows = list(csv.reader(io.StringIO(text)))
    assert rows[0] == ["table", "file", "line", "why", "reasons", "row"]
    assert rows[1][:4] == [DEPARTMENTS, "departments.csv", "1", "department is empty"]
    assert rows[3][5].encode("utf-8", "surrogateescape") == b"3,\xe9t\xe9"


@pytest.mark.parametrize(
    ("query", "headers", "status", "said"),
    [
        ("limit=0", {}, 422, ["limit should be greater than or equal to 1"]),
        ("limit=1001", {}, 422, ["limit should be less than or equal to 1000"]),
        ("limit=ten", {}, 422,
         ["limit should be a valid integer, unable to parse string as an integer"]),
        ("after=-1", {}, 422, ["after should be greater than or equal to 0"]),
        ("after=9223372036854775808", {}, 422,
         ["after should be less than 9223372036854775808"]),
        ("limit=1&limit=2", {}, 422, ["limit is given twice"]),
        ("tabel=jobs", {}, 422, ["tabel is unknown"]),
        ("table=boats", {}, 404, []),
        ("table=%00", {}, 404, []),
        ("table=' or 1=1 --", {}, 404, []),
        ("", {"Accept": "image/png"}, 406, []),
    ],
)  # fmt: skip
def test_what_is_no_question(
    client: FlaskClient, query: str, headers: dict[str, str], status: int, said: list[str]
) -> None:
    assert wrong(client.get(f"/api/rejects?{query}", headers=headers))[::2] == (status, said)


def test_rows_are_judged_again(client: FlaskClient, refused: None, boat: Boat) -> None:
    """A parent came by hand: its rows go in, and the file counts them as inserted."""
    boat.query("insert into hired_employees.departments values (5, 'Keel')")
    answer = client.post("/api/rejects/retry", json={"table": "hired_employees"})
    zero = {"read": 0, "inserted": 0, "updated": 0, "unchanged": 0, "rejected": 0}
    assert answer.get_json() == {
        "tables": {EMPLOYEES: zero | {"read": 2, "inserted": 1, "rejected": 1}}
    }
    assert boat.query("select employee_name from hired_employees.hired_employees") == ["Ann"]
    assert boat.query(
        "select inserted, rejected from ingest_status.ingest_status"
        " where file_name = 'hired_employees.csv'"
    ) == [(1, 1)]
    [(actor, run)] = boat.query("select actor, run from ingest_status.loads where source = 'retry'"
                                " and inserted = 1")  # fmt: skip
    assert (len(actor), run) == (8, answer.headers["X-Request-Id"])
    tables = client.post("/api/rejects/retry").get_json()["tables"]
    assert tables[DEPARTMENTS]["read"] == 2  # the third could not be split
    assert list(tables).index(DEPARTMENTS) < list(tables).index(EMPLOYEES)


@pytest.mark.parametrize(
    ("body", "status"), [({"table": "boats"}, 404), ({"tables": []}, 422), ({"table": 1}, 422)]
)
def test_what_cannot_be_judged_again(client: FlaskClient, body: Any, status: int) -> None:
    assert wrong(client.post("/api/rejects/retry", json=body))[0] == status


def test_a_key_of_some_tables_sees_and_judges_only_theirs(
    client_of: ClientOf, refused: None, boat: Boat
) -> None:
    client = client_of("write", ["hired_employees"])
    rows = client.get("/api/rejects").get_json()["rows"]
    assert {each["table_name"] for each in rows} == {EMPLOYEES}
    assert list(client.post("/api/rejects/retry").get_json()["tables"]) == [EMPLOYEES]
    assert wrong(client.get("/api/rejects?table=departments"))[0] == 403
    assert wrong(client.post("/api/rejects/retry", json={"table": "departments"}))[0] == 403


def test_the_api_changes_nothing_else_of_a_position(boat: Boat) -> None:
    connection = boat.connect("api")
    for column in ("loaded_bytes", "file_name", "state", "version", "read", "run"):
        with connection.cursor() as cursor:
            with pytest.raises(Exception, match="permission denied"):
                cursor.execute(f"update ingest_status.ingest_status set {column} = {column}")
            connection.rollback()
