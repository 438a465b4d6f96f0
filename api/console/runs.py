"""Runs of the DAGs: what each does now, and what it did."""

from typing import Any

from flask import Blueprint, g, render_template

from api.actions import ingest
from api.shared.access import scope
from api.shared.airflow import airflow, outline, tasks
from api.shared.problems import Problem
from rowboat.airflow_client import DRY_RUN, MOST_TASKS
from rowboat.errors import AirflowUnreachable, UnknownRun

blueprint = Blueprint("runs", __name__)

# DAG → the task whose result tells of a set of backups
_PROOFS = {"backup": "take", "verify": "read_back", "drill": "restore_on_trial"}
_ENDED = ("success", "failed")
_KINDS = {"success": "good", "failed": "bad", "upstream_failed": "bad", "up_for_retry": "warn"}
_NEWEST = 20  # runs
_FILES = 100


@blueprint.get("/runs/<dag>")
@scope("read")
def newest(dag: str) -> str:
    """List the newest runs of a DAG."""
    _check(dag)
    down, found = None, []
    try:
        found = [outline(e) for e in airflow().runs(dag, order_by="-run_after", limit=_NEWEST)]
    except AirflowUnreachable as error:
        down = error
    live = 10 if down else 2 if any(each["state"] not in _ENDED for each in found) else None
    return render_template(
        "runs.html", dag=dag, runs=found, most=_NEWEST, down=down, kinds=_KINDS, live=live
    )


@blueprint.get("/runs/<dag>/<run>")
@scope("read")
def one(dag: str, run: str) -> str:
    """Show a run: its state, its tasks, what it did."""
    _check(dag)
    seen = _seen(dag, run)
    if dag == ingest.DAG:
        seen |= ingest.describe_work(run, seen["conf"])
        seen["files"].sort(key=lambda each: (each["state"] != "failed", each["file_name"]))
    if isinstance(seen["down"], UnknownRun) and not seen.get("files"):
        raise seen["down"]
    return render_template(
        "run.html",
        dag=dag, seen=seen, most=_FILES, all_tasks=len(seen["tasks"]) < MOST_TASKS,
        kinds=_KINDS, live=_pause(seen),
    )  # fmt: skip


def _check(dag: str) -> None:
    """Raise Problem or Forbidden where there is no such DAG, or it is not for the caller."""
    if dag == ingest.DAG:
        return
    if dag not in _PROOFS:
        raise Problem(404, f"there are no runs of {dag}", "the page Files leads to those of ingest")
    g.caller.demand("operate")


def _seen(dag: str, run: str) -> dict[str, Any]:
    """Return what Airflow tells of a run; `down` is its error where it tells nothing."""
    seen: dict[str, Any] = {"run": run, "state": None, "conf": {}, "tasks": [], "result": None}
    seen["down"] = None
    try:
        found, done = airflow().run(dag, run), tasks(dag, run)
        conf = found.get("conf") or {}
        told = {"conf": conf, "tasks": done, "result": _result(dag, run, conf, done)}
        return seen | outline(found) | told
    except AirflowUnreachable as error:
        return seen | {"down": error}


def _result(dag: str, run: str, conf: dict[str, Any], done: list[dict[str, Any]]) -> Any:
    """Return what a dry run found, or the set that a run of backups took or proved."""
    dry = dag == ingest.DAG and conf.get("dry_run")
    task = "detect" if dry else _PROOFS.get(dag)
    if task is None or (task, "success") not in {(each["task"], each["state"]) for each in done}:
        return None
    try:
        if not dry:
            return airflow().result(dag, run, task)
        judged = airflow().result(dag, run, task, DRY_RUN)
    except UnknownRun:  # Airflow keeps what tasks leave for a shorter time than runs
        return None
    return [each | {"file_name": each["file"], "table_name": each["table"]} for each in judged]


def _pause(seen: dict[str, Any]) -> int | None:
    """Return the seconds after which to look again; None where the run has ended."""
    if seen["down"]:
        return None if isinstance(seen["down"], UnknownRun) else 10
    return None if seen["state"] in _ENDED else 2
