"""Operations through Airflow: ingest, backups, restores; whatever Airflow does meanwhile."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from rowboat.backup import take
from rowboat.database import connections
from tests.conftest import Boat
from tests.integration.conftest import ClientOf
from tests.support.fake_airflow import NOW, FakeAirflow
from tests.support.problems import wrong

JOBS = "hired_employees.jobs"
DEPARTMENTS = "hired_employees.departments"
DOWN = "start it with `rowboat up`"
Setting = Callable[[str, str], None]


@pytest.fixture
def taken(boat: Boat, tmp_path: Path, setting: Setting) -> str:
    """A verified set of all tables."""
    setting("backups", str(tmp_path / "backups"))
    boat.ingest(boat.write("departments.csv", "1,Oars\n"))
    with connections.session("loader") as connection:
        return take.take_backup(connection).set


def test_ingest_starts_a_run_that_names_its_caller(
    client: FlaskClient, airflow: FakeAirflow, boat: Boat
) -> None:
    boat.write("jobs.csv", "1,Rower\n")
    answer = client.post("/api/ingest", json={"files": ["jobs.csv"], "dry_run": True})
    assert answer.status_code == 202
    assert answer.get_json() == {
        "run": "manual__1", "state": "queued", "url": "/api/ingest/manual__1",
    }  # fmt: skip
    [(dag, conf, note)] = airflow.triggered
    assert (dag, conf) == ("ingest", {
        "files": ["jobs.csv"], "dry_run": True, "checksum": False, "again": False,
    })  # fmt: skip
    assert note.startswith("for the key ")
    assert note.endswith(f" (a test), request {answer.headers['X-Request-Id']}")
    assert client.post("/api/ingest").get_json()["run"] == "manual__2"


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({"files": "jobs.csv"}, 422, ["files should be a valid list"]),
        ({"files": ["/etc/passwd"]}, 422,
         ["files.0 must be a name below raw_data"]),
        ({"files": ["a/../../jobs.csv"]}, 422,
         ["files.0 must be a name below raw_data"]),
        ({"files": ["jobs.csv\0"]}, 422, ["files.0 must be a name below raw_data"]),
        ({"files": [""]}, 422, ["files.0 must be a name below raw_data"]),
        ({"dry_run": "yes"}, 422, ["dry_run should be a valid boolean"]),
        ({"dry_run": 1, "what": 2}, 422,
         ["dry_run should be a valid boolean", "what is unknown"]),
        ({"files": ["missing.csv"]}, 422, []),
        ([], 422, ["the body must be a JSON object"]),
    ],
)  # fmt: skip
def test_ingest_refuses_what_is_no_order(
    client: FlaskClient, airflow: FakeAirflow, body: Any, status: int, said: list[str]
) -> None:
    assert wrong(client.post("/api/ingest", json=body))[::2] == (status, said)
    assert airflow.triggered == []


@pytest.mark.parametrize(
    ("body", "media", "status", "said"),
    [
        (b"{", "application/json", 400, "the body is not JSON: expecting property name enclosed in "
         "double quotes, at line 1, column 2"),
        (b'{\n "files": ,}', "application/json", 400,
         "the body is not JSON: expecting value, at line 2, column 11"),
        (b"\xff", "application/json", 400, "the body is not JSON"),
        (b"[" * 100_000, "application/json", 400, "the body is not JSON"),
        (b"{}", "text/plain", 415, "the request is accepted as application/json"),
    ],
)  # fmt: skip
def test_bodies_that_are_no_json(
    client: FlaskClient, airflow: FakeAirflow, body: bytes, media: str, status: int, said: str
) -> None:
    assert wrong(client.post("/api/ingest", data=body, content_type=media))[:2] == (status, said)


def test_ingest_tells_files_and_runs(client: FlaskClient, airflow: FakeAirflow, boat: Boat) -> None:
    boat.ingest(boat.write("departments.csv", "1,Oars\n2,\n"))
    airflow.add_run("ingest", "scheduled__1", "success")
    found = client.get("/api/ingest").get_json()
    assert found["airflow"] is True
    assert found["runs"] == [
        {"run": "scheduled__1", "state": "success", "started": NOW, "ended": None}
    ]
    [file] = found["files"]
    assert (file["file_name"], file["table_name"], file["state"]) == (
        "departments.csv", DEPARTMENTS, "loaded",
    )  # fmt: skip
    assert (file["read"], file["inserted"], file["rejected"]) == (2, 1, 1)
    assert datetime.fromisoformat(file["finished_at"]).tzinfo


def test_a_run_tells_state_tasks_totals_and_its_files(
    client: FlaskClient, airflow: FakeAirflow, boat: Boat
) -> None:
    run = "manual__2026-11-21T10:00:00.123456+00:00"
    boat.write("departments.csv", "1,Oars\n2,\n")
    boat.write("jobs.csv", "1,Rower\n")
    boat.ingest(boat.raw / "departments.csv", run=run)
    boat.ingest(boat.raw / "jobs.csv", run="another")
    airflow.add_run("ingest", run, "running")
    airflow.add_task(run, "detect", "success")
    found = client.get(f"/api/ingest/{run}").get_json()
    assert found["run"] == run
    assert found["state"] == "running"
    assert found["totals"] == {
        "read": 2, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": 1,
    }  # fmt: skip
    assert [each["file_name"] for each in found["files"]] == ["departments.csv"]
    assert found["tasks"] == [{"task": "detect", "of": None, "state": "success", "tries": 1,
                               "started": NOW, "ended": None}]  # fmt: skip


@pytest.mark.parametrize(
    "run", ["unknown", "..", "...", "~", "a%3Fb", "a%2Fb", "%2e%2e", "a" * 300, "a%00b", "é%0d"]
)
def test_what_is_no_run_is_not_found(client: FlaskClient, airflow: FakeAirflow, run: str) -> None:
    """Nor does it lead to another address of Airflow."""
    airflow.add_run("ingest", "~", "success")
    for address in (f"/api/ingest/{run}", f"/api/backups/{run}", f"/api/restores/{run}"):
        assert wrong(client.get(address))[0] == 404


OPERATIONS: list[tuple[str, str, Any]] = [
    ("POST", "/api/ingest", {}),
    ("GET", "/api/ingest/manual__1", None),
    ("POST", "/api/backups", {}),
    ("GET", "/api/backups/manual__1", None),
    ("POST", "/api/restores", {"table": "departments"}),
    ("GET", "/api/restores/manual__1", None),
    ("POST", "/api/restores/manual__1/approve", {}),
]


@pytest.mark.parametrize(("method", "address", "body"), OPERATIONS)
def test_airflow_down(
    client: FlaskClient, airflow: FakeAirflow, taken: str, method: str, address: str, body: Any
) -> None:
    airflow.stop()
    answer = client.open(address, method=method, json=body)
    assert wrong(answer)[:2] == (503, f"Airflow at {airflow.address} does not answer")
    assert DOWN in answer.get_json()["hint"]
    assert answer.headers["Retry-After"]


def test_the_rest_goes_on_without_airflow(
    client: FlaskClient, airflow: FakeAirflow, taken: str
) -> None:
    airflow.stop()
    found = client.get("/api/ingest").get_json()
    assert (found["airflow"], found["runs"], len(found["files"])) == (False, [], 1)
    assert client.get("/api/tables").status_code == 200
    assert [each["name"] for each in client.get("/api/backups").get_json()["sets"]] == [taken]
    ready = client.get("/ready")
    assert (ready.status_code, ready.get_json()["airflow"]) == (200, False)


def test_a_hanging_airflow_is_given_up(
    client: FlaskClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.shared.airflow._PATIENCE", 0.2)
    airflow.go_on.clear()
    begun = time.monotonic()
    assert wrong(client.post("/api/ingest"))[0] == 503
    assert time.monotonic() - begun < 2


def test_a_token_that_ran_out_is_renewed(client: FlaskClient, airflow: FakeAirflow) -> None:
    assert client.post("/api/ingest").status_code == 202
    assert client.post("/api/ingest").status_code == 202
    assert airflow.signed_in == 1
    airflow.token = "second"
    assert client.post("/api/ingest").status_code == 202
    assert airflow.signed_in == 2


@pytest.mark.parametrize(
    ("change", "status", "said"),
    [
        ({"password": "changed"}, 503, "Airflow at {} refuses the user admin"),
        ({"refusal": (400, {"detail": "no such value"})}, 409,
         "Airflow at {} answered 400 to POST /api/v2/dags/ingest/dagRuns: no such value"),
        ({"refusal": (409, b"<html>")}, 409,
         "Airflow at {} answered 409 to POST /api/v2/dags/ingest/dagRuns: Conflict"),
        ({"refusal": (403, {})}, 503,
         "Airflow at {} answered 403 to POST /api/v2/dags/ingest/dagRuns"),
        ({"refusal": (404, {})}, 503,
         "Airflow at {} answered 404 to POST /api/v2/dags/ingest/dagRuns"),
        ({"refusal": (500, {})}, 503,
         "Airflow at {} answered 500 to POST /api/v2/dags/ingest/dagRuns"),
        ({"refusal": (200, b"<html>")}, 503, "{} is not Airflow: it sent no JSON"),
    ],
)  # fmt: skip
def test_what_airflow_refuses(
    client: FlaskClient, airflow: FakeAirflow, change: dict[str, Any], status: int, said: str
) -> None:
    for name, value in change.items():
        setattr(airflow, name, value)
    assert wrong(client.post("/api/ingest"))[:2] == (status, said.format(airflow.address))


def test_backups(client: FlaskClient, airflow: FakeAirflow, taken: str) -> None:
    answer = client.post("/api/backups", json={"tables": ["jobs"], "pin": True})
    assert answer.status_code == 202
    run = answer.get_json()["run"]
    assert airflow.triggered[0][:2] == ("backup", {"tables": [JOBS], "pin": True})
    assert client.post("/api/backups").status_code == 202
    assert airflow.triggered[1][1] == {"tables": None, "pin": False}
    assert wrong(client.post("/api/backups", json={"tables": ["unknown"]}))[0] == 404
    found = client.get(answer.get_json()["url"]).get_json()
    assert (found["run"], found["state"], found["set"]) == (run, "queued", None)
    airflow.add_task(run, "take", "success")
    airflow.results[run, "take"] = {"set": taken}
    assert client.get(f"/api/backups/{run}").get_json()["set"] == {"set": taken}
    listed = client.get("/api/backups").get_json()
    assert listed["restores"] == []
    [each] = listed["sets"]
    assert (each["name"], each["tables"][DEPARTMENTS], each["state"]) == (taken, 1, "whole")
    assert datetime.fromisoformat(each["verified_at"]).tzinfo


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "the request is invalid"),
        ({"table": "unknown"}, 404, "there is no table unknown"),
        ({"table": "jobs", "set": "20200101T000000Z"}, 404, None),
        ({"table": "jobs", "mode": "delete"}, 422, "the request is invalid"),
        ({"table": "jobs", "cascade": "yes"}, 422, "the request is invalid"),
        ({"table": "\ud800"}, 404, "there is no table ?"),
        ({"table": "\0"}, 404, None),
    ],
)
def test_restore_refuses_what_is_no_order(
    client: FlaskClient, airflow: FakeAirflow, taken: str, body: Any, status: int, said: str | None
) -> None:
    found = wrong(client.post("/api/restores", json=body))
    assert found[0] == status
    assert said is None or found[1].startswith(said)
    assert airflow.triggered == []


def test_restore_waits_for_an_approval(
    client: FlaskClient, airflow: FakeAirflow, taken: str
) -> None:
    answer = client.post("/api/restores", json={"table": "departments", "mode": "merge"})
    assert answer.status_code == 202
    run, url = answer.get_json()["run"], answer.get_json()["url"]
    form = {"table": DEPARTMENTS, "set": taken, "mode": "merge", "cascade": False}
    assert airflow.triggered[0][:2] == ("restore", form)
    found = client.get(url).get_json()
    assert (found["waits"], found["plan"], found["question"]) == (False, None, None)
    said = wrong(client.post(f"{url}/approve"))
    assert said[:2] == (409, "the run does not wait for an approval")
    airflow.add_task(run, "plan", "success")
    airflow.add_task(run, "approve", "awaiting_input")
    airflow.results[run, "plan"] = {"set": taken, "insert": 1}
    long_ago = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    airflow.questions[run] = {"subject": "Restore?", "body": "1", "created_at": long_ago}
    found = client.get(url).get_json()
    assert (found["waits"], found["plan"]) == (True, {"set": taken, "insert": 1})
    assert found["question"] == {"subject": "Restore?", "body": "1"}
    assert client.post(f"{url}/approve", json={"approve": False}).status_code == 202
    assert client.post(f"{url}/approve").status_code == 202
    assert airflow.answers == [(run, "Reject"), (run, "Approve")]


def test_an_approval_waits_until_the_task_is_parked(
    client: FlaskClient, airflow: FakeAirflow, taken: str
) -> None:
    run = client.post("/api/restores", json={"table": "departments"}).get_json()["run"]
    airflow.add_task(run, "approve", "awaiting_input")
    asked = datetime.now(UTC)
    airflow.questions[run] = {"subject": "", "body": "", "created_at": asked.isoformat()}
    client.post(f"/api/restores/{run}/approve")
    assert 2 <= (datetime.now(UTC) - asked).total_seconds() < 4


def test_undo(client: FlaskClient, airflow: FakeAirflow, boat: Boat, taken: str) -> None:
    assert wrong(client.post("/api/restores/7/undo"))[:2] == (404, "there is no restore 7")
    assert wrong(client.post("/api/restores/99999999999999999999/undo"))[0] == 404
    [number] = boat.query(
        "insert into backup_status.restores (source_name, tables, mode, cascades, safety_set,"
        " report, actor, run) values (%s, %s, 'replace', false, %s, '{}', 'x', 'manual__9')"
        " returning id",
        [taken, [DEPARTMENTS], taken],
    )
    airflow.add_run("restore", "manual__9", "success", table=DEPARTMENTS)
    found = client.get("/api/restores/manual__9").get_json()
    assert (found["restore"], found["undo"]) == (number, f"/api/restores/{number}/undo")
    answer = client.post(found["undo"], json={"cascade": True})
    assert answer.status_code == 202
    assert airflow.triggered[0][:2] == ("undo", {"restore": number, "cascade": True})
    assert client.get(answer.get_json()["url"]).get_json()["state"] == "queued"


@pytest.mark.parametrize("scope", ["read", "write"])
def test_operations_need_their_scope(client_of: ClientOf, airflow: FakeAirflow, scope: str) -> None:
    client = client_of(scope)
    for method, address, body in [*OPERATIONS, ("GET", "/api/backups", None),
                                  ("POST", "/api/restores/1/undo", {}),
                                  ("POST", "/api/jobs/file", {})]:  # fmt: skip
        expected = 404 if address.startswith("/api/ingest/") else 403
        assert wrong(client.open(address, method=method, json=body))[0] == expected
    assert client.get("/api/ingest").status_code == 200
    assert client.get("/api/rejects").status_code == (200 if scope == "write" else 403)
    assert client.post("/api/rejects/retry").status_code == (200 if scope == "write" else 403)
    assert airflow.triggered == []


def test_a_key_of_some_tables_reaches_no_others(
    client_of: ClientOf, airflow: FakeAirflow, boat: Boat, taken: str
) -> None:
    client = client_of("operate", ["jobs"])
    boat.ingest(boat.write("jobs.csv", "1,Rower\n2,\n"))
    airflow.add_run("restore", "of-others", "running", table=DEPARTMENTS)
    for address, body in [
        ("/api/ingest", {}),
        ("/api/ingest", {"files": ["departments.csv"]}),
        ("/api/backups", {"tables": ["departments"]}),
        ("/api/restores", {"table": "departments"}),
        ("/api/restores", {"table": "jobs", "cascade": True}),
        ("/api/restores/of-others/approve", {}),
    ]:
        assert wrong(client.post(address, json=body))[0] == 403
    assert wrong(client.get("/api/restores/of-others"))[0] == 403
    assert airflow.triggered == []
    assert airflow.answers == []
    assert client.post("/api/ingest", json={"files": ["jobs.csv"]}).status_code == 202
    assert client.post("/api/backups").status_code == 202
    assert airflow.triggered[1][1]["tables"] == [JOBS]
    names = [each["file_name"] for each in client.get("/api/ingest").get_json()["files"]]
    assert names == ["jobs.csv"]
