"""Judges quarantined rows again: those that lack a parent, or those that a user selects."""

import math
import time
from dataclasses import dataclass, replace

from rowboat.catalog.tables import Catalog, Table
from rowboat.database.connections import Cursor, Steps, persistently
from rowboat.database.statements import query
from rowboat.door import quarantine
from rowboat.door.merge import may_displace, may_skip_triggers, skip_triggers
from rowboat.door.passage import Passage, Report, open_door, pass_through
from rowboat.door.rejected_rows import RejectFilter
from rowboat.errors import RowRefused

AT_ONCE = 10_000  # rows judged again in one transaction


def rejudge_children(
    steps: Steps,
    catalog: Catalog,
    parent: Table,
    actor: str,
    run: str | None,
) -> Report:
    """Judge again the rejects that lack a row of this table, then those that lack one of these."""
    total = Report()
    for child in _waiting(steps, catalog.children(parent)):
        report = rejudge_rows(steps, catalog, child, actor, run)
        total += report
        if report.inserted:
            total += rejudge_children(steps, catalog, child, actor, run)
    return total


def rejudge_rows(
    steps: Steps,
    catalog: Catalog,
    table: Table,
    actor: str,
    run: str | None = None,
    which: RejectFilter | None = None,
) -> Report:
    """Judge open rejects of a table again: those that only lack a parent, or those selected."""
    return rejudge_in_time(steps, catalog, table, actor, run, which, 0, math.inf)[0]


def rejudge_in_time(
    steps: Steps,
    catalog: Catalog,
    table: Table,
    actor: str,
    run: str | None,
    which: RejectFilter | None,
    after: int,
    seconds: float,
) -> tuple[Report, int | None]:
    """Judge open rejects again, those with ids greater than `after`, for some seconds.

    No further transaction starts once `seconds` have passed. Returns the report and the ID of the
    last row judged, or None if no row is left.
    """
    end = time.monotonic() + seconds
    with steps() as cursor:
        skips = may_skip_triggers(cursor, catalog, table) and not steps.on_trial
        displaces = may_displace(cursor, catalog, table)
    passage = Passage("retry", "", actor, run, displaces=displaces, on_trial=steps.on_trial)
    again = _Again(table, passage, which, skips, after)
    total = Report()
    while (done := again.some(steps)) is not None:
        total += done
        if time.monotonic() > end:
            return total, again.after
    return total, None


@dataclass
class _Again:
    """One walk over a table's open rejects: those up to the ID `after` are done."""

    table: Table
    passage: Passage
    which: RejectFilter | None
    skips_triggers: bool
    after: int = 0
    most: int = AT_ONCE

    def some(self, steps: Steps) -> Report | None:
        """Pass the next rows through the door and return their report, or None at the end.

        If a row breaks a rule that cannot be judged in sets, the number of rows is halved until the
        row is alone. It is then kept in quarantine with the database's own message.
        """

        def work() -> tuple[Report, int] | None:
            with steps() as cursor:
                return self._pass(cursor)

        try:
            done = persistently(work)
        except RowRefused as error:
            if self.most == 1:
                self._leave(steps, error.fact)
            self.most = max(1, self.most // 2)
            return Report()
        self.most = min(2 * self.most, AT_ONCE)
        if done is None:
            return None
        self.after = done[1]
        return done[0]

    def _pass(self, cursor: Cursor) -> tuple[Report, int] | None:
        """Return the report and the last row's ID, or None if no row is left."""
        if self.skips_triggers:  # first in the transaction: it must lock before the snapshot
            skip_triggers(cursor, self.table)
        found = quarantine.waiting_rows(cursor, self.table, self.which, self.after, self.most)
        if found is None:
            return None
        cargo, source = found
        assert cargo.rejected_ids
        open_door(cursor, self.table, cargo.columns)
        report, _ = pass_through(cursor, self.table, cargo, replace(self.passage, **source))
        return report, cargo.rejected_ids[-1]

    def _leave(self, steps: Steps, fact: str) -> None:
        """Keep the next row in quarantine with the database's message."""
        with steps() as cursor:
            found = quarantine.waiting_rows(cursor, self.table, self.which, self.after, 1)
            if found and found[0].rejected_ids:
                self.after = found[0].rejected_ids[0]
                cursor.execute(query("quarantine.leave"), {"id": self.after, "message": fact})


def _waiting(steps: Steps, tables: list[Table]) -> list[Table]:
    with steps() as cursor:
        names = [table.full_name for table in tables]
        cursor.execute(query("quarantine.tables_waiting"), {"tables": names})
        found = {name for (name,) in cursor.fetchall()}
    return [table for table in tables if table.full_name in found]
