"""The API over a real Airflow: the printed key, upload, backup, restore, undo."""

import re
import socket
import subprocess
import time
from typing import Any

import httpx
import pytest

from tests.acceptance.conftest import ROWBOAT, System, until

DEPARTMENTS = "hired_employees.departments"
KEY = re.compile(r"API key +(rb_\S+) \(operate; shown once\)")


@pytest.fixture(scope="module")
def api(system: System) -> Any:
    """A client that bears the key of the first start."""
    [key] = KEY.findall(system.output.read_text()) or [new_key(system)]
    address = f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}"
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=address, headers=headers, timeout=60) as client:
        yield client


def new_key(system: System) -> str:
    """Make a key: another test has started the system again, and its output is gone."""
    done = system.rowboat("keys", "create", "acceptance", "--scope", "operate", "--json")
    return str(httpx.Response(200, text=done.stdout).json()["token"])


def ended(api: httpx.Client, url: str) -> dict[str, Any]:
    """Await the end of a run."""

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api.get(url).raise_for_status().json()
        return found if found["state"] in ("success", "failed") else None

    found: dict[str, Any] = until(look)
    assert found["state"] == "success", found
    return found


def approved(api: httpx.Client, url: str) -> dict[str, Any]:
    """Await the plan, approve it in the moment it is there, and await the end."""
    planned = until(lambda: (found := api.get(url).json())["waits"] and found)
    assert api.post(f"{url}/approve").status_code == 202
    return {"plan": planned["plan"], **{"done": ended(api, url)}}


def count(system: System) -> int:
    """Return how many departments of this test there are."""
    [(found,)] = system.query(f"select count(*) from {DEPARTMENTS} where id in (920, 921)")
    return int(found)


OTHERS = ("newest backup", "files")  # what other tests have done is told there


def test_everything_is_ready(system: System, api: httpx.Client) -> None:
    assert api.get("/ready").json() == {
        "ready": True, "database": True, "raw_data": True, "backups": True, "airflow": True,
    }  # fmt: skip
    assert "rowboat_database_up 1.0" in api.get("/metrics").text
    found = httpx.Response(200, text=system.rowboat("check", "--json").stdout).json()
    assert {each["part"]: each["ok"] for each in found if each["part"] not in OTHERS} == {
        "postgres": True, "schema": True, "rights": True, "raw_data": True,
        "loaded rows": True, "backups": True, "airflow": True, "api": True,
    }  # fmt: skip


def test_upload_backup_restore_undo(system: System, api: httpx.Client) -> None:
    taken = api.post("/api/backups", json={"pin": True}).json()
    name = ended(api, taken["url"])["set"]["set"]
    assert name in [each["name"] for each in api.get("/api/backups").json()["sets"]]
    body = "920,Quay\n921,Pier\n922,\n"
    sent = api.post(
        "/api/departments/file?name=harbour.csv", content=body, headers={"Content-Type": "text/csv"}
    )
    assert sent.status_code == 202
    assert sent.json()["file"] == "departments-harbour.csv"
    loaded = ended(api, sent.json()["url"])
    [file] = loaded["files"]
    assert (file["read"], file["inserted"], file["rejected"]) == (3, 2, 1)
    assert count(system) == 2
    refused = api.get("/api/rejects?table=departments").json()["rows"]
    assert "922," in [each["raw"] for each in refused]
    begun = api.post("/api/restores", json={"table": "departments", "set": name})
    restored = approved(api, begun.json()["url"])
    assert restored["plan"]["delete"] >= 2
    assert count(system) == 0
    undone = approved(api, api.post(restored["done"]["undo"]).json()["url"])
    assert undone["plan"]["insert"] == restored["plan"]["delete"]
    assert count(system) == 2


def test_a_restore_can_be_given_up(system: System, api: httpx.Client) -> None:
    url = api.post("/api/restores", json={"table": "departments"}).json()["url"]
    until(lambda: api.get(url).json()["waits"])
    assert api.post(f"{url}/approve", json={"approve": False}).status_code == 202
    found = ended(api, url)
    assert found["restore"] is None
    assert {each["state"] for each in found["tasks"] if each["task"] == "apply"} == {"skipped"}
    assert api.post(f"{url}/approve").status_code == 409


def test_runs_are_told(api: httpx.Client) -> None:
    found = api.get("/api/ingest").json()
    assert found["airflow"] is True
    assert set(found["runs"][0]) == {"run", "state", "started", "ended"}
    assert api.get("/api/ingest/manual__unknown").status_code == 404


def test_a_taken_port_of_the_api_is_named(system: System) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        environment = system.environment | {
            "ROWBOAT_AIRFLOW_PORT": "0", "ROWBOAT_API_PORT": str(port),
            "ROWBOAT_HOME": str(system.home.parent / "never"),
        }  # fmt: skip
        done = subprocess.run(
            [ROWBOAT, "up"], env=environment, capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, done.stderr.splitlines()[0]) == (
        1, f"port {port} is taken, and the API needs it",
    )  # fmt: skip


def test_a_server_that_dies_is_started_again(system: System, api: httpx.Client) -> None:
    log = system.home / "logs" / "api.log"
    [master] = re.findall(r"Listening at: \S+ \((\d+)\)", log.read_text())[-1:]
    subprocess.run(["kill", "-9", master], check=True)
    until(lambda: log.read_text().count("Listening at") > 1)
    begun = time.monotonic()

    def answers() -> bool:
        try:
            return api.get("/api/tables").is_success
        except httpx.TransportError:
            return False

    until(answers)
    print(f"answers {time.monotonic() - begun:.1f} s after its start")
