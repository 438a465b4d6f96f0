"""Restores tables from a backup, through the door and in one transaction, and plans restores.

A safety copy of everything that may be overwritten is taken and verified first. To undo a restore
is to restore its safety copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg2 import sql
from psycopg2.errors import ForeignKeyViolation, UndefinedTable, UniqueViolation
from psycopg2.extras import Json

from rowboat.backup import sets, shelf
from rowboat.backup.recovery import safety
from rowboat.backup.recovery.plan import Plan
from rowboat.backup.recovery.sequence import RestoreSequence
from rowboat.backup.recovery.source import Source, source_of_set
from rowboat.backup.recovery.table_restore import RestoreOrder, TableRestore
from rowboat.catalog import migrations
from rowboat.catalog.tables import Catalog, read_catalog
from rowboat.database.connections import (
    Connection,
    Cursor,
    driver_message,
    fetch_one,
    fetch_rows,
    persistently,
    transaction,
)
from rowboat.database.statements import query
from rowboat.door.merge import may_be_silent
from rowboat.door.passage import Report
from rowboat.errors import (
    PlanChanged,
    RestoreRefused,
    UnknownRestore,
    UnknownSet,
)

_LONGEST_NAME = 63  # bytes, by Postgres


@dataclass
class Restored:
    """A restore that was done; `safety` is the set that an undo restores."""

    id: int
    plan: Plan
    safety: str

    def to_json(self) -> dict[str, Any]:
        """Return the restore as a JSON document: its plan, carried out, and its safety copy."""
        return {"id": self.id, **self.plan.to_json(), "safety": self.safety}


def plan_restore(connection: Connection, order: RestoreOrder) -> Plan:
    """Return what a restore would do; changes nothing, and takes no lock that blocks writers."""
    with transaction(connection, keep=False) as cursor:
        steps = _steps(cursor, read_catalog(cursor), order)
        _prepare(cursor, steps)
        sequence = RestoreSequence(cursor, steps)
        for step in steps:
            sequence.judge(step)
            step.progress_to(1)
    return Plan(order.set, order.mode, [step.plan for step in steps])


def restore_tables(connection: Connection, order: RestoreOrder) -> Restored:
    """Take a safety copy, then carry the order out in one transaction.

    Raises WouldCascade, PlanChanged, RestoreRefused, BackupRefused; then nothing has changed.
    """
    with sets.only_writer(connection):
        return persistently(partial(_restore, connection, order))


def undo_order(connection: Connection, number: int, actor: str) -> RestoreOrder:
    """Return the order that undoes a restore.

    Raises UnknownRestore, or UnknownSet if its safety copy has expired.
    """
    with transaction(connection) as cursor:
        found = recorded_plan(cursor, number)
    if (name := found["safety_set"]) not in shelf.set_names():
        raise UnknownSet(
            f"the safety copy of restore {number}, {name}, is no longer on the shelf",
            "restore from another backup: `rowboat backups` lists them",
        )
    sources = {table: source_of_set(name, table) for table in found["tables"]}
    return RestoreOrder(sources, "replace", actor, undoes=number)


def recorded_plan(cursor: Cursor, number: int) -> dict[str, Any]:
    """Return the record of a restore; raises UnknownRestore."""
    cursor.execute(query("restore.by_id"), {"id": number})
    found = next(iter(fetch_rows(cursor)), None)
    if found is None:
        raise UnknownRestore(f"there is no restore {number}")
    return found


def restore_of_run(cursor: Cursor, run: str) -> int | None:
    """Return the number of the restore that a run has done, or None."""
    cursor.execute(query("restore.by_run"), {"run": run})
    return next((row["id"] for row in fetch_rows(cursor)), None)


def list_restores(
    cursor: Cursor, limit: int = 50, before: int | None = None
) -> list[dict[str, Any]]:
    """Return the newest restores, or the newest of those with a number below `before`."""
    cursor.execute(query("restore.history"), {"limit": limit, "before": before})
    return fetch_rows(cursor)


def record_restore(
    cursor: Cursor,
    done: Plan,
    touched: Sequence[str],
    safety_set: str,
    actor: str,
    run: str | None = None,
    undoes: int | None = None,
    cascades: bool = False,
) -> int:
    """Record what was done to the `touched` tables, of which a safety set holds the rows from
    before; return its number. If an unload was undone, its file is again as it was.
    """
    facts = {
        "source_name": done.set,
        "tables": list(touched),
        "mode": done.mode,
        "cascades": cascades,
        "safety_set": safety_set,
        "undoes": undoes,
        "report": Json(done.to_json()),
        "actor": actor,
        "run": run,
    }
    cursor.execute(query("restore.record"), facts)
    number: int = fetch_one(cursor)[0]
    if undoes is not None:
        cursor.execute(query("restore.undo_unload"), facts)
    return number


def back_up_first(connection: Connection, order: RestoreOrder) -> str:
    """Take and verify a safety copy of what the order may overwrite; return its set."""
    with sets.only_writer(connection), transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        return safety.take_safety_copy(cursor, catalog, _touched(catalog, order), order.progress)


def restore_into(
    connection: Connection, source: Source, table: str, name: str, actor: str
) -> Report:
    """Restore into a new table with the rules of the old one, but no foreign keys.

    The session must be the owner's. Raises RestoreRefused if the name is taken or too long.
    """
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        like = catalog.table(table)
        if len(name.encode()) > _LONGEST_NAME:
            raise RestoreRefused(f"{name} is too long for a name", "name another table with --into")
        target = sql.Identifier(like.schema, name)
        cursor.execute(query("restore.is_taken"), {"name": target.as_string(cursor)})
        if fetch_one(cursor)[0]:
            raise RestoreRefused(
                f"{like.schema}.{name} is there already", "name another table with --into"
            )
        cursor.execute(query("restore.create_like", into=target, table=like.identifier))
        catalog = read_catalog(cursor)
        created = catalog.table(f"{like.schema}.{name}")
        order = RestoreOrder({created.full_name: source}, "replace", actor)
        step = TableRestore(created, source, order, 0)
        step.prepare(cursor)
        report = step.let_in(cursor, step.judge(cursor, {}))
        step.check(cursor, report)
        migrations.grant_rights(cursor, catalog)
    return report


def _steps(cursor: Cursor, catalog: Catalog, order: RestoreOrder) -> list[TableRestore]:
    _check_tables(catalog, order)
    tables = [each for each in catalog.in_order() if each.full_name in order.sources]
    return [
        TableRestore(
            table, order.sources[table.full_name], order, number,
            silent=may_be_silent(cursor, catalog, table),
        )
        for number, table in enumerate(tables)
    ]  # fmt: skip


def _check_tables(catalog: Catalog, order: RestoreOrder) -> None:
    if missing := set(order.sources) - set(catalog.by_name):
        raise RestoreRefused(
            f"the database has no {', '.join(sorted(missing))}",
            "`rowboat migrate` creates tables; name those to restore",
        )


def _prepare(cursor: Cursor, steps: Sequence[TableRestore]) -> None:
    """Stage all tables; find the rows that will be deleted, and what refers to them."""
    inside = {step.name for step in steps}
    for step in steps:
        step.prepare(cursor)
        step.set_aside(cursor)
    for step in steps:
        step.count_outside(cursor, inside)


def _restore(connection: Connection, order: RestoreOrder) -> Restored:
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        touched = _touched(catalog, order)
    taken = None
    try:
        with transaction(connection) as cursor:
            # The tables to lock were read in an earlier transaction, because the locks must come
            # first in this one. If they have changed since, the locks may be the wrong ones.
            try:
                safety.lock_tables(cursor, catalog, touched)
                changed = read_catalog(cursor) != catalog
            except UndefinedTable:
                changed = True
            if changed:
                raise RestoreRefused("the tables have been changed meanwhile", "run it again")
            if done_before := _done_before(cursor, order):
                return done_before
            held = order.safety
            if held is None or not safety.still_holds(cursor, catalog, held, touched):
                held = taken = safety.take_safety_copy(cursor, catalog, touched, order.progress)
            done = carry_out(cursor, catalog, order, touched)
            number = record_restore(
                cursor, done, touched, held, order.actor, order.run, order.undoes, order.cascade
            )
            return Restored(number, done, held)
    except BaseException:
        if taken is not None:  # needed nevertheless if only the answer to the commit was lost
            safety.drop_unused(connection, taken)
        raise


def _done_before(cursor: Cursor, order: RestoreOrder) -> Restored | None:
    """Return the restore that the same run has done already, or None.

    A run is repeated if its connection was lost, which may happen after its transaction committed.
    """
    cursor.execute(query("restore.by_run"), {"run": order.run})
    found = next(iter(fetch_rows(cursor)), None)
    if found is None:
        return None
    return Restored(found["id"], Plan.from_json(found["report"]), found["safety_set"])


def carry_out(
    cursor: Cursor, catalog: Catalog, order: RestoreOrder, touched: Sequence[str]
) -> Plan:
    """Carry an order out within a transaction; return the plan as it was carried out.

    `touched` are the tables of which there is a safety copy, all of them locked. Raises
    WouldCascade, PlanChanged, RestoreRefused.
    """
    steps = _steps(cursor, catalog, order)
    _prepare(cursor, steps)
    inside = {step.name for step in steps}
    for step in steps:
        step.covered = touched
        step.check_dependents(step.dependents)
    # Doomed rows to which no row refers are deleted first, children before parents: they may have
    # unique values that new rows need.
    for step in reversed(steps):
        if step.doomed:
            step.doomed.delete_free(cursor, inside)
    reports, sequence = [], RestoreSequence(cursor, steps)
    for step in steps:
        sequence.judge(step)
        reports.append(sequence.let_in(step))
    # The rows that referred to other doomed rows have been updated or deleted by now.
    for step in reversed(steps):
        step.delete_rest(cursor, steps)
    _check_deferred(cursor, steps)
    done = Plan(order.set, order.mode, [step.plan for step in steps])
    _check_plan(done, order.expected)
    for step, report in zip(steps, reports, strict=True):
        step.check(cursor, report)
    return done


def _check_deferred(cursor: Cursor, steps: Sequence[TableRestore]) -> None:
    """Check deferred constraints before the commit, where a broken one would pass for a race.

    Other writers are locked out, so there is none. Raises RestoreRefused.
    """
    if not any(step.table.has_deferred for step in steps):
        return
    try:
        cursor.execute(query("merge.check_now"))
    except (ForeignKeyViolation, UniqueViolation) as error:
        raise RestoreRefused(
            f"the rows of the backup break a deferred constraint: {driver_message(error)}",
            "restore the tables that belong together (--all), or restore --into a new table",
        ) from error


def _check_plan(done: Plan, expected: Plan | None) -> None:
    if expected is None:
        return
    tables, expected_tables = ([each.table for each in plan.tables] for plan in (done, expected))
    if (done.set, done.mode, tables) != (expected.set, expected.mode, expected_tables):
        raise PlanChanged("the plan is that of another restore; nothing was changed")
    for now, then in zip(done.tables, expected.tables, strict=True):
        if changed := now.changed(then):
            raise PlanChanged(f"the plan for {now.table} no longer holds: {', '.join(changed)}")


def _touched(catalog: Catalog, order: RestoreOrder) -> list[str]:
    _check_tables(catalog, order)
    return safety.tables_touched(catalog, order.sources, order.cascade and order.mode == "replace")
