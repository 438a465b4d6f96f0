"""Files: start a load, list files and runs."""

from dataclasses import dataclass

from flask import Blueprint, Response

from api.actions.ingest import DAG, IngestForm, describe_work, start_ordered, visible_files
from api.shared import forms
from api.shared.access import scope
from api.shared.airflow import RunOutline, RunTask, airflow, list_tasks, outline_run
from api.shared.answers import answer_with
from api.shared.context import reading
from rowboat.door.passage import Report
from rowboat.errors import AirflowUnreachable
from rowboat.ingest import file_states
from rowboat.ingest.position import Position

blueprint = Blueprint("ingest", __name__)

_NEWEST = 20  # runs


@dataclass(kw_only=True)
class FileList:
    """All files in raw_data and the newest runs; `airflow` is false if Airflow does not answer."""

    files: list[Position]
    airflow: bool
    runs: list[RunOutline]


@dataclass(kw_only=True)
class IngestRun(RunOutline):
    """A run, what it loaded, and its files."""

    totals: Report
    files: list[Position]
    tasks: list[RunTask]


@blueprint.post("/api/ingest")
@scope("operate")
def load() -> Response:
    """Start a run that loads files."""
    return answer_with(start_ordered(forms.parse_body(IngestForm)), 202)


@blueprint.get("/api/ingest")
@scope("read")
def everything() -> Response:
    """List the files with their positions, and the newest runs if Airflow answers."""
    with reading() as cursor:
        files = visible_files(file_states.present_positions(cursor))
    try:
        runs = airflow().runs(DAG, order_by="-run_after", limit=_NEWEST)
    except AirflowUnreachable:
        return answer_with(FileList(files=files, airflow=False, runs=[]))
    return answer_with(
        FileList(files=files, airflow=True, runs=[outline_run(each) for each in runs])
    )


@blueprint.get("/api/ingest/<run>")
@scope("read")
def one_run(run: str) -> Response:
    """Return the state of a run, its tasks, what it loaded, and its files."""
    found = airflow().run(DAG, run)
    work = describe_work(run, found.get("conf"))
    return answer_with(
        IngestRun(**vars(outline_run(found)), **vars(work), tasks=list_tasks(DAG, run))
    )
