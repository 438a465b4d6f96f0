"""Draws the chart of a metric: SVG for a page, PNG for download.

Widths are percentages and heights are pixels, so that text keeps its size at any width.
"""

from decimal import Context, Decimal, localcontext
from xml.etree.ElementTree import Element

from fontpkg_arimo import FAMILY, ROOT
from resvg_py import svg_to_bytes

from rowboat.metrics.definitions import Chart
from rowboat.metrics.figures import MetricFigures
from rowboat.metrics.line_chart import draw_lines
from rowboat.metrics.series import (
    Scale,
    SeriesGroup,
    describe_chart,
    describe_mark,
    drawable_sums,
    groups_of,
    short_number,
)
from rowboat.metrics.svg import (
    FAINT,
    GROUND,
    NARROW,
    add_element,
    as_percent,
    dashes_of,
    new_drawing,
    series_style,
    shorten_text,
    write_svg,
)

_BARS, _GROUPS = 80, 40  # at most; more could not be read
_WIDTH, _MARGIN, _HEAD = 720, 24, 76  # pixels: image, its margins, its title


def chart_svg(figures: MetricFigures) -> str | None:
    """Draw the chart of a metric for a page; returns None if it has none."""
    chart = figures.metric.chart
    return write_svg(_drawing(figures, chart)) if chart else None


def chart_png(figures: MetricFigures) -> bytes | None:
    """Draw the chart with its title as an image 1440 pixels wide; returns None if it has none."""
    chart = figures.metric.chart
    if chart is None:
        return None
    title, drawing = figures.metric.title, _drawing(figures, chart)
    height = int(drawing.get("height", 0))
    drawing.attrib |= {"x": str(_MARGIN), "y": str(_HEAD), "width": str(_WIDTH - 2 * _MARGIN)}
    drawing.set("overflow", "visible")  # to clip can take longer than to draw
    root = new_drawing(title, width=_WIDTH, height=_HEAD + height + _MARGIN)
    add_element(root, "rect", width="100%", height="100%", fill=GROUND)
    add_element(root, "text", shorten_text(title, 2 * NARROW), x=_MARGIN, y=36, font_size=18)
    values = [f"{name} {value}" for name, value in figures.values.items()]
    known = ", ".join([*values, f"as of {figures.as_of:%Y-%m-%d %H:%M %Z}"])
    add_element(root, "text", shorten_text(known, 2.5 * NARROW), x=_MARGIN, y=58, fill=FAINT)
    root.append(drawing)
    # the machine may have no fonts; those it has are asked for letters that ours lacks
    return svg_to_bytes(
        svg_string=write_svg(root), zoom=2, font_dirs=[str(ROOT)], sans_serif_family=FAMILY
    )


def _drawing(figures: MetricFigures, chart: Chart) -> Element:
    with localcontext(Context(prec=60, traps=[])):  # infinity minus infinity must not raise
        groups = groups_of(figures, chart)
        label = describe_chart(figures.metric.title, chart, groups)
        root = new_drawing(label, width="100%", class_="chart")
        top = _legend(root, chart) if len(chart.y) > 1 else 0
        draw = _bars if chart.kind == "bars" else draw_lines
        bottom, note = draw(root, chart, groups, top)
    if note:
        add_element(root, "text", note, class_="faint", y=bottom + 16, fill=FAINT, font_size=12)
        root.set("aria-label", f"{root.get('aria-label')} {note}.")
    root.set("height", str(bottom + (24 if note else 0)))
    return root


def _legend(root: Element, chart: Chart) -> int:
    """Draw the names of y beside their colours; return the height."""
    longest = max(map(len, chart.y))
    across = 4 if longest <= 4 else 2 if longest <= 13 else 1
    wide, dash = (12, False) if chart.kind == "bars" else (3, True)
    for place, name in enumerate(chart.y):
        down, right = divmod(place, across)
        part = add_element(
            root, "svg", x=as_percent(100 // across * right), y=down * 20, overflow="visible"
        )
        line = add_element(
            part, "g", stroke_dasharray=dashes_of(place) if dash else "none", **series_style(place)
        )
        add_element(line, "line", x2=22, y1=9, y2=9, stroke="currentColor", stroke_width=wide)
        add_element(part, "text", shorten_text(name, NARROW // across - 4), x=28, y=14)
    return 20 * (down + 1) + 8


def _bars(root: Element, chart: Chart, groups: list[SeriesGroup], top: int) -> tuple[int, str]:
    """Draw the bars of each x below its name; return the bottom and a note on what was left out."""
    shown = _greatest(groups, min(_GROUPS, max(1, _BARS // len(chart.y))))
    values = [Decimal(0), *drawable_sums(shown)]
    # Zero is always in the scale, so that the lengths of bars can be compared.
    scale = Scale(min(values), max(values))
    longest = max((len(short_number(each)) for group in shown for each in group.sums), default=0)
    room = 100 * (longest + 1) // NARROW
    plot = add_element(root, "svg", width=as_percent(max(50, 100 - room)), overflow="visible")
    start, height = top, 17 if len(chart.y) == 1 else 13
    for group in shown:
        _name(root, group, top + 14)
        top += 20
        for place, (name, value) in enumerate(zip(chart.y, group.sums, strict=True)):
            bar = add_element(plot, "g", **series_style(place, "mark"))
            add_element(bar, "title", describe_mark(chart, value, name, group))
            _bar(bar, scale, value, top, height - 1)
            top += height
        top += 10
    if scale.low < 0:
        zero = as_percent(scale.share(Decimal(0)))
        add_element(
            plot, "line", class_="axis", x1=zero, x2=zero, y1=start, y2=top - 10, stroke=FAINT
        )
    if len(shown) < len(groups):
        return top, f"the {len(shown)} greatest of {len(groups):,} are shown; the table has all"
    return top, "" if groups else "no rows"


def _greatest(groups: list[SeriesGroup], most: int) -> list[SeriesGroup]:
    """Return the `most` groups with the greatest totals, in their order; numbers win over none."""
    kept = sorted(
        range(len(groups)),
        key=lambda place: (bool(drawable_sums([groups[place]])), groups[place].total),
        reverse=True,
    )
    return [groups[place] for place in sorted(kept[:most])]


def _name(root: Element, group: SeriesGroup, bottom: int) -> None:
    """Write the label of an x above its bars."""
    part = add_element(root, "g")
    add_element(part, "title", group.label)
    add_element(part, "text", shorten_text(group.label, NARROW), y=bottom, **group.look)


def _bar(bar: Element, scale: Scale, value: Decimal | None, top: int, height: int) -> None:
    """Draw one bar from zero, and its number at the end."""
    left = right = scale.share(Decimal(0))
    if value is not None and value.is_finite():
        left, right = sorted((left, scale.share(value)))
        size = {"x": as_percent(left), "width": as_percent(right - left), "height": height}
        add_element(bar, "rect", y=top, fill="currentColor", **size)
    add_element(
        bar,
        "text",
        short_number(value),
        x=as_percent(right),
        dx=6,
        y=top + height - 3,
        font_size=12,
    )
