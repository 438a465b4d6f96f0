"""Rows as they stand: a page of them, some by chance, or one by its key."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import Column, Table
from rowboat.csvfile.writer import csv_text, guard_formula
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.errors import UnknownRow
from rowboat.rows.read import filters
from rowboat.rows.read.filters import Filter
from rowboat.rows.read.listing_params import ListingParams

Record = tuple[str | None, ...]
Parts = dict[str, sql.Composable]


@dataclass(frozen=True)
class RowPage:
    """Rows, each a JSON text or the texts of its values; `after` leads to the next page, `note`
    tells why there is no way to it.
    """

    rows: list[Record]
    after: str | None = None
    count: int | None = None
    note: str | None = None

    @property
    def json(self) -> str:
        """The rows as a JSON array, as Postgres wrote them."""
        return "[" + ",\n".join(text for (text,) in self.rows if text is not None) + "]"

    def csv(self, table: Table, safe: bool) -> str:
        """The rows as CSV; with `safe` no text in it is a formula to a spreadsheet."""
        names = [guard_formula(each.name) if safe else each.name for each in table.columns]
        return csv_text(names, _guarded(table, self.rows) if safe else self.rows)


@dataclass(frozen=True)
class StoredRow:
    """One row: the transaction that wrote it (its version), and the row as a JSON text."""

    key: tuple[str, ...]
    version: str
    json: str


@dataclass(frozen=True)
class RowTexts:
    """One row: its version, and column → its value as CSV has it."""

    version: str
    cells: dict[str, str | None]


def read_page(cursor: Cursor, table: Table, ask: ListingParams, as_text: bool = False) -> RowPage:
    """Return the rows that are asked for: each a JSON text, or the texts of its columns."""
    parts: Parts = {
        "values": sql.SQL(", ").join(
            map(_as_text, table.columns) if as_text else [query("rows.as_json")]
        ),
        "table": table.identifier,
        "conditions": filters.all_conditions([each.condition for each in ask.filters]),
    }
    total = count_passing(cursor, table, ask.filters) if ask.count else None
    if ask.sample:
        return RowPage(_sample(cursor, table, ask, parts), count=total)
    found = _in_order(cursor, ask, parts)
    kept = [each[:-1] for each in found[: ask.limit]]
    if len(found) <= ask.limit:
        return RowPage(kept, count=total)
    if not ask.order.total:
        return RowPage(kept, count=total, note=_NO_WAY.format(table.full_name, len(kept)))
    return RowPage(kept, ask.order.cursor(found[ask.limit - 1][-1]), total)


def count_passing(cursor: Cursor, table: Table, passed: Sequence[Filter] = ()) -> int:
    """Return how many rows pass filters."""
    conditions = filters.all_conditions([each.condition for each in passed])
    cursor.execute(query("rows.count", table=table.identifier, conditions=conditions))
    found: int = fetch_one(cursor)[0]
    return found


def find_row(cursor: Cursor, table: Table, key: Sequence[str], hold: bool = False) -> StoredRow:
    """Return the row with a key, one text for each of its columns; `hold` keeps other writers off.

    Raises UnknownRow.
    """
    return StoredRow(tuple(key), *_one(cursor, table, key, query("rows.as_json"), hold))


def find_texts(cursor: Cursor, table: Table, key: Sequence[str]) -> RowTexts:
    """Return the same as texts, which can be written back as they are; raises UnknownRow."""
    values = sql.SQL(", ").join(map(_as_text, table.columns))
    version, *texts = _one(cursor, table, key, values)
    return RowTexts(version, dict(zip(table.by_name, texts, strict=True)))


def cells_of_key(table: Table, key: Sequence[str]) -> dict[str, str]:
    """Return column → text of a key."""
    return dict(zip(table.key.columns if table.key else (), key, strict=True))


def has_key(table: Table) -> sql.Composable:
    """SQL: the row t has the key `given`; no text makes this fail."""
    assert table.key is not None
    return filters.all_conditions(
        [
            query(
                "rows.given",
                column=sql.Identifier("t", name),
                value=literals.typed_value(
                    table.by_name[name], sql.SQL("g.cells[{}]").format(sql.Literal(n)), False
                ),
            )
            for n, name in enumerate(table.key.columns, 1)
        ]
    )


def check_key(table: Table, key: Sequence[str]) -> None:
    """Raise UnknownRow unless the table has a key of as many columns, and the texts may be one."""
    names = table.key.columns if table.key else ()
    if not names:
        raise UnknownRow(f"{table.full_name} has no key to find a row by", "give the table a key")
    if len(key) != len(names):
        raise UnknownRow(
            f"the key of {table.full_name} is ({', '.join(names)}): {len(key)} values were given",
            "separate the values of a key by commas",
        )
    if not all(map(filters.is_encodable, key)):
        raise unknown_row(table, key)


def unknown_row(table: Table, key: Sequence[str]) -> UnknownRow:
    """Return the error that tells that a table has no row with a key."""
    pairs = cells_of_key(table, key).items()
    shown = ", ".join(f"{name} {filters.shown_text(text, '')}" for name, text in pairs)
    return UnknownRow(f"{table.full_name} has no row with {shown}")


_NO_WAY = "{} has no key, so there is no way to its next page: these are {:,} of its rows"


def _one(
    cursor: Cursor, table: Table, key: Sequence[str], values: sql.Composable, hold: bool = False
) -> Sequence[Any]:
    """Fetch the version and some values of the row with a key; raises UnknownRow."""
    check_key(table, key)
    parts = {"values": values, "table": table.identifier, "condition": has_key(table)}
    held = query("rows.hold") if hold else sql.SQL("")
    cursor.execute(query("rows.one", **parts, hold=held), {"key": list(key)})
    found = cursor.fetchone()
    if found is None:
        raise unknown_row(table, key)
    return found


def _in_order(cursor: Cursor, ask: ListingParams, parts: Parts) -> list[Any]:
    """Fetch a page, each row with its place, and one row more where there is one."""
    conditions = [parts["conditions"], *([ask.order.behind(ask.after)] if ask.after else [])]
    more = {
        "place": ask.order.place,
        "conditions": filters.all_conditions(conditions),
        "order": ask.order.clause,
        "limit": sql.Literal(ask.limit + 1),
    }
    cursor.execute(query("rows.page", **parts | more))
    return cursor.fetchall()


def _sample(cursor: Cursor, table: Table, ask: ListingParams, parts: Parts) -> list[Record]:
    """Take rows by chance: of a share of a big table; of all where there are filters, or where
    the share has too few.
    """
    limit, everything = sql.Literal(ask.limit), sql.SQL("")
    name = sql.Literal(table.identifier.as_string(cursor))
    share = query("rows.share", table=name, wanted=limit)
    found: list[Record] = []
    for source in (everything,) if ask.filters else (share, everything):
        cursor.execute(query("rows.sample", **parts, source=source, limit=limit))
        found = cursor.fetchall()
        if len(found) == ask.limit:
            break
    return found


def _as_text(column: Column) -> sql.Composed:
    """SQL: a value as it stands in CSV; a file of it can be loaded again."""
    form = "rows.as_moment" if column.base in ("timestamp", "timestamptz") else "rows.as_text"
    return query(form, column=sql.Identifier("t", column.name))


def _guarded(table: Table, rows: Sequence[Record]) -> list[list[str | None]]:
    """Guard all but numbers, of which a minus makes no formula."""
    return [
        [
            cell if column.category == "N" else guard_formula(cell)
            for column, cell in zip(table.columns, row, strict=True)
        ]
        for row in rows
    ]
