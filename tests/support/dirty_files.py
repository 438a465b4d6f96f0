"""Random files with every kind of fault, and the result of loading one."""

from dataclasses import dataclass
from typing import Any

from hypothesis import assume
from hypothesis import strategies as st

from rowboat.door.passage import Report
from tests.conftest import Boat

WHOLE = 2**23
EMPTY_TABLES = (
    "truncate ingest_status.ingest_status, ingest_status.loads, ingest_status.overwritten,"
    " ingest_status.rejected_rows, hired_employees.{} cascade"
)
# How a refusal begins where a first line, or a quote in a file with tabs, has several meanings.
UNCERTAIN = ("the header ", "its header ", "line ", "it can be read in ", "a quote opens ")
keys = st.one_of(
    st.integers(1, 12).map(str),
    st.sampled_from(["", "x", "+1", "01", "2147483648", " 3", "4.0", "4.5", " "]),
)
words = st.sampled_from(["a", "b c", "é", "🚣", "", " ", "NULL", "\\N", "\\.", "it's", "%s", "{}"])
dates = st.sampled_from(
    ["2021-01-01", " 2021-01-01", "2021-02-03T04:05:06Z", "2021-02-30", "soon", ""]
)
parents = st.sampled_from(["1", "2", "3", "9", "", "x", "2.0", " 3 "])
quoting = st.sampled_from(["{}", "{}", "{}", '"{}"', '"{}""{}"', '"{}', '{}"{}', '"{}"x', '"{}\n"'])
delimiters = st.sampled_from([b",", b";", b"\t", b"|"])
newlines = st.sampled_from([[b"\n"], [b"\r\n"], [b"\r"], [b"\n", b"\r\n"], [b"\n", b"\n", b"\r"]])
dirt = st.sampled_from([b"\0", b"\xff", b"\xc3", b"\r", b",", b";", b" ", b"", b"", b"", b"", b""])


@st.composite
def dirty(draw: st.DrawFn, header: bytes, *cells: st.SearchStrategy[str], quotes: bool) -> bytes:
    """Draw a file: rows of these cells with all that can be wrong with them.

    Its first line is a header, or a row that cannot be taken for one.
    """
    delimiter, endings = draw(delimiters), draw(newlines)
    fields = len(header.split(b","))
    first = draw(st.sampled_from([header, b",".join([b"98", b"w", *[b""] * (fields - 2)])]))
    lines = [first.replace(b",", delimiter)]
    for _ in range(draw(st.integers(0, 14))):
        fields = [draw(cell).encode() for cell in cells]
        if quotes:
            fields = [draw(quoting).encode().replace(b"{}", each) for each in fields]
        at = draw(st.integers(0, len(fields) - 1))
        fields[at] += draw(dirt)
        fields = fields[: draw(st.sampled_from([9, 9, 9, 9, 1]))]
        lines.append(delimiter.join(fields))
    text = b"".join(line + draw(st.sampled_from(endings)) for line in lines)
    return text if draw(st.booleans()) else text.rstrip(b"\r\n")


def departments(quotes: bool) -> st.SearchStrategy[bytes]:
    return dirty(b"id,department", keys, words, quotes=quotes)


def hires(quotes: bool) -> st.SearchStrategy[bytes]:
    header = b"id,employee_name,hired_date,department_id,job_id"
    return dirty(header, keys, words, dates, parents, parents, quotes=quotes)


@dataclass
class Result:
    """All that a load leaves behind."""

    report: Report
    dialect: dict[str, Any]
    rows: list[Any]
    rejects: list[tuple[int, bytes, list[str]]]


def load(boat: Boat, table: str, content: bytes) -> Result:
    """Load a file into an empty table."""
    boat.query(EMPTY_TABLES.format(table))
    boat.write(f"{table}.csv", content)
    report = boat.ingest()[f"{table}.csv"]
    assume(not (report.error or "").startswith(UNCERTAIN))
    all_refused = (report.error or "").startswith(("all ", "its only row "))
    assert all_refused or (report.state, report.error) == ("loaded", None)
    return Result(
        report.report,
        boat.query("select dialect from ingest_status.ingest_status")[0],
        boat.query(f"select * from hired_employees.{table} order by id"),
        boat.rejects(),
    )


def account(found: Result, content: bytes) -> None:
    """Every row that was read is in the table or, byte for byte, in quarantine."""
    found.report.check()
    assert (found.report.updated, found.report.unchanged) == (0, 0)
    assert found.report.inserted == len(found.rows)
    assert found.report.rejected == len(found.rejects)
    assert all(raw in content and why for _, raw, why in found.rejects)
