"""Rows to be deleted, and the rows of other tables that refer to them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

from psycopg2 import sql

from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query

ACTIONS = {
    "c": "deleted too",
    "n": "set to NULL",
    "d": "set to its default",
    "a": "in the way",
    "r": "in the way",
}
_TRUE = sql.SQL("true")
_NAMES = "rowboat_doomed_{}"


@dataclass(frozen=True)
class Reference:
    """A foreign key onto a table, from any table of the database; a `period` is a range."""

    name: str
    child: sql.Identifier
    child_name: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    on_delete: str
    period: bool = False

    @property
    def label(self) -> str:
        """The foreign key in a plan: child table and columns."""
        return f"{self.child_name} ({', '.join(self.columns)})"

    @property
    def forbids(self) -> bool:
        """Whether it forbids deleting a row that another one refers to."""
        return self.on_delete in "ar"

    @property
    def action(self) -> str:
        """What is done to a row that refers to a deleted one, in words."""
        return ACTIONS[self.on_delete]

    def joined(self, child: str, parent: str) -> sql.Composed:
        """SQL: the row of the child refers to that of the parent, or to its range among others."""
        signs = ["="] * len(self.columns)
        if self.period:
            signs[-1] = "&&"
        return sql.SQL(" and ").join(
            sql.SQL("{} {} {}").format(
                sql.Identifier(child, name), sql.SQL(sign), sql.Identifier(parent, other)
            )
            for name, sign, other in zip(self.columns, signs, self.parent_columns, strict=True)
        )


@dataclass(frozen=True)
class Dependents:
    """Rows that refer to doomed rows by one foreign key, and are not doomed themselves.

    `kept` are the temporary tables in which they are.
    """

    rows: int
    reference: Reference
    kept: tuple[sql.Identifier, ...] = ()


class RowsToDelete:
    """The doomed rows of one table: those that a backup lacks, or one that a request deletes.

    Their places and what `known` references refer to are copied into a temporary table, until the
    transaction ends: what is found out about them must not change while rows are written.
    """

    def __init__(
        self,
        cursor: Cursor,
        table: Table,
        number: int,
        which: sql.Composable,
        known: Sequence[Reference],
    ) -> None:
        self.table, self.references = table, known
        self.name = sql.Identifier(_NAMES.format(number))
        self._number, self._names = number, count()
        cursor.execute(
            query(
                "restore.doomed",
                doomed=self.name,
                columns=_referred("t", known),
                table=table.identifier,
                which=which,
            )
        )
        self.count: int = cursor.rowcount

    @property
    def places(self) -> sql.Composed:
        """SQL: the places of the rows, as `home` (table) and `place` (ctid)."""
        return query("restore.places", doomed=self.name)

    @property
    def stays(self) -> sql.Composed:
        """SQL: the row c of the table is not doomed."""
        return query("restore.not_in", rows=self.name)

    def delete_free(self, cursor: Cursor, children: Collection[str]) -> int:
        """Delete the rows to which no row of these children refers; return how many."""
        free = [self._no_child(each) for each in self.references if each.child_name in children]
        return self._delete(cursor, free)

    def delete_in_way(
        self, cursor: Cursor, wanted: sql.Composable, children: Collection[str]
    ) -> int:
        """Delete rows that hold a wanted value, even if rows of these children refer to them."""
        free = [self._no_child(each) for each in self.references if each.child_name not in children]
        return self._delete(cursor, [wanted, *free])

    def leaving(self, children: Collection[str]) -> sql.Composed:
        """SQL: delete the rows to which no row of these children refers, as part of a statement."""
        free = [self._no_child(each) for each in self.references if each.child_name in children]
        return query("restore.returned", delete=self._statement(free))

    def delete_rest(self, cursor: Cursor) -> int:
        """Delete the rows that are left; foreign keys act as declared."""
        return self._delete(cursor, [])

    def dependents(
        self,
        cursor: Cursor,
        first: Sequence[Reference],
        stays: Mapping[str, sql.Composable],
        skip: Collection[str] = (),
        whole: bool = False,
    ) -> dict[str, Dependents]:
        """Count the rows that refer to doomed rows by the `first` foreign keys, and those that
        cascading deletes would reach from there, at any depth.

        `stays` maps a child to SQL that chooses which of its rows c count. Children in `skip` are
        ignored below the first level. Returns label of the foreign key → its rows, which are kept
        `whole` if told to: of a very wide table that is not possible.
        """
        found: dict[str, Dependents] = {}
        seen: dict[str, list[sql.Composable]] = {}
        waiting = [(self.name, each) for each in first]
        while waiting:
            doomed, each = waiting.pop(0)
            known = seen.setdefault(each.label, [stays.get(each.child_name, _TRUE)])
            name = sql.Identifier(_NAMES.format(f"{self._number}_{next(self._names)}"))
            below = _references(cursor, each.child) if each.on_delete == "c" else []
            cursor.execute(
                query(
                    "restore.dependents",
                    dependents=name,
                    columns=sql.SQL(", c.*") if whole else _referred("c", below),
                    child=each.child,
                    doomed=doomed,
                    joined=each.joined("c", "d"),
                    stays=_all(known),
                )
            )
            rows_ = cursor.rowcount
            # a row that was counted is not counted again: foreign keys may form a ring
            known.append(query("restore.not_in", rows=name))
            before = found.get(each.label, Dependents(0, each))
            found[each.label] = Dependents(before.rows + rows_, each, (*before.kept, name))
            if rows_:
                waiting += [(name, other) for other in below if other.child_name not in skip]
        return found

    def _no_child(self, each: Reference) -> sql.Composable:
        return query("restore.no_child", child=each.child, joined=each.joined("c", "d"))

    def _delete(self, cursor: Cursor, conditions: Sequence[sql.Composable]) -> int:
        if not self.count:
            return 0
        cursor.execute(self._statement(conditions))
        return cursor.rowcount

    def _statement(self, conditions: Sequence[sql.Composable]) -> sql.Composed:
        only = _all(conditions)
        return query("restore.delete", table=self.table.identifier, doomed=self.name, only=only)


def references_to(cursor: Cursor, table: Table) -> list[Reference]:
    """Return the foreign keys that refer to a table, from any schema."""
    return _references(cursor, table.identifier)


def _references(cursor: Cursor, table: sql.Identifier) -> list[Reference]:
    cursor.execute(
        query(
            "restore.references",
            table=sql.Literal(table.as_string(cursor)),
            enforced=query("catalog.enforced"),
        )
    )
    return [
        Reference(
            row["name"],
            sql.Identifier(row["schema"], row["child"]),
            f"{row['schema']}.{row['child']}",
            tuple(row["columns"]),
            tuple(row["parent_columns"]),
            row["on_delete"],
            row["period"],
        )
        for row in fetch_rows(cursor)
    ]


def _referred(alias: str, references: Sequence[Reference]) -> sql.Composed:
    """SQL: the columns to which these foreign keys refer, to be added to others."""
    names = sorted({name for each in references for name in each.parent_columns})
    return sql.SQL("").join(sql.SQL(", {}").format(sql.Identifier(alias, name)) for name in names)


def _all(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" and ").join(conditions) if conditions else _TRUE
