"""The order of rows, and positions in it, for paging by key instead of by offset.

Every order is completed by the key, so that no two rows have the same position. NULL comes after
all values in both directions.
"""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass

from psycopg2 import sql

from rowboat.catalog.tables import Column, Table
from rowboat.database.statements import query
from rowboat.rows.read import filters
from rowboat.rows.read.filters import Fault, parameter_fault, shown_text


@dataclass(frozen=True)
class OrderBy:
    """A column to order by, ascending or descending."""

    column: Column
    down: bool = False

    def __str__(self) -> str:
        return ("-" if self.down else "") + self.column.name

    @property
    def its(self) -> sql.Identifier:
        """SQL: the column of the row t."""
        return sql.Identifier("t", self.column.name)

    @property
    def sign(self) -> sql.SQL:
        """SQL: the operator by which a later value compares to an earlier one."""
        return sql.SQL("<" if self.down else ">")

    @property
    def clause(self) -> sql.Composable:
        """SQL: its part of ORDER BY.

        `nulls last` is left out if there are no NULLs: with it, no index could be read backwards.
        """
        if not self.down:
            return self.its
        last = sql.SQL(" desc" if self.column.not_null else " desc nulls last")
        return self.its + last

    def beside(self, text: str | None) -> sql.Composed:
        """SQL: the row t has the same value."""
        if text is None:
            return query("rows.is_null", column=self.its)
        return self.compared(sql.SQL("="), text)

    def behind(self, text: str | None) -> sql.Composed:
        """SQL: the row t has a later value."""
        if text is None:
            return query("rows.no_row")
        if self.column.not_null:
            return self.compared(self.sign, text)
        value = filters.filter_value(self.column, text)
        return query("rows.beyond_or_null", column=self.its, sign=self.sign, value=value)

    def compared(self, sign: sql.Composable, text: str) -> sql.Composed:
        """SQL: the row's value compared with another."""
        value = filters.filter_value(self.column, text)
        return query("rows.compared", column=self.its, sign=sign, value=value)


@dataclass(frozen=True)
class Ordering:
    """Columns to order by; `total` if they include the key."""

    by: tuple[OrderBy, ...]
    total: bool

    @property
    def clause(self) -> sql.Composable:
        """SQL: the ORDER BY clause; empty if there are no columns."""
        if not self.by:
            return sql.SQL("")
        return query("rows.ordered", columns=_listed([each.clause for each in self.by]))

    @property
    def place(self) -> sql.Composed:
        """SQL: the position of the row t, as an array of texts."""
        texts = [query("rows.as_text", column=each.its) for each in self.by]
        return query("rows.place", texts=_listed(texts))

    def behind(self, place: Sequence[str | None]) -> sql.Composable:
        """SQL: the row t comes after a position."""
        first = self.by[0]
        if all(each.column.not_null and each.down == first.down for each in self.by):
            return self._behind_as_row(place)
        found = _behind(self.by, place)
        if place[0] is None or not first.column.not_null:
            return found
        # The first condition follows from the second. But an index can find where it begins to
        # hold, which it cannot for the nested ORs of the second.
        return filters.all_conditions([first.compared(first.sign + sql.SQL("="), place[0]), found])

    def cursor(self, place: Sequence[str | None]) -> str:
        """Return a position as text for the URL of the next page."""
        told = json.dumps([list(map(str, self.by)), list(place)], ensure_ascii=False)
        return base64.urlsafe_b64encode(told.encode()).decode().rstrip("=")

    def place_of(self, cursor: str) -> tuple[str | None, ...] | None:
        """Return the position in a text; None if it is not one of this order."""
        try:
            told = base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True)
            names, place = json.loads(told)
        except (ValueError, TypeError, RecursionError):  # the text is untrusted
            return None
        # A position belongs to the order for which it was written.
        if names != list(map(str, self.by)) or not isinstance(place, list):
            return None
        fits = len(place) == len(self.by) and all(map(_may_stand, self.by, place))
        return tuple(place) if fits else None

    def _behind_as_row(self, place: Sequence[str | None]) -> sql.Composed:
        """SQL: as `behind`, but as one row comparison, which an index can answer directly.

        That requires one direction for all columns, and no NULLs.
        """
        values = [
            filters.filter_value(e.column, text or "")
            for e, text in zip(self.by, place, strict=True)
        ]
        return query(
            "rows.compared",
            column=query("rows.row", values=_listed([each.its for each in self.by])),
            sign=self.by[0].sign,
            value=query("rows.row", values=_listed(values)),
        )


def read_ordering(table: Table, text: str) -> Ordering | Fault:
    """Parse an order such as `name,-born`, and complete it by the key; returns a fault if wrong.

    The key continues in the direction of the last column, so that one index can serve the order.
    """
    found: list[OrderBy] = []
    for name in text.split(",") if text else []:
        column = table.by_name.get(name.removeprefix("-"))
        if column is None or not filters.is_comparable(column):
            return parameter_fault(
                "order", "shape", f"{table.full_name} cannot be ordered by {shown_text(name)}"
            )
        if column in [each.column for each in found]:
            return parameter_fault("order", "shape", f"{column.name} occurs twice in the order")
        found.append(OrderBy(column, name not in table.by_name))
    named = {each.column.name for each in found}
    down = bool(found) and found[-1].down
    key = table.key.columns if table.key else ()
    found += [OrderBy(table.by_name[name], down) for name in key if name not in named]
    return Ordering(tuple(found), table.key is not None)


def _behind(by: Sequence[OrderBy], place: Sequence[str | None]) -> sql.Composable:
    beyond = by[0].behind(place[0])
    if len(by) == 1:
        return beyond
    beside, rest = by[0].beside(place[0]), _behind(by[1:], place[1:])
    return query("rows.behind", beyond=beyond, beside=beside, rest=rest)


def _may_stand(by: OrderBy, text: object) -> bool:
    if text is None:
        return not by.column.not_null
    return isinstance(text, str) and filters.is_encodable(text)


def _listed(parts: Sequence[sql.Composable]) -> sql.Composed:
    return sql.SQL(", ").join(parts)
