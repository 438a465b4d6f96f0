"""The shelf of backups, and starting the DAG backup."""

from dataclasses import asdict
from typing import Any

from flask import Blueprint, g, url_for

from api.actions.backups import DAG, BackupForm, start_backup, visible_sets
from api.shared import forms
from api.shared.access import scope
from api.shared.airflow import airflow, outline, tasks
from api.shared.context import reading
from rowboat.backup import restore, sets

blueprint = Blueprint("backups", __name__)


@blueprint.get("/api/backups")
@scope("operate")
def shelf() -> dict[str, Any]:
    """List the sets, oldest first, and the newest restores."""
    with reading() as cursor:
        found, done = sets.read_sets(cursor), restore.list_restores(cursor)
    return {
        "sets": [asdict(each) for each in visible_sets(found)],
        "restores": [each for each in done if all(map(g.caller.sees, each["tables"]))],
    }


@blueprint.post("/api/backups")
@scope("operate")
def take() -> tuple[dict[str, Any], int]:
    """Start a run of the DAG backup."""
    run = start_backup(forms.parse_body(BackupForm))
    return {"run": run, "state": "queued", "url": url_for("backups.one_run", run=run)}, 202


@blueprint.get("/api/backups/<run>")
@scope("operate")
def one_run(run: str) -> dict[str, Any]:
    """Tell the state of a run, and the set that it took."""
    found, done = airflow().run(DAG, run), tasks(DAG, run)
    taken = any(each["task"] == "take" and each["state"] == "success" for each in done)
    result = airflow().result(DAG, run, "take") if taken else None
    return outline(found) | {"set": result, "tasks": done}
