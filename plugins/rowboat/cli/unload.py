"""The command that takes the rows of a file out of the database again."""

import getpass
import sys
from typing import Any

import click

from rowboat import unload
from rowboat.cli import terminal
from rowboat.cli.terminal import command, main, progress_bars
from rowboat.database import connections
from rowboat.errors import UnloadRefused
from rowboat.rendering.unload import unload_view, unloaded_view
from rowboat.unload import UnloadOrder


@command(main, "unload")
@click.argument("file")
@click.option("--plan", "plan_only", is_flag=True, help="Show what would happen, then stop.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def unload_(file: str, plan_only: bool, yes: bool) -> Any:
    """Take the rows out again that a file brought and that are unchanged since."""
    with connections.session("loader") as connection:
        order = UnloadOrder(unload.find_file(connection, file), getpass.getuser())
        if plan_only or not yes:
            order.approved = unload.plan_unload(connection, order)
            shown = unload_view(order.approved)
            if plan_only:
                return order.approved.to_json(), shown, True
            order.approved.check()
            _ask(shown)
        with progress_bars() as order.progress:
            done = unload.unload_file(connection, order)
    return done.to_json(), unloaded_view(done), True


def _ask(shown: Any) -> None:
    if not sys.stdin.isatty():
        raise UnloadRefused("an unload must be confirmed", "add --yes, or --plan to look first")
    terminal.err.print(shown, highlight=False)
    if not click.confirm("Unload?", err=True):
        raise UnloadRefused("the unload was not confirmed; nothing was changed")
