"""What all commands share: consoles, progress bars, `--json`, errors, exit codes."""

import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib.metadata import entry_points
from typing import Any

import click
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.segment import Segment

from rowboat import __version__
from rowboat.errors import RowboatError
from rowboat.rendering.elements import harmless

ADDED = "rowboat.commands"  # entry points
WIDE = 200  # characters of a line that goes into a pipe or a file, which have no width


class Terminal(Console):
    """A console that obeys no control characters in the texts that it shows."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Render as rich does; the only control sequences are rich's own."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless(text), style, control)


out = Terminal(width=None if sys.stdout.isatty() else WIDE)
err = Terminal(stderr=True, width=None if sys.stderr.isatty() else WIDE)


class _Commands(click.Group):
    """The library's commands, and those that installed packages add (`rowboat.commands`).

    An added command is imported only when it is run or listed, as importing the API takes half a
    second.
    """

    def list_commands(self, context: click.Context) -> list[str]:
        return sorted({*super().list_commands(context), *entry_points(group=ADDED).names})

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in self.commands:
            for entry in entry_points(group=ADDED, name=name):
                self.add_command(entry.load(), name)
        return super().get_command(context, name)


@click.group(cls=_Commands)
@click.version_option(__version__)
def main() -> None:
    """Keep a folder of CSV files, a Postgres database and a shelf of AVRO backups in step."""
    # All three end a command as Ctrl-C does: transactions roll back, progress bars disappear.
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.default_int_handler)


def command(group: click.Group, *names: str) -> Callable[[Callable[..., Any]], click.Command]:
    """Decorate a function as a command of a group, with `--json`, error messages and exit codes.

    The function returns (document for `--json`, what to show, whether it succeeded); bytes are
    written unchanged. The command exits with 1 if it did not succeed, and after a RowboatError.
    """

    def add(function: Callable[..., Any]) -> click.Command:
        @wraps(function)
        def run(as_json: bool, **arguments: Any) -> None:
            try:
                document, shown, well = function(**_readable(arguments))
            except RowboatError as error:
                document, shown, well = {"error": error.fact, "hint": error.hint}, str(error), False
                if not as_json:
                    err.print(str(error), style="red", highlight=False, markup=False)
                    sys.exit(1)
            except KeyboardInterrupt:
                err.print("stopped: run it again to continue from here", style="yellow")
                sys.exit(1)
            # An error is JSON, too, so that scripts need to read stdout only.
            if as_json:
                text = json.dumps(document, indent=2, default=str, ensure_ascii=False)
                click.echo(harmless(text))
            elif isinstance(shown, bytes):
                click.echo(shown, nl=False)
            else:
                out.print(shown, highlight=False)
            sys.exit(0 if well else 1)

        option = click.option(
            "--json", "as_json", is_flag=True, help="Write one JSON document to stdout."
        )
        name = names[0] if names else function.__name__.rstrip("_")
        return group.command(name)(option(run))

    return add


def _readable(given: Any) -> Any:
    """Replace bytes of arguments that are not UTF-8 by \\xNN, as discovery does in file names."""
    if isinstance(given, str):
        return os.fsencode(given).decode("utf-8", "backslashreplace")
    if isinstance(given, dict):
        return {name: _readable(each) for name, each in given.items()}
    return tuple(map(_readable, given)) if isinstance(given, tuple) else given


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Show progress bars if stderr is a terminal; yields a callback (name, done, total)."""
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
