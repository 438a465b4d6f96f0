"""What the API and the console both do with restores: plan, approve, undo, describe."""

import time
from datetime import UTC, datetime
from typing import Any

from flask import g, url_for

from api.shared import forms
from api.shared.airflow import airflow, outline, start, tasks
from api.shared.context import reading, the_table
from api.shared.problems import Problem
from rowboat.backup import restore, sets
from rowboat.backup.plan import Mode
from rowboat.database.connections import Cursor
from rowboat.errors import Forbidden, UnknownRun, UnknownSet

DAG, UNDO = "restore", "undo"
_WAITS = "awaiting_input"
_PARKED = 2.0  # seconds: answered in the moment it parks, Airflow 3.3.2 takes a task for lost


class RestoreForm(forms.Form):
    """What to restore, from which set (none named: the newest verified), and how."""

    table: str
    set: str | None = None
    mode: Mode = "replace"
    cascade: bool = False


class UndoForm(forms.Form):
    """Whether the undo may delete rows of other tables, by their foreign keys."""

    cascade: bool = False


class ApprovalForm(forms.Form):
    """Whether the plan is to be carried out."""

    approve: bool = True


def start_restore(order: RestoreForm) -> str:
    """Start a run that plans a restore; return its id.

    Raises UnknownTable, UnknownSet, Forbidden.
    """
    _check_cascade(order.cascade)
    with reading() as cursor:
        table = the_table(cursor, order.table).full_name
        chosen = sets.find_set(cursor, order.set) if order.set else sets.newest_set(cursor, [table])
    if table not in chosen.tables:
        raise UnknownSet(f"the set {chosen.name} has no {table}")
    return start(DAG, **order.model_dump() | {"table": table, "set": chosen.name})


def start_undo(number: int, order: UndoForm) -> str:
    """Start a run that plans to undo a restore; return its id.

    Raises UnknownRestore, Forbidden.
    """
    _check_cascade(order.cascade)
    with reading() as cursor:
        visible_restore(cursor, number)
    return start(UNDO, restore=number, cascade=order.cascade)


def visible_restore(cursor: Cursor, number: int) -> dict[str, Any]:
    """Return a restore's visible_restore.

    Raises UnknownRestore, or Forbidden where the key does not hold for all of its tables.
    """
    known = restore.recorded_plan(cursor, number)
    for table in known["tables"]:
        g.caller.check(table)
    return known


def find_run(run: str) -> tuple[str, dict[str, Any]]:
    """Return the DAG and the run, which must be one that the caller's key holds for."""
    try:
        dag, about = DAG, airflow().run(DAG, run)
        g.caller.check(about["conf"]["table"])
    except UnknownRun:
        dag, about = UNDO, airflow().run(UNDO, run)
        with reading() as cursor:
            visible_restore(cursor, about["conf"]["restore"])
    return dag, about


def describe_run(dag: str, about: dict[str, Any]) -> dict[str, Any]:
    """Return what callers see of a run that plans and restores."""
    run = about["dag_run_id"]
    done = tasks(dag, run)
    planned = any(each["task"] == "plan" and each["state"] == "success" for each in done)
    question = _question(dag, run, done)
    with reading() as cursor:
        number = restore.restore_of_run(cursor, run)
    return outline(about) | {
        "waits": question is not None,
        "plan": airflow().result(dag, run, "plan") if planned else None,
        "question": question and {name: question.get(name) for name in ("subject", "body")},
        "restore": number,
        "undo": url_for("restores.undo", number=number) if number else None,
        "tasks": done,
    }


def settle_approval(dag: str, run: str, approved: bool) -> None:
    """ApprovalForm what a run asks; raises Problem where it asks nothing, or no more."""
    question = _question(dag, run, tasks(dag, run))
    if question is None:
        raise Problem(
            409, "the run does not wait for an approval",
            f"{url_for('restores.one_run', run=run)} shows its state",
        )  # fmt: skip
    _let_it_park(question)
    airflow().answer(dag, run, "approve", "Approve" if approved else "Reject")


def _check_cascade(cascade: bool) -> None:
    """A cascade touches whatever refers to the table."""
    if cascade and g.caller.tables is not None:
        raise Forbidden(f"the key {g.caller.id} does not hold for all tables, so none may cascade")


def _question(dag: str, run: str, done: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Return what a run asks a person, unless it was answered."""
    if not any(each["task"] == "approve" and each["state"] == _WAITS for each in done):
        return None
    question = airflow().question(dag, run, "approve")
    return None if question.get("response_received") else question


def _let_it_park(question: dict[str, Any]) -> None:
    asked = datetime.fromisoformat(question["created_at"])
    time.sleep(min(_PARKED, max(0.0, _PARKED - (datetime.now(UTC) - asked).total_seconds())))
