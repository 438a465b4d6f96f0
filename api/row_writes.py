"""Replaces one row, or some of its columns, through the same door as every other row."""

from dataclasses import replace as changed
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, g, request

from api import versions
from api.access import scope
from api.batches import refusal, wake
from api.context import context, reading, the_table, writing
from api.errors import Problem
from rowboat import bodies, rows, whole
from rowboat.answers import Answer
from rowboat.batch import Batch, Delivery, Order
from rowboat.bodies import Row
from rowboat.catalog import Table
from rowboat.database import Cursor
from rowboat.errors import UnknownRow

blueprint = Blueprint("row_writes", __name__)


@blueprint.put("/api/<table:table>/<key>")
@scope("write")
def replace(table: str, key: str) -> Response:
    """Replace a row, or make one of this key; columns that are left out get their defaults."""
    return _Write(table, key, keeps_rest=False).go()


@blueprint.patch("/api/<table:table>/<key>")
@scope("write")
def change(table: str, key: str) -> Response:
    """Change some columns of a row."""
    return _Write(table, key, keeps_rest=True).go()


class _Write:
    """One row on its way in: as it was found, and as it is to be."""

    def __init__(self, table: str, key: str, keeps_rest: bool) -> None:
        if request.mimetype != "application/json":
            raise Problem(415, "a row comes as application/json", "set the header Content-Type")
        self.key, self.keeps_rest = key.split(","), keeps_rest
        with reading() as cursor:
            self.table: Table = the_table(cursor, table)
            catalog = context().catalog(cursor)
        rows.check_key(self.table, self.key)
        self.row = self._row()
        self.given = self.row.cells or {}
        order = Order(g.request, g.caller.id, "update", atomic=True, action="update")
        self.batch = Batch(catalog, {self.table.full_name: [self.row]}, order)
        self.held: rows.Row | None = None
        self.cursor: Cursor | None = None

    def go(self) -> Response:
        """Write the row and return it."""
        answer = self.batch.go(self._transact, self._say, None)
        if answer.status >= 400:
            return refusal(answer)
        wake(self.batch)
        place = {} if self.held else {"Location": quote(request.path, safe="/,")}
        headers = versions.etag(self.version) | place
        return Response(answer.body, answer.status, headers, content_type="application/json")

    def _row(self) -> Row:
        """Read what the request says of the row."""
        found = bodies.of_json(request.get_data(), self.table)
        if len(found) != 1 or found[0].cells is None:
            raise Problem(422, "the body is not one row", "send an object: column to value")
        for name, text in self._key_cells().items():
            cell = found[0].cells.get(name, text)
            if (cell if isinstance(cell, str) else repr(cell)) != text:
                hint = f"leave {name} out, or send another row under its own address"
                raise Problem(422, f"{name} is {text} in the address and another in the body", hint)
        return found[0]

    def _transact(self, work: Any, keep: bool = True) -> Any:
        def after_finding(cursor: Cursor) -> Any:
            self._find(cursor)
            return work(cursor)

        return writing(after_finding, keep)

    def _find(self, cursor: Cursor) -> None:
        """Hold the row as it is, look at its version, put together what it is to be."""
        self.cursor = cursor
        try:
            self.held = rows.find(cursor, self.table, self.key, hold=True)
        except UnknownRow:
            self.held = None
            if self.keeps_rest or not self._may_be_made():
                raise
        if self.held:
            versions.demand()
            versions.match(self.held.version)
        elif "If-Match" in request.headers:
            raise Problem(412, "there is no such row yet", "leave If-Match out to make it")
        rest = (
            whole.as_it_is(cursor, self.table, self.key)
            if self.keeps_rest
            else whole.by_default(cursor, self.table)
        )
        if self.row.cells is not None:
            self.row.cells = {**rest, **self.given, **self._key_cells()}
        self.batch.order = changed(self.batch.order, action="update" if self.held else "insert")

    def _may_be_made(self) -> bool:
        """Tell whether a caller may choose the key of a new row."""
        return all(self.table.by_name[name].settable for name in self._key_cells())

    def _key_cells(self) -> dict[str, str]:
        assert self.table.key is not None
        return dict(zip(self.table.key.columns, self.key, strict=True))

    def _say(self, found: list[Delivery]) -> Answer:
        (delivery,) = found
        if delivery.errors:
            problem = Problem(
                422, "the row is refused", "errors tells why; it waits in quarantine",
                delivery.errors,
            )  # fmt: skip
            return Answer(422, problem.response().get_data(as_text=True))
        assert self.cursor is not None
        row = rows.find(self.cursor, self.table, self.key)
        self.version = row.version
        return Answer(200 if self.held else 201, row.json + "\n")
