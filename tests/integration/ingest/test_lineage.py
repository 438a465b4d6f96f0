"""What a lineage server and a webhook learn of real runs of the DAGs, in one process."""

import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rowboat.backup import take
from tests.conftest import ROOT, Boat
from tests.support.posts import Posts, posts

SCRIPT = """
from airflow.dag_processing.dagbag import DagBag
dags = DagBag(__import__("os").environ["AIRFLOW__CORE__DAGS_FOLDER"]).dags
form = {"table": "hired_employees.jobs", "mode": "merge"}
more = {"restore": {"run_conf": form, "mark_success_pattern": "approve"}}
dags["backup"].deadline = None  # of which Airflow 3.3.2 knows nothing in such a run
for name in ("ingest", "restore", "backup", "drill"):
    run = dags[name].test(**more.get(name, {}))
    print("ENDED", name, run.state, *{task.state for task in run.get_task_instances()})
"""
SECRET = "s3cret-of-the-webhook"


@dataclass
class Told:
    """What was posted, what the runs wrote, and where the database is."""

    posts: Posts
    output: str
    server: str
    database: str
    raw: Path
    backups: Path

    def events(self, job: str) -> list[dict[str, Any]]:
        """Return the lineage events of the runs of a task, oldest first."""
        found = self.posts.at("/api/v1/lineage")
        return [event for event in found if event["job"]["name"] == job]

    def of_file(self, name: str) -> tuple[list[str], dict[str, Any]]:
        """Return the kinds of the events of a file's load, and the one that names the file."""
        events = self.events("ingest.jobs.load")
        path = str(self.raw / name)
        [told] = [e for e in events if [i["name"] for i in e["inputs"]] == [path]]
        run = told["run"]["runId"]
        return [e["eventType"] for e in events if e["run"]["runId"] == run], told


@pytest.fixture
def told(boat: Boat, tmp_path: Path, setting: Callable[[str, str], None]) -> Iterator[Told]:
    """Load a good file and a bad one by the DAG, then restore what was there before."""
    backups = tmp_path / "backups"
    setting("backups", str(backups))
    boat.ingest(boat.write("jobs.csv", "7,Bow\n8,Stroke\n"))
    take.take_backup(boat.connect(), ["hired_employees.jobs"])
    boat.query("delete from hired_employees.jobs where id = 7")
    boat.write("jobs-2.csv", "1,Rower\n2,\n3,Cox\n")
    boat.write("jobs-broken.csv.gz", gzip.compress(b"9,Coach\n" * 1000)[:-9])
    with posts() as server:
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")
        } | {
            "AIRFLOW_HOME": str(tmp_path / "airflow"),
            "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__API__BASE_URL": "http://airflow.test",
            "AIRFLOW__OPENLINEAGE__NAMESPACE": "boats",
            "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps({"type": "http", "url": server.address}),
            "AIRFLOW_CONN_ROWBOAT": boat.uri("loader"),
            "ROWBOAT_HOME": str(tmp_path / "home"),
            "ROWBOAT_BACKUPS": str(backups),
            "ROWBOAT_CONSOLE_URL": "http://console.test",
            "ROWBOAT_ALERT_URL": f"{server.address}/hook/{SECRET}",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "plugins")]),
        }  # fmt: skip
        (tmp_path / "home").mkdir()  # as that of a machine that has run no task yet
        airflow = str(Path(sys.executable).with_name("airflow"))
        subprocess.run([airflow, "db", "migrate"], env=environment, capture_output=True, check=True)
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT],
            env=environment, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        output = done.stdout + done.stderr
        assert done.returncode == 0, output[-5000:]
        place = urlsplit(boat.uri("loader"))
        at = f"postgres://{place.hostname}:{place.port}"
        yield Told(server, output, at, place.path.strip("/"), boat.raw, backups)


def test_lineage_and_alerts_of_real_runs(told: Told) -> None:
    """One run of Airflow for all of it, as it takes its time to start."""
    check_ends(told)
    check_load(told)
    check_failed_load(told)
    check_restore(told)
    check_form(told)
    check_alert(told)


def check_ends(told: Told) -> None:
    """All runs by `dag.test()`, as someone who writes DAGs runs them, end as they should."""
    ended = [line for line in told.output.splitlines() if line.startswith("ENDED")]
    assert ended[0].startswith("ENDED ingest failed")
    assert ended[1:] == [f"ENDED {name} success success" for name in ("restore", "backup", "drill")]


def check_load(told: Told) -> None:
    """File, table and counts belong to the run that Airflow itself tells of."""
    kinds, event = told.of_file("jobs-2.csv")
    assert kinds == ["START", "RUNNING", "COMPLETE"]
    [read], [written] = event["inputs"], event["outputs"]
    assert (read["namespace"], written["namespace"]) == ("file", told.server)
    assert written["name"] == f"{told.database}.hired_employees.jobs"
    facets = read["inputFacets"]
    assert facets["inputStatistics"]["rowCount"] == 3
    [judged] = facets["dataQualityAssertions"]["assertions"]
    assert (judged["name"], judged["success"], judged["actual"]) == ("rejected", False, "1")
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 2
    parent = event["run"]["facets"]["parent"]
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("boats", "ingest")


def check_failed_load(told: Told) -> None:
    kinds, event = told.of_file("jobs-broken.csv.gz")
    assert kinds == ["START", "RUNNING", "FAIL"]
    [written] = event["outputs"]
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 0


def check_restore(told: Told) -> None:
    events = told.events("restore.apply")
    assert [each["eventType"] for each in events] == ["START", "RUNNING", "COMPLETE"]
    [read], [written] = events[1]["inputs"], events[1]["outputs"]
    path = Path(read["name"])
    assert (read["namespace"], path.name, path.parent.parent) == (
        "file", "jobs.avro", told.backups,
    )  # fmt: skip
    assert read["inputFacets"]["inputStatistics"]["rowCount"] == 2
    assert written["name"] == f"{told.database}.hired_employees.jobs"
    assert written["outputFacets"]["outputStatistics"]["rowCount"] == 1


def check_form(told: Told) -> None:
    """What OpenLineage's schema demands of every event."""
    events = told.posts.at("/api/v1/lineage")
    uuid = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
    for event in events:
        assert {"eventTime", "producer", "schemaURL", "run", "job"} <= set(event)
        assert uuid.fullmatch(event["run"]["runId"])
        assert event["job"]["namespace"] == "boats"
        for each in [*event.get("inputs", []), *event.get("outputs", [])]:
            facets = each.get("inputFacets", {}) | each.get("outputFacets", {})
            for facet in facets.values():
                assert {"_producer", "_schemaURL"} <= set(facet)


def check_alert(told: Told) -> None:
    """The failed load is told with its first line and where to look; the address in no log."""
    alerts = told.posts.at(f"/hook/{SECRET}")
    [alert] = [each for each in alerts if each["task"] == "jobs.load"]
    assert alert["dag"] == "ingest"
    assert alert["error"] == "jobs-broken.csv.gz its gzip stream is cut off"
    assert alert["text"] == f"ingest: jobs.load failed: {alert['error']}"
    assert "HINT" not in alert["error"]
    run = alert["airflow"].removeprefix("http://airflow.test/dags/ingest/runs/")
    assert alert["console"] == f"http://console.test/runs/ingest/{run}"
    assert {each["task"] for each in alerts} == {"jobs.load", "report"}
    assert '"task": "jobs.load"' in told.output
    assert SECRET not in told.output
