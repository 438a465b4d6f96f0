"""What /metrics tells of files, quarantine, backups and connections."""

import re
import subprocess
from collections.abc import Callable

import pytest
from flask.testing import FlaskClient

from tests.conftest import ROOT, Boat
from tests.support.fake_airflow import FakeAirflow
from tests.support.observed import names
from tests.support.promtool import promtool

Numbers = Callable[[], dict[str, float]]
FILES = """
insert into ingest_status.ingest_status
    (file_name, state, actor, first_seen_at, started_at, finished_at)
values
    ('a.csv', 'loading', 't', now() - interval '9 days', now() - interval '10 minutes', null),
    ('b.csv', 'failed', 't', now() - interval '9 days', now() - interval '20 minutes', now()),
    ('c.csv', 'failed', 't', now() - interval '9 days', null, now() - interval '5 minutes'),
    ('d.csv', 'loaded', 't', now() - interval '9 days', now() - interval '8 days', now()),
    ('e.csv', 'unmatched', 't', now() - interval '9 days', null, now() - interval '8 days');
insert into ingest_status.ingest_status (file_name, state, unloaded_from, actor)
values ('f.csv', 'unloaded', 'loaded', 't');
"""
BACKUPS = """
insert into backup_status.backup_status
    (set_name, table_name, file_name, number_rows, bytes, sha256, row_digest, schema_hash,
     snapshot, taken_at, verified_at, drilled_at, purpose)
values
    ('old', 't', 't.avro', 1, 1, '', '', '', '', now() - interval '3 days', now(),
     now() - interval '2 days', 'backup'),
    ('half', 't', 't.avro', 1, 1, '', '', '', '', now() - interval '2 days', now(), null, 'backup'),
    ('half', 'u', 'u.avro', 1, 1, '', '', '', '', now() - interval '2 days', null, null, 'backup'),
    ('copy', 't', 't.avro', 1, 1, '', '', '', '', now(), now(), null, 'safety')
"""


@pytest.fixture
def numbers(client: FlaskClient) -> Numbers:
    """Read /metrics: sample (name and labels) → value."""

    def read() -> dict[str, float]:
        found = re.findall(r"^(rowboat_\S+) (\S+)$", client.get("/metrics").text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    return read


def test_files_that_wait(boat: Boat, numbers: Numbers) -> None:
    boat.query(FILES)
    found = numbers()
    assert {name: value for name, value in found.items() if name.startswith("rowboat_files")} == {
        'rowboat_files{state="loading"}': 1,
        'rowboat_files{state="loaded"}': 1,
        'rowboat_files{state="failed"}': 2,
        'rowboat_files{state="unmatched"}': 1,
        'rowboat_files{state="unloaded"}': 1,
    }
    assert found["rowboat_ingest_lag_seconds"] == pytest.approx(20 * 60, abs=60)


def test_nothing_waits(boat: Boat, numbers: Numbers) -> None:
    boat.ingest(boat.write("departments.csv", "1,Sales\n2,\n"))
    found = numbers()
    assert found["rowboat_ingest_lag_seconds"] == 0
    assert found['rowboat_files{state="loaded"}'] == 1
    assert found["rowboat_quarantine_rows"] == 1
    assert "rowboat_backup_age_seconds" not in found
    assert 0 <= found["rowboat_drill_age_seconds"] < 3600  # since the database was made


def test_backups_and_drills(boat: Boat, numbers: Numbers) -> None:
    """A set counts when all of it is verified; a safety copy never does."""
    boat.query(BACKUPS)
    found = numbers()
    assert found["rowboat_backup_age_seconds"] == pytest.approx(3 * 86_400, abs=60)
    assert found["rowboat_drill_age_seconds"] == pytest.approx(2 * 86_400, abs=60)


def test_what_works_and_what_could(boat: Boat, numbers: Numbers) -> None:
    [limit] = boat.query("show max_connections")
    found = numbers()
    assert found["rowboat_database_up"] == 1
    assert found["rowboat_database_connections_limit"] == int(limit)
    assert 1 <= found["rowboat_database_connections"] <= int(limit)
    assert found["rowboat_requests_in_progress"] == 1  # the one that asks
    assert found["rowboat_request_threads"] == 8
    assert numbers()["rowboat_requests_in_progress"] == 1


def test_runs_of_airflow(boat: Boat, airflow: FakeAirflow, numbers: Numbers) -> None:
    for number, state in enumerate(("success", "failed", "failed")):
        airflow.add_run("ingest", f"run_{number}", state)
    found = numbers()
    assert found["rowboat_airflow_up"] == 1
    assert {name: value for name, value in found.items() if 'dag="ingest"' in name} == {
        'rowboat_runs{dag="ingest",state="queued"}': 0,
        'rowboat_runs{dag="ingest",state="running"}': 0,
        'rowboat_runs{dag="ingest",state="success"}': 1,
        'rowboat_runs{dag="ingest",state="failed"}': 2,
    }
    dags = {path.stem for path in (ROOT / "dags").glob("*.py")}
    assert {dag for name in found for dag in re.findall('dag="(.+?)"', name)} == dags


def test_airflow_that_does_not_let_the_api_see_its_runs(
    boat: Boat, airflow: FakeAirflow, numbers: Numbers
) -> None:
    airflow.password = "another"
    found = numbers()
    assert found["rowboat_airflow_up"] == 1
    assert not [name for name in found if name.startswith("rowboat_runs")]


def test_airflow_is_down(boat: Boat, airflow: FakeAirflow, numbers: Numbers) -> None:
    airflow.stop()
    assert numbers()["rowboat_airflow_up"] == 0


def test_dashboard_and_rules_ask_for_what_is_there(
    boat: Boat, airflow: FakeAirflow, client: FlaskClient
) -> None:
    boat.query(BACKUPS)
    airflow.add_run("ingest", "run", "success")
    client.post("/api/jobs", json=[{"job": "Rower"}])
    there = set(re.findall(r"^(\w+)", client.get("/metrics").text, re.MULTILINE))
    assert names("rowboat") <= there


def test_names_and_help_follow_the_rules(
    boat: Boat, airflow: FakeAirflow, client: FlaskClient
) -> None:
    """Prometheus' own linter has nothing to say."""
    boat.query(BACKUPS)
    airflow.add_run("ingest", "run", "success")
    text = client.get("/metrics").text
    done = subprocess.run(
        [promtool(), "check", "metrics"], input=text, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
