"""The real files, straight through the library."""

import shutil

from tests.conftest import ROOT, Boat

CHALLENGE = ROOT.parent / "shared" / "data" / "challenge"


def test_real_files(boat: Boat) -> None:
    for path in CHALLENGE.glob("*.csv"):
        shutil.copy(path, boat.raw)
    reports = boat.ingest()
    assert {name: vars(report.report) for name, report in reports.items()} == {
        "departments.csv": dict(read=12, inserted=12, updated=0, unchanged=0, rejected=0),
        "jobs.csv": dict(read=183, inserted=183, updated=0, unchanged=0, rejected=0),
        "hired_employees.csv": dict(read=1999, inserted=1929, updated=0, unchanged=0, rejected=70),
    }
