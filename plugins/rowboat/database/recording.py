"""A cursor that collects statements instead of running them, to show SQL as it would be run."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from psycopg2 import sql

from rowboat.database.connections import Connection, Cursor
from rowboat.database.statements import Statement

Answers: TypeAlias = Mapping[str, Sequence[tuple[Any, ...]]]


@dataclass(frozen=True)
class Recorded:
    """A statement by its name in sql/queries, whole but for its values: they are `%(name)s`."""

    name: str
    text: str


class RecordingCursor(Cursor):
    """Takes the place of a cursor while statements are collected in `recorded`.

    The code that runs them goes on as if the database had answered: `answers` maps the name of a
    statement to its rows, `row_counts` to the number of rows that it affected (default: `rows`).
    Statements of `run` are run, and not recorded: they only read the catalog.
    """

    recorded: list[Recorded]
    answers: Answers
    row_counts: Mapping[str, int]
    run: Collection[str]
    rows: int
    _last: str  # name of the last statement
    _found: list[tuple[Any, ...]] | None  # what is left of its answer; None if it was run

    @classmethod
    def of(
        cls,
        connection: Connection,
        rows: int,
        answers: Answers,
        row_counts: Mapping[str, int],
        run: Collection[str] = (),
    ) -> "RecordingCursor":
        """Return a cursor of a connection, which knows how to quote literals."""
        made = connection.cursor(cursor_factory=cls)
        made.recorded, made.answers, made.row_counts = [], answers, row_counts
        made.run, made.rows = run, rows
        made._last, made._found = "", None
        return made

    def execute(self, statement: str | bytes | sql.Composable, values: Any = None) -> None:
        """Record a statement of sql/queries, or run it if it is to be."""
        assert isinstance(statement, Statement)
        self._last = statement.name
        if statement.name in self.run:
            self._found = None
            super().execute(statement, values)
            return
        self._found = [*self.answers.get(statement.name, ())]
        self.recorded.append(Recorded(statement.name, self.shown(statement)))

    def copy_expert(  # type: ignore[override]
        self, statement: str | sql.Composable, *_: Any, **__: Any
    ) -> None:
        """Record a COPY; nothing is read from the file."""
        assert isinstance(statement, Statement)
        self.execute(statement)

    @property
    def rowcount(self) -> int:
        """The number of rows that the last statement is said to have affected."""
        if self._found is None:
            return int(super().rowcount)
        return self.row_counts.get(self._last, self.rows)

    def fetchone(self) -> tuple[Any, ...] | None:
        """Return the next row of the answer."""
        if self._found is None:
            return super().fetchone()
        return self._found.pop(0) if self._found else None

    def fetchall(self) -> list[tuple[Any, ...]]:
        """Return what is left of the answer."""
        if self._found is None:
            return super().fetchall()
        found, self._found = self._found, []
        return found
