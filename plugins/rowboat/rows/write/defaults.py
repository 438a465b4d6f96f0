"""Completes rows with values that their request left out: keys, defaults, stored values."""

from collections.abc import Mapping, Sequence

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Column, Table
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import as_printed, query
from rowboat.errors import RowRefused
from rowboat.rows.read import reading
from rowboat.rows.write.bodies import Cell, IncomingRow


def has_default(column: Column) -> bool:
    """Return whether the database fills in the column of a row that does not have it."""
    return column.default is not None or column.identity is not None


def give_keys(cursor: Cursor, table: Table, batch: list[IncomingRow], on_trial: bool) -> None:
    """Give keys to rows without one, before they are staged, so that the answer can name them.

    On trial, likely keys are used and no sequence advances. Raises RowRefused if a sequence has no
    number left.
    """
    for name in table.key.columns if table.key else ():
        column = table.by_name[name]
        bare = _bare(batch, name)
        if not bare or not has_default(column):
            continue
        if column.sequence is None:
            _give_defaults(cursor, column, bare)
            continue
        taken = {str(row.cells[name]) for row in batch if row.cells and name in row.cells}
        numbers = _Numbers(cursor, table, column, on_trial).free(len(bare), taken)
        _give(column, bare, numbers)


def give_rest(cursor: Cursor, table: Table, batch: list[IncomingRow]) -> None:
    """Fill in the default of a column that other rows of the batch bring.

    All rows then have the same columns, and pass the door together.
    """
    for column in table.settable:
        if has_default(column):
            bare = _bare(batch, column.name)
            if 0 < len(bare) < len(batch):
                _give_defaults(cursor, column, bare)


def without_key(table: Table, batch: list[IncomingRow]) -> list[IncomingRow]:
    """Return the rows without a key column that the database fills in."""
    keys = table.key.columns if table.key else ()
    made = {name for name in keys if has_default(table.by_name[name])}
    return [row for row in batch if made - set(row.cells or ())]


def default_cells(cursor: Cursor, table: Table) -> dict[str, Cell]:
    """Return the default, or NULL, of each column that is not in the key."""
    keys = table.key.columns if table.key else ()
    rest = [each for each in table.settable if each.name not in keys]
    return _fetch(cursor, table, "defaults.made", {each: _default(each) for each in rest})


def stored_cells(cursor: Cursor, table: Table, key: Sequence[str]) -> dict[str, Cell]:
    """Return the values of a row that a source may change; raises AssertionError without one."""
    return _fetch(
        cursor,
        table,
        "defaults.found",
        {each: sql.Identifier("t", each.name) for each in table.settable},
        home=table.identifier,
        condition=reading.has_key(table),
        key=sql.Literal(list(key)),
    )


def _fetch(
    cursor: Cursor,
    table: Table,
    statement: str,
    values: Mapping[Column, sql.Composable],
    **parts: sql.Composable,
) -> dict[str, Cell]:
    """Fetch values in binary form, from which the stage has them again to the last bit."""
    name = sql.Literal(table.identifier.as_string(cursor))
    cursor.execute(query("defaults.senders", table=name))
    senders = dict(cursor.fetchall())
    sent = [
        query("defaults.sent", send=as_printed(senders[column.name]), value=value)
        for column, value in values.items()
    ]
    cursor.execute(query(statement, values=sql.SQL(", ").join(sent), **parts))
    return {
        column.name: None if cell is None else bytes(cell)
        for column, cell in zip(values, fetch_one(cursor), strict=True)
    }


def _bare(batch: list[IncomingRow], name: str) -> list[IncomingRow]:
    return [row for row in batch if row.cells is not None and name not in row.cells]


def _give(column: Column, bare: list[IncomingRow], cells: Sequence[Cell]) -> None:
    for row, cell in zip(bare, cells, strict=True):
        row.cells = {**(row.cells or {}), column.name: cell}


def _default(column: Column) -> sql.Composed:
    """SQL: the default of a column, as text."""
    value: sql.Composable = sql.SQL("null")
    if column.identity is not None:
        value = query("defaults.next", sequence=sql.Literal(column.sequence))
    elif column.default is not None:
        value = as_printed(column.default)
    return query("literals.default", value=value, type=as_printed(column.type))


def _give_defaults(cursor: Cursor, column: Column, bare: list[IncomingRow]) -> None:
    """Fill in the default of a column, unless the judge would refuse it.

    In that case the column is left out, and the database fills it in as it inserts the row.
    """
    valid = literals.valid_literal(column, sql.Identifier("d", "cell"))
    cursor.execute(
        query("defaults.defaults", value=_default(column), valid=valid), {"count": len(bare)}
    )
    # Postgres may print a default in a form that the judge does not accept in a file.
    cells = cursor.fetchall()
    if all(fits for _, fits in cells):
        _give(column, bare, [cell for cell, _ in cells])


class _Numbers:
    """Draws key numbers from a sequence that neither the table nor the request uses already."""

    def __init__(self, cursor: Cursor, table: Table, column: Column, on_trial: bool) -> None:
        self._cursor, self._on_trial, self._column = cursor, on_trial, column
        self._parts = {"table": table.identifier, "column": sql.Identifier(column.name)}
        self._last: int | None = None

    def free(self, count: int, taken: set[str]) -> list[str]:
        """Return `count` numbers not in `taken`; raises RowRefused if there are too few."""
        found, caught_up = list[str](), self._on_trial
        # Each draw but two yields a number that the request uses itself: one may find the sequence
        # behind, and the last one succeeds.
        for _ in range(len(taken) + 2):
            drawn = self._draw(count - len(found))
            if not caught_up and self._is_behind(drawn):
                self._catch_up()
                caught_up = True
                continue
            found += [number for number in map(str, drawn) if number not in taken]
            if len(found) == count:
                return found
        raise RowRefused(f"{self._column.name} has no free number left")

    def _draw(self, count: int) -> list[int]:
        name = "defaults.foreseen" if self._on_trial else "defaults.drawn"
        facts = {"sequence": self._column.sequence, "count": count, "last": self._last}
        self._cursor.execute(query(name, **self._parts), facts)
        drawn = [number for (number,) in self._cursor.fetchall()]
        self._last = drawn[-1]
        return drawn

    def _is_behind(self, drawn: list[int]) -> bool:
        """Return whether the table has rows in the range drawn, inserted with explicit numbers."""
        ends = {"least": min(drawn), "greatest": max(drawn)}
        self._cursor.execute(query("defaults.is_behind", **self._parts), ends)
        return bool(fetch_one(self._cursor)[0])

    def _catch_up(self) -> None:
        facts = {"sequence": self._column.sequence}
        self._cursor.execute(query("defaults.catch_up", **self._parts), facts)
