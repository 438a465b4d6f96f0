"""Rows as CSV, as in RFC 4180, and harmless in a spreadsheet if that is asked for."""

import csv
import io
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from rowboat.csvfile.writer import csv_text


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        ("", ""),
        ("a b", "a b"),
        ('a,"b"', '"a,""b"""'),
        ("a\rb", '"a\rb"'),
        ("a\nb", '"a\nb"'),
        ("é€😀", "é€😀"),
        (7, "7"),
        (-7, "-7"),
        (True, "true"),
        (1.5, "1.5"),
        (Decimal("12.500"), "12.500"),
        (date(2021, 2, 28), "2021-02-28"),
        (datetime(2021, 2, 28, 1, 2, 3, tzinfo=UTC), "2021-02-28T01:02:03+00:00"),
        ([1, None, "é"], '"[1, null, ""é""]"'),
        ({"a": Decimal("1.5")}, '"{""a"": ""1.5""}"'),
        ("=1+1", "=1+1"),
    ],
)
def test_cells(value: object, cell: str) -> None:
    assert csv_text(["a", "b"], [(value, 1)]) == f"a,b\r\n{cell},1\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_safe(text: str) -> None:
    written = csv_text([text, "b"], [(text, -1)], safe=True)
    assert list(csv.reader(io.StringIO(written, newline=""))) == [
        ["'" + text, "b"],
        ["'" + text, "-1"],
    ]


@pytest.mark.parametrize("text", ["1=1", "a-b", "'=1", " =1", ""])
def test_safe_leaves_the_rest(text: str) -> None:
    assert csv_text(["a", "b"], [(text, None)], safe=True) == f"a,b\r\n{text},\r\n"


def test_no_rows() -> None:
    assert csv_text(["a", "b"], []) == "a,b\r\n"
