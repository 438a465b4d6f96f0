"""Backups, restores and drills, end to end under a real Airflow."""

import json
import time
from pathlib import Path
from typing import Any

import fastavro
import pytest

from rowboat.errors import AirflowUnreachable
from tests.acceptance.conftest import System, until

JOBS = "hired_employees.jobs"
DEPARTMENTS = "hired_employees.departments"
EMPLOYEES = "hired_employees.hired_employees"


def result(system: System, *arguments: str) -> Any:
    """Run a command and return its document."""
    done = system.rowboat(*arguments, "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads(done.stdout)


def asked(system: System, run: str) -> dict[str, Any]:
    """Wait until the run asks for approval; return what a person is shown."""
    until(lambda: system.states("restore", run).get("approve") == "awaiting_input")
    seen = time.monotonic()
    # answered in the moment it parks, Airflow 3.3.2 takes the task for lost
    until(lambda: time.monotonic() > seen + 2)
    return system.airflow.question("restore", run, "approve")


def ended(system: System, run: str) -> str:
    return list(system.airflow.states("restore", run))[-1]


@pytest.fixture(scope="module")
def taken(system: System) -> Any:
    """A set that the DAG took."""
    run, state = system.run("backup", pin=True)
    assert state == "success"
    assert system.states("backup", run) == {"take": "success", "prune": "success"}
    newest = result(system, "backups")["sets"][-1]
    assert newest["pinned"]
    return newest | {"run": run}


def test_backup_by_the_dag(system: System, taken: dict[str, Any]) -> None:
    """All tables, verified, readable by another reader, its reasons to stay in the log."""
    folder = Path(system.environment["ROWBOAT_BACKUPS"]) / taken["name"]
    counted = system.query(f"select count(*) from {EMPLOYEES}")
    with (folder / "hired_employees.avro").open("rb") as file:
        assert [(len(list(fastavro.reader(file))),)] == counted
    assert set(taken["tables"]) >= {JOBS, DEPARTMENTS, EMPLOYEES}
    assert taken["verified_at"]
    log = system.airflow.log("backup", taken["run"], "take")
    assert f"{EMPLOYEES}: 100 %" in log
    assert f"{taken['name']} is taken and verified" in log
    log = system.airflow.log("backup", taken["run"], "prune")
    assert f"{taken['name']} is kept: pinned, the newest verified" in log


def test_form_offers_the_tables_of_the_catalog(system: System) -> None:
    with pytest.raises(AirflowUnreachable, match="400"):
        system.airflow.trigger("backup", tables=["hired_employees.unknown"])
    with pytest.raises(AirflowUnreachable, match="400"):
        system.airflow.trigger("restore")
    _, state = system.run("backup", tables=[JOBS])
    assert state == "success"
    newest = result(system, "backups")["sets"][-1]
    assert list(newest["tables"]) == [JOBS]


def test_drill_by_the_dag(system: System, taken: dict[str, Any]) -> None:
    run, state = system.run("drill", set=taken["name"])
    assert state == "success"
    assert "all digests equal" in system.airflow.log("drill", run, "restore_on_trial")
    assert "last proven restore: " in system.rowboat("status").stdout
    scratches = "select count(*) from pg_class where relname like 'rowboat_scratch%%'"
    assert system.query(scratches) == [(0,)]


def test_verify_by_the_dag(system: System, taken: dict[str, Any]) -> None:
    """It proves a set anew, and tells when one is no longer whole."""
    run, state = system.run("verify", set=taken["name"])
    assert state == "success"
    assert f"{taken['name']} is intact" in system.airflow.log("verify", run, "read_back")
    [proven] = [s for s in result(system, "backups")["sets"] if s["name"] == taken["name"]]
    assert proven["verified_at"] > taken["verified_at"]
    spoilt = result(system, "backup", JOBS)["set"]
    path = Path(system.environment["ROWBOAT_BACKUPS"]) / spoilt / "jobs.avro"
    content = path.read_bytes()
    path.write_bytes(content + b"!")
    run, state = system.run("verify")
    assert state == "failed"
    log = system.airflow.log("verify", run, "read_back")
    assert f"the set {spoilt} is damaged: jobs.avro: " in log
    [doubted] = [s for s in result(system, "backups")["sets"] if s["name"] == spoilt]
    assert (doubted["verified_at"], doubted["state"]) == (None, "damaged")
    path.write_bytes(content)


def test_restore_waits_for_a_person_who_sees_the_plan(
    system: System, taken: dict[str, Any]
) -> None:
    """Departments come back with their employees in place, and undo takes it away again."""
    before = system.query(f"select count(*) from {EMPLOYEES}")
    system.put("departments-more.csv", "910,Landing\n911,Slipway\n")
    until(lambda: system.query(f"select 1 from {DEPARTMENTS} where id = 911"))
    run = system.airflow.trigger("restore", table=DEPARTMENTS, set=taken["name"])
    question = asked(system, run)
    assert question["defaults"] == ["Reject"]
    numbers = question["body"].splitlines()[3].split()
    assert numbers[0] == DEPARTMENTS
    assert numbers[1:4] == ["0", "0", "2"]
    system.airflow.answer("restore", run, "approve", "Approve")
    assert ended(system, run) == "success"
    assert set(system.states("restore", run).values()) == {"success"}
    assert system.query(f"select count(*) from {DEPARTMENTS} where id in (910, 911)") == [(0,)]
    assert system.query(f"select count(*) from {EMPLOYEES}") == before
    log = system.airflow.log("restore", run, "report")
    [number] = [each["id"] for each in result(system, "backups")["restores"] if each["run"] == run]
    assert f"`rowboat undo {number}` brings back the rows from before" in log
    undone = result(system, "undo", str(number), "--yes")
    assert undone["insert"] == 2
    assert system.query(f"select count(*) from {DEPARTMENTS} where id in (910, 911)") == [(2,)]


def test_rejected_restore_changes_nothing(system: System, taken: dict[str, Any]) -> None:
    rows = system.query(f"select count(*) from {JOBS}")
    run = system.airflow.trigger("restore", table=JOBS, set=taken["name"], mode="missing")
    asked(system, run)
    system.airflow.answer("restore", run, "approve", "Reject")
    ended(system, run)
    states = system.states("restore", run)
    assert states["approve"] == "success"
    assert {states[name] for name in ("safety_copy", "apply", "report")} == {"skipped"}
    assert system.query(f"select count(*) from {JOBS}") == rows


def test_plan_that_no_longer_holds_stops_the_run(system: System, taken: dict[str, Any]) -> None:
    run = system.airflow.trigger("restore", table=JOBS, set=taken["name"])
    asked(system, run)
    system.put("jobs-late.csv", "9900,Latecomer\n")
    until(lambda: system.query(f"select 1 from {JOBS} where id = 9900"))
    system.airflow.answer("restore", run, "approve", "Approve")
    assert ended(system, run) == "failed"
    log = system.airflow.log("restore", run, "apply")
    assert f"the plan for {JOBS} no longer holds" in log
    assert "look at the new plan, then restore again" in log
    assert system.query(f"select count(*) from {JOBS} where id = 9900") == [(1,)]
