"""Starts the DAG ingest, and tells how files and runs stand."""

from typing import Any

from flask import Blueprint

from api.actions.ingest import DAG, IngestForm, describe_files, describe_work, start_ordered
from api.shared import forms
from api.shared.access import scope
from api.shared.airflow import airflow, outline, tasks
from api.shared.context import reading
from rowboat.errors import AirflowUnreachable
from rowboat.ingest import position

blueprint = Blueprint("ingest", __name__)

_NEWEST = 20  # runs


@blueprint.post("/api/ingest")
@scope("operate")
def load() -> tuple[dict[str, Any], int]:
    """Start a run of the DAG ingest."""
    return start_ordered(forms.parse_body(IngestForm)), 202


@blueprint.get("/api/ingest")
@scope("read")
def everything() -> dict[str, Any]:
    """List the files with their positions and the newest runs, where Airflow answers."""
    with reading() as cursor:
        files = describe_files(list(position.all_positions(cursor).values()))
    try:
        runs = airflow().runs(DAG, order_by="-run_after", limit=_NEWEST)
    except AirflowUnreachable:
        return {"files": files, "airflow": False, "runs": []}
    return {"files": files, "airflow": True, "runs": [outline(each) for each in runs]}


@blueprint.get("/api/ingest/<run>")
@scope("read")
def one_run(run: str) -> dict[str, Any]:
    """Tell a run's state, its tasks, what it loaded, and how its files stand."""
    found = airflow().run(DAG, run)
    return outline(found) | describe_work(run, found.get("conf")) | {"tasks": tasks(DAG, run)}
