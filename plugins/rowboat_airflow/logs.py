"""What the library shows, in the log of a task."""

import logging
from collections.abc import Callable

from rich.console import Console, RenderableType

log = logging.getLogger(__name__)


def percent() -> Callable[[str, int, int], None]:
    """Return a progress that logs a line for each tenth of a piece of work."""
    told: dict[str, int] = {}

    def progress(name: str, done: int, size: int) -> None:
        tenth = 10 * done // max(size, 1)
        if tenth > told.get(name, 0):
            told[name] = tenth
            log.info("%s: %d %%", name, 10 * tenth)

    return progress


def text(shown: RenderableType) -> str:
    """Return what the command line would show, as plain text."""
    console = Console(width=160, force_terminal=False)
    with console.capture() as capture:
        console.print(shown)
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def tell(shown: RenderableType) -> None:
    """Log what the command line would show."""
    for line in text(shown).splitlines():
        log.info("%s", line)
