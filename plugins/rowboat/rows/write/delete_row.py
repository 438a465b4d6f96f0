"""Deletes a row; rows of other tables are only affected if the caller asked for that."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from psycopg2 import sql

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.door.dependents import Dependents, RowsToDelete, references_to
from rowboat.errors import HasDependents, RowRefused
from rowboat.rows.read import filters
from rowboat.rows.read.reading import StoredRow
from rowboat.rows.write import audit

# pg_constraint.confdeltype: cascade; no action, restrict; set null, set default
_FATES = {"c": "deleted too", "ar": "left behind", "nd": "changed"}


@dataclass(frozen=True)
class DeleteOptions:
    """Options of a delete: actor, request, and whether foreign keys may affect other tables.

    `check` gets the full name of each affected table, and raises if the caller may not change it.
    """

    actor: str
    request: str
    cascade: bool
    check: Callable[[str], None]


@dataclass(frozen=True)
class TouchedRows:
    """Rows of a table that foreign keys affect in the same way (`fate`, a key of `_FATES`).

    `rows` is a JSON array, `kept` SQL that selects them. A row is counted once, even if several
    foreign keys refer to the deleted row.
    """

    table: str
    fate: str
    count: int
    rows: str
    kept: sql.Composable


def delete_row(
    cursor: Cursor, catalog: Catalog, table: Table, row: StoredRow, order: DeleteOptions
) -> dict[str, int]:
    """Delete a locked row, and audit all changes; return table → number of deleted rows.

    Raises HasDependents, and RowRefused if a trigger keeps the row.
    """
    condition = _is(table, row)
    # The rows are copied first: the foreign keys change them within the delete.
    touched = _touched(cursor, table, condition)
    _check(touched, order)
    cursor.execute(query("rows.delete", table=table.identifier, condition=condition))
    if not cursor.rowcount:
        raise RowRefused(f"a trigger of {table.full_name} keeps the row")
    who, deleted = (order.actor, order.request), {table.full_name: 1}
    audit.record_change(cursor, *who, "delete", table, f"[{row.json}]")
    for each in touched:
        if each.fate == "c":
            audit.record_change(cursor, *who, "delete", each.table, each.rows)
            deleted[each.table] = deleted.get(each.table, 0) + each.count
        else:
            after = _after(cursor, catalog.by_name.get(each.table), each)
            audit.record_change(cursor, *who, "update", each.table, each.rows, after)
    return deleted


def foresee_delete(cursor: Cursor, table: Table, row: StoredRow) -> list[Dependents]:
    """Return for each foreign key, at any depth, the rows that deleting a row would affect."""
    return _dependents(cursor, table, _is(table, row))


def _is(table: Table, row: StoredRow) -> sql.Composable:
    """SQL: the row t has the key of this row."""
    assert table.key is not None
    return filters.all_conditions(
        [
            query(
                "rows.compared",
                column=sql.Identifier("t", name),
                sign=sql.SQL("="),
                value=filters.filter_value(table.by_name[name], text),
            )
            for name, text in zip(table.key.columns, row.key, strict=True)
        ]
    )


def _touched(cursor: Cursor, table: Table, condition: sql.Composable) -> list[TouchedRows]:
    """Return the rows that foreign keys would affect, at any depth."""
    some = _dependents(cursor, table, condition)
    names = sorted({each.reference.child_name for each in some})
    return [each for name in names for each in _of_table(cursor, name, some) if each.count]


def _dependents(cursor: Cursor, table: Table, condition: sql.Composable) -> list[Dependents]:
    known = references_to(cursor, table)
    if not known:
        return []
    doomed = RowsToDelete(cursor, table, 0, condition, known)
    found = doomed.dependents(cursor, known, {table.full_name: doomed.stays}, whole=True)
    return [each for each in found.values() if each.rows]


def _of_table(cursor: Cursor, name: str, some: Sequence[Dependents]) -> list[TouchedRows]:
    """Return the affected rows of one table; a deleted row is not counted as changed, too."""
    mine = [each for each in some if each.reference.child_name == name]
    found: list[TouchedRows] = []
    others: sql.Composable = sql.SQL("true")
    # In the order of _FATES: a row that one key deletes cannot be changed by another.
    for fate in _FATES:
        kept = [k for each in mine if each.reference.on_delete in fate for k in each.kept]
        if kept:
            union = sql.SQL(" union all ").join(query("rows.keeper", kept=each) for each in kept)
            cursor.execute(query("rows.kept", kept=union, others=others))
            count, rows = fetch_one(cursor)
            found.append(TouchedRows(name, fate, count, rows, union))
            if fate == "c":
                others = query("rows.not_among", kept=union)
    return found


def _check(touched: Sequence[TouchedRows], order: DeleteOptions) -> None:
    dependents: dict[str, int] = {}
    for each in touched:
        dependents[each.table] = dependents.get(each.table, 0) + each.count
    told = ", ".join(f"{e.count:,} of {e.table} would be {_FATES[e.fate]}" for e in touched)
    fact = f"other rows refer to the row: {told}"
    if any(each.fate == "ar" for each in touched):
        hint = "their foreign key forbids it: delete or change those rows first"
        raise HasDependents(fact, hint, dependents)
    if touched and not order.cascade:
        raise HasDependents(fact, None, dependents)
    for name in dependents:
        order.check(name)


def _after(cursor: Cursor, child: Table | None, each: TouchedRows) -> str:
    """Return changed rows as they are now, as a JSON array; empty if the table has no key."""
    if child is None or child.key is None:
        return "[]"
    same = [
        query(
            "rows.compared",
            column=sql.Identifier("t", name),
            sign=sql.SQL("="),
            value=sql.Identifier("k", name),
        )
        for name in child.key.columns
    ]
    parts = {"table": child.identifier, "kept": each.kept, "same": filters.all_conditions(same)}
    cursor.execute(query("rows.changed", **parts))
    found: str = fetch_one(cursor)[0]
    return found
