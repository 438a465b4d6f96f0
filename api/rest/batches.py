"""New rows: 1 to 1000 in a request, for one table or several."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, TypeVar

from flask import Blueprint, Response, g, request

from api.actions.batches import deliver_rows
from api.shared.access import scope
from api.shared.context import reading, the_table
from api.shared.problems import Problem
from rowboat.catalog.tables import Table
from rowboat.door.context import OnKnown
from rowboat.door.passage import Report
from rowboat.rows.write import bodies
from rowboat.rows.write.batch import BatchOptions, Delivery
from rowboat.rows.write.bodies import IncomingRow
from rowboat.rows.write.idempotency import IdempotentRequest, KeptAnswer

blueprint = Blueprint("batches", __name__)

Choice = TypeVar("Choice")
_ON_CONFLICT: dict[str, OnKnown] = {"error": "refuse", "update": "update", "ignore": "leave"}
_READERS: dict[str, Callable[[bytes, Table], list[IncomingRow]]] = {
    "application/json": bodies.rows_of_json,
    "application/x-ndjson": bodies.rows_of_lines,
    "text/csv": bodies.rows_of_csv,
}


@blueprint.post("/api/<table:table>")
@scope("write")
def insert(table: str) -> Response:
    """Insert rows into a table."""
    read = _READERS.get(request.mimetype)
    if read is None:
        raise Problem(
            415, f"rows are accepted as {', '.join(_READERS)}", "set the header Content-Type"
        )
    with reading() as cursor:
        found = the_table(cursor, table)
    return _take({found.full_name: read(request.get_data(), found)})


@blueprint.post("/api/batch")
@scope("write")
def batch() -> Response:
    """Insert rows into several tables, parents first."""
    if request.mimetype != "application/json":
        raise Problem(415, "a batch is accepted as application/json", "set the header Content-Type")
    with reading() as cursor:
        rows = bodies.rows_of_tables(request.get_data(), lambda name: the_table(cursor, name))
    return _take(rows)


def _take(rows: dict[str, list[IncomingRow]]) -> Response:
    order = _order()
    done = deliver_rows(rows, order, lambda found: _answer(found, order), _once())
    headers = {"Idempotency-Replayed": "true"} if done.again else {}
    if done.status >= HTTPStatus.BAD_REQUEST:
        return refusal_answer(done, headers)
    return Response(done.body, done.status, headers, content_type="application/json")


def refusal_answer(done: KeptAnswer, headers: Mapping[str, str] | None = None) -> Response:
    """Return the problem+json answer to a request none of whose rows was kept."""
    return Response(done.body, done.status, headers, content_type="application/problem+json")


def _order() -> BatchOptions:
    """Read the query parameters; raises Problem (422)."""
    given = request.args
    for name in given:
        if name not in ("mode", "on_conflict", "dry_run") or len(given.getlist(name)) > 1:
            raise Problem(
                422, f"{name} is not a parameter of this address, or is given twice",
                "the parameters are mode, on_conflict and dry_run; give each at most once",
            )  # fmt: skip
    on_known = _choice("on_conflict", "error", _ON_CONFLICT)
    return BatchOptions(
        g.request,
        g.caller.id,
        on_known,
        _choice("mode", "partial", {"partial": False, "atomic": True}),
        _choice("dry_run", "false", {"false": False, "true": True}),
        "upsert" if on_known == "update" else "insert",
    )


def _choice(name: str, default: str, choices: Mapping[str, Choice]) -> Choice:
    value = request.args.get(name, default)
    if value not in choices:
        raise Problem(422, f"{name} is {value!r}", f"use one of {', '.join(choices)}")
    return choices[value]


def _once() -> IdempotentRequest | None:
    """Read the Idempotency-Key, with a hash that distinguishes a repeated request from another.

    Returns None without the header; raises Problem (400) if it is malformed.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return None
    if not re.fullmatch(r"[\x21-\x7e]{1,255}", key):
        raise Problem(
            400, "the Idempotency-Key is not 1 to 255 printable ASCII characters",
            "generate one for each request, such as a UUID",
        )  # fmt: skip
    # The same key with another request is an error of the client, so the request is hashed too.
    said = f"{request.method} {request.full_path} {request.mimetype}\n".encode()
    return IdempotentRequest(
        g.caller.id, key, hashlib.sha256(said + request.get_data()).hexdigest()
    )


def _answer(found: list[Delivery], order: BatchOptions) -> KeptAnswer:
    """Return the answer to a batch.

    The status is 201 if all rows were loaded, 207 if some were, 422 if none was, and 200 for a dry
    run without errors.
    """
    total = sum((each.report for each in found), Report())
    errors = [
        ({"table": each.table} if len(found) > 1 else {}) | error
        for each in found
        for error in each.errors
    ]
    kept = total.read - total.rejected
    # A batch keeps its counts when it is refused: they are members of the problem as well.
    body: dict[str, Any] = {
        "request": order.request,
        "dry_run": order.on_trial,
        **vars(total),
        "tables": {
            each.table: vars(each.report) | ({} if order.on_trial else {"ids": each.ids})
            for each in found
        },
    }
    if errors and not kept:
        few = "1 row is" if total.rejected == 1 else f"{total.rejected:,} rows are"
        detail = f"{few} refused, so none was kept"
        hint = "see errors for the reasons" + (
            "" if order.on_trial else "; the rows are in quarantine: /api/rejects"
        )
        problem = Problem(422, detail, hint, errors, **body)
        return KeptAnswer(422, problem.response().get_data(as_text=True))
    status = HTTPStatus.MULTI_STATUS if errors else HTTPStatus.CREATED
    if order.on_trial and not errors:
        status = HTTPStatus.OK
    text = json.dumps(body | {"errors": errors}, ensure_ascii=False, default=str)
    return KeptAnswer(status, text + "\n")
