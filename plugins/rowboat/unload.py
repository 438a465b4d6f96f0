"""Unloads a file: takes exactly those of its rows out of the database that are as it brought them.

Postgres keeps the transaction that wrote each row (xmin), and Rowboat the transactions of each
file. A row leaves if all transactions that are known to have written it are of the file. A safety
copy of the table is taken first, as before a restore, so that an unload can be undone like one.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from difflib import get_close_matches
from functools import partial
from typing import Any

from psycopg2 import sql
from psycopg2.errors import LockNotAvailable

from rowboat.backup import sets
from rowboat.backup.recovery import safety
from rowboat.backup.recovery.plan import Plan, TablePlan
from rowboat.backup.recovery.restore import record_restore
from rowboat.backup.verify import Progress
from rowboat.catalog.tables import Catalog, Table, read_catalog
from rowboat.database.connections import (
    Connection,
    Cursor,
    fetch_one,
    persistently,
    transaction,
)
from rowboat.database.statements import query
from rowboat.door import quarantine, rejected_rows
from rowboat.door.dependents import RowsToDelete, references_to
from rowboat.door.merge import fire_triggers, may_be_silent, skip_triggers
from rowboat.door.rejected_rows import RejectFilter
from rowboat.errors import Contended, FileRefused, PlanChanged, UnloadRefused
from rowboat.ingest import discovery, position
from rowboat.ingest.position import Position

BECAUSE = "its file was unloaded"  # why open refused rows are discarded
_FEW = 5  # examples


@dataclass
class Changer:
    """What has changed rows of a file: a file or backup of this name, or an actor's requests."""

    source: str
    name: str | None
    actor: str
    rows: int


@dataclass
class TableUnload:
    """What unloading a file means for one of its tables, in numbers of rows.

    `leaving` are inserted by the file and as it brought them; `updated` were there before and stay
    as the file left them; `changed` were changed by other loads and stay; `lost` were deleted, or
    changed outside Rowboat. `dependents` is foreign key → rows that refer to leaving ones,
    `actions` what a delete would do to these, `bringers` files that brought them. Examples are
    keys, or rows of a table without a key.
    """

    table: str
    leaving: int = 0
    leaving_examples: list[str] = field(default_factory=list)
    updated: int = 0
    updated_examples: list[str] = field(default_factory=list)
    changed: list[Changer] = field(default_factory=list)
    lost: int = 0
    dependents: dict[str, int] = field(default_factory=dict)
    actions: dict[str, str] = field(default_factory=dict)
    bringers: list[str] = field(default_factory=list)


@dataclass
class UnloadPlan:
    """What unloading a file would do; `refused` are its open refused rows, which are discarded."""

    file: str
    tables: list[TableUnload]
    refused: int

    @property
    def leaving(self) -> int:
        """The number of rows that leave."""
        return sum(each.leaving for each in self.tables)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as a JSON document."""
        return asdict(self)

    def check(self, approved: "UnloadPlan | None" = None) -> None:
        """Raise UnloadRefused if the file cannot be unloaded, PlanChanged if more rows would leave
        than were approved.
        """
        if not self.leaving:
            raise UnloadRefused(f"no row in the database is as {self.file} brought it")
        for each in self.tables:
            if each.dependents:
                refer = [f"{rows:,} of {label}" for label, rows in each.dependents.items()]
                raise UnloadRefused(
                    f"others refer to rows of {each.table} that {self.file} brought: "
                    + ", ".join(refer),
                    f"unload first what brought those: {', '.join(each.bringers)}"
                    if each.bringers
                    else "delete or change those rows first",
                )
        if approved and self.leaving > approved.leaving:
            raise PlanChanged(
                f"{self.leaving:,} rows would leave instead of {approved.leaving:,}",
                "look at the new plan, then unload again",
            )


@dataclass
class UnloadOrder:
    """Which file to unload, by its name in raw_data, for whom; `approved` is the plan shown."""

    file: str
    actor: str
    approved: UnloadPlan | None = None
    progress: Progress = lambda *_: None


@dataclass
class Unloaded:
    """A file that was unloaded; `id` is what `rowboat undo` takes, `safety` its safety copy."""

    id: int
    plan: UnloadPlan
    safety: str

    def to_json(self) -> dict[str, Any]:
        """Return what was done as a JSON document."""
        return {"id": self.id, **self.plan.to_json(), "safety": self.safety}


def find_file(connection: Connection, name: str) -> str:
    """Return the recorded name of a file, given that or a path; raises FileRefused."""
    with transaction(connection) as cursor:
        known = position.all_positions(cursor)
    for each in (name, discovery.open_raw_data().name(name)):
        if each in known:
            return each
    near = get_close_matches(name, known, _FEW)
    hint = f"the nearest names are: {', '.join(near)}" if near else None
    raise FileRefused(f"{name} is not known", hint or "`rowboat status` lists the files")


def plan_unload(connection: Connection, order: UnloadOrder) -> UnloadPlan:
    """Return what unloading a file would do; changes nothing.

    Raises FileRefused, or UnloadRefused if it is unloaded already.
    """
    with transaction(connection, keep=False) as cursor:
        return _Unload.begin(cursor, read_catalog(cursor), order).plan


def unload_file(connection: Connection, order: UnloadOrder) -> Unloaded:
    """Take a safety copy, then take the rows of a file out, in one transaction.

    Raises FileRefused, UnloadRefused, PlanChanged, BackupRefused; then nothing has changed.
    """
    with sets.only_writer(connection):
        return persistently(partial(_unload, connection, order))


def _unload(connection: Connection, order: UnloadOrder) -> Unloaded:
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        touched = sorted(_brought(cursor, catalog, order.file))
    held = None
    try:
        with transaction(connection) as cursor:
            _lock(cursor, catalog, touched, order.file)
            if (
                read_catalog(cursor) != catalog
                or sorted(_brought(cursor, catalog, order.file)) != touched
            ):
                raise Contended("the tables of the file have changed meanwhile")
            work = _Unload.begin(cursor, catalog, order)
            work.plan.check(order.approved)
            held = safety.take_safety_copy(cursor, catalog, touched, order.progress)
            work.delete()
            return Unloaded(work.record(touched, held), work.plan, held)
    except BaseException:
        if held is not None:  # needed nevertheless if only the answer to the commit was lost
            safety.drop_unused(connection, held)
        raise


def _brought(cursor: Cursor, catalog: Catalog, file: str) -> dict[str, int]:
    """Return table → number of rows that a file inserted; tables that were dropped are left out."""
    cursor.execute(query("unload.brought"), {"file_name": file})
    return {name: rows for name, rows in cursor.fetchall() if name in catalog.by_name}


def _lock(cursor: Cursor, catalog: Catalog, tables: Sequence[str], file: str) -> None:
    """Lock the tables, those that refer to them, and the file; raises UnloadRefused."""
    children = {
        child.full_name for name in tables for child in catalog.children(catalog.by_name[name])
    }
    cursor.execute(query("unload.wait_for_locks"))
    try:
        # the tables come first: the snapshot is taken with the next statement
        safety.lock_tables(cursor, catalog, {*tables, *children})
    except LockNotAvailable as error:
        raise UnloadRefused("others are writing to the tables", "try again later") from error
    cursor.execute(query("unload.try_lock_file"), {"file_name": file})
    if not fetch_one(cursor)[0]:
        raise UnloadRefused(f"{file} is being loaded", "try again when that has ended")


@dataclass
class _Unload:
    """An unload within a transaction: its plan, and the rows that leave, parents first."""

    cursor: Cursor
    catalog: Catalog
    order: UnloadOrder
    plan: UnloadPlan
    doomed: list[RowsToDelete] = field(default_factory=list)

    @classmethod
    def begin(cls, cursor: Cursor, catalog: Catalog, order: UnloadOrder) -> "_Unload":
        """Find the rows that leave, and what refers to them; count those that stay."""
        where = _check_file(cursor, order.file)
        own = position.transactions_of_versions(cursor, order.file, 1, where.version)
        cursor.execute(query("unload.own"), {"own": own})
        counts = rejected_rows.count_rejects(cursor, RejectFilter(source_name=order.file))
        plan = UnloadPlan(order.file, [], sum(each.rows for each in counts))
        self = cls(cursor, catalog, order, plan)
        brought = _brought(cursor, catalog, order.file)
        for table in catalog.in_order():
            if table.full_name in brought:
                self._find(table, brought[table.full_name])
        stays: dict[str, sql.Composable] = {
            each.table.full_name: each.stays for each in self.doomed
        }
        for found, doomed in zip(plan.tables, self.doomed, strict=True):
            self._find_dependents(found, doomed, stays)
        return self

    def delete(self) -> None:
        """Delete the rows that leave; raises UnloadRefused if a trigger keeps some."""
        for doomed in reversed(self.doomed):
            table = doomed.table
            # no row refers to them, and all who could write such a row are locked out
            silent = may_be_silent(self.cursor, self.catalog, table) and all(
                each.child_name in self.catalog.by_name for each in doomed.references
            )
            if silent:
                skip_triggers(self.cursor, table)
            if doomed.delete_rest(self.cursor) != doomed.count:
                raise UnloadRefused(
                    f"a trigger, rule or policy of {table.full_name} keeps rows from being deleted",
                    "change that, then unload again",
                )
            if silent:
                fire_triggers(self.cursor)

    def record(self, touched: Sequence[str], held: str) -> int:
        """Record the unload, discard what was refused of the file, and return what undo takes."""
        facts = {"file_name": self.order.file, "actor": self.order.actor}
        of_file = RejectFilter(source_name=self.order.file)
        quarantine.discard_rejects(self.cursor, of_file, self.order.actor, BECAUSE)
        for each in self.plan.tables:
            self.cursor.execute(query("unload.record"), facts | {"table": each.table})
        self.cursor.execute(query("unload.settle"), facts)
        tables = [TablePlan(each.table, delete=each.leaving) for each in self.plan.tables]
        return record_restore(
            self.cursor, Plan(self.order.file, "unload", tables), touched, held, self.order.actor
        )

    def _find(self, table: Table, brought: int) -> None:
        """Find the rows of one table that leave, and count those that stay."""
        number, found = len(self.doomed), TableUnload(table.full_name)
        facts = {"file_name": self.order.file, "table": table.full_name, "few": _FEW}
        parts: dict[str, sql.Composable] = {
            "table": table.identifier,
            "shown": sql.SQL("left(t::text, 100)"),
            "before": sql.Identifier(f"rowboat_before_{number}"),
        }
        parts["written"] = which = query("unload.written")
        changed = 0
        if table.key:
            parts["key"] = sql.SQL(", ").join(
                sql.Identifier("t", name) for name in table.key.columns
            )
            parts["shown"] = sql.SQL("concat_ws(',', {})").format(parts["key"])
            self.cursor.execute(query("unload.before", **parts), facts)
            if self.cursor.rowcount:
                was_there = query("unload.was_there", **parts)
                updated = sql.SQL("{} and {}").format(which, was_there)
                which = sql.SQL("{} and not {}").format(which, was_there)
                self.cursor.execute(query("unload.updated", which=updated, **parts), facts)
                found.updated, found.updated_examples = fetch_one(self.cursor)
            self.cursor.execute(query("unload.changed", **parts), facts)
            for source, name, actor, rows, again in self.cursor.fetchall():
                found.changed += [Changer(source, name, actor, rows)] if rows else []
                changed += rows + again
        references = references_to(self.cursor, table)
        doomed = RowsToDelete(self.cursor, table, number, which, references)
        self.cursor.execute(query("unload.examples", doomed=doomed.name, **parts), facts)
        found.leaving = doomed.count
        found.leaving_examples = [shown for (shown,) in self.cursor.fetchall()]
        found.lost = max(0, brought - found.leaving - changed)
        self.doomed.append(doomed)
        self.plan.tables.append(found)

    def _find_dependents(
        self, found: TableUnload, doomed: RowsToDelete, stays: dict[str, sql.Composable]
    ) -> None:
        """Find the rows that refer to those of a table that leave, and who brought them."""
        if not doomed.count:
            return
        bringers: dict[str, None] = {}  # as an ordered set
        for label, each in doomed.dependents(self.cursor, doomed.references, stays).items():
            if not each.rows:
                continue
            found.dependents[label], found.actions[label] = each.rows, each.reference.action
            facts = {"table": each.reference.child_name, "few": _FEW}
            for kept in each.kept:
                parts = {"child": each.reference.child, "kept": kept}
                self.cursor.execute(query("unload.bringers", **parts), facts)
                bringers |= dict.fromkeys(name for (name,) in self.cursor.fetchall())
        found.bringers = list(bringers)[:_FEW]


def _check_file(cursor: Cursor, file: str) -> Position:
    """Return the position of a file; raises FileRefused or UnloadRefused."""
    where = position.read_position(cursor, file)
    if where is None:
        raise FileRefused(f"{file} is not known", "`rowboat status` lists the files")
    if where.state == "unloaded":
        raise UnloadRefused(
            f"{file} is unloaded already", "`rowboat ingest --again` loads it again"
        )
    cursor.execute(query("unload.recurs"), {"file_name": file})
    if fetch_one(cursor)[0]:
        raise UnloadRefused(
            f"transaction IDs have wrapped around since {file} was loaded, so its rows cannot be "
            "told from others",
            "load it again with `rowboat ingest --again`, or delete its rows yourself",
        )
    return where
