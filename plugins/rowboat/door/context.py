"""What is known of a cargo at each step through the door, as three records: what is to be loaded,
what is staged, what was judged. Each is made whole by the step that finds it out.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from psycopg2 import sql

from rowboat.catalog.tables import ForeignKey, Table, Unique
from rowboat.csvfile.typed_cells import IntegerKeys
from rowboat.database.statements import query
from rowboat.door.staged_columns import Origin, Sql, StagedColumns

OnKnown: TypeAlias = Literal["update", "refuse", "leave"]


@dataclass(frozen=True)
class Terms:
    """What is to be loaded: the table, how many rows from where, and how they may enter.

    `origin` names the source in sentences; `own` are the transactions in which this source has
    already written; `on_known` decides what happens to a row whose key the table has; `keys` sums
    up the integer keys if they were read from the file; `rejected_ids` are the quarantined rows
    that are judged again. `judged_alone` is true if the rows' cells and CHECKs were judged when
    they were staged, in a part. A `rewritten` file most likely contains what the table has.
    Of it only the rows `arrived` (numbers from 1; None for all) change what the table has.
    `seen_until` is the greatest key of equal rows in earlier cargoes of the source, infinite if
    keys have no order, None if there were none.

    With `displaces` a row may be deleted and inserted anew, if it is to give up a unique value to
    another row and can only do so in this way.

    For a restore: `gone` are rows of the table that will be deleted, `parents` maps a parent table
    to what it will contain afterwards, and with `replaces` rows are to be equal to the last bit.
    """

    table: Table
    origin: Origin
    staged: int
    own: tuple[str, ...] = ()
    on_known: OnKnown = "update"
    keys: IntegerKeys | None = None
    rejected_ids: list[int] | None = None
    judged_alone: bool = False
    rewritten: bool = False
    arrived: list[int] | None = None
    seen_until: float | None = None
    gone: Sql | None = None
    parents: Mapping[str, Sql] = field(default_factory=dict)
    replaces: bool = False
    displaces: bool = False

    @property
    def exchanges(self) -> bool:
        """Whether a unique value may move from one row to another."""
        return self.on_known == "update"


@dataclass(frozen=True)
class StagedRows:
    """What is staged, once it was matched with the table: `count` rows, of which `matched` have a
    key that the table has. `equal` more rows equal the table's and were taken off the stage.

    `keys` sums up the integer keys, None if the key is something else.
    """

    terms: Terms
    columns: StagedColumns
    count: int
    keys: IntegerKeys | None
    matched: int = 0
    equal: int = 0

    @property
    def rule_names(self) -> set[str]:
        """The names of the keys and references that the judge checks."""
        table = self.terms.table
        rules: list[Unique | ForeignKey] = [*table.uniques, *table.judged_references]
        if table.key:
            rules.append(table.key)
        return {rule.name for rule in rules if self.columns.cover(rule.columns)}


@dataclass(frozen=True)
class Judged:
    """What was judged: the staged rows, of which `refused` have a verdict against them."""

    rows: StagedRows
    refused: int

    @property
    def terms(self) -> Terms:
        """The terms on which the rows may enter."""
        return self.rows.terms

    @property
    def columns(self) -> StagedColumns:
        """The columns of the rows, and SQL for them."""
        return self.rows.columns

    @property
    def good(self) -> Sql:
        """SQL: the row of the stage has no verdict against it."""
        return without_verdict(self.refused)


def without_verdict(refused: int) -> Sql:
    """SQL: the row s has no verdict; free of charge if none of the rows has."""
    return query("merge.good") if refused else sql.SQL("true")
