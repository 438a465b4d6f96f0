"""The page of a row, and the forms that create, change and delete one."""

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
_READ_AGAIN = 2**19  # bytes of a file searched for the row's line unless the user asks for more


class _Changed(Exception):
    """The row has another version than the one in the form."""


@blueprint.get("/tables/<table>/<key>")
@scope("read")
def row(table: str, key: str) -> str:
    """Show a row: its values, parents and children, and where it came from."""
    most = None if "line" in request.args else _READ_AGAIN
    with reading() as cursor:
        found, texts = _found(cursor, table, key)
        catalog = tables.visible_catalog(context().catalog(cursor))
        children = relatives.children_of_row(cursor, catalog, found, texts.cells)
        story = trace.trace_row(cursor, found, key.split(","), most)
    parents = relatives.parents_of_row(catalog, found, texts.cells)
    return _page("row.html", found, key, texts, parents=parents, children=children, trace=story)


@blueprint.get("/tables/<table>/new")
@scope("write")
def new(table: str) -> str:
    """Show the form for a new row."""
    with reading() as cursor:
        found, fields = _fields(cursor, table)
    return _form(found, fields)


@blueprint.post("/tables/<table>/new")
@scope("write")
def insert(table: str) -> ResponseReturnValue:
    """Insert a new row; a form that is sent twice inserts one row only."""
    with reading() as cursor:
        found, fields = _fields(cursor, table)
    row = bodies.row_of_texts(row_forms.read_form(request.form, fields), found)
    order = BatchOptions(g.request, g.caller.id)
    done = deliver_rows({found.full_name: [row]}, order, _kept_answer, _once())
    told = json.loads(done.body)
    if told["errors"]:
        return _form(found, fields, row_forms.place_errors(fields, told["errors"])), done.status
    (key,) = told["ids"] or [None]
    parts = [str(each) for each in (key if isinstance(key, list) else [key])]
    to = tables.row_address(found, parts) if key is not None else None
    name = f" {', '.join(parts)}" if key is not None else ""
    return frame.redirect_to(
        to or tables.table_address(found.full_name), f"The row{name} has been added."
    )


@blueprint.get("/tables/<table>/<key>/edit")
@scope("write")
def edit(table: str, key: str) -> str:
    """Show the form to change a row."""
    with reading() as cursor:
        _, texts = _found(cursor, table, key)
        found, fields = _fields(cursor, table, texts)
    return _form(found, fields, key=key, texts=texts)


@blueprint.post("/tables/<table>/<key>/edit")
@scope("write")
def change(table: str, key: str) -> ResponseReturnValue:
    """Write the values that were changed in the form, unless the row has changed meanwhile."""
    with reading() as cursor:
        _, texts = _found(cursor, table, key)
        found, fields = _fields(cursor, table, texts)
        catalog = context().catalog(cursor)
    # Fields are compared with the values that the form showed, not with those of now.
    version = request.form.get("version", "")
    given = row_forms.read_form({**request.form, "version": version}, fields)
    if not given:
        return frame.redirect_to(_address(found, key), "Nothing was changed in the form.")
    row = key.split(","), bodies.row_of_texts(given, found)
    revision = RowUpdate(catalog, found, row, (g.request, g.caller.id), _checked(version))
    try:
        revision.go(writing)
    except _Changed:
        return _overtaken(table, key, fields)
    if revision.written is None:
        texts = RowTexts(version, texts.cells)
        others = row_forms.place_errors(fields, revision.errors)
        return _form(found, fields, others, key=key, texts=texts), 422
    wake_waiting(revision.batch)
    return frame.redirect_to(_address(found, key), f"The row {key} has been changed.")


@blueprint.get("/tables/<table>/<key>/delete")
@scope("write")
def ask(table: str, key: str) -> str:
    """Ask for confirmation, showing what deleting a row would do to others."""
    return _asked(table, key)


@blueprint.post("/tables/<table>/<key>/delete")
@scope("write")
def delete(table: str, key: str) -> ResponseReturnValue:
    """Delete a row, if it is still as it was shown.

    Rows that refer to it are only changed or deleted if the box for that is ticked.
    """
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
        return _asked(table, key, "the row has been changed meanwhile: look at it again"), 409
    except HasDependents as error:
        return _asked(table, key, error.fact), 409
    told = ", ".join(f"{count:,} of {name}" for name, count in deleted.items())
    return frame.redirect_to(tables.table_address(next(iter(deleted))), f"Deleted: {told}.")


def _found(cursor: Cursor, table: str, key: str) -> tuple[Table, RowTexts]:
    found = the_table(cursor, table)
    return found, find_texts(cursor, found, key.split(","))


def _fields(
    cursor: Cursor, table: str, texts: RowTexts | None = None
) -> tuple[Table, list[RowField]]:
    found, catalog = the_table(cursor, table), tables.visible_catalog(context().catalog(cursor))
    return found, row_forms.build_fields(cursor, catalog, found, texts.cells if texts else None)


def _address(table: Table, key: str) -> str:
    return url_for("console.tables.rows.row", table=table.full_name, key=key)


def _once() -> IdempotentRequest:
    """Return the idempotency key of a form: its fields with a random one, `once`.

    A form sent twice has the same key, while two forms with equal values have different ones.
    """
    said = hashlib.sha256(json.dumps(request.form.to_dict()).encode()).hexdigest()
    return IdempotentRequest(g.caller.id, f"form {said}", said)


def _kept_answer(found: list[Delivery]) -> KeptAnswer:
    (delivery,) = found
    told = {"ids": delivery.ids, "errors": delivery.errors}
    return KeptAnswer(422 if delivery.errors else 201, json.dumps(told, default=str))


def _checked(version: str) -> Any:
    def check(held: StoredRow | None) -> None:
        if held is None or held.version != version:
            raise _Changed

    return check


def _overtaken(table: str, key: str, fields: list[RowField]) -> ResponseReturnValue:
    """Show a form again, with the changes that others have made to the row."""
    with reading() as cursor:
        found, texts = _found(cursor, table, key)
    changes = row_forms.merge_changes(fields, texts.cells)
    return _form(found, fields, key=key, texts=texts, changes=changes), 409


def _form(
    table: Table, fields: list[RowField], others: list[str] | None = None, **more: Any
) -> str:
    """Return the page with a form; `others` are errors that belong to no field."""
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
    """Return the address of a related row's page, or of a list if it has no key."""
    key = relative.row_key
    return (key and tables.row_address(relative.table, key)) or _rows_of(relative)


def _rows_of(relative: Relative) -> str:
    asked = {f"{name}.eq": text for name, text in relative.values.items()}
    return f"{tables.table_address(relative.table.full_name)}?{urlencode(asked)}"
