"""Runs of the DAGs: their state, tasks and results."""

from typing import Any

from flask import Blueprint, g, render_template

from api.actions import ingest
from api.shared.access import scope
from api.shared.airflow import RunTask, airflow, list_tasks, outline_run
from api.shared.problems import Problem
from rowboat.airflow_client import DRY_RUN, MOST_TASKS
from rowboat.errors import AirflowUnreachable, UnknownRun

blueprint = Blueprint("runs", __name__)

# DAG → the task that returns the set that it took, verified or restored
_PROOFS = {"backup": "take", "verify": "read_back", "drill": "restore_on_trial"}
_ENDED = ("success", "failed")
_KINDS = {"success": "good", "failed": "bad", "upstream_failed": "bad", "up_for_retry": "warn"}
_NEWEST = 20  # runs shown
_FILES = 100  # files of a run shown


@blueprint.get("/runs/<dag>")
@scope("read")
def newest(dag: str) -> str:
    """Show the newest runs of a DAG."""
    _check(dag)
    down, found = None, []
    try:
        found = [outline_run(e) for e in airflow().runs(dag, order_by="-run_after", limit=_NEWEST)]
    except AirflowUnreachable as error:
        down = error
    live = 10 if down else 2 if any(each.state not in _ENDED for each in found) else None
    return render_template(
        "runs.html", dag=dag, runs=found, most=_NEWEST, down=down, kinds=_KINDS, live=live
    )


@blueprint.get("/runs/<dag>/<run>")
@scope("read")
def one(dag: str, run: str) -> str:
    """Show a run: its state, tasks, and result."""
    _check(dag)
    seen = _seen(dag, run)
    if dag == ingest.DAG:
        seen |= vars(ingest.describe_work(run, seen["conf"]))
        seen["files"].sort(key=lambda each: (each.state != "failed", each.file_name))
    if isinstance(seen["down"], UnknownRun) and not seen.get("files"):
        raise seen["down"]
    return render_template(
        "run.html",
        dag=dag, seen=seen, most=_FILES, all_tasks=len(seen["tasks"]) < MOST_TASKS,
        kinds=_KINDS, live=_pause(seen),
    )  # fmt: skip


def _check(dag: str) -> None:
    """Raise Problem (404) for an unknown DAG, Forbidden for one that the caller may not see."""
    if dag == ingest.DAG:
        return
    if dag not in _PROOFS:
        raise Problem(404, f"there is no DAG {dag}", "the page Files links to the runs of ingest")
    g.caller.demand("operate")


def _seen(dag: str, run: str) -> dict[str, Any]:
    """Return a run as the page shows it: run, state, started, ended, conf, tasks, result, down.

    `down` is the error if Airflow does not answer or does not know the run.
    """
    seen: dict[str, Any] = {"run": run, "state": None, "conf": {}, "tasks": [], "result": None}
    seen["down"] = None
    try:
        found, done = airflow().run(dag, run), list_tasks(dag, run)
        conf = found.get("conf") or {}
        told = {"conf": conf, "tasks": done, "result": _result(dag, run, conf, done)}
        return seen | vars(outline_run(found)) | told
    except AirflowUnreachable as error:
        return seen | {"down": error}


def _result(dag: str, run: str, conf: dict[str, Any], done: list[RunTask]) -> Any:
    """Return the findings of a dry run, or the set of a run of backup, verify or drill."""
    dry = dag == ingest.DAG and conf.get("dry_run")
    task = "detect" if dry else _PROOFS.get(dag)
    if task is None or (task, "success") not in {(each.task, each.state) for each in done}:
        return None
    try:
        if not dry:
            return airflow().result(dag, run, task)
        judged = airflow().result(dag, run, task, DRY_RUN)
    except UnknownRun:  # Airflow deletes results of tasks earlier than runs
        return None
    return [each | {"file_name": each["file"], "table_name": each["table"]} for each in judged]


def _pause(seen: dict[str, Any]) -> int | None:
    """Return the seconds after which the page refreshes, or None if the run has ended."""
    if seen["down"]:
        return None if isinstance(seen["down"], UnknownRun) else 10
    return None if seen["state"] in _ENDED else 2
