"""Rejected rows, and where the console shows them."""

from tests.conftest import Boat

DEPARTMENTS, EMPLOYEES = "hired_employees.departments", "hired_employees.hired_employees"
ORPHANS = "1,Ann,2021-01-01T00:00:00Z,5,1\n2,Bo,2021-01-01T00:00:00Z,6,1\n"


def refuse(boat: Boat) -> None:
    """Bring three refused departments, one not UTF-8, and two employees without parents."""
    boat.ingest(boat.write("departments.csv", b"1,\n2,Oars\nx,Sails\n3,\xe9t\xe9\n"))
    boat.ingest(boat.write("jobs.csv", "1,Rower\n"))
    boat.ingest(boat.write("hired_employees.csv", ORPHANS))


def row_id(boat: Boat, line: int, file: str = "departments.csv") -> int:
    """Return the id of the newest refused row of a line."""
    found: list[int] = boat.query(
        "select id from ingest_status.rejected_rows where source_name = %s and line = %s"
        " order by id desc", (file, line),
    )  # fmt: skip
    return found[0]


def address(boat: Boat, line: int, file: str = "departments.csv") -> str:
    """Return the address of that row's page."""
    return f"/quarantine/{row_id(boat, line, file)}"
