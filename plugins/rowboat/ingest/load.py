"""Loads one file: from its position to its end, in bounded chunks through the door."""

import secrets
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass

from psycopg2 import sql

from rowboat.catalog.tables import Catalog, Table
from rowboat.csvfile.records import Records
from rowboat.csvfile.splitter import split_records
from rowboat.csvfile.text import Prefix
from rowboat.database.connections import (
    Connection,
    Cursor,
    Steps,
    fetch_one,
    persistently,
    savepoint,
    transaction,
)
from rowboat.database.statements import query
from rowboat.door.merge import hold_parents, may_skip_triggers, skip_triggers
from rowboat.door.passage import Passage, Report, open_door, pass_through
from rowboat.door.stage import Cargo, same_key
from rowboat.errors import (
    Contended,
    DatabaseRefused,
    FileChanged,
    FileRefused,
    LimitExceeded,
    PartLost,
    RowboatError,
    RowRefused,
    Stopped,
)
from rowboat.ingest import file_source, parts, position, rejudge
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.position import Position
from rowboat.ingest.reports import FileReport, Run
from rowboat.settings import settings
from rowboat.storage import opening

MOST_VANISHED = 100  # keys that a report names


def load_file(
    connection: Connection,
    catalog: Catalog,
    found: FoundFile,
    run: Run,
    trial: Cursor | None = None,
) -> FileReport:
    """Load one file and return its report; what is wrong with the file is in the report.

    With `trial`, all happens in that cursor's transaction, which the caller will roll back. Raises
    ConnectionLost, Stopped and BrokenPromise: they are not the file's fault.
    """
    start = time.monotonic()
    try:
        opening.wait_until_still(found.path)
        with savepoint(trial) if trial else nullcontext():
            report = _load(connection, catalog, found, run, Steps(connection, trial))
    except (FileRefused, Contended, DatabaseRefused) as error:
        report = refuse_file(connection, found, error, run, "failed")
    report.seconds = time.monotonic() - start
    return report


def refuse_file(
    connection: Connection, found: FoundFile, error: RowboatError, run: Run, state: str
) -> FileReport:
    """Record why a file is not loaded; what had passed the door before stays."""
    table = found.table.full_name if found.table else None
    facts = {
        "file_name": found.name,
        "table_name": table,
        "state": state,
        "file_size": found.size,
        "file_version": found.version,
        "error": error.fact,
    }
    if not run.dry_run:
        with transaction(connection) as cursor:
            cursor.execute(query("position.fail"), facts | run.who)
    return FileReport(found.name, table, state, error=error.fact, hint=error.hint)


def _load(
    connection: Connection, catalog: Catalog, found: FoundFile, run: Run, steps: Steps
) -> FileReport:
    assert found.table is not None
    with _locked(connection, steps, found.name):
        with steps() as cursor:
            before = position.read_position(cursor, found.name)
            skips = not steps.on_trial and may_skip_triggers(cursor, catalog, found.table)
        managed = {key.parent for key in found.table.foreign_keys} <= set(catalog.by_name)
        holds = managed and not steps.on_trial
        if before and before.covers(found.size, found.version) and not run.checksum:
            return FileReport(found.name, found.table.full_name, "unchanged")
        if settings().reject_limit is not None and not steps.on_trial:
            with transaction(connection, keep=False) as cursor:
                _Pass(Steps(connection, cursor), found, run, False, False).go(before)
        this = _Pass(steps, found, run, skips, holds)
        report = this.go(before)
        interrupted = before is not None and before.state != "loaded"
        if report.report.inserted or report.report.updated or interrupted:
            rejudge.rejudge_children(steps, catalog, found.table, run.actor, run.run)
        this.finish(report.vanished_count)  # last: a kill before it repeats what it missed
    return report


@contextmanager
def _locked(connection: Connection, steps: Steps, file_name: str) -> Iterator[None]:
    """Keep other loaders off a file for the whole pass; the end of the session frees it too."""
    facts = {"file_name": file_name}
    with steps() as cursor:
        cursor.execute(query("position.lock_file"), facts)
    try:
        yield
    finally:
        if not steps.on_trial and not connection.closed:
            with steps() as cursor:
                cursor.execute(query("position.unlock_file"), facts)


@dataclass(frozen=True)
class _Ahead:
    """Where the position of a file will stand; `lines` are complete before what passes now."""

    prefix: Prefix
    lines: int
    loaded_lines: int


class _Pass:
    """One pass over one file, from its position to its end."""

    def __init__(
        self, steps: Steps, found: FoundFile, run: Run, skips_triggers: bool, holds_parents: bool
    ) -> None:
        assert found.table is not None
        self.steps, self.found, self.run = steps, found, run
        self.table: Table = found.table
        self.skips_triggers, self.holds_parents = skips_triggers, holds_parents
        self.total = Report()
        self.most = sys.maxsize  # records that pass the door together

    def go(self, before: Position | None) -> FileReport:
        """Load what follows the position and return the report of this pass."""
        self.text, self.prefix, rewritten = file_source.open_at_position(self.found.path, before)
        with self.text:
            if before and not rewritten and before.state == "loaded" and not self.text.peek(1):
                return FileReport(self.found.name, self.table.full_name, "unchanged")
            self._begin(before, rewritten)
            if not self._pass_parts():
                self._pass_chunks()
            if self.steps.on_trial:
                self._check_limit()
            report = FileReport(self.found.name, self.table.full_name, "loaded", self.total)
            is_tail = before is not None and before.state == "loaded" and not rewritten
            if self.position.version > 1 and not is_tail:  # a tail does not know its head's keys
                report.vanished_count, report.vanished = self._vanished()
        return report

    def finish(self, vanished: int) -> None:
        """Record that the pass is over, with all that follows from it."""
        with self.steps() as cursor:
            position.finish_pass(cursor, self.found.name, self.text, vanished)

    def _begin(self, before: Position | None, rewritten: bool) -> None:
        """Recognise the dialect, record that the pass begins, prepare the session."""
        self.dialect = file_source.dialect_of(self.text, before, rewritten, self.table)
        if rewritten:
            self._check_rewritable()
        with self.steps() as cursor:
            self.position = position.begin_pass(
                cursor, self.found.name, self.table.full_name, self.text, self.dialect, self.run.who
            )
            if rewritten:
                self.position = position.restart_file(cursor, self.found.name, self.dialect)
            own = position.own_transactions(cursor, self.position, earlier=False)
            open_door(cursor, self.table, self.dialect.columns)
        if not self.prefix.size:
            self.prefix.extend(self.text.read(self.dialect.start))
        self.passage = Passage(
            "file",
            self.found.name,
            self.run.actor,
            self.run.run,
            self.position.version,
            own=own,
            on_trial=self.steps.on_trial,
        )

    def _check_rewritable(self) -> None:
        key = self.table.key
        if key is None or not self.table.covers(key.columns, self.dialect.columns):
            raise FileRefused(
                f"it was rewritten, and without a key no row of {self.table.full_name} can be "
                "told from its earlier version",
                "append new rows to the old file, or give the table and the file a key",
            )

    def _pass_parts(self) -> bool:
        """Merge what was staged before, all in one transaction; False where that cannot be."""
        if self.text.size - self.prefix.size < 2 * settings().part_bytes:
            return False
        before = self.prefix, self.position, self.total
        try:
            with (
                parts.opened_unchanged(self.found, self.text.size, self.text.version) as file,
                self.steps() as cursor,
            ):
                self._hold(cursor)
                staged = parts.ready_parts(cursor, self.found, file, self.dialect, self.prefix.size)
                for chunk in parts.part_chunks(file, staged):
                    self._check_stop()
                    ahead = self._ahead(chunk.text, chunk.chunk.newlines)
                    self._take(ahead, self._transact(cursor, chunk.cargo(ahead.lines), ahead))
                parts.drop_parts(cursor, staged)
        except (PartLost, FileChanged, RowRefused, Contended):
            self.prefix, self.position, self.total = before
            return False
        return True

    def _pass_chunks(self) -> None:
        """Pass the door, one bounded chunk after the other; each is cut while the last passes."""
        with closing(file_source.read_ahead(self._chunks())) as chunks:
            for records, made in chunks:
                self._pass_records(records, made)
                del records, made  # the next chunk needs their place

    def _chunks(self) -> Iterator[tuple[Records, Cargo]]:
        """Read and cut, until nothing is left but an unfinished line of a file that is growing."""
        size = settings().chunk_bytes
        has_header = self.dialect.header and self.prefix.size <= self.dialect.first
        pending, more, consumed = b"", True, 0
        while more or pending:
            if more and (not consumed or len(pending) < size):
                held = len(pending)
                pending += self.text.read(size)
                more = len(pending) - held == size
            records = split_records(pending, self.dialect, at_end=not more and self.text.still())
            if has_header and len(records):
                records, has_header = records.without_first(), False
            consumed = records.consumed
            if consumed:
                yield records, self._staged(records)
            elif not more:
                return
            pending = pending[consumed:]
            del records

    def _staged(self, records: Records) -> Cargo:
        return file_source.stageable_cargo(records, self.table)

    def _pass_records(self, records: Records, made: Cargo) -> None:
        """Pass records, as many together as the database takes.

        Where a row breaks a rule that cannot be judged in sets (an exclusion constraint, a trigger
        of the table's own) the number is halved until the row is alone; it is then rejected with
        the database's own words.
        """
        whole = records
        while True:
            self._check_stop()
            part = records.head(self.most)
            try:
                self._pass_part(part, made if part is whole else self._staged(part))
            except RowRefused as error:
                if len(part) > 1:
                    self.most = len(part) // 2
                    continue
                part.refuse(0, "check", error.fact)
                self._pass_part(part, self._staged(part))
            self.most = min(2 * self.most, sys.maxsize)
            if len(part) == len(records):
                return
            records = records.tail(len(part))

    def _pass_part(self, records: Records, made: Cargo) -> None:
        ahead = self._ahead(memoryview(records.text)[: records.consumed], records.newlines)
        cargo = file_source.locate_rows(self.text, records, made, ahead.lines)

        def work() -> tuple[Report, Position]:
            with self.steps() as cursor:
                self._hold(cursor)
                return self._transact(cursor, cargo, ahead)

        self._take(ahead, persistently(work))

    def _ahead(self, text: bytes | memoryview, newlines: int) -> _Ahead:
        """Tell where the position will stand after a text of so many newlines."""
        prefix = self.prefix.copy()
        prefix.extend(text)
        begun = self.prefix.size and self.prefix.last not in (b"\n", b"\r")
        ends_open = prefix.size and prefix.last not in (b"\n", b"\r")
        lines = self.position.loaded_lines - bool(begun and self.position.loaded_bytes)
        return _Ahead(prefix, lines, lines + newlines + bool(ends_open))

    def _hold(self, cursor: Cursor) -> None:
        """Keep the parents where they are; the snapshot of what follows is taken after that."""
        if self.skips_triggers:
            skip_triggers(cursor, self.table)
        elif self.holds_parents:
            hold_parents(cursor, self.table)

    def _transact(self, cursor: Cursor, cargo: Cargo, ahead: _Ahead) -> tuple[Report, Position]:
        """Rows, quarantine, report and position, in one transaction."""
        position.lock_position(cursor, self.position)
        self.passage.first_line, self.passage.last_line = ahead.lines + 1, ahead.loaded_lines
        self.passage.first_byte, self.passage.last_byte = self.prefix.size, ahead.prefix.size
        report, last_id = Report(), None
        if cargo.read:
            report, last_id = pass_through(cursor, self.table, cargo, self.passage)
        to = {
            "loaded_bytes": ahead.prefix.size,
            "loaded_lines": ahead.loaded_lines,
            "prefix_sha256": ahead.prefix.sha256,
            "last_id": last_id,
        }
        return report, position.move_position(cursor, self.position, to, vars(report))

    def _take(self, ahead: _Ahead, done: tuple[Report, Position]) -> None:
        report, self.position = done
        self.total += report
        self.prefix = ahead.prefix
        self.run.progress(self.found.name, self.prefix.size, max(self.text.size, self.prefix.size))

    def _check_stop(self) -> None:
        if self.run.stop.is_set():
            raise Stopped

    def _check_limit(self) -> None:
        rejected, read = self.total.rejected, self.total.read
        if rejected > settings().allowed_rejects(read):
            with self.steps() as cursor:
                cursor.execute(query("quarantine.example"), {"source_name": self.found.name})
                line, message = fetch_one(cursor)
            raise LimitExceeded(
                f"{rejected:,} of {read:,} rows are rejected, more than ROWBOAT_REJECT_LIMIT "
                f"({settings().reject_limit}) allows; nothing was kept. The first, in line "
                f"{line}: {message}"
            )

    def _vanished(self) -> tuple[int, list[str]]:
        """Count the keys that only earlier versions brought, and return some of them."""
        assert self.table.key is not None
        place = {"table": self.table.identifier}
        differ: sql.Composable = sql.SQL("true")
        if serial := self.table.serial_key:
            differ = query("position.differ", column=sql.Identifier(serial), **place)
        cells = [sql.Identifier("t", name) for name in self.table.key.columns]
        key = sql.SQL(", ").join(cells)
        statement = query(
            "position.vanished", key=key, joined=same_key(cells), differ=differ, **place
        )
        with self.steps() as cursor:
            facts = {
                "earlier": position.own_transactions(cursor, self.position, earlier=True),
                "seed": secrets.randbits(63),
                "most": MOST_VANISHED,
            }
            cursor.execute(statement, facts)
            found = cursor.fetchall()
        return (found[0][1] if found else 0), [key for key, _ in found]
