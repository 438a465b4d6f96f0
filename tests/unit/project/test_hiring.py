"""Check the sample data set against its generator and against a reading of its own."""

import csv
import re
import unicodedata
from collections import Counter
from datetime import datetime
from functools import cache
from pathlib import Path

import pytest

from tests.tools import hiring

RAW_DATA = Path(__file__).resolve().parents[3] / "raw_data"
NAMES = ("departments.csv", "jobs.csv", "hired_employees.csv")
RULES = {"required", "type", "shape", "encoding", "duplicate", "reference", "check"}


def raw_lines(name: str) -> list[bytes]:
    """Split a committed file at its line feeds."""
    content = (RAW_DATA / name).read_bytes()
    assert content.endswith(b"\n")
    return content[:-1].split(b"\n")


def rows(name: str) -> list[list[str]]:
    """Read a committed file that has no flaws."""
    text = (RAW_DATA / name).read_text(encoding="utf-8")
    return list(csv.reader(text.splitlines(), strict=True))


def is_moment(text: str) -> bool:
    """Tell whether the text is a moment in UTC."""
    try:
        datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return False
    return True


def is_number(text: str) -> bool:
    """Tell whether the text is a plain whole number."""
    return re.fullmatch("[1-9][0-9]*", text) is not None


@cache
def parents(name: str) -> set[str]:
    """Collect the ids of a parent file."""
    return {row[0] for row in rows(name)}


def cell_rules(cells: list[str], raw: bytes) -> set[str]:
    """Find the rules that a line of five cells breaks on its own."""
    quoted_empty = raw.split(b",")[1] == b'""'
    empty = [not cell for cell in cells]
    broken = set()
    if any(empty[:1] + empty[2:]) or (empty[1] and not quoted_empty):
        broken.add("required")
    if quoted_empty or cells[1].isspace():
        broken.add("check")
    numbers = all(is_number(cell) for cell in [cells[0], *cells[3:]] if cell)
    if not numbers or (cells[2] and not is_moment(cells[2])):
        broken.add("type")
    return broken


def reference_rules(cells: list[str]) -> set[str]:
    """Find out whether a line names a parent that does not exist."""
    pairs = ((cells[3], parents("departments.csv")), (cells[4], parents("jobs.csv")))
    lost = any(is_number(cell) and cell not in known for cell, known in pairs)
    return {"reference"} if lost else set()


def broken_rules(raw: bytes) -> set[str]:
    """Find the rules that a line breaks, duplicates aside."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text, broken = raw.decode("latin-1"), {"encoding"}
    else:
        broken = set()
    cells = next(csv.reader([text], strict=True))
    if len(cells) != 5:
        return broken | {"shape"}
    return broken | cell_rules(cells, raw) | reference_rules(cells)


def found() -> list[set[str]]:
    """Find the broken rules of every hire."""
    seen: set[bytes] = set()
    result = []
    for raw in raw_lines("hired_employees.csv"):
        number = raw.split(b",")[0]
        result.append(broken_rules(raw) | ({"duplicate"} if number in seen else set()))
        seen.add(number)
    return result


def clean_hires() -> list[list[str]]:
    """Read the hires that break no rule."""
    pairs = zip(raw_lines("hired_employees.csv"), found(), strict=True)
    return list(csv.reader([raw.decode() for raw, broken in pairs if not broken], strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_committed_file_equals_generator(name: str) -> None:
    """Compare a committed file with the generator byte for byte."""
    assert (RAW_DATA / name).read_bytes() == hiring.files()[name]


def test_generator_makes_three_files_every_time_alike() -> None:
    """Compare two runs of the generator."""
    assert tuple(hiring.files()) == NAMES
    assert hiring.files() == hiring.files()


def test_command_writes_files_and_names_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Write the files to a folder that does not exist yet."""
    hiring.main([str(tmp_path / "new")])
    printed = capsys.readouterr().out
    for name, content in hiring.files().items():
        assert (tmp_path / "new" / name).read_bytes() == content
        assert name in printed


@pytest.mark.parametrize("name", NAMES)
def test_lines_end_in_line_feeds_without_byte_order_mark(name: str) -> None:
    """Look for carriage returns, empty lines and a byte order mark."""
    content = (RAW_DATA / name).read_bytes()
    assert b"\r" not in content
    assert b"" not in raw_lines(name)
    assert not content.startswith(b"\xef\xbb\xbf")


def test_counts() -> None:
    """Count the lines of every file."""
    assert len(raw_lines("departments.csv")) == 12
    assert 170 <= len(raw_lines("jobs.csv")) <= 190
    assert len(raw_lines("hired_employees.csv")) == 2_000


@pytest.mark.parametrize("name", ["departments.csv", "jobs.csv"])
def test_parents_are_valid(name: str) -> None:
    """Check that parents are numbered from one and have names of their own."""
    ids, names = zip(*rows(name), strict=True)
    assert list(ids) == [str(number) for number in range(1, len(ids) + 1)]
    assert all(label == label.strip() != "" for label in names)
    assert len(set(names)) == len(names)


def test_some_job_titles_are_quoted() -> None:
    """Look for commas and doubled quotes in the job titles."""
    assert sum("," in title for _, title in rows("jobs.csv")) >= 3
    assert sum(b'""' in raw for raw in raw_lines("jobs.csv")) == 1


def test_names_of_clean_hires_are_varied() -> None:
    """Look for letters beyond ASCII, apostrophes and hyphens in composed form."""
    names = [cells[1] for cells in clean_hires()]
    assert all(unicodedata.is_normalized("NFC", name) for name in names)
    assert any(not name.isascii() for name in names)
    assert any("'" in name for name in names)
    assert any("-" in name for name in names)


def test_clean_hires_cover_every_month_and_department() -> None:
    """Check that hires spread over three years and all departments."""
    hires = clean_hires()
    months = {cells[2][:7] for cells in hires}
    assert months == {f"{year}-{month:02}" for year in (2020, 2021, 2022) for month in range(1, 13)}
    assert {cells[3] for cells in hires} == parents("departments.csv")


def test_share_of_flaws() -> None:
    """Check that about three lines in a hundred are flawed."""
    share = sum(hiring.flaws().values()) / len(raw_lines("hired_employees.csv"))
    assert 0.025 <= share <= 0.035


def test_every_rule_is_broken_several_times() -> None:
    """Check that no rule is left out."""
    assert set(hiring.flaws()) == RULES
    assert min(hiring.flaws().values()) >= 3


def test_no_line_has_two_flaws() -> None:
    """Check that a line breaks one rule at most."""
    assert max(len(broken) for broken in found()) == 1


def test_flaws_found_equal_flaws_told() -> None:
    """Compare an independent count of flawed lines with that of the generator."""
    assert Counter(rule for broken in found() for rule in broken) == hiring.flaws()


@pytest.mark.parametrize("column", range(1, 5))
def test_every_column_is_empty_several_times(column: int) -> None:
    """Count the empty cells of a column."""
    pairs = zip(raw_lines("hired_employees.csv"), found(), strict=True)
    lines = [raw.split(b",") for raw, broken in pairs if broken == {"required"}]
    assert sum(cells[column] == b"" for cells in lines) >= 3


def test_duplicates_repeat_clean_lines() -> None:
    """Check that every duplicate repeats the id of a clean line."""
    pairs = zip(raw_lines("hired_employees.csv"), found(), strict=True)
    repeated = {raw.split(b",")[0].decode() for raw, broken in pairs if broken == {"duplicate"}}
    assert repeated <= {cells[0] for cells in clean_hires()}
