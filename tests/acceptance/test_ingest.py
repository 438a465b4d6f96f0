"""The main job, end to end: changed CSV files reach Postgres through Airflow."""

import shutil
import statistics
import time
from pathlib import Path

import pytest

from tests.acceptance.conftest import LOADED, NEW_TABLES, System, secrets, until
from tests.support.effort import tries

REJECTED = """
    select r ->> 'rule', r ->> 'column', count(*)
    from ingest_status.rejected_rows as q, jsonb_array_elements(q.reasons) as r
    where q.source_name = 'hired_employees.csv' group by 1, 2 order by 2
"""


def test_real_files_are_loaded_by_the_first_start(challenge: Path, system: System) -> None:
    assert len(list(challenge.glob("*.csv"))) == 3
    counts = system.query(
        "select file_name, read, inserted, rejected from ingest_status.ingest_status"
        " where file_name in ('departments.csv', 'jobs.csv', 'hired_employees.csv') order by 1"
    )
    assert counts == [
        ("departments.csv", 12, 12, 0),
        ("hired_employees.csv", 1999, 1929, 70),
        ("jobs.csv", 183, 183, 0),
    ]
    of_the_file = "select count(*) from hired_employees.hired_employees where id <= 1999"
    assert system.query(of_the_file) == [(1929,)]
    assert system.query(REJECTED) == [
        ("required", "department_id", 21),
        ("required", "employee_name", 19),
        ("required", "hired_date", 14),
        ("required", "job_id", 16),
    ]
    [(run, actor)] = system.query(
        "select run, actor from ingest_status.loads where source_name = 'hired_employees.csv'"
    )
    assert run in {each["dag_run_id"] for each in system.airflow.runs("ingest")}
    assert actor.startswith("airflow:")


def test_start_tells_where_everything_is(system: System) -> None:
    said = system.output.read_text()
    assert f"Airflow    {system.airflow.address}" in said
    assert LOADED.search(said)
    assert "Ctrl-C stops everything." in said


def test_tasks_are_named_by_file_and_follow_the_foreign_keys(system: System) -> None:
    named = ["departments.csv", "jobs.csv", "hired_employees.csv"]
    run, state = system.run(files=named, checksum=True)
    assert state == "success"
    tasks = {
        (each["task_id"], each["rendered_map_index"]): each
        for each in system.airflow.tasks("ingest", run)
    }
    child = tasks["hired_employees.load", "hired_employees.csv"]
    for parent in (("departments.load", "departments.csv"), ("jobs.load", "jobs.csv")):
        assert tasks[parent]["end_date"] <= child["start_date"]
    log = system.airflow.log("ingest", run, "hired_employees.load", child["map_index"])
    assert "hired_employees.csv → hired_employees.hired_employees: unchanged" in log


def test_a_new_file_is_loaded_without_a_hand(system: System) -> None:
    waits = []
    for number in range(tries(2, 5)):
        begun = time.monotonic()
        system.put(f"jobs-new-{number}.csv", f"{9000 + number},Ferryman {number}\n")
        until(lambda n=number: system.query(
            "select 1 from hired_employees.jobs where id = %s", [9000 + n]
        ))  # fmt: skip
        waits.append(time.monotonic() - begun)
        until(lambda: system.airflow.runs("ingest")[-1]["state"] == "success")
    print(f"arrival to rows visible: median {statistics.median(waits):.2f} s of {waits}")


def test_an_appended_tail_and_a_late_parent(system: System) -> None:
    system.put("hired_employees-late.csv", "90001,Ann Oar,2021-05-01T10:00:00Z,700,1\n")
    until(lambda: system.query(
        "select 1 from ingest_status.rejected_rows where source_name = 'hired_employees-late.csv'"
    ))  # fmt: skip
    with (system.raw / "departments.csv").open("ab") as file:
        file.write(b"\r\n700,Boathouse\r\n")
    until(lambda: system.query(
        "select 1 from hired_employees.hired_employees where id = 90001"
    ))  # fmt: skip
    assert system.query(
        "select read, inserted, rejected from ingest_status.ingest_status"
        " where file_name = 'hired_employees-late.csv'"
    ) == [(1, 1, 0)]


def test_a_dry_run_changes_nothing(system: System) -> None:
    shutil.copy(system.raw / "jobs.csv", system.raw / ".jobs-dry.csv")
    outside = system.home.parent / "jobs-dry.csv"
    outside.write_text("9500,Dry Rower\n9501,\n")
    run, state = system.run(files=[str(outside)], dry_run=True)
    assert state == "success"
    assert "9500" not in str(system.query("select id from hired_employees.jobs"))
    log = system.airflow.log("ingest", run, "detect")
    assert "dry run: nothing was changed" in log


def test_a_file_that_cannot_be_read_fails_at_once(system: System) -> None:
    (system.raw / "jobs-header.csv").write_text("id,jbo\n1,x\n")
    run, state = system.run(files=["jobs-header.csv"])
    assert state == "failed"
    tasks = {each["task_id"]: each for each in system.airflow.tasks("ingest", run)}
    assert tasks["jobs.load"]["state"] == "failed"
    assert tasks["jobs.load"]["try_number"] == 1
    log = system.airflow.log("ingest", run, "jobs.load", 0)
    assert 'the header names \\"jbo\\", which is not a column of hired_employees.jobs' in log
    (system.raw / "jobs-header.csv").unlink()


def test_a_new_dataset_is_one_sql_file_and_a_csv(system: System) -> None:
    (system.migrations / "0900_trade.sql").write_text(NEW_TABLES)
    done = system.rowboat("migrate")
    assert done.stdout == "ran 0900_trade\n", done.stderr
    system.put("deliveries.csv", "id,price,supplier\n1,10.50,acme\n2,7.555,acme\n")
    system.put("suppliers.csv", "code,name\nacme,Acme Oars\n")
    until(lambda: system.query("select 1 from trade.deliveries"))
    assert system.query("select id, price::text, supplier from trade.deliveries") == [
        (1, "10.50", "acme")
    ]
    reasons = "select reasons -> 0 ->> 'message' from ingest_status.rejected_rows"
    assert system.query(
        f"{reasons} where source_name = 'deliveries.csv' and settled_at is null"
    ) == [("'7.555' is more digits than numeric(12,2) holds",)]


def test_command_line_shares_the_running_system(system: System) -> None:
    done = system.rowboat("trace", "departments.csv:1")
    assert "departments.csv:1 is the present row" in done.stdout
    assert done.returncode == 0


def test_no_secret_in_any_log(system: System) -> None:
    logs = [path for path in (system.home / "logs").rglob("*") if path.is_file()]
    assert len(logs) > 10
    for path in logs:
        text = path.read_text(errors="replace")
        assert not [secret for secret in secrets(system.home) if secret in text], path


@pytest.mark.parametrize("name", ["secrets.json", "airflow/passwords.json"])
def test_secrets_are_private(system: System, name: str) -> None:
    assert (system.home / name).stat().st_mode & 0o777 == 0o600
