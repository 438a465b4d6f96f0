"""The command line: the library's face. `--json` gives one document on stdout."""

import getpass
import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rowboat import __version__, database, migrations, rejects, show, status, trace
from rowboat import catalog as catalogs
from rowboat.database import transaction
from rowboat.errors import RowboatError
from rowboat.ingest import ingest
from rowboat.load import Run
from rowboat.retry import rejected as judge_again

WIDE = 200  # columns of a table that goes into a pipe or a file
out = Console(width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, width=None if sys.stderr.isatty() else WIDE)


def command(group: click.Group, *names: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Add a command: `--json`, errors as a fact and a hint, exit code 1 for them.

    A command returns (document, how to show it, whether it went well).
    """

    def add(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def run(as_json: bool, **arguments: Any) -> None:
            try:
                document, shown, well = function(**arguments)
            except RowboatError as error:
                document, shown, well = {"error": error.fact, "hint": error.hint}, str(error), False
                if not as_json:
                    err.print(str(error), style="red", highlight=False, markup=False)
                    sys.exit(1)
            except KeyboardInterrupt:
                err.print("stopped: run it again, and it goes on from here", style="yellow")
                sys.exit(1)
            if as_json:
                click.echo(json.dumps(document, indent=2, default=str, ensure_ascii=False))
            else:
                out.print(shown, highlight=False)
            sys.exit(0 if well else 1)

        option = click.option(
            "--json", "as_json", is_flag=True, help="One JSON document on stdout."
        )
        name = names[0] if names else function.__name__.rstrip("_")
        return group.command(name)(option(run))

    return add


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Keep a folder of CSV files, a Postgres database and a shelf of AVRO backups in step."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)


@command(main)
def up() -> Any:
    """Run everything on this machine until Ctrl-C."""
    from rowboat_airflow.up import up as run_everything

    return run_everything(err)


@command(main)
@click.option(
    "--to", type=click.IntRange(min=0), help="Stop at this number; what is above it is taken back."
)
def migrate(to: int | None) -> Any:
    """Bring the schema up to date."""
    with database.session("owner") as connection:
        ran = migrations.migrate(connection, to)
    shown = "\n".join(f"ran {name}" for name in ran) or "the schema is up to date"
    return {"ran": ran}, shown, True


@command(main, "ingest")
@click.argument("paths", nargs=-1, type=click.Path(path_type=Path))
@click.option("--dry-run", is_flag=True, help="Judge everything, change nothing.")
@click.option("--checksum", is_flag=True, help="Look into files of the same size and time too.")
def ingest_(paths: tuple[Path, ...], dry_run: bool, checksum: bool) -> Any:
    """Load what changed in raw_data, or in the given files."""
    run = Run(getpass.getuser(), dry_run=dry_run, checksum=checksum)
    with _progress(run):
        reports = ingest(paths, run)
    well = all(report.state != "failed" for report in reports)
    return show.ingest_document(reports), show.ingest_table(reports, dry_run), well


@command(main, "status")
def status_() -> Any:
    """Show tables, files and positions, quarantine, newest backup."""
    with database.session("loader") as connection, transaction(connection) as cursor:
        found = status.read(cursor)
    return found.to_json(), show.status(found), True


@main.group("rejects")
def rejects_() -> None:
    """Look at the quarantine, take it out as CSV, judge it again."""


@command(rejects_, "list")
@click.argument("table", required=False)
@click.option(
    "--limit", type=click.IntRange(min=0), default=50, show_default=True, help="Rows shown."
)
def list_(table: str | None, limit: int) -> Any:
    """Show refused rows with their reasons."""
    with database.session("loader") as connection, transaction(connection) as cursor:
        name = catalogs.read(cursor).table(table).full_name if table else None
        found = rejects.read(cursor, name)
    return [each.to_json() for each in found], show.rejects(found, limit), True


@command(rejects_)
@click.argument("table", required=False)
@click.option(
    "--to", type=click.Path(dir_okay=False, path_type=Path), default=Path("rejects.csv"),
    show_default=True, help="File to write; it must not exist.",
)  # fmt: skip
def export(table: str | None, to: Path) -> Any:
    """Write refused rows, byte for byte, with their reasons into a CSV file."""
    with database.session("loader") as connection, transaction(connection) as cursor:
        name = catalogs.read(cursor).table(table).full_name if table else None
        found = rejects.read(cursor, name)
    rejects.export(found, to)
    return {"file": str(to), "rows": len(found)}, f"{len(found):,} rows written to {to}", True


@command(rejects_)
@click.argument("table", required=False)
def retry(table: str | None) -> Any:
    """Judge refused rows again, as when a rule has changed or a parent was added by hand."""
    actor = getpass.getuser()
    with database.session("loader") as connection:
        with transaction(connection) as cursor:
            catalog = catalogs.read(cursor)
        tables = [catalog.table(table)] if table else catalog.in_order()
        steps = database.Steps(connection)
        reports = {
            each.full_name: judge_again(steps, catalog, each, actor, every=True) for each in tables
        }
    shown = "\n".join(f"{name}: {report}" for name, report in reports.items())
    return {name: vars(report) for name, report in reports.items()}, shown, True


@command(main, "trace")
@click.argument("subject")
@click.argument("key", required=False)
def trace_(subject: str, key: str | None) -> Any:
    """Tell where a row came from (TABLE KEY) or what became of a line (FILE:LINE)."""
    with database.session("loader") as connection, transaction(connection) as cursor:
        catalog = catalogs.read(cursor)
        if key is not None:
            found = trace.row(cursor, catalog.table(subject), key.split(","))
            return show.as_document(found), show.row_trace(found), True
        name, colon, number = subject.rpartition(":")
        if not colon or not number.isdecimal() or not int(number):
            raise click.UsageError("give TABLE KEY, or FILE:LINE")
        found_line = trace.line(cursor, catalog, trace.file_name(name), int(number))
        return show.as_document(found_line), show.line_trace(found_line), True


@contextmanager
def _progress(run: Run) -> Iterator[None]:
    """Show a bar for each file on a terminal; stop between two chunks on Ctrl-C."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        bars: dict[str, Any] = {}

        def moved(name: str, done: int, size: int) -> None:
            if name not in bars:
                bars[name] = progress.add_task(name, total=size)
            progress.update(bars[name], completed=done, total=size)

        run.progress = moved
        yield
