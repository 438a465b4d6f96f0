"""What every command of the line shares: consoles, bars, `--json`, errors, exit codes."""

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from rowboat import __version__
from rowboat.errors import RowboatError

WIDE = 200  # columns of a table that goes into a pipe or a file
out = Console(width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, width=None if sys.stderr.isatty() else WIDE)


@click.group()
@click.version_option(__version__)
def main() -> None:
    """Keep a folder of CSV files, a Postgres database and a shelf of AVRO backups in step."""
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)


def command(group: click.Group, *names: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Add a command: `--json`, errors as a fact and a hint, exit code 1 for them.

    A command returns (document, how to show it, whether it went well); bytes are shown as they are.
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
            elif isinstance(shown, bytes):
                click.echo(shown, nl=False)
            else:
                out.print(shown, highlight=False)
            sys.exit(0 if well else 1)

        option = click.option(
            "--json", "as_json", is_flag=True, help="One JSON document on stdout."
        )
        name = names[0] if names else function.__name__.rstrip("_")
        return group.command(name)(option(run))

    return add


@contextmanager
def bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show a bar for each piece of work on a terminal; yields what is told (name, done, of)."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as progress:
        shown: dict[str, Any] = {}

        def moved(name: str, done: int, size: int) -> None:
            if name not in shown:
                shown[name] = progress.add_task(name, total=size)
            progress.update(shown[name], completed=done, total=size)

        yield moved
