"""Single rows: replace one or change some of its columns, by the same rules as any other row."""

from urllib.parse import quote

from flask import Blueprint, Response, g, request

from api.actions.batches import wake_waiting
from api.shared import versions
from api.shared.access import scope
from api.shared.context import context, reading, the_table, writing
from api.shared.problems import Problem
from rowboat.catalog.tables import Table
from rowboat.rows.read.reading import StoredRow, cells_of_key, check_key
from rowboat.rows.write import bodies
from rowboat.rows.write.bodies import IncomingRow
from rowboat.rows.write.update_row import RowUpdate

blueprint = Blueprint("row_writes", __name__)


@blueprint.put("/api/<table:table>/<key>")
@scope("write")
def replace(table: str, key: str) -> Response:
    """Replace a row or create one with this key; omitted columns get their defaults."""
    return _write(table, key.split(","), keeps_rest=False)


@blueprint.patch("/api/<table:table>/<key>")
@scope("write")
def change(table: str, key: str) -> Response:
    """Change some columns of a row."""
    return _write(table, key.split(","), keeps_rest=True)


def _write(name: str, key: list[str], keeps_rest: bool) -> Response:
    """Write the row of the request and return the answer; raises Problem."""
    if request.mimetype != "application/json":
        raise Problem(415, "a row is accepted as application/json", "set the header Content-Type")
    with reading() as cursor:
        table, catalog = the_table(cursor, name), context().catalog(cursor)
    check_key(table, key)
    row = key, _row(table, key)
    revision = RowUpdate(catalog, table, row, (g.request, g.caller.id), _check, keeps_rest)
    revision.go(writing)
    if revision.written is None:
        hint = "see errors for the reasons; the row is in quarantine"
        raise Problem(422, "the row is refused", hint, revision.errors)
    wake_waiting(revision.batch)
    place = {} if revision.held else {"Location": quote(request.path, safe="/,")}
    headers = versions.etag_header(revision.written.version) | place
    status = 200 if revision.held else 201
    return Response(revision.written.json + "\n", status, headers, mimetype="application/json")


def _row(table: Table, key: list[str]) -> IncomingRow:
    """Read the row of the body; raises Problem (422) if its key is not that of the address."""
    found = bodies.rows_of_json(request.get_data(), table)
    if len(found) != 1 or found[0].cells is None:
        raise Problem(422, "the body is not one row", "send an object of columns and values")
    for name, text in cells_of_key(table, key).items():
        cell = found[0].cells.get(name, text)
        # Compared as text: the address has nothing else, and 1 and 01 are different addresses.
        if (cell if isinstance(cell, str) else repr(cell)) != text:
            hint = f"leave {name} out, or send another row under its own address"
            raise Problem(422, f"{name} is {text} in the address but differs in the body", hint)
    return found[0]


def _check(held: StoredRow | None) -> None:
    """Raise Problem (412, 428) unless the request is about the row's current version."""
    if held:
        versions.require_if_match()
        versions.check_version(held.version)
    elif "If-Match" in request.headers:
        raise Problem(412, "there is no such row", "to create it, leave out If-Match")
