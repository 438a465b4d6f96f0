"""Quarantine: list refused rows with their reasons, judge them again."""

from dataclasses import dataclass
from urllib.parse import urlencode

from flask import Blueprint, Response, g, jsonify, request
from pydantic import Field

from api.shared import forms
from api.shared.access import scope
from api.shared.answers import answer_with
from api.shared.context import context, reading, the_table
from api.shared.problems import Problem
from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, Steps
from rowboat.door import rejected_rows
from rowboat.door.passage import Report
from rowboat.door.rejected_rows import RejectFilter
from rowboat.ingest import rejudge

blueprint = Blueprint("rejects", __name__)

JSON, CSV = "application/json", "text/csv"
MOST = 1000


class RejectQuery(forms.Form, strict=False):
    """Which refused rows to return: of a table, those with an ID greater than `after`."""

    table: str | None = None
    limit: int = Field(100, ge=1, le=MOST)
    after: int = Field(0, ge=0, lt=2**63)


class RetryForm(forms.Form):
    """The table whose rows to judge again (default: all)."""

    table: str | None = None


@dataclass(kw_only=True)
class Retried:
    """The outcome for the refused rows of each table."""

    tables: dict[str, Report]


@blueprint.get("/api/rejects")
@scope("write")  # refused rows may be private, so they are only for callers that write
def page() -> Response:
    """Return the refused rows in quarantine, oldest first, as JSON or CSV."""
    asked = forms.parse_query(RejectQuery)
    wanted = request.accept_mimetypes
    media = wanted.best_match([JSON, CSV]) if wanted else JSON
    if media is None:
        raise Problem(406, "refused rows are not available in this format", f"use {JSON} or {CSV}")
    with reading() as cursor:
        names = _names(cursor, asked.table)
        found = rejected_rows.page_of_rejects(cursor, RejectFilter(names), asked.after, asked.limit)
    more = asked.model_dump(exclude_none=True) | {"after": found[-1].id} if found else {}
    link = f"{request.path}?{urlencode(more)}" if len(found) == asked.limit else None
    answer = (
        Response(rejected_rows.rejects_as_csv(found), content_type="text/csv; charset=utf-8")
        if media == CSV
        else jsonify(rows=[each.to_json() for each in found], limit=asked.limit, next=link)
    )
    if link:
        answer.headers["Link"] = f'<{link}>; rel="next"'
    return answer


@blueprint.post("/api/rejects/retry")
@scope("write")
def again() -> Response:
    """Judge refused rows again, for example after a rule has changed or a parent was added."""
    choice = forms.parse_body(RetryForm)
    with reading() as cursor:
        tables, catalog = _tables(cursor, choice.table), context().catalog(cursor)
    with context().connection() as connection:
        steps = Steps(connection)
        reports = {
            each.full_name: rejudge.rejudge_rows(
                steps, catalog, each, g.caller.id, g.request, RejectFilter()
            )
            for each in tables
        }
    return answer_with(Retried(tables=reports))


def _tables(cursor: Cursor, name: str | None) -> list[Table]:
    """Return the named table, or without a name all visible tables, parents first."""
    if name is not None:
        return [the_table(cursor, name)]
    every = context().catalog(cursor).in_order()
    return [each for each in every if g.caller.sees(each.full_name)]


def _names(cursor: Cursor, name: str | None) -> list[str] | None:
    """Return the full names of the tables to list, or None for all.

    None includes rows of tables that have been dropped, which are not in the catalog.
    """
    if name is None and g.caller.tables is None:
        return None
    return [each.full_name for each in _tables(cursor, name)]
