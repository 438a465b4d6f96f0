"""Merges good rows of the stage into their table: insert, update, leave equal rows alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.errors import ForeignKeyViolation, UniqueViolation

from rowboat.catalog import Catalog, Table
from rowboat.database import Cursor, one, said
from rowboat.errors import RowRefused
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
    referring = [table.by_name[name] for key in table.foreign_keys for name in key.columns]
    if any(column.default and not column.has_constant_default for column in referring):
        return False  # the judge does not see what the database will put there
    for child in catalog.children(table):
        for key in child.foreign_keys:
            refers = key.parent == table.full_name
            if refers and (table.key is None or key.parent_columns != table.key.columns):
                return False  # an update may move what a child refers to
    cursor.execute(query("merge.may_skip_triggers"))
    return bool(one(cursor)[0])


def skip_triggers(cursor: Cursor, table: Table) -> None:
    """Lock the parents in place and keep row triggers from firing until the transaction ends.

    The judge checks all parents at once. Must come first in the transaction, so that the snapshot
    which the judge sees is taken after the lock.
    """
    parents = [key.parent_identifier for key in table.foreign_keys if key.parent != table.full_name]
    if parents:
        _hold(cursor, parents, "share")
    if table.refers_to_itself:
        _hold(cursor, [table.identifier], "share row exclusive")
    cursor.execute(query("merge.skip_triggers"))


def fire_triggers(cursor: Cursor) -> None:
    """Let row triggers fire again, as a delete needs them to."""
    cursor.execute(query("merge.fire_triggers"))


def _hold(cursor: Cursor, tables: list[sql.Identifier], mode: str) -> None:
    names = {each.strings: each for each in tables}
    parents = _COMMA.join(names[each] for each in sorted(names))  # one order: no deadlock
    cursor.execute(query("merge.hold", parents=parents, mode=sql.SQL(mode)))


def merge(cursor: Cursor, bench: Bench) -> Merged:
    """Move the good rows of the stage into the table."""
    different, unchanged = matched(cursor, bench)
    updated = _update(cursor, bench) if different and bench.on_known != "leave" else 0
    if unchanged and bench.source == "file":  # nothing else comes in several cargoes
        cursor.execute(query("merge.remember", key=_key(bench), good=_good(bench)))
    cursor.execute(
        query(
            "merge.insert",
            table=bench.table.identifier,
            columns=identifiers(bench.columns),
            values=_COMMA.join(map(bench.value, bench.columns)),
            good=_good(bench),
            new=query("merge.new") if different or unchanged else sql.SQL("true"),
        )
    )
    inserted = cursor.rowcount
    name = bench.table.serial_key
    last_id = _greatest(cursor, bench, name) if name and bench.has((name,)) else None
    return Merged(inserted, updated, different + unchanged - updated, last_id)


def matched(cursor: Cursor, bench: Bench) -> tuple[int, int]:
    """Count the good rows whose key the table has with other values, and with the same."""
    cursor.execute(query("merge.matched", good=_good(bench)))
    different, unchanged = one(cursor)
    return different, unchanged


def advance_sequences(cursor: Cursor, bench: Bench) -> None:
    """Move the table's sequences past ids that were given explicitly."""
    for name in bench.columns:
        sequence = bench.table.by_name[name].sequence
        if sequence is None:
            continue
        greatest = _greatest(cursor, bench, name)
        cursor.execute(query("merge.last_value", sequence=sql.Identifier(*_parts(sequence))))
        if greatest is not None and greatest > one(cursor)[0]:
            cursor.execute(query("merge.advance"), {"sequence": sequence, "value": greatest})


@contextmanager
def own_rules(bench: Bench) -> Iterator[None]:
    """Tell a race from a rule that the judge does not know, such as that of a unique index.

    Raises RowRefused for the latter, where judging again would not help.
    """
    try:
        yield
    except (UniqueViolation, ForeignKeyViolation) as error:
        if error.diag.constraint_name in bench.judged:
            raise
        raise RowRefused(said(error)) from error


def record_overwritten(cursor: Cursor, bench: Bench, load_id: int) -> None:
    """Keep which loads had written the rows that this one updated."""
    cursor.execute(
        query("merge.overwritten", key=_key(bench), good=_good(bench)),
        {"load_id": load_id},
    )


def _good(bench: Bench) -> sql.Composable:
    return query("merge.good") if bench.refused else sql.SQL("true")


def _key(bench: Bench) -> sql.Composable:
    assert bench.table.key is not None
    return _COMMA.join(map(bench.value, bench.table.key.columns))


def _update(cursor: Cursor, bench: Bench) -> int:
    assert bench.table.key is not None
    rest = tuple(name for name in bench.columns if name not in bench.table.key.columns)
    cursor.execute(
        query(
            "merge.update",
            table=bench.table.identifier,
            columns=identifiers(rest),
            values=_COMMA.join(map(bench.value, rest)),
            good=_good(bench),
        )
    )
    return cursor.rowcount


def _greatest(cursor: Cursor, bench: Bench, name: str) -> int | None:
    if name == bench.table.serial_key and not bench.refused:
        return bench.key_range[1]
    cursor.execute(query("merge.greatest", value=bench.value(name), good=_good(bench)))
    found: int | None = one(cursor)[0]
    return found


def _parts(name: str) -> list[str]:
    """Split a name that Postgres quoted, as "Schema".sequence, into its parts."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]
