"""Merges good rows of the stage into their table: insert, update, leave equal rows alone."""

import re
from dataclasses import dataclass

from psycopg2 import sql

from rowboat.catalog import Catalog, Table
from rowboat.database import Cursor
from rowboat.judge import Bench
from rowboat.queries import identifiers, query

_COMMA = sql.SQL(", ")


@dataclass(frozen=True)
class Merged:
    """How many rows a merge inserted, updated and found equal; the greatest id of the good rows."""

    inserted: int
    updated: int
    unchanged: int
    last_id: int | None


def may_skip_triggers(cursor: Cursor, catalog: Catalog, table: Table) -> bool:
    """Tell whether foreign keys may be kept true without their row triggers, at a quarter of the
    cost: the role must be allowed to, and no trigger of the table's own may be missed.
    """
    if table.has_triggers or not table.foreign_keys:
        return False
    if {key.parent for key in table.foreign_keys} - set(catalog.by_name):
        return False
    for child in catalog.children(table):
        for key in child.foreign_keys:
            refers = key.parent == table.full_name
            if refers and (table.key is None or key.parent_columns != table.key.columns):
                return False  # an update may move what a child refers to
    cursor.execute(query("merge.may_skip_triggers"))
    return bool(cursor.fetchone()[0])  # type: ignore[index]


def skip_triggers(cursor: Cursor, table: Table) -> None:
    """Lock the parents in place and keep row triggers from firing until the transaction ends.

    The judge checks all parents at once. Must come first in the transaction, so that the snapshot
    which the judge sees is taken after the lock.
    """
    parents = [
        key.parent_identifier for key in table.foreign_keys if key.parent != table.full_name
    ]
    if parents:
        _hold(cursor, parents, "share")
    if table.refers_to_itself:
        _hold(cursor, [table.identifier], "share row exclusive")
    cursor.execute(query("merge.skip_triggers"))


def _hold(cursor: Cursor, tables: list[sql.Identifier], mode: str) -> None:
    names = {each.strings: each for each in tables}
    parents = _COMMA.join(names[each] for each in sorted(names))  # one order: no deadlock
    cursor.execute(query("merge.hold", parents=parents, mode=sql.SQL(mode)))


def merge(cursor: Cursor, bench: Bench) -> Merged:
    """Move the good rows of the stage into the table and its sequences past their ids."""
    good = query("merge.good")
    values = _COMMA.join(map(bench.value, bench.columns))
    updated = unchanged = 0
    if _has_matches(cursor):
        updated = _update(cursor, bench, good)
        cursor.execute(query("merge.unchanged", good=good))
        unchanged = cursor.fetchone()[0]  # type: ignore[index]
        if unchanged:
            cursor.execute(query("merge.remember", key=_key(bench), good=good))
            bench.remembers = True
    cursor.execute(
        query(
            "merge.insert",
            table=bench.table.identifier,
            columns=identifiers(bench.columns),
            values=values,
            good=good,
        )
    )
    inserted = cursor.rowcount
    if inserted:
        _advance_sequences(cursor, bench, good)
    name = bench.table.serial_key
    last_id = _greatest(cursor, bench, name, good) if name and bench.has((name,)) else None
    return Merged(inserted, updated, unchanged, last_id)


def record_overwritten(cursor: Cursor, bench: Bench, load_id: int) -> None:
    """Keep which loads had written the rows that this one updated."""
    cursor.execute(
        query("merge.overwritten", key=_key(bench), good=query("merge.good")),
        {"load_id": load_id},
    )


def _has_matches(cursor: Cursor) -> bool:
    cursor.execute(query("merge.has_matches"))
    return bool(cursor.fetchone()[0])  # type: ignore[index]


def _key(bench: Bench) -> sql.Composable:
    assert bench.table.key is not None
    return _COMMA.join(map(bench.value, bench.table.key.columns))


def _update(cursor: Cursor, bench: Bench, good: sql.Composable) -> int:
    assert bench.table.key is not None
    key = bench.table.key.columns
    rest = tuple(name for name in bench.columns if name not in key)
    if not rest:
        return 0
    cursor.execute(
        query(
            "merge.update",
            table=bench.table.identifier,
            columns=identifiers(rest),
            values=_COMMA.join(map(bench.value, rest)),
            joined=bench.joined(key, [sql.Identifier("t", name) for name in key]),
            good=good,
        )
    )
    return cursor.rowcount


def _advance_sequences(cursor: Cursor, bench: Bench, good: sql.Composable) -> None:
    for name in bench.columns:
        sequence = bench.table.by_name[name].sequence
        if sequence is None:
            continue
        greatest = _greatest(cursor, bench, name, good)
        cursor.execute(query("merge.last_value", sequence=sql.Identifier(*_parts(sequence))))
        if greatest is not None and greatest > cursor.fetchone()[0]:  # type: ignore[index]
            cursor.execute(query("merge.advance"), {"sequence": sequence, "value": greatest})


def _greatest(
    cursor: Cursor, bench: Bench, name: str, good: sql.Composable
) -> int | None:
    cursor.execute(query("merge.greatest", value=bench.value(name), good=good))
    found: int | None = cursor.fetchone()[0]  # type: ignore[index]
    return found


def _parts(name: str) -> list[str]:
    """Split a name that Postgres quoted, as "Schema".sequence, into its parts."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]
