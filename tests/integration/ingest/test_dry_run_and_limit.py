"""Dry runs and the reject limit: what they leave unchanged."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat, counts
from tests.support.loading import lines, position

Setting = Callable[[str, str], None]
STATE = """
select
    (select count(*) from ingest_status.ingest_status),
    (select count(*) from ingest_status.loads),
    (select count(*) from ingest_status.rejected_rows),
    (select count(*) from ingest_status.rejected_rows where settled_at is not null),
    (select count(*) from ingest_status.overwritten),
    (select count(*) from hired_employees.departments),
    (select count(*) from hired_employees.jobs),
    (select count(*) from hired_employees.hired_employees),
    (select last_value from hired_employees.departments_id_seq)
"""


def test_dry_run_changes_nothing(boat: Boat) -> None:
    boat.write("jobs.csv", "1,b\n")
    boat.write("hired_employees-1.csv", "1,A,2021-01-01,1,1\n")
    boat.ingest()
    boat.write("departments.csv", "1,a\n2,b\n2,c\n300,z\n")
    boat.write(
        "hired_employees-2.csv", "2,B,2021-01-01,2,1\n3,C,2021-01-01,9,1\n1,D,2022-01-01,1,1\n"
    )
    boat.write("jobs-2.csv", "id,salary\n1,1\n")
    boat.write("invoices.csv", "1\n")
    before = boat.query(STATE)
    reports = boat.ingest(dry_run=True)
    assert boat.query(STATE) == before
    assert {name: (each.state, counts(each)) for name, each in reports.items()} == {
        "departments.csv": ("loaded", (4, 3, 0, 0, 1)),
        "hired_employees-1.csv": ("unchanged", (0, 0, 0, 0, 0)),
        "hired_employees-2.csv": ("loaded", (3, 1, 1, 0, 1)),
        "invoices.csv": ("unmatched", (0, 0, 0, 0, 0)),
        "jobs-2.csv": ("failed", (0, 0, 0, 0, 0)),
        "jobs.csv": ("unchanged", (0, 0, 0, 0, 0)),
    }
    real = boat.ingest()
    assert {name: counts(each) for name, each in real.items()} == {
        name: counts(each) for name, each in reports.items()
    }


def test_dry_run_of_several_chunks(boat: Boat, setting: Setting) -> None:
    setting("chunk_bytes", "64")
    boat.write("departments.csv", lines(1, 9) + lines(3, 5))
    assert counts(boat.ingest(dry_run=True)["departments.csv"]) == (12, 9, 0, 0, 3)
    assert boat.departments() == []


@pytest.mark.parametrize("chunk_bytes", [64, 2**23])
@pytest.mark.parametrize(
    ("limit", "kept"),
    [("2", False), ("3", True), ("29%", False), ("30%", True), ("0", False), ("100%", True)],
)
def test_reject_limit(
    boat: Boat, setting: Setting, chunk_bytes: int, limit: str, kept: bool
) -> None:
    setting("chunk_bytes", str(chunk_bytes))
    setting("reject_limit", limit)
    boat.write("departments.csv", lines(1, 7) + b"x,first\n8,\n9,\n")
    before = boat.query(STATE)
    report = boat.ingest()["departments.csv"]
    if kept:
        assert counts(report) == (10, 7, 0, 0, 3)
        return
    assert (report.state, report.error, report.hint) == (
        "failed",
        f"3 of 10 rows are rejected, more than ROWBOAT_REJECT_LIMIT ({limit}) allows; nothing was"
        " kept. The first, in line 8: 'x' is not an integer",
        "correct the file, or raise ROWBOAT_REJECT_LIMIT",
    )
    assert boat.query(STATE)[0][1:8] == before[0][1:8]
    assert position(boat, "departments.csv") == (0, 0, 0, 0, 0)


def test_reject_limit_of_an_appended_part(boat: Boat, setting: Setting) -> None:
    setting("reject_limit", "1")
    path = boat.write("departments.csv", b"1,a\nx,b\n")
    assert counts(boat.ingest()["departments.csv"]) == (2, 1, 0, 0, 1)
    path.write_bytes(path.read_bytes() + b"2,b\ny,c\n3,\n")
    assert boat.ingest()["departments.csv"].error == (
        "2 of 3 rows are rejected, more than ROWBOAT_REJECT_LIMIT (1) allows; nothing was kept."
        " The first, in line 4: 'y' is not an integer"
    )
    assert boat.departments() == [(1, "a")]
    assert position(boat, "departments.csv") == (2, 1, 0, 0, 1)
