"""The audit: each write over HTTP, who made it, and the rows before and after."""

from collections.abc import Iterator
from datetime import date
from typing import Literal, get_args

from flask import Blueprint, Response, g, render_template, request, stream_with_context
from pydantic import Field, field_validator

from api.shared import forms
from api.shared.access import scope
from api.shared.context import context, reading
from api.shared.problems import Problem
from rowboat.database.connections import Cursor
from rowboat.rows.read import audit_log
from rowboat.rows.read.audit_log import AuditSearch
from rowboat.rows.write.audit import Action

blueprint = Blueprint("audit", __name__)
blueprint.add_app_template_filter(audit_log.columns_of, "columns")

_LIMIT = 25  # entries on a page
_FEW = 3  # rows of an entry shown in a list of entries
_ROWS = 1000  # rows of an entry shown on its own page
_AT_ONCE = 100  # entries fetched at once for a CSV file
_TEXT = r"^[^\x00]*$"
_OF_KEYS = "rowboat.keys"  # the table under which changes of keys are recorded


class AuditQuery(forms.Form, strict=False):
    """Which entries to show; `after` is the ID of the last entry of the previous page."""

    table: str | None = Field(None, pattern=_TEXT)
    actor: str | None = Field(None, pattern=_TEXT)
    action: Action | None = None
    since: date | None = Field(None, alias="from")
    until: date | None = Field(None, alias="to")
    after: int | None = Field(None, ge=1, lt=2**63)
    format: Literal["csv"] | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _empty(cls, value: str) -> str | None:
        """Treat an empty field as absent: browsers send empty fields too."""
        return value or None


class EntryQuery(forms.Form, strict=False):
    """The first row of an entry to show."""

    row: int = Field(0, ge=0, lt=2**31)


@blueprint.get("/audit")
@scope("operate")
def every() -> Response | str:
    """Show entries, newest first, or return all of them as CSV."""
    asked = forms.parse_query(AuditQuery)
    search = AuditSearch(_tables(), **asked.model_dump(exclude={"format"}))
    if asked.format:
        return _file(search)
    with reading() as cursor:
        found = audit_log.list_entries(cursor, search, _LIMIT + 1, _FEW)
        keys, tables = _keys(cursor), _choices(cursor)
    filters = asked.model_dump(
        mode="json", by_alias=True, exclude_none=True, exclude={"format", "after"}
    )
    shown = [
        (each, audit_log.outcome_of(each.pairs(key), key) if each.rows <= _FEW else None)
        for each in found[:_LIMIT]
        for key in [keys.get(each.table_name, ())]
    ]
    older = filters | {"after": found[_LIMIT - 1].id} if len(found) > _LIMIT else None
    return render_template(
        "audit.html", shown=shown, older=older, filters=filters, is_first=asked.after is None,
        tables=tables, actions=get_args(Action), few=_FEW,
    )  # fmt: skip


@blueprint.get("/audit/<int:number>")
@scope("operate")
def one(number: int) -> str:
    """Show the rows of an entry, a thousand per page."""
    at = forms.parse_query(EntryQuery).row
    with reading() as cursor:
        found = (
            audit_log.list_entries(cursor, AuditSearch(_tables(), number), 1)
            if number < 2**63
            else []
        )
        if not found:
            raise Problem(404, f"the audit has no entry {number}", "the page Audit lists all")
        key = _keys(cursor).get(found[0].table_name, ())
    pairs = found[0].pairs(key)
    outcome = audit_log.outcome_of(pairs[at : at + _ROWS], key)
    return render_template(
        "audit_entry.html", entry=found[0], outcome=outcome, total=len(pairs), at=at, step=_ROWS
    )


def _file(search: AuditSearch) -> Response:
    """Return all matching entries as CSV; they are streamed, so memory does not grow with them."""

    def written() -> Iterator[str]:
        with reading() as cursor:
            for number, some in enumerate(audit_log.all_entries(cursor, search, _AT_ONCE)):
                yield audit_log.entries_as_csv(some, heading=number == 0)

    headers = {"Content-Disposition": "attachment; filename=audit.csv"}
    body = stream_with_context(written())
    return Response(body, headers=headers, content_type="text/csv; charset=utf-8")


def _tables() -> list[str] | None:
    """Return the tables whose entries the caller may see, or None for all."""
    return None if g.caller.tables is None else sorted(g.caller.tables)


def _choices(cursor: Cursor) -> list[str]:
    """Return the tables to choose from, including the chosen one, which may have been dropped."""
    every = [*(each.full_name for each in context().catalog(cursor)), _OF_KEYS]
    seen = [each for each in every if g.caller.sees(each)]
    return list(dict.fromkeys([*seen, *filter(None, [request.args.get("table")])]))


def _keys(cursor: Cursor) -> dict[str, tuple[str, ...]]:
    """Return full name → key columns of each table that has a key."""
    catalog = context().catalog(cursor)
    return {each.full_name: each.key.columns for each in catalog if each.key} | {_OF_KEYS: ("id",)}
