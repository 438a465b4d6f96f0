"""What all views are made of: tables, short words, and text made safe for a terminal."""

import re
from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

# Control characters, and those that turn the direction of text around (Unicode Standard Annex #9):
# a name or a cell could use them to forge output or to drive the terminal.
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def table_of(*names: str, numbers: Sequence[str] = ()) -> Table:
    """Return an empty table of plain columns and, to their right, columns of numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def short_name(table: str | None) -> str:
    """Return the name of a table without its schema, or `-` for none."""
    return plain_text(table.rpartition(".")[2]) if table else "-"


def plain_text(text: str) -> str:
    """Return a text that rich does not read as markup and a terminal does not obey."""
    return escape(harmless(text))


def harmless(text: str) -> str:
    """Return a text with its control and direction characters spelled out as \\uNNNN."""
    return _CONTROLS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)


def ago(seconds: float) -> str:
    """Return how long ago something was, in a unit of which there are at least two."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} seconds ago"
