"""Computes metrics: their rows, the time of the snapshot, and how many rows are in quarantine."""

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from math import isfinite
from typing import Any, TypeAlias

from psycopg2 import sql
from psycopg2.extensions import new_type, register_type, string_types

from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.metrics.definitions import Metric
from rowboat.metrics.parameters import Value

Values: TypeAlias = dict[str, Value]

# pg_type.oid: types whose values the driver must read in another way than it does by itself
_TIMES = {1082: "DATE", 1114: "TIMESTAMP", 1184: "TIMESTAMPTZ"}
_AS_TEXT = (17, 1001, 1186, 1187, 1182, 1183, 1115, 1185, 1270)  # bytea, intervals, arrays of times


def _time(text: str | None, cursor: Any, read: Any) -> Any:
    """Return a time, or its text if Python cannot hold it (infinite, or before year 1)."""
    if text is None or text.endswith(("infinity", "BC")):
        return text
    try:
        return read(text, cursor)
    except (ValueError, OverflowError):
        return text


_TYPES = [
    new_type(_AS_TEXT, "AS TEXT", lambda text, _: text),
    *(
        new_type((oid,), name, partial(_time, read=string_types[oid]))
        for oid, name in _TIMES.items()
    ),
]


@dataclass(frozen=True)
class Result:
    """The columns and rows of a statement."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True)
class Moment:
    """A snapshot: when it was taken, and the version of the tables that it sees.

    Moments of equal `version` see the same rows, except None, which equals nothing. `pieces` is the
    number of write counts from which the version was added up.
    """

    as_of: datetime
    version: str | None
    pieces: int


@dataclass(frozen=True)
class MetricFigures:
    """The result of a metric; `left_out` is table → its number of open rejected rows."""

    metric: Metric
    values: Values
    as_of: datetime
    left_out: dict[str, int]
    result: Result

    @property
    def chart_lacks(self) -> list[str]:
        """The columns that the chart names, but the result does not have."""
        chart = self.metric.chart
        wanted = (chart.x, *chart.y) if chart else ()
        return [name for name in wanted if name not in self.result.columns]

    def document(self) -> dict[str, Any]:
        """Return the figures as one JSON document."""
        columns = self.result.columns
        return {
            "metric": self.metric.name,
            "parameters": {name: as_json_value(value) for name, value in self.values.items()},
            "as_of": self.as_of.isoformat(),
            "left_out": self.left_out,
            "rows": [
                dict(zip(columns, map(as_json_value, row), strict=True)) for row in self.result.rows
            ],
        }


def begin_moment(cursor: Cursor, metric: Metric) -> Moment:
    """Make the transaction read-only, and return the version of the metric's tables that it sees.

    In autocommit mode it only returns the version.
    """
    cursor.execute(query("metrics.begin"), {"tables": list(metric.tables)})
    as_of, version, pieces = fetch_one(cursor)
    return Moment(as_of, version if metric.lasts else None, pieces)


def compute_figures(cursor: Cursor, metric: Metric, values: Values, now: Moment) -> MetricFigures:
    """Compute a metric; call it in the transaction of the moment."""
    result = run_statement(cursor, metric, values)
    cursor.execute(query("metrics.left_out"), {"tables": list(metric.tables)})
    return MetricFigures(metric, values, now.as_of, dict(cursor.fetchall()), result)


def years_with_rows(cursor: Cursor, metric: Metric) -> list[int]:
    """Return the years that the parameter year allows and that have rows, the latest first."""
    if metric.years is None:
        return []
    [year] = [each for each in metric.parameters if each.name == "year"]
    table, column = sql.Identifier(*metric.years[:2]), sql.Identifier(metric.years[2])
    bounds = {"least": year.least, "most": year.most}
    cursor.execute(query("metrics.years", table=table, column=column), bounds)
    return [found for (found,) in cursor]


def run_statement(cursor: Cursor, metric: Metric, values: Values) -> Result:
    """Run the statement of a metric and return its result."""
    # For this cursor only: the rest of Rowboat reads times as psycopg2 does.
    for each in _TYPES:
        register_type(each, cursor)
    cursor.execute(metric.statement, values)
    columns = tuple(column.name for column in cursor.description or ())
    return Result(columns, cursor.fetchall())


def add_up_writes(cursor: Cursor) -> None:
    """Merge the write counts of each table into one.

    Each writing transaction adds a count of its own, so that writers do not wait for each other.
    """
    cursor.execute(query("metrics.add_up_writes"))


def as_json_value(value: Any) -> Any:
    """Return a value as JSON has it; infinities and NaN become their names."""
    if value is None or isinstance(value, int | str | list | dict):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(value) else str(value)
    return value.isoformat() if isinstance(value, date) else str(value)
