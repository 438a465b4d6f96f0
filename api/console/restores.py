"""Restores: plan, review and approve one by typing the table's name; history, undo."""

from collections.abc import Mapping
from typing import Any

from flask import Blueprint, Response, g, render_template, request, url_for
from pydantic import Field

from api.actions import restores
from api.actions.backups import visible_sets
from api.console.backups import table_names, unfinished_runs
from api.console.elements import frame
from api.shared import forms
from api.shared.access import scope
from api.shared.context import reading
from rowboat.backup import sets, shelf
from rowboat.backup.recovery import restore
from rowboat.backup.recovery.plan import MODES, Plan
from rowboat.door.dependents import ACTIONS
from rowboat.errors import AirflowUnreachable, RowboatError, UnknownSet, UnknownTable

blueprint = Blueprint("restores", __name__)

_LIMIT = 50  # restores on a page
_IN_THE_WAY = ACTIONS["r"]


class RestoreQuery(forms.Form, strict=False):
    """Which restores to show: those before the restore with this number."""

    before: int | None = Field(None, ge=1, lt=2**63)


@blueprint.get("/restores", endpoint="all")
@scope("operate")
def history() -> str:
    """Show the restores, newest first, and the runs that have not ended."""
    page = forms.parse_query(RestoreQuery)
    with reading() as cursor:
        found = restore.list_restores(cursor, _LIMIT + 1, page.before)
    done = found[:_LIMIT]
    return render_template(
        "restores.html",
        restores=[each for each in done if all(map(g.caller.sees, each["tables"]))],
        before=page.before,
        older=done[-1]["id"] if len(found) > _LIMIT else None,
        shelved=shelf.set_names(),
        runs=unfinished_runs(restores.DAG, restores.UNDO),
    )


@blueprint.get("/restores/new")
@scope("operate")
def new() -> str:
    """Show the form for a restore."""
    return _form(request.args)


@blueprint.post("/restores/new")
@scope("operate")
def plan() -> Response | tuple[str, int]:
    """Start a run that plans a restore."""
    given = request.form
    fields = {name: given[name] for name in ("table", "set", "mode") if given.get(name)}
    order = forms.fill_form(
        restores.RestoreForm, {"table": "", **fields, "cascade": "cascade" in given}
    )
    try:
        run = restores.start_restore(order)
    except (UnknownTable, UnknownSet) as error:
        return _form(given, error), 422
    return frame.redirect_to(url_for(".one_run", run=run))


@blueprint.get("/restores/<run>")
@scope("operate")
def one_run(run: str) -> str:
    """Show the state of a restore: its plan, whether it waits for approval, what it did.

    If Airflow does not answer, show the record of a restore that is done.
    """
    try:
        return _shown(*restores.find_run(run))
    except AirflowUnreachable as down:
        with reading() as cursor:
            number = restore.restore_of_run(cursor, run)
        if number is None:
            raise
        return _recorded(number, down)


@blueprint.post("/restores/<run>")
@scope("operate")
def approve(run: str) -> Response | tuple[str, int]:
    """Approve a plan, if the name of the table was typed correctly."""
    # The name must be typed in the request that approves: a page shown earlier proves nothing.
    dag, about = restores.find_run(run)
    now = restores.describe_run(dag, about)
    if now.waits:
        assert now.plan is not None  # it is the plan that waits
        name = Plan.from_json(now.plan).tables[0].table
        typed = request.form.get("table", "").strip()
        if typed not in (name, name.rpartition(".")[2]):
            return _shown(dag, about, typed), 422
    return _settled(dag, run, now.waits, approved=True)


@blueprint.post("/restores/<run>/reject")
@scope("operate")
def reject(run: str) -> Response:
    """Reject a plan."""
    dag, about = restores.find_run(run)
    return _settled(dag, run, restores.describe_run(dag, about).waits, approved=False)


@blueprint.get("/restores/<int:number>")
@scope("operate")
def done(number: int) -> str:
    """Show the report of a restore."""
    return _recorded(number)


@blueprint.get("/restores/<int:number>/undo")
@scope("operate")
def ask_undo(number: int) -> str:
    """Ask for confirmation before an undo is planned."""
    with reading() as cursor:
        found = restores.visible_restore(cursor, number)
    return render_template("restore_undo.html", restore=found, shelved=shelf.set_names())


@blueprint.post("/restores/<int:number>/undo")
@scope("operate")
def undo(number: int) -> Response:
    """Start a run that plans the undo of a restore."""
    run = restores.start_undo(number, restores.UndoForm(cascade="cascade" in request.form))
    return frame.redirect_to(url_for(".one_run", run=run))


def _form(given: Mapping[str, str], error: RowboatError | None = None) -> str:
    with reading() as cursor:
        known = [each for each in visible_sets(sets.read_sets(cursor)) if each.tables]
        tables = table_names(cursor)
    return render_template(
        "restore_new.html",
        given=given,
        tables=tables,
        sets=[each for each in reversed(known) if each.state == "whole"],
        modes=MODES,
        error=error,
        beside="table" if isinstance(error, UnknownTable) else "set",
        runs=unfinished_runs(restores.DAG),
    )


def _shown(dag: str, about: dict[str, Any], typed: str | None = None) -> str:
    now = restores.describe_run(dag, about)
    planned = Plan.from_json(now.plan) if now.plan else None
    form = about.get("conf") or {}
    with reading() as cursor:
        record = restores.visible_restore(cursor, now.restore) if now.restore else None
    return render_template(
        "restore_run.html",
        now=now,
        form=form,
        modes=MODES,
        is_undo=dag == restores.UNDO,
        phase=_phase(now),
        states={each.task: each.state for each in now.tasks},
        plan=planned,
        obstacle=planned and _obstacle(planned, form.get("cascade", False)),
        done=record and Plan.from_json(record["report"]),
        record=record,
        typed=typed,
    )


def _recorded(number: int, down: RowboatError | None = None) -> str:
    with reading() as cursor:
        found = restores.visible_restore(cursor, number)
    return render_template(
        "restore.html",
        restore=found,
        done=Plan.from_json(found["report"]),
        shelved=shelf.set_names(),
        down=down,
    )


def _settled(dag: str, run: str, waits: bool, approved: bool) -> Response:
    page = url_for(".one_run", run=run)
    if not waits:
        return frame.redirect_to(page, "The plan no longer waits for approval.")
    restores.settle_approval(dag, run, approved)
    return frame.redirect_to(
        page, "You approved the plan." if approved else "You rejected the plan."
    )


def _phase(now: restores.RestoreRun) -> str:
    """Return the phase of a restore: planning, waits, working, done, rejected or failed."""
    if now.restore:
        return "done"
    if now.waits:
        return "waits"
    if now.state in ("success", "failed"):
        return "rejected" if now.state == "success" else "failed"
    return "working" if now.plan else "planning"


def _obstacle(planned: Plan, cascade: bool) -> str | None:
    """Return why a plan is certain to fail, or None.

    "rows": foreign keys forbid a delete. "cascade": rows of other tables would be changed, which
    the plan does not allow.
    """
    touched = [each for each in planned.tables if each.touched]
    if any(_IN_THE_WAY in each.actions.values() for each in touched):
        return "rows"
    return "cascade" if touched and not cascade else None
