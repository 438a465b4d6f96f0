"""The commands for backups: take, list, verify, pin, prune, drill, restore, undo."""

import getpass
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from rowboat import address
from rowboat.backup import retention, sets, take, verify
from rowboat.backup.recovery import restore, source
from rowboat.backup.recovery.drill import run_drill
from rowboat.backup.recovery.plan import MODES, Mode
from rowboat.backup.recovery.source import Source
from rowboat.backup.recovery.table_restore import RestoreOrder
from rowboat.catalog.tables import read_catalog
from rowboat.cli import terminal
from rowboat.cli.terminal import command, main, progress_bars
from rowboat.database import connections
from rowboat.database.connections import Connection, transaction
from rowboat.errors import RestoreRefused
from rowboat.rendering import backups

_plan = click.option("--plan", "plan_only", is_flag=True, help="Show what would happen, then stop.")
_yes = click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
_cascade = click.option(
    "--cascade", is_flag=True, help="Let deletes change rows of other tables through foreign keys."
)


@command(main, "backup")
@click.argument("tables", nargs=-1)
@click.option("--pin", is_flag=True, help="Keep the set regardless of its age.")
def backup_(tables: tuple[str, ...], pin: bool) -> Any:
    """Back up all tables, or the named ones, as one set, and read it back."""
    with connections.session("loader") as connection, progress_bars() as progress:
        taken = take.take_backup(connection, tables, pin, progress)
    shown = backups.taken_view(taken)
    return taken.to_json(), shown, not taken.findings


@command(main, "backups")
def backups_() -> Any:
    """Show the sets on the shelf and the restores that can be undone."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        found, done = sets.read_sets(cursor), restore.list_restores(cursor)
    document = {"sets": [asdict(each) for each in found], "restores": done}
    return document, backups.shelf_view(found, done), True


@command(main, "verify")
@click.argument("set_name", metavar="[SET]", required=False)
def verify_(set_name: str | None) -> Any:
    """Read a set again (default: the newest) and recompute its counts and digests."""
    with connections.session("loader") as connection, progress_bars() as progress:
        found = verify.verify_set(connection, set_name, progress)
    return found.to_json(), backups.checked_view(found), found.ok


@command(main)
@click.argument("set_name", metavar="SET")
@click.option("--off", is_flag=True, help="Let retention delete the set again.")
def pin(set_name: str, off: bool) -> Any:
    """Keep a set regardless of its age."""
    with connections.session("loader") as connection, transaction(connection) as cursor:
        sets.pin_set(cursor, set_name, not off)
    shown = f"{set_name} expires by the rules again" if off else f"{set_name} is kept"
    return {"set": set_name, "pinned": not off}, shown, True


@command(main)
@click.option("--dry-run", is_flag=True, help="Show what would be deleted, but change nothing.")
def prune(dry_run: bool) -> Any:
    """Delete the sets that no retention rule keeps, and say why each is kept or deleted."""
    with connections.session("loader") as connection:
        verdicts = retention.prune_sets(connection, dry_run)
    document = {"dry_run": dry_run, "sets": [vars(each) for each in verdicts]}
    return document, backups.verdicts_view(verdicts, dry_run), True


@command(main)
@click.argument("set_name", metavar="[SET]", required=False)
def drill(set_name: str | None) -> Any:
    """Restore a set (default: the newest verified) into a scratch schema, and compare."""
    with connections.session("loader") as connection, progress_bars() as progress:
        done = run_drill(connection, getpass.getuser(), set_name, progress)
    return vars(done) | {"ok": done.ok}, backups.drilled_view(done), done.ok


@command(main, "restore")
@click.argument("table", required=False)
@click.option(
    "--from",
    "from_",
    metavar="SET|FILE",
    help="What to restore from. Default: the newest verified set.",
)
@click.option(
    "--mode", type=click.Choice(MODES), default="replace", show_default=True,
    help="Make the table equal to the backup; insert and update; or only insert.",
)  # fmt: skip
@click.option("--into", metavar="NAME", help="Write a new table beside the old one instead.")
@click.option("--all", "every", is_flag=True, help="Restore all tables of the set, parents first.")
@_cascade
@_plan
@_yes
def restore_(
    table: str | None, from_: str | None, mode: Mode, into: str | None, every: bool,
    cascade: bool, plan_only: bool, yes: bool,
) -> Any:  # fmt: skip
    """Restore a table, or --all, from a backup, after showing the plan."""
    if (table is None) != every or (into and every):
        raise click.UsageError("name one table, or give --all")
    with connections.session("owner" if into else "loader") as connection:
        sources = _sources(connection, table, from_)
        actor = getpass.getuser()
        if table and into:
            [(name, found)] = sources.items()
            report = restore.restore_into(connection, found, name, into, actor)
            document = {"table": name, "into": into, "set": found.set, **vars(report)}
            return document, backups.copied_view(name, into, found.set, report), True
        return _carry_out(
            connection, RestoreOrder(sources, mode, actor, cascade=cascade), plan_only, yes
        )  # fmt: skip


@command(main)
@click.argument("number", metavar="ID", type=int)
@_cascade
@_plan
@_yes
def undo(number: int, cascade: bool, plan_only: bool, yes: bool) -> Any:
    """Undo a restore or an unload: bring back the rows that were there before."""
    with connections.session("loader") as connection:
        order = restore.undo_order(connection, number, getpass.getuser())
        order.cascade = cascade
        return _carry_out(connection, order, plan_only, yes)


def _carry_out(connection: Connection, order: RestoreOrder, plan_only: bool, yes: bool) -> Any:
    """Plan, ask for confirmation, and restore."""
    if plan_only or not yes:
        # The restore repeats the plan in its own transaction and fails if it is no longer the same.
        with progress_bars() as order.progress:
            order.expected = restore.plan_restore(connection, order)
        shown = backups.plan_view(order.expected)
        if plan_only:
            return order.expected.to_json(), shown, True
        _ask(shown)
    with progress_bars() as order.progress:
        done = restore.restore_tables(connection, order)
    return done.to_json(), backups.restored_view(done), True


def _ask(shown: Any) -> None:
    if not sys.stdin.isatty():
        raise RestoreRefused("a restore must be confirmed", "add --yes, or --plan to look first")
    terminal.err.print(shown, highlight=False)
    if not click.confirm("Restore?", err=True):
        raise RestoreRefused("the restore was not confirmed; nothing was changed")


def _sources(connection: Connection, table: str | None, from_: str | None) -> dict[str, Source]:
    """Return the source of each table, each verified first: the named set or file, or a default."""
    with transaction(connection) as cursor:
        catalog = read_catalog(cursor)
        name = catalog.table(table).full_name if table else None
        if from_ and name and (from_.endswith(".avro") or Path(from_).is_file()):
            return {name: source.source_of_file(address.parse_address(from_), name)}
        if from_:
            found = sets.find_set(cursor, from_)
        else:
            found = sets.newest_set(cursor, [name]) if name else sets.newest_whole(cursor, catalog)
    wanted = [name] if name else list(found.tables)
    with progress_bars() as progress:
        return {each: source.source_of_set(found.name, each, progress) for each in wanted}
