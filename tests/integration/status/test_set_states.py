"""`rowboat check` and `/ready` tell states apart, each with its remedy."""

import json
import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from rowboat.backup import take
from rowboat.cli.commands import main
from rowboat.database import connections, embedded
from tests.conftest import Boat
from tests.support.fake_airflow import HEALTHY, FakeAirflow

Setting = Callable[[str, str], None]


@pytest.fixture(autouse=True)
def shelf(boat: Boat, setting: Setting, tmp_path: Path) -> None:
    """A shelf of the test's own, with a set on it."""
    for name in ("airflow_port", "api_port"):
        setting(name, str(embedded.free_port()))
    setting("backups", str(tmp_path / "backups"))
    boat.ingest(boat.write("departments.csv", "1,Oars\n"))
    with closing(connections.connect(boat.uri("loader"))) as connection:
        take.take_backup(connection)


def failing() -> dict[str, tuple[str, str]]:
    """Return fact and hint of each part that fails; the API, which is not started, left out."""
    found = json.loads(CliRunner().invoke(main, ["check", "--json"]).stdout)
    return {each["part"]: (each["fact"], each["hint"])
            for each in found if not each["ok"] and each["part"] != "api"}  # fmt: skip


def ready(client: FlaskClient, status: int) -> Any:
    answer = client.get("/ready")
    assert answer.status_code == status
    return answer.get_json()


def test_all_is_well(client: FlaskClient, airflow: FakeAirflow) -> None:
    assert failing() == {}
    assert ready(client, 200) == dict.fromkeys(
        ("ready", "database", "raw_data", "backups", "airflow"), True
    )


def test_airflow_is_away_or_a_part_of_it_ails(
    client: FlaskClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(HEALTHY, "scheduler", {"status": "unhealthy"})
    monkeypatch.setitem(HEALTHY, "dag_processor", {"status": None})
    assert failing() == {"airflow": (
        "answers, but these parts are unhealthy: scheduler, dag processor",
        "look in ROWBOAT_HOME/logs; `rowboat up` restarts parts that have ended",
    )}  # fmt: skip
    assert ready(client, 200)["airflow"] is False
    airflow.stop()
    assert failing() == {"airflow": (
        "does not answer", "start it with `rowboat up`, or look in ROWBOAT_HOME/logs",
    )}  # fmt: skip


def test_disk_is_full(
    boat: Boat, client: FlaskClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = {str(boat.raw): 2**20 - 1}
    monkeypatch.setattr(
        shutil, "disk_usage", lambda place: SimpleNamespace(free=free.get(str(place), 2**20))
    )
    assert failing() == {"raw_data": (f"the disk of {boat.raw} is full", "make room on it")}
    found = ready(client, 503)
    assert (found["raw_data"], found["remedies"]) == (False, {"raw_data": "make room on it"})


def test_clock_went_back(boat: Boat, client: FlaskClient, airflow: FakeAirflow) -> None:
    boat.query("update backup_status.backup_status set taken_at = taken_at + interval '3 hours'")
    [(fact, hint)] = failing().values()
    assert fact.endswith(" was taken 3.0 hours from now")
    assert hint == ("this machine's clock was set back, or was ahead then: synchronise it by NTP")


def test_folder_is_missing(boat: Boat, client: FlaskClient, airflow: FakeAirflow) -> None:
    shutil.rmtree(boat.raw)
    hint = "make it, or set ROWBOAT_RAW_DATA"
    assert failing() == {"raw_data": (f"there is no folder {boat.raw}", hint)}
    assert ready(client, 503)["remedies"] == {"raw_data": hint}


def test_schema_is_missing(boat: Boat, client: FlaskClient, airflow: FakeAirflow) -> None:
    boat.query("alter table rowboat.migrations rename to moved")
    assert failing()["schema"] == ("does not exist", "run `rowboat migrate` as its owner")
    found = ready(client, 503)
    assert found["remedies"] == {"database": "`rowboat migrate` brings the schema up to date"}
    assert "moved" not in str(found)


def test_postgres_is_away(
    boat: Boat, client: FlaskClient, airflow: FakeAirflow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "uri", lambda _: "postgresql://x:secret@127.0.0.1:1/x")
    fact, hint = failing()["postgres"]
    assert fact.startswith("the database at 127.0.0.1:1 cannot be reached: ")
    client.application.extensions["rowboat"].close()  # what is open would do
    found = ready(client, 503)
    assert found["remedies"] == {"database": hint}
    assert "127.0.0.1" not in str(found)
