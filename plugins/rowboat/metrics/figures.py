"""What a metric says now: its rows, of when they are, and how many rows they leave out."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from math import isfinite
from threading import Lock
from typing import Any, TypeAlias
from weakref import WeakValueDictionary

from psycopg2 import sql
from psycopg2.extensions import new_type, register_type, string_types

from rowboat.database.connections import Cursor, fetch_one
from rowboat.database.statements import query
from rowboat.metrics.definitions import Metric
from rowboat.metrics.parameters import Value

Values: TypeAlias = dict[str, Value]
_PATIENCE = 10.0  # seconds for which one who asks waits for the answer of another

_TIMES = {1082: "DATE", 1114: "TIMESTAMP", 1184: "TIMESTAMPTZ"}  # pg_type.oid
_AS_TEXT = (17, 1001, 1186, 1187, 1182, 1183, 1115, 1185, 1270)  # bytea, intervals, arrays of times


def _time(text: str | None, cursor: Any, read: Any) -> Any:
    """Return a time; as text where it is infinite or of a year that Python does not know."""
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
    """A snapshot: when it was taken and what is known of it.

    Moments of equal `version` see the same rows; None is equal to none. `pieces` counts the rows
    from which the version was added up.
    """

    as_of: datetime
    version: str | None
    pieces: int


@dataclass(frozen=True)
class MetricFigures:
    """The answer of a metric; `left_out` counts the open refused rows of each of its tables."""

    metric: Metric
    values: Values
    as_of: datetime
    left_out: dict[str, int]
    result: Result

    @property
    def chart_lacks(self) -> list[str]:
        """Columns that the chart names and that are not there."""
        chart = self.metric.chart
        wanted = (chart.x, *chart.y) if chart else ()
        return [name for name in wanted if name not in self.result.columns]

    def document(self) -> dict[str, Any]:
        """Return it as one JSON document."""
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
    """Begin a transaction that only reads, and tell what version of the tables it sees.

    Where each statement is a transaction of its own it only tells.
    """
    cursor.execute(query("metrics.begin"), {"tables": list(metric.tables)})
    as_of, version, pieces = fetch_one(cursor)
    return Moment(as_of, version if metric.lasts else None, pieces)


def compute_figures(cursor: Cursor, metric: Metric, values: Values, now: Moment) -> MetricFigures:
    """Compute a metric in the transaction of the moment."""
    result = run_statement(cursor, metric, values)
    cursor.execute(query("metrics.left_out"), {"tables": list(metric.tables)})
    return MetricFigures(metric, values, now.as_of, dict(cursor.fetchall()), result)


def years_with_rows(cursor: Cursor, metric: Metric) -> list[int]:
    """Return the years that a metric may be asked for and has rows of, the latest first."""
    if metric.years is None:
        return []
    [year] = [each for each in metric.parameters if each.name == "year"]
    table, column = sql.Identifier(*metric.years[:2]), sql.Identifier(metric.years[2])
    bounds = {"least": year.least, "most": year.most}
    cursor.execute(query("metrics.years", table=table, column=column), bounds)
    return [found for (found,) in cursor]


def run_statement(cursor: Cursor, metric: Metric, values: Values) -> Result:
    """Run the statement of a metric as it is written."""
    for each in _TYPES:
        register_type(each, cursor)
    cursor.execute(metric.statement, values)
    columns = tuple(column.name for column in cursor.description or ())
    return Result(columns, cursor.fetchall())


def add_up_writes(cursor: Cursor) -> None:
    """Let many counts of writes become one for each table."""
    cursor.execute(query("metrics.add_up_writes"))


def as_json_value(value: Any) -> Any:
    """Return a value as JSON knows it; what is no finite number is its name."""
    if value is None or isinstance(value, int | str | list | dict):
        return value
    if isinstance(value, float | Decimal):
        return float(value) if isfinite(value) else str(value)
    return value.isoformat() if isinstance(value, date) else str(value)


class Cache:
    """Answers by what was asked, each good for one version of its tables; the oldest go first."""

    def __init__(self, answers: int = 256, size: int = 32 * 2**20) -> None:
        self._answers, self._size, self._used = answers, size, 0
        self._kept: OrderedDict[Any, tuple[str, bytes, Any]] = OrderedDict()
        self._making: WeakValueDictionary[Any, Any] = WeakValueDictionary()
        self._lock = Lock()

    def __contains__(self, asked: Any) -> bool:
        return asked in self._kept

    @contextmanager
    def made_once(self, asked: Any, version: str | None) -> Iterator[tuple[bytes, Any] | None]:
        """Let one thread make an answer of a version: the others wait a while, and are given it."""
        with self._lock:
            making = self._making.setdefault((asked, version), Lock())
        is_alone = version is not None and making.acquire(timeout=_PATIENCE)
        try:
            yield self.find(asked, version)
        finally:
            if is_alone:
                making.release()

    def find(self, asked: Any, version: str | None) -> tuple[bytes, Any] | None:
        """Return the answer (its bytes and what goes with them) if it is of this version."""
        with self._lock:
            kept = self._kept.get(asked)
            if kept is None or kept[0] != version:
                return None
            self._kept.move_to_end(asked)
            return kept[1:]

    def keep(self, asked: Any, version: str | None, body: bytes, more: Any) -> None:
        """Keep an answer in place of an older one to the same; None is the version of none."""
        with self._lock:
            self._drop(asked)
            if version is None or len(body) > self._size:
                return
            self._kept[asked] = version, body, more
            self._used += len(body)
            while len(self._kept) > self._answers or self._used > self._size:
                self._drop(next(iter(self._kept)))

    def _drop(self, asked: Any) -> None:
        if (gone := self._kept.pop(asked, None)) is not None:
            self._used -= len(gone[1])
