"""Backups: list sets and why they are kept; take, verify and pin them."""

from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, g, render_template, request, url_for

from api.actions.backups import DAG, BackupForm, start_backup, visible_sets
from api.console.elements import frame
from api.shared.access import scope
from api.shared.airflow import airflow, outline_run, start_run
from api.shared.context import context, reading, writing
from rowboat.backup import retention, sets
from rowboat.backup.retention import Verdict
from rowboat.backup.sets import Set
from rowboat.database.connections import Cursor
from rowboat.errors import AirflowUnreachable, BackupRefused, Forbidden, UnknownSet
from rowboat.settings import settings

blueprint = Blueprint("backups", __name__)

VERIFY = "verify"
_UNDER_WAY = ("queued", "running")


@blueprint.get("/backups", endpoint="all")
@scope("operate")
def every_set() -> str:
    """Show the sets, newest first, and the form to take a backup."""
    return _shelf()


@blueprint.post("/backups")
@scope("operate")
def take() -> Response | tuple[str, int]:
    """Start a run that backs up the chosen tables."""
    chosen = request.form.getlist("table")
    if not chosen:
        return _shelf("choose at least one table"), 422
    with reading() as cursor:
        # All tables: the run lists them itself, so that tables created meanwhile are included.
        every = set(chosen) == set(table_names(cursor))
    run = start_backup(BackupForm(tables=None if every else chosen, pin="pin" in request.form))
    return frame.redirect_to(
        url_for("console.runs.one", dag=DAG, run=run), "The backup has been started."
    )


@blueprint.get("/backups/<name>")
@scope("operate")
def one_set(name: str) -> str:
    """Show a set and its files."""
    with reading() as cursor:
        verdicts = _verdicts(sets.read_sets(cursor))
        found = next(iter(visible_sets([sets.find_set(cursor, name)])), None)
        if found is None:
            raise UnknownSet(f"there is no set {name} with tables that your key allows")
        files, problem = _files(cursor, name)
        tables = table_names(cursor)
    return render_template(
        "backup.html",
        set=found,
        verdict=verdicts[name],
        files=[each for each in files if g.caller.sees(each["table"])],
        problem=problem,
        tables=tables,
    )


@blueprint.post("/backups/<name>/verify")
@scope("operate")
def verify(name: str) -> Response:
    """Start a run that verifies a set."""
    with reading() as cursor:
        _check_held(sets.find_set(cursor, name))
    run = start_run(VERIFY, set=name)
    return frame.redirect_to(
        url_for("console.runs.one", dag=VERIFY, run=run),
        f"The verification of {name} has been started.",
    )


@blueprint.post("/backups/<name>/pin")
@scope("operate")
def pin(name: str) -> Response:
    """Pin or unpin a set, and say what this means for its retention."""
    pinned = request.form.get("pinned") == "yes"

    def work(cursor: Cursor) -> Verdict:
        _check_held(sets.find_set(cursor, name))
        sets.pin_set(cursor, name, pinned)
        return _verdicts(sets.read_sets(cursor))[name]

    verdict = writing(work)
    said = f"{name} is pinned" if pinned else f"{name} is no longer pinned"
    return frame.redirect_to(url_for(".one_set", name=name), f"{said}. {_sentence(verdict)}")


def table_names(cursor: Cursor) -> list[str]:
    """Return the full names of the tables that the caller may see, parents first."""
    names = [each.full_name for each in context().catalog(cursor).in_order()]
    return [name for name in names if g.caller.sees(name)]


def unfinished_runs(*dags: str) -> list[dict[str, Any]] | None:
    """Return the unfinished runs of DAGs, or None if Airflow does not answer.

    A key limited to some tables sees the runs that concern only these. Each run has `run`,
    `state`, `started`, `ended`, `dag` and `form`, the values of its form.
    """
    try:
        found = [
            vars(outline_run(run)) | {"dag": dag, "form": run.get("conf") or {}}
            for dag in dags
            for run in airflow().runs(dag, state=_UNDER_WAY, order_by="-run_after", limit=100)
        ]
    except AirflowUnreachable:
        return None
    return [each for each in found if each["state"] in _UNDER_WAY and _is_own(each["form"])]


def _shelf(error: str | None = None) -> str:
    with reading() as cursor:
        found = sets.read_sets(cursor)
        tables = table_names(cursor)
    return render_template(
        "backups.html",
        sets=visible_sets(found)[::-1],
        verdicts=_verdicts(found),
        tables=tables,
        error=error,
        runs=unfinished_runs(DAG, VERIFY),
    )


def _verdicts(found: list[Set]) -> dict[str, Verdict]:
    judged = retention.judge_sets(found, datetime.now(UTC), settings())
    return {each.set: each for each in judged}


def _sentence(verdict: Verdict) -> str:
    why = ", ".join(verdict.reasons)
    return f"It is kept: {why}." if verdict.keep else f"The next backup deletes it: {why}."


def _files(cursor: Cursor, name: str) -> tuple[list[dict[str, Any]], str | None]:
    """Return the files of a set, or the reason why its manifest cannot be read."""
    try:
        return sets.files_of_set(cursor, name), None
    except BackupRefused as error:
        return [], error.fact


def _check_held(found: Set) -> None:
    """Raise Forbidden unless the caller's key allows all tables of a set."""
    limits = g.caller.tables
    if limits is not None and not (found.tables and set(found.tables) <= limits):
        raise Forbidden(f"the key {g.caller.id} does not allow all tables of {found.name}")


def _is_own(form: dict[str, Any]) -> bool:
    tables = form.get("tables") or [form.get("table", "")]
    return g.caller.tables is None or all(map(g.caller.sees, tables))
