"""SQL for the cells and values of staged rows; every statement of the door is built from it."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import INTEGERS, Column, Table
from rowboat.csvfile.typed_cells import is_wide
from rowboat.database.statements import as_printed, query
from rowboat.door.stage import Cargo, cell_in_array, cell_name, value_name

Sql: TypeAlias = sql.Composable
Origin: TypeAlias = Literal["file", "request", "backup"]
SHOWN = 80  # characters of a cell that a sentence shows
_AND = sql.SQL(" and ")


@dataclass(frozen=True)
class StagedColumns:
    """The columns of a cargo on the stage, whose rows are `s` unless an alias is given.

    A column of the stage holds text (c0, c1, …), values of the table's type (c0, … of `typed`
    columns), or values beside the text of those cells that were not recognised as values (v0, v1, …
    of `plain` columns; only `odd` ones have such cells). If there are very many columns, all cells
    are text in arrays (a0, a1, …). Text of the columns in `doubtful` may be no value of its type.
    `origin` is where the text comes from.
    """

    table: Table
    names: tuple[str, ...]
    typed: frozenset[str]
    plain: frozenset[str]
    odd: frozenset[str]
    doubtful: frozenset[str]
    origin: Origin

    @property
    def as_written(self) -> bool:
        """Whether Postgres itself wrote the text, in any of its forms."""
        return self.origin == "backup"

    @classmethod
    def of_cargo(cls, table: Table, cargo: Cargo, origin: Origin) -> "StagedColumns":
        """Return the columns of a cargo of which no cell has been judged: all are doubtful."""
        every = frozenset(cargo.columns)
        none = frozenset[str]()
        if is_wide(cargo.columns):  # all cells are staged as text
            return cls(table, cargo.columns, none, none, none, every, origin)
        odd = frozenset(cargo.odd)
        return cls(table, cargo.columns, cargo.typed, cargo.plain, odd, every, origin)

    def doubting(self, names: Collection[str]) -> "StagedColumns":
        """Return the columns once their cells were judged: only those named have faulty cells."""
        return replace(self, doubtful=frozenset(names))

    def cover(self, names: tuple[str, ...]) -> bool:
        """Return whether the rows have a known value in all of these columns, their own or the
        default.
        """
        return self.table.covers(names, self.names)

    def cell(self, name: str, alias: str = "s") -> Sql:
        """SQL: the cell of a column as text, or the column's default."""
        if name not in self.names or name in self.typed:
            return query("literals.as_text", value=self.value(name, alias))
        if name in self.plain:
            value = query("literals.as_text", value=self._recognised(name, alias))
            return _coalesce(self.raw(name, alias), value) if name in self.odd else value
        return self.raw(name, alias)

    def said(self, name: str) -> Sql:
        """SQL: the cell of a column in a sentence: an integer as a number, as it may be staged as a
        value in one cargo and as text, such as 007, in another.
        """
        if self.table.by_name[name].base in INTEGERS:
            return query("literals.as_text", value=self.value(name))
        return self.cell(name)

    def named_cell(self, name: str) -> Sql:
        """SQL: the cell of a column as text, under the column's name."""
        return sql.SQL("{} as {}").format(self.cell(name), sql.Identifier(name))

    def raw(self, name: str, alias: str = "s") -> Sql:
        """SQL: the stage's own column for a column of the table, text unless it is typed."""
        return sql.SQL("{}.{}").format(sql.Identifier(alias), self.stage_name(name))

    def stage_name(self, name: str) -> Sql:
        """SQL: that column, or its place in an array, as the target of an update."""
        index = self.names.index(name)
        return cell_in_array(index) if is_wide(self.names) else cell_name(index)

    def _recognised(self, name: str, alias: str) -> Sql:
        return sql.SQL("{}.{}").format(sql.Identifier(alias), value_name(self.names.index(name)))

    def brought(self, name: str) -> Sql:
        """SQL: NULL if the row's cell is empty, whether it is staged as text or as a value."""
        if name not in self.plain:
            return self.raw(name)
        value = self._recognised(name, "s")
        if name not in self.odd:
            return value
        # a row is null only if all of its fields are: either of the two may hold the cell
        return sql.SQL("row({}, {})").format(self.raw(name), value)

    def value(self, name: str, alias: str = "s") -> Sql:
        """SQL: the cell as a value of its column, or NULL if it is no such value; the column's
        default if the cargo lacks the column.
        """
        column = self.table.by_name[name]
        value = self._value(column, alias)
        if column.collation is None:
            return value
        return sql.SQL("({}) collate {}").format(value, as_printed(column.collation))

    def _value(self, column: Column, alias: str) -> Sql:
        name = column.name
        if name not in self.names:
            return literals.default_value(column)
        if name in self.typed:
            return self.raw(name, alias)
        if name in self.plain and name not in self.odd:
            return self._recognised(name, alias)
        trusted = name not in self.doubtful and not column.is_domain  # a domain may refuse NULL
        value = literals.typed_value(column, self.raw(name, alias), trusted, self.as_written)
        return _coalesce(self._recognised(name, alias), value) if name in self.plain else value

    def given(self, names: tuple[str, ...]) -> Sql:
        """SQL: every one of these columns has a value in the row."""
        return _AND.join(sql.SQL("({}) is not null").format(self.value(name)) for name in names)

    def joined(self, names: tuple[str, ...], others: Sequence[Sql], nulls: bool = False) -> Sql:
        """SQL: the row's values of these columns equal others; with `nulls` null equals null."""
        return _AND.join(
            literals.equal_values(self.table.by_name[name], other, self.value(name), nulls)
            for name, other in zip(names, others, strict=True)
        )

    def shown(self, names: tuple[str, ...]) -> Sql:
        """SQL: the columns and their text in a sentence, as `id 7`."""
        return sql.SQL(" || ', ' || ").join(
            sql.SQL("{} || coalesce(left({}, {}), '(empty)')").format(
                sql.Literal(f"{name} "), self.said(name), sql.Literal(SHOWN)
            )
            for name in names
        )


def _coalesce(first: Sql, second: Sql) -> Sql:
    return sql.SQL("coalesce({}, {})").format(first, second)
