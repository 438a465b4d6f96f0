"""Views of loads, status, the quarantine and traces."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from rowboat.door.rejected_rows import Reject
from rowboat.ingest.reports import FileReport, told_state, total_of
from rowboat.rendering.elements import ago, plain_text, short_name, table_of
from rowboat.rows.read.trace import LineTrace, Origin, RowTrace
from rowboat.status import Status

COUNTS = ("read", "inserted", "updated", "unchanged", "rejected")
_COLOURS = {
    "loaded": "green",
    "failed": "red",
    "unmatched": "yellow",
    "unloaded": "yellow",
    "loading": "cyan",
}


def ingest_table(reports: Sequence[FileReport], dry_run: bool) -> RenderableType:
    """Return a table of reports, errors, and what to do next."""
    table = table_of("file", "table", "state", numbers=COUNTS)
    for each in reports:
        row = [plain_text(each.file), short_name(each.table), _state(each.outcome)]
        table.add_row(*row, *(f"{vars(each.report)[name]:,}" for name in COUNTS))
    sums = total_of(reports)
    table.add_row(
        "total", "", "", *(f"{vars(sums)[name]:,}" for name in COUNTS), style="bold"
    )  # fmt: skip
    parts: list[RenderableType] = [table]
    for each in reports:
        if each.error:
            parts.append(Text(f"{each.file} {each.error}\nHINT: {each.hint}", style="red"))
        parts += [Text(f"{each.file}: {note}") for note in each.notes]
        if not each.error:
            parts += [Text(f"{each.file}: {why}", style="yellow") for why in each.shown_reasons]
        if each.vanished:
            some = ", ".join(each.vanished[:5]) + (", …" if each.vanished_count > 5 else "")
            parts.append(
                Text(f"{each.file}: {each.vanished_count:,} keys are no longer in the file: {some}")
            )
    if any(each.state == "unloaded" for each in reports):
        parts.append(Text("`rowboat ingest --again FILE` loads an unloaded file", style="cyan"))
    if dry_run:
        parts.append(Text("dry run: nothing was changed", style="cyan"))
    elif sums.rejected:
        parts.append(Text("`rowboat rejects list` shows the rejected rows and why", style="cyan"))
    return Group(*parts)


def status_view(found: Status) -> RenderableType:
    """Return the tables, the files, and the state of the backups."""
    tables = table_of("table", numbers=("rows", "in quarantine"))
    for each in found.tables:
        about = "" if each.exact else "about "
        tables.add_row(plain_text(each.table), f"{about}{each.rows:,}", f"{each.rejected:,}")
    files = table_of("file", "table", "state", "finished", numbers=("lines", "bytes", *COUNTS))
    for file in found.files:
        files.add_row(
            *(plain_text(file.file_name), short_name(file.table_name)),
            _state(told_state(file.state, file.refused)),
            f"{file.finished_at:%Y-%m-%d %H:%M}" if file.finished_at else "-",
            *(f"{getattr(file, f'loaded_{name}'):,}" for name in ("lines", "bytes")),
            *(f"{getattr(file, name):,}" for name in COUNTS),
        )
    errors = [
        Text(f"{file.file_name} {file.error}", style="red") for file in found.files if file.error
    ]
    errors += [Text(f"{file}: {what}", style="yellow") for file, what in found.lost.items()]
    backup = "no backup has been taken yet"
    if found.backup:
        proven = "verified" if found.backup["verified"] else "not verified"
        backup = f"newest backup: {found.backup['set_name']}, {ago(found.backup['age'])}, {proven}"
        drilled = found.backup["drilled_age"]
        backup += "\nlast proven restore: "
        backup += "none yet: run `rowboat drill`" if drilled is None else ago(drilled)
    return Group(tables, Text(), files, *errors, Text(), Text(backup))


def rejects_view(found: Sequence[Reject], limit: int) -> RenderableType:
    """Return a table of the first `limit` rejected rows with their reasons."""
    if not found:
        return Text("the quarantine is empty")
    table = table_of("id", "file", "line")
    table.add_column("why", ratio=1)
    table.add_column("row", ratio=1, no_wrap=True, overflow="ellipsis")
    for each in found[:limit]:
        text = plain_text(each.text.replace("\n", "⏎").replace("\r", "␍"))
        place = plain_text(each.source_name), f"{each.line:,}"
        table.add_row(str(each.id), *place, plain_text(each.why), text)
    rest = len(found) - limit
    if rest <= 0:
        return table
    more = f"{rest:,} more: show them with --limit, or write all with `rowboat rejects export`"
    return Group(table, Text(more, style="cyan"))


def row_trace_view(found: RowTrace) -> RenderableType:
    """Return where a row came from, in sentences."""
    lines = [f"{found.table} {','.join(found.key)}"]
    lines += [f"  {name}: {value}" for name, value in found.fields.items()]
    if found.writer is None:
        lines.append("not written by Rowboat: written in SQL, or before Rowboat was installed")
    else:
        lines.append(f"written by {_origin(found.writer)}")
    lines += [f"before that by {_origin(each)}" for each in found.earlier]
    if found.held_by:
        more = f", and {len(found.held_by) - 3} older ones" if len(found.held_by) > 3 else ""
        lines.append(f"held unchanged by the backups {', '.join(found.held_by[:-4:-1])}{more}")
    return Text("\n".join(lines))


def line_trace_view(found: LineTrace) -> RenderableType:
    """Return what became of a line, in sentences."""
    lines = [f"{found.file}:{found.line} {found.state}"]
    if found.key:
        lines.append(f"  {found.table} {','.join(found.key)}")
    lines += [f"  {reason['rule']}: {reason['message']}" for reason in found.reasons]
    if found.discarded:
        at = f"{found.discarded.at:%Y-%m-%d %H:%M:%S} UTC"
        lines.append(f"  by {found.discarded.by} at {at}: {found.discarded.because}")
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
    kind = "unload" if load["source"] == "unload" else "load"
    return f"{kind} {load['id']} of {load['source_name']} by {load['actor']}{run} at {at}"


def _state(state: str) -> str:
    colour = "yellow" if state.startswith("loaded with") else _COLOURS.get(state)
    return f"[{colour}]{state}[/]" if colour else state
