"""Restores: a run plans, shows its plan, waits for an approval, then carries it out."""

import time
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, g, url_for

from api import forms
from api.access import scope
from api.airflow import airflow, outline, start, tasks
from api.context import reading, the_table
from api.errors import Problem
from rowboat import restore, sets
from rowboat.errors import Forbidden, UnknownSet
from rowboat.plan import Mode
from rowboat_airflow.client import UnknownRun

blueprint = Blueprint("restores", __name__)

DAG, UNDO = "restore", "undo"
_WAITS = "awaiting_input"
_PARKED = 2.0  # seconds: answered in the moment it parks, Airflow 3.3.2 takes a task for lost


class Order(forms.Form):
    """What to restore, from which set (none named: the newest verified), and how."""

    table: str
    set: str | None = None
    mode: Mode = "replace"
    cascade: bool = False


class Undo(forms.Form):
    """Whether the undo may delete rows of other tables, by their foreign keys."""

    cascade: bool = False


class Answer(forms.Form):
    """Whether the plan is to be carried out."""

    approve: bool = True


@blueprint.post("/api/restores")
@scope("operate")
def plan() -> tuple[dict[str, Any], int]:
    """Start a run that plans a restore; nothing is changed until it is approved."""
    order = forms.body(Order)
    _check_cascade(order.cascade)
    with reading() as cursor:
        table = the_table(cursor, order.table).full_name
        found = sets.named(cursor, order.set) if order.set else sets.newest(cursor, [table])
    if table not in found.tables:
        raise UnknownSet(f"the set {found.name} has no {table}")
    return _started(DAG, **order.model_dump() | {"table": table, "set": found.name})


@blueprint.get("/api/restores/<run>")
@scope("operate")
def one_run(run: str) -> dict[str, Any]:
    """Tell the state of a run, its plan, and what it asks while it waits."""
    return _seen(*_found(run))


@blueprint.post("/api/restores/<run>/approve")
@scope("operate")
def approve(run: str) -> tuple[dict[str, Any], int]:
    """Have the plan carried out, or with {"approve": false} given up."""
    answer = forms.body(Answer)
    dag, found = _found(run)
    if not _waits(tasks(dag, run)):
        raise Problem(
            409, "the run does not wait for an approval",
            f"{url_for('restores.one_run', run=run)} shows its state",
        )  # fmt: skip
    _let_it_park(airflow().question(dag, run, "approve"))
    airflow().answer(dag, run, "approve", "Approve" if answer.approve else "Reject")
    return _seen(dag, found), 202


@blueprint.post("/api/restores/<int:number>/undo")
@scope("operate")
def undo(number: int) -> tuple[dict[str, Any], int]:
    """Start a run that plans to bring back what a restore overwrote."""
    order = forms.body(Undo)
    _check_cascade(order.cascade)
    _check_restore(number)
    return _started(UNDO, restore=number, cascade=order.cascade)


def _started(dag: str, **form: Any) -> tuple[dict[str, Any], int]:
    run = start(dag, **form)
    return {"run": run, "state": "queued", "url": url_for("restores.one_run", run=run)}, 202


def _found(run: str) -> tuple[str, dict[str, Any]]:
    """Return the DAG and the run, which must be one that the caller's key holds for."""
    try:
        dag, found = DAG, airflow().run(DAG, run)
        g.caller.check(found["conf"]["table"])
    except UnknownRun:
        dag, found = UNDO, airflow().run(UNDO, run)
        _check_restore(found["conf"]["restore"])
    return dag, found


def _check_restore(number: int) -> None:
    """Raise UnknownRestore, or Forbidden where the key does not hold for all of its tables."""
    with reading() as cursor:
        for table in restore.recorded(cursor, number)["tables"]:
            g.caller.check(table)


def _check_cascade(cascade: bool) -> None:
    """A cascade touches whatever refers to the table."""
    if cascade and g.caller.tables is not None:
        raise Forbidden(f"the key {g.caller.id} does not hold for all tables, so none may cascade")


def _seen(dag: str, found: dict[str, Any]) -> dict[str, Any]:
    run = found["dag_run_id"]
    done = tasks(dag, run)
    planned = any(each["task"] == "plan" and each["state"] == "success" for each in done)
    waits = _waits(done)
    question = airflow().question(dag, run, "approve") if waits else {}
    with reading() as cursor:
        number = restore.of_run(cursor, run)
    return outline(found) | {
        "waits": waits,
        "plan": airflow().result(dag, run, "plan") if planned else None,
        "question": {name: question.get(name) for name in ("subject", "body")} if waits else None,
        "restore": number,
        "undo": url_for("restores.undo", number=number) if number else None,
        "tasks": done,
    }


def _waits(done: list[dict[str, Any]]) -> bool:
    return any(each["task"] == "approve" and each["state"] == _WAITS for each in done)


def _let_it_park(question: dict[str, Any]) -> None:
    asked = datetime.fromisoformat(question["created_at"])
    time.sleep(min(_PARKED, max(0.0, _PARKED - (datetime.now(UTC) - asked).total_seconds())))
