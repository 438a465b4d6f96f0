"""Which files of raw_data belong to which table, and which to none."""

from collections.abc import Callable

import pytest

from tests.conftest import Boat
from tests.support.loading import problem

Declare = Callable[[str], None]


def test_file_of_no_table(boat: Boat) -> None:
    boat.write("invoices.csv", "1,a\n")
    assert problem(boat, "invoices.csv") == (
        "belongs to no table: its name begins with none of departments, jobs, hired_employees"
    )


def test_file_of_another_kind(boat: Boat) -> None:
    boat.write("departments.xlsx", "PK")
    assert problem(boat, "departments.xlsx") == (
        "does not end in .csv, .tsv, .txt, with or without .gz or .zip"
    )


def test_ambiguous_file(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    boat.write("jobs.csv", "1\n")
    assert problem(boat, "jobs.csv") == (
        "belongs to hired_employees.jobs and s.jobs alike: put the schema in front of its name"
    )


def test_schema_in_front_of_the_name(boat: Boat, declare: Declare) -> None:
    declare("create schema s; create table s.jobs (id integer primary key)")
    boat.write("s.jobs-may.csv", "7\n")
    boat.write("hired_employees.jobs/may.csv", "1,Cook\n")
    reports = boat.ingest()
    assert {name: each.table for name, each in reports.items()} == {
        "s.jobs-may.csv": "s.jobs",
        "hired_employees.jobs/may.csv": "hired_employees.jobs",
    }


@pytest.mark.parametrize(
    "name",
    [
        "departments-2021-02.csv",
        "Departments.CSV",
        "departments.tsv",
        "departments_2.txt",
        "departments2.csv",
        "departments/march.csv",
        "departments/jobs.csv",
        "hired_employees/departments.csv",
        "departments/2021/march.csv",
        "hired_employees.departments.csv",
    ],
)
def test_names_that_belong(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert boat.ingest()[name].table == "hired_employees.departments"
    assert boat.departments() == [(1, "a")]


@pytest.mark.parametrize(
    "name", ["departments_new.csv", "the-departments.csv", "mydepartments/a.csv"]
)
def test_names_that_do_not_belong(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert problem(boat, name).startswith("belongs to no table: ")


@pytest.mark.parametrize(
    "name",
    [
        ".departments.csv", ".old/departments.csv", "jobs.csv~", "~$jobs.csv", ".~lock.jobs.csv#",
        "#jobs.csv#", "jobs.csv.part", "jobs.csv.partial", "jobs.csv.tmp", "jobs.csv.temp",
        "jobs.csv.filepart", "jobs.csv.crdownload", "jobs.csv.download", "JOBS.CSV.PART",
        "jobs.part/1.csv", "_SUCCESS", "jobs/_SUCCESS", "jobs/_temporary/0/part-00000.csv",
        "_temporary/jobs.csv", "jobs/_committed_123", "jobs/_started_123", "_delta_log/00.json",
        "Thumbs.db", "thumbs.db", "desktop.ini", "jobs/.DS_Store", "__MACOSX/jobs.csv",
        "lost+found/jobs.csv", "@eaDir/jobs.csv", "$RECYCLE.BIN/jobs.csv",
    ],
)  # fmt: skip
def test_what_others_leave_is_left_alone(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert boat.ingest() == {}


@pytest.mark.parametrize(
    "name",
    ["_departments.csv", "_started_jobs.csv", "temporary/boats.csv", "jobs.part.xlsx", "$x.csv"],
)
def test_what_may_hold_rows_is_told(boat: Boat, name: str) -> None:
    boat.write(name, "1,a\n")
    assert problem(boat, name)
