"""Finds the parents and children of a row by foreign keys."""

from collections.abc import Mapping
from dataclasses import dataclass

from rowboat.catalog.sizes import EXACT_UP_TO, estimate_rows
from rowboat.catalog.tables import Catalog, ForeignKey, Table
from rowboat.database.connections import Cursor
from rowboat.rows.read import ordering, reading
from rowboat.rows.read.filters import Filter
from rowboat.rows.read.listing_params import ListingParams
from rowboat.rows.read.ordering import Ordering

Cells = Mapping[str, str | None]


@dataclass(frozen=True)
class Relative:
    """Rows with some values, to which a row refers, or which refer to it.

    `count` is None if the table is too large to count them.
    """

    table: Table
    key: ForeignKey
    values: dict[str, str]
    count: int | None = None

    @property
    def row_key(self) -> list[str] | None:
        """The key of the row, if the values are exactly the key."""
        names = self.table.key.columns if self.table.key else ()
        return [self.values[name] for name in names] if set(names) == set(self.values) else None


def parents_of_row(catalog: Catalog, table: Table, cells: Cells) -> list[Relative]:
    """Return the rows to which the foreign keys of a row refer."""
    return [
        Relative(catalog.by_name[key.parent], key, values)
        for key in table.foreign_keys
        if key.parent in catalog.by_name
        and (values := _values(key.columns, key.parent_columns, cells))
    ]


def children_of_row(cursor: Cursor, catalog: Catalog, table: Table, cells: Cells) -> list[Relative]:
    """Return the rows that refer to a row, for each foreign key of each child table."""
    return [
        Relative(child, key, values, _count(cursor, child, values))
        for child in catalog.children(table)
        for key in child.foreign_keys
        if key.parent == table.full_name
        and (values := _values(key.parent_columns, key.columns, cells))
    ]


def choices_of_key(
    cursor: Cursor, catalog: Catalog, key: ForeignKey, most: int
) -> list[tuple[str, str]] | None:
    """Return (value, label) of each row to which a foreign key of one column may refer.

    Returns None if there are more than `most`.
    """
    parent, (name,) = catalog.by_name[key.parent], key.parent_columns
    by = ordering.read_ordering(parent, name)
    assert isinstance(by, Ordering)
    found = reading.read_page(cursor, parent, ListingParams((), by, most + 1), as_text=True)
    if len(found.rows) > most:
        return None
    # The first text column is usually a name, and says more than the key.
    label = next((c.name for c in parent.columns if c.is_text and c.name != name), name)
    cells = (dict(zip(parent.by_name, each, strict=True)) for each in found.rows)
    return [
        (value, value if label == name else f"{value} · {each[label] or ''}")
        for each in cells
        if (value := each[name]) is not None
    ]


def _values(names: tuple[str, ...], others: tuple[str, ...], cells: Cells) -> dict[str, str]:
    """Return the values of columns under the names of others; empty if one is NULL."""
    pairs = ((other, cells[name]) for name, other in zip(names, others, strict=True))
    found = {other: text for other, text in pairs if text is not None}
    return found if len(found) == len(names) else {}


def _count(cursor: Cursor, table: Table, values: dict[str, str]) -> int | None:
    # Without an index on the foreign key, counting reads the whole table.
    if estimate_rows(cursor, table) > EXACT_UP_TO:
        return None
    passed = [Filter(name, table.by_name[name], "eq", (text,)) for name, text in values.items()]
    return reading.count_passing(cursor, table, passed)
