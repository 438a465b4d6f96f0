"""Merges good rows of the stage into their table: insert, update, leave equal rows alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.errors import ForeignKeyViolation, UniqueViolation

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import RACES, ROW_FAULTS, Cursor, driver_message, fetch_one
from rowboat.database.statements import join_names, query
from rowboat.door import stage
from rowboat.door.context import Bench
from rowboat.door.stage import key_name
from rowboat.errors import RowRefused

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
    return bool(table.foreign_keys) and may_be_silent(cursor, catalog, table)


def may_be_silent(cursor: Cursor, catalog: Catalog, table: Table) -> bool:
    """Tell the same of a table that need not have foreign keys."""
    if table.has_triggers or {key.parent for key in table.foreign_keys} - set(catalog.by_name):
        return False
    referring = [table.by_name[name] for key in table.foreign_keys for name in key.columns]
    if any(column.default and not column.has_constant_default for column in referring):
        return False  # the judge does not see what the database will put there
    quoted = sql.Literal(table.identifier.as_string(cursor))
    cursor.execute(query("merge.may_skip_triggers", table=quoted))
    return bool(fetch_one(cursor)[0])


def skip_triggers(cursor: Cursor, table: Table) -> None:
    """Lock the parents in place and keep row triggers from firing until the transaction ends.

    The judge checks all parents at once. Must come first in the transaction, so that the snapshot
    which the judge sees is taken after the lock.
    """
    hold_parents(cursor, table)
    if table.refers_to_itself:
        _hold(cursor, [table.identifier], "share row exclusive")
    cursor.execute(query("merge.skip_triggers"))


def hold_parents(cursor: Cursor, table: Table) -> None:
    """Keep other writers from the parents until the transaction ends; they would undo its work."""
    parents = [key.parent_identifier for key in table.foreign_keys if key.parent != table.full_name]
    if parents:
        _hold(cursor, parents, "share")


def fire_triggers(cursor: Cursor) -> None:
    """Let row triggers fire again, as a delete needs them to."""
    cursor.execute(query("merge.fire_triggers"))


def _hold(cursor: Cursor, tables: list[sql.Identifier], mode: str) -> None:
    names = {each.strings: each for each in tables}
    parents = _COMMA.join(names[each] for each in sorted(names))  # one order: no deadlock
    cursor.execute(query("merge.hold", parents=parents, mode=sql.SQL(mode)))


def merge_rows(cursor: Cursor, bench: Bench) -> Merged:
    """Move the good rows of the stage into the table."""
    different, unchanged = count_matched(cursor, bench)
    displaced = _displace(cursor, bench) if different and bench.replaces else 0
    updates = different > displaced and bench.on_known != "leave"
    if unchanged and bench.source == "file":  # nothing else comes in several cargoes
        cursor.execute(query("merge.remember", key=_key(bench), good=bench.good))
    known = bool(different or unchanged)
    if bench.leaving or (updates and bench.table.refers_to_itself):
        nobody = query("merge.nobody")
        cursor.execute(
            query(
                "merge.at_once",
                leave=bench.leaving or nobody,
                update=query("merge.updated", update=_update(bench)) if updates else nobody,
                insert=_insert(bench, query("merge.new_after_updates")),
            )
        )
        updated, inserted = fetch_one(cursor)
    else:
        updated = 0
        if updates:
            stage.prefer_set_lookups(cursor, bench.is_large)
            cursor.execute(_update(bench))
            updated = cursor.rowcount
            stage.prefer_set_lookups(cursor, False)
        inserted = 0
        if bench.staged - bench.refused + displaced > different + unchanged:
            cursor.execute(_insert(bench, query("merge.new") if known else sql.SQL("true")))
            inserted = cursor.rowcount
    inserted, updated = inserted - displaced, updated + displaced
    name = bench.table.serial_key
    last_id = _greatest(cursor, bench, name) if name and bench.has((name,)) else None
    return Merged(inserted, updated, different + unchanged - updated, last_id)


def count_matched(cursor: Cursor, bench: Bench) -> tuple[int, int]:
    """Count the good rows whose key the table has with other values, and with the same."""
    cursor.execute(query("merge.matched", good=bench.good))
    different, unchanged = fetch_one(cursor)
    return different, unchanged


def advance_sequences(cursor: Cursor, bench: Bench) -> None:
    """Move the table's sequences past ids that were given explicitly."""
    for name in bench.columns:
        sequence = bench.table.by_name[name].sequence
        if sequence is None:
            continue
        greatest = _greatest(cursor, bench, name)
        cursor.execute(query("merge.last_value", sequence=sql.Identifier(*_parts(sequence))))
        if greatest is not None and greatest > fetch_one(cursor)[0]:
            cursor.execute(query("merge.advance"), {"sequence": sequence, "value": greatest})


def merge_one_by_one(cursor: Cursor, bench: Bench) -> list[tuple[int, str]]:
    """Move the good rows into the table one at a time; return those that it refuses by rules that
    the judge does not know, and its words.
    """
    is_next = query("merge.is_next")
    good = sql.SQL(" and ").join([bench.good, is_next])
    known = bench.on_known == "update" and bench.table.key and _rest(bench)
    body = query(
        "merge.each",
        good=bench.good,
        update=_update(bench, good) if known else query("merge.nothing"),
        insert=_insert(bench, query("merge.new"), good),
    )
    cursor.execute(query("merge.one_by_one", body=sql.Literal(cursor.shown(body))))
    cursor.execute(query("merge.faults"))
    return [
        (n, fact)
        for n, state, rule, fact in cursor.fetchall()
        if state.startswith(ROW_FAULTS) and not (state in RACES and rule in bench.judged)
    ]


@contextmanager
def telling_own_rules(bench: Bench) -> Iterator[None]:
    """Tell a race from a rule that the judge does not know, such as that of a unique index.

    Raises RowRefused for the latter, where judging again would not help.
    """
    try:
        yield
    except (UniqueViolation, ForeignKeyViolation) as error:
        if error.diag.constraint_name in bench.judged:
            raise
        raise RowRefused(driver_message(error)) from error


def record_overwritten(cursor: Cursor, bench: Bench, load_id: int) -> None:
    """Keep which loads had written the rows that this one updated."""
    cursor.execute(
        query("merge.overwritten", key=_key(bench), good=bench.good),
        {"load_id": load_id},
    )


def _key(bench: Bench) -> sql.Composable:
    assert bench.table.key is not None
    return _COMMA.join(key_name(index) for index, _ in enumerate(bench.table.key.columns))


def holds_wanted_value(bench: Bench, stage_row: sql.Composable) -> sql.Composable:
    """SQL: the row t holds a unique value that a good row of the stage, not `stage_row`, brings."""
    found = [
        query(
            "merge.wanted",
            good=bench.good,
            other=stage_row,
            joined=bench.joined(
                unique.columns, [sql.Identifier("t", n) for n in unique.columns], unique.nulls_equal
            ),
        )
        for unique in bench.table.uniques
        if bench.has(unique.columns)
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(found)) if found else sql.SQL("false")


def _displace(cursor: Cursor, bench: Bench) -> int:
    """Take rows out that no update could change; they come back with the rows to insert."""
    rest, key = _rest(bench), bench.table.key
    assert key is not None
    if not rest or any(bench.table.by_name[n].identity == "a" for n in rest):
        which: sql.Composable = sql.SQL("true")
    elif not bench.table.uniques:
        return 0
    else:
        which = holds_wanted_value(bench, sql.SQL("m.n"))
    cursor.execute(query("merge.displace", table=bench.table.identifier, which=which))
    return cursor.rowcount


def _rest(bench: Bench) -> tuple[str, ...]:
    """The columns that an update sets; those of the key too where it may be written otherwise."""
    assert bench.table.key is not None
    keys = bench.table.key.columns
    if bench.replaces:
        keys = tuple(name for name in keys if bench.table.by_name[name].identity == "a")
    return tuple(name for name in bench.columns if name not in keys)


def _update(bench: Bench, good: sql.Composable | None = None) -> sql.Composed:
    rest = _rest(bench)
    return query(
        "merge.update",
        table=bench.table.identifier,
        columns=join_names(rest),
        values=_COMMA.join(map(bench.value, rest)),
        good=good or bench.good,
    )


def _insert(bench: Bench, new: sql.Composable, good: sql.Composable | None = None) -> sql.Composed:
    return query(
        "merge.insert",
        table=bench.table.identifier,
        columns=join_names(bench.columns),
        values=_COMMA.join(map(bench.value, bench.columns)),
        good=good or bench.good,
        new=new,
    )


def _greatest(cursor: Cursor, bench: Bench, name: str) -> int | None:
    keys = bench.keys if name == bench.table.serial_key else None
    if keys and not bench.refused:
        return keys.greatest
    if keys and keys.last is not None:
        cursor.execute(query("merge.is_refused"), {"n": keys.last})
        if not fetch_one(cursor)[0]:
            return keys.greatest
    equal = query("merge.greatest_equal") if keys and bench.equal else sql.SQL("null")
    cursor.execute(query("merge.greatest", value=bench.value(name), good=bench.good, equal=equal))
    found: int | None = fetch_one(cursor)[0]
    return found


def _parts(name: str) -> list[str]:
    """Split a name that Postgres quoted, as "Schema".sequence, into its parts."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]
