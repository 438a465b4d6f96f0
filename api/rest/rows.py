"""Rows: list, sample, read, trace, delete."""

import json
from dataclasses import asdict
from typing import Any
from urllib.parse import quote, urlencode

from flask import Blueprint, Response, g, request

from api.shared import forms, versions
from api.shared.access import scope
from api.shared.context import context, reading, the_table, writing
from api.shared.problems import Problem
from rowboat.database.connections import Cursor
from rowboat.errors import AskRefused
from rowboat.rows.read import listing_params, trace
from rowboat.rows.read.filters import parameter_fault
from rowboat.rows.read.listing_params import ListingParams
from rowboat.rows.read.reading import RowPage, find_row, read_page
from rowboat.rows.write import delete_row

_PLAIN = " ,:'()"  # characters that need no escape in X-Note
blueprint = Blueprint("rows", __name__)

_JSON, _CSV = "application/json", "text/csv"
_CHOICES: dict[str, dict[str, Any]] = {
    "format": {"json": _JSON, "csv": _CSV},
    "safe": {"true": True, "false": False},
    "cascade": {"true": True, "false": False},
}


@blueprint.get("/api/<table:table>")
@scope("read")
def page(table: str) -> Response:
    """Return rows that match the filters: an ordered page or a random sample."""
    form, asked = _taken("format", "safe")
    media = form.get("format") or _accepted(_JSON, _CSV)
    with reading() as cursor:
        found = the_table(cursor, table)
        ask = listing_params.read_listing_params(cursor, found, asked)
        got = read_page(cursor, found, ask, as_text=media == _CSV)
    headers = _headers(got, ask)
    if media == _CSV:
        return Response(got.csv(found, form.get("safe", False)), headers=headers, mimetype=_CSV)
    return Response(_body(got, ask), headers=headers, mimetype=_JSON)


@blueprint.get("/api/<table:table>/<key>")
@scope("read")
def row(table: str, key: str) -> Response:
    """Return one row; its ETag is its version."""
    _nothing_else(_taken()[1])
    _accepted(_JSON)
    with reading() as cursor:
        found = find_row(cursor, the_table(cursor, table), key.split(","))
    tag = versions.etag_header(found.version)
    if versions.is_known(found.version):
        return Response(status=304, headers=tag)
    return Response(found.json + "\n", headers=tag, mimetype=_JSON)


@blueprint.get("/api/<table:table>/<key>/trace")
@scope("read")
def traced(table: str, key: str) -> Response:
    """Return where a row came from: file and line, API key and request, or backup."""
    _nothing_else(_taken()[1])
    _accepted(_JSON)
    with reading() as cursor:
        found = the_table(cursor, table)
        as_it_is = find_row(cursor, found, key.split(","))
        document = asdict(trace.trace_row(cursor, found, key.split(",")))
    del document["fields"]  # Python's floats have lost digits: use the text that Postgres wrote
    body = json.dumps(document, ensure_ascii=False, default=forms.json_default)[1:]
    return Response(f'{{"fields": {as_it_is.json}, {body}\n', mimetype=_JSON)


@blueprint.delete("/api/<table:table>/<key>")
@scope("write")
def delete(table: str, key: str) -> Response:
    """Delete a row; rows that refer to it are only deleted with cascade=true."""
    choice, rest = _taken("cascade")
    _nothing_else(rest)
    cascade = choice.get("cascade", False)
    order = delete_row.DeleteOptions(g.caller.id, g.request, cascade, g.caller.check)
    versions.require_if_match()

    def remove(cursor: Cursor) -> dict[str, int]:
        found = the_table(cursor, table)
        held = find_row(cursor, found, key.split(","), hold=True)
        versions.check_version(held.version)
        return delete_row.delete_row(cursor, context().catalog(cursor), found, held, order)

    deleted = writing(remove)
    if cascade:
        return Response(json.dumps({"deleted": deleted}) + "\n", mimetype=_JSON)
    # An answer without a body has no type (RFC 9110, section 8.3).
    answer = Response(status=204)
    del answer.headers["Content-Type"]
    return answer


def _taken(*words: str) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return (name → value of these parameters, all other parameters as they are).

    Raises AskRefused for a value that the parameter does not have, or that is repeated.
    """
    found: dict[str, Any] = {}
    rest = []
    for name, text in request.args.items(multi=True):
        if name not in words:
            rest.append((name, text))
        elif name in found or text not in _CHOICES[name]:
            message = f"{name} must be {' or '.join(_CHOICES[name])}, and given once"
            raise AskRefused(errors=[parameter_fault(name, "type", message)])
        else:
            found[name] = _CHOICES[name][text]
    return found, rest


def _nothing_else(rest: list[tuple[str, str]]) -> None:
    if rest:
        message = "this address has no such parameter"
        raise AskRefused(errors=[parameter_fault(name, "shape", message) for name, _ in rest])


def _accepted(*media: str) -> str:
    """Return the media type that the header Accept prefers; raises Problem (406)."""
    if not request.accept_mimetypes:
        return media[0]
    best = request.accept_mimetypes.best_match(media)
    if best is None:
        raise Problem(406, f"this address returns {' or '.join(media)}", "change the header Accept")
    return best


def _body(page: RowPage, ask: ListingParams) -> str:
    """Return the JSON body of a page.

    The rows are the text that Postgres wrote: parsing them would lose digits of numbers.
    """
    about = {"limit": ask.limit, "next": _next(page)}
    about |= {} if page.count is None else {"count": page.count}
    about |= {} if page.note is None else {"note": page.note}
    return f'{{"rows": {page.json}, {json.dumps(about, ensure_ascii=False)[1:]}\n'


def _headers(page: RowPage, ask: ListingParams) -> dict[str, str]:
    """Return headers with what a CSV body cannot hold: limit, next page, count, note."""
    link = _next(page)
    return (
        {"X-Limit": str(ask.limit), "Vary": "Accept"}
        | ({"Link": f'<{link}>; rel="next"'} if link else {})
        | ({} if page.count is None else {"X-Count": str(page.count)})
        | ({} if page.note is None else {"X-Note": quote(page.note, safe=_PLAIN)})
    )


def _next(page: RowPage) -> str | None:
    """Return the address of the next page, or None for the last page and for a sample."""
    if page.after is None:
        return None
    given = [each for each in request.args.items(multi=True) if each[0] != "after"]
    return f"{quote(request.path)}?{urlencode([*given, ('after', page.after)])}"
