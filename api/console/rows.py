"""The page of a row, and the forms that make, change and delete one."""

import hashlib
import json
import secrets
from typing import Any
from urllib.parse import urlencode

from flask import Blueprint, g, render_template, request, url_for
from flask.typing import ResponseReturnValue

from api.actions.batches import deliver_rows, wake_waiting
from api.console import tables
from api.console.elements import frame, row_forms
from api.console.elements.row_forms import RowField
from api.shared.access import scope
from api.shared.context import context, reading, the_table, writing
from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor
from rowboat.errors import HasDependents
from rowboat.rows.read import relatives, trace
from rowboat.rows.read.reading import RowTexts, StoredRow, find_row, find_texts
from rowboat.rows.read.relatives import Relative
from rowboat.rows.write import bodies, delete_row
from rowboat.rows.write.batch import BatchOptions, Delivery
from rowboat.rows.write.idempotency import IdempotentRequest, KeptAnswer
from rowboat.rows.write.update_row import RowUpdate

blueprint = Blueprint("rows", __name__)
_READ_AGAIN = 2**19  # bytes of a file in which a row's line is looked for without being asked


class _Changed(Exception):
    """The row has another version than the form."""


@blueprint.get("/tables/<table>/<key>")
@scope("read")
def row(table: str, key: str) -> str:
    """Show a row: its values, its parents and children, and where it came from."""
    most = None if "line" in request.args else _READ_AGAIN
    with reading() as cursor:
        found, texts = _found(cursor, table, key)
        catalog = tables.seen(context().catalog(cursor))
        children = relatives.children_of_row(cursor, catalog, found, texts.cells)
        story = trace.trace_row(cursor, found, key.split(","), most)
    parents = relatives.parents_of_row(catalog, found, texts.cells)
    return _page("row.html", found, key, texts, parents=parents, children=children, trace=story)


@blueprint.get("/tables/<table>/new")
@scope("write")
def new(table: str) -> str:
    """Show the form of a new row."""
    with reading() as cursor:
        found, fields = _fields(cursor, table)
    return _form(found, fields)


@blueprint.post("/tables/<table>/new")
@scope("write")
def insert(table: str) -> ResponseReturnValue:
    """Pass a new row through the door, once for each time that its form was shown."""
    with reading() as cursor:
        found, fields = _fields(cursor, table)
    row = bodies.row_of_texts(row_forms.read(request.form, fields), found)
    order = BatchOptions(g.request, g.caller.id)
    done = deliver_rows({found.full_name: [row]}, order, _told, _once())
    told = json.loads(done.body)
    if told["errors"]:
        return _form(found, fields, row_forms.blame(fields, told["errors"])), done.status
    (key,) = told["ids"] or [None]
    parts = [str(each) for each in (key if isinstance(key, list) else [key])]
    to = tables.row_address(found, parts) if key is not None else None
    name = f" {', '.join(parts)}" if key is not None else ""
    return frame.go(to or tables.address(found.full_name), f"The row{name} is in the table.")


@blueprint.get("/tables/<table>/<key>/edit")
@scope("write")
def edit(table: str, key: str) -> str:
    """Show the form of a row as it is."""
    with reading() as cursor:
        _, texts = _found(cursor, table, key)
        found, fields = _fields(cursor, table, texts)
    return _form(found, fields, key=key, texts=texts)


@blueprint.post("/tables/<table>/<key>/edit")
@scope("write")
def change(table: str, key: str) -> ResponseReturnValue:
    """Change the values that were typed, unless somebody has changed the row meanwhile."""
    with reading() as cursor:
        _, texts = _found(cursor, table, key)
        found, fields = _fields(cursor, table, texts)
        catalog = context().catalog(cursor)
    version = request.form.get("version", "")
    given = row_forms.read({**request.form, "version": version}, fields)
    if not given:
        return frame.go(_address(found, key), "Nothing was changed: the form is as it was.")
    row = key.split(","), bodies.row_of_texts(given, found)
    revision = RowUpdate(catalog, found, row, (g.request, g.caller.id), _checked(version))
    try:
        revision.go(writing)
    except _Changed:
        return _overtaken(table, key, fields)
    if revision.written is None:
        texts = RowTexts(version, texts.cells)
        others = row_forms.blame(fields, revision.errors)
        return _form(found, fields, others, key=key, texts=texts), 422
    wake_waiting(revision.batch)
    return frame.go(_address(found, key), f"The row {key} is changed.")


@blueprint.get("/tables/<table>/<key>/delete")
@scope("write")
def ask(table: str, key: str) -> str:
    """Show what deleting a row would do."""
    return _asked(table, key)


@blueprint.post("/tables/<table>/<key>/delete")
@scope("write")
def delete(table: str, key: str) -> ResponseReturnValue:
    """Delete a row as it was shown; others only with their box ticked."""
    version, cascade = request.form.get("version", ""), "cascade" in request.form
    order = delete_row.DeleteOptions(g.caller.id, g.request, cascade, g.caller.check)

    def remove(cursor: Cursor) -> dict[str, int]:
        found = the_table(cursor, table)
        held = find_row(cursor, found, key.split(","), hold=True)
        _checked(version)(held)
        return delete_row.delete_row(cursor, context().catalog(cursor), found, held, order)

    try:
        deleted = writing(remove)
    except _Changed:
        return _asked(table, key, "somebody has changed the row meanwhile: look at it again"), 409
    except HasDependents as error:
        return _asked(table, key, error.fact), 409
    told = ", ".join(f"{count:,} of {name}" for name, count in deleted.items())
    return frame.go(tables.address(next(iter(deleted))), f"Deleted: {told}.")


def _found(cursor: Cursor, table: str, key: str) -> tuple[Table, RowTexts]:
    found = the_table(cursor, table)
    return found, find_texts(cursor, found, key.split(","))


def _fields(
    cursor: Cursor, table: str, texts: RowTexts | None = None
) -> tuple[Table, list[RowField]]:
    found, catalog = the_table(cursor, table), tables.seen(context().catalog(cursor))
    return found, row_forms.fields(cursor, catalog, found, texts.cells if texts else None)


def _address(table: Table, key: str) -> str:
    return url_for("console.tables.rows.row", table=table.full_name, key=key)


def _once() -> IdempotentRequest:
    """Return what tells a form that is sent twice from two rows."""
    said = hashlib.sha256(json.dumps(request.form.to_dict()).encode()).hexdigest()
    return IdempotentRequest(g.caller.id, f"form {said}", said)


def _told(found: list[Delivery]) -> KeptAnswer:
    (delivery,) = found
    told = {"ids": delivery.ids, "errors": delivery.errors}
    return KeptAnswer(422 if delivery.errors else 201, json.dumps(told, default=str))


def _checked(version: str) -> Any:
    def check(held: StoredRow | None) -> None:
        if held is None or held.version != version:
            raise _Changed

    return check


def _overtaken(table: str, key: str, fields: list[RowField]) -> ResponseReturnValue:
    """Show a form again with what others have made of its row."""
    with reading() as cursor:
        found, texts = _found(cursor, table, key)
    changes = row_forms.overtake(fields, texts.cells)
    return _form(found, fields, key=key, texts=texts, changes=changes), 409


def _form(
    table: Table, fields: list[RowField], others: list[str] | None = None, **more: Any
) -> str:
    """Show a form; `others` are errors that speak of no field."""
    refused = others is not None
    facts = {"key": None, "texts": None, "changes": None} | more
    return render_template(
        "row_form.html", table=table, fields=fields, others=others or [], refused=refused,
        once=secrets.token_hex(16), **facts,
    )  # fmt: skip


def _asked(table: str, key: str, error: str | None = None) -> str:
    with reading() as cursor:
        found, texts = _found(cursor, table, key)
        held = find_row(cursor, found, key.split(","))
        touched = delete_row.foresee_delete(cursor, found, held)
    return _page("row_delete.html", found, key, texts, touched=touched, error=error)


def _page(template: str, table: Table, key: str, texts: RowTexts, **more: Any) -> str:
    return render_template(
        template, table=table, key=key, texts=texts, address=_address(table, key),
        link=_link, rows_of=_rows_of, **more,
    )  # fmt: skip


def _link(relative: Relative) -> str:
    """Return the address of a relative: of its page where it is one row that has a key."""
    key = relative.row_key
    return (key and tables.row_address(relative.table, key)) or _rows_of(relative)


def _rows_of(relative: Relative) -> str:
    asked = {f"{name}.eq": text for name, text in relative.values.items()}
    return f"{tables.address(relative.table.full_name)}?{urlencode(asked)}"
