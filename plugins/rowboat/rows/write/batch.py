"""Takes the rows of one request through the door: one transaction, an answer for every row."""

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
from rowboat.errors import RowRefused
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
    """What a request asks for: who asks, what becomes of known keys, all or nothing, on trial."""

    request: str
    actor: str
    on_known: OnKnown = "refuse"
    atomic: bool = False
    on_trial: bool = False
    action: Action = "insert"


@dataclass
class Delivery:
    """What became of the rows of one table.

    `ids` are the keys in the order of the rows, None for refused ones; `errors` are
    {"row", "column", "rule", "message"}, in that order too.
    """

    table: str
    report: Report
    ids: list[Any]
    errors: list[dict[str, Any]]


class Incomplete(Exception):
    """Some rows are refused, and the request wants all or nothing."""

    def __init__(self, deliveries: list[Delivery]) -> None:
        super().__init__()
        self.deliveries = deliveries


class Transact(Protocol):
    """Does work in one transaction, again while others interfere; rolled back unless kept."""

    def __call__(self, work: Callable[[Cursor], Result], keep: bool = True) -> Result:
        """Return what the work returns."""
        ...


@dataclass
class Batch:
    """The rows of a request by full name of their table, what is asked for, what became of them."""

    catalog: Catalog
    rows: dict[str, list[IncomingRow]]
    order: BatchOptions
    delivered: list[Delivery] = field(default_factory=list)

    def go(
        self,
        transact: Transact,
        say: Callable[[list[Delivery]], KeptAnswer],
        once: IdempotentRequest | None,
    ) -> KeptAnswer:
        """Pass all rows through the door in one transaction, together with the answer.

        Where a rule that only the database knows refuses rows, they are found on trial first.
        Raises KeyReused, Contended, and RowRefused where no row alone is to blame.
        """

        def answered(work: Callable[[Cursor], list[Delivery]]) -> KeptAnswer:
            def first(cursor: Cursor) -> KeptAnswer:
                self.delivered = work(cursor)
                return say(self.delivered)

            return transact(
                lambda cursor: once.answer(cursor, first) if once else first(cursor),
                not self.order.on_trial,
            )

        try:
            return answered(self.deliver)
        except Incomplete as error:
            deliveries = error.deliveries
            return answered(lambda cursor: self.refuse(cursor, deliveries))
        except RowRefused:
            if not transact(self.find_culprits, keep=False):
                raise
        return self.go(transact, say, once)

    def deliver(self, cursor: Cursor) -> list[Delivery]:
        """Pass all rows, parents first; raises Incomplete, RowRefused."""
        tables = [each for each in self.catalog.in_order() if each.full_name in self.rows]
        found = [self._deliver_table(cursor, table) for table in tables]
        if self.order.atomic and any(each.errors for each in found):
            raise Incomplete(found)
        return found

    def wake(self, steps: Steps) -> None:
        """Judge again what waited for rows that went in, once they are kept."""
        for each in self.delivered:
            parent, order = self.catalog.by_name[each.table], self.order
            if each.report.inserted and not order.on_trial and self.catalog.children(parent):
                rejudge.rejudge_children(steps, self.catalog, parent, order.actor, order.request)

    def refuse(self, cursor: Cursor, deliveries: Sequence[Delivery]) -> list[Delivery]:
        """Quarantine the refused rows of a batch that was taken back, and nothing else."""
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

    def find_culprits(self, cursor: Cursor) -> bool:
        """On trial, find the rows that the database itself refuses, and write down why."""
        before = self._faults()
        for table in self.catalog.in_order():
            rows = [row for row in self.rows.get(table.full_name, ()) if row.cells is not None]
            try:
                with savepoint(cursor):
                    groups = self._groups(cursor, table, rows)
            except RowRefused as error:  # a sequence is used up
                for row in defaults.without_key(table, rows):
                    row.cells = None
                    _blame(row, error)
                continue
            for columns, group in groups.items():
                self._try(cursor, table, columns, group)
        return before < self._faults()

    def _faults(self) -> int:
        found = [row for rows in self.rows.values() for row in rows]
        return sum(bool(row.reasons) + (row.cells is None) for row in found)

    def _try(self, cursor: Cursor, table: Table, columns: Names, rows: list[IncomingRow]) -> None:
        """Let rows in one by one; halve those that cannot even be judged until one is alone."""
        cargo = _cargo(table, columns, rows, [])
        try:
            with savepoint(cursor):
                judged = self._examine(cursor, table, cargo, self._passage([]))
        except RowRefused as error:
            if len(rows) == 1:
                rows[0].cells = None
                _blame(rows[0], error)
                return
            half = len(rows) // 2
            self._try(cursor, table, columns, rows[:half])
            self._try(cursor, table, columns, rows[half:])
            return
        for n, fact in merge.merge_one_by_one(cursor, judged):
            _blame(rows[n - 1], RowRefused(fact))

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
        """Pass rows that have the same columns together; those without any are refused."""
        groups = self._groups(cursor, table, [row for row in rows if row.cells is not None])
        refused = [Refused(r.index, r.raw(), r.reasons) for r in rows if r.cells is None]
        report, own = Report(), list[str]()
        for columns, group in (groups or {_names(table): []}).items():
            report += self._pass(cursor, table, _cargo(table, columns, group, refused), own)
            refused = []
        return report

    def _groups(
        self, cursor: Cursor, table: Table, rows: list[IncomingRow]
    ) -> dict[Names, list[IncomingRow]]:
        """Give rows what they leave out; return columns → rows."""
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
        passage, order = self._passage(own), self.order
        judged = self._examine(cursor, table, cargo, passage)
        before = audit.rows_before(cursor, judged) if order.on_known == "update" else "[]"
        report, _ = let_in(cursor, cargo, judged, passage)
        if report.inserted or report.updated:
            if table.has_triggers:
                with merge.telling_own_rules(judged):
                    cursor.execute(query("batch.check_now"))
            facts = (order.actor, order.request, order.action, table)
            audit.record_change(cursor, *facts, before, audit.rows_after(judged))
        own[:] = passage.own
        return report


def _blame(row: IncomingRow, error: RowRefused) -> None:
    """Write down why the database refuses a row."""
    row.reasons.append(Reason("check", None, error.fact))


def _names(table: Table, given: Names = (), updates: bool = False) -> Names:
    """The columns of a row, with those that it leaves out although they have no default: it may
    lack what it needs, and new rows pass together. What it does not bring an update keeps.
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
    """Lay the cells of a column out; are they values of its type? What came as bytes is, and whole
    numbers that it can hold are written as such: nothing about their form is left to judge.
    """
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
    """Return the keys of rows: numbers where they are that, lists where they have several columns;
    None for those that are lost.
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
    return int(cell) if type(cell) is str and base in INTEGERS else cell
