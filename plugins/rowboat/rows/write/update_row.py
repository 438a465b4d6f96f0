"""One row on its way in under its own key: as it was found, and as it is to be."""

from collections.abc import Callable, Mapping
from dataclasses import replace as changed
from typing import Any

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Cursor
from rowboat.errors import UnknownRow
from rowboat.rows.read import reading
from rowboat.rows.write import defaults
from rowboat.rows.write.batch import Batch, BatchOptions, Delivery, Result, Transact
from rowboat.rows.write.bodies import Cell, IncomingRow
from rowboat.rows.write.idempotency import KeptAnswer


class RowUpdate:
    """A row that is changed in part where it keeps the rest, else replaced, or made.

    `check` sees the row that is held, None where there is none yet, and raises unless it is the one
    that is meant. `written` is the row as it stands then; where it is refused, `errors` tell why.
    """

    def __init__(
        self,
        catalog: Catalog,
        table: Table,
        row: tuple[list[str], IncomingRow],
        by: tuple[str, str],
        check: Callable[[reading.StoredRow | None], None],
        keeps_rest: bool = True,
    ) -> None:
        self.table, self.check, self.keeps_rest = table, check, keeps_rest
        self.key, self.row = row
        self.given = self.row.cells or {}
        order = BatchOptions(*by, "update", atomic=True, action="update")
        self.batch = Batch(catalog, {table.full_name: [self.row]}, order)
        self.held: reading.StoredRow | None = None
        self.written: reading.StoredRow | None = None
        self.errors: list[dict[str, Any]] = []
        self._cursor: Cursor | None = None

    def go(self, transact: Transact) -> None:
        """Pass the row through the door; raises UnknownRow, and what `check` raises."""

        def after_finding(work: Callable[[Cursor], Result], keep: bool = True) -> Result:
            def found_first(cursor: Cursor) -> Result:
                self._find(cursor)
                return work(cursor)

            return transact(found_first, keep)

        self.batch.go(after_finding, self._say, None)

    def _find(self, cursor: Cursor) -> None:
        """Hold the row as it is, look at its version, put together what it is to be."""
        self._cursor = cursor
        try:
            self.held = reading.find_row(cursor, self.table, self.key, hold=True)
        except UnknownRow:
            self.held = None
            if self.keeps_rest or not self._may_be_made():
                raise
        self.check(self.held)
        if self.row.cells is not None:
            own = reading.cells_of_key(self.table, self.key)
            self.row.cells = {**self._rest(cursor), **self.given, **own}
        self.batch.order = changed(self.batch.order, action="update" if self.held else "insert")

    def _rest(self, cursor: Cursor) -> Mapping[str, Cell]:
        if self.keeps_rest:
            return defaults.stored_cells(cursor, self.table, self.key)
        return defaults.default_cells(cursor, self.table)

    def _may_be_made(self) -> bool:
        """Tell whether a caller may choose the key of a new row."""
        names = reading.cells_of_key(self.table, self.key)
        return all(self.table.by_name[name].settable for name in names)

    def _say(self, found: list[Delivery]) -> KeptAnswer:
        (delivery,) = found
        self.errors = delivery.errors
        if not self.errors:
            assert self._cursor is not None
            self.written = reading.find_row(self._cursor, self.table, self.key)
        return KeptAnswer(422 if self.errors else 200, "")
