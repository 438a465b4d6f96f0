"""The order in which the tables of a restore are judged and let in, rings included."""

from collections.abc import Sequence

from psycopg2 import sql

from rowboat.backup.recovery.table_restore import TableRestore
from rowboat.database.connections import Cursor
from rowboat.door.context import Judged
from rowboat.door.passage import Report
from rowboat.errors import RestoreRefused


class RestoreSequence:
    """Judges the tables of a restore, parents first, and lets them in.

    Call `judge` for each step in order; `let_in` may follow it, before the next step is judged. A
    plan only judges. Rows are judged against stand-ins of their parents, temporary tables of what
    the parents will be after the restore, so a plan judges as the restore does.

    Tables may refer to each other in a ring, and then one is judged before a parent of its own:

        teams.leader ────────────▶ members      order: teams, members
        teams ◀────────────── members.team

        judge teams         against a promise of members: all rows that the backup has for it, as
                            if none were rejected, and the rows of the table that stay
        let in teams
        judge members       against the stand-in of teams: the rows that were good
                            a row of members is rejected: the promise is broken, because a row of
                            teams may refer to it, and the restore is refused
        let in members      now every row has its parent again
    """

    def __init__(self, cursor: Cursor, steps: Sequence[TableRestore]) -> None:
        self._cursor, self._steps = cursor, steps
        self._inside = {step.name for step in steps}
        self._waiting = list(steps)
        self._stand_ins: dict[str, sql.Composable] = {}
        self._promised: set[str] = set()
        self._last: tuple[TableRestore, Judged] | None = None

    def judge(self, step: TableRestore) -> Judged:
        """Judge the next table, and put into its plan what letting it in would do.

        Raises RestoreRefused if rows are rejected that other tables were promised.
        """
        following = self._waiting.pop(0)
        assert step is following, "tables are judged in their order"
        self._promise_parents(step)
        step.take_up(self._cursor)
        # Rows that refer to their own table are judged against the stage, not against a promise.
        self._stand_ins.pop(step.name, None)
        judged = step.judge(self._cursor, self._stand_ins)
        step.foresee(self._cursor, judged)
        if judged.refused:
            self._check_promise(step, judged.refused)
            for parent in self._steps:
                parent.count_kept(self._cursor, step, self._inside)
        step.stand_in(self._cursor, judged, self._stand_ins)
        self._last = step, judged
        return judged

    def let_in(self, step: TableRestore) -> Report:
        """Let the table in that was judged last.

        Raises RestoreRefused or WouldCascade if, as rows were rejected, more rows of other tables
        would be touched than may be.
        """
        # The stage and the verdicts are those of one table: judging the next replaces them.
        assert self._last is not None
        last, judged = self._last
        assert step is last, "a table is let in before the next one is judged"
        for each in self._steps:
            each.check_dependents(each.dependents)
        return step.let_in(self._cursor, judged, self._inside)

    def _promise_parents(self, step: TableRestore) -> None:
        """Make a stand-in of each parent that is still to be judged."""
        # If triggers fire, Postgres itself refuses rows before their parents: a promise is no use.
        if not step.silent:
            return
        parents = {key.parent for key in step.table.foreign_keys}
        for later in self._waiting:
            if later.name in parents - self._promised:
                later.stand_in(self._cursor, None, self._stand_ins)
                self._promised.add(later.name)

    def _check_promise(self, step: TableRestore, rows: int) -> None:
        if step.name in self._promised:
            raise RestoreRefused(
                f"{rows:,} rows of {step.name} would be rejected, and its tables refer to each "
                f"other: {step.plan.reasons[0]['example']}",
                "restore into new tables (--into), or drop the rule first",
            )
