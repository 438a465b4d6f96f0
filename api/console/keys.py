"""API keys: list, create, revoke; for callers that may see all tables."""

import json
from typing import Any

from flask import Blueprint, Response, g, make_response, render_template, request, url_for
from pydantic import Field, field_validator

from api.console.elements import frame
from api.shared import forms
from api.shared.access import scope
from api.shared.context import context, reading, writing
from api.shared.problems import Problem
from rowboat.access import keys
from rowboat.access.keys import PER_MINUTE, SCOPES, Key
from rowboat.database.connections import Cursor
from rowboat.errors import Forbidden, UnknownKey
from rowboat.rows.write import audit

blueprint = Blueprint("keys", __name__)

_KEYS = "rowboat.keys"  # the table under which the audit records changes of keys


class KeyForm(forms.Form, strict=False):
    """A key to create; no tables means all tables, no days means that it never expires."""

    name: str = Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]*$")
    scope: str = Field(pattern=f"^({'|'.join(SCOPES)})$")
    tables: list[str]
    days: int | None = Field(ge=1, le=36_500)
    per_minute: int = Field(ge=1, lt=2**31)

    @field_validator("days", mode="before")
    @classmethod
    def _without_end(cls, value: str) -> str | None:
        return value or None


@blueprint.get("/keys")
@scope("operate")
def every() -> str:
    """Show all keys, newest first."""
    _demand_all_tables()
    with reading() as cursor:
        return render_template("keys.html", keys=keys.list_keys(cursor))


@blueprint.get("/keys/new")
@scope("operate")
def ask() -> str:
    """Show the form for a new key."""
    _demand_all_tables()
    given = {"name": "", "scope": "read", "tables": [], "days": "365", "per_minute": PER_MINUTE}
    return _asked(given)


@blueprint.post("/keys/new")
@scope("operate")
def make() -> Response:
    """Create a key and show its token, which is not stored and so cannot be shown again."""
    _demand_all_tables()
    form = request.form
    given: dict[str, Any] = {name: form.get(name, "").strip() for name in KeyForm.model_fields}
    given["tables"] = form.getlist("tables")
    try:
        wanted = forms.fill_form(KeyForm, given)
    except Problem as problem:
        errors = {each["column"]: each["message"] for each in problem.errors}
        return make_response(_asked(given, errors), problem.status)

    def work(cursor: Cursor) -> tuple[Key, str]:
        key, token = keys.create_key(
            cursor, **wanted.model_dump() | {"tables": wanted.tables or None}
        )
        facts = vars(key) | {"tables": sorted(key.tables or ()) or None, "days": wanted.days}
        audit.record_change(
            cursor, g.caller.id, g.request, "insert", _KEYS, after=json.dumps([facts])
        )
        return key, token

    key, token = writing(work)
    return make_response(render_template("keys_made.html", key=key, token=token))


@blueprint.get("/keys/<key_id>/revoke")
@scope("operate")
def ask_revoke(key_id: str) -> str:
    """Ask for confirmation before a key is revoked."""
    _demand_all_tables()
    with reading() as cursor:
        return render_template("keys_revoke.html", key=_the_key(cursor, key_id))


@blueprint.post("/keys/<key_id>/revoke")
@scope("operate")
def revoke(key_id: str) -> Response:
    """Revoke a key and end its sessions."""
    _demand_all_tables()

    def work(cursor: Cursor) -> str:
        key = _the_key(cursor, key_id)
        if key["state"] != "revoked":
            keys.revoke_key(cursor, key_id)
            states = [
                json.dumps([{"id": key_id, "state": each}]) for each in (key["state"], _ENDED)
            ]
            audit.record_change(cursor, g.caller.id, g.request, "update", _KEYS, *states)
        return str(key["name"])

    said = f"The key {writing(work)} ({key_id}) is revoked."
    if key_id == g.caller.id:
        return frame.redirect_to(url_for("console.session.ask"), f"{said} This has signed you out.")
    return frame.redirect_to(url_for(".every"), said)


_ENDED = "revoked"


def _asked(given: dict[str, Any], errors: dict[str, str] | None = None) -> str:
    with reading() as cursor:
        tables = [each.full_name for each in context().catalog(cursor)]
    return render_template(
        "keys_new.html", given=given, errors=errors or {}, tables=tables, scopes=SCOPES
    )


def _the_key(cursor: Cursor, key_id: str) -> dict[str, Any]:
    """Return the data of a key; raises UnknownKey."""
    found = [each for each in keys.list_keys(cursor) if each["id"] == key_id]
    if not found:
        raise UnknownKey(f"there is no key {key_id}", "the page Keys lists all")
    return found[0]


def _demand_all_tables() -> None:
    """Raise Forbidden for callers limited to some tables.

    Otherwise they could create a key without this limit.
    """
    if g.caller.tables is not None:
        raise Forbidden(
            f"the key {g.caller.id} is limited to some tables", "keys require a key for all tables"
        )
