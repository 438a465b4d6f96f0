"""Passes the rows of a request through the door in one transaction, with a result for each row."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from io import BytesIO
from typing import Any, Protocol, TypeAlias, TypeVar, cast

from rowboat.catalog.tables import INTEGERS, Catalog, Column, Table
from rowboat.csvfile.records import Reason
from rowboat.database import copy_binary
from rowboat.database.columnar import Cells, cells_of, cells_of_integers
from rowboat.database.connections import Cursor, Steps, savepoint
from rowboat.database.statements import query
from rowboat.door import merge
from rowboat.door.context import Judged, OnKnown
from rowboat.door.passage import Passage, Report, examine, let_in, open_door
from rowboat.door.stage import Cargo, Refused
from rowboat.errors import RowNotStored, RowRefused
from rowboat.ingest import rejudge
from rowboat.rows.write import audit, defaults
from rowboat.rows.write.audit import Action
from rowboat.rows.write.bodies import Cell, IncomingRow
from rowboat.rows.write.idempotency import IdempotentRequest, KeptAnswer

Result = TypeVar("Result")
Names: TypeAlias = tuple[str, ...]
_WIDTHS = {"smallint": 2, "integer": 4, "bigint": 8}  # bytes


@dataclass(frozen=True)
class BatchOptions:
    """What a request asks for.

    `on_known` says what is done with a row whose key the table has; `atomic` that no row is loaded
    if one is refused; `on_trial` that everything is rolled back in the end.
    """

    request: str
    actor: str
    on_known: OnKnown = "refuse"
    atomic: bool = False
    on_trial: bool = False
    action: Action = "insert"


@dataclass
class Delivery:
    """The result for the rows of one table.

    `ids` are the keys in the order of the rows, None for refused ones; `errors` are
    {"row", "column", "rule", "message"}, in that order too.
    """

    table: str
    report: Report
    ids: list[Any]
    errors: list[dict[str, Any]]


Answer: TypeAlias = Callable[[Cursor, list[Delivery]], KeptAnswer]


class Transact(Protocol):
    """Runs work in one transaction, and again after a conflict; rolls it back unless `keep`."""

    def __call__(self, work: Callable[[Cursor], Result], keep: bool = True) -> Result:
        """Return what the work returns."""
        ...


class _Incomplete(Exception):
    """Takes the transaction of an atomic batch back, as some of its rows are refused."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        super().__init__()
        self.deliveries = deliveries


@dataclass(frozen=True)
class _Culprit:
    """A row that the database itself refuses, and why; some cannot even be staged."""

    row: IncomingRow
    fact: str
    is_stageable: bool = True

    def blame(self) -> None:
        """Mark the row as refused, so that it goes to the quarantine."""
        self.row.reasons.append(Reason("check", None, self.fact))
        if not self.is_stageable:
            self.row.cells = None


def _prepare_nothing(_: Cursor) -> None:
    pass


@dataclass
class Batch:
    """The rows of a request by full name of their table, its options, and the result.

    `prepare` runs at the start of every transaction, before the rows pass the door.
    """

    catalog: Catalog
    rows: dict[str, list[IncomingRow]]
    order: BatchOptions
    prepare: Callable[[Cursor], None] = _prepare_nothing
    delivered: list[Delivery] = field(default_factory=list)

    def go(self, transact: Transact, answer: Answer, once: IdempotentRequest | None) -> KeptAnswer:
        """Pass all rows through the door, and keep the answer, in one transaction.

        `answer` makes the answer inside that transaction. Raises KeyReused, Contended, and
        RowRefused if the database refuses the rows and no single one is to blame.
        """
        keep = not self.order.on_trial
        attempt = partial(self._deliver_once, answer=answer, once=once)
        while True:
            try:
                return transact(partial(attempt, deliver=self._let_all_in), keep)
            except _Incomplete as error:
                # The exception has rolled back the rows that were let in.
                refuse_all = partial(self._refuse_all, deliveries=error.deliveries)
                return transact(partial(attempt, deliver=refuse_all), keep)
            except RowRefused:
                # A trigger or an index has refused a row that the judge accepted, and so ended the
                # transaction. Each round marks more rows as refused, so the loop ends.
                culprits = transact(self._find_culprits, keep=False)
                if not culprits:
                    raise
                for each in culprits:
                    each.blame()

    def _deliver_once(
        self,
        cursor: Cursor,
        deliver: Callable[[Cursor], list[Delivery]],
        answer: Answer,
        once: IdempotentRequest | None,
    ) -> KeptAnswer:
        """Return the answer that an earlier request with this key got, or deliver the rows."""
        if once and (kept := once.find_answer(cursor)):
            return kept
        self.prepare(cursor)
        self.delivered = deliver(cursor)
        found = answer(cursor, self.delivered)
        if once:
            once.keep_answer(cursor, found)
        return found

    def _let_all_in(self, cursor: Cursor) -> list[Delivery]:
        """Pass all rows, parents first; raises _Incomplete, RowRefused."""
        tables = [each for each in self.catalog.in_order() if each.full_name in self.rows]
        found = [self._deliver_table(cursor, table) for table in tables]
        if self.order.atomic and any(each.errors for each in found):
            raise _Incomplete(found)
        return found

    def wake(self, steps: Steps) -> None:
        """Judge quarantined rows again that waited for inserted ones; call it after the commit."""
        for each in self.delivered:
            parent, order = self.catalog.by_name[each.table], self.order
            if each.report.inserted and not order.on_trial and self.catalog.children(parent):
                rejudge.rejudge_children(steps, self.catalog, parent, order.actor, order.request)

    def _refuse_all(self, cursor: Cursor, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Quarantine the refused rows of a batch that was rolled back, and nothing else."""
        found = []
        for each in deliveries:
            reasons: dict[int, list[Reason]] = {}
            for error in each.errors:
                why = Reason(error["rule"], error["column"], error["message"])
                reasons.setdefault(error["row"], []).append(why)
            raw = {row.index: row.raw for row in self.rows[each.table]}
            refused = [Refused(index, raw[index](), why) for index, why in reasons.items()]
            table, report = self.catalog.by_name[each.table], Report()
            if refused:
                report = self._pass(cursor, table, _cargo(table, _names(table), [], refused), [])
            found.append(replace(each, report=report, ids=[]))
        return found

    def _find_culprits(self, cursor: Cursor) -> list[_Culprit]:
        """Return the rows that the database itself refuses, found in a transaction on trial."""
        self.prepare(cursor)
        found: list[_Culprit] = []
        for table in self.catalog.in_order():
            rows = [row for row in self.rows.get(table.full_name, ()) if row.cells is not None]
            try:
                with savepoint(cursor):
                    groups = self._groups(cursor, table, rows)
            except RowRefused as error:  # a sequence has no number left for their keys
                keyless = defaults.without_key(table, rows)
                found += [_Culprit(row, error.fact, is_stageable=False) for row in keyless]
                continue
            for columns, group in groups.items():
                found += self._culprits_in(cursor, table, columns, group)
        return found

    def _culprits_in(
        self, cursor: Cursor, table: Table, columns: Names, rows: list[IncomingRow]
    ) -> list[_Culprit]:
        """Merge rows one by one; halve rows that cannot even be judged until one is left."""
        cargo = _cargo(table, columns, rows, [])
        try:
            with savepoint(cursor):
                judged = self._examine(cursor, table, cargo, self._passage([]))
        except RowRefused as error:
            if len(rows) == 1:
                return [_Culprit(rows[0], error.fact, is_stageable=False)]
            half = len(rows) // 2
            return [
                *self._culprits_in(cursor, table, columns, rows[:half]),
                *self._culprits_in(cursor, table, columns, rows[half:]),
            ]
        faults = merge.merge_one_by_one(cursor, judged)
        return [_Culprit(rows[n - 1], fact) for n, fact in faults]

    def _deliver_table(self, cursor: Cursor, table: Table) -> Delivery:
        rows = self.rows[table.full_name]
        report = self._pass_rows(cursor, table, rows)
        errors: list[dict[str, Any]] = []
        if report.rejected:
            facts = {"request": self.order.request, "table": table.full_name}
            cursor.execute(query("batch.rejected"), facts)
            errors = [
                {"row": index} | {name: reason[name] for name in ("column", "rule", "message")}
                for index, reasons in cursor.fetchall()
                for reason in reasons
            ]
        lost = {error["row"] for error in errors}
        return Delivery(table.full_name, report, _ids(table, rows, lost), errors)

    def _pass_rows(self, cursor: Cursor, table: Table, rows: list[IncomingRow]) -> Report:
        """Pass rows with the same columns together; rows without cells are refused."""
        groups = self._groups(cursor, table, [row for row in rows if row.cells is not None])
        refused = [Refused(r.index, r.raw(), r.reasons) for r in rows if r.cells is None]
        report, own = Report(), list[str]()
        # A batch of which no row can be staged passes the door, too: this quarantines the rows.
        for columns, group in (groups or {_names(table): []}).items():
            report += self._pass(cursor, table, _cargo(table, columns, group, refused), own)
            # They are quarantined with the first group.
            refused = []
        return report

    def _groups(
        self, cursor: Cursor, table: Table, rows: list[IncomingRow]
    ) -> dict[Names, list[IncomingRow]]:
        """Fill in keys and defaults that rows leave out; return columns → rows."""
        defaults.give_keys(cursor, table, rows, self.order.on_trial)
        updates = self.order.on_known == "update"
        if not updates:
            defaults.give_rest(cursor, table, rows)
        groups: dict[Names, list[IncomingRow]] = {}
        names = cache(partial(_names, table, updates=updates))
        for row in rows:
            groups.setdefault(names(tuple(row.cells or ())), []).append(row)
        return groups

    def _passage(self, own: list[str]) -> Passage:
        order = self.order
        return Passage(
            "api", order.request, order.actor, own=own, on_known=order.on_known,
            on_trial=order.on_trial,
        )  # fmt: skip

    def _examine(self, cursor: Cursor, table: Table, cargo: Cargo, passage: Passage) -> Judged:
        open_door(cursor, table, cargo.columns, cargo.typed)
        return examine(cursor, table, cargo, passage)

    def _pass(self, cursor: Cursor, table: Table, cargo: Cargo, own: list[str]) -> Report:
        order, may = self.order, self.order.on_known == "update"
        displaces = may and merge.may_displace(cursor, self.catalog, table)
        passage = replace(self._passage(own), displaces=displaces)
        judged = self._examine(cursor, table, cargo, passage)
        before = audit.rows_before(cursor, judged) if order.on_known == "update" else "[]"
        report, merged = let_in(cursor, cargo, judged, passage)
        if merged.judged is not judged:  # the audit has rows that the table did not store after all
            raise RowNotStored(merge.not_stored(table))
        if report.inserted or report.updated:
            facts = (order.actor, order.request, order.action, table)
            audit.record_change(cursor, *facts, before, audit.rows_after(judged))
        own[:] = passage.own
        return report


def _names(table: Table, given: Names = (), updates: bool = False) -> Names:
    """Return the columns under which a row is staged, in the order of the table.

    Those are the columns that it brings and those that it must have. For an insert they include
    columns without default, which become NULL, so that most new rows have the same columns and pass
    together; an update leaves columns alone that the row does not bring.
    """
    names = [
        column.name
        for column in table.stored
        if column.name in given
        or column.required
        or (not updates and column.settable and not defaults.has_default(column))
    ]
    return tuple(names) or (table.settable[0].name,)


def _cargo(table: Table, columns: Names, rows: list[IncomingRow], refused: list[Refused]) -> Cargo:
    found = [row.cells or {} for row in rows]
    laid = {
        name: _laid(table.by_name[name], [each.get(name) for each in found]) for name in columns
    }
    return Cargo(
        columns=columns,
        content=lambda: BytesIO(
            copy_binary.HEADER
            + copy_binary.rows_as_copy([cells for cells, _ in laid.values()])
            + copy_binary.TRAILER
        ),
        staged=len(rows),
        origin=lambda n: (rows[n].index, rows[n].raw()),
        typed=frozenset(name for name, (_, is_typed) in laid.items() if is_typed),
        refused=refused,
        reasons={n: row.reasons for n, row in enumerate(rows) if row.reasons},
    )


def _laid(column: Column, cells: list[Cell]) -> tuple[Cells, bool]:
    """Return the cells of a column for COPY, and whether they are binary values of its type.

    Bytes are binary values already, and whole numbers in the range of the type become binary. The
    judge need not check the form of such columns; all others are staged as text.
    """
    # Binary columns spare the server the parsing and the judge the check of their form.
    kinds = set(map(type, cells))
    if bytes in kinds:
        return cells_of([cell for cell in cells if type(cell) is bytes]), True
    if kinds == {int} and (width := _WIDTHS.get(column.type)):
        whole_numbers = cast(list[int], cells)
        most = 1 << (8 * width - 1)
        if -most <= min(whole_numbers) and max(whole_numbers) < most:
            return cells_of_integers(whole_numbers, width), True
    return cells_of([None if cell is None else str(cell).encode() for cell in cells]), False


def _ids(table: Table, rows: list[IncomingRow], lost: set[int]) -> list[Any]:
    """Return the keys of rows: a value, or a list if the key has several columns.

    A key is a number if its type is; the keys of rows in `lost` (indexes) are None.
    """
    columns = [
        [
            None
            if row.index in lost
            else _key_part(table.by_name[name].base, (row.cells or {}).get(name))
            for row in rows
        ]
        for name in (table.key.columns if table.key else ())
    ]
    found = columns[0] if len(columns) == 1 else map(list, zip(*columns, strict=True))
    return [None if row.index in lost else key for row, key in zip(rows, found, strict=False)]


def _key_part(base: str, cell: Cell) -> Cell:
    # the judge takes 8.0 for an integer
    return int(cell.partition(".")[0]) if isinstance(cell, str) and base in INTEGERS else cell
