"""One pass over a file from its position on: in bounded chunks, or in parts that were staged."""

import sys
from contextlib import closing
from dataclasses import dataclass, field, replace

from rowboat.csvfile.dialect import Dialect, count
from rowboat.database.connections import Cursor, persistently
from rowboat.door.passage import Passage, Report, open_door, pass_through
from rowboat.errors import Contended, FileChanged, PartLost, RowRefused
from rowboat.ingest import file_source, outcome, position
from rowboat.ingest.changes import dictionary, earlier_records
from rowboat.ingest.file_source import Opening, TextChunk
from rowboat.ingest.large_files import parts
from rowboat.ingest.progress import LoadProgress, LoadSetup, LoadStep, Seen
from rowboat.settings import settings


@dataclass
class FilePass:
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
    def begin(cls, setup: LoadSetup, opened: Opening) -> "FilePass":
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
            dictionary.remember(cursor, found.name, table, dialect.columns)
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
