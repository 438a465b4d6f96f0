"""Charts: what is drawn, what is told of it, and what is never left out in silence."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from math import inf, nan
from typing import Any
from xml.etree.ElementTree import Element

import pytest

from rowboat.metrics import charts, svg
from rowboat.metrics.definitions import Chart, ChartKind, Metric
from rowboat.metrics.figures import MetricFigures, Result
from tests.support.drawn import parse, texts

NOW = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
SCRIPT = "<script>alert(1)</script>"


def figures(rows: list[tuple[Any, ...]], *y: str, kind: ChartKind | None = "bars") -> MetricFigures:
    chart = Chart(kind, "x", y) if kind else None
    metric = Metric("m", "Hires & more", "A.", ("a.b",), (), chart, "select 1")
    return MetricFigures(
        metric, {"year": 2021}, NOW, {}, Result(("id", "x", *y), [(0, *r) for r in rows])
    )


def draw(rows: list[tuple[Any, ...]], *y: str, kind: ChartKind = "bars") -> Element:
    return parse(str(charts.chart_svg(figures(rows, *(y or ("n",)), kind=kind))))


def bars(root: Element) -> list[tuple[str, float, float]]:
    """Return title, start and width of each bar."""
    return [
        (
            texts(mark, "title")[0],
            *(float(bar.attrib[name].rstrip("%")) for name in ("x", "width")),  # type: ignore[misc]
        )
        for mark in root.iter("g")
        for bar in mark.findall("rect")
    ]


def points(root: Element) -> list[tuple[str, str, str]]:
    """Return title and place of each point."""
    return [
        (texts(mark, "title")[0], dot.attrib["cx"], dot.attrib["cy"])
        for mark in root.iter("g")
        for dot in mark.findall("circle")
    ]


def test_a_metric_without_a_chart_has_no_drawing() -> None:
    without = figures([], kind=None)
    assert charts.chart_svg(without) is None
    assert charts.chart_png(without) is None


def test_rows_of_an_equal_x_are_added_up() -> None:
    rows = [("Sales", 1, Decimal(2)), ("Support", 9, Decimal(3)), ("Sales", 7, Decimal("0.5"))]
    root = draw(rows, "Q1", "Q2")
    assert bars(root) == [
        ("Sales, Q1: 8", 0, 88.89),
        ("Sales, Q2: 2.5", 0, 27.78),
        ("Support, Q1: 9", 0, 100),
        ("Support, Q2: 3", 0, 33.33),
    ]
    assert texts(root) == ["Q1", "Q2", "8", "2.50", "9", "3", "Sales", "Support"]


def test_what_it_shows_is_told() -> None:
    root = draw([("A", 1200, None), ("B", 2, -5)], "in", "out")
    assert root.attrib["role"] == "img"
    assert root.attrib["aria-label"] == (
        "Hires & more. Bar chart of in, out by x, 3 values: "
        "greatest A, in: 1,200; least B, out: -5."
    )


@pytest.mark.parametrize("kind", ["bars", "lines"])
def test_no_rows(kind: ChartKind) -> None:
    root = draw([], kind=kind)
    assert texts(root) == ["no rows"]
    assert root.attrib["aria-label"].endswith(" chart of n by x, 0 values. no rows.")


@pytest.mark.parametrize("kind", ["bars", "lines"])
@pytest.mark.parametrize(
    ("name", "title", "drawn"),
    [
        (SCRIPT, SCRIPT, SCRIPT),
        ('" onload="x', '" onload="x', '" onload="x'),
        ("=cmd()", "=cmd()", "=cmd()"),
        ("שלום", "שלום", "שלום"),
        ("a\x01\ufffe", "a␁\ufffd", "a␁\ufffd"),
        (None, "no value", "no value"),
        ("", "empty", "empty"),
        (" \t", "empty", "empty"),
        (["a"], "['a']", "['a']"),
    ],
)
def test_names_are_text(name: object, title: str, drawn: str, kind: ChartKind) -> None:
    root = draw([(name, 1)], kind=kind)
    assert f"{title}: 1" in texts(root, "title")
    assert any(text.startswith(drawn[:12]) for text in texts(root))


@pytest.mark.parametrize(
    ("name", "drawn"),
    [("x" * 10_000, "x" * 33 + "…"), ("漢" * 99, "漢" * 16 + "…"), ("x" * 34, "x" * 34)],
)
def test_only_the_drawing_cuts_a_name(name: str, drawn: str) -> None:
    root = draw([(name, 1)])
    assert texts(root) == ["1", drawn]
    assert texts(root, "title") == [f"{name}: 1", name]


@pytest.mark.parametrize(
    ("value", "title", "drawn"),
    [
        (12, "12", "12"),
        (1234567, "1,234,567", "1,234,567"),
        (Decimal("1E+3"), "1,000", "1,000"),
        (Decimal("0.12345"), "0.12345", "0.12"),
        (0.001234, "0.001234", "0.00123"),
        (10**15, "1,000,000,000,000,000", "1.00e+15"),
        (Decimal("1e100000"), "1E+100000", "1e+100000"),
        (None, "no value", "no value"),
        (True, "no value", "no value"),
        ("12", "no value", "no value"),
        (nan, "NaN", "NaN"),
        (Decimal("-Infinity"), "-Infinity", "-Infinity"),
    ],
)
def test_values(value: object, title: str, drawn: str) -> None:
    root = draw([("a", value), ("b", 1)])
    assert texts(root, "title")[0] == f"a: {title}"
    assert texts(root)[0] == drawn
    assert len(bars(root)) == (2 if title[0] in "01" else 1)
    assert draw([(1, value), (2, 1)], kind="lines") is not None


def test_sums_of_fractions_are_exact() -> None:
    rows = [("a", 0.1), ("a", 0.2), ("b", Decimal("1e20")), ("b", Decimal("1e-20"))]
    exact = "100,000,000,000,000,000,000.00000000000000000001"
    assert [title for title, *_ in bars(draw(rows))] == ["a: 0.3", f"b: {exact}"]


def test_what_is_no_number_makes_its_sum_none() -> None:
    assert texts(draw([("a", inf), ("a", -inf)]), "title")[0] == "a: NaN"
    assert texts(draw([("a", Decimal("NaN")), ("a", 1)]), "title")[0] == "a: NaN"
    assert texts(draw([("a", None), ("a", 1)]), "title")[0] == "a: 1"


def test_bars_below_zero() -> None:
    root = draw([("a", 3), ("b", -1)])
    assert bars(root) == [("a: 3", 25, 75), ("b: -1", 0, 25)]
    assert [line.attrib["x1"] for line in root.iter("line")] == ["25%"]


def test_the_greatest_are_drawn_and_the_cut_is_told() -> None:
    root = draw([(f"d{n}", n * 7 % 180) for n in range(180)])
    shown = [title for title, *_ in bars(root)]
    assert len(shown) == 40
    assert sorted(int(title.split(": ")[1]) for title in shown) == list(range(140, 180))
    assert shown == sorted(shown, key=lambda title: int(title[1:].split(":")[0]))
    note = "the 40 greatest of 180 are shown; the table has all"
    assert texts(root)[-1] == note
    assert root.attrib["aria-label"].endswith(
        f"180 values: greatest d77: 179; least d0: 0. {note}."
    )


def test_several_y_leave_room_for_fewer() -> None:
    rows = [(f"d{n}", n, n, n, None) for n in range(21)]
    root = draw(rows, "a", "b", "c", "d")
    assert len(bars(root)) == 60
    assert texts(root)[-1] == "the 20 greatest of 21 are shown; the table has all"
    assert "d0" not in texts(root)


def test_lines_follow_time() -> None:
    rows = [(date(2021, 1, 5), 4), (date(2021, 1, 1), 0), (date(2021, 1, 2), 3)]
    root = draw(rows, kind="lines")
    assert points(root) == [
        ("2021-01-01: 0", "0%", "100%"),
        ("2021-01-02: 3", "25%", "25%"),
        ("2021-01-05: 4", "100%", "0%"),
    ]
    assert len([line for line in root.iter("line") if "x1" in line.attrib]) == 2


def test_a_missing_value_breaks_the_line() -> None:
    root = draw([(n, None if n == 2 else n) for n in range(5)], kind="lines")
    assert len(points(root)) == 4
    assert len([line for line in root.iter("line") if "x1" in line.attrib]) == 2


def test_lines_over_names_keep_their_order() -> None:
    root = draw([("z", 1), (None, 2), ("a", 3)], kind="lines")
    assert [x for _, x, _ in points(root)] == ["0%", "50%", "100%"]


@pytest.mark.parametrize(
    ("moment", "label"),
    [
        (datetime(2021, 1, 1, tzinfo=UTC), "2021-01-01"),
        (datetime(2021, 1, 1, 2, tzinfo=UTC), "2021-01-01 02:00"),
        (datetime(2021, 1, 1, 2, 0, 5, tzinfo=UTC), "2021-01-01 02:00:05+00:00"),
        (datetime(1, 1, 1, 2), "0001-01-01 02:00"),
        (datetime.max, "9999-12-31 23:59:59.999999"),
    ],
)
def test_times(moment: datetime, label: str) -> None:
    assert points(draw([(moment, 2)], kind="lines"))[0][0] == f"{label}: 2"


def test_the_last_points_are_drawn_and_the_cut_is_told() -> None:
    rows = [(NOW + timedelta(hours=n), n) for n in range(1500)]
    root = draw(rows, kind="lines")
    assert len(points(root)) == 400
    assert points(root)[-1][0].endswith(": 1,499")
    assert texts(root)[-1] == "the last 400 of 1,500 are shown; the table has all"


@pytest.mark.parametrize("values", [(5, 5), (0, 0), (-3, -9), (10**30, 10**30 + 1), (0.1, 0.3)])
def test_numbers_lie_between_the_grid(values: tuple[float, float]) -> None:
    root = draw(list(enumerate(values)), kind="lines")
    assert all(0 <= float(y.rstrip("%")) <= 100 for _, _, y in points(root))
    assert 2 <= sum(line.get("class") == "grid" for line in root.iter("line")) <= 7


def light(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = [part / 255 for part in bytes.fromhex(colour[1:])]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("place", range(5))
def test_marks_stand_out_from_a_light_ground(place: int) -> None:
    colour = str(svg.series_style(place)["color"])
    assert (light(svg.GROUND) + 0.05) / (light(colour) + 0.05) >= 3


def test_an_image() -> None:
    image = charts.chart_png(figures([(SCRIPT + "\x01", 1), (None, -2)], "n"))
    assert image is not None
    assert image.startswith(b"\x89PNG")
    assert int.from_bytes(image[16:20]) == 1440
    assert image != charts.chart_png(figures([(SCRIPT + "\x01", 1), (None, -1)], "n"))


def test_an_image_bears_its_title(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[str] = []
    monkeypatch.setattr(
        charts, "svg_to_bytes", lambda svg_string, **_: sent.append(svg_string) or b""
    )
    charts.chart_png(figures([("a", 1)], "n"))
    assert texts(parse(sent[0]))[:3] == [
        "Hires & more",
        "year 2021, as of 2026-01-02 03:04 UTC",
        "1",
    ]


@pytest.mark.parametrize("letters", ["ab", "äö", "ЖИ", "λπ", "שם"])
def test_an_image_shows_letters_without_a_font_of_the_machine(
    letters: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were they left out, or boxes instead, both images would be equal."""
    alone = partial(charts.svg_to_bytes, skip_system_fonts=True)
    monkeypatch.setattr(charts, "svg_to_bytes", alone)
    first, second = (charts.chart_png(figures([(letter * 3, 1)], "n")) for letter in letters)
    assert first != second
