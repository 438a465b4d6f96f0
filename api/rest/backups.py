"""The shelf of backups, and starting the DAG backup."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from flask import Blueprint, g, url_for

from api.shared import forms
from api.shared.access import scope
from api.shared.airflow import airflow, outline, start, tasks
from api.shared.context import reading, the_table
from rowboat.backup import restore, sets
from rowboat.backup.sets import Set

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
        found, done = sets.read_sets(cursor), restore.list_restores(cursor)
    return {
        "sets": [asdict(each) for each in visible(found)],
        "restores": [each for each in done if all(map(g.caller.sees, each["tables"]))],
    }


@blueprint.post("/api/backups")
@scope("operate")
def take() -> tuple[dict[str, Any], int]:
    """Start a run of the DAG backup."""
    run = begin(forms.body(Order))
    return {"run": run, "state": "queued", "url": url_for("backups.one_run", run=run)}, 202


@blueprint.get("/api/backups/<run>")
@scope("operate")
def one_run(run: str) -> dict[str, Any]:
    """Tell the state of a run, and the set that it took."""
    found, done = airflow().run(DAG, run), tasks(DAG, run)
    taken = any(each["task"] == "take" and each["state"] == "success" for each in done)
    result = airflow().result(DAG, run, "take") if taken else None
    return outline(found) | {"set": result, "tasks": done}


def begin(order: Order) -> str:
    """Start a run that takes a set, for a limited key one of its own tables; return its id."""
    wanted = order.tables or sorted(g.caller.tables or ())
    with reading() as cursor:
        names = [the_table(cursor, each).full_name for each in wanted]
    return start(DAG, tables=names or None, pin=order.pin)


def visible(found: Sequence[Set]) -> list[Set]:
    """Return the sets with what a limited key may know of them: its own tables."""
    if g.caller.tables is None:
        return list(found)
    cut = [
        replace(
            each,
            tables={table: rows for table, rows in each.tables.items() if g.caller.sees(table)},
            suspicion=each.suspicion and "one of its tables looks wrong",
        )
        for each in found
    ]
    return [each for each in cut if each.tables]
