"""Restores tables from a backup: planned first, through the one door, in one transaction.

A safety copy of everything that may be overwritten is taken and verified before; `undo` brings it
back by the same path.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from psycopg2 import sql
from psycopg2.extras import Json

from rowboat import backup, door, judge, migrations, sets, shelf, stage, verify
from rowboat import catalog as catalogs
from rowboat.avro import of_table
from rowboat.catalog import Catalog, Table
from rowboat.database import Connection, Cursor, one, persistently, rows, transaction
from rowboat.doomed import Dependents, Doomed, references
from rowboat.door import Passage, Report
from rowboat.errors import (
    BackupRefused,
    BrokenPromise,
    PlanChanged,
    RestoreRefused,
    UnknownRestore,
    WouldCascade,
)
from rowboat.judge import Bench, OnKnown
from rowboat.merge import fire_triggers, may_skip_triggers, skip_triggers
from rowboat.plan import Mode, Plan, TablePlan, drift
from rowboat.queries import query
from rowboat.source import Source, of_set
from rowboat.verify import Progress

_ON_KNOWN: dict[Mode, OnKnown] = {"replace": "update", "merge": "update", "missing": "leave"}


@dataclass
class Order:
    """What to restore and on whose behalf.

    `sources` is table → where its rows come from; `expected` the plan that was approved;
    `safety` a safety copy that was taken already; `undoes` the restore that is taken back;
    `on_trial` leaves the sequences alone, which no rollback takes back.
    """

    sources: dict[str, Source]
    mode: Mode
    actor: str
    run: str | None = None
    cascade: bool = False
    expected: Plan | None = None
    safety: str | None = None
    undoes: int | None = None
    on_trial: bool = False
    progress: Progress = lambda *_: None

    @property
    def set(self) -> str:
        """The set or file that the rows come from."""
        return next(iter(self.sources.values())).set


@dataclass
class Restored:
    """A restore that was done; `safety` is the set that an undo brings back."""

    id: int
    plan: Plan
    safety: str


def plan(connection: Connection, order: Order) -> Plan:
    """Tell what a restore would do; nothing is changed, and nobody has to wait."""
    with transaction(connection, keep=False) as cursor:
        catalog = catalogs.read(cursor)
        steps = _steps(catalog, order)
        stand_ins: dict[str, sql.Composable] = {}
        for step in steps:
            step.prepare(cursor)
            bench = step.judge(cursor, stand_ins)
            step.foresee(cursor, bench)
            step.count_dependents(cursor, skip=[each.table.full_name for each in steps])
            if len(steps) > 1:
                step.stand_in(cursor, bench, stand_ins)
    return Plan(order.set, order.mode, [step.plan for step in steps])


def restore(connection: Connection, order: Order) -> Restored:
    """Take a safety copy, then carry the order out in one transaction.

    Raises WouldCascade, PlanChanged, RestoreRefused; then everything is as it was.
    """
    with sets.writing(connection):
        return persistently(partial(_restore, connection, order))


def undo_order(connection: Connection, number: int, actor: str) -> Order:
    """Return the order that brings back what a restore overwrote.

    Raises UnknownRestore, or UnknownSet where its safety copy has expired.
    """
    with transaction(connection) as cursor:
        cursor.execute(query("restore.by_id"), {"id": number})
        found = next(iter(rows(cursor)), None)
    if found is None:
        raise UnknownRestore(f"there is no restore {number}")
    sources = {table: of_set(found["safety_set"], table) for table in found["tables"]}
    return Order(sources, "replace", actor, undoes=number)


def history(cursor: Cursor, limit: int = 50) -> list[dict[str, Any]]:
    """Return the newest restores."""
    cursor.execute(query("restore.history"), {"limit": limit})
    return rows(cursor)


def safety_copy(connection: Connection, order: Order) -> str:
    """Take and verify the copy of what the order may overwrite; return its set."""
    with sets.writing(connection), transaction(connection) as cursor:
        catalog = catalogs.read(cursor)
        return _take_safety_copy(cursor, catalog, _touched(catalog, order), order)


def into(connection: Connection, source: Source, table: str, name: str, actor: str) -> Report:
    """Restore into a new table beside the old one, with its rules but no foreign keys.

    The session is the owner's. Raises RestoreRefused where the name is taken.
    """
    with transaction(connection) as cursor:
        catalog = catalogs.read(cursor)
        like = catalog.table(table)
        if name in {each.name for each in catalog if each.schema == like.schema}:
            raise RestoreRefused(
                f"{like.schema}.{name} is there already", "name another table with --into"
            )
        target = sql.Identifier(like.schema, name)
        cursor.execute(query("restore.create_like", into=target, table=like.identifier))
        created = catalogs.read(cursor).table(f"{like.schema}.{name}")
        order = Order({created.full_name: source}, "replace", actor)
        step = Step(created, source, order, 0)
        step.prepare(cursor)
        report = step.let_in(cursor, step.judge(cursor, {}))
        step.check(cursor, report)
        migrations.grant(cursor)
    return report


class Step:
    """One table of a restore."""

    def __init__(self, table: Table, source: Source, order: Order, number: int) -> None:
        self.table, self.source, self.order, self.number = table, source, order, number
        self.cargo = source.cargo(table)
        self.doomed: Doomed | None = None
        self.plan = TablePlan(table.full_name, drift=drift(source.schema, table, order.mode))

    def prepare(self, cursor: Cursor) -> None:
        """Stage the backup's rows and find the rows that it does not have."""
        door.open_door(cursor, self.table, self.cargo.columns, self.cargo.typed)
        self.order.progress(self.table.full_name, 0, self.source.rows)
        stage.fill(cursor, self.table, self.cargo)
        self.order.progress(self.table.full_name, self.source.rows // 2, self.source.rows)
        if self.order.mode == "replace":
            self.doomed = Doomed(cursor, self.table, self.number, self._absent())

    def judge(self, cursor: Cursor, stand_ins: dict[str, sql.Composable]) -> Bench:
        """Judge the rows on the stage."""
        bench = door.bench_for(self.table, self.cargo, self._passage())
        bench.gone = self.doomed.places if self.doomed and self.doomed.count else None
        bench.parents = stand_ins
        judge.judge(cursor, bench)
        return bench

    def foresee(self, cursor: Cursor, bench: Bench) -> None:
        """Put into the plan what letting the rows in would do."""
        report = door.foresee(cursor, self.cargo, bench)
        self.plan.insert, self.plan.update = report.inserted, report.updated
        self.plan.unchanged, self.plan.rejected = report.unchanged, report.rejected
        self.plan.delete = self.doomed.count if self.doomed else 0
        if report.rejected:
            cursor.execute(query("restore.reasons"))
            self.plan.reasons = rows(cursor)

    def count_dependents(self, cursor: Cursor, skip: Sequence[str]) -> None:
        """Put into the plan how many rows of other tables the deletes would touch."""
        if self.doomed is None:
            return
        others = [name for name in skip if name != self.table.full_name]
        found = self.doomed.dependents(cursor, others)
        self.plan.dependents = {label: each.rows for label, each in found.items()}
        self.plan.actions = {
            label: each.reference.action for label, each in found.items() if each.rows
        }

    def stand_in(self, cursor: Cursor, bench: Bench, stand_ins: dict[str, sql.Composable]) -> None:
        """Let children be judged against what the table will be."""
        wanted = {name for each in references(cursor, self.table) for name in each.parent_columns}
        names = sorted(wanted & set(self.cargo.columns))
        if not names or wanted - set(names):
            return
        name = sql.Identifier(f"rowboat_parent_{self.number}")
        values = [
            sql.SQL("{} as {}").format(bench.value(each), sql.Identifier(each)) for each in names
        ]
        columns = [sql.Identifier("t", each) for each in names]
        cursor.execute(
            query(
                "restore.stand_in",
                stand_in=name,
                values=sql.SQL(", ").join(values),
                good=query("merge.good"),
                columns=sql.SQL(", ").join(columns),
                table=self.table.identifier,
                stays=query("judge.stays", gone=self.doomed.places)
                if self.doomed
                else sql.SQL("true"),
            )
        )
        stand_ins[self.table.full_name] = name

    def let_in(self, cursor: Cursor, bench: Bench) -> Report:
        """Let the good rows in, quarantine the others."""
        report, _ = door.let_in(cursor, self.cargo, bench, self._passage())
        self.order.progress(self.table.full_name, self.source.rows, self.source.rows)
        return report

    def check(self, cursor: Cursor, report: Report) -> None:
        """Assert that the table is the backup, where it should be; raises BrokenPromise."""
        same_columns = of_table(self.table).digest == self.source.schema.digest
        if self.order.mode != "replace" or report.rejected or not same_columns:
            return
        if backup.digest(cursor, self.table) != self.source.digest:
            raise BrokenPromise(
                f"{self.table.full_name} is not what the backup holds; it was rolled back"
            )

    def _absent(self) -> sql.Composable:
        if self.table.key is None:
            return sql.SQL("true")
        bench = door.bench_for(self.table, self.cargo, self._passage())
        columns = self.table.key.columns
        bench.dirty = set(columns)  # not judged yet
        joined = bench.joined(columns, [sql.Identifier("t", name) for name in columns])
        return query("restore.absent", joined=joined)

    def _passage(self) -> Passage:
        return Passage(
            "backup", self.source.name, self.order.actor, self.order.run,
            on_known=_ON_KNOWN[self.order.mode], on_trial=self.order.on_trial,
        )  # fmt: skip


def _steps(catalog: Catalog, order: Order) -> list[Step]:
    tables = [each for each in catalog.in_order() if each.full_name in order.sources]
    if missing := set(order.sources) - {each.full_name for each in tables}:
        raise RestoreRefused(
            f"the database has no {', '.join(sorted(missing))}",
            "`rowboat migrate` makes the tables; name those to restore",
        )
    return [
        Step(table, order.sources[table.full_name], order, number)
        for number, table in enumerate(tables)
    ]


def _restore(connection: Connection, order: Order) -> Restored:
    with transaction(connection) as cursor:
        catalog = catalogs.read(cursor)
        steps = _steps(catalog, order)
        touched = _touched(catalog, order)
        skips = {
            step.table.full_name for step in steps if may_skip_triggers(cursor, catalog, step.table)
        }
    safety = None
    try:
        with transaction(connection) as cursor:
            _lock(cursor, catalog, touched)
            if catalogs.read(cursor) != catalog:
                raise RestoreRefused("the tables were changed meanwhile", "run it again")
            if order.safety is None or not _still_holds(cursor, catalog, order.safety, touched):
                safety = _take_safety_copy(cursor, catalog, touched, order)
            done = _carry_out(cursor, steps, skips, order)
            cursor.execute(
                query("restore.record"),
                {
                    "source_name": order.set,
                    "tables": touched,
                    "mode": order.mode,
                    "cascades": order.cascade,
                    "safety_set": safety or order.safety,
                    "undoes": order.undoes,
                    "report": Json(done.to_json()),
                    "actor": order.actor,
                    "run": order.run,
                },
            )
            return Restored(one(cursor)[0], done, str(safety or order.safety))
    except BaseException:
        if safety is not None and safety in shelf.names():
            shelf.remove(safety)  # nothing was changed, so there is nothing to bring back
        raise


def _carry_out(cursor: Cursor, steps: list[Step], skips: set[str], order: Order) -> Plan:
    """Rows in, parents first; rows out, children first. Returns the plan that became true.

    What nothing refers to is deleted before rows come in, so that it is in no new row's way.
    """
    reports = []
    for step in steps:
        step.prepare(cursor)
        step.count_dependents(cursor, skip=[each.table.full_name for each in steps])
        if step.doomed:
            step.doomed.delete_free(cursor)
        bench = step.judge(cursor, {})
        step.foresee(cursor, bench)
        if step.table.full_name in skips:
            skip_triggers(cursor, step.table)
        reports.append(step.let_in(cursor, bench))
        fire_triggers(cursor)
    for step in reversed(steps):
        if step.doomed and step.doomed.is_left(cursor):
            _check_dependents(step, step.doomed.dependents(cursor), order.cascade)
            step.doomed.delete_rest(cursor)
    done = Plan(order.set, order.mode, [step.plan for step in steps])
    _check_plan(done, order.expected)
    for step, report in zip(steps, reports, strict=True):
        step.check(cursor, report)
    return done


def _check_dependents(step: Step, found: dict[str, Dependents], cascade: bool) -> None:
    name = step.table.full_name
    for label, each in found.items():
        if each.rows and each.reference.forbids:
            raise RestoreRefused(
                f"{each.rows:,} rows of {label} refer to rows of {name} that the backup does not "
                "have, and their foreign key lets none of those go",
                "restore that table too (--all), or use --mode merge, which deletes nothing",
            )
    touched = [f"{each.rows:,} of {label}" for label, each in found.items() if each.rows]
    if touched and not cascade:
        raise WouldCascade(
            f"rows of {name} that the backup does not have would take others with them: "
            + ", ".join(touched)
        )


def _check_plan(done: Plan, expected: Plan | None) -> None:
    if expected is None:
        return
    for now, then in zip(done.tables, expected.tables, strict=True):
        if now.numbers != then.numbers:
            changed = ", ".join(
                f"{name} {then.numbers[name]} is now {value}"
                for name, value in now.numbers.items()
                if value != then.numbers[name]
            )
            raise PlanChanged(f"the plan for {now.table} no longer holds: {changed}")


def _touched(catalog: Catalog, order: Order) -> list[str]:
    """The tables that a restore may change: with `cascade` also those below, by foreign keys."""
    found = dict.fromkeys(order.sources)
    if order.cascade and order.mode == "replace":
        waiting = [catalog.table(name) for name in order.sources]
        while waiting:
            for child in catalog.children(waiting.pop()):
                if child.full_name not in found:
                    found[child.full_name] = None
                    waiting.append(child)
    return sorted(found)


def _lock(cursor: Cursor, catalog: Catalog, touched: Sequence[str]) -> None:
    """Keep other writers out; first in the transaction, so that its snapshot comes after."""
    tables = [catalog.table(name) for name in touched]
    names = sql.SQL(", ").join(table.identifier for table in tables)
    cursor.execute(query("restore.lock", tables=names))
    parents = {
        key.parent: key.parent_identifier
        for table in tables
        for key in table.foreign_keys
        if key.parent not in touched
    }
    if parents:
        names = sql.SQL(", ").join(parents[name] for name in sorted(parents))
        cursor.execute(query("restore.lock_parents", tables=names))


def _take_safety_copy(cursor: Cursor, catalog: Catalog, tables: Sequence[str], order: Order) -> str:
    """Write, verify and record what the tables hold; return the set."""
    manifest = backup.write(cursor, catalog, tables, "safety", order.progress)
    findings = [each for copy in manifest.tables
                for each in verify.check(manifest.set, copy).findings]  # fmt: skip
    if findings:
        shelf.remove(manifest.set)
        raise BackupRefused(f"the safety copy cannot be read back: {findings[0]}")
    sets.record(cursor, manifest, pinned=False)
    cursor.execute(query("backup.verified"), {"set": manifest.set, "ok": True})
    return manifest.set


def _still_holds(cursor: Cursor, catalog: Catalog, name: str, tables: Sequence[str]) -> bool:
    """Tell whether the tables are still what an earlier safety copy holds."""
    copies = {copy.table: copy for copy in shelf.read(name).tables}
    return set(copies) == set(tables) and all(
        copies[table].schema_hash == of_table(catalog.table(table)).digest
        and copies[table].digest == backup.digest(cursor, catalog.table(table))
        for table in tables
    )
