"""Judges quarantined rows again: those that waited for a parent, or all that a user asks for."""

from rowboat import quarantine
from rowboat.catalog import Catalog, Table
from rowboat.database import Cursor, Steps, persistently
from rowboat.door import Passage, Report, open_door, pass_through
from rowboat.merge import may_skip_triggers, skip_triggers
from rowboat.queries import query

AT_ONCE = 10_000  # rows judged again in one transaction


def children(steps: Steps, catalog: Catalog, parent: Table, actor: str, run: str | None) -> Report:
    """Judge again what waited for rows of a table, and then what waited for those."""
    total = Report()
    for child in _waiting(steps, catalog.children(parent)):
        report = rejected(steps, catalog, child, actor, run)
        total += report
        if report.inserted:
            total += children(steps, catalog, child, actor, run)
    return total


def rejected(
    steps: Steps,
    catalog: Catalog,
    table: Table,
    actor: str,
    run: str | None = None,
    every: bool = False,
) -> Report:
    """Judge open rows of a table again: those that only lack a parent, or with `every` all."""
    with steps() as cursor:
        skips = may_skip_triggers(cursor, catalog, table)
    passage = Passage("retry", "rejected_rows", actor, run)
    total, after = Report(), 0

    def work() -> tuple[Report, int] | None:
        with steps() as cursor:
            return _some(cursor, table, passage, skips and not steps.are_one, every, after)

    while (done := work() if steps.are_one else persistently(work)) is not None:
        total += done[0]
        after = done[1]
    return total


def _some(
    cursor: Cursor, table: Table, passage: Passage, skips: bool, every: bool, after: int
) -> tuple[Report, int] | None:
    """Pass the next rows through the door; return their report and the last row's id."""
    if skips:
        skip_triggers(cursor, table)
    cargo = quarantine.waiting(cursor, table, every, after, AT_ONCE)
    if cargo is None or cargo.rejected_ids is None:
        return None
    open_door(cursor, table, cargo.columns)
    report, _ = pass_through(cursor, table, cargo, passage)
    return report, cargo.rejected_ids[-1]


def _waiting(steps: Steps, tables: list[Table]) -> list[Table]:
    with steps() as cursor:
        names = [table.full_name for table in tables]
        cursor.execute(query("quarantine.tables_waiting"), {"tables": names})
        found = {name for (name,) in cursor.fetchall()}
    return [table for table in tables if table.full_name in found]
