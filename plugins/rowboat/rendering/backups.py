"""Views of backups, restores and drills."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from rowboat.backup.recovery.drill import Drilled
from rowboat.backup.recovery.plan import Plan
from rowboat.backup.recovery.restore import Restored
from rowboat.backup.retention import Verdict
from rowboat.backup.sets import Set
from rowboat.backup.take import Taken
from rowboat.backup.verify import CheckedSet
from rowboat.door.passage import Report
from rowboat.rendering.elements import ago, plain_text, short_name, table_of

_NUMBERS = ("insert", "update", "delete", "unchanged", "rejected")


def taken_view(taken: Taken) -> RenderableType:
    """Return a new set: its tables, findings, and whether it can be trusted."""
    table = table_of("table", numbers=("rows", "bytes"))
    for copy in taken.tables:
        table.add_row(plain_text(copy.table), f"{copy.rows:,}", f"{copy.bytes:,}")
    parts: list[RenderableType] = [table, *_findings(taken.findings)]
    if taken.suspicion:
        parts.append(
            Text(f"suspicious: {taken.suspicion}; it causes no other set to expire", style="yellow")
        )
    if taken.findings:
        parts.append(
            Text(f"{taken.set} cannot be trusted: check the disk, then take another backup")
        )
    else:
        parts.append(Text(f"{taken.set} is taken and verified", style="green"))
    return Group(*parts)


def shelf_view(found: Sequence[Set], restores: Sequence[dict[str, Any]]) -> RenderableType:
    """Return the sets, newest last, and the restores, newest first."""
    if not found:
        return Text("there is no backup yet: take one with `rowboat backup`")
    now = datetime.now(UTC)
    table = table_of("set", "age", "state", "tables", numbers=("rows", "bytes"))
    for each in found:
        table.add_row(
            plain_text(each.name), ago((now - each.taken_at).total_seconds()), _state(each),
            ", ".join(map(short_name, each.tables)),
            f"{sum(each.tables.values()):,}", f"{each.bytes:,}",
        )  # fmt: skip
    parts: list[RenderableType] = [table]
    if restores:
        history = table_of("restore", "when", "from", "mode", "tables", "undo")
        for row in restores:
            history.add_row(
                str(row["id"]), f"{row['finished_at']:%Y-%m-%d %H:%M}",
                plain_text(row["source_name"]), row["mode"],
                ", ".join(map(short_name, row["tables"])),
                f"rowboat undo {row['id']}",
            )  # fmt: skip
        parts += [Text(), history]
    return Group(*parts)


def checked_view(found: CheckedSet) -> RenderableType:
    """Return the digests of a set, findings, and whether it is intact."""
    table = table_of("table", "digest", numbers=("rows", "bytes"))
    for each in found.tables:
        table.add_row(
            plain_text(each.table), each.digest or "-", f"{each.rows:,}", f"{each.bytes:,}"
        )  # fmt: skip
    if found.ok:
        last = Text(f"{found.set} is intact: every row was read and every digest matches")
    else:
        last = Text(f"{found.set} is damaged: take another backup, and restore from an older one")
    return Group(table, *_findings(found.findings), last)


def verdicts_view(found: Sequence[Verdict], dry_run: bool) -> RenderableType:
    """Return for each set whether it is kept or deleted, and why."""
    if not found:
        return Text("there is no backup yet: take one with `rowboat backup`")
    lines = [Text(str(each), style="" if each.keep else "yellow") for each in found]
    gone = sum(not each.keep for each in found)
    last = f"dry run: {gone} sets would be deleted" if dry_run else f"{gone} sets deleted"
    return Group(*lines, Text(last, style="cyan"))


def drilled_view(done: Drilled) -> RenderableType:
    """Return the result of a drill."""
    if done.ok:
        rows = sum(done.tables.values())
        return Text(
            f"{done.set} can be restored: {rows:,} rows of {len(done.tables)} tables in "
            f"{done.seconds:.1f} s, all digests equal"
        )
    return Group(*_findings(done.findings), Text(f"{done.set} cannot be restored as it is"))


def plan_view(found: Plan) -> RenderableType:
    """Return what a restore would do: counts, dependents, rejects."""
    table = table_of("table", numbers=_NUMBERS)
    for each in found.tables:
        numbers = (f"{getattr(each, name):,}" for name in _NUMBERS)
        table.add_row(plain_text(each.table), *numbers)
    parts: list[RenderableType] = [Text(f"{found.mode} from {found.set}"), table]
    for each in found.tables:
        parts += [Text(f"{each.table}: {sentence}", style="cyan") for sentence in each.drift]
        parts += [
            Text(f"{count:,} rows of {label} would be {each.actions[label]}", style="yellow")
            for label, count in each.dependents.items()
            if count
        ]
        parts += [
            Text(f"{why['rows']:,} rows would be rejected, {why['rule']}: {why['example']}",
                 style="yellow")
            for why in each.reasons
        ]  # fmt: skip
    if not found.changes:
        parts.append(Text("nothing would change", style="cyan"))
    return Group(*parts)


def restored_view(done: Restored) -> RenderableType:
    """Return what a restore did and the command that undoes it."""
    rejected = sum(each.rejected for each in done.plan.tables)
    parts = [plan_view(done.plan)]
    if rejected:
        parts.append(Text("`rowboat rejects list` shows the rejected rows and why", style="cyan"))
    parts.append(Text(f"restored; `rowboat undo {done.id}` brings back the rows from before "
                      f"(set {done.safety})", style="green"))  # fmt: skip
    return Group(*parts)


def copied_view(table: str, into: str, set_name: str, report: Report) -> RenderableType:
    """Return the result of a restore into a new table."""
    return Text(
        f"{into}, a copy of {table} without its foreign keys, holds {report.inserted:,} rows of "
        f"{set_name}; {report.rejected:,} were rejected"
    )


def _state(each: Set) -> str:
    if each.state != "whole":
        return f"[red]{each.state}[/]"
    words = ["verified" if each.verified_at else "[yellow]not verified[/]"]
    words += ["drilled"] if each.drilled_at else []
    words += ["pinned"] if each.pinned else []
    words += ["safety copy"] if each.purpose == "safety" else []
    words += ["[yellow]suspicious[/]"] if each.suspicion else []
    return ", ".join(words)


def _findings(found: Sequence[str]) -> list[RenderableType]:
    return [Text(each, style="red") for each in found]
