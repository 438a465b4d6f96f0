"""What holds for every file, however dirty: nothing is lost or altered, and chunks do not show."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, assume, example, given, settings
from hypothesis import strategies as st

from rowboat.door.passage import Report
from tests.conftest import Boat

Setting = Callable[[str, str], None]

thorough = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)

WHOLE = 2**23
EMPTY_TABLES = (
    "truncate ingest_status.ingest_status, ingest_status.loads, ingest_status.overwritten,"
    " ingest_status.rejected_rows, hired_employees.{} cascade"
)

# Dirty files, piece by piece

keys = st.one_of(st.integers(1, 12).map(str), st.sampled_from(["", "x", "+1", "01", "2147483648"]))
words = st.sampled_from(["a", "b c", "é", "🚣", "", " ", "NULL", "\\N", "\\.", "it's", "%s", "{}"])
dates = st.sampled_from(["2021-01-01", "2021-02-03T04:05:06Z", "2021-02-30", "soon", ""])
parents = st.sampled_from(["1", "2", "3", "9", "", "x"])
quoting = st.sampled_from(["{}", "{}", "{}", '"{}"', '"{}""{}"', '"{}', '{}"{}', '"{}"x', '"{}\n"'])
delimiters = st.sampled_from([b",", b";", b"\t", b"|"])
newlines = st.sampled_from([[b"\n"], [b"\r\n"], [b"\r"], [b"\n", b"\r\n"], [b"\n", b"\n", b"\r"]])
dirt = st.sampled_from([b"\0", b"\xff", b"\xc3", b"\r", b",", b";", b" ", b"", b"", b"", b"", b""])


@st.composite
def dirty(draw: st.DrawFn, header: bytes, *cells: st.SearchStrategy[str], quotes: bool) -> bytes:
    """Draw a file: rows of these cells with all that can be wrong with them."""
    delimiter, endings = draw(delimiters), draw(newlines)
    lines = [header.replace(b",", delimiter)] if draw(st.booleans()) else []
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
    assume(not (report.error or "").startswith("the header "))  # it may end in a stray CR
    assert (report.state, report.error) == ("loaded", None)
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


def split(content: bytes, dialect: dict[str, Any]) -> dict[int, bytes]:
    """Split a file without quotes into its lines that are not blank: line → bytes."""
    border = rb"\r" if dialect["newline"] == "\r" else rb"\r?\n"
    lines = dict(enumerate(re.split(border, content), 1))
    last = max(lines)
    if dialect["newline"] == "\n":
        lines[last] = lines[last].removesuffix(b"\r")
    filled = {line: raw for line, raw in lines.items() if raw}
    if dialect["header"]:
        del filled[min(filled)]
    return filled


def is_good(raw: bytes, dialect: dict[str, Any], taken: set[int]) -> bool:
    """Judge a department by a reading of its own."""
    stray = b"\n" if dialect["newline"] == "\r" else b"\r"
    try:
        fields = raw.decode().split(dialect["delimiter"])
    except UnicodeDecodeError:
        return False
    if stray in raw or b"\0" in raw or len(fields) != len(dialect["columns"]):
        return False
    row = dict(zip(dialect["columns"], fields, strict=True))
    if not re.fullmatch(r"-?[0-9]+", row["id"]) or not row["department"].strip():
        return False
    number = int(row["id"])
    return number < 2**31 and number not in taken and not taken.add(number)


@thorough
@given(content=departments(quotes=False), chunk_bytes=st.integers(64, 300))
@example(content=b"1,a\r\n\r\r\n2,b", chunk_bytes=64)
@example(content=b"1,a\n1,\xff\n1,b\n", chunk_bytes=64)
def test_departments(boat: Boat, setting: Setting, content: bytes, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    found = load(boat, "departments", content)
    account(found, content)
    lines = split(content, found.dialect)
    assert found.report.read == len(lines)
    assert all(lines[line] == raw for line, raw, _ in found.rejects)
    taken: set[int] = set()
    refused = [line for line, raw in lines.items() if not is_good(raw, found.dialect, taken)]
    assert [line for line, _, _ in found.rejects] == refused
    assert {row[0] for row in found.rows} == taken


@pytest.fixture
def parents_loaded(boat: Boat) -> Boat:
    boat.query("insert into hired_employees.departments values (1, 'a'), (2, 'b'), (3, 'c')")
    boat.query("insert into hired_employees.jobs values (1, 'a'), (2, 'b'), (3, 'c')")
    return boat


@thorough
@given(content=hires(quotes=False), chunk_bytes=st.integers(64, 400))
def test_hires(parents_loaded: Boat, setting: Setting, content: bytes, chunk_bytes: int) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    found = load(parents_loaded, "hired_employees", content)
    account(found, content)
    lines = split(content, found.dialect)
    assert found.report.read == len(lines)
    assert all(lines[line] == raw for line, raw, _ in found.rejects)


@thorough
@given(content=departments(quotes=True), chunk_bytes=st.integers(64, 200))
@example(content=b'6,e"f\n' + b"7,g\n" * 13 + b'"8\n",h\n"9\n"\r\n', chunk_bytes=64)
@example(content=b'1,a"b\n2,"c\nd"\n3,"e\n4,f\n' + b"5,g\n" * 30, chunk_bytes=64)
def test_chunks_do_not_show_in_departments(
    boat: Boat, setting: Setting, content: bytes, chunk_bytes: int
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    parts = load(boat, "departments", content)
    account(parts, content)
    setting("chunk_bytes", str(WHOLE))
    assert load(boat, "departments", content) == parts


@thorough
@given(content=hires(quotes=True), chunk_bytes=st.integers(64, 200))
def test_chunks_do_not_show_in_hires(
    parents_loaded: Boat, setting: Setting, content: bytes, chunk_bytes: int
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    parts = load(parents_loaded, "hired_employees", content)
    account(parts, content)
    setting("chunk_bytes", str(WHOLE))
    assert load(parents_loaded, "hired_employees", content) == parts


@thorough
@given(old=departments(quotes=True), new=departments(quotes=True))
def test_rewritten_departments(boat: Boat, old: bytes, new: bytes) -> None:
    """After a rewriting the table has the rows of both; the quarantine that of the new alone."""
    alone = load(boat, "departments", new)
    first = load(boat, "departments", old)
    boat.write("departments.csv", new)
    report = boat.ingest(checksum=True)["departments.csv"]
    assert report.error is None
    report.report.check()
    rows = boat.query("select * from hired_employees.departments order by id")
    assert rows == sorted((dict(first.rows) | dict(alone.rows)).items())
    version = boat.query("select version from ingest_status.ingest_status")[0]
    if version == 2:
        assert boat.rejects() == alone.rejects
        assert report.report.rejected == alone.report.rejected
