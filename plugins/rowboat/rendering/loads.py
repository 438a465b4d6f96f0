"""Documents for programs and tables for eyes, from the reports of the library."""

import re
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rowboat.door.rejected_rows import Reject
from rowboat.ingest.reports import FileReport, total_of
from rowboat.rows.read.trace import LineTrace, Origin, RowTrace
from rowboat.status import Status

COUNTS = ("read", "inserted", "updated", "unchanged", "rejected")
_ORDERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_COLOURS = {"loaded": "green", "failed": "red", "unmatched": "yellow", "loading": "cyan"}


def ingest_table(reports: Sequence[FileReport], dry_run: bool) -> RenderableType:
    """Show reports as a table, then what to do next."""
    table = table_of("file", "table", "state", numbers=COUNTS)
    for each in reports:
        row = [plain_text(each.file), short_name(each.table), _state(each.state)]
        table.add_row(*row, *(f"{vars(each.report)[name]:,}" for name in COUNTS))
    sums = total_of(reports)
    table.add_row(
        "total", "", "", *(f"{vars(sums)[name]:,}" for name in COUNTS), style="bold"
    )  # fmt: skip
    parts: list[RenderableType] = [table]
    for each in reports:
        if each.error:
            parts.append(Text(f"{each.file} {each.error}\nHINT: {each.hint}", style="red"))
        if each.vanished:
            some = ", ".join(each.vanished[:5]) + (", …" if each.vanished_count > 5 else "")
            parts.append(
                Text(f"{each.file}: {each.vanished_count:,} keys are no longer in it: {some}")
            )
    if dry_run:
        parts.append(Text("dry run: nothing was changed", style="cyan"))
    elif sums.rejected:
        parts.append(Text("`rowboat rejects list` shows the rejected rows and why", style="cyan"))
    return Group(*parts)


def status_view(found: Status) -> RenderableType:
    """Show tables, files and backup."""
    tables = table_of("table", numbers=("rows", "in quarantine"))
    for each in found.tables:
        about = "" if each.exact else "about "
        tables.add_row(plain_text(each.table), f"{about}{each.rows:,}", f"{each.rejected:,}")
    files = table_of("file", "table", "state", "finished", numbers=("lines", "bytes", *COUNTS))
    for file in found.files:
        files.add_row(
            *(plain_text(file.file_name), short_name(file.table_name), _state(file.state)),
            f"{file.finished_at:%Y-%m-%d %H:%M}" if file.finished_at else "-",
            *(f"{getattr(file, f'loaded_{name}'):,}" for name in ("lines", "bytes")),
            *(f"{getattr(file, name):,}" for name in COUNTS),
        )
    errors = [
        Text(f"{file.file_name} {file.error}", style="red") for file in found.files if file.error
    ]
    backup = "no backup has been taken yet"
    if found.backup:
        proven = "verified" if found.backup["verified"] else "not verified"
        backup = f"newest backup: {found.backup['set_name']}, {ago(found.backup['age'])}, {proven}"
        drilled = found.backup["drilled_age"]
        backup += "\nlast proven restore: "
        backup += "none yet, `rowboat drill` makes one" if drilled is None else ago(drilled)
    return Group(tables, Text(), files, *errors, Text(), Text(backup))


def ago(seconds: float) -> str:
    """Tell how long ago something was, in the unit that suits."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} seconds ago"


def rejects_view(found: Sequence[Reject], limit: int) -> RenderableType:
    """Show refused rows: place, text, reasons."""
    if not found:
        return Text("the quarantine is empty")
    table = table_of("file", "line")
    table.add_column("why", ratio=1)
    table.add_column("row", ratio=1, no_wrap=True, overflow="ellipsis")
    for each in found[:limit]:
        text = plain_text(each.text.replace("\n", "⏎").replace("\r", "␍"))
        table.add_row(plain_text(each.source_name), f"{each.line:,}", plain_text(each.why), text)
    rest = len(found) - limit
    if rest <= 0:
        return table
    more = f"{rest:,} more: --limit shows them, `rowboat rejects export` writes all"
    return Group(table, Text(more, style="cyan"))


def row_trace_view(found: RowTrace) -> RenderableType:
    """Tell a row's story in sentences."""
    lines = [f"{found.table} {','.join(found.key)}"]
    lines += [f"  {name}: {value}" for name, value in found.fields.items()]
    if found.writer is None:
        lines.append("written not through the door: by someone with SQL, or before Rowboat")
    else:
        lines.append(f"written by {_origin(found.writer)}")
    lines += [f"before that by {_origin(each)}" for each in found.earlier]
    if found.held_by:
        more = f", and {len(found.held_by) - 3} older ones" if len(found.held_by) > 3 else ""
        lines.append(f"held as it stands by the backups {', '.join(found.held_by[:-4:-1])}{more}")
    return Text("\n".join(lines))


def line_trace_view(found: LineTrace) -> RenderableType:
    """Tell a line's story in sentences."""
    lines = [f"{found.file}:{found.line} {found.state}"]
    if found.key:
        lines.append(f"  {found.table} {','.join(found.key)}")
    lines += [f"  {reason['rule']}: {reason['message']}" for reason in found.reasons]
    if found.load:
        lines.append(f"  {_load(found.load)}")
    return Text("\n".join(lines))


def _origin(origin: Origin) -> str:
    place = ""
    if origin.file:
        place = f"{origin.file}:{origin.line}" if origin.line else origin.file
    elif origin.request:
        place = f"request {origin.request} with the key {origin.caller}"
    note = f" ({origin.note})" if origin.note else ""
    return f"{place}{note}, {_load(origin.load)}" if place else f"{_load(origin.load)}{note}"


def _load(load: dict[str, Any]) -> str:
    run = f" in run {load['run']}" if load["run"] else ""
    at = f"{load['finished_at']:%Y-%m-%d %H:%M:%S} UTC"
    return f"load {load['id']} of {load['source_name']} by {load['actor']}{run} at {at}"


def table_of(*names: str, numbers: Sequence[str] = ()) -> Table:
    """Make a table of plain columns and, to their right, columns of numbers."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in names:
        table.add_column(name, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def short_name(table: str | None) -> str:
    """Leave out the schema where a column is narrow."""
    return plain_text(table.rpartition(".")[2]) if table else "-"


def _state(state: str) -> str:
    colour = _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state


def plain_text(text: str) -> str:
    """Keep a text from being read as markup, or obeyed by a terminal."""
    return escape(harmless(text))


def harmless(text: str) -> str:
    """Spell out what a terminal would obey or turn around: names and rows are strangers' text."""
    return _ORDERS.sub(lambda sign: f"\\u{ord(sign[0]):04x}", text)
