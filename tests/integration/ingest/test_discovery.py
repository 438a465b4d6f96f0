"""Which table a file belongs to, and when it is taken."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rowboat.catalog.tables import Catalog
from rowboat.database import connections
from rowboat.errors import FileChanged, FileRefused
from rowboat.ingest import discovery
from rowboat.storage import disk
from tests.conftest import Boat

Setting = Callable[[str, str], None]
Declare = Callable[[str], None]


@pytest.fixture
def catalog(boat: Boat, declare: Declare) -> Catalog:
    declare(
        "create schema s; create table s.jobs (id integer primary key);"
        "create table s.jobs_old (id integer primary key);"
        'create table s."Jobs_Old" (id integer primary key)'
    )
    return boat.catalog()


AMBIGUOUS = "belongs to {} and {} alike: put the schema in front of its name"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("departments.csv", "hired_employees.departments"),
        ("departments-2021-02.csv.gz", "hired_employees.departments"),
        ("DEPARTMENTS.TSV.GZ", "hired_employees.departments"),
        ("hired_employees.csv", "hired_employees.hired_employees"),
        ("hired_employees.departments_2.txt", "hired_employees.departments"),
        ("hired_employees/departments.csv", "hired_employees.departments"),
        ("departments/hired_employees.csv", "hired_employees.hired_employees"),
        ("departments/march/1.csv", "hired_employees.departments"),
        ("other/departments/1.csv", "hired_employees.departments"),
        ("departments-old/1.csv", None),
        ("jobs_old.csv", "s.jobs_old"),
        ("Jobs_Old.csv", "s.Jobs_Old"),
        ("jobs_old-2.csv", "s.jobs_old"),
        ("s.jobs.csv", "s.jobs"),
        ("s.jobs/1.csv", "s.jobs"),
        ("jobs.csv", AMBIGUOUS.format("hired_employees.jobs", "s.jobs")),
        ("JOBS_OLD.csv", AMBIGUOUS.format("s.Jobs_Old", "s.jobs_old")),
        ("departments", "does not end in .csv, .tsv, .txt, with or without .gz"),
        ("departments.gz", "does not end in .csv, .tsv, .txt, with or without .gz"),
        ("departments.csv.zip", "does not end in .csv, .tsv, .txt, with or without .gz"),
        ("1.csv", None),
    ],
)
def test_match(catalog: Catalog, name: str, found: str | None) -> None:
    nothing = (
        "belongs to no table: its name begins with none of departments, jobs, Jobs_Old, jobs,"
        " jobs_old, hired_employees"
    )
    table, problem = discovery.match_table(name, catalog)
    assert (table.full_name if table else problem) == (found or nothing)


def test_listing_is_by_name(boat: Boat) -> None:
    for name in ("jobs-2.csv", "departments/b.csv", "jobs-10.csv", "departments/a.csv"):
        boat.write(name, "")
    with connections.transaction(boat.connect()):
        found = discovery.scan_folder(boat.catalog())
    assert [each.name for each in found] == [
        "departments/a.csv", "departments/b.csv", "jobs-10.csv", "jobs-2.csv",
    ]  # fmt: skip


class Clock:
    """Time that passes only while somebody sleeps; each sleep first does the next deed."""

    def __init__(self, *deeds: Callable[[], object]) -> None:
        self.now = 1_000_000.0
        self.deeds = list(deeds)

    def time(self) -> float:
        return self.now

    monotonic = time

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.deeds:
            self.deeds.pop(0)()


@pytest.fixture
def file(boat: Boat, setting: Setting, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that was written a moment ago, with a second to be still."""
    setting("settle", "1")
    path = boat.write("departments.csv", "1,a\n")
    touch(path, 999_999.9)
    return path


def touch(path: Path, at: float) -> None:
    os.utime(path, ns=(0, int(at * 1e9)))


def waited(path: Path, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> float:
    monkeypatch.setattr(disk, "time", clock)
    start = clock.now
    disk.wait_until_still(path)
    return round(clock.now - start, 3)


def test_old_file_is_taken_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(file, 999_000)
    assert waited(file, monkeypatch, Clock()) == 0


def test_new_file_must_be_still_for_a_moment(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert waited(file, monkeypatch, Clock()) == 0.9


def test_file_of_the_future_must_be_still_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(file, 2_000_000)
    assert waited(file, monkeypatch, Clock()) == 1.0


def test_growing_file_is_waited_for(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def grow() -> None:
        with file.open("a") as opened:
            opened.write("2,b\n")

    assert waited(file, monkeypatch, Clock(grow, grow, grow)) == 1.3


def test_file_that_never_ends(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deeds = [lambda at=at: touch(file, at) for at in range(1000)]
    with pytest.raises(FileChanged) as raised:
        waited(file, monkeypatch, Clock(*deeds))
    assert (raised.value.fact, raised.value.hint) == (
        "it is still being written",
        "wait until it has been written, then run `rowboat ingest` again",
    )


def test_file_that_vanishes_meanwhile(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileChanged) as raised:
        waited(file, monkeypatch, Clock(file.unlink))
    assert raised.value.fact == "it vanished before it was read"


def test_file_that_cannot_be_looked_at(file: Path) -> None:
    with pytest.raises(FileRefused) as raised:
        disk.wait_until_still(file / "within.csv")
    assert (raised.value.fact, raised.value.hint) == (
        "it cannot be read: not a directory",
        "check its rights",
    )
