"""Loads what changed: compare each file with its position, pass what is new through the door."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from threading import Event
from typing import Any, TypeVar

from psycopg2 import sql

from rowboat import catalog as catalogs
from rowboat import database, dialect, folder, position, retry
from rowboat.catalog import Catalog, Table
from rowboat.database import (
    Connection,
    Cursor,
    Steps,
    one,
    persistently,
    savepoint,
    transaction,
)
from rowboat.dialect import Dialect
from rowboat.door import Passage, Report, open_door, pass_through
from rowboat.errors import (
    Contended,
    DatabaseRefused,
    FileRefused,
    LimitExceeded,
    RowboatError,
    RowRefused,
    Stopped,
    Unmatched,
)
from rowboat.folder import FoundFile
from rowboat.merge import may_skip_triggers, skip_triggers
from rowboat.position import Position
from rowboat.queries import query
from rowboat.records import Records, cut
from rowboat.settings import settings
from rowboat.stage import Cargo, Refused, same_key
from rowboat.text import Prefix, Text

Progress = Callable[[str, int, int], None]
Result = TypeVar("Result")


@dataclass
class Run:
    """Who loads, how, and how to stop it between two chunks.

    `progress` is told (file, bytes done, bytes in all) after each chunk.
    """

    actor: str
    run: str | None = None
    dry_run: bool = False
    checksum: bool = False
    progress: Progress = lambda *_: None
    stop: Event = field(default_factory=Event)

    @property
    def who(self) -> dict[str, Any]:
        """The columns that name the run in ingest_status."""
        return {"actor": self.actor, "run": self.run}


@dataclass
class FileReport:
    """What became of one file in one run; `vanished` keys are those an earlier version brought."""

    file: str
    table: str | None
    state: str
    report: Report = field(default_factory=Report)
    error: str | None = None
    hint: str | None = None
    vanished: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def __str__(self) -> str:
        head = f"{self.file} → {self.table or 'no table'}: {self.state}"
        if self.state == "loaded":
            head += f", {self.report} in {self.seconds:.2f} s"
        if self.error:
            head += f": {self.error}"
        if self.vanished:
            head += f"; {len(self.vanished):,} rows of its earlier version are no longer in it"
        return head


def ingest(paths: Sequence[Path], run: Run) -> list[FileReport]:
    """Load what changed in raw_data, or in the given files, parents before children.

    Tables of the same depth load side by side, the files of one table in order of their names.
    A file that fails is reported and does not keep the others from loading.
    """
    with database.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = catalogs.read(cursor)
        found = [folder.locate(path, catalog) for path in paths] or folder.scan(catalog)
        todo, reports = triage(connection, found, run)
        if run.dry_run:
            with transaction(connection, keep=False) as cursor:
                for each in in_order(todo, catalog):
                    reports.append(load(connection, catalog, each, run, cursor))
                todo = []
    for _, level in groupby(in_order(todo, catalog), lambda each: depth(each, catalog)):
        reports += _load_level(list(level), catalog, run)
    return sorted(reports, key=lambda report: report.file)


def triage(
    connection: Connection, found: Sequence[FoundFile], run: Run
) -> tuple[list[FoundFile], list[FileReport]]:
    """Separate files to look into from those that are unchanged or belong to no table."""
    with transaction(connection) as cursor:
        known = position.all_positions(cursor)
    todo, reports = [], []
    for each in found:
        before = known.get(each.name)
        if each.table is None:
            reports.append(_fail(connection, each, Unmatched(each.problem), run, "unmatched"))
        elif before and before.covers(each.size, each.time_ns) and not run.checksum:
            reports.append(FileReport(each.name, each.table.full_name, "unchanged"))
        else:
            todo.append(each)
    return todo, reports


def totals(cursor: Cursor, run: str) -> Report:
    """Add up what all loads of a run did."""
    cursor.execute(query("door.totals"), {"run": run})
    return Report(*one(cursor))


def in_order(files: Sequence[FoundFile], catalog: Catalog) -> list[FoundFile]:
    """Sort files: parents before children, then by table and name."""
    return sorted(files, key=lambda e: (depth(e, catalog), e.table and e.table.full_name, e.name))


def depth(file: FoundFile, catalog: Catalog) -> int:
    """Return how deep a file's table stands below tables without parents."""
    return catalog.depths[file.table.full_name] if file.table else 0


def _load_level(files: list[FoundFile], catalog: Catalog, run: Run) -> list[FileReport]:
    """Load tables side by side, each on a connection of its own."""

    def load_table(mine: list[FoundFile]) -> list[FileReport]:
        with database.session("loader") as connection:
            return [load(connection, catalog, each, run) for each in mine]

    tables = [list(mine) for _, mine in groupby(files, lambda each: each.table)]
    with ThreadPoolExecutor(max_workers=len(tables)) as pool:
        try:
            return [report for mine in pool.map(load_table, tables) for report in mine]
        except BaseException:
            run.stop.set()
            raise


def load(
    connection: Connection,
    catalog: Catalog,
    found: FoundFile,
    run: Run,
    within: Cursor | None = None,
) -> FileReport:
    """Load one file and return its report; what is wrong with the file is in the report.

    With `within`, all happens in that cursor's transaction. Raises ConnectionLost, Stopped and
    BrokenPromise: they are not the file's fault.
    """
    start = time.monotonic()
    try:
        folder.wait_until_still(found.path)
        report = _load(connection, catalog, found, run, within)
    except (FileRefused, Contended, DatabaseRefused) as error:
        if within and not isinstance(error, FileRefused):
            raise  # the transaction that all files share is broken
        report = _fail(connection, found, error, run, "failed")
    report.seconds = time.monotonic() - start
    return report


def _load(
    connection: Connection,
    catalog: Catalog,
    found: FoundFile,
    run: Run,
    within: Cursor | None,
) -> FileReport:
    assert found.table is not None
    table = found.table
    steps = Steps(connection, within)
    with _locked(connection, found.name, within):
        with steps() as cursor:
            before = position.read(cursor, found.name)
            skips = within is None and may_skip_triggers(cursor, catalog, table)
        if before and before.covers(found.size, found.time_ns) and not run.checksum:
            return FileReport(found.name, table.full_name, "unchanged")

        def go(mine: Steps, tries: bool = False) -> tuple[_Pass, FileReport]:
            this = _Pass(mine, found, run, skips, tries)
            return this, this.go(before)

        def whole(tries: bool = False) -> tuple[_Pass, FileReport]:
            with transaction(connection) as cursor:
                return go(Steps(connection, cursor), tries)

        limited = settings().reject_limit is not None
        if within:
            with savepoint(within) if limited else nullcontext():
                this, done = go(steps)
        elif limited:
            this, done = _in_one(whole)
        else:
            this, done = go(steps)
        interrupted = before is not None and before.state != "loaded"
        if done.report.inserted or done.report.updated or interrupted:
            retry.children(steps, catalog, table, run.actor, run.run, run.dry_run)
        this.finish(steps, len(done.vanished))  # last: a kill before it repeats what it missed
    return done


def _in_one(whole: Callable[[bool], Result]) -> Result:
    """Do a file in one transaction; where a row breaks it, again with each part tried first."""
    try:
        return persistently(lambda: whole(False))
    except RowRefused:
        return persistently(lambda: whole(True))


@contextmanager
def _locked(connection: Connection, file_name: str, within: Cursor | None) -> Iterator[None]:
    """Keep other loaders off a file for the whole pass; the end of the session frees it too."""
    facts = {"file_name": file_name}
    steps = Steps(connection, within)
    with steps() as cursor:
        cursor.execute(query("position.lock_file"), facts)
    try:
        yield
    finally:
        if within is None and not connection.closed:
            with steps() as cursor:
                cursor.execute(query("position.unlock_file"), facts)


class _Pass:
    """One pass over one file, from its position to its end.

    With `tries`, each part passes the door on trial first, where all are one transaction.
    """

    def __init__(
        self, steps: Steps, found: FoundFile, run: Run, skips_triggers: bool, tries: bool
    ) -> None:
        assert found.table is not None
        self.steps, self.found, self.run = steps, found, run
        self.table: Table = found.table
        self.skips_triggers, self.tries = skips_triggers, tries
        self.total = Report()
        self.most = sys.maxsize  # records that pass the door together

    def go(self, before: Position | None) -> FileReport:
        """Load what follows the position and return the report of this pass."""
        self.text, self.prefix, rewritten = _open_at(self.found.path, before)
        with self.text:
            if before and not rewritten and before.state == "loaded" and not self.text.peek(1):
                return FileReport(self.found.name, self.table.full_name, "unchanged")
            self._begin(before, rewritten)
            self._pass_chunks()
            self._check_limit()
            is_tail = before is not None and before.state == "loaded" and not rewritten
            vanished = [] if is_tail else self._vanished()  # a tail does not know its head's keys
        return FileReport(
            self.found.name, self.table.full_name, "loaded", self.total, vanished=vanished
        )

    def finish(self, steps: Steps, vanished: int) -> None:
        """Record that the pass is over, with all that follows from it."""
        with steps() as cursor:
            position.finish(cursor, self.found.name, self.text, vanished)

    def _begin(self, before: Position | None, rewritten: bool) -> None:
        """Recognise the dialect, record that the pass begins, prepare the session."""
        kept = before.dialect if before and before.loaded_bytes and not rewritten else None
        sample = self.text.peek(dialect.SAMPLE_BYTES)
        self.dialect = Dialect.from_json(kept) if kept else dialect.recognise(sample, self.table)
        if rewritten:
            self._check_rewritable()
        with self.steps() as cursor:
            if self.steps.are_one and self.skips_triggers:
                skip_triggers(cursor, self.table)
            self.position = position.begin(
                cursor, self.found.name, self.table.full_name, self.text, self.dialect, self.run.who
            )
            if rewritten:
                self.position = position.restart(cursor, self.found.name, self.dialect)
            own = position.transactions(cursor, self.position, earlier=False)
            open_door(cursor, self.table, self.dialect.columns)
        self.passage = Passage(
            "file",
            self.found.name,
            self.run.actor,
            self.run.run,
            self.position.version,
            own=own,
            dry_run=self.run.dry_run,
        )

    def _check_rewritable(self) -> None:
        key = self.table.key
        if key is None or not self.table.covers(key.columns, self.dialect.columns):
            raise FileRefused(
                f"it was rewritten, and without a key no row of {self.table.full_name} can be "
                "told from its earlier version",
                "append new rows to the old file, or give the table and the file a key",
            )

    def _pass_chunks(self) -> None:
        """Read, cut and pass the door, one bounded chunk after the other."""
        size = settings().chunk_bytes
        has_header = self.dialect.header and self.prefix.size <= self.dialect.first
        if not self.prefix.size:
            self.prefix.extend(self.text.read(self.dialect.start))
        pending, more, consumed = b"", True, 0
        while more or pending:
            if more and (not consumed or len(pending) < size):
                held = len(pending)
                pending += self.text.read(size)
                more = len(pending) - held == size
            records = cut(pending, self.dialect, at_end=not more and self.text.still())
            if has_header and len(records):
                records, has_header = records.without_first(), False
            consumed = self._pass_records(records)
            if not consumed and not more:
                return  # an unfinished line of a file that is growing: it waits
            pending = pending[consumed:]
            del records  # the next chunk needs their place
            self.run.progress(
                self.found.name, self.prefix.size, max(self.text.size, self.prefix.size)
            )

    def _pass_records(self, records: Records) -> int:
        """Pass as many of the records as the database takes together; return bytes consumed.

        Where a row breaks a rule that cannot be judged in sets (an exclusion constraint, a trigger
        of the table's own) the number is halved until the row is alone; it is then rejected with
        the database's own words.
        """
        while True:
            if self.run.stop.is_set():
                raise Stopped
            part = records.head(self.most)
            try:
                self._pass_part(part)
            except RowRefused as error:
                if self.steps.are_one and not (self.tries or self.run.dry_run):
                    raise
                if len(part) > 1:
                    self.most = len(part) // 2
                    continue
                part.refuse(0, "check", error.fact)
                self._pass_part(part)
            self.most = min(2 * self.most, sys.maxsize)
            return part.consumed

    def _pass_part(self, records: Records) -> None:
        after = self.prefix.copy()
        after.extend(memoryview(records.text)[: records.consumed])
        begun = self.prefix.size and self.prefix.last not in (b"\n", b"\r")
        ends_open = after.size and after.last not in (b"\n", b"\r")
        lines = self.position.loaded_lines - bool(begun and self.position.loaded_bytes)
        cargo = _cargo(self.text, records, lines)
        to: dict[str, Any] = {
            "loaded_bytes": after.size,
            "loaded_lines": lines + records.newlines + bool(ends_open),
            "prefix_sha256": after.sha256,
        }
        self.passage.first_line, self.passage.last_line = lines + 1, to["loaded_lines"]
        self.passage.first_byte, self.passage.last_byte = self.prefix.size, after.size

        def work() -> tuple[Report, Position]:
            with self.steps() as cursor:
                if self.tries:  # not kept: what a savepoint wrote could not be traced (xmin)
                    with savepoint(cursor, keep=False):
                        self._transact(cursor, cargo, to)
                with savepoint(cursor) if self.run.dry_run else nullcontext():
                    return self._transact(cursor, cargo, to)

        report, self.position = work() if self.steps.are_one else persistently(work)
        self.total += report
        self.prefix = after

    def _transact(
        self, cursor: Cursor, cargo: Cargo, to: dict[str, Any]
    ) -> tuple[Report, Position]:
        """Rows, quarantine, report and position, in one transaction."""
        if self.skips_triggers and not self.steps.are_one:
            skip_triggers(cursor, self.table)
        position.hold(cursor, self.position)
        report, last_id = Report(), None
        if cargo.read:
            report, last_id = pass_through(cursor, self.table, cargo, self.passage)
        return report, position.move(cursor, self.position, to | {"last_id": last_id}, vars(report))

    def _check_limit(self) -> None:
        rejected, read = self.total.rejected, self.total.read
        if rejected > settings().allowed_rejects(read):
            with self.steps() as cursor:
                cursor.execute(query("quarantine.example"), {"source_name": self.found.name})
                line, message = one(cursor)
            raise LimitExceeded(
                f"{rejected:,} of {read:,} rows are rejected, more than ROWBOAT_REJECT_LIMIT "
                f"({settings().reject_limit}) allows; nothing was kept. The first, in line "
                f"{line}: {message}"
            )

    def _vanished(self) -> list[str]:
        """Return the keys that earlier versions brought and this one no longer has."""
        key = self.table.key
        if self.position.version == 1 or key is None:
            return []
        with self.steps() as cursor:
            earlier = position.transactions(cursor, self.position, earlier=True)
            cells = [sql.Identifier("t", name) for name in key.columns]
            cursor.execute(
                query(
                    "position.vanished",
                    key=sql.SQL(", ").join(cells),
                    table=self.table.identifier,
                    joined=same_key(cells),
                ),
                {"earlier": earlier},
            )
            return [found for (found,) in cursor.fetchall()]


def _open_at(path: Path, before: Position | None) -> tuple[Text, Prefix, bool]:
    """Open a file where its position stands; tell whether it was rewritten and starts anew.

    An interrupted pass that had found equal rows starts anew too: which ones, only that session
    knew, and without them a key that stands twice could not be told from an update.
    """
    text = Text(path)
    if before is None or before.loaded_bytes == 0:
        return text, Prefix(), False
    prefix = text.prefix(before.loaded_bytes)
    interrupted = before.state != "loaded" and before.unchanged > 0
    goes_on = prefix.last in (b"\n", b"\r") or text.peek(1) in (b"", b"\n", b"\r")
    same = (prefix.size, prefix.sha256) == (before.loaded_bytes, before.prefix_sha256)
    if same and goes_on and not interrupted:
        return text, prefix, False
    text.close()
    return Text(path), Prefix(), True


def _cargo(text: Text, records: Records, lines: int) -> Cargo:
    """Make the records of a chunk a cargo whose rows know their lines and original bytes."""
    staged = records.staged()

    def origin(index: int) -> tuple[int, bytes]:
        return lines + int(records.lines[index]) + 1, text.original(records.raw(index))

    return Cargo(
        columns=records.dialect.columns,
        delimiter=records.dialect.delimiter,
        text=records.copy_text(),
        staged=len(staged),
        origin=lambda n: origin(int(staged[n])),
        refused=[Refused(*origin(index), why) for index, why in sorted(records.refused.items())],
    )


def _fail(
    connection: Connection,
    found: FoundFile,
    error: RowboatError,
    run: Run,
    state: str,
) -> FileReport:
    """Record why a file is not loaded; what had passed the door before stays."""
    table = found.table.full_name if found.table else None
    facts = {
        "file_name": found.name,
        "table_name": table,
        "state": state,
        "file_size": found.size,
        "file_time_ns": found.time_ns,
        "error": error.fact,
    }
    if not run.dry_run:
        with transaction(connection) as cursor:
            cursor.execute(query("position.fail"), facts | run.who)
    return FileReport(found.name, table, state, error=error.fact, hint=error.hint)
