"""What is known of a cargo while it is judged and merged, and SQL for its cells and values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from psycopg2 import sql

from rowboat.catalog import literals
from rowboat.catalog.tables import ForeignKey, Table, Unique
from rowboat.csvfile.typed_cells import IntegerKeys
from rowboat.database.statements import query
from rowboat.door.stage import cell_name, value_name

Sql: TypeAlias = sql.Composable
OnKnown: TypeAlias = Literal["update", "refuse", "leave"]
SHOWN = 80  # characters of a cell that a sentence shows
_FEW = 10_000  # rows of a stage
_AND = sql.SQL(" and ")


@dataclass
class Bench:
    """What the judge knows while it works on one chunk.

    `source` words the source in a sentence ("file", "request", "backup"); `own` are the
    transactions in which this source has already written; `on_known` tells what becomes of a row
    whose key the table has; `rejected_ids` are the quarantined rows that are judged again;
    `typed` columns are on the stage as values, `plain` ones too but for the odd cells of the
    columns `odd`, which are text; `gone` are rows of the table that will not stay,
    `parents` stand in for parent tables that will change; with `replaces` rows may exchange their
    unique values, `leaving` deletes rows in the statement of the merge; with `told` what each row
    shows by itself has been judged before; a `rewritten` file most likely brings what the table
    has. `seen_until` is the greatest key of equal rows that came in earlier cargoes of the source,
    infinite where keys have no order. The judge fills in: `dirty` columns, which hold a cell of a
    wrong type; how many rows are `refused`; the `keys`, where they are integers, and the
    `greatest_known` that the table may have; how many rows were `equal` to the table's and are no
    longer on the stage.
    """

    table: Table
    columns: tuple[str, ...]
    staged: int
    source: str
    own: list[str] = field(default_factory=list)
    on_known: OnKnown = "update"
    rejected_ids: list[int] | None = None
    typed: frozenset[str] = frozenset()
    plain: frozenset[str] = frozenset()
    odd: frozenset[str] = frozenset()
    gone: Sql | None = None
    parents: Mapping[str, Sql] = field(default_factory=dict)
    replaces: bool = False
    leaving: Sql | None = None
    told: bool = False
    dirty: set[str] = field(default_factory=set)
    rewritten: bool = False
    seen_until: float | None = None
    keys: IntegerKeys | None = None
    refused: int = 0
    greatest_known: int | None = None
    equal: int = 0

    def cell(self, name: str, alias: str = "s") -> Sql:
        """The stage's cell for a column, under an alias of the stage; else its default as text."""
        if name not in self.columns or name in self.typed:
            return query("literals.as_text", value=self.value(name, alias))
        if name in self.plain:
            value = query("literals.as_text", value=self._plain(name, alias))
            return _either(self.raw(name, alias), value) if name in self.odd else value
        return self.raw(name, alias)

    def raw(self, name: str, alias: str = "s") -> Sql:
        """The stage's own column for a column of the table."""
        return sql.SQL("{}.{}").format(sql.Identifier(alias), cell_name(self.columns.index(name)))

    def _plain(self, name: str, alias: str) -> Sql:
        """The stage's own column for the values of a column that may have them."""
        return sql.SQL("{}.{}").format(sql.Identifier(alias), value_name(self.columns.index(name)))

    def brought(self, name: str) -> Sql:
        """SQL that is null where the row brings nothing for a column."""
        if name not in self.plain:
            return self.raw(name)
        value = self._plain(name, "s")
        if name not in self.odd:
            return value
        return sql.SQL("row({}, {})").format(self.raw(name), value)

    def named(self, name: str) -> Sql:
        """SQL: the column's cell as text, under its name."""
        return sql.SQL("{} as {}").format(self.cell(name), sql.Identifier(name))

    def value(self, name: str, alias: str = "s") -> Sql:
        """The cell as a value of its column; null where it is none, the default without a cell."""
        column = self.table.by_name[name]
        if name not in self.columns:
            return literals.default_value(column)
        if name in self.typed:
            return self.raw(name, alias)
        if name in self.plain and name not in self.odd:
            return self._plain(name, alias)
        trusted = name not in self.dirty and not column.is_domain  # a domain may refuse NULL
        value = literals.typed_value(column, self.raw(name, alias), trusted, self.as_written)
        return _either(self._plain(name, alias), value) if name in self.plain else value

    @property
    def as_written(self) -> bool:
        """Tell whether text on the stage is what Postgres itself wrote, whatever its form."""
        return self.source == "backup"

    @property
    def is_large(self) -> bool:
        """Tell whether looking keys up one by one would cost more than all at once."""
        return self.staged > _FEW

    @property
    def may_be_seen(self) -> bool:
        """Tell whether a key of the stage may be one of an equal row that came before."""
        least = self.keys.least if self.keys else None
        return self.seen_until is not None and (least is None or least <= self.seen_until)

    @property
    def exchanges(self) -> bool:
        """Tell whether a unique value may move from one row to another."""
        return self.source == "backup" and self.on_known == "update"

    def has(self, names: tuple[str, ...]) -> bool:
        """Tell whether the rows bring all of these columns, or the default of those they lack."""
        return self.table.covers(names, self.columns)

    @property
    def good(self) -> Sql:
        """SQL: nothing speaks against a row of the stage, which is called s."""
        return query("merge.good") if self.refused else sql.SQL("true")

    @property
    def judged(self) -> set[str]:
        """The names of the keys and references that the judge has looked at."""
        rules: list[Unique | ForeignKey] = [*self.table.uniques, *self.table.foreign_keys]
        if self.table.key:
            rules.append(self.table.key)
        return {rule.name for rule in rules if self.has(rule.columns)}

    def given(self, names: tuple[str, ...]) -> Sql:
        """SQL: every one of these columns has a value in the row."""
        return _AND.join(sql.SQL("({}) is not null").format(self.value(name)) for name in names)

    def joined(self, names: tuple[str, ...], others: Sequence[Sql], nulls: bool = False) -> Sql:
        """SQL: the row's values of these columns equal others; with `nulls` null equals null."""
        equal = sql.SQL("{} is not distinct from {}" if nulls else "{} = {}")
        return _AND.join(
            equal.format(other, self.value(name)) for name, other in zip(names, others, strict=True)
        )

    def shown(self, names: tuple[str, ...]) -> Sql:
        """SQL: the columns and their text in a sentence, as `id 7`."""
        return sql.SQL(" || ', ' || ").join(
            sql.SQL("{} || coalesce(left({}, {}), '(empty)')").format(
                sql.Literal(f"{name} "), self.cell(name), sql.Literal(SHOWN)
            )
            for name in names
        )


def _either(first: Sql, second: Sql) -> Sql:
    return sql.SQL("coalesce({}, {})").format(first, second)
