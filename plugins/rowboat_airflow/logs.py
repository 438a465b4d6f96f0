"""Writes progress and the views of the library to the log of a task."""

import logging
from collections.abc import Callable

from rich.console import Console, RenderableType

log = logging.getLogger(__name__)


def percent() -> Callable[[str, int, int], None]:
    """Return a progress callback (name, done, total) that logs each tenth of a piece of work."""
    logged: dict[str, int] = {}

    def progress(name: str, done: int, size: int) -> None:
        tenth = 10 * done // max(size, 1)
        if tenth > logged.get(name, 0):
            logged[name] = tenth
            log.info("%s: %d %%", name, 10 * tenth)

    return progress


def text(shown: RenderableType) -> str:
    """Return a view as plain text, 160 characters wide."""
    console = Console(width=160, force_terminal=False)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def tell(shown: RenderableType) -> None:
    """Log a view, line by line."""
    for line in text(shown).splitlines():
        log.info("%s", line)
