"""The commands for loading, the quarantine, the state of the system, and tracing."""

import getpass
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rowboat import address, status
from rowboat.address import Address
from rowboat.catalog import migrations
from rowboat.catalog.tables import read_catalog
from rowboat.cli import backups, health, keys, metrics, sql, unload
from rowboat.cli.terminal import command, main, progress_bars
from rowboat.database import connections
from rowboat.database.connections import transaction
from rowboat.door import quarantine, rejected_rows
from rowboat.ingest.rejudge import rejudge_rows
from rowboat.ingest.reports import Run, reports_to_json
from rowboat.ingest.run import ingest_files
from rowboat.rendering import loads
from rowboat.rows.read import trace

__all__ = ["backups", "health", "keys", "main", "metrics", "sql", "unload"]  # each adds to `main`


@command(main)
@click.option(
    "--to", type=click.IntRange(min=0), help="Go to this migration; later ones are rolled back."
)
def migrate(to: int | None) -> Any:
    """Apply the migrations that the database does not have yet."""
    with connections.session("owner") as connection:
        ran = migrations.migrate(connection, to)
    shown = "\n".join(f"ran {name}" for name in ran) or "the schema is up to date"
    return {"ran": ran}, shown, True


@command(main, "ingest")
@click.argument("paths", nargs=-1, type=address.parse_address)
@click.option("--dry-run", is_flag=True, help="Judge every row, but change nothing.")
@click.option(
    "--checksum", is_flag=True, help="Also read files whose size and time have not changed."
)
@click.option(
    "--again",
    is_flag=True,
    help="Load the given files, or those of the given tables, from their beginning again.",
)
def ingest_(paths: tuple[Address, ...], dry_run: bool, checksum: bool, again: bool) -> Any:
    """Load what has changed in raw_data, or in the given files or files of the given tables."""
    if again and not paths:
        raise click.UsageError("--again takes the names of files or tables")
    run = Run(getpass.getuser(), dry_run=dry_run, checksum=checksum, again=again)
    with progress_bars() as run.progress:
        reports = ingest_files(paths, run)
    # In raw_data there may be files for others, but who names one wants it to be loaded.
    wrong = {"failed", "unmatched"} if paths else {"failed"}
    well = not any(report.state in wrong for report in reports)
    return reports_to_json(reports), loads.ingest_table(reports, dry_run), well


@command(main, "status")
def status_() -> Any:
    """Show tables, files and their positions, the quarantine, and the newest backup."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        found = status.read_status(cursor)
    return found.to_json(), loads.status_view(found), True


@main.group("rejects")
def rejects_() -> None:
    """List, export, retry or discard the rows in quarantine."""


@command(rejects_, "list")
@click.argument("table", required=False)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=50,
    show_default=True,
    help="Number of rows to show.",
)
def list_(table: str | None, limit: int) -> Any:
    """Show refused rows with their reasons."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        name = read_catalog(cursor).table(table).full_name if table else None
        found = rejected_rows.read_rejects(cursor, name)
    return [each.to_json() for each in found], loads.rejects_view(found, limit), True


@command(rejects_)
@click.argument("table", required=False)
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), default=Path("rejects.csv"),
    show_default=True, help="File to write; it must not exist yet.",
)  # fmt: skip
def export(table: str | None, to: Path) -> Any:
    """Write refused rows, byte for byte, and their reasons to a CSV file."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        name = read_catalog(cursor).table(table).full_name if table else None
        found = rejected_rows.read_rejects(cursor, name)
    rejected_rows.export_rejects(found, to)
    return {"file": str(to), "rows": len(found)}, f"{len(found):,} rows written to {to}", True


@command(rejects_)
@click.argument("table", required=False)
def retry(table: str | None) -> Any:
    """Judge refused rows again, for example after a rule has changed."""
    actor = getpass.getuser()
    with connections.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = read_catalog(cursor)
        tables = [catalog.table(table)] if table else catalog.in_order()
        steps = connections.Steps(connection)
        reports = {
            each.full_name: rejudge_rows(
                steps, catalog, each, actor, which=rejected_rows.RejectFilter()
            )
            for each in tables
        }
    shown = "\n".join(f"{name}: {report}" for name, report in reports.items())
    return {name: vars(report) for name, report in reports.items()}, shown, True


@command(rejects_)
@click.argument("table", required=False)
@click.option("--because", required=True, help="Why the rows are not wanted; it is kept with them.")
@click.option(
    "--id", "ids", metavar="N", type=int, multiple=True, help="Only this row; may be repeated."
)
@click.option("--file", "source_name", metavar="NAME", help="Only rows of this file.")
def discard(table: str | None, because: str, ids: tuple[int, ...], source_name: str | None) -> Any:
    """Mark refused rows as not wanted; they are kept, but no longer open."""
    if not because.strip():
        raise click.UsageError("--because takes a reason that is not blank")
    actor = getpass.getuser()

    def work() -> Counter[str]:
        done = Counter[str]()
        with transaction(connection) as cursor:
            names = [read_catalog(cursor).table(table).full_name] if table else None
            for each in ids or (None,):
                which = rejected_rows.RejectFilter(names, source_name=source_name, id=each)
                done.update(quarantine.discard_rejects(cursor, which, actor, because.strip()))
        return done

    with connections.session("loader") as connection:
        done = connections.persistently(work)
    number = done.total()
    rows = "1 row" if number == 1 else f"{number:,} rows"
    shown = f"{rows} discarded" if number else "no refused row matches: nothing was discarded"
    return {"discarded": number, "tables": dict(done)}, shown, number > 0


@command(main, "trace")
@click.argument("subject")
@click.argument("key", required=False)
def trace_(subject: str, key: str | None) -> Any:
    """Show where a row came from (TABLE KEY) or what became of a line (FILE:LINE)."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        if key is not None:
            found = trace.trace_row(cursor, catalog.table(subject), key.split(","))
            return asdict(found), loads.row_trace_view(found), True
        name, colon, number = subject.rpartition(":")
        if not colon or not number.isdecimal() or not int(number):
            raise click.UsageError("give TABLE KEY, or FILE:LINE")
        found_line = trace.trace_line(cursor, catalog, trace.name_of_file(name), int(number))
        return asdict(found_line), loads.line_trace_view(found_line), True
