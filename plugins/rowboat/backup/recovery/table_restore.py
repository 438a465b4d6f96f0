"""One table of a restore: stages its rows, has them judged and let in, deletes other rows."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from psycopg2 import sql
from psycopg2.errors import UniqueViolation

from rowboat.backup import take
from rowboat.backup.avro.schema import schema_of_table
from rowboat.backup.recovery.plan import Mode, Plan, TablePlan, schema_drift
from rowboat.backup.recovery.source import Source
from rowboat.backup.verify import Progress
from rowboat.catalog.tables import Table
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.door import judge, passage, stage
from rowboat.door.context import Judged, OnKnown
from rowboat.door.dependents import Dependents, Reference, RowsToDelete, references_to
from rowboat.door.merge import fire_triggers, holds_wanted_value, skip_triggers
from rowboat.door.passage import Passage, Report
from rowboat.door.staged_columns import StagedColumns
from rowboat.errors import BrokenPromise, RestoreRefused, RowNotStored, WouldCascade

_ON_KNOWN: dict[Mode, OnKnown] = {"replace": "update", "merge": "update", "missing": "leave"}


@dataclass
class RestoreOrder:
    """What to restore, how, and on whose behalf.

    `sources` is table → source of its rows; `expected` the plan that was approved; `safety` a
    safety copy that has been taken already; `undoes` the number of the restore that this one
    undoes; `on_trial` leaves sequences alone, because a rollback does not reset them.
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
        """The name of the set or file that the rows are from."""
        return next(iter(self.sources.values())).set


class TableRestore:
    """One table of a restore; `silent` if its row triggers may be switched off."""

    def __init__(
        self, table: Table, source: Source, order: RestoreOrder, number: int, silent: bool = False
    ) -> None:
        self.table, self.source, self.order, self.number = table, source, order, number
        self.silent = silent
        self.cargo = source.cargo(table)
        self.doomed: RowsToDelete | None = None
        self.cleared = 0
        self.covered: Collection[str] = ()
        self.dependents: dict[str, Dependents] = {}
        self.references: list[Reference] = []
        self.plan = TablePlan(table.full_name, drift=schema_drift(source.schema, table, order.mode))

    def prepare(self, cursor: Cursor) -> None:
        """Stage the rows of the backup and find the rows of the table that it lacks."""
        self._open_door(cursor)
        self.progress_to(0)
        stage.fill_stage(cursor, self.table, self.cargo)
        self.progress_to(0.5)
        self.references = references_to(cursor, self.table)
        if self.order.mode == "replace":
            absent = self._absent()
            self.doomed = RowsToDelete(cursor, self.table, self.number, absent, self.references)
            self.plan.delete = self.doomed.count

    def set_aside(self, cursor: Cursor) -> None:
        """Set the stage aside, to make room for other tables."""
        stage.set_stage_aside(cursor, self.number)

    def take_up(self, cursor: Cursor) -> None:
        """Put the rows that were set aside back on the stage."""
        self._open_door(cursor)
        stage.take_stage_up(cursor, self.number)

    def judge(self, cursor: Cursor, stand_ins: dict[str, sql.Composable]) -> Judged:
        """Judge the rows on the stage."""
        terms = passage.terms_of(
            self.table,
            self.cargo,
            self._passage(),
            gone=self.doomed.places if self.doomed and self.doomed.count else None,
            parents=stand_ins,
            replaces=self._replaces,
        )
        return judge.judge_cargo(cursor, terms, self._columns())

    def foresee(self, cursor: Cursor, judged: Judged) -> None:
        """Write into the plan what letting the rows in would do."""
        report = passage.foresee(cursor, self.cargo, judged)
        self.plan.insert, self.plan.update = report.inserted, report.updated
        self.plan.unchanged, self.plan.rejected = report.unchanged, report.rejected
        if report.rejected:
            cursor.execute(query("restore.reasons"))
            self.plan.reasons = fetch_rows(cursor)

    def count_outside(self, cursor: Cursor, inside: Collection[str]) -> None:
        """Count rows of tables that are not restored and refer to rows to be deleted."""
        if self.doomed:
            outside = [each for each in self.references if each.child_name not in inside]
            self._count(self.doomed.dependents(cursor, outside, {}, inside))

    def count_kept(self, cursor: Cursor, child: "TableRestore", inside: Collection[str]) -> None:
        """Count rows of a child that refer to rows to be deleted and will not be replaced.

        The child is on the stage; its new rows for the same keys were rejected.
        """
        if self.doomed:
            stays = [query("restore.keeps"), *([child.doomed.stays] if child.doomed else [])]
            of_child = [each for each in self.references if each.child_name == child.name]
            kept = {child.name: sql.SQL(" and ").join(stays)}
            self._count(self.doomed.dependents(cursor, of_child, kept, inside))

    def check_dependents(self, found: Mapping[str, Dependents]) -> None:
        """Raise RestoreRefused or WouldCascade if rows would be touched that may not be."""
        for label, each in found.items():
            if each.rows and each.reference.forbids:
                raise RestoreRefused(
                    f"{each.rows:,} rows of {label} refer to rows of {self.name} that the backup "
                    "does not have, and their foreign key does not allow deleting those",
                    "restore that table too (--all), or use --mode merge, which deletes nothing",
                )
        touched = [f"{each.rows:,} of {label}" for label, each in found.items() if each.rows]
        if touched and not self.order.cascade:
            raise WouldCascade(
                f"deleting rows of {self.name} that the backup does not have would affect others: "
                + ", ".join(touched)
            )
        for label, each in found.items():
            if each.rows and each.reference.child_name not in self.covered:
                raise RestoreRefused(
                    f"{each.rows:,} rows of {label} would be {each.reference.action}, and no "
                    "safety copy can contain them: Rowboat does not manage their table",
                    "delete them yourself, or use --mode merge, which deletes nothing",
                )

    def stand_in(
        self, cursor: Cursor, judged: Judged | None, stand_ins: dict[str, sql.Composable]
    ) -> None:
        """Add a stand-in, against which children are judged: a copy of the keys they refer to.

        It has the rows that the table will have after the restore: the good ones of the backup and
        those that stay; if the table is not `judged` yet, all rows of the backup and those.
        """
        wanted = {name for each in self.references for name in each.parent_columns}
        names = sorted(wanted & set(self.cargo.columns))
        if not names or wanted - set(names):
            return
        name = sql.Identifier(f"rowboat_{'parent' if judged else 'promise'}_{self.number}")
        columns_ = judged.columns if judged else self._columns()
        values = [
            sql.SQL("{} as {}").format(columns_.value(each), sql.Identifier(each)) for each in names
        ]
        columns = [sql.Identifier("t", each) for each in names]
        cursor.execute(
            query(
                "restore.stand_in",
                stand_in=name,
                values=sql.SQL(", ").join(values),
                stage=stage.NAME if judged else stage.name_stage_aside(self.number),
                good=query("merge.good") if judged else sql.SQL("true"),
                columns=sql.SQL(", ").join(columns),
                table=self.table.identifier,
                stays=query("judge.stays", gone=self.doomed.places)
                if self.doomed
                else sql.SQL("true"),
            )
        )
        stand_ins[self.name] = name

    def let_in(self, cursor: Cursor, judged: Judged, inside: Collection[str] = ()) -> Report:
        """Let the good rows in and quarantine the others."""
        leaving = None
        # Doomed rows with unique values that new rows need have to be deleted first. With triggers
        # switched off, that includes rows to which others still refer; delete_rest checks that no
        # reference is left. Otherwise, if a table refers to itself, rows are deleted by the same
        # statement that changes the rows which refer to them.
        if self.silent:
            skip_triggers(cursor, self.table)
            if self.doomed and judged.terms.replaces:
                in_way = holds_wanted_value(judged, sql.SQL("null"), self.table.uniques)
                self.cleared = self.doomed.delete_in_way(cursor, in_way, inside)
        elif self.doomed and self.doomed.count and self.table.refers_to_itself:
            leaving = self.doomed.leaving(set(inside) - {self.name})
        if not self.order.on_trial:
            cursor.execute(
                query("restore.supersede"), {"table": self.name, "source_name": self.source.name}
            )
        try:
            report, merged = passage.let_in(cursor, self.cargo, judged, self._passage(), leaving)
            if merged.judged is not judged:
                raise RowNotStored
        except RowNotStored as error:
            raise RestoreRefused(
                f"a {' or a '.join(self.table.guards)} of {self.name} did not store every row of "
                "the backup; nothing was changed",
                "let it pass all rows while you restore (`alter table … disable trigger …`)",
            ) from error
        except UniqueViolation as error:  # not a race: other writers are locked out
            raise self._in_way() from error
        if self.silent:
            fire_triggers(cursor)
        self.progress_to(1)
        return report

    def delete_rest(self, cursor: Cursor, steps: Sequence["TableRestore"]) -> None:
        """Delete the doomed rows to which rows of restored tables referred until now."""
        if not self.doomed or not self.doomed.count:
            return
        stays = {each.name: each.doomed.stays for each in steps if each.doomed}
        found = self.doomed.dependents(cursor, self.references, stays)
        self.check_dependents(found)
        some = any(each.rows for each in found.values())
        if some and self.cleared:
            raise self._in_way()
        if self.silent and not some:
            skip_triggers(cursor, self.table)  # the doomed rows may refer to each other in a ring
        self.doomed.delete_rest(cursor)
        if self.silent:
            fire_triggers(cursor)

    def check(self, cursor: Cursor, report: Report) -> None:
        """Raise BrokenPromise unless the table has the digest of the backup.

        It need not if rows were rejected or kept, or if the columns have changed.
        """
        same_columns = schema_of_table(self.table).digest == self.source.schema.digest
        if self.order.mode != "replace" or report.rejected or not same_columns:
            return
        if take.digest_table(cursor, self.table) != self.source.digest:
            raise BrokenPromise(f"{self.name} is not equal to the backup; it was rolled back")

    @property
    def name(self) -> str:
        """The table's full name."""
        return self.table.full_name

    def progress_to(self, share: float) -> None:
        """Report progress as a share of the source's rows."""
        rows_ = self.source.rows
        self.order.progress(self.source.schema.table, int(share * rows_), rows_)

    @property
    def _replaces(self) -> bool:
        """Whether rows may be deleted and inserted anew if an update cannot change them."""
        whole = len(self.cargo.columns) == len(self.table.stored)
        may = self.silent or not self.references
        return self.order.mode != "missing" and self.table.key is not None and whole and may

    def _in_way(self) -> RestoreRefused:
        return RestoreRefused(
            f"rows of {self.name} that others refer to hold unique values that the backup needs",
            "restore the tables that refer to it too (--all), or restore --into a new table",
        )

    def _count(self, found: dict[str, Dependents]) -> None:
        self.dependents |= {label: each for label, each in found.items() if each.rows}
        for label, each in found.items():
            self.plan.dependents[label] = each.rows + self.plan.dependents.get(label, 0)
            if each.rows:
                self.plan.actions[label] = each.reference.action

    def _open_door(self, cursor: Cursor) -> None:
        passage.open_door(cursor, self.table, self.cargo.columns, self.cargo.typed)

    def _columns(self) -> StagedColumns:
        return passage.staged_columns_of(self.table, self.cargo, self._passage())

    def _absent(self) -> sql.Composable:
        if self.table.key is None:
            return sql.SQL("true")
        columns = self.table.key.columns
        others = [sql.Identifier("t", name) for name in columns]
        return query("restore.absent", joined=self._columns().joined(columns, others))

    def _passage(self) -> Passage:
        return Passage(
            "backup", self.source.name, self.order.actor, self.order.run,
            on_known=_ON_KNOWN[self.order.mode], on_trial=self.order.on_trial,
        )  # fmt: skip
