"""Draws line charts over times, numbers, or names in their order."""

from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Any, TypeAlias
from xml.etree.ElementTree import Element

from rowboat.metrics.definitions import Chart
from rowboat.metrics.series import (
    Scale,
    SeriesGroup,
    as_decimal,
    describe_mark,
    drawable_sums,
    short_number,
)
from rowboat.metrics.svg import (
    FAINT,
    GRID,
    NARROW,
    add_element,
    as_percent,
    dashes_of,
    series_style,
    shorten_text,
)

Point: TypeAlias = tuple[str, str]  # percentages from the left and the top
_POINTS, _FEW = 400, 40  # at most drawn; up to which the dots are large
_HEIGHT, _ABOVE, _BELOW = 240, 20, 28  # pixels: the plot, and the text above and below it
_LABEL = 16  # width of a label below the plot, in small letters


def draw_lines(root: Element, chart: Chart, groups: list[SeriesGroup], top: int) -> tuple[int, str]:
    """Draw a line for each y; return the bottom and a note on what was left out."""
    placed = _placed(groups)[-_POINTS:]
    values = drawable_sums(group for _, group in placed)
    if not values:
        return top, "no values" if groups else "no rows"
    ticks = _ticks(min(values), max(values))
    up, across = Scale(ticks[-1], ticks[0]), Scale(placed[0][0], placed[-1][0])
    ground = add_element(root, "svg", y=top + _ABOVE, height=_HEIGHT, overflow="visible")
    _grid(ground, ticks, up)
    left = 100 * max(len(short_number(tick)) for tick in ticks) // NARROW + 2
    plot = add_element(
        ground, "svg", x=as_percent(left), width=as_percent(98 - left), overflow="visible"
    )
    _below(plot, [(across.share(x), group.label) for x, group in placed])
    for place, name in enumerate(chart.y):
        marks = [
            (
                as_percent(across.share(x)),
                group.sums[place],
                describe_mark(chart, group.sums[place], name, group),
            )
            for x, group in placed
        ]
        _line(plot, place, marks, up)
    bottom = top + _ABOVE + _HEIGHT + _BELOW
    if len(placed) < len(groups):
        return bottom, f"the last {len(placed)} of {len(groups):,} are shown; the table has all"
    return bottom, ""


def _placed(groups: list[SeriesGroup]) -> list[tuple[Decimal, SeriesGroup]]:
    """Return each group with its position: its time or number, or 0, 1, 2 … if one has neither."""
    known = [(place, group) for group in groups if (place := _place(group.x)) is not None]
    # A single x without a place makes all of them names.
    if len(known) < len(groups):
        return [(Decimal(place), group) for place, group in enumerate(groups)]
    return sorted(known, key=lambda each: each[0])


def _place(x: Any) -> Decimal | None:
    """Return the position of a time or a number on its axis; None for other values."""
    if isinstance(x, datetime):
        start = datetime.min.replace(tzinfo=x.tzinfo and UTC)
        return Decimal((x - start) // timedelta(microseconds=1))
    if isinstance(x, date):
        return Decimal(x.toordinal())
    value = as_decimal(x)
    return value if value is not None and value.is_finite() else None


def _ticks(least: Decimal, most: Decimal) -> list[Decimal]:
    """Return two to six round numbers that enclose two others; from 0 if that is near."""
    low = Decimal(0) if 0 < 2 * least < most else least
    rough = ((most - low) or abs(most) or Decimal(1)) / 4
    unit = Decimal(10) ** rough.adjusted()
    step = next(unit * times for times in (1, 2, 5, 10) if unit * times >= rough)
    first = (low / step).to_integral_value(ROUND_FLOOR)
    count = int((most / step).to_integral_value(ROUND_CEILING) - first) or 1
    return [(first + place) * step for place in range(count + 1)]


def _grid(ground: Element, ticks: list[Decimal], up: Scale) -> None:
    """Draw a horizontal line at each tick, with its number above."""
    for tick in ticks:
        y = round(up.share(tick) / 100 * _HEIGHT, 1)
        add_element(ground, "line", class_="grid", x2="100%", y1=y, y2=y, stroke=GRID)
        add_element(
            ground, "text", short_number(tick), class_="faint", y=y - 4, font_size=12, fill=FAINT
        )


def _below(plot: Element, labels: list[tuple[float, str]]) -> None:
    """Write the first and last x, and as many between them as there is room for."""
    room = 130 * min(_LABEL, max(len(label) for _, label in labels)) / NARROW
    free, end = room * 1.5, 100 - room * 1.5
    _label(plot, *labels[0], "start")
    for x, label in labels[1:-1]:
        if free <= x <= end:
            _label(plot, x, label, "middle")
            free = x + room
    if len(labels) > 1:
        _label(plot, *labels[-1], "end")


def _label(plot: Element, x: float, label: str, anchor: str) -> None:
    part = add_element(plot, "g", text_anchor=anchor, font_size=12)
    add_element(part, "title", label)
    add_element(part, "text", shorten_text(label, _LABEL), x=as_percent(x), y=_HEIGHT + 18)


def _line(
    plot: Element, place: int, marks: list[tuple[str, Decimal | None, str]], up: Scale
) -> None:
    """Draw the points of one y, and lines between neighbours; a missing value leaves a gap."""
    line = add_element(plot, "g", **series_style(place))
    way = add_element(
        line, "g", stroke="currentColor", stroke_width=2, stroke_dasharray=dashes_of(place)
    )
    last: Point | None = None
    for x, value, told in marks:
        if value is None or not value.is_finite():
            last = None
            continue
        y = as_percent(up.share(value))
        if last:
            add_element(way, "line", x1=last[0], y1=last[1], x2=x, y2=y)
        dot = add_element(line, "g", class_="mark")
        add_element(dot, "title", told)
        add_element(
            dot, "circle", cx=x, cy=y, r=4 if len(marks) <= _FEW else 2, fill="currentColor"
        )
        last = x, y
