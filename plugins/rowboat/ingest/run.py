"""Loads the files that changed, parents before children, unrelated tables in parallel."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from rowboat.address import Address
from rowboat.catalog.tables import Catalog, read_catalog
from rowboat.database import connections
from rowboat.database.connections import Connection, Cursor, Steps, fetch_one, transaction
from rowboat.database.statements import query
from rowboat.door.passage import Report
from rowboat.errors import FileRefused, Unmatched
from rowboat.ingest import discovery, position
from rowboat.ingest.changes import dictionary
from rowboat.ingest.changes.lost_rows import find_lost_rows
from rowboat.ingest.discovery import FoundFile
from rowboat.ingest.load import NOT_OF_ONE_FILE, load_file, refuse_file, told_error
from rowboat.ingest.reports import FileReport, Run
from rowboat.storage.file_names import natural_key

AT_ONCE = 16  # tables, each on a connection of its own: the server has a few more for others


def ingest_files(paths: Sequence[Address], run: Run) -> list[FileReport]:
    """Load what changed in raw_data, or in the given files, parents before children.

    Tables of the same depth are loaded in parallel, the files of one table in natural order.
    A file that fails or is missing is reported and does not keep the others from loading. A dry run
    loads all files in one transaction, which it rolls back.
    """
    with connections.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = read_catalog(cursor)
        found = find_files(paths, catalog)
        todo, reports = triage_files(connection, catalog, found, run)
        if not run.dry_run and not paths:
            reports += judge_absent(Steps(connection), catalog, found, run)
        if run.dry_run:
            with transaction(connection, keep=False) as cursor:
                if not paths:
                    reports += judge_absent(Steps(connection, cursor), catalog, found, run)
                for each in order_files(todo, catalog):
                    reports.append(load_file(connection, catalog, each, run, cursor))
                todo = []
    for _, level in groupby(order_files(todo, catalog), lambda each: depth_of(each, catalog)):
        reports += _load_level(list(level), catalog, run)
    return sorted(reports, key=lambda report: natural_key(report.file))


def find_files(paths: Sequence[Address], catalog: Catalog) -> list[FoundFile]:
    """Return the given files, even those that are missing, and all files of raw_data that belong to
    the given tables; without any, all files of raw_data.
    """
    found = []
    for path in paths:
        table = catalog.find(str(path))
        if table:
            found += [each for each in discovery.scan_folder(catalog) if each.table == table]
        else:
            found.append(discovery.find_file(path, catalog))
    return found if paths else discovery.scan_folder(catalog)


def triage_files(
    connection: Connection, catalog: Catalog, found: Sequence[FoundFile], run: Run
) -> tuple[list[FoundFile], list[FileReport]]:
    """Return the files to be loaded, and reports of those that are unchanged or cannot be."""
    with transaction(connection) as cursor:
        if not run.dry_run:
            dictionary.remember_unknown(cursor, catalog)
        done = position.done_versions(cursor)
        changed = dictionary.changed_files(cursor, catalog)
    todo, reports = [], []
    for each in found:
        if each.table is None:
            reports.append(_refuse(connection, each, run))
        elif not (run.checksum or run.again or each.name in changed) and done.get(each.name, ())[
            :3
        ] == (
            each.table.full_name,
            each.size,
            each.version,
        ):
            reports.append(FileReport(each.name, each.table.full_name, done[each.name][3]))
        else:
            todo.append(each)
    _note_lost_rows(connection, catalog, reports, run)
    return todo, reports


def judge_absent(
    steps: Steps, catalog: Catalog, found: Sequence[FoundFile], run: Run
) -> list[FileReport]:
    """Judge the refused rows of files again that are not in raw_data, or no longer, if their tables
    have changed; return reports of these files.
    """
    present, reports = {each.name for each in found}, []
    with steps() as cursor:
        changed = dictionary.changed_files(cursor, catalog)
        absent = sorted(
            name for name, refused in changed.items() if refused and name not in present
        )
        known = position.all_positions(cursor) if absent else {}
    for name in absent:
        report = FileReport(name, known[name].table_name, "unchanged")
        try:
            note = dictionary.judge_again(steps, catalog, known[name], run)
            report.notes += [note] if note else []
        except NOT_OF_ONE_FILE:
            raise
        except Exception as error:
            told = told_error(error, name)
            report.state, report.error, report.hint = "failed", told.fact, told.hint
        reports.append(report)
    return reports


def _note_lost_rows(
    connection: Connection, catalog: Catalog, reports: list[FileReport], run: Run
) -> None:
    """Add a note to the reports of unchanged files whose table no longer holds their rows."""
    with transaction(connection, keep=not run.dry_run) as cursor:
        lost = find_lost_rows(cursor, catalog)
    for each in reports:
        if each.state == "unchanged" and each.file in lost:
            each.notes.append(str(lost[each.file]))


def _refuse(connection: Connection, found: FoundFile, run: Run) -> FileReport:
    """Report a file that has no table, cannot be read or is missing."""
    report = FileReport(found.name, None, "failed")
    error = FileRefused(found.problem, found.remedy) if found.remedy else Unmatched(found.problem)
    # of a file that is missing, what is recorded remains true
    refuse_file(connection, found, report, error, run, keep=bool(found.version))
    return report


def add_up_run(cursor: Cursor, run: str) -> Report:
    """Return the sum of the counts of all loads of a run."""
    cursor.execute(query("door.totals"), {"run": run})
    return Report(*fetch_one(cursor))


def order_files(files: Sequence[FoundFile], catalog: Catalog) -> list[FoundFile]:
    """Return files sorted: parents before children, then by table, then in natural order."""

    def key(file: FoundFile) -> tuple[object, ...]:
        return depth_of(file, catalog), file.table and file.table.full_name, natural_key(file.name)

    return sorted(files, key=key)


def depth_of(file: FoundFile, catalog: Catalog) -> int:
    """Return the depth of a file's table: 0 without parents, else 1 + its deepest parent's."""
    return catalog.depths[file.table.full_name] if file.table else 0


def _load_level(files: list[FoundFile], catalog: Catalog, run: Run) -> list[FileReport]:
    """Load some tables in parallel, each on a connection of its own."""

    def load_table(mine: list[FoundFile]) -> list[FileReport]:
        with connections.session("loader") as connection:
            return [load_file(connection, catalog, each, run) for each in mine]

    tables = [list(mine) for _, mine in groupby(files, lambda each: each.table)]
    with ThreadPoolExecutor(min(len(tables), AT_ONCE)) as pool:
        try:
            return [report for mine in pool.map(load_table, tables) for report in mine]
        except BaseException:
            run.stop.set()  # else leaving the pool would wait until all tables are loaded
            raise
