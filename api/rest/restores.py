"""Restores: plan one, approve or reject the plan, undo it."""

from flask import Blueprint, Response, url_for

from api.actions.restores import (
    ApprovalForm,
    RestoreForm,
    UndoForm,
    describe_run,
    find_run,
    settle_approval,
    start_restore,
    start_undo,
)
from api.shared import forms
from api.shared.access import scope
from api.shared.airflow import StartedRun
from api.shared.answers import answer_with

blueprint = Blueprint("restores", __name__)


@blueprint.post("/api/restores")
@scope("operate")
def plan() -> Response:
    """Start a run that plans a restore; nothing is changed until the plan is approved."""
    return _started(start_restore(forms.parse_body(RestoreForm)))


@blueprint.get("/api/restores/<run>")
@scope("operate")
def one_run(run: str) -> Response:
    """Return the state of a run, its plan, and its question while it waits."""
    return answer_with(describe_run(*find_run(run)))


@blueprint.post("/api/restores/<run>/approve")
@scope("operate")
def approve(run: str) -> Response:
    """Approve the plan, or reject it with {"approve": false}."""
    answer = forms.parse_body(ApprovalForm)
    dag, about = find_run(run)
    settle_approval(dag, run, answer.approve)
    return answer_with(describe_run(dag, about), 202)


@blueprint.post("/api/restores/<int:number>/undo")
@scope("operate")
def undo(number: int) -> Response:
    """Start a run that plans to bring back what a restore overwrote."""
    return _started(start_undo(number, forms.parse_body(UndoForm)))


def _started(run: str) -> Response:
    url = url_for("restores.one_run", run=run)
    return answer_with(StartedRun(run=run, state="queued", url=url), 202)
