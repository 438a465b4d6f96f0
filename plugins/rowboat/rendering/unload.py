"""Views of an unload: its plan, and what was done."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from rowboat.unload import Changer, TableUnload, Unloaded, UnloadPlan

_SOURCES = {"file": "the file", "backup": "the backup", "api": "requests of", "retry": "a retry by"}


def unload_view(found: UnloadPlan) -> RenderableType:
    """Return what unloading a file would do, in numbers of rows."""
    parts: list[RenderableType] = [Text(found.file)]
    for each in found.tables:
        parts += [Text(f"  {each.table}"), *_lines(each)]
    if found.refused:
        parts.append(Text(f"  refused rows that are discarded: {found.refused:,}"))
    return Group(*parts)


def unloaded_view(done: Unloaded) -> RenderableType:
    """Return what an unload did, and the commands that take it back."""
    again = f"`rowboat ingest --again {done.plan.file}` loads it again"
    return Group(
        unload_view(done.plan),
        Text(
            f"unloaded; `rowboat undo {done.id}` brings the rows back (set {done.safety}), {again}",
            style="green",
        ),
    )


def _lines(found: TableUnload) -> list[Text]:
    """Return a line for each thing that may have become of the rows of a table."""
    lines = [("rows that leave", found.leaving, found.leaving_examples)]
    lines += [
        (f"rows that stay, changed since by {_changer(each)}", each.rows, [])
        for each in found.changed
    ]
    updated = "rows that stay as the file updated them, since their earlier values are not known"
    lines.append((updated, found.updated, found.updated_examples))
    lost = "rows deleted, or changed outside Rowboat, since the file brought them"
    lines.append((lost, found.lost, []))
    shown = [Text(f"    {line}: {rows:,}{_some(rows, examples)}")
             for line, rows, examples in lines if rows]  # fmt: skip
    for label, rows in found.dependents.items():
        refer = f"that refer to leaving ones and would be {found.actions[label]}: {rows:,}"
        shown.append(Text(f"    rows of {label} {refer}", style="yellow"))
    if found.dependents:
        first = f": unload first {', '.join(found.bringers)}" if found.bringers else ""
        shown.append(Text(f"    so nothing can be unloaded{first}", style="yellow"))
    return shown


def _changer(each: Changer) -> str:
    return f"{_SOURCES.get(each.source, each.source)} {each.name or each.actor}"


def _some(rows: int, examples: Sequence[str]) -> str:
    return f" ({', '.join(examples)}{', …' if rows > len(examples) else ''})" if examples else ""
