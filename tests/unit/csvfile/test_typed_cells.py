"""Which cells are plain: all of the usual form, and no cell that is not a value."""

import re
from collections import Counter
from datetime import datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rowboat.catalog.tables import Column
from rowboat.csvfile.dialect import Dialect
from rowboat.csvfile.splitter import split_records
from rowboat.csvfile.typed_cells import find_typed_cells

RANGES = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
TIMES = {
    "date": re.compile(r"\d{4}-\d\d-\d\d", re.ASCII),
    "timestamp": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d", re.ASCII),
    "timestamptz": re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\dZ", re.ASCII),
}
MANY = 400  # rows, so that one odd cell does not make its column odd


def column(name: str, base: str, is_domain: bool = False) -> Column:
    return Column(
        name, base, base, -1, "N", is_domain, False, None, None, False, None, None, None, None
    )


def odd(base: str, cells: list[str], quoted: bool = False) -> dict[int, str]:
    """Return the odd cells of a column, the last of three; the other two are text."""
    columns = {name: column(name, "text") for name in ("a", "b")} | {"c": column("c", base)}
    form = 'x,"y,""z",{}\n' if not quoted else 'x,y,"{}"\n'
    text = "".join(form.format(cell) for cell in cells).encode()
    found = find_typed_cells(
        split_records(text, Dialect(",", "\n", ("a", "b", "c")), True), columns
    )
    assert found.columns == {"c"}
    for begin, end in found.spans:
        assert text[begin:end].decode().strip('"') in found.odd["c"].values()
    return found.odd.get("c", {})


@pytest.mark.parametrize("quoted", [False, True])
@pytest.mark.parametrize(
    ("base", "good"),
    [
        ("int2", ["0", "-0", "007", "9999", "-9999", ""]),
        ("int4", ["0", "999999999", "-999999999", ""]),
        ("int8", ["0", "999999999999999999", "-999999999999999999", ""]),
        ("date", ["2024-02-29", "2000-02-29", "0001-01-01", "9999-12-31", ""]),
        ("timestamp", ["2021-11-07T02:48:42", "2021-11-07 23:59:59", ""]),
        ("timestamptz", ["2021-11-07T02:48:42Z", "2021-11-07 23:59:59Z", ""]),
    ],
)
def test_the_usual_forms_are_plain(base: str, good: list[str], quoted: bool) -> None:
    assert odd(base, good * MANY, quoted) == {}


@pytest.mark.parametrize(
    ("base", "cells"),
    [
        ("int2", ["32768", "-", "--1", "1.0", "1e3", "0x1F", "1_000", "+5", " 5", "5 ", "\u0663"]),
        ("int4", ["2147483648", "12345678901", "ten"]),
        ("date", ["2023-02-29", "1900-02-29", "0000-01-01", "2021-13-01", "2021-00-10",
                  "2021-01-00", "2021-04-31", "20210101", "2021-1-1", "today", "2021-01-01Z"]),
        ("timestamp", ["2021-11-07T24:00:00", "2021-11-07T23:60:00", "2021-11-07T23:59:60",
                       "2021-11-07t23:59:59", "2021-11-07T23:59:59Z", "2021-11-07"]),
        ("timestamptz", ["2021-11-07T02:48:42", "2021-11-07T02:48:42+00", "2021-02-30T02:48:42Z",
                         "2021-11-07T02:48:42z", "2021-11-07T02-48-42Z", "now"]),
    ],
)  # fmt: skip
def test_all_others_are_odd(base: str, cells: list[str]) -> None:
    good = {"date": "2021-11-07", "timestamp": "2021-11-07T00:00:00"}.get(base, "")
    assert odd(base, [*cells, *[good] * MANY]) == dict(enumerate(cells))


@pytest.mark.parametrize(
    ("base", "cell"),
    [
        ("date", "02.03.2018"), ("date", "2018/03/02"), ("date", "2018-!!-02"),
        ("timestamp", "02.03.2018 10:00:00"), ("timestamp", "2018-(1-02 10:00:00"),
        ("timestamptz", "07-11-2021T02:48:42Z"), ("timestamptz", "2021-++-07T02:48:42Z"),
    ],
)  # fmt: skip
def test_bytes_that_are_no_digits_are_no_month(base: str, cell: str) -> None:
    """The month is an index: of other bytes it would be one beyond the table of months."""
    assert odd(base, [*[""] * MANY, cell]) == {MANY: cell}


@settings(
    max_examples=300, deadline=None, derandomize=True, database=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
@given(st.sampled_from([*RANGES, *TIMES]), st.data())
def test_whatever_is_plain_is_a_value(base: str, data: st.DataObject) -> None:
    digits = "0123456789-T: Z+."
    cell = data.draw(
        st.one_of(
            st.integers(-(2**66), 2**66).map(str),
            st.text(digits, max_size=24),
            st.datetimes().map(lambda when: f"{when:%Y-%m-%dT%H:%M:%S}Z"[: data.draw(LENGTHS)]),
            st.from_regex(TIMES.get(base, TIMES["date"]), fullmatch=True),
        ).filter(lambda text: text.strip(" ") == text)
    )
    if odd(base, [cell, *[""] * MANY]) or not cell:
        return
    if base in RANGES:
        assert -RANGES[base] <= int(cell) < RANGES[base]
    else:
        assert TIMES[base].fullmatch(cell)
        assert datetime.fromisoformat(cell)


LENGTHS = st.sampled_from([10, 19, 20])


def test_a_column_with_many_odd_cells_is_taken_as_text() -> None:
    text = b"1\n2\nx\n"
    records = split_records(text, Dialect(",", "\n", ("a",)), True)
    assert find_typed_cells(records, {"a": column("a", "int4")}).columns == set()


def test_domains_and_other_types_are_left_to_the_database() -> None:
    records = split_records(b"1,1.5\n", Dialect(",", "\n", ("a", "b")), True)
    columns = {"a": column("a", "int4", is_domain=True), "b": column("b", "numeric")}
    assert find_typed_cells(records, columns).columns == set()


def test_refused_records_and_stray_quotes() -> None:
    """Records of a wrong shape have no cells; others have, even beside irregular quotes."""
    shape = Dialect(",", "\n", ("a", "b"))
    columns = {"a": column("a", "int4"), "b": column("b", "text")}
    records = split_records(b"1,x\n2\n3,y,z\n4,w\n", shape, True)
    assert sorted(records.refused) == [1, 2]
    found = find_typed_cells(records, columns)
    assert (found.columns, found.odd) == ({"a"}, {})
    records = split_records(b'1,x"\n2,"y,z"\n3,"\n",\n', shape, True)
    assert sorted(records.refused) == [0]
    assert find_typed_cells(records, columns, "a").keys.ordered.tolist() == [2, 3]


@given(
    st.lists(
        st.one_of(
            st.integers(-(2**31), 2**31 - 1).map(str),
            st.integers(-20, 20).map(str),
            st.sampled_from(
                [
                    "",
                    "007",
                    "-0",
                    "0" * 5000 + "7",
                    "2147483648",
                    "9" * 5000,
                    "5.0",
                    " +6 ",
                    "\u00a07.",
                    "-8.000",
                    "8.5",
                    ".0",
                    "  ",
                    "1 2",
                ]
            ),
        ),
        max_size=60,
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_keys(cells: list[str]) -> None:
    """The summary of keys agrees with those cells that are integers."""
    cells += [str(n) for n in range(10_000, 10_000 + 20 * len(cells) + 1)]
    text = "".join(f"{cell},x\n" for cell in cells).encode()
    columns = {"a": column("a", "int4"), "b": column("b", "text")}
    records = split_records(text, Dialect(",", "\n", ("a", "b")), True)
    keys = find_typed_cells(records, columns, "a").keys
    assert keys is not None
    tidy = [re.sub(r"(\d)\.0*$", r"\1", cell.strip()) for cell in cells]
    shorts = [cell.lstrip("0") or "0" if cell else "" for cell in tidy]
    values = {
        n: int(cell)
        for n, cell in enumerate(shorts, 1)
        if len(cell) < 12 and re.fullmatch(r"[-+]?\d+", cell)
    }
    values = {n: value for n, value in values.items() if -(2**31) <= value < 2**31}
    assert (keys.least, keys.greatest) == (min(values.values()), max(values.values()))
    assert keys.last is not None
    assert values[keys.last] == keys.greatest
    assert keys.until(keys.least - 1) is None
    assert keys.until(10_000) == max(value for value in values.values() if value <= 10_000)
    times = Counter(values.values())
    assert sorted(keys.repeated) == [n for n, value in values.items() if times[value] > 1]


def test_no_keys() -> None:
    records = split_records(b'"",x\n', Dialect(",", "\n", ("a", "b")), True)
    columns = {"a": column("a", "int4"), "b": column("b", "text")}
    keys = find_typed_cells(records, columns, "a").keys
    assert keys is not None
    assert (keys.least, keys.greatest, keys.last, keys.repeated) == (None, None, None, [])
    assert keys.until(5) is None
    assert find_typed_cells(records, columns, "b").keys is None
