"""Merges good rows of the stage into their table: inserts, updates, leaves equal rows alone."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from psycopg2 import errorcodes, sql
from psycopg2.errors import ForeignKeyViolation, UniqueViolation

from rowboat.catalog.tables import Catalog, Table, Unique
from rowboat.database.connections import RACES, Cursor, driver_message, fetch_one, is_row_fault
from rowboat.database.statements import join_names, query
from rowboat.door import stage
from rowboat.door.context import Judged
from rowboat.door.stage import key_name
from rowboat.door.staged_columns import Sql
from rowboat.errors import RowNotStored, RowRefused

_COMMA = sql.SQL(", ")


@dataclass(frozen=True)
class Merged:
    """How many rows a merge inserted, updated and found equal; the greatest id of the good rows.

    `judged` is what was judged before, with those rows refused, too, that the table did not store.
    """

    inserted: int
    updated: int
    unchanged: int
    last_id: int | None
    judged: Judged


@dataclass(frozen=True)
class MergePlan:
    """How the good rows of the stage are to be written.

    The table has the keys of `different` good rows with other values, and of `unchanged` ones with
    the same values. Of the different ones, `displaced` were deleted from the table and are inserted
    again. `updates` and `inserts` count the rows to be written; `at_once` is true if all writes
    have to be one statement.
    """

    different: int
    unchanged: int
    displaced: int
    updates: int
    inserts: int
    at_once: bool

    @property
    def has_matches(self) -> bool:
        """Whether the table has, or had before the merge, the key of any good row."""
        return bool(self.different or self.unchanged)


def plan_merge(
    judged: Judged, different: int, unchanged: int, displaced: int, deletes: bool
) -> MergePlan:
    """Decide how to write the good rows; `deletes` is true if other rows are to be deleted too.

    One statement is needed if rows of the table refer to each other: foreign keys are checked when
    a statement ends, and after only a part of the writes they might not hold.
    """
    new = judged.rows.count - judged.refused - different - unchanged
    updates = different - displaced if judged.terms.on_known != "leave" else 0
    return MergePlan(
        different,
        unchanged,
        displaced,
        updates=updates,
        inserts=new + displaced,
        at_once=deletes or (updates > 0 and judged.terms.table.refers_to_itself),
    )


def may_skip_triggers(cursor: Cursor, catalog: Catalog, table: Table) -> bool:
    """Return whether the judge may check foreign keys in place of their row triggers, at a quarter
    of the cost: the table has any, the role may disable triggers, and no trigger of the table's own
    would be missed.
    """
    return bool(table.foreign_keys) and may_be_silent(cursor, catalog, table)


def may_be_silent(cursor: Cursor, catalog: Catalog, table: Table) -> bool:
    """Return whether row triggers may be disabled for a table, with or without foreign keys."""
    if table.has_triggers or table.judged_references != table.foreign_keys:
        return False
    if {key.parent for key in table.foreign_keys} - set(catalog.by_name):
        return False
    referring = [table.by_name[name] for key in table.foreign_keys for name in key.columns]
    if any(column.default and not column.has_constant_default for column in referring):
        return False  # the judge does not see what the database will put there
    quoted = sql.Literal(table.identifier.as_string(cursor))
    cursor.execute(query("merge.may_skip_triggers", table=quoted))
    return bool(fetch_one(cursor)[0])


def may_displace(cursor: Cursor, catalog: Catalog, table: Table) -> bool:
    """Return whether rows of a table may be deleted and inserted anew without a trace: no trigger
    or policy of the table takes part, and rows that refer to it stay as they are.
    """
    if table.guards or not any(not unique.deferrable for unique in table.uniques):
        return False
    return not table.is_referenced or may_be_silent(cursor, catalog, table)


def skip_triggers(cursor: Cursor, table: Table) -> None:
    """Lock the parents, and keep row triggers from firing until the transaction ends.

    The judge checks all parents at once. Call it first in the transaction: the snapshot that the
    judge sees must be taken after the lock, or a parent deleted in between would go unnoticed.
    """
    hold_parents(cursor, table)
    if table.refers_to_itself:
        _hold(cursor, [table.identifier], "share row exclusive")
    cursor.execute(query("merge.skip_triggers"))


def hold_parents(cursor: Cursor, table: Table) -> None:
    """Keep other writers from the parents until the transaction ends.

    A parent that changed meanwhile would make this transaction fail, and repeat all of its work.
    """
    parents = [key.parent_identifier for key in table.foreign_keys if key.parent != table.full_name]
    if parents:
        _hold(cursor, parents, "share")


def fire_triggers(cursor: Cursor) -> None:
    """Let row triggers fire again: deletes need them."""
    cursor.execute(query("merge.fire_triggers"))


def _hold(cursor: Cursor, tables: list[sql.Identifier], mode: str) -> None:
    names = {each.strings: each for each in tables}
    parents = _COMMA.join(names[each] for each in sorted(names))  # one order: no deadlock
    cursor.execute(query("merge.hold", parents=parents, mode=sql.SQL(mode)))


def merge_rows(cursor: Cursor, judged: Judged, leaving: Sql | None = None) -> Merged:
    """Move the good rows of the stage into the table.

    `leaving` deletes other rows of the table, as part of the same statement.
    """
    # counted here, not when they were matched: some have been refused since
    different, unchanged = count_matched(cursor, judged)
    displaced = _displace(cursor, judged) if different and judged.terms.displaces else 0
    plan = plan_merge(judged, different, unchanged, displaced, deletes=leaving is not None)
    if unchanged and judged.terms.origin == "file":  # only files have several cargoes
        cursor.execute(query("merge.remember", key=_key(judged), good=judged.good))
    if plan.at_once:
        inserted, updated = _write_at_once(cursor, judged, plan, leaving)
    else:
        updated = _write_updates(cursor, judged) if plan.updates else 0
        inserted = _write_inserts(cursor, judged, plan) if plan.inserts else 0
    if judged.terms.table.guards and (inserted, updated) != (plan.inserts, plan.updates):
        judged, inserted, updated = _refuse_lost(cursor, judged, plan, inserted, updated)
    # a displaced row was deleted and inserted: to the caller that is an update
    inserted, updated = inserted - displaced, updated + displaced
    name = judged.terms.table.serial_key
    last_id = _greatest(cursor, judged, name) if name and judged.columns.cover((name,)) else None
    left = different if judged.terms.on_known == "leave" else 0
    return Merged(inserted, updated, unchanged + left, last_id, judged)


def _write_at_once(
    cursor: Cursor, judged: Judged, plan: MergePlan, leaving: Sql | None
) -> tuple[int, int]:
    """Delete, update and insert in one statement; return the rows inserted and updated."""
    no_row = query("merge.no_row")
    cursor.execute(
        query(
            "merge.at_once",
            leave=leaving or no_row,
            update=query("merge.updated", update=_update(judged)) if plan.updates else no_row,
            insert=_insert(judged, query("merge.new_after_updates")),
        )
    )
    updated, inserted = fetch_one(cursor)  # a statement with CTEs has no row count of theirs
    return inserted, updated


def _write_updates(cursor: Cursor, judged: Judged) -> int:
    # the planner takes the stage for small, and would look up its rows one by one
    stage.prefer_set_lookups(cursor, judged.rows.count)
    cursor.execute(_update(judged))
    updated = cursor.rowcount
    stage.prefer_set_lookups(cursor, 0)
    return updated


def _write_inserts(cursor: Cursor, judged: Judged, plan: MergePlan) -> int:
    # a first load matches nothing, and is spared the join to `match`
    cursor.execute(_insert(judged, query("merge.new") if plan.has_matches else sql.SQL("true")))
    return cursor.rowcount


def _refuse_lost(
    cursor: Cursor, judged: Judged, plan: MergePlan, inserted: int, updated: int
) -> tuple[Judged, int, int]:
    """Refuse the good rows that a guard of the table, such as a trigger, did not let it store.

    Returns what is judged then, and how many rows were inserted and updated. A row that a trigger
    stored elsewhere in the table's family counts as stored. Raises RowNotStored if the keys do not
    show which rows are meant: the caller has to find out with fewer rows.
    """
    table = judged.terms.table
    message = not_stored(table)
    if not _knows_keys(judged):
        raise RowNotStored(message)
    parts = {"message": sql.Literal(message), "good": judged.good}
    new, kept = 0, 0
    if inserted < plan.inserts:
        absent = {"new": query("merge.new"), "absent": _absent(judged)}
        cursor.execute(query("merge.not_inserted", **absent, **parts))
        new = cursor.rowcount
    if updated < plan.updates:
        cursor.execute(query("merge.not_updated", there=_there(table), **parts))
        kept = cursor.rowcount
    # a key that a trigger changed is not found, and a displaced row must not be lost
    if new > plan.inserts - inserted or (new and plan.displaced):
        raise RowNotStored(message)
    refused = replace(judged, refused=judged.refused + new + kept)
    return refused, plan.inserts - new, plan.updates - kept


def not_stored(table: Table) -> str:
    """Return the message for a row that a guard of its table did not let it store."""
    return f"a {' or a '.join(table.guards)} of {table.full_name} did not store it"


def _knows_keys(judged: Judged) -> bool:
    key = judged.terms.table.key
    return key is not None and judged.columns.cover(key.columns)


def _absent(judged: Judged) -> Sql:
    table = judged.terms.table
    assert table.key is not None
    theirs = [sql.Identifier("t", name) for name in table.key.columns]
    joined = judged.columns.joined(table.key.columns, theirs)
    return query("merge.absent", table=table.identifier, joined=joined)


def _there(table: Table) -> Sql:
    return query("merge.there", table=table.identifier)


def _lost(judged: Judged) -> Sql:
    """SQL: the row whose turn it is was not stored, if nothing was inserted or updated."""
    if not judged.terms.table.guards or not _knows_keys(judged):
        return sql.SQL("true" if judged.terms.table.guards else "false")
    return query(
        "merge.lost",
        is_next=query("merge.is_next"),
        new=query("merge.new"),
        absent=_absent(judged),
        updates=sql.SQL("true" if judged.terms.on_known == "update" else "false"),
        there=_there(judged.terms.table),
    )


def count_matched(cursor: Cursor, judged: Judged) -> tuple[int, int]:
    """Count the good rows whose key the table has with other values, and with the same."""
    cursor.execute(query("merge.matched", good=judged.good))
    different, unchanged = fetch_one(cursor)
    return different, unchanged


def count_overtaken(cursor: Cursor, judged: Judged) -> int:
    """Count the good rows that differ from the table's, which stays because they are old."""
    cursor.execute(query("merge.overtaken", good=judged.good))
    found: int = fetch_one(cursor)[0]
    return found


def advance_sequences(cursor: Cursor, judged: Judged) -> None:
    """Move the table's sequences past ids that the rows brought."""
    for name in judged.columns.names:
        sequence = judged.terms.table.by_name[name].sequence
        if sequence is None:
            continue
        greatest = _greatest(cursor, judged, name)
        cursor.execute(query("merge.last_value", sequence=sql.Identifier(*_parts(sequence))))
        # a rollback does not undo setval: it is called only if the sequence is behind
        if greatest is not None and greatest > fetch_one(cursor)[0]:
            cursor.execute(query("merge.advance"), {"sequence": sequence, "value": greatest})


def merge_one_by_one(cursor: Cursor, judged: Judged) -> list[tuple[int, str]]:
    """Move the good rows into the table one at a time; return the numbers (from 1) of those that
    break a rule the judge does not know, such as a trigger's, each with the database's message.

    Call it only if such a row is known to be among them: a privilege that one lacks is a policy's.
    """
    is_next = query("merge.is_next")
    good = sql.SQL(" and ").join([judged.good, is_next])
    known = judged.terms.on_known == "update" and judged.terms.table.key and _rest(judged)
    body = query(
        "merge.each",
        good=judged.good,
        update=_update(judged, good) if known else query("merge.nothing"),
        insert=_insert(judged, query("merge.new"), good),
        lost=_lost(judged),
        message=sql.Literal(not_stored(judged.terms.table)),
    )
    cursor.execute(query("merge.one_by_one", body=sql.Literal(cursor.shown(body))))
    cursor.execute(query("merge.faults"))
    return [
        (n, fact)
        for n, state, rule, fact in cursor.fetchall()
        if (is_row_fault(state) or state == errorcodes.INSUFFICIENT_PRIVILEGE)
        and not (state in RACES and _is_judged(judged, rule))
    ]


@contextmanager
def telling_own_rules(judged: Judged) -> Iterator[None]:
    """Raise RowRefused if a row breaks a rule that the judge does not know, such as a unique index.

    Judging again would not help. If the judge knows the rule, another writer was faster: the
    driver's error is passed on, and the caller judges again.
    """
    try:
        yield
    except (UniqueViolation, ForeignKeyViolation) as error:
        if _is_judged(judged, error.diag.constraint_name):
            raise
        raise RowRefused(driver_message(error)) from error


def _is_judged(judged: Judged, rule: str | None) -> bool:
    """Return whether the judge knows a key or reference, and the rows it let through keep it.

    A guard of the table may change a row after it was judged, or skip its parent.
    """
    return rule in judged.rows.rule_names and not judged.terms.table.guards


def record_overwritten(cursor: Cursor, judged: Judged, load_id: int) -> None:
    """Record which transactions had written the rows that this load updated."""
    cursor.execute(
        query("merge.overwritten", key=_key(judged), good=judged.good),
        {"load_id": load_id},
    )


def _key(judged: Judged) -> Sql:
    assert judged.terms.table.key is not None
    return _COMMA.join(key_name(index) for index, _ in enumerate(judged.terms.table.key.columns))


def holds_wanted_value(judged: Judged, stage_row: Sql, uniques: Sequence[Unique]) -> Sql:
    """SQL: a good row of the stage, not `stage_row`, brings a value that t has in `uniques`."""
    found = [
        query(
            "merge.wanted",
            good=judged.good,
            other=stage_row,
            joined=judged.columns.joined(
                unique.columns, [sql.Identifier("t", n) for n in unique.columns], unique.nulls_equal
            ),
        )
        for unique in uniques
        if judged.columns.cover(unique.columns)
    ]
    return sql.SQL("({})").format(sql.SQL(" or ").join(found)) if found else sql.SQL("false")


def _displace(cursor: Cursor, judged: Judged) -> int:
    """Delete rows that no update could change in place; they are inserted again with the new ones.

    Two rows that exchange a unique value cannot be updated one after the other.
    """
    rest, table = _rest(judged), judged.terms.table
    at_each_row = [unique for unique in table.uniques if not unique.deferrable]
    # An update cannot set a column that is GENERATED ALWAYS AS IDENTITY; an insert can override it.
    if not rest or any(table.by_name[n].identity == "a" for n in rest):
        which: Sql = sql.SQL("true")
    elif not at_each_row:
        return 0
    else:
        which = holds_wanted_value(judged, sql.SQL("m.n"), at_each_row)
    # the rows will be there again: nothing is to happen to those that refer to them
    quietly = table.is_referenced and not judged.terms.replaces and _fires_triggers(cursor)
    if quietly:
        cursor.execute(query("merge.skip_triggers"))
    cursor.execute(query("merge.displace", table=table.identifier, which=which))
    displaced = cursor.rowcount
    if quietly:
        fire_triggers(cursor)
    return displaced


def _fires_triggers(cursor: Cursor) -> bool:
    cursor.execute(query("merge.fires_triggers"))
    return bool(fetch_one(cursor)[0])


def _rest(judged: Judged) -> tuple[str, ...]:
    """Return the columns that an update sets; of the key only those that it may change.

    If there is nothing but the key, that is it: equal keys may be written differently (1.0, 1.00).
    """
    assert judged.terms.table.key is not None
    keys = judged.terms.table.key.columns
    if judged.terms.replaces:
        keys = tuple(name for name in keys if judged.terms.table.by_name[name].identity == "a")
    return tuple(name for name in judged.columns.names if name not in keys) or keys


def _update(judged: Judged, good: Sql | None = None) -> sql.Composed:
    rest = _rest(judged)
    return query(
        "merge.update",
        table=judged.terms.table.identifier,
        columns=join_names(rest),
        values=_COMMA.join(map(judged.columns.value, rest)),
        good=good or judged.good,
    )


def _insert(judged: Judged, new: Sql, good: Sql | None = None) -> sql.Composed:
    return query(
        "merge.insert",
        table=judged.terms.table.identifier,
        columns=join_names(judged.columns.names),
        values=_COMMA.join(map(judged.columns.value, judged.columns.names)),
        good=good or judged.good,
        new=new,
    )


def _greatest(cursor: Cursor, judged: Judged, name: str) -> int | None:
    """Return the greatest value of an integer column in good and equal rows.

    The keys that were read with the file often have it already, which saves reading the stage.
    """
    keys = judged.rows.keys if name == judged.terms.table.serial_key else None
    if keys and not judged.refused:
        return keys.greatest
    if keys and keys.last is not None:  # the row with the greatest key; if it is good, that is all
        cursor.execute(query("merge.is_refused"), {"n": keys.last})
        if not fetch_one(cursor)[0]:
            return keys.greatest
    equal = query("merge.greatest_equal") if keys and judged.rows.equal else sql.SQL("null")
    cursor.execute(
        query("merge.greatest", value=judged.columns.value(name), good=judged.good, equal=equal)
    )
    found: int | None = fetch_one(cursor)[0]
    return found


def _parts(name: str) -> list[str]:
    """Split a name as Postgres quotes it, such as "Schema".sequence, into its parts."""
    found = re.findall(r'"((?:[^"]|"")*)"|([^".]+)', name)
    return [quoted.replace('""', '"') or plain for quoted, plain in found]
