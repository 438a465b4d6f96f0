"""Restores: a run plans, shows its plan, waits for an approval, then carries it out."""

from typing import Any

from flask import Blueprint, url_for

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

blueprint = Blueprint("restores", __name__)


@blueprint.post("/api/restores")
@scope("operate")
def plan() -> tuple[dict[str, Any], int]:
    """Start a run that plans a restore; nothing is changed until it is approved."""
    return _started(start_restore(forms.parse_body(RestoreForm)))


@blueprint.get("/api/restores/<run>")
@scope("operate")
def one_run(run: str) -> dict[str, Any]:
    """Tell the state of a run, its plan, and what it asks while it waits."""
    return describe_run(*find_run(run))


@blueprint.post("/api/restores/<run>/approve")
@scope("operate")
def approve(run: str) -> tuple[dict[str, Any], int]:
    """Have the plan carried out, or with {"approve": false} given up."""
    answer = forms.parse_body(ApprovalForm)
    dag, about = find_run(run)
    settle_approval(dag, run, answer.approve)
    return describe_run(dag, about), 202


@blueprint.post("/api/restores/<int:number>/undo")
@scope("operate")
def undo(number: int) -> tuple[dict[str, Any], int]:
    """Start a run that plans to bring back what a restore overwrote."""
    return _started(start_undo(number, forms.parse_body(UndoForm)))


def _started(run: str) -> tuple[dict[str, Any], int]:
    return {"run": run, "state": "queued", "url": url_for("restores.one_run", run=run)}, 202
