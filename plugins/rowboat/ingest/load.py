"""Loads one file, or finds out that nothing is to do; all errors of a file end here."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from rowboat.catalog.tables import Catalog
from rowboat.csvfile.text import FileText
from rowboat.database.connections import Connection, Cursor, Steps, savepoint, transaction
from rowboat.database.statements import query
from rowboat.door.merge import may_displace, may_skip_triggers
from rowboat.errors import (
    ConnectionLost,
    DatabaseRefused,
    Defect,
    RowboatError,
    SettingError,
    Stopped,
    Unmatched,
)
from rowboat.ingest import file_source, outcome, position, rejudge
from rowboat.ingest.changes import dictionary, known_content
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.file_pass import FilePass
from rowboat.ingest.position import Position
from rowboat.ingest.progress import LoadSetup
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
    steps, found, table = setup.steps, setup.found, setup.table
    run, report = setup.run, setup.report
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
            report.state = before.state_if_unchanged
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
        if opened.is_tail and before and not opened.text.peek(1):
            setup.report.state = before.state_if_unchanged
        else:
            FilePass.begin(setup, opened).load()
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
