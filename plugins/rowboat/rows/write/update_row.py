"""Writes one row under the key that a request names."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Cursor
from rowboat.errors import UnknownRow
from rowboat.rows.read import reading
from rowboat.rows.write import defaults
from rowboat.rows.write.audit import Action
from rowboat.rows.write.batch import Batch, BatchOptions, Delivery, Transact
from rowboat.rows.write.bodies import Cell, IncomingRow
from rowboat.rows.write.idempotency import KeptAnswer


class RowUpdate:
    """Writes one row: some columns of it (`keeps_rest`), or all, creating the row if need be.

    `row` is the key and the columns given; `by` is the request and the actor. `check` gets the
    stored row, locked, or None if there is none, and raises if the row must not be written. After
    `go`, `held` is the row as it was, `written` as it is; `errors` say why it was refused.
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
        self.batch = Batch(catalog, {table.full_name: [self.row]}, order, self._hold)
        self.held: reading.StoredRow | None = None
        self.written: reading.StoredRow | None = None
        self.errors: list[dict[str, Any]] = []

    def go(self, transact: Transact) -> None:
        """Pass the row through the door; raises UnknownRow, and what `check` raises."""
        self.batch.go(transact, self._read_back, None)

    def _hold(self, cursor: Cursor) -> None:
        """Lock and check the stored row, and complete the new one from it or from defaults.

        This is the first step of each transaction, as another writer may have changed the row since
        the last one.
        """
        try:
            self.held = reading.find_row(cursor, self.table, self.key, hold=True)
        except UnknownRow:
            self.held = None
            if self.keeps_rest or not self._may_be_created():
                raise
        self.check(self.held)
        if self.row.cells is not None:
            own = reading.cells_of_key(self.table, self.key)
            self.row.cells = {**self._rest(cursor), **self.given, **own}
        action: Action = "update" if self.held else "insert"
        self.batch.order = replace(self.batch.order, action=action)

    def _rest(self, cursor: Cursor) -> Mapping[str, Cell]:
        if self.keeps_rest:
            return defaults.stored_cells(cursor, self.table, self.key)
        return defaults.default_cells(cursor, self.table)

    def _may_be_created(self) -> bool:
        """Return whether a caller may choose the key of a new row."""
        names = reading.cells_of_key(self.table, self.key)
        return all(self.table.by_name[name].settable for name in names)

    def _read_back(self, cursor: Cursor, found: list[Delivery]) -> KeptAnswer:
        """Read the row as it was written, before another writer can change it."""
        (delivery,) = found
        self.errors = delivery.errors
        if not self.errors:
            self.written = reading.find_row(cursor, self.table, self.key)
        return KeptAnswer(422 if self.errors else 200, "")
