"""Restores, for the API and the console: plan, approve, undo, describe."""

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import g, url_for

from api.shared import forms
from api.shared.airflow import RunOutline, RunTask, airflow, list_tasks, outline_run, start_run
from api.shared.context import reading, the_table
from api.shared.problems import Problem
from rowboat.backup import sets
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.plan import Mode
from rowboat.database.connections import Cursor
from rowboat.errors import Forbidden, UnknownRun, UnknownSet

DAG, UNDO = "restore", "undo"
_WAITS = "awaiting_input"
_PARKED = 2.0  # seconds: Airflow 3.3.2 loses a task that is answered while it is being deferred


class RestoreForm(forms.Form):
    """The table to restore, the set (default: the newest verified one), and the mode."""

    table: str
    set: str | None = None
    mode: Mode = "replace"
    cascade: bool = False


class UndoForm(forms.Form):
    """Whether the undo may also delete rows of other tables that refer to deleted rows."""

    cascade: bool = False


class ApprovalForm(forms.Form):
    """Whether to carry out the plan."""

    approve: bool = True


@dataclass(kw_only=True)
class RestoreRun(RunOutline):
    """A run with its plan, its question while it waits, and the address of its undo."""

    waits: bool
    plan: dict[str, Any] | None
    question: dict[str, Any] | None
    restore: int | None
    undo: str | None
    tasks: list[RunTask]


def start_restore(order: RestoreForm) -> str:
    """Start a run that plans a restore and return the run's ID.

    Raises UnknownTable, UnknownSet, Forbidden.
    """
    _check_cascade(order.cascade)
    with reading() as cursor:
        table = the_table(cursor, order.table).full_name
        chosen = sets.find_set(cursor, order.set) if order.set else sets.newest_set(cursor, [table])
    if table not in chosen.tables:
        raise UnknownSet(f"the set {chosen.name} has no {table}")
    return start_run(DAG, **order.model_dump() | {"table": table, "set": chosen.name})


def start_undo(number: int, order: UndoForm) -> str:
    """Start a run that plans the undo of a restore and return the run's ID.

    Raises UnknownRestore, Forbidden.
    """
    _check_cascade(order.cascade)
    with reading() as cursor:
        visible_restore(cursor, number)
    return start_run(UNDO, restore=number, cascade=order.cascade)


def visible_restore(cursor: Cursor, number: int) -> dict[str, Any]:
    """Return the record of a restore.

    Raises UnknownRestore, or Forbidden unless the key allows all of its tables.
    """
    known = restore.recorded_plan(cursor, number)
    for table in known["tables"]:
        g.caller.check(table)
    return known


def find_run(run: str) -> tuple[str, dict[str, Any]]:
    """Return the DAG of a run (restore or undo) and the run as Airflow describes it.

    Raises UnknownRun, or Forbidden unless the key allows all of its tables.
    """
    try:
        dag, about = DAG, airflow().run(DAG, run)
        g.caller.check(about["conf"]["table"])
    except UnknownRun:
        dag, about = UNDO, airflow().run(UNDO, run)
        with reading() as cursor:
            visible_restore(cursor, about["conf"]["restore"])
    return dag, about


def describe_run(dag: str, about: dict[str, Any]) -> RestoreRun:
    """Return the part of a restore or undo run that callers see; `about` is from Airflow."""
    run = about["dag_run_id"]
    done = list_tasks(dag, run)
    planned = any(each.task == "plan" and each.state == "success" for each in done)
    question = _question(dag, run, done)
    with reading() as cursor:
        number = restore.restore_of_run(cursor, run)
    return RestoreRun(
        **vars(outline_run(about)),
        waits=question is not None,
        plan=airflow().result(dag, run, "plan") if planned else None,
        question=question and {name: question.get(name) for name in ("subject", "body")},
        restore=number,
        undo=url_for("restores.undo", number=number) if number else None,
        tasks=done,
    )


def settle_approval(dag: str, run: str, approved: bool) -> None:
    """Approve or reject the plan of a run; raises Problem (409) unless the run waits for that."""
    question = _question(dag, run, list_tasks(dag, run))
    if question is None:
        raise Problem(
            409, "the run does not wait for an approval",
            f"{url_for('restores.one_run', run=run)} shows its state",
        )  # fmt: skip
    # Airflow shows the question before the task is deferred; see _PARKED.
    _let_it_park(question)
    airflow().answer(dag, run, "approve", "Approve" if approved else "Reject")


def _check_cascade(cascade: bool) -> None:
    """Raise Forbidden for a cascade by a key limited to some tables.

    A cascade may delete rows of any table.
    """
    if cascade and g.caller.tables is not None:
        raise Forbidden(
            f"the key {g.caller.id} is limited to some tables, and a cascade may change others"
        )


def _question(dag: str, run: str, done: list[RunTask]) -> dict[str, Any] | None:
    """Return the question of a run that waits for approval, or None if it does not wait."""
    if not any(each.task == "approve" and each.state == _WAITS for each in done):
        return None
    question = airflow().question(dag, run, "approve")
    return None if question.get("response_received") else question


def _let_it_park(question: dict[str, Any]) -> None:
    """Wait until the task that asked is deferred for certain."""
    asked = datetime.fromisoformat(question["created_at"])
    time.sleep(min(_PARKED, max(0.0, _PARKED - (datetime.now(UTC) - asked).total_seconds())))
