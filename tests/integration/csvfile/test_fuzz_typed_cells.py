"""Cells that are plainly values: with them and without, a load ends the same."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowboat.csvfile.typed_cells import TypedCells
from rowboat.ingest import file_source
from tests.conftest import Boat, counts
from tests.support.fuzzing import fuzzed

TABLE = """
create schema s;
create table s.log (
    id integer, small smallint, large bigint, day date, at timestamp, moment timestamptz, note text,
    primary key (id)
);
"""
EMPTY = """
truncate s.log, ingest_status.ingest_status, ingest_status.loads, ingest_status.overwritten,
    ingest_status.rejected_rows, ingest_status.record_hashes
"""
ROWS = 45  # of which two may be odd in a column that is plain all the same
COLUMNS = ("id", "small", "large", "day", "at", "moment", "note")

days = st.dates().map(lambda day: f"{day:%Y-%m-%d}".rjust(10, "0"))
times = st.times().map(lambda time: f"{time:%H:%M:%S}")
moments = st.builds("{}{}{}".format, days, st.sampled_from("T "), times)
digits = st.text("0123456789", min_size=1, max_size=21)
odd = st.one_of(
    st.integers(-(2**66), 2**66).map(str), digits, digits.map("-{}".format), moments, days, times,
    moments.map("{}Z".format), moments.map("{}+02:00".format), moments.map("{}z".format),
    st.text("0123456789-+:TZ ./eEx_\t", max_size=22), st.text(max_size=4),
    st.sampled_from(["", " ", "-", "--1", "+1", "1 ", " 1", "٣", "infinity", "now", "2024-02-30",
                     "2023-02-29", "0000-01-01", "0001-01-01", "24:00:00", "2016-12-31T23:59:60Z",
                     "2021-11-07T24:00:00Z", "32768", "-32768", "2147483648", "-2147483648",
                     "9223372036854775807", "-9223372036854775808", "9999-12-31T23:59:59Z", "00",
                     "-0", "000000000000000000000007", "8.0", "+8", " 8. ", "\u00a08", "8.5", ".0",
                     "  ", "1996-07-04 00:00:00.000", " 1996-07-04", "1996-07-04T00:01",
                     "1900-02-29", "2021-1-1", "20210101"]),
)  # fmt: skip
good = {
    "small": st.integers(-9999, 9999).map(str), "large": st.integers(-(10**17), 10**17).map(str),
    "day": days, "at": moments, "moment": moments.map("{}Z".format), "note": st.just("x"),
}  # fmt: skip


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a file: good rows, two cells of each column are any."""
    table = [[str(n), *(draw(good[name]) for name in COLUMNS[1:])] for n in range(5)]
    table += [[str(n), *table[n % 5][1:]] for n in range(5, ROWS)]
    for column in range(len(COLUMNS)):
        for _ in range(draw(st.integers(0, 2))):
            table[draw(st.integers(0, ROWS - 1))][column] = draw(odd)
    mark = draw(st.sampled_from(["{}", '"{}"']))
    lines = (",".join(mark.format(cell.replace('"', "")) for cell in row) for row in table)
    return ("\n".join(lines) + "\n").encode("utf-8", "replace")


def rows(*odd_ones: str) -> bytes:
    """Return a file of good rows and these."""
    usual = [f"{n},1,1,2021-01-01,2021-01-01T00:00:00,2021-01-01T00:00:00Z,x" for n in range(ROWS)]
    return ("\n".join([*usual, *odd_ones]) + "\n").encode()


def test_what_is_plain_changes_nothing(
    boat: Boat, declare: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(TABLE)

    def load(content: bytes) -> Any:
        boat.query(EMPTY)
        boat.write("log.csv", content)
        report = boat.ingest()["log.csv"]
        rows = boat.query("select * from s.log order by id")
        return report.error, counts(report), rows, boat.rejects()

    @fuzzed(12)
    @given(files())
    @example(rows("-0,1,1,,,,", "00,1,1,,,,"))
    @example(rows("100,32768,9223372036854775808,2023-02-29,2021-01-01,2021-01-01T00:00:00,"))
    @example(rows("2147483647,-32768,-9223372036854775808,9999-12-31,0001-01-01 00:00:00,,x"))
    @example(rows('"101","1","1","2021-01-01","","",', "102,1\0,1,,,,", "102,1,1,,,,"))
    def alike(content: bytes) -> None:
        found = load(content)
        with monkeypatch.context() as patch:
            patch.setattr(file_source, "find_typed_cells", lambda *_, **__: TypedCells())
            assert load(content) == found

    alike()
