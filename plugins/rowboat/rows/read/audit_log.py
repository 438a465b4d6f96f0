"""Reads the audit: who changed which rows and columns."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypeAlias

from rowboat.csvfile.writer import csv_text
from rowboat.database.connections import Cursor, fetch_rows
from rowboat.database.statements import query
from rowboat.rows import exact_json

Row: TypeAlias = dict[str, str | None]
Pair: TypeAlias = tuple[Row | None, Row | None]
_COLUMNS = ("at", "actor", "request", "action", "table", "before", "after")


@dataclass(frozen=True)
class AuditSearch:
    """Which entries to find; `tables` are those that the caller may see, None for all."""

    tables: list[str] | None = None
    id: int | None = None
    table: str | None = None
    actor: str | None = None
    action: str | None = None
    since: date | None = None
    until: date | None = None
    after: int | None = None


@dataclass(frozen=True)
class AuditEntry:
    """One change; `before` and `after` are JSON arrays of its rows, or of the first few.

    `name` is the name of the actor's API key, if it is one.
    """

    id: int
    at: datetime
    actor: str
    name: str | None
    request: str
    action: str
    table_name: str
    rows_before: int
    rows_after: int
    before: str
    after: str

    @property
    def rows(self) -> int:
        """Number of rows that were changed."""
        return max(self.rows_before, self.rows_after)

    def first(self) -> list[Row]:
        """Return the rows after the change, or before it if they were deleted."""
        return _rows(self.after if self.rows_after else self.before)

    def pairs(self, key: Sequence[str]) -> list[Pair]:
        """Return each row as (before, after); None if it did not exist.

        Rows are matched by the columns of the key; without key, only a single row can be.
        """
        before, after = _rows(self.before), _rows(self.after)
        if len(before) == len(after) == 1:
            return [(before[0], after[0])]
        if not key or not all(name in row for row in (*before, *after) for name in key):
            return [*((row, None) for row in before), *((None, row) for row in after)]
        # What is left in `old` at the end has no counterpart: those rows were deleted.
        old = {_values(row, key): row for row in before}
        found: list[Pair] = [(old.pop(_values(row, key), None), row) for row in after]
        return [*found, *((row, None) for row in old.values())]


@dataclass(frozen=True)
class Outcome:
    """Rows of a change; `changed` is (key, [(column, before, after), …]) of each changed row."""

    changed: list[tuple[str, list[tuple[str, str | None, str | None]]]] = field(
        default_factory=list
    )
    new: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)


def list_entries(
    cursor: Cursor, search: AuditSearch, limit: int, few: int | None = None
) -> list[AuditEntry]:
    """Return entries, the newest first, with all their rows, or `few` if they have more."""
    cursor.execute(query("audit.entries"), asdict(search) | {"limit": limit, "few": few})
    return [AuditEntry(**row) for row in fetch_rows(cursor)]


def all_entries(cursor: Cursor, search: AuditSearch, at_once: int) -> Iterator[list[AuditEntry]]:
    """Yield all entries in lists of at most `at_once`; at least one list, if empty."""
    found = list_entries(cursor, search, at_once)
    yield found
    # The next list begins after the last entry, not at an offset: new entries must not shift it.
    while len(found) == at_once:
        found = list_entries(cursor, replace(search, after=found[-1].id), at_once)
        yield found


def outcome_of(pairs: Sequence[Pair], key: Sequence[str]) -> Outcome:
    """Sort pairs of rows into changed, new and deleted ones."""
    found = Outcome()
    for before, after in pairs:
        if before is not None and after is not None:
            found.changed.append((", ".join(_values(before, key)), _differences(before, after)))
        elif after is not None:
            found.new.append(after)
        elif before is not None:
            found.gone.append(before)
    return found


def columns_of(found: Sequence[Row]) -> list[str]:
    """Return all columns that occur in some rows."""
    return list(dict.fromkeys(name for row in found for name in row))


def entries_as_csv(found: Sequence[AuditEntry], heading: bool) -> str:
    """Return entries as CSV for spreadsheets, with or without the header."""
    cells = (
        (each.at, each.actor, each.request, each.action, each.table_name, each.before, each.after)
        for each in found
    )
    text = csv_text(_COLUMNS, cells, safe=True)
    return text if heading else text.partition("\r\n")[2]


def _rows(text: str) -> list[Row]:
    """Parse rows; each value becomes text: that of a string, or JSON."""
    found: list[dict[str, Any]] = exact_json.read_json(text)
    return [{name: _text(value) for name, value in row.items()} for row in found]


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else exact_json.write_json(value)


def _values(row: Row, key: Sequence[str]) -> tuple[str, ...]:
    return tuple(str(row.get(name)) for name in key)


def _differences(before: Row, after: Row) -> list[tuple[str, str | None, str | None]]:
    return [
        (name, before.get(name), after.get(name))
        for name in columns_of([before, after])
        if name not in before or name not in after or before[name] != after[name]
    ]
