"""The shelf of backups, and starting the DAG backup."""

from typing import Any

from flask import Blueprint, g, url_for

from api import forms
from api.access import scope
from api.airflow import airflow, outline, start, tasks
from api.context import reading, the_table
from rowboat import restore, sets, show_backups

blueprint = Blueprint("backups", __name__)

DAG = "backup"


class Order(forms.Form):
    """Which tables to back up (none named: all), and whether the set stays whatever its age."""

    tables: list[str] | None = None
    pin: bool = False


@blueprint.get("/api/backups")
@scope("operate")
def shelf() -> dict[str, Any]:
    """List the sets, oldest first, and the newest restores."""
    with reading() as cursor:
        found, done = sets.read(cursor), restore.history(cursor)
    return {"sets": show_backups.sets_document(found), "restores": done}


@blueprint.post("/api/backups")
@scope("operate")
def take() -> tuple[dict[str, Any], int]:
    """Start a run of the DAG backup."""
    order = forms.body(Order)
    wanted = order.tables or sorted(g.caller.tables or ())
    with reading() as cursor:
        names = [the_table(cursor, each).full_name for each in wanted]
    run = start(DAG, tables=names or None, pin=order.pin)
    return {"run": run, "state": "queued", "url": url_for("backups.one_run", run=run)}, 202


@blueprint.get("/api/backups/<run>")
@scope("operate")
def one_run(run: str) -> dict[str, Any]:
    """Tell the state of a run, and the set that it took."""
    found, done = airflow().run(DAG, run), tasks(DAG, run)
    taken = any(each["task"] == "take" and each["state"] == "success" for each in done)
    result = airflow().result(DAG, run, "take") if taken else None
    return outline(found) | {"set": result, "tasks": done}
