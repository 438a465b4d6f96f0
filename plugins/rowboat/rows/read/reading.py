"""Reads rows: a page, a random sample, or one row by its key."""

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
    """Rows, each a JSON text or the texts of its values.

    `after` is the parameter for the next page; `note` says why there can be none.
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
        """The rows as CSV; with `safe`, spreadsheets take no text for a formula."""
        names = [guard_formula(each.name) if safe else each.name for each in table.columns]
        return csv_text(names, _guarded(table, self.rows) if safe else self.rows)


@dataclass(frozen=True)
class StoredRow:
    """One row as JSON text; its version is the ID of the transaction that wrote it (xmin)."""

    key: tuple[str, ...]
    version: str
    json: str


@dataclass(frozen=True)
class RowTexts:
    """One row: its version, and column → value as in CSV."""

    version: str
    cells: dict[str, str | None]


def read_page(cursor: Cursor, table: Table, ask: ListingParams, as_text: bool = False) -> RowPage:
    """Return a page or sample of rows: each a JSON text, or the texts of its columns."""
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
    # The last value of each row is its position in the order.
    kept = [each[:-1] for each in found[: ask.limit]]
    if len(found) <= ask.limit:
        return RowPage(kept, count=total)
    if not ask.order.total:
        return RowPage(kept, count=total, note=_NO_WAY.format(table.full_name, len(kept)))
    return RowPage(kept, ask.order.cursor(found[ask.limit - 1][-1]), total)


def count_passing(cursor: Cursor, table: Table, passed: Sequence[Filter] = ()) -> int:
    """Return the number of rows that pass filters."""
    conditions = filters.all_conditions([each.condition for each in passed])
    cursor.execute(query("rows.count", table=table.identifier, conditions=conditions))
    found: int = fetch_one(cursor)[0]
    return found


def find_row(cursor: Cursor, table: Table, key: Sequence[str], hold: bool = False) -> StoredRow:
    """Return the row with a key (a text for each key column); raises UnknownRow.

    `hold` locks the row until the end of the transaction.
    """
    return StoredRow(tuple(key), *_one(cursor, table, key, query("rows.as_json"), hold))


def find_texts(cursor: Cursor, table: Table, key: Sequence[str]) -> RowTexts:
    """Return the row with a key as texts that can be written back; raises UnknownRow."""
    values = sql.SQL(", ").join(map(_as_text, table.columns))
    version, *texts = _one(cursor, table, key, values)
    return RowTexts(version, dict(zip(table.by_name, texts, strict=True)))


def cells_of_key(table: Table, key: Sequence[str]) -> dict[str, str]:
    """Return key column → text."""
    return dict(zip(table.key.columns if table.key else (), key, strict=True))


def has_key(table: Table) -> sql.Composable:
    """SQL: the row t has the key `given`; a text that is not a value of its column matches none."""
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
    """Raise UnknownRow unless the texts may be a key of the table."""
    names = table.key.columns if table.key else ()
    if not names:
        raise UnknownRow(
            f"{table.full_name} has no key to find a row by", "add a primary key to the table"
        )
    if len(key) != len(names):
        raise UnknownRow(
            f"the key of {table.full_name} is ({', '.join(names)}): {len(key)} values were given",
            "separate the values of a key by commas",
        )
    if not all(map(filters.is_encodable, key)):
        raise unknown_row(table, key)


def unknown_row(table: Table, key: Sequence[str]) -> UnknownRow:
    """Return the error for a key that a table does not have."""
    pairs = cells_of_key(table, key).items()
    shown = ", ".join(f"{name} {filters.shown_text(text, '')}" for name, text in pairs)
    return UnknownRow(f"{table.full_name} has no row with {shown}")


_NO_WAY = "{} has no key, so it has no next page: these are {:,} of its rows"


def _one(
    cursor: Cursor, table: Table, key: Sequence[str], values: sql.Composable, hold: bool = False
) -> Sequence[Any]:
    """Return the version and some values of the row with a key; raises UnknownRow."""
    check_key(table, key)
    parts = {"values": values, "table": table.identifier, "condition": has_key(table)}
    held = query("rows.hold") if hold else sql.SQL("")
    cursor.execute(query("rows.one", **parts, hold=held), {"key": list(key)})
    found = cursor.fetchone()
    if found is None:
        raise unknown_row(table, key)
    return found


def _in_order(cursor: Cursor, ask: ListingParams, parts: Parts) -> list[Any]:
    """Return the rows of a page with their positions, and one more if there is a next page."""
    conditions = [parts["conditions"], *([ask.order.behind(ask.after)] if ask.after else [])]
    more = {
        "place": ask.order.place,
        "conditions": filters.all_conditions(conditions),
        "order": ask.order.clause,
        # One more shows that there is a next page, without counting the rows.
        "limit": sql.Literal(ask.limit + 1),
    }
    cursor.execute(query("rows.page", **parts | more))
    return cursor.fetchall()


def _sample(cursor: Cursor, table: Table, ask: ListingParams, parts: Parts) -> list[Record]:
    """Return random rows.

    Without filters, a part of a large table is sampled first, and all of it only if that part has
    too few rows.
    """
    limit, everything = sql.Literal(ask.limit), sql.SQL("")
    name = sql.Literal(table.identifier.as_string(cursor))
    share = query("rows.share", table=name, wanted=limit)
    found: list[Record] = []
    # `order by random()` sorts all that it reads. The rows that pass filters may be rare in a part.
    for source in (everything,) if ask.filters else (share, everything):
        cursor.execute(query("rows.sample", **parts, source=source, limit=limit))
        found = cursor.fetchall()
        if len(found) == ask.limit:
            break
    return found


def _as_text(column: Column) -> sql.Composed:
    """SQL: a value as in CSV that can be loaded again."""
    form = "rows.as_moment" if column.base in ("timestamp", "timestamptz") else "rows.as_text"
    return query(form, column=sql.Identifier("t", column.name))


def _guarded(table: Table, rows: Sequence[Record]) -> list[list[str | None]]:
    """Guard all cells but numbers: a minus sign does not make those formulas."""
    return [
        [
            cell if column.category == "N" else guard_formula(cell)
            for column, cell in zip(table.columns, row, strict=True)
        ]
        for row in rows
    ]
