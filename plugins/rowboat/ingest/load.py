"""Loads one file from its position to its end, in bounded chunks through the door."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace

from rowboat.catalog.tables import Catalog
from rowboat.csvfile.dialect import Dialect, count
from rowboat.csvfile.text import FileText
from rowboat.database.connections import (
    Connection,
    Cursor,
    Steps,
    persistently,
    savepoint,
    transaction,
)
from rowboat.database.statements import query
from rowboat.door.merge import (
    may_displace,
    may_skip_triggers,
)
from rowboat.door.passage import Passage, Report, open_door, pass_through
from rowboat.errors import (
    ConnectionLost,
    Contended,
    DatabaseRefused,
    Defect,
    FileChanged,
    PartLost,
    RowboatError,
    RowRefused,
    SettingError,
    Stopped,
    Unmatched,
)
from rowboat.ingest import (
    dictionary,
    earlier_records,
    file_source,
    known_content,
    outcome,
    position,
    rejudge,
)
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.file_source import Opening, TextChunk
from rowboat.ingest.large_files import parts
from rowboat.ingest.position import Position
from rowboat.ingest.progress import LoadProgress, LoadSetup, LoadStep, Seen
from rowboat.ingest.reports import FileReport, Run
from rowboat.settings import settings
from rowboat.storage import opening

NOT_OF_ONE_FILE = (ConnectionLost, SettingError, Stopped)  # they end the whole run

log = logging.getLogger(__name__)


def load_file(
    connection: Connection,
    catalog: Catalog,
    found: FoundFile,
    run: Run,
    trial: Cursor | None = None,
) -> FileReport:
    """Load one file and return its report, which also says what is wrong with the file.

    Whatever goes wrong, foreseen or not, ends here, as no file may keep others from being loaded;
    only the errors of NOT_OF_ONE_FILE are raised. With `trial`, everything happens in that cursor's
    transaction, which the caller rolls back.
    """
    assert found.table is not None
    start = time.monotonic()
    report = FileReport(found.name, found.table.full_name, "loading")
    steps = Steps(connection, trial)
    try:
        opening.wait_until_settled(found.path)
        with savepoint(trial) if trial else nullcontext():
            _load(connection, catalog, LoadSetup(steps, found, found.table, run, catalog, report))
    except NOT_OF_ONE_FILE:
        raise
    except Exception as error:
        refuse_file(connection, found, report, told_error(error, found.name), run)
    report.seconds = time.monotonic() - start
    return report


def told_error(error: Exception, file_name: str) -> RowboatError:
    """Return an error as one that can be told; a defect is logged with its place in the code."""
    if isinstance(error, RowboatError):
        return error
    log.error("%s: a defect of Rowboat", file_name, exc_info=error)
    return Defect.at(error)


def refuse_file(
    connection: Connection,
    found: FoundFile,
    report: FileReport,
    error: RowboatError,
    run: Run,
    keep: bool = True,
) -> None:
    """Put into the report why a file is not loaded, and record it in the database if `keep` is
    true; rows loaded before stay.
    """
    report.state = "unmatched" if isinstance(error, Unmatched) else "failed"
    report.error, report.hint = error.fact, error.hint
    facts = {
        "file_name": found.name,
        "table_name": report.table,
        "state": report.state,
        "file_size": found.size,
        "file_version": found.version,
        "error": error.fact,
        "dictionary": found.table and found.table.fingerprint,
    }
    if keep and not run.dry_run:
        with transaction(connection) as cursor:
            cursor.execute(query("position.fail"), facts | run.who)


def _load(connection: Connection, catalog: Catalog, setup: LoadSetup) -> None:
    """Load a file while it is locked, then the rows of other files that waited for its rows."""
    steps, found, table, run, report = (
        setup.steps,
        setup.found,
        setup.table,
        setup.run,
        setup.report,
    )
    with _locked(connection, steps, found.name):
        with steps() as cursor:
            before = position.read_position(cursor, found.name)
            skips = not steps.on_trial and may_skip_triggers(cursor, catalog, table)
            displaces = may_displace(cursor, catalog, table)
        if (
            before
            and before.covers(table.full_name, found.size, found.version)
            and not (run.checksum or run.again)
        ):
            report.state = "unchanged"
            _judge_again(setup, before)
            return
        if before is None and not run.again:
            with steps() as cursor:
                known = known_content.take_known(cursor, found, catalog, run)
            if known:
                report.state, report.notes = "unchanged", [known]
                return
        managed = {key.parent for key in table.foreign_keys} <= set(catalog.by_name)
        setup = replace(
            setup,
            skips_triggers=skips,
            holds_parents=managed and not steps.on_trial,
            displaces=displaces,
        )
        if settings().reject_limit is not None and not steps.on_trial:
            # The limit is known only at the end: load all on trial, roll back, and load again.
            with transaction(connection, keep=False) as cursor:
                trial = LoadSetup(
                    Steps(connection, cursor), found, table, run, catalog,
                    FileReport(found.name, table.full_name, "loading"), displaces=displaces,
                )  # fmt: skip
                _load_text(trial, before)
        text = _load_text(setup, before)
        interrupted = before is not None and before.state != "loaded"
        if report.report.inserted or report.report.updated or interrupted:
            rejudge.rejudge_children(steps, catalog, table, run.actor, run.run)
        # The pass is finished last: if a kill came before, the next load judges the children again.
        with steps() as cursor:
            file = position.read_position(cursor, found.name)
            outcome.check_any_loaded(cursor, file)
            if file and before and before.state == "failed":  # of rows that were refused before
                report.refused, report.reasons = file.rejected, outcome.refused_rows(cursor, file)
            position.finish_pass(cursor, found.name, text, report.vanished_count)


@contextmanager
def _locked(connection: Connection, steps: Steps, file_name: str) -> Iterator[None]:
    """Lock a file for the whole pass; the lock also ends with the session, if this is killed."""
    facts = {"file_name": file_name}
    with steps() as cursor:
        cursor.execute(query("position.lock_file"), facts)
    try:
        yield
    finally:
        if not steps.on_trial and not connection.closed:
            with steps() as cursor:
                cursor.execute(query("position.unlock_file"), facts)


def _load_text(setup: LoadSetup, before: Position | None) -> FileText:
    """Load what follows the position; return the text, closed."""
    found, table = setup.found, setup.table
    again = setup.run.again or dictionary.is_read_otherwise(found.path, before, setup.catalog)
    opened = file_source.open_at_position(found.path, before, table, again)
    if opened.last_line_grew and before and _takes_back(setup, before, not opened.rewritten):
        opened.text.close()
        with setup.steps() as cursor:
            before = position.read_position(cursor, found.name)
        opened = file_source.open_at_position(found.path, before, table)
    with opened.text:
        if before and not opened.rewritten:
            _judge_again(setup, before)
        if opened.is_tail and not opened.text.peek(1):
            setup.report.state = "unchanged"
        else:
            _Pass.begin(setup, opened).load()
    return opened.text


def _judge_again(setup: LoadSetup, before: Position) -> None:
    """Judge the refused rows of a file again, if its table has other columns or rules now."""
    note = dictionary.judge_again(setup.steps, setup.catalog, before, setup.run)
    setup.report.notes += [note] if note else []


def _takes_back(setup: LoadSetup, before: Position, only_refused: bool) -> bool:
    """Take back the unfinished last line of a file, which goes on now; return whether that worked.

    If other rows refer to its row, it stays, and the whole file is read as a new version.
    """
    try:
        with setup.steps() as cursor:
            return position.take_back_last_line(
                cursor, setup.found.path, setup.table, before, only_refused
            )
    except DatabaseRefused:
        return False


@dataclass
class _Pass:
    """A pass over one file that has begun: this is recorded, and the session's door is open.

    `progress` is replaced when a chunk is committed. `most` is the number of records that may pass
    the door together.
    """

    setup: LoadSetup
    opened: Opening
    dialect: Dialect
    progress: LoadProgress
    most: int = sys.maxsize
    seen: Seen = field(default_factory=Seen)

    @classmethod
    def begin(cls, setup: LoadSetup, opened: Opening) -> "_Pass":
        """Recognise the dialect, record that the pass begins and prepare the session.

        Raises FileRefused for a file that cannot be loaded into its table.
        """
        found, table, run = setup.found, setup.table, setup.run
        dialect = opened.begin(setup.catalog)
        with setup.steps() as cursor:
            if opened.replaces_rows and opened.before:
                outcome.check_rewritable(cursor, table, dialect, opened.before)
            start = position.begin_pass(
                cursor, found.name, table.full_name, opened.text, dialect, run.who
            )
            if opened.rewritten:
                start = position.restart_file(cursor, found.name, dialect)
            if opened.rewritten and (run.again or not opened.replaces_rows):
                earlier_records.forget_earlier(cursor, start)
            earlier = earlier_records.read_hashes(cursor, start)
            dictionary.remember(cursor, found.name, table)
            own = position.transactions_of_pass(cursor, start)
            open_door(cursor, table, dialect.columns)
        has_key = table.key is not None and table.covers(table.key.columns, dialect.columns)
        above = dialect.lines_above + (dialect.header or "").count(dialect.newline)
        above += dialect.header is not None
        passage = Passage(
            "file",
            found.name,
            run.actor,
            run.run,
            start.version,
            own=own,
            displaces=setup.displaces,
            on_trial=setup.steps.on_trial,
        )
        return cls(
            setup,
            opened,
            dialect,
            LoadProgress(opened.prefix, start, passage, Report(), above, has_key, earlier),
        )

    def load(self) -> None:
        """Load all that follows; raises LimitExceeded on trial."""
        if not self._load_parts():
            self._load_chunks()
        report, file = self.setup.report, self.progress.position
        report.state = "loaded"
        report.notes += self._notes()
        with self.setup.steps() as cursor:
            if self.setup.steps.on_trial:
                outcome.check_limit(cursor, file.file_name, self.progress.total)
            if self.progress.total.rejected:
                report.reasons = outcome.refused_rows(cursor, file)
            # A tail was not read from the first byte, so it does not know which keys precede it.
            if file.version > 1 and not self.opened.is_tail:
                report.vanished_count, report.vanished = outcome.vanished_rows(
                    cursor, self.setup.table, file
                )

    def _notes(self) -> list[str]:
        """Return sentences about what was left out of the file, and how its columns were told."""
        is_new = not self.opened.is_continued and self.progress.total.read
        found = self.dialect.notes() if is_new else []
        found += self.seen.notes()
        if overtaken := self.progress.passage.overtaken:
            found.append(
                f"{count(overtaken, 'row')} changed from elsewhere since an earlier version of the "
                "file: left as they are, as their lines are the same (`rowboat ingest --again` "
                "loads them)"
            )
        return found

    def _advance(self, progress: LoadProgress) -> None:
        """Go on from what has been committed."""
        self.progress = progress
        self.setup.report.report = progress.total

    def _load_parts(self) -> bool:
        """Merge the staged parts of a large file in one transaction; return whether that worked."""
        text, progress = self.opened.text, self.progress
        if text.size - progress.prefix.size < 2 * settings().part_bytes:
            return False
        found, seen = self.setup.found, Seen()
        try:
            with (
                parts.opened_unchanged(found, text.size, text.version) as file,
                self.setup.steps() as cursor,
            ):
                self.setup.hold_parents(cursor)
                # All parts in this one transaction: if a later one proves unfit, nothing of the
                # earlier ones remains, and the file can be read as if there had been none.
                staged = parts.ready_parts(cursor, found, file, self.dialect, progress.prefix.size)
                for chunk in parts.part_chunks(file, staged):
                    self.setup.check_stop()
                    seen.add(chunk, progress.lines)
                    progress = self._pass_door(cursor, progress, progress.step(chunk))
                    self._tell(progress)
                parts.drop_parts(cursor, staged)
        except (PartLost, FileChanged, RowRefused, Contended):
            return False  # the file itself is read instead, from where `self.progress` still is
        self._advance(progress)
        self.seen = seen
        return True

    def _load_chunks(self) -> None:
        """Load one bounded chunk after the other; a thread cuts the next one meanwhile."""
        chunks = file_source.text_chunks(self.opened, self.dialect, self.setup.table)
        with closing(file_source.read_ahead(chunks)) as ahead:
            for chunk in ahead:
                self.seen.add(chunk, self.progress.lines)
                self._load_chunk(chunk)
                del chunk  # the chunk after the next one needs its memory

    def _load_chunk(self, chunk: TextChunk) -> None:
        """Load a chunk, in as few transactions as the database allows.

        If a row breaks a rule that cannot be judged in sets (an exclusion constraint, a trigger of
        the table's own), the number of records is halved until the row is alone. It is then
        rejected with the database's own message.
        """
        while True:
            self.setup.check_stop()
            part = chunk.head(self.most)
            try:
                self._commit(part)
            except RowRefused as error:
                if len(part) > 1:
                    self.most = len(part) // 2
                    continue
                self._commit(part.without_row(error.fact))
            # Such rows are rare: soon whole chunks pass again, at the cost of a few more halvings.
            self.most = min(2 * self.most, sys.maxsize)
            if len(part) == len(chunk):
                return
            chunk = chunk.tail(len(part))

    def _commit(self, chunk: TextChunk) -> None:
        """Load a chunk in a transaction of its own, again if other writers interfere."""
        step = self.progress.step(chunk)

        def work() -> LoadProgress:
            with self.setup.steps() as cursor:
                self.setup.hold_parents(cursor)
                return self._pass_door(cursor, self.progress, step)

        self._advance(persistently(work))
        self._tell(self.progress)

    def _pass_door(self, cursor: Cursor, before: LoadProgress, step: LoadStep) -> LoadProgress:
        """Write rows, quarantine, report and position in the caller's transaction."""
        # Before any row is written: the advisory lock of the file ends with its session, so after a
        # lost connection another loader may be at work. This makes one of the two fail.
        position.lock_position(cursor, before.position)
        passage = replace(
            before.passage,
            first_line=step.lines + 1,
            last_line=step.loaded_lines,
            first_byte=before.prefix.size,
            last_byte=step.prefix.size,
        )
        report, last_id = Report(), None
        if step.cargo.read:
            report, last_id = pass_through(cursor, self.setup.table, step.cargo, passage)
        to = {
            "loaded_bytes": step.prefix.size,
            "loaded_lines": step.loaded_lines,
            "prefix_sha256": step.prefix.sha256,
            "last_id": last_id,
        }
        if step.hashes is not None:
            earlier_records.keep_hashes(cursor, before.position, step.hashes)
        moved = position.move_position(cursor, before.position, to, vars(report))
        return replace(
            before, prefix=step.prefix, position=moved, passage=passage, total=before.total + report
        )

    def _tell(self, progress: LoadProgress) -> None:
        done = progress.prefix.size
        self.setup.run.progress(self.setup.found.name, done, max(self.opened.text.size, done))
