"""Queries and content shared by the tests of loads: hires, positions, errors, lines."""

from typing import Any

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
