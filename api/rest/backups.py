"""Backups: list the sets, take one."""

from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, g, url_for

from api.actions.backups import DAG, BackupForm, start_backup, visible_sets
from api.shared import forms
from api.shared.access import scope
from api.shared.airflow import RunOutline, RunTask, StartedRun, airflow, list_tasks, outline_run
from api.shared.answers import answer_with
from api.shared.context import reading
from rowboat.backup import sets
from rowboat.backup.recovery import restore
from rowboat.backup.sets import Set

blueprint = Blueprint("backups", __name__)


@dataclass(kw_only=True)
class BackupList:
    """All sets, oldest first, and the newest restores."""

    sets: list[Set]
    restores: list[dict[str, Any]]


@dataclass(kw_only=True)
class BackupRun(RunOutline):
    """A run and the set that it took."""

    set: dict[str, Any] | None
    tasks: list[RunTask]


@blueprint.get("/api/backups")
@scope("operate")
def shelf() -> Response:
    """List the sets, oldest first, and the newest restores."""
    with reading() as cursor:
        found, done = sets.read_sets(cursor), restore.list_restores(cursor)
    return answer_with(
        BackupList(
            sets=visible_sets(found),
            restores=[each for each in done if all(map(g.caller.sees, each["tables"]))],
        )
    )


@blueprint.post("/api/backups")
@scope("operate")
def take() -> Response:
    """Start a run that takes a backup."""
    run = start_backup(forms.parse_body(BackupForm))
    url = url_for("backups.one_run", run=run)
    return answer_with(StartedRun(run=run, state="queued", url=url), 202)


@blueprint.get("/api/backups/<run>")
@scope("operate")
def one_run(run: str) -> Response:
    """Return the state of a run, and the set that it took."""
    outline, done = outline_run(airflow().run(DAG, run)), list_tasks(DAG, run)
    taken = any(each.task == "take" and each.state == "success" for each in done)
    result = airflow().result(DAG, run, "take") if taken else None
    return answer_with(BackupRun(**vars(outline), set=result, tasks=done))
