"""Corrects a quarantined row: a draft to edit, and the corrected row through the door."""

import codecs
from collections.abc import Mapping
from dataclasses import dataclass, replace

from psycopg2.extras import Json

from rowboat.catalog.tables import Column, Table
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.records import Reason
from rowboat.database.connections import Cursor
from rowboat.database.statements import query
from rowboat.door import quarantine
from rowboat.door.passage import Passage, Report, examine, let_in, open_door
from rowboat.door.rejected_rows import RejectDetail
from rowboat.errors import BatchRefused, BodyRefused, FileRefused, StillRefused, UnknownRow
from rowboat.ingest import position
from rowboat.rows.write import audit, bodies
from rowboat.rows.write.bodies import IncomingRow

Cells = Mapping[str, str | None]
_WINDOWS = "rowboat.windows"


@dataclass(frozen=True)
class Draft:
    """A rejected row as a form shows it for correction.

    `cells` is column → text in the order of the source, or None if the text cannot be split. If
    `guessed`, bytes that are not UTF-8 were decoded as Windows-1252.
    """

    text: str
    cells: Cells | None
    dialect: Dialect | None
    guessed: bool

    def columns(self, table: Table) -> list[Column]:
        """Return the columns of the form: those of the row, then the others that may be set."""
        rest = [each for each in table.settable if each.name not in (self.cells or {})]
        return [table.by_name[name] for name in self.cells or {}] + rest


def draft_correction(cursor: Cursor, table: Table, case: RejectDetail) -> Draft:
    """Return the draft with which the correction of a row begins."""
    text = case.raw.decode("utf-8", _WINDOWS).replace("\0", "")
    guessed = case.fields is None and not _is_utf8(case.raw)
    found = Draft(text, case.fields, _dialect(cursor, case), guessed)
    if found.cells is None:
        row = _cut(table, found, text)
        cells = None if row.reasons else _cells(row)
    else:
        order = list(found.dialect.columns) if found.dialect else [c.name for c in table.columns]
        names = [name for name in table.by_name if name in found.cells]
        names.sort(key=lambda name: order.index(name) if name in order else len(order))
        cells = {name: found.cells[name] for name in names}
    return replace(found, cells=cells)


def read_correction(table: Table, begun: Draft, text: str) -> dict[str, str | None]:
    """Parse the text of one row, a JSON object or a line of CSV; raises StillRefused."""
    row = _cut(table, begun, text)
    if row.reasons:
        raise StillRefused(errors=[each.to_json() for each in row.reasons])
    return _cells(row)


def correct_row(
    cursor: Cursor,
    table: Table,
    case: RejectDetail,
    before: Cells,
    cells: dict[str, str | None],
    actor: str,
    request: str,
) -> Report:
    """Load a rejected row with corrected cells, and settle it; its original bytes are kept.

    A row of a file may update the table's row of the same key, as a load would do, unless the
    correction has changed the key. Raises StillRefused, RowRefused, and UnknownRow if the row has
    been settled meanwhile.
    """
    # The lock keeps a concurrent retry or a second click from loading the row twice.
    cursor.execute(query("quarantine.hold"), {"id": case.id})
    if not cursor.rowcount:
        raise UnknownRow(
            f"the rejected row {case.id} has been settled meanwhile", "go back to the list"
        )
    cells = cells or {table.settable[0].name: None}
    keys = table.key.columns if table.key else ()
    is_own = case.source == "file" and all(cells.get(k) == before.get(k) for k in keys)
    cargo = quarantine.cargo_of_rejected(tuple(cells), [vars(case) | {"fields": cells}])
    passage = Passage(
        "retry", case.source_name, actor, request, case.version,
        on_known="update" if is_own else "refuse",
    )  # fmt: skip
    open_door(cursor, table, cargo.columns)
    judged = examine(cursor, table, cargo, passage)
    if judged.refused:
        raise _still_refused(cursor)
    # Between the verdicts and the merge, the table still has the old row.
    was = audit.rows_before(cursor, judged)
    report, _ = let_in(cursor, cargo, judged, passage)
    if report.rejected:  # by a trigger of the table
        raise _still_refused(cursor)
    if not report.unchanged:
        action: audit.Action = "update" if report.updated else "insert"
        audit.record_change(cursor, actor, request, action, table, was, audit.rows_after(judged))
    cursor.execute(query("quarantine.correct"), {"id": case.id, "fields": Json(cells)})
    return report


def _still_refused(cursor: Cursor) -> StillRefused:
    """Return the error that tells the verdicts on the only row."""
    cursor.execute(query("quarantine.why"))
    return StillRefused(errors=[Reason(*each).to_json() for each in cursor.fetchall()])


def _dialect(cursor: Cursor, case: RejectDetail) -> Dialect | None:
    """Return the dialect of a row's file, if it is still the version that had the row."""
    where = position.read_position(cursor, case.source_name) if case.source == "file" else None
    if where is None or where.dialect is None or where.version != case.version:
        return None
    return replace(Dialect.from_json(where.dialect), header=None, start=0)


def _cut(table: Table, begun: Draft, text: str) -> IncomingRow:
    """Parse a text as one row; faults are in its reasons."""
    try:
        if begun.dialect is None and text.lstrip().startswith("{"):
            rows = bodies.rows_of_json(text.encode(), table)
        else:
            rows = bodies.rows_of_csv(text.encode(), table, begun.dialect)
    except (BodyRefused, BatchRefused, FileRefused) as error:
        return _refused(error.fact)
    return rows[0] if len(rows) == 1 else _refused(f"holds {len(rows):,} rows instead of one")


def _refused(message: str) -> IncomingRow:
    return IncomingRow(0, bytes, None, [Reason("shape", None, message)])


def _cells(row: IncomingRow) -> dict[str, str | None]:
    return {name: None if cell is None else str(cell) for name, cell in (row.cells or {}).items()}


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _as_windows(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes that are not UTF-8 as Windows-1252, which is the most likely encoding."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_WINDOWS, _as_windows)
