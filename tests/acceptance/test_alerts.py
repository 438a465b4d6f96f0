"""What a webhook is told by a real Airflow, and what Prometheus reads of its runs."""

import re

import httpx
import psycopg2

from rowboat.database import embedded
from tests.acceptance.conftest import System, until
from tests.support.posts import Posts

DEADLINE = """
update deadline set deadline_time = now()
where not missed and dagrun_id = (select id from dag_run where run_id = %s)
"""


def test_failed_run_is_told(system: System, hook: Posts) -> None:
    """At the webhook, with where to look; and by the number of failed runs."""
    run, state = system.run("verify", set="never-taken")
    assert state == "failed"
    [alert] = until(lambda: [each for each in hook.at("/hook") if each["run"] == run])
    assert (alert["dag"], alert["task"]) == ("verify", "read_back")
    assert alert["error"].startswith("there is no set never-taken in ")
    page = httpx.get(alert["airflow"], trust_env=False)
    assert page.is_success
    api = f"http://127.0.0.1:{system.environment['ROWBOAT_API_PORT']}"
    assert alert["console"].startswith(f"{api}/runs/verify/")
    failed = r'^rowboat_runs\{dag="verify",state="failed"\} [1-9]'
    until(lambda: re.search(failed, httpx.get(f"{api}/metrics").text, re.MULTILINE))


def test_late_backup_is_told(system: System, hook: Posts) -> None:
    """A run that waits while its deadline passes; Airflow's triggerer tells."""
    airflow = system.airflow
    airflow._call("PATCH", "/api/v2/dags/backup", json={"is_paused": True})
    run = airflow.trigger("backup")
    connection = psycopg2.connect(
        embedded.EmbeddedServer(system.home).uri(embedded.AIRFLOW, embedded.AIRFLOW)
    )

    def passed() -> bool:
        with connection, connection.cursor() as cursor:
            cursor.execute(DEADLINE, (run,))
            return bool(cursor.rowcount)

    until(passed)
    connection.close()
    [alert] = until(lambda: [each for each in hook.at("/hook") if each["run"] == run])
    assert alert["text"] == "backup is late: the run has not ended 2 hours after it was queued"
    assert alert["task"] is None
    airflow._call("PATCH", "/api/v2/dags/backup", json={"is_paused": False})
    assert list(airflow.states("backup", run))[-1] == "success"
