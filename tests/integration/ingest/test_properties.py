"""What holds for every file, however dirty: nothing is lost or altered, and chunks do not show."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rowboat.catalog.literals import BLANKS
from tests.conftest import Boat
from tests.support.dirty_files import WHOLE, account, departments, hires, load
from tests.support.fuzzing import thorough

Setting = Callable[[str, str], None]


def split(content: bytes, dialect: dict[str, Any]) -> dict[int, bytes]:
    """Split a file without quotes into its lines that are not blank: line → bytes."""
    border = rb"\r" if dialect["newline"] == "\r" else rb"\r{0,2}\n"
    lines = dict(enumerate(re.split(border, content), 1))
    last = max(lines)
    if dialect["newline"] == "\n":
        lines[last] = lines[last].removesuffix(b"\r").removesuffix(b"\r")
    filled = {line: raw for line, raw in lines.items() if raw}
    return {
        n: raw for n, raw in filled.items() if raw.decode(errors="replace") != dialect["header"]
    }


def is_good(raw: bytes, dialect: dict[str, Any], taken: set[int]) -> bool:
    """Judge a department by a reading of its own."""
    stray = b"\n" if dialect["newline"] == "\r" else b"\r"
    try:
        fields = raw.decode().split(dialect["delimiter"])
    except UnicodeDecodeError:
        return False
    names = dialect["fields"]
    if len(fields) == len(names) + 1 and not fields[-1]:
        fields.pop()
    if stray in raw or b"\0" in raw or len(fields) != len(names):
        return False
    row = dict(zip(names, fields, strict=True))
    key = re.fullmatch(r"([-+]?[0-9]+)(\.0*)?", row["id"].strip(BLANKS))
    if not key or not row["department"].strip():
        return False
    number = int(key[1])
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
    assert report.error is None or alone.report.rejected == alone.report.read
    report.report.check()
    rows = boat.query("select * from hired_employees.departments order by id")
    assert rows == sorted((dict(first.rows) | dict(alone.rows)).items())
    version = boat.query("select version from ingest_status.ingest_status")[0]
    if version == 2:
        assert boat.rejects() == alone.rejects
        assert report.report.rejected == alone.report.rejected
