"""Rows that a restore deletes, and what foreign keys of other tables would make of that."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any

from psycopg2 import sql

from rowboat.catalog import Table
from rowboat.database import Cursor, one, rows
from rowboat.queries import query

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
    """A foreign key onto a table, from any table of the database."""

    name: str
    child: sql.Identifier
    child_name: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]
    on_delete: str

    @property
    def label(self) -> str:
        """How a plan names it."""
        return f"{self.child_name} ({', '.join(self.columns)})"

    @property
    def forbids(self) -> bool:
        """Tell whether it lets no row go that another refers to."""
        return self.on_delete in "ar"

    @property
    def action(self) -> str:
        """What becomes of a row that refers to a deleted one."""
        return ACTIONS[self.on_delete]

    def joined(self, child: str, parent: str) -> sql.Composed:
        """SQL: the child's row refers to the parent's."""
        return sql.SQL(" and ").join(
            sql.SQL("{} = {}").format(sql.Identifier(child, name), sql.Identifier(parent, other))
            for name, other in zip(self.columns, self.parent_columns, strict=True)
        )


@dataclass(frozen=True)
class Dependents:
    """How many rows refer to doomed rows by one foreign key, and are not doomed themselves."""

    rows: int
    reference: Reference


class Doomed:
    """The rows of one table that the backup on the stage does not have.

    They are kept in a temporary table until the transaction ends, with their place in the table.
    """

    def __init__(self, cursor: Cursor, table: Table, number: int, absent: sql.Composable) -> None:
        self.table = table
        self.name = sql.Identifier(_NAMES.format(number))
        self._number, self._names = number, count()
        cursor.execute(
            query("restore.doomed", doomed=self.name, table=table.identifier, absent=absent)
        )
        self.count: int = cursor.rowcount
        self.references = references(cursor, table)

    @property
    def places(self) -> sql.Composed:
        """SQL: the rows as `home` and `place`."""
        return query("restore.places", doomed=self.name)

    def delete_free(self, cursor: Cursor) -> int:
        """Delete those that nothing refers to."""
        free = [
            query("restore.no_child", child=each.child, joined=each.joined("c", "d"))
            for each in self.references
        ]
        return self._delete(cursor, "restore.delete_free", free=_all(free))

    def delete_rest(self, cursor: Cursor) -> int:
        """Delete those that are left; foreign keys do what they are declared to do."""
        return self._delete(cursor, "restore.delete")

    def is_left(self, cursor: Cursor) -> bool:
        """Tell whether any of them is still in the table."""
        cursor.execute(query("restore.left", table=self.table.identifier, doomed=self.name))
        return bool(one(cursor)[0])

    def dependents(self, cursor: Cursor, skip: Sequence[str] = ()) -> dict[str, Dependents]:
        """Count the rows of other tables that would be touched, however deep deletes cascade.

        Children in `skip` (full names) are not looked at. The keys name the foreign keys.
        """
        found: dict[str, Dependents] = {}
        waiting = [(self.name, each) for each in self.references]
        while waiting:
            doomed, each = waiting.pop(0)
            if each.child_name in skip or each.label in found:
                continue
            name = sql.Identifier(_NAMES.format(f"{self._number}_{next(self._names)}"))
            own = each.child_name == self.table.full_name
            cursor.execute(
                query(
                    "restore.dependents",
                    dependents=name,
                    child=each.child,
                    doomed=doomed,
                    joined=each.joined("c", "d"),
                    stays=query("restore.not_doomed", doomed=self.name) if own else _TRUE,
                )
            )
            found[each.label] = Dependents(cursor.rowcount, each)
            if each.on_delete == "c" and cursor.rowcount:
                waiting += [(name, below) for below in _references(cursor, each.child)]
        return found

    def _delete(self, cursor: Cursor, name: str, **parts: Any) -> int:
        if not self.count:
            return 0
        cursor.execute(query(name, table=self.table.identifier, doomed=self.name, **parts))
        return cursor.rowcount


def references(cursor: Cursor, table: Table) -> list[Reference]:
    """Return the foreign keys onto a table."""
    return _references(cursor, table.identifier)


def _references(cursor: Cursor, table: sql.Identifier) -> list[Reference]:
    cursor.execute(query("restore.references", table=sql.Literal(table.as_string(cursor))))
    return [
        Reference(
            row["name"],
            sql.Identifier(row["schema"], row["child"]),
            f"{row['schema']}.{row['child']}",
            tuple(row["columns"]),
            tuple(row["parent_columns"]),
            row["on_delete"],
        )
        for row in rows(cursor)
    ]


def _all(conditions: Sequence[sql.Composable]) -> sql.Composable:
    return sql.SQL(" and ").join(conditions) if conditions else _TRUE
