"""The data of a chart: sums of the figures for each x, and descriptions of them in words."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from rowboat.metrics.definitions import Chart
from rowboat.metrics.figures import MetricFigures
from rowboat.metrics.svg import FAINT

# Parts of a time that a label can do without: midnight, zero seconds, UTC.
_IDLE = re.compile(r"( 00:00:00|(?<=:\d\d):00)(\+00:00)?$")


@dataclass(frozen=True)
class SeriesGroup:
    """One x and the sum of each y over its rows; None if no row has a number."""

    x: Any
    sums: list[Decimal | None]

    @property
    def label(self) -> str:
        """The x as text."""
        if self.x is None:
            return "no value"
        if isinstance(self.x, datetime):
            return _IDLE.sub("", self.x.isoformat(" "))
        return str(self.x) if str(self.x).strip() else "empty"

    @property
    def look(self) -> dict[str, object]:
        """Style of the label: italic for placeholders (`no value`, `empty`)."""
        void = self.x is None or not str(self.x).strip()
        return {"class_": "faint", "fill": FAINT, "font_style": "italic"} if void else {}

    @property
    def total(self) -> Decimal:
        """Sum of all finite sums."""
        return sum(drawable_sums([self]), Decimal(0))


@dataclass(frozen=True)
class Scale:
    """Maps values from `low` to `high` to percentages of a length."""

    low: Decimal
    high: Decimal

    def share(self, value: Decimal) -> float:
        """Return the position of a value between low (0) and high (100)."""
        return float((value - self.low) / ((self.high - self.low) or 1) * 100) + 0  # never -0


def groups_of(figures: MetricFigures, chart: Chart) -> list[SeriesGroup]:
    """Return a group for each x, in the order of their first rows."""
    columns = figures.result.columns
    x, *ys = [columns.index(name) for name in (chart.x, *chart.y)]
    found: dict[tuple[bool, str], SeriesGroup] = {}
    for row in figures.result.rows:
        # Arrays and JSON cannot be hashed, and NULL is not the text "None".
        key = row[x] is None, str(row[x])
        sums = found.setdefault(key, SeriesGroup(row[x], [None] * len(ys))).sums
        for place, y in enumerate(ys):
            if (value := as_decimal(row[y])) is not None:
                so_far = sums[place]
                sums[place] = value if so_far is None else so_far + value
    return list(found.values())


def as_decimal(value: Any) -> Decimal | None:
    """Return a number as a Decimal of the same digits; None for other values."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    # By its text: Decimal(0.1) would have 55 digits.
    return Decimal(str(value))


def drawable_sums(groups: Iterable[SeriesGroup]) -> list[Decimal]:
    """Return the sums that can be drawn."""
    sums = [each for group in groups for each in group.sums]
    return [each for each in sums if each is not None and each.is_finite()]


def describe_chart(title: str, chart: Chart, groups: list[SeriesGroup]) -> str:
    """Return a description of a chart for screen readers."""
    marks = [
        (value, name, group)
        for group in groups
        for name, value in zip(chart.y, group.sums, strict=True)
        if value is not None and value.is_finite()
    ]
    kind = {"bars": "Bar chart", "lines": "Line chart"}[chart.kind]
    start = f"{title}. {kind} of {', '.join(chart.y)} by {chart.x}, {len(marks):,} values"
    if not marks:
        return f"{start}."
    most, least = (pick(marks, key=lambda mark: mark[0]) for pick in (max, min))
    return f"{start}: greatest {describe_mark(chart, *most)}; least {describe_mark(chart, *least)}."


def describe_mark(chart: Chart, value: Decimal | None, name: str, group: SeriesGroup) -> str:
    """Return the label and value of one bar or point."""
    return f"{group.label}{f', {name}' if len(chart.y) > 1 else ''}: {_exact(value)}"


def _exact(value: Decimal | None) -> str:
    """Return a number with all its digits, or with an exponent if it is very large."""
    if value is None:
        return "no value"
    return f"{value:,f}" if value.is_finite() and abs(value.adjusted()) < 40 else str(value)


def short_number(value: Decimal | None) -> str:
    """Return a number in as few digits as a drawing has room for."""
    if value is None or not value.is_finite():
        return _exact(value)
    if value == value.to_integral_value() and abs(value) < 10**12:
        return f"{value:,.0f}"
    return f"{value:,.2f}" if Decimal("0.01") <= abs(value) < 10**12 else f"{value:.3g}"
