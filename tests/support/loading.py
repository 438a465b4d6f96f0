"""Queries and content shared by the tests of loads: hires, positions, errors, lines."""

import csv
import io
from collections.abc import Sequence
from typing import Any

from rowboat.ingest.reports import FileReport
from tests.conftest import Boat


def hires(boat: Boat) -> list[tuple[Any, ...]]:
    """Return the hires by id."""
    return boat.query(
        "select id, employee_name, hired_date::text, department_id, job_id"
        " from hired_employees.hired_employees order by id"
    )


def failure(boat: Boat, name: str, **options: Any) -> tuple[str, str | None, str | None]:
    """Ingest; return state, error and hint of a file."""
    report = boat.ingest(**options)[name]
    return report.state, report.error, report.hint


def utf16(text: str, order: str, mark: bytes = b"") -> bytes:
    """Encode text, lone surrogates included; the byte order is "le" or "be"."""
    return mark + text.encode(f"utf-16-{order}", "surrogatepass")


ABC = [(1, "a"), (2, "b"), (3, "c")]


def position(boat: Boat, name: str) -> tuple[int, ...]:
    """Return read, inserted, updated, unchanged, rejected of a file's position."""
    return boat.query(
        "select read, inserted, updated, unchanged, rejected"
        " from ingest_status.ingest_status where file_name = %s",
        [name],
    )[0]


def problem(boat: Boat, name: str) -> str:
    """Ingest; return why a file belongs to no table."""
    report = boat.ingest()[name]
    assert report.state == "unmatched"
    assert report.hint == (
        "name it after its table, move it to a folder of that name, or remove it from raw_data"
    )
    assert boat.query(
        "select state, error from ingest_status.ingest_status where file_name = %s", [name]
    ) == [("unmatched", report.error)]
    return str(report.error)


def lines(first: int, last: int) -> bytes:
    """Return departments with ids from first to last, all lines of the same length."""
    return b"".join(b"%06d,department %06d\n" % (n, n) for n in range(first, last + 1))


def loaded_counts(report: FileReport) -> tuple[int, int, int, int, int]:
    """Return read, inserted, updated, unchanged, rejected; they must add up."""
    assert (report.state, report.error) == ("loaded", None)
    found = report.report
    found.check()
    return found.read, found.inserted, found.updated, found.unchanged, found.rejected


def reasons(boat: Boat) -> dict[int, list[str]]:
    """Return line → reasons of the quarantine."""
    return {line: why for line, _, why in boat.rejects()}


def in_csv(rows: Sequence[Sequence[str]]) -> str:
    """Write every cell in quotes: an empty one is an empty text, not nothing."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()
